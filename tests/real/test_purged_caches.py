"""Caches that real tools have filled from PyPI, purged through the command line; then the tools fetch again.

Each tool asks one address that serves PyPI's builds first and Chainguard's afterwards, as a proxy does whose order was
changed. The wheel of idna has the same name in both, so a copy that stayed would be found again under its URL.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fixtures import wheels
from tests import stores
from tests.managers import html_page
from tests.real.stock import one_process
from tests.real.test_tool_caches import BACKEND, SOURCE, WANTED, project, tool
from tests.registries import Exchange, Site, site
from tests.trees import snapshot

pytestmark = pytest.mark.real


@dataclass(kw_only=True)
class Proxy:
    """Both indexes, and one address whose files are PyPI's until :meth:`turn`. Files may be kept, pages may not."""

    chainguard: list[Path]
    pypi: list[Path]
    indexes: tuple[Site, Site]
    serving: list[Path] = field(default_factory=list)
    site: Site = field(init=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        self.serving = self.pypi
        with site(self._answer) as self.site:
            yield self

    def turn(self) -> None:
        """From now on Chainguard's builds come first."""
        self.serving = [*self.chainguard, *(one for one in self.pypi if _name(one) not in map(_name, self.chainguard))]

    def _answer(self, exchange: Exchange) -> None:
        *_, name_of_project, name = exchange.seen.path.split("/")
        found = next((one for one in self.serving if one.name == name), None)
        if found is not None:
            data = found.read_bytes()
            kept = {"Content_Type": "application/octet-stream", "Cache_Control": "max-age=36000"}
            exchange.start(200, Content_Length=str(len(data)), **kept)
            exchange.wfile.write(b"" if exchange.seen.method == "HEAD" else data)
            return
        mine = [one for one in self.serving if _name(one) == name_of_project]
        rows = [(f"{one.name}#sha256={hashlib.sha256(one.read_bytes()).hexdigest()}", one.name) for one in mine]
        headers = {"Content_Type": "text/html", "Cache_Control": "no-cache"}
        exchange.send(200 if rows else 404, html_page(rows), **headers)

    def cgscan(self, command: str, *arguments: str | Path, home: Path, status: int = 0) -> str:
        """What the command line prints."""
        index, upstream = self.indexes
        where = ["--index", f"{index.url}/simple/", "--upstream", f"{upstream.url}/simple/"]
        words = [sys.executable, "-m", "scanner", command, *map(str, arguments), *where, "--cache-dir", str(home)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def purged(self, folder: Path, home: Path, *more: str, status: int = 0) -> dict[str, Any]:
        """Purge a cache: what is only shown changes nothing."""
        before = snapshot(folder)
        text = self.cgscan("purge", folder, *more, home=home)
        assert "--yes deletes what stands above" in text
        assert snapshot(folder) == before
        done = self.cgscan("purge", folder, *more, "--yes", "-o", "json", "--rate", "1000", home=home, status=status)
        result: dict[str, Any] = json.loads(done)
        assert [one["project"] for one in result["copies"]]
        return result

    def cached(self, folder: Path, home: Path) -> dict[str, set[str]]:
        """The origins of what a cache holds, by name."""
        report = json.loads(self.cgscan("scan", f"dir:{folder}", "-o", "json", home=home))
        assert report["findings"] == []
        origins: dict[str, set[str]] = {}
        for line in report["distributions"]:
            if line["kind"] == "cached" and line["name"] != "flit-core":
                origins.setdefault(line["name"], set()).add(line["origin"])
        return origins


def _name(path: Path) -> str:
    return path.name.partition("-")[0].lower().replace("_", "-")


OURS = {"idna": {"chainguard"}, "markupsafe": {"chainguard"}}
THEIRS = {"idna": {"upstream"}, "markupsafe": {"upstream"}}


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    try:
        with one_process():
            backend = wheels.download_wheel(BACKEND)
            chainguard = [wheels.rebuild(requirement) for requirement in WANTED]
            pypi = [*(wheels.download_wheel(requirement) for requirement in WANTED), wheels.download_sdist(SOURCE)]
    except wheels.FixtureUnavailable as problem:
        pytest.skip(str(problem))
    with stores.cacheable([*chainguard, backend]) as built, stores.cacheable([*pypi, backend]) as upstream:
        both = Proxy(chainguard=[*chainguard, backend], pypi=[*pypi, backend], indexes=(built, upstream))
        with both.running():
            yield both


@pytest.mark.parametrize("name", [pytest.param("pip-23.0", marks=pytest.mark.large), "newest"])
def test_pip(proxy: Proxy, tmp_path: Path, name: str) -> None:
    python = Path(sys.executable) if name == "newest" else tool(name) / "python"
    cache, home = tmp_path / "pip", tmp_path / "home"
    stores.pip_cache(cache, proxy.site, *WANTED, python=python)
    assert proxy.cached(cache, home) == THEIRS
    result = proxy.purged(cache, home)
    assert {one["ended"] for one in result["copies"]} == {"gone"}
    assert proxy.cached(cache, home) == {}
    assert "Would delete 0 copies" in proxy.cgscan("purge", cache, home=home)
    proxy.turn()
    stores.pip_cache(cache, proxy.site, *WANTED, python=python)
    assert proxy.cached(cache, home) == OURS


@pytest.mark.parametrize("name", ["uv-0.4", pytest.param("uv-0.9", marks=pytest.mark.large), "newest"])
def test_uv(proxy: Proxy, tmp_path: Path, name: str) -> None:
    uv = tool(name) / "uv" if name != "newest" else None
    cache, home = tmp_path / "uv", tmp_path / "home"
    stores.uv_cache(cache, proxy.site, tmp_path / "first", *WANTED, uv=uv)
    stores.uv_cache(cache, proxy.site, tmp_path / "more", SOURCE, uv=uv)
    result = proxy.purged(cache, home)
    assert {one["ended"] for one in result["copies"]} == {"gone"}
    assert proxy.cached(cache, home) == {"itsdangerous": {"unknown"}}, "nothing replaces it"
    assert not [path for path in cache.rglob("*") if path.is_symlink() and not path.exists()]
    proxy.turn()
    stores.uv_cache(cache, proxy.site, tmp_path / "second", *WANTED, SOURCE, uv=uv)
    assert proxy.cached(cache, home) == OURS | {"itsdangerous": {"unknown"}}
    proxy.cgscan("scan", f"dir:{tmp_path / 'second'}", "--min-coverage", "60", home=home)


def test_uv_at_work(proxy: Proxy, tmp_path: Path) -> None:
    """uv holds its lock while it works; what it works with stays."""
    cache, home = tmp_path / "uv", tmp_path / "home"
    stores.uv_cache(cache, proxy.site, tmp_path / "first", WANTED[0])
    with (cache / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        result = proxy.purged(cache, home, status=1)
    [copy] = result["copies"]
    assert copy["ended"] == "failed"
    assert "uv is at work there" in copy["why"]
    assert proxy.cached(cache, home) == {"idna": {"upstream"}}
    proxy.purged(cache, home)
    assert proxy.cached(cache, home) == {}


def test_a_copied_cache_of_uv_leads_nowhere_else(proxy: Proxy, tmp_path: Path) -> None:
    """Old versions link with absolute paths, so a copy's links lead into the original."""
    cache, home = tmp_path / "uv", tmp_path / "home"
    stores.uv_cache(cache, proxy.site, tmp_path / "first", *WANTED, uv=tool("uv-0.9") / "uv")
    shutil.copytree(cache, tmp_path / "copy", symlinks=True)
    before = snapshot(cache)
    proxy.purged(tmp_path / "copy", home)
    assert snapshot(cache) == before
    assert proxy.cached(tmp_path / "copy", home) == {}


def test_poetry(proxy: Proxy, tmp_path: Path) -> None:
    poetry = tool("poetry-2.5") / "poetry"
    cache, home = tmp_path / "cache", tmp_path / "home"
    environment = {"POETRY_CACHE_DIR": str(cache), "POETRY_VIRTUALENVS_IN_PROJECT": "true"}
    source = f'[[tool.poetry.source]]\nname = "proxy"\nurl = "{proxy.site.url}/simple/"\npriority = "primary"\n'
    table = f"[tool.poetry]\npackage-mode = false\n{source}"
    stores.run([poetry, "install", "-n"], folder=project(tmp_path / "first", table), **environment)
    assert proxy.cached(cache, home) == THEIRS
    proxy.purged(cache, home)
    assert proxy.cached(cache, home) == {}
    proxy.turn()
    stores.run([poetry, "install", "-n"], folder=project(tmp_path / "second", table), **environment)
    assert proxy.cached(cache, home) == OURS
    locked = (tmp_path / "second/poetry.lock").read_text()
    for wheel in proxy.chainguard[:2]:
        assert hashlib.sha256(wheel.read_bytes()).hexdigest() in locked, "a note of Poetry's would bring the old one"


@pytest.mark.large
@pytest.mark.parametrize("name", ["pdm-hishel-0", "pdm-hishel-1"])
def test_pdm(proxy: Proxy, tmp_path: Path, name: str) -> None:
    pdm = tool(name) / "pdm"
    cache, home = tmp_path / "cache", tmp_path / "home"
    environment = {"PDM_CACHE_DIR": str(cache), "PDM_CHECK_UPDATE": "0"}
    source = f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{proxy.site.url}/simple/"\nverify_ssl = false\n'

    def installed(folder: Path) -> Path:
        project(folder, f"[tool.pdm]\ndistribution = false\n{source}")
        for setting in ("venv.in_project", "install.cache"):
            stores.run([pdm, "config", "--local", setting, "true"], folder=folder, **environment)
        stores.run([pdm, "install", "-q"], folder=folder, **environment)
        return folder

    first = installed(tmp_path / "first")
    assert proxy.cached(cache, home) == THEIRS
    # an environment is made of links into the store: what is unpacked there stays while that is so
    result = proxy.purged(cache, home, status=1)
    failed = {one["why"] for one in result["copies"] if one["ended"] == "failed"}
    assert failed
    assert all("is made of links into it" in why for why in failed)
    assert {one["ended"] for one in result["copies"]} == {"gone", "failed"}
    stores.run([next((first / ".venv/bin").glob("python")), "-c", "import idna, markupsafe"])
    shutil.rmtree(first)
    proxy.purged(cache, home)
    assert proxy.cached(cache, home) == {}
    proxy.turn()
    second = installed(tmp_path / "second")
    assert proxy.cached(cache, home) == OURS
    locked = (second / "pdm.lock").read_text()
    for wheel in proxy.chainguard[:2]:
        assert hashlib.sha256(wheel.read_bytes()).hexdigest() in locked, "a note of PDM's would bring the old one"


def test_wheels_that_tools_built(proxy: Proxy, tmp_path: Path) -> None:
    """Chainguard has a wheel of what pip and uv have built from source; nobody lists the bytes of those."""
    cache, home = tmp_path / "cache", tmp_path / "home"
    cache.mkdir()
    stores.uv_cache(cache / "uv", proxy.site, tmp_path / "t1", SOURCE)
    where = ["--cache-dir", str(cache / "pip"), "--index-url", f"{proxy.site.url}/simple/"]
    how = ["--trusted-host", proxy.site.host, "--no-deps", "--quiet", "--target", str(tmp_path / "t2")]
    stores.run([sys.executable, "-m", "pip", "--isolated", "install", *how, *where, SOURCE])
    result = proxy.purged(cache, home, "--all", "--project", "itsdangerous")
    assert {(one["tool"], one["ended"]) for one in result["copies"]} == {("pip", "gone"), ("uv", "gone")}
    assert "itsdangerous" not in proxy.cached(cache, home)
    stores.uv_cache(cache / "uv", proxy.site, tmp_path / "t3", SOURCE)


def test_two_kills_and_a_run_end_as_one_run(proxy: Proxy, tmp_path: Path) -> None:
    """See ``tests/purging``; here with a real cache, killed while it is emptied."""
    home = tmp_path / "home"
    stores.uv_cache(tmp_path / "uv", proxy.site, tmp_path / "first", *WANTED)
    shutil.copytree(tmp_path / "uv", tmp_path / "other", symlinks=True)
    proxy.purged(tmp_path / "uv", home)
    index, upstream = (f"{one.url}/simple/" for one in proxy.indexes)
    words = ["purge", str(tmp_path / "other"), "--yes", "--cache-dir", str(home), "--index", index]
    for _ in range(2):
        killed = subprocess.Popen(
            [sys.executable, "-m", "scanner", *words, "--upstream", upstream],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        while killed.poll() is None and len(list((tmp_path / "other/archive-v0").iterdir())) == 2:
            os.sched_yield()
        killed.kill()
        killed.wait()
    proxy.cgscan("purge", tmp_path / "other", "--yes", home=home)
    assert snapshot(tmp_path / "other") == snapshot(tmp_path / "uv")
