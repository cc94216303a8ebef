"""rpm's database in its three forms, whole and damaged: real headers by real rpm, and hostile ones."""

from __future__ import annotations

import dataclasses
import sqlite3
import struct
import subprocess
from pathlib import Path

import pytest

from fixtures import packages
from fixtures.wheels import FixtureUnavailable
from scanner.limits import DEFAULT_LIMITS
from scanner.owner import Listed, OwnedFile, Package
from scanner.rpmdb import read_rpmdb

SITE = "usr/lib/python3.11/site-packages"
FILES = {
    f"{SITE}/demo/__init__.py": b"VERSION = 1\n",
    f"{SITE}/demo-1.dist-info/METADATA": b"Name: demo\nVersion: 1\n",
    "usr/bin/demo": b"#!/usr/bin/python3\n",
    "usr/share/doc/demo": b"words\n",
}
FEW = dataclasses.replace(DEFAULT_LIMITS, entries=3)
SMALL = dataclasses.replace(DEFAULT_LIMITS, kept_total=500)


def read(data: bytes) -> Listed:
    return read_rpmdb(data, limits=DEFAULT_LIMITS)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rpm")
    try:
        demo = packages.rpm_package(folder / "demo", "python3-demo", FILES)
        plain = packages.rpm_package(folder / "plain", "plain", {"usr/share/doc/plain": b"nothing of Python\n"})
        return packages.rpm_install(folder / "root", [plain, demo])
    except FixtureUnavailable as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def headers(database: Path) -> list[bytes]:
    return packages.headers_of(database)


def test_sqlite(database: Path) -> None:
    listed = read(database.read_bytes())
    assert (listed.fault, [package.title for package in listed.packages]) == ("", ["rpm:python3-demo"])
    files = {file.path: file for file in listed.packages[0].files}
    assert set(files) == {"/" + path for path in FILES if "share" not in path}
    assert all(file.algorithm == "sha256" and len(file.digest) == 32 for file in files.values())


def test_the_other_forms_say_the_same(database: Path, headers: list[bytes]) -> None:
    said = read(database.read_bytes())
    assert read(packages.ndb_of(headers)) == said
    assert read(packages.berkeley_of(headers)) == said
    assert read(packages.berkeley_of(headers, order=">")) == said


def test_rpm_reads_the_berkeley_db_of_these_tests(tmp_path: Path, headers: list[bytes]) -> None:
    """What is written here is what rpm understands."""
    large = header((1000, 6, b"large\0", 1), (1004, 9, b"w" * 10_000 + b"\0", 1))
    (tmp_path / "Packages").write_bytes(packages.berkeley_of([*headers, large]))
    how = ["--dbpath", str(tmp_path), "--define", "_db_backend bdb_ro", "--nosignature", "--nodigest"]
    asked = ["rpm", *how, "-qa", "--qf", "%{NAME} "]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    if "invalid" in done.stderr or not done.stdout:
        pytest.skip(f"this rpm does not read BerkeleyDB: {done.stderr.strip()[:200]}")
    assert {"plain", "python3-demo"} <= set(done.stdout.split())


def test_a_package_larger_than_a_page_of_berkeley_db() -> None:
    data = bytearray(packages.berkeley_of([header(NAME, OLD, more=bytes(10_000))]))
    assert [package.title for package in read(bytes(data)).packages] == ["rpm:odd"]
    struct.pack_into("<I", data, 2 * 4096 + 16, 0)  # the chain ends too early
    assert "cut off" in read(bytes(data)).fault


@pytest.mark.parametrize("size", [0, 1, 15, 16, 100, 512, 4096, 5000, 40_000])
@pytest.mark.parametrize("form", ["sqlite", "ndb", "berkeley"])
def test_cut_off(form: str, size: int, database: Path, headers: list[bytes]) -> None:
    whole = {"ndb": packages.ndb_of, "berkeley": packages.berkeley_of}
    data = database.read_bytes() if form == "sqlite" else whole[form](headers)
    if size < len(data):
        listed = read(data[:size])
        assert listed.fault or not listed.packages


