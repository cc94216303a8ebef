"""What is found in a target: distributions, as their files stand there, and findings.

A distribution here has no verdict yet. Paths are absolute POSIX paths of the target's file system.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from packaging.utils import NormalizedName

from scanner.digest import Digest
from scanner.record import Record

if TYPE_CHECKING:
    from scanner.wheel import WheelContents


class Kind(enum.Enum):
    """How a distribution sits in the target."""

    INSTALLED = "installed"
    VENDORED = "vendored"
    WHEEL = "wheel"
    CACHED = "cached"
    BUNDLED = "bundled"


class Origin(enum.Enum):
    """Where the bytes come from; decided by bytes."""

    CHAINGUARD = "chainguard"
    UPSTREAM = "upstream"
    AMBIGUOUS = "ambiguous"
    SOURCE = "source"
    OS = "os"
    CONDA = "conda"
    LOCAL = "local"
    UNKNOWN = "unknown"
    UNCHECKED = "unchecked"


class Integrity(enum.Enum):
    """How the bytes stand to the wheel they come from."""

    INTACT = "intact"
    PRUNED = "pruned"
    MODIFIED = "modified"
    NONE = "none"


class FindingKind(enum.Enum):
    """Things about the target that are no distribution (contract, "findings")."""

    UNOWNED_FILE = "unowned-file"
    PLANTED_SBOM = "planted-sbom"
    STALE_BYTECODE = "stale-bytecode"
    STALE_METADATA = "stale-metadata"
    DANGLING_LINK = "dangling-link"
    UNREADABLE = "unreadable"
    OPAQUE_BUNDLE = "opaque-bundle"
    CORRUPT_CACHE = "corrupt-cache"
    UNSAFE_ENTRY = "unsafe-entry"
    MODIFIED_SCRIPT = "modified-script"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a person should look at. ``detail`` is one sentence."""

    kind: FindingKind
    path: str
    layer: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A project at a version, as something names it."""

    name: NormalizedName
    version: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A ``*.dist-info`` or ``*.egg-info`` and what it says. None of it is trusted; the files decide.

    ``documents`` has the kept bytes of the metadata files by their path below ``location``. ``kind`` is
    ``installed``, or ``cached`` and ``bundled`` for files that lie unpacked in a tool's store or inside an archive.
    """

    name: NormalizedName
    version: str | None
    location: str
    environment: str
    documents: Mapping[str, bytes] = field(default_factory=dict)
    record: Record | None = None
    installer: str | None = None
    tags: frozenset[str] = frozenset()
    local: str | None = None
    """What ``direct_url.json`` or an egg-link says of a directory, VCS or editable install."""
    archive_sha256: Digest | None = None
    """The digest of the installed archive, where ``direct_url.json`` (PEP 610), ``provenance_url.json`` (PEP 710) or a
    cache's pointer names one. A claim."""
    claims_chainguard: bool = False
    kind: Kind = Kind.INSTALLED
    said: str | None = None
    """For what lies unpacked in a tool's store: where the tool says it is from (``from URL``, ``built from URL``)."""
    by_folder: Identity | None = None
    """What the folder's name says, where that is another project or version than the metadata say."""
    source: str | None = None
    """The folder that a local install is of, if its installer names one."""
    aliases: tuple[str, ...] = ()
    """Links to ``location``, named like metadata themselves: farms of links, as Nix and Bazel make them."""
    files: tuple[str, ...] = ()
    """Where there are no metadata: the importable files by which it was identified. ``location`` is their folder then,
    or the one module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """A ``.whl`` file that lies in the target; in a tool's cache also an sdist, or a wheel of another file name.

    ``contents`` is None where it could not be opened, or is no wheel; a source archive (``source``) is none. ``said``
    is where a cache says it has it from (``from URL``, ``built from URL``). A claim.
    """

    name: NormalizedName
    version: str | None
    location: str
    sha256: Digest
    contents: WheelContents | None
    kind: Kind = Kind.WHEEL
    said: str | None = None
    source: bool = False


Distribution: TypeAlias = Installed | WheelFile
