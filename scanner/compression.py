"""gzip, zstd, bzip2, xz or plain, told by their first bytes; bounded expansion.

Media types lie (``podman save`` labels plain tars ``+gzip``), so only the magic bytes count.
Several members or frames in a row are one stream; zeros after the last are padding; anything
else after it is an error, because another reader could see other files in it.
"""

from __future__ import annotations

import bz2
import io
import lzma
from typing import TYPE_CHECKING, Final, Protocol, cast

from backports import zstd
from isal import igzip_lib

from scanner.digest import CHUNK
from scanner.errors import LimitExceeded, MalformedArchive, TruncatedStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from scanner.limits import Limits

_SKIPPABLE: Final = tuple(bytes([low, 0x2A, 0x4D, 0x18]) for low in range(0x50, 0x60))
MAGIC: Final = {
    "gzip": (b"\x1f\x8b",),
    "zstd": (b"\x28\xb5\x2f\xfd", *_SKIPPABLE),
    "bzip2": (b"BZh",),
    "xz": (b"\xfd7zXZ\x00",),
}
_LONGEST: Final = 6
_DICTIONARY: Final = 160 * 1024 * 1024
"""Memory for one xz stream: enough for ``xz -9``, less than a header may ask for. zstd has such a bound itself."""
_IGZIP: Final = cast("type[Exception]", igzip_lib.error)  # its stub has an instance
_FAULTS: Final = (OSError, EOFError, ValueError, _IGZIP, zstd.ZstdError, lzma.LZMAError)


class _Decompressor(Protocol):
    """What the four libraries' incremental decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


def _gzip() -> _Decompressor:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_DICTIONARY)


_FACTORIES: Final[dict[str, Callable[[], _Decompressor]]] = {
    "gzip": _gzip,
    "zstd": zstd.ZstdDecompressor,
    "bzip2": bz2.BZ2Decompressor,
    "xz": _xz,
}


def detect(start: bytes) -> str | None:
    """The compression that ``start`` (six bytes or more) begins with; None is plain."""
    return next((name for name, magics in MAGIC.items() if start.startswith(magics)), None)


def decompressed(source: BinaryIO, *, what: str, limits: Limits) -> BinaryIO:
    """``source``'s bytes, decompressed if they are compressed; forward reading only.

    ``what`` names the stream in errors. :class:`LimitExceeded` for a bomb,
    :class:`TruncatedStream` and :class:`MalformedArchive` for what their names say.
    The source is not closed.
    """
    start = b""
    while len(start) < _LONGEST and (more := source.read(_LONGEST - len(start))):
        start += more
    kind = detect(start)
    if kind is None:
        return _Plain(start, source, what=what, limits=limits)  # type: ignore[return-value]
    return _Expanding(kind, start, source, what=what, limits=limits)  # type: ignore[return-value]


class _Plain(io.RawIOBase):
    """``start`` and then the rest of ``source``, bounded."""

    def __init__(self, start: bytes, source: BinaryIO, *, what: str, limits: Limits) -> None:
        super().__init__()
        self._start = start
        self._source = source
        self._what = what
        self._limits = limits
        self._count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
        else:
            data = self._source.read(size)
        self._count += len(data)
        if self._count > self._limits.expanded:
            raise LimitExceeded(f"{self._what}: more than {self._limits.expanded} bytes (limit expanded)")
        return data


class _Expanding(io.RawIOBase):
    """The decompressed bytes of ``start`` and then ``source``."""

    def __init__(self, kind: str, start: bytes, source: BinaryIO, *, what: str, limits: Limits) -> None:
        super().__init__()
        self._kind = kind
        self._pending = start
        self._source = source
        self._what = what
        self._limits = limits
        self._taken = len(start)
        self._given = 0
        self._stream: _Decompressor | None = _FACTORIES[kind]()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        while size and self._stream is not None:
            data = self._step(size)
            if data:
                self._given += len(data)
                self._check_bounds()
                return data
        return b""

    def _step(self, size: int) -> bytes:
        """Decompress once; may give nothing although the stream goes on."""
        assert self._stream is not None
        if self._stream.eof:
            self._next_member()
            return b""
        if self._stream.needs_input and not self._pending:
            self._pending = self._fetch()
            if not self._pending:
                raise TruncatedStream(f"{self._what}: {self._kind} data ends early")
        chunk, self._pending = self._pending, b""
        try:
            return self._stream.decompress(chunk, size)
        except _FAULTS as problem:
            raise MalformedArchive(f"{self._what}: damaged {self._kind} data ({problem})") from problem

    def _next_member(self) -> None:
        """Start on the next member or frame, or end at the end of the source."""
        assert self._stream is not None
        rest = self._stream.unused_data
        rest = rest or self._fetch()
        while rest and not rest.strip(b"\0"):
            rest = self._fetch()
        if not rest:
            self._stream = None
            return
        while len(rest) < _LONGEST and (more := self._fetch()):
            rest += more
        if detect(rest) != self._kind:
            raise MalformedArchive(f"{self._what}: bytes after the end of the {self._kind} data")
        self._stream = _FACTORIES[self._kind]()
        self._pending = rest

    def _fetch(self) -> bytes:
        data = self._source.read(CHUNK)
        self._taken += len(data)
        return data

    def _check_bounds(self) -> None:
        if self._given > self._limits.expanded:
            raise LimitExceeded(f"{self._what}: expands to more than {self._limits.expanded} bytes (limit expanded)")
        if self._given > self._limits.expansion_grace and self._given > self._taken * self._limits.expansion_ratio:
            raise LimitExceeded(
                f"{self._what}: expands more than {self._limits.expansion_ratio} times (limit expansion_ratio)"
            )
