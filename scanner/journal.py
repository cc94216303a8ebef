"""What a purge has done: a file with a JSON object in each line, each on the disk before the next deletion begins.

The first line of a run names its plan (``{"schema": …, "plan": …, "at": …}``), one line follows for each copy
(``{"key": …, "ended": …, "gone": …, "at": …}``), and ``{"finished": …}`` stands at the end. A run whose plan is that
of the last, unfinished one goes on where that stopped; a line that was cut off by a crash counts as not written.
One run at a time works with a journal.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from scanner.errors import UsageError

SCHEMA: Final = "cgscan-purge-journal/1"
_HEAD: Final = f'{{"schema": "{SCHEMA}"'.encode()
_LONGEST: Final = 64 * 1024
_LARGEST: Final = 1 << 30
_HINT: Final = "name another one with --journal FILE"


class Journal:
    """An open journal of one plan; ``done`` are the keys of what a run before this one saw gone."""

    def __init__(self, file: BinaryIO, done: set[str]) -> None:
        self._file = file
        self.done = done

    def write(self, **line: Any) -> None:
        """Add a line; it is on the disk when this returns."""
        self._file.write(json.dumps({**line, "at": _now()}, ensure_ascii=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@contextlib.contextmanager
def journal(path: Path, plan: str, *, goes_on: bool) -> Iterator[Journal]:
    """The journal of a plan (a digest of it), made where there is none. Without ``goes_on`` a run begins anew.

    :class:`scanner.errors.UsageError` where the file is none, or where another purge is at work with it.
    """
    with _opened(path) as file:
        lines = list(_lines(file, path))
        done = _unfinished(lines, plan) if goes_on else None
        _cut_torn(file)
        kept = Journal(file, done or set())
        if done is None:
            kept.write(schema=SCHEMA, plan=plan)
        yield kept


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as problem:
        raise UsageError(
            f"{path}: no journal can be kept there: {problem.strerror or problem}", hint=_HINT
        ) from problem
    with os.fdopen(descriptor, "a+b") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(f"{path}: no journal can be kept there: it is no file", hint=_HINT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise UsageError(f"{path}: another purge is at work with this journal", hint=_HINT) from problem
        yield file


def _lines(file: BinaryIO, path: Path) -> Iterator[dict[str, Any]]:
    """The lines that were written to their end. A file of anything else is not written to."""
    if os.fstat(file.fileno()).st_size > _LARGEST:
        raise UsageError(f"{path}: longer than {_LARGEST} bytes", hint=_HINT)
    file.seek(0)
    head = file.read(len(_HEAD))
    if not _HEAD.startswith(head):
        raise UsageError(f"{path}: no journal of cgscan purge ({SCHEMA})", hint=_HINT)
    file.seek(0)
    number = 0
    while raw := file.readline(_LONGEST):
        number += 1
        if not raw.endswith(b"\n") and not file.read(1):
            return  # cut off by a crash
        line = _line(raw)
        if line is None:
            raise UsageError(f"{path}: line {number} is none of a journal of cgscan purge", hint=_HINT)
        yield line


def _line(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _unfinished(lines: list[dict[str, Any]], plan: str) -> set[str] | None:
    """What the last run did, if it was of this plan and did not come to its end."""
    done: set[str] | None = None
    for line in lines:
        if "plan" in line:
            done = set() if line["plan"] == plan else None
        elif "finished" in line:
            done = None
        elif done is not None and isinstance(line.get("key"), str) and line.get("gone") is True:
            done.add(line["key"])
    return done


def _cut_torn(file: BinaryIO) -> None:
    """Without what a crash left of a last line."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - _LONGEST)
    file.seek(start)
    tail = file.read(end - start)
    if tail and not tail.endswith(b"\n"):
        file.truncate(start + tail.rfind(b"\n") + 1)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
