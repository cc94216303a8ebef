"""The tar reader against the standard library, GNU tar, and every damage a small tar can have."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
import struct
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.errors import LimitExceeded, MalformedArchive, TruncatedStream, UntrustedContent
from scanner.limits import DEFAULT_LIMITS, KIB, MIB, Limits
from scanner.tarstream import BLOCK, TarStream

Read = list[tuple[str, str, str, int, str]]
"""Name, kind, link, size, sha256 of the content."""
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
END = bytes(2 * BLOCK)


class Slow(io.RawIOBase):
    """A source that gives as many bytes at once as the test says, like a socket."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__()
        self._source = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._source.read(min(size, self._step) if size >= 0 else self._step)


def stream_of(data: bytes, *, step: int = MIB, limits: Limits = DEFAULT_LIMITS) -> TarStream:
    return TarStream(cast("BinaryIO", Slow(data, step)), what="test", limits=limits)


def read(data: bytes, *, step: int = MIB, limits: Limits = DEFAULT_LIMITS) -> Read:
    stream = stream_of(data, step=step, limits=limits)
    return [
        (one.name, one.kind, one.link, one.size, hashlib.sha256(b"".join(stream.content())).hexdigest())
        for one in stream
    ]


def by_tarfile(data: bytes) -> Read:
    found: Read = []
    kinds = {tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"}
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as archive:
        for info in archive:
            kind = "file" if info.isreg() else kinds.get(info.type, "other")
            file = archive.extractfile(info) if info.isreg() else None
            content = file.read() if file else b""
            link = info.linkname if kind in ("symlink", "hardlink") else ""
            size = info.size if kind == "file" else 0
            found.append((info.name, kind, link, size, hashlib.sha256(content).hexdigest()))
    return found


def without_slashes(entries: Read) -> Read:
    """Directories' names without the last slash, which ``tarfile`` takes away."""
    return [(one[0].rstrip("/") if one[1] == "directory" else one[0], *one[1:]) for one in entries]


def header(name: bytes, size: int = 0, *, kind: bytes = b"0", at: Mapping[int, bytes] | None = None) -> bytes:
    """One header block, field by field, with a right checksum; ``at`` has other fields by their offset."""
    block = bytearray(BLOCK)
    block[: len(name)] = name
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:148] = b"%011o\0" % size + b"00000000000\0"
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    for offset, data in (at or {}).items():
        block[offset : offset + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def pax(*records: tuple[str, str]) -> bytes:
    """A PAX header of these records, in their order."""
    content = b""
    for key, value in records:
        body = f" {key}={value}\n".encode()
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length = len(str(length)) + len(body)
        content += str(length).encode() + body
    return header(b"PaxHeaders/x", len(content), kind=b"x") + padded(content)


def longname(name: bytes, kind: bytes = b"L") -> bytes:
    return header(b"././@LongLink", len(name) + 1, kind=kind) + padded(name + b"\0")


def only(data: bytes) -> tuple[str, str, str, int, str]:
    """The one entry of an archive to which only the end is missing."""
    (entry,) = read(data + END)
    return entry


def names(data: bytes) -> list[str]:
    return [name for name, *_ in read(data + END)]


# --- the standard library as the oracle ---

NAME = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=60
)
PATH = st.lists(NAME.filter(lambda part: part not in (".", "..")), min_size=1, max_size=5).map("/".join)


