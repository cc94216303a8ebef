"""The pages that are remembered: all that they list, or nothing; and for how long they are fresh."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from scanner.index import IndexFile, Tier
from scanner.indexes.pagememory import PageMemory, StoredPage, freshness, may_store
from scanner.store import DiskStore

DEMO = canonicalize_name("demo")
FILES = (
    IndexFile(filename="demo-1.0.tar.gz", url="https://h/d", shown_url="https://h/d", hashes={"sha256": "a" * 64}),
    IndexFile(
        filename="demo-1.0-py3-none-any.whl",
        url="https://h/d",
        shown_url="https://h/d",
        hashes={"sha256": "b" * 64, "md5": "c" * 32},
        size=7,
        requires_python=">=3.9",
        yanked=True,
        tier=Tier.BUILT,
    ),
    IndexFile(filename="demo-2.0\udce9.whl", url="https://h/e", shown_url="https://h/e", hashes={}, tier=Tier.FALLBACK),
)


class Given:
    """A store that has one value for everything."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def get(self, kind: str, key: str) -> bytes:
        return self.data

    def put(self, kind: str, key: str, data: bytes) -> None:
        self.data = data

    def change(self, kind: str, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        self.data = change(self.data) or self.data


def stored(document: object) -> bytes:
    return zstd.compress(msgpack.packb(document))


def test_links_with_secrets_are_stored_without_them_and_asked_for_each_time(tmp_path: Path) -> None:
    file = FILES[-1]._replace(url="https://u:p@h/x.whl?sig=hunter2", shown_url="https://h/x.whl")
    memory = PageMemory(DiskStore(tmp_path), "https://h/")
    memory.put(DEMO, StoredPage(etag='"x"', at=1.5, fresh=300.0, files=(file,)))
    found = memory.get(DEMO)
    assert found == StoredPage(etag="", at=1.5, fresh=0.0, files=(file._replace(url="https://h/x.whl"),))


@pytest.mark.parametrize("files", [FILES, FILES[:1], FILES[1:], FILES[::-1], ()])
def test_a_page_comes_back(tmp_path: Path, files: tuple[IndexFile, ...]) -> None:
    memory = PageMemory(DiskStore(tmp_path), "https://h/")
    page = StoredPage(etag="", at=1.5, fresh=0.0, files=files)
    memory.put(DEMO, page)
    found = memory.get(DEMO)
    assert found == page
    assert found is not None
    assert all(isinstance(file, IndexFile) for file in found.files)
    assert memory.get(canonicalize_name("other")) is None
    assert PageMemory(DiskStore(tmp_path), "https://i/").get(DEMO) is None


def test_a_number_that_no_format_holds_is_not_remembered(tmp_path: Path) -> None:
    memory = PageMemory(DiskStore(tmp_path), "https://h/")
    memory.put(DEMO, StoredPage(etag="", at=1.5, fresh=0.0, files=(FILES[0]._replace(size=1 << 70),)))
    assert memory.get(DEMO) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        stored([]),
        stored(["", 1.0, 1.0]),
        stored(["", 1.0, 1.0, []]),
        stored(["", 1.0, 1.0, [["a"], ["u"], {}, b"", {}, [1], [0], [None], {}, {}]]),
        stored(["", 1.0, 1.0, [["a"], ["u"], {}, bytes(32), {}, [1], [1], [None], {}, {}]]),
        stored(["", 1.0, 1.0, [["a"], ["u"], {}, bytes(32), {}, [1], [0], [None], {}, {0: "none"}]]),
        stored(["", 1.0, 1.0, [["a"], ["u"], {4: "x"}, bytes(32), {}, [1], [0], [None], {}, {}]]),
        stored(["", "x", 1.0, [[], [], {}, b"", {}, [], [], [], {}, {}]]),
    ],
)
def test_what_is_no_page(data: bytes) -> None:
    assert PageMemory(Given(data), "https://h/").get(DEMO) is None


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    assert PageMemory(Given(data), "https://h/").get(DEMO) is None
    assert PageMemory(Given(zstd.compress(data)), "https://h/").get(DEMO) is None


@pytest.mark.parametrize(
    ("age", "fresh", "expected"),
    [(0, 600, True), (599, 600, True), (601, 9999, False), (5, 4, False), (-50, 600, False)],
)
def test_how_long_a_page_is_fresh(age: float, fresh: float, expected: bool) -> None:
    page = StoredPage(etag="", at=time.time() - age - 0.5, fresh=fresh, files=())
    assert page.is_fresh is expected


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"cache-control": "max-age=600, public"}, 600),
        ({"cache-control": "Public , Max-Age=86400"}, 600),
        ({"cache-control": 'max-age="60"'}, 60),
        ({"cache-control": "max-age=600", "age": "590"}, 10),
        ({"cache-control": "max-age=600", "age": "x"}, 600),
        ({"cache-control": "max-age=-1"}, 0),
        ({"cache-control": "max-age=\u0662"}, 0),
        ({"cache-control": "no-cache, max-age=600"}, 0),
    ],
)
def test_freshness(headers: dict[str, str], seconds: float) -> None:
    assert freshness(headers) == seconds
    assert may_store(headers)


def test_no_store() -> None:
    assert not may_store({"cache-control": "private, no-store"})
