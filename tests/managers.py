"""Package indexes for tests: devpi and nginx as processes, Chainguard's host as a thread.

All of it listens on 127.0.0.1 only.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx
import pytest

from scanner.wheel import WheelName
from tests.registries import Certificate, Exchange, Site, free_port, needed, site

JSON = "application/vnd.pypi.simple.v1+json"
_READY_SECONDS = 60
_LAST = "/-/last"
"""A path of nginx' that nobody else asks for."""


def sha256(data: bytes) -> str:
    """Its hex sha256."""
    return hashlib.sha256(data).hexdigest()


def json_page(project: str, rows: Sequence[Mapping[str, object]], version: str = "1.1") -> bytes:
    """A project's page as JSON."""
    return json.dumps({"meta": {"api-version": version}, "name": project, "files": rows}).encode()


def html_page(rows: Sequence[tuple[str, str]]) -> bytes:
    """A project's page as HTML, of (URL, text) pairs."""
    anchors = "\n".join(f'<a href="{html.escape(url)}">{html.escape(text)}</a><br/>' for url, text in rows)
    return f"<!DOCTYPE html><html><head><title>Links</title></head><body>{anchors}</body></html>".encode()


def send_range(exchange: Exchange, data: bytes, **headers: str) -> None:
    """A file, or the range of it that is asked for: from one byte to another, or the last ones."""
    found = re.fullmatch(r"bytes=(\d*)-(\d+)", exchange.seen.headers.get("range", ""))
    if not found:
        exchange.send(200, data, **headers)
        return
    if found[1]:
        start, end = int(found[1]), min(int(found[2]) + 1, len(data))
    else:
        start, end = max(0, len(data) - int(found[2])), len(data)
    if start >= end:
        exchange.send(416, Content_Range=f"bytes */{len(data)}")
        return
    exchange.send(206, data[start:end], Content_Range=f"bytes {start}-{end - 1}/{len(data)}", **headers)


# -- Chainguard's host and its storage


