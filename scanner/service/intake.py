"""Jobs of requests that come at the same time are queued in one transaction: a burst pays for few commits, not for all.

What a request wants is queued as if it had come alone: all of it or nothing, and committed before it is answered.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, TypeAlias

from sqlalchemy.exc import DataError

from scanner.errors import DatabaseFailed
from scanner.reference import ImageName
from scanner.results.database import Database
from scanner.service import jobs
from scanner.service.jobs import Full, Job, Priority, Wanted

_AT_ONCE: Final = 32
"""Requests of one transaction."""
_LEAVE: Final = 5.0
_Found: TypeAlias = list[tuple[Job, bool]]
_Asked: TypeAlias = tuple[Sequence[Wanted], Future[_Found]]


class Intake:
    """A thread that queues for all requests of a process; each waits in :meth:`submit`."""

    def __init__(self, database: Database, *, most_waiting: int) -> None:
        self._database = database
        self._most_waiting = most_waiting
        self._asked: deque[_Asked] = deque()
        self._full = False
        """Whether there was no room the last time."""
        self._changed = threading.Condition()
        self._closed = False
        self._warm_up()
        self._thread = threading.Thread(target=self._work, name="intake", daemon=True)
        self._thread.start()

    def _warm_up(self) -> None:
        """Queue what is then not there: connections, statements and imports are ready before the first request is."""
        nothing = Wanted(
            image=ImageName(host="localhost", repository="none", tag=None, digest=None),
            source="",
            priority=Priority.CRAWL,
            circumstances="",
        )
        with suppress(Full):
            jobs.submit(self._database, [nothing], most_waiting=-1)

    def submit(self, wanted: Sequence[Wanted]) -> _Found:
        """What :func:`scanner.service.jobs.submit` gives, and raises."""
        future: Future[_Found] = Future()
        with self._changed:
            closed = self._closed
            if not closed:
                self._asked.append((wanted, future))
                self._changed.notify()
        if closed:  # nobody takes it from there any more
            return jobs.submit(self._database, wanted, most_waiting=self._most_waiting)
        return future.result()

    def close(self) -> None:
        """Queue what was asked for, and no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_LEAVE)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._closed)
                together = [self._asked.popleft() for _ in range(min(_AT_ONCE, len(self._asked)))]
            if not together:
                return
            try:
                self._queue(together)
            except Exception as problem:  # noqa: BLE001 - each request raises it
                for _, future in together:
                    if not future.done():
                        future.set_exception(problem)

    def _queue(self, together: Sequence[_Asked]) -> None:
        if self._full:
            together = self._with_room(together)
        if not together:
            return
        everything = [one for wanted, _ in together for one in wanted]
        try:
            found = iter(jobs.submit(self._database, everything, most_waiting=self._most_waiting))
        except (Full, DatabaseFailed) as problem:
            self._full = isinstance(problem, Full)
            if len(together) == 1 or not (self._full or isinstance(problem.__cause__, DataError)):
                raise
            for one in together:  # there may be room for some, or one of them is what the database does not take
                self._alone(one)
            return
        for wanted, future in together:
            future.set_result([next(found) for _ in wanted])

    def _with_room(self, together: Sequence[_Asked]) -> list[_Asked]:
        """Those for whom there is room; the others are told that there is none, without a try for each."""
        keys = {one.key for wanted, _ in together for one in wanted}
        room, known = jobs.room(self._database, keys, most_waiting=self._most_waiting)
        left: list[_Asked] = []
        for wanted, future in together:
            new = len({one.key for one in wanted} - known)
            if new > room:
                future.set_exception(Full())
            else:
                room -= new
                left.append((wanted, future))
        self._full = len(left) < len(together)
        return left

    def _alone(self, one: _Asked) -> None:
        try:
            self._queue([one])
        except Exception as problem:  # noqa: BLE001 - the request raises it
            one[1].set_exception(problem)
