"""What is in a snapshot, for ``cgscan index``: a table for people, ``cgscan-snapshot/1`` as JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from tabulate import tabulate

from scanner.formats.json_ import written
from scanner.formats.text import shown
from scanner.index import in_utc
from scanner.report import plain
from scanner.snapshot import Source

SCHEMA: Final = "cgscan-snapshot/1"
_HEADERS: Final = ("index", "projects", "not listed", "failed", "files", "wheels", "earlier", "age")
_AGES: Final = ((48 * 3600, 86_400, "d"), (7200, 3600, "h"), (0, 60, "min"))
"""From how many seconds on, in what unit, and its name."""


def render(path: str, size: int, sources: Sequence[Source], format: str) -> str:  # noqa: A002 - the word of the command line
    """One of ``table`` and ``json``. ``size`` is bytes."""
    if format == "json":
        return written(
            {"schema": SCHEMA, "file": plain(path), "size": size, "indexes": [_object(one) for one in sources]}
        )
    return _table(path, size, sources)


def _table(path: str, size: int, sources: Sequence[Source]) -> str:
    lines = [f"{shown(path)}: a snapshot of {_indexes(len(sources))}, {size} bytes"]
    for one in sources:
        built = ", built wheels only" if one.built_only else ""
        lines.append(f"  {shown(one.name)} ({one.role.value}{built}) {shown(one.url)}, pulled {_in_utc(one.pulled)}")
    rows = [
        (shown(one.name), one.projects, one.unlisted, one.failed, one.files, one.wheels, one.earlier, _age(one))
        for one in sources
    ]
    table = tabulate(rows, _HEADERS, tablefmt="plain") if rows else "it is empty"
    return "\n".join([*lines, "", *(line.rstrip() for line in table.splitlines())]) + "\n"


def _indexes(count: int) -> str:
    return "1 index" if count == 1 else f"{count} indexes"


def _object(source: Source) -> dict[str, Any]:
    return {
        "name": plain(source.name),
        "role": source.role.value,
        "kind": plain(source.kind),
        "url": plain(source.url),
        "built_only": source.built_only,
        "pulled": _in_utc(source.pulled),
        "oldest": _in_utc(source.oldest),
        "newest": _in_utc(source.newest),
        "projects": source.projects,
        "unlisted": source.unlisted,
        "failed": source.failed,
        "files": source.files,
        "wheels": source.wheels,
        "earlier": source.earlier,
    }


def _age(source: Source) -> str:
    """How long ago its answers were given: ``3 h``, ``3 h to 12 d``."""
    if source.oldest is None or source.newest is None:
        return "-"
    newest, oldest = (_ago(time.time() - at) for at in (source.newest, source.oldest))
    return newest if newest == oldest else f"{newest} to {oldest}"


def _ago(seconds: float) -> str:
    unit, name = next((unit, name) for least, unit, name in _AGES if max(0.0, seconds) >= least)
    return f"{max(0.0, seconds) // unit:.0f} {name}"


def _in_utc(seconds: float | None) -> str | None:
    """None for a time that there is not."""
    return None if seconds is None else in_utc(seconds)
