"""Caches that real pip, uv, Poetry and PDM of several years have filled, through the command line.

Each tool asks two indexes on loopback for the same projects, one with PyPI's wheels and one with rebuilt ones; the
tools are installed from PyPI once, into the folder of the fixtures.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures import wheels
from tests import stores
from tests.real.stock import one_process
from tests.registries import Site

pytestmark = pytest.mark.real

WANTED = ("idna==3.10", "markupsafe==3.0.2")
SOURCE = "itsdangerous==2.2.0"
BACKEND = "flit_core==3.12.0"
TOOLS: Mapping[str, tuple[str, ...]] = {
    "pip-23.0": ("pip==23.0.1", "setuptools<70"),
    "pip-23.3": ("pip==23.3.2",),
    "pip-25": ("pip==25.0",),
    "uv-0.4": ("uv==0.4.30",),
    "uv-0.9": ("uv==0.9.0",),
    "pip-tools": ("pip==26.3", "pip-tools==7.6.2"),
    "pipenv": ("pipenv==2026.10.3",),
    "poetry-1.8": ("poetry==1.8.5",),
    "poetry-2.1": ("poetry==2.1.4",),
    "poetry-2.5": ("poetry==2.5.1",),
    "pdm-hishel-0": ("pdm==2.25.4", "hishel<0.2", "unearth<0.18"),
    "pdm-hishel-1": ("pdm==2.27.0", "hishel>=1,<2", "unearth<0.19"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """The two indexes while they run."""

    chainguard: Site
    pypi: Site

    def scanned(self, folder: Path) -> dict[str, Any]:
        """The report of the command line on a folder."""
        where = ["--index", f"{self.chainguard.url}/simple/", "--upstream", f"{self.pypi.url}/simple/"]
        command = [sys.executable, "-m", "scanner", "scan", f"dir:{folder}", *where, "--no-cache", "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture(scope="module")
def indexes() -> Iterator[Indexes]:
    try:
        with one_process():
            backend = wheels.download_wheel(BACKEND)
            chainguard = [wheels.rebuild(requirement) for requirement in WANTED]
            pypi = [*(wheels.download_wheel(requirement) for requirement in WANTED), wheels.download_sdist(SOURCE)]
    except wheels.FixtureUnavailable as problem:
        pytest.skip(str(problem))
    with stores.cacheable([*chainguard, backend]) as built, stores.cacheable([*pypi, backend]) as upstream:
        yield Indexes(chainguard=built, pypi=upstream)


def tool(name: str) -> Path:
    """The ``bin`` of an environment with a tool in it."""
    folder = wheels.cache_folder() / "tools-1" / name
    with one_process():
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            uv = [sys.executable, "-m", "uv"]
            try:
                stores.run([*uv, "venv", "--no-config", "--quiet", "--python", sys.executable, folder])
                stores.run([*uv, "pip", "install", "--no-config", "--quiet", "--python", folder, *TOOLS[name]])
            except AssertionError as problem:
                pytest.skip(f"{name} cannot be installed: {problem}")
            (folder / "done").touch()
    return folder / "bin"


Seen = Counter[tuple[str, str, str]]


def seen(report: Mapping[str, Any]) -> Seen:
    """How often each (name, origin, integrity) is there; all of it cached, and nothing to find."""
    lines = [line for line in report["distributions"] if line["kind"] != "vendored"]
    assert {line["kind"] for line in lines} == {"cached"}
    assert all(line["environment"] is None for line in lines)
    assert report["summary"]["coverage"] is None
    assert report["findings"] == []
    return Counter((line["name"], line["origin"], line["integrity"]) for line in lines if line["name"] != "flit-core")


def both(times: int = 1) -> Seen:
    """Both builds of both projects."""
    origins = ("chainguard", "upstream")
    return Counter({(name, origin, "intact"): times for name in ("idna", "markupsafe") for origin in origins})


SDIST = ("itsdangerous", "upstream", "intact")
BUILT = ("itsdangerous", "unknown", "none")


@pytest.mark.parametrize(
    "name",
    [
        "pip-23.0",
        pytest.param("pip-23.3", marks=pytest.mark.large),
        pytest.param("pip-25", marks=pytest.mark.large),
        "newest",
    ],
)
def test_pip(indexes: Indexes, tmp_path: Path, name: str) -> None:
    python = Path(sys.executable) if name == "newest" else tool(name) / "python"
    for index in (indexes.chainguard, indexes.pypi):
        stores.pip_cache(tmp_path / "pip", index, *WANTED, python=python)
    where: list[str | Path] = ["--cache-dir", tmp_path / "pip", "--index-url", f"{indexes.pypi.url}/simple/"]
    how: list[str | Path] = [*where, "--trusted-host", indexes.pypi.host, "--no-deps", "--target", tmp_path / "target"]
    stores.run([python, "-m", "pip", "--isolated", "install", "--quiet", *how, SOURCE])
    assert (tmp_path / "pip" / ("http" if name == "pip-23.0" else "http-v2")).is_dir()
    report = indexes.scanned(tmp_path / "pip")
    assert seen(report) == both() + Counter({SDIST: 1, BUILT: 1})
    [built] = [line for line in report["distributions"] if line["origin"] == "unknown"]
    assert built["reason"].endswith(f"built from {indexes.pypi.url}/simple/itsdangerous/itsdangerous-2.2.0.tar.gz")


@pytest.mark.parametrize("name", ["uv-0.4", pytest.param("uv-0.9", marks=pytest.mark.large), "newest"])
def test_uv(indexes: Indexes, tmp_path: Path, name: str) -> None:
    uv = tool(name) / "uv" if name != "newest" else None
    for number, index in enumerate((indexes.chainguard, indexes.pypi)):
        stores.uv_cache(tmp_path / "uv", index, tmp_path / f"target{number}", *WANTED, uv=uv)
    stores.uv_cache(tmp_path / "uv", indexes.pypi, tmp_path / "more", SOURCE, uv=uv)
    report = indexes.scanned(tmp_path / "uv")
    assert seen(report) == both() + Counter({BUILT: 2}), "the built wheel lies there packed and unpacked"
    said = {line["reason"].rpartition("; the cache says: ")[2] for line in report["distributions"]}
    assert f"built from {indexes.pypi.url}/simple/itsdangerous/itsdangerous-2.2.0.tar.gz" in said
    for site in (indexes.chainguard, indexes.pypi):
        assert f"from {site.url}/simple/idna/idna-3.10-py3-none-any.whl" in said


def project(folder: Path, table: str, *more: str) -> Path:
    """A project that needs the wanted ones."""
    folder.mkdir()
    needs = ", ".join(f'"{requirement}"' for requirement in (*WANTED, *more))
    python = f"=={sys.version_info[0]}.{sys.version_info[1]}.*"
    head = f'[project]\nname = "app"\nversion = "1"\nrequires-python = "{python}"\ndependencies = [{needs}]\n'
    (folder / "pyproject.toml").write_text(head + table)
    return folder


@pytest.mark.parametrize("name", [pytest.param("poetry-2.1", marks=pytest.mark.large), "poetry-2.5"])
def test_poetry(indexes: Indexes, tmp_path: Path, name: str) -> None:
    poetry = tool(name) / "poetry"
    cache = {"POETRY_CACHE_DIR": str(tmp_path / "cache"), "POETRY_VIRTUALENVS_IN_PROJECT": "true"}
    for number, (index, more) in enumerate(((indexes.chainguard, ()), (indexes.pypi, (SOURCE,)))):
        source = f'[[tool.poetry.source]]\nname = "loop{number}"\nurl = "{index.url}/simple/"\npriority = "primary"\n'
        table = f"[tool.poetry]\npackage-mode = false\n{source}"
        stores.run([poetry, "install", "-n"], folder=project(tmp_path / f"app{number}", table, *more), **cache)
    report = indexes.scanned(tmp_path / "cache")
    names = seen(report)
    assert {key for key in names if key != BUILT} == {*both(), SDIST}
    stored = Counter(_place(line["location"]) for line in report["distributions"] if line["name"] == "idna")
    assert stored["artifacts"] == 2
    assert stored["answers"] >= 2


def _place(location: str) -> str:
    return "answers" if "/_http" in location else "artifacts" if "/artifacts/" in location else location


@pytest.mark.parametrize("name", [pytest.param("pdm-hishel-0", marks=pytest.mark.large), "pdm-hishel-1"])
def test_pdm(indexes: Indexes, tmp_path: Path, name: str) -> None:
    """PDM's store of unpacked wheels goes by file name alone: of two builds, the first that came is used for both."""
    pdm = tool(name) / "pdm"
    cache = {"PDM_CACHE_DIR": str(tmp_path / "cache"), "PDM_CHECK_UPDATE": "0"}
    settings = "[tool.pdm]\ndistribution = false\n[tool.pdm.resolution]\nrespect-source-order = true\n"
    for number, (index, more) in enumerate(((indexes.chainguard, ()), (indexes.pypi, (SOURCE,)))):
        source = f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{index.url}/simple/"\nverify_ssl = false\n'
        folder = project(tmp_path / f"app{number}", settings + source, *more)
        for setting in ("venv.in_project", "install.cache"):
            stores.run([pdm, "config", "--local", setting, "true"], folder=folder, **cache)
        stores.run([pdm, "install", "-q"], folder=folder, **cache)
    report = indexes.scanned(tmp_path / "cache")
    unpacked = Counter({("idna", "chainguard", "intact"): 1, BUILT: 2})  # a built one lies there packed, too
    unpacked += Counter({("markupsafe", origin, "intact"): 1 for origin in ("chainguard", "upstream")})
    assert seen(report) == both() + Counter({SDIST: 1}) + unpacked
    if name == "pdm-hishel-1":
        with sqlite3.connect(tmp_path / "cache/http/http-cache.db") as connection:
            assert connection.execute("SELECT count(*) FROM entries").fetchone()[0] > 5
        connection.close()


def test_a_workstation(indexes: Indexes, tmp_path: Path) -> None:
    """All tools' caches below one ``~/.cache``, beside an environment that is no cache."""
    home = tmp_path / ".cache"
    stores.pip_cache(home / "pip", indexes.chainguard, *WANTED)
    stores.uv_cache(home / "uv", indexes.pypi, home / "tool/lib/python3.11/site-packages", *WANTED)
    report = indexes.scanned(home)
    found = Counter((line["kind"], line["name"], line["origin"]) for line in report["distributions"])
    assert found == Counter(
        {
            **{("cached", name, origin): 1 for name in ("idna", "markupsafe") for origin in ("chainguard", "upstream")},
            **{("installed", name, "upstream"): 1 for name in ("idna", "markupsafe")},
        }
    )
    assert report["summary"]["applicable"] == 2
