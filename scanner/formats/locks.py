"""What lock files accept, for ``cgscan plan --lock``: ``cgscan-locks/1`` as JSON, a plan's other formats, a diff."""

from __future__ import annotations

import csv
import difflib
import io
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

import scanner
from scanner.formats import csv_, json_
from scanner.formats.blocks import Block, in_markdown, in_terminal
from scanner.formats.text import Look, escaped
from scanner.indexes.credentials import hidden
from scanner.lockfile import Acceptance, Built, Edit, Judged, PlannedLock
from scanner.report import plain

SCHEMA: Final = "cgscan-locks/1"
COLUMNS: Final = (
    "file",
    "format",
    "name",
    "version",
    "line",
    "acceptance",
    "why",
    "source",
    "accepted",
    "missing",
)
_RANKS: Final = {
    kind: rank
    for rank, kind in enumerate(
        (
            Acceptance.REFUSES,
            Acceptance.ELSEWHERE,
            Acceptance.UNCHECKED,
            Acceptance.ANYTHING,
            Acceptance.UNPINNED,
            Acceptance.ACCEPTS,
            Acceptance.WAIT,
            Acceptance.NO_INDEX,
        )
    )
}
_PLAIN: Final = (Acceptance.ACCEPTS, Acceptance.REFUSES, Acceptance.ANYTHING, Acceptance.UNPINNED)
"""What needs no reason."""
_CONTEXT: Final = 3
_URL: Final = re.compile(r"://[^\s\"'<>]+")
_SECRET: Final = re.compile(r"(?<=://)[^/?#]*@|(?<=\?)[^#]+")
"""User and password of a URL, and its query."""


def render(planned: Sequence[PlannedLock], format: str, look: Look) -> str:  # noqa: A002 - the word of the command line
    """The plans in one of :data:`scanner.formats.PLANNED`, all files together."""
    match format:
        case "json":
            return json_.written(as_object(planned))
        case "yaml":
            return yaml.safe_dump(as_object(planned), sort_keys=False, width=120)
        case "csv":
            return _csv(planned)
        case "markdown":
            return in_markdown(list(_blocks(planned)))
        case _:
            return in_terminal(list(_blocks(planned)), look)


def diff(planned: Sequence[PlannedLock]) -> str:
    """A unified diff of what ``--write`` changes, or has changed; empty where that is nothing.

    It is for reading: users, passwords and queries in URLs around a change are not shown, nor what a terminal acts on.
    """
    return "".join(_diff(one) for one in planned)


# -- JSON ------------------------------------------------------------------------------------------


