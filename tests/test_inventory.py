"""What is kept of a layer, what is refused, and that a folder gives what its tar gives."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.images import (
    Entry,
    dir_entry,
    file_entry,
    hardlink_entry,
    layer_from_tree,
    opaque_entry,
    special_entry,
    symlink_entry,
    tar_of,
    whiteout_entry,
)
from fixtures.wheels import make_wheel
from scanner.distribution import FindingKind
from scanner.errors import LimitExceeded, TargetError, TruncatedStream
from scanner.inventories import take_directory, take_file, take_inventory
from scanner.inventory import Inventory
from scanner.limits import DEFAULT_LIMITS, KIB, MIB, Limits
from scanner.rootfs import RootFS

SITE = "usr/lib/python3.11/site-packages"
INFO = f"{SITE}/x-1.0.dist-info"


def taken(entries: Iterable[Entry], *, limits: Limits = DEFAULT_LIMITS) -> Inventory:
    # GNU's form takes names as they are: NULs and bytes that are no UTF-8
    data = tar_of(entries, tar_format=tarfile.GNU_FORMAT)
    return take_inventory(cast("BinaryIO", io.BytesIO(data)), limits=limits)


def paths(inventory: Inventory) -> list[str]:
    return [entry.path for entry in inventory.entries]


def findings(inventory: Inventory) -> list[tuple[FindingKind, str]]:
    return [(one.kind, one.path) for one in inventory.findings]


def kept(*entries: Entry) -> set[bytes]:
    return set(taken(entries).contents.values())


# --- entries ---


def test_every_kind() -> None:
    inventory = taken(
        [
            dir_entry("d"),
            file_entry("d/f.py", b"hello"),
            symlink_entry("l", "/../odd//./target"),
            hardlink_entry("h", "./d//f.py"),
            special_entry("dev/null", tarfile.CHRTYPE),
            special_entry("pipe", tarfile.FIFOTYPE),
            whiteout_entry("d/gone"),
            whiteout_entry("gone"),
            opaque_entry("d"),
        ]
    )
    found = [(one.folder, one.name, one.kind, one.size, one.link) for one in inventory.entries]
    assert found == [
        ("", "d", "directory", 0, ""),
        ("d", "f.py", "file", 5, ""),
        ("", "l", "symlink", 0, "/../odd//./target"),
        ("", "h", "hardlink", 0, "d/f.py"),
        ("dev", "null", "other", 0, ""),
        ("", "pipe", "other", 0, ""),
        ("d", "gone", "whiteout", 0, ""),
        ("", "gone", "whiteout", 0, ""),
        ("d", "", "opaque", 0, ""),
    ]
    assert inventory.entries[1].sha256 == hashlib.sha256(b"hello").digest()
    assert inventory.findings == ()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a/b", "a/b"),
        ("/a/b", "a/b"),
        ("./a/b", "a/b"),
        ("a//b", "a/b"),
        ("a/./b/.", "a/b"),
        ("a/b/", "a/b"),
        ("./././/a///b//", "a/b"),
        ("...", "..."),
        ("a/..b/.c", "a/..b/.c"),
        ("a/ /b", "a/ /b"),
        ("a\\b", "a\\b"),
        ("caf\udce9", "caf\udce9"),
    ],
)
def test_names_are_normalised(written: str, meant: str) -> None:
    for _ in range(2):  # the second time the folder is known
        assert paths(taken([file_entry(written), file_entry(written)])) == [meant, meant]
    link = taken([hardlink_entry("h", written)]).entries[0].link
    assert link == meant


@pytest.mark.parametrize("written", ["../a", "a/../../b", "a/..", "..", "/..", "a/../b", "x\0y/z"])
def test_names_that_escape_are_left_out_and_told(written: str) -> None:
    pax = {"path": written}
    info, content = file_entry("short", b"1")
    info.pax_headers = pax
    data = tar_of([(info, content), (info, content), file_entry("fine")])
    inventory = take_inventory(cast("BinaryIO", io.BytesIO(data)), limits=DEFAULT_LIMITS)
    assert paths(inventory) == ["fine"]
    assert [kind for kind, _ in findings(inventory)] == [FindingKind.UNSAFE_ENTRY] * 2


def test_the_root_is_no_entry() -> None:
    assert taken([dir_entry("."), dir_entry("./"), dir_entry("/")]) == Inventory(entries=())
    assert findings(taken([file_entry("/", b"x"), symlink_entry(".", "/etc")])) == [(FindingKind.UNSAFE_ENTRY, "/")] * 2


def test_names_that_no_file_system_takes() -> None:
    long, deep = "x" * 5000, "d/" * 300 + "f"
    fine = ["d/" * 250 + "f", "x" * 255, "y/" * 100 + "z" * 200]
    inventory = taken([file_entry(long), file_entry(deep), file_entry("short/" + long), *map(file_entry, fine)])
    assert paths(inventory) == fine
    assert [kind for kind, _ in findings(inventory)] == [FindingKind.UNSAFE_ENTRY] * 3


def test_a_folder_that_is_known_takes_no_long_names() -> None:
    inventory = taken([file_entry("d/a"), file_entry("d/" + "x" * 5000)])
    assert paths(inventory) == ["d/a"]


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_whiteouts_that_name_nothing(name: str) -> None:
    assert findings(taken([file_entry(f"d/{name}")])) == [(FindingKind.UNSAFE_ENTRY, f"/d/{name}")]


def test_whiteouts_of_every_kind_of_entry_hide() -> None:
    odd = [symlink_entry("d/.wh.a", "x"), dir_entry("d/.wh.b/"), hardlink_entry("d/.wh.c", "x"), file_entry("d/.wh.d")]
    assert [(one.path, one.kind) for one in taken(odd).entries] == [(f"d/{name}", "whiteout") for name in "abcd"]


def test_leftovers_of_aufs_are_ignored() -> None:
    inventory = taken([file_entry(".wh..wh.aufs"), dir_entry(".wh..wh.plnk"), file_entry("d/.wh..wh.orph")])
    assert inventory == Inventory(entries=())


def test_links_that_are_no_paths() -> None:
    odd = [
        symlink_entry("a", "x" * 5000),
        hardlink_entry("b", "../../etc/passwd"),
        hardlink_entry("c", "/"),
        hardlink_entry("d", "x/" * 3000),
    ]
    inventory = taken(odd)
    assert inventory.entries == ()
    assert findings(inventory) == [(FindingKind.UNSAFE_ENTRY, f"/{name}") for name in "abcd"]


def test_duplicates_stay_in_their_order() -> None:
    inventory = taken([file_entry("f", b"1"), file_entry("f", b"22"), symlink_entry("f", "x")])
    assert [(one.kind, one.size) for one in inventory.entries] == [("file", 1), ("file", 2), ("symlink", 0)]


def test_times_of_python_files() -> None:
    entries = [file_entry("a.py"), file_entry("a.pyc"), file_entry("a.txt")]
    for info, _ in entries:
        info.mtime = 1234567890
    assert [one.mtime for one in taken(entries).entries] == [1234567890, 1234567890, 0]


def test_more_entries_than_the_limit() -> None:
    limits = replace(DEFAULT_LIMITS, entries=3)
    assert len(taken([file_entry(name) for name in "abc"], limits=limits).entries) == 3
    for odd in (file_entry("d"), dir_entry("d"), symlink_entry("d", "x"), whiteout_entry("d"), opaque_entry("d")):
        with pytest.raises(LimitExceeded, match="limit entries"):
            taken([*map(file_entry, "abc"), odd], limits=limits)


def test_as_many_folders_as_entries() -> None:
    entries = [file_entry(f"{number}/f") for number in range(52_000)]
    started = time.process_time()
    assert paths(taken(entries))[-1] == "51999/f"
    assert time.process_time() - started < 20


def test_findings_are_bounded() -> None:
    assert len(taken(file_entry(f"../{number}") for number in range(11_000)).findings) == 10_000


def test_a_truncated_layer_ends_the_scan() -> None:
    data = tar_of([file_entry("f", b"x" * 2000)])[:1500]
    with pytest.raises(TruncatedStream, match="layer 3"):
        take_inventory(cast("BinaryIO", io.BytesIO(data)), limits=DEFAULT_LIMITS, what="layer 3")


# --- what is kept ---


@pytest.mark.parametrize(
    "path",
    [
        f"{INFO}/METADATA",
        f"{INFO}/RECORD",
        f"{INFO}/WHEEL",
        f"{INFO}/INSTALLER",
        f"{INFO}/direct_url.json",
        f"{INFO}/entry_points.txt",
        f"{INFO}/sboms/sbom.spdx.json",
        f"{SITE}/x.egg-info/PKG-INFO",
        f"{SITE}/x.egg-info/SOURCES.txt",
        f"{SITE}/x-1.0.egg-info",
        f"{SITE}/x.egg/EGG-INFO/PKG-INFO",
        f"{SITE}/x.egg-link",
        f"{SITE}/x.pth",
        "opt/venv/pyvenv.cfg",
        "etc/os-release",
        "var/lib/dpkg/status",
        "var/lib/dpkg/status.d/python3",
        "var/lib/dpkg/status.d/python3.md5sums",
        "lib/apk/db/installed",
        "usr/lib/apk/db/installed",
        "/opt//odd/./x-1.dist-info/METADATA",
        "x-1.0.dist-info/METADATA",
    ],
)
def test_kept(path: str) -> None:
    assert kept(file_entry(path, b"content")) == {b"content"}


@pytest.mark.parametrize(
    "path",
    [
        f"{SITE}/x/METADATA",
        f"{SITE}/x/RECORD",
        f"{INFO}/LICENSE",
        f"{INFO}/licenses/METADATA",
        f"{SITE}/sboms/x.json",
        f"{SITE}/x.py",
        "var/lib/dpkg/available",
        "var/lib/dpkg/info/x.postinst",
        "var/lib/dpkg/info/x.list",
        "opt/lib/apk/db/installed",
        "opt/var/lib/dpkg/status",
        "usr/bin/program",
    ],
)
def test_only_hashed(path: str) -> None:
    inventory = taken([file_entry(path, b"content")])
    assert inventory.contents == {}
    assert inventory.entries[0].sha256 == hashlib.sha256(b"content").digest()


def test_scripts_are_kept_if_they_are_python_s() -> None:
    script = b"#!/usr/bin/python3\nprint(1)\n"
    trampoline = b"#!/bin/sh\n'''exec' python\n"
    entries = [
        file_entry("usr/bin/a", script),
        file_entry("opt/venv/bin/b", trampoline),
        file_entry("usr/sbin/c", b"#!/usr/bin/perl\n"),
        file_entry("usr/bin/d", b"\x7fELF" + b"x" * 100),
        file_entry("usr/bin/large", script + b"#" * (1024 * KIB)),
    ]
    inventory = taken(entries)
    assert set(inventory.contents.values()) == {script, trampoline}
    assert inventory.findings == ()


def test_package_lists_are_kept_if_they_have_packages_of_python() -> None:
    mine = b"/usr/lib/python3/dist-packages/x.py\n"
    lists = [file_entry("var/lib/dpkg/info/x.list", mine), file_entry("var/lib/dpkg/info/y.list", b"/usr/bin/y\n")]
    assert kept(*lists, file_entry("var/lib/dpkg/info/x.prerm", mine + b"no")) == {mine}


def test_empty_metadata_is_kept_too() -> None:
    assert kept(file_entry(f"{INFO}/RECORD", b"")) == {b""}


def test_metadata_over_the_limit_is_hashed_and_told() -> None:
    limits = replace(DEFAULT_LIMITS, kept_file=100)
    inventory = taken(
        [file_entry(f"{INFO}/METADATA", b"x" * 101), file_entry(f"{INFO}/RECORD", b"y" * 100)], limits=limits
    )
    assert inventory.entries[0].sha256 == hashlib.sha256(b"x" * 101).digest()
    assert findings(inventory) == [(FindingKind.UNREADABLE, f"/{INFO}/METADATA")]
    assert set(inventory.contents.values()) == {b"y" * 100}


def test_all_that_is_kept_is_bounded() -> None:
    limits = replace(DEFAULT_LIMITS, kept_total=1000)
    same = [file_entry(f"{SITE}/{number}.pth", b"z" * 300) for number in range(10)]
    assert len(taken(same, limits=limits).contents) == 1
    with pytest.raises(LimitExceeded, match="kept_total"):
        taken([file_entry(f"{SITE}/{number}.pth", b"%0300d" % number) for number in range(10)], limits=limits)


# --- wheel files ---


def wheel_bytes(folder: Path) -> bytes:
    return make_wheel(folder, "demo", "1.0", {"demo.py": b"x = 1\n"}).read_bytes()


def test_wheels_are_opened(tmp_path: Path) -> None:
    data = wheel_bytes(tmp_path)
    inventory = taken([file_entry("wheels/demo-1.0-py3-none-any.whl", data), file_entry("again.whl", data)])
    (contents,) = inventory.wheels.values()
    assert hashlib.sha256(data).digest() in inventory.wheels
    assert contents.members["demo.py"].sha256 == hashlib.sha256(b"x = 1\n").digest()
    assert inventory.contents == {}


def test_wheels_that_are_none_are_told() -> None:
    inventory = taken([file_entry("demo-1.0-py3-none-any.whl", b"no zip")])
    assert inventory.wheels == {}
    assert findings(inventory) == [(FindingKind.UNREADABLE, "/demo-1.0-py3-none-any.whl")]


def test_wheels_over_the_limit_are_only_hashed(tmp_path: Path) -> None:
    data = wheel_bytes(tmp_path)
    inventory = taken(
        [file_entry("demo-1.0-py3-none-any.whl", data)], limits=replace(DEFAULT_LIMITS, bundle=len(data) - 1)
    )
    assert inventory.wheels == {}
    assert inventory.entries[0].sha256 == hashlib.sha256(data).digest()
    assert findings(inventory) == [(FindingKind.UNREADABLE, "/demo-1.0-py3-none-any.whl")]


def test_all_wheels_metadata_is_bounded(tmp_path: Path) -> None:
    # Small files that hold large documents: each is allowed, thousands of them would fill the memory.
    names = [f"fat{number}" for number in range(5)]
    wheels = [
        make_wheel(tmp_path, name, "1.0", {f"{name}-1.0.dist-info/sboms/x.json": bytes(300 * KIB)}) for name in names
    ]
    entries = [file_entry(wheel.name, wheel.read_bytes()) for wheel in wheels]
    inventory = taken(entries, limits=replace(DEFAULT_LIMITS, kept_total=MIB))
    assert len(inventory.wheels) == 3
    assert [kind for kind, _ in findings(inventory)] == [FindingKind.UNREADABLE] * 2
    assert "kept_total" in inventory.findings[0].detail


# --- folders and files on disk ---


def tree(root: Path) -> Path:
    """A tree with all that a disk can have, but for what only root makes."""
    for path, content in {
        f"{INFO}/METADATA": b"Name: x\n",
        f"{SITE}/x/__init__.py": b"",
        "usr/bin/tool": b"#!/usr/bin/python3\n",
        "opt/.wh.not-a-whiteout-here": b"1",
        "opt/caf\udce9": b"2",
        "opt/large": b"x" * (MIB + 7),
        "etc/os-release": b"ID=debian\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / "empty").mkdir()
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "dangling").symlink_to("../nowhere")
    (root / "folder").symlink_to("opt")
    (root / "usr/bin/second").hardlink_to(root / "usr/bin/tool")
    os.mkfifo(root / "pipe")
    return root


def test_a_folder_gives_what_its_tar_gives(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    (root / "opt/.wh.not-a-whiteout-here").unlink()  # in a layer it is one
    tar = layer_from_tree(root, compression=None, keep_times=True).data
    from_tar = take_inventory(cast("BinaryIO", io.BytesIO(tar)), limits=DEFAULT_LIMITS)
    from_disk = take_directory(root, limits=DEFAULT_LIMITS)
    assert dict(nodes(from_disk)) == dict(nodes(from_tar))
    assert from_disk.contents == from_tar.contents
    assert from_disk.findings == from_tar.findings == ()


def nodes(inventory: Inventory) -> list[tuple[str, tuple[object, ...]]]:
    return [(path, node.entry) for path, node in RootFS.of([inventory]).walk()]


def test_names_on_disk_mean_nothing_else(tmp_path: Path) -> None:
    inventory = take_directory(tree(tmp_path / "tree"), limits=DEFAULT_LIMITS)
    assert ("opt/.wh.not-a-whiteout-here", "file") in [(one.path, one.kind) for one in inventory.entries]


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"Name: secret\n")
    root = tmp_path / "tree"
    (root / "x.dist-info").mkdir(parents=True)
    (root / "x.dist-info" / "METADATA").symlink_to(tmp_path / "secret")
    (root / "out").symlink_to(tmp_path)
    inventory = take_directory(root, limits=DEFAULT_LIMITS)
    assert [(one.path, one.kind) for one in inventory.entries] == [
        ("out", "symlink"),
        ("x.dist-info", "directory"),
        ("x.dist-info/METADATA", "symlink"),
    ]
    assert inventory.contents == {}


def test_sockets_and_pipes_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "METADATA.dist-info")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        inventory = take_directory(tmp_path, limits=DEFAULT_LIMITS)
    assert [one.kind for one in inventory.entries] == ["other", "other"]


def test_what_cannot_be_read_on_disk_is_told(bounded_rights: Path) -> None:
    (bounded_rights / "closed").mkdir(mode=0)
    (bounded_rights / "file").write_bytes(b"x")
    (bounded_rights / "file").chmod(0)
    try:
        inventory = take_directory(bounded_rights, limits=DEFAULT_LIMITS)
    finally:
        (bounded_rights / "closed").chmod(0o700)
    assert findings(inventory) == [(FindingKind.UNREADABLE, "/file"), (FindingKind.UNREADABLE, "/closed")]


def test_files_that_change_while_they_are_read(tmp_path: Path) -> None:
    """A writer that never rests: the reading ends, and nothing that is not its fault is raised."""
    for number in range(300):
        (tmp_path / f"{number:03}.pth").write_bytes(b"x")
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            for number in range(250, 300):
                file = tmp_path / f"{number:03}.pth"
                file.unlink(missing_ok=True)
                file.symlink_to("nowhere")
                file.unlink()
                file.write_bytes(b"y" * 100_000)

    writer = threading.Thread(target=disturb)
    writer.start()
    try:
        for _ in range(5):
            inventory = take_directory(tmp_path, limits=DEFAULT_LIMITS)
            assert len([one for one in inventory.entries if one.sha256 == hashlib.sha256(b"x").digest()]) >= 250
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("name", ["nothing", "file"])
def test_a_folder_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TargetError, match=name):
        take_directory(tmp_path / name, limits=DEFAULT_LIMITS)


def test_one_file(tmp_path: Path) -> None:
    (tmp_path / "demo.whl").write_bytes(b"no zip")
    (tmp_path / "linked.whl").symlink_to("demo.whl")
    for name in ("demo.whl", "linked.whl"):
        inventory = take_file(tmp_path / name, limits=DEFAULT_LIMITS)
        assert [(one.path, one.kind, one.size) for one in inventory.entries] == [(name, "file", 6)]
    with pytest.raises(TargetError, match="nothing"):
        take_file(tmp_path / "nothing", limits=DEFAULT_LIMITS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from("a./\0 ~-_\udce9w.h"), min_size=1, max_size=12), max_size=5))
def test_any_name_gives_entries_with_clean_paths(names: list[str]) -> None:
    inventory = taken(file_entry(name) for name in names)
    for entry in inventory.entries:
        parts = entry.path.split("/") if entry.kind != "opaque" else entry.folder.split("/")
        assert not {"", ".", ".."}.intersection(parts) or entry.kind == "opaque"
        assert "\0" not in entry.path
