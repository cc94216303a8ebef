"""Who is told what became of an image: decided with the end of a job, told until the receiver has it, never twice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from scanner.config import gather
from scanner.distribution import Finding, FindingKind
from scanner.errors import ConfigError
from scanner.index import Evidence
from scanner.reference import ImageName
from scanner.report import summarise
from scanner.results import tables
from scanner.results.database import Database, clock
from scanner.results.keeping import forget
from scanner.service import jobs
from scanner.service.jobs import Job, Priority, State, Wanted
from scanner.service.metrics import Metrics
from scanner.service.telling import outbox
from scanner.service.telling.changed import document_of
from scanner.service.telling.deciding import Deciding
from scanner.service.telling.delivering import Telling
from scanner.service.telling.outbox import DEAD, DONE, WAITING, Item, Later, LeaseLost
from scanner.service.telling.posting import armed_receivers
from scanner.service.telling.slack import message_of
from scanner.serving import Receiver, Serving, serving_of
from tests.registries import Exchange, Site, site
from tests.service.test_jobs import report
from tests.services import until

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, so").decode()
OWN = Receiver(name="own", kind="webhook", url="https://hooks.example/x", secrets=("SECRET",))
CHAT = Receiver(name="chat", kind="slack", url_env="CHAT", events=frozenset({"broken", "finding", "dead"}))
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


@dataclass(kw_only=True)
class World:
    """A database, and jobs that end in it."""

    database: Database
    decide: Deciding
    count: int = 0

    def job(self, name: str = "r.example/team/app:1") -> Job:
        self.count += 1
        wanted = Wanted(
            image=ImageName.parse(name), source="test", priority=Priority.PUSH, circumstances=str(self.count)
        )
        jobs.submit(self.database, [wanted], most_waiting=100)
        job = jobs.claim(self.database, "w", attempts=3, lease=30, tell=self.decide)
        assert job is not None
        return job

    def ends(
        self, digest: str = A, *, broken: bool = False, found: Sequence[str] = (), name: str = "r.example/team/app:1"
    ) -> Job:
        """A job that ends with a report."""
        return self.end(self.job(name), digest, broken=broken, found=found)

    def end(self, job: Job, digest: str = A, *, broken: bool = False, found: Sequence[str] = ()) -> Job:
        findings = tuple(
            Finding(kind=FindingKind.PLANTED_SBOM, path=path, layer=None, detail="it lies") for path in found
        )
        summary = summarise([], violations=["coverage 0 % is below 90 %"] if broken else [])
        made = replace(report(digest), summary=summary, findings=findings)
        jobs.finish(self.database, job, [made], digest=digest, tell=self.decide)
        return job

    def rows(self) -> list[tuple[str, str]]:
        found = outbox.listed(self.database, states=(), receiver=None, most=100, before=None)
        return [(row["receiver"], row["events"]) for row in reversed(found)]

    def row(self, receiver: str = "own") -> dict[str, Any]:
        return outbox.listed(self.database, states=(), receiver=receiver, most=1, before=None)[0]

    def claim(self, receiver: str = "own", kind: str = "notify") -> Item:
        item = outbox.claim(self.database, kind=kind, receiver=receiver, lease=30)
        assert item is not None
        return item

    def nothing_due(self, receiver: str = "own") -> bool:
        return outbox.claim(self.database, kind="notify", receiver=receiver, lease=30) is None

    def make_due(self, **values: Any) -> None:
        with self.database.writing() as connection:
            connection.execute(update(tables.outbox).values(due=0, **values))


@pytest.fixture
def world(database: Database) -> World:
    return World(database=database, decide=Deciding((OWN,), None))


# -- what is told


def test_what_changed_is_told_and_nothing_else(world: World) -> None:
    world.ends(A)
    assert world.rows() == []
    world.ends(B, broken=True)
    world.ends(B, broken=True)
    world.ends(B, broken=True, found=["usr/x.spdx.json"])
    world.ends(A)
    world.ends(A)
    assert world.rows() == [("own", "broken"), ("own", "finding"), ("own", "mended")]


def test_a_name_that_is_new_is_told_of_when_it_is_broken(world: World) -> None:
    world.ends(A, broken=True, found=["x"])
    world.ends(A, broken=True, found=["x"], name="r.example/team/app:2")
    assert world.rows() == [("own", "broken finding")] * 2


def test_a_finding_that_was_there_is_not_new_with_another_python(world: World) -> None:
    world.ends(A, found=["usr/lib/python3.11/site-packages/x"])
    world.ends(B, found=["usr/lib/python3.12/site-packages/x"])
    world.ends(C, found=["usr/lib/python3.12/site-packages/x", "y"])
    assert world.rows() == [("own", "finding")] * 2


def test_an_image_named_by_its_digest_is_compared_with_itself(world: World) -> None:
    world.ends(A, broken=True, name=f"r.example/team/app@{A}")
    world.ends(B, name=f"r.example/team/app@{B}")
    world.ends(A, broken=True, name=f"r.example/team/app@{A}")
    world.ends(A, name=f"r.example/team/app@{A}")
    assert world.rows() == [("own", "broken"), ("own", "mended")]


def test_a_job_that_was_overtaken_tells_nothing(world: World) -> None:
    first, second = world.job(), world.job()
    world.end(second, A)
    world.end(first, B, broken=True)
    assert world.rows() == []


def test_a_scan_that_is_given_up(world: World) -> None:
    jobs.give_up(world.database, world.job(), "no such image", tell=world.decide)
    job = world.job()
    jobs.retry(world.database, job, "out of reach", attempts=3, tell=world.decide)
    assert world.rows() == [("own", "dead")]
    with world.database.writing() as connection:
        lost = {"state": State.RUNNING.value, "attempts": 3, "lease_until": clock(connection) - 1}
        connection.execute(update(tables.jobs).where(tables.jobs.c.id == job.id).values(**lost))
    assert jobs.claim(world.database, "w", attempts=3, lease=30, tell=world.decide) is None
    assert world.rows() == [("own", "dead")] * 2
    jobs.requeue(world.database, job.id)
    again = jobs.claim(world.database, "w", attempts=3, lease=30)
    assert again is not None
    jobs.give_up(world.database, again, "no such image", tell=world.decide)
    assert world.rows() == [("own", "dead")] * 3


def test_each_receiver_hears_what_it_wants(database: Database) -> None:
    receivers = (
        OWN,
        CHAT,
        replace(OWN, name="mended", events=frozenset({"mended"})),
        replace(OWN, name="team", repositories=("team/*",)),
        replace(OWN, name="elsewhere", registries=("*.elsewhere.example",)),
    )
    world = World(database=database, decide=Deciding(receivers, None))
    world.ends(A, broken=True)
    assert sorted(world.rows()) == [("chat", "broken"), ("own", "broken"), ("team", "broken")]
    world.ends(B)
    mended = [("mended", "mended"), ("own", "mended"), ("team", "mended")]
    assert sorted(world.rows()[3:]) == mended
    world.ends(A, broken=True, name="r.example/team/more/app:1")
    world.ends(A, broken=True, name="a.elsewhere.example/x:1")
    assert [name for name, _ in world.rows() if name == "elsewhere"] == ["elsewhere"]
    assert len([name for name, _ in world.rows() if name == "team"]) == 2


def test_who_lost_the_lease_tells_nothing(world: World) -> None:
    job = world.job()
    with world.database.writing() as connection:
        connection.execute(update(tables.jobs).values(lease_until=clock(connection) - 1))
    second = jobs.claim(world.database, "w", attempts=3, lease=30)
    assert second is not None
    with pytest.raises(jobs.LeaseLost):
        world.end(job, A, broken=True)
    assert world.rows() == []
    world.end(second, A, broken=True)
    assert world.rows() == [("own", "broken")]


def test_jobs_of_one_name_that_end_at_once_are_told_in_turn(world: World) -> None:
    """Six broken reports of one name end together: one of them breaks it."""
    held = [world.job() for _ in range(6)]
    threads = [threading.Thread(target=world.end, args=(job, A), kwargs={"broken": True}) for job in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.rows() == [("own", "broken")]
    with world.database.reading() as connection:
        assert len(connection.execute(select(tables.history.c.id)).all()) == 6


# -- the outbox


def test_many_tell_each_once_and_a_name_in_its_order(world: World) -> None:
    for number in range(12):
        world.ends(A, broken=True, name=f"r.example/team/app{number}:1")
        world.ends(B, name=f"r.example/team/app{number}:1")
    told: list[tuple[str, str]] = []

    def all_told() -> bool:
        while (item := outbox.claim(world.database, kind="notify", receiver="own", lease=30)) is not None:
            told.append((item.repository, item.events))
            outbox.settle(world.database, item)
        return len(told) >= 24

    def until_all() -> None:
        until(all_told, seconds=30)

    threads = [threading.Thread(target=until_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == len(set(told)) == 24
    assert all(told.index((name, "broken")) < told.index((name, "mended")) for name, _ in told)


def test_a_worker_that_is_killed_while_it_tells_is_followed_by_another(world: World) -> None:
    world.ends(A, broken=True)
    first = world.claim()
    assert world.nothing_due()
    world.make_due(lease_until=0)
    second = world.claim()
    assert (second.id, second.lease, second.attempts) == (first.id, 2, 2)
    for change in (
        lambda: outbox.settle(world.database, first),
        lambda: outbox.give_up(world.database, first, "x"),
        lambda: outbox.put_off(world.database, first, Later(reason="x")),
        lambda: outbox.keep_document(world.database, first, b"x"),
    ):
        with pytest.raises(LeaseLost):
            change()
    outbox.settle(world.database, second)
    assert world.row()["state"] == DONE


def test_it_is_tried_again_and_given_up_with_its_reason(world: World) -> None:
    world.ends(A, broken=True)
    for _ in range(outbox.ATTEMPTS - 1):
        assert outbox.put_off(world.database, world.claim(), Later(reason="answered 500")) == WAITING
        assert world.nothing_due()
        world.make_due()
    assert outbox.put_off(world.database, world.claim(), Later(reason="answered 500")) == DEAD
    assert world.row()["reason"] == "answered 500 (after 10 attempts)"
    assert outbox.requeue(world.database, world.row()["id"])["attempts"] == 0  # type: ignore[index]
    assert world.claim().attempts == 1


def test_a_receiver_that_is_out_of_reach_is_not_asked_for_each(world: World) -> None:
    for number in range(3):
        world.ends(A, broken=True, name=f"r.example/team/app{number}:1")
    outbox.put_off(world.database, world.claim(), Later(reason="out of reach", others=True, counts=True))
    assert world.nothing_due()
    rows = outbox.listed(world.database, states=(), receiver=None, most=9, before=None)
    assert [(row["attempts"], row["reason"]) for row in rows] == [(1, "out of reach")] * 3
    world.make_due()
    outbox.put_off(world.database, world.claim(), Later(reason="slower", pause=1e9, others=True))
    rows = outbox.listed(world.database, states=(), receiver=None, most=9, before=None)
    assert sorted(row["attempts"] for row in rows) == [1, 1, 2]
    assert max(row["due"] for row in rows) - rows[0]["created"] < outbox.LONGEST_PAUSE + 600


def test_what_was_told_goes_when_it_is_old(world: World) -> None:
    world.ends(A, broken=True)
    outbox.settle(world.database, world.claim())
    world.ends(B)
    with world.database.writing() as connection:
        forget(connection, before=clock(connection) + 10)
    assert world.rows() == [("own", "mended")]


# -- what is said


def test_a_document_says_what_changed_and_is_bounded(world: World) -> None:
    world.ends(A, found=["old"])
    outbox.settle(world.database, world.claim())
    world.ends(B, broken=True, found=["old", *(f"new{number:02}" for number in range(14))])
    said = document_of(world.database, world.claim(), most=3, url="https://cg.example", minimum=Evidence.SBOM)
    assert said["events"] == ["broken", "finding"]
    (one,) = said["reports"]["items"]
    assert [finding["path"] for finding in one["findings"]["items"]] == ["new00", "new01", "new02"]
    assert one["findings"]["more"] == 11
    assert one["violations"] == {"items": ["coverage 0 % is below 90 %"], "more": 0}
    assert (one["passed"], one["previous"]["passed"], one["previous"]["digest"]) == (False, True, A)
    assert one["url"] == f"https://cg.example/api/v1/reports/{one['id']}"
    text = message_of(said)["text"]
    assert f"<https://cg.example/reports/{one['id']}|{one['id']}>" in text
    assert "Policy broken and new findings" in text
    assert "and 11 more" in text


def test_the_page_shows_a_document_as_it_is(world: World) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "notifications.md").read_text()
    shown = json.loads(page.partition("```json\n")[2].partition("```")[0])
    world.ends(A)
    world.ends(B, broken=True, found=["x"])
    said = document_of(world.database, world.claim(), most=3, url="https://cg.example", minimum=Evidence.SBOM)

    def keys(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: keys(value) for key, value in one.items() if key != "distributions"}
        return [keys(item) for item in one[:1]] if isinstance(one, list) and one and isinstance(one[0], dict) else None

    assert keys(shown) == keys(said)


def test_a_message_lets_nothing_hostile_through(world: World) -> None:
    hostile = "<!channel> @all & <https://evil.example|x> `*b*` \x1b[2J\u202e" + "x" * 5000
    world.ends(A, broken=True, found=[f"{number} {hostile}" for number in range(50)])
    said = message_of(document_of(world.database, world.claim(), most=50, url=None, minimum=Evidence.SBOM))
    for text in (said["text"], said["blocks"][1]["text"]["text"]):
        assert "<" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert " @all" not in text
        assert "&lt;!channel&gt;" in text
        assert text.count("`") % 2 == 0
    assert len(said["blocks"][1]["text"]["text"]) <= 3000
    assert "more lines" in said["text"]


# -- telling


@dataclass(kw_only=True)
class Listening:
    """A receiver. ``answers`` are (status, headers) of the next requests; after them it is 200."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    body: bytes = b"ok"

    def respond(self, exchange: Exchange) -> None:
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        exchange.send(status, self.body, **headers)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[World]:
    database = Database(f"sqlite:///{tmp_path / 'cgscan.sqlite'}")
    database.migrate()
    yield World(database=database, decide=Deciding((OWN, CHAT), None))
    database.close()


