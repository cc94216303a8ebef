"""What is done now and then beside the workers, by one of several processes at a time."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scanner.errors import CgscanError
from scanner.results import turns
from scanner.results.crawls import Walk
from scanner.results.database import clock
from scanner.results.turns import Turn, TurnLost
from scanner.service.logs import say
from scanner.service.place import Place, Stopping, lease_of
from scanner.service.walking import Walking
from scanner.service.watching import Watching, follow
from scanner.serving import Crawl

_LOOK: Final = 2.0
"""Seconds between looks whether something is due."""
_FOLLOW: Final = 60.0
"""Seconds after which names are looked for that are to be looked at again."""
_BROKEN_OFF: Final = 600.0
"""Seconds after which a walk goes on that something was in the way of."""
WATCH: Final = "indexes"
_AGAIN: Final = "again"


def name_of(registry: str) -> str:
    """The name of a registry's turn."""
    return f"crawl {registry}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Duty:
    """Something that is done under a turn; ``do`` gives when it is due again. ``first`` is when it first is, ``latest``
    the latest that it may be.
    """

    name: str
    do: Callable[[Turn], float]
    first: float = 0.0
    latest: float | None = None


class Rounds:
    """Two threads: one walks through registries, the other asks indexes."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        watching = [_Duty(name=WATCH, do=self._watch), _Duty(name=_AGAIN, do=self._follow)]
        self._threads = [self._thread("indexes", lambda: watching)]
        if place.serving.crawl:
            self._threads.append(self._thread("crawl", self._walks))

    def _thread(self, name: str, duties: Callable[[], list[_Duty]]) -> threading.Thread:
        return threading.Thread(target=self._run, name=name, args=(duties,), daemon=True)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, grace: float) -> None:
        """End soon. What is broken off another process goes on with, or this one the next time."""
        self._place.stop.set()
        for thread in self._threads:
            thread.join(grace)

    def _run(self, duties: Callable[[], list[_Duty]]) -> None:
        while not self._place.stop.is_set():
            try:
                for duty in duties():
                    self._once(duty)
            except Stopping:
                return
            except CgscanError as problem:
                say("trouble", level=logging.WARNING, reason=str(problem))
            except Exception as problem:  # noqa: BLE001 - the last line of defence of a thread
                say("unexpected", level=logging.ERROR, reason=f"{type(problem).__name__}: {problem}")
            self._place.stop.wait(_LOOK)

    def _once(self, duty: _Duty) -> None:
        turn = turns.take(
            self._place.database,
            duty.name,
            self._holder,
            lease=lease_of(self._place),
            first=duty.first,
            latest=duty.latest,
        )
        if turn is None:
            return
        try:
            turns.give_back(self._place.database, turn, due=duty.do(turn))
        except TurnLost:
            say("turn lost", level=logging.WARNING, turn=duty.name)
        except Stopping:
            turns.give_back(self._place.database, turn, due=0.0)
            raise
        except Exception:
            turns.give_back(self._place.database, turn, due=self._now() + _FOLLOW)
            raise

    def _now(self) -> float:
        with self._place.database.reading() as connection:
            return clock(connection)

    # -- duties

    def _watch(self, turn: Turn) -> float:
        begun = self._now()
        if Watching(self._place, turn).watch():
            follow(self._place)
        return begun + self._place.serving.index_seconds

    def _follow(self, _: Turn) -> float:
        follow(self._place)
        return self._now() + min(_FOLLOW, self._place.serving.index_seconds)

    def _walks(self) -> list[_Duty]:
        now = self._now()
        return [
            _Duty(
                name=name_of(crawl.registry),
                do=lambda turn, crawl=crawl: self._walk(turn, crawl),  # type: ignore[misc]
                first=now if crawl.at is None else crawl.next_after(now),
                latest=crawl.next_after(now) + _FOLLOW,
            )
            for crawl in self._place.serving.crawl
        ]

    def _walk(self, turn: Turn, crawl: Crawl) -> float:
        say("crawl begins", registry=crawl.registry)
        walk = Walking(self._place, crawl, turn).walk()
        tell(walk)
        return due_after(walk, crawl, self._now())


def due_after(walk: Walk, crawl: Crawl, now: float) -> float:
    """When the walk after this one begins, or one that was broken off goes on."""
    due = crawl.next_after(walk.begun)
    return min(due, now + _BROKEN_OFF) if walk.ended is None else due


def tell(walk: Walk) -> None:
    """How a walk ended, in the log."""
    counts = {name: getattr(walk, name) for name in ("repositories", "images", "queued", "gone")}
    level = logging.WARNING if walk.problem else logging.INFO
    say("crawl ends", level=level, registry=walk.registry, **counts, reason=walk.problem)
