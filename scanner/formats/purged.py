"""What a purge deletes or has deleted, for ``cgscan purge``: a table for people, ``cgscan-purge/1`` as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tabulate import tabulate

from scanner.formats.json_ import written
from scanner.formats.text import Look, many, shorten, shown, wrapped
from scanner.purge import Ended, Purge, Result, name_of, size_of
from scanner.report import plain
from scanner.stale import LocalCopy, ProxyCopy, Stale

_OF_MANAGER: Final = ("project", "version", "size", "last used", "replaced by", "file")
_OF_STORE: Final = ("project", "version", "size", "replaced by", "entry")
_COLORS: Final = {Ended.CHANGED: "yellow", Ended.FAILED: "red", Ended.NOT_TRIED: "red"}
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_PATH: Final = 90


def render(purge: Purge, format: str, look: Look) -> str:  # noqa: A002 - the word of the command line
    """One of ``table`` and ``json``."""
    if format == "json":
        return written(_object(purge))
    return "\n".join(line.rstrip() for line in _table(purge, look)) + "\n"


# -- for programs


def _object(purge: Purge) -> dict[str, Any]:
    results = purge.results or tuple(Result(copy=copy, ended=Ended.NOT_TRIED) for copy in purge.selection.going)
    shown_only = purge.results is None
    return {
        "schema": purge.schema,
        "deleted": not shown_only,
        "all_went": None if shown_only else purge.all_went,
        "journal": plain(purge.journal),
        "copies": [_copy(one.copy) | _ended(one, shown_only=shown_only) for one in results],
        "left": [_copy(one.copy) | {"why": plain(one.why)} for one in purge.selection.left],
    }


def _copy(copy: Stale) -> dict[str, Any]:
    value: dict[str, Any] = plain(copy)
    return {"where": "manager" if isinstance(copy, ProxyCopy) else "local", **value}


def _ended(result: Result, *, shown_only: bool) -> dict[str, Any]:
    ended = None if shown_only else result.ended.value
    return {"ended": ended, "why": plain(result.why), "hint": plain(result.hint)}


# -- for people


def _table(purge: Purge, look: Look) -> Iterator[str]:
    going = purge.selection.going
    yield look.paint(_headline(purge), "bold")
    for name in dict.fromkeys(copy.manager for copy in going if isinstance(copy, ProxyCopy)):
        behind = [copy for copy in going if isinstance(copy, ProxyCopy) and copy.manager == name]
        yield from _manager(name, behind)
    for tool, root in dict.fromkeys((copy.tool, copy.root) for copy in going if isinstance(copy, LocalCopy)):
        inside = [copy for copy in going if isinstance(copy, LocalCopy) and (copy.tool, copy.root) == (tool, root)]
        yield from _store(tool, root, inside)
    yield from _not_gone(purge, look)
    yield from _left(purge, look)
    if purge.results is None and going:
        yield from ("", "Nothing was deleted: --yes deletes what stands above.")
    if purge.journal and not purge.all_went:
        yield from ("", *wrapped(f"The same command goes on from {shown(purge.journal)}.", look.columns))


def _headline(purge: Purge) -> str:
    going = purge.selection.going
    size = _size(sum(size_of(copy) or 0 for copy in going))
    if purge.results is None:
        return f"Would delete {many(len(going), 'copy').replace('copys', 'copies')}, {size}"
    counts = Counter(result.ended for result in purge.results)
    said = ", ".join(f"{counts[ended]} {ended.value}" for ended in Ended if counts[ended])
    return f"{sum(result.ended.is_done for result in purge.results)} of {len(going)} went ({said or 'nothing to do'})"


def _manager(name: str, copies: Sequence[ProxyCopy]) -> Iterator[str]:
    for repository in dict.fromkeys(copy.entry.repository for copy in copies):
        inside = [copy for copy in copies if copy.entry.repository == repository]
        rows = [
            (
                *_name(copy),
                _size(copy.entry.size),
                (copy.entry.downloaded or copy.entry.created or "-")[:10],
                _replacement(copy),
                shown(shorten(copy.entry.path, _PATH)),
            )
            for copy in inside
        ]
        yield from ("", f"in {shown(repository)}, behind the index {shown(name)} ({len(inside)})")
        yield from _rows(rows, _OF_MANAGER)


def _store(tool: str, root: str, copies: Sequence[LocalCopy]) -> Iterator[str]:
    rows = [
        (*_name(copy), _size(copy.size), _replacement(copy), shown(shorten(copy.path.removeprefix(root + "/"), _PATH)))
        for copy in copies
    ]
    yield from ("", f"{tool}'s store {shown(root)} ({len(copies)})")
    yield from _rows(rows, _OF_STORE)


def _rows(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> Iterator[str]:
    table = tabulate(rows, headers, tablefmt="plain", disable_numparse=True)
    yield from (f"  {line}" for line in table.splitlines())


def _name(copy: Stale) -> tuple[str, str]:
    project, version = name_of(copy)
    return shown(project), shown(version or "-")


def _replacement(copy: Stale) -> str:
    return shown(copy.replacement.filename) if copy.replacement else "-"


def _not_gone(purge: Purge, look: Look) -> Iterator[str]:
    """What was to go and did not, with the reason."""
    for result in purge.results or ():
        if result.ended.is_done:
            continue
        project, version = _name(result.copy)
        yield ""
        yield look.paint(f"{project} {version}: {result.ended.value}", *([_COLORS[result.ended]]))
        yield from wrapped(shown(result.why or ""), look.columns, first="  ", rest="  ")
        if result.hint:
            yield from wrapped(f"hint: {shown(result.hint)}", look.columns, first="  ", rest="  ")


def _left(purge: Purge, look: Look) -> Iterator[str]:
    """How many stay for each reason; JSON names them."""
    reasons = Counter(one.why for one in purge.selection.left)
    if reasons:
        yield from ("", f"Left alone ({sum(reasons.values())})")
    for why, count in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])):
        names = sorted({" ".join(_name(one.copy)) for one in purge.selection.left if one.why == why})
        some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield from wrapped(f"{count}: {shown(why)}: {some}", look.columns, first="  ", rest="    ")


def _size(size: int | None) -> str:
    if size is None:
        return "-"
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{size} bytes"
