"""Wheels, read whole and by their RECORD; damaged and hostile ones."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from fixtures.wheels import make_wheel, read_members, record_bytes, record_row, write_wheel
from scanner.digest import Digest
from scanner.errors import WheelUnreadable
from scanner.limits import DEFAULT_LIMITS, MIB, Limits
from scanner.wheel import WheelContents, WheelName, names_chainguard, read_wheel, read_wheel_by_record, wheel_tags

NAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"
SCRIPT = b"#!python\nimport demo\n"


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def whole(data: bytes, limits: Limits = DEFAULT_LIMITS, filename: str = NAME) -> WheelContents:
    return read_wheel(io.BytesIO(data), filename=filename, limits=limits)


def by_record(data: bytes, limits: Limits = DEFAULT_LIMITS, filename: str = NAME) -> WheelContents | None:
    return read_wheel_by_record(io.BytesIO(data), filename=filename, limits=limits)


def refused(data: bytes, why: str, limits: Limits = DEFAULT_LIMITS) -> None:
    for read in (whole, by_record):
        with pytest.raises(WheelUnreadable, match=why):
            read(data, limits)


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members in their order, names as they are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, method
            archive.writestr(info, data)
    return out.getvalue()


def recorded(*members: tuple[str, bytes], info: str = INFO) -> bytes:
    """A wheel of these members with a right RECORD."""
    rows = [record_row(name, data) for name, data in members]
    return zipped(*members, (f"{info}/RECORD", record_bytes([*rows, (f"{info}/RECORD", "", "")])))


META = (f"{INFO}/METADATA", b"Name: demo\n")
WHEEL = (f"{INFO}/WHEEL", b"Tag: py3-none-any\nTag: py2-none-any\n")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    files = {"demo/__init__.py": b"x = 1\n", "demo/data.bin": bytes(300_000)}
    scripts = {"scripts/run": SCRIPT, "scripts/sh": b"#!/bin/sh\n", "data/share/x": b"#!python\nno script\n"}
    folder = tmp_path_factory.mktemp("demo")
    points = "[console_scripts]\nd = demo:x\n"
    return make_wheel(folder, "demo", "1.0", files, data=scripts, entry_points=points, sbom=True).read_bytes()


# -- both ways


def test_whole(demo: bytes) -> None:
    digest = Digest.of(demo)
    contents = read_wheel(io.BytesIO(demo), filename=NAME, limits=DEFAULT_LIMITS, sha256=digest)
    assert (contents.filename, contents.sha256, contents.proved, contents.dist_info) == (NAME, digest, True, INFO)
    assert contents.members["demo/__init__.py"].sha256 == sha(b"x = 1\n")
    assert contents.members["demo/data.bin"].size == 300_000
    assert set(contents.documents) == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "sboms/sbom.spdx.json"}
    assert f"{INFO}/RECORD" not in contents.members
    assert contents.script_tails == {"demo-1.0.data/scripts/run": sha(b"import demo\n")}
    assert contents.claims_chainguard
    assert contents.tags == {"py3-none-any"}


def test_by_record_says_the_same(demo: bytes) -> None:
    contents, proved = by_record(demo), whole(demo)
    assert contents is not None
    assert not contents.proved
    assert contents.members == proved.members
    assert contents.documents == proved.documents
    assert contents.script_tails == {}


def test_a_real_wheel_both_ways(pypi_wheel: Callable[[str], Path]) -> None:
    path = pypi_wheel("flask==3.0.2")
    data = path.read_bytes()
    contents = by_record(data, filename=path.name)
    assert contents is not None
    assert contents.members == whole(data, filename=path.name).members
    assert not contents.claims_chainguard


def test_by_record_reads_little(demo: bytes) -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    file = Counting(recorded(("demo.py", hashlib.shake_256(b"noise").digest(2 * MIB)), META, WHEEL))
    assert read_wheel_by_record(file, filename=NAME, limits=DEFAULT_LIMITS) is not None
    assert file.count < 64 * 1024


# -- a RECORD that does not do


@pytest.mark.parametrize(
    "record",
    [
        b"",
        f"{META[0]},,\n{WHEEL[0]},,\n".encode(),
        b"demo.py,,\n",
        b"demo.py,md5=abc,6\n",
        record_bytes([record_row("demo.py", b"other size")]),
        record_bytes([record_row("other.py", b"x = 1\n")]),
        record_bytes([("demo.py", "sha512=" + "A" * 86, "6")]),
    ],
)
def test_an_incomplete_record(record: bytes) -> None:
    data = zipped(("demo.py", b"x = 1\n"), META, WHEEL, (f"{INFO}/RECORD", record))
    assert by_record(data) is None
    assert whole(data).members["demo.py"].sha256 == sha(b"x = 1\n")


def test_no_record() -> None:
    data = zipped(("demo.py", b"x = 1\n"), META)
    assert by_record(data) is None
    assert set(whole(data).members) == {"demo.py", META[0]}


def test_documents_are_hashed_not_believed() -> None:
    """What is read anyway counts with its own bytes, whatever RECORD says of it."""
    rows = [record_row("demo.py", b"x"), record_row(META[0], b"Name: evil\n"), record_row(*WHEEL)]
    contents = by_record(zipped(("demo.py", b"x"), META, WHEEL, (f"{INFO}/RECORD", record_bytes(rows))))
    assert contents is not None
    assert contents.members[META[0]].sha256 == sha(META[1])


def test_spellings_in_the_zip_and_in_record() -> None:
    rows = [record_row("./demo/a.py", b"x"), record_row("demo\\b.py", b"y")]
    data = zipped(("demo\\a.py", b"x"), ("/demo/b.py", b"y"), META, (f"{INFO}/RECORD", record_bytes(rows)))
    contents = by_record(data)
    assert contents is not None
    assert set(contents.members) == {"demo/a.py", "demo/b.py", META[0]}


def test_directories_and_signatures_are_no_members() -> None:
    data = recorded(("demo/", b""), ("demo/a.py", b"x"), META, (f"{INFO}/RECORD.jws", b"{}"))
    for contents in (whole(data), by_record(data)):
        assert contents is not None
        assert set(contents.members) == {"demo/a.py", META[0]}


# -- dist-info


@pytest.mark.parametrize("info", ["demo-1.0.dist-info", "Demo-1.0.0.dist-info", "demo-1.0+cgr.1.dist-info"])
def test_dist_info_of_its_own_name(info: str) -> None:
    assert whole(recorded((f"{info}/METADATA", b""), info=info)).dist_info == info


def test_a_name_with_a_dash() -> None:
    data = recorded(("my-demo-1.0.dist-info/METADATA", b""), info="my-demo-1.0.dist-info")
    assert whole(data, filename="my_demo-1.0-py3-none-any.whl").dist_info == "my-demo-1.0.dist-info"


def test_dist_info_inside_is_another_matter() -> None:
    data = recorded(META, ("demo/_vendor/demo-2.0.dist-info/METADATA", b"x"))
    assert whole(data).dist_info == INFO


@pytest.mark.parametrize("folders", [(), ("other-1.0.dist-info",), (INFO, "demo-2.0.dist-info")])
def test_no_or_many_dist_info(folders: tuple[str, ...]) -> None:
    refused(zipped(("demo.py", b""), *((f"{folder}/METADATA", b"") for folder in folders)), "dist-info folders")


# -- hostile


@pytest.mark.parametrize("path", ["../evil.py", "demo/../../evil.py", "..", "a\\..\\..\\evil.py"])
def test_paths_out_of_the_wheel(path: str) -> None:
    refused(zipped(META, (path, b"x")), "leaves the wheel")


@pytest.mark.parametrize("data", [b"", b"PK\5\6", b"not a zip at all", b"<html>302</html>"])
def test_no_zip(data: bytes) -> None:
    refused(data, "cannot be read as a wheel")


def test_a_truncated_wheel(demo: bytes) -> None:
    for end in range(0, len(demo), 97):
        refused(demo[:end], "cannot be read|dist-info folders")


def test_a_wrong_crc() -> None:
    data = bytearray(zipped(("demo.py", b"x = 1\n"), META, method=zipfile.ZIP_STORED))
    at = data.index(b"x = 1\n")
    data[at] ^= 1
    with pytest.raises(WheelUnreadable, match="CRC"):
        whole(bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions(method: int) -> None:
    refused(zipped(META, method=method), "neither stored nor deflated")


def test_encrypted() -> None:
    data = bytearray(zipped(META))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + at] |= 1
    refused(bytes(data), "encrypted")


def test_two_members_of_one_path() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        same = zipped(META, ("demo.py", b"x"), ("demo.py", b"x"))
    with pytest.warns(UserWarning, match="Duplicate"):
        other = zipped(META, ("demo.py", b"x"), ("demo.py", b"y"))
    assert "demo.py" in whole(same).members
    refused(other, "two members 'demo.py'")
    refused(zipped(META, ("a/b.py", b"x"), ("a\\b.py", b"y")), "two members 'a/b.py'")


def test_too_many_members() -> None:
    refused(
        zipped(META, *((f"m{at}.py", b"") for at in range(20))), "limit archive_members", Limits(archive_members=10)
    )


def test_a_large_document() -> None:
    refused(recorded((META[0], bytes(2000))), "limit member", Limits(member=1000))


def test_many_documents() -> None:
    sboms = [(f"{INFO}/sboms/{at}.json", bytes(900)) for at in range(10)]
    refused(recorded(META, *sboms), "limit kept_total", Limits(member=5_000, kept_total=5_000))


def test_a_large_directory() -> None:
    data = zipped(META, *((f"{'m' * 200}{at}.py", b"") for at in range(50)))
    refused(data, "limit member", Limits(member=4_000))


def test_a_member_that_expands_without_end() -> None:
    data = zipped(META, ("demo.py", bytes(2 * MIB)))
    for limits in (Limits(wheel_expanded=MIB), Limits(wheel_ratio=10, expansion_grace=MIB)):
        with pytest.raises(WheelUnreadable, match="limit wheel_expanded"):
            whole(data, limits)
    assert whole(data).members["demo.py"].size == 2 * MIB


def test_a_document_that_lies_about_its_size_costs_no_memory() -> None:
    """The directory says 10 bytes, the stream has 128 MiB of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = b"".join(packer.compress(bytes(MIB)) for _ in range(128)) + packer.flush()
    name = f"{INFO}/METADATA".encode()
    sizes = struct.pack("<III", 0, len(stream), 10)
    local = struct.pack("<4s5H", b"PK\3\4", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", len(name), 0) + name
    central = struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, 8, 0, 0) + sizes
    central += struct.pack("<5HII", len(name), 0, 0, 0, 0, 0, 0) + name
    start = len(local) + len(stream)
    end = struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, 1, 1, len(central), start, 0)
    tracemalloc.start()
    try:
        refused(local + stream + central + end, "cannot be read")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 * MIB


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_harmless(demo: bytes, data: st.DataObject) -> None:
    small = recorded(("demo.py", b"x = 1\n"), META, WHEEL)
    damaged = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(small) - 1))] = data.draw(st.integers(0, 255))
    for read in (whole, by_record):
        try:
            contents = read(bytes(damaged))
        except WheelUnreadable:
            continue
        assert contents is None or contents.dist_info.endswith(".dist-info")


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    refused(data, NAME)