@dataclass(kw_only=True)
class Chainguard:
    """A host like libraries.cgr.dev: Basic auth, pages in both forms, files behind a 302 to signed storage.

    ``tiers`` says under which tier a file is served (``python`` where it says nothing); ``withheld`` are projects
    that are answered with 409. ``prefix`` is put before every path, as a proxy would. Storage is another origin: it
    refuses requests with Authorization (400), HEAD (403) and stale signatures (403), and honours ranges.
    ``expire_after`` is how many times a signed URL works.
    """

    wheels: Sequence[Path]
    login: tuple[str, str] | None = ("0123abcd/4567ef", "t0ken-0f-the-test")
    tiers: Mapping[str, str] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()
    html_only: bool = False
    prefix: str = ""
    expire_after: int = 1000
    signatures: dict[str, int] = field(default_factory=dict)
    front: Site = field(init=False)
    storage: Site = field(init=False)

    @property
    def simple(self) -> str:
        """The URL of its index, without credentials."""
        return f"{self.front.url}{self.prefix}/python/simple/"

    @property
    def simple_with_login(self) -> str:
        """The URL of its index with user and password in it."""
        user, password = self.login or ("", "")
        return self.simple.replace("://", f"://{user.replace('/', '%2F')}:{password}@")

    @contextlib.contextmanager
    def running(self) -> Iterator[Chainguard]:
        """Serve until the end of the block."""
        with site(self._store) as self.storage, site(self._answer) as self.front:
            yield self

    def _answer(self, exchange: Exchange) -> None:
        path = exchange.seen.path.removeprefix(self.prefix)
        if self.login and exchange.seen.headers.get("authorization") != _basic(*self.login):
            exchange.send(401, b'{"error":"unauthorized"}', WWW_Authenticate="Basic")
        elif found := re.fullmatch(r"/python/simple/([^/]+)/", path):
            self._page(exchange, found[1])
        elif (wheel := self._wheel(path.rpartition("/")[2])) is not None:
            signature = str(len(self.signatures))
            self.signatures[signature] = self.expire_after
            there = f"{self.storage.url}/{wheel.name}?X-Amz-Signature={signature}"
            exchange.send(302, b"<a>Found</a>", Location=there, Content_Type="text/html")
        else:
            exchange.send(404, b"{}")

    def _page(self, exchange: Exchange, project: str) -> None:
        if project in self.withheld:
            why = {"error": "conflict", "reason": "POLICY_COOLDOWN", "message": "too young to be served"}
            exchange.send(409, json.dumps(why).encode(), Content_Type="application/json")
            return
        mine = [wheel for wheel in self.wheels if _project(wheel) == project]
        if not mine:
            exchange.send(404, b"{}")
        elif self.html_only or JSON not in exchange.seen.headers.get("accept", ""):
            rows = [(f"{self.path(wheel)}#sha256={sha256(wheel.read_bytes())}", wheel.name) for wheel in mine]
            exchange.send(200, html_page(rows), Content_Type="text/html; charset=UTF-8")
        else:
            exchange.send(200, json_page(project, [self._row(wheel) for wheel in mine]), Content_Type=JSON)

    def path(self, wheel: Path) -> str:
        """The path of a wheel's URL."""
        tier = self.tiers.get(wheel.name, "python")
        return f"{self.prefix}/{tier}/simple/{_project(wheel)}/{_version(wheel)}/{wheel.name}"

    def _row(self, wheel: Path) -> dict[str, object]:
        data = wheel.read_bytes()
        return {
            "filename": wheel.name,
            "url": self.path(wheel),
            "hashes": {"sha256": sha256(data)},
            "size": len(data),
            "upload-time": "2025-07-10T14:21:47.324Z",
            "requires-python": ">=3.10",
            "yanked": False,
        }

    def _wheel(self, name: str) -> Path | None:
        return next((wheel for wheel in self.wheels if wheel.name == name), None)

    def _store(self, exchange: Exchange) -> None:
        wheel = self._wheel(exchange.seen.path.rpartition("/")[2])
        signature = exchange.seen.query.get("X-Amz-Signature", [""])[0]
        left = self.signatures.get(signature, 0)
        if "authorization" in exchange.seen.headers:
            exchange.send(400, b"<Error><Code>InvalidArgument</Code></Error>")
        elif exchange.seen.method == "HEAD" or not left or wheel is None:
            exchange.send(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        else:
            self.signatures[signature] = left - 1
            send_range(exchange, wheel.read_bytes(), ETag='"r2"')


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _name(wheel: Path) -> WheelName:
    name = WheelName.parse(wheel.name)
    assert name is not None
    return name


def _project(wheel: Path) -> str:
    return _name(wheel).project


def _version(wheel: Path) -> str:
    return str(_name(wheel).version)


# -- processes


@contextlib.contextmanager
def process(command: Sequence[str], *, log: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """A server as a child, from when it is ready to the end of the block."""
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as child:
        try:
            until = time.monotonic() + _READY_SECONDS
            while not ready():
                if child.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"{command[0]} does not start: {log.read_text()[-2000:]}")
                time.sleep(0.05)  # between two looks, up to the deadline above
            yield
        finally:
            child.terminate()
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()


def answers(url: str) -> Callable[[], bool]:
    """Whether a server answers at all."""

    def asked() -> bool:
        try:
            return httpx.get(url, timeout=5, verify=False).status_code < 500  # only whether it is up
        except httpx.TransportError:
            return False

    return asked


@contextlib.contextmanager
def nginx(folder: Path, root: Path, *, extra: str = "", certificate: Certificate | None = None) -> Iterator[str]:
    """nginx with ``root`` as its documents; gives its URL. ``extra`` goes into the server block.

    It speaks https if there is a certificate.
    """
    program = needed("nginx")
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "nginx.conf"
    user = "user root;" if _is_root() else ""
    listen = f"listen 127.0.0.1:{port}{' ssl' if certificate else ''};"
    if certificate:
        listen += f" ssl_certificate {certificate.path}; ssl_certificate_key {certificate.key};"
    configuration.write_text(
        f"""{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
        events {{ worker_connections 256; }}
        http {{
          client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
          uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
          log_format plain '$request_method $uri $http_range $status $body_bytes_sent';
          access_log {folder}/access.log plain; types {{ text/html html; }} default_type application/octet-stream;
          server {{ {listen} root {root}; index index.html; {extra} }}
        }}"""
    )
    command = [program, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    with process(command, log=folder / "nginx.log", ready=answers(url)):
        yield url


def access_log(url: str, folder: Path) -> list[str]:
    """The lines of all requests that a running :func:`nginx` has answered: method, path, range, status, bytes.

    It writes a line after the answer is sent, and before it takes up another request: so it is asked once more.
    """
    httpx.get(f"{url}{_LAST}", verify=False)  # its certificate is its own
    return [line for line in (folder / "access.log").read_text().splitlines() if line.split()[1] != _LAST]


def _is_root() -> bool:
    return Path("/proc/self").stat().st_uid == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Devpi:
    """A running devpi. Index URLs are ``{url}/root/NAME/+simple/``."""

    url: str
    token: str

    def simple(self, index: str) -> str:
        """The simple URL of an index of root's."""
        return f"{self.url}/root/{index}/+simple/"

    def make_index(self, name: str, **options: object) -> None:
        """Make an index of root's: ``type="stage"``, or ``type="mirror", mirror_url=…``."""
        httpx.put(f"{self.url}/root/{name}", json=options, headers=self._auth(), timeout=30).raise_for_status()

    def upload(self, name: str, wheel: Path) -> None:
        """Put a wheel into a stage index."""
        fields = {":action": "file_upload", "name": _project(wheel), "version": _version(wheel)}
        with wheel.open("rb") as content:
            answer = httpx.post(
                f"{self.url}/root/{name}/",
                data=fields,
                files={"content": (wheel.name, content)},
                headers=self._auth(),
                timeout=30,
            )
        answer.raise_for_status()

    def _auth(self) -> dict[str, str]:
        secret = base64.b64encode(f"root:{self.token}".encode()).decode()
        return {"X-Devpi-Auth": secret, "Accept": "application/json"}


@cache
def _empty_devpi() -> Path:
    """The folder of a server in which nothing is yet; made once, for that takes seconds."""
    folder = tempfile.mkdtemp(prefix="cgscan-devpi-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    state = Path(folder) / "server"
    init = [str(Path(sys.executable).parent / "devpi-init"), "--no-root-pypi", "--root-passwd", "test"]
    command = [*init, "--serverdir", str(state)]
    subprocess.run(command, check=True, capture_output=True, timeout=_READY_SECONDS)
    return state


@contextlib.contextmanager
def devpi(folder: Path) -> Iterator[Devpi]:
    """An empty devpi server."""
    bin_folder = Path(sys.executable).parent
    server = bin_folder / "devpi-server"
    if not server.exists():
        pytest.skip("devpi-server is not installed")
    state, port = folder / "server", free_port()
    shutil.copytree(_empty_devpi(), state)
    command = [str(server), "--serverdir", str(state), "--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with process(command, log=folder / "devpi.log", ready=answers(f"{url}/+api")):
        login = httpx.post(f"{url}/+login", json={"user": "root", "password": "test"}, timeout=30)
        login.raise_for_status()
        yield Devpi(url=url, token=login.json()["result"]["password"])
