"""A check-up, for ``cgscan doctor``: lines for people, ``cgscan-doctor/1`` as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tabulate import tabulate

from scanner.checkup import Check, Checkup, Examined, Result
from scanner.formats.json_ import written
from scanner.formats.text import Look, many, shown, wrapped
from scanner.report import plain

SCHEMA: Final = "cgscan-doctor/1"
_COLORS: Final = {Result.OK: "green", Result.WRONG: "red", Result.UNTOLD: "yellow"}
_RESULT: Final = max(len(result.value) for result in Result)


def render(found: Checkup, format: str, look: Look) -> str:  # noqa: A002 - the word of the command line
    """One of ``table`` and ``json``."""
    if format == "json":
        return written(_object(found))
    return "\n".join(_lines(found, look)) + "\n"


def _lines(found: Checkup, look: Look) -> Iterator[str]:
    yield "Settings"
    rows = [(shown(one.name), shown(one.value), shown(one.place)) for one in found.settings]
    table = tabulate(rows, ("setting", "value", "from"), tablefmt="plain", disable_numparse=True)
    yield from (f"  {line}".rstrip() for line in table.splitlines())
    if found.variables:
        yield ""
        yield "Environment variables (their values are never shown)"
        state = [(shown(one.name), "set" if one.is_set else "not set", shown(one.purpose)) for one in found.variables]
        lines = tabulate(state, tablefmt="plain", disable_numparse=True).splitlines()
        yield from (f"  {line}".rstrip() for line in lines)
    yield ""
    yield "Checks"
    names = [check.name for check in found.all_checks]
    width = max(map(len, names), default=0)
    for check in found.checks:
        yield from _check(check, width, look)
    for one in found.indexes:
        yield ""
        yield f"{shown(one.name)} ({one.role.value}, {shown(one.kind)}) {shown(one.url)}"
        for check in one.checks:
            yield from _check(check, width, look)
    yield ""
    yield _sum(found)


def _check(check: Check, width: int, look: Look) -> Iterator[str]:
    head = f"  {check.result.value:<{_RESULT}}  {check.name:<{width}}  "
    indent = " " * len(head)
    first, *more = wrapped(shown(check.says), look.columns, first=head, rest=indent) or [head.rstrip()]
    color = _COLORS[check.result]
    yield first.replace(check.result.value, look.paint(check.result.value, color), 1)
    yield from more
    if check.advice is not None:
        yield from wrapped(f"do: {shown(check.advice)}", look.columns, first=indent, rest=f"{indent}    ")


def _sum(found: Checkup) -> str:
    counts = {result: sum(check.result is result for check in found.all_checks) for result in Result}
    words = ", ".join(f"{counts[result]} {result.value}" for result in Result)
    return f"{many(sum(counts.values()), 'check')}: {words}."


def _object(found: Checkup) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "settings": [{"name": one.name, "value": plain(one.value), "from": plain(one.place)} for one in found.settings],
        "variables": [
            {"name": plain(one.name), "set": one.is_set, "for": plain(one.purpose)} for one in found.variables
        ],
        "probes": plain(found.probes),
        "checks": [_of_check(check) for check in found.checks],
        "indexes": [_of_index(one) for one in found.indexes],
        "wrong": sum(check.result is Result.WRONG for check in found.all_checks),
    }


def _of_index(one: Examined) -> dict[str, Any]:
    return {
        "name": plain(one.name),
        "role": one.role.value,
        "kind": plain(one.kind),
        "url": plain(one.url),
        "checks": [_of_check(check) for check in one.checks],
    }


def _of_check(check: Check) -> dict[str, Any]:
    return {
        "check": check.name,
        "result": check.result.value,
        "says": plain(check.says),
        "do": plain(check.advice),
    }
