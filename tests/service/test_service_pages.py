"""The pages that people read, as an application is asked for them: what is in them, who gets them, what is refused."""

from __future__ import annotations

import hashlib
import hmac
import html
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

pytest.importorskip("fastapi", reason="cgscan[serve] is not installed")

from fastapi import FastAPI

from scanner.config import gather
from scanner.formats import FORMATS
from scanner.reference import ImageName
from scanner.results import standing
from scanner.results.crawls import set_gone
from scanner.results.database import Database
from scanner.results.reading import SORTS
from scanner.results.standing import Span
from scanner.service import jobs
from scanner.service.api import Service, application
from scanner.service.carrier import Carrier
from scanner.service.jobs import Job, Priority, State, Wanted
from scanner.service.metrics import Metrics
from scanner.service.pages import add_pages
from scanner.service.sessions import LIFETIME, Sessions, secret_of
from scanner.service.tokens import Tokens
from scanner.serving import Serving
from tests import fleets
from tests.reports import HOSTILE, a_line, a_report, everything
from tests.service.inside import inside
from tests.services import Client, new_database

READ, SCAN, NEITHER = "r" * 20, "s" * 20, "n" * 20
TOKENS = Tokens(
    known={
        hashlib.sha256(token.encode()).digest(): frozenset(rights)
        for token, rights in {READ: ["read"], SCAN: ["read", "scan"], NEITHER: ["scan"]}.items()
    },
    open=False,
)
OPEN = Tokens(known={}, open=True)
BASE = "http://127.0.0.1:8087"
OURS = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
STRANGE = "\u202e<img src=x onerror=alert(1)>&\"'?#%2F\x1b[2J"
"""A name as no registry has one."""

Made = Callable[..., Client]


BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with its tables."""
    path = tmp_path_factory.mktemp("empty") / "cgscan.sqlite"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path, empty: Path) -> Iterator[Database]:
    """An empty one; of both kinds in turn with :data:`BOTH`."""
    if getattr(request, "param", "sqlite") == "sqlite":
        database = Database(f"sqlite:///{shutil.copy(empty, tmp_path)}")
    else:
        database = Database(new_database(request.getfixturevalue("postgresql_url")))
        database.migrate()
    yield database
    database.close()


@pytest.fixture(scope="module")
def applications() -> dict[bool, FastAPI]:
    """One with tokens and one without: to build one takes longer than most tests."""
    return {}


@pytest.fixture
def made(database: Database, tmp_path: Path, applications: dict[bool, FastAPI]) -> Made:
    """The application with these tokens, as it is asked by the loopback's address."""

    def client(tokens: Tokens = OPEN) -> Client:
        service = Service(
            database=database,
            carrier=Carrier(None, tmp_path),
            metrics=Metrics(),
            settings=gather({}, {"HOME": str(tmp_path)}),
            serving=Serving(),
            tokens=tokens,
        )
        if tokens.open not in applications:
            applications[tokens.open] = add_pages(application(service))
        app = applications[tokens.open]
        app.state.service, app.state.sessions = service, Sessions(tokens, database)
        return Client(app, BASE)

    return client


@pytest.fixture
def signed_in(made: Made) -> Callable[[str], Client]:
    def client(token: str) -> Client:
        found = made(TOKENS)
        assert found.post("/login", data={"token": token}, headers=OURS).status_code == 303
        return found

    return client


def queued(database: Database, image: str = "registry.example/team/app:1") -> Job:
    wanted = Wanted(image=ImageName.parse(image), source="ours", priority=Priority.PUSH, circumstances="now")
    ((job, _),) = jobs.submit(database, [wanted], most_waiting=100)
    return job


def state(database: Database, job: Job) -> State:
    found = jobs.get(database, job.id)
    assert found is not None
    return found.state


def got(client: Client, path: str, status: int = 200) -> str:
    """The page as text, without its tags."""
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == status, (path, answer.status_code)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text.replace("<wbr>", ""))).split())


def linked(client: Client, path: str, word: str = "") -> list[str]:
    """The addresses that a page leads to."""
    found = re.findall(r'<a href="([^"#][^"]*)"', client.get(path).text)
    return [html.unescape(one) for one in found if word in one]


@contextmanager
def asked(database: Database) -> Iterator[list[str]]:
    """The statements that a block has the database do."""
    statements: list[str] = []

    def heard(*said: Any) -> None:
        statements.append(said[2])

    event.listen(database.engine, "before_cursor_execute", heard)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", heard)


# -- what is in them -----------------------------------------------------------------------------------


def test_nothing_yet(made: Made) -> None:
    """The first page says how to begin, the others say where that stands."""
    client = made()
    text = got(client, "/")
    assert f"curl -X POST {BASE}/api/v1/scans" in text
    assert f"{BASE}/webhooks/ours" in text
    assert "Authorization" not in text
    for path in ("/images", "/distributions", "/queue"):
        assert "overview says how to begin" in got(client, path)


@BOTH
def test_a_fleet(made: Made, database: Database) -> None:
    """Every page, on both databases."""
    fleets.a_fleet(database)
    client = made()
    overview = got(client, "/")
    assert re.search(r"[0-9.]+ % covered by Chainguard's builds", overview)
    assert "9 images" in overview
    assert "sitecustomize.py" in overview
    images = got(client, "/images?search=billing")
    assert "2 images that fit" in images
    assert "registry.example/shop/billing:latest" in images
    repository = got(client, "/images/registry.example/shop/billing")
    assert "Coverage of all its tags" in repository
    (report, *_) = linked(client, "/images?search=billing:latest", "/reports/")
    image = got(client, report)
    for said in ("RUN pip install", "What could come from Chainguard 1", "Files in question 2", "sandbox.py"):
        assert said in image, said
    assert "flask" in got(client, "/distributions")
    flask = got(client, "/distributions/flask?version=4.3.0&origin=upstream")
    assert "registry.example/web/front:1.3" not in flask
    assert client.get("/distributions/Flask").headers["location"] == "/distributions/flask"
    assert "Nothing waits" in got(client, "/queue")


@pytest.mark.parametrize(
    ("database", "by"), [*(("sqlite", by) for by in SORTS), ("postgresql", "coverage")], indirect=["database"]
)
def test_every_image_is_listed_once_in_either_order(made: Made, database: Database, by: str) -> None:
    """Over several pages, also where many have the same value and some have none."""
    for number in range(55):
        covered = fleets.billing(number % 5, of=number % 4 and 6)
        fleets.put(database, covered, f"registry.example/app{number:02}:1", seen=1000.0 + number % 3)
    client = made()
    ways = []
    for order in ("up", "down"):
        path: str | None = f"/images?by={by}&order={order}"
        rows: list[str] = []
        while path is not None:
            rows += re.findall(r"app[0-9]{2}(?=:<wbr>1)", client.get(path).text)
            path = next(iter(linked(client, path, "cursor=")), None)
        assert sorted(rows) == [f"app{number:02}" for number in range(55)]
        ways.append(rows)
    assert ways[0] != ways[1]
    if by == "coverage":
        assert {int(name[3:]) % 4 for way in ways for name in way[-14:]} == {0}  # nothing counts in these


def test_a_page_of_a_large_image(made: Made, database: Database) -> None:
    report = fleets.put(database, fleets.many(1203))
    client = made()
    first = client.get(f"/reports/{report}")
    assert first.text.count('<tbody class="row"') == 500
    (after,) = set(linked(client, f"/reports/{report}", "begin=500"))
    assert client.get(after).text.count('<tbody class="row"') == 500
    assert client.get(f"/reports/{report}?begin=1000").text.count('<tbody class="row"') == 203
    few = client.get(f"/reports/{report}?origin=chainguard&search=project-12").text
    assert few.count('<tbody class="row"') == 1


def test_how_much_is_asked_does_not_grow(made: Made, database: Database) -> None:
    """Neither statements with rows, nor is a document read for anything but its own page."""
    counts = []
    client = made()
    for number in range(12):
        fleets.put(database, fleets.billing(number % 12), f"registry.example/app{number}:1")
        if number not in (1, 11):
            continue
        with asked(database) as statements:
            for path in ("/", "/images", "/distributions", "/distributions/flask", "/images/registry.example/app0"):
                assert client.get(path).status_code == 200
        counts.append(len(statements))
        assert not [one for one in statements if "document" in one]
    assert counts[0] == counts[1]


@BOTH
def test_what_is_scanned_anew_is_no_new_finding(database: Database) -> None:
    old = fleets.billing(3)
    fleets.put(database, old, "registry.example/old:1", seen=1000.0)
    fleets.put(database, fleets.billing(4), "registry.example/new:1", seen=2000.0)
    fleets.put(database, old, "registry.example/old:1", seen=3000.0)
    rows = standing.newest_findings(database, most=10)
    assert [(row["repository"], row["since"]) for row in rows] == [("new", 2000.0), ("old", 1000.0)]
    assert rows[0]["first"][0]["path"].endswith("sitecustomize.py")


@BOTH
def test_the_course_of_the_fleet(database: Database) -> None:
    """A name counts from its first report on, with what its newest at each time had."""
    for seen, covered, image in ((5.0, 7, "a:1"), (15.0, 14, "a:1"), (16.0, 0, "b:1"), (35.0, 21, "b:1")):
        fleets.put(database, fleets.billing(covered), f"registry.example/{image}", seen=seen)
    moments = standing.fleet_over_time(database, Span(since=10.0, until=40.0, steps=3))
    assert [(one.when, one.images, one.applicable) for one in moments] == [(20, 2, 42), (30, 2, 42), (40, 2, 42)]
    assert [one.verified for one in moments] == [13, 13, 33]  # of what is covered, one is changed
    (only, *_) = standing.fleet_over_time(
        database, Span(since=0.0, until=10.0, steps=1), repository=("registry.example", "a")
    )
    assert (only.images, only.coverage) == (1, round(100 * 6 / 21, 2))


@BOTH
def test_what_its_registry_does_not_have_any_more_is_history(made: Made, database: Database) -> None:
    """It is in no list and no sum; its repository and its reports are there to be read, and the course shows it."""
    report = fleets.put(database, fleets.billing(4), "registry.example/old:1", seen=15.0)
    fleets.put(database, fleets.billing(21), "registry.example/new:1", seen=16.0)
    with database.writing() as connection:
        set_gone(connection, ("registry.example", "old"), ["1"], now=25.0)
    moments = standing.fleet_over_time(database, Span(since=10.0, until=40.0, steps=3))
    assert [(one.images, one.applicable, one.verified) for one in moments] == [(2, 42, 24), (1, 21, 20), (1, 21, 20)]
    assert standing.newest_findings(database, most=10) == []
    assert [row["repository"] for row in standing.worst_images(database, most=10)] == ["new"]
    assert {row["images"] for row in standing.spread(database, "flask")} == {1}
    client = made()
    for path in ("/", "/images", "/distributions/six"):
        page = client.get(path).text.replace("<wbr>", "")
        assert ("registry.example/new" in page, "registry.example/old" in page) == (True, False)
    assert linked(client, "/images/registry.example/old", f"/reports/{report}")
    assert client.get(f"/reports/{report}").status_code == 200


# -- names of strangers --------------------------------------------------------------------------------


@BOTH
def test_names_of_strangers_are_text_and_their_links_lead_to_them(made: Made, database: Database) -> None:
    report = fleets.put(database, everything(), f"registry.example/{STRANGE}:{STRANGE}")
    client = made()
    for path in ("/", "/images", f"/reports/{report}", "/distributions"):
        page = client.get(path).text
        assert not set(page) & set("\u202e\x1b\r\0")
        assert "<img" not in page
        assert "<script>" not in page
        assert "\\u202e" in page
    (strange,) = set(linked(client, f"/reports/{report}", "/images/"))
    assert "What it was" in got(client, strange)
    (named,) = linked(client, "/distributions", "name=")
    assert "root" in got(client, named)
    assert HOSTILE[:5] not in client.get(named).text


def test_a_list_goes_on_behind_a_strange_name(made: Made, database: Database) -> None:
    names = [f"{chr(0x202E)}p{number:03}" for number in range(40)]
    lines = [a_line(name, "1") for name in names]
    fleets.put(database, a_report(*lines))
    client = made()
    (after,) = linked(client, "/distributions", "cursor=")
    assert got(client, after).count("\\u202ep") == 10


# -- what comes with them ------------------------------------------------------------------------------