@contextmanager
def telling(world: World, environment: dict[str, str], *receivers: Receiver) -> Iterator[Metrics]:
    settings = gather({}, {"HOME": "/nowhere", "CGSCAN_CACHE_DIR": ""})
    metrics = Metrics()
    threads = Telling(world.database, settings, Serving(notify=receivers), metrics, environment)
    threads.start()
    try:
        yield metrics
    finally:
        threads.stop(grace=30)


def states(world: World) -> list[str]:
    found = outbox.listed(world.database, states=(), receiver=None, most=100, before=None)
    return [row["state"] for row in reversed(found)]


def verified(running: Site, number: int, key: bytes = b"a secret of thirty-two bytes, so") -> Any:
    """The body of a request, if the signature holds: by the text of Standard Webhooks, without the program's code."""
    seen = running.requests[number]
    signed = ".".join([seen.headers["webhook-id"], seen.headers["webhook-timestamp"], seen.body.decode()])
    mark = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
    assert f"v1,{mark}" in seen.headers["webhook-signature"].split(" ")
    return json.loads(seen.body)


def test_receivers_are_told(alone: World) -> None:
    alone.ends(A, broken=True)
    alone.ends(B)
    own, chat = Listening(), Listening()
    with site(own.respond) as mine, site(chat.respond) as slack:
        environment = {
            "SECRET": SECRET,
            "OTHER": "another secret, in letters",
            "CHAT": f"{slack.url}/services/T0/hunter2",
        }
        receiver = replace(OWN, url=f"{mine.url}/x", secrets=("OTHER", "SECRET"))
        with telling(alone, environment, receiver, CHAT) as metrics:
            until(lambda: states(alone) == [DONE] * 3)
            until(lambda: b'cgscan_told_total{how="done",receiver="own"} 2.0' in metrics.text(alone.database))
        assert [verified(mine, number)["events"] for number in (0, 1)] == [["broken"], ["mended"]]
        verified(mine, 0, b"another secret, in letters")
        assert verified(mine, 0)["id"] == mine.requests[0].headers["webhook-id"]
        assert slack.paths() == ["/services/T0/hunter2"]
        assert "Policy broken" in json.loads(slack.requests[0].body)["text"]
        assert "webhook-signature" not in slack.requests[0].headers
        assert b'cgscan_notifications{receiver="own",state="done"} 2.0' in metrics.text(alone.database)


