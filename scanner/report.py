"""The report: all of it for one target, in the shape of ``report.schema.json``.

The dataclasses mirror the schema's objects field by field; :func:`as_object` makes the JSON
value out of them. Nothing here decides anything.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final

import scanner
from scanner.digest import Digest
from scanner.distribution import Finding, Integrity, Kind, Origin
from scanner.index import Evidence, Role

__all__ = [
    "APPLICABLE",
    "SCHEMA",
    "Available",
    "DistributionLine",
    "FileCounts",
    "FileLine",
    "IndexLine",
    "Integrity",
    "Kind",
    "LayerLine",
    "MatchLine",
    "Origin",
    "Report",
    "SeenLine",
    "Summary",
    "TargetLine",
    "as_object",
    "is_verified",
    "plain",
    "summarise",
]

SCHEMA: Final = "cgscan-report/1"


APPLICABLE: Final = frozenset(
    {Origin.CHAINGUARD, Origin.UPSTREAM, Origin.AMBIGUOUS, Origin.SOURCE, Origin.UNKNOWN, Origin.UNCHECKED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLine:
    """One layer of the target. ``size`` is stored bytes; ``checked`` is ``digest``, or ``contents`` where only the
    digests of its table of contents and of the files read by it were checked.
    """

    diff_id: str
    digest: str | None
    size: int | None
    media_type: str | None
    created_by: str | None
    checked: str = "digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLine:
    """What was scanned. ``kind`` is ``image``, ``directory`` or ``file``."""

    reference: str
    kind: str
    digest: str | None = None
    platform: str | None = None
    layers: tuple[LayerLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexLine:
    """An index that was asked. ``url`` has no credentials; ``as_of`` is the oldest answer in a snapshot."""

    name: str
    role: Role
    kind: str
    url: str
    built_only: bool
    as_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCounts:
    """How many of the wheel's files stand how. RECORD is in none of them."""

    matched: int
    missing: int
    modified: int
    generated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLine:
    """When the index was seen to list a wheel, by RFC 3339; ``listed`` is whether it still does."""

    first: str
    last: str
    listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchLine:
    """The wheel that explains the files best; ``seen`` only where its index does not list it any more."""

    index: str
    filename: str
    sha256: str | None
    url: str | None
    evidence: Evidence | None
    proved: bool
    files: FileCounts
    seen: SeenLine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """One file that is not as the wheel has it. ``state`` is ``modified`` or ``missing``."""

    path: str
    state: str
    expected: str | None
    actual: str | None
    layer: int | None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """What Chainguard offers of this release."""

    same_version: str | None = None
    remediated: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionLine:
    """One distribution and its verdict."""

    name: str
    version: str | None
    kind: Kind
    location: str
    environment: str | None
    layer: int | None
    layers: tuple[int, ...]
    installer: str | None
    owner: str | None
    hidden: bool
    origin: Origin
    integrity: Integrity
    match: MatchLine | None
    files: tuple[FileLine, ...]
    available: Available
    reason: str

    @property
    def applicable(self) -> bool:
        """Whether it counts for coverage."""
        return self.kind is Kind.INSTALLED and self.origin in APPLICABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The numbers. ``coverage`` is percent, rounded to two places, None where nothing is applicable."""

    distributions: int
    applicable: int
    verified: int
    coverage: float | None
    by_origin: dict[str, int]
    by_integrity: dict[str, int]
    upgradable: int
    passed: bool
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it for one target."""

    scanned_at: str
    timing: dict[str, float]
    target: TargetLine
    indexes: tuple[IndexLine, ...]
    summary: Summary
    distributions: tuple[DistributionLine, ...]
    findings: tuple[Finding, ...]
    schema: str = SCHEMA
    tool: dict[str, str] = field(default_factory=lambda: {"name": "cgscan", "version": scanner.__version__})


def is_verified(line: DistributionLine, minimum: Evidence = Evidence.SBOM) -> bool:
    """Installed, Chainguard's, intact or pruned, and on evidence not below ``minimum``."""
    return (
        line.kind is Kind.INSTALLED
        and line.origin is Origin.CHAINGUARD
        and line.integrity in (Integrity.INTACT, Integrity.PRUNED)
        and line.match is not None
        and line.match.evidence is not None
        and line.match.evidence.rung <= minimum.rung
    )


def summarise(
    lines: Sequence[DistributionLine], *, minimum: Evidence = Evidence.SBOM, violations: Sequence[str] = ()
) -> Summary:
    """Count."""
    applicable = [line for line in lines if line.applicable and not line.hidden]
    verified = [line for line in applicable if is_verified(line, minimum)]
    upgradable = [line for line in applicable if not is_verified(line, minimum) and line.available.same_version]
    return Summary(
        distributions=len(lines),
        applicable=len(applicable),
        verified=len(verified),
        coverage=round(100 * len(verified) / len(applicable), 2) if applicable else None,
        by_origin=_counted([line.origin.value for line in lines], [origin.value for origin in Origin]),
        by_integrity=_counted([line.integrity.value for line in lines], [state.value for state in Integrity]),
        upgradable=len(upgradable),
        passed=not violations,
        violations=tuple(violations),
    )


def _counted(values: Sequence[str], order: Sequence[str]) -> dict[str, int]:
    return {name: values.count(name) for name in order if name in values}


_LONE: Final = re.compile("[\ud800-\udfff]")


def valid_text(text: str) -> str:
    """The text with lone surrogates written out, so that it is valid UTF-8 and valid JSON everywhere.

    A byte of a file name that is no UTF-8 is a lone surrogate in Python (PEP 383) and becomes ``\\xff``.
    JSON's own escape for one is refused by many readers (RFC 8259, section 8.2).
    """
    return _LONE.sub(_written_out, text)


def _written_out(lone: re.Match[str]) -> str:
    number = ord(lone[0])
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


def as_object(report: Report) -> dict[str, Any]:
    """The JSON value of a report, in the schema's order of fields; every text in it is valid UTF-8."""
    return {name: plain(getattr(report, name)) for name in _ORDER}


_ORDER: Final = ("schema", "tool", "scanned_at", "timing", "target", "indexes", "summary", "distributions", "findings")


def plain(value: object) -> Any:
    """A value as JSON has it: words for enums, arrays for tuples, objects for dataclasses, every text valid UTF-8."""
    match value:
        case enum.Enum():
            return value.value
        case str() | Digest():
            return valid_text(str(value))
        case tuple() | list():
            return [plain(item) for item in value]
        case dict():
            return {valid_text(str(key)): plain(item) for key, item in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
        case _:
            return value
