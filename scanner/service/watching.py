"""Whether indexes say something else than they did, and which names are to be looked at again because of it.

A round asks every index about every project that the newest reports rest on, by the usual client and its memory of
pages, so that nearly every answer is "not modified". A new answer has a new serial (:mod:`scanner.results.states`).
An index that cannot be asked changes nothing. What a round does not reach in its time comes first in the next one.

What is queued again is scanned by its digest, from remembered inventories, so that no layer is read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Final

from packaging.utils import NormalizedName

from scanner.answered import fingerprint
from scanner.digest import Digest
from scanner.errors import CgscanError, IndexUnavailable
from scanner.index import Index
from scanner.reference import ImageName
from scanner.results import rounds, states, turns
from scanner.results.database import clock
from scanner.results.rounds import Round
from scanner.results.turns import Turn
from scanner.run import client_of, indexes_of, store_of
from scanner.service import jobs
from scanner.service.circumstances import terms_of
from scanner.service.jobs import INDEXES, Full, Priority, Wanted
from scanner.service.logs import say
from scanner.service.place import Place, Stopping
from scanner.threads import threads

_BATCH: Final = 100
"""Projects whose answers are in memory at a time."""
_THREADS: Final = 8
_LOOK: Final = 1.0
_SHORTEST: Final = 60.0
"""Seconds that a round may take in any case."""
_QUEUED_AT_ONCE: Final = 200


@dataclass(slots=True)
class _Heard:
    """What an index said in a round."""

    answers: dict[str, str] = field(default_factory=dict)
    unanswered: int = 0
    answered: int = 0
    changed: int = 0
    problem: str | None = None
    silent: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, problem: CgscanError) -> None:
        """It was asked, and did not answer; nothing more is asked of one that is out of reach as a whole."""
        with self.lock:
            self.unanswered += 1
            self.problem = problem.message
            self.silent = self.silent or (isinstance(problem, IndexUnavailable) and problem.whole)


class Watching:
    """A round under its turn."""

    def __init__(self, place: Place, turn: Turn) -> None:
        self._place = place
        self._turn = turn
        self._renewed = time.monotonic()
        self._heard: dict[str, _Heard] = {}

    def watch(self) -> int:
        """Ask everything, as far as there is time; how many answers are new.

        Raises :class:`scanner.service.place.Stopping` and :class:`scanner.results.turns.TurnLost`.
        """
        until = time.monotonic() + max(_SHORTEST, self._place.serving.index_seconds)
        with self._place.database.reading() as connection:
            projects = states.watched(connection)
        for start in range(0, len(projects), _BATCH):
            if time.monotonic() > until:
                break
            self._ask(projects[start : start + _BATCH])
            self._take()
        self._end()
        return sum(heard.changed for heard in self._heard.values())

    def _ask(self, projects: Sequence[str]) -> None:
        settings = self._place.settings
        with client_of(settings) as client, threads(_THREADS) as pool:
            indexes = indexes_of(settings, client, store_of(settings))
            for index in indexes:
                self._heard.setdefault(index.name, _Heard())
            asking = {
                pool.submit(self._ask_one, index, NormalizedName(project)) for project in projects for index in indexes
            }
            self._wait(asking)

    def _wait(self, asking: set[Future[None]]) -> None:
        while asking:
            done, asking = wait(asking, timeout=_LOOK)
            for one in done:
                one.result()
            if self._place.stop.is_set():
                raise Stopping
            if time.monotonic() - self._renewed > self._turn.lease / 4:
                with self._place.database.writing() as connection:
                    turns.hold(connection, self._turn)
                self._renewed = time.monotonic()

    def _ask_one(self, index: Index, project: NormalizedName) -> None:
        heard = self._heard[index.name]
        if heard.silent or self._place.stop.is_set():
            return
        try:
            mark = fingerprint(index.files(project))
        except CgscanError as problem:
            heard.fail(problem)
        else:
            heard.answers[project] = mark

    def _take(self) -> None:
        with self._place.database.writing() as connection:
            now = turns.hold(connection, self._turn)
            states.lock(connection)
            for name, heard in sorted(self._heard.items()):
                heard.changed += states.take_round(connection, name, heard.answers, now=now)
        for heard in self._heard.values():
            heard.answered += len(heard.answers)
            heard.answers.clear()

    def _end(self) -> None:
        with self._place.database.writing() as connection:
            now = turns.hold(connection, self._turn)
            rounds.write(connection, [_round(name, heard, now) for name, heard in self._heard.items()])
        for name, heard in self._heard.items():
            if heard.unanswered:
                problem = {"index": name, "questions": heard.unanswered, "reason": heard.problem}
                say("index out of reach", level=logging.WARNING, **problem)
            if heard.changed:
                say("index has changed", index=name, projects=heard.changed)


def _round(name: str, heard: _Heard, now: float) -> Round:
    return Round(
        index=name,
        ended=now,
        answered=heard.answered,
        unanswered=heard.unanswered,
        changed=heard.changed,
        problem=heard.problem,
    )


# -- what is looked at again


def follow(place: Place) -> int:
    """Queue the names that changes of indexes concern, and those whose time has come; how many are new.

    May be done at any time and by several at once. What has no room in the queue is queued the next time.
    """
    terms = terms_of(place.settings)
    return _follow_changes(place, terms) + _try_again(place, terms)


def _follow_changes(place: Place, terms: str) -> int:
    with place.database.reading() as connection:
        serial = states.serial(connection)
        if states.followed(connection) >= serial:
            return 0
        names, all_of_them = states.touched_names(connection, terms, now=clock(connection))
    new = _queue(place, names, states.circumstances(terms, serial))
    if new is None or not all_of_them:
        return new or 0
    with place.database.writing() as connection:
        states.set_followed(connection, serial)
    return new


def _try_again(place: Place, terms: str) -> int:
    """Names with something unchecked, and those that nobody has looked at for long: under a serial of their own."""
    with place.database.reading() as connection:
        now = clock(connection)
        since = now - place.serving.fresh_seconds
        names = states.doubtful_names(connection, terms, now=now, since=since)
    if not names:
        return 0
    with place.database.writing() as connection:
        serial = states.next_serial(connection)
    return _queue(place, names, states.circumstances(terms, serial)) or 0


def _queue(place: Place, names: Sequence[states.Name], circumstances: str) -> int | None:
    """How many jobs are new; None where there is no room for all."""
    count = 0
    for start in range(0, len(names), _QUEUED_AT_ONCE):
        wanted = [_wanted(name, circumstances) for name in names[start : start + _QUEUED_AT_ONCE]]
        try:
            found = jobs.submit(place.database, wanted, most_waiting=place.serving.most_waiting)
        except Full:
            return None
        new = sum(is_new for _, is_new in found)
        place.carrier.wake(new)
        count += new
    if count:
        say("looked at again", images=count)
    return count


def _wanted(name: states.Name, circumstances: str) -> Wanted:
    image = ImageName(
        host=name.registry, repository=name.repository, tag=name.tag or None, digest=Digest.parse(name.digest)
    )
    return Wanted(image=image, source=INDEXES, priority=Priority.CRAWL, circumstances=circumstances, seen=name.said)
