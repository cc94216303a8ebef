"""An index that says something else: exactly what rests on it is scanned again, and no layer is read for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from fixtures import images
from fixtures.demo import Demo
from scanner.answered import Answers
from scanner.config import Settings, gather
from scanner.index import Role
from scanner.reference import ImageName
from scanner.report import IndexLine, Report
from scanner.results import rounds, states, tables, turns
from scanner.results.database import Database, clock
from scanner.results.keeping import of_content
from scanner.results.reading import Filter, course, listed_images
from scanner.run import client_of, indexes_of
from scanner.service import jobs
from scanner.service.carrier import Carrier
from scanner.service.circumstances import circumstances
from scanner.service.jobs import Job, Priority, State, Wanted
from scanner.service.place import Place
from scanner.service.watching import Watching, follow
from scanner.serving import Serving
from scanner.store import NoStore
from tests.managers import JSON, access_log, json_page, nginx
from tests.registries import Exchange, Site, docker_registry, push, site
from tests.service.test_jobs import report
from tests.service.test_serve import tag_of
from tests.services import configured, started, until

A, B = (f"sha256:{letter * 64}" for letter in "ab")


# -- with everything real


@contextmanager
def in_front_of(host: str) -> Iterator[Site]:
    """A proxy that remembers what was asked of a registry."""
    with httpx.Client(base_url=f"http://{host}", timeout=30) as client:

        def respond(exchange: Exchange) -> None:
            seen = exchange.seen
            headers = {name: value for name, value in seen.headers.items() if name in ("accept", "range")}
            answer = client.request(seen.method, exchange.path, headers=headers)
            kept = ("content-type", "docker-content-digest", "link", "content-range")
            told = {name: value for name, value in answer.headers.items() if name in kept}
            if seen.method == "HEAD":
                exchange.start(answer.status_code, Content_Length=answer.headers["content-length"], **told)
            else:
                exchange.send(answer.status_code, answer.content, **told)

        with site(respond) as running:
            yield running


def config_of(layout: Path) -> str:
    """The digest of an image's configuration, which is no layer."""
    (one,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = json.loads((layout / "blobs" / "sha256" / one["digest"].partition(":")[2]).read_bytes())
    return str(manifest["config"]["digest"])


def test_a_changed_index_has_exactly_what_rests_on_it_scanned_again_without_a_layer(
    tmp_path: Path, demo_parts: Demo
) -> None:
    root = tmp_path / "root"
    shutil.copytree(demo_parts.chainguard, root / "ours")
    shutil.copytree(demo_parts.pypi, root / "theirs")
    (root / "ours" / "six").rename(tmp_path / "six")
    empty = images.write_oci_layout(
        tmp_path / "empty", [images.layer_from_entries([images.file_entry("etc/motd", b"hello")])]
    )
    with (
        docker_registry(tmp_path / "registry") as host,
        in_front_of(host) as registry,
        nginx(tmp_path / "nginx", root) as url,
    ):
        push(demo_parts.image, f"{host}/team/demo:1", tag=tag_of(demo_parts.image))
        push(empty, f"{host}/team/empty:1")
        indexes = [
            {"name": "ours", "role": "chainguard", "url": f"{url}/ours/"},
            {"name": "theirs", "role": "upstream", "url": f"{url}/theirs/"},
        ]
        top = {"indexes": indexes, "platform": "linux/amd64"}
        config = configured(tmp_path, index_minutes=0.01, top=top)
        with started(tmp_path, "serve", "--config", str(config)) as service:

            def course_of(name: str) -> list[Any]:
                rows: list[Any] = service.ask(f"/api/v1/history?repository={name}").json["rows"]
                return rows

            def asked() -> dict[str, Any]:
                return {one["name"]: one for one in service.ask("/api/v1/indexes").json}

            for name in ("demo", "empty"):
                service.ask("/api/v1/scans", {"image": f"{registry.host}/team/{name}:1"})
            until(lambda: course_of("team/demo") and course_of("team/empty"))
            until(lambda: asked().get("ours", {}).get("answered"))
            assert len(course_of("team/demo")) == 1
            before = len(registry.requests)

            (tmp_path / "six").rename(root / "ours" / "six")
            until(lambda: len(course_of("team/demo")) == 2)
            blobs = {one.path.rpartition("/")[2] for one in registry.requests[before:] if "/blobs/" in one.path}
            assert blobs <= {config_of(demo_parts.image)}
            new, old = course_of("team/demo")
            assert new["digest"] == old["digest"]
            assert new["coverage"] > old["coverage"]
            (line,) = service.ask("/api/v1/distributions/six?origin=chainguard").json["rows"]
            assert line["repository"] == "team/demo"
            assert len(course_of("team/empty")) == 1
            job = service.ask("/api/v1/jobs?most=1").json["rows"][0]
            assert (job["source"], job["priority"]) == ("indexes", Priority.CRAWL)
            # the rounds that follow find nothing new, and are answered so
            ended = asked()["ours"]["ended"]
            until(lambda: asked()["ours"]["ended"] > ended)
            assert asked()["ours"]["changed"] == 0
            assert any(" 304 " in line for line in access_log(url, tmp_path / "nginx"))
            assert len(course_of("team/demo")) == 2
            assert b'cgscan_index_answered{index="ours"}' in service.ask("/metrics").body
            assert service.stop() == 0


# -- by hand, on both databases


@contextmanager
def placed(database: Database, folder: Path, index: str) -> Iterator[Place]:
    settings = gather({"index": (index,), "cache_dir": str(folder / "cache")}, {})
    carrier = Carrier(None, folder / "data")
    serving = Serving(folder=folder / "data", fresh_seconds=1e9)
    yield Place(database=database, carrier=carrier, settings=settings, serving=serving, stop=threading.Event())
    carrier.close()


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Iterator[Place]:
    """An index that nobody asks."""
    with placed(database, tmp_path, "http://127.0.0.1:9/simple/") as made:
        yield made


def name_of(settings: Settings) -> str:
    with client_of(settings) as client:
        (index,) = indexes_of(settings, client, NoStore())
    return index.name


def begun(place: Place, name: str, digest: str = A, **more: Any) -> Job:
    """A job that runs."""
    wanted = Wanted(
        image=ImageName.parse(f"r.example/{name}"),
        source="test",
        priority=Priority.PUSH,
        circumstances=circumstances(place.database, place.settings),
        **more,
    )
    jobs.submit(place.database, [wanted], most_waiting=100)
    return claimed(place, digest)


def claimed(place: Place, digest: str) -> Job:
    job = jobs.claim(place.database, "w", attempts=3, lease=30)
    assert job is not None
    assert jobs.settle_digest(place.database, job, digest)
    return job


def scanned(place: Place, name: str, answers: Mapping[str, str], digest: str = A) -> None:
    """An image was scanned, and this is what the index said of the projects in it."""
    end(place, begun(place, name, digest), answers, digest)


def end(place: Place, job: Job, answers: Mapping[str, str], digest: str = A, made: Report | None = None) -> None:
    index = name_of(place.settings)
    line = IndexLine(name=index, role=Role.CHAINGUARD, kind="simple", url="", built_only=False)
    made = replace(made or report(digest), indexes=(line,))
    jobs.finish(place.database, job, [made], digest=digest, answers={index: dict(answers)})


def says(place: Place, answers: Mapping[str, str]) -> int:
    """A round; how many answers are new."""
    with place.database.writing() as connection:
        return states.take_round(connection, name_of(place.settings), answers, now=clock(connection))


def waiting(place: Place) -> set[str]:
    return {job.repository for job in jobs.listed(place.database, states=[State.QUEUED], most=100)}


def test_what_rests_on_nothing_that_has_changed_is_left_alone(place: Place) -> None:
    scanned(place, "one:1", {"flask": "f1", "six": "s1"})
    scanned(place, "two:1", {"six": "s1"}, B)
    scanned(place, "three:1", {"idna": "i1"}, f"sha256:{'c' * 64}")
    assert says(place, {"flask": "f1", "six": "s1", "idna": "i1"}) == 0
    assert follow(place) == 0
    assert says(place, {"flask": "f2", "six": "s1", "idna": "i1"}) == 1
    assert follow(place) == 1
    assert waiting(place) == {"one"}
    assert follow(place) == 0
    end(place, claimed(place, A), {"flask": "f2", "six": "s1"})
    assert follow(place) == 0
    rows = course(place.database, repository="one", registry=None, tag=None, most=9, cursor=None).rows
    assert [row["digest"] for row in rows] == [A, A]
    assert rows[0]["report_id"] != rows[1]["report_id"]


def test_the_same_digest_under_the_same_state_is_one_result(place: Place) -> None:
    scanned(place, "one:1", {"six": "s1"})
    scanned(place, "zero:1", {"idna": "i1"}, B)
    says(place, {"idna": "i2"})  # a new state, but of nothing that the digest rests on
    job = claim_of(place, "two:1")
    assert not jobs.settle_digest(place.database, job, A)
    says(place, {"six": "s2"})
    job = claim_of(place, "three:1")
    assert jobs.settle_digest(place.database, job, A)
    end(place, job, {"six": "s2"})
    done = jobs.get(place.database, job.id)
    assert done is not None
    with place.database.reading() as connection:
        assert len(of_content(connection, done.content or "")) == 1


def claim_of(place: Place, name: str) -> Job:
    wanted = Wanted(
        image=ImageName.parse(f"r.example/{name}"),
        source="test",
        priority=Priority.PUSH,
        circumstances=circumstances(place.database, place.settings),
    )
    jobs.submit(place.database, [wanted], most_waiting=100)
    job = jobs.claim(place.database, "w", attempts=3, lease=30)
    assert job is not None
    return job


def test_an_index_that_changes_while_a_scan_runs_is_not_missed(place: Place) -> None:
    scanned(place, "zero:1", {"six": "s1"}, B)  # so that the index is known
    job = begun(place, "one:1")
    assert says(place, {"six": "s2"}) == 1
    end(place, job, {"six": "s1"})  # it asked before
    assert waiting(place) == {"one"}
    end(place, claimed(place, A), {"six": "s2"})
    follow(place)
    assert waiting(place) == {"zero"}


def test_a_scan_that_has_seen_the_change_first_is_of_the_new_state(place: Place) -> None:
    scanned(place, "zero:1", {"six": "s1"}, B)
    job = begun(place, "one:1")
    says(place, {"six": "s2"})
    end(place, job, {"six": "s2"})
    assert waiting(place) == set()
    follow(place)
    assert waiting(place) == {"zero"}
    # what no round has seen yet is in doubt until one has
    end(place, claimed(place, B), {"six": "s3"}, B)
    assert says(place, {"six": "s3"}) == 1
    follow(place)
    assert waiting(place) == {"zero", "one"}


def test_looking_again_does_not_undo_a_push(place: Place) -> None:
    """The rescan of the old digest ends after the scan of the new one, whichever was queued first."""
    scanned(place, "one:1", {"six": "s1"})
    push_job = begun(place, f"one:1@{B}", B)
    says(place, {"six": "s2"})
    assert follow(place) == 0  # the name is being scanned
    end(place, push_job, {"six": "s2"}, B)
    rescan = begun(place, f"one:1@{A}", A, seen=1.0)
    end(place, rescan, {"six": "s2"})
    (row,) = listed_images(place.database, Filter(repository="one"), most=5, cursor=None).rows
    assert row["digest"] == B


def test_what_could_not_be_asked_is_tried_again_with_growing_pauses(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned(place, "fine:1", {"six": "s1"}, B)
    scanned(place, "unsure:1", {})
    set_back(place, A, unchecked=1, seconds=states.RETRIES[0] - 60)
    assert follow(place) == 0
    set_back(place, A, unchecked=1, seconds=120)
    assert follow(place) == 1
    assert waiting(place) == {"unsure"}
    end(place, claimed(place, A), {"six": "s1"})  # and again it could not be asked
    set_back(place, A, unchecked=1, seconds=states.RETRIES[0] + 60)
    assert follow(place) == 0
    set_back(place, A, unchecked=1, seconds=states.RETRIES[1])
    assert follow(place) == 1


def set_back(place: Place, digest: str, *, unchecked: int, seconds: float) -> None:
    """The reports of a digest are older than they are."""
    table = tables.reports
    with place.database.writing() as connection:
        now = clock(connection)
        recent = table.c.scanned < now - 1e6
        connection.execute(update(table).where(table.c.asked == digest, recent).values(scanned=now))
        values = {"unchecked": unchecked, "scanned": table.c.scanned - seconds}
        connection.execute(update(table).where(table.c.asked == digest).values(**values))


def test_rounds_ask_what_the_newest_reports_rest_on_and_silence_is_no_change(
    database: Database, tmp_path: Path
) -> None:
    answers = [503]
    rows = [{"filename": "six-1.0-py3-none-any.whl", "url": "six.whl", "hashes": {"sha256": "0" * 64}}]

    def respond(exchange: Exchange) -> None:
        known = exchange.seen.headers.get("if-none-match") == '"one"'
        status = 304 if known and answers[-1] == 200 else answers[-1]
        exchange.send(status, json_page("six", rows) if status == 200 else b"", Content_Type=JSON, ETag='"one"')

    with site(respond) as server, placed(database, tmp_path, f"{server.url}/simple/") as place:
        turn = turns.take_now(database, "indexes", "me", lease=30)
        assert turn is not None
        scanned(place, "one:1", {"six": "as it was"})
        told = []
        for status in (503, 200, 200, 404):
            answers.append(status)
            changed = Watching(place, turn).watch()
            (last,) = rounds.last(database)
            told.append((changed, last.answered, last.unanswered, last.problem is None))
            if status == 503:
                assert follow(place) == 0
        # out of reach; something else; the same, which costs no page; no such project, which is an answer too
        assert told == [(0, 0, 1, False), (1, 1, 0, True), (0, 1, 0, True), (1, 1, 0, True)]
        assert {one.path for one in server.requests} == {"/simple/six/"}
        assert follow(place) == 1
        assert waiting(place) == {"one"}


def test_settings_have_one_fingerprint_in_every_process() -> None:
    """Sets have an order of their own in every process."""
    code = "from scanner.config import gather; from scanner.service.circumstances import terms_of;"
    code += "print(terms_of(gather({'index': ('https://a.example/simple/',), 'fail_on': ('upstream', 'unknown')}, {})))"
    command = [sys.executable, "-c", code]
    said = [
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] != b""


def test_answers_of_an_index_unknown_so_far_are_no_change(place: Place) -> None:
    answers: Answers = {"new": {"six": "1"}}
    with place.database.writing() as connection:
        assert states.take_answers(connection, answers, now=0.0)
        assert states.take_answers(connection, answers, now=0.0)
        assert not states.take_answers(connection, {"new": {"six": "2"}}, now=0.0)
