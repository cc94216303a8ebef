"""``file:`` targets that are archives and programs with Python code inside."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from fixtures import bundles
from scanner.errors import UnsupportedTarget
from scanner.index import Role
from scanner.pipeline import Options, scan
from scanner.reference import PathReference
from scanner.report import Report
from tests.scenes import Shelf, builds

CODE = {"demo/__init__.py": b"VERSION = '1.0'\n", "demo/core.py": b"def run():\n    return 42\n"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(Chainguard's, PyPI's) wheel."""
    return builds(tmp_path_factory.mktemp("wheels"), CODE)


def scanned(path: Path, pair: tuple[Path, Path]) -> Report:
    shelves = [Shelf(wheels=[pair[0]], role=Role.CHAINGUARD), Shelf(wheels=[pair[1]], role=Role.UPSTREAM)]
    [report] = scan(PathReference(scheme="file", path=str(path)), indexes=shelves, options=Options())
    return report


def test_archives_are_trees_of_one_file(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    targets = {
        "app.pex": (bundles.pex(pair[0]), f".deps/{pair[0].name}/demo-1.0.dist-info", "chainguard"),
        "app": (bundles.shiv(pair[0]), "site-packages/demo-1.0.dist-info", "chainguard"),
        "demo-1.0-py3.11.egg": (bundles.zip_of(bundles.egg(pair[0])), "EGG-INFO", "source"),
        "layer.zip": (bundles.zip_of(bundles.installed(pair[1], "python/")), "python/demo-1.0.dist-info", "upstream"),
    }
    for name, (data, inner, origin) in targets.items():
        (tmp_path / name).write_bytes(data)
        [line] = scanned(tmp_path / name, pair).distributions
        assert (line.kind.value, line.location, line.origin.value) == ("bundled", f"/{name}!/{inner}", origin)
        assert line.layer is None


def test_bundles_are_in_no_coverage(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (tmp_path / "app.pex").write_bytes(bundles.pex(pair[0]))
    assert scanned(tmp_path / "app.pex", pair).summary.coverage is None


def test_a_tar_is_a_root_file_system(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (tmp_path / "root").mkdir()
    for path, data in bundles.installed(pair[0]).items():
        (tmp_path / "root" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "root" / path).write_bytes(data)
    with tarfile.open(tmp_path / "bundle.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "root", "srv/app")
    [line] = scanned(tmp_path / "bundle.tar.gz", pair).distributions
    assert (line.kind.value, line.location) == ("installed", "/srv/app/demo-1.0.dist-info")


def test_a_frozen_program_has_a_finding(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (tmp_path / "app").write_bytes(bundles.pyinstaller(["flask"]))
    [finding] = scanned(tmp_path / "app", pair).findings
    assert (finding.kind.value, finding.path) == ("opaque-bundle", "/app")


def test_a_damaged_archive_has_a_finding(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (tmp_path / "app.pyz").write_bytes(bundles.pex(pair[0], prefix=b"")[:-40])
    [finding] = scanned(tmp_path / "app.pyz", pair).findings
    assert (finding.kind.value, finding.path) == ("unreadable", "/app.pyz")


@pytest.mark.parametrize(
    "data", [b"#!/bin/sh\necho no\n" * 9, bundles.zip_of({"a.txt": b"x" * 99}), bundles.elf(b"x" * 99)]
)
def test_what_has_no_python_in_it_is_no_target(tmp_path: Path, pair: tuple[Path, Path], data: bytes) -> None:
    (tmp_path / "thing.zip").write_bytes(data)
    with pytest.raises(UnsupportedTarget, match="nothing of Python's") as told:
        scanned(tmp_path / "thing.zip", pair)
    assert "zipapps, PEX, eggs" in (told.value.hint or "")
