"""Names and headers of byte code, of every Python that is at hand and of none."""

from __future__ import annotations

import importlib.util
import py_compile
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from scanner.bytecode import Binding, CodeName, Fault, fault_of, hash_magic, read_header, source_stamp

MAGIC = importlib.util.MAGIC_NUMBER


def magic(number: int) -> bytes:
    return number.to_bytes(2, "little") + b"\r\n"


def stamp(number: int, *fields: int) -> bytes:
    return magic(number) + b"".join(struct.pack("<I", field) for field in fields)


# --- names ---


@pytest.mark.parametrize(
    ("name", "stem", "tag", "level", "python"),
    [
        ("x.cpython-311.pyc", "x", "cpython-311", "", "3.11"),
        ("__init__.cpython-39.opt-2.pyc", "__init__", "cpython-39", "2", "3.9"),
        ("x.cpython-313t.opt-1.pyc", "x", "cpython-313t", "1", "3.13"),
        ("test_x.cpython-311-pytest-8.3.3.pyc", "test_x", "cpython-311-pytest-8.3.3", "", "3.11"),
        ("x.pypy310.pyc", "x", "pypy310", "", "3.10"),
        ("x.graalpy231.pyc", "x", "graalpy231", "", None),
    ],
)
def test_names_of_a_cache(name: str, stem: str, tag: str, level: str, python: str | None) -> None:
    found = CodeName.parse(name)
    assert found is not None
    assert (found.stem, found.tag, found.level, found.python) == (stem, tag, level, python)


@pytest.mark.parametrize("name", ["x.pyc", ".pyc", "x.cpython-311.pyc.140234", "x.cpython-311.py", "." * 300 + "pyc"])
def test_names_that_are_none(name: str) -> None:
    assert CodeName.parse(name) is None


# --- headers ---


@pytest.mark.parametrize(
    ("number", "python"),
    [(62211, "2"), (3131, "3.0"), (3180, "3.2"), (3230, "3.3"), (3310, "3.4"), (3351, "3.5"), (3379, "3.6"),
     (3394, "3.7"), (3413, "3.8"), (3425, "3.9"), (3439, "3.10"), (3495, "3.11"), (3531, "3.12"), (3571, "3.13"),
     (3627, "3.14"), (336, None)],
)  # fmt: skip
def test_which_python(number: int, python: str | None) -> None:
    assert read_header(stamp(number, 0, 0, 0)).python == python


def test_the_formats_of_all_times() -> None:
    two = read_header(stamp(62211, 77, 0xE3, 0xE3))
    assert (two.binding, two.mtime, two.size, two.beside) == (Binding.TIMESTAMP, 77, None, True)
    early = read_header(stamp(3180, 77, 0xE3, 0xE3))
    assert (early.binding, early.mtime, early.size, early.beside) == (Binding.TIMESTAMP, 77, None, False)
    three = read_header(stamp(3379, 77, 88, 0xE3))
    assert (three.binding, three.mtime, three.size, three.beside) == (Binding.TIMESTAMP, 77, 88, False)
    now = read_header(stamp(3495, 0, 77, 88))
    assert (now.binding, now.mtime, now.size) == (Binding.TIMESTAMP, 77, 88)
    assert read_header(stamp(3495, 3, 1, 2)).binding is Binding.CHECKED
    assert read_header(stamp(3495, 1, 1, 2)).binding is Binding.UNCHECKED
    assert read_header(stamp(3495, 2, 77, 88)).binding is Binding.TIMESTAMP  # without the first bit the second is none
    assert read_header(stamp(3391, 77, 88, 0)).binding is Binding.TIMESTAMP  # the alphas before PEP 552
    assert read_header(stamp(112, 77, 88, 9), "3.5").size == 88  # another implementation, by its file's name


@pytest.mark.parametrize(
    "data",
    [b"", b"\xa7", MAGIC, MAGIC + bytes(11), b"no byte code at all", stamp(3495, 4, 0, 0), stamp(3495, 1 << 31, 0, 0)],
)
def test_headers_that_python_does_not_take(data: bytes) -> None:
    assert read_header(data[:16]).binding is Binding.DAMAGED


