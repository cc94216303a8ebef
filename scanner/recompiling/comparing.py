"""Workers, from this side: hand them pairs, wait no longer than allowed, throw away those that crash or hang."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from scanner.bytecode import Compared, Comparison
from scanner.finders.pairing import Pairing
from scanner.limits import Limits
from scanner.recompiling import worker
from scanner.recompiling.spool import Spool
from scanner.rootfs import RootFS
from scanner.threads import threads

Key = tuple[bytes, bytes, str]
_LEVELS: Final = {"": 0, "1": 1, "2": 2}
_ANSWERS: Final = {
    worker.SAME: Compared.SAME,
    worker.OTHER: Compared.OTHER,
    worker.HASH: Compared.HASH,
    worker.SOURCE: Compared.SOURCE,
    worker.UNLOADABLE: Compared.UNLOADABLE,
    worker.MEMORY: Compared.MEMORY,
}
_CHUNK: Final = 64 * 1024


def compare(rootfs: RootFS, spool: Spool, *, limits: Limits, jobs: int) -> Comparison:
    """Compile the sources of a tree again; what came of each that this Python would run, within ``code_seconds``."""
    wanted = sorted({key for pair in Pairing(rootfs).all() if (key := pair.key) is not None})
    deadline = time.monotonic() + limits.code_seconds
    parts = [wanted[start::jobs] for start in range(jobs)]
    with threads(jobs) as pool:
        found = pool.map(lambda part: _compared(part, spool, limits, deadline), parts)
        return {key: came for part in found for key, came in part.items()}


def _compared(keys: Sequence[Key], spool: Spool, limits: Limits, deadline: float) -> dict[Key, Compared]:
    found: dict[Key, Compared] = {}
    with closing(Worker(limits)) as asked:
        for key in keys:
            code, source = spool.read(key[0]), spool.read(key[1])
            if code is None or source is None:
                found[key] = Compared.NOT_KEPT
            elif time.monotonic() > deadline:
                found[key] = Compared.LATE
            else:
                found[key] = asked.ask(source, code, key[2])
    return found


class Worker:
    """One process that answers, started when it is needed and again after it was thrown away."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, source: bytes, code: bytes, level: str) -> Compared:
        """What comes of one pair."""
        question = worker.QUESTION.pack(_LEVELS[level], len(source), len(code)) + source + code
        deadline = time.monotonic() + self._limits.code_pair_seconds
        try:
            came = _talk(self._started(), question, deadline)
        except TimeoutError:
            came = Compared.SLOW
        except OSError:
            came = None
        if came is None or came is Compared.SLOW or came is Compared.MEMORY:
            self.close()  # what ran out of memory once has little left
        return came or Compared.CRASHED

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            seconds = max(1, int(self._limits.code_pair_seconds))
            self._process = subprocess.Popen(  # noqa: S603 - this Python, with a file of ours
                [
                    sys.executable,
                    *("-I", "-S", "-B", "-W", "ignore"),
                    str(Path(worker.__file__)),
                    str(self._limits.code_memory),
                    str(seconds),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env={},
            )
            for stream in (self._process.stdin, self._process.stdout):
                assert stream is not None
                os.set_blocking(stream.fileno(), False)
        return self._process

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()
        process.wait()


def _talk(process: subprocess.Popen[bytes], question: bytes, deadline: float) -> Compared | None:
    """Write the question, read the answer; None where the process ended. Raises TimeoutError and OSError."""
    assert process.stdin is not None
    assert process.stdout is not None
    to, back = process.stdin.fileno(), process.stdout.fileno()
    rest = memoryview(question)
    while rest:
        _await(to, select.POLLOUT, deadline)
        with suppress(BlockingIOError):
            rest = rest[os.write(to, rest[:_CHUNK]) :]
    _await(back, select.POLLIN, deadline)
    return _ANSWERS.get(os.read(back, 1))


def _await(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError
