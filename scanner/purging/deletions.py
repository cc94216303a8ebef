"""Deletions one after the other: at a bounded rate, each with its result, each in the journal before the next begins.

A failure is a result and the others go on; where a manager as a whole does not answer (no connection, credentials that
are not taken) what is left of it is not tried. What a server asks to wait (429, 503 with ``Retry-After``) is waited.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from scanner.errors import CgscanError, IndexUnavailable, UsageError
from scanner.manager import Deleted, Deleting, DeletingVersions, Retrieved
from scanner.managers.rest import Refused
from scanner.purge import Ended, Result, key_of
from scanner.stale import LocalCopy, ProxyCopy, Stale

if TYPE_CHECKING:
    from scanner.journal import Journal

_BUSY: Final = frozenset({429, 503})
_TRIES: Final = 4
_PAUSE: Final = 30.0
"""Seconds to wait after a refusal for too many requests that does not say how long; doubled each time."""
_LONGEST_PAUSE: Final = 900.0
_ENDED: Final = {Deleted.GONE: Ended.GONE, Deleted.ALREADY_GONE: Ended.ALREADY_GONE, Deleted.CHANGED: Ended.CHANGED}
_CHANGED: Final = "other bytes are there than the plan means, or it is another entry by now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How deletions are done: ``manager`` opens the one behind an index of that name, anew for each entry so that
    nothing that decides is remembered; ``local`` deletes an entry of a store. ``rate`` is deletions in a second.
    """

    manager: Callable[[str], object]
    local: Callable[[LocalCopy], Deleted]
    rate: float
    sleep: Callable[[float], None] = field(default=time.sleep)
    clock: Callable[[], float] = field(default=time.monotonic)


def carry_out(going: Sequence[Stale], means: Means, journal: Journal) -> Iterator[Result]:
    """Delete, and tell how each ended in this order."""
    lost: dict[str, CgscanError] = {}
    following = means.clock()
    for group in _groups(going, means):
        fresh = [copy for copy in group if key_of(copy) not in journal.done]
        yield from (Result(copy=copy, ended=Ended.BEFORE) for copy in group if copy not in fresh)
        if not fresh:
            continue
        manager = fresh[0].manager if isinstance(fresh[0], ProxyCopy) else None
        if manager is not None and manager in lost:
            problem = lost[manager]
            results = [Result(copy=copy, ended=Ended.NOT_TRIED, why=str(problem), hint=problem.hint) for copy in fresh]
        else:
            means.sleep(max(0.0, following - means.clock()))
            following = means.clock() + 1 / means.rate
            results = _deleted(fresh, means, lost)
        for result in results:
            done = result.ended.is_done
            journal.write(key=key_of(result.copy), ended=result.ended.value, gone=done)
        yield from results


def _groups(going: Sequence[Stale], means: Means) -> Iterator[list[Stale]]:
    """What is deleted at once: each alone, but for managers that delete all files of a version together."""
    whole = {
        name: isinstance(means.manager(name), DeletingVersions)
        for name in {copy.manager for copy in going if isinstance(copy, ProxyCopy)}
    }

    def version(numbered: tuple[int, Stale]) -> tuple[object, ...]:
        number, copy = numbered
        if isinstance(copy, ProxyCopy) and whole[copy.manager]:
            return (copy.manager, copy.entry.repository, copy.entry.project, copy.entry.version)
        return (number,)

    for _, members in itertools.groupby(enumerate(going), key=version):
        yield [copy for _, copy in members]


def _deleted(copies: Sequence[Stale], means: Means, lost: dict[str, CgscanError]) -> list[Result]:
    try:
        ended = _patiently(copies, means)
    except CgscanError as problem:
        first = copies[0]
        if isinstance(first, ProxyCopy) and isinstance(problem, IndexUnavailable) and problem.whole:
            lost[first.manager] = problem
        return [Result(copy=copy, ended=Ended.FAILED, why=str(problem), hint=problem.hint) for copy in copies]
    why = _CHANGED if ended is Deleted.CHANGED else None
    return [Result(copy=copy, ended=_ENDED[ended], why=why) for copy in copies]


def _patiently(copies: Sequence[Stale], means: Means) -> Deleted:
    """Delete; wait and try again where the server is busy."""
    pause = _PAUSE
    for left in reversed(range(_TRIES)):
        try:
            return _delete(copies, means)
        except Refused as problem:
            if problem.status not in _BUSY or not left or problem.pause > _LONGEST_PAUSE:
                raise
            means.sleep(problem.pause or pause)
            pause *= 2
    raise AssertionError("unreachable")


def _delete(copies: Sequence[Stale], means: Means) -> Deleted:
    first = copies[0]
    if isinstance(first, LocalCopy):
        return means.local(first)
    manager = means.manager(first.manager)
    entries: list[Retrieved] = [copy.entry for copy in copies if isinstance(copy, ProxyCopy)]
    match manager:
        case DeletingVersions():
            return manager.delete_version(entries)
        case Deleting():
            return manager.delete(first.entry)
        case _:
            raise UsageError(f"the index {first.manager} is of no manager that deletes")
