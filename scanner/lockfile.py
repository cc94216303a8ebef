"""Lock files as values: what an entry lets in, where that stands, and whether Chainguard's bytes are among it.

A place is a :class:`Span` of the text, so that what is changed there leaves every other character as it was.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

if TYPE_CHECKING:
    from scanner.digest import Digest
    from scanner.wheel import WheelName


class LockFormat(enum.Enum):
    """Who writes it, by the usual name of the file."""

    REQUIREMENTS = "requirements.txt"
    UV = "uv.lock"
    POETRY = "poetry.lock"
    PDM = "pdm.lock"
    PIPENV = "Pipfile.lock"
    PYLOCK = "pylock.toml"

    @property
    def one_hash_per_file(self) -> bool:
        """Whether tools take the first of two entries for one file name, so that its hash is replaced.

        uv (0.13) and pip (26.3) do; Poetry (1.8, 2.5) and PDM (2.27) accept the file with either hash.
        """
        return self in (LockFormat.UV, LockFormat.PYLOCK)


class Span(NamedTuple):
    """Characters of a text, from ``start`` to before ``end``."""

    start: int
    end: int


class Edit(NamedTuple):
    """``text`` instead of what stands at a place."""

    at: Span
    text: str


class Hash(NamedTuple):
    """A hash as lock files write it: a name of hashlib's, and lower-case hex."""

    algorithm: str
    hex: str


class Field(enum.Enum):
    """What an item says of its file, and what stands at that place."""

    DIGEST = "digest"
    """``sha256:HEX``"""
    HEX = "hex"
    """The hex of a sha256."""
    FILENAME = "filename"
    URL = "url"
    SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file that an entry lets in, or one hash where the format names no files.

    ``fields`` are the places of what another file would say otherwise; ``own`` are those of what is true of this file
    only and may be left out, with what separates them; ``whole_size`` is such a place for the size.
    """

    at: Span
    hashes: tuple[Hash, ...]
    filename: str | None = None
    url: str | None = None
    fields: Mapping[Field, Span]
    own: tuple[Span, ...] = ()
    whole_size: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where the list of an entry that has none begins: ``before`` and ``after`` go around its items, which are written
    as ``pattern`` is.
    """

    at: int
    before: str
    after: str
    pattern: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEntry:
    """One distribution that a lock file names. ``line`` counts from 1.

    ``version`` is None where it is not pinned to one. ``gap`` is what stands between two items. ``source`` is the index
    that the tool asks, as it may be shown; None where the lock file does not say. ``apart`` says where the distribution
    is from if it is from no index (``git``, ``path``).
    """

    project: NormalizedName
    version: Version | None
    line: int
    items: tuple[Item, ...] = ()
    gap: str = ""
    start: Start | None = None
    source: str | None = None
    apart: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Include:
    """Another file that a requirements file names, with ``-r`` or ``-c``. ``where`` is a path or URL, as it stands."""

    option: str
    where: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock file as read. ``text`` is all of it, but for a byte order mark."""

    format: LockFormat
    text: str
    entries: tuple[LockEntry, ...]
    includes: tuple[Include, ...] = ()
    requires_python: SpecifierSet | None = None
    marked: bool = False
    """Whether a byte order mark precedes the text."""

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return ("\ufeff" if self.marked else "").encode() + self.text.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A wheel that Chainguard built, as an index lists it.

    ``hashes`` are all that the page promises, ``sha256`` among them. ``url`` is None where it cannot be written down:
    what is needed to fetch it may not be shown.
    """

    filename: str
    wheel: WheelName
    index: str
    hashes: frozenset[Hash]
    sha256: Digest
    url: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the indexes of role ``chainguard`` have of one version. ``failure`` says in one line why nobody knows.

    ``indexes`` are their URLs; ``listed`` the names of all files of the project there, whoever built them;
    ``remediated`` the highest ``+cgr.N`` version of the release.
    """

    built: tuple[Built, ...] = ()
    listed: frozenset[str] = frozenset()
    indexes: tuple[str, ...] = ()
    remediated: str | None = None
    failure: str | None = None


class Acceptance(enum.Enum):
    """Whether an entry lets Chainguard's bytes in."""

    ACCEPTS = "accepts"
    """The hash of a Chainguard wheel is among its hashes."""
    REFUSES = "refuses"
    """It has hashes, and none is a Chainguard wheel's."""
    ELSEWHERE = "elsewhere"
    """It refuses, and names the URL of a file at another place: other hashes alone would break it."""
    ANYTHING = "anything"
    """It has no hashes."""
    WAIT = "wait"
    """Chainguard has no wheel of this version."""
    UNPINNED = "unpinned"
    """It is not pinned to one version."""
    NO_INDEX = "no-index"
    """It is from no index, but from a repository, a folder or a URL of its own."""
    UNCHECKED = "unchecked"
    """An index that was needed could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An entry and what it accepts: ``accepted`` and ``missing`` are Chainguard's wheels that it lets in and does not.

    ``dropped`` are names of files in its way: an index that has them no more, and tools that may prefer them.
    """

    entry: LockEntry
    acceptance: Acceptance
    why: str
    accepted: tuple[Built, ...] = ()
    missing: tuple[Built, ...] = ()
    dropped: frozenset[str] = field(default_factory=frozenset)
    remediated: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLock:
    """A lock file and what becomes of it. ``path`` is as it was said; ``after`` the text with Chainguard's hashes.

    ``indexes`` are the URLs of those of role ``chainguard``. ``notes`` are what a person should know besides, one line
    each. ``written`` is true once ``after`` stands in the file.
    """

    path: str
    lock: Lock
    judged: tuple[Judged, ...]
    edits: tuple[Edit, ...]
    after: str
    indexes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    written: bool = False

    @property
    def counts(self) -> Mapping[Acceptance, int]:
        """How many entries there are of each kind, in the order of the kinds; none of which there are none."""
        found = [one.acceptance for one in self.judged]
        return {kind: found.count(kind) for kind in Acceptance if kind in found}
