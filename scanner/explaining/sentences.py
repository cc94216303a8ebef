"""Why a verdict is what it is, in whole sentences: what was asked, what tells the builds apart, what decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scanner.assessed import Assessed
from scanner.attestation import NOT_INSTALLED, NOT_OFFERED, NotAttested
from scanner.comparison import Compared
from scanner.distribution import Installed, Integrity, Origin, WheelFile
from scanner.explaining.sides import Column, Sides
from scanner.explanation import ExplainedFile, Listed, Stand
from scanner.index import Evidence, Role, in_utc
from scanner.report import DistributionLine

_EVIDENCE: Final = {
    Evidence.ATTESTED: "a signature over its sha256 was checked",
    Evidence.BUILT_ONLY: "its index is configured as serving built wheels only",
    Evidence.NOT_UPSTREAM: "an upstream index was asked and does not serve these bytes under this name, and the wheel "
    "carries Chainguard's SBOM, a +cgr.N version or a path of a built tier",
    Evidence.PATH: "its address on the index is in a tier for built wheels",
    Evidence.SBOM: "the SBOM inside says so, and nothing else does; an upstream index would settle it",
}
_MEANING: Final = {
    Origin.CHAINGUARD: "The files are those of a wheel that Chainguard built",
    Origin.UPSTREAM: "The files are those of a wheel that PyPI serves",
    Origin.AMBIGUOUS: "What is there fits wheels of both sides equally well",
    Origin.SOURCE: "It was built on the spot from source: its code is a listed wheel's, its metadata are nobody's",
    Origin.OS: "A package of the operating system owns its files",
    Origin.CONDA: "A package of conda owns its files",
    Origin.LOCAL: "It was installed from a directory or from version control, and no index explains its files",
    Origin.UNKNOWN: "Every index was asked, and none explains its files",
    Origin.UNCHECKED: "An index that was needed could not be asked",
}
_INTEGRITY: Final = {
    Integrity.INTACT: "every file of the wheel is there with its bytes",
    Integrity.PRUNED: "some files of the wheel are gone, and every one that is left has its bytes",
    Integrity.MODIFIED: "at least one file that is there has other bytes than the wheel's",
}
_NAMES: Final = {"chainguard": "Chainguard's wheel", "upstream": "PyPI's wheel"}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the sentences are made of. ``compared`` is None where no index was asked."""

    one: Assessed
    line: DistributionLine
    compared: Compared | None
    sides: Sides
    files: Sequence[ExplainedFile]


def sentences(facts: Facts) -> tuple[str, ...]:
    """The verdict and its reason; the wheels; what decided; RECORD; what is there besides."""
    return (
        *_verdict(facts),
        *_not_compared(facts),
        *_wheels(facts),
        *_deciding(facts),
        *_record(facts),
        *_besides(facts),
    )


def _verdict(facts: Facts) -> Iterator[str]:
    line = facts.line
    meaning = _INTEGRITY.get(line.integrity)
    yield f"{_MEANING[line.origin]}{f'; {meaning}' if meaning else ''}."
    yield _sentence(line.reason)


def _not_compared(facts: Facts) -> Iterator[str]:
    line = facts.line
    if line.origin in (Origin.OS, Origin.CONDA):
        owner = line.owner or "its owner"
        yield f"The list of {owner} decides, so no index was asked for it and no wheel stands beside it."
    elif facts.one.vendor is not None and facts.one.verdict.fit is None:
        yield f"It is part of {facts.one.vendor}, so the wheels below are those of {facts.one.vendor}."
    if isinstance(facts.one.found, Installed) and facts.one.found.local is not None:
        yield f"Its installer noted that it is {facts.one.found.local}, which is a claim."


# --- the wheels ---


def _wheels(facts: Facts) -> Iterator[str]:
    compared = facts.compared
    if compared is None:
        return
    for role, name in ((Role.CHAINGUARD, "chainguard"), (Role.UPSTREAM, "upstream")):
        column = facts.sides.named(name)
        yield _of_column(name, column) if column is not None else _without(role, compared)
        if column is not None:
            yield from _not_attested(column, compared)
    if isinstance(facts.one.found, WheelFile):
        yield _of_archive(facts.one.found, compared)
    yield from (f"There was no answer from {failure}." for failure in compared.failures)


def _of_archive(found: WheelFile, compared: Compared) -> str:
    """Who lists the file itself."""
    listed = [(index.name, file) for index, files in compared.gathering.listing.files for file in files]
    names = [f"{file.filename} of {index}" for index, file in listed if file.sha256 == found.sha256]
    if names:
        return f"The sha256 of the file itself is that of {' and '.join(names[:3])}."
    return f"No index lists a file with its sha256 ({found.sha256.hex[:12]}…), so its members are compared."


def _of_column(name: str, column: Column) -> str:
    fit, candidate = column.fit, column.fit.candidate
    parts = [f"{fit.matched} of its {len(fit.rows)} files are there with their bytes"]
    if fit.matched == len(fit.rows):
        parts = [f"all its {len(fit.rows)} files are there with their bytes"]
    parts += [f"{fit.modified} with others"] if fit.modified else []
    parts += [f"{fit.missing} not at all"] if fit.missing else []
    listed = "" if candidate.seen is None else f", as it was listed until {in_utc(candidate.seen.last)}"
    text = f"{_NAMES[name]} is {candidate.file.filename} of {candidate.index}{listed}: {', '.join(parts)}."
    if candidate.origin is Origin.UNKNOWN:
        return f"{text} It lies on an index of that role, but nothing says that Chainguard built it."
    if candidate.evidence is not None:
        return f"{text} It counts as Chainguard's ({candidate.evidence.value}) because {_EVIDENCE[candidate.evidence]}."
    return text


