"""Artifactory as its clients see it, and its quirks: pages, AQL, storage, repositories, deletion.

Links are relative and lead up two levels; the Chainguard remote keeps Chainguard's paths, PyPI's doubles ``packages``.
Files are stored in ``R-cache`` when somebody has fetched them. AQL takes plain text, gives sha256 only when asked,
applies ``limit`` before it leaves out what the user may not read, and counts in ``range.total`` the rows of the answer.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.managers import JSON, html_page, json_page, send_range, sha256
from tests.registries import Exchange, Site, site
from tests.repository_managers.vendors import SECRET, project, storage

CHAINGUARD, PYPI, LOCAL, ALL = "python-chainguard", "python-pypi", "python-local", "python-all"
_AQL = re.compile(
    r"items\.find\((?P<find>\{.*\})\)\.include\((?P<include>[^)]*)\)\.sort\((?P<sort>[^)]*)\)"
    r"\.offset\((?P<offset>\d+)\)\.limit\((?P<limit>\d+)\)"
)
_LOGIN_PAGE = b"<!DOCTYPE html><html><title>Log in</title></html>"
_REMOTE = "https://someone:pass@libraries.cgr.dev/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A stored file. ``path`` is its folder."""

    path: str
    name: str
    data: bytes
    downloaded: str | None = "2026-11-02T10:00:00.000Z"


