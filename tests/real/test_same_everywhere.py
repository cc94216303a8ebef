"""One image by every way in gives one report, and the same indexes by every way out give the same verdicts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fixtures import images, trees, wheels
from tests.managers import devpi, nginx
from tests.real.stock import Report, Stock, lines_of, scanned, words
from tests.registries import docker_registry, needed, push

WAIT = 60.0
SITE = f"usr/local/lib/python{trees.RUNNING}/site-packages"
NAME = "team/app:1"
OURS = ("greenlet", "jmespath", "markupsafe", "zope-interface", "zope-event", "zc-lockfile")
THEIRS = ("httpie", "pyyaml", "jinja2", "click")
IN_IMAGE = (*OURS, *THEIRS)


@pytest.fixture(scope="session")
def image(stock: Stock, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout of four layers with some of every verdict: both builds, changed, pruned, replaced, removed."""
    folder = tmp_path_factory.mktemp("image")
    states = [folder / f"state-{number}" for number in range(4)]
    trees.install(stock.of("chainguard", *OURS), states[0])
    _next(states, 1)
    trees.install(stock.of("pypi", *THEIRS), states[1], by="uv", layout="venv")
    _next(states, 2)
    wheels.flip_byte(states[2] / SITE / "jmespath/parser.py", 10)
    shutil.rmtree(states[2] / SITE / "zope/interface/tests")
    _next(states, 3)
    trees.install(stock.of("pypi", "markupsafe"), states[3])
    trees.uninstall(states[3] / SITE, "zc-lockfile")
    blobs = [images.layer_from_tree(states[0])]
    blobs += [images.layer_from_tree(now, previous=before) for before, now in pairwise(states)]
    # umoci and podman make folders of their own anew if a layer has none for a file
    return images.write_oci_layout(folder / "layout", blobs, tag="1")


def _next(states: list[Path], number: int) -> None:
    shutil.copytree(states[number - 1], states[number], symlinks=True)


@pytest.fixture(scope="session")
def expected(image: Path, folders: Mapping[str, str]) -> Report:
    """The report by way of the layout and local folders."""
    report = scanned(f"oci-dir:{image}:1", folders)
    assert {name: words(line) for name, line in lines_of(report).items()} == {
        "greenlet": ("chainguard", "intact"),
        "jmespath": ("chainguard", "modified"),
        "markupsafe": ("upstream", "intact"),
        "zope-interface": ("chainguard", "pruned"),
        "zope-event": ("chainguard", "intact"),
        "httpie": ("upstream", "intact"),
        "pyyaml": ("upstream", "intact"),
        "jinja2": ("upstream", "intact"),
        "click": ("upstream", "intact"),
    }
    assert {name: line["layer"] for name, line in lines_of(report).items() if line["layer"]} == {
        "markupsafe": 3,
        **dict.fromkeys(THEIRS, 1),
    }
    assert report["findings"] == []
    return report


# -- ways in


@pytest.mark.parametrize("medium", ["docker-archive", "oci-archive"])
def test_an_archive(medium: str, image: Path, expected: Report, folders: Mapping[str, str], tmp_path: Path) -> None:
    target = f"{medium}:{tmp_path}/image.tar"
    tag = f":{NAME}" if medium == "docker-archive" else ":1"
    _run("skopeo", "copy", "--quiet", f"oci:{image}:1", target + tag)
    _assert_same(scanned(target, folders), expected)


def test_a_registry(image: Path, expected: Report, folders: Mapping[str, str], tmp_path: Path) -> None:
    needed("skopeo")
    with docker_registry(tmp_path) as host:
        name = push(image, f"{host}/{NAME}", tag="1")
        report = scanned(f"registry:{name}", folders)
    _assert_same(report, expected)
    assert report["target"]["digest"] == expected["target"]["digest"]
    assert report["target"]["layers"] == expected["target"]["layers"]


