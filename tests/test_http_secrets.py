"""What one origin is told is for that origin; how often is asked, how late, and how many at a time."""

from __future__ import annotations

import email.utils
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scanner.http import Client, Credentials, RequestFailed, asked_pause
from scanner.limits import Limits
from tests.registries import Certificate, Exchange, make_certificate, site

SECRET = "s3cr3t-0f-the-test"
LIMITS = Limits(request_seconds=5)
SECRETS = {
    "X-Api-Key": SECRET,
    "X-JFrog-Art-Api": SECRET,
    "X-Devpi-Auth": SECRET,
    "Private-Token": SECRET,
    "Cookie": f"session={SECRET}",
    "Authorization": f"Basic {SECRET}",
    "Proxy-Authorization": SECRET,
}


# -- secrets


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_header_but_the_plainest_goes_to_another_origin(status: int) -> None:
    def away(exchange: Exchange) -> None:
        exchange.send(status, Location=f"{there.url}/file")

    plain = {"Range": "bytes=0-9", "Accept": "text/html", "If-None-Match": '"x"'}
    with site(lambda it: it.send(200, b"ok")) as there, site(away) as here, Client(limits=LIMITS) as client:
        answer = client.get(f"{here.url}/file", headers={**SECRETS, **plain})
    assert answer.body == b"ok"
    assert {name.lower() for name in SECRETS} <= set(here.requests[0].headers)
    assert SECRET not in str(there.requests)
    got = there.requests[0].headers
    assert {name: got[name.lower()] for name in plain} == plain
    assert got["host"] == there.host


def test_headers_stay_on_the_way_inside_one_origin() -> None:
    def on(exchange: Exchange) -> None:
        exchange.send(200, b"ok") if exchange.seen.path == "/b" else exchange.send(302, Location="/b")

    with site(on) as here, Client(limits=LIMITS) as client:
        client.get(f"{here.url}/a", headers=SECRETS)
    assert {seen.headers["x-jfrog-art-api"] for seen in here.requests} == {SECRET}


def test_from_http_to_https_of_one_name_nothing_goes_along(tmp_path: Any) -> None:
    """Another port and another scheme: another origin, whatever the name."""
    made: Certificate = make_certificate(tmp_path)

    def away(exchange: Exchange) -> None:
        exchange.send(302, Location=there.url)

    with (
        site(lambda it: it.send(200), certificate=made) as there,
        site(away) as here,
        Client(limits=LIMITS, ca_file=made.path) as client,
    ):
        assert client.get(here.url, credentials=Credentials(token=SECRET), headers=SECRETS).status == 200
    assert SECRET not in str(there.requests)


def test_cookies_are_not_kept() -> None:
    """They know no ports: a session of one index would go to every other on its host."""

    def sets(exchange: Exchange) -> None:
        exchange.send(200, b"ok", Set_Cookie=f"session={SECRET}; Path=/")

    def moves(exchange: Exchange) -> None:
        exchange.send(302, Location="/end", Set_Cookie=f"session={SECRET}") if exchange.seen.path != "/end" else (
            exchange.send(200)
        )

    with site(sets) as here, site(moves) as other, Client(limits=LIMITS) as client:
        client.get(here.url)
        client.get(here.url)
        client.get(f"{other.url}/start")
    assert not [seen for seen in (*here.requests, *other.requests) if "cookie" in seen.headers]


# -- again, and how late


@pytest.mark.parametrize("seconds", [1, 2])
def test_a_date_to_retry_after_is_waited_for(seconds: int) -> None:
    times: list[float] = []

    def busy(exchange: Exchange) -> None:
        times.append(time.time())
        if len(times) > 1:
            exchange.send(200, b"ok")
        else:
            exchange.send(503, Retry_After=email.utils.formatdate(int(time.time()) + 1 + seconds, usegmt=True))

    with site(busy) as here, Client(limits=LIMITS) as client:
        assert client.get(here.url).body == b"ok"
    assert times[1] - times[0] >= seconds