@dataclass(kw_only=True)
class FakeArtifactory:
    """Remotes of Chainguard (``built``) and PyPI (``upstream``), a local repository, and a virtual one of the three.

    ``fallback`` are names that Chainguard serves as copies of PyPI's. ``hidden`` are names of stored files that the
    user may not read; ``busy`` is how many queries are answered with 429 first; ``statistics`` is how another domain's
    fields are taken: ``paged``, ``unpaged`` (offset and limit disregarded) or ``refused`` (400). ``order`` are the
    members of the virtual repository. ``answers`` take the place of whole answers, by path: status, body, headers.
    """

    built: Sequence[Path]
    upstream: Sequence[Path] = ()
    fallback: frozenset[str] = frozenset()
    is_admin: bool = True
    json_pages: bool = False
    wrong_ranges: bool = False
    redirects: bool = True
    text_sizes: bool = False
    statistics: str = "paged"
    hidden: frozenset[str] = frozenset()
    busy: int = 0
    order: Sequence[str] = (LOCAL, CHAINGUARD, PYPI)
    chainguard_url: str = _REMOTE
    login: tuple[str, str] = ("ci", SECRET)
    stored: dict[str, list[Item]] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes, Mapping[str, str]]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    front: Site = field(init=False)
    cloud: Site = field(init=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[FakeArtifactory]:
        """Serve until the end of the block."""
        with site(self._cloud) as self.cloud, site(self._answer) as self.front:
            yield self

    @property
    def root(self) -> str:
        """Where its interface begins."""
        return f"{self.front.url}/artifactory"

    def location(self, repository: str = CHAINGUARD) -> str:
        """The index's URL with user and password."""
        user, password = self.login
        return f"{self.root}/api/pypi/{repository}/simple/".replace("://", f"://{user}:{password}@")

    def fetch_all(self) -> None:
        """Store everything that the remotes serve."""
        for repository in (CHAINGUARD, PYPI):
            for wheel in self._served(repository):
                self._keep(repository, wheel)

    # -- files

    def _served(self, repository: str) -> Sequence[Path]:
        return {CHAINGUARD: self.built, PYPI: self.upstream, ALL: (*self.built, *self.upstream)}.get(repository, ())

    def folder(self, repository: str, wheel: Path) -> str:
        """The path under which a remote stores a wheel."""
        if repository == PYPI:
            digest = sha256(wheel.read_bytes())
            return f"packages/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}"
        tier = "python-upstream" if wheel.name in self.fallback else "python"
        return f"{tier}/simple/{project(wheel)}/{wheel.name.split('-')[1]}"

    def _keep(self, repository: str, wheel: Path) -> None:
        items = self.stored.setdefault(f"{repository}-cache", [])
        if wheel.name not in {item.name for item in items}:
            items.append(Item(path=self.folder(repository, wheel), name=wheel.name, data=wheel.read_bytes()))

    # -- answers

    def _answer(self, exchange: Exchange) -> None:
        path = exchange.seen.path.removeprefix("/artifactory")
        pair = base64.b64encode(":".join(self.login).encode()).decode()
        if exchange.seen.headers.get("authorization") not in (f"Basic {pair}", f"Bearer {self.login[1]}"):
            self._error(exchange, 401, f"Bad credentials {exchange.seen.headers.get('authorization')}")
        elif path in self.answers:
            status, body, headers = self.answers[path]
            exchange.send(status, body, **headers)
        elif found := re.fullmatch(r"/api/pypi/([^/]+)/simple/([^/]+)/", path):
            self._page(exchange, found[1], found[2])
        elif found := re.fullmatch(r"/api/pypi/([^/]+)/(.+)", path):
            self._file(exchange, found[1], unquote(found[2]))
        elif path == "/api/search/aql":
            self._aql(exchange)
        elif path.startswith("/api/"):
            self._interface(exchange, path.removeprefix("/api/"))
        else:
            self._delete(exchange, unquote(path.removeprefix("/")))

    def _send(self, exchange: Exchange, document: object, status: int = 200) -> None:
        exchange.send(status, json.dumps(document).encode(), Content_Type="application/json")

    def _error(self, exchange: Exchange, status: int, message: str, **headers: str) -> None:
        body = json.dumps({"errors": [{"status": status, "message": message}]}).encode()
        exchange.send(status, body, Content_Type="application/json", **headers)

    def _page(self, exchange: Exchange, repository: str, name: str) -> None:
        wheels = [wheel for wheel in self._served(repository) if project(wheel) == name]
        rows = [(self._link(repository, wheel), wheel) for wheel in wheels]
        if not rows:
            self._error(exchange, 404, "Failed to find it")
        elif self.json_pages:
            files = [
                {"filename": wheel.name, "url": link, "hashes": {"sha256": sha256(wheel.read_bytes())}}
                for link, wheel in rows
            ]
            exchange.send(200, json_page(name, files), Content_Type=JSON)
        else:
            page = html_page([(f"{link}#sha256={sha256(wheel.read_bytes())}", wheel.name) for link, wheel in rows])
            exchange.send(200, page, Content_Type="text/html")

    def _link(self, repository: str, wheel: Path) -> str:
        return f"../../{self.folder(repository, wheel)}/{wheel.name}"

    def _file(self, exchange: Exchange, repository: str, path: str) -> None:
        wheel = next((one for one in self._served(repository) if path.endswith(f"/{one.name}")), None)
        if wheel is None or path != f"{self.folder(repository, wheel)}/{wheel.name}":
            self._error(exchange, 404, "Could not find resource")
            return
        self._keep(repository, wheel)
        data = wheel.read_bytes()
        if self.redirects:
            exchange.send(302, b"<a>Found</a>", Location=f"{self.cloud.url}/{repository}/{wheel.name}?sig=ok")
        elif self.wrong_ranges:
            send_range(
                exchange, data[-7:] + data[:-7] if "range" in exchange.seen.headers else data, Accept_Ranges="bytes"
            )
        else:
            send_range(exchange, data, Accept_Ranges="bytes", X_Checksum_Sha256=sha256(data))

    def _cloud(self, exchange: Exchange) -> None:
        storage(self._served(exchange.seen.path.split("/")[1]))(exchange)

    def _aql(self, exchange: Exchange) -> None:
        found = _AQL.fullmatch(exchange.seen.body.decode())
        if exchange.seen.headers.get("content-type", "").partition(";")[0] != "text/plain":
            self._error(exchange, 415, "Unsupported Media Type")
        elif self.busy:
            self.busy -= 1
            self._error(exchange, 429, "Too many AQL queries", Retry_After="0")
        elif found is None or len(exchange.seen.body) > 6000:
            self._error(exchange, 400, "Failed to parse query")
        else:
            self._select(exchange, json.loads(found["find"]), json.loads(f"[{found['include']}]"), found)

    def _select(self, exchange: Exchange, find: Any, include: list[str], found: re.Match[str]) -> None:
        foreign = any("." in name for name in include)
        if foreign and self.statistics == "refused":
            self._error(exchange, 400, "stat may not be included here")
            return
        patterns = [re.escape(one["name"]["$match"]).replace(r"\*", ".*") for one in find["$or"]]
        keys = [f"{CHAINGUARD}-cache", f"{PYPI}-cache", LOCAL] if find["repo"] == ALL else [find["repo"]]
        items = [(key, item) for key in keys for item in self.stored.get(key, [])]
        items = [one for one in items if any(re.fullmatch(pattern, one[1].name) for pattern in patterns)]
        items.sort(key=lambda one: (one[1].path, one[1].name))
        start, limit = int(found["offset"]), int(found["limit"])
        if not (foreign and self.statistics == "unpaged"):
            items = items[start : start + limit]
        rows = [self._row(key, item, include) for key, item in items if item.name not in self.hidden]
        self._send(exchange, {"results": rows, "range": {"start_pos": start, "end_pos": len(rows), "total": len(rows)}})

    def _row(self, key: str, item: Item, include: list[str]) -> dict[str, Any]:
        size: int | str = str(len(item.data)) if self.text_sizes else len(item.data)
        row: dict[str, Any] = {
            "repo": key,
            "path": item.path,
            "name": item.name,
            "size": size,
            "created": "2026-10-01T08:12:44.101Z",
            "sha256": sha256(item.data),
            "actual_md5": "0" * 32,
        }
        row = {name: value for name, value in row.items() if name in include}
        if "stat.downloaded" in include and item.downloaded:
            row["stats"] = [{"downloaded": item.downloaded}]
        return row

    def _interface(self, exchange: Exchange, path: str) -> None:
        about = {one["key"]: one for one in self._repositories()}
        if path == "repositories":
            self._send(exchange, list(about.values()))
        elif found := re.fullmatch(r"repositories/(.+)", path):
            self._configuration(exchange, about.get(found[1]))
        elif found := re.fullmatch(r"storage/([^/]+)/(.+)", path):
            self._info(exchange, found[1], unquote(found[2]))
        else:
            self._error(exchange, 404, "File not found.")

    def _repositories(self) -> list[dict[str, Any]]:
        """An old server: all of them, whatever kind of package is asked for."""
        return [
            {"key": CHAINGUARD, "type": "REMOTE", "url": self.chainguard_url, "packageType": "Pypi"},
            {"key": PYPI, "type": "REMOTE", "url": "https://pypi.org/", "packageType": "Pypi"},
            {"key": LOCAL, "type": "LOCAL", "url": f"{self.root}/{LOCAL}", "packageType": "Pypi"},
            {"key": ALL, "type": "VIRTUAL", "url": f"{self.root}/{ALL}", "packageType": "Pypi"},
            {"key": "images", "type": "REMOTE", "url": "https://cgr.dev/", "packageType": "Docker"},
        ]

    def _configuration(self, exchange: Exchange, about: Mapping[str, Any] | None) -> None:
        if about is None or not self.is_admin:
            self._error(exchange, 400, "Bad Request")
            return
        kind = about["type"].lower()
        more = {"repositories": list(self.order)} if kind == "virtual" else {"url": about["url"]}
        self._send(exchange, {"key": about["key"], "rclass": kind, "packageType": "pypi", **more})

    def _info(self, exchange: Exchange, key: str, path: str) -> None:
        item = self._find(key, path)
        if item is None:
            self._error(exchange, 404, "Unable to find item")
            return
        checksums = {"sha1": "0" * 40, "md5": "0" * 32, "sha256": sha256(item.data)}
        self._send(exchange, {"repo": key, "path": f"/{path}", "size": str(len(item.data)), "checksums": checksums})

    def _find(self, key: str, path: str) -> Item | None:
        items = self.stored.get(key, [])
        return next((item for item in items if f"{item.path}/{item.name}".removeprefix("./") == path), None)

    def _delete(self, exchange: Exchange, path: str) -> None:
        key, _, rest = path.partition("/")
        item = self._find(key, rest)
        if exchange.seen.method != "DELETE":
            exchange.send(200, _LOGIN_PAGE, Content_Type="text/html")
        elif not self.is_admin:
            self._error(exchange, 403, "Not enough permissions to delete it")
        elif item is None:
            self._error(exchange, 404, "Could not locate artifact")
        else:
            self.stored[key].remove(item)
            self.deleted.append(path)
            exchange.send(204)
