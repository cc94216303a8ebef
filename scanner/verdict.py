"""Explanation -> origin, integrity and one sentence for a person.

The table is the contract's: which explanation becomes which word. What needed an index that could
not be asked is ``unchecked``, unless another index explains every file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from scanner.distribution import Integrity, Origin
from scanner.index import Evidence, in_utc
from scanner.match import Explained, Explanation, Fit, Tied, Unexplained

EVIDENCE_WORDS: Final = {
    Evidence.ATTESTED: "a signature over it was checked",
    Evidence.BUILT_ONLY: "the index serves built wheels only",
    Evidence.NOT_UPSTREAM: "PyPI does not serve these bytes",
    Evidence.PATH: "the index has it in a tier for built wheels",
    Evidence.SBOM: "only the SBOM inside says who built it",
}
"""What each rung of the evidence says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said of one distribution. ``fit`` is the wheel it is compared with, if any."""

    origin: Origin
    integrity: Integrity
    reason: str
    fit: Fit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How the asking went: one line for each question without an answer; whether there was an index to ask."""

    failures: Sequence[str]
    any_index: bool


def judge(explanation: Explanation, asked: Asked, *, local: str | None = None) -> Verdict:
    """The verdict. ``local`` says what a directory, VCS or editable install is."""
    match explanation:
        case Explained(fit=fit):
            return _explained(fit, asked)
        case Tied(fits=fits):
            return _tied(fits, asked)
        case Unexplained():
            return _unexplained(explanation, asked, local)
        case _:
            assert_never(explanation)


def integrity_of(fit: Fit) -> Integrity:
    """How the files stand to the wheel."""
    if fit.modified:
        return Integrity.MODIFIED
    return Integrity.PRUNED if fit.missing else Integrity.INTACT


def unchecked(asked: Asked) -> Verdict:
    """An index that was needed has no answer, or there is no index."""
    why = "; ".join(asked.failures[:2]) if asked.failures else "no index was given to compare with"
    return Verdict(origin=Origin.UNCHECKED, integrity=Integrity.NONE, reason=f"not checked: {why}")


def _explained(fit: Fit, asked: Asked) -> Verdict:
    candidate = fit.candidate
    if asked.failures and (not fit.complete or candidate.origin is Origin.UNKNOWN):
        return unchecked(asked)  # whose wheel it is could depend on the index that did not answer
    match candidate.origin:
        case Origin.CHAINGUARD:
            evidence = EVIDENCE_WORDS[candidate.evidence] if candidate.evidence else ""
            whose = f"Chainguard's {candidate.file.filename} ({evidence})"
        case Origin.UPSTREAM:
            whose = f"PyPI's {candidate.file.filename}"
        case _:
            whose = f"{candidate.file.filename} of {candidate.index}, and nothing says that Chainguard built it"
    reason = f"{_standing(fit)} {whose}{_earlier(fit)}{_sourceless(fit)}"
    return Verdict(origin=candidate.origin, integrity=integrity_of(fit), reason=reason, fit=fit)


def _earlier(fit: Fit) -> str:
    """That the wheel is one of the past."""
    seen = fit.candidate.seen
    if seen is None:
        return ""
    when = f"from {in_utc(seen.first)} to {in_utc(seen.last)}" if seen.first != seen.last else f"at {in_utc(seen.last)}"
    return f"; {fit.candidate.index} does not list it any more, it was seen there {when}"


def _sourceless(fit: Fit) -> str:
    """That modules are byte code alone, which nobody can hold against a wheel."""
    return f"; sourceless: {_number(fit.sourceless, '.pyc file')} cannot be compared" if fit.sourceless else ""


def _standing(fit: Fit) -> str:
    if not fit.rows:  # a source archive, or a wheel that was too large to be opened
        return "its sha256 is that of"
    if fit.modified:
        return f"{_number(fit.modified, 'file')} changed, {fit.matched} as in"
    if fit.missing:
        return f"{_number(fit.missing, 'file')} gone, the {fit.matched} left are those of"
    return f"all {_number(fit.matched, 'file')} of"


def _tied(fits: Sequence[Fit], asked: Asked) -> Verdict:
    if asked.failures:
        return unchecked(asked)
    shown = fits[0]
    names = " and ".join(f"{_whose(fit)} {fit.candidate.file.filename}" for fit in fits[:2])
    reason = f"what is left ({_number(shown.matched, 'file')}) fits {names} equally well"
    reason += _sourceless(shown)
    return Verdict(origin=Origin.AMBIGUOUS, integrity=integrity_of(shown), reason=reason, fit=shown)


def _whose(fit: Fit) -> str:
    words = {Origin.CHAINGUARD: "Chainguard's", Origin.UPSTREAM: "PyPI's"}
    return words.get(fit.candidate.origin, f"{fit.candidate.index}'s")


def _unexplained(explanation: Unexplained, asked: Asked, local: str | None) -> Verdict:
    if local is not None:
        return Verdict(origin=Origin.LOCAL, integrity=Integrity.NONE, reason=f"{local}; no index explains its files")
    if asked.failures or not asked.any_index:
        return unchecked(asked)
    origin = Origin.SOURCE if explanation.from_source else Origin.UNKNOWN
    return Verdict(origin=origin, integrity=Integrity.NONE, reason=explanation.why)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
