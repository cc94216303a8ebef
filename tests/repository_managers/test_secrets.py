"""A planted secret, by every kind of index and through every failure: in no output, report, cache, snapshot or error.

The servers say it again wherever they can: in bodies, in headers, in redirects, in the links of pages.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import pytest
from backports import zstd

from fixtures.trees import install
from fixtures.wheels import make_wheel
from scanner.cli import main
from scanner.indexes.tier import CHAINGUARD_HOST
from tests.managers import JSON, html_page, json_page, send_range, sha256
from tests.registries import Exchange, make_certificate, site
from tests.repository_managers.hosts import Hosts, hosts

SECRET = "s3cr3t-0f-the-test"
USER = "us3r-0f-the-test"
FORMS = {
    SECRET,
    quote(f"{SECRET}@"),
    base64.b64encode(SECRET.encode()).decode().rstrip("="),
    base64.b64encode(f"{USER}:{SECRET}".encode()).decode(),
}
"""How it may look: as it is, in a URL, and as Basic authorization has it."""

Answer: TypeAlias = Callable[[Exchange], None]
PATHS: Mapping[str, tuple[str, str]] = {
    "simple": ("pypi.example", "/simple/"),
    "artifactory": ("artifacts.example", "/artifactory/api/pypi/python/simple/"),
    "nexus": ("nexus.example", "/repository/python/simple/"),
    "cloudsmith": ("dl.cloudsmith.io", "/basic/acme/python/python/simple/"),
    "google": ("us-python.pkg.dev", "/acme/python/simple/"),
    "chainguard": (CHAINGUARD_HOST, "/python/simple/"),
}
ELSEWHERE = "elsewhere.example"
INTERFACES = ("api.cloudsmith.io", "artifactregistry.googleapis.com")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("wheel"), "one", "1.0", {"one.py": b"x = 1\n"}, sbom=True)


def _echo(exchange: Exchange) -> str:
    """What a careless server says again."""
    return f"{exchange.seen.headers.get('authorization')} {USER}:{SECRET} https://{USER}:{SECRET}@x/?sig={SECRET}"


def _refuses(status: int, kind: str = "application/json") -> Callable[[Path], Answer]:
    def make(_: Path) -> Answer:
        def respond(exchange: Exchange) -> None:
            said = _echo(exchange)
            document = {"error": said, "reason": "X", "detail": said, "errors": [{"message": said}]}
            body = json.dumps(document).encode() if "json" in kind else f"<form>{said}</form>".encode()
            exchange.send(status, body, Content_Type=kind, WWW_Authenticate=f'Basic realm="{SECRET}"', Retry_After="99")

        return respond

    return make


def _redirects(to: str) -> Callable[[Path], Answer]:
    def make(_: Path) -> Answer:
        return lambda exchange: exchange.send(302, Location=to, Set_Cookie=f"session={SECRET}")

    return make


def _page(rows: Callable[[Path], list[tuple[str, str]]]) -> Callable[[Path], Answer]:
    """A page of these links, and for every file a refusal."""

    def make(wheel: Path) -> Answer:
        def respond(exchange: Exchange) -> None:
            if exchange.seen.path.endswith("/one/"):
                exchange.send(200, html_page(rows(wheel)), Content_Type="text/html", ETag=f'"{sha256(b"x")}"')
            else:
                exchange.send(403, _echo(exchange).encode())

        return respond

    return make


def _works(wheel: Path) -> Answer:
    """All is well, but for links with a signature and a user in them."""
    digest = sha256(wheel.read_bytes())
    url = f"../../{wheel.name}?sig={SECRET}#sha256={digest}"

    def respond(exchange: Exchange) -> None:
        if exchange.seen.path.endswith("/one/"):
            row = {"filename": wheel.name, "url": url, "hashes": {"sha256": digest}}
            exchange.send(200, json_page("one", [row]), Content_Type=JSON, Set_Cookie=f"session={SECRET}")
        elif exchange.seen.path.endswith(".whl"):
            send_range(exchange, wheel.read_bytes())
        else:
            exchange.send(404, _echo(exchange).encode())

    return respond


def _another_wheel(wheel: Path) -> Answer:
    """A wheel that is damaged, with the secret in its members' names."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(f"../{SECRET}", SECRET)

    def respond(exchange: Exchange) -> None:
        if exchange.seen.path.endswith("/one/"):
            exchange.send(200, html_page([(f"../../{wheel.name}", wheel.name)]), Content_Type="text/html")
        else:
            exchange.send(200, f"<a href='https://x/?sig={SECRET}'>Found</a>".encode())

    return respond


