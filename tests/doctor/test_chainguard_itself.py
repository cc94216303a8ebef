"""Chainguard's host under its own name: tokens that end, and proxies beside it that have other files."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.trees import simple_tree
from fixtures.wheels import make_wheel
from scanner.http import Credentials
from scanner.indexes import chainguard
from scanner.indexes.tier import CHAINGUARD_HOST
from tests.doctor.told import Doctor, Told, Wheels
from tests.managers import sha256
from tests.registries import Exchange
from tests.repository_managers.fake_chainguard import FakeChainguard, token
from tests.repository_managers.hosts import Hosts
from tests.repository_managers.vendors import SECRET, served, simple_page

PYTHON = f"https://{CHAINGUARD_HOST}/python/simple/"
IDENTITY = "0123456789012345678901234567890123456789/0123456789abcdef"
PROXY = "proxy.example"
DAY = 86_400
Start = Callable[..., tuple[Callable[..., Told], Hosts]]


@pytest.fixture
def start(wheels: Wheels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctor: Doctor) -> Iterator[Start]:
    """Starts Chainguard's host, and a proxy that serves ``proxied``; PyPI is a folder."""
    simple_tree(tmp_path / "pypi", wheels.upstream)
    with contextlib.ExitStack() as stack:

        def make(seconds: int = 30 * DAY, proxied: tuple[Path, ...] = (), **quirks: Any) -> Any:
            pull_token = token(seconds, SECRET)
            tiers = {wheels.copied.name: "python-upstream"}
            quirks = {"wheels": wheels.served, **quirks}
            one = FakeChainguard(login=(IDENTITY, pull_token), tiers=tiers, **quirks)
            responds = {**one.responds, PROXY: lambda exchange: _proxy(exchange, proxied)}
            running, _ = stack.enter_context(served(tmp_path, responds, monkeypatch))
            monkeypatch.setenv("CHAINGUARD_PYTHON_IDENTITY_ID", IDENTITY)
            monkeypatch.setenv("CHAINGUARD_PYTHON_TOKEN", pull_token)
            common = ("--upstream", "./pypi", "--ca-file", str(running.certificate))
            return (lambda *given: doctor(*given, *common)), running

        yield make


def _proxy(exchange: Exchange, wheels: tuple[Path, ...]) -> None:
    name = exchange.seen.path.strip("/").rpartition("/")[2]
    page = simple_page(wheels, name, lambda wheel: f"/files/{wheel.name}")
    data = next((wheel.read_bytes() for wheel in wheels if wheel.name == name), None)
    if data is not None:
        exchange.send(200, data)
    else:
        exchange.send(200 if page else 404, page or b"", Content_Type="text/html")


NAME = f"{CHAINGUARD_HOST}/python"


def test_a_right_one(start: Start) -> None:
    run, running = start()
    told = run("--index", PYTHON)
    assert (told.status, told.wrong) == (0, set())
    assert "in 29 days" in told.line(NAME, "token")[1]
    assert told.line(NAME, "tier")[0] == "ok"
    assert "mixed: idna-3.10-py3-none-any.whl" in told.line(NAME, "fallback")[1]
    assert "the right bytes" in told.line(NAME, "ranges")[1]
    assert "direct" not in told.lines(NAME)
    assert [one["set"] for one in told.document["variables"] if one["name"] == "CHAINGUARD_PYTHON_TOKEN"] == [True]
    assert running.refused == []


