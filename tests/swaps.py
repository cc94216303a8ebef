"""An index at one URL whose files can be swapped, as a repository manager serves PyPI's and later Chainguard's."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.managers import html_page
from tests.registries import Exchange, Site, site

_JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(kw_only=True)
class Swap:
    """A running index at ``url``. Sizes and times stand on its JSON pages (PEP 700)."""

    site: Site
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"{self.site.url}/simple/"

    def put(self, files: Iterable[Path]) -> None:
        """Serve these files and no others."""
        self.files.clear()
        self.files.update({path.name: path for path in files})


@contextlib.contextmanager
def swap(files: Iterable[Path] = ()) -> Iterator[Swap]:
    """An index on loopback that asks to be cached for no time."""

    def answer(exchange: Exchange) -> None:
        *_, project, name = exchange.seen.path.split("/")
        if name in running.files:
            data = running.files[name].read_bytes()
            exchange.start(200, Content_Type="application/octet-stream", Content_Length=str(len(data)))
            exchange.wfile.write(b"" if exchange.seen.method == "HEAD" else data)
            return
        mine = [path for path in running.files.values() if _project(path) == project]
        if _JSON in exchange.seen.headers.get("accept", ""):
            exchange.send(200 if mine else 404, _json_page(project, mine), Content_Type=_JSON)
        else:
            rows = [(f"{path.name}#sha256={_sha256(path)}", path.name) for path in mine]
            exchange.send(200 if rows else 404, html_page(rows), Content_Type="text/html")

    with site(answer) as at:
        running = Swap(site=at)
        running.put(files)
        yield running


def _json_page(project: str, files: Iterable[Path]) -> bytes:
    listed = [
        {
            "filename": path.name,
            "url": path.name,
            "hashes": {"sha256": _sha256(path)},
            "size": path.stat().st_size,
            "upload-time": "2025-07-10T14:21:47.324Z",
        }
        for path in files
    ]
    versions = sorted({path.name.removesuffix(".tar.gz").split("-")[1] for path in files})
    page = {"meta": {"api-version": "1.1"}, "name": project, "versions": versions, "files": listed}
    return json.dumps(page).encode()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _project(path: Path) -> str:
    return path.name.partition("-")[0].lower().replace("_", "-").replace(".", "-")
