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
class Installed:
    """A ``*.dist-info`` or ``*.egg-info`` and what it says. None of it is trusted; the files decide.

    ``documents`` has the kept bytes of the metadata files by their path below ``location``.
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
    """The digest of the installed archive, where ``direct_url.json`` (PEP 610) names one."""
    claims_chainguard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """A ``.whl`` file that lies in the target. ``contents`` is None where it could not be opened."""

    name: NormalizedName
    version: str | None
    location: str
    sha256: Digest
    contents: WheelContents | None


Distribution: TypeAlias = Installed | WheelFile
