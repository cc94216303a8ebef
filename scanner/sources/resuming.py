"""A blob as one stream of bytes, however often the connection breaks under it.

Nothing is written to disk: the bytes go on where they stopped, so whoever hashes them just goes on.
Ranges are optional for registries (distribution-spec, "Pulling blobs"): 206 counts only with the right
``Content-Range``; 200 is the whole blob again, and what was given before is read over. Every start asks the
registry itself, so a signed URL that has run out is followed by a fresh one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Final

from scanner.digest import CHUNK
from scanner.errors import TargetError, TruncatedStream
from scanner.http import RequestFailed, Stream
from scanner.limits import MIB

if TYPE_CHECKING:
    from typing import BinaryIO

_RESUMES: Final = 5
_PROGRESS: Final = 16 * MIB
CONTENT_RANGE: Final = re.compile(r"bytes\s+([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.IGNORECASE)


class Passing(RequestFailed):
    """An answer that is none, and may be another when asked again."""


class ResumingBody(io.RawIOBase):
    """A blob's stored bytes, unverified. ``what`` names it in errors, ``size`` is what is promised.

    ``ask`` makes one request with these headers and gives an answer with status 200, 206 or 416; it raises
    :class:`RequestFailed` for what may be tried again and a :class:`TargetError` for what may not. After 5 breaks
    without 16 MiB between them :class:`TargetError`, or :class:`TruncatedStream` if there just is no more.
    """

    def __init__(
        self, ask: Callable[[Mapping[str, str]], AbstractContextManager[Stream]], *, size: int, what: str
    ) -> None:
        super().__init__()
        self._ask = ask
        self._size = size
        self._what = what
        self._request = ExitStack()
        self._ranges = True
        self._position = 0
        self._mark = 0
        self._left = _RESUMES + 1
        self._body = self._begin("no answer")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes, as they come; empty at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        while True:
            try:
                data = self._body.read(size)
            except RequestFailed as problem:
                self._body = self._begin(problem.message)
                continue
            if data or not size or self._position >= self._size:
                self._position += len(data)
                return data
            self._body = self._begin(None)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Free the connection."""
        self._request.close()
        super().close()

    def _begin(self, why: str | None) -> BinaryIO:
        """The bytes from here on. ``why`` the last ones ended; None: without a word."""
        if self._position - self._mark >= _PROGRESS:
            self._left = _RESUMES
        self._mark = self._position
        while self._left:
            self._left -= 1
            self._request.close()
            try:
                return self._connect()
            except RequestFailed as problem:
                why = problem.message
        where = f"{self._what}: ends after {self._position} of {self._size} bytes"
        if why is None:
            raise TruncatedStream(where)
        raise TargetError(f"{where}, {_RESUMES} new starts did not help ({why})")

    def _connect(self) -> BinaryIO:
        ranged = self._ranges and self._position > 0
        headers = {"Range": f"bytes={self._position}-"} if ranged else {}
        stream = self._request.enter_context(self._ask(headers))
        if stream.status == 200:
            _skip(stream.body, self._position)
        elif stream.status != 206 or not ranged or not self._is_rest(stream.headers.get("content-range", "")):
            self._ranges = False
            raise Passing(f"status {stream.status} with another part than the one that was asked for")
        return stream.body

    def _is_rest(self, content_range: str) -> bool:
        found = CONTENT_RANGE.fullmatch(content_range.strip())
        if not found or int(found[1]) != self._position or int(found[2]) < self._position:
            return False
        return found[3] == "*" or int(found[3]) == self._size


def _skip(body: BinaryIO, count: int) -> None:
    while count:
        data = body.read(min(count, CHUNK))
        if not data:
            raise Passing("the blob is shorter than before")
        count -= len(data)
