"""Cloudsmith as its clients see it: the simple index and the packages on hosts of their own, and its quirks.

Paging by headers; beyond the last page a 404; ``page_size`` is taken as less than was asked for; downloads by a 302 to
a CDN; requests without a user are told 404; the upstreams are for administrators only; rate headers on all answers.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.managers import sha256
from tests.registries import Exchange, Respond
from tests.repository_managers.vendors import SECRET, project, simple_page, storage

DOWNLOADS = "dl.cloudsmith.io"
INTERFACE = "api.cloudsmith.io"
CDN = "cloudsmith-cdn.example"
_PACKAGES = "/v1/packages/acme/python-all/"


@dataclass(kw_only=True)
class FakeCloudsmith:
    """The repository ``acme/python-all`` with an upstream ``Python Chainguard``.

    ``uploads`` are names of wheels that were uploaded. ``answers`` take the place of whole answers, by path (and page).
    ``kept`` are slugs that may not be deleted; ``throttled`` is how many requests are answered with 429 first.
    """

    wheels: Sequence[Path]
    uploads: frozenset[str] = frozenset()
    most_per_page: int = 3
    is_admin: bool = True
    throttled: int = 0
    extra_rows: Sequence[Mapping[str, Any]] = ()
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes, str]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    login: tuple[str, str] = ("user-0f-the-test", SECRET)

    @property
    def location(self) -> str:
        """The index's URL with user and API key."""
        return f"https://{self.login[0]}:{self.login[1]}@{DOWNLOADS}/basic/acme/python-all/python/simple/"

    @property
    def responds(self) -> dict[str, Respond]:
        """What each host answers."""
        return {DOWNLOADS: self._download, INTERFACE: self._interface, CDN: storage(self.wheels)}

    def _may(self, exchange: Exchange) -> bool:
        pair = base64.b64encode(":".join(self.login).encode()).decode()
        return exchange.seen.headers.get("authorization") == f"Basic {pair}"

    def _download(self, exchange: Exchange) -> None:
        path = exchange.seen.path.removeprefix("/basic/acme/python-all/python/")
        found = re.fullmatch(r"simple/([^/]+)/", path)
        page = simple_page(self.wheels, found[1], lambda wheel: f"../../{wheel.name}") if found else None
        if not self._may(exchange):
            exchange.send(401, b"", WWW_Authenticate='Basic realm="cloudsmith"')
        elif page is not None:
            exchange.send(200, page, Content_Type="text/html; charset=utf-8")
        elif path in {wheel.name for wheel in self.wheels}:
            exchange.send(302, b"<a>Found</a>", Location=f"https://{CDN}/{path}?sig=ok", Content_Type="text/html")
        else:
            exchange.send(404)

    def _interface(self, exchange: Exchange) -> None:
        seen = exchange.seen
        if self.throttled:
            self.throttled -= 1
            self._send(exchange, 429, {"detail": "Request was throttled."}, Retry_After="0")
        elif not self._may(exchange):
            self._send(exchange, 401, {"detail": f"Invalid key {_shown_key(exchange)}"})
        elif seen.path in self.answers:
            status, body, kind = self.answers[seen.path]
            exchange.send(status, body, Content_Type=kind)
        elif seen.path == _PACKAGES:
            self._list(exchange)
        elif seen.path == "/v1/repos/acme/python-all/upstream/python/":
            self._upstreams(exchange)
        elif seen.path.startswith(_PACKAGES):
            self._one(exchange, seen.path.removeprefix(_PACKAGES).rstrip("/"))
        else:
            self._send(exchange, 404, {"detail": "Not found."})

    def _send(self, exchange: Exchange, status: int, document: object, **headers: str) -> None:
        rate = {"X_RateLimit_Limit": "5400", "X_RateLimit_Remaining": "5399", "X_RateLimit_Interval": "0.0"}
        exchange.send(status, json.dumps(document).encode(), Content_Type="application/json", **rate, **headers)

    def _upstreams(self, exchange: Exchange) -> None:
        if not self.is_admin:
            self._send(exchange, 403, {"detail": "You do not have permission to perform this action."})
            return
        one = {
            "name": "Python Chainguard",
            "upstream_url": "https://someone:pass@libraries.cgr.dev/python/",
            "mode": "Cache and Proxy",
            "priority": 1,
            "is_active": True,
        }
        self._send(exchange, 200, [one])

    def rows(self) -> list[dict[str, Any]]:
        """All packages as the interface lists them."""
        mine = [self._row(wheel) for wheel in self.wheels if self.slug(wheel) not in self.deleted]
        return [*mine, *(dict(row) for row in self.extra_rows)]

    def slug(self, wheel: Path) -> str:
        """What the interface calls a package."""
        return f"Slug{sha256(wheel.name.encode())[:8]}"

    def _row(self, wheel: Path) -> dict[str, Any]:
        data = wheel.read_bytes()
        info = [] if wheel.name in self.uploads else ["upstream", "python-chainguard"]
        row: dict[str, Any] = {
            "name": project(wheel),
            "version": wheel.name.split("-")[1],
            "filename": wheel.name,
            "format": "python",
            "checksum_sha256": sha256(data),
            "checksum_md5": "0" * 32,
            "size": len(data),
            "downloads": 4,
            "cdn_url": f"https://{DOWNLOADS}/basic/acme/python-all/python/{wheel.name}",
            "repository": "python-all",
            "namespace": "acme",
            "uploaded_at": "2026-10-01T08:12:44.101Z",
            "slug_perm": self.slug(wheel),
            "signature_url": None,
            "tags": {"info": info, "version": ["latest"]},
            "tags_automatic": {"info": info, "version": ["latest"]},
            "tags_immutable": {},
            "is_sync_completed": True,
        }
        return {**row, **self.changes.get(wheel.name, {})}

    def _list(self, exchange: Exchange) -> None:
        query = {name: values[0] for name, values in exchange.seen.query.items()}
        rows = self.rows()
        wanted = re.search(r"tag:(\S+)", query.get("query", ""))
        if wanted:
            rows = [row for row in rows if wanted[1] in row["tags"]["info"]]
        size, page = min(int(query["page_size"]), self.most_per_page), int(query["page"])
        pages = max(1, -(-len(rows) // size))
        if page > pages:
            self._send(exchange, 404, {"detail": "Invalid page."})
            return
        headers = {
            "X_Pagination_Count": str(len(rows)),
            "X_Pagination_Page": str(page),
            "X_Pagination_PageSize": str(size),
            "X_Pagination_PageTotal": str(pages),
        }
        self._send(exchange, 200, rows[(page - 1) * size : page * size], **headers)

    def _one(self, exchange: Exchange, slug: str) -> None:
        row = next((row for row in self.rows() if row.get("slug_perm") == slug), None)
        if row is None:
            self._send(exchange, 404, {"detail": "Not found."})
        elif exchange.seen.method == "DELETE" and slug in self.kept:
            self._send(exchange, 403, {"detail": "You do not have permission to perform this action."})
        elif exchange.seen.method == "DELETE":
            self.deleted.append(slug)
            exchange.send(204)
        else:
            self._send(exchange, 200, row)


def _shown_key(exchange: Exchange) -> str:
    """The password as it came, which a careless server says again."""
    basic = exchange.seen.headers.get("authorization", "").removeprefix("Basic ")
    return base64.b64decode(basic).decode().partition(":")[2]
