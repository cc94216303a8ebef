"""libraries.cgr.dev under its own name, with its storage on another host, and a proxy that keeps its mistakes.

To what :class:`tests.managers.Chainguard` does come the index of remediated builds, the redirect from an index's root,
and refusals by status. The proxy caches whatever the storage's 302 says as if it were the wheel.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scanner.indexes.tier import CHAINGUARD_HOST
from tests.managers import JSON, Chainguard, html_page, json_page, sha256
from tests.registries import Exchange, Respond, Seen, Site
from tests.repository_managers.vendors import project

STORAGE = "9236a389bd48b984df91adc1bc924620.r2.cloudflarestorage.com"
PROXY = "nexus.example"
CONFLICTS = ("POLICY_ORG_BLOCKLIST", "POLICY_COOLDOWN", "MALWARE_DETECTED")


def token(seconds: int, secret: str) -> str:
    """A pull token that ends in so many seconds; nobody signed it."""
    claims = {"iss": "https://issuer.enforce.dev", "exp": int(time.time()) + seconds}
    head, body = (base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in ({}, claims))
    return f"{head}.{body}.{secret}"


@dataclass(kw_only=True)
class FakeChainguard(Chainguard):
    """``refusals`` are statuses by project; ``reasons`` of 409s; a project with ``+cgr`` wheels is remediated only."""

    refusals: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.storage = Site(url=f"https://{STORAGE}", requests=[])

    @property
    def responds(self) -> dict[str, Respond]:
        """What each host answers."""
        return {CHAINGUARD_HOST: self._front, STORAGE: self._store, PROXY: self._cached_302}

    def path(self, wheel: Path) -> str:
        """Remediated builds are below an index of their own."""
        path = super().path(wheel)
        return path.replace("/python/", "/python-remediated/") if "+cgr." in wheel.name else path

    def _front(self, exchange: Exchange) -> None:
        parts = [part for part in exchange.seen.path.split("/") if part]
        name = parts[2] if len(parts) > 2 else ""
        if len(parts) == 1:
            exchange.send(302, Location=f"/{parts[0]}/simple/")
        elif self.refusals.get(name) == 409:
            why = {"error": "conflict", "reason": self.reasons[name], "message": "withheld by policy"}
            exchange.send(409, json.dumps(why).encode(), Content_Type="application/json")
        elif name in self.refusals:
            exchange.send(self.refusals[name], b'{"error": "see the documentation"}')
        elif len(parts) == 3 and (parts[0] == "python-remediated") != self._is_remediated(name):
            exchange.send(404, b"{}")
        else:
            exchange.seen = _as_python(exchange)
            self._answer(exchange)

    def _is_remediated(self, name: str) -> bool:
        return any("+cgr." in wheel.name for wheel in self.wheels if project(wheel) == name)

    def _cached_302(self, exchange: Exchange) -> None:
        """Right pages, and for every file the body of the 302 as it was cached."""
        parts = [part for part in exchange.seen.path.split("/") if part]
        mine = [wheel for wheel in self.wheels if project(wheel) == parts[-1]]
        if not mine:
            page = b'<html><body><a href="https://storage">Found</a>.</body></html>' * 800
            exchange.send(200, page, Content_Type="application/octet-stream")
            return
        rows: list[Mapping[str, object]] = [
            {"filename": one.name, "url": f"../../packages/{one.name}", "hashes": {"sha256": sha256(one.read_bytes())}}
            for one in mine
        ]
        if JSON in exchange.seen.headers.get("accept", "") and "html" not in parts:
            exchange.send(200, json_page(parts[-1], rows), Content_Type=JSON)
        else:  # no digests at all
            page = html_page([(f"../../packages/{one.name}", one.name) for one in mine])
            exchange.send(200, page, Content_Type="text/html")


def _as_python(exchange: Exchange) -> Seen:
    """The request as the plain host knows it: all indexes are answered as ``python``."""
    parts = exchange.seen.path.split("/")
    known = parts[1] in ("python", "python-remediated", "cu128") and exchange.seen.path.endswith("/")
    return replace(exchange.seen, path="/".join(["", "python", *parts[2:]])) if known else exchange.seen
