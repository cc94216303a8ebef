"""Forms of files: newlines, ELF sections; hostile bytes have none and cost nothing."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.forms import Elf, Form, Text, difference, form_of

TEXT = b"one\ntwo\nthree\n"


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def said(shipped: bytes, there: bytes) -> str | None:
    """What is said of a file; a form of the wheel's member is known where it is more than its digest."""
    form = form_of(there)
    assert form is not None
    return difference(form_of(shipped), digest(shipped), form)


@pytest.mark.parametrize(
    ("shipped", "there", "expected"),
    [
        (TEXT, TEXT.replace(b"\n", b"\r\n"), "only its newlines differ: CRLF instead of LF"),
        (TEXT.replace(b"\n", b"\r\n"), TEXT, "only its newlines differ: LF instead of CRLF"),
        (TEXT, b"one\r\ntwo\nthree\n", "only its newlines differ: mixed instead of LF"),
        (TEXT, b"\xef\xbb\xbf" + TEXT, "a byte order mark was put in front"),
        (b"\xef\xbb\xbf" + TEXT, TEXT, "its byte order mark is gone"),
        (TEXT, TEXT + b"four\n", None),
        (TEXT, TEXT.replace(b"\n", b"\r"), None),
    ],
)
def test_texts(shipped: bytes, there: bytes, expected: str | None) -> None:
    assert said(shipped, there) == expected


def test_a_text_with_lf_needs_no_form_of_the_wheels_member() -> None:
    form = form_of(TEXT.replace(b"\n", b"\r\n"))
    assert isinstance(form, Text)
    assert difference(None, digest(TEXT), form) == "only its newlines differ: CRLF instead of LF"


def test_bytes_that_are_neither() -> None:
    assert form_of(b"PNG\0\r\n") is None
    assert form_of(b"\x7fELF and no more") is None


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A shared library as it was compiled, and what became of it."""
    folder = tmp_path_factory.mktemp("elf")
    gcc, strip = shutil.which("gcc"), shutil.which("strip")
    if gcc is None or strip is None:
        pytest.skip("gcc or strip is not installed here")
    code = "int table[4] = {1, 2, 3}; int run(int x) { return %s * x + table[x & 3]; }\n"
    for name, factor in (("plain", "3"), ("other", "5")):
        (folder / f"{name}.c").write_text(code % factor)
        command = [gcc, "-g", "-O1", "-shared", "-fPIC", "-o", f"{name}.so", f"{name}.c"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    (folder / "data.c").write_text((code % "3").replace("1, 2, 3", "1, 2, 4"))
    subprocess.run(
        [gcc, "-g", "-O1", "-shared", "-fPIC", "-o", "data.so", "data.c"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=60,
    )
    subprocess.run([strip, "-o", "bare.so", "plain.so"], cwd=folder, check=True, capture_output=True, timeout=60)
    return {path.stem: path.read_bytes() for path in Path(folder).glob("*.so")}


def test_libraries(libraries: dict[str, bytes]) -> None:
    plain = libraries["plain"]
    assert (said(plain, libraries["bare"]) or "").startswith("stripped: .debug_abbrev")
    assert said(plain, libraries["other"]) == "its machine code differs (.text)"
    assert ".data" in (said(plain, libraries["data"]) or "")
    assert said(plain, plain + b"more") == "only what is not loaded differs, code and data are the same"


def test_code_that_the_table_of_sections_does_not_show_is_not_called_the_same(libraries: dict[str, bytes]) -> None:
    """Segments that are run lead elsewhere, while the sections still show the old code."""
    there = bytearray(libraries["plain"])
    phoff, phnum = struct.unpack_from("<Q", there, 32)[0], struct.unpack_from("<H", there, 56)[0]
    for number in range(phnum):
        at = phoff + 56 * number
        kind, flags = struct.unpack_from("<II", there, at)
        if kind == 1 and flags & 1:
            struct.pack_into("<Q", there, at + 8, 0)
    assert form_of(bytes(there)) is None


def test_another_entry_point_is_told(libraries: dict[str, bytes]) -> None:
    there = bytearray(libraries["plain"])
    struct.pack_into("<Q", there, 24, 0x1234)
    assert said(libraries["plain"], bytes(there)) == "its machine code is the same and mapped in another way"


@given(st.data())
def test_damaged_libraries_are_never_an_error(data: st.DataObject) -> None:
    header = bytearray(elf_with(sections=4))
    for _ in range(data.draw(st.integers(1, 6))):
        header[data.draw(st.integers(4, len(header) - 1))] = data.draw(st.integers(0, 255))
    form: Form | None = form_of(bytes(header))
    assert form is None or isinstance(form, Elf)


def test_sections_over_each_other_are_not_hashed_again_and_again() -> None:
    start = time.monotonic()
    assert form_of(elf_with(sections=500, size=8 * 1024 * 1024)) is None
    assert time.monotonic() - start < 2


def elf_with(*, sections: int, size: int = 64) -> bytes:
    """A 64-bit ELF file whose sections all show the same ``size`` bytes."""
    shoff = 64 + size
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, shoff, 0, 64, 56, 0, 64, sections, 1)
    table = struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, 64, size, 0, 0, 1, 0) * sections
    return header + b"\0.x\0".ljust(size, b"\0") + table