def _not_attested(column: Column, compared: Compared) -> Iterator[str]:
    """Why what is signed about a wheel does not count, where there is something."""
    candidate = column.fit.candidate
    said = compared.gathering.attestations.said_of(candidate.index, candidate.file)
    if isinstance(said, NotAttested) and said not in (NOT_OFFERED, NOT_INSTALLED):
        yield f"What is signed about it is no evidence: {said.why}."


def _without(role: Role, compared: Compared) -> str:
    """Why a side has no wheel."""
    listing = compared.gathering.listing
    whose = "Chainguard's" if role is Role.CHAINGUARD else "PyPI's"
    names = [index.name for index, _ in listing.files if index.role is role]
    if role in listing.failed_roles:
        return f"There is no wheel of {whose} to show, because an index of that role could not be asked."
    if not names:
        return f"There is no wheel of {whose} to show, because no index of that role was given."
    question = compared.gathering.question
    versions = {
        file.wheel.version for index, files in listing.files if index.role is role for file in files if file.wheel
    }
    listed = f"it lists {_number(len(versions), 'other version')}" if versions else "it lists no wheel of that project"
    if question.parsed in versions:
        listed = "its wheels of this version are PyPI's bytes, unreadable, or for another interpreter or platform"
    return f"There is no wheel of {whose} to show: {' and '.join(names)} was asked, and {listed}."


# --- what decided ---


def _deciding(facts: Facts) -> Iterator[str]:
    sides, origin = facts.sides, facts.line.origin
    if sides.chainguard is not None and sides.upstream is not None:
        yield _apart(sides.chainguard, sides.upstream)
        yield from _between(facts)
    elif origin in (Origin.CHAINGUARD, Origin.UPSTREAM) and (column := sides.named(sides.subject)) is not None:
        yield (
            f"With no other build to compare it with, the files that belong to one build alone decide: "
            f"{len(column.telling.speak)} of {len(column.telling.apart)} of them speak for it."
        )


def _apart(ours: Column, theirs: Column) -> str:
    return (
        f"{_number(len(ours.telling.apart), 'file')} of Chainguard's wheel and "
        f"{_number(len(theirs.telling.apart), 'file')} of PyPI's set the builds apart; there with their bytes, and "
        f"believed, are {len(ours.telling.speak)} of Chainguard's and {len(theirs.telling.speak)} of PyPI's."
    )


def _between(facts: Facts) -> Iterator[str]:
    """The rule by which one of two sides won, or none did."""
    sides, origin = facts.sides, facts.line.origin
    subject, other = sides.named(sides.subject), sides.other()
    assert subject is not None
    assert other is not None
    if origin is Origin.AMBIGUOUS:
        yield "So nothing that is left says whose build it was."
    elif origin in (Origin.CHAINGUARD, Origin.UPSTREAM) and not subject.telling.speak:
        yield "None of them is needed: all bytes of PyPI's wheel are there, and that is enough for PyPI's."
    elif origin in (Origin.CHAINGUARD, Origin.UPSTREAM) and other.telling.speak:
        yield (
            "Files speak for both sides, so the wheel with fewer changed files won, then the one with fewer missing, "
            "then the one with more matching files."
        )
    elif origin in (Origin.CHAINGUARD, Origin.UPSTREAM):
        yield "Files speak for one side alone, so it is that one."
    elif origin in (Origin.SOURCE, Origin.UNKNOWN, Origin.LOCAL) and not (subject.telling.speak or other.telling.speak):
        yield "No file speaks for either side, so neither wheel explains it, however many files agree."


# --- RECORD, and what is there besides ---


def _record(facts: Facts) -> Iterator[str]:
    found = facts.one.found
    if not isinstance(found, Installed):
        return
    if found.record is None:
        yield "There is no RECORD."
        return
    said = Counter(file.record for file in facts.files if file.installed is not None)
    if said[Listed.EDITED]:
        yield (
            f"RECORD lists the changed bytes of {_number(said[Listed.EDITED], 'file')}: it was edited as well, or they "
            "were changed before they were installed. RECORD is never believed."
        )
    if said[Listed.OTHER_BYTES]:
        yield f"RECORD lists other bytes than those that are there for {_number(said[Listed.OTHER_BYTES], 'file')}."
    if found.record.faults:
        yield f"{_number(len(found.record.faults), 'row')} of RECORD could not be read."


def _besides(facts: Facts) -> Iterator[str]:
    beside = [file for file in facts.files if file.state is Stand.NOT_IN_WHEEL and file.member is None]
    if beside and (facts.sides.chainguard or facts.sides.upstream):
        number = "1 file lies" if len(beside) == 1 else f"{len(beside)} files lie"
        yield f"{number} among its own and belong{'s' if len(beside) == 1 else ''} to neither wheel."


def _sentence(reason: str) -> str:
    """A reason with a capital and a full stop; names keep their spelling."""
    first, space, rest = reason.rstrip(".").partition(" ")
    return f"{first.capitalize() if first.isalpha() and first.islower() else first}{space}{rest}."


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
