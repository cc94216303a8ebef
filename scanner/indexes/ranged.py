"""A remote file that is read where it is needed: seekable, fetched by byte ranges, each byte once.

A wheel's end tells nearly all of it: the zip directory stands last, and builders put dist-info just before it.
"""

from __future__ import annotations

import bisect
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scanner.errors import CgscanError
from scanner.http import RequestFailed, Stream
from scanner.limits import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable

AHEAD: Final = 64 * KIB
"""Bytes that a request asks for at least, once it is known that the end alone does not do; twice as many each time."""
_LONGEST_AHEAD: Final = 512 * KIB
MOST: Final = 16 * MIB
"""Bytes of all parts of one file: as many threads as read wheels may hold so much at once, and nearly none does."""
_SHORTEST_END: Final = 24 * KIB
_LONGEST_END: Final = 256 * KIB
UNKNOWN_END: Final = 48 * KIB
"""The end of a wheel whose size is not known."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class RangeBroken(CgscanError):
    """The answer to a range is not that range. The whole file may still be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes of a file from ``start`` on. ``total`` is the file's length; ``etag`` its version or empty."""

    start: int
    data: bytes
    total: int
    etag: str = ""


def end_of(size: int) -> int:
    """How many bytes from its end tell a wheel of ``size`` bytes: directory, RECORD and METADATA of most.

    Measured on PyPI's most downloaded: a sixteenth of a wheel of code, less of one of libraries or data.
    """
    return min(size, max(_SHORTEST_END, min(size // 16, _LONGEST_END)))


def suffix_header(length: int) -> dict[str, str]:
    """The header that asks for the last bytes. Some servers refuse it: PyPI's has, with 501."""
    return {"Range": f"bytes=-{length}"}


def range_header(start: int, end: int) -> dict[str, str]:
    """The header that asks for the bytes from ``start`` up to ``end`` (exclusive)."""
    return {"Range": f"bytes={start}-{end - 1}"}


def take_part(stream: Stream, *, start: int, end: int) -> Part:
    """The part that a 206 answer holds; :class:`RangeBroken` unless it is exactly what was asked for.

    ``end`` may lie behind the end of the file.
    """
    first, last, total = _said(stream)
    if first != start or last != min(end, total) - 1 or last < first:
        raise RangeBroken(f"asked for bytes {start}-{end - 1}, answered with {first}-{last}/{total}")
    return _taken(stream, first, last, total)


def take_suffix(stream: Stream, *, length: int) -> Part:
    """The same for the last ``length`` bytes, or all of a shorter file."""
    first, last, total = _said(stream)
    if last != total - 1 or first != max(0, total - length) or last < first:
        raise RangeBroken(f"asked for the last {length} bytes, answered with {first}-{last}/{total}")
    return _taken(stream, first, last, total)


def _said(stream: Stream) -> tuple[int, int, int]:
    """What an answer says that it holds: first and last byte, and the length of the file."""
    found = _CONTENT_RANGE.fullmatch(stream.headers.get("content-range", "").strip())
    if stream.status != 206 or not found or stream.headers.get("content-encoding", "identity") != "identity":
        raise RangeBroken("the answer to a range is none")
    first, last, total = (int(number) for number in found.groups())
    return first, last, total


def _taken(stream: Stream, first: int, last: int, total: int) -> Part:
    wanted = last - first + 1
    data = bytearray()
    try:
        while len(data) <= wanted and (chunk := stream.body.read(wanted + 1 - len(data))):
            data += chunk
    except RequestFailed as problem:
        raise RangeBroken(problem.message) from problem
    if len(data) != wanted:
        raise RangeBroken(f"asked for {wanted} bytes, got {'more' if len(data) > wanted else len(data)}")
    return Part(start=first, data=bytes(data), total=total, etag=stream.headers.get("etag", ""))


class RangedFile(io.RawIOBase):
    """The file as :mod:`zipfile` wants it. ``fetch(start, end)`` gets a part; at most ``most`` bytes are fetched.

    ``first`` is a part that is there already, and says how long the file is.
    """

    def __init__(self, first: Part, *, fetch: Callable[[int, int], Part], most: int = MOST) -> None:
        super().__init__()
        self._fetch = fetch
        self._left = most
        self._ahead = AHEAD
        self._at = 0
        self._total = first.total
        self._etag = first.etag
        self._parts: list[Part] = [first]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._total}[whence]
        if base + offset < 0:
            raise OSError(22, "a place before the start of the file")
        self._at = base + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Exactly ``size`` bytes, or what is left up to the end."""
        end = self._total if size < 0 else min(self._at + size, self._total)
        data = bytearray()
        while self._at < end:
            piece = self._piece(end)
            data += piece
            self._at += len(piece)
        return bytes(data)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _piece(self, end: int) -> bytes:
        """Some of the bytes from here to ``end``: those that are there, else those of a new part."""
        after = bisect.bisect_right(self._parts, self._at, key=lambda part: part.start)
        if after:
            part = self._parts[after - 1]
            inside = self._at - part.start
            if inside < len(part.data):
                return part.data[inside : inside + end - self._at]
        part = self._get(*self._window(after, end))
        self._parts.insert(after, part)
        inside = self._at - part.start
        return part.data[inside : inside + end - self._at]

    def _window(self, after: int, end: int) -> tuple[int, int]:
        """What to fetch: ahead; where that meets what is there, or the end, also what stands before.

        dist-info stands before the zip directory, and the directory is read from the end.
        """
        stop = self._parts[after].start if after < len(self._parts) else self._total
        last = min(max(end, self._at + self._ahead), stop)
        before = self._parts[after - 1] if after else None
        free = before.start + len(before.data) if before else 0
        return max(free, min(self._at, last - self._ahead)), last

    def _get(self, start: int, end: int) -> Part:
        self._left -= end - start
        if self._left < 0:
            raise RangeBroken("more of the file is needed than ranges are worth")
        self._ahead = min(2 * self._ahead, _LONGEST_AHEAD)
        part = self._fetch(start, end)
        if part.total != self._total or part.etag != self._etag:
            raise RangeBroken("the file changed between two requests")
        return part
