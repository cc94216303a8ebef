"""A stream that is read by a thread of its own, a bounded number of chunks before it is asked for.

Decompressing and hashing leave Python's lock alone, so a layer's bytes are expanded on one core while the entries in
them are looked at on another. Order, bytes and errors are those of the stream itself.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from typing import BinaryIO

_CHUNK: Final = 1024 * 1024
_CHUNKS: Final = 4
"""Together 4 MiB for each stream that is read ahead."""
_PATIENCE: Final = 1.0
"""Seconds to wait at the end for a read that is under way; one that takes longer ends when its source does."""


@contextmanager
def ahead(source: BinaryIO, *, chunk: int = _CHUNK, chunks: int = _CHUNKS) -> Iterator[BinaryIO]:
    """``source``, read ahead by no more than ``chunks`` reads of up to ``chunk`` bytes; forward reading only.

    What reading raises is raised where the bytes were asked for, after all that came before it. Nobody else may read
    the source before the block is left, which ends the thread. The source is not closed.
    """
    reader = _Ahead(source, chunk=chunk, chunks=chunks)
    try:
        yield cast("BinaryIO", reader)
    finally:
        reader.end()


class _Ahead(io.RawIOBase):
    """The end that is read, and the thread that fills it."""

    def __init__(self, source: BinaryIO, *, chunk: int, chunks: int) -> None:
        super().__init__()
        self._source = source
        self._size = chunk
        self._most = chunks
        self._changed = threading.Condition()
        self._ready: deque[bytes] = deque()
        self._over = False
        self._problem: BaseException | None = None
        self._unwanted = False
        self._rest = b""
        self._thread = threading.Thread(target=self._fill, name="read-ahead", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes, which may be fewer before the end; empty at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(self._size), b""))
        data = self._rest or self._next()
        self._rest = data[size:]
        return data[:size] if self._rest else data

    def end(self) -> None:
        """Want no more."""
        with self._changed:
            self._unwanted = True
            self._changed.notify()
        self._thread.join(_PATIENCE)

    def _next(self) -> bytes:
        with self._changed:
            while not self._ready and not self._over:
                self._changed.wait()
            if self._ready:
                if len(self._ready) == self._most:
                    self._changed.notify()
                return self._ready.popleft()
        if self._problem is not None:
            raise self._problem
        return b""

    def _fill(self) -> None:
        try:
            while (data := self._source.read(self._size)) and self._put(data):
                pass
        except BaseException as problem:  # noqa: BLE001 - raised again where the bytes are asked for
            self._problem = problem
        with self._changed:
            self._over = True
            self._changed.notify()

    def _put(self, data: bytes) -> bool:
        """Whether more is wanted."""
        with self._changed:
            while len(self._ready) == self._most and not self._unwanted:
                self._changed.wait()
            self._ready.append(data)
            if len(self._ready) == 1:
                self._changed.notify()
            return not self._unwanted
