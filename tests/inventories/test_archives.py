"""Which files are looked into, what is read of them, and what the limits stop."""

from __future__ import annotations

import gzip
import io
import marshal
import os
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from fixtures.bundles import SHEBANG, elf, pyinstaller, zip_of
from fixtures.images import Entry, file_entry, symlink_entry, tar_of
from fixtures.wheels import make_wheel
from scanner.inventories import take_directory, take_inventory
from scanner.inventories.marshalled import Unmarshalled, module_names
from scanner.inventory import Inventory
from scanner.limits import DEFAULT_LIMITS, Limits

CODE = {"x.py": b"X = 1\n", "data.bin": b"data"}
INFO = {**CODE, "x-1.0.dist-info/METADATA": b"Name: x\n"}


def taken(entries: Sequence[Entry], limits: Limits = DEFAULT_LIMITS) -> Inventory:
    return take_inventory(cast("BinaryIO", io.BytesIO(tar_of(entries))), limits=limits)


def opened(name: str, data: bytes, limits: Limits = DEFAULT_LIMITS) -> list[str] | None:
    """The paths in the archive; None where it was not opened."""
    archives = taken([file_entry(name, data)], limits).archives
    return None if not archives else [entry.path for entry in next(iter(archives.values())).entries]


def why_not(name: str, data: bytes, limits: Limits = DEFAULT_LIMITS) -> str:
    [inventory] = taken([file_entry(name, data)], limits).archives.values()
    assert inventory.entries == ()
    [finding] = inventory.findings
    return finding.detail


# --- which ---


@pytest.mark.parametrize("name", ["a.zip", "a.pex", "a.pyz", "a.pyzw", "a.egg", "a.shiv", "A.ZIP", "a", "opt/bin/app"])
def test_zip_files_by_their_names(name: str) -> None:
    assert opened(name, zip_of(INFO)) is not None


@pytest.mark.parametrize("name", ["a.jar", "a.docx", "a.npz", "a.apk", "a.py"])
def test_zip_files_of_others_are_only_hashed(name: str) -> None:
    assert opened(name, zip_of(INFO)) is None


@pytest.mark.parametrize("name", ["a.jar", "a.sh", "bin/app", "app.py.exe"])
def test_scripts_with_a_zip_file_behind_have_any_name(name: str) -> None:
    assert opened(name, zip_of(INFO, prefix=SHEBANG)) is not None


@pytest.mark.parametrize("name", ["bin/app", "a.sh"])
def test_scripts_are_scripts(name: str) -> None:
    """Also one that has the first bytes of a zip file somewhere."""
    inventory = taken([file_entry(name, b"#!/bin/sh\necho\n" * 9), file_entry(f"{name}2", SHEBANG + b"PK\3\4" * 50)])
    assert inventory.archives == {}


@pytest.mark.parametrize(
    ("members", "read"),
    [
        ({"readme.txt": b"x", "data.bin": b"y" * 100}, None),
        (CODE, ["x.py"]),
        (INFO, ["x.py", "data.bin", "x-1.0.dist-info/METADATA"]),
        ({"a.whl": b"x", "b": b"y" * 100}, ["a.whl"]),
        ({"x.egg-info": b"Name: x\n", "data": b"y" * 100}, ["x.egg-info", "data"]),
        ({"EGG-INFO/PKG-INFO": b"Name: x\n", "data": b"y" * 100}, ["EGG-INFO/PKG-INFO", "data"]),
        ({"x-1.0/PKG-INFO": b"Name: x\n", "x-1.0/setup.py": b"1\n" * 50, "x-1.0/x.egg-info/PKG-INFO": b""}, None),
    ],
)
def test_what_is_read_of_a_zip_file(members: dict[str, bytes], read: list[str] | None) -> None:
    assert opened("a.zip", zip_of(members)) == read


@pytest.mark.parametrize(
    ("members", "read"),
    [
        (CODE, None),
        (INFO, ["x.py", "data.bin", "x-1.0.dist-info/METADATA"]),
        ({"w/a.whl": b"x", "w/b": b"y"}, ["w/a.whl"]),
        ({"x-1.0/PKG-INFO": b"", "x-1.0/pyproject.toml": b"", "x-1.0/v/y-1.0.dist-info/METADATA": b""}, None),
    ],
)
def test_what_is_read_of_a_tar(members: dict[str, bytes], read: list[str] | None) -> None:
    data = tar_of([file_entry(name, content) for name, content in members.items()])
    assert opened("a.tar", data) == read
    assert opened("a.tar.gz", gzip.compress(data)) == read
    assert opened("a.bin", data) is None


