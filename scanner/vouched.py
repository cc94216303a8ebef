"""What attestations say of an image, which of them counts, and whether that is enough. Pure.

1. An attestation is *authentic* when a key that was named signed it, it is an in-toto statement, the image's manifest
   is a subject of it by digest, and its predicate is one of the two that cgscan writes.
2. Of the authentic ones the newest count, by the time of the scan that they tell: a new FAILED is not made good by an
   old PASSED. A scan may have left both predicates; then both have to hold.
3. They hold when the policy was PASSED, the coverage is what is asked for, and the scan is not too old.

Whoever may delete in the registry can hide the newest one: ``--max-age`` bounds what that is good for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from scanner.decoding import json_value
from scanner.digest import Digest
from scanner.envelope import STATEMENT_TYPE, Envelope, NoEnvelope
from scanner.errors import UsageError
from scanner.statement import FAILED, FULL_COVERAGE, PASSED, POLICY, REPORT, STATEMENT, SUMMARY, canonical

_STATEMENTS: Final = frozenset({STATEMENT, "https://in-toto.io/Statement/v0.1"})
_SUBJECTS: Final = 1000
_SKEW: Final = timedelta(minutes=5)
"""How far a clock may be ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an authentic attestation says: a report's ``coverage``, the ``least`` that a summary's policy asked."""

    predicate_type: str
    time: datetime
    passed: bool
    verifier: str | None = None
    coverage: float | None = None
    applicable: int | None = None
    least: float | None = None
    levels: tuple[str, ...] = ()

    def reaches(self, coverage: float) -> bool:
        """Whether it says that at least so much is verified; a report with nothing applicable does (contract)."""
        if self.predicate_type == REPORT:
            return self.applicable == 0 or (self.coverage is not None and self.coverage >= coverage)
        return FULL_COVERAGE in self.levels or (self.passed and self.least is not None and self.least >= coverage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One attestation that was found: ``where``, the ``key`` that signed it, and its claim, or ``why`` it has none."""

    where: str
    key: str | None = None
    claim: Claim | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What is asked of the attestation that counts."""

    min_coverage: float | None = None
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What came of it. ``counted`` are the newest authentic ones, ``passed_over`` the others, with why."""

    image: str
    digest: Digest
    via: str
    counted: tuple[Seen, ...]
    passed_over: tuple[Seen, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()
    schema: str = "cgscan-verification/1"

    @property
    def verified(self) -> bool:
        """Whether there is one that counts, and nothing is wrong with it."""
        return bool(self.counted) and not self.faults


def read_claim(envelope: Envelope, digest: Digest) -> Claim:
    """What the payload of a signed envelope says of this image. :class:`NoEnvelope` with why it says nothing."""
    if envelope.payload_type != STATEMENT_TYPE:
        raise NoEnvelope(f"what is signed is of the type {ascii(envelope.payload_type)[:80]}")
    try:
        said = json_value(envelope.payload, "the statement")
    except UsageError as problem:
        raise NoEnvelope(problem.message) from problem
    if not isinstance(said, dict) or said.get("_type") not in _STATEMENTS:
        raise NoEnvelope("what is signed is no in-toto statement")
    subjects = said.get("subject")
    if not isinstance(subjects, list) or len(subjects) > _SUBJECTS or not any(_is_of(one, digest) for one in subjects):
        raise NoEnvelope("it is about another image")
    kind, predicate = said.get("predicateType"), said.get("predicate")
    if kind not in (SUMMARY, REPORT) or not isinstance(predicate, dict):
        raise NoEnvelope(f"its predicate is of the type {ascii(kind)[:120]}")
    try:
        return _of_summary(predicate) if kind == SUMMARY else _of_report(predicate)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UsageError) as problem:
        raise NoEnvelope("its predicate lacks something, or is none of its type") from problem


def _is_of(subject: object, digest: Digest) -> bool:
    digests = subject.get("digest") if isinstance(subject, dict) else None
    return isinstance(digests, dict) and digests.get(digest.algorithm) == digest.hex


def _of_summary(said: Mapping[str, Any]) -> Claim:
    result, levels = said["verificationResult"], said["verifiedLevels"]
    if (
        result not in (PASSED, FAILED)
        or not isinstance(levels, list)
        or not all(isinstance(one, str) for one in levels)
    ):
        raise ValueError
    return Claim(
        predicate_type=SUMMARY,
        time=_time(said["timeVerified"]),
        passed=result == PASSED,
        verifier=str(said["verifier"]["id"]),
        levels=tuple(level for level in levels if level != FAILED),
        least=_least(said),
    )


def _least(said: Mapping[str, Any]) -> float | None:
    """The coverage that the policy asked for, where the policy stands in the summary and is what its digest says."""
    value = said.get(POLICY)
    if value is None:
        return None
    if Digest.of(canonical(value)).hex != said["policy"]["digest"]["sha256"]:
        raise ValueError
    return _number(value["min_coverage"])


def _of_report(said: Mapping[str, Any]) -> Claim:
    summary = said["summary"]
    applicable = summary["applicable"]
    if not isinstance(summary["passed"], bool) or not isinstance(applicable, int):
        raise TypeError
    return Claim(
        predicate_type=REPORT,
        time=_time(said["scanned_at"]),
        passed=summary["passed"],
        coverage=_number(summary["coverage"]),
        applicable=applicable,
    )


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
        raise ValueError
    return float(value)


def _time(text: object) -> datetime:
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError
    return found.astimezone(UTC)


def settled(
    seen: Sequence[Seen], demands: Demands, *, now: datetime, image: str, digest: Digest, via: str, notes: Sequence[str]
) -> Verification:
    """Which of the attestations counts, and what is wrong with it."""
    authentic = [(one, one.claim) for one in seen if one.claim is not None]
    newest = max((claim.time for _, claim in authentic), default=None)
    counted = tuple(one for one, claim in authentic if claim.time == newest)
    older = {id(one): f"{_kind(claim)} of an older scan" for one, claim in authentic if claim.time != newest}
    passed_over = [
        Seen(where=one.where, key=one.key, claim=one.claim, why=older.get(id(one), one.why))
        for one in seen
        if one.claim is None or id(one) in older
    ]
    claims = [one.claim for one in counted if one.claim is not None]
    return Verification(
        image=image,
        digest=digest,
        via=via,
        counted=counted,
        passed_over=tuple(passed_over),
        faults=tuple(_faults(claims, demands, now)) if claims else ("no attestation of it holds",),
        notes=tuple(notes),
    )


def _kind(claim: Claim) -> str:
    return "a summary" if claim.predicate_type == SUMMARY else "a report"


def _faults(claims: Sequence[Claim], demands: Demands, now: datetime) -> list[str]:
    faults: list[str] = []
    if any(not claim.passed for claim in claims):
        faults.append("the policy did not hold (FAILED)")
    least = demands.min_coverage
    reports = [claim for claim in claims if claim.predicate_type == REPORT]
    if least is not None and not any(claim.reaches(least) for claim in reports or claims):
        found = next((claim.coverage for claim in reports), None)
        said = f"the coverage is {found:g} %" if found is not None else "nothing says the coverage"
        faults.append(f"{said}, {least:g} % is asked for")
    age = now - claims[0].time
    if age < -_SKEW:
        faults.append(f"it is of the future: {claims[0].time.isoformat()}")
    if demands.max_age is not None and age > demands.max_age:
        faults.append(f"the scan is {_days(age)} old, more than {_days(demands.max_age)}")
    return faults


def _days(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
