"""What is remembered comes back as it was, or not at all."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from scanner.digest import Digest
from scanner.forms import Elf, Section, Text
from scanner.index import IndexFile
from scanner.indexes.remembered import (
    PageMemory,
    StoredPage,
    WheelMemory,
    decode_wheel,
    encode_wheel,
    freshness,
    may_store,
)
from scanner.store import DiskStore
from scanner.wheel import Member, WheelContents

DEMO = canonicalize_name("demo")
DIGEST = Digest("sha256", "a" * 64)
CONTENTS = WheelContents(
    filename="demo-1.0-py3-none-any.whl",
    sha256=DIGEST,
    proved=False,
    members={"demo/\udce9.py": Member(b"x" * 32, 7), "demo-1.0.data/scripts/run": Member(b"y" * 32, 0)},
    dist_info="demo-1.0.dist-info",
    documents={"METADATA": b"\xff\x00Name: demo", "sboms/x.json": b""},
    script_tails={"demo-1.0.data/scripts/run": b"z" * 32},
    forms={
        "demo/a.txt": Text(plain=b"t" * 32, newlines="CRLF", mark=True),
        "demo/b.so": Elf(frame=b"f" * 32, sections=(Section(name=".text", kind="code", digest=b"s" * 32),)),
    },
)
FILE = IndexFile(filename=CONTENTS.filename, url="https://h/x", shown_url="https://h/x", hashes={"sha256": DIGEST.hex})
PAGE = StoredPage(
    status=200, url="https://h/demo/", content_type="text/html", etag='"x"', at=time.time(), fresh=600.0, body=b"a\nb"
)


def test_a_wheel_comes_back() -> None:
    assert decode_wheel(encode_wheel(CONTENTS)) == CONTENTS


def _changed(**changes: Any) -> bytes:
    document = json.loads(zlib.decompress(encode_wheel(CONTENTS)))
    return zlib.compress(json.dumps({**document, **changes}).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        encode_wheel(CONTENTS)[:-1],
        zlib.compress(b"[]"),
        zlib.compress(b"{}"),
        zlib.compress(b"[" * 100_000),
        _changed(filename=1),
        _changed(sha256="sha256:abc"),
        _changed(members=[["a", "00", 1]]),
        _changed(members=[["a", "00" * 32, -1]]),
        _changed(members=[["a", "00" * 32, True]]),
        _changed(members=[["a", "00" * 32]]),
        _changed(members=[[1, "00" * 32, 1]]),
        _changed(members={}),
        _changed(documents={"a": "?"}),
        _changed(documents=[]),
        _changed(script_tails={"a": "00"}),
        _changed(forms=[]),
        _changed(forms={"a": []}),
        _changed(forms={"a": ["00" * 32, "LF"]}),
        _changed(forms={"a": ["00" * 32, [[".text", "code"]]]}),
        _changed(forms={"a": ["00", "LF", True]}),
    ],
)
def test_what_is_no_wheel(data: bytes) -> None:
    assert decode_wheel(data) is None


@settings(deadline=None)
@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    assert decode_wheel(data) is None
    assert decode_wheel(zlib.compress(data)) is None


def test_unproved_words_are_of_one_index(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    one, two = WheelMemory(store, "https://one/"), WheelMemory(store, "https://two/")
    one.put(CONTENTS)
    assert one.get(FILE, proved=False) == CONTENTS
    assert one.get(FILE, proved=True) is None
    assert two.get(FILE, proved=False) is None


def test_proved_words_are_for_all(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    proved = WheelContents(
        filename=CONTENTS.filename, sha256=DIGEST, proved=True, members={}, dist_info=CONTENTS.dist_info
    )
    WheelMemory(store, "https://one/").put(proved)
    two = WheelMemory(store, "https://two/")
    assert two.get(FILE, proved=True) == two.get(FILE, proved=False) == proved


def test_pages(tmp_path: Path) -> None:
    memory = PageMemory(DiskStore(tmp_path), "https://h/")
    memory.put(DEMO, PAGE)
    assert memory.get(DEMO) == PAGE
    assert memory.get(canonicalize_name("other")) is None
    assert PageMemory(DiskStore(tmp_path), "https://i/").get(DEMO) is None


@pytest.mark.parametrize("head", [b"", b"[]", b'{"status": 200}', b'{"status":500,"at":1,"fresh":1}', b"[" * 100_000])
def test_what_is_no_page(tmp_path: Path, head: bytes) -> None:
    class Broken:
        def get(self, kind: str, key: str) -> bytes:
            return head + b"\nbody"

        def put(self, kind: str, key: str, data: bytes) -> None:
            raise AssertionError

    assert PageMemory(Broken(), "https://h/").get(DEMO) is None


@pytest.mark.parametrize(
    ("age", "fresh", "expected"),
    [(0, 600, True), (599, 600, True), (601, 9999, False), (5, 4, False), (-50, 600, False)],
)
def test_how_long_a_page_is_fresh(age: float, fresh: float, expected: bool) -> None:
    page = StoredPage(status=200, url="", content_type="", etag="", at=time.time() - age - 0.5, fresh=fresh, body=b"")
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
