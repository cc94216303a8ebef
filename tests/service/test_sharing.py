"""A fleet of workers with caches of their own reads a layer once, also when several of them want it at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from fixtures import images
from fixtures.images import LayerBlob
from fixtures.trees import simple_tree
from fixtures.wheels import add_sbom, make_wheel, read_members
from scanner.results import tables
from scanner.results.database import Database
from tests.managers import access_log, nginx
from tests.registries import docker_registry, push
from tests.scenes import SITE
from tests.services import Running, configured, new_database, start, until

_RATE = 400
"""KiB a second of a slow layer: several scans want it before one has it."""
_NOISE = 600 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A registry behind a proxy that counts. ``plain`` and ``changed`` are below ``app``, ``slow`` below ``slow``."""

    front: str
    log: Path
    plain: LayerBlob
    changed: LayerBlob
    slow: LayerBlob
    indexes: list[dict[str, str]]

    def fetched(self, layer: LayerBlob) -> list[tuple[str, int]]:
        """Status and bytes of the answers with a layer's blob."""
        lines = (line.split() for line in access_log(f"http://{self.front}", self.log))
        return [(line[-2], int(line[-1])) for line in lines if line[0] == "GET" and line[1].endswith(layer.digest)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """``team/app:t0`` to ``t9``: two layers that all have and one of each; ``team/slow:t0`` and ``t1``, in seconds."""
    folder = tmp_path_factory.mktemp("sharing")
    theirs = [
        make_wheel(folder / "w", name, "1.0", {f"{name}/{part}.py": f"{part} = '{name}'\n".encode() for part in "abc"})
        for name in ("one", "two")
    ]
    ours = [add_sbom(wheel, folder / "ours") for wheel in theirs]
    simple_tree(folder / "chainguard", ours)
    simple_tree(folder / "pypi", theirs)
    plain, slow = layer(ours[0], seed=1), layer(ours[0], seed=3)
    changed = layer(ours[1], seed=2, change="two/b.py")
    for name, below in (("app", [plain, changed]), ("slow", [slow])):
        for number in range(10 if name == "app" else 2):
            own = images.layer_from_entries([images.file_entry("etc/motd", f"{name} {number}".encode())])
            images.write_oci_layout(folder / name, [*below, own], tag=f"t{number}")
    with docker_registry(folder / "registry") as host:
        for name, count in (("app", 10), ("slow", 2)):
            for number in range(count):
                push(folder / name, f"{host}/team/{name}:t{number}", tag=f"t{number}")
        with nginx(folder / "nginx", folder, extra=proxied(host, plain, slow)) as front:
            yield Scene(
                front=front.removeprefix("http://"),
                log=folder / "nginx",
                plain=plain,
                changed=changed,
                slow=slow,
                indexes=[
                    {"name": "ours", "role": "chainguard", "path": str(folder / "chainguard")},
                    {"name": "theirs", "role": "upstream", "path": str(folder / "pypi")},
                ],
            )


def layer(wheel: Path, *, seed: int, change: str = "") -> LayerBlob:
    """A wheel as an installer leaves it, one of its files changed or none, and a file that gzip does not shorten."""
    entries = [images.file_entry("usr/share/noise", random.Random(seed).randbytes(_NOISE))]
    for info, content in read_members(wheel):
        now = content + b"# changed\n" if info.filename == change else content
        entries.append(images.file_entry(f"{SITE}/{info.filename}", now))
    return images.layer_from_entries(entries)


def proxied(host: str, plain: LayerBlob, slow: LayerBlob) -> str:
    """The registry behind nginx, with two layers that come slowly."""
    there = f"proxy_pass http://{host}; proxy_set_header Host $http_host;"
    rates = {plain.digest: f"{_RATE}k", slow.digest: f"{_RATE // 4}k"}
    slowly = [f"location ~ {digest}$ {{ {there} limit_rate {rate}; }}" for digest, rate in rates.items()]
    return "\n".join((*slowly, f"location /v2/ {{ {there} }}"))


class Fleet:
    """A server and workers with nothing in common but the database and the queue."""

    def __init__(
        self, stack: ExitStack, folder: Path, scene: Scene, database: str, queue: str, *, workers: int = 2
    ) -> None:
        self._stack = stack
        self._folder = folder
        self._config = configured(folder, lease_seconds=2, workers=workers, top={"indexes": scene.indexes})
        self._environment = {"CGSCAN_DATABASE": database, "CGSCAN_QUEUE": queue, "CGSCAN_PLATFORM": "linux/amd64"}
        self._scene = scene
        self.server = self.begin("serve", "--no-workers")

    def begin(self, command: str, *more: str) -> Running:
        """One more process, with a home and a cache of its own."""
        home = self._folder / f"home-{command}-{len(list(self._folder.iterdir()))}"
        running = start(home, command, "--config", str(self._config), *more, environment=self._environment)
        self._stack.callback(running.kill)
        return running

    def submit(self, name: str) -> str:
        """The URL of a new job."""
        answer = self.server.ask("/api/v1/scans", {"image": f"{self._scene.front}/team/{name}"})
        assert answer.status == 202, answer.body
        return str(answer.json["url"])

    def report(self, job: str) -> Any:
        """The report of a job, when it has one."""
        ended = self.server.ask(f"{job}?wait=60").json
        assert ended["state"] == "done", ended
        (path,) = ended["reports"]
        return self.server.ask(path).json


def decided(report: Any) -> dict[str, Any]:
    """What a scan says, without its name and its times."""
    return {part: report[part] for part in ("summary", "distributions", "findings", "indexes")}


def scanned_alone(scene: Scene, name: str, folder: Path) -> Any:
    """The report of ``cgscan scan``."""
    command = [sys.executable, "-m", "scanner", "scan", f"registry:{scene.front}/team/{name}", "-o", "json"]
    command += ["--config", str(folder / "cgscan.yaml"), "--no-cache", "--platform", "linux/amd64"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_ten_images_on_one_layer_read_it_once(
    scene: Scene, tmp_path: Path, postgresql_url: str, redis_url: str
) -> None:
    with ExitStack() as stack:
        fleet = Fleet(stack, tmp_path, scene, new_database(postgresql_url), redis_url)
        workers = [fleet.begin("worker") for _ in range(3)]
        jobs = [fleet.submit(f"app:t{number}") for number in range(10)]
        reports = [fleet.report(job) for job in jobs]
        assert len({report["target"]["digest"] for report in reports}) == 10
        assert sum(bool(worker.said("scan ends")) for worker in workers) > 1
    # the changed file is looked at again, which is a second reading of its layer, by one of all scans
    whole = [("200", scene.plain.size)], [("200", scene.changed.size)] * 2
    assert (scene.fetched(scene.plain), scene.fetched(scene.changed)) == whole
    alone = decided(scanned_alone(scene, "app:t0", tmp_path))
    assert {(line["origin"], line["integrity"]) for line in alone["distributions"]} == {
        ("chainguard", "intact"),
        ("chainguard", "modified"),
    }
    assert [decided(report) for report in reports] == [alone] * 10


@pytest.mark.real
@pytest.mark.large
def test_what_a_killed_worker_was_reading_another_reads(
    scene: Scene, tmp_path: Path, postgresql_url: str, redis_url: str
) -> None:
    url = new_database(postgresql_url)
    with ExitStack() as stack:
        fleet = Fleet(stack, tmp_path, scene, url, redis_url, workers=1)
        database = Database(url)
        stack.callback(database.close)
        workers = [fleet.begin("worker") for _ in range(2)]
        first = fleet.submit("slow:t0")
        until(lambda: claims(database))
        second = fleet.submit("slow:t1")
        until(lambda: all(worker.said("scan begins") for worker in workers))
        (killed,) = [worker for worker in workers if worker.said("scan begins")[0]["image"].endswith(":t0")]
        killed.kill()
        reports = [fleet.report(job) for job in (first, second)]
        assert reports[0]["distributions"] == reports[1]["distributions"] != []
        assert claims(database) == 0
    # who was killed has not read it to its end; after that one has
    assert [size == scene.slow.size for _, size in scene.fetched(scene.slow)] == [False, True]


def claims(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.claims)).scalar_one())
