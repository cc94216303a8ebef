"""Digests, and streams that verify themselves."""

from __future__ import annotations

import hashlib
import io

import pytest

from scanner.digest import Digest, VerifyingReader
from scanner.errors import DigestMismatch, TruncatedStream, UsageError

DATA = b"some bytes" * 1000
DIGEST = Digest.of(DATA)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_text_and_back(algorithm: str) -> None:
    text = f"{algorithm}:{hashlib.new(algorithm, DATA).hexdigest()}"
    assert str(Digest.parse(text)) == text
    assert Digest.parse(text.replace(":", ":", 1)).raw == hashlib.new(algorithm, DATA).digest()
    assert Digest.parse(f"{algorithm}:{text.partition(':')[2].upper()}") == Digest.parse(text)


def test_the_ways_to_make_one_agree() -> None:
    raw = hashlib.sha256(DATA).digest()
    assert Digest.sha256(raw) == Digest.of(DATA) == Digest.parse(f"sha256:{raw.hex()}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "g" * 64,
        "SHA256:" + "a" * 64,
        "md5:" + "a" * 32,
        "sha1:" + "a" * 40,
        "sha512:" + "a" * 64,
        "sha256:../../../../etc/passwd",
        "sha256:" + "a" * 64 + "\n",
        " sha256:" + "a" * 64,
        "sha256:" + "\u0661" * 64,
        "a" * 64,
        "x" * 100_000,
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a digest") as caught:
        Digest.parse(text)
    assert len(caught.value.message) < 600


def reader(data: bytes = DATA, *, expected: Digest = DIGEST, size: int | None = None) -> VerifyingReader:
    return VerifyingReader(io.BytesIO(data), expected=expected, what="blob x", size=size)


@pytest.mark.parametrize("size", [None, len(DATA)])
@pytest.mark.parametrize("step", [1, 999, -1])
def test_the_right_bytes(size: int | None, step: int) -> None:
    stream = reader(size=size)
    assert b"".join(iter(lambda: stream.read(step), b"")) == DATA
    assert stream.read() == b""


def test_other_bytes_are_told_at_the_end() -> None:
    stream = reader(b"x" + DATA[1:])
    assert stream.read(5) == b"x" + DATA[1:5]
    with pytest.raises(DigestMismatch, match=f"blob x: has digest sha256:.*, not {DIGEST}"):
        stream.drain()


def test_too_few_bytes() -> None:
    with pytest.raises(TruncatedStream, match=f"ends after 9000 of {len(DATA)}"):
        reader(DATA[:9000], size=len(DATA)).drain()
    with pytest.raises(DigestMismatch):
        reader(DATA[:9000]).drain()


def test_too_many_bytes_are_told_at_once() -> None:
    stream = reader(DATA + b"x" * 1_000_000, size=len(DATA))
    with pytest.raises(DigestMismatch, match=f"more than the promised {len(DATA)}"):
        stream.read(len(DATA) + 1)


def test_reading_nothing_is_not_the_end() -> None:
    stream = reader(b"", expected=Digest.of(b"x"))
    assert stream.read(0) == b""
    with pytest.raises(DigestMismatch):
        stream.read(1)


def test_a_buffer_gets_the_same_bytes() -> None:
    buffer = bytearray(len(DATA) + 10)
    assert reader().readinto(buffer) == len(DATA)
    assert buffer == DATA + bytes(10)
    assert io.BufferedReader(reader()).read() == DATA


def test_every_chunk_is_told() -> None:
    told: list[int] = []
    stream = VerifyingReader(io.BytesIO(DATA), expected=DIGEST, what="x", on_read=told.append)
    stream.read(10)
    stream.drain()
    assert told[0] == 10
    assert sum(told) == len(DATA)


def test_another_algorithm() -> None:
    expected = Digest("sha512", hashlib.sha512(DATA).hexdigest())
    reader(expected=expected).drain()
    with pytest.raises(DigestMismatch):
        reader(DATA + b"x", expected=expected).drain()
