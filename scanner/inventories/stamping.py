"""What is noted of sources and byte code while an inventory is taken, so that they can be compared later.

The header of a ``.pyc`` is its first bytes and costs nothing. The hash of a source costs reading it as a whole: that is
done from the first byte code in a layer on that is bound to its source by a hash, and only for its version of Python.
A source that stands before it, or in another layer, has no hash; byte code with a checked hash is then left to
Python, which compares it at every import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, TypeAlias

from scanner.bytecode import HEADER, hash_magic, source_stamp
from scanner.limits import Limits

PYTHON_FILES: Final = (".py", ".pyc")
KeepCode: TypeAlias = Callable[[str, bytes, bytes], None]
"""Gets the name, the raw sha256 and the bytes of every source and byte code of no more than ``kept_file``."""


class Stamping:
    """The stamps of one layer."""

    def __init__(self, *, limits: Limits, keep: KeepCode | None) -> None:
        self._most = limits.kept_file
        self._keep = keep
        self._magic: bytes | None = None

    def wants(self, name: str, size: int) -> bool:
        """Whether the bytes of a Python file are needed as a whole."""
        if self._keep is None and (self._magic is None or name.endswith(".pyc")):
            return False
        return size <= self._most

    def see(self, stamp: bytes) -> None:
        """Note the header of byte code."""
        if len(stamp) == HEADER and stamp[4] & 1:
            self._magic = hash_magic(stamp) or self._magic

    def take(self, name: str, sha256: bytes, data: bytes) -> bytes:
        """The stamp of a Python file whose bytes are at hand."""
        if self._keep is not None and len(data) <= self._most:
            self._keep(name, sha256, data)
        if name.endswith(".pyc"):
            self.see(data[:HEADER])
            return data[:HEADER]
        return source_stamp(self._magic, data) if self._magic is not None else b""


def stamped(chunks: Iterable[bytes | memoryview]) -> tuple[bytes, Iterable[bytes | memoryview]]:
    """The first 16 bytes, and all of the chunks."""
    if isinstance(chunks, tuple) and len(chunks) == 1:  # the content is at hand: nearly always
        return bytes(chunks[0][:HEADER]), chunks
    rest: Iterator[bytes | memoryview] = iter(chunks)
    first = b""
    while len(first) < HEADER and (part := next(rest, None)) is not None:
        first += part
    return first[:HEADER], chain((first,), rest)
