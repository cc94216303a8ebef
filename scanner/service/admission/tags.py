"""Tag -> digest, asked of registries with our own credentials, within a time limit and from a small memory.

Each question is a thread of its own that nobody has to wait for: what comes late is there for the next review. How many
there are is bounded, in all and for one host, so that a registry that never answers costs the others nothing.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Final

from scanner.digest import Digest
from scanner.errors import CgscanError
from scanner.reference import ImageName
from scanner.service.child import may_pass
from scanner.sources.options import SourceOptions

KEPT: Final = 10.0
"""Seconds that a tag is taken to mean what it meant."""
_KEPT_REFUSAL: Final = 2.0
"""The same where it came to no digest: the image may just have been pushed."""
_MOST_KEPT: Final = 2000
_AT_ONCE: Final = 64
_AT_HOST: Final = 16


class Unresolved(Exception):
    """No digest; why, and whether that may pass."""

    def __init__(self, reason: str, *, passing: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    answer: Future[str]
    until: float


class Tags:
    """Resolves tags. ``seconds`` is how long one request to a registry may take."""

    def __init__(self, source: SourceOptions, *, seconds: float) -> None:
        self._source = replace(source, limits=replace(source.limits, request_seconds=seconds))
        self._lock = threading.Lock()
        self._remembered: dict[str, _Remembered] = {}
        self._asking: Counter[str] = Counter()

    def begin(self, name: ImageName) -> Future[str]:
        """The digest to come, or :class:`Unresolved`; the same question is asked once at a time."""
        key, now = str(name), time.monotonic()
        with self._lock:
            known = self._remembered.get(key)
            if known is not None and known.until > now:
                return known.answer
            answer: Future[str] = Future()
            if self._asking.total() >= _AT_ONCE or self._asking[name.host] >= _AT_HOST:
                answer.set_exception(Unresolved("too many tags are being resolved", passing=True))
                return answer
            self._make_room(now)
            self._remembered[key] = _Remembered(answer=answer, until=math.inf)
            self._asking[name.host] += 1
        threading.Thread(target=self._ask, args=(name, key, answer), name="tag", daemon=True).start()
        return answer

    def _make_room(self, now: float) -> None:
        if len(self._remembered) >= _MOST_KEPT:
            self._remembered = {key: one for key, one in self._remembered.items() if one.until > now}
        while len(self._remembered) >= _MOST_KEPT:
            del self._remembered[next(key for key, one in self._remembered.items() if one.until != math.inf)]

    def _ask(self, name: ImageName, key: str, answer: Future[str]) -> None:
        digest, problem = self._resolved(name)
        kept = KEPT if digest else _KEPT_REFUSAL
        with self._lock:
            self._remembered[key] = _Remembered(answer=answer, until=time.monotonic() + kept)
            self._asking[name.host] -= 1
        if problem is not None:
            answer.set_exception(problem)
        else:
            answer.set_result(str(digest))

    def _resolved(self, name: ImageName) -> tuple[Digest | None, Unresolved | None]:
        from scanner.sources.registry import resolve  # noqa: PLC0415 - slow to import

        try:
            return resolve(name, options=self._source), None
        except CgscanError as problem:
            return None, Unresolved(problem.message, passing=may_pass(problem))
        except Exception as problem:  # noqa: BLE001 - a fault of ours is a reason like any other
            return None, Unresolved(f"unexpected: {type(problem).__name__}", passing=True)
