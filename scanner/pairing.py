"""Which distribution of one report is which of another. Pure, and the same in both directions.

What is at the same place goes together, then what moved with its interpreter (``python3.11`` to ``python3.12``), then
what has the same name anywhere. Where a name is there several times, those with the same verdict go together first and
the rest in the order of their paths; so what is left over is gone, or came.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias, TypeVar

from scanner.report import DistributionLine, Kind

Pair: TypeAlias = tuple[DistributionLine | None, DistributionLine | None]

_Item = TypeVar("_Item")
_INTERPRETER: Final = re.compile(r"(?<=python)\d+(?:\.\d+)?(?=[/!]|$)")


def pairs(before: Iterable[DistributionLine], after: Iterable[DistributionLine]) -> list[Pair]:
    """Every distribution of both once; one without a partner is paired with None."""
    in_order: list[list[DistributionLine]] = [sorted(lines, key=_order) for lines in (before, after)]
    keys: tuple[Callable[[DistributionLine], object], ...] = (_exact, _at_place, _moved)
    found = paired(in_order[0], in_order[1], keys)
    old = [one for one, other in found if one is not None and other is None]
    new = [other for one, other in found if one is None and other is not None]
    # of one here and two there nobody can tell which of the two it is
    counts = [Counter(map(_named, lines)) for lines in (old, new)]
    sure = {name for name, count in counts[0].items() if counts[1][name] == count}
    by_name = paired(old, new, (lambda line: _named(line) if _named(line) in sure else object(),))
    return [*(pair for pair in found if pair[0] is not None and pair[1] is not None), *by_name]


def paired(
    before: Sequence[_Item], after: Sequence[_Item], keys: Sequence[Callable[[_Item], object]]
) -> list[tuple[_Item | None, _Item | None]]:
    """Pairs by the first key, what is left by the next one, and so on; equal keys go together in order."""
    found: list[tuple[_Item | None, _Item | None]] = []
    for key in keys:
        waiting: dict[object, deque[_Item]] = {}
        for item in after:
            waiting.setdefault(key(item), deque()).append(item)
        left: list[_Item] = []
        for item in before:
            partners = waiting.get(key(item))
            if partners:
                found.append((item, partners.popleft()))
            else:
                left.append(item)
        remaining = {id(item) for partners in waiting.values() for item in partners}
        before, after = left, [item for item in after if id(item) in remaining]
    return [*found, *((item, None) for item in before), *((None, item) for item in after)]


def without_interpreter(path: str) -> str:
    """The path as it is for every version of Python."""
    return _INTERPRETER.sub("", path)


def _order(line: DistributionLine) -> tuple[str, ...]:
    return (line.environment or "", line.location, line.version or "", *_verdict(line))


def _verdict(line: DistributionLine) -> tuple[str, str, str]:
    return (line.origin.value, line.integrity.value, (line.match and line.match.sha256) or "")


def _place(line: DistributionLine) -> str:
    """The environment; for others the folder, because their own names hold a version."""
    return line.environment if line.kind is Kind.INSTALLED and line.environment else posixpath.dirname(line.location)


def _exact(line: DistributionLine) -> object:
    return (*_at_place(line), line.version, _verdict(line))


def _at_place(line: DistributionLine) -> tuple[object, ...]:
    return (line.kind, line.hidden, line.name, _place(line))


def _moved(line: DistributionLine) -> object:
    return (line.kind, line.hidden, line.name, without_interpreter(_place(line)))


def _named(line: DistributionLine) -> tuple[object, ...]:
    return (line.kind, line.hidden, line.name)
