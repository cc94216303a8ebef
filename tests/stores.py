"""Caches of real tools: an index on loopback that lets itself be cached, and pip and uv that install from it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from fixtures import images
from scanner.assess import assess
from scanner.assessed import Terms
from scanner.distribution import Finding
from scanner.finders import find
from scanner.image import Platform
from scanner.index import Role
from scanner.inventories import take_inventory
from scanner.limits import DEFAULT_LIMITS
from scanner.report import DistributionLine
from scanner.rootfs import RootFS
from tests.managers import html_page
from tests.registries import Exchange, Site, site
from tests.scenes import Judged, Shelf

_DROPPED = ("PIP_", "UV_", "POETRY_", "PDM_", "VIRTUAL_ENV", "PYTHONPATH")


@contextlib.contextmanager
def cacheable(wheels: Iterable[Path]) -> Iterator[Site]:
    """A simple index of artifacts at ``/simple/`` whose answers may be kept for an hour, as pip and Poetry need it."""
    files = {path.name: path for path in wheels}

    def answer(exchange: Exchange) -> None:
        *_, project, name = exchange.seen.path.split("/")
        kept = {"Cache_Control": "max-age=3600"}
        if name in files:
            data = files[name].read_bytes()
            kept |= {"Content_Type": "application/octet-stream", "Content_Length": str(len(data))}
            exchange.start(200, **kept)
            exchange.wfile.write(b"" if exchange.seen.method == "HEAD" else data)
            return
        mine = [path for path in files.values() if _project(path) == project]
        rows = [(f"{path.name}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}", path.name) for path in mine]
        exchange.send(200 if rows else 404, html_page(rows), Content_Type="text/html", **kept)

    with site(answer) as running:
        yield running


def _project(path: Path) -> str:
    return path.name.partition("-")[0].lower().replace("_", "-").replace(".", "-")


def run(command: Sequence[str | Path], *, folder: Path | None = None, **environment: str) -> None:
    """A tool, without this machine's configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**kept, "PIP_CONFIG_FILE": os.devnull, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def pip_cache(cache: Path, index: Site, *wanted: str, python: Path | None = None) -> None:
    """Let pip (this one, or the one of ``python``) download into its cache."""
    pip: list[str | Path] = [
        python or sys.executable,
        "-m",
        "pip",
        "--isolated",
        "--quiet",
        "--disable-pip-version-check",
    ]
    where: list[str | Path] = [
        "--cache-dir",
        cache,
        "--index-url",
        f"{index.url}/simple/",
        "--trusted-host",
        index.host,
    ]
    downloads = cache.parent / "downloads"
    run([*pip, "download", "--no-deps", "--dest", downloads, *where, *wanted])
    shutil.rmtree(downloads)


def uv_cache(cache: Path, index: Site, target: Path, *wanted: str, uv: Path | None = None, mode: str = "copy") -> None:
    """Let uv install into a folder, and fill its cache."""
    command: list[str | Path] = [uv] if uv else [sys.executable, "-m", "uv"]
    where: list[str | Path] = ["--cache-dir", cache, "--default-index", f"{index.url}/simple/", "--link-mode", mode]
    how: list[str | Path] = ["--quiet", "--no-config", "--no-deps", "--python", sys.executable, "--target", target]
    run([*command, "pip", "install", *how, *where, *wanted])


def judged_layers(tars: Sequence[images.LayerBlob], chainguard: Sequence[Path], upstream: Sequence[Path]) -> Judged:
    """What a scan says of an image of these layers."""
    inventories = [take_inventory(cast("BinaryIO", io.BytesIO(one.tar())), limits=DEFAULT_LIMITS) for one in tars]
    rootfs = RootFS.of(inventories)
    found = list(find(rootfs))
    terms = Terms(
        indexes=[Shelf(wheels=chainguard, role=Role.CHAINGUARD), Shelf(wheels=upstream, role=Role.UPSTREAM)],
        limits=DEFAULT_LIMITS,
        platform=Platform.parse("linux/amd64"),
        layered=True,
        on_matched=lambda _: None,
    )
    lines, findings, _ = assess(rootfs, [one for one in found if not isinstance(one, Finding)], terms)
    others = [one for one in found if isinstance(one, Finding)]
    return Judged(lines=lines, findings=[*findings, *others, *rootfs.findings])


def said(line: DistributionLine) -> tuple[str, str, str, str]:
    """Kind, name, origin and integrity of a line."""
    return line.kind.value, line.name, line.origin.value, line.integrity.value
