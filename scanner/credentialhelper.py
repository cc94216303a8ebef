"""A program that is asked for credentials: through no shell, bounded in time and output.

What it prints may be a secret: it is handed back and goes into no message. Its standard error is thrown away.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final

from scanner.errors import CgscanError

SECONDS: Final = 30.0
MOST_BYTES: Final = 64 * 1024
TOKEN_USER: Final = "<token>"  # noqa: S105 - the user name with which docker's helpers mark a token


class HelperFailed(CgscanError):
    """It could not be run, took too long or said too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helped:
    """How the program ended, and what it printed. Never shown."""

    status: int
    output: bytes

    def __repr__(self) -> str:
        return f"Helped(status={self.status}, …)"


def ask(command: Sequence[str], question: str, *, environment: Mapping[str, str], seconds: float = SECONDS) -> Helped:
    """Run a program (a path or a name on ``PATH``) with ``question`` as its standard input.

    Raises :class:`HelperFailed`; the program and all that it started is then ended.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell; the command is the user's own
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            process_group=0,
        )
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else "no such command"
        raise HelperFailed(f"{command[0]} cannot be run: {why}") from None
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(OSError):  # it may not care to read
                process.stdin.write(question.encode())
                process.stdin.close()
            end = time.monotonic() + seconds
            output = _read(process.stdout, end)
            if output is None or len(output) > MOST_BYTES:
                why = f"gave no answer in {seconds:g} s" if output is None else f"printed more than {MOST_BYTES} bytes"
                raise HelperFailed(f"{command[0]} {why}")
            return Helped(status=process.wait(max(0.0, end - time.monotonic()) + 1), output=output)
        except subprocess.TimeoutExpired:
            raise HelperFailed(f"{command[0]} did not end in {seconds:g} s") from None
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _read(stream: IO[bytes], end: float) -> bytes | None:
    """What comes until the end of the stream, one byte more than allowed at most; None where time is over first."""
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while len(data) <= MOST_BYTES:
            if not selector.select(max(0.0, end - time.monotonic())):
                return None
            part = os.read(stream.fileno(), MOST_BYTES + 1)
            if not part:
                break
            data += part
    return data
