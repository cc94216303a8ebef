"""What is remembered comes back as it was, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.digest import Digest
from scanner.forms import Elf, Section, Text
from scanner.index import IndexFile
from scanner.indexes.remembered import WheelMemory, decode_wheel, encode_wheel
from scanner.store import DiskStore
from scanner.wheel import Member, WheelContents

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


def test_a_wheel_comes_back() -> None:
    assert decode_wheel(encode_wheel(CONTENTS)) == CONTENTS


def _changed(**changes: Any) -> bytes:
    document = msgpack.unpackb(zstd.decompress(encode_wheel(CONTENTS)), unicode_errors="surrogatepass")
    return _stored({**document, **changes})


def _stored(document: object) -> bytes:
    return zstd.compress(msgpack.packb(document, unicode_errors="surrogatepass"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        encode_wheel(CONTENTS)[:-1],
        _stored([]),
        _stored({}),
        zstd.compress(b"\x91" * 100_000),
        _changed(filename=1),
        _changed(sha256="sha256:abc"),
        _changed(members=["a"]),
        _changed(members=["a", 1]),
        _changed(members={}),
        _changed(digests=bytes(63)),
        _changed(digests=bytes(96)),
        _changed(digests="a" * 64),
        _changed(sizes=[7]),
        _changed(sizes=[7, -1]),
        _changed(sizes=[7, True]),
        _changed(sizes=[7, "0"]),
        _changed(documents={"a": "?"}),
        _changed(documents=[]),
        _changed(script_tails={"a": b"00"}),
        _changed(forms=[]),
        _changed(forms={"a": []}),
        _changed(forms={"a": [bytes(32), "LF"]}),
        _changed(forms={"a": [bytes(32), [[".text", "code"]]]}),
        _changed(forms={"a": [b"00", "LF", True]}),
    ],
)
def test_what_is_no_wheel(data: bytes) -> None:
    assert decode_wheel(data) is None


@settings(deadline=None)
@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    assert decode_wheel(data) is None
    assert decode_wheel(zstd.compress(data)) is None


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