# -- names, tags, claims


def test_names() -> None:
    name = WheelName.parse("Demo_X-1.0+cgr.1-2-py2.py3-none-any.whl")
    assert name is not None
    assert (name.project, name.version, len(name.tags)) == ("demo-x", Version("1.0+cgr.1"), 2)


@pytest.mark.parametrize(
    "name", ["", "demo.whl", "demo-1.0.tar.gz", "demo-x.y-py3-none-any.whl", "demo-1.0-py3-none.whl"]
)
def test_names_of_no_wheel(name: str) -> None:
    assert WheelName.parse(name) is None


def test_a_name_with_billions_of_tags() -> None:
    many = ".".join(f"a{at}" for at in range(3000))
    assert WheelName.parse(f"demo-1.0-{many}-{many}-{many}.whl") is None


@settings(deadline=None)
@given(st.text())
def test_any_name(name: str) -> None:
    assert WheelName.parse(name) is None or name.endswith(".whl")


def test_tags() -> None:
    assert wheel_tags(b"Wheel-Version: 1.0\r\nTag: py3-none-any\r\ntag: py2-none-any\nTagged: x\n\xff") == {
        "py3-none-any",
        "py2-none-any",
    }


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"creationInfo": {"creators": ["Tool: Syft", "Organization: Chainguard, Inc"]}}, True),
        ({"metadata": {"supplier": {"name": "Chainguard, Inc."}}}, True),
        ({"metadata": {"manufacturer": {"name": "Chainguard"}}}, True),
        ({"creationInfo": {"creators": ["Organization: Chainguards"]}}, False),
        ({"creationInfo": {"creators": ["Person: not Chainguard"]}}, False),
        ({"creationInfo": {"creators": "Organization: Chainguard, Inc"}}, False),
        ({"creationInfo": [], "metadata": 1}, False),
        ([], False),
    ],
)
def test_who_made_an_sbom(document: object, says: bool) -> None:
    assert names_chainguard(json.dumps(document).encode()) is says


@settings(deadline=None)
@given(st.binary())
def test_any_sbom(data: bytes) -> None:
    assert names_chainguard(data) is False


def test_a_deep_sbom() -> None:
    assert names_chainguard(b"[" * 100_000) is False


def test_fixture_wheels_are_what_installers_expect(tmp_path: Path) -> None:
    """The tests above rest on RECORDs that ``write_wheel`` gets right, also after a change."""
    path = make_wheel(tmp_path, "demo", "1.0", {"demo.py": b"x"})
    write_wheel(path, read_members(path), record=f"{INFO}/RECORD")
    assert by_record(path.read_bytes()) is not None
