"""From a push to a page: a real registry tells of it, the image is scanned, the API and a browser show what came of it.

Once on one machine with SQLite, and once with PostgreSQL, Redis and three workers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures import images
from fixtures.demo import Demo
from tests.browser import chromium, visited
from tests.registries import docker_registry, free_port, push, site
from tests.services import Running, configured, new_database, started, until

HOOK, TOKEN = "h" * 20, "t" * 20


@dataclass(frozen=True, kw_only=True)
class World:
    """A registry that posts to a service; ``processes`` are those that scan."""

    registry: str
    service: Running
    processes: tuple[Running, ...]
    folder: Path

    def ended(self, *, most: int) -> list[dict[str, Any]]:
        """The jobs, when there are so many and all are done."""

        def done() -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = self.service.ask("/api/v1/jobs").json["rows"]
            assert {row["state"] for row in rows} <= {"queued", "running", "done"}, rows
            return rows if [row["state"] for row in rows] == ["done"] * most else []

        found: list[dict[str, Any]] = until(done)
        return found


@pytest.fixture(params=["one machine", "three workers"])
def world(request: pytest.FixtureRequest, tmp_path: Path, demo_parts: Demo) -> Iterator[World]:
    listen = f"127.0.0.1:{free_port()}"
    endpoint = {
        "name": "cgscan",
        "url": f"http://{listen}/webhooks/ours",
        "headers": {"Authorization": [f"Bearer {HOOK}"]},
        "timeout": "5s",
        "threshold": 3,
        "backoff": "100ms",
    }
    environment = {"HOOK": HOOK}
    if many := request.param == "three workers":
        environment["CGSCAN_DATABASE"] = new_database(request.getfixturevalue("postgresql_url"))
        environment["CGSCAN_QUEUE"] = request.getfixturevalue("redis_url")
    told = {"events": {"includereferences": True}, "endpoints": [endpoint]}
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(docker_registry(tmp_path / "registry", notifications=told))
        config = _configuration(tmp_path, demo_parts, registry=registry, listen=listen)
        words = ["--config", str(config), *(["--no-workers"] if many else [])]
        service = stack.enter_context(started(tmp_path / "server", "serve", *words, environment=environment))
        service.token = TOKEN
        workers = [
            stack.enter_context(
                started(tmp_path / f"worker{number}", "worker", "--config", str(config), environment=environment)
            )
            for number in range(3 if many else 0)
        ]
        yield World(registry=registry, service=service, processes=(*workers,) or (service,), folder=tmp_path)


def _configuration(folder: Path, demo: Demo, *, registry: str, listen: str) -> Path:
    indexes = [
        {"name": "ours", "role": "chainguard", "path": str(demo.chainguard)},
        {"name": "theirs", "role": "upstream", "path": str(demo.pypi)},
    ]
    source = {"name": "ours", "kind": "distribution", "registry": registry, "secret_env": "HOOK", "auth": "bearer"}
    token = {"name": "all", "rights": ["read", "scan"], "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}
    top = {"indexes": indexes, "platform": "linux/amd64", "webhooks": [source]}
    return configured(folder, listen=listen, workers=1, tokens=[token], top=top)


def test_what_is_pushed_is_seen(world: World, demo_parts: Demo) -> None:
    push(demo_parts.image, f"{world.registry}/team/demo:1")
    push(demo_parts.image, f"{world.registry}/team/demo:1")
    for number in range(3):
        layer = images.layer_from_entries([images.file_entry("etc/motd", str(number).encode())])
        push(images.write_oci_layout(world.folder / f"empty{number}", [layer]), f"{world.registry}/team/empty:{number}")
    jobs = world.ended(most=4)
    assert {job["source"] for job in jobs} == {"ours"}

    def told() -> list[str]:
        lines = [line for process in world.processes for line in process.said("scan ends")]
        return sorted(line["job"] for line in lines if line["how"] == "done")

    until(lambda: len(told()) >= len(jobs))  # a line follows what it tells of
    assert told() == sorted(job["id"] for job in jobs)

    (path,) = next(job["reports"] for job in jobs if "team/demo" in job["image"])
    report = world.service.ask(path).json
    lines = {(one["name"], one["origin"], one["integrity"]) for one in report["distributions"]}
    assert {("blinker", "chainguard", "modified"), ("click", "upstream", "intact")} <= lines

    with chromium() as browser, visited(browser, world.service.url) as page:
        page.goto("/")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
        page.goto("/images")
        page.get_by_role("link").filter(has_text="team/demo:1").click()
        file = page.get_by_role("row").filter(has_text="blinker/base.py")
        assert "layer 3: COPY hotfix/" in file.inner_text()
        line = page.locator("tr.line").filter(has_text="blinker")
        assert {"1.9.0", "chainguard", "modified"} <= set(line.inner_text().split())
        page.goto("/queue")
        assert page.get_by_text("team/empty").first.is_visible()


@pytest.mark.parametrize("world", ["one machine"], indirect=True)
def test_a_payload_that_names_another_host_gets_nothing_fetched(world: World, demo_parts: Demo) -> None:
    push(demo_parts.image, f"{world.registry}/team/demo:1")
    world.ended(most=1)
    with site(lambda exchange: exchange.send(404)) as foreign:
        digest = f"sha256:{'a' * 64}"
        target = {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "repository": "team/demo",
            "url": f"{foreign.url}/v2/team/demo/manifests/{digest}",
            "tag": "1",
        }
        event = {"action": "push", "target": target, "request": {"host": foreign.host}}
        answer = world.service.ask("/webhooks/ours", {"events": [event]}, token=HOOK)
        assert answer.status == 202, answer.body
        forged = world.service.ask("/webhooks/ours", {"events": [event]}, token="x" * 20)
        assert forged.status == 403
        assert world.service.ask("/webhooks/none", {"events": [event]}, token=HOOK).status == 404
        layer = images.layer_from_entries([images.file_entry("etc/motd", b"later")])
        push(images.write_oci_layout(world.folder / "later", [layer]), f"{world.registry}/team/later:1")
        assert len(world.ended(most=2)) == 2  # whatever was queued before it has been worked on
        assert foreign.requests == []
    assert foreign.host not in json.dumps(world.service.ask("/api/v1/jobs").json)
