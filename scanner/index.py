"""What an index is: a package index as a repository manager serves it, and the files that it lists.

A URL, a path and a file name are claims. :class:`Evidence` is the ladder that turns claims into the
word that a wheel was built by Chainguard (contract, "evidence").
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from packaging.utils import NormalizedName

from scanner.attestation import Form
from scanner.digest import Digest
from scanner.wheel import WheelName

if TYPE_CHECKING:
    from scanner.wheel import WheelContents


class Role(enum.Enum):
    """Whose builds an index is asked for."""

    CHAINGUARD = "chainguard"
    UPSTREAM = "upstream"


class Tier(enum.Enum):
    """What the path of a file says about where a Chainguard index has it from."""

    BUILT = "built"
    FALLBACK = "fallback"


class Evidence(enum.Enum):
    """Why a wheel counts as built by Chainguard, strongest first."""

    ATTESTED = "attested"
    BUILT_ONLY = "built-only"
    NOT_UPSTREAM = "not-upstream"
    PATH = "path"
    SBOM = "sbom"

    @property
    def rung(self) -> int:
        """0 is the strongest."""
        return list(Evidence).index(self)


class IndexFile(NamedTuple):
    """One file on an index's page of a project. A tuple: the pages of one scan list a hundred thousand.

    ``url`` is absolute, without fragment, and may hold credentials: it is for requests, never for
    output (``shown_url`` is). ``hashes`` maps hashlib names to lower-case hex. ``size`` is bytes. ``provenance`` is
    the URL of what is signed about it (PEP 740), as ``url`` is for requests only.
    """

    filename: str
    url: str
    shown_url: str
    hashes: Mapping[str, str]
    size: int | None = None
    requires_python: str | None = None
    yanked: bool = False
    tier: Tier | None = None
    provenance: str | None = None

    @property
    def sha256(self) -> Digest | None:
        """The sha256 that the page promises, if it promises one."""
        text = self.hashes.get("sha256", "")
        return Digest("sha256", text) if len(text) == 64 else None

    @property
    def wheel(self) -> WheelName | None:
        """What the file name says; None for what is no wheel."""
        return _wheel_name(self.filename)


@lru_cache(16_384)
def _wheel_name(filename: str) -> WheelName | None:
    return WheelName.parse(filename)


class Index(Protocol):
    """A package index. Calls are thread-safe and may block; answers are remembered for the scan."""

    @property
    def name(self) -> str:
        """The name in the configuration, or made from the URL; unique in a scan."""

    @property
    def role(self) -> Role: ...
    @property
    def kind(self) -> str:
        """``simple``, ``directory`` …"""

    @property
    def url(self) -> str:
        """Where it is, without credentials."""

    @property
    def built_only(self) -> bool:
        """Whether it is configured as serving Chainguard-built wheels only."""

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        """Every file of a project; empty where the index has answered that there is none.

        Raises :class:`scanner.errors.IndexUnavailable`.
        """

    def wheel(self, file: IndexFile, *, whole: bool = False) -> WheelContents:
        """What one of this index's wheels holds; ``whole`` reads all of it and checks its sha256.

        The result has ``sha256`` set in any case where ``whole`` is true (computed if the page names none).
        Raises :class:`scanner.errors.IndexUnavailable` or :class:`scanner.errors.WheelUnreadable`.
        """


@runtime_checkable
class ByContent(Protocol):
    """What an index may offer besides: to find wheels by a file inside them (a snapshot can)."""

    def holding(self, sha256: bytes) -> Sequence[IndexFile]:
        """Wheels of this index that have a member with these bytes (raw sha256); no more than a few hundred.

        Raises :class:`scanner.errors.IndexUnavailable`.
        """


@runtime_checkable
class Attesting(Protocol):
    """What an index may offer besides: what is signed about its files. A claim until it was verified."""

    def attestation(self, file: IndexFile, form: Form) -> bytes | None:
        """The document of a file in one form, of at most the limit ``attestation``; None where it offers none.

        Raises :class:`scanner.errors.IndexUnavailable`.
        """


@runtime_checkable
class Dated(Protocol):
    """What an index may have besides: how old its answers are (a snapshot's are)."""

    @property
    def as_of(self) -> float | None:
        """Seconds since 1970 of its oldest answer; None where it has none."""


EARLIER: Final = "earlier:"
"""What the URL of a file starts with that is not listed any more: there is nothing to be asked there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What holds of a listed wheel while a scan looks at it.

    ``upstream``: PyPI's bytes, by an upstream index that lists them or by their path. ``not_upstream``: an upstream
    index was asked and has other bytes, or no file, under that name.
    """

    file: IndexFile
    upstream: bool
    not_upstream: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A wheel that an index has listed, and what held of it then. Times are seconds since 1970.

    ``first`` and ``last`` are when it was seen listed. ``upstream`` once it held at any of these times, and so for
    ``not_upstream``; ``built_only`` if the index was configured so at all of them. The file has a sha256.
    """

    file: IndexFile
    first: float
    last: float
    upstream: bool
    not_upstream: bool
    built_only: bool

    def joined(self, other: Seen) -> Seen:
        """Two sightings of the same bytes under one name; the file is that of the later one."""
        return Seen(
            file=self.file if self.last > other.last else other.file,
            first=min(self.first, other.first),
            last=max(self.last, other.last),
            upstream=self.upstream or other.upstream,
            not_upstream=self.not_upstream or other.not_upstream,
            built_only=self.built_only and other.built_only,
        )


@runtime_checkable
class Recalling(Protocol):
    """What an index may offer besides: wheels that it has listed earlier and does not list any more."""

    def earlier(self, project: NormalizedName) -> Sequence[Seen]:
        """Those of a project, last seen first, their URLs behind :data:`EARLIER`; none that is listed with its bytes.

        Raises :class:`scanner.errors.IndexUnavailable`.
        """

    def recall(self, file: IndexFile) -> WheelContents | None:
        """What such a wheel holds; None where that is not known any more. Nothing is asked."""


@runtime_checkable
class Remembering(Protocol):
    """What an index may offer besides: to keep what a scan has seen of it."""

    def remember(self, project: NormalizedName, held: Sequence[Held]) -> None:
        """Keep the listed wheels of a project that were looked at, with what holds of them, and when that was."""


@runtime_checkable
class Recounting(Protocol):
    """What an index may offer besides: all that it was asked in this scan."""

    def asked(self) -> Mapping[NormalizedName, Sequence[IndexFile]] | None:
        """What it listed of each project; None if it failed once, for a project or for a wheel."""


def in_utc(seconds: float) -> str:
    """A time as RFC 3339 has it, in UTC and whole seconds."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSpec:
    """An index as it is asked for: on the command line, or in the configuration.

    ``location`` is a simple-API URL (userinfo in it is used, never shown), a folder, a ``file://`` URL or a
    file. The ``*_env`` fields are names of environment variables that hold the secrets; ``keyring`` and ``helper`` (a
    command, word by word) say who else has them. ``repository`` is its name where the configuration says it.
    """

    location: str
    role: Role
    name: str | None = None
    kind: str | None = None
    built_only: bool = False
    username_env: str | None = None
    password_env: str | None = None
    token_env: str | None = None
    keyring: bool = False
    helper: tuple[str, ...] = ()
    repository: str | None = None
