"""Real pushes to a real registry that tells of each: indexes are one scan, and reports attached by us are none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from fixtures import images
from fixtures.demo import Demo
from scanner.results import tables
from scanner.results.database import Database
from tests.attestations import make_keys
from tests.registries import docker_registry, free_port, push
from tests.service.test_serve import indexes, tag_of
from tests.services import Running, configured, started, until

HOOK = "h" * 20


@dataclass(frozen=True, kw_only=True)
class Place:
    """A registry that tells a service of everything, and the service, which attaches."""

    host: str
    service: Running
    folder: Path

    def jobs(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.service.ask("/api/v1/jobs?most=500").json["rows"]
        return rows

    def hurry(self) -> None:
        """What waits for its index waits no longer."""
        database = Database(f"sqlite:///{self.folder / 'data' / 'cgscan.sqlite'}")
        with database.writing() as connection:
            connection.execute(update(tables.jobs).where(tables.jobs.c.state == "queued").values(due=0))
        database.close()

    def is_quiet(self) -> bool:
        """Whether everything has come to its end."""
        self.hurry()
        told = self.service.ask("/api/v1/notifications").json["rows"]
        return all(job["state"] in ("done", "dead", "cancelled") for job in self.jobs()) and {
            one["state"] for one in told
        } == {"done"}

    def ended(self, repository: str) -> dict[str, list[str]]:
        """How attempts of a repository ended, by the image's name without its digest."""
        found: dict[str, list[str]] = {}
        for line in self.service.said("scan ends"):
            if f"/{repository}" in line["image"]:
                found.setdefault(line["image"].partition("@")[0], []).append(line["how"])
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, demo_parts: Demo) -> Iterator[Place]:
    """The registry tells nothing of what manifests refer to: an event of an artifact is like one of an image."""
    folder, port = tmp_path_factory.mktemp("attached"), free_port()
    private, _ = make_keys(folder, "ec", password="correct horse")
    endpoint = {
        "name": "cgscan",
        "url": f"http://127.0.0.1:{port}/webhooks/ours",
        "headers": {"Authorization": [f"Bearer {HOOK}"]},
        "timeout": "5s",
        "threshold": 3,
        "backoff": "100ms",
    }
    with docker_registry(folder / "registry", notifications={"endpoints": [endpoint]}) as host:
        source = {"name": "ours", "kind": "distribution", "registry": host, "secret_env": "HOOK", "auth": "bearer"}
        top = {"indexes": indexes(demo_parts), "platform": "all", "webhooks": [{**source, "untagged": True}]}
        attach = {"registries": "127.0.0.1:*", "key": private.name, "password_env": "KEY"}
        config = configured(folder, listen=f"127.0.0.1:{port}", attach=attach, top=top)
        environment = {"HOOK": HOOK, "KEY": "correct horse"}
        with started(folder, "serve", "--config", str(config), environment=environment) as running:
            yield Place(host=host, service=running, folder=folder)


def test_a_report_is_attached_once_and_scanned_never(place: Place, demo_parts: Demo) -> None:
    name = push(demo_parts.image, f"{place.host}/team/demo:1", tag=tag_of(demo_parts.image))
    until(lambda: place.jobs() and place.is_quiet() and len(place.jobs()) == 3)
    states = {job["image"].partition("@")[0].rpartition("/")[2]: job["state"] for job in place.jobs()}
    assert states == {"demo:1": "done", "demo": "cancelled"}
    assert all("artifact" in job["reason"] for job in place.jobs() if job["state"] == "cancelled")
    command = [sys.executable, "-m", "scanner", "verify-attestation", f"registry:{name}", "--platform", "linux/amd64"]
    done = subprocess.run(
        [*command, "--key", str(place.folder / "ec.pub"), "-o", "json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["verified"], len(found["counted"])) == (True, 2)
    # another name of the same digest: no second scan, and nothing is attached again
    push(demo_parts.image, f"{place.host}/team/demo:2", tag=tag_of(demo_parts.image))
    until(lambda: len(place.jobs()) == 4 and place.is_quiet())
    assert place.ended("team/demo")[f"{place.host}/team/demo:2"] == ["known"]
    assert len(place.service.ask("/api/v1/notifications").json["rows"]) == 1


def test_an_index_is_one_scan(place: Place, tmp_path: Path) -> None:
    layers = [[images.layer_from_entries([images.file_entry("etc/motd", text)])] for text in (b"one", b"two")]
    layout = images.multi_platform_layout(
        tmp_path / "many", dict(zip(("linux/amd64", "linux/arm64"), layers, strict=True))
    )
    push(layout, f"{place.host}/team/many:1")
    until(lambda: any(job["image"].startswith(f"{place.host}/team/many:1") for job in place.jobs()))
    until(place.is_quiet)
    until(lambda: sum("/team/many" in job["image"] for job in place.jobs()) >= 9 and place.is_quiet())
    assert place.ended("team/many")[f"{place.host}/team/many:1"] == ["done"]
    others = place.ended("team/many")[f"{place.host}/team/many"]
    assert "done" not in others
    children = [job["state"] for job in place.jobs() if f"{place.host}/team/many@" in job["image"]]
    assert (children.count("done"), set(children)) == (2, {"done", "cancelled"})
    assert place.service.ask("/api/v1/jobs?state=dead").json["rows"] == []
    names = place.service.ask("/api/v1/images?repository=team/many&tag=1").json["rows"]
    assert [row["platform"] for row in names] == ["linux/amd64", "linux/arm64"]


def test_the_secret_of_the_key_is_nowhere(place: Place) -> None:
    said = place.service.log.read_text() + place.service.ask("/api/v1/notifications").body.decode()
    assert "correct horse" not in said
    assert HOOK not in said
