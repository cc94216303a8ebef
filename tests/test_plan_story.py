"""The whole story with real parts: scan, plan, purge, rebuild, prove. The coverage rises to what the plan said.

A devpi is the repository manager. Its proxy fetched four projects from a static tree of PyPI's wheels while pip and uv
built an image through it. Then it is pointed at an index that asks Chainguard's builds first. As every proxy it goes
on serving what it has, until that is deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.images import layer_from_tree, write_oci_layout
from fixtures.trees import simple_tree
from scanner.cli import commands, main
from tests import stores
from tests.managers import Devpi, devpi, sha256
from tests.registries import Exchange, Site, site

BUILT = ("idna==3.10", "six==1.17.0", "click==8.1.8")
ABSENT = "certifi==2025.1.31"
SITE = f"usr/local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
BY_PIP = "RUN /bin/sh -c pip install idna==3.10 certifi==2025.1.31 # buildkit"
BY_UV = "RUN /bin/sh -c uv pip install six==1.17.0 click==8.1.8 # buildkit"


@dataclass(frozen=True, kw_only=True)
class Story:
    """The company's servers and folders."""

    manager: Devpi
    folder: Path
    pypi: Mapping[str, Path]

    @property
    def where(self) -> list[str]:
        """The indexes that cgscan asks: Chainguard's builds and PyPI's, neither through the proxy."""
        return ["--index", self.manager.simple("built"), "--upstream", self.manager.simple("pypi"), "--no-cache", "-q"]

    def build(self, name: str) -> str:
        """An image whose layers pip and uv install through the proxy, each with its cache; gives its TARGET."""
        index, caches = self.manager.simple("proxy"), self.folder / "caches"
        layers = [layer_from_tree(_tree(self.folder / name / "base", "etc/os-release"))]
        pip, uv = self.folder / name / "pip", self.folder / name / "uv"
        no_deps: list[str | Path] = ["--quiet", "--no-deps", "--index-url", index, "--target"]
        install = [sys.executable, "-m", "pip", "--isolated", "install", "--cache-dir", caches / "pip", *no_deps]
        stores.run([*install, pip / SITE, "idna==3.10", ABSENT])
        install = [sys.executable, "-m", "uv", "pip", "install", "--no-config", "--cache-dir", caches / "uv", *no_deps]
        stores.run([*install, uv / SITE, "six==1.17.0", "click==8.1.8"], UV_LINK_MODE="copy")
        layers += [layer_from_tree(pip), layer_from_tree(uv)]
        write_oci_layout(self.folder / name / "image", layers, created_by=("ADD os in /", BY_PIP, BY_UV))
        return f"oci-dir:{self.folder / name / 'image'}"

    def point_at_chainguard(self) -> None:
        """Let the proxy ask Chainguard's builds first, and PyPI for what is not among them."""
        self._patch("proxy", mirror_url=self.manager.simple("first"))

    def _patch(self, name: str, **options: str) -> None:
        words = [f"{key}={value}" for key, value in options.items()]
        url = f"{self.manager.url}/root/{name}"
        httpx.patch(url, json=words, headers=self.manager._auth(), timeout=30).raise_for_status()

    def purge_in_manager(self, plan: Mapping[str, Any]) -> None:
        """By devpi's own interface: cgscan has none for it."""
        for project in {item["name"] for step in plan["rebuild"] for item in step["items"]}:
            url = f"{self.manager.url}/root/proxy/{project}"
            httpx.delete(url, headers=self.manager._auth(), timeout=30).raise_for_status()

    def cgscan(self, *arguments: str, status: int = 0) -> Any:
        """What a command writes as JSON."""
        out = self.folder / "out.json"
        assert main([*arguments, "-o", f"json={out}"]) == status
        return json.loads(out.read_text("utf-8"))


