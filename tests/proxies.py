"""A forward proxy for tests: plain requests by absolute URL, TLS by CONNECT, with or without a password.

Names are led to the sites that they are given; every other name is refused, so nothing leaves this machine.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import select
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.registries import Exchange, Seen, Site, site


@dataclass(kw_only=True)
class Proxy:
    """``hosts`` are sites by name; ``login`` is what a client must show; ``refusal`` is the status for all of them."""

    hosts: Mapping[str, Site]
    login: tuple[str, str] | None = None
    refusal: int | None = None
    tunnels: list[str] = field(default_factory=list)
    front: Site = field(init=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        """Serve until the end of the block."""
        with site(self._answer) as self.front:
            yield self

    @property
    def url(self) -> str:
        """The proxy's URL, with user and password if it wants them."""
        login = ":".join(self.login) + "@" if self.login else ""
        return self.front.url.replace("://", f"://{login}")

    @property
    def requests(self) -> list[Seen]:
        """What it was asked, in order."""
        return self.front.requests

    def _answer(self, exchange: Exchange) -> None:
        pair = base64.b64encode(":".join(self.login).encode()).decode() if self.login else ""
        if self.login and exchange.headers.get("Proxy-Authorization") != f"Basic {pair}":
            exchange.send(407, b"", Proxy_Authenticate="Basic")
            return
        name = (urlsplit(exchange.path).hostname or "") if "://" in exchange.path else exchange.path.rpartition(":")[0]
        there = self.hosts.get(name)
        if self.refusal or there is None:
            exchange.send(self.refusal or 502)
        elif exchange.command == "CONNECT":
            self.tunnels.append(exchange.path)
            _tunnel(exchange, there)
        else:
            _forward(exchange, there)


def _forward(exchange: Exchange, there: Site) -> None:
    """A plain request, sent on without what was for the proxy."""
    parts = urlsplit(exchange.path)
    connection = http.client.HTTPConnection(there.host, timeout=20)
    headers = {name: value for name, value in exchange.headers.items() if not name.lower().startswith("proxy-")}
    connection.request(exchange.command, parts.path or "/", headers=headers)
    answer = connection.getresponse()
    exchange.send(answer.status, answer.read(), Content_Type=answer.headers.get("Content-Type", ""))
    connection.close()


def _tunnel(exchange: Exchange, there: Site) -> None:
    """Bytes both ways until one side closes (RFC 9110, 9.3.6)."""
    host, _, port = there.host.partition(":")
    exchange.close_connection = True
    with socket.create_connection((host, int(port)), timeout=20) as far, contextlib.suppress(OSError):
        exchange.start(200)
        near = exchange.connection
        while True:
            readable, _, _ = select.select([near, far], [], [], 20)
            for source in readable:
                data = source.recv(1 << 16)
                if not data:
                    return
                (far if source is near else near).sendall(data)
            if not readable:
                return