def test_the_same_message_until_it_is_taken_and_when_the_receiver_says(alone: World) -> None:
    alone.ends(A, broken=True)
    own = Listening(answers=[(429, {"Retry_After": "1"}), (503, {"Retry_After": "700"})])
    with site(own.respond) as mine, telling(alone, {"SECRET": SECRET}, replace(OWN, url=mine.url)):
        until(lambda: alone.row()["reason"] == "answered 503 (Service Unavailable)")
        row = alone.row()
        with alone.database.reading() as connection:
            assert 600 < row["due"] - clock(connection) <= 700
        alone.make_due()
        until(lambda: alone.row()["state"] == DONE)
        assert len({seen.headers["webhook-id"] for seen in mine.requests}) == 1
        assert len({seen.body for seen in mine.requests}) == 1


@pytest.mark.parametrize(
    ("answer", "body", "state", "reason"),
    [
        ((404, {}), b"no_service", DEAD, "answered 404 (Not Found): no_service"),
        ((400, {}), b"<p>/services/T0/hunter2 is none</p>", DEAD, "answered 400 (Bad Request)"),
        ((302, {"Location": "http://127.0.0.1:1/"}), b"", DEAD, "answered 302 (Found); redirects are not followed"),
        ((500, {}), b"X-1", WAITING, "answered 500 (Internal Server Error)"),
        ((200, {}), b"x" * 100_000, WAITING, "the answer is longer"),
    ],
)
def test_what_an_answer_means(
    alone: World,
    caplog: pytest.LogCaptureFixture,
    answer: tuple[int, dict[str, str]],
    body: bytes,
    state: str,
    reason: str,
) -> None:
    caplog.set_level("INFO", logger="cgscan")
    alone.ends(A, broken=True)
    own = Listening(answers=[answer], body=body)
    with site(own.respond) as mine:
        environment = {"CHAT": f"{mine.url}/services/T0/hunter2"}
        with telling(alone, environment, CHAT):
            until(lambda: alone.row("chat")["reason"] and alone.row("chat")["state"] == state)
            found = alone.row("chat")
        assert found["reason"] == reason
        assert len(mine.requests) == 1
    said = repr([(line.msg, line.__dict__.get("facts")) for line in caplog.records])
    assert reason in said
    assert "hunter2" not in said
    assert "hunter2" not in repr(found)


