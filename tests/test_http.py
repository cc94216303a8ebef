"""The client against servers that misbehave."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from scanner.errors import UsageError
from scanner.http import (
    CertificateRefused,
    Client,
    Credentials,
    HostUnreachable,
    RequestFailed,
    is_loopback,
    literal_address,
    masked,
)
from scanner.http.connections import check_step
from scanner.limits import Limits
from tests.registries import Certificate, Exchange, Respond, Site, free_port, make_certificate, site

SECRET = "s3cr3t-0f-the-test"
LIMITS = Limits(request_seconds=5)
HASTY = Limits(request_seconds=0.5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@contextlib.contextmanager
def asked(respond: Respond, limits: Limits = LIMITS) -> Iterator[tuple[Site, Client]]:
    """A site and a client for it."""
    with site(respond) as here, Client(limits=limits) as client:
        yield here, client


def ok(exchange: Exchange) -> None:
    exchange.send(200, b"ok")


# -- redirects


def test_authorization_stays_behind_and_range_goes_with_a_redirect_to_another_origin() -> None:
    def away(exchange: Exchange) -> None:
        exchange.send(307, Location=f"{there.url}/blob?signature=x")

    secret, part = Credentials(token=SECRET), {"Range": "bytes=3-"}
    with site(ok) as there, asked(away) as (here, client):
        answer = client.get(f"{here.url}/blob", headers=part, credentials=secret)
    assert answer.body == b"ok"
    assert here.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    assert "authorization" not in there.requests[0].headers
    assert there.requests[0].headers["range"] == "bytes=3-"


def test_authorization_does_not_come_back_when_the_redirect_does() -> None:
    def start(exchange: Exchange) -> None:
        if exchange.seen.path == "/start":
            exchange.send(302, Location=f"{there.url}/")
        else:
            exchange.send(200, b"end")

    def back(exchange: Exchange) -> None:
        exchange.send(302, Location=f"{here.url}/end")

    with asked(start) as (here, client), site(back) as there:
        assert client.get(f"{here.url}/start", credentials=Credentials(token=SECRET)).body == b"end"
    assert [("authorization" in seen.headers) for seen in here.requests] == [True, False]


def test_a_form_is_sent_to_one_place_only() -> None:
    def away(exchange: Exchange) -> None:
        exchange.send(307, Location=f"{there.url}/")

    with site(ok) as there, asked(away) as (here, client):
        answer = client.get(f"{here.url}/token", method="POST", form={"refresh_token": SECRET})
    assert answer.status == 307
    assert there.requests == []


def test_redirect_loop_ends() -> None:
    with asked(lambda it: it.send(302, Location="/again")) as (here, client):
        with pytest.raises(RequestFailed, match="more than 10 redirects"):
            client.get(here.url)
        assert len(here.requests) == 11


def test_redirect_out_of_tls_is_refused(certificate: Certificate) -> None:
    def away(exchange: Exchange) -> None:
        exchange.send(302, Location=plain.url)

    with site(ok) as plain, site(away, certificate=certificate) as here:
        client = Client(limits=LIMITS, ca_file=certificate.path)
        with client, pytest.raises(RequestFailed, match="from https to http"):
            client.get(here.url)
    assert plain.requests == []
    assert len(here.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])
def test_redirect_from_elsewhere_to_this_machine_is_refused(host: str) -> None:
    with pytest.raises(RequestFailed, match="redirects to"):
        check_step(httpx.URL("https://registry.example/v2/"), httpx.URL(f"https://{host}/latest"))


def test_redirect_to_another_host_is_followed() -> None:
    check_step(httpx.URL("https://registry.example/v2/"), httpx.URL("https://cdn.example/blob"))
    check_step(httpx.URL("https://registry.example/v2/"), httpx.URL("https://10.0.0.5/blob"))


def test_redirect_to_plain_http_elsewhere_is_refused() -> None:
    with asked(lambda it: it.send(302, Location="http://registry.example/")) as (here, client):
        with pytest.raises(RequestFailed, match="plain http") as raised:
            client.get(here.url)
        assert raised.value.hint == "allow it with --plain-http registry.example"


# -- what passes


def answering(*answers: tuple[int, dict[str, str]]) -> tuple[Respond, list[float]]:
    """A function that gives these answers in turn, and when it was asked."""
    left, times = list(answers), list[float]()

    def respond(exchange: Exchange) -> None:
        times.append(time.monotonic())
        status, headers = left.pop(0)
        exchange.send(status, str(status).encode(), **headers)

    return respond, times


def test_unavailable_is_asked_again() -> None:
    respond, times = answering((503, {}), (200, {}))
    with asked(respond) as (here, client):
        assert client.get(here.url).body == b"200"
    assert len(times) == 2


def test_retry_after_is_waited_for() -> None:
    respond, times = answering((429, {"Retry-After": "1"}), (200, {}))
    with asked(respond) as (here, client):
        assert client.get(here.url).status == 200
    assert times[1] - times[0] >= 1.0


def test_a_long_retry_after_is_not_waited_for() -> None:
    respond, times = answering((429, {"Retry-After": "21600"}), (200, {}))
    with asked(respond) as (here, client):
        assert client.get(here.url).status == 429
    assert len(times) == 1


def test_other_refusals_are_answers() -> None:
    respond, times = answering((404, {}), (200, {}))
    with asked(respond) as (here, client):
        assert client.get(here.url).status == 404
    assert len(times) == 1


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "no-such-host.invalid"])
def test_who_is_not_there_is_asked_once(host: str) -> None:
    url = f"https://user:{SECRET}@{host.format(port=free_port())}/x?token={SECRET}"
    started = time.monotonic()
    with Client(limits=LIMITS) as client, pytest.raises(HostUnreachable) as raised:
        client.get(url)
    # three more tries would pause for 3.5 seconds
    assert time.monotonic() - started < 3
    assert SECRET not in str(raised.value)
    assert SECRET not in repr(raised.value)


# -- bodies


def test_bytes_are_taken_raw() -> None:
    packed = gzip.compress(b"layer", mtime=0)
    with asked(lambda it: it.send(200, packed, Content_Encoding="gzip")) as (here, client):
        assert client.get(here.url).body == packed
        assert here.requests[0].headers["accept-encoding"] == "identity"


def test_a_body_has_a_bound() -> None:
    def endless(exchange: Exchange) -> None:
        exchange.start(200, Connection="close")
        exchange.close_connection = True
        while True:
            exchange.wfile.write(b"x" * 65536)

    with asked(endless) as (here, client), pytest.raises(RequestFailed, match="longer than 100000 bytes"):
        client.get(here.url, max_bytes=100_000)


def test_a_body_in_drops_is_not_waited_for() -> None:
    stop = threading.Event()

    def drops(exchange: Exchange) -> None:
        exchange.start(200, Content_Length="1000000")
        while not stop.wait(0.05):
            exchange.wfile.write(b"x")

    with asked(drops, HASTY) as (here, client), pytest.raises(RequestFailed, match="too slowly"):
        client.get(here.url)
    stop.set()


def test_time_of_the_reader_is_not_the_servers() -> None:
    with asked(lambda it: it.send(200, b"x" * 3_000_000), HASTY) as (here, client), client.stream(here.url) as stream:
        start = stream.body.read(10)
        threading.Event().wait(0.7)
        assert len(start + stream.body.read()) == 3_000_000


def test_a_body_that_breaks_off_says_so() -> None:
    with asked(lambda it: it.cut(200, b"half", 8)) as (here, client):
        with pytest.raises(RequestFailed, match="broke off") as raised:
            client.get(f"{here.url}/x?signature={SECRET}")
        assert SECRET not in str(raised.value)


def test_silence_ends() -> None:
    stop = threading.Event()

    def silent(exchange: Exchange) -> None:
        stop.wait(10)

    with asked(silent, Limits(request_seconds=0.1)) as (here, client):
        with pytest.raises(RequestFailed, match="timed out"):
            client.get(here.url)
        stop.set()


# -- trust


def test_certificates_are_checked(certificate: Certificate) -> None:
    with site(ok, certificate=certificate) as here:
        with Client(limits=LIMITS) as client, pytest.raises(CertificateRefused) as raised:
            client.get(here.url)
        assert "--ca-file" in (raised.value.hint or "")
        with Client(limits=LIMITS, ca_file=certificate.path) as client:
            assert client.get(here.url).body == b"ok"
        with Client(limits=LIMITS, more_ca=(certificate.path,)) as client:
            assert client.get(here.url).body == b"ok"
    assert len(here.requests) == 2


def test_a_certificate_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with Client(limits=LIMITS, ca_file=tmp_path / "ca.pem") as client, pytest.raises(UsageError, match=r"ca\.pem"):
        client.get("https://127.0.0.1:1/")


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://registry.example:5000/v2/", "ftp://127.0.0.1/", "x", ""])
def test_plain_http_and_other_schemes_are_refused_before_a_connection(url: str) -> None:
    with Client(limits=LIMITS) as client, pytest.raises(RequestFailed, match=r"plain http|neither https nor http"):
        client.get(url, credentials=Credentials(username="u", password=SECRET))


@pytest.mark.parametrize("allowed", ["registry.invalid", "REGISTRY.invalid", "registry.invalid:80"])
def test_plain_http_is_spoken_where_it_is_allowed(allowed: str) -> None:
    with Client(limits=LIMITS, plain_http=frozenset({allowed})) as client, pytest.raises(HostUnreachable):
        client.get("http://registry.invalid/")


def test_offline_asks_nobody() -> None:
    with site(ok) as here:
        with Client(limits=LIMITS, offline=True) as client, pytest.raises(RequestFailed, match="offline"):
            client.get(here.url)
        assert here.requests == []


def test_proxies_are_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with site(lambda it: it.send(418)) as proxy, site(ok) as here:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        with Client(limits=LIMITS, plain_http=frozenset({"registry.invalid"})) as client:
            assert client.get(here.url).body == b"ok"
            assert proxy.requests == []
            assert client.get("http://registry.invalid/").status == 418


def test_many_threads_share_one_client() -> None:
    with asked(lambda it: it.send(200, it.seen.path.encode())) as (here, client), ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda number: client.get(f"{here.url}/{number}").body, range(64)))
    assert bodies == [f"/{number}".encode() for number in range(64)]


# -- secrets


@pytest.mark.parametrize("token", [f"{SECRET} x", f"{SECRET}\r\nX: y", f"{SECRET}\u00e9", ""])
def test_a_token_that_is_no_header_is_not_shown(token: str) -> None:
    with Client(limits=LIMITS) as client, pytest.raises(RequestFailed) as raised:
        client.get("https://127.0.0.1:1/", credentials=Credentials(token=token))
    assert "bearer token" in str(raised.value)
    assert SECRET not in repr(raised.value)


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    with asked(ok) as (here, client), pytest.raises(RequestFailed) as raised:
        client.get(here.url, headers={"X-Key": f"{SECRET}\n"})
    assert SECRET not in str(raised.value)


def test_credentials_have_no_text() -> None:
    one = Credentials(username="u", password=SECRET, token=SECRET)
    assert SECRET not in f"{one!r} {one}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h:1/a/b?c=d#e", "https://h:1/a/b"),
        ("https://u:p@h?c=d", "https://h"),
        ("https://h#e/f", "https://h"),
        ("https://h?c=d/e", "https://h"),
        ("https://u:p/x@h/a", "https://h/a"),
        ("https://h:1/@scope/a", "https://h:1/@scope/a"),
        ("h/a?b", "h/a"),
    ],
)
def test_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("registry.example", "None"),
        ("", "None"),
    ],
)
def test_literal_address(host: str, address: str) -> None:
    assert str(literal_address(host)) == address


def test_is_loopback() -> None:
    assert [is_loopback(host) for host in ("localhost", "127.8.8.8", "::1", "[::1]")] == [True] * 4
    assert [is_loopback(host) for host in ("10.0.0.1", "localhost.example", "::2", "")] == [False] * 4
