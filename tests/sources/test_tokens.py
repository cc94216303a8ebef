"""Challenges and the answers to them, with token servers that listen here."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from scanner.errors import AccessDenied, TargetError
from scanner.http import Client, Credentials
from scanner.limits import Limits
from scanner.sources.credentials import Found, Login
from scanner.sources.tokens import Authority, Challenge, parse_challenges
from tests.registries import Exchange, site

SECRET = "s3cr3t-0f-the-test"
LOGIN = Login(username="user", password=SECRET, source="config.json")
IDENTITY = Login(identity_token=SECRET, source="config.json")


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=Limits(request_seconds=5)) as one:
        yield one


def authority(
    client: Client,
    login: Login | None = LOGIN,
    *,
    origin: str = "http://127.0.0.1:5000",
    named: frozenset[str] = frozenset(),
    problems: tuple[str, ...] = (),
) -> Authority:
    host = origin.partition("://")[2]
    found = Found(login=login, problems=problems)
    return Authority(client=client, origin=origin, host=host, repository="team/app", find=lambda: found, named=named)


def bearer(realm: str, **parameters: str) -> str:
    return ",".join([f'Bearer realm="{realm}/token"', *(f'{name}="{value}"' for name, value in parameters.items())])


def token(text: str, **more: object) -> bytes:
    return json.dumps({"token": text, **more}).encode()


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


# -- challenges


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('Basic realm="a, b"', [("basic", {"realm": "a, b"})]),
        (
            'Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push repository:c/d:pull"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://a/token",
                        "service": "s",
                        "scope": "repository:a/b:pull,push repository:c/d:pull",
                    },
                )
            ],
        ),
        ('BEARER Realm=x , error = "invalid_token"', [("bearer", {"realm": "x", "error": "invalid_token"})]),
        (r'Basic realm="a \"b\" \\c"', [("basic", {"realm": r'a "b" \c'})]),
        (
            'Basic realm="one", Bearer realm="two",service="s", Negotiate',
            [("basic", {"realm": "one"}), ("bearer", {"realm": "two", "service": "s"}), ("negotiate", {})],
        ),
        ('Bearer realm="first",realm="second"', [("bearer", {"realm": "first"})]),
        ('Bearer realm="never ends', [("bearer", {}), ("realm", {})]),
        ("===", []),
    ],
)
def test_parse_challenges(header: str, challenges: list[tuple[str, Mapping[str, str]]]) -> None:
    expected = tuple(Challenge(scheme=scheme, parameters=parameters) for scheme, parameters in challenges)
    assert parse_challenges(header) == expected


def test_endless_challenges_take_no_endless_time() -> None:
    assert len(parse_challenges('a="' * 1_000_000)) < 10_000
    assert len(parse_challenges(('a="' + "\\" * 50) * 100_000)) < 10_000


# -- what is shown


def test_nothing_is_shown_before_it_is_asked_for(client: Client) -> None:
    assert authority(client).current() is None


def test_basic(client: Client) -> None:
    one = authority(client)
    expected = Credentials(username="user", password=SECRET)
    assert one.answer('Basic realm="x"', shown=None) == expected
    assert one.current() == expected


def test_bearer_is_preferred(client: Client) -> None:
    with site(lambda it: it.send(200, token("T"))) as server:
        shown = authority(client).answer(f'Basic realm="x", {bearer(server.url, service="s s&x=")}', shown=None)
    assert shown == Credentials(token="T")
    (seen,) = server.requests
    assert seen.query == {"service": ["s s&x="], "scope": ["repository:team/app:pull"]}
    assert seen.headers["authorization"] == basic("user", SECRET)


def test_each_scope_is_asked_for(client: Client) -> None:
    with site(lambda it: it.send(200, token("T"))) as server:
        scope = "repository:team/app:pull repository:team/base:pull"
        authority(client, None).answer(bearer(f"{server.url}/x?fixed=1&y=", scope=scope), shown=None)
    (seen,) = server.requests
    assert seen.query["scope"] == scope.split()
    assert seen.query["fixed"] == ["1"]
    assert "authorization" not in seen.headers


def test_an_identity_token_is_posted(client: Client) -> None:
    with site(lambda it: it.send(200, json.dumps({"access_token": "T"}).encode())) as server:
        assert authority(client, IDENTITY).answer(bearer(server.url, service="s"), shown=None).token == "T"
    (seen,) = server.requests
    assert seen.method == "POST"
    form = b"grant_type=refresh_token&refresh_token=" + SECRET.encode() + b"&client_id=cgscan"
    assert seen.body == form + b"&scope=repository%3Ateam%2Fapp%3Apull&service=s"
    assert "authorization" not in seen.headers


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_who_knows_no_post_is_asked_by_get(client: Client, status: int) -> None:
    def respond(exchange: Exchange) -> None:
        exchange.send(status) if exchange.seen.method == "POST" else exchange.send(200, token("T"))

    login = Login(username="0000", identity_token=SECRET, source="config.json")
    with site(respond) as server:
        assert authority(client, login).answer(bearer(server.url), shown=None).token == "T"
    assert [seen.method for seen in server.requests] == ["POST", "GET"]
    assert server.requests[1].headers["authorization"] == basic("0000", SECRET)


def test_a_registry_token_is_shown_as_it_is_and_then_renewed(client: Client) -> None:
    login = Login(username="user", password=SECRET, registry_token="READY", source="config.json")
    with site(lambda it: it.send(200, token("NEW"))) as server:
        one = authority(client, login)
        first = one.answer(bearer(server.url), shown=None)
        assert first.token == "READY"
        assert server.requests == []
        assert one.answer(bearer(server.url, error="invalid_token"), shown=first).token == "NEW"


# -- how long it holds


def numbered() -> Any:
    count = iter(range(100))
    return lambda exchange: exchange.send(200, token(f"T{next(count)}", expires_in=3600))


def test_a_token_is_kept_and_renewed_when_it_was_refused(client: Client) -> None:
    with site(numbered()) as server:
        one = authority(client)
        first = one.answer(bearer(server.url), shown=None)
        assert one.current() is first
        second = one.answer(bearer(server.url), shown=first)
        # a thread that was refused with the first one is given the second, and no third is fetched
        assert one.answer(bearer(server.url), shown=first) is second
    assert (first.token, second.token) == ("T0", "T1")
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("expires_in", "kept", "lost"),
    [(3600, 3500, 3600), (None, 50, 61), (1, 50, 61), (-5, 50, 61), ("600", 50, 61), (1e300, 86000, 86401)],
)
def test_a_token_is_renewed_before_it_ends(
    client: Client, monkeypatch: pytest.MonkeyPatch, expires_in: object, kept: float, lost: float
) -> None:
    now = 1000.0
    monkeypatch.setattr("scanner.sources.tokens.time.monotonic", lambda: now)
    with site(lambda it: it.send(200, token("T", expires_in=expires_in))) as server:
        one = authority(client)
        one.answer(bearer(server.url), shown=None)
        now += kept
        one.current()
        assert len(server.requests) == 1
        now += lost - kept
        one.current()
        assert len(server.requests) == 2


def test_threads_fetch_one_token_together(client: Client) -> None:
    together = threading.Barrier(8)
    with site(numbered()) as server, ThreadPoolExecutor(8) as pool:
        one = authority(client)

        def refused(_: int) -> Credentials:
            together.wait(10)
            return one.answer(bearer(server.url), shown=None)

        tokens = {shown.token for shown in pool.map(refused, range(8))}
    assert tokens == {"T0"}
    assert len(server.requests) == 1


# -- where it goes


@pytest.mark.parametrize(
    ("origin", "realm", "why"),
    [
        ("https://r.example", "http://auth.example", "without TLS"),
        ("https://r.example", "https://10.0.0.5", "private address"),
        ("https://r.example", "https://169.254.169.254", "private address"),
        ("https://r.example", "https://127.0.0.1:8443", "private address"),
        ("https://r.example", "https://localhost", "private address"),
        ("https://r.example", "https://2130706433", "private address"),
        ("https://r.example", "https://[::ffff:10.0.0.5]", "private address"),
        ("https://10.0.0.4", "https://10.0.0.5", "private address"),
        ("http://127.0.0.1:5000", "http://10.0.0.5", "private address"),
        ("https://r.example", "https://r.example@10.0.0.5", "no plain URL"),
        ("https://r.example", r"https://r.example\\@10.0.0.5", "no plain URL"),
        ("https://r.example", "https://10.0.0.5#.r.example", "no plain URL"),
        ("https://r.example", "https://auth.example/ x", "no plain URL"),
        ("https://r.example", "file:///etc", "no plain URL"),
        ("https://r.example", "//auth.example", "no plain URL"),
    ],
)
def test_token_servers_that_are_not_asked(client: Client, origin: str, realm: str, why: str) -> None:
    with pytest.raises(AccessDenied, match=why) as raised:
        authority(client, origin=origin).answer(bearer(realm), shown=None)
    assert SECRET not in f"{raised.value!r} {raised.value.hint}"


def test_plain_http_elsewhere_is_not_asked_for_a_token(client: Client) -> None:
    with pytest.raises(TargetError, match="plain http"):
        authority(client).answer(bearer("http://auth.example"), shown=None)


def test_a_private_token_server_can_be_allowed_by_name(client: Client) -> None:
    refused = authority(client, origin="https://10.0.0.4")
    with pytest.raises(AccessDenied) as raised:
        refused.answer(bearer("https://10.0.0.5:8443"), shown=None)
    assert raised.value.hint == "if it is right, allow it with --plain-http 10.0.0.5:8443"
    one = authority(client, origin="https://10.0.0.4", named=frozenset({"10.0.0.5:8443"}))
    assert one._checked_realm("https://10.0.0.5:8443/token") == "https://10.0.0.5:8443/token"


def test_the_registrys_own_host_may_be_private(client: Client) -> None:
    one = authority(client, origin="https://10.0.0.4:5000")
    assert one._checked_realm("https://10.0.0.4:5001/token")


def test_a_redirected_token_request_takes_no_login_along(client: Client) -> None:
    def away(exchange: Exchange) -> None:
        exchange.send(307, Location=f"{there.url}/token")

    with site(lambda it: it.send(200, token("T"))) as there, site(away) as server:
        authority(client).answer(bearer(server.url), shown=None)
        assert "authorization" not in there.requests[0].headers
        with pytest.raises(TargetError, match="answered 307"):
            authority(client, IDENTITY).answer(bearer(server.url), shown=None)
    assert len(there.requests) == 1


# -- refusals


def test_without_a_login_the_hint_says_how_to_get_one(client: Client) -> None:
    one = authority(client, None, origin="https://r.example:5000", problems=("docker-credential-x is not on PATH",))
    with pytest.raises(AccessDenied, match="wants a login") as raised:
        one.answer('Basic realm="x"', shown=None)
    hint = "check the name, or log in with: docker login r.example:5000; docker-credential-x is not on PATH"
    assert raised.value.hint == hint


@pytest.mark.parametrize("header", ["", "Negotiate", 'Digest realm="x"'])
def test_unknown_schemes(client: Client, header: str) -> None:
    with pytest.raises(AccessDenied):
        authority(client).answer(header, shown=None)


@pytest.mark.parametrize("login", [LOGIN, IDENTITY, None])
def test_a_refused_login(client: Client, login: Login | None) -> None:
    refused = pytest.raises(AccessDenied, match=r"refuses \(403\)")
    with site(lambda it: it.send(403, SECRET.encode())) as server, refused as raised:
        authority(client, login).answer(bearer(server.url), shown=None)
    assert ("config.json" in str(raised.value)) is (login is not None)
    assert SECRET not in f"{raised.value!r} {raised.value.hint}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"T"',
        b"{}",
        b'{"token": 1}',
        b'{"token": ""}',
        token(f"{SECRET}\r\nX-Injected: yes"),
        token(f"{SECRET} "),
        b"[" * 100_000,
        b'{"token": "' + b"x" * 100_000 + b'"}',
        b" " * 2_000_000,
    ],
)
def test_answers_without_a_token(client: Client, body: bytes) -> None:
    with site(lambda it: it.send(200, body)) as server, pytest.raises(TargetError, match="token server") as raised:
        authority(client).answer(bearer(server.url), shown=None)
    assert SECRET not in repr(raised.value)
