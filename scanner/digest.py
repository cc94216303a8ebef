"""Digests as values, and streams that verify themselves while they are read.

The text form is OCI's ``algorithm:hex`` (image-spec, descriptor.md#digests). Only
algorithms whose collisions nobody can make count as proof: sha256, sha384, sha512.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from scanner.errors import DigestMismatch, TruncatedStream, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

STRONG: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_TEXT = re.compile(r"(?P<algorithm>sha256|sha384|sha512):(?P<hex>[0-9a-fA-F]+)")
CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A digest of bytes: algorithm name and lower-case hex. Its text is ``algorithm:hex``."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``algorithm:hex``; :class:`UsageError` for anything else.

        The grammar is closed, so that a digest can stand in a path (CVE-2024-3727).
        """
        found = _TEXT.fullmatch(text)
        if not found or len(found["hex"]) != STRONG[found["algorithm"]]:
            raise UsageError(f"not a digest: {text[:100]!r}")
        return cls(found["algorithm"], found["hex"].lower())

    @classmethod
    def sha256(cls, raw: bytes) -> Self:
        """The value for a raw 32-byte sha256."""
        return cls("sha256", raw.hex())

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The sha256 of ``data``."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    @property
    def raw(self) -> bytes:
        """The digest's bytes."""
        return bytes.fromhex(self.hex)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


class VerifyingReader(io.RawIOBase):
    """A binary stream that is ``source``'s bytes and raises unless they are the promised ones.

    ``expected`` is their digest, ``size`` their number if known, ``what`` names them in errors.
    Reading past ``size`` raises :class:`DigestMismatch` at once; the end of the stream raises
    :class:`TruncatedStream` (too short) or :class:`DigestMismatch` (other bytes).
    ``on_read`` is told the length of every chunk. The source is not closed.
    """

    def __init__(
        self,
        source: BinaryIO,
        *,
        expected: Digest,
        what: str,
        size: int | None = None,
        on_read: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__()
        self._source = source
        self._expected = expected
        self._size = size
        self._what = what
        self._hash = hashlib.new(expected.algorithm)
        self._count = 0
        self._on_read = on_read
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes; empty at the verified end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        data = self._source.read(size)
        if data:
            self._take(data)
        elif size and not self._ended:
            self._end()
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def drain(self) -> None:
        """Read what is left, so that every byte is verified."""
        while self.read(CHUNK):
            pass

    def _take(self, data: bytes) -> None:
        self._hash.update(data)
        self._count += len(data)
        if self._size is not None and self._count > self._size:
            raise DigestMismatch(f"{self._what}: more than the promised {self._size} bytes")
        if self._on_read:
            self._on_read(len(data))

    def _end(self) -> None:
        self._ended = True
        if self._size is not None and self._count < self._size:
            raise TruncatedStream(f"{self._what}: ends after {self._count} of {self._size} bytes")
        if self._hash.hexdigest() != self._expected.hex:
            raise DigestMismatch(
                f"{self._what}: has digest {self._expected.algorithm}:{self._hash.hexdigest()}, not {self._expected}"
            )
