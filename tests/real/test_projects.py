"""Real projects, as each of the two builds, put into place by real installers: who built what, without a doubt left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures import trees, wheels
from fixtures.trees import Installer, Layout
from tests.real.stock import PROJECTS, Line, Stock, lines_of, odd_files, project_of, scanned, words

ORIGINS = {"chainguard": "chainguard", "pypi": "upstream"}


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "bytecode"])
@pytest.mark.parametrize("by", ["pip", "uv"])
@pytest.mark.parametrize("whose", ["chainguard", "pypi"])
def test_installed_from_one_build(
    stock: Stock, folders: Mapping[str, str], tmp_path: Path, whose: str, by: Installer, compiled: bool
) -> None:
    trees.install(stock.build(whose).values(), tmp_path, by=by, compile=compiled)
    report = scanned(f"dir:{tmp_path}", folders)
    lines = lines_of(report)
    environment = f"/usr/local/lib/python{trees.RUNNING}/site-packages"
    assert {name: _told(line) for name, line in lines.items()} == {
        name: (ORIGINS[whose], "intact", wheel.name, [], environment, by, stock.chainguard[name].name)
        for name, wheel in stock.build(whose).items()
    }
    assert report["findings"] == []
    assert report["summary"]["coverage"] == (100 if whose == "chainguard" else 0)
    evidence = "not-upstream" if whose == "chainguard" else None
    assert {line["match"]["evidence"] for line in lines.values()} == {evidence}


def _told(line: Line) -> tuple[object, ...]:
    return (
        *words(line),
        line["match"] and line["match"]["filename"],
        odd_files(line),
        line["environment"],
        line["installer"],
        line["available"]["same_version"],
    )


@pytest.mark.parametrize("layout", ["venv", "target"])
@pytest.mark.parametrize("by", ["pip", "uv"])
def test_other_layouts(stock: Stock, folders: Mapping[str, str], tmp_path: Path, by: Installer, layout: Layout) -> None:
    """Half of the projects from each side, in a virtual environment and in a bare folder."""
    compiled = layout == "target"
    names = sorted(stock.pypi)
    ours, theirs = names[::2], names[1::2]
    # one run of the installer: --target refuses or replaces folders of an earlier one
    trees.install(
        [*stock.of("chainguard", *ours), *stock.of("pypi", *theirs)], tmp_path, by=by, layout=layout, compile=compiled
    )
    report = scanned(f"dir:{tmp_path}", folders)
    expected = dict.fromkeys(ours, ("chainguard", "intact")) | dict.fromkeys(theirs, ("upstream", "intact"))
    assert {name: words(line) for name, line in lines_of(report).items()} == expected
    assert report["findings"] == []


@pytest.mark.parametrize("whose", ["chainguard", "pypi"])
def test_wheel_files_that_lie_around(stock: Stock, folders: Mapping[str, str], tmp_path: Path, whose: str) -> None:
    for wheel in stock.build(whose).values():
        (tmp_path / "wheels").mkdir(exist_ok=True)
        (tmp_path / "wheels" / wheel.name).write_bytes(wheel.read_bytes())
    report = scanned(f"dir:{tmp_path}", folders)
    told = {(line["name"], line["kind"], *words(line), line["environment"]) for line in report["distributions"]}
    assert told == {(name, "wheel", ORIGINS[whose], "intact", None) for name in stock.build(whose)}
    assert report["summary"]["coverage"] is None


def test_a_fallback_copy_is_upstream(stock: Stock, tmp_path: Path) -> None:
    """Chainguard's index hands out PyPI's wheels of what it has not built."""
    mixed = {**stock.chainguard, "jinja2": stock.pypi["jinja2"], "markupsafe": stock.pypi["markupsafe"]}
    names = ("jinja2", "markupsafe", "click")
    indexes = {
        "chainguard": str(trees.simple_tree(tmp_path / "i/chainguard", mixed.values())),
        "pypi": str(trees.simple_tree(tmp_path / "i/pypi", stock.pypi.values())),
    }
    trees.install([mixed[name] for name in names], tmp_path / "root")
    lines = lines_of(scanned(f"dir:{tmp_path}/root", indexes))
    assert {name: (*words(line), line["available"]["same_version"]) for name, line in lines.items()} == {
        "jinja2": ("upstream", "intact", None),
        "markupsafe": ("upstream", "intact", None),
        "click": ("chainguard", "intact", stock.chainguard["click"].name),
    }


# -- built on the spot

ON_THE_SPOT = {
    "same": ("jmespath==1.0.1", "markupsafe==3.0.2", "jinja2==3.1.6"),
    "older": ("jmespath==1.0.1", "markupsafe==3.0.2"),
}
"""By backend: the one that made Chainguard's wheel, or an older one. A script; compiled; flit."""


@pytest.mark.parametrize("backend", ["same", "older"])
def test_built_on_the_spot_from_source(stock: Stock, folders: Mapping[str, str], tmp_path: Path, backend: str) -> None:
    """What ``pip install --no-binary`` leaves: Chainguard's source, not Chainguard's build."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        built = list(pool.map(lambda requirement: _built_here(requirement, backend), ON_THE_SPOT[backend]))
    trees.install(built, tmp_path)
    report = scanned(f"dir:{tmp_path}", folders)
    assert {name: words(line) for name, line in lines_of(report).items()} == {
        project_of(wheel): ("source", "none") for wheel in built
    }
    assert report["findings"] == []
    assert report["summary"]["verified"] == 0


def _built_here(requirement: str, backend: str) -> Path:
    """A wheel as pip builds it on a user's machine: no SBOM, a bare ``linux`` tag, this or an older backend."""

    def make(into: Path) -> None:
        constraints = into.with_name(f"{into.name}.txt")
        constraints.write_text("setuptools<74\nwheel<0.44\n" if backend == "older" else "")
        how = ["--no-deps", "--no-cache-dir", "--no-binary", requirement.partition("==")[0]]
        command = [sys.executable, "-m", "pip", "wheel", "-q", *how, "-w", str(into), requirement]
        # a user's compiler is not Chainguard's
        environment = {**os.environ, "PIP_CONSTRAINT": str(constraints), "CFLAGS": "-O1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
        constraints.unlink()
        if done.returncode:
            raise wheels.FixtureUnavailable(done.stderr[-500:])

    try:
        return wheels._cached(f"on-the-spot-{backend}", requirement, "*.whl", make)
    except wheels.FixtureUnavailable as problem:
        pytest.skip(str(problem))


def test_there_are_enough_projects() -> None:
    assert len(PROJECTS) >= 12
