"""Two reports of a target -> what became better, what became worse, what came and what went. Pure.

Every distribution of both reports is counted once: it is the same in both, or it is a change with at least one word.
A change read backwards is the opposite change: :data:`OPPOSITES`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scanner.distribution import Finding, FindingKind
from scanner.index import Evidence
from scanner.pairing import paired, pairs, without_interpreter
from scanner.report import DistributionLine, Integrity, Kind, Origin, Report, summarise

SCHEMA: Final = "cgscan-diff/1"
FINDING_KEYS: Final[tuple[Callable[[Any], object], ...]] = (
    lambda one: (one.kind, one.path),
    lambda one: (one.kind, without_interpreter(one.path)),
)
"""What makes a finding of one report the same as one of another, for :func:`scanner.pairing.paired`."""


class What(enum.Enum):
    """What became of a distribution, the worst first."""

    FELL_BACK = "fell-back"
    """It was Chainguard's and is known to be something else now."""
    MODIFIED = "modified"
    UNCHECKED = "unchecked"
    """An index that is needed could not be asked any more: nothing is known to have become worse."""
    CAME = "came"
    GONE = "gone"
    OTHER_ORIGIN = "other-origin"
    """From one origin to another, Chainguard on neither side."""
    CHECKED = "checked"
    """The index that was needed could be asked."""
    UPDATED = "updated"
    """Another version."""
    OTHER_WHEEL = "other-wheel"
    """The same version out of another wheel."""
    EVIDENCE = "evidence"
    """The same, shown by other evidence."""
    OTHER_INTEGRITY = "other-integrity"
    """Between intact, pruned and none."""
    RESTORED = "restored"
    """It was modified and is not any more."""
    CHAINGUARD = "became-chainguard"


OPPOSITES: Final[Mapping[What, What]] = {
    **{what: what for what in What},
    What.FELL_BACK: What.CHAINGUARD,
    What.CHAINGUARD: What.FELL_BACK,
    What.MODIFIED: What.RESTORED,
    What.RESTORED: What.MODIFIED,
    What.UNCHECKED: What.CHECKED,
    What.CHECKED: What.UNCHECKED,
    What.CAME: What.GONE,
    What.GONE: What.CAME,
}

