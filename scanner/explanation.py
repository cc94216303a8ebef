"""What ``cgscan explain`` says: one distribution file by file, in the shape of ``explanation.schema.json``.

The dataclasses mirror the schema's objects field by field; :func:`as_object` makes the JSON value out of them. Nothing
here decides anything: :mod:`scanner.explaining` does. A *side* is the best wheel of Chainguard's, or of PyPI's.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Final

import scanner
from scanner.digest import Digest
from scanner.distribution import Finding, Origin
from scanner.index import Evidence, Role
from scanner.report import DistributionLine, FileCounts, IndexLine, SeenLine, TargetLine, plain
from scanner.vex import Fix

SCHEMA: Final = "cgscan-explanation/1"


class Stand(enum.Enum):
    """How one file stands to the wheel that the distribution is compared with, or to its owner's list (os, conda)."""

    MATCHED = "matched"
    MISSING = "missing"
    MODIFIED = "modified"
    GENERATED = "generated"
    NOT_IN_WHEEL = "not-in-wheel"
    NOT_COMPARED = "not-compared"


class Listed(enum.Enum):
    """What the installed RECORD says of one file. ``edited``: it lists bytes that are there and are not the wheel's."""

    LISTED = "listed"
    EDITED = "edited"
    OTHER_BYTES = "other-bytes"
    WITHOUT_DIGEST = "without-digest"
    NOT_LISTED = "not-listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFile:
    """What one side's wheel has for a file, and how the file that is there stands to that."""

    sha256: str
    state: Stand


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedFile:
    """One file. ``member`` is its path in a wheel, None where neither has it; ``installed`` None where it is missing.

    ``discriminating``: it sets one build apart from the other. ``speaks_for`` is the side whose bytes are there then.
    """

    path: str
    member: str | None
    state: Stand
    installed: str | None
    chainguard: SideFile | None = None
    upstream: SideFile | None = None
    discriminating: bool = False
    speaks_for: Origin | None = None
    record: Listed | None = None
    layer: int | None = None
    layers: tuple[int, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The best wheel of one side. ``origin`` is ``unknown`` where nothing says that Chainguard built it."""

    index: str
    filename: str
    sha256: str | None
    url: str | None
    origin: Origin
    evidence: Evidence | None
    proved: bool
    tags: str
    discriminating: int
    speaking: int
    files: FileCounts
    seen: SeenLine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateLine:
    """One file of this version that an index lists, or listed earlier. ``reason`` says why it was chosen or was not.

    ``tags`` are as the file name has them, empty for a source archive.
    """

    index: str
    role: Role
    filename: str
    sha256: str | None
    url: str | None
    tags: str
    origin: Origin | None
    evidence: Evidence | None
    chosen: bool
    reason: str
    files: FileCounts | None = None
    seen: SeenLine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one index has said. ``listed`` are all its files of the project, ``of_version`` those of this version."""

    index: str
    role: Role
    listed: int
    of_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLine:
    """The installed RECORD: its rows, those that could not be read, and how it agrees with what is there."""

    rows: int
    faults: tuple[str, ...]
    edited: int
    other_bytes: int
    not_listed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vex:
    """What a feed of OpenVEX documents says of the builds of this release. ``feed`` is its URL or file."""

    feed: str
    statements: tuple[Fix, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One distribution. ``compared_with`` is the side that ``files[].state`` and the line's counts are about.

    ``vex`` is None where there is no feed, or it could not be read.
    """

    distribution: DistributionLine
    why: tuple[str, ...]
    compared_with: str | None
    chainguard: Side | None
    upstream: Side | None
    files: tuple[ExplainedFile, ...]
    candidates: tuple[CandidateLine, ...]
    answers: tuple[Answer, ...]
    failures: tuple[str, ...]
    record: RecordLine | None
    vex: Vex | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Every distribution of one name in one target."""

    scanned_at: str
    timing: dict[str, float]
    target: TargetLine
    indexes: tuple[IndexLine, ...]
    name: str
    distributions: tuple[Account, ...]
    findings: tuple[Finding, ...]
    schema: str = SCHEMA
    tool: dict[str, str] = field(default_factory=lambda: {"name": "cgscan", "version": scanner.__version__})


def shown_digest(sha256: bytes) -> str:
    """``sha256:<hex>`` of raw bytes."""
    return str(Digest.sha256(sha256))


_ORDER: Final = (
    "schema",
    "tool",
    "scanned_at",
    "timing",
    "target",
    "indexes",
    "name",
    "distributions",
    "findings",
)


def as_object(explanation: Explanation) -> dict[str, Any]:
    """The JSON value of an explanation, in the schema's order of fields."""
    return {name: plain(getattr(explanation, name)) for name in _ORDER}
