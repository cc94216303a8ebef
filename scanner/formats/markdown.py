"""``markdown``: a report as a comment on a pull request.

What comes out of the target is set as code, and what could end the code, start HTML, split a table
cell or call somebody (``@name``) is written as a character reference inside ``<code>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from scanner.formats import sentences
from scanner.formats.text import Look, many, shorten, shown
from scanner.formats.view import View, grouped
from scanner.index import Evidence
from scanner.report import DistributionLine, FileLine, Report, is_verified

_LONGEST: Final = 60_000
"""Characters. GitHub refuses a comment of more than 65 536 as a whole."""

_CELL: Final = 300
_FILES_AT_MOST: Final = 5
_FINDINGS_AT_MOST: Final = 20
_PLAIN_CODE: Final = re.compile(r"[\w .,:;/+=()\[\]{}'!?%…\\-]+")
_PLAIN_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|\d+(?:\.\d+)*|%|")
_SPECIAL: Final = re.compile(r"[^\w /-]|_")


def render(reports: Sequence[Report], look: Look) -> str:
    """One heading for each report; together short enough for one comment."""
    room = _LONGEST // max(len(reports), 1)
    return "\n".join(_comment(report, room, look.view) for report in reports)


def _comment(report: Report, room: int, view: View) -> str:
    blocks = [
        f"## {_verdict(report)}: {code(report.target.reference)}\n",
        _summary(report),
        _bullets("The policy does not hold", report.summary.violations),
        _left_out(report, view),
        _attention(report, room * 2 // 5, view),
        _findings(report, view),
        _end(report),
    ]
    text = "\n".join(block for block in blocks if block)
    return f"{text}\n{_details(report, room - len(text), view)}"


def _verdict(report: Report) -> str:
    words = sentences.coverage_in_words(report)
    return f"{'Passed' if report.summary.passed else 'Failed'}, {words[0].lower()}{words[1:]}"


def _summary(report: Report) -> str:
    summary, target = report.summary, report.target
    rows = (
        ("Target", prose(sentences.target_in_words(report))),
        ("Digest", code(target.digest) if target.digest else ""),
        ("Asked", "<br>".join(prose(sentences.index_in_words(index)) for index in report.indexes) or "no index"),
        ("Applicable", str(summary.applicable)),
        ("Verified", str(summary.verified)),
        ("Can come from Chainguard", str(summary.upgradable)),
        ("Findings", sentences.findings_by_kind(report.findings) or "none"),
    )
    return table(("", ""), [f"| {name} | {value} |" for name, value in rows if value])


def _bullets(title: str, items: Sequence[str]) -> str:
    return f"### {title}\n\n" + "".join(f"* {prose(item)}\n" for item in items) if items else ""


def _left_out(report: Report, view: View) -> str:
    said = view.left_out(report, sentences.minimum_of(report))
    return f"{prose(said)}\n" if said else ""


def _attention(report: Report, room: int, view: View) -> str:
    repeated, minimum = sentences.repeated_labels(report), sentences.minimum_of(report)
    lines = view.lines(sentences.to_look_at(report), minimum)
    if not lines:
        return ""
    rows = [
        as_row(code(sentences.place(line, repeated)), sentences.verdict(line, minimum), _why(line)) for line in lines
    ]
    return (
        f"### To look at ({len(lines)})\n\n{table(('distribution', 'verdict', 'why'), within(rows, room, columns=3))}"
    )


def _why(line: DistributionLine) -> str:
    changed = [file for file in line.files if file.state == "modified"]
    parts = [prose(line.reason), *(_changed(file) for file in changed[:_FILES_AT_MOST])]
    if len(changed) > _FILES_AT_MOST:
        parts.append(f"and {len(changed) - _FILES_AT_MOST} more")
    return "<br>".join(parts)


def _changed(file: FileLine) -> str:
    return f"changed: {code(file.path)}" + ("" if file.layer is None else f", layer {file.layer}")


def _findings(report: Report, view: View) -> str:
    findings = view.findings(report)
    if not findings:
        return ""
    shown_ones = findings[:_FINDINGS_AT_MOST]
    rows = [f"* {each.kind.value} {code(each.path)}: {prose(each.detail)}\n" for each in shown_ones]
    more = len(findings) - len(shown_ones)
    rest = f"* and {more} more\n" if more else ""
    return f"### Findings ({len(findings)})\n\n{''.join(rows)}{rest}"


def _end(report: Report) -> str:
    settled = (sentences.on_sbom_alone(report), sentences.without_sigstore(report))
    texts = (sentences.beside(report), *settled, sentences.on_contents(report), sentences.closing(report))
    return "\n".join(f"{prose(text)}\n" for text in texts if text)


def _details(report: Report, room: int, view: View) -> str:
    minimum = sentences.minimum_of(report)
    lines = view.lines(report.distributions, minimum)
    rows = list(_rows(lines, report, minimum, view.group_by))
    listed = table(
        ("", "distribution", "kind", "origin", "integrity", "layer", "note", "where"),
        within(rows, room - 300, columns=8),
    )
    title = f"{'All ' if view.only.everything else ''}{many(len(lines), 'distribution')}"
    return f"<details><summary>{title}</summary>\n\n{listed}\n</details>\n"


def _rows(lines: Sequence[DistributionLine], report: Report, minimum: Evidence, group_by: str | None) -> Iterator[str]:
    """A row for each distribution; with one for each group before, where they are grouped."""
    if group_by is None:
        yield from (_detail(line, minimum) for line in lines)
        return
    for title, members in grouped(lines, report, group_by):
        yield as_row("", code(title), *[""] * 6)
        yield from (_detail(line, minimum) for line in members)


def _detail(line: DistributionLine, minimum: Evidence) -> str:
    return as_row(
        "ok" if is_verified(line, minimum) and not line.hidden else "",
        code(sentences.label(line)),
        f"{line.kind.value}, hidden" if line.hidden else line.kind.value,
        line.origin.value,
        line.integrity.value,
        "" if line.layer is None else str(line.layer),
        prose(sentences.note(line, minimum)),
        code(line.environment or line.location),
    )


# -- markdown --------------------------------------------------------------------------------------


def as_row(*cells: str) -> str:
    """A row of cells that are markdown already."""
    return f"| {' | '.join(cells)} |"


def table(headers: Sequence[str], rows: Iterable[str]) -> str:
    """A table of rows that are markdown already."""
    return "\n".join([as_row(*headers), as_row(*["---"] * len(headers)), *rows]) + "\n"


def within(rows: Sequence[str], room: int, *, columns: int) -> Iterator[str]:
    """The rows that there is room for, in characters, then how many there are more."""
    for place, row in enumerate(rows):
        room -= len(row) + 1
        if room < 0:
            yield as_row("", f"and {len(rows) - place} more; see --output json", *[""] * (columns - 2))
            return
        yield row


def prose(text: str) -> str:
    """A sentence; words that are more than letters (paths, versions, addresses, names) are set as code."""
    return " ".join(_word(word) for word in shown(text).split(" "))


def _word(word: str) -> str:
    core = word.lstrip("('\"").rstrip(".,;:)'\"")
    if _PLAIN_WORD.fullmatch(core):
        return word
    start = word.index(core)
    return f"{word[:start]}{code(core)}{word[start + len(core) :]}"


def code(text: str) -> str:
    """One piece of code, on one line, that nothing in the text can end."""
    text = shown(shorten(text, _CELL))
    if _PLAIN_CODE.fullmatch(text):
        return f"`{text}`"
    return f"<code>{_SPECIAL.sub(_reference, text)}</code>"


def _reference(special: re.Match[str]) -> str:
    return f"&#{ord(special[0])};"