def test_the_documented_indexes(start: Start, wheels: Wheels, tmp_path: Path) -> None:
    """Remediated builds have an index of their own, which has none of the other projects."""
    remediated = make_wheel(tmp_path / "own", "werkzeug", "3.0.2+cgr.1", {"werkzeug/__init__.py": b""}, sbom=True)
    run, _ = start(wheels=(*wheels.served, remediated))
    page = (Path(__file__).parents[2] / "docs/managers/chainguard.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0]
    Path("cgscan.yaml").write_text(text)
    told = run("--index", "chainguard", "--index", "remediated")
    assert told.wrong == set()
    for check in ("kind", "builds", "tier", "fallback"):
        assert told.line("remediated", check)[0] == "ok"
    told = run("--index", "remediated")
    assert told.wrong == set()
    assert told.line("remediated", "built_only")[0] == "ok"


def test_a_token_that_has_ended(start: Start) -> None:
    run, _ = start(seconds=-60)
    told = run("--index", PYTHON)
    assert told.wrong == {(NAME, "token")}  # this host does not look at it
    assert "it ended at" in told.line(NAME, "token")[1]
    assert chainguard.RENEW in told.line(NAME, "token")[1]


@pytest.mark.parametrize(("seconds", "says"), [(2 * DAY + 60, "in 2 days"), (7300, "in 2 hours"), (90, "minutes")])
def test_a_token_that_ends_soon(start: Start, seconds: int, says: str) -> None:
    run, _ = start(seconds=seconds)
    told = run("--index", PYTHON)
    assert told.wrong == {(NAME, "token")}
    assert says in told.line(NAME, "token")[1]


def test_a_token_that_is_not_taken(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = start()
    monkeypatch.setenv("CHAINGUARD_PYTHON_TOKEN", token(30 * DAY, "another"))
    told = run("--index", PYTHON)
    assert told.wrong == {(NAME, "allowed")}
    assert "the token was refused" in told.line(NAME, "allowed")[1]


def test_built_only_of_an_index_with_fallback(start: Start) -> None:
    run, _ = start()
    assert run("--index", PYTHON, "--built-only").wrong == {(NAME, "built_only")}


def test_how_long_a_token_lives() -> None:
    def of(claims: str) -> Credentials:
        body = base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=")
        return Credentials(token=f"e30.{body}.x")

    lives = chainguard.lifetime(of('{"iat": 1000, "exp": 4600}'))
    assert lives is not None
    assert lives.total_seconds() == 3600
    for claims in ('{"exp": 4600}', '{"iat": 4600, "exp": 1000}', '{"iat": true, "exp": 4600}', "[]", '{"iat": 1e999}'):
        assert chainguard.lifetime(of(claims)) is None


# -- a proxy beside it


URL = f"https://{PROXY}/python/simple/"
OURS = f"{PROXY}/python"


def test_a_proxy_with_chainguards_files(start: Start, wheels: Wheels) -> None:
    run, _ = start(proxied=wheels.served)
    told = run("--index", URL)
    assert (told.status, told.wrong) == (0, set())
    assert "all 3 files that Chainguard has too are Chainguard's" in told.line(OURS, "direct")[1]


def test_a_proxy_with_a_stale_copy(start: Start, wheels: Wheels) -> None:
    """It kept PyPI's file of a release that Chainguard has built since."""
    stale = (wheels.built[0], wheels.theirs[1], wheels.copied)
    run, _ = start(proxied=stale)
    told = run("--index", URL)
    assert told.wrong == {(OURS, "direct")}
    _, says = told.line(OURS, "direct")
    assert f"{wheels.theirs[1].name} is PyPI's here, and Chainguard has a build of it" in says
    assert sha256(wheels.built[1].read_bytes()) != sha256(stale[1].read_bytes())


def test_chainguard_is_not_asked_without_credentials(
    start: Start, wheels: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, running = start(proxied=wheels.served)
    monkeypatch.delenv("CHAINGUARD_PYTHON_TOKEN")
    told = run("--index", URL)
    assert told.line(OURS, "direct")[0] == "not to be told"
    assert running.requests(CHAINGUARD_HOST) == []


def test_chainguard_refuses_the_comparison(start: Start, wheels: Wheels) -> None:
    refusals = dict.fromkeys(("blinker", "itsdangerous", "idna"), 403)
    run, _ = start(proxied=wheels.served, refusals=refusals)
    told = run("--index", URL, "--probe", "blinker")
    assert told.wrong == set()
    assert "no entitlement" in told.line(OURS, "direct")[1]
