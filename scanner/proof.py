"""After a rebuild: what moved to Chainguard, what did not and why, and whether the plan's promise was kept. Pure.

Two reports are compared distribution by distribution: the one that the plan was made of and the one of the new build.
What is promised is what the first report had a Chainguard wheel for, or what the plan's file says.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from packaging.utils import NormalizedName, canonicalize_name

from scanner.index import Evidence
from scanner.pairing import pairs
from scanner.plan import Coverage, Plan
from scanner.planning import concerns, counts
from scanner.report import DistributionLine, Integrity, Kind, Origin, Report, is_verified

SCHEMA: Final = "cgscan-proof/1"


class Outcome(enum.Enum):
    """What became of a distribution, the worst first."""

    LOST = "lost"
    """It was verified and is not any more."""
    NOT_MOVED = "not-moved"
    MOVED = "moved"
    """It is verified now and was not."""
    GONE = "gone"
    NEW = "new"


class Why(enum.Enum):
    """Why a distribution is not verified after the rebuild."""

    CHANGED = "changed"
    """It is Chainguard's build, and files of it were changed afterwards."""
    UNCHECKED = "unchecked"
    """An index that was needed could not be asked."""
    OWN_BUILD = "own-build"
    """An organisation's own build: a version of its own, a local install, an upload to its index."""
    NOT_AVAILABLE = "not-available"
    """Chainguard has no wheel of the version that is there now."""
    PINNED_HASH = "pinned-hash"
    """A lock file holds the hash of the bytes that came again, and not Chainguard's."""
    STILL_CACHED = "still-cached"
    """A copy of these bytes is still in a cache, or in the manager's proxy."""
    NOT_TAKEN = "not-taken"
    """Chainguard's wheel was there, and the other one was installed."""
    WEAK = "weak"
    """It is Chainguard's on evidence below what the policy asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How a distribution stood in one of the reports."""

    version: str | None
    origin: Origin
    integrity: Integrity


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One distribution before and after. ``promised`` is whether the plan said that it moves; ``detail`` a sentence."""

    outcome: Outcome
    name: str
    environment: str | None
    before: Stand | None
    after: Stand | None
    promised: bool
    why: Why | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetProof:
    """One target before and after. Coverages are percent; ``said`` is what the plan promised."""

    before: str
    after: str
    coverage_before: float | None
    coverage_said: float | None
    coverage_after: float | None
    changes: tuple[Change, ...]
    unmoved: int
    """Distributions that were verified before and still are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All targets. ``kept`` is whether everything moved that was promised, and nothing was lost."""

    made_at: str
    kept: bool
    targets: tuple[TargetProof, ...]
    schema: str = SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What may say why something did not move.

    ``stored`` are (project, version) of copies that are still in caches and proxies, with where; ``locks`` the texts of
    lock files by their names; ``built`` the sha256 in hex of Chainguard's wheels by project and version.
    """

    stored: Mapping[tuple[NormalizedName, str | None], str] = field(default_factory=dict)
    locks: Mapping[str, str] = field(default_factory=dict)
    built: Mapping[tuple[NormalizedName, str | None], Collection[str]] = field(default_factory=dict)


_Key: TypeAlias = tuple[str | None, str]


def stored_in(reports: Iterable[Report]) -> Mapping[tuple[NormalizedName, str | None], str]:
    """The copies in caches that reports list, with where each lies."""
    return {
        (canonicalize_name(line.name), line.version): f"{report.target.reference} {line.location}"
        for report in reports
        for line in report.distributions
        if line.kind is Kind.CACHED and concerns(line)
    }


def proved(
    before: Report, after: Report, *, minimum: Evidence, traces: Traces, plan: tuple[Plan, int] | None = None
) -> TargetProof:
    """Compare two reports of one target. ``plan`` is a plan and the number of the target in it."""
    promises = _promised_by(before, minimum) if plan is None else _promised_in(*plan)
    found = pairs(_counted(before), _counted(after))
    judge = _Judge(minimum=minimum, traces=traces, promises=promises)
    judged = [judge.change(one, other) for one, other in found]
    changes = sorted((change for change in judged if change is not None), key=_order)
    return TargetProof(
        before=before.target.reference,
        after=after.target.reference,
        coverage_before=_coverage(before, minimum),
        coverage_said=_said(before, promises, minimum) if plan is None else plan[0].targets[plan[1]].coverage.then,
        coverage_after=_coverage(after, minimum),
        changes=tuple(changes),
        unmoved=sum(1 for one, other in found if judge.verified(one) and judge.verified(other)),
    )


def is_kept(changes: Iterable[Change]) -> bool:
    """Whether nothing that was promised stayed, and nothing was lost."""
    return not any(
        change.outcome is Outcome.LOST or (change.promised and change.outcome is Outcome.NOT_MOVED)
        for change in changes
    )


def _counted(report: Report) -> list[DistributionLine]:
    """The installed ones but for those of an operating system or conda: they leave when a package takes over."""
    owned = (Origin.OS, Origin.CONDA)
    installed = [line for line in report.distributions if line.kind is Kind.INSTALLED and not line.hidden]
    return [line for line in installed if line.origin not in owned]


