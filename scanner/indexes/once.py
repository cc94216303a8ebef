"""One question, one answer: identical questions of several threads are asked once, and remembered."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from scanner.errors import CgscanError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_Key = TypeVar("_Key", bound="Hashable")
_Answer = TypeVar("_Answer")


class Once(Generic[_Key, _Answer]):
    """Answers by question. A failure that is a :class:`CgscanError` is an answer too; others are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[_Key, Future[_Answer]] = {}

    def __call__(self, key: _Key, ask: Callable[[], _Answer]) -> _Answer:
        """The remembered answer; else that of ``ask``, which other threads wait for."""
        with self._lock:
            future = self._answers.get(key)
            mine = future is None
            if future is None:
                future = self._answers[key] = Future()
        if mine:
            self._ask(key, future, ask)
        return future.result()

    def known(self, key: _Key) -> _Answer | None:
        """The answer if there is one already and it is no failure."""
        with self._lock:
            future = self._answers.get(key)
        if future is None or not future.done() or future.exception() is not None:
            return None
        return future.result()

    def all(self) -> dict[_Key, _Answer] | None:
        """All answers so far; None where one is a failure. What is being asked for is not waited for."""
        with self._lock:
            done = {key: future for key, future in self._answers.items() if future.done()}
        if any(future.exception() is not None for future in done.values()):
            return None
        return {key: future.result() for key, future in done.items()}

    def _ask(self, key: _Key, future: Future[_Answer], ask: Callable[[], _Answer]) -> None:
        try:
            future.set_result(ask())
        except BaseException as problem:  # noqa: BLE001 - handed to every thread that waits, this one first
            if not isinstance(problem, CgscanError):
                with self._lock:
                    self._answers.pop(key, None)
            future.set_exception(problem)
