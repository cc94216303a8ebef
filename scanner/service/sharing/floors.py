"""A store of two floors, for the process of a scan: the machine's own cache in front, the fleet's behind it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from scanner.service.sharing.wire import (
    KINDS,
    MOST,
    Answer,
    Ask,
    Broken,
    Question,
    key_of,
    receive_answer,
    send_question,
)
from scanner.store import Store

_PATIENCE: Final = 60.0
"""Seconds for one answer. A worker that does not answer is not asked again."""
_LOOK: Final = (0.05, 1.0)
"""Seconds between looks at what another scan is making: at first, and at most."""
_T = TypeVar("_T")


class Floors:
    """A :class:`scanner.store.Claiming` store. What the fleet has is put into the machine's cache.

    ``line`` leads to the worker's :mod:`desk <scanner.service.sharing.desk>`; without an answer it is the front alone.
    Nobody waits longer than ``patience`` seconds for one layer that another scan reads.
    """

    def __init__(self, front: Store, line: socket.socket, *, patience: float) -> None:
        line.settimeout(_PATIENCE)
        self._front = front
        self._line: socket.socket | None = line
        self._patience = patience
        self._lock = threading.Lock()

    def get(self, kind: str, key: str) -> bytes | None:
        """What is there, on either floor."""
        data = self._front.get(kind, key)
        if data is not None or kind not in KINDS:
            return data
        answer = self._ask(Question(Ask.GET, kind, key_of(kind, key)))
        if answer is None or not answer.yes:
            return None
        self._front.put(kind, key, answer.data)
        return answer.data

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Remember ``data`` on both floors."""
        self._front.put(kind, key, data)
        if kind in KINDS and len(data) <= MOST:
            self._ask(Question(Ask.PUT, kind, key_of(kind, key), data))

    def change(self, kind: str, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """What is changed is the machine's own."""
        self._front.change(kind, key, change)

    @contextmanager
    def claimed(self, kind: str, key: str, look: Callable[[], _T | None]) -> Iterator[_T | None]:
        """What ``look`` finds, now or when another scan has made it; None where this one is to make it."""
        token = key_of(kind, key)
        held, until, pause = False, time.monotonic() + self._patience, _LOOK[0]
        while not held and time.monotonic() < until:
            answer = self._ask(Question(Ask.CLAIM, kind, token))
            if answer is None:
                break
            held = answer.yes
            known = look()  # also when it is ours: it may have been made between the look before and the claim
            if known is not None:
                if held:
                    self._ask(Question(Ask.RELEASE, kind, token))
                yield known
                return
            if not held:
                time.sleep(pause)
                pause = min(2 * pause, _LOOK[1])
        try:
            yield None
        finally:
            if held:
                self._ask(Question(Ask.RELEASE, kind, token))

    def _ask(self, question: Question) -> Answer | None:
        """None where nobody answers."""
        with self._lock:
            if self._line is None:
                return None
            try:
                send_question(self._line, question)
                return receive_answer(self._line)
            except Broken:
                self._line.close()
                self._line = None
                return None
