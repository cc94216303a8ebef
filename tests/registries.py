"""Registries and what stands beside them, for tests: real ones as processes, faulty ones as threads.

* :func:`docker_registry` is Debian's ``docker-registry``, with a password file, a token server or TLS;
* :class:`TokenServer` signs tokens that it accepts;
* :func:`site` is a small HTTP server that answers by a function;
* :func:`hosted` is such a server that serves an OCI layout as a registry does, until a function says otherwise.

All of it listens on 127.0.0.1 only.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from fixtures.layout_registry import Repository, media_type


def needed(program: str) -> str:
    """The path of a program; without it the test is skipped."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def free_port() -> int:
    """A port on which nobody listens at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# -- threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came; header names are lower-case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """One request of a :func:`site` and the means to answer it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes; each answer would wait 40 ms between them
    server: _Server
    seen: Seen

    def answer(self) -> None:
        parts = urlsplit(self.path)
        self.seen = Seen(
            method=self.command,
            path=parts.path,
            query=parse_qs(parts.query),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        self.server.requests.append(self.seen)
        with contextlib.suppress(ConnectionError):
            self.server.respond(self)

    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_CONNECT = answer  # noqa: N815

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer; ``Content_Type`` is the header Content-Type."""
        self.start(status, Content_Length=str(len(body)), **headers)
        self.wfile.write(body)

    def cut(self, status: int, body: bytes, promised: int, **headers: str) -> None:
        """An answer that breaks off after ``body``."""
        self.start(status, Content_Length=str(promised), **headers)
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = True

    def start(self, status: int, **headers: str) -> None:
        """Status and headers; the body is the caller's."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


Respond = Callable[[Exchange], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.requests: list[Seen] = []
        super().__init__(("127.0.0.1", 0), Exchange)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away, or speak TLS here, are part of the tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running :func:`site`. ``requests`` grows while it runs."""

    url: str
    requests: list[Seen]

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``."""
        return urlsplit(self.url).netloc

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [seen.path for seen in self.requests]


@contextlib.contextmanager
def site(respond: Respond, *, certificate: Certificate | None = None) -> Iterator[Site]:
    """An HTTP server that answers with ``respond``; https if there is a certificate."""
    server = _Server(respond)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path, certificate.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        scheme = "https" if certificate else "http"
        yield Site(url=f"{scheme}://127.0.0.1:{server.server_address[1]}", requests=server.requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def give_range(exchange: Exchange, data: bytes) -> None:
    """A blob, or the part of it that ``Range: bytes=N-`` asks for."""
    wanted = re.fullmatch(r"bytes=(\d+)-", exchange.seen.headers.get("range", ""))
    if not wanted:
        exchange.send(200, data)
        return
    start = int(wanted[1])
    if start >= len(data):
        exchange.send(416, Content_Range=f"bytes */{len(data)}")
        return
    exchange.send(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")


@contextlib.contextmanager
def hosted(
    layout: Path,
    *,
    repository: str = "team/app",
    otherwise: Callable[[Exchange], bool] = lambda _: False,
    certificate: Certificate | None = None,
) -> Iterator[Site]:
    """A registry that serves a layout's blobs. ``otherwise`` is asked first and says whether it answered."""
    files = Repository(name=repository, layout=layout)

    def respond(exchange: Exchange) -> None:
        if otherwise(exchange):
            return
        found = files.find(exchange.seen.path)
        if exchange.seen.path == "/v2/":
            exchange.send(200, b"{}")
        elif found is None:
            exchange.send(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"<unknown>"}]}')
        elif found[0] == "manifests":
            data = found[1].read_bytes()
            exchange.send(200, data, Content_Type=media_type(data))
        else:
            give_range(exchange, found[1].read_bytes())

    with site(respond, certificate=certificate) as running:
        yield running


# -- certificates and tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and its key, as PEM files."""

    path: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Make one with ``openssl``."""
    made = Certificate(path=folder / "cert.pem", key=folder / "key.pem")
    wanted = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    wanted += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(made.key), "-out", str(made.path)]
    subprocess.run([needed("openssl"), "req", "-x509", *wanted], check=True, capture_output=True)
    return made


@dataclass(kw_only=True)
class TokenServer:
    """Gives tokens that :func:`docker_registry` accepts (distribution's ``spec/auth/jwt.md``).

    ``users`` are passwords, ``identity_tokens`` are accepted by POST; without a login nobody gets one.
    ``lives`` are the seconds that the next tokens live, the last one for all others; negative is over already.
    ``no_oauth`` is the status that POST is answered with where it is not known.
    """

    certificate: Certificate
    users: Mapping[str, str] = field(default_factory=dict)
    identity_tokens: frozenset[str] = frozenset()
    lives: list[int] = field(default_factory=lambda: [300])
    no_oauth: int | None = None
    extra_answer: Mapping[str, object] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    service: ClassVar[str] = "test-registry"
    issuer: ClassVar[str] = "test-issuer"

    def respond(self, exchange: Exchange) -> None:
        """One request to the realm."""
        scopes = self._scopes(exchange)
        if scopes is None:
            return
        token = self._signed(scopes)
        self.given.append(token)
        exchange.send(200, json.dumps({"token": token, "expires_in": 300, **self.extra_answer}).encode())

    def _scopes(self, exchange: Exchange) -> list[str] | None:
        """The scopes asked for by somebody who may; otherwise the request is answered."""
        seen = exchange.seen
        if seen.method == "POST":
            form = parse_qs(seen.body.decode())
            if self.no_oauth:
                exchange.send(self.no_oauth)
            elif form["grant_type"] != ["refresh_token"] or form["refresh_token"][0] not in self.identity_tokens:
                exchange.send(403)
            else:
                return form["scope"][0].split()
            return None
        basic = seen.headers.get("authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(basic).decode().partition(":")
        if self.users.get(user) == password or password in self.identity_tokens:
            return seen.query.get("scope", [])
        exchange.send(401)
        return None

    def _signed(self, scopes: list[str]) -> str:
        now = int(time.time())
        life = self.lives.pop(0) if len(self.lives) > 1 else self.lives[0]
        access = [dict(zip(("type", "name", "actions"), _split_scope(scope), strict=True)) for scope in scopes]
        der = ssl.PEM_cert_to_DER_cert(self.certificate.path.read_text())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {
            "iss": self.issuer,
            "aud": self.service,
            "sub": "test",
            "exp": now + life,
            "nbf": now - 600,
            "iat": now - 600,
            "jti": uuid.uuid4().hex,
            "access": access,
        }
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (head, claims))
        signature = subprocess.run(
            [needed("openssl"), "dgst", "-sha256", "-sign", str(self.certificate.key)],
            input=text.encode(),
            check=True,
            capture_output=True,
        ).stdout
        return f"{text}.{_base64url(signature)}"


def _split_scope(scope: str) -> tuple[str, str, list[str]]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return kind, name, actions.split(",")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# -- processes


def htpasswd(folder: Path, user: str, password: str) -> Path:
    """A password file as ``docker-registry`` reads it."""
    path = folder / "htpasswd"
    subprocess.run([needed("htpasswd"), "-Bbc", str(path), user, password], check=True, capture_output=True)
    return path


@contextlib.contextmanager
def docker_registry(
    folder: Path,
    *,
    passwords: Path | None = None,
    tokens: tuple[str, TokenServer] | None = None,
    certificate: Certificate | None = None,
    notifications: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """Debian's registry with its data in ``folder``; gives ``127.0.0.1:PORT``. ``tokens`` has the realm's URL.

    ``notifications`` is that section of its configuration.
    """
    program = needed("docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{free_port()}"
    http: dict[str, Any] = {"addr": host, "secret": "test"}
    if certificate:
        http["tls"] = {"certificate": str(certificate.path), "key": str(certificate.key)}
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}}
    settings: dict[str, Any] = {"version": "0.1", "log": {"level": "error"}, "storage": storage, "http": http}
    if notifications:
        settings["notifications"] = notifications
    if passwords:
        settings["auth"] = {"htpasswd": {"realm": "test", "path": str(passwords)}}
    if tokens:
        realm, server = tokens
        token = {"realm": realm, "service": server.service, "issuer": server.issuer}
        settings["auth"] = {"token": {**token, "rootcertbundle": str(server.certificate.path)}}
    (folder / "config.yml").write_text(json.dumps(settings))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
        try:
            _wait_for(host, process, certificate, folder / "log")
            yield host
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(host: str, process: subprocess.Popen[bytes], certificate: Certificate | None, log: Path) -> None:
    context = ssl.create_default_context(cafile=certificate.path) if certificate else None
    url = f"{'https' if certificate else 'http'}://{host}/v2/"
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context):
                return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            threading.Event().wait(0.02)


def push(layout: Path, name: str, *, tag: str = "latest", login: str | None = None, ca_file: Path | None = None) -> str:
    """Copy an image, or all of an index, into a registry with ``skopeo``; gives its name."""
    destination = [f"--dest-creds={login}"] if login else []
    destination += [f"--dest-cert-dir={ca_file.parent}"] if ca_file else ["--dest-tls-verify=false"]
    names = [f"oci:{layout}:{tag}", f"docker://{name}"]
    command = [needed("skopeo"), "copy", "--quiet", "--all", "--preserve-digests", *destination, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return name