FAILURES: Mapping[str, Callable[[Path], Answer]] = {
    "works": _works,
    "401": _refuses(401),
    "403": _refuses(403),
    "404": _refuses(404),
    "409": _refuses(409),
    "429": _refuses(429),
    "500 html": _refuses(500, "text/html"),
    "503": _refuses(503),
    "login page": _refuses(200, "text/html"),
    "no json": lambda _: lambda it: it.send(200, f"{{{_echo(it)}".encode(), Content_Type=JSON),
    "other json": _refuses(200, JSON),
    "other type": lambda _: lambda it: it.send(200, b"x", Content_Type=f"text/plain; {SECRET}"),
    "other page": lambda _: lambda it: it.send(200, json_page("other", []), Content_Type=JSON),
    "other encoding": lambda _: lambda it: it.send(200, b"x", Content_Encoding="br", Content_Type="text/html"),
    "cut": lambda _: lambda it: it.cut(200, b"<html>", 100, Content_Type="text/html"),
    "elsewhere": _redirects(f"https://{USER}:{SECRET}@{ELSEWHERE}/x?sig={SECRET}#{SECRET}"),
    "out of tls": _redirects(f"http://{USER}:{SECRET}@{ELSEWHERE}/x?sig={SECRET}"),
    "to this machine": _redirects(f"https://127.0.0.1:1/x?sig={SECRET}"),
    "in a circle": _redirects(f"/again?sig={SECRET}"),
    "no place": _redirects(f"https://[{SECRET}/"),
    "signed links": _page(lambda wheel: [(f"https://{ELSEWHERE}/{wheel.name}?sig={SECRET}", wheel.name)]),
    "links with users": _page(lambda wheel: [(f"https://{USER}:{SECRET}@{ELSEWHERE}/{wheel.name}", wheel.name)]),
    "a page as a wheel": _another_wheel,
}


class Everywhere:
    """All hosts, and what they answer at the moment."""

    def __init__(self, running: Hosts) -> None:
        self.running = running
        self.answer: Answer = lambda exchange: exchange.send(404)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    """One set of hosts for all tests."""
    place: list[Everywhere] = []
    names = [*(host for host, _ in PATHS.values()), *INTERFACES]

    def answer(exchange: Exchange) -> None:
        place[0].answer(exchange)

    responds: dict[str, Answer] = dict.fromkeys(names, answer)
    responds[ELSEWHERE] = lambda exchange: exchange.send(403, _echo(exchange).encode())
    with hosts(tmp_path_factory.mktemp("tls"), responds) as running:
        place.append(Everywhere(running))
        yield place[0]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("kind", PATHS)
