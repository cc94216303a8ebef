"""Findings about byte code: what is told, what is not, and that many are told in one line."""

from __future__ import annotations

import importlib.util
import io
import os
import py_compile
import tarfile
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from fixtures.images import Entry, file_entry, symlink_entry, tar_of
from scanner.distribution import Finding
from scanner.finders import stale_bytecode
from scanner.inventories import take_directory, take_inventory
from scanner.limits import DEFAULT_LIMITS
from scanner.rootfs import RootFS

SITE = "usr/lib/python3.11/site-packages"
TIME = 1_700_000_000
Mode = py_compile.PycInvalidationMode


def tree(root: Path, *names: str, content: bytes = b"x = 1\n", mode: Mode = Mode.TIMESTAMP, optimize: int = -1) -> None:
    """Sources of one time, and their byte code as Python writes it."""
    for name in names:
        source = root / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(content)
        os.utime(source, (TIME, TIME))
        py_compile.compile(str(source), invalidation_mode=mode, doraise=True, optimize=optimize)


def code_of(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def told(root: Path) -> list[Finding]:
    return sorted(stale_bytecode(RootFS.of([take_directory(root, limits=DEFAULT_LIMITS)])), key=lambda one: one.path)


def many(package: str, count: int) -> list[str]:
    return [f"{SITE}/{package}/m{number}.py" for number in range(count)]


@pytest.mark.parametrize("mode", [Mode.TIMESTAMP, Mode.CHECKED_HASH])
def test_what_python_wrote_is_no_finding(tmp_path: Path, mode: Mode) -> None:
    tree(tmp_path, *many("demo", 8), mode=mode)
    tree(tmp_path, *many("demo", 8), mode=mode, optimize=2)
    assert told(tmp_path) == []


def test_a_source_of_another_time(tmp_path: Path) -> None:
    tree(tmp_path, f"{SITE}/demo/core.py", f"{SITE}/demo/other.py")
    os.utime(tmp_path / SITE / "demo/core.py", (TIME + 5, TIME + 5))
    [one] = told(tmp_path)
    assert (one.kind.value, one.path) == (
        "stale-bytecode",
        f"/{SITE}/demo/__pycache__/{code_of(Path('core.py')).name}",
    )
    assert one.detail == (
        "was made of a source of another time (2023-11-14T22:13:20Z; it is of 2023-11-14T22:13:25Z): "
        "Python compiles the source again and does not run it"
    )


def test_a_source_of_another_size(tmp_path: Path) -> None:
    tree(tmp_path, f"{SITE}/demo/core.py")
    source = tmp_path / SITE / "demo/core.py"
    source.write_bytes(b"x = 12\n")
    os.utime(source, (TIME, TIME))
    [one] = told(tmp_path)
    assert "another size (6 bytes; it has 7)" in one.detail


def test_unchecked_byte_code_is_always_told(tmp_path: Path) -> None:
    tree(tmp_path, f"{SITE}/demo/core.py", mode=Mode.UNCHECKED_HASH)
    [one] = told(tmp_path)
    assert one.detail == "is bound to no source (unchecked): Python runs it whatever the source says"


def test_a_level_of_optimization_is_named(tmp_path: Path) -> None:
    tree(tmp_path, f"{SITE}/demo/core.py", mode=Mode.UNCHECKED_HASH, optimize=1)
    [one] = told(tmp_path)
    assert one.path.endswith(".opt-1.pyc")
    assert one.detail.endswith("Python -O runs it whatever the source says")


def test_a_source_with_another_hash(tmp_path: Path) -> None:
    """The sources behind the first byte code with a hash have theirs, whatever their time and size."""
    names = [f"{SITE}/demo/{name}.py" for name in ("a", "b")]
    tree(tmp_path, *names, mode=Mode.CHECKED_HASH)
    (tmp_path / names[1]).write_bytes(b"x = 2\n")
    inventory = take_inventory(_tar(tmp_path, [*names, *_codes(tmp_path)]), limits=DEFAULT_LIMITS)
    assert list(stale_bytecode(RootFS.of([inventory]))) == []  # sources came first: left to Python, which checks
    inventory = take_inventory(_tar(tmp_path, [*_codes(tmp_path), *names]), limits=DEFAULT_LIMITS)
    [one] = stale_bytecode(RootFS.of([inventory]))
    assert "/b." in one.path
    assert one.detail == (
        "was made of a source with another hash: Python compiles the source again and does not run it"
    )


def test_unchecked_byte_code_with_another_hash_is_said_to_be_so(tmp_path: Path) -> None:
    names = many("demo", 10)
    tree(tmp_path, *names, mode=Mode.UNCHECKED_HASH)
    (tmp_path / names[3]).write_bytes(b"x = 2\n")
    inventory = take_inventory(_tar(tmp_path, [*_codes(tmp_path), *names]), limits=DEFAULT_LIMITS)
    found = sorted(stale_bytecode(RootFS.of([inventory])), key=lambda one: one.path)
    assert [one.path for one in found] == [f"/{SITE}", f"/{SITE}/demo/__pycache__/{code_of(Path('m3.py')).name}"]
    assert found[0].detail == (
        "9 of 10 .pyc files below it: each is bound to no source (unchecked): Python runs it whatever the source says"
    )
    assert "made of one with another hash" in found[1].detail


def _codes(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.pyc"))


def _tar(root: Path, names: list[str]) -> BinaryIO:
    entries = []
    for name in names:
        info, content = file_entry(name, (root / name).read_bytes())
        info.mtime = int((root / name).stat().st_mtime)
        entries.append((info, content))
    return cast("BinaryIO", io.BytesIO(tar_of(entries)))


@pytest.mark.parametrize("data", [b"", b"text", importlib.util.MAGIC_NUMBER])
def test_a_damaged_header(tmp_path: Path, data: bytes) -> None:
    tree(tmp_path, f"{SITE}/demo/core.py")
    code_of(tmp_path / SITE / "demo/core.py").write_bytes(data)
    [one] = told(tmp_path)
    assert one.detail.startswith("has no header that Python knows: Python compiles the source again")


def test_beside_its_source_python_3_never_looks_at_it(tmp_path: Path) -> None:
    tree(tmp_path, f"{SITE}/demo/core.py")
    source = tmp_path / SITE / "demo/core.py"
    code_of(source).rename(source.with_suffix(".pyc"))
    assert told(tmp_path) == []
    os.utime(source, (TIME + 5, TIME + 5))
    [one] = told(tmp_path)
    assert one.path == f"/{SITE}/demo/core.pyc"
    assert one.detail.endswith("Python imports the source beside it and not this")


def test_beside_its_source_python_2_runs_it(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    source = tmp_path / "old/x.py"
    source.write_bytes(b"x = 1\n")
    os.utime(source, (TIME, TIME))
    header = (62211).to_bytes(2, "little") + b"\r\n"
    source.with_suffix(".pyc").write_bytes(header + TIME.to_bytes(4, "little") + b"cccccccc")
    assert told(tmp_path) == []
    source.with_suffix(".pyc").write_bytes(header + (TIME - 1).to_bytes(4, "little") + b"cccccccc")
    [one] = told(tmp_path)
    assert one.detail.endswith("Python compiles the source again and does not run it")


def test_byte_code_without_a_source_in_a_cache_is_no_finding(tmp_path: Path) -> None:
    """Nothing imports it: people delete sources of what they do not need."""
    tree(tmp_path, f"{SITE}/demo/core.py", mode=Mode.UNCHECKED_HASH)
    (tmp_path / SITE / "demo/core.py").unlink()
    assert told(tmp_path) == []


def test_links_are_followed(tmp_path: Path) -> None:
    """uv links sources into its cache; and a linked cache hides nothing."""
    tree(tmp_path, "store/core.py", "evil/other.py", mode=Mode.UNCHECKED_HASH)
    site = tmp_path / SITE / "demo"
    site.mkdir(parents=True)
    (site / "core.py").symlink_to("/store/core.py")
    (site / "__pycache__").symlink_to("/store/__pycache__")
    assert [one.path for one in told(tmp_path)] == [
        f"/evil/__pycache__/{code_of(Path('other.py')).name}",
        f"/store/__pycache__/{code_of(Path('core.py')).name}",
        f"/{SITE}/demo/__pycache__/{code_of(Path('core.py')).name}",
    ]


def test_odd_kinds_are_no_pairs(tmp_path: Path) -> None:
    tree(tmp_path, f"{SITE}/demo/core.py")
    code = code_of(tmp_path / SITE / "demo/core.py")
    code.unlink()
    code.mkdir()
    (code.parent / code.name.replace("core", "gone")).symlink_to("nowhere")
    (tmp_path / SITE / "demo/gone.py").symlink_to("nowhere")
    (tmp_path / "__pycache__").write_bytes(b"")
    assert told(tmp_path) == []


def test_the_layer_is_that_of_the_byte_code() -> None:
    code = f"{SITE}/__pycache__/core.cpython-311.pyc"
    header = (3495).to_bytes(2, "little") + b"\r\n" + bytes(4) + (7).to_bytes(4, "little") + (6).to_bytes(4, "little")
    layers: list[list[Entry]] = [
        [file_entry("etc/x")],
        [file_entry(f"{SITE}/core.py", b"x = 1\n"), file_entry(code, header)],
        [file_entry(f"{SITE}/core.py", b"x = 2\n")],
    ]
    inventories = [
        take_inventory(
            cast("BinaryIO", io.BytesIO(tar_of(layer, tar_format=tarfile.GNU_FORMAT))), limits=DEFAULT_LIMITS
        )
        for layer in layers
    ]
    [one] = stale_bytecode(RootFS.of(inventories))
    assert (one.path, one.layer) == (f"/{code}", 1)


# --- many are one ---


@pytest.mark.parametrize("time", [0, 315532800])
def test_an_environment_whose_times_were_set_anew_is_one_finding(tmp_path: Path, time: int) -> None:
    """Reproducible builds: SOURCE_DATE_EPOCH, rewrite-timestamp."""
    tree(tmp_path, *many("alpha", 30), *many("beta", 30))
    for path in tmp_path.rglob("*"):
        os.utime(path, (time, time))
    [one] = told(tmp_path)
    assert one.path == f"/{SITE}"
    year = "1970-01-01" if time == 0 else "1980-01-01"
    assert one.detail == (
        f"all 60 .pyc files below it: each was made of a source of another time (the sources are all of "
        f"{year}T00:00:00Z): Python compiles the source again and does not run it"
    )


def test_a_package_whose_times_were_set_anew_is_one_finding_too(tmp_path: Path) -> None:
    tree(tmp_path, *many("alpha", 30), *many("beta", 30))
    for path in (tmp_path / SITE / "beta").rglob("*.py"):
        os.utime(path, (0, 0))
    [one] = told(tmp_path)
    assert one.path == f"/{SITE}/beta"


def test_one_of_many_is_named(tmp_path: Path) -> None:
    tree(tmp_path, *many("alpha", 30))
    for number in (3, 4):
        os.utime(tmp_path / SITE / f"alpha/m{number}.py", (0, 0))
    assert [one.path for one in told(tmp_path)] == [
        f"/{SITE}/alpha/__pycache__/{code_of(Path(f'm{number}.py')).name}" for number in (3, 4)
    ]


def test_many_here_and_there_are_one(tmp_path: Path) -> None:
    names = [name for package in range(60) for name in many(f"p{package}", 3)]
    tree(tmp_path, *names)
    for name in names[::3]:
        os.utime(tmp_path / name, (0, 0))
    [one] = told(tmp_path)
    assert one.detail.startswith("60 of 180 .pyc files below it")


def test_a_store_of_many_environments_is_one_finding(tmp_path: Path) -> None:
    """Nix has an environment for every package, Bazel a folder."""
    names = [
        f"nix/store/{number:032x}-p/lib/python3.11/site-packages/p/m{m}.py" for number in range(12) for m in range(6)
    ]
    tree(tmp_path, *names, mode=Mode.UNCHECKED_HASH)
    [one] = told(tmp_path)
    assert one.path == "/nix/store"
    assert one.detail.startswith("all 72 .pyc files")


def test_code_that_is_in_no_environment_belongs_to_where_it_is_imported_from(tmp_path: Path) -> None:
    tree(tmp_path, *[f"app/src/pkg/sub/{name}.py" for name in ("__init__", *"abcdefg")], "app/src/pkg/__init__.py")
    for path in tmp_path.rglob("*.py"):
        os.utime(path, (0, 0))
    assert [one.path for one in told(tmp_path)] == ["/app/src"]


def test_many_links_to_one_cache_take_no_time(tmp_path: Path) -> None:
    entries: list[Entry] = [file_entry(f"c/__pycache__/m{number}.cpython-311.pyc") for number in range(500)]
    entries += [symlink_entry(f"d/{number}/__pycache__", "/c/__pycache__") for number in range(500)]
    entries += [file_entry(f"d/{number}/a.py") for number in range(500)]
    inventory = take_inventory(cast("BinaryIO", io.BytesIO(tar_of(entries))), limits=DEFAULT_LIMITS)
    assert list(stale_bytecode(RootFS.of([inventory]))) == []
