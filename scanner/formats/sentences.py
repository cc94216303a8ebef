"""What a report says in words, for the formats that people read. Nothing here is escaped yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import Final

from scanner.attestation import NOT_ATTESTED, NOT_INSTALLED
from scanner.distribution import Finding
from scanner.formats.text import many
from scanner.index import Evidence, Role
from scanner.report import DistributionLine, IndexLine, Integrity, Kind, Origin, Report, is_verified

_WORST_FIRST: Final = (
    Origin.UNKNOWN,
    Origin.UNCHECKED,
    Origin.AMBIGUOUS,
    Origin.SOURCE,
    Origin.UPSTREAM,
    Origin.CHAINGUARD,
    Origin.LOCAL,
    Origin.CONDA,
    Origin.OS,
)
_NOT_APPLICABLE: Final = (Origin.OS, Origin.CONDA, Origin.LOCAL)
_UNSETTLED: Final = (Origin.UNKNOWN, Origin.UNCHECKED, Origin.AMBIGUOUS)


def minimum_of(report: Report) -> Evidence:
    """The weakest evidence that the summary's count of verified distributions allows.

    The report does not say under which ``--min-evidence`` it was counted. A stricter rung takes
    distributions away and never adds one, so that equal counts are equal sets.
    """
    for rung in reversed(Evidence):
        if len(verified(report, rung)) == report.summary.verified:
            return rung
    return Evidence.SBOM


def verified(report: Report, minimum: Evidence) -> list[DistributionLine]:
    """The distributions that coverage counts as verified."""
    return [line for line in report.distributions if is_verified(line, minimum) and not line.hidden]


def label(line: DistributionLine) -> str:
    """``requests 2.31.0``."""
    return f"{line.name} {line.version}" if line.version else line.name


def repeated_labels(report: Report) -> frozenset[str]:
    """Labels that more than one distribution has, so that they do not tell which one is meant."""
    counts = Counter(label(line) for line in report.distributions if not line.hidden)
    return frozenset(text for text, count in counts.items() if count > 1)


def place(line: DistributionLine, repeated: Container[str]) -> str:
    """The label, and where it lies if that is not among installed ones or the label is not enough."""
    text = label(line)
    if line.kind is not Kind.INSTALLED:
        return f"{text} ({line.kind.value} {line.location})"
    return f"{text} ({line.location})" if text in repeated else text


def verdict(line: DistributionLine, minimum: Evidence) -> str:
    """``chainguard, modified``; no word for an integrity of none."""
    words = line.origin.value if line.integrity is Integrity.NONE else f"{line.origin.value}, {line.integrity.value}"
    weak = _weak(line, minimum)
    return f"{words}, on weak evidence ({weak.value})" if weak else words


def _weak(line: DistributionLine, minimum: Evidence) -> Evidence | None:
    """The evidence, where it is below what the policy asks for."""
    evidence = line.match.evidence if line.match is not None and line.origin is Origin.CHAINGUARD else None
    return evidence if evidence is not None and evidence.rung > minimum.rung else None


def remediated(line: DistributionLine) -> str | None:
    """``+cgr.2`` where Chainguard has a remediated build that is not the one found."""
    version = line.available.remediated
    return f"+{version.rpartition('+')[2]}" if version and version != line.version else None


def to_look_at(report: Report) -> list[DistributionLine]:
    """What is not verified and counts, the worst first; then as in the report."""
    minimum = minimum_of(report)
    lines = [line for line in report.distributions if _needs_look(line, minimum)]
    return sorted(lines, key=lambda line: (line.integrity is not Integrity.MODIFIED, _WORST_FIRST.index(line.origin)))


def _needs_look(line: DistributionLine, minimum: Evidence) -> bool:
    if line.hidden:
        return False
    if line.integrity is Integrity.MODIFIED or line.origin in _UNSETTLED:
        return True
    if line.kind is Kind.INSTALLED:
        return line.applicable and not is_verified(line, minimum)
    return line.kind is not Kind.VENDORED and line.origin in (Origin.UPSTREAM, Origin.SOURCE)


def how_to_see_why(report: Report) -> str | None:
    """Where to look when a verdict that accuses or settles nothing is not believed."""
    doubtful = (Origin.UNKNOWN, Origin.AMBIGUOUS)
    lines = [line for line in report.distributions if not line.hidden]
    if any(line.integrity is Integrity.MODIFIED or line.origin in doubtful for line in lines):
        return "'cgscan explain TARGET NAME' shows one of them file by file."
    return None


def note(line: DistributionLine, minimum: Evidence) -> str:
    """The owner, the evidence for what is Chainguard's, ``available`` for what could be; ``+cgr.2`` if remediated."""
    words = []
    sound = line.origin is Origin.CHAINGUARD and line.integrity in (Integrity.INTACT, Integrity.PRUNED)
    if line.origin in _NOT_APPLICABLE:
        words += [line.owner] if line.owner else []
    elif line.available.same_version and not sound:
        words.append("available")
    elif weak := _weak(line, minimum):
        words.append(f"weak: {weak.value}")
    elif line.origin is Origin.CHAINGUARD and line.match is not None and line.match.evidence is not None:
        words.append(line.match.evidence.value)
    return ", ".join([*words, *filter(None, [remediated(line)])])


def index_in_words(index: IndexLine) -> str:
    """``libraries (chainguard, built wheels only) https://…``; of a snapshot, since when."""
    built = ", built wheels only" if index.built_only else ""
    since = f", snapshot as of {index.as_of}" if index.as_of else ""
    return f"{index.name} ({index.role.value}{built}{since}) {index.url}"


