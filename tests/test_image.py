"""Platforms, and layers that give their tar and verify both of its forms."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO

import pytest

from fixtures.images import file_entry, layer_from_entries
from scanner.digest import Digest
from scanner.errors import DigestMismatch, LimitExceeded, MalformedArchive, TruncatedStream, UsageError
from scanner.image import Layer, Platform
from scanner.limits import DEFAULT_LIMITS, KIB

BLOB = layer_from_entries([file_entry("f", b"x" * 5000)])
TAR = BLOB.tar()


class Source:
    """Opens bytes and counts how often they are open."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.open_now = 0

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        self.open_now += 1
        try:
            yield io.BytesIO(self.data)
        finally:
            self.open_now -= 1


def layer(data: bytes = BLOB.data, **changes: object) -> Layer:
    whole = Layer(
        diff_id=Digest.parse(BLOB.diff_id),
        open=Source(data).open,
        digest=Digest.parse(BLOB.digest),
        size=BLOB.size,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def read(one: Layer, size: int = -1) -> bytes:
    with one.tar(DEFAULT_LIMITS) as tar:
        return tar.read(size)


def test_the_tar_as_often_as_wanted() -> None:
    one = layer()
    assert read(one) == read(one) == TAR
    assert read(layer(digest=None, size=None)) == TAR
    assert read(layer(TAR, digest=None, size=None)) == TAR


@pytest.mark.parametrize("size", [0, 1, 512, -1])
def test_what_was_not_read_is_verified_too(size: int) -> None:
    read(layer(), size)
    with pytest.raises(DigestMismatch, match="diff_id"):
        read(layer(diff_id=Digest.of(b"other")), size)
    with pytest.raises(DigestMismatch):
        read(layer(digest=Digest.of(b"other")), size)


def test_the_stored_bytes_are_those_of_the_manifest() -> None:
    with pytest.raises(TruncatedStream):
        read(layer(BLOB.data[:-1]))
    with pytest.raises((DigestMismatch, MalformedArchive)):
        read(layer(BLOB.data + b"x"))
    with pytest.raises(TruncatedStream):
        read(layer(size=BLOB.size + 1))
    with pytest.raises(DigestMismatch):
        read(layer(size=BLOB.size - 1))


def test_another_packing_of_the_same_tar_has_another_digest() -> None:
    packed = gzip.compress(TAR, compresslevel=1, mtime=1)
    with pytest.raises(DigestMismatch):
        read(layer(packed, size=None))
    assert read(layer(packed, size=None, digest=None)) == TAR


def test_the_limits_hold() -> None:
    with pytest.raises(LimitExceeded), layer().tar(replace(DEFAULT_LIMITS, expanded=KIB)) as tar:
        tar.read()


def test_the_source_is_closed_whatever_happens() -> None:
    source = Source(BLOB.data)
    read(layer(open=source.open))
    with pytest.raises(ZeroDivisionError), layer(open=source.open).tar(DEFAULT_LIMITS):
        raise ZeroDivisionError
    with pytest.raises(DigestMismatch):
        read(layer(open=source.open, diff_id=Digest.of(b"")))
    assert source.open_now == 0


@pytest.mark.parametrize("digest", [Digest.parse(BLOB.digest), None])
def test_progress_counts(digest: Digest | None) -> None:
    told: list[int] = []
    with layer(digest=digest, size=None).tar(DEFAULT_LIMITS, told.append) as tar:
        tar.read(10)
    assert sum(told) == (BLOB.size if digest else len(TAR))


# --- platforms ---


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("linux/arm64/v8", Platform("linux", "arm64", "v8")),
        ("windows/amd64", Platform("windows", "amd64")),
        ("linux/x86_64", Platform("linux", "x86_64")),
    ],
)
def test_platforms_and_their_text(text: str, platform: Platform) -> None:
    assert Platform.parse(text) == platform
    assert str(platform) == text


@pytest.mark.parametrize(
    "text", ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "linux/amd64/", "linüx/amd64"]
)
def test_platforms_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a platform"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("wanted", "offered", "fits"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm/v6", "linux/arm", False),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/arm", "linux/arm/v6", True),
        ("linux/amd64", "linux/amd64/v3", True),
        ("linux/amd64/v3", "linux/amd64", False),
    ],
)
def test_which_platform_is_meant(wanted: str, offered: str, *, fits: bool) -> None:
    assert Platform.parse(wanted).matches(Platform.parse(offered)) is fits


def test_the_usual_variant() -> None:
    assert str(Platform.parse("linux/arm64").usual) == "linux/arm64/v8"
    assert str(Platform.parse("linux/arm/v6").usual) == "linux/arm/v6"
    assert str(Platform.parse("linux/amd64").usual) == "linux/amd64"


def test_the_host_is_a_platform() -> None:
    host = Platform.of_host()
    assert host.os == "linux"
    assert Platform.parse(str(host)) == host
