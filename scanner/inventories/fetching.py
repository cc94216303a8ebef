"""Pieces of a layer that is not read as a whole: as few requests as possible, some of them at once.

Pieces that lie close together come with one request. Where a layer would need more requests than the limit ``ranges``,
or half of its bytes, it is better read as a whole, which also checks its digest.
"""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import BinaryIO, Final, cast

from scanner.compression import decompressed
from scanner.digest import CHUNK, Digest
from scanner.errors import DigestMismatch, TruncatedStream
from scanner.limits import KIB, MIB, Limits
from scanner.threads import threads
from scanner.toc import Listed, Part, Piece, Unlisted

_GAP: Final = 64 * KIB
"""Bytes between two pieces that cost less than another request."""
_REQUEST: Final = 2 * MIB
_AT_ONCE: Final = 8


@dataclass(slots=True)
class _Span:
    """Stored bytes from ``start`` up to ``end`` with pieces in it; longer than a request only where one piece is."""

    start: int
    end: int
    pieces: list[Piece] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many it takes."""
        return -(-(self.end - self.start) // _REQUEST)

    def takes(self, piece: Piece) -> bool:
        """Whether a piece comes with the same request."""
        end = max(self.end, piece.end)
        return self.start <= piece.start <= self.end + _GAP and end - self.start <= _REQUEST


def fetched(files: Sequence[Listed], part: Part, *, size: int, what: str, limits: Limits) -> Iterator[Iterable[bytes]]:
    """The content of each of ``files``, in their order; each is to be read to its end before the next.

    Raises :class:`Unlisted` where it is not worth it, before anything is asked; :class:`DigestMismatch` at the end of
    a file that is another than its table of contents says. ``size`` is the layer's, in stored bytes.
    """
    spans = _spans(piece for file in files for piece in file.pieces)
    _check_cost(spans, size=size, what=what, limits=limits)
    return _contents(files, spans, part, what, limits)


def _spans(pieces: Iterable[Piece]) -> list[_Span]:
    spans: list[_Span] = []
    for piece in pieces:
        if not spans or not spans[-1].takes(piece):
            spans.append(_Span(piece.start, piece.end))
        spans[-1].end = max(spans[-1].end, piece.end)
        spans[-1].pieces.append(piece)
    return spans


def _check_cost(spans: Sequence[_Span], *, size: int, what: str, limits: Limits) -> None:
    """What is asked for, and what it is decompressed to: a layer read whole is bounded in the same way."""
    stored = sum(span.end - span.start for span in spans)
    plain = sum(piece.skip + piece.size for span in spans for piece in span.pieces)
    if stored > size // 2 or sum(span.requests for span in spans) > limits.ranges:
        raise Unlisted(f"{what}: too much of it is needed")
    if plain > min(limits.expanded, max(limits.expansion_grace, stored * limits.expansion_ratio)):
        raise Unlisted(f"{what}: its table of contents stands for {plain} bytes")


def _contents(
    files: Sequence[Listed], spans: Sequence[_Span], part: Part, what: str, limits: Limits
) -> Iterator[Iterable[bytes]]:
    windows = _windows(spans, part)
    try:
        for file in files:
            yield _content(file, windows, f"{what}, {file.entry.name[:300]!r}", limits)
    finally:
        windows.close()


def _windows(spans: Sequence[_Span], part: Part) -> Generator[BinaryIO]:
    """The stored bytes of each piece, in order."""
    with threads(_AT_ONCE) as pool:
        waiting: deque[Future[bytes] | None] = deque()
        following = iter(spans)
        for span in spans:
            while len(waiting) < _AT_ONCE and (coming := next(following, None)) is not None:
                long = coming.requests > 1
                waiting.append(None if long else pool.submit(part, coming.start, coming.end))
            first = waiting.popleft()
            if first is None:
                yield from (cast("BinaryIO", _Long(piece, part)) for piece in span.pieces)
                continue
            data = first.result()
            for piece in span.pieces:
                yield io.BytesIO(data[piece.start - span.start : piece.end - span.start])


class _Long(io.RawIOBase):
    """A piece that is larger than a request should be, asked for as it is read."""

    def __init__(self, piece: Piece, part: Part) -> None:
        super().__init__()
        self._at, self._end = piece.start, piece.end
        self._part = part
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        if not self._rest and self._at < self._end:
            stop = min(self._at + _REQUEST, self._end)
            self._rest = self._part(self._at, stop)
            self._at = stop
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _content(file: Listed, windows: Iterator[BinaryIO], what: str, limits: Limits) -> Iterator[bytes]:
    """A file's bytes; at the end of each piece and of all they are held to the table's digests."""
    whole = hashlib.sha256()
    for piece in file.pieces:
        own = hashlib.sha256() if piece.sha256 is not None and len(file.pieces) > 1 else None
        plain = decompressed(next(windows), what=what, limits=limits)
        for chunk in _cut(plain, piece, what):
            whole.update(chunk)
            if own is not None:
                own.update(chunk)
            yield chunk
        if own is not None and own.digest() != piece.sha256:
            raise _mismatch(what, own.digest(), piece.sha256)
    if whole.digest() != file.sha256:
        raise _mismatch(what, whole.digest(), file.sha256)


def _cut(plain: BinaryIO, piece: Piece, what: str) -> Iterator[bytes]:
    """``size`` bytes after ``skip``; what stands behind them is other entries'."""
    for left, wanted in ((piece.skip, False), (piece.size, True)):
        rest = left
        while rest:
            data = plain.read(min(rest, CHUNK))
            if not data:
                raise TruncatedStream(f"{what}: shorter than its table of contents says")
            rest -= len(data)
            if wanted:
                yield data


def _mismatch(what: str, found: bytes, expected: bytes | None) -> DigestMismatch:
    said = Digest.sha256(expected or b"")
    return DigestMismatch(f"{what}: has digest {Digest.sha256(found)}, not {said} as in its table of contents")
