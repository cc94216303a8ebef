"""Tables of contents: what they say is what the tar says, and hostile ones cost nothing but a whole reading."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO, cast

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import chunked
from fixtures.chunked import ChunkedLayer, Toc, estargz, estargz_footer, zstd_chunked
from fixtures.images import (
    Entry,
    digest_of,
    dir_entry,
    file_entry,
    hardlink_entry,
    opaque_entry,
    special_entry,
    symlink_entry,
    whiteout_entry,
)
from scanner.bytecode import UNREAD
from scanner.digest import Digest
from scanner.distribution import FindingKind
from scanner.errors import DigestMismatch, LimitExceeded, MalformedArchive, UntrustedContent
from scanner.image import Layer
from scanner.inventories import read_listed, take_inventory, take_listed
from scanner.inventory import Inventory
from scanner.limits import DEFAULT_LIMITS, GIB, KIB, MIB, Limits
from scanner.toc import TocPlace, Unlisted

MAKERS: dict[str, Callable[..., ChunkedLayer]] = {"estargz": estargz, "zstd:chunked": zstd_chunked}
INFO = "opt/x-1.0.dist-info"
METADATA = b"Metadata-Version: 2.1\nName: x\nVersion: 1.0\n"
NOISE = file_entry("srv/noise", random.Random(3).randbytes(5 * MIB // 4))
both = pytest.mark.parametrize("kind", MAKERS)


class Asked:
    """A layer in memory, and which of its bytes were asked for."""

    def __init__(self, made: ChunkedLayer, *, refuses: int = 1 << 62) -> None:
        self.data = made.blob.data
        self.requests: list[tuple[int, int]] = []
        self.refuses = refuses
        self.layer = Layer(
            diff_id=Digest.parse(made.blob.diff_id),
            digest=Digest.of(self.data),
            size=len(self.data),
            open=lambda: io.BytesIO(self.data),
            toc=TocPlace.of(made.annotations),
            part=self.part,
        )

    def part(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.data)
        self.requests.append((start, end))
        if len(self.requests) > self.refuses:
            raise Unlisted("refused")
        return self.data[start:end]

    @property
    def bytes(self) -> int:
        return sum(end - start for start, end in self.requests)


def listed(made: ChunkedLayer, limits: Limits = DEFAULT_LIMITS) -> Inventory | None:
    return take_listed(Asked(made).layer, limits=limits, what="layer 0")


def whole(made: ChunkedLayer) -> Inventory:
    return take_inventory(cast("BinaryIO", io.BytesIO(made.blob.tar())), limits=DEFAULT_LIMITS)


def rows(toc: Toc) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in toc["entries"] if row["type"] != "chunk"}


def one_file(change: Callable[[Toc], object] = lambda _: None, kind: str = "estargz") -> ChunkedLayer:
    return MAKERS[kind]([file_entry(f"{INFO}/METADATA", METADATA), NOISE], change=change)


# -- the same ---------------------------------------------------------------------------------------

ODD: list[Entry] = [
    dir_entry("opt"),
    dir_entry("./opt/dots/"),
    file_entry(f"{INFO}/METADATA", METADATA),
    file_entry(f"{INFO}/RECORD", b"x.py,,\n" * 9000),
    file_entry(f"{INFO}/REQUESTED"),
    file_entry("/opt/absolute.py", b"pass\n"),
    file_entry("opt//x.py", b"pass\n"),
    file_entry("opt/empty.py"),
    file_entry("../escapes", b"x"),
    file_entry("opt/" + "d/" * 300 + "deep", b"x"),
    file_entry("opt/" + "n" * 5000, b"x"),
    file_entry("opt/caf\u00e9", b"x"),
    file_entry("opt/x.py", b"the second of its name\n"),
    file_entry("usr/bin/run", b"#!/usr/bin/python3\nimport x\n"),
    file_entry("wheels/broken-1.0-py3-none-any.whl", b"no zip" * 20),
    file_entry("opt/broken.zip", b"PK\3\4" + b"no zip" * 20),
    file_entry("opt/none.tar.gz", b"no tar" * 20),
    symlink_entry("opt/link", "../somewhere"),
    symlink_entry("opt/long", "l" * 5000),
    hardlink_entry("opt/hard", "opt/x.py"),
    hardlink_entry("opt/out", "../../x"),
    special_entry("opt/fifo", b"6"),
    whiteout_entry("opt/gone"),
    whiteout_entry("opt/.."),
    opaque_entry("srv"),
    NOISE,
]


@both
@pytest.mark.parametrize("chunk", [None, 1000])
def test_it_is_what_the_tar_says(kind: str, chunk: int | None) -> None:
    made = MAKERS[kind](ODD, chunk=chunk)
    tar, toc = whole(made), listed(made)
    assert toc is not None
    assert toc.listed
    assert not tar.listed
    entries = [
        entry._replace(mtime=0, stamp=UNREAD if entry.name.endswith((".py", ".pyc")) and entry.size else b"")
        for entry in tar.entries
        if entry.name not in (".no.prefetch.landmark", "stargz.index.json")
    ]
    assert list(toc.entries) == entries
    assert sorted(toc.findings, key=repr) == sorted(tar.findings, key=repr)
    assert len(toc.findings) >= 7
    assert {FindingKind.UNSAFE_ENTRY, FindingKind.UNREADABLE} == {one.kind for one in toc.findings}
    same = replace(toc, entries=tar.entries, findings=tar.findings, listed=False)
    assert same == tar


@both
def test_neighbours_come_with_one_request(kind: str) -> None:
    infos = [
        file_entry(f"opt/p{number}-1.dist-info/{name}", f"{name} {number}\n".encode() * 20)
        for number in range(100)
        for name in ("METADATA", "RECORD", "WHEEL", "not-read")
    ]
    asked = Asked(MAKERS[kind]([*infos, NOISE]))
    inventory = take_listed(asked.layer, limits=DEFAULT_LIMITS, what="layer")
    assert inventory is not None
    assert len(inventory.contents) == 300
    assert len(asked.requests) <= 3
    assert asked.bytes < 200_000


def test_files_far_apart_are_asked_for_one_by_one() -> None:
    parts = [NOISE[1][at : at + 120_000] for at in range(0, len(NOISE[1]), 120_000)]
    entries = [
        entry
        for number, part in enumerate(parts)
        for entry in (file_entry(f"opt/p{number}-1.dist-info/METADATA", b"m"), file_entry(f"srv/{number}", part))
    ]
    asked = Asked(estargz(entries))
    assert take_listed(asked.layer, limits=DEFAULT_LIMITS, what="layer") is not None
    assert len(asked.requests) == len(parts) + 1
    few = Asked(estargz(entries))
    assert take_listed(few.layer, limits=replace(DEFAULT_LIMITS, ranges=9), what="layer") is None
    assert len(few.requests) == 1, "refused before anything but the table was asked for"


@both
def test_a_file_larger_than_a_request_is_read_in_parts(kind: str) -> None:
    data = random.Random(4).randbytes(5 * MIB)
    asked = Asked(
        MAKERS[kind](
            [
                file_entry("wheels/big-1.0-py3-none-any.whl", data),
                file_entry("srv/n", random.Random(5).randbytes(6 * MIB)),
            ]
        )
    )
    inventory = take_listed(asked.layer, limits=DEFAULT_LIMITS, what="layer")
    assert inventory is not None
    assert [one.detail for one in inventory.findings] == [one.detail for one in whole_of(asked).findings]
    assert 3 <= len(asked.requests) <= 6
    assert max(end - start for start, end in asked.requests) <= 2 * MIB


def whole_of(asked: Asked) -> Inventory:
    data = asked.data
    tar = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else zstd.decompress(data)
    return take_inventory(cast("BinaryIO", io.BytesIO(tar)), limits=DEFAULT_LIMITS)


def test_several_files_in_one_member() -> None:
    """``innerOffset``, as ``--estargz-min-chunk-size`` makes it."""
    inner = {f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n"}

    def join(toc: Toc) -> None:
        offset, at = rows(toc)["srv/both"]["offset"], 100
        for name, data in inner.items():
            row = {"type": "reg", "name": name, "offset": offset, "innerOffset": at, "size": len(data)}
            toc["entries"].append({**row, "digest": digest_of(data), "chunkDigest": digest_of(data)})
            at += len(data)

    made = estargz([file_entry("srv/both", bytes(100) + b"".join(inner.values())), NOISE], change=join)
    inventory = listed(made)
    assert inventory is not None
    assert set(inventory.contents.values()) == set(inner.values())


@both
def test_files_can_be_read_by_their_digests(kind: str) -> None:
    made = MAKERS[kind](ODD, chunk=1000)
    wanted = {hashlib.sha256(data).digest() for data in (METADATA, b"pass\n", b"x.py,,\n" * 9000)}
    asked = Asked(made)
    found = dict(read_listed(asked.layer, wanted, limits=DEFAULT_LIMITS, what="layer"))
    assert found.keys() == wanted
    assert all(hashlib.sha256(data).digest() == sha256 for sha256, data in found.items())
    assert asked.bytes < MIB


# -- read whole instead -------------------------------------------------------------------------------


def setting(path: str, /, **values: Any) -> Callable[[Toc], object]:
    return lambda toc: rows(toc)[path].update(values)


def dropping(name: str, *keys: str) -> Callable[[Toc], object]:
    return lambda toc: [rows(toc)[name].pop(key, None) for key in keys]


META = f"{INFO}/METADATA"
UNUSABLE: dict[str, Callable[[Toc], object]] = {
    "another version": lambda toc: toc.update(version=2),
    "no version": lambda toc: toc.pop("version"),
    "entries that are no list": lambda toc: toc.update(entries={}),
    "an entry that is none": lambda toc: toc["entries"].append("x"),
    "an unknown type": setting("srv/noise", type="door"),
    "a name that is none": setting("srv/noise", name=7),
    "no name": dropping("srv/noise", "name"),
    "a name that JSON lost": setting("srv/noise", name="caf\ufffd"),
    "a lone surrogate": setting("srv/noise", name="caf\udce9"),
    "a negative size": setting("srv/noise", size=-1),
    "half a byte": setting("srv/noise", size=1.5),
    "a size that is true": setting("srv/noise", size=True),
    "a size beyond all": setting("srv/noise", size=1 << 62),
    "a negative offset": setting(META, offset=-5),
    "an offset of nothing": setting(META, offset=0),
    "an offset behind the files": setting(META, offset=1 << 40),
    "no digest": lambda toc: [row.update(digest="", chunkDigest="") for row in toc["entries"]],
    "a weak digest": setting(META, digest="md5:" + "0" * 32),
    "two digests of one file": setting(META, chunkDigest=digest_of(b"")),
    "an empty file with content": setting(META, size=0),
    "a chunk of no file": lambda toc: toc["entries"].insert(0, {"type": "chunk", "name": "x", "chunkOffset": 1}),
    "a chunk of another": lambda toc: toc["entries"].append({"type": "chunk", "name": "x", "chunkOffset": 1}),
    "chunks that go backward": lambda toc: toc["entries"].append(
        {"type": "chunk", "name": "srv/noise", "chunkOffset": 0, "offset": 5}
    ),
    "a chunk behind its file": lambda toc: toc["entries"].append(
        {"type": "chunk", "name": "srv/noise", "chunkOffset": 1 << 50, "offset": 5}
    ),
    "a chunk of another size": setting(META, chunkSize=7),
    "a key in two spellings": setting(META, Digest="x"),
    "a key in another spelling only": lambda toc: toc.update(Entries=toc.pop("entries")),
    "a skip over everything": setting(META, innerOffset=1 << 45),
}


@both
@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_tables_are_not_used(kind: str, name: str) -> None:
    assert listed(one_file(kind=kind)) is not None
    made = one_file(UNUSABLE[name], kind)
    asked = Asked(made)
    assert take_listed(asked.layer, limits=DEFAULT_LIMITS, what="layer 0") is None
    assert len(asked.requests) <= 2


NO_TABLES = [b"", b"[]", b"no JSON", b"[" * 100_000, b'{"version":1,"entries":[{']
NO_TABLES.append(b'{"version":1,"version":1,"entries":[]}')


@pytest.mark.parametrize("text", NO_TABLES, ids=range(6))
def test_tables_that_are_no_tables_are_not_used(text: bytes) -> None:
    assert listed(with_table(text)) is None


def with_table(text: bytes, *, name: str = "stargz.index.json") -> ChunkedLayer:
    """An eStargz layer whose table is these bytes."""
    made = one_file()
    info, _ = file_entry(name, text)
    at = len(made.blob.data)
    table = gzip.compress(info.tobuf() + text + bytes(-len(text) % 512) + bytes(1024))
    data = made.blob.data + table + estargz_footer(at)
    blob = replace(made.blob, data=data, size=len(data), digest=digest_of(data))
    return ChunkedLayer(blob=blob, annotations={chunked.ESTARGZ: digest_of(text)})


@pytest.mark.parametrize("place", [0, 1 << 20, 1 << 40, (1 << 64) - 1])
def test_footers_that_lead_nowhere(place: int) -> None:
    made = one_file()
    data = made.blob.data[:-51] + estargz_footer(place)
    assert listed(replace(made, blob=replace(made.blob, data=data))) is None


def test_no_footer() -> None:
    made = one_file()
    for data in (made.blob.data[:-51], made.blob.data[:-1] + b"x", made.blob.data + bytes(8)):
        assert listed(replace(made, blob=replace(made.blob, data=data))) is None
    assert listed(with_table(b'{"version":1,"entries":[]}', name="other.json")) is None
    assert listed(with_table(b'{"version":1,"entries":[]}')) is not None


def test_tables_beyond_the_limit_are_not_read() -> None:
    for kind in MAKERS:
        asked = Asked(one_file(lambda toc: toc.update(more="x" * MIB), kind))
        assert take_listed(asked.layer, limits=replace(DEFAULT_LIMITS, toc=MIB), what="layer") is None
        assert take_listed(asked.layer, limits=replace(DEFAULT_LIMITS, toc=3 * MIB), what="layer") is not None


def test_a_table_of_countless_values_is_not_parsed() -> None:
    """A few bytes each, and many times that in memory."""
    limits = replace(DEFAULT_LIMITS, toc=32 * KIB)
    for values in (b"{}", b"[]", b"0"):
        text = b'{"version":1,"entries":[],"more":[%s0]}'
        assert listed(with_table(text % ((values + b",") * 100)), limits) is not None
        assert listed(with_table(text % ((values + b",") * 3000)), limits) is None


def test_a_bomb_for_a_table_is_not_read() -> None:
    """White space: of the one the tar says how much, of the other the manifest, truly or not."""
    text = b" " * (256 * MIB)
    assert listed(with_table(text)) is None
    made = one_file(kind="zstd:chunked")
    table = zstd.compress(text)
    data = made.blob.data + chunked.skippable(table)
    for length in (len(text), 1000):
        position = f"{len(made.blob.data) + 8}:{len(table)}:{length}:1"
        lie = replace(
            made,
            blob=replace(made.blob, data=data),
            annotations={chunked.CHUNKED: digest_of(table), chunked.POSITION: position},
        )
        assert listed(lie) is None


@pytest.mark.parametrize(
    "annotations",
    [
        {chunked.ESTARGZ: "sha256:1"},
        {chunked.CHUNKED: digest_of(b"")},
        {chunked.CHUNKED: digest_of(b""), chunked.POSITION: "1:2:3:2"},
        {chunked.CHUNKED: digest_of(b""), chunked.POSITION: "1:2:3"},
        {chunked.CHUNKED: digest_of(b""), chunked.POSITION: "-1:2:3:1"},
        {chunked.CHUNKED: digest_of(b""), chunked.POSITION: "1:2:3:1", chunked.ESTARGZ: digest_of(b"")},
        {},
    ],
    ids=range(7),
)
def test_annotations_that_name_no_table(annotations: dict[str, str]) -> None:
    assert TocPlace.of(annotations) is None


@pytest.mark.parametrize("position", ["9:2:3:1", "99999999999:2:3:1", "3:1:3:1", "100:999999999:3:1", "100:0:3:1"])
def test_positions_outside_of_the_layer(position: str) -> None:
    made = replace(
        one_file(kind="zstd:chunked"), annotations={chunked.CHUNKED: digest_of(b""), chunked.POSITION: position}
    )
    asked = Asked(made)
    if position == "9:2:3:1":
        with pytest.raises(DigestMismatch):
            take_listed(asked.layer, limits=DEFAULT_LIMITS, what="layer")
        return
    assert take_listed(asked.layer, limits=DEFAULT_LIMITS, what="layer") is None
    assert not asked.requests


def test_small_layers_and_other_media_are_read_whole() -> None:
    small = Asked(estargz([file_entry(META, METADATA)]))
    assert take_listed(small.layer, limits=DEFAULT_LIMITS, what="layer") is None
    large = Asked(one_file())
    for layer in (replace(large.layer, part=None), replace(large.layer, toc=None), replace(large.layer, size=None)):
        assert take_listed(layer, limits=DEFAULT_LIMITS, what="layer") is None
    assert not [*small.requests, *large.requests]


@pytest.mark.parametrize("requests", [0, 1])
def test_a_registry_that_gives_no_more(requests: int) -> None:
    assert take_listed(Asked(one_file(), refuses=requests).layer, limits=DEFAULT_LIMITS, what="layer") is None


def test_more_than_half_is_read_whole() -> None:
    asked = Asked(estargz([file_entry("wheels/big-1.0-py3-none-any.whl", NOISE[1])]))
    assert take_listed(asked.layer, limits=DEFAULT_LIMITS, what="layer") is None
    assert len(asked.requests) == 1


# -- errors ---------------------------------------------------------------------------------------------


@both
def test_another_file_than_listed(kind: str) -> None:
    other = digest_of(b"another")
    with pytest.raises(DigestMismatch, match="METADATA': has digest"):
        listed(one_file(lambda toc: rows(toc)[META].update(digest=other, chunkDigest=""), kind))
    with pytest.raises(DigestMismatch, match="METADATA': has digest"):  # the bytes behind are others'
        listed(one_file(setting(META, size=len(METADATA) + 1), kind))


@both
def test_another_chunk_than_listed(kind: str) -> None:
    def lie(toc: Toc) -> None:
        [*_, last] = [row for row in toc["entries"] if row["name"] == META]
        last["chunkDigest"] = digest_of(b"another")

    made = MAKERS[kind]([file_entry(META, METADATA), NOISE], chunk=20, change=lie)
    with pytest.raises(DigestMismatch, match="METADATA': has digest"):
        listed(made)


@both
@pytest.mark.parametrize("offset", [1, 30])
def test_an_offset_into_other_bytes(kind: str, offset: int) -> None:
    with pytest.raises(UntrustedContent):
        listed(one_file(setting(META, offset=offset), kind))


def test_damaged_data_is_an_error() -> None:
    made = one_file()
    place = json.loads(_table_of(made))["entries"][1]["offset"]
    data = bytearray(made.blob.data)
    data[place + 12] ^= 0xFF
    with pytest.raises((MalformedArchive, DigestMismatch)):
        listed(replace(made, blob=replace(made.blob, data=bytes(data))))


def _table_of(made: ChunkedLayer) -> bytes:
    data = made.blob.data
    start = int(data[-35:-19], 16)
    tar = gzip.decompress(data[start:-51])
    return tar[512 : 512 + int(tar[124:135], 8)]


def test_too_many_entries() -> None:
    made = estargz([*(file_entry(f"opt/{number}") for number in range(200)), NOISE])
    with pytest.raises(LimitExceeded, match="limit entries"):
        listed(made, replace(DEFAULT_LIMITS, entries=100))


def test_bombs_are_not_expanded() -> None:
    """A wheel of a few stored bytes that stands for many: read whole if it is too many, left alone if it says so."""

    def bomb(size: int) -> Callable[[Toc], object]:
        def change(toc: Toc) -> None:
            rows(toc)["wheels/x-1.0-py3-none-any.whl"].update(size=size)

        return change

    entries = [file_entry("wheels/x-1.0-py3-none-any.whl", bytes(MIB)), NOISE]
    assert listed(estargz(entries, change=bomb(GIB))) is None
    inventory = listed(estargz(entries, change=bomb(2 * GIB)))
    assert inventory is not None
    assert [(one.kind.value, "limit" in one.detail) for one in inventory.findings] == [("unreadable", True)]


WORDS = st.sampled_from(
    ["name", "type", "size", "offset", "chunkOffset", "chunkSize", "digest", "chunkDigest", "innerOffset", "linkName"]
)
TEXTS = ("reg", "chunk", "dir", "hardlink", META, "../x", digest_of(b""), digest_of(METADATA))
NUMBERS = st.integers(-(1 << 65), 1 << 65) | st.integers(0, 3 * MIB) | st.floats(allow_nan=False) | st.booleans()
VALUES = st.none() | NUMBERS | st.text(max_size=20) | st.sampled_from(TEXTS) | st.lists(st.integers(), max_size=2)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), WORDS, VALUES), min_size=1, max_size=4), st.sampled_from(sorted(MAKERS)))
def test_any_table_is_used_or_not_or_an_error(changes: list[tuple[int, str, object]], kind: str) -> None:
    def change(toc: Toc) -> None:
        for row, key, value in changes:
            toc["entries"][row % len(toc["entries"])][key] = value

    made = MAKERS[kind]([file_entry(META, METADATA), dir_entry("srv"), NOISE], chunk=MIB, change=change)
    asked = Asked(made)
    try:
        found = take_listed(asked.layer, limits=DEFAULT_LIMITS, what="layer 0")
    except UntrustedContent:
        found = None
    assert found is None or found.listed
    assert asked.bytes < len(asked.data)