@pytest.mark.parametrize("form", ["sqlite", "ndb", "berkeley"])
def test_any_byte_may_be_wrong(form: str, database: Path, headers: list[bytes]) -> None:
    """Whatever comes out, it is a list; a wrong byte in SQLite's first page may also do nothing."""
    whole = {"ndb": packages.ndb_of, "berkeley": packages.berkeley_of}
    data = database.read_bytes() if form == "sqlite" else whole[form](headers)
    for place in range(0, min(len(data), 20_000), 131):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        read(bytes(damaged))


def sqlite_of(folder: Path, *statements: str, blobs: list[bytes] | None = None) -> bytes:
    file = folder / "made.sqlite"
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    for blob in blobs or []:
        connection.execute("INSERT INTO Packages(blob) VALUES (?)", (blob,))
    connection.commit()
    connection.close()
    return file.read_bytes()


TABLE = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)"
NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS hnum, x AS blob FROM n"


def test_a_view_is_not_asked(tmp_path: Path) -> None:
    assert read(sqlite_of(tmp_path, f"CREATE VIEW Packages AS {NUMBERS}")) == Listed(fault="has no table Packages")


def test_a_virtual_table_is_not_asked(tmp_path: Path) -> None:
    try:
        data = sqlite_of(tmp_path, "CREATE VIRTUAL TABLE Packages USING fts5(blob)")
    except sqlite3.OperationalError as problem:
        pytest.skip(f"this SQLite has no fts5: {problem}")
    assert read(data) == Listed(fault="has no table Packages")


def test_a_column_that_is_worked_out(tmp_path: Path) -> None:
    """Functions in the schema are not run for strangers."""
    table = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob GENERATED ALWAYS AS (zeroblob(900000000)) VIRTUAL)"
    data = sqlite_of(tmp_path, table, "INSERT INTO Packages(hnum) VALUES (1)")
    listed = read(data)
    assert listed.fault
    assert not listed.packages


def test_no_table_at_all(tmp_path: Path) -> None:
    assert read(sqlite_of(tmp_path, "CREATE TABLE Other (x)")).fault == "has no table Packages"


def test_one_damaged_package_does_not_hide_the_others(tmp_path: Path, headers: list[bytes]) -> None:
    blobs = [b"", b"garbage", *headers, bytes(100), struct.pack(">II", 2**31, 2**31)]
    listed = read(sqlite_of(tmp_path, TABLE, blobs=blobs))
    assert [package.title for package in listed.packages] == ["rpm:python3-demo"]
    assert "header" in listed.fault


def test_packages_that_share_their_bytes(headers: list[bytes]) -> None:
    """A small ndb whose every slot leads to the same large package."""
    data = bytearray(packages.ndb_of(headers[-1:]))
    slot = data[32:48]
    for place in range(48, 4096, 16):
        data[place : place + 16] = slot
    assert read(bytes(data)).fault == "its packages are larger than the whole database"


def header(*tags: tuple[int, int, bytes, int], more: bytes = b"") -> bytes:
    """A header of (tag, type, data, count)."""
    entries = data = b""
    for tag, kind, value, count in tags:
        data += b"\0" * (-len(data) % 4)
        entries += struct.pack(">IIII", tag, kind, len(data), count)
        data += value
    return struct.pack(">II", len(tags), len(data) + len(more)) + entries + data + more


def listed_of(*headers: bytes, limits: object = DEFAULT_LIMITS) -> Listed:
    assert isinstance(limits, type(DEFAULT_LIMITS))
    return read_rpmdb(packages.ndb_of(headers), limits=limits)


NAME = (1000, 6, b"odd\0", 1)
OLD = (1027, 8, b"/usr/lib/python2.4/site-packages/a.py\0/usr/lib/python2.4/site-packages/b.py\0", 2)
MD5 = (1035, 8, b"0" * 32 + b"\0" + b"zz\0", 2)


