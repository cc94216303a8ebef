"""Google Artifact Registry as its clients see it: the simple index, the REST interface, and its quirks.

Digests in base64, sizes as texts, ``%2F`` in the names of files, pages of two whatever is asked for, files that cannot
be deleted one by one, deletions that are operations, a user that must be ``oauth2accesstoken`` and a bearer token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from tests.managers import sha256
from tests.registries import Exchange, Respond
from tests.repository_managers.vendors import SECRET, project, simple_page, storage

INDEX = "us-python.pkg.dev"
INTERFACE = "artifactregistry.googleapis.com"
STORAGE = "google-storage.example"
PARENT = "projects/acme-prod/locations/us"
_MODES = {"chainguard": "REMOTE_REPOSITORY", "own": "STANDARD_REPOSITORY", "all": "VIRTUAL_REPOSITORY"}


def resource(name: str) -> str:
    """The full name of a repository."""
    return f"{PARENT}/repositories/{name}"


@dataclass(kw_only=True)
class FakeGoogle:
    """A project with ``chainguard`` (remote), ``own`` (standard) and ``all`` (virtual: own before chainguard).

    ``cached`` are the wheels of the first, ``uploaded`` of the second. ``answers`` take the place of whole answers.
    """

    cached: Sequence[Path]
    uploaded: Sequence[Path] = ()
    throttled: int = 0
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes, str]] = field(default_factory=dict)
    operation_error: str | None = None
    versions_deleted: list[str] = field(default_factory=list)
    policies: Sequence[tuple[str, int]] = (("chainguard", 10), ("own", 90))

    def location(self, repository: str = "chainguard", user: str = "oauth2accesstoken") -> str:
        """The URL of a repository's index with the token."""
        return f"https://{user}:{SECRET}@{INDEX}/acme-prod/{repository}/simple/"

    @property
    def responds(self) -> dict[str, Respond]:
        """What each host answers."""
        return {INDEX: self._index, INTERFACE: self._interface, STORAGE: storage([*self.cached, *self.uploaded])}

    def _held(self, repository: str) -> list[Path]:
        held = {"chainguard": [*self.cached], "own": [*self.uploaded], "all": [*self.uploaded, *self.cached]}
        return [wheel for wheel in held[repository] if self.owner(repository, wheel) not in self.versions_deleted]

    def _index(self, exchange: Exchange) -> None:
        pair = base64.b64encode(f"oauth2accesstoken:{SECRET}".encode()).decode()
        found = re.fullmatch(r"/acme-prod/(chainguard|own|all)/(?:simple/([^/]+)/|([^/]+)/([^/]+))", exchange.seen.path)
        if exchange.seen.headers.get("authorization") != f"Basic {pair}":
            exchange.send(401, b"", WWW_Authenticate="Basic")
        elif found and found[2]:
            base = f"/acme-prod/{found[1]}"
            page = simple_page(self._held(found[1]), found[2], lambda wheel: f"{base}/{project(wheel)}/{wheel.name}")
            exchange.send(200 if page else 404, page or b"", Content_Type="text/html")
        elif found and found[4] in {wheel.name for wheel in self._held(found[1])}:
            exchange.send(302, Location=f"https://{STORAGE}/{found[4]}?sig=ok")
        else:
            exchange.send(404)

    def _interface(self, exchange: Exchange) -> None:
        seen = exchange.seen
        path = seen.path.removeprefix("/v1/")
        if self.throttled:
            self.throttled -= 1
            exchange.send(429, _error(429, "RESOURCE_EXHAUSTED", "Quota exceeded"), Retry_After="0")
        elif seen.headers.get("authorization") != f"Bearer {SECRET}":
            exchange.send(401, _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."))
        elif path in self.answers:
            status, body, kind = self.answers[path]
            exchange.send(status, body, Content_Type=kind)
        elif seen.method == "DELETE":
            self._delete(exchange, path)
        elif path == f"{PARENT}/operations/op1":
            error = {"code": 9, "message": self.operation_error}
            _send(exchange, {"name": path, "done": True, **({"error": error} if self.operation_error else {})})
        else:
            self._get(exchange, path)

    def _get(self, exchange: Exchange, path: str) -> None:
        found = re.fullmatch(rf"{PARENT}/repositories(?:/(\w+)(?:/(files|pythonPackages)(?:/([^/]+))?)?)?", path)
        if not found or (found[1] and found[1] not in _MODES):
            exchange.send(404, _error(404, "NOT_FOUND", "Requested entity was not found."))
        elif found[1] is None:
            docker = {"name": resource("images"), "format": "DOCKER", "mode": "STANDARD_REPOSITORY"}
            self._page(exchange, "repositories", [docker, *(self.about(name) for name in _MODES)])
        elif found[2] is None:
            _send(exchange, self.about(found[1]))
        elif found[3] is None:
            self._page(exchange, found[2], self._rows(found[1], found[2], exchange))
        else:
            rows = [row for row in self.files(found[1]) if row["name"] == path]
            if rows:
                _send(exchange, rows[0])
            else:
                exchange.send(404, _error(404, "NOT_FOUND", "File not found."))

    def _rows(self, repository: str, what: str, exchange: Exchange) -> list[dict[str, Any]]:
        if repository == "all":
            return []  # a virtual repository lists nothing itself
        if what == "pythonPackages":
            return [
                {"packageName": project(wheel), "version": wheel.name.split("-")[1]} for wheel in self._held(repository)
            ]
        wanted = re.fullmatch(r'owner="(.*)"', exchange.seen.query.get("filter", [""])[0])
        return [row for row in self.files(repository) if not wanted or row["owner"] == wanted[1]]

    def about(self, name: str) -> dict[str, Any]:
        """A repository's own document."""
        row: dict[str, Any] = {"name": resource(name), "format": "PYTHON", "mode": _MODES[name]}
        if name == "chainguard":
            custom = {"customRepository": {"uri": "https://libraries.cgr.dev/python/"}}
            row["remoteRepositoryConfig"] = {"pythonRepository": custom}
        if name == "all":
            policies = [{"id": one, "repository": resource(one), "priority": rank} for one, rank in self.policies]
            row["virtualRepositoryConfig"] = {"upstreamPolicies": policies}
        return {**row, **self.changes.get(name, {})}

    def owner(self, repository: str, wheel: Path) -> str:
        """The version that a wheel is of."""
        return f"{resource(repository)}/packages/{project(wheel)}/versions/{wheel.name.split('-')[1]}"

    def files(self, repository: str) -> list[dict[str, Any]]:
        """The files of a repository as they are listed."""
        return [self._file(repository, wheel) for wheel in self._held(repository)]

    def _file(self, repository: str, wheel: Path) -> dict[str, Any]:
        data = wheel.read_bytes()
        path = quote(f"{project(wheel)}/{wheel.name}", safe="")
        row: dict[str, Any] = {
            "name": f"{resource(repository)}/files/{path}",
            "sizeBytes": str(len(data)),
            "hashes": [
                {"type": "SHA256", "value": base64.b64encode(bytes.fromhex(sha256(data))).decode()},
                {"type": "MD5", "value": base64.b64encode(hashlib.md5(data).digest()).decode()},
                {"type": "DIRSUM_SHA256", "value": "AAAA"},
            ],
            "createTime": "2026-10-01T08:12:44.101234Z",
            "owner": self.owner(repository, wheel),
        }
        if repository == "chainguard":
            row["fetchTime"] = "2026-10-02T09:00:00Z"
        return {**row, **self.changes.get(wheel.name, {})}

    def _page(self, exchange: Exchange, what: str, rows: Sequence[Mapping[str, Any]]) -> None:
        start = int(exchange.seen.query.get("pageToken", ["0"])[0].removeprefix("+/="))
        more = {"nextPageToken": f"+/={start + 2}"} if start + 2 < len(rows) else {}
        shown = rows[start : start + 2]
        _send(exchange, {**({what: shown} if shown else {}), **more})

    def _delete(self, exchange: Exchange, path: str) -> None:
        if "/files/" in path:
            said = "Deleting files is only allowed on generic repositories"
            exchange.send(400, _error(400, "FAILED_PRECONDITION", said))
        elif not [name for name in _MODES for wheel in self._held(name) if self.owner(name, wheel) == unquote(path)]:
            exchange.send(404, _error(404, "NOT_FOUND", "Version not found."))
        else:
            assert exchange.seen.query == {"force": ["true"]}
            if self.operation_error is None:
                self.versions_deleted.append(unquote(path))
            _send(exchange, {"name": f"{PARENT}/operations/op1", "metadata": {}})


def _send(exchange: Exchange, document: object) -> None:
    exchange.send(200, json.dumps(document).encode(), Content_Type="application/json; charset=UTF-8")


def _error(code: int, status: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "status": status}}).encode()
