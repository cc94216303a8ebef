"""Zip files of strangers: what is read is what Python's importer would read, or it is not read."""

from __future__ import annotations

import io
import struct
import zipfile
import zipimport
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from fixtures.bundles import zip_of
from scanner.errors import MalformedArchive
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.zips import content_of, directory_of

CODE = b"X = 1\n" * 1000


def members(data: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, zipfile.ZipInfo]:
    return {info.filename: info for info in directory_of(cast("BinaryIO", io.BytesIO(data)), limits=limits)}


def read(data: bytes, name: str = "x.py") -> tuple[bytes, list[str]]:
    """A member's bytes and what was odd."""
    odd: list[str] = []
    file = cast("BinaryIO", io.BytesIO(data))
    return b"".join(content_of(file, members(data)[name], odd.append)), odd


def changed(data: bytes, field: int, value: bytes) -> bytes:
    """The archive with a field of its first directory record changed."""
    at = data.index(b"PK\x01\x02") + field
    return data[:at] + value + data[at + len(value) :]


def imported(path: Path, data: bytes) -> bytes:
    path.write_bytes(data)
    return zipimport.zipimporter(str(path)).get_data("x.py")


@pytest.mark.parametrize("prefix", [b"", b"#!/usr/bin/env python3\n", bytes(100_000)])
def test_members_behind_a_prefix(prefix: bytes) -> None:
    assert read(zip_of({"a.py": b"", "x.py": CODE}, prefix=prefix)) == (CODE, [])


def test_stored_empty_and_zip64_members() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("stored.py", CODE)
        archive.writestr("empty.py", b"")
        with archive.open(zipfile.ZipInfo("big.py"), "w", force_zip64=True) as member:
            member.write(CODE)
    data = stream.getvalue()
    assert [read(data, name)[0] for name in ("stored.py", "empty.py", "big.py")] == [CODE, b"", CODE]


def test_other_bytes_than_the_directory_says_are_those_that_python_runs(tmp_path: Path) -> None:
    """Python's importer checks no CRC."""
    data = changed(zip_of({"x.py": CODE}), 16, b"\0\0\0\0")
    assert read(data) == (imported(tmp_path / "a.zip", data), ["has other bytes than the archive's directory says"])


def test_more_bytes_than_the_directory_says_are_not_cut_off(tmp_path: Path) -> None:
    """zipfile gives the first of them, and so would a scanner of it; the importer gives all."""
    data = changed(zip_of({"x.py": CODE}), 24, struct.pack("<L", 6))
    assert imported(tmp_path / "a.zip", data) == CODE
    with pytest.raises(MalformedArchive, match="more bytes"):
        read(data)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (8, b"\1\0", "encrypted"),
        (10, b"\x0c\0", "neither stored nor deflated"),
        (10, b"\x0e\0", "neither stored nor deflated"),
        (20, b"\2\0\0\0", "ends early|damaged"),
        (42, b"\1\0\0\0", "not where"),
        (42, b"\xff\xff\xff\x0f", "not where"),
    ],
)
def test_what_nobody_reads(field: int, value: bytes, said: str) -> None:
    with pytest.raises(MalformedArchive, match=said):
        read(changed(zip_of({"x.py": CODE}), field, value))


def test_a_second_name() -> None:
    data = zip_of({"x.py": CODE})
    assert read(data.replace(b"x.py", b"y.py", 1)) == (CODE, ["has a second name in the archive: 'y.py'"])


def test_names_that_are_not_ascii_are_one_name() -> None:
    assert read(zip_of({"straße.py": CODE}), "straße.py") == (CODE, [])


def test_damaged_data() -> None:
    data = bytearray(zip_of({"x.py": CODE}))
    data[40:44] = b"\xff\xff\xff\xff"
    with pytest.raises(MalformedArchive, match=r"damaged|ends early"):
        read(bytes(data))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04" * 20, zip_of({"x.py": CODE})[:-10], b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_zip(data: bytes) -> None:
    with pytest.raises(MalformedArchive, match="zip file"):
        members(data)


def test_too_many_members_are_refused_before_they_are_listed() -> None:
    data = zip_of({f"{number}.py": b"" for number in range(11)})
    assert len(members(data, Limits(archive_members=11))) == 11
    with pytest.raises(MalformedArchive, match="archive_members"):
        members(data, Limits(archive_members=10))


def test_large_members_come_in_pieces() -> None:
    content = zlib.decompress(zlib.compress(bytes(3_000_000)))
    data = zip_of({"x.py": content})
    parts = list(content_of(cast("BinaryIO", io.BytesIO(data)), members(data)["x.py"], lambda _: None))
    assert len(parts) > 5
    assert b"".join(parts) == content