def as_object(planned: Sequence[PlannedLock]) -> dict[str, Any]:
    """The JSON value, as ``locks.schema.json`` has it."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "cgscan", "version": scanner.__version__},
        "indexes": plain(list(dict.fromkeys(url for one in planned for url in one.indexes))),
        "files": [_file(one) for one in planned],
    }


def _file(planned: PlannedLock) -> dict[str, Any]:
    return {
        "path": plain(planned.path),
        "format": planned.lock.format.value,
        "entries": [_entry(one) for one in planned.judged],
        "counts": {kind.value: planned.counts.get(kind, 0) for kind in Acceptance},
        "changes": len(planned.edits),
        "written": planned.written,
        "notes": plain(planned.notes),
    }


def _entry(judged: Judged) -> dict[str, Any]:
    entry = judged.entry
    return {
        "name": entry.project,
        "version": None if entry.version is None else str(entry.version),
        "line": entry.line,
        "source": plain(entry.source),
        "acceptance": judged.acceptance.value,
        "why": plain(judged.why),
        "accepted": [_wheel(built) for built in judged.accepted],
        "missing": [_wheel(built) for built in judged.missing],
        "dropped": plain(sorted(judged.dropped)),
        "remediated": judged.remediated,
    }


def _wheel(built: Built) -> dict[str, Any]:
    return {"filename": plain(built.filename), "sha256": str(built.sha256), "index": plain(built.index)}


# -- for people ------------------------------------------------------------------------------------


def _blocks(planned: Sequence[PlannedLock]) -> Iterator[Block]:
    for one in planned:
        yield Block(
            title=f"{one.path} ({one.lock.format.value})",
            before=(_in_words(one), *one.notes, _outcome(one)),
            headers=("name", "version", "line", "Chainguard's bytes", "wheels"),
            rows=tuple(_row(judged) for judged in _sorted(one)),
            notes=tuple(_note(judged) for judged in _sorted(one)),
        )


def _in_words(planned: PlannedLock) -> str:
    """``3 entries: 2 refuses, 1 accepts``."""
    count = len(planned.judged)
    counts = ", ".join(f"{count} {kind.value}" for kind, count in planned.counts.items())
    return f"{count} {'entry' if count == 1 else 'entries'}: {counts or 'none'}"


def _outcome(planned: PlannedLock) -> str:
    if planned.written:
        return "Written: the hashes of Chainguard's wheels are in it."
    if planned.edits:
        return "--write adds the hashes of Chainguard's wheels, --diff shows what that changes."
    return "There is nothing to write."


def _sorted(planned: PlannedLock) -> list[Judged]:
    """Those that need somebody first, then in the order of the file."""
    return sorted(planned.judged, key=lambda one: _RANKS[one.acceptance])


def _row(judged: Judged) -> tuple[str, ...]:
    version = "" if judged.entry.version is None else str(judged.entry.version)
    accepted, all_ = len(judged.accepted), len(judged.accepted) + len(judged.missing)
    wheels = f"{accepted} of {all_}" if all_ else ""
    return (judged.entry.project, version, str(judged.entry.line), judged.acceptance.value, wheels)


def _note(judged: Judged) -> str:
    """What the row does not say."""
    why = "" if judged.acceptance in _PLAIN else judged.why
    also = f"{judged.remediated} is there, too" if judged.remediated else ""
    return "; ".join(filter(None, (why, also)))


def _csv(planned: Sequence[PlannedLock]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in planned:
        for judged in one.judged:
            counts = len(judged.accepted), len(judged.missing)
            row = (one.path, one.lock.format.value, *_row(judged)[:-1], judged.why, judged.entry.source, *counts)
            writer.writerow([csv_.cell(value) for value in row])
    return text.getvalue()


# -- a diff ----------------------------------------------------------------------------------------


def _diff(planned: PlannedLock) -> str:
    """One file."""
    if not planned.edits:
        return ""
    hunks = _URL.sub(_without_secrets, "".join(_hunks(planned.lock.text, planned.edits)))
    name = escaped(planned.path)
    return f"--- {name}\n+++ {name}\n{hunks}"


def _without_secrets(url: re.Match[str]) -> str:
    return hidden(_SECRET.sub(lambda secret: "…@" if secret[0].endswith("@") else "…", url[0]))


def _hunks(text: str, edits: Sequence[Edit]) -> Iterator[str]:
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    shift = 0
    for first, last, changes in _groups(edits, starts):
        begin, end = max(0, first - _CONTEXT), min(len(lines), last + 1 + _CONTEXT)
        offset = starts[begin]
        part = "".join(lines[begin:end])
        new = part
        for (start, stop), value in reversed(changes):
            new = new[: start - offset] + value + new[stop - offset :]
        after = new.splitlines(keepends=True)
        yield f"@@ -{begin + 1},{end - begin} +{begin + 1 + shift},{len(after)} @@\n"
        yield from (_shown_line(line) for line in _compared(lines[begin:end], after))
        shift += len(after) - (end - begin)


def _groups(edits: Sequence[Edit], starts: Sequence[int]) -> Iterator[tuple[int, int, list[Edit]]]:
    """Edits whose surroundings meet, with their first and last line."""
    group: list[Edit] = []
    first = last = -1
    for edit in edits:
        begin, end = (bisect_right(starts, at) - 1 for at in (edit.at.start, max(edit.at.start, edit.at.end - 1)))
        if group and begin - last > 2 * _CONTEXT:
            yield first, last, group
            group = []
        first = first if group else begin
        group.append(edit)
        last = end
    if group:
        yield first, last, group


def _compared(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """The lines of a hunk with their signs."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for what, start, end, new_start, new_end in matcher.get_opcodes():
        if what == "equal":
            yield from (f" {line}" for line in before[start:end])
            continue
        yield from (f"-{line}" for line in before[start:end])
        yield from (f"+{line}" for line in after[new_start:new_end])


def _shown_line(line: str) -> str:
    """A line as a terminal may have it; its end stays, and where it has none that is said."""
    bare = line.rstrip("\r\n")
    end = line[len(bare) :]
    safe = "\t".join(escaped(part) for part in bare.split("\t"))
    return f"{safe}{end}" if end.endswith("\n") else f"{safe}\n\\ No newline at end of file\n"
