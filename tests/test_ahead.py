from __future__ import annotations

import io
import threading
from typing import BinaryIO, cast

import pytest

from scanner.ahead import ahead
from scanner.errors import TruncatedStream

CONTENT = bytes(range(256)) * 40


class Source(io.RawIOBase):
    """Bytes that may end in an error; counts its reads, and says when one has begun."""

    def __init__(self, content: bytes, problem: BaseException | None = None) -> None:
        super().__init__()
        self._bytes = io.BytesIO(content)
        self._problem = problem
        self.reads = 0
        self.sixth, self.seventh = threading.Event(), threading.Event()
        self.threads: set[int] = set()

    def read(self, size: int = -1, /) -> bytes:
        self.reads += 1
        if self.reads == 6:
            self.sixth.set()
        if self.reads == 7:
            self.seventh.set()
        self.threads.add(threading.get_ident())
        data = self._bytes.read(size)
        if not data and self._problem is not None:
            raise self._problem
        return data


def binary(source: Source) -> BinaryIO:
    return cast("BinaryIO", source)


@pytest.mark.parametrize("size", [1, 99, 100, 101, 10_000, -1])
def test_the_bytes_are_the_sources(size: int) -> None:
    source = Source(CONTENT)
    with ahead(binary(source), chunk=100, chunks=3) as stream:
        parts = [stream.read(size)]
        while parts[-1]:
            parts.append(stream.read(size))
        assert stream.read(size) == b""
    assert b"".join(parts) == CONTENT
    assert all(0 < len(part) <= (size if size > 0 else len(CONTENT)) for part in parts[:-1])
    assert source.threads
    assert threading.get_ident() not in source.threads


def test_an_error_comes_after_the_bytes_before_it_and_again() -> None:
    with ahead(binary(Source(CONTENT[:250], TruncatedStream("ends early"))), chunk=100) as stream:
        assert [len(stream.read(1000)) for _ in range(3)] == [100, 100, 50]
        for _ in range(2):
            with pytest.raises(TruncatedStream, match="ends early"):
                stream.read(1000)


def test_no_more_is_read_than_was_agreed() -> None:
    source = Source(CONTENT)
    with ahead(binary(source), chunk=10, chunks=4) as stream:
        assert stream.read(10) == CONTENT[:10]
        assert source.sixth.wait(60), "one was taken, four lie ready, one waits to be put there"
        assert not source.seventh.wait(0.2)


def test_leaving_ends_the_thread_though_much_is_left() -> None:
    before = threading.active_count()
    with ahead(binary(Source(CONTENT)), chunk=1, chunks=2) as stream:
        stream.read(1)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_a_read_that_does_not_end_keeps_nobody() -> None:
    going, gone = threading.Event(), threading.Event()

    class Stuck(Source):
        def read(self, size: int = -1, /) -> bytes:
            going.set()
            assert gone.wait(60)
            return b""

    with ahead(binary(Stuck(b""))):
        assert going.wait(60)
    gone.set()