@st.composite
def entries(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(draw(PATH))
    info.type = draw(st.sampled_from([tarfile.REGTYPE] * 4 + [tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE]))
    if draw(st.booleans()):
        info.type = draw(st.sampled_from([tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, info.type]))
    info.mtime = draw(st.sampled_from([0, 1, 1_700_000_000, 2**34, 1.5]))
    info.uid = draw(st.sampled_from([0, 1000, 2**31]))
    content = b""
    if info.isreg():
        content = draw(st.binary(max_size=40)) * draw(st.sampled_from([1, 1, 13, 64, 200]))
        info.size = len(content)
    elif info.issym() or info.islnk():
        info.linkname = draw(PATH)
    return info, content


@settings(max_examples=80, deadline=None)
@given(st.lists(entries(), max_size=6), st.sampled_from(["gnu", "pax"]), st.sampled_from([1, 7, 511, 512, 513, MIB]))
def test_same_entries_as_tarfile(made: list[tuple[tarfile.TarInfo, bytes]], form: str, step: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=FORMATS[form]) as archive:
        for info, content in made:
            archive.addfile(info, io.BytesIO(content))
    data = stream.getvalue()
    assert without_slashes(read(data, step=step)) == by_tarfile(data)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("length", [99, 100, 101, 155, 156, 200, 215])
def test_names_around_the_fields_ends(form: str, length: int) -> None:
    path = ("d" * 49 + "/") * 6 + "f" * 10
    path = path[-length:].lstrip("/").rjust(length, "x")
    info = tarfile.TarInfo(path)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=FORMATS[form]) as archive:
        archive.addfile(info)
    assert [one[0] for one in read(stream.getvalue())] == [path]


@pytest.mark.parametrize("step", [1, 3, 100, 511, 512, 513, 1024, 10_000, MIB])
def test_content_whatever_the_source_gives_at_once(step: int) -> None:
    dice = random.Random(1)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for number, size in enumerate((0, 1, 511, 512, 513, 5000)):
            info = tarfile.TarInfo(f"file-{number}")
            info.size = size
            archive.addfile(info, io.BytesIO(dice.randbytes(size)))
    assert read(stream.getvalue(), step=step) == by_tarfile(stream.getvalue())


def test_content_left_half_read_moves_nothing() -> None:
    tar = header(b"a", 3000) + padded(b"a" * 3000) + header(b"b", 5) + padded(b"hello") + END
    stream = stream_of(tar, step=600)
    seen = [(entry.name, bytes(next(iter(stream.chunks())))[:5]) for entry in stream]
    assert seen == [("a", b"aaaaa"), ("b", b"hello")]


def test_content_not_read_at_all_moves_nothing() -> None:
    tar = header(b"a", 3000) + padded(b"a" * 3000) + header(b"b", 0) + END
    assert [entry.name for entry in stream_of(tar, step=64)] == ["a", "b"]


# --- sparse files, as GNU tar writes them ---


def gnu_tar(folder: Path, *arguments: str) -> bytes:
    if shutil.which("tar") is None:
        pytest.skip("no tar here")
    command = ["tar", "--create", "--sort=name", *arguments, "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"this tar cannot: {done.stderr.decode()[:200]}")
    return done.stdout


def sparse_tree(folder: Path) -> dict[str, str]:
    """Files with holes: in front, behind, everywhere, hundreds of them; gives the sha256 of each."""
    shapes = {
        "front": ([(1 * MIB, b"end")], 0),
        "behind": ([(0, b"start")], 1 * MIB),
        "nothing": ([], 256 * KIB),
        "solid": ([(0, b"x" * 70_000)], 0),
        "middle": ([(0, b"a" * 5000), (300_000, b"b" * 5000), (700_000, b"c")], 900_000),
        "many": ([(number * 16 * KIB, b"%d" % number) for number in range(150)], 0),
    }
    for name, (pieces, end) in shapes.items():
        with (folder / name).open("wb") as file:
            for offset, data in pieces:
                file.seek(offset)
                file.write(data)
            file.truncate(max(end, file.tell()))
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in shapes}