def test_the_policy_of_every_page(made: Made, database: Database) -> None:
    report = fleets.put(database, fleets.billing())
    client = made()
    for path in ("/", "/images", "/distributions", "/queue", f"/reports/{report}", "/nowhere", "/images?below=x"):
        headers = client.get(path, headers={"Accept": "text/html"}).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    page = client.get("/").text
    assert not re.search(r"<script(?! src=\"/static/)|<style| style=| on[a-z]+=", client.get(f"/reports/{report}").text)
    (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    assert client.get(style).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/cgscan-0000000000000000.css").headers["cache-control"] == "no-store"
    assert client.get("/static/..%2Flooks.py").status_code == 404


def test_a_report_as_a_file(made: Made, database: Database) -> None:
    report = fleets.put(database, fleets.billing())
    client = made()
    for form in ("json", "html", "csv", "sarif"):  # the others take long to load, and are tested as the API's
        answer = client.get(f"/reports/{report}/{form}")
        assert answer.status_code == 200, form
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="cgscan-{report}.')
        assert answer.headers["content-security-policy"] == "sandbox"
        assert "jinja2" in answer.text
    assert linked(client, f"/reports/{report}", f"/reports/{report}/") == [
        f"/reports/{report}/{form}" for form in FORMATS
    ]


def test_what_makes_no_sense_is_said_on_a_page(made: Made, database: Database) -> None:
    report = fleets.put(database, fleets.billing())
    client = made()
    for path in (
        "/images?below=nan",
        "/images?by=size",
        "/images?cursor=x",
        "/images?search=%00",
        f"/images?search={'x' * 301}",
        "/queue?state=lost",
        f"/reports/{report}?begin=-1",
        f"/reports/{report}/pdf",
        "/distributions?cursor=WzFd",
    ):
        assert "422" in got(client, path, 422), path
    for path in ("/reports/999999", "/reports/x", "/images/registry.example/none", "/distributions/none", "/nowhere"):
        assert "404" in got(client, path, 404), path
    assert client.get("/nowhere").headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/x", headers={"Accept": "text/html"}).headers["content-type"].endswith("problem+json")
    assert client.head("/").status_code == 200


def test_a_database_that_is_away_is_said_on_a_page(made: Made, database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("DROP TABLE images"))
    answer = made().get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "out of reach" in answer.text
    assert "images" not in re.sub(r"<nav.*?</nav>", "", answer.text, flags=re.DOTALL)


# -- who gets them -------------------------------------------------------------------------------------


def test_signing_in_and_out(made: Made) -> None:
    client = made(TOKENS)
    asking = client.get("/images?search=a")
    assert (asking.status_code, asking.headers["location"]) == (303, "/login?next=%2Fimages%3Fsearch%3Da")
    for wrong in ("", "x" * 20, NEITHER):
        answer = client.post("/login", data={"token": wrong, "next": "/images"}, headers=OURS)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    answer = client.post("/login", data={"token": READ, "next": "/images?search=a"}, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/images?search=a")
    said = answer.headers["set-cookie"]
    assert re.fullmatch(r"cgscan=[0-9]+\.[0-9a-f]{64}; HttpOnly; Max-Age=43200; Path=/; SameSite=strict", said), said
    assert READ not in said
    assert got(client, "/images").startswith("Images")
    assert client.post("/logout", headers=OURS).headers["location"] == "/login"
    assert client.get("/images").status_code == 303


def test_over_https_the_session_is_for_https_alone(made: Made) -> None:
    client = made(TOKENS)
    forwarded = {"X-Forwarded-Proto": "https"}
    answer = client.post("/login", data={"token": READ}, headers={**OURS, **forwarded})
    assert answer.headers["set-cookie"].startswith("__Host-cgscan=")
    assert "Secure" in answer.headers["set-cookie"]
    plain = client.post("/login", data={"token": READ}, headers=OURS).headers["set-cookie"].partition(";")[0]
    fresh = made(TOKENS)
    assert fresh.get("/", headers={"Cookie": plain}).status_code == 200
    assert fresh.get("/", headers={"Cookie": plain, **forwarded}).status_code == 303


def test_nobody_is_led_elsewhere(made: Made) -> None:
    closed, free = made(TOKENS), made(OPEN)
    for after in ("//evil.example", "/\\evil.example", "https://evil.example", "/\r\nX: y", "", "a"):
        answer = closed.post("/login", data={"token": READ, "next": after}, headers=OURS)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), after
        assert free.get("/login", params={"next": after}).headers["location"] == "/", after


def test_a_session_is_no_older_and_no_other_than_its_token(database: Database, tmp_path: Path) -> None:
    now = time.time()
    sessions = Sessions(TOKENS, database)
    cookie = sessions.opened(SCAN, now=now)
    assert cookie is not None
    assert sessions.rights_of(cookie, now=now) == frozenset({"read", "scan"})
    assert Sessions(TOKENS, database).rights_of(cookie, now=now) == frozenset({"read", "scan"})  # another process
    assert sessions.rights_of(cookie, now=now + LIFETIME) is None
    ends, _, signature = cookie.partition(".")
    digest = hashlib.sha256(SCAN.encode()).digest()
    forged = [
        f"{int(ends) + 1}.{signature}",
        f"{ends}.{hmac.new(digest, ends.encode(), hashlib.sha256).hexdigest()}",  # by who knows the digest alone
        f"{ends}.{hmac.new(b'', digest + ends.encode(), hashlib.sha256).hexdigest()}",
        f"٣{ends}.{signature}",
        ends,
        "",
    ]
    assert {sessions.rights_of(one, now=now) for one in forged} == {None}
    fewer = Tokens(known={key: rights for key, rights in TOKENS.known.items() if key != digest}, open=False)
    assert Sessions(fewer, database).rights_of(cookie, now=now) is None
    lower = Tokens(known={**TOKENS.known, digest: frozenset({"read"})}, open=False)
    assert Sessions(lower, database).rights_of(cookie, now=now) == frozenset({"read"})
    other = Database(f"sqlite:///{tmp_path / 'other.sqlite'}")
    other.migrate()
    assert Sessions(TOKENS, other).rights_of(cookie, now=now) is None
    other.close()


@BOTH
def test_processes_that_start_together_have_one_secret(database: Database) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(secret_of(database))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 32


# -- what is refused -----------------------------------------------------------------------------------

STRANGERS = [
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": BASE, "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": "null"},
    {},
]


@pytest.mark.parametrize("tokens", [TOKENS, OPEN], ids=["tokens", "open"])
def test_a_button_of_another_page_does_nothing(made: Made, database: Database, tokens: Tokens) -> None:
    job = queued(database)
    client = made(tokens)
    if tokens is TOKENS:
        client.post("/login", data={"token": SCAN}, headers=OURS)
    for headers in STRANGERS:
        for path in (f"/queue/{job.id}/cancel", f"/queue/{job.id}/requeue", "/login", "/logout"):
            assert client.post(path, data={"token": READ}, headers=headers).status_code == 403, (headers, path)
        assert state(database, job) is State.QUEUED
    assert client.post(f"/queue/{job.id}/cancel", headers=OURS).headers["location"] == "/queue"
    assert state(database, job) is State.CANCELLED
    assert client.post(f"/queue/{job.id}/requeue", headers=OURS).status_code == 303
    assert state(database, job) is State.QUEUED
    assert client.post(f"/queue/{'0' * 32}/cancel", headers=OURS).status_code == 404


def test_with_tokens_the_first_command_has_one(signed_in: Callable[[str], Client]) -> None:
    assert "Authorization: Bearer $TOKEN" in got(signed_in(READ), "/")


def test_who_may_only_read_has_no_buttons(signed_in: Callable[[str], Client], database: Database) -> None:
    job = queued(database)
    reader, scanner = signed_in(READ), signed_in(SCAN)
    assert f"/queue/{job.id}/cancel" in scanner.get("/queue").text
    assert f"/queue/{job.id}" not in reader.get("/queue").text
    assert reader.post(f"/queue/{job.id}/cancel", headers=OURS).status_code == 403
    assert state(database, job) is State.QUEUED


def test_a_session_is_no_token_of_the_api(signed_in: Callable[[str], Client]) -> None:
    client = signed_in(SCAN)
    assert client.get("/api/v1/images").status_code == 401
    assert client.post("/api/v1/scans", json={"image": "r.example/a:1"}, headers=OURS).status_code == 401


def test_without_tokens_a_stranger_s_name_for_this_machine_is_refused(made: Made) -> None:
    client = made()
    for path in ("/", "/images", "/queue", "/login", "/static/cgscan-0.css"):
        assert client.get(path, headers={"Host": "evil.example:8087"}).status_code == 403, path


@pytest.mark.parametrize("anonymous", [True, False])
def test_what_anybody_may_ask_is_asked_by_any_name(tmp_path: Path, *, anonymous: bool) -> None:
    with inside(tmp_path, admission={"anonymous": anonymous}, registries=["registry.example"]) as here:
        assert here.ask("/admit", b"{}", host="cgscan.example").status_code == (400 if anonymous else 403)
        assert here.ask("/healthz", host="cgscan.example").status_code == 200
        assert here.ask("/api/v1/images", host="cgscan.example").status_code == 403


def test_a_body_that_is_no_form(made: Made) -> None:
    client = made(TOKENS)
    for body in (b"\xff" * 1000, b"a=b&" * 1000, b"token"):
        assert client.post("/login", content=body, headers=OURS).status_code in (403, 422)
    assert client.post("/login", content=b"token=" + b"x" * 2_000_000, headers=OURS).status_code == 413