def test_one_that_is_silent_holds_no_other_up(alone: World) -> None:
    for number in range(3):
        alone.ends(A, broken=True, name=f"r.example/team/app{number}:1")
    free = threading.Event()

    def silent(exchange: Exchange) -> None:
        free.wait(30)
        exchange.send(200)

    own = Listening()
    with site(own.respond) as mine, site(silent) as slack:
        environment = {"SECRET": SECRET, "CHAT": f"{slack.url}/hunter2"}
        with telling(alone, environment, replace(OWN, url=mine.url), CHAT):
            until(lambda: len(mine.requests) == 3 and len(slack.requests) == 1)
            free.set()
            until(lambda: states(alone) == [DONE] * 6)


def test_an_answer_that_drips_comes_to_an_end(alone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.service.telling.posting.SECONDS", 0.3)
    alone.ends(A, broken=True)
    stop = threading.Event()

    def drip(exchange: Exchange) -> None:
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.1):
            exchange.wfile.write(b"X-More: 1\r\n")
            exchange.wfile.flush()

    with site(drip) as mine, telling(alone, {"SECRET": SECRET}, replace(OWN, url=mine.url)):
        until(lambda: alone.row()["reason"])
        stop.set()
    assert alone.row()["state"] == WAITING


# -- settings


@pytest.mark.parametrize(
    ("receiver", "said"),
    [
        ({"kind": "slack", "url": "https://hooks.slack.example/hunter2"}, "write url_env alone"),
        ({"kind": "slack", "url_env": "U", "secret_env": "S"}, "write url_env alone"),
        ({"kind": "webhook", "url": "https://h.example/x"}, "secret_env is missing"),
        ({"kind": "webhook", "secret_env": "S"}, "either url or url_env"),
        ({"kind": "webhook", "url": "https://u:hunter2@h.example/", "secret_env": "S"}, "holds a user or password"),
        ({"kind": "webhook", "url": "https://h.example/?k=hunter2", "secret_env": "S"}, "write url_env: VARIABLE"),
        ({"kind": "webhook", "url_env": "U", "secret": "hunter2"}, "holds no secret; write secret_env: VARIABLE"),
        ({"kind": "webhook", "url_env": "U", "secret_env": "S", "events": ["brokn"]}, "is none of broken"),
        ({"kind": "mail"}, "is none of webhook, slack"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, receiver: dict[str, Any], said: str) -> None:
    file = tmp_path / "cgscan.yaml"
    file.write_text(json.dumps({"serve": {"notify": [{"name": "x", **receiver}]}}))
    with pytest.raises(ConfigError) as caught:
        serving_of(file, {"HOME": "/"})
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "CHAT is not set"),
        ({"CHAT": "http://h.example/hunter2"}, "allow it with plain_http"),
        ({"CHAT": "ftp://h.example/hunter2"}, "no URL of https"),
        ({"CHAT": "https://[hunter2/"}, "holds no URL"),
        ({"CHAT": "https://h.example/hunter2", "SECRET": "short"}, "no secret of at least 16 bytes"),
        ({"CHAT": "https://h.example/hunter2", "SECRET": "whsec_no-base64!hunter2"}, "no secret of at least 16 bytes"),
    ],
)
def test_an_environment_that_makes_no_sense(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        armed_receivers((CHAT, replace(OWN, events=OWN.events)), environment, frozenset())
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    right = {"CHAT": "http://h.example:8/hunter2", "SECRET": SECRET}
    assert "hunter2" not in repr(armed_receivers((CHAT, OWN), right, frozenset({"h.example:8"})))
