"""huey wakes workers. What it carries is a wake and no more: which job is next, the database says.

So nothing is lost with it: a wake too few costs the time until :func:`Carrier.make_up` is next called, one too many
finds nothing to do. Nobody who answers a request waits for it either: a thread puts wakes there.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from huey import RedisHuey, SqliteHuey
from huey.api import Huey
from huey.registry import Message
from huey.serializer import Serializer

from scanner.errors import CgscanError, ConfigError

_NAME: Final = "cgscan"
_WAKE: Final = "cgscan.wake"
_MOST: Final = 1000
"""Wakes that wait at once, however many jobs do."""
_LEAVE: Final = 2.0
"""Seconds for the last wakes when a process ends."""


class _Plain(Serializer):  # type: ignore[misc] # huey has no types
    """A wake as JSON. huey's own way is pickle, with which whoever writes to Redis runs code in every worker."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps([data.id, data.name]).encode()

    def _deserialize(self, data: bytes) -> Message:
        task_id, name = json.loads(data)
        return Message(str(task_id), str(name), None, 0, 0, args=(), kwargs={}, retry_backoff=0)


class Carrier:
    """A queue of wakes: SQLite in ``folder``, or Redis by URL."""

    def __init__(self, url: str | None, folder: Path) -> None:
        self._huey = _opened(url, folder)
        self._work: Callable[[], None] = lambda: None
        self._task = self._huey.task(name=_WAKE)(self._run)
        self._wanted = 0
        self._closed = False
        self._changed = threading.Condition()
        self._waker = threading.Thread(target=self._wake_as_wanted, name="waker", daemon=True)
        self._waker.start()

    def _run(self) -> None:
        self._work()

    def wake(self, count: int = 1) -> None:
        """Have as many workers woken, soon. Where the queue is out of reach nothing happens: the jobs are there."""
        with self._changed:
            self._wanted = min(self._wanted + count, _MOST)
            self._changed.notify()

    def _wake_as_wanted(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._closed)
                count, self._wanted = self._wanted, 0
            if not count:
                return
            self._put(min(count, _MOST - self.waiting()))

    def _put(self, count: int) -> None:
        try:
            for _ in range(count):
                self._task()
        except Exception as problem:  # noqa: BLE001 - whatever the carrier raises, the jobs are safe
            logging.getLogger("cgscan").warning("queue out of reach: %s", type(problem).__name__)

    def make_up(self, due: int) -> None:
        """Put back wakes that were lost: there are to be as many as jobs that are due, up to a bound."""
        self._put(min(due, _MOST) - self.waiting())

    def waiting(self) -> int:
        """Wakes that nobody has taken yet; 0 where it cannot be asked."""
        try:
            return int(self._huey.pending_count())
        except Exception:  # noqa: BLE001 - as above
            return 0

    def take(self, work: Callable[[], None]) -> bool:
        """Take a wake and work; False where there is none. Redis waits up to a second for one."""
        self._work = work
        try:
            task = self._huey.dequeue()
        except Exception:  # noqa: BLE001 - as above; the caller looks into the database now and then
            return False
        if task is None:
            return False
        self._huey.execute(task)
        return True

    def check(self) -> None:
        """:class:`CgscanError` where the queue cannot be asked."""
        try:
            self._huey.pending_count()
        except Exception as problem:
            raise CgscanError(f"the queue: {type(problem).__name__}", hint="is Redis running?") from problem

    def close(self) -> None:
        """Let go of connections."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._waker.join(_LEAVE)
        self._huey.storage.close()


def _opened(url: str | None, folder: Path) -> Huey:
    options: dict[str, Any] = {"results": False, "store_none": False, "utc": True, "serializer": _Plain()}
    if url is None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return SqliteHuey(_NAME, filename=str(folder / "queue.sqlite"), fsync=False, timeout=10, **options)
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ConfigError("the URL of the queue is none of Redis", hint="write redis://HOST:6379/0")
    return RedisHuey(_NAME, url=url, **options)
