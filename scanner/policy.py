"""What makes a scan fail: a least coverage, values that must not occur, evidence that is too weak.

Pure: report x policy -> violations. A distribution in a lower layer only (``hidden``) breaks no
policy; every other one counts for ``fail_on``, of whatever kind. Coverage counts installed ones only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeGuard

from scanner.distribution import FindingKind
from scanner.errors import ConfigError, UsageError
from scanner.index import Evidence
from scanner.report import DistributionLine, Integrity, Kind, Origin, Report, Summary, is_verified, summarise

ALLOWED: Final = tuple(value.value for words in (Origin, Integrity, FindingKind) for value in words)
"""What ``fail_on`` may name, in the contract's order. No word stands for two things."""

_NAMED_AT_MOST: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is asked of a target; the default asks nothing.

    ``min_coverage`` is percent and holds where coverage is null; ``fail_on`` holds :data:`ALLOWED`
    words; wheels on evidence below ``min_evidence`` are not verified.
    Raises :class:`scanner.errors.UsageError` for a value that makes no sense.
    """

    min_coverage: float | None = None
    fail_on: frozenset[str] = frozenset()
    min_evidence: Evidence = Evidence.SBOM

    def __post_init__(self) -> None:
        if self.min_coverage is not None and not _is_percentage(self.min_coverage):
            raise UsageError(f"not a coverage: {_quoted(self.min_coverage)}", hint="write a number from 0 to 100")
        unknown = sorted(self.fail_on.difference(ALLOWED))
        if unknown:
            raise UsageError(f"cannot fail on {', '.join(map(_quoted, unknown))}", hint=_one_of(ALLOWED))


def check(report: Report, policy: Policy) -> tuple[str, ...]:
    """What of the policy does not hold, one sentence for each demand; empty where all of it holds."""
    summary = summarise(report.distributions, minimum=policy.min_evidence)
    return (
        *_of_coverage(report, policy, summary),
        *_of_distributions(report, policy, lambda line: line.origin.value, "origin"),
        *_of_distributions(report, policy, lambda line: line.integrity.value, "integrity"),
        *_of_findings(report, policy),
    )


def judged(report: Report, policy: Policy) -> Report:
    """The report with its summary counted anew under the policy."""
    violations = check(report, policy)
    return replace(report, summary=summarise(report.distributions, minimum=policy.min_evidence, violations=violations))


def _of_coverage(report: Report, policy: Policy, summary: Summary) -> Iterator[str]:
    least, coverage = policy.min_coverage, summary.coverage
    if least is None or coverage is None or coverage >= least:
        return
    missing = [
        line
        for line in report.distributions
        if line.applicable and not line.hidden and not is_verified(line, policy.min_evidence)
    ]
    yield f"coverage is {coverage:g} %, the policy asks for {least:g} %; not verified: {_named(missing)}"


def _of_distributions(
    report: Report, policy: Policy, value: Callable[[DistributionLine], str], word: str
) -> Iterator[str]:
    counted = [line for line in report.distributions if not line.hidden]
    for wanted in _in_order(policy.fail_on):
        lines = [line for line in counted if value(line) == wanted]
        if lines:
            yield f"{_many(len(lines), 'distribution')} of {word} {wanted}: {_named(lines)}"


def _of_findings(report: Report, policy: Policy) -> Iterator[str]:
    for wanted in _in_order(policy.fail_on):
        paths = [finding.path for finding in report.findings if finding.kind.value == wanted]
        if paths:
            yield f"{_many(len(paths), 'finding')} of kind {wanted}: {_listed(paths)}"


def _in_order(names: frozenset[str]) -> list[str]:
    return [name for name in ALLOWED if name in names]


def _named(lines: Sequence[DistributionLine]) -> str:
    return _listed([_name(line) for line in lines])


def _name(line: DistributionLine) -> str:
    name = f"{line.name} {line.version}" if line.version else line.name
    return name if line.kind is Kind.INSTALLED else f"{name} ({line.kind.value})"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED_AT_MOST])
    more = len(names) - _NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# -- reading ---------------------------------------------------------------------------------------


def load_policy(data: object) -> Policy:
    """Read a policy from what YAML made of its file: a mapping, or None for an empty one.

    Raises :class:`scanner.errors.ConfigError` with all the faults, each with its path.
    """
    if data is None:
        return Policy()
    if not isinstance(data, Mapping):
        raise ConfigError("this is no policy", faults=["it must be a mapping"], hint=_one_of(tuple(_READERS)))
    values: dict[str, Any] = {}
    faults: list[str] = []
    for key, value in data.items():
        reader = _READERS.get(key) if isinstance(key, str) else None
        if reader is None:
            faults.append(f"{_quoted(key)}: there is no such key")
        elif value is not None:
            values[key] = reader(value, faults)
    if faults:
        raise ConfigError("this policy cannot be used", faults=faults, hint=f"keys are {', '.join(_READERS)}")
    return Policy(**values)


def _read_coverage(value: object, faults: list[str]) -> float | None:
    if _is_percentage(value):
        return value
    faults.append(f"min_coverage: {_quoted(value)} is no number from 0 to 100")
    return None


def _read_fail_on(value: object, faults: list[str]) -> frozenset[str]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Sequence):
        faults.append(f"fail_on: {_quoted(value)} is no list")
        return frozenset()
    wrong = [(place, item) for place, item in enumerate(items) if item not in ALLOWED]
    faults.extend(f"fail_on[{place}]: {_quoted(item)} is unknown; {_one_of(ALLOWED)}" for place, item in wrong)
    return frozenset(item for item in items if item in ALLOWED)


def _read_evidence(value: object, faults: list[str]) -> Evidence:
    for rung in Evidence:
        if rung.value == value:
            return rung
    faults.append(f"min_evidence: {_quoted(value)} is unknown; {_one_of([rung.value for rung in Evidence])}")
    return Evidence.SBOM


_READERS: Final[dict[str, Callable[[Any, list[str]], object]]] = {
    "min_coverage": _read_coverage,
    "fail_on": _read_fail_on,
    "min_evidence": _read_evidence,
}


def _is_percentage(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100


def _one_of(words: Sequence[str]) -> str:
    return f"write one of {', '.join(words)}"


def _quoted(value: object) -> str:
    return ascii(value)[:80]
