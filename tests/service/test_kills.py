"""Server and workers are killed at random moments while images are pushed: no job is lost, none counts twice."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from fixtures import images
from scanner.results import tables
from scanner.results.database import Database
from tests.registries import hosted
from tests.services import Running, configured, new_database, start, until


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 images of one small layer each, tags ``t0`` to ``t199``."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(200):
        layer = images.layer_from_entries([images.file_entry("etc/motd", f"{number}".encode())])
        images.write_oci_layout(folder, [layer], tag=f"t{number}")
    return folder


@pytest.mark.real
@pytest.mark.large
def test_a_few_kills(layout: Path, tmp_path: Path) -> None:
    _kill(layout, tmp_path, database=None, queue=None, pushes=6, kills=3, seed=1)


@pytest.mark.real
@pytest.mark.large
def test_a_few_kills_with_redis_and_postgresql(
    layout: Path, tmp_path: Path, redis_url: str, postgresql_url: str
) -> None:
    _kill(layout, tmp_path, database=new_database(postgresql_url), queue=redis_url, pushes=10, kills=4, seed=2)


@pytest.mark.real
@pytest.mark.large
@pytest.mark.parametrize("kind", ["sqlite", "postgresql and redis"])
def test_fifty_kills_under_two_hundred_pushes(
    layout: Path, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    database, queue = None, None
    if kind != "sqlite":
        database = new_database(request.getfixturevalue("postgresql_url"))
        queue = request.getfixturevalue("redis_url")
    _kill(layout, tmp_path, database=database, queue=queue, pushes=200, kills=50, seed=3)


def _kill(
    layout: Path, folder: Path, *, database: str | None, queue: str | None, pushes: int, kills: int, seed: int
) -> None:
    environment = {"CGSCAN_DATABASE": database or "", "CGSCAN_QUEUE": queue or ""}
    config = configured(folder, lease_seconds=2, attempts=20, workers=2)
    dice = random.Random(seed)

    def begin(command: str) -> Running:
        more = ["--no-workers"] if command == "serve" else []
        return start(folder, command, "--config", str(config), *more, environment=environment)

    begun = time.monotonic()
    running = {name: begin(name) for name in ("serve", "worker")}
    accepted: list[str] = []

    def submit(image: str) -> None:
        """Again until it is accepted, as a registry does."""

        def answered() -> str | None:
            try:
                answer = running["serve"].ask("/api/v1/scans", {"image": image})
            except OSError:  # killed while it was asked
                return None
            return str(answer.json["id"]) if answer.status == 202 else None

        accepted.append(until(answered, seconds=120))

    try:
        with hosted(layout) as registry, ThreadPoolExecutor(4) as pool:
            names = [f"{registry.host}/team/app:t{number}" for number in range(pushes)]
            pushing = [pool.submit(submit, name) for name in names]
            for _ in range(kills):
                # a random moment: so many lines of the log later
                one = dice.choice(sorted(running))
                ends = len(running["worker"].said("scan begins")) + dice.randrange(3)
                _some_of(running["worker"], ends, dice.random())
                running[one].kill()
                running[one] = begin(one)
            for push in pushing:
                push.result()
            while left := _open_jobs(running["serve"]):  # however slow the machine is, one after the other ends
                _fewer(running["serve"], left)
        assert len(set(accepted)) == pushes
        url = database or f"sqlite:///{folder / 'data' / 'cgscan.sqlite'}"
        scans = _check(url, accepted)
        print(f"\n{pushes} pushes, {kills} kills, {time.monotonic() - begun:.0f} s: {sum(scans)} scans begun,")
        print(f"at most {max(scans)} of one image; each image done once")
    finally:
        for process in running.values():
            process.kill()


def _some_of(worker: Running, count: int, seconds: float) -> None:
    """Wait until so many scans have begun, or, where there are no more of them, a moment."""
    try:
        until(lambda: len(worker.said("scan begins")) >= count, seconds=seconds)
    except AssertionError:
        return


def _fewer(server: Running, left: int) -> None:
    until(lambda: _open_jobs(server) < left, seconds=120)


def _open_jobs(server: Running) -> int:
    rows = server.ask("/api/v1/jobs?most=500&state=queued&state=running&state=failed").json["rows"]
    return len(rows)


def _check(url: str, accepted: list[str]) -> list[int]:
    """Every job that was answered with 202 is done, with one line of history and one report of its content; how often
    each was begun.
    """
    database = Database(url)
    try:
        with database.reading() as connection:
            rows = connection.execute(select(tables.jobs.c.id, tables.jobs.c.state, tables.jobs.c.attempts)).all()
            states = {row.id: row.state for row in rows}
            lines = select(tables.history.c.job_id, func.count().label("lines")).group_by(tables.history.c.job_id)
            histories = {row.job_id: row.lines for row in connection.execute(lines)}
            reports = connection.execute(select(func.count()).select_from(tables.reports)).scalar_one()
    finally:
        database.close()
    assert {states[job] for job in accepted} == {"done"}
    assert {histories.get(job) for job in accepted} == {1}
    assert set(states) == set(accepted)
    assert reports == len(set(accepted))
    return [row.attempts for row in rows]