@pytest.mark.parametrize("mode", list(py_compile.PycInvalidationMode))
def test_what_python_itself_writes(tmp_path: Path, mode: py_compile.PycInvalidationMode) -> None:
    source = tmp_path / "x.py"
    source.write_bytes(b"x = 1\n")
    code = Path(py_compile.compile(str(source), invalidation_mode=mode, doraise=True) or "").read_bytes()
    status = source.stat()
    own = source_stamp(MAGIC, source.read_bytes())
    found = fault_of(
        read_header(code[:16]), tag_python=None, mtime=int(status.st_mtime), size=status.st_size, source_stamp=own
    )
    assert found is (Fault.UNCHECKED if mode is py_compile.PycInvalidationMode.UNCHECKED_HASH else None)
    if mode is not py_compile.PycInvalidationMode.TIMESTAMP:
        assert own[8:] == code[8:16]
        assert hash_magic(code[:16]) == MAGIC


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.10", "3.12", "3.13"])
def test_what_other_pythons_write(tmp_path: Path, version: str) -> None:
    python = _python(version)
    source = tmp_path / "x.py"
    source.write_bytes(b"x = 1\n")
    subprocess.run([python, "-m", "py_compile", "x.py"], cwd=tmp_path, check=True, timeout=60, env={})
    [code] = tmp_path.rglob("*.pyc")
    status = source.stat()
    header = read_header(code.read_bytes()[:16])
    assert header.python == ("2" if version == "2.7" else version)
    same = {"tag_python": None, "source_stamp": b""}
    assert fault_of(header, mtime=int(status.st_mtime), size=status.st_size, **same) is None  # type: ignore[arg-type]
    assert fault_of(header, mtime=int(status.st_mtime) - 1, size=status.st_size, **same) is Fault.TIME  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_hashes_of_later_pythons_can_be_computed(tmp_path: Path, version: str) -> None:
    source = tmp_path / "x.py"
    source.write_bytes(b"x = 1\n" * 100)
    how = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "x.py"]
    subprocess.run([_python(version), *how], cwd=tmp_path, check=True, timeout=60, env={})
    [code] = tmp_path.rglob("*.pyc")
    header = code.read_bytes()[:16]
    assert source_stamp(header[:4], source.read_bytes()) == header


def test_hashes_of_earlier_pythons_are_not_compared() -> None:
    assert hash_magic(stamp(3439, 3, 1, 2)) is None
    assert hash_magic(stamp(3495, 0, 1, 2)) is None


def _python(version: str) -> str:
    found = [
        shutil.which(f"python{version}"),
        *map(str, Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python")),
    ]
    for python in found:
        if python and subprocess.run([python, "-c", ""], capture_output=True, check=False, timeout=60).returncode == 0:
            return python
    pytest.skip(f"no Python {version} on this machine")


# --- faults ---


def test_times_and_sizes_are_modulo_two_to_the_32() -> None:
    header = read_header(stamp(3495, 0, 5, 6))
    same = {"tag_python": "3.11", "source_stamp": b""}
    assert fault_of(header, mtime=5 + (1 << 32), size=6 + (1 << 32), **same) is None  # type: ignore[arg-type]
    before_1970 = read_header(stamp(3495, 0, (1 << 32) - 7, 6))
    assert fault_of(before_1970, mtime=-7, size=6, **same) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "own", "fault"),
    [
        ((0, 5, 6), b"", None),
        ((0, 4, 6), b"", Fault.TIME),
        ((0, 5, 7), b"", Fault.SIZE),
        ((0, 4, 7), b"", Fault.SIZE),
        ((3, 5, 6), b"", None),  # nothing to compare with: Python does so at every import
        ((3, 5, 6), stamp(3495, 3, 5, 6), None),
        ((3, 5, 6), stamp(3495, 3, 5, 7), Fault.HASH),
        ((3, 5, 6), stamp(3531, 3, 5, 7), None),  # the hash for another Python
        ((1, 5, 6), b"", Fault.UNCHECKED),
        ((1, 5, 6), stamp(3495, 3, 5, 6), Fault.UNCHECKED),
        ((1, 5, 6), stamp(3495, 3, 5, 7), Fault.UNCHECKED_HASH),
    ],
)
def test_faults(fields: tuple[int, ...], own: bytes, fault: Fault | None) -> None:
    header = read_header(stamp(3495, *fields))
    assert fault_of(header, tag_python="3.11", mtime=5, size=6, source_stamp=own) is fault


def test_byte_code_of_another_python_under_a_name() -> None:
    header = read_header(stamp(3495, 0, 5, 6))
    assert fault_of(header, tag_python="3.12", mtime=5, size=6, source_stamp=b"") is Fault.PYTHON
    pypy = read_header(stamp(336, 0, 5, 6), "3.9")
    assert fault_of(pypy, tag_python="3.9", mtime=5, size=6, source_stamp=b"") is None
