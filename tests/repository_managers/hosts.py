"""Hosts of vendors under their true names, for tests: a proxy on this machine that leads to fakes with TLS.

The client under test asks ``https://api.cloudsmith.io/…`` by way of ``HTTPS_PROXY``. The proxy opens no connection to
anywhere else: a name that is not served here is refused (502). One certificate names all hosts.
"""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.registries import Certificate, Respond, Seen, Site, needed, site


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Running fakes. ``refused`` are names that were asked for and are served by nobody."""

    proxy: str
    certificate: Path
    sites: Mapping[str, Site]
    refused: list[str] = field(default_factory=list)

    def requests(self, host: str) -> list[Seen]:
        """What one host was asked, in order."""
        return self.sites[host].requests

    def environment(self) -> dict[str, str]:
        """The variables with which a client comes here."""
        return {"HTTPS_PROXY": self.proxy, "https_proxy": self.proxy, "NO_PROXY": "", "no_proxy": ""}


@contextlib.contextmanager
def hosts(folder: Path, responds: Mapping[str, Respond]) -> Iterator[Hosts]:
    """Serve each name by its function until the end of the block."""
    certificate = _certificate(folder, list(responds))
    with contextlib.ExitStack() as stack:
        sites = {
            name: stack.enter_context(site(respond, certificate=certificate)) for name, respond in responds.items()
        }
        refused: list[str] = []
        ports = {name: urlsplit(one.url).port or 0 for name, one in sites.items()}
        url = stack.enter_context(_proxy(ports, refused))
        yield Hosts(proxy=url, certificate=certificate.path, sites=sites, refused=refused)


def _certificate(folder: Path, names: list[str]) -> Certificate:
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(path=folder / "cert.pem", key=folder / "key.pem")
    wanted = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test"]
    wanted += ["-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)]
    wanted += ["-keyout", str(made.key), "-out", str(made.path)]
    subprocess.run([needed("openssl"), "req", "-x509", *wanted], check=True, capture_output=True)
    return made


class _Tunnels(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    ports: Mapping[str, int]
    refused: list[str]


class _Tunnel(socketserver.BaseRequestHandler):
    server: _Tunnels
    request: socket.socket

    def handle(self) -> None:
        """``CONNECT name:443`` as HTTP has it (RFC 9110, 9.3.6), then bytes both ways."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = self.request.recv(1)
            if not more:
                return
            head += more
        name = head.split()[1].decode().rpartition(":")[0]
        port = self.server.ports.get(name)
        if port is None:
            self.server.refused.append(name)
            self.request.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as there, contextlib.suppress(OSError):
            for side in (self.request, there):  # what is relayed in two parts would wait 40 ms between them
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _relay(self.request, there)


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Until one side closes."""
    while True:
        readable, _, _ = select.select([one, other], [], [], 30)
        if not readable:
            return
        for source in readable:
            data = source.recv(1 << 16)
            if not data:
                return
            (other if source is one else one).sendall(data)


@contextlib.contextmanager
def _proxy(ports: Mapping[str, int], refused: list[str]) -> Iterator[str]:
    with _Tunnels(("127.0.0.1", 0), _Tunnel) as server:
        server.ports, server.refused = ports, refused
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
