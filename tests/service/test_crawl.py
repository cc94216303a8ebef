"""Walks through registries: what is new is queued once, by one walker, which is taken over; lists without end end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from fixtures import images
from scanner.cli.crawl import _wanted
from scanner.config import gather
from scanner.errors import CgscanError, TargetNotFound, UsageError
from scanner.reference import ImageName
from scanner.results import states, tables, turns
from scanner.results.crawls import Walk, last_walk, walks
from scanner.results.database import Database, clock
from scanner.results.reading import fleet
from scanner.results.turns import TurnLost
from scanner.run import source_of
from scanner.service import jobs
from scanner.service.carrier import Carrier
from scanner.service.crawlnow import look_now, walk_now
from scanner.service.jobs import CRAWL, INDEXES, Job, Priority, State
from scanner.service.looking import chosen
from scanner.service.place import Place
from scanner.service.walking import Walking
from scanner.serving import Crawl, Serving, crawl_of
from scanner.sources.catalog import Catalog, open_catalog
from tests.registries import Exchange, Respond, Site, docker_registry, push, site
from tests.service.test_jobs import report
from tests.services import configured, started, until


def digest_of(text: str) -> str:
    return "sha256:" + text.encode().hex().ljust(64, "0")[:64]


@dataclass(kw_only=True)
class Registry:
    """A registry as far as a walk looks: tags by repository, and the digests that they mean."""

    names: dict[str, dict[str, str]]
    asked: list[str] = field(default_factory=list)
    before: Callable[[str], object] = lambda _: None

    def respond(self, exchange: Exchange) -> None:
        path = exchange.seen.path
        self.asked.append(f"{exchange.seen.method} {path}")
        self.before(path)
        if path == "/v2/":
            exchange.send(200, b"{}")
        elif path == "/v2/_catalog":
            self._page(exchange, "repositories", sorted(self.names))
        elif (found := re.fullmatch("/v2/(.+)/tags/list", path)) and found[1] in self.names:
            self._page(exchange, "tags", sorted(self.names[found[1]]))
        elif (found := re.fullmatch("/v2/(.+)/manifests/(.+)", path)) and found[2] in self.names.get(found[1], {}):
            exchange.start(200, Content_Length="2", Docker_Content_Digest=self.names[found[1]][found[2]])
        else:
            exchange.send(404, b"{}")

    def _page(self, exchange: Exchange, key: str, names: list[str]) -> None:
        """Three at a time, as docker-registry does."""
        after = exchange.seen.query.get("last", [""])[0]
        left = [name for name in names if name > after]
        more = {"Link": f'<{exchange.seen.path}?n=3&last={left[2]}>; rel="next"'} if len(left) > 3 else {}
        exchange.send(200, json.dumps({key: left[:3]}).encode(), **more)

    def heads(self) -> list[str]:
        return [one for one in self.asked if one.startswith("HEAD")]


@contextmanager
def placed(database: Database, folder: Path, **serving: Any) -> Iterator[Place]:
    settings = gather({"cache_dir": str(folder / "cache"), "no_cache": True}, {})
    carrier = Carrier(None, folder / "data")
    made = Serving(folder=folder / "data", **serving)
    yield Place(database=database, carrier=carrier, settings=settings, serving=made, stop=threading.Event())
    carrier.close()


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Iterator[Place]:
    with placed(database, tmp_path) as made:
        yield made


def walked(place: Place, host: str, **more: Any) -> tuple[Walk, list[str]]:
    """A walk now, and what it queued, without the host."""
    said: list[str] = []
    walk = walk_now(place, Crawl(registry=host, per_second=1000, **more), said.append)
    return walk, [one.removeprefix(f"{host}/") for one in said]


def finish_all(place: Place) -> None:
    """Whatever waits is scanned."""
    while (job := jobs.claim(place.database, "w", attempts=3, lease=30)) is not None:
        assert job.digest is not None
        if jobs.settle_digest(place.database, job, job.digest):
            jobs.finish(place.database, job, [report(job.digest)], digest=job.digest)


# -- what is queued


def test_what_is_known_costs_one_request_and_what_is_gone_counts_no_more(place: Place) -> None:
    registry = Registry(names={f"team/app{number}": {"1": digest_of(f"{number}")} for number in range(5)})
    with site(registry.respond) as running:
        walk, said = walked(place, running.host)
        assert (walk.repositories, walk.images, walk.queued, walk.gone, walk.problem) == (5, 5, 5, 0, None)
        assert said[0] == f"team/app0:1@{digest_of('0')}"
        (first, *_) = jobs.listed(place.database, states=[State.QUEUED], most=9)
        assert (first.priority, first.source) == (Priority.CRAWL, CRAWL)
        # what waits is not queued once more, nor what is done
        assert walked(place, running.host)[1] == []
        finish_all(place)
        registry.asked.clear()
        with place.database.writing() as connection:
            states.next_serial(connection)  # an index has changed, but nothing of what is in them
        assert walked(place, running.host)[1] == []
        assert len(registry.heads()) == 5
        assert not [one for one in registry.asked if one.startswith("GET") and "/manifests/" in one]
        # a tag that means something else, one that is new, a repository that is not there any more
        registry.names["team/app1"] = {"1": digest_of("other"), "2": digest_of("2")}
        del registry.names["team/app4"]
        walk, said = walked(place, running.host)
        assert said == [f"team/app1:1@{digest_of('other')}", f"team/app1:2@{digest_of('2')}"]
        assert (walk.queued, walk.gone) == (2, 1)
        finish_all(place)
        assert fleet(place.database).images == 5
        # back again
        registry.names["team/app4"] = {"1": digest_of("4")}
        assert walked(place, running.host)[1] == [f"team/app4:1@{digest_of('4')}"]
        finish_all(place)
        assert fleet(place.database).images == 6
        # and back to what it was: the newest is what is there
        registry.names["team/app1"]["1"] = digest_of("1")
        assert walked(place, running.host)[1] == [f"team/app1:1@{digest_of('1')}"]
        finish_all(place)
        assert walked(place, running.host)[1] == []


def test_filters_and_bounds(place: Place) -> None:
    tags = {name: digest_of(name) for name in ("1.9", "1.10", "v1.2", "latest", "nightly-3", f"sha256-{'a' * 64}.sig")}
    registry = Registry(
        names={"team/app": dict(tags), "team/old": {"1": digest_of("old")}, "x/y": {"1": digest_of("y")}}
    )
    with site(registry.respond) as running:

        def names(**more: Any) -> list[str]:
            said: list[str] = []
            walk = look_now(place, Crawl(registry=running.host, per_second=1000, **more), said.append)
            problems.append(walk.problem)
            return [one.removeprefix(f"{running.host}/").partition("@")[0] for one in said]

        problems: list[str | None] = []
        app = {f"team/app:{tag}" for tag in ("1.9", "1.10", "v1.2", "latest", "nightly-3")}
        assert set(names()) == {*app, "team/old:1", "x/y:1"}
        assert names(include=("*",)) == []
        assert set(names(include=("team/*",), exclude=("*/old",), tags=("*.*",))) == {
            f"team/app:{tag}" for tag in ("1.9", "1.10", "v1.2")
        }
        assert set(names(include=("team/app",), exclude_tags=("nightly*",), newest=1)) == {
            "team/app:1.10",
            "team/app:latest",
        }
        registry.asked.clear()
        assert names(repositories=("x/y",)) == ["x/y:1"]
        assert "GET /v2/_catalog" not in registry.asked
        assert problems == [None] * 5
        assert len(names(most_repositories=1)) == 5
        assert len(names(most_images=2)) == 2
        assert len(names(most_tags=2, repositories=("team/app",))) == 2
        assert [re.search(r"most_\w+", one)[0] for one in problems[5:] if one] == [  # type: ignore[index]
            "most_repositories",
            "most_images",
            "most_tags",
        ]
    assert jobs.listed(place.database, states=[], most=9) == []
    assert walks(place.database) == []


def test_a_full_queue_breaks_a_walk_off_and_it_goes_on(database: Database, tmp_path: Path) -> None:
    tags = {str(number): digest_of(f"{number}") for number in range(8)}
    registry = Registry(names={"a": {"1": digest_of("a")}, "b": tags})
    with site(registry.respond) as running, placed(database, tmp_path, most_waiting=5) as place:
        walk, _ = walked(place, running.host)
        assert (walk.ended, walk.position) == (None, "a")
        assert "most_waiting" in (walk.problem or "")
        finish_all(place)
        crawl = Crawl(registry=running.host, per_second=1000)
        turn = turns.take_now(database, f"crawl {running.host}", "me", lease=30)
        assert turn is not None
        registry.asked.clear()
        walk = Walking(place, crawl, turn).walk()
        assert walk.ended is not None
        assert (walk.repositories, walk.images) == (2, 9)
        assert not [one for one in registry.asked if "/v2/a/" in one]
        finish_all(place)
        assert fleet(database).images == 9


def test_one_repository_that_cannot_be_read_costs_no_other(place: Place) -> None:
    registry = Registry(names={name: {"1": digest_of(name)} for name in ("a", "b", "c")})

    def respond(exchange: Exchange) -> None:
        if exchange.seen.path.startswith("/v2/b/"):
            exchange.send(403, b"{}")
        else:
            registry.respond(exchange)

    with site(respond) as running:
        walk, said = walked(place, running.host)
        assert [one.partition(":")[0] for one in said] == ["a", "c"]
        assert walk.ended is not None
        assert "403" in (walk.problem or "")


def test_what_is_not_there_when_it_is_scanned_is_gone_and_no_dead_job(place: Place) -> None:
    registry = Registry(names={"a": {"1": digest_of("a")}})
    with site(registry.respond) as running:
        walked(place, running.host)
        finish_all(place)
        assert fleet(place.database).images == 1
    wanted = jobs.Wanted(
        image=ImageName.parse(f"{running.host}/a:1@{digest_of('a')}"),
        source=INDEXES,
        priority=Priority.CRAWL,
        circumstances="other-9",
    )
    jobs.submit(place.database, [wanted], most_waiting=9)
    job = jobs.claim(place.database, "w", attempts=1, lease=30)
    assert job is not None
    jobs.leave(place.database, job, "not there", gone=True)
    assert fleet(place.database).images == 0


# -- one walks, others take over


def test_a_walker_that_is_lost_is_taken_over_where_it_was(place: Place) -> None:
    names = {f"r{number}": {"1": digest_of(f"{number}")} for number in range(6)}
    registry = Registry(names=names)
    with site(registry.respond) as running:
        crawl = Crawl(registry=running.host, per_second=1000)
        name = f"crawl {running.host}"
        turn = turns.take(place.database, name, "one", lease=30)
        assert turn is not None
        assert turns.take(place.database, name, "two", lease=30) is None
        with pytest.raises(CgscanError, match="another process"):
            walk_now(place, crawl, lambda _: None)

        def lost(job: Job) -> None:
            if job.repository == "r3":
                with place.database.writing() as connection:
                    late = clock(connection) - 1
                    connection.execute(update(tables.turns).where(tables.turns.c.name == name).values(until=late))
                other = turns.take(place.database, name, "two", lease=30)
                assert other is not None
                taken.append(other)

        taken: list[turns.Turn] = []
        with pytest.raises(TurnLost):
            Walking(place, crawl, turn, lost).walk()
        registry.asked.clear()
        walk = Walking(place, crawl, taken[0]).walk()
        assert (walk.repositories, walk.images, walk.problem) == (6, 6, None)
        assert {one.split("/")[2] for one in registry.heads()} == {"r3", "r4", "r5"}
        assert len(jobs.listed(place.database, states=[State.QUEUED], most=99)) == 6
        with pytest.raises(TurnLost):  # who was lost changes nothing any more
            turns.give_back(place.database, turn, due=0.0)
        turns.give_back(place.database, taken[0], due=1e12)
        assert turns.take(place.database, name, "three", lease=30) is None
        assert turns.take(place.database, name, "three", lease=30, latest=1e11) is not None


def test_a_killed_worker_is_taken_over_by_another(tmp_path: Path) -> None:
    """With processes: the first is killed in the middle of its walk, and its lease runs out."""
    reached, go_on = threading.Event(), threading.Event()

    def before(path: str) -> None:
        if path.startswith("/v2/r2/") and not go_on.is_set():
            reached.set()
            go_on.wait(60)

    registry = Registry(names={f"r{number}": {"1": digest_of(f"{number}")} for number in range(5)}, before=before)
    with site(registry.respond) as running:
        crawl = [{"registry": running.host, "per_second": 1000}]
        config = configured(tmp_path, workers=1, crawl=crawl)
        with started(tmp_path, "worker", "--config", str(config)) as first:
            assert reached.wait(60)
            first.kill()
        go_on.set()
        database = Database(f"sqlite:///{tmp_path / 'data' / 'cgscan.sqlite'}")
        with database.writing() as connection:
            assert last_walk(connection, running.host).position == "r1"  # type: ignore[union-attr]
            connection.execute(update(tables.turns).values(until=clock(connection) - 1))
        registry.asked.clear()
        with started(tmp_path, "serve", "--config", str(config)) as second:
            (line,) = until(lambda: second.said("crawl ends"))
            assert (line["repositories"], line["queued"]) == (5, 5)
            heads = {one.split("/")[2] for one in registry.heads()}
            assert heads == {"r2", "r3", "r4"}
            (answer,) = second.ask("/api/v1/crawls").json
            assert (answer["registry"], answer["images"], answer["problem"]) == (running.host, 5, None)
            assert answer["next"] > answer["ended"]
            assert f'cgscan_crawl_images{{registry="{running.host}"}} 5.0'.encode() in second.ask("/metrics").body
            assert second.stop() == 0
        database.close()


# -- with a real registry


def test_the_command_and_the_service_with_a_real_registry(tmp_path: Path) -> None:
    layer = images.layer_from_entries([images.file_entry("etc/motd", b"hello")])
    layout = images.write_oci_layout(tmp_path / "image", [layer])
    with docker_registry(tmp_path / "registry") as host:
        for name in ("team/web", "team/worker", "other/tool"):
            push(layout, f"{host}/{name}:1")
        config = configured(tmp_path, crawl=[{"registry": host, "include": "team/**", "every": "1d"}])

        def run(*words: str) -> tuple[int, list[str], str]:
            command = [sys.executable, "-m", "scanner", "crawl", "--config", str(config), *words]
            environment = {**os.environ, "CGSCAN_CACHE_DIR": str(tmp_path / "cache")}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            return done.returncode, done.stdout.splitlines(), done.stderr

        status, said, told = run("--dry-run")
        assert status == 0, told
        assert [one.partition("@")[0] for one in said] == [f"{host}/team/web:1", f"{host}/team/worker:1"]
        assert "2 new" in told
        assert run() == (0, said, told.replace("new", "queued"))
        assert run() == (0, [], told.replace("2 new", "0 queued"))
        status, said, told = run("127.0.0.1:9")
        assert (status, said) == (2, [])
        assert "127.0.0.1:9: 0 repositories" in told
        with started(tmp_path, "serve", "--config", str(config)) as service:
            until(lambda: len(service.ask("/api/v1/images").json["rows"]) == 2)
            assert {row["state"] for row in service.ask("/api/v1/jobs").json["rows"]} == {"done"}


def test_filters_of_the_command_go_before_those_of_the_file() -> None:
    serving = Serving(crawl=(Crawl(registry="r.example", include=("team/*",), newest=3),))
    (one,) = _wanted(serving, "r.example", {"include": ("x/*",)})
    assert (one.include, one.newest) == (("x/*",), 3)
    assert _wanted(serving, None, {}) == list(serving.crawl)
    assert _wanted(serving, "other.example", {"newest": 1}) == [Crawl(registry="other.example", newest=1)]
    with pytest.raises(UsageError, match="globs"):
        _wanted(serving, None, {"tags": ("a b",)})
    with pytest.raises(UsageError, match="no registry"):
        _wanted(Serving(), None, {})


# -- hostile lists


@contextmanager
def catalog_of(respond: Respond) -> Iterator[tuple[Catalog, Site]]:
    def answer(exchange: Exchange) -> None:
        if exchange.seen.path == "/v2/":
            exchange.send(200, b"{}")
        else:
            respond(exchange)

    source = source_of(gather({}, {}))
    with site(answer) as running, open_catalog(running.host, options=source) as catalog:
        yield catalog, running


def listing(names: list[Any], link: str | None = None) -> tuple[bytes, Mapping[str, str]]:
    more = {"Link": f'<{link}>; rel="next"'} if link else {}
    return json.dumps({"repositories": names}).encode(), more


@pytest.mark.parametrize(
    ("names", "link"),
    [
        (["a"], "/v2/_catalog?n=500"),
        (["a"], "http://elsewhere.example/v2/_catalog"),
        (["a"], "//elsewhere.example/v2/_catalog"),
        (["a"], "http://[::1/"),
        (["a", "a", "../../etc", "A", "a" * 3000, "a:b", "a\n\x1b[2J", 7, None, {}, "", "a/../b"], None),
    ],
)
def test_lists_that_lie_give_what_is_a_name(names: list[Any], link: str | None) -> None:
    def respond(exchange: Exchange) -> None:
        body, more = listing(names, link)
        exchange.send(200, body, **more)

    with catalog_of(respond) as (catalog, running):
        listed = catalog.repositories(most=10, wanted=lambda _: True)
        assert listed.names == ("a",)
        assert (listed.left is None) == (link is None)
        assert len(running.requests) == 2


def test_a_list_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page has one more name and leads on."""
    count = iter(range(10**9))

    def respond(exchange: Exchange) -> None:
        number = next(count)
        body, more = listing([f"r{number}"] * 100_000, f"/v2/_catalog?last={number}")
        exchange.send(200, body, **more)

    with catalog_of(respond) as (catalog, running):
        listed = catalog.repositories(most=5, wanted=lambda _: True)
        assert listed.names == ("r0", "r1", "r2", "r3", "r4")
        assert listed.left == "there are more than 5"
        asked = len(running.requests)
        listed = catalog.repositories(most=5, wanted=lambda _: False)
        assert listed.names == ()
        assert "does not end" in (listed.left or "")
        assert len(running.requests) - asked == 20
        monkeypatch.setattr("scanner.sources.catalog._MOST_PAGES", 3)
        assert catalog.repositories(most=99, wanted=lambda _: True).names == ("r26", "r27", "r28")