@pytest.mark.parametrize(
    "how",
    [["--format=gnu"], *(["--format=posix", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0"))],
    ids=lambda how: how[-1],
)
@pytest.mark.parametrize("step", [997, MIB])
def test_sparse_files_of_gnu_tar(tmp_path: Path, how: list[str], step: int) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    expected = sparse_tree(tree)
    data = gnu_tar(tree, "--sparse", *how)
    if len(data) > 3 * MIB:
        pytest.skip("this file system has no holes")
    found = {name.removeprefix("./"): digest for name, kind, _, _, digest in read(data, step=step) if kind == "file"}
    assert found == expected


def sparse_entry(*records: tuple[str, str], stored: bytes) -> bytes:
    return pax(*records) + header(b"GNUSparseFile.0/cover", len(stored)) + padded(stored)


def test_a_sparse_map_of_an_unknown_version_is_none() -> None:
    data = sparse_entry(("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "x"), stored=b"abc")
    assert only(data)[:4] == ("GNUSparseFile.0/cover", "file", "", 3)


@pytest.mark.parametrize(
    "sparse_map",
    ["5,3", "0,3,2,1", "0,1", "0,4", "0", "0,3,", "a,b", "-1,3", "0,99999999999999999999"],
)
def test_sparse_maps_that_lie_are_refused(sparse_map: str) -> None:
    data = sparse_entry(
        ("GNU.sparse.size", "6"), ("GNU.sparse.name", "x"), ("GNU.sparse.map", sparse_map), stored=b"abc"
    )
    with pytest.raises(MalformedArchive):
        read(data + END)


@pytest.mark.parametrize("lines", [b"9" * 3000, b"1\n0\n" + b"1" * 3000, b"400000\n" + b"1\n" * 900, b"x\n"])
def test_sparse_maps_in_the_content_that_lie_are_refused(lines: bytes) -> None:
    major = (("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "10"))
    with pytest.raises(UntrustedContent):
        read(sparse_entry(*major, stored=padded(lines)) + END)


def test_an_old_sparse_map_without_end_is_refused() -> None:
    first = header(b"s", 0, kind=b"S", at={482: b"\1", 483: b"00000000000\0"})
    with pytest.raises((LimitExceeded, TruncatedStream)):
        read(first + (bytes(504) + b"\1" + bytes(7)) * 3000 + END)


def test_many_small_maps_do_not_stand_for_endless_zeros() -> None:
    limits = replace(DEFAULT_LIMITS, expansion_grace=10 * MIB)
    one = sparse_entry(("GNU.sparse.size", str(MIB)), ("GNU.sparse.name", "x"), ("GNU.sparse.map", "0,1"), stored=b"a")
    assert len(read(one * 5 + END, limits=limits)) == 5
    with pytest.raises(LimitExceeded, match="expansion_ratio"):
        read(one * 50 + END, limits=limits)


# --- where readers differ: as Go's archive/tar does ---


def test_links_and_devices_have_no_data_whatever_their_size_says() -> None:
    for kind in b"123456":
        tar = header(b"odd", 512, kind=bytes([kind]), at={157: b"to"}) + header(b"next")
        assert names(tar) == ["odd", "next"], kind


def test_the_oldest_directory_is_a_file_with_a_slash() -> None:
    assert only(header(b"old/", 512, kind=b"\0"))[1] == "directory"
    assert only(header(b"old/", 3, kind=b"0") + padded(b"abc"))[1] == "file"


def test_a_long_name_counts_more_than_a_pax_path() -> None:
    for extended in (longname(b"long") + pax(("path", "pax")), pax(("path", "pax")) + longname(b"long")):
        assert only(extended + header(b"short"))[0] == "long"


def test_a_second_pax_header_takes_the_place_of_the_first() -> None:
    assert only(pax(("path", "first")) + pax(("linkpath", "x")) + header(b"short"))[0] == "short"


def test_the_last_record_of_a_key_counts_and_an_empty_one_counts_as_none() -> None:
    assert only(pax(("path", "one"), ("path", "two")) + header(b"short"))[0] == "two"
    assert only(pax(("path", ""), ("size", "")) + header(b"short", 3) + padded(b"abc"))[:4] == ("short", "file", "", 3)


def test_a_global_header_changes_nothing_and_ends_what_stood_before() -> None:
    record = b"20 path=from-global\n"
    everywhere = header(b"pax_global", len(record), kind=b"g") + padded(record)
    assert names(everywhere + header(b"a") + header(b"b")) == ["a", "b"]
    assert names(pax(("path", "evil.py")) + everywhere + header(b"cover")) == ["cover"]


def test_a_pax_size_counts() -> None:
    tar = pax(("size", "5")) + header(b"a", 0) + padded(b"hello") + header(b"b")
    assert [(name, size) for name, _, _, size, _ in read(tar + END)] == [("a", 5), ("b", 0)]


def test_the_prefix_of_ustar_star_and_gnu() -> None:
    assert only(header(b"name", at={345: b"some/where"}))[0] == "some/where/name"
    long_prefix = b"p" * 155
    assert only(header(b"name", at={345: long_prefix}))[0] == long_prefix.decode() + "/name"
    star = {345: b"p" * 131 + b"00000000001\x0000000000001\0", 508: b"tar\0"}
    assert only(header(b"name", at=star))[0] == "p" * 131 + "/name"
    gnu = {257: b"ustar  \0"}
    assert only(header(b"name", at={**gnu, 345: b"00000000001\x0000000000001\0"}))[0] == "name"
    assert only(header(b"name", at={**gnu, 345: b"some/where"}))[0] == "some/where/name"
    assert only(header(b"name", at={257: bytes(8), 345: b"some/where"}))[0] == "name"
    assert only(header(b"name", at={263: b"99", 345: b"some/where"}))[0] == "some/where/name"


@pytest.mark.parametrize(
    ("field", "size"),
    [
        (b"00000000003\0", 3),
        (b"00000000003 ", 3),
        (b"          3\0", 3),
        (b"3" + bytes(11), 3),
        (b"\0\0\0\0\0\0\0\0\0\0" + b"3\0", 3),  # leading NULs are skipped
        (b"000000000003", 3),
        (b"\x80" + (3).to_bytes(11, "big"), 3),
        (bytes(12), 0),
    ],
)
def test_numbers(field: bytes, size: int) -> None:
    content = padded(b"abc") if size else b""
    assert only(header(b"x", at={124: field}) + content)[3] == size


@pytest.mark.parametrize(
    "field",
    [
        b"0000000000x\0",
        b"00000000008\0",
        b"0000000 003\0",
        b"+0000000003\0",
        b"0_000000003\0",
        b"-0000000003\0",
        b"\xff" * 12,
        b"\xc0" + bytes(11),
        b"\x80" + b"\xff" * 11,
        b"\xff" + b"\0" * 11,
    ],
)
def test_sizes_that_are_none(field: bytes) -> None:
    with pytest.raises(MalformedArchive):
        only(header(b"x", at={124: field}) + padded(b"abc"))


def test_times_are_read_of_python_files_only() -> None:
    ten = {136: b"00000000012\0"}
    stream = stream_of(
        header(b"a.py", at=ten)
        + header(b"a.txt", at=ten)
        + pax(("mtime", "-5.25"))
        + header(b"b.pyc", at=ten)
        + header(b"c.py", at={136: b"\xff" * 11 + b"\xfe"})
        + END
    )
    assert [entry.mtime for entry in stream] == [10, 0, -5, -2]


def test_oddities_are_told() -> None:
    both = pax(("size", "512")) + header(b"cover", 1024) + bytes(512)
    unknown = header(b"odd", 3, kind=b"Z") + padded(b"abc")
    faults = [(entry.kind, entry.fault) for entry in stream_of(both + unknown + header(b"fine") + END)]
    assert faults == [
        ("file", "its two headers disagree about its size"),
        ("other", "unknown kind of entry b'Z'"),
        ("file", None),
    ]


# --- damage ---


def small_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in (("a.py", b"1\n"), ("d/" * 60 + "long", b"x" * 600), ("caf\u00e9.py", b"2\n")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "a.py"
        archive.addfile(link)
    with_gnu = stream.getvalue()[: stream.getvalue().rstrip(b"\0").__len__() // BLOCK * BLOCK + BLOCK]
    return with_gnu + longname(b"n" * 120) + header(b"cut") + END


def headers_of(data: bytes) -> Iterator[int]:
    """Where the header blocks are."""
    at = 0
    while data[at : at + BLOCK].strip(b"\0"):
        yield at
        at += BLOCK + -(-int(data[at + 124 : at + 135], 8) // BLOCK) * BLOCK


def test_every_flip_of_a_byte_in_a_header_is_an_error_or_changes_nothing() -> None:
    original = small_tar()
    expected = read(original)
    assert len(expected) == 5
    harmless = 0
    for start in headers_of(original):
        for at in range(start, start + BLOCK):
            for mask in (0x01, 0x20, 0x80, 0xFF):
                damaged = bytearray(original)
                damaged[at] ^= mask
                try:
                    assert read(bytes(damaged)) == expected, (at - start, mask)
                    harmless += 1
                except UntrustedContent:
                    pass
    assert harmless < 100  # only the bytes around the checksum's digits


def test_every_flip_in_the_end_is_an_error() -> None:
    original = small_tar()
    for at in range(len(original) - len(END), len(original)):
        damaged = bytearray(original)
        damaged[at] ^= 0x40
        with pytest.raises(UntrustedContent):
            read(bytes(damaged))


def test_every_truncation_is_an_error_or_loses_nothing() -> None:
    original = small_tar()
    expected = read(original)
    for length in range(1, len(original)):
        try:
            assert read(original[:length]) == expected
            assert length == len(original) - BLOCK
        except TruncatedStream:
            pass


def test_a_layer_without_a_byte_is_empty() -> None:
    assert read(b"") == []


def test_an_archive_without_entries_is_empty() -> None:
    assert read(END) == []


def test_one_zero_block_and_more_is_refused() -> None:
    with pytest.raises(MalformedArchive, match="single zero block"):
        read(bytes(BLOCK) + header(b"a") + END)


def test_what_stands_behind_the_end_is_not_read() -> None:
    assert names(header(b"a") + END + b"anything at all") == ["a"]


def test_extended_headers_at_the_end_are_truncated() -> None:
    with pytest.raises(TruncatedStream):
        read(pax(("path", "x")) + END)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_large_extended_headers_are_not_allocated(kind: bytes) -> None:
    with pytest.raises(LimitExceeded, match="extended_header"):
        read(header(b"x", 8 * 1024 * MIB - 1, kind=kind) + END)


@pytest.mark.parametrize(
    "records",
    [b"7 path\n", b"99 path=x\n", b"10 path=xyz", b"path=x\n", b"0 path=x\n", b"-9 path=x\n", b"9 path=xy\nrest"],
)
def test_damaged_pax_headers_are_refused(records: bytes) -> None:
    with pytest.raises(MalformedArchive):
        read(header(b"PaxHeaders/x", len(records), kind=b"x") + padded(records) + header(b"a") + END)


def test_a_pax_header_of_many_records_takes_linear_time() -> None:
    records = b"6 a=b\n" * 170_000
    tar = header(b"PaxHeaders/x", len(records), kind=b"x") + padded(records) + header(b"a") + END
    started = time.process_time()
    assert names(tar) == ["a"]
    assert time.process_time() - started < 5


def test_errors_name_the_stream() -> None:
    with pytest.raises(MalformedArchive, match="test: damaged header"):
        read(b"this is no tar\n" * 100)


def test_nested_extended_headers_end() -> None:
    tar = pax(("comment", "x")) * 2000 + header(b"a") + END
    assert names(tar) == ["a"]


def test_binary_numbers_of_every_length() -> None:
    for value in (0, 1, 2**33, 2**62):
        tar = header(b"x", at={124: b"\x80" + struct.pack(">xxxQ", value)})
        stream: Any = iter(stream_of(tar + END))
        assert next(stream).size == value
