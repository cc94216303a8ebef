"""The service as a process, and the databases and queues that it can work with, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.registries import free_port, needed

_NOBODY = 65534


def until(check: Callable[[], Any], *, seconds: float = 60.0, what: str = "") -> Any:
    """The first answer that is true, asked again and again."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, what or "it did not come to that"
        threading.Event().wait(0.03)


# -- the service


@dataclass(kw_only=True)
class Running:
    """A process of cgscan's. ``log`` is what it said."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""
    token: str | None = None
    more: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[dict[str, Any]]:
        """The log's whole lines."""
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [line for line in self.lines() if line["event"] == event]

    def ask(self, path: str, body: object = None, *, method: str | None = None, token: str | None = None) -> Answer:
        """One request; every answer is an answer."""
        headers = {"Content-Type": "application/json", **self.more}
        if token or self.token:
            headers["Authorization"] = f"Bearer {token or self.token}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=70) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as answer:
            with answer:
                return Answer(answer.code, dict(answer.headers), answer.read())

    def stop(self) -> int:
        """In good order; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """Like a power cut."""
        self.process.kill()
        self.process.wait(10)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def start(
    folder: Path,
    command: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Start ``cgscan serve`` or ``cgscan worker``; ready when this returns."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{command}-{time.monotonic_ns()}.log"
    words = [sys.executable, "-m", "scanner", command, *arguments, "--log-json"]
    with log.open("wb") as said:
        process = subprocess.Popen(
            words,
            stdout=said,
            stderr=said,
            env={**os.environ, "HOME": str(folder), "CGSCAN_CACHE_DIR": str(folder / "cache"), **(environment or {})},
        )
    running = Running(process=process, log=log)

    def ready() -> list[dict[str, Any]]:
        assert process.poll() is None, log.read_text()
        return running.said("ready")

    (line,) = until(ready, what=f"{command} does not start")
    running.url = line.get("url", "").rstrip("/")
    return running


@contextlib.contextmanager
def started(folder: Path, command: str, *arguments: str, **more: Any) -> Iterator[Running]:
    """The same for the length of a block."""
    running = start(folder, command, *arguments, **more)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait(10)


def configured(folder: Path, **section: Any) -> Path:
    """A configuration file with a section ``serve``, and whatever else is in ``top``."""
    top = section.pop("top", {})
    path = folder / "cgscan.yaml"
    serve = {"listen": "127.0.0.1:0", "folder": str(folder / "data"), **section}
    path.write_text(json.dumps({**top, "serve": serve}))  # JSON is YAML
    return path


class Client:
    """Asks an application without a network, keeps its cookies and follows nothing; every answer is an answer."""

    def __init__(self, application: Any, base: str) -> None:
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url=base)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def head(self, path: str) -> httpx.Response:
        return self.ask("HEAD", path)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("POST", path, **more)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._client.request(method, path, **more))


# -- Redis and PostgreSQL


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A Redis of our own; gives its URL."""
    program = needed("redis-server")
    pytest.importorskip("redis")
    import redis  # noqa: PLC0415 - of the extra

    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        client = redis.Redis(port=port)

        def answers() -> bool:
            with contextlib.suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        try:
            until(answers, what="redis-server does not start")
            client.close()
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def postgresql(*, durable: bool = False) -> Iterator[str]:
    """A PostgreSQL of our own, not as root; gives the URL of a server to make databases on.

    ``durable`` waits for the disk at every commit, as one that is in use does.
    """
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not places:
        pytest.skip("postgresql is not installed")
    programs = places[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="cgscan-pg-"))
    user = {"user": _NOBODY, "group": _NOBODY} if os.geteuid() == 0 else {}
    if user:
        os.chown(folder, _NOBODY, _NOBODY)
    initdb = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "cgscan", "-A", "trust", "-N", "-E", "UTF8"]
    subprocess.run([*initdb, "--locale=C"], check=True, capture_output=True, cwd=folder, **user)  # type: ignore[call-overload]
    port = free_port()
    settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    settings["fsync"] = "on" if durable else "off"
    settings |= {"max_connections": 200, "shared_buffers": "32MB"}
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with Path(folder, "log").open("wb") as log:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [str(programs / "postgres"), "-D", str(folder / "data"), *words], stdout=log, stderr=log, cwd=folder, **user
        )
    url = f"postgresql://cgscan@127.0.0.1:{port}"
    import psycopg  # noqa: PLC0415 - of the extra

    def answers() -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(f"{url}/postgres", connect_timeout=5):
            return True
        return False

    try:
        until(answers, what="postgres does not start")
        yield url
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def new_database(url: str) -> str:
    """An empty database on a server; gives its URL."""
    import psycopg  # noqa: PLC0415 - of the extra

    name = f"t{time.monotonic_ns()}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{url}/{name}"
