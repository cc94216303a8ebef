"""A report -> what the page shows of it, as values; nothing here is markup."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from scanner.distribution import Finding
from scanner.formats import sentences
from scanner.formats.rules import BY_ID, EXPLAIN, rule_id, rule_of
from scanner.formats.view import View, grouped
from scanner.index import Evidence
from scanner.report import DistributionLine, FileLine, Integrity, Kind, MatchLine, Origin, Report
from scanner.verdict import EVIDENCE_WORDS

Fact: TypeAlias = tuple[str, str]
"""What it is called, and its value."""

_FIRST_AT_MOST: Final = 12
_FILES_AT_MOST: Final = 200
_NOTHING: Final = "Nothing is to be done."
_UNITS: Final = ("bytes", "kB", "MB", "GB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of a bar. ``start`` and ``width`` are percent of it; ``look`` names its colour."""

    look: str
    label: str
    count: int
    start: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer, and how many distributions it brought in."""

    number: int
    instruction: str
    size: str
    digest: str
    count: int
    findings: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that is not as the wheel has it."""

    path: str
    state: str
    layer: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One distribution. ``verified`` counts for coverage, ``look`` is to be looked at; ``more`` is how many files are
    not shown.
    """

    id: str
    name: str
    version: str
    kind: str
    origin: str
    integrity: str
    layer: str
    note: str
    verified: bool
    look: bool
    reason: str
    do: tuple[str, ...]
    command: str
    facts: tuple[Fact, ...]
    files: tuple[File, ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Distributions under one title; without one, all of them."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strange:
    """A finding."""

    kind: str
    title: str
    path: str
    layer: str
    detail: str
    do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """All that the page has of one report. ``choices`` are the values to filter by, for each column that has some."""

    id: str
    name: str
    words: str
    coverage: str
    passed: bool
    violations: tuple[str, ...]
    facts: tuple[Fact, ...]
    shares: tuple[Share, ...]
    applicable: int
    steps: tuple[str, ...]
    left_out: str
    first: tuple[Row, ...]
    looks: int
    layers: tuple[Layer, ...]
    findings: tuple[Strange, ...]
    groups: tuple[Group, ...]
    count: int
    choices: tuple[tuple[str, tuple[str, ...]], ...]


def section(report: Report, view: View, id_: str) -> Section:
    """What is shown of a report; ``id_`` begins every id that the page has of it."""
    minimum = sentences.minimum_of(report)
    lines, findings = view.lines(report.distributions, minimum), view.findings(report)
    groups = _groups(lines, report, view, id_)
    rows = [row for group in groups for row in group.rows]
    looks = [row for row in rows if row.look]
    coverage = report.summary.coverage
    return Section(
        id=id_,
        name=report.target.reference,
        words=sentences.coverage_in_words(report),
        coverage="none" if coverage is None else f"{coverage:g} %",
        passed=report.summary.passed,
        violations=report.summary.violations,
        facts=tuple(_about(report)),
        shares=_shares(_applicable(report, minimum)),
        applicable=report.summary.applicable,
        steps=tuple(_steps(report)),
        left_out=view.left_out(report, minimum) or "",
        first=tuple(sorted(looks, key=lambda row: row.integrity != Integrity.MODIFIED.value)[:_FIRST_AT_MOST]),
        looks=len(looks),
        layers=tuple(_layers(report, lines, findings)),
        findings=tuple(_strange(finding, report) for finding in findings),
        groups=tuple(groups),
        count=len(rows),
        choices=tuple(_choices(rows)),
    )


# -- the whole -------------------------------------------------------------------------------------


def _about(report: Report) -> Iterator[Fact]:
    yield "Target", sentences.target_in_words(report)
    if report.target.digest:
        yield "Digest", report.target.digest
    for index in report.indexes:
        yield "Asked", sentences.index_in_words(index)
    if not report.indexes:
        yield "Asked", "no index"
    yield "Findings", sentences.findings_by_kind(report.findings) or "none"
    yield "Scanned", f"{report.scanned_at} by {report.tool.get('name', '')} {report.tool.get('version', '')}"


def _steps(report: Report) -> Iterator[str]:
    texts = (
        sentences.closing(report, "below"),
        sentences.on_sbom_alone(report),
        sentences.without_sigstore(report),
        sentences.on_contents(report),
        sentences.beside(report),
    )
    yield from filter(None, texts)


def _applicable(report: Report, minimum: Evidence) -> Counter[tuple[str, str]]:
    """How many of those that count for coverage are verified, and how many are what else."""
    sure = {id(line) for line in sentences.verified(report, minimum)}
    lines = [line for line in report.distributions if line.applicable and not line.hidden]
    return Counter(("verified", "verified") if id(line) in sure else _unsure(line) for line in lines)


def _unsure(line: DistributionLine) -> tuple[str, str]:
    if line.origin is not Origin.CHAINGUARD:
        return line.origin.value, line.origin.value
    why = "modified" if line.integrity is Integrity.MODIFIED else "on weak evidence"
    return "chainguard", f"chainguard, {why}"


def _shares(counts: Counter[tuple[str, str]], whole: int | None = None) -> tuple[Share, ...]:
    """Side by side in the order of the origins, verified ones first; ``whole`` is what the bar's length stands for."""
    order = ["verified", *(origin.value for origin in Origin)]
    whole = whole or sum(counts.values())
    shares, start = [], 0.0
    for (look, label), count in sorted(counts.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        width = 100 * count / whole
        shares.append(Share(look=look, label=label, count=count, start=round(start, 3), width=round(width, 3)))
        start += width
    return tuple(shares)


# -- layers ----------------------------------------------------------------------------------------


def _layers(report: Report, lines: Sequence[DistributionLine], findings: Sequence[Finding]) -> Iterator[Layer]:
    brought = [[line for line in lines if line.layer == number] for number in range(len(report.target.layers))]
    most = max(map(len, brought), default=0) or 1
    for number, layer in enumerate(report.target.layers):
        counts = Counter((line.origin.value, line.origin.value) for line in brought[number])
        yield Layer(
            number=number,
            instruction=layer.created_by or "not said",
            size=_size(layer.size),
            digest=layer.digest or layer.diff_id,
            count=len(brought[number]),
            findings=sum(finding.layer == number for finding in findings),
            shares=_shares(counts, most),
        )


def _size(size: int | None) -> str:
    if size is None:
        return ""
    number, unit = float(size), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.{0 if unit == 0 or number >= 100 else 1}f} {_UNITS[unit]}"


