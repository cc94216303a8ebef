"""Files on disk as sources read them: regular ones only, and windows into them.

A window reads with ``pread``, which leaves the file's position alone: any number of windows read
one open file at once, from any thread, and a file that is replaced meanwhile stays the same file.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from scanner.errors import AccessDenied, TargetError, TargetNotFound, TruncatedStream, UnsupportedTarget

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO


@contextmanager
def problems_with(path: Path) -> Iterator[None]:
    """Turn what the operating system says of ``path`` into errors of ours."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as problem:
        raise TargetNotFound(f"{path}: no such file or directory") from problem
    except PermissionError as problem:
        raise AccessDenied(f"{path}: not readable with these permissions") from problem
    except (OSError, RuntimeError) as problem:  # RuntimeError: a loop of symlinks, before Python 3.13
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else "a loop of symbolic links"
        raise TargetError(f"{path}: {why}") from problem


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file for reading; a pipe or device is refused before it can block.

    :class:`TargetNotFound`, :class:`AccessDenied`, :class:`UnsupportedTarget`.
    """
    with problems_with(path):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise UnsupportedTarget(f"{path}: {'a directory' if stat.S_ISDIR(mode) else 'no regular file'}")
    return os.fdopen(handle, "rb")


def size_of(file: BinaryIO) -> int:
    """The size of an open file in bytes."""
    return os.fstat(file.fileno()).st_size


class Window(io.RawIOBase):
    """``size`` bytes of ``file`` from ``start`` on, with a position of its own. Closing it leaves ``file`` open.

    ``what`` names it in errors. :class:`TruncatedStream` if the file ends inside the window.
    """

    def __init__(self, file: BinaryIO, start: int, size: int, *, what: str) -> None:
        super().__init__()
        self._file = file
        self._at = start
        self._end = start + size
        self._what = what

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        left = self._end - self._at
        if size < 0:
            return b"".join(iter(lambda: self.read(1024 * 1024), b""))
        try:
            data = os.pread(self._file.fileno(), min(size, left), self._at)
        except OSError as problem:
            raise TargetError(f"{self._what}: cannot be read ({problem.strerror})") from problem
        if not data and size and left:
            raise TruncatedStream(f"{self._what}: the file ends {left} bytes early")
        self._at += len(data)
        return data


def window(file: BinaryIO, start: int, size: int, *, what: str) -> BinaryIO:
    """A :class:`Window` as the type that readers take."""
    return cast("BinaryIO", Window(file, start, size, what=what))