def _coverage(report: Report, minimum: Evidence) -> float | None:
    counted = [line for line in _counted(report) if line.applicable]
    verified = sum(1 for line in counted if is_verified(line, minimum))
    return Coverage.of(applicable=len(counted), verified=verified, promised=0).now


# -- what was promised -----------------------------------------------------------------------------


def _promised_by(report: Report, minimum: Evidence) -> frozenset[_Key]:
    """What the report itself has a wheel for."""
    return frozenset(
        (line.environment, line.name)
        for line in _counted(report)
        if concerns(line)
        and line.origin is not Origin.CHAINGUARD
        and not is_verified(line, minimum)
        and (line.available.same_version or line.available.remediated)
    )


def _promised_in(plan: Plan, target: int) -> frozenset[_Key]:
    items = [item for step in plan.rebuild for item in step.items if item.target == target]
    return frozenset((item.environment, item.name) for item in items if counts(item))


def _said(before: Report, promises: Collection[_Key], minimum: Evidence) -> float | None:
    counted = [line for line in _counted(before) if line.applicable]
    verified = sum(1 for line in counted if is_verified(line, minimum))
    return Coverage.of(applicable=len(counted), verified=verified, promised=len(promises)).then


# -- what became of it -----------------------------------------------------------------------------


def _order(change: Change) -> tuple[int, bool, str, str]:
    return (list(Outcome).index(change.outcome), not change.promised, change.environment or "", change.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    minimum: Evidence
    traces: Traces
    promises: Collection[_Key]

    def change(self, before: DistributionLine | None, after: DistributionLine | None) -> Change | None:
        """What became of one; None where it was verified and is, or never counted."""
        line = before or after
        assert line is not None
        was, now = self.verified(before), self.verified(after)
        if not any(one is not None and one.applicable for one in (before, after)) or (was and now):
            return None
        outcome = _outcome(before, after, was=was, now=now)
        unmoved = after if outcome in (Outcome.NOT_MOVED, Outcome.LOST) or (before is None and not now) else None
        why = self._why(unmoved) if unmoved is not None else None
        return Change(
            outcome=outcome,
            name=line.name,
            environment=line.environment,
            before=_stand(before),
            after=_stand(after),
            promised=before is not None and (before.environment, before.name) in self.promises,
            why=why[0] if why else None,
            detail=why[1] if why else None,
        )

    def verified(self, line: DistributionLine | None) -> bool:
        """Whether it is there, and verified."""
        return line is not None and is_verified(line, self.minimum)

    def _why(self, line: DistributionLine) -> tuple[Why, str]:
        """Why it is not Chainguard's, in a word and a sentence: the first that is certain."""
        if line.origin is Origin.CHAINGUARD:
            if line.integrity is Integrity.MODIFIED:
                return Why.CHANGED, line.reason
            return Why.WEAK, f"its evidence is weaker than {self.minimum.value}"
        if line.origin is Origin.UNCHECKED:
            return Why.UNCHECKED, line.reason
        own = _own_build(line)
        return (Why.OWN_BUILD, own) if own else self._why_not_taken(line)

    def _why_not_taken(self, line: DistributionLine) -> tuple[Why, str]:
        offered = line.available.same_version or line.available.remediated
        if not offered:
            return Why.NOT_AVAILABLE, f"Chainguard has no wheel of {line.version or 'its version, whichever it is'}"
        if lock := self._lock_of(line):
            return Why.PINNED_HASH, f"{lock} has the sha256 of the bytes that came again, and not Chainguard's"
        if where := self.traces.stored.get(_identity(line)):
            return Why.STILL_CACHED, f"a copy is still in {where}"
        return Why.NOT_TAKEN, f"{offered} was there and was not taken"

    def _lock_of(self, line: DistributionLine) -> str | None:
        """The lock file that accepts the bytes that came, and not Chainguard's."""
        digest = line.match.sha256.removeprefix("sha256:") if line.match and line.match.sha256 else ""
        built = self.traces.built.get(_identity(line), ())
        for name, text in self.traces.locks.items():
            if len(digest) == 64 and digest in text and not any(one in text for one in built):
                return name
        return None


def _identity(line: DistributionLine) -> tuple[NormalizedName, str | None]:
    return canonicalize_name(line.name), line.version


def _outcome(before: DistributionLine | None, after: DistributionLine | None, *, was: bool, now: bool) -> Outcome:
    if before is None:
        return Outcome.NEW
    if after is None:
        return Outcome.GONE
    if was:
        return Outcome.LOST
    return Outcome.MOVED if now else Outcome.NOT_MOVED


def _own_build(line: DistributionLine) -> str | None:
    """Whether an organisation pinned a build of its own, in words."""
    local = (line.version or "").partition("+")[2]
    if line.origin is Origin.LOCAL:
        return "it was installed from a folder or a repository of source code"
    if local and not local.startswith("cgr."):
        return f"+{local} is a version of your own"
    if line.origin is Origin.UNKNOWN and line.match is not None and line.match.evidence is None:
        return f"{line.match.filename} of {line.match.index} is your own upload: nothing shows that Chainguard built it"
    return None


def _stand(line: DistributionLine | None) -> Stand | None:
    return Stand(version=line.version, origin=line.origin, integrity=line.integrity) if line else None
