"""Which files may hold Python code inside: told by their names and first bytes, while they are hashed.

Nearly every file is none, so the first look is at two bytes and the last letters of the name.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, TypeAlias

from scanner.compression import detect
from scanner.zips import START

Chunks: TypeAlias = Iterable[bytes | memoryview]
ZIP_NAMES: Final = (".zip", ".egg", ".pex", ".pyz", ".pyzw", ".shiv")
TAR_NAMES: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
_STARTS: Final = frozenset({b"PK", b"#!", b"\x7fE"})
_FIRST: Final = frozenset(start[0] for start in _STARTS)
_HEAD: Final = 64 * 1024
"""Enough for the shell script before the zip file of a PEX with ``--sh-boot``, which has 5 KiB."""
_SMALLEST: Final = 64
_SMALLEST_PROGRAM: Final = 128 * 1024
_BEHIND: Final = 64 * 1024
"""So much behind what an ELF program loads is more than section names and comments."""


class Suspect(enum.Enum):
    """What a file may be."""

    ZIP = "zip"
    TAR = "tar"
    PROGRAM = "program"
    """An ELF program with data behind what is loaded: what freezing tools make."""
    COMPILED = "compiled"
    """An ELF program, which may be compiled from Python."""


def suspected(name: str, size: int, chunks: Chunks) -> tuple[Suspect | None, Chunks]:
    """What a file may be, and all of its chunks."""
    if size < _SMALLEST:
        return None, chunks
    if name.endswith(TAR_NAMES):
        start, chunks = _head(chunks, 512)
        return (Suspect.TAR if detect(start) or start[257:262] == b"ustar" else None), chunks
    if isinstance(chunks, tuple) and chunks[0][0] not in _FIRST:  # the content is at hand: nearly always
        return None, chunks
    start, chunks = _head(chunks, 2)
    if start not in _STARTS:
        return None, chunks
    head, chunks = _head(chunks, min(size, _HEAD))
    return _of_head(name, size, head), chunks


def _of_head(name: str, size: int, head: bytes) -> Suspect | None:
    if head.startswith(START):
        return Suspect.ZIP if name.lower().endswith(ZIP_NAMES) or "." not in name else None
    if head.startswith(b"#!"):
        return Suspect.ZIP if START in head else None
    if head.startswith(b"\x7fELF") and ".so" not in name:
        if size < _SMALLEST_PROGRAM:
            return None
        return Suspect.PROGRAM if 0 < _loaded(head) < size - _BEHIND else Suspect.COMPILED
    return None


def _head(chunks: Chunks, size: int) -> tuple[bytes, Chunks]:
    """The first bytes, up to ``size`` where there are so many; and all of the chunks."""
    if isinstance(chunks, tuple) and len(chunks) == 1:  # the content is at hand: nearly always
        return bytes(chunks[0][:size]), chunks
    rest: Iterator[bytes | memoryview] = iter(chunks)
    first = next(rest, b"")
    while len(first) < size and (part := next(rest, None)) is not None:
        first = b"".join((first, part))
    return bytes(first[:size]), chain((first,), rest)


def _loaded(head: bytes) -> int:
    """How far the parts of an ELF program reach that are loaded; 0 for anything else."""
    try:
        wide, order = {1: False, 2: True}[head[4]], {1: "<", 2: ">"}[head[5]]
        offset, size, count = (
            (*struct.unpack_from(order + "Q", head, 32), *struct.unpack_from(order + "HH", head, 54))
            if wide
            else (*struct.unpack_from(order + "L", head, 28), *struct.unpack_from(order + "HH", head, 42))
        )
        end = 0
        for at in range(offset, offset + min(count, 64) * size, size or 1):
            kind, start, length = (
                (*struct.unpack_from(order + "L4xQ", head, at), *struct.unpack_from(order + "Q", head, at + 32))
                if wide
                else (*struct.unpack_from(order + "LL", head, at), *struct.unpack_from(order + "L", head, at + 16))
            )
            end = max(end, start + length) if kind == 1 else end
    except (KeyError, IndexError, struct.error):
        return 0
    return end