def test_what_is_named_like_a_tar_and_is_none() -> None:
    assert opened("a.tar", b"no tar at all " * 100) is None
    assert opened("a.tar.gz", gzip.compress(b"no tar at all " * 100)) is None


def test_a_folder_gives_what_its_tar_gives(tmp_path: Path) -> None:
    files = {"bin/app": zip_of(INFO, prefix=SHEBANG), "a.tar.gz": gzip.compress(tar_of([file_entry("x.whl", b"x")]))}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    from_tar = taken([file_entry(name, data) for name, data in files.items()])
    assert take_directory(tmp_path, limits=DEFAULT_LIMITS).archives == from_tar.archives


# --- members ---


def findings(members: dict[str, bytes], links: Sequence[str] = ()) -> list[tuple[str, str]]:
    [inventory] = taken([file_entry("a.zip", zip_of(members, links=links))]).archives.values()
    return [(finding.kind.value, finding.path) for finding in inventory.findings]


def test_links_in_a_zip_file_to_its_own_members_are_links() -> None:
    texts = {"lib/link.py": b"../x.py", "out.py": b"/etc/passwd", "up.py": b"../x.py", "code.py": b"import evil"}
    members, links = {**INFO, **texts}, list(texts)
    [inventory] = taken([file_entry("a.zip", zip_of(members, links=links))]).archives.values()
    kinds = {entry.path: entry.kind for entry in inventory.entries}
    assert [kinds[name] for name in links] == ["symlink", "file", "file", "file"]
    assert findings(members, links) == [("unsafe-entry", f"/{name}") for name in links[1:]]


def test_names_that_leave_the_archive() -> None:
    assert findings({"../x.py": b"1", "y/../../z.py": b"1", "ok.py": b"1"}) == [
        ("unsafe-entry", "/../x.py"),
        ("unsafe-entry", "/y/../../z.py"),
    ]


def test_two_members_of_one_name_with_other_bytes() -> None:
    """The last one counts, as for Python."""
    stream = io.BytesIO(zip_of({"x.py": b"X = 1\n", "y.py": b"X = 22\n"}).replace(b"y.py", b"x.py"))
    [inventory] = taken([file_entry("a.zip", stream.getvalue())]).archives.values()
    assert [entry.size for entry in inventory.entries] == [7]
    assert [finding.kind.value for finding in inventory.findings] == ["unsafe-entry"]


def test_many_odd_members_are_few_findings() -> None:
    members = {f"{number}.py": b"/x" for number in range(100)}
    assert len(findings(members, list(members))) == 21


# --- limits ---


def test_the_limit_of_one_archive() -> None:
    data = zip_of({"x.py": bytes(2_000_000)})
    limits = replace(DEFAULT_LIMITS, wheel_expanded=1_000_000)
    assert "wheel_expanded" in why_not("a.zip", data, limits)
    tar = tar_of([file_entry("x.whl"), file_entry("x.py", bytes(2_000_000))])
    assert "wheel_expanded" in why_not("a.tar.gz", gzip.compress(tar), limits)


def test_the_ratio_of_one_archive() -> None:
    limits = replace(DEFAULT_LIMITS, expansion_grace=1000, wheel_ratio=10)
    assert "wheel_ratio" in why_not("a.zip", zip_of({"x.py": bytes(2_000_000)}), limits)
    assert opened("a.zip", zip_of({"x.py": os.urandom(2_000_000)}), limits) == ["x.py"]


def test_the_limit_of_all_archives_together() -> None:
    archives = [file_entry(f"{number}.zip", zip_of({f"{number}.py": bytes(600_000)})) for number in range(3)]
    limits = replace(DEFAULT_LIMITS, archives_expanded=1_500_000)
    whole, second, last = taken(archives, limits).archives.values()
    assert (len(whole.entries), len(second.entries), len(last.entries)) == (1, 1, 0)
    assert "archives_expanded" in last.findings[0].detail


def test_ten_times_their_size_is_never_too_much() -> None:
    archives = [file_entry(f"{number}.zip", zip_of({f"{number}.py": os.urandom(300_000) * 3})) for number in range(3)]
    limits = replace(DEFAULT_LIMITS, archives_expanded=1_500_000)
    assert [len(one.entries) for one in taken(archives, limits).archives.values()] == [1, 1, 1]


