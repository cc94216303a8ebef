"""What the name and the header of a ``.pyc`` say: which Python made it, from which source, and whether Python runs it.

The name: ``__pycache__/x.cpython-311.opt-1.pyc`` belongs to ``x.py`` (PEP 3147, PEP 488). The header: a magic number
for the version of Python, then what binds the file to its source: the source's time and size, or a hash of it that
Python checks or does not check (PEP 552). Python 3.3 to 3.6 have 12 bytes of it, older ones 8. The magic numbers are
those of CPython's ``importlib/_bootstrap_external.py``.
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

HEADER: Final = 16
"""Bytes of the longest header."""
UNREAD: Final = bytes(HEADER + 1)
"""The stamp of a file that was not read: no header is that long. Nothing is said of it."""
CACHE: Final = "__pycache__"
_ENDING: Final = re.compile(r"(?P<tag>[^.]+(?:\.[^.]+)*?)(?:\.opt-(?P<level>[^.]*))?\.pyc")
"""What follows the first dot of a name."""
_TAG: Final = re.compile(r"(?:cpython-|pypy)(\d)(\d+)")
_LAST: Final = (
    (3131, "3.0"),
    (3151, "3.1"),
    (3180, "3.2"),
    (3230, "3.3"),
    (3310, "3.4"),
    (3351, "3.5"),
    (3379, "3.6"),
    (3394, "3.7"),
    (3413, "3.8"),
    (3425, "3.9"),
    (3439, "3.10"),
)
"""The last magic number of each version; from 3.11 on a version has fifty numbers of its own."""
_FIELDS: Final = struct.Struct("<III")
"""What follows the magic number in the longest header."""
_TIME_AND_SIZE: Final = struct.Struct("<II")
_MOST_REMEMBERED: Final = 1024
"""Endings and magic numbers that are worked out once: an image has a hundred thousand .pyc files and a few of both."""
_FIRST_WITH_SIZE: Final = 3210
_FIRST_WITH_FLAGS: Final = 3392
_FIRST_WITH_SIPHASH13: Final = 3450
_PYTHON_2: Final = 50000


class Binding(enum.Enum):
    """What binds byte code to its source."""

    TIMESTAMP = "timestamp"
    CHECKED = "checked hash"
    UNCHECKED = "unchecked hash"
    DAMAGED = "damaged"
    UNREAD = "not read"


class Fault(enum.Enum):
    """Why a ``.pyc`` is not, or not surely, the byte code of the source beside it."""

    DAMAGED = "damaged"
    PYTHON = "another Python's"
    TIME = "time"
    SIZE = "size"
    HASH = "hash"
    UNCHECKED = "unchecked"
    UNCHECKED_HASH = "unchecked, and the hash is another's"
    CODE = "code"
    SOURCE = "a source that is none"
    UNLOADABLE = "unloadable"


class Compared(enum.Enum):
    """What came of compiling a source again. All after ``UNLOADABLE``: it could not be compared."""

    SAME = "same"
    OTHER = "other"
    HASH = "hash"
    SOURCE = "source"
    UNLOADABLE = "unloadable"
    MEMORY = "it takes more memory or depth than is allowed"
    CRASHED = "Python crashed over it"
    SLOW = "it takes more time than is allowed"
    LATE = "the limit code_seconds is used up"
    NOT_KEPT = "it is larger than the limits kept_file and code_kept allow, or the disk is full"


Comparison: TypeAlias = Mapping[tuple[bytes, bytes, str], Compared]
"""By raw sha256 of byte code and source, and level of optimization (``""``, ``"1"``, ``"2"``)."""


class CodeName(NamedTuple):
    """The name of a file in ``__pycache__``. ``level`` is that of optimization, empty for none."""

    stem: str
    tag: str
    level: str

    @classmethod
    def parse(cls, name: str) -> CodeName | None:
        """Read a file name; None for one that is none of byte code."""
        stem, _, ending = name.partition(".")
        parts = _parts_of(ending) if stem and len(name) <= 255 else None
        return cls(stem, *parts) if parts else None

    @property
    def python(self) -> str | None:
        """``3.11`` for ``cpython-311``; None where the tag tells no version."""
        return _python_of_tag(self.tag)


@lru_cache(_MOST_REMEMBERED)
def _parts_of(ending: str) -> tuple[str, str] | None:
    """Tag and level of what follows the stem and its dot."""
    found = _ENDING.fullmatch(ending)
    return (found["tag"], found["level"] or "") if found else None


@lru_cache(_MOST_REMEMBERED)
def _python_of_tag(tag: str) -> str | None:
    found = _TAG.match(tag)
    return f"{found[1]}.{found[2]}" if found else None


class Header(NamedTuple):
    """What the header says. ``python`` is None for a magic number that is not CPython's.

    ``mtime`` (seconds) and ``size`` (bytes) of the source are modulo 2**32; ``size`` is None where the format has none.
    ``source_hash`` is 8 bytes raw.
    """

    magic: bytes
    python: str | None
    binding: Binding
    mtime: int = 0
    size: int | None = None
    source_hash: bytes = b""

    @property
    def beside(self) -> bool:
        """Whether this Python reads ``x.pyc`` beside ``x.py`` rather than in ``__pycache__``."""
        return self.python in ("2", "3.0", "3.1")


def read_header(stamp: bytes, tag_python: str | None = None) -> Header:
    """The header in the first 16 bytes; ``tag_python`` is what the file's name says of its version."""
    if stamp == UNREAD:
        return Header(b"", None, Binding.UNREAD)
    magic = stamp[:4]
    python, length = _format_of(magic, tag_python)
    if not length or len(stamp) < length:
        return Header(magic, python, Binding.DAMAGED)
    if length < HEADER:
        size = _number(stamp[8:12]) if length == 12 else None
        return Header(magic, python, Binding.TIMESTAMP, mtime=_number(stamp[4:8]), size=size)
    flags, mtime, size = _FIELDS.unpack_from(stamp, 4)
    if flags & ~0b11:
        return Header(magic, python, Binding.DAMAGED)
    if not flags & 0b01:
        return Header(magic, python, Binding.TIMESTAMP, mtime, size)
    binding = Binding.CHECKED if flags & 0b10 else Binding.UNCHECKED
    return Header(magic, python, binding, source_hash=stamp[8:16])


