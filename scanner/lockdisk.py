"""Lock files on disk: read with those that they include, and written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.errors import CgscanError, LimitExceeded, UsageError
from scanner.indexes.credentials import shown
from scanner.lockfile import Include, Lock, PlannedLock
from scanner.lockfiles import read_lock

if TYPE_CHECKING:
    from scanner.limits import Limits


def read_locks(paths: Iterable[str], *, limits: Limits) -> list[tuple[str, Lock, list[str]]]:
    """The lock files and those that they include, each once, with notes on what is not read."""
    found: dict[Path, tuple[str, Lock, list[str]]] = {}
    for path in paths:
        _read_with_includes(Path(path), _folder(Path(path)), found, limits)
    return list(found.values())


def _folder(path: Path) -> Path:
    try:
        return path.resolve().parent
    except (OSError, RuntimeError, ValueError) as problem:
        raise UsageError(f"{path}: cannot be read: {problem}") from problem


def _read_with_includes(
    first: Path, folder: Path, found: dict[Path, tuple[str, Lock, list[str]]], limits: Limits
) -> None:
    queue = [first]
    while queue:
        path = queue.pop(0)
        place = path.resolve()
        if place in found:
            continue
        if len(found) >= limits.lock_files:
            raise LimitExceeded(f"{path}: more than {limits.lock_files} files (limit lock_files)")
        lock = read_lock(str(path), _bytes(path, limits), limits=limits)
        notes: list[str] = []
        found[place] = str(path), lock, notes
        for include in lock.includes:
            inside, why = _included(path, include, folder)
            if inside is None:
                notes.append(f"line {include.line}: {include.option} {shown(include.where)} is not read: {why}")
            else:
                queue.append(inside)


def _included(path: Path, include: Include, folder: Path) -> tuple[Path | None, str]:
    """The file that is included, or why it is not read."""
    if "://" in include.where:
        return None, "it is a URL"
    named = path.parent / include.where
    try:
        place = named.resolve()
        if not place.is_relative_to(folder):
            return None, "it lies outside of the folder"
        return (named, "") if place.is_file() else (None, "it is not there")
    except (OSError, RuntimeError, ValueError):
        return None, "it cannot be read"


def _bytes(path: Path, limits: Limits) -> bytes:
    """A whole file, and one byte more than the limit where it is longer."""
    try:
        # without waiting for the other end of a pipe
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{path}: no file")
            return file.read(limits.lock + 1)
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else problem
        raise UsageError(f"{path}: cannot be read: {why}") from problem


def write_lock(planned: PlannedLock) -> PlannedLock:
    """Write beside the place and rename, so that nobody reads half a file; links are followed, the mode is kept."""
    path = Path(planned.path)
    data = replace(planned.lock, text=planned.after).data
    try:
        place = path.resolve(strict=True)
        if place.read_bytes() != planned.lock.data:
            raise CgscanError(f"{path}: was changed in the meantime and is not written", hint="run it again")
        temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
        try:
            _write_like(place, temporary, data)
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as problem:
        raise CgscanError(f"{path}: cannot be written: {problem.strerror or problem}") from problem
    return replace(planned, written=True)


def _write_like(place: Path, temporary: Path, data: bytes) -> None:
    """A file with the mode of another, and its owner where that may be given."""
    known = place.stat()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        with suppress(OSError):
            os.fchown(descriptor, known.st_uid, known.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(known.st_mode))
        os.fsync(descriptor)