def test_names_as_rpm_had_them_long_ago() -> None:
    listed = listed_of(header(NAME, OLD, MD5))
    files = (
        OwnedFile("/usr/lib/python2.4/site-packages/a.py", "md5", bytes(16)),
        OwnedFile("/usr/lib/python2.4/site-packages/b.py"),
    )
    assert listed == Listed(packages=(Package(title="rpm:odd", files=files),))


def test_files_that_were_left_out_or_are_expected_to_change() -> None:
    left_out = (1029, 1, bytes([2, 0]), 2)
    configuration = (1037, 4, struct.pack(">II", 0, 1), 2)
    sums = (1035, 8, (b"0" * 32 + b"\0") * 2, 2)
    [package] = listed_of(header(NAME, OLD, sums, left_out, configuration)).packages
    assert package.files == (OwnedFile("/usr/lib/python2.4/site-packages/b.py"),)


def test_the_last_of_equal_tags_counts() -> None:
    listed = listed_of(header(NAME, OLD, (1000, 6, b"other\0", 1)))
    assert [package.title for package in listed.packages] == ["rpm:other"]


@pytest.mark.parametrize(
    "tags",
    [
        [(1117, 8, b"a\0", 2**32 - 1), (1116, 4, bytes(4), 1), (1118, 8, b"/\0", 1)],
        [(1117, 8, b"a\0", 1), (1116, 4, bytes(4), 2**30), (1118, 8, b"/\0", 1)],
        [(1117, 8, b"a\0", 1), (1116, 4, bytes(4), 1), (1118, 8, b"/\0", 2**31)],
        [(1027, 8, b"x", 100)],
    ],
)
def test_more_values_than_there_can_be(tags: list[tuple[int, int, bytes, int]]) -> None:
    listed = listed_of(header(NAME, *tags))
    assert listed.fault
    assert not listed.packages


def test_folders_that_are_not_there_and_paths_that_are_too_long() -> None:
    folders = (1118, 8, b"/usr/lib/python3/site-packages/\0/" + b"x" * 5000 + b"-packages/\0", 2)
    names = (1117, 8, b"a.py\0b.py\0c.py\0", 3)
    [package] = listed_of(header(NAME, names, (1116, 4, struct.pack(">III", 0, 1, 7), 3), folders)).packages
    assert [file.path for file in package.files] == ["/usr/lib/python3/site-packages/a.py"]


def test_values_of_another_type_and_offsets_outside() -> None:
    data = bytearray(header(NAME, OLD))
    struct.pack_into(">I", data, 8 + 16 + 8, 2**31)  # where the names begin
    assert listed_of(bytes(data)) == Listed()
    assert listed_of(header(NAME, (1027, 4, bytes(8), 2))) == Listed()
    assert listed_of(header(OLD)) == Listed()  # nobody's


def test_a_name_may_be_anything() -> None:
    [package] = listed_of(header((1000, 6, b"\xff" * 100_000 + b"\0", 1), OLD)).packages
    assert len(package.title) <= 204


def test_bounds_of_the_whole() -> None:
    headers_ = [header(NAME, OLD)] * 2
    assert "limit entries" in listed_of(*headers_, limits=FEW).fault
    assert len(listed_of(*headers_, limits=FEW).packages) == 1
    assert "limit kept_total" in listed_of(*headers_, limits=SMALL).fault


def test_chains_that_loop() -> None:
    data = bytearray(packages.berkeley_of([header(NAME, OLD) + bytes(5000)]))
    struct.pack_into("<I", data, 2 * 4096 + 16, 2)  # a page that comes after itself
    place = struct.unpack_from("<4H", data, 4096 + 26)[3]
    struct.pack_into("<I", data, 4096 + place + 8, 2**32 - 1)
    assert read(bytes(data)).fault == "a package of the BerkeleyDB has no end"


@pytest.mark.parametrize(("place", "value"), [(20, 0), (20, 1000), (20, 2**31)])
def test_pages_of_no_size(place: int, value: int) -> None:
    data = bytearray(packages.berkeley_of([header(NAME, OLD)]))
    struct.pack_into("<I", data, place, value)
    assert "pages of" in read(bytes(data)).fault
