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
        f"## {_verdict(report)}: {_code(report.target.reference)}\n",
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
        ("Target", _prose(sentences.target_in_words(report))),
        ("Digest", _code(target.digest) if target.digest else ""),
        ("Asked", "<br>".join(_prose(sentences.index_in_words(index)) for index in report.indexes) or "no index"),
        ("Applicable", str(summary.applicable)),
        ("Verified", str(summary.verified)),
        ("Can come from Chainguard", str(summary.upgradable)),
        ("Findings", sentences.findings_by_kind(report.findings) or "none"),
    )
    return _table(("", ""), [f"| {name} | {value} |" for name, value in rows if value])


def _bullets(title: str, items: Sequence[str]) -> str:
    return f"### {title}\n\n" + "".join(f"* {_prose(item)}\n" for item in items) if items else ""


def _left_out(report: Report, view: View) -> str:
    said = view.left_out(report, sentences.minimum_of(report))
    return f"{_prose(said)}\n" if said else ""


def _attention(report: Report, room: int, view: View) -> str:
    repeated, minimum = sentences.repeated_labels(report), sentences.minimum_of(report)
    lines = view.lines(sentences.to_look_at(report), minimum)
    if not lines:
        return ""
    rows = [
        _row(_code(sentences.place(line, repeated)), sentences.verdict(line, minimum), _why(line)) for line in lines
    ]
    table = _table(("distribution", "verdict", "why"), _within(rows, room, columns=3))
    return f"### To look at ({len(lines)})\n\n{table}"


def _why(line: DistributionLine) -> str:
    changed = [file for file in line.files if file.state == "modified"]
    parts = [_prose(line.reason), *(_changed(file) for file in changed[:_FILES_AT_MOST])]
    if len(changed) > _FILES_AT_MOST:
        parts.append(f"and {len(changed) - _FILES_AT_MOST} more")
    return "<br>".join(parts)


def _changed(file: FileLine) -> str:
    return f"changed: {_code(file.path)}" + ("" if file.layer is None else f", layer {file.layer}")


def _findings(report: Report, view: View) -> str:
    findings = view.findings(report)
    if not findings:
        return ""
    shown_ones = findings[:_FINDINGS_AT_MOST]
    rows = [f"* {each.kind.value} {_code(each.path)}: {_prose(each.detail)}\n" for each in shown_ones]
    more = len(findings) - len(shown_ones)
    rest = f"* and {more} more\n" if more else ""
    return f"### Findings ({len(findings)})\n\n{''.join(rows)}{rest}"


def _end(report: Report) -> str:
    said = (sentences.beside(report), sentences.on_sbom_alone(report), sentences.on_contents(report))
    texts = (*said, sentences.closing(report))
    return "\n".join(f"{_prose(text)}\n" for text in texts if text)


def _details(report: Report, room: int, view: View) -> str:
    minimum = sentences.minimum_of(report)
    lines = view.lines(report.distributions, minimum)
    rows = list(_rows(lines, report, minimum, view.group_by))
    table = _table(
        ("", "distribution", "kind", "origin", "integrity", "layer", "note", "where"),
        _within(rows, room - 300, columns=8),
    )
    title = f"{'All ' if view.only.everything else ''}{many(len(lines), 'distribution')}"
    return f"<details><summary>{title}</summary>\n\n{table}\n</details>\n"


def _rows(lines: Sequence[DistributionLine], report: Report, minimum: Evidence, group_by: str | None) -> Iterator[str]:
    """A row for each distribution; with one for each group before, where they are grouped."""
    if group_by is None:
        yield from (_detail(line, minimum) for line in lines)
        return
    for title, members in grouped(lines, report, group_by):
        yield _row("", _code(title), *[""] * 6)
        yield from (_detail(line, minimum) for line in members)


def _detail(line: DistributionLine, minimum: Evidence) -> str:
    return _row(
        "ok" if is_verified(line, minimum) and not line.hidden else "",
        _code(sentences.label(line)),
        f"{line.kind.value}, hidden" if line.hidden else line.kind.value,
        line.origin.value,
        line.integrity.value,
        "" if line.layer is None else str(line.layer),
        _prose(sentences.note(line, minimum)),
        _code(line.environment or line.location),
    )


# -- markdown --------------------------------------------------------------------------------------


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(headers: Sequence[str], rows: Iterable[str]) -> str:
    return "\n".join([_row(*headers), _row(*["---"] * len(headers)), *rows]) + "\n"


def _within(rows: Sequence[str], room: int, *, columns: int) -> Iterator[str]:
    """The rows that there is room for, in characters, then how many there are more."""
    for place, row in enumerate(rows):
        room -= len(row) + 1
        if room < 0:
            yield _row("", f"and {len(rows) - place} more; see --output json", *[""] * (columns - 2))
            return
        yield row


def _prose(text: str) -> str:
    """A sentence; words that are more than letters (paths, versions, addresses, names) are set as code."""
    return " ".join(_word(word) for word in shown(text).split(" "))


def _word(word: str) -> str:
    core = word.lstrip("('\"").rstrip(".,;:)'\"")
    if _PLAIN_WORD.fullmatch(core):
        return word
    start = word.index(core)
    return f"{word[:start]}{_code(core)}{word[start + len(core) :]}"


def _code(text: str) -> str:
    """One piece of code, on one line, that nothing in the text can end."""
    text = shown(shorten(text, _CELL))
    if _PLAIN_CODE.fullmatch(text):
        return f"`{text}`"
    return f"<code>{_SPECIAL.sub(_reference, text)}</code>"


def _reference(special: re.Match[str]) -> str:
    return f"&#{ord(special[0])};"