def test_a_hundred_thousand_repositories_are_listed() -> None:
    def respond(exchange: Exchange) -> None:
        start = int(exchange.seen.query.get("last", ["0"])[0])
        end = min(start + 5000, 100_000)
        names = [f"organisation-{number // 1000}/team/service-{number:06}" for number in range(start, end)]
        body, more = listing(names, f"/v2/_catalog?last={end}" if end < 100_000 else None)
        exchange.send(200, body, **more)

    with catalog_of(respond) as (catalog, _):
        listed = catalog.repositories(most=100_000, wanted=lambda _: True)
        assert (len(listed.names), listed.left) == (100_000, None)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"repositories": {"a": 1}}', b"{" * 100_000, b'{"repositories": ["a'])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    with catalog_of(lambda exchange: exchange.send(200, body)) as (catalog, _), pytest.raises(CgscanError):
        catalog.repositories(most=10, wanted=lambda _: True)


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_registry_without_a_list_says_what_to_do(status: int) -> None:
    with (
        catalog_of(lambda exchange: exchange.send(status, b"{}")) as (catalog, _),
        pytest.raises(CgscanError, match="list of repositories") as told,
    ):
        catalog.repositories(most=10, wanted=lambda _: True)
    assert "name the repositories" in (told.value.hint or "")
    assert isinstance(told.value, TargetNotFound) or status != 404


# -- settings


def test_a_registry_is_walked_at_a_time_of_the_day_or_every_so_often() -> None:
    day = 86_400.0
    assert crawl_of({"registry": "r.example", "every": "90m"}).next_after(1000.0) == 1000.0 + 5400
    nightly = crawl_of({"registry": "r.example", "at": "02:30"})
    assert nightly.next_after(0.0) == 9000.0
    assert nightly.next_after(9000.0) == 9000.0 + day
    assert nightly.next_after(10 * day + 1) == 10 * day + 9000


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("every", "5", "90m, 6h"),
        ("every", 1, "90m, 6h"),
        ("at", "25:00", "HH:MM"),
        ("include", "a b", "patterns"),
        ("repositories", "UP", "repositories"),
        ("newest", 0, "1"),
        ("colour", "red", "no such key"),
        ("registry", "https://r.example", "HOST"),
    ],
)
def test_settings_that_make_no_sense(key: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        crawl_of({"registry": "r.example", key: value})


def test_the_newest_of_numbered_tags() -> None:
    crawl = Crawl(registry="r.example", newest=2)
    assert chosen(["1.2", "1.10", "1.9", "v1.11-rc1", "edge", "1.11"], crawl) == ["v1.11-rc1", "edge", "1.11"]
