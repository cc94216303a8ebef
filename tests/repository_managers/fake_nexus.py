"""Nexus Repository 3 as its clients see it, and its quirks: pages, repositories, assets, deletion.

Pages are HTML with relative links and sha256 fragments, and nothing else. Files lie under name and version, so the tier
is lost. A proxy lists as assets what was fetched from it, its pages too. A full page of assets has a token though the
next one may be empty; a token that is none, or another repository's, is answered with 406.
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
from urllib.parse import quote, unquote

from tests.managers import html_page, send_range, sha256
from tests.registries import Exchange, Site, site
from tests.repository_managers.vendors import SECRET, project, storage

CHAINGUARD, PYPI, HOSTED, ALL = "python-chainguard", "python-pypi", "python-hosted", "python-all"
_API = "/service/rest/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A stored file, or a page that counts as one. ``checksum`` None is that of the bytes."""

    path: str
    data: bytes
    checksum: Mapping[str, str] | None = None
    size: int | None = None
    about: Mapping[str, object] = field(default_factory=dict)


@dataclass(kw_only=True)
class FakeNexus:
    """Proxies of Chainguard (``built``) and PyPI (``upstream``), a hosted repository, and a group of the three.

    ``page_size`` was 10 before 3.74 and is 100 since; ``slash`` is whether paths begin with one; ``typed`` whether
    pages have a Content-Type; ``breaks_plus`` is the version that has no file with ``+`` in its name; ``redirects``
    whether files lie on another host; ``kept`` are paths that may not be deleted; ``busy`` is how many requests are
    answered with 429 first. ``order`` are the members of the group: of two files of one name it has the first one's.
    ``answers`` take the place of whole answers, by path: status, body, headers.
    """

    built: Sequence[Path]
    upstream: Sequence[Path] = ()
    context: str = ""
    is_admin: bool = True
    may_delete: bool = True
    kept: set[str] = field(default_factory=set)
    page_size: int = 100
    slash: bool = True
    typed: bool = True
    breaks_plus: bool = False
    redirects: bool = False
    busy: int = 0
    order: Sequence[str] = (HOSTED, CHAINGUARD, PYPI)
    login: tuple[str, str] = ("ci", SECRET)
    stored: dict[str, list[Asset]] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes, Mapping[str, str]]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    front: Site = field(init=False)
    cloud: Site = field(init=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[FakeNexus]:
        """Serve until the end of the block."""
        with site(self._cloud) as self.cloud, site(self._answer) as self.front:
            yield self

    @property
    def root(self) -> str:
        """Where it begins."""
        return f"{self.front.url}{self.context}"

    def location(self, repository: str = CHAINGUARD) -> str:
        """The index's URL with user and password."""
        user, password = self.login
        return f"{self.root}/repository/{repository}/simple/".replace("://", f"://{user}:{password}@")

    def fetch_all(self) -> None:
        """Store everything that the proxies serve."""
        for repository in (CHAINGUARD, PYPI):
            for wheel in self._served(repository):
                self._keep(repository, wheel)

    # -- files

    def _served(self, repository: str) -> Sequence[Path]:
        if repository == ALL:
            members = [wheel for member in self.order for wheel in self._served(member)]
            return list({wheel.name: wheel for wheel in reversed(members)}.values())
        return {CHAINGUARD: self.built, PYPI: self.upstream}.get(repository, ())

    def _path(self, wheel: Path) -> str:
        return f"packages/{project(wheel)}/{wheel.name.split('-')[1]}/{wheel.name}"

    def _keep(self, repository: str, wheel: Path) -> None:
        assets = self.stored.setdefault(repository, [Asset(path=f"simple/{project(wheel)}/", data=b"<html>")])
        if self._path(wheel) not in {asset.path for asset in assets}:
            about = {"name": project(wheel), "version": wheel.name.split("-")[1]}
            assets.append(Asset(path=self._path(wheel), data=wheel.read_bytes(), about=about))

    # -- answers

    def _answer(self, exchange: Exchange) -> None:
        path = exchange.seen.path.removeprefix(self.context)
        pair = base64.b64encode(":".join(self.login).encode()).decode()
        if exchange.seen.headers.get("authorization") != f"Basic {pair}":
            exchange.send(401, b"", WWW_Authenticate='BASIC realm="Sonatype Nexus Repository Manager"')
        elif self.busy:
            self.busy -= 1
            exchange.send(429, b"", Retry_After="0")
        elif path in self.answers:
            status, body, headers = self.answers[path]
            exchange.send(status, body, **headers)
        elif found := re.fullmatch(r"/repository/([^/]+)/simple/([^/]+)/", path):
            self._page(exchange, found[1], found[2])
        elif found := re.fullmatch(r"/repository/([^/]+)/(packages/.+)", path):
            self._file(exchange, found[1], unquote(found[2]))
        elif path.startswith(_API):
            self._interface(exchange, path.removeprefix(_API))
        else:
            exchange.send(404, b"<html>not found</html>", Content_Type="text/html")

    def _page(self, exchange: Exchange, repository: str, name: str) -> None:
        wheels = [wheel for wheel in self._served(repository) if project(wheel) == name]
        rows = [
            (f"../../{quote(self._path(wheel))}#sha256={sha256(wheel.read_bytes())}", wheel.name) for wheel in wheels
        ]
        headers = {"Content_Type": "text/html"} if self.typed else {}
        if rows:
            exchange.send(200, html_page(rows), **headers)
        else:
            exchange.send(404, b"<html>not found</html>", Content_Type="text/html")

    def _file(self, exchange: Exchange, repository: str, path: str) -> None:
        wheel = next((one for one in self._served(repository) if self._path(one) == path), None)
        if wheel is None or (self.breaks_plus and "+" in path):
            exchange.send(404, b"<html>not found</html>", Content_Type="text/html")
            return
        self._keep(repository, wheel)
        if self.redirects:
            exchange.send(302, Location=f"{self.cloud.url}/{repository}/{quote(wheel.name)}?sig=ok")
        else:
            send_range(exchange, wheel.read_bytes())

    def _cloud(self, exchange: Exchange) -> None:
        storage(self._served(exchange.seen.path.split("/")[1]))(exchange)

    def _interface(self, exchange: Exchange, path: str) -> None:
        if path == "/repositories":
            self._send(exchange, self._repositories())
        elif path == f"/repositories/pypi/group/{ALL}":
            members = {"group": {"memberNames": list(self.order)}}
            exchange.send(403) if not self.is_admin else self._send(exchange, {"name": ALL, **members})
        elif path == "/assets":
            self._list(exchange)
        elif found := re.fullmatch(r"/assets/(.+)", path):
            self._one(exchange, unquote(found[1]))
        else:
            exchange.send(404)

    def _send(self, exchange: Exchange, document: object) -> None:
        exchange.send(200, json.dumps(document).encode(), Content_Type="application/json")

    def _repositories(self) -> list[dict[str, Any]]:
        remotes = {CHAINGUARD: "https://someone:pass@libraries.cgr.dev/python/", PYPI: "https://pypi.org/"}
        kinds = {**dict.fromkeys(remotes, "proxy"), HOSTED: "hosted", ALL: "group"}
        rows: list[dict[str, Any]] = [{"name": "maven-central", "format": "maven2", "type": "proxy", "attributes": {}}]
        for name, kind in kinds.items():
            attributes = {"proxy": {"remoteUrl": remotes[name]}} if name in remotes else {}
            url = f"{self.root}/repository/{name}"
            rows.append({"name": name, "format": "pypi", "type": kind, "url": url, "attributes": attributes})
        return rows

    def _assets(self, repository: str) -> list[tuple[str, Asset]]:
        names = [HOSTED, CHAINGUARD, PYPI] if repository == ALL else [repository]
        return [(name, asset) for name in names for asset in self.stored.get(name, [])]

    def _list(self, exchange: Exchange) -> None:
        query = {name: values[0] for name, values in exchange.seen.query.items()}
        repository, token = query["repository"], query.get("continuationToken", "")
        found = re.fullmatch(rf"{repository}:(\d+)", bytes.fromhex(token).decode()) if token else None
        if token and not found:
            exchange.send(406)
            return
        start = int(found[1]) if found else 0
        some = self._assets(repository)[start : start + self.page_size]
        end = f"{repository}:{start + len(some)}".encode().hex() if len(some) == self.page_size else None
        rows = [self._row(name, asset) for name, asset in some]
        self._send(exchange, {"items": rows, "continuationToken": end})

    def _row(self, repository: str, asset: Asset) -> dict[str, Any]:
        checksum = {"sha256": sha256(asset.data), "sha1": "0" * 40, "md5": "0" * 32}
        return {
            "downloadUrl": f"{self.root}/repository/{repository}/{asset.path}",
            "path": f"/{asset.path}" if self.slash else asset.path,
            "id": self.identity(repository, asset),
            "repository": repository,
            "format": "pypi",
            "checksum": checksum if asset.checksum is None else asset.checksum,
            "fileSize": len(asset.data) if asset.size is None else asset.size,
            "lastModified": "2026-10-01T08:12:44.101+00:00",
            "lastDownloaded": "2026-11-02T10:00:00.000+00:00",
            "blobCreated": "2026-10-01T08:12:44.100+00:00",
            "pypi": asset.about,
        }

    def identity(self, repository: str, asset: Asset) -> str:
        """What the interface calls an asset: base64 of the repository and a number of its own."""
        return base64.urlsafe_b64encode(f"{repository}:{sha256(asset.path.encode())}".encode()).decode()

    def _one(self, exchange: Exchange, identity: str) -> None:
        every = [(name, asset) for name in (HOSTED, CHAINGUARD, PYPI) for asset in self.stored.get(name, [])]
        found = next((one for one in every if self.identity(*one) == identity), None)
        if found is None:
            exchange.send(404)
        elif exchange.seen.method != "DELETE":
            self._send(exchange, self._row(*found))
        elif not self.may_delete or found[1].path in self.kept:
            exchange.send(403)
        else:
            self.stored[found[0]].remove(found[1])
            self.deleted.append(found[1].path)
            exchange.send(204)
