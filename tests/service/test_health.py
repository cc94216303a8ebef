"""The health check of a container, and ``make serve``: the service as somebody meets it first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.registries import Exchange, free_port, site
from tests.services import configured, started, until

Ran = subprocess.CompletedProcess[str]


def check(listen: str, folder: Path) -> Ran:
    config = configured(folder, listen=listen)
    command = [sys.executable, "-m", "scanner", "serve", "--check", "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_service_that_is_ready(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    with started(tmp_path, "serve", "--no-workers", "--config", str(configured(tmp_path, listen=listen))):
        done = check(listen, tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = check(listen, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"not ready: no answer from {listen}: [Errno 111] Connection refused\n"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b'{"parts": {"database": "is out of reach", "queue": "ok"}}', "database is out of reach, queue ok"),
        (500, b"<html>", "it answers with status 500"),
        (503, b'{"parts": ["\\u001b[2J"]}', "it answers with status 503"),
        (503, b'{"parts": {"\\u001b[2J": 1}}', "\\x1b[2J 1"),
        (503, b"[" * 70_000, "it answers with status 503"),
    ],
)
def test_what_is_not_ready_says_why(status: int, body: bytes, reason: str, tmp_path: Path) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.send(status, body)

    with site(respond) as there:
        done = check(there.host, tmp_path)
    assert (done.returncode, done.stderr) == (1, f"not ready: {reason}\n")


def test_a_port_that_nobody_knows(tmp_path: Path) -> None:
    done = check("127.0.0.1:0", tmp_path)
    assert done.returncode == 2
    assert "nobody knows where it listens" in done.stderr


def test_make_serve(tmp_path: Path) -> None:
    """The demo's image is scanned when it says where to look, and Ctrl-C ends it in good order."""
    listen = f"127.0.0.1:{free_port()}"
    words = ["--listen", listen, "--registry-port", str(free_port()), str(tmp_path / "demo")]
    said = tmp_path / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "fixtures.demo_service", *words],
            stdout=out,
            stderr=out,
            env={**os.environ, "CGSCAN_CACHE_DIR": str(tmp_path / "cache")},
            start_new_session=True,
        )
        try:

            def looked_at() -> bool:
                assert process.poll() is None, said.read_text()
                return f"open http://{listen}/ in a browser" in said.read_text()

            until(looked_at, seconds=180)
            with urllib.request.urlopen(f"http://{listen}/api/v1/images") as answer:
                (image,) = json.load(answer)["rows"]
            assert (image["repository"], image["distributions"]) == ("demo/app", 8)
            os.killpg(process.pid, signal.SIGINT)  # a terminal's Ctrl-C is the whole group's
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_make_serve_where_the_port_is_taken(tmp_path: Path) -> None:
    with site(lambda exchange: exchange.send(200, b"{}")) as there:
        words = ["--listen", there.host, "--registry-port", str(free_port()), str(tmp_path / "demo")]
        command = [sys.executable, "-m", "fixtures.demo_service", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert there.requests == []
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot listen at {there.host}: ")
    assert "LISTEN=" in done.stderr
