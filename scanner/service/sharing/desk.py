"""The worker's side: a thread answers one scan's process for as long as it runs.

What comes over the line is a stranger's: questions are bounded in form (:mod:`wire <scanner.service.sharing.wire>`), in
number and in bytes, and a line that says anything else is cut, which the scan outlives.
"""

from __future__ import annotations

import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from scanner.errors import CgscanError
from scanner.limits import GIB
from scanner.results.database import Database
from scanner.service.logs import say
from scanner.service.metrics import Metrics
from scanner.service.sharing.claims import Claims, ClaimsHere, ClaimsOfFleet
from scanner.service.sharing.remembered import Remembered
from scanner.service.sharing.wire import Answer, Ask, Broken, Question, receive_question, send_answer
from scanner.serving import Serving

_MOST_QUESTIONS: Final = 1_000_000
_MOST_PUT: Final = 50_000
_MOST_BYTES: Final = 2 * GIB
_MOST_HELD: Final = 256
"""Of one scan: questions, values put and their bytes, claims at once."""
_TICK: Final = 1.0
_STALLED: Final = 30.0
"""Seconds for the rest of a question, and for an answer to be taken."""
_AWAY: Final = 30.0
"""Seconds for which a database that was away is left alone."""
_RENEWALS: Final = 4
_LEAVE: Final = 5.0
_T = TypeVar("_T")


class Sharing:
    """What the scans of this process share with each other and, on PostgreSQL, with all others of the fleet.

    On SQLite, which is one machine's, the machine's own cache already serves all scans.
    """

    def __init__(self, database: Database, serving: Serving, metrics: Metrics) -> None:
        fleet = database.engine.dialect.name == "postgresql" and serving.remembered > 0
        self.metrics = metrics
        self.patience = serving.scan_seconds / 4
        self.renew_after = serving.lease_seconds / _RENEWALS
        self._all = Remembered(database, most=serving.remembered)
        self._leases = ClaimsOfFleet(database, seconds=serving.lease_seconds)
        self.remembered = self._all if fleet else None
        self.claims: Claims = self._leases if fleet else ClaimsHere()
        self._asked_again = 0.0

    @contextmanager
    def desk(self) -> Iterator[socket.socket]:
        """The end of a line for a scan's process, answered until the end of the block."""
        ours, theirs = socket.socketpair()
        desk = _Desk(self, ours)
        thread = threading.Thread(target=desk.work, name="desk", daemon=True)
        thread.start()
        try:
            yield theirs
        finally:
            theirs.close()
            desk.close()
            thread.join(_LEAVE)  # not for longer: the database may hang

    def tried(self, do: Callable[[], _T], otherwise: _T) -> _T:
        """What ``do`` gives; where the database is away that is ``otherwise``, for a while without asking."""
        if time.monotonic() < self._asked_again:
            return otherwise
        try:
            return do()
        except CgscanError as problem:
            self._asked_again = time.monotonic() + _AWAY
            say("nothing is shared for a while", reason=str(problem))
            return otherwise

    def tidy(self) -> None:
        """Keep to the bound, and delete what killed workers left; :class:`CgscanError`."""
        self._leases.tidy()
        gone = self._all.tidy()
        if gone:
            say("shared values forgotten", count=gone)


class _Desk:
    """Answers one scan."""

    def __init__(self, sharing: Sharing, line: socket.socket) -> None:
        line.settimeout(_STALLED)
        self._sharing = sharing
        self._line = line
        self._owner = secrets.token_hex(16)
        self._held: dict[str, float] = {}
        """Claims, and when they were made."""
        self._renewed = time.monotonic()
        self._questions = 0
        self._put = 0
        self._bytes = 0

    def close(self) -> None:
        """Answer no more."""
        try:
            self._line.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def work(self) -> None:
        """Answer until the scan is gone."""
        waiting = select.poll()
        waiting.register(self._line, select.POLLIN)
        try:
            while self._questions < _MOST_QUESTIONS:
                self._renew()
                if waiting.poll(1000 * min(_TICK, self._sharing.renew_after)):
                    self._questions += 1
                    send_answer(self._line, self._answer(receive_question(self._line)))
        except Broken:
            pass
        finally:
            self._line.close()
            for key in list(self._held):
                self._release(key)

    def _answer(self, question: Question) -> Answer:
        match question.ask:
            case Ask.GET:
                return self._get(question)
            case Ask.PUT:
                return Answer(self._remember(question))
            case Ask.CLAIM:
                return Answer(self._claim(question.key.hex()))
            case Ask.RELEASE:
                return Answer(self._release(question.key.hex()))

    def _get(self, question: Question) -> Answer:
        remembered = self._sharing.remembered
        if remembered is None:
            return Answer(yes=False)
        data = self._sharing.tried(lambda: remembered.get(question.kind, question.key), None)
        self._sharing.metrics.shared.labels(question.kind, "missing" if data is None else "found").inc()
        return Answer(yes=False) if data is None else Answer(yes=True, data=data)

    def _remember(self, question: Question) -> bool:
        remembered = self._sharing.remembered
        self._put += 1
        self._bytes += len(question.data)
        if remembered is None or self._put > _MOST_PUT or self._bytes > _MOST_BYTES:
            return False
        new = self._sharing.tried(lambda: remembered.put(question.kind, question.key, question.data), otherwise=False)
        if new:
            self._sharing.metrics.shared.labels(question.kind, "put").inc()
        return new

    def _claim(self, key: str) -> bool:
        """Whether the scan may go on; also where nobody can say who else does."""
        if len(self._held) >= _MOST_HELD:
            return True
        mine = self._sharing.tried(lambda: self._sharing.claims.claim(key, self._owner), otherwise=True)
        if mine:
            self._held.setdefault(key, time.monotonic())
        return mine

    def _release(self, key: str) -> bool:
        if self._held.pop(key, None) is None:
            return False
        self._sharing.tried(lambda: self._sharing.claims.release(key, self._owner), None)
        return True

    def _renew(self) -> None:
        """Now and then; but nothing is held for longer than others wait for it."""
        now = time.monotonic()
        if not self._held or now - self._renewed < self._sharing.renew_after:
            return
        self._renewed = now
        for key in [key for key, since in self._held.items() if now - since > self._sharing.patience]:
            self._release(key)
        self._sharing.tried(lambda: self._sharing.claims.renew(self._owner), None)
