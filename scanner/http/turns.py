"""How many requests one host may be busy with at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import httpx


class Turns:
    """At most ``most`` requests to a host at a time; who waits longer than ``seconds`` gives up.

    A slow host so keeps nobody from the others: the connections of the pool are enough for several.
    """

    def __init__(self, most: int, *, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._lock = threading.Lock()
        self._hosts: dict[str, threading.BoundedSemaphore] = {}

    @contextmanager
    def of(self, host: str) -> Iterator[Turn]:
        """Wait for a turn. It is over when the block is left, or with the answer that it was handed on to.

        Raises :class:`httpx.PoolTimeout`.
        """
        with self._lock:
            free = self._hosts.setdefault(host, threading.BoundedSemaphore(self._most))
        if not free.acquire(timeout=self._seconds):
            raise httpx.PoolTimeout("")
        turn = Turn(free)
        try:
            yield turn
        finally:
            turn.end_here()


class Turn:
    """One turn of a host's."""

    def __init__(self, free: threading.BoundedSemaphore) -> None:
        self._free = free
        self._is_handed_on = False

    def ends_with(self, response: httpx.Response) -> None:
        """Hand it on to an answer whose body is still to come."""
        response.stream = _Last(cast("httpx.SyncByteStream", response.stream), self._free)
        self._is_handed_on = True

    def end_here(self) -> None:
        """End it, unless it was handed on."""
        if not self._is_handed_on:
            self._free.release()


class _Last(httpx.SyncByteStream):
    """The body of an answer, with which a turn ends."""

    def __init__(self, stream: httpx.SyncByteStream, free: threading.BoundedSemaphore) -> None:
        self._stream = stream
        self._free = free
        self._lock = threading.Lock()
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        """Close the body and end the turn, once."""
        try:
            self._stream.close()
        finally:
            with self._lock:
                over, self._is_over = self._is_over, True
            if not over:
                self._free.release()