@pytest.mark.parametrize(
    "late", ["3600", "Wed, 21 Oct 2099 07:28:00 GMT", "9" * 40], ids=["seconds", "date", "seconds without end"]
)
def test_what_is_too_late_is_not_waited_for(late: str) -> None:
    with site(lambda it: it.send(429, Retry_After=late)) as here, Client(limits=LIMITS) as client:
        assert client.get(here.url).status == 429
    assert len(here.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_it_is_asked_again_four_times_at_most(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("scanner.http.connections.time.sleep", pauses.append)  # the pauses are what is tested
    with site(lambda it: it.send(status)) as here, Client(limits=LIMITS) as client:
        assert client.get(here.url).status == status
    assert len(here.requests) == 4
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 416, 501])
def test_what_will_not_pass_is_asked_once(status: int) -> None:
    with site(lambda it: it.send(status)) as here, Client(limits=LIMITS) as client:
        assert client.get(here.url).status == status
    assert len(here.requests) == 1


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)) | st.datetimes().map(str))
@example("Thu, 01 Jan 0001 00:00:00 -0000")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Mon, 00 Foo 99999999999 00:00:00 GMT")
def test_any_text_is_a_time_to_wait(text: str) -> None:
    assert asked_pause({"retry-after": text}) >= 0.0


# -- how many at a time


class Crowd:
    """Answers when it is let go, and knows how many waited at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.now = self.most = 0
        self._lock = threading.Lock()

    def respond(self, exchange: Exchange) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.arrived.release()
        self.open.wait(20)
        with self._lock:
            self.now -= 1
        exchange.send(200, b"ok")


def test_a_host_is_busy_with_so_many_at_most() -> None:
    crowd = Crowd()
    with (
        site(crowd.respond) as here,
        Client(limits=LIMITS, connections=3) as client,
        ThreadPoolExecutor(12) as pool,
    ):
        asked = [pool.submit(client.get, here.url) for _ in range(12)]
        for _ in range(3):
            assert crowd.arrived.acquire(timeout=10)
        assert not crowd.arrived.acquire(timeout=0.3)  # a fourth would have come
        crowd.open.set()
        assert {one.result().body for one in asked} == {b"ok"}
    assert crowd.most == 3


def test_a_slow_host_keeps_nobody_from_another() -> None:
    crowd = Crowd()
    with (
        site(crowd.respond) as slow,
        site(lambda it: it.send(200, b"quick")) as quick,
        Client(limits=LIMITS, connections=2) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        waiting = [pool.submit(client.get, f"{slow.url.replace('127.0.0.1', 'localhost')}") for _ in range(4)]
        assert crowd.arrived.acquire(timeout=10)
        assert client.get(quick.url).body == b"quick"
        assert crowd.now > 0
        crowd.open.set()
        assert {one.result().body for one in waiting} == {b"ok"}


def test_a_turn_ends_with_the_body_however_it_ends() -> None:
    with site(lambda it: it.send(200, b"x" * 200_000)) as here, Client(limits=LIMITS, connections=1) as client:
        for _ in range(3):
            with client.stream(here.url) as stream:
                stream.body.read(10)  # and not to its end
            client.get(here.url)
        with pytest.raises(RequestFailed, match="longer than"):
            client.get(here.url, max_bytes=10)
        client.get(here.url)
    with site(lambda it: it.cut(200, b"half", 8)) as here, Client(limits=LIMITS, connections=1) as client:
        for _ in range(2):
            with pytest.raises(RequestFailed, match="broke off"):
                client.get(here.url)


def test_who_waits_too_long_for_a_turn_is_told() -> None:
    hasty = Limits(request_seconds=0.2)
    crowd = Crowd()
    with (
        site(lambda it: it.send(200, b"x" * 200_000)) as here,
        Client(limits=hasty, connections=1) as client,
        client.stream(here.url),
        pytest.raises(RequestFailed, match="timed out waiting for a connection"),
    ):
        client.get(here.url)
    crowd.open.set()
