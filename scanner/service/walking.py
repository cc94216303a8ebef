"""One walk through a registry: what is new in it is queued.

A walk is held by one process at a time (:mod:`scanner.results.turns`), and what it has done is written down after each
repository, in the order of names: whoever takes over from one that was killed goes on there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from scanner.errors import AccessDenied, CgscanError, DatabaseFailed, UntrustedContent
from scanner.results import states, turns
from scanner.results.crawls import Walk, last_walk, set_gone, write_walk
from scanner.results.turns import Turn
from scanner.run import source_of
from scanner.service import jobs
from scanner.service.circumstances import terms_of
from scanner.service.jobs import CRAWL, Full, Job, Priority, Wanted
from scanner.service.looking import Looking, Part
from scanner.service.place import Place, Stopping
from scanner.serving import Crawl
from scanner.sources.catalog import open_catalog

_RENEWALS: Final = 4
"""In the length of a lease."""
_FAILURES: Final = 3
"""Repositories in a row that cannot be asked, after which the registry counts as out of reach."""
_FULL_QUEUE: Final = "the queue is full (serve.most_waiting); it goes on when there is room"


class Walking:
    """A walk under its turn. ``queued`` is told of each job that is new."""

    def __init__(
        self, place: Place, crawl: Crawl, turn: Turn, queued: Callable[[Job], object] = lambda _: None
    ) -> None:
        self._place = place
        self._crawl = crawl
        self._turn = turn
        self._queued = queued
        self._terms = terms_of(place.settings)
        self._pace = Pace(crawl.per_second, place.stop)
        self._renewed = time.monotonic()

    def walk(self, *, anew: bool = False) -> Walk:
        """Walk, or go on where a walk was broken off unless ``anew``; how it ended, or not, with the problem.

        Raises :class:`Stopping`, and :class:`scanner.results.turns.TurnLost` where another process walks.
        """
        walk = self._begun(anew=anew)
        source = source_of(self._place.settings)
        try:
            with open_catalog(self._crawl.registry, options=source, pace=self._before_request) as catalog:
                walk = self._through(Looking(catalog, self._crawl, self._place.database, self._terms), walk)
        except CgscanError as problem:
            return self._write(replace(self._known(walk), problem=told(problem)))
        except Full:
            return self._write(replace(self._known(walk), problem=_FULL_QUEUE))
        return self._write(walk, ended=True)

    def _begun(self, *, anew: bool) -> Walk:
        with self._place.database.writing() as connection:
            now = turns.hold(connection, self._turn)
            last = last_walk(connection, self._crawl.registry)
            if last is not None and last.ended is None and not anew:
                return replace(last, problem=None)
            walk = Walk(registry=self._crawl.registry, begun=now)
            write_walk(connection, walk)
            return walk

    def _known(self, walk: Walk) -> Walk:
        """As far as it is written down."""
        with self._place.database.reading() as connection:
            return last_walk(connection, self._crawl.registry) or walk

    def _write(self, walk: Walk, *, ended: bool = False) -> Walk:
        with self._place.database.writing() as connection:
            now = turns.hold(connection, self._turn)
            walk = replace(walk, ended=now) if ended else walk
            write_walk(connection, walk)
        return walk

    def _through(self, looking: Looking, walk: Walk) -> Walk:
        failed = 0
        for name in looking.repositories():
            if name <= walk.position:
                continue
            try:
                walk = self._repository(looking, walk, name)
            except DatabaseFailed:
                raise
            except CgscanError as problem:
                failed = 0 if isinstance(problem, AccessDenied | UntrustedContent) else failed + 1
                if failed == _FAILURES:
                    raise
                looking.left = looking.left or told(problem)
                walk = self._write(replace(walk, position=name))
            else:
                failed = 0
        return replace(walk, problem=looking.left)

    def _repository(self, looking: Looking, walk: Walk, name: str) -> Walk:
        """One repository, and down with it."""
        done = replace(walk, position=name, repositories=walk.repositories + 1)
        for part in looking.parts(name, most=self._crawl.most_images - walk.images):
            new = self._queue(part) if part.new else 0
            gone = self._set_gone(name, part) if part.gone else 0
            done = done.with_part(images=part.images, queued=new, gone=gone)
        return self._write(done)

    def _set_gone(self, repository: str, part: Part) -> int:
        with self._place.database.writing() as connection:
            now = turns.hold(connection, self._turn)
            return set_gone(connection, (self._crawl.registry, repository), part.gone, now=now)

    def _queue(self, part: Part) -> int:
        """What is not known, committed before the walk goes on; how many are new. Nothing without the turn."""
        with self._place.database.writing() as connection:
            turns.hold(connection, self._turn)
            circumstances = states.circumstances(self._terms, states.serial(connection))
        count = 0
        for image in part.new:
            wanted = Wanted(
                image=image, source=CRAWL, priority=Priority.CRAWL, circumstances=circumstances, seen=part.asked
            )
            ((job, is_new),) = jobs.submit(
                self._place.database, [wanted], most_waiting=self._place.serving.most_waiting
            )
            if is_new:
                count += 1
                self._queued(job)
        self._place.carrier.wake(count)
        return count

    def _before_request(self) -> None:
        """Hold on to the turn, and ask no more often than is wanted."""
        self._pace()
        if time.monotonic() - self._renewed > self._turn.lease / _RENEWALS:
            with self._place.database.writing() as connection:
                turns.hold(connection, self._turn)
            self._renewed = time.monotonic()


class Pace:
    """Waits so long that no more than ``per_second`` calls are made; :class:`Stopping` when it is to stop."""

    def __init__(self, per_second: float, stop: threading.Event) -> None:
        self._step = 1 / per_second
        self._stop = stop
        self._free_at = 0.0

    def __call__(self) -> None:
        if self._stop.wait(max(0.0, self._free_at - time.monotonic())):
            raise Stopping
        self._free_at = max(self._free_at, time.monotonic()) + self._step


def told(problem: CgscanError) -> str:
    """A problem with what to do, in one line."""
    return f"{problem.message}; {problem.hint}" if problem.hint else problem.message