def test_it_is_nowhere(
    kind: str,
    failure: str,
    wheel: Path,
    everywhere: Everywhere,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    host, path = PATHS[kind]
    everywhere.answer = FAILURES[failure](wheel)
    running = everywhere.running
    before = len(running.requests(host)), len(running.requests(ELSEWHERE))
    _alone(tmp_path, monkeypatch)
    install([wheel], tmp_path / "root")
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    index = ["--index", f"https://{USER}:{SECRET}@{host}{path}"]
    more = [*index, "--ca-file", str(running.certificate), "--debug", "--cache-dir", "cache"]
    statuses = [
        main(["scan", "dir:root", *more, "-v", "-o", "json=report.json", "-o", "markdown=report.md", "-o", "table"]),
        main(["explain", "dir:root", "one", *more, "-o", "json=explained.json"]),
        main(["index", "pull", "a.cgindex", "one", *more]),
        main(["index", "pull", "b.cgindex", "--retrieved", index[1], *more]),
    ]
    asked, there = running.requests(host)[before[0] :], running.requests(ELSEWHERE)[before[1] :]
    capture = capfd.readouterr()
    assert asked
    assert "unexpected" not in capture.err
    assert set(statuses) <= {0, 2}
    if failure == "works":
        assert statuses[:3] == [0, 0, 0]
        assert "cgscan: index " in capture.err
    assert not [seen for seen in there if f"{USER}:{SECRET}" != _login(seen.headers) is not None]
    _assert_nowhere(f"{capture.out}{capture.err}".encode(), "output")
    for file in [one for one in tmp_path.rglob("*") if one.is_file()]:
        _assert_nowhere(file.read_bytes(), file.name)


def _login(headers: Mapping[str, str]) -> str | None:
    """Who the other place was told: nobody, or whom the page's own link named."""
    pair = headers.get("authorization", "").removeprefix("Basic ")
    return base64.b64decode(pair).decode() if pair else None


def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NETRC", "CHAINGUARD_PYTHON_IDENTITY_ID", "CHAINGUARD_PYTHON_TOKEN", "ALL_PROXY", "CGSCAN_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scanner.http.connections.time.sleep", lambda _: None)  # the pauses between tries


def _assert_nowhere(data: bytes, where: str) -> None:
    for part in (data, data.partition(b"\n")[2]):  # what the store has is compressed behind a line
        with contextlib.suppress(zstd.ZstdError):
            data += zstd.decompress(part)
    found = [form for form in FORMS if form.encode() in data]
    assert not found, f"{where}: {data[max(0, data.find(found[0].encode()) - 300) :][:600]!r}"


@pytest.mark.parametrize("way", ["token_env", "password_env", "netrc", "helper", "keyring"])
@pytest.mark.parametrize("status", [200, 401, 500])
def test_nor_by_any_way_to_say_who_asks(
    way: str,
    status: int,
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    _alone(tmp_path, monkeypatch)
    install([wheel], tmp_path / "root")
    respond = _works(wheel) if status == 200 else _refuses(status)(wheel)
    certificate = make_certificate(tmp_path / "home")
    more: Any = {"token_env": "token_env: T", "password_env": "username_env: U, password_env: P", "netrc": ""}.get(way)
    if way == "helper":
        helper = tmp_path / "home" / "helper"
        helper.write_text(f'#!/bin/sh\necho \'{{"username": "{USER}", "password": "{SECRET}"}}\'\necho {SECRET} >&2\n')
        helper.chmod(0o755)
        more = f"helper: [{helper}]"
    if way == "keyring":
        pytest.importorskip("keyring")
        monkeypatch.setattr("keyring.get_credential", lambda *_: _Kept())
        more = "keyring: true"
    monkeypatch.setenv("T", SECRET)
    monkeypatch.setenv("U", USER)
    monkeypatch.setenv("P", SECRET)
    with site(respond, certificate=certificate) as here:
        if way == "netrc":
            netrc = tmp_path / "home" / ".netrc"
            netrc.write_text(f"machine 127.0.0.1 login {USER} password {SECRET}\n")
            netrc.chmod(0o600)
        entry = f"{{name: own, role: chainguard, url: '{here.url}/simple', {more}}}"
        (tmp_path / "own.yaml").write_text(f"indexes: [{entry}]\nregistries: {{ca_file: home/cert.pem}}\n")
        main(["scan", "dir:root", "--config", "own.yaml", "--cache-dir", "cache", "-v", "--debug", "-o", "json=r.json"])
    capture = capfd.readouterr()
    assert SECRET in str([seen.headers for seen in here.requests]) or USER in str(
        [_login(seen.headers) for seen in here.requests]
    )
    _assert_nowhere(f"{capture.out}{capture.err}".encode(), "output")
    for file in [one for one in tmp_path.rglob("*") if one.is_file() and "home" not in one.parts]:
        _assert_nowhere(file.read_bytes(), file.name)


class _Kept:
    """What a keyring has."""

    username = USER
    password = SECRET