def _layer(number: int | None) -> str:
    return "" if number is None else str(number)


def _by(number: int | None, report: Report) -> str:
    """The layer and the instruction that made it."""
    if number is None or number >= len(report.target.layers):
        return ""
    made_by = report.target.layers[number].created_by
    return f"layer {number}: {made_by}" if made_by else f"layer {number}"


# -- distributions ---------------------------------------------------------------------------------


def _groups(lines: Sequence[DistributionLine], report: Report, view: View, id_: str) -> list[Group]:
    minimum = sentences.minimum_of(report)
    looks = {id(line) for line in sentences.to_look_at(report)}
    sure = {id(line) for line in sentences.verified(report, minimum)}
    titled = list(grouped(lines, report, view.group_by)) if view.group_by else [("", list(lines))]
    groups, number = [], 0
    for title, members in titled:
        rows = []
        for line in members:
            rows.append(
                _row(line, report, f"{id_}-d{number}", minimum, verified=id(line) in sure, look=id(line) in looks)
            )
            number += 1
        groups.append(Group(title=title, rows=tuple(rows)))
    return groups


def _row(line: DistributionLine, report: Report, id_: str, minimum: Evidence, *, verified: bool, look: bool) -> Row:
    kind = f"{line.kind.value}, hidden" if line.hidden else line.kind.value
    said = f"cgscan explain {shlex.quote(report.target.reference)} {shlex.quote(line.name)}"
    return Row(
        id=id_,
        name=line.name,
        version=line.version or "",
        kind=kind,
        origin=line.origin.value,
        integrity=line.integrity.value,
        layer=_layer(line.layer),
        note=sentences.note(line, minimum),
        verified=verified,
        look=look,
        reason=line.reason,
        do=tuple(_do(line, look=look)),
        command=said,
        facts=tuple(_facts(line, report)),
        files=tuple(_file(file, report) for file in line.files[:_FILES_AT_MOST]),
        more=max(len(line.files) - _FILES_AT_MOST, 0),
    )


def _do(line: DistributionLine, *, look: bool) -> Iterator[str]:
    if line.hidden:
        yield "It lies in a lower layer only and does not run; an image that is built anew has it no more."
        return
    if look:
        yield rule_of(line).do.removesuffix(EXPLAIN).rstrip()  # the command itself stands below
        if line.available.same_version:
            yield f"Chainguard offers this version: {line.available.same_version}."
    if version := sentences.remediated(line):
        yield f"Chainguard has a remediated build to upgrade to: {line.available.remediated or version}."
    elif not look:
        yield _NOTHING


def _facts(line: DistributionLine, report: Report) -> Iterator[Fact]:
    written = ", ".join(map(str, line.layers))
    told = (
        ("Came with", _by(line.layer, report)),
        ("Written by layers", written if len(line.layers) > 1 else ""),
        ("Lies at", line.location),
        ("Environment", line.environment or ""),
        ("Kind", line.kind.value if line.kind is not Kind.INSTALLED else ""),
        ("Owner", line.owner or ""),
        ("Installer", line.installer or ""),
        *(_of_match(line.match) if line.match else ()),
    )
    yield from ((name, value) for name, value in told if value)


def _of_match(match: MatchLine) -> Iterator[Fact]:
    evidence, files = match.evidence, match.files
    yield "Wheel", match.filename
    yield "On index", match.index
    yield "Its sha256", (match.sha256 or "").removeprefix("sha256:")
    yield "Its URL", match.url or ""
    yield "Evidence", f"{evidence.value}: {EVIDENCE_WORDS[evidence]}" if evidence else ""
    counts = (("as in the wheel", files.matched), ("missing", files.missing), ("changed", files.modified))
    yield "Files", ", ".join(f"{count} {word}" for word, count in counts if count)
    yield "Proved", "the whole wheel was read" if match.proved else ""
    if match.seen is not None and not match.seen.listed:
        yield "Listed", f"from {match.seen.first} to {match.seen.last}, and no more"


def _file(file: FileLine, report: Report) -> File:
    facts = (
        ("by", _by(file.layer, report)),
        ("it is", (file.actual or "").removeprefix("sha256:")),
        ("the wheel has", (file.expected or "").removeprefix("sha256:")),
        ("note", file.note or ""),
    )
    told = tuple((name, value) for name, value in facts if value)
    return File(path=file.path, state=file.state, layer=_layer(file.layer), facts=told)


def _choices(rows: Sequence[Row]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, key in (("origin", str), ("integrity", str), ("kind", str), ("layer", int)):
        values = {getattr(row, name) for row in rows} - {""}
        if len(values) > 1:
            yield name, tuple(sorted(values, key=key))


# -- findings --------------------------------------------------------------------------------------


def _strange(finding: Finding, report: Report) -> Strange:
    rule = BY_ID[rule_id(finding.kind)]
    return Strange(
        kind=finding.kind.value,
        title=rule.title,
        path=finding.path,
        layer=_by(finding.layer, report),
        detail=finding.detail,
        do=rule.do,
    )
