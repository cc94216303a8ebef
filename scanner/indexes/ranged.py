"""A remote file that is read where it is needed: seekable, fetched by byte ranges, each byte once.

Only absolute ranges are asked for: PyPI's file host refuses suffix ranges (``bytes=-N``) with 501.
"""

from __future__ import annotations

import bisect
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scanner.errors import CgscanError
from scanner.http import RequestFailed, Stream
from scanner.limits import KIB

if TYPE_CHECKING:
    from collections.abc import Callable

AHEAD: Final = 64 * KIB
"""Bytes that one request asks for at least: zip directory, RECORD and METADATA of most wheels."""
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


def range_header(start: int, end: int) -> dict[str, str]:
    """The header that asks for the bytes from ``start`` up to ``end`` (exclusive)."""
    return {"Range": f"bytes={start}-{end - 1}"}


def take_part(stream: Stream, *, start: int, end: int) -> Part:
    """The part that a 206 answer holds; :class:`RangeBroken` unless it is exactly what was asked for.

    ``end`` may lie behind the end of the file.
    """
    found = _CONTENT_RANGE.fullmatch(stream.headers.get("content-range", "").strip())
    if stream.status != 206 or not found or stream.headers.get("content-encoding", "identity") != "identity":
        raise RangeBroken("the answer to a range is none")
    first, last, total = (int(number) for number in found.groups())
    if first != start or last != min(end, total) - 1 or last < first:
        raise RangeBroken(f"asked for bytes {start}-{end - 1}, answered with {found[0]!r}")
    wanted = last - first + 1
    data = bytearray()
    try:
        while len(data) <= wanted and (chunk := stream.body.read(wanted + 1 - len(data))):
            data += chunk
    except RequestFailed as problem:
        raise RangeBroken(problem.message) from problem
    if len(data) != wanted:
        raise RangeBroken(f"asked for {wanted} bytes, got {'more' if len(data) > wanted else len(data)}")
    return Part(start=start, data=bytes(data), total=total, etag=stream.headers.get("etag", ""))


class RangedFile(io.RawIOBase):
    """The file as :mod:`zipfile` wants it. ``fetch(start, end)`` gets a part; at most ``most`` bytes are fetched.

    ``first`` is a part that is there already, and says how long the file is.
    """

    def __init__(self, first: Part, *, fetch: Callable[[int, int], Part], most: int) -> None:
        super().__init__()
        self._fetch = fetch
        self._left = most
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
        last = min(max(end, self._at + AHEAD), stop)
        before = self._parts[after - 1] if after else None
        free = before.start + len(before.data) if before else 0
        return max(free, min(self._at, last - AHEAD)), last

    def _get(self, start: int, end: int) -> Part:
        self._left -= end - start
        if self._left < 0:
            raise RangeBroken("more of the file is needed than ranges are worth")
        part = self._fetch(start, end)
        if part.total != self._total or part.etag != self._etag:
            raise RangeBroken("the file changed between two requests")
        return part
