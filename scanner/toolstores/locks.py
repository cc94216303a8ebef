"""The locks of the tools themselves, so that nothing is taken away under a tool that is at work.

* uv locks the whole cache (``.lock``): shared while it works, alone while it cleans. Versions that have no such file
  take no lock when they clean either.
* Poetry (CacheControl) locks what it writes in ``NAME.lock`` beside it, PDM an unpacked wheel in ``.lock`` inside it.
* pip has no locks: it writes beside and renames, and what it has open stays readable.

All of them are ``flock(2)``. A lock file that is not there is not made: it is the tool's own.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from scanner.errors import NotDeleted
from scanner.toolstores.places import Place

PATIENCE: Final = 10.0
"""Seconds for which a tool that is at work is waited for."""
_BETWEEN: Final = 0.05


@contextmanager
def locked(folder: Place, name: str, whose: str) -> Iterator[None]:
    """Hold a tool's lock alone, where there is one. :class:`scanner.errors.NotDeleted` where the tool keeps it."""
    descriptor = _opened(folder, name)
    if descriptor is None:
        yield
        return
    try:
        _wait(descriptor, f"{folder.path}/{name}", whose)
        yield
    finally:
        os.close(descriptor)


def _opened(folder: Place, name: str) -> int | None:
    try:
        return os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder.descriptor)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise NotDeleted(f"{folder.path}/{name}: cannot be locked: {problem.strerror or problem}") from problem


def _wait(descriptor: int, path: str, whose: str) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            if time.monotonic() >= until:
                raise NotDeleted(
                    f"{path}: not deleted: {whose} is at work there", hint="run it again when that has ended"
                ) from problem
            time.sleep(_BETWEEN)
        else:
            return