@lru_cache(_MOST_REMEMBERED)
def _format_of(magic: bytes, tag_python: str | None) -> tuple[str | None, int]:
    """The version of Python, and how many bytes its header has: 0 where it is no magic number."""
    if len(magic) < 4 or magic[2:] != b"\r\n":
        return None, 0
    number = _number(magic[:2])
    python = _python_of(number)
    return python, _length(number) if python else _length_by_tag(tag_python)


def is_of_time_and_size(stamp: bytes, tag_python: str | None, mtime: int, size: int) -> bool:
    """Whether a header fits its source as nearly all do: the one that Python 3.7 and later write for time and size.

    It says no more than that :func:`fault_of` finds no fault, and says it sooner.
    """
    return stamp[8:] == _TIME_AND_SIZE.pack(mtime & 0xFFFF_FFFF, size & 0xFFFF_FFFF) and _is_timed(
        stamp[:8], tag_python
    )


@lru_cache(_MOST_REMEMBERED)
def _is_timed(start: bytes, tag_python: str | None) -> bool:
    """Whether a header starts as that of the Python of its name, for a source's time and size."""
    header = read_header(start + bytes(8), tag_python)
    right_python = not tag_python or not header.python or tag_python == header.python
    return header.binding is Binding.TIMESTAMP and _format_of(header.magic, tag_python)[1] == HEADER and right_python


def fault_of(header: Header, *, tag_python: str | None, mtime: int, size: int, source_stamp: bytes) -> Fault | None:
    """What is wrong with byte code for a source of this time, size and stamp; None where the header fits.

    A hash that there is nothing to compare with is no fault if Python itself checks it.
    """
    if header.binding in (Binding.DAMAGED, Binding.UNREAD):
        return Fault.DAMAGED if header.binding is Binding.DAMAGED else None
    if tag_python and header.python and tag_python != header.python:
        return Fault.PYTHON
    if header.binding is Binding.TIMESTAMP:
        if header.size is not None and header.size != size & 0xFFFF_FFFF:
            return Fault.SIZE
        timed = source_stamp != UNREAD  # tables of contents round the time
        return Fault.TIME if timed and header.mtime != mtime & 0xFFFF_FFFF else None
    comparable = source_stamp[:4] == header.magic
    other = comparable and source_stamp[8:16] != header.source_hash
    if header.binding is Binding.CHECKED:
        return Fault.HASH if other else None
    return Fault.UNCHECKED_HASH if other else Fault.UNCHECKED


def hash_magic(stamp: bytes) -> bytes | None:
    """The magic number of byte code that is bound to its source by a hash which can be computed here."""
    header = read_header(stamp)
    number = int.from_bytes(stamp[:2], "little")
    known = header.python is not None and _FIRST_WITH_SIPHASH13 <= number < _PYTHON_2
    return header.magic if header.source_hash and known else None


def source_stamp(magic: bytes, source: bytes) -> bytes:
    """The header of byte code that is bound to ``source`` by a checked hash.

    The hash is SipHash-1-3 of the bytes with the magic number as key: that of Python 3.11 and later.
    """
    import _imp  # noqa: PLC0415 - what importlib.util.source_hash calls, with another Python's magic number as key

    return magic + b"\3\0\0\0" + _imp.source_hash(int.from_bytes(magic, "little"), source)


def _number(field: bytes) -> int:
    return int.from_bytes(field, "little")


def _python_of(number: int) -> str | None:
    if number >= _PYTHON_2:
        return "2"
    if number < 3000:
        return None  # PyPy and others count for themselves
    for last, version in _LAST:
        if number <= last:
            return version
    return f"3.{(number - 2900) // 50}" if number >= 3450 else None


def _length(number: int) -> int:
    if number >= _PYTHON_2 or number < _FIRST_WITH_SIZE:
        return 8
    return 12 if number < _FIRST_WITH_FLAGS else HEADER


def _length_by_tag(python: str | None) -> int:
    """Of other implementations, which follow CPython's format of the version that they implement."""
    if python is None:
        return HEADER
    major, _, minor = python.partition(".")
    version = (int(major), int(minor))
    return 8 if version < (3, 3) else 12 if version < (3, 7) else HEADER
