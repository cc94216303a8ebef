"""Decompression: every form, every damage, and bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO, cast

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.compression import decompressed, detect
from scanner.errors import LimitExceeded, MalformedArchive, TruncatedStream, UntrustedContent
from scanner.limits import DEFAULT_LIMITS, KIB, MIB, Limits

TEXT = b"".join(b"line %d of a text that packs well\n" % number for number in range(3000))
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": lambda data: zstd.compress(
        data, options={zstd.CompressionParameter.checksum_flag: 1, zstd.CompressionParameter.compression_level: 3}
    ),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"


class Slow(io.RawIOBase):
    """Gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__()
        self._source, self._step = io.BytesIO(data), step

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._source.read(min(size, self._step) if size >= 0 else self._step)


def plain(data: bytes, *, step: int = MIB, size: int = MIB, limits: Limits = DEFAULT_LIMITS) -> bytes:
    stream = decompressed(cast("BinaryIO", Slow(data, step)), what="test", limits=limits)
    return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("step", [1, 7, 100, MIB])
def test_every_form(kind: str, step: int) -> None:
    packed = PACK[kind](TEXT)
    assert detect(packed) == kind
    assert plain(packed, step=step) == TEXT
    assert plain(packed, size=1000) == TEXT
    assert plain(PACK[kind](b"")) == b""


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f", b"plain text", bytes(2000), b"PK\x03\x04", b"BZ", b"\xfd7zXZ"])
def test_plain(data: bytes) -> None:
    assert detect(data) is None
    assert plain(data, step=1) == data


@pytest.mark.parametrize("kind", PACK)
def test_reading_all_at_once(kind: str) -> None:
    for data in (PACK[kind](TEXT), TEXT):
        stream = decompressed(io.BytesIO(data), what="test", limits=DEFAULT_LIMITS)
        assert stream.readable()
        assert stream.read() == TEXT
        assert stream.read() == stream.read(5) == b""


def test_reading_nothing_reads_nothing() -> None:
    stream = decompressed(io.BytesIO(PACK["gzip"](TEXT)), what="test", limits=DEFAULT_LIMITS)
    assert stream.read(0) == b""
    assert stream.read(4) == TEXT[:4]


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("step", [1, 3, MIB])
def test_several_in_a_row_are_one_stream(kind: str, step: int) -> None:
    parts = [b"one\n", b"", b"two\n", TEXT]
    assert plain(b"".join(map(PACK[kind], parts)), step=step) == b"".join(parts)


@pytest.mark.parametrize("step", [1, MIB])
@pytest.mark.parametrize("where", ["front", "middle", "behind"])
def test_skippable_frames(step: int, where: str) -> None:
    one, two = PACK["zstd"](b"one"), PACK["zstd"](b"two")
    data = {"front": [SKIPPABLE, one, two], "middle": [one, SKIPPABLE, SKIPPABLE, two], "behind": [one, two, SKIPPABLE]}
    assert plain(b"".join(data[where]), step=step) == b"onetwo"


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("step", [1, MIB])
def test_zeros_behind_are_padding(kind: str, step: int) -> None:
    assert plain(PACK[kind](b"x") + bytes(1000), step=step) == b"x"


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("rest", [b"garbage", b"\0\0garbage", b"\x1f", PACK["gzip"](b"y")[:5]])
def test_anything_else_behind_is_an_error(kind: str, rest: bytes) -> None:
    for step in (1, MIB):
        with pytest.raises(UntrustedContent):
            plain(PACK[kind](b"x") + rest, step=step)


def test_another_form_behind_is_an_error() -> None:
    with pytest.raises(MalformedArchive, match="after the end of the gzip"):
        plain(PACK["gzip"](b"x") + PACK["zstd"](b"y"))


@pytest.mark.parametrize("kind", PACK)
def test_every_truncation_is_an_error(kind: str) -> None:
    packed = PACK[kind](TEXT[:2000])
    for length in range(6, len(packed)):
        with pytest.raises((TruncatedStream, MalformedArchive)):
            plain(packed[:length])


@pytest.mark.parametrize("kind", PACK)
def test_every_flip_is_an_error_or_changes_nothing(kind: str) -> None:
    data = TEXT[:500]
    packed = PACK[kind](data)
    for at in range(6, len(packed)):
        for mask in (0x01, 0x80):
            damaged = bytearray(packed)
            damaged[at] ^= mask
            with suppress(UntrustedContent):
                assert plain(bytes(damaged)) == data, (at, mask)


def test_errors_name_the_stream_and_hide_nothing() -> None:
    packed = bytearray(PACK["gzip"](TEXT))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(MalformedArchive, match="test: damaged gzip data") as caught:
        plain(bytes(packed))
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb(kind: str) -> None:
    limits = replace(DEFAULT_LIMITS, expansion_grace=MIB, expansion_ratio=100)
    bomb = PACK[kind](bytes(20 * MIB))
    with pytest.raises(LimitExceeded, match="expansion_ratio"):
        plain(bomb, limits=limits)
    assert len(plain(PACK[kind](bytes(MIB)), limits=limits)) == MIB


@pytest.mark.parametrize("kind", [*PACK, None])
def test_more_than_the_limit(kind: str | None) -> None:
    limits = replace(DEFAULT_LIMITS, expanded=100 * KIB)
    pack = PACK[kind] if kind else bytes
    assert len(plain(pack(TEXT[: 100 * KIB]), limits=limits)) == len(TEXT[: 100 * KIB])
    with pytest.raises(LimitExceeded, match="limit expanded"):
        plain(pack(TEXT * 2), limits=limits)


_XZ = """
import io, lzma, sys
from scanner.compression import decompressed
from scanner.errors import UntrustedContent
from scanner.limits import DEFAULT_LIMITS
try:
    stream = decompressed(io.BytesIO(sys.stdin.buffer.read()), what="x", limits=DEFAULT_LIMITS)
    while stream.read(65536):
        pass
except UntrustedContent as problem:
    print("refused", problem)
"""


def test_an_xz_header_does_not_choose_our_memory() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 8 * MIB}]
    packed = bytearray(lzma.compress(b"x" * 100, filters=filters))
    at = packed.index(b"\x21\x01", 12) + 2  # the filter's flags: its dictionary's size, in a code of its own
    packed[at] = 37  # 1.5 GiB
    header = 12, 12 + (packed[12] + 1) * 4
    packed[header[1] - 4 : header[1]] = zlib.crc32(packed[header[0] : header[1] - 4]).to_bytes(4, "little")
    done = subprocess.run([sys.executable, "-c", _XZ], input=bytes(packed), capture_output=True, check=True)
    assert done.stdout.startswith(b"refused x: damaged xz data (Memory usage limit")
    assert plain(lzma.compress(TEXT, preset=9)) == TEXT


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([magic + b"\0" for magic in (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh9", b"\xfd7zXZ\0")]),
    st.binary(max_size=300),
)
def test_whatever_stands_behind_the_magic_is_bytes_or_an_error(magic: bytes, rest: bytes) -> None:
    with suppress(UntrustedContent):
        plain(magic + rest)
