"""``table``: a report for a person in a terminal, the most important last, where the eye is.

The installed distributions by environment, then what else lies there, then what is to be looked at
with its reason, findings, the policy, and one sentence with the coverage and what to do next.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from tabulate import tabulate

from scanner.distribution import Finding
from scanner.formats import sentences
from scanner.formats.text import ORIGIN_COLORS, Look, shorten, shown, wrapped
from scanner.formats.view import View, grouped
from scanner.index import Evidence
from scanner.report import DistributionLine, FileLine, Integrity, Kind, Report, is_verified

_Row: TypeAlias = tuple[str, str, str, str, str, str, str]

_HEADERS: Final[_Row] = ("", "name", "version", "origin", "integrity", "layer", "note")
_OTHER_COLUMNS: Final = 38
"""The mark, origin, integrity and layer at their widest, and two spaces between each two."""
_FILES_AT_MOST: Final = 5
_FINDINGS_AT_MOST: Final = 20
_OWNED_AT_MOST: Final = 12
"""Distributions of the operating system, of conda and local ones that have rows; of more there is only a count."""
_TITLES: Final[Mapping[Kind, str]] = {Kind.WHEEL: "wheel files", Kind.CACHED: "caches", Kind.BUNDLED: "bundles"}


def render(reports: Sequence[Report], look: Look) -> str:
    """One report after the other, with a rule between them."""
    rule = f"\n{'=' * look.columns}\n\n"
    return rule.join("\n".join(_lines(report, look)) + "\n" for report in reports)


def _lines(report: Report, look: Look) -> Iterator[str]:
    yield from _head(report, look)
    yield from _left_out(report, look)
    yield from _distributions(report, look)
    yield from _to_look_at(report, look)
    yield from _findings(report, look)
    yield from _violations(report, look)
    yield from _end(report, look)


def _head(report: Report, look: Look) -> Iterator[str]:
    yield look.paint(shown(report.target.reference), "bold")
    yield f"  {shown(sentences.target_in_words(report))}"
    if report.target.digest:
        yield f"  {shown(report.target.digest)}"
    if not report.indexes:
        yield "  no index was asked"
    for index in report.indexes:
        yield from wrapped(shown(sentences.index_in_words(index)), look.columns, first="  asked ", rest=" " * 8)


def _left_out(report: Report, look: Look) -> Iterator[str]:
    if said := look.view.left_out(report, sentences.minimum_of(report)):
        yield ""
        yield from wrapped(said, look.columns)


# -- distributions ---------------------------------------------------------------------------------


def _distributions(report: Report, look: Look) -> Iterator[str]:
    minimum = sentences.minimum_of(report)
    for title, lines in _groups(report, look.view.lines(report.distributions, minimum), look.view):
        yield ""
        yield look.paint(shorten(shown(title), look.columns), "bold")
        yield from _aligned([_row(line, minimum, look) for line in lines], look)


def _aligned(rows: Sequence[_Row], look: Look) -> Iterator[str]:
    """The rows in columns; name, version and note share what the other columns leave."""
    name, version, note = _shares(rows, look.columns - _OTHER_COLUMNS)
    cells = [
        (row[0], shorten(row[1], name), shorten(row[2], version), *row[3:6], shorten(row[6], note)) for row in rows
    ]
    aligned = ("left",) * 5 + ("right", "left")
    table = tabulate([_HEADERS, *cells], tablefmt="plain", disable_numparse=True, colalign=aligned)
    yield from (line.rstrip() for line in table.splitlines())


def _shares(rows: Sequence[_Row], room: int) -> tuple[int, int, int]:
    """The widths of name, version and note: in a wide terminal none is shortened, in a narrow one the note is first."""
    wanted = [max(len(row[column]) for row in (_HEADERS, *rows)) for column in (1, 2, 6)]
    version, note = min(wanted[1], 12), min(wanted[2], 18)
    spare = room - wanted[0] - version - note
    if spare > 0:
        note += min(spare, wanted[2] - note)
        version += min(room - wanted[0] - version - note, wanted[1] - version)
    else:
        note = max(min(note, room - version - min(wanted[0], 12)), len(_HEADERS[6]))
    return room - version - note, version, note


def _groups(
    report: Report, lines: Sequence[DistributionLine], view: View
) -> Iterator[tuple[str, list[DistributionLine]]]:
    """Tables with their titles. Unless asked for, vendored ones are only counted; so are many that others own."""
    asked = bool(view.only.wanted)
    installed = [line for line in lines if line.kind is Kind.INSTALLED and not line.hidden]
    owned = [line for line in installed if not _needs_row(line)]
    if len(owned) > _OWNED_AT_MOST and not asked:
        installed = [line for line in installed if _needs_row(line)]
    yield from grouped(installed, report, view.group_by or "environment")
    for kind, title in ({**_TITLES, Kind.VENDORED: "vendored"} if asked else _TITLES).items():
        of_kind = [line for line in lines if line.kind is kind and not line.hidden]
        if of_kind:
            yield title, of_kind
    yield from _hidden(lines)


def _hidden(lines: Sequence[DistributionLine]) -> Iterator[tuple[str, list[DistributionLine]]]:
    hidden = [line for line in lines if line.hidden and line.kind is not Kind.VENDORED]
    for place, members in groupby(sorted(hidden, key=_place), key=_place):
        yield f"only in lower layers: {place}", list(members)


def _place(line: DistributionLine) -> str:
    return line.environment or _TITLES.get(line.kind, "no environment")


def _needs_row(line: DistributionLine) -> bool:
    return line.applicable or line.integrity is Integrity.MODIFIED


def _row(line: DistributionLine, minimum: Evidence, look: Look) -> _Row:
    return (
        _mark(line, minimum, look),
        shown(line.name),
        shown(line.version or "-"),
        look.paint(line.origin.value, ORIGIN_COLORS[line.origin]),
        _integrity(line, look),
        "-" if line.layer is None else str(line.layer),
        shown(sentences.note(line, minimum)),
    )


def _mark(line: DistributionLine, minimum: Evidence, look: Look) -> str:
    if is_verified(line, minimum) and not line.hidden:
        return look.paint("ok", "green")
    return "!" if line.applicable and not line.hidden else ""


def _integrity(line: DistributionLine, look: Look) -> str:
    if line.integrity is Integrity.NONE:
        return "-"
    return look.paint(line.integrity.value, *(["red"] if line.integrity is Integrity.MODIFIED else []))


# -- to look at ------------------------------------------------------------------------------------


def _to_look_at(report: Report, look: Look) -> Iterator[str]:
    repeated, minimum = sentences.repeated_labels(report), sentences.minimum_of(report)
    lines = look.view.lines(sentences.to_look_at(report), minimum)
    if not lines:
        return
    yield ""
    yield look.paint(f"To look at ({len(lines)})", "bold")
    for verdict, group in groupby(lines, key=lambda line: sentences.verdict(line, minimum)):
        members = list(group)
        yield f"  {look.paint(verdict, _color(members[0]))}"
        for same in _with_one_reason(members):
            yield from _reason(same, repeated, look)
    if hint := sentences.how_to_see_why(report):
        yield from wrapped(hint, look.columns, first="  ", rest="  ")


def _color(line: DistributionLine) -> str:
    return "red" if line.integrity is Integrity.MODIFIED else ORIGIN_COLORS[line.origin]


def _with_one_reason(lines: Sequence[DistributionLine]) -> list[list[DistributionLine]]:
    """Those that share a reason together; those with files to show each alone."""
    shared: dict[str, list[DistributionLine]] = {}
    for place, line in enumerate(lines):
        shared.setdefault(f"{line.reason}\0{place if _changed(line) else ''}", []).append(line)
    return list(shared.values())


def _reason(lines: Sequence[DistributionLine], repeated: Container[str], look: Look) -> Iterator[str]:
    names = ", ".join(shown(sentences.place(line, repeated)) for line in lines)
    yield from wrapped(f"{names}: {shown(lines[0].reason)}", look.columns, first="    ", rest="      ")
    yield from _changed_files(lines[0], look)


def _changed(line: DistributionLine) -> list[FileLine]:
    return [file for file in line.files if file.state == "modified"]


def _changed_files(line: DistributionLine, look: Look) -> Iterator[str]:
    files = _changed(line)
    for file in files[:_FILES_AT_MOST]:
        layer = "" if file.layer is None else f"  layer {file.layer}"
        note = f"  {shorten(shown(file.note), 30)}" if file.note else ""
        room = max(look.columns - 8 - len(layer) - len(note), 20)
        path = file.path.removeprefix(f"{line.environment}/")
        yield f"      ~ {shorten(shown(path), room)}{layer}{note}"
    if len(files) > _FILES_AT_MOST:
        yield f"      and {len(files) - _FILES_AT_MOST} more; see --output json"


# -- the rest --------------------------------------------------------------------------------------


def _findings(report: Report, look: Look) -> Iterator[str]:
    findings = look.view.findings(report)
    if not findings:
        return
    yield ""
    yield look.paint(f"Findings ({len(findings)})", "bold")
    for finding in findings[:_FINDINGS_AT_MOST]:
        yield from _finding(finding, look)
    more = len(findings) - _FINDINGS_AT_MOST
    if more > 0:
        text = f"and {more} more; in all {sentences.findings_by_kind(findings)}"
        yield from wrapped(text, look.columns, first="  ", rest="  ")


def _finding(finding: Finding, look: Look) -> Iterator[str]:
    layer = "" if finding.layer is None else f"  layer {finding.layer}"
    kind = finding.kind.value
    path = shorten(shown(finding.path), max(look.columns - len(kind) - len(layer) - 4, 20))
    yield f"  {look.paint(kind, 'yellow')}  {path}{layer}"
    yield from wrapped(shown(finding.detail), look.columns, first="    ", rest="    ")


def _violations(report: Report, look: Look) -> Iterator[str]:
    if not report.summary.violations:
        return
    yield ""
    yield look.paint("The policy does not hold", "bold", "red")
    for violation in report.summary.violations:
        yield from wrapped(shown(violation), look.columns, first="  - ", rest="    ")


def _end(report: Report, look: Look) -> Iterator[str]:
    yield ""
    settled = (sentences.on_sbom_alone(report), sentences.without_sigstore(report))
    for sentence in (sentences.beside(report), *settled, sentences.on_contents(report)):
        if sentence:
            yield from wrapped(sentence, look.columns)
    for line in wrapped(shown(sentences.closing(report)), look.columns):
        yield look.paint(line, "bold")