COVERAGE: Final = "coverage"
FINDING: Final = "finding"
WORSE: Final = (What.FELL_BACK.value, What.MODIFIED.value, COVERAGE, FINDING)
"""What ``worse`` stands for."""
GATES: Final = (*(what.value for what in What), COVERAGE, FINDING)
"""What a comparison can fail on: a word, a coverage that dropped, a finding that appeared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two reports. ``coverage`` is percent, None where nothing is applicable."""

    reference: str
    digest: str | None
    platform: str | None
    scanned_at: str
    version: str
    coverage: float | None
    applicable: int
    verified: int
    distributions: int
    findings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOf:
    """The layer that brought something in."""

    number: int
    diff_id: str
    created_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How a distribution stands in one of the reports."""

    version: str | None
    origin: Origin
    integrity: Integrity
    evidence: Evidence | None
    wheel: str | None
    sha256: str | None
    environment: str | None
    location: str
    layer: LayerOf | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One distribution before and after. ``what`` has the worst word first; ``hidden`` is in a lower layer only."""

    what: tuple[What, ...]
    name: str
    kind: Kind
    hidden: bool
    before: Stand | None
    after: Stand | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingChange:
    """A finding that is in one of the reports only."""

    appeared: bool
    kind: FindingKind
    path: str
    detail: str
    layer: LayerOf | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDifference:
    """One target before and after. ``notes`` say what else may be behind the difference than the target."""

    before: Side
    after: Side
    notes: tuple[str, ...]
    unchanged: int
    changes: tuple[Change, ...]
    unchanged_findings: int
    findings: tuple[FindingChange, ...]

    @property
    def dropped(self) -> bool:
        """Whether less is verified of what is applicable. Without anything applicable there is nothing to drop."""
        before, after = self.before.coverage, self.after.coverage
        return before is not None and after is not None and after < before


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All targets. ``failed`` are the words that were asked not to happen, and did."""

    targets: tuple[TargetDifference, ...]
    failed: tuple[str, ...]
    schema: str = SCHEMA


def difference(before: Report, after: Report, *, minimum: Evidence) -> TargetDifference:
    """Compare two reports; ``minimum`` is the weakest evidence that counts as verified on both sides."""
    found = pairs(before.distributions, after.distributions)
    changes = [_change(one, other, before, after) for one, other in found]
    findings = list(_findings(before, after))
    return TargetDifference(
        before=_side(before, minimum),
        after=_side(after, minimum),
        notes=tuple(_notes(before, after)),
        unchanged=sum(not change.what for change in changes),
        changes=tuple(sorted((change for change in changes if change.what), key=_order)),
        unchanged_findings=sum(one is None for one in findings),
        findings=tuple(one for one in findings if one is not None),
    )


def failed(targets: Collection[TargetDifference], gates: Collection[str]) -> tuple[str, ...]:
    """Which of the :data:`GATES` happened, in their order."""
    happened = {what.value for target in targets for change in target.changes for what in change.what}
    if any(target.dropped for target in targets):
        happened.add(COVERAGE)
    if any(finding.appeared for target in targets for finding in target.findings):
        happened.add(FINDING)
    return tuple(gate for gate in GATES if gate in gates and gate in happened)


def _side(report: Report, minimum: Evidence) -> Side:
    counted = summarise(report.distributions, minimum=minimum)
    return Side(
        reference=report.target.reference,
        digest=report.target.digest,
        platform=report.target.platform,
        scanned_at=report.scanned_at,
        version=report.tool.get("version", ""),
        coverage=counted.coverage,
        applicable=counted.applicable,
        verified=counted.verified,
        distributions=counted.distributions,
        findings=len(report.findings),
    )


# -- distributions ---------------------------------------------------------------------------------


def _change(one: DistributionLine | None, other: DistributionLine | None, before: Report, after: Report) -> Change:
    line = other or one
    assert line is not None
    return Change(
        what=_what(one, other),
        name=line.name,
        kind=line.kind,
        hidden=line.hidden,
        before=_stand(one, before),
        after=_stand(other, after),
    )


def _what(before: DistributionLine | None, after: DistributionLine | None) -> tuple[What, ...]:
    if before is None:
        return (What.CAME,)
    if after is None:
        return (What.GONE,)
    found = {what for what in (_of_origin(before, after), _of_integrity(before, after)) if what}
    if before.version != after.version:
        found.add(What.UPDATED)
    elif not found & {What.FELL_BACK, What.CHAINGUARD, What.OTHER_ORIGIN, What.UNCHECKED, What.CHECKED}:
        if _sha256(before) != _sha256(after):
            found.add(What.OTHER_WHEEL)
        elif _evidence(before) != _evidence(after):
            found.add(What.EVIDENCE)
    return tuple(what for what in What if what in found)


def _of_origin(before: DistributionLine, after: DistributionLine) -> What | None:
    """What can only be told when both sides were asked is not told otherwise."""
    if before.origin is after.origin:
        return None
    match before.origin, after.origin:
        case _, Origin.UNCHECKED:
            return What.UNCHECKED
        case Origin.UNCHECKED, _:
            return What.CHECKED
        case Origin.CHAINGUARD, _:
            return What.FELL_BACK
        case _, Origin.CHAINGUARD:
            return What.CHAINGUARD
        case _:
            return What.OTHER_ORIGIN


def _of_integrity(before: DistributionLine, after: DistributionLine) -> What | None:
    states = (before.integrity, after.integrity)
    if before.integrity is after.integrity:
        return None
    if Integrity.MODIFIED in states:
        return What.MODIFIED if after.integrity is Integrity.MODIFIED else What.RESTORED
    return What.OTHER_INTEGRITY


def _sha256(line: DistributionLine) -> str | None:
    return line.match.sha256 if line.match else None


def _evidence(line: DistributionLine) -> Evidence | None:
    return line.match.evidence if line.match else None


def _stand(line: DistributionLine | None, report: Report) -> Stand | None:
    if line is None:
        return None
    return Stand(
        version=line.version,
        origin=line.origin,
        integrity=line.integrity,
        evidence=_evidence(line),
        wheel=line.match.filename if line.match else None,
        sha256=_sha256(line),
        environment=line.environment,
        location=line.location,
        layer=_layer(line.layer, report),
        reason=line.reason,
    )


def _layer(number: int | None, report: Report) -> LayerOf | None:
    if number is None or not 0 <= number < len(report.target.layers):
        return None
    layer = report.target.layers[number]
    return LayerOf(number=number, diff_id=layer.diff_id, created_by=layer.created_by)


def _order(change: Change) -> tuple[int, bool, str, str, str]:
    stand = change.after or change.before
    assert stand is not None
    return (list(What).index(change.what[0]), change.hidden, stand.environment or "", change.name, stand.location)


# -- findings --------------------------------------------------------------------------------------


def _findings(before: Report, after: Report) -> Iterator[FindingChange | None]:
    """None for each that is in both."""
    old, new = (sorted(report.findings, key=lambda one: (one.path, one.kind.value)) for report in (before, after))
    for one, other in paired(old, new, FINDING_KEYS):
        if other is None and one is not None:
            yield _finding(one, before, appeared=False)
        elif one is None and other is not None:
            yield _finding(other, after, appeared=True)
        else:
            yield None


def _finding(finding: Finding, report: Report, *, appeared: bool) -> FindingChange:
    layer = _layer(finding.layer, report)
    return FindingChange(appeared=appeared, kind=finding.kind, path=finding.path, detail=finding.detail, layer=layer)


# -- what else may be behind it --------------------------------------------------------------------


def _notes(before: Report, after: Report) -> Iterator[str]:
    asked = [{(one.role, one.url, one.built_only) for one in report.indexes} for report in (before, after)]
    if asked[0] != asked[1]:
        yield "The two were judged against other indexes: what differs may be the indexes' doing and not the target's."
    elif {one.as_of for one in before.indexes} != {one.as_of for one in after.indexes}:
        yield "The snapshots of the indexes are of other days: what differs may be the indexes' doing."
    versions = [report.tool.get("version", "") for report in (before, after)]
    if versions[0] != versions[1]:
        yield f"The two are of other versions of cgscan, {versions[0]} and {versions[1]}, which may judge differently."
    if before.target.platform != after.target.platform:
        yield f"The platforms differ: {before.target.platform or 'none'} and {after.target.platform or 'none'}."
    if len({any(line.hidden for line in report.distributions) for report in (before, after)}) > 1:
        yield "Only one of the two has distributions of lower layers alone; the other may be of --scope squashed."