def _tree(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text("ID=demo\n")
    return folder


def _static(tree: Path) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        path = tree / exchange.seen.path.strip("/")
        path = path / "index.html" if path.is_dir() else path
        kind = "text/html" if path.suffix == ".html" else "application/octet-stream"
        exchange.send(200, path.read_bytes(), Content_Type=kind) if path.is_file() else exchange.send(404, b"")

    return answer


@pytest.fixture
def static(tmp_path: Path, pypi_wheel: Callable[[str], Path]) -> Iterator[tuple[Site, Mapping[str, Path]]]:
    """The tree of PyPI's wheels while it is served."""
    wheels = {requirement: pypi_wheel(requirement) for requirement in (*BUILT, ABSENT)}
    simple_tree(tmp_path / "tree" / "simple", wheels.values())
    with site(_static(tmp_path / "tree")) as running:
        yield running, wheels


@pytest.fixture
def story(
    static: tuple[Site, Mapping[str, Path]],
    rebuilt_wheel: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Story]:
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = signal.getsignal(signal.SIGINT)
    url, wheels = f"{static[0].url}/simple/", static[1]
    rebuilt = [rebuilt_wheel(requirement) for requirement in BUILT]
    with devpi(tmp_path / "devpi") as manager:
        for name in ("pypi", "proxy"):
            manager.make_index(name, type="mirror", mirror_url=url, volatile=True)
        manager.make_index("built", type="stage")
        manager.make_index("first", type="stage", bases=["root/built", "root/pypi"])
        for wheel in rebuilt:
            manager.upload("built", wheel)
        yield Story(manager=manager, folder=tmp_path, pypi=wheels)
    signal.signal(signal.SIGINT, before)


def purge_locally(plan: Path) -> None:
    """Delete the entries that the plan names: by ``cgscan purge`` where there is one."""
    if "purge" in commands.commands:
        assert main(["purge", str(plan), "--yes", "-q"]) == 0
        return
    for copy in json.loads(plan.read_text("utf-8"))["purge_locally"]:
        path = Path(copy["path"])
        if copy["replacement"] is not None:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def reasons(proof: Mapping[str, Any]) -> dict[str, tuple[str, bool, str | None]]:
    [target] = proof["targets"]
    return {change["name"]: (change["outcome"], change["promised"], change["why"]) for change in target["changes"]}


def test_the_coverage_rises_to_what_the_plan_said(story: Story) -> None:
    # (1) an image of PyPI's wheels alone, and what is to be done
    first = story.build("first")
    before, plan_file, caches = (
        story.folder / "before.json",
        story.folder / "plan.json",
        f"dir:{story.folder / 'caches'}",
    )
    before.write_text(json.dumps(story.cgscan("scan", first, *story.where)), "utf-8")
    plan = story.cgscan("plan", str(before), caches, *story.where)
    plan_file.write_text(json.dumps(plan), "utf-8")
    assert (plan["coverage"]["now"], plan["coverage"]["then"]) == (0.0, 75.0)
    assert [
        (step["layer"], step["created_by"], [item["name"] for item in step["items"]]) for step in plan["rebuild"]
    ] == [
        (1, BY_PIP, ["idna"]),
        (2, BY_UV, ["click", "six"]),
    ]
    assert [(item["name"], item["offer"]["lack"]) for item in plan["wait"]] == [("certifi", "not-built")]
    local = {(copy["tool"], copy["project"], copy["replacement"] is not None) for copy in plan["purge_locally"]}
    assert local == {("uv", "click", True), ("uv", "six", True)}, "devpi's answers do not let pip keep files"

    # (2) a rebuild without a purge moves nothing, though the proxy asks Chainguard first by now
    story.point_at_chainguard()
    second = story.build("second")
    lock = story.folder / "requirements.txt"
    lock.write_text(f"idna==3.10 --hash=sha256:{sha256(story.pypi['idna==3.10'].read_bytes())}\n")
    verify = ["plan", "--verify", str(before), "--plan", str(plan_file)]
    proof = story.cgscan(*verify, second, *story.where, status=1)
    assert reasons(proof)["six"] == ("not-moved", True, "not-taken")
    proof = story.cgscan(*verify, second, caches, "--lock", str(lock), *story.where, status=1)
    assert reasons(proof) == {
        "certifi": ("not-moved", False, "not-available"),
        "click": ("not-moved", True, "still-cached"),
        "idna": ("not-moved", True, "pinned-hash"),
        "six": ("not-moved", True, "still-cached"),
    }
    assert proof["targets"][0]["coverage_after"] == 0.0

    # (3) purge, rebuild, prove
    purge_locally(plan_file)
    story.purge_in_manager(plan)
    third = story.build("third")
    proof = story.cgscan(*verify, third, caches, *story.where)
    assert reasons(proof) == {
        "certifi": ("not-moved", False, "not-available"),
        "click": ("moved", True, None),
        "idna": ("moved", True, None),
        "six": ("moved", True, None),
    }
    [target] = proof["targets"]
    assert proof["kept"] is True
    assert (target["coverage_before"], target["coverage_said"], target["coverage_after"]) == (0.0, 75.0, 75.0)
    after = story.cgscan("scan", third, *story.where)
    assert after["summary"]["coverage"] == plan["coverage"]["then"]