def test_damage_in_a_tar_without_anything_of_pythons_is_no_finding() -> None:
    tar = tar_of([file_entry("a"), file_entry("b")])
    assert opened("a.tar", tar[:700]) is None


def test_wheels_count_among_them(tmp_path: Path) -> None:
    wheels = [make_wheel(tmp_path, f"demo{number}", "1.0", {"x.py": bytes(600_000)}) for number in range(4)]
    limits = replace(DEFAULT_LIMITS, archives_expanded=1_500_000)
    inventory = taken([file_entry(wheel.name, wheel.read_bytes()) for wheel in wheels], limits)
    assert len(inventory.wheels) == 2
    assert ["archives_expanded" in finding.detail for finding in inventory.findings] == [True, True]


def test_kept_bytes_of_an_archive_that_was_given_up_are_free_again() -> None:
    metadata = {f"x{number}-1.0.dist-info/METADATA": b"x%d" % number + bytes(50_000) for number in range(10)}
    limits = replace(DEFAULT_LIMITS, kept_total=300_000)
    odd, good = file_entry("a.zip", zip_of(metadata)), file_entry("b.zip", zip_of(INFO))
    first, second = taken([odd, good], limits).archives.values()
    assert (len(first.entries), len(second.entries)) == (0, 3)
    assert "kept_total" in first.findings[0].detail


def test_the_members_of_a_tar_are_counted() -> None:
    tar = tar_of([file_entry("x.whl"), *(file_entry(str(number)) for number in range(20))])
    assert "archive_members" in why_not("a.tar", tar, replace(DEFAULT_LIMITS, archive_members=20))


def test_what_is_larger_than_the_limit_is_told() -> None:
    data = zip_of(INFO)
    inventory = taken([file_entry("a.zip", data)], replace(DEFAULT_LIMITS, bundle=len(data) - 1))
    assert inventory.archives == {}
    assert [(one.kind.value, one.path) for one in inventory.findings] == [("unreadable", "/a.zip")]


def test_a_damaged_tar_inside_does_not_end_the_scan() -> None:
    tar = tar_of([file_entry("x-1.0.dist-info/METADATA", b"x" * 3000), symlink_entry("y", "x")])
    inventory = taken([file_entry("a.tar", tar[:1500]), file_entry("after.py", b"1")])
    assert [entry.path for entry in inventory.entries] == ["a.tar", "after.py"]
    assert "ends" in next(iter(inventory.archives.values())).findings[0].detail


# --- programs ---


def frozen(data: bytes) -> list[str]:
    return list(taken([file_entry("usr/bin/app", data)]).frozen.values())


def test_pyinstallers_cookie_may_have_data_behind_it() -> None:
    assert frozen(pyinstaller(["flask"]) + b"a signature" * 1000) == frozen(pyinstaller(["flask"]))
    assert "flask" in frozen(pyinstaller(["flask"]))[0]


def test_old_tables_are_dicts() -> None:
    [said] = frozen(pyinstaller([], table=marshal.dumps({"flask": (0, 17, 5), "requests": (1, 17, 5)})))
    assert "flask, requests" in said


def test_nuitkas_names_are_found_wherever_they_stand() -> None:
    """Also where two pieces of the file meet."""
    for place in range(1024 * 1024 - 700, 1024 * 1024 - 500, 7):
        assert frozen(elf(bytes(place) + b"__nuitka_version__" + bytes(100_000))), place
    assert frozen(elf(bytes(300_000))) == []


@pytest.mark.parametrize("version", range(5))
def test_tables_as_every_marshal_writes_them(version: int) -> None:
    table: Any = [("a" * 300, (0, 1, 2)), ("straße", (1, -5, 1 << 40)), ("a", (True, None, b"x"))]
    assert list(module_names(marshal.dumps(table, version))) == ["a" * 300, "straße", "a"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"N",
        b"[",
        b"[\xff\xff\xff\x7f",
        b"[\xff\xff\xff\xff",
        b"[\1\0\0\0" * 1000,
        b"r\0\0\0\0",
        b"[\1\0\0\0z\xffx",
        b"{",
        b"s\xff\xff\xff\xff",
        marshal.dumps(compile("1", "x", "eval")),
        struct.pack("<cL", b"(", 1000) + b"N" * 999,
    ],
)
def test_tables_that_are_none(data: bytes) -> None:
    with pytest.raises(Unmarshalled):
        list(module_names(data))