def test_a_daemon(
    image: Path, expected: Report, folders: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "image.tar"
    _run("skopeo", "copy", "--quiet", f"oci:{image}:1", f"docker-archive:{archive}:localhost/{NAME}")
    with _podman(archive) as url:
        monkeypatch.setenv("CONTAINER_HOST", url)
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        by_podman = scanned(f"podman:localhost/{NAME}", folders)
        monkeypatch.delenv("CONTAINER_HOST")
        monkeypatch.setenv("DOCKER_HOST", url)
        by_docker = scanned(f"docker:localhost/{NAME}", folders)
    _assert_same(by_podman, expected)
    _assert_same(by_docker, expected)


def test_an_unpacked_folder(image: Path, expected: Report, folders: Mapping[str, str], tmp_path: Path) -> None:
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    _run("umoci", "unpack", *rootless, "--image", f"{image}:1", str(tmp_path / "bundle"))
    report = scanned(f"dir:{tmp_path}/bundle/rootfs", folders)
    assert report["target"]["layers"] == []
    _assert_same(report, expected, layered=False)


def _assert_same(report: Report, expected: Report, *, layered: bool = True) -> None:
    """Everything but where it came from and how long it took; without ``layered`` also but the layers."""
    assert _essence(report, layered=layered) == _essence(expected, layered=layered)
    if layered:
        diff_ids = [[layer["diff_id"] for layer in one["target"]["layers"]] for one in (report, expected)]
        assert diff_ids[0] == diff_ids[1]
        assert report["target"]["platform"] == expected["target"]["platform"]


def _essence(report: Report, *, layered: bool) -> dict[str, Any]:
    lines = report["distributions"]
    if not layered:
        lines = [{**line, "layer": None, "layers": [], "files": _unlayered(line["files"])} for line in lines]
    return {"summary": report["summary"], "findings": report["findings"], "distributions": lines}


def _unlayered(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**file, "layer": None} for file in files]


# -- ways out


def _served_by_nginx(stock: Stock, folder: Path) -> Iterator[dict[str, str]]:
    stock.folders(folder / "root")
    with nginx(folder / "nginx", folder / "root") as url:
        yield {name: f"{url}/{name}/" for name in ("chainguard", "pypi")}


def _served_by_devpi(stock: Stock, folder: Path) -> Iterator[dict[str, str]]:
    with devpi(folder) as server:
        for name in ("chainguard", "pypi"):
            server.make_index(name, type="stage", volatile=True)
            # an upload takes a second: only what the image needs
            for project in IN_IMAGE:
                server.upload(name, stock.build(name)[project])
        yield {name: server.simple(name) for name in ("chainguard", "pypi")}


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(_served_by_nginx, id="nginx"),
        pytest.param(_served_by_devpi, id="devpi", marks=pytest.mark.large),
    ],
)
def test_an_index(
    serve: Callable[[Stock, Path], Iterator[dict[str, str]]],
    stock: Stock,
    image: Path,
    expected: Report,
    tmp_path: Path,
) -> None:
    with contextmanager(serve)(stock, tmp_path) as indexes:
        report = scanned(f"oci-dir:{image}:1", indexes)
    assert [line["kind"] for line in report["indexes"]] == ["simple", "simple"]
    assert _without_urls(report) == _without_urls(expected)
    if log := [*tmp_path.glob("nginx/access.log")]:
        asked = log[0].read_text()
        assert " 206 " in asked, "wheels are read by ranges"


def _without_urls(report: Report) -> dict[str, Any]:
    """``proved`` too: a server that sends the whole wheel instead of a range has it proved."""
    lines = report["distributions"]
    assert all(line["match"]["url"] for line in lines)
    stripped = [{**line, "match": {**line["match"], "url": None, "proved": None}} for line in lines]
    return {"summary": report["summary"], "findings": report["findings"], "distributions": stripped}


# -- programs


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([needed(program), *arguments], capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def _podman(archive: Path) -> Iterator[str]:
    """Podman's service with the archive's image in it."""
    program = needed("podman")
    # a socket's path may have 107 bytes: pytest's own folders are too long for that
    with tempfile.TemporaryDirectory(prefix="cgscan-") as name:
        url = f"unix://{name}/podman.sock"
        command = [program, "--root", f"{name}/root", "--runroot", f"{name}/run", "--storage-driver", "vfs"]
        loaded = subprocess.run(
            [*command, "load", "-i", str(archive)], capture_output=True, text=True, timeout=WAIT, check=False
        )
        if loaded.returncode:
            pytest.skip(f"podman cannot load an image here: {loaded.stderr[-200:]}")
        service = subprocess.Popen(
            [*command, "system", "service", "--time=0", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _await(service, f"{name}/podman.sock")
            yield url
        finally:
            service.terminate()
            service.wait(WAIT)


def _await(service: subprocess.Popen[bytes], path: str) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline and service.poll() is None:
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            if probe.connect_ex(path) == 0:
                return
        threading.Event().wait(0.05)
    pytest.skip("podman's service does not answer here")
