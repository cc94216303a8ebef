"""What a layer held, from the store: the same value, or nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.images import (
    dir_entry,
    file_entry,
    hardlink_entry,
    opaque_entry,
    special_entry,
    symlink_entry,
    tar_of,
    whiteout_entry,
)  # fmt: skip
from fixtures.wheels import make_wheel
from scanner.distribution import Finding, FindingKind
from scanner.inventories import take_inventory
from scanner.inventories.remembered import pack, unpack
from scanner.inventory import Entry, Inventory
from scanner.limits import DEFAULT_LIMITS

INFO = "opt/x-1.0.dist-info"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """A layer with all that an inventory can hold."""
    wheel = make_wheel(tmp_path_factory.mktemp("wheel"), "demo", "1.0", {"demo/__init__.py": b"x = 1\n"}, sbom=True)
    entries = [
        dir_entry("opt"),
        file_entry(f"{INFO}/METADATA", b"Name: x\nVersion: 1.0\n"),
        file_entry("opt/empty.txt"),
        file_entry("opt/caf\udce9.py", b"pass\n"),
        file_entry("opt/__pycache__/a.cpython-311.pyc", bytes(range(16)) + b"code"),
        file_entry(f"wheels/{wheel.name}", wheel.read_bytes()),
        file_entry("wheels/broken-1.0-py3-none-any.whl", b"no zip"),
        file_entry("../escapes", b""),
        symlink_entry("opt/link", "../somewhere"),
        hardlink_entry("opt/hard", "opt/empty.txt"),
        special_entry("opt/fifo", b"6"),
        whiteout_entry("opt/gone"),
        opaque_entry("srv"),
    ]
    data = tar_of(entries)
    return take_inventory(cast("BinaryIO", io.BytesIO(data)), limits=DEFAULT_LIMITS)


def test_it_is_the_same_value(inventory: Inventory) -> None:
    assert {entry.kind for entry in inventory.entries} == {
        "file", "directory", "symlink", "hardlink", "other", "whiteout", "opaque"
    }  # fmt: skip
    assert inventory.wheels
    assert inventory.contents
    assert len(inventory.findings) == 2
    assert unpack(pack(inventory)) == inventory


def test_archives_nest(inventory: Inventory) -> None:
    outer = Inventory(entries=(Entry("", "a.zip", "file", 3, bytes(32)),), archives={bytes(32): inventory})
    assert unpack(pack(outer)) == outer


def test_empty_files_share_one_digest(inventory: Inventory) -> None:
    again = unpack(pack(inventory))
    assert again is not None
    empty = [entry.sha256 for entry in again.entries if entry.kind == "file" and entry.size == 0]
    assert len({id(sha256) for sha256 in empty}) == 1


names = st.text(st.characters(codec=None, exclude_characters="/\0"), min_size=1, max_size=8)
entries_of_any_kind = st.builds(
    Entry,
    folder=names,
    name=names,
    kind=st.just("file"),
    size=st.integers(0, 1 << 62),
    sha256=st.binary(min_size=32, max_size=32),
    link=st.just(""),
    mtime=st.integers(-(1 << 60), 1 << 60),
    stamp=st.binary(max_size=16),
) | st.builds(
    lambda folder, name, kind, link: Entry(folder, name, kind, link=link),
    names,
    names,
    st.sampled_from(["symlink", "directory"]),
    names,
)


@given(st.lists(entries_of_any_kind, max_size=20), st.lists(names, max_size=3))
def test_any_entries(entries: list[Entry], said: list[str]) -> None:
    findings = tuple(Finding(kind=FindingKind.UNREADABLE, path=f"/{text}", layer=None, detail=text) for text in said)
    one = Inventory(entries=tuple(entries), findings=findings)
    assert unpack(pack(one)) == one


@given(st.binary(max_size=200))
def test_what_is_none_is_none(data: bytes) -> None:
    assert unpack(data) is None


def test_damage_gives_nothing_or_an_inventory(inventory: Inventory) -> None:
    """The store checks the bytes before; this is the second line."""
    data = pack(inventory)
    for at in range(0, len(data), 7):
        damaged = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        assert unpack(damaged) is None or isinstance(unpack(damaged), Inventory)
        assert unpack(data[:at]) is None


def test_a_list_is_no_inventory(tmp_path: Path) -> None:
    import msgpack  # type: ignore[import-untyped]  # noqa: PLC0415
    from backports import zstd  # noqa: PLC0415

    assert unpack(zstd.compress(msgpack.packb([1, 2]))) is None
