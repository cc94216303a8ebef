"""Webhooks under load, and what a server then needs of time and memory. ``make loads`` prints the figures.

Requests leave at their times, whether or not the ones before were answered: what waits in a queue of ours counts.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from fixtures import images
from scanner.results import tables
from scanner.results.database import Database
from tests.registries import hosted
from tests.services import Running, configured, new_database, postgresql, started, until

pytestmark = [pytest.mark.real, pytest.mark.large]

SECRET = "s" * 32
_TYPE = "application/vnd.docker.distribution.events.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CLIENTS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer: ``seconds`` from when the request was to leave; ``job`` is the path of what was queued."""

    status: int
    seconds: float
    retry_after: str | None
    job: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where jobs are. ``queue`` is empty for SQLite."""

    name: str
    database: str
    queue: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """For processes."""
        return {"HOOK": SECRET, "CGSCAN_DATABASE": self.database, "CGSCAN_QUEUE": self.queue}


@pytest.fixture(scope="module")
def durable() -> Iterator[str]:
    with postgresql(durable=True) as url:
        yield url


@pytest.fixture(params=["SQLite", "PostgreSQL and Redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty one of each kind."""
    if request.param == "SQLite":
        return Place(name=request.param, database=f"sqlite:///{tmp_path / 'data' / 'cgscan.sqlite'}")
    database = new_database(request.getfixturevalue("durable"))
    return Place(name=request.param, database=database, queue=request.getfixturevalue("redis_url"))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """100 small images, and their digests."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(100):
        layer = images.layer_from_entries([images.file_entry("etc/motd", f"{number}".encode())])
        images.write_oci_layout(folder, [layer], tag=f"t{number}")
    listed = json.loads((folder / "index.json").read_bytes())["manifests"]
    return folder, [one["digest"] for one in listed]


def payload(tag: str, digest: str) -> bytes:
    target = {"mediaType": _MANIFEST, "digest": digest, "size": 500, "repository": "team/app", "tag": tag}
    return json.dumps({"events": [{"id": tag, "action": "push", "target": target}]}).encode()


class Pusher:
    """A registry that pushes: one connection for each of its threads."""

    def __init__(self, server: Running) -> None:
        self._host = urlsplit(server.url).netloc
        self._own = threading.local()

    def post(self, body: bytes, due: float) -> Answered:
        """Post what is due at ``due`` on the monotonic clock."""
        threading.Event().wait(max(0.0, due - time.monotonic()))
        line = getattr(self._own, "line", None)
        if line is None:
            line = self._own.line = http.client.HTTPConnection(self._host, timeout=60)
        headers = {"Content-Type": _TYPE, "Authorization": f"Bearer {SECRET}"}
        line.request("POST", "/webhooks/ours", body, headers)
        answer = line.getresponse()
        text = answer.read()
        jobs = json.loads(text).get("jobs", []) if answer.status == 202 else []
        after = answer.headers.get("Retry-After")
        return Answered(
            status=answer.status,
            seconds=time.monotonic() - due,
            retry_after=after,
            job=jobs[0] if jobs else None,
        )


def pushed(server: Running, bodies: Sequence[bytes], *, seconds: float) -> list[Answered]:
    """Post all of them, evenly spread."""
    pusher, begin = Pusher(server), time.monotonic() + 0.2
    with ThreadPoolExecutor(_CLIENTS) as pool:
        dues = [begin + seconds * number / len(bodies) for number in range(len(bodies))]
        return list(pool.map(pusher.post, bodies, dues))


def told(what: str, answers: Sequence[Answered]) -> None:
    """Print the figures."""
    times = sorted(answer.seconds * 1000 for answer in answers)
    part = {name: times[min(len(times) - 1, int(len(times) * share))] for name, share in (("p50", 0.5), ("p99", 0.99))}
    figures = ", ".join(f"{name} {value:.1f} ms" for name, value in {**part, "most": times[-1]}.items())
    print(f"\n{what}: {dict(Counter(answer.status for answer in answers))}, {figures}")


def check(answers: Sequence[Answered], url: str) -> int:
    """Each is taken or refused for a while, and what was taken is there, and no more; how many were taken."""
    assert {answer.status for answer in answers} <= {202, 429}
    assert all(answer.retry_after for answer in answers if answer.status == 429)
    taken = [answer.job for answer in answers if answer.status == 202]
    database = Database(url)
    try:
        with database.reading() as connection:
            there = list(connection.execute(select(tables.jobs.c.id)).scalars())
    finally:
        database.close()
    assert sorted(str(job).rpartition("/")[2] for job in taken) == sorted(there)
    return len(taken)


@pytest.mark.parametrize("scans", [False, True], ids=["alone", "while it scans"])
def test_a_thousand_webhooks_in_ten_seconds(
    layout: tuple[Path, list[str]], tmp_path: Path, place: Place, *, scans: bool
) -> None:
    folder, digests = layout
    with hosted(folder) as registry, serving(tmp_path, registry.host, place, scans=scans) as server:
        bodies = [payload(f"n{number}", digests[number % len(digests)]) for number in range(1000)]
        answers = pushed(server, bodies, seconds=10)
        assert not scans or server.said("scan begins")
        told(f"{place.name}, {'while it scans' if scans else 'alone'}", answers)
        server.kill()  # what was answered with 202 is there from then on
    assert check(answers, place.database) == 1000


def test_what_a_full_queue_does_not_take_is_refused_for_a_while(tmp_path: Path, place: Place) -> None:
    with serving(tmp_path, "127.0.0.1:1", place, scans=False, most_waiting=400) as server:
        bodies = [payload(f"n{number}", f"sha256:{number:064x}") for number in range(1000)]
        answers = pushed(server, bodies, seconds=10)
        told(f"{place.name}, full after 400", answers)
        server.kill()
    # on PostgreSQL those that come at once do not see each other yet
    assert 400 <= check(answers, place.database) <= (400 if place.name == "SQLite" else 400 + _CLIENTS)


def test_a_flood_of_digests_waits_with_flat_memory(tmp_path: Path, place: Place) -> None:
    """Twenty times as many jobs that wait: a server and a worker need less than a quarter more.

    Either begins with some 100 MiB. So one that kept no more than 1.5 KiB of each job would be found out, while what an
    allocator and connections take when more requests come at once, a tenth, is not.
    """
    with serving(tmp_path, "127.0.0.1:1", place, scans=False) as server, working(tmp_path, place) as worker:
        bodies = [payload(f"n{number}", f"sha256:{number:064x}") for number in range(20_000)]
        first = pushed(server, bodies[:1000], seconds=0)
        until(lambda: len(worker.said("scan ends")) > 2)
        before = highest(server), highest(worker)
        rest = pushed(server, bodies[1000:], seconds=0)
        ended = len(worker.said("scan ends"))
        until(lambda: len(worker.said("scan ends")) > ended + 2)
        seconds = max(answer.seconds for answer in rest)
        print(f"\n{place.name}, flood: {len(rest) / seconds:.0f} requests a second")
        after = highest(server), highest(worker)
        print(f"{place.name}, memory of server and worker: {before} KiB at 1,000 jobs, {after} KiB at 20,000")
        server.kill()
        worker.kill()
    assert check([*first, *rest], place.database) == 20_000
    assert all(now < 1.25 * then for then, now in zip(before, after, strict=True))


def serving(
    folder: Path, registry: str, place: Place, *, scans: bool, most_waiting: int = 50_000
) -> AbstractContextManager[Running]:
    """A server with a source ``ours``."""
    source = {"name": "ours", "kind": "distribution", "registry": registry, "secret_env": "HOOK", "auth": "bearer"}
    index = {"name": "none", "role": "upstream", "path": str(folder / "none")}
    (folder / "none").mkdir()
    config = configured(folder, most_waiting=most_waiting, top={"webhooks": [source], "indexes": [index]})
    more = [] if scans else ["--no-workers"]
    return started(folder, "serve", "--config", str(config), *more, environment=place.environment)


def working(folder: Path, place: Place) -> AbstractContextManager[Running]:
    """A worker under the server's configuration."""
    return started(folder, "worker", "--config", str(folder / "cgscan.yaml"), environment=place.environment)


def highest(process: Running) -> int:
    """The most memory that a process ever had, in KiB."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s*([0-9]+) kB", status)
    assert found
    return int(found[1])