def beside(report: Report) -> str | None:
    """What is there and is not counted for coverage, in numbers."""
    lines = [line for line in report.distributions if not line.hidden]
    parts = [*_kinds_beside(lines), *_origins_beside(lines)]
    hidden = len(report.distributions) - len(lines)
    if hidden:
        parts.append(f"{hidden} in lower layers only")
    return f"Not counted: {', '.join(parts)}." if parts else None


def _kinds_beside(lines: Sequence[DistributionLine]) -> Iterator[str]:
    for kind in Kind:
        origins = Counter(line.origin for line in lines if line.kind is kind)
        if kind is not Kind.INSTALLED and origins:
            inner = ", ".join(f"{count} {origin.value}" for origin, count in origins.most_common())
            yield f"{origins.total()} {kind.value} ({next(iter(origins)).value if len(origins) == 1 else inner})"


def _origins_beside(lines: Sequence[DistributionLine]) -> Iterator[str]:
    for origin in _NOT_APPLICABLE:
        count = sum(line.kind is Kind.INSTALLED and line.origin is origin for line in lines)
        if count:
            yield f"{count} installed {origin.value}"


def on_sbom_alone(report: Report) -> str | None:
    """How many verdicts rest on the SBOM alone, and what would settle them."""
    lines = [line for line in report.distributions if line.origin is Origin.CHAINGUARD and not line.hidden]
    weak = [line for line in lines if line.match is not None and line.match.evidence is Evidence.SBOM]
    if not weak:
        return None
    asked = any(index.role is Role.UPSTREAM for index in report.indexes)
    how = "an upstream index that answers" if asked else "an upstream index (--upstream https://pypi.org/simple)"
    rest = "verdict rests" if len(weak) == 1 else "verdicts rest"
    return f"{len(weak)} {rest} on the SBOM alone; {how} would settle {'it' if len(weak) == 1 else 'them'}."


def without_sigstore(report: Report) -> str | None:
    """How many verdicts want an attestation that nobody could check, and what it takes."""
    why = f"{NOT_ATTESTED}{NOT_INSTALLED.why}"
    count = sum(line.reason.endswith(why) and not line.hidden for line in report.distributions)
    if not count:
        return None
    wants, them = ("verdict wants", "it") if count == 1 else ("verdicts want", "them")
    return f"{count} {wants} an attestation to be checked; pip install 'cgscan[attested]' would settle {them}."


def on_contents(report: Report) -> str | None:
    """Which layers were read by their tables of contents, and what was not checked for that."""
    numbers = [str(number) for number, layer in enumerate(report.target.layers) if layer.checked == "contents"]
    if not numbers:
        return None
    if len(numbers) == 1:
        return f"Layer {numbers[0]} was read by its table of contents (--lazy): its digest was not checked in full."
    listed = f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    return f"Layers {listed} were read by their tables of contents (--lazy): their digests were not checked in full."


def coverage_in_words(report: Report) -> str:
    """``Coverage 62.5 % (5 of 8 applicable)``."""
    summary = report.summary
    if summary.coverage is None:
        return "Nothing applicable"
    return f"Coverage {summary.coverage:g} % ({summary.verified} of {summary.applicable} applicable)"


def closing(report: Report, reasons: str = "above") -> str:
    """One sentence: the coverage and what to do next; ``reasons`` is where they stand."""
    steps = list(_next_steps(report, reasons))
    if report.summary.coverage is None:
        steps = ["no installed distribution that an index could explain", *steps]
    return "; ".join([coverage_in_words(report), *steps]) + "."


def _next_steps(report: Report, reasons: str) -> Iterator[str]:
    summary = report.summary
    counted = [line for line in report.distributions if not line.hidden]
    unchecked = [line for line in counted if line.origin is Origin.UNCHECKED]
    fixed = sum(line.applicable and remediated(line) is not None for line in counted)
    if summary.upgradable:
        yield f"{summary.upgradable} more can come from Chainguard: rebuild with its index first and without caches"
    if fixed:
        yield f"{fixed} with a remediated build (+cgr.N) to upgrade to"
    if unchecked:
        yield f"{len(unchecked)} unchecked: scan again when {_silent(report, unchecked)} answers"
    if summary.applicable and not (summary.upgradable or fixed or unchecked):
        yield _what_is_left(report, reasons)


def _what_is_left(report: Report, reasons: str) -> str:
    summary = report.summary
    if summary.verified < summary.applicable:
        return f"{summary.applicable - summary.verified} to look at, with reasons {reasons}"
    return "nothing to do" if summary.passed else f"the policy does not hold, as said {reasons}"


def _silent(report: Report, unchecked: Sequence[DistributionLine]) -> str:
    """The indexes that the reasons of unchecked distributions name; the report has no field for them."""
    words = {word.strip("'\"`,.:;()") for line in unchecked for word in line.reason.split()}
    names = [index.name for index in report.indexes if index.name in words]
    return " and ".join(names) or "the index"


def findings_by_kind(findings: Sequence[Finding]) -> str:
    """``12 unowned-file, 3 unreadable``, in the report's order."""
    return ", ".join(f"{count} {kind}" for kind, count in Counter(each.kind.value for each in findings).items())


def target_in_words(report: Report) -> str:
    """``image for linux/amd64, 4 layers``."""
    target = report.target
    platform = f" for {target.platform}" if target.platform else ""
    layers = f", {many(len(target.layers), 'layer')}" if target.layers else ""
    return f"{target.kind}{platform}{layers}"
