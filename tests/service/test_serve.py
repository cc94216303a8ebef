"""``cgscan serve`` as a process, with a real registry: an image is pushed, scanned, and asked about."""

from __future__ import annotations

import hashlib
import html
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures import images
from fixtures.demo import Demo
from scanner.service import metrics
from tests.registries import docker_registry, push
from tests.services import Running, configured, start, started, until

READ, SCAN = "r" * 20, "s" * 20


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, demo_parts: Demo) -> Iterator[str]:
    """A registry with the demo in it, as ``team/demo:1``, and an image without Python as ``team/empty:1``."""
    folder = tmp_path_factory.mktemp("registry")
    with docker_registry(folder) as host:
        push(demo_parts.image, f"{host}/team/demo:1", tag=tag_of(demo_parts.image))
        layer = images.layer_from_entries([images.file_entry("etc/motd", b"hello")])
        empty = images.write_oci_layout(folder / "empty", [layer])
        push(empty, f"{host}/team/empty:1")
        yield host


def tag_of(layout: Path) -> str:
    (one,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return str(one["annotations"]["org.opencontainers.image.ref.name"])


def indexes(demo: Demo) -> list[dict[str, str]]:
    return [
        {"name": "ours", "role": "chainguard", "path": str(demo.chainguard)},
        {"name": "theirs", "role": "upstream", "path": str(demo.pypi)},
    ]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, demo_parts: Demo) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    tokens = [
        {"name": "reader", "rights": ["read"], "sha256": hashlib.sha256(READ.encode()).hexdigest()},
        {"name": "ci", "rights": ["read", "scan"], "token_env": "CI_TOKEN"},
    ]
    top = {"indexes": indexes(demo_parts), "platform": "linux/amd64"}
    config = configured(folder, tokens=tokens, attempts=2, top=top)
    with started(folder, "serve", "--config", str(config), environment={"CI_TOKEN": SCAN}) as running:
        running.token = SCAN
        yield running


def scanned(service: Running, image: str, state: str = "done") -> Any:
    submitted = service.ask("/api/v1/scans", {"image": image})
    assert submitted.status == 202, submitted.body
    assert submitted.headers["location"] == submitted.json["url"]
    job = service.ask(f"{submitted.json['url']}?wait=60").json
    assert job["state"] == state, job
    return job


def test_an_image_from_push_to_answers(service: Running, registry: str, demo_parts: Demo) -> None:
    job = scanned(service, f"{registry}/team/demo:1")
    (path,) = job["reports"]
    report = service.ask(path).json
    assert report["target"]["digest"] == job["digest"]
    command = [sys.executable, "-m", "scanner", "scan", f"registry:{registry}/team/demo:1", "-o", "json"]
    command += ["--index", str(demo_parts.chainguard), "--upstream", str(demo_parts.pypi)]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert [line["origin"] for line in report["distributions"]] == [line["origin"] for line in said["distributions"]]
    assert report["summary"] == said["summary"]
    # the same again is the same job; another name of the digest is no second scan
    assert service.ask("/api/v1/scans", {"image": f"{registry}/team/demo:1"}).json["id"] == job["id"]
    by_digest = scanned(service, f"{registry}/team/demo@{job['digest']}")
    assert by_digest["reports"] == job["reports"]
    assert [line["how"] for line in service.said("scan ends") if line["job"] in (job["id"], by_digest["id"])] == [
        "done",
        "known",
    ]
    # across images
    names = service.ask("/api/v1/images?repository=team/demo").json["rows"]
    assert {row["tag"] for row in names} == {"", "1"}
    assert {row["coverage"] for row in names} == {report["summary"]["coverage"]}
    where = service.ask("/api/v1/distributions/Six?origin=upstream").json["rows"]
    mine = [line for line in report["distributions"] if (line["name"], line["origin"]) == ("six", "upstream")]
    assert len(where) == 2 * len(mine)
    counts = service.ask("/api/v1/distributions?search=six").json["rows"]
    assert {row["images"] for row in counts} == {2}
    (point,) = service.ask("/api/v1/coverage?repository=team/demo").json
    assert (point["reports"], point["coverage"]) == (2, report["summary"]["coverage"])
    assert len(service.ask("/api/v1/history?repository=team/demo&tag=1").json["rows"]) == 1
    assert service.ask("/api/v1/fleet").json["images"] >= 2
    seen_in_the_pages(service, path.rpartition("/")[2], report)


def seen_in_the_pages(service: Running, number: str, report: Any) -> None:
    """A reader signs in and sees every distribution of the report on its page."""
    with httpx.Client(base_url=service.url) as client:
        client.post("/login", data={"token": READ}, headers={"Origin": service.url})
        assert f"/reports/{number}" in client.get("/images?search=team/demo:1").text
        page = client.get(f"/reports/{number}").text
        assert page.count('<tbody class="row"') == len(report["distributions"])
        assert str(report["target"]["layers"][-1]["created_by"]) in html.unescape(page)
        line = report["distributions"][0]
        where = client.get(f"/distributions/{line['name']}?origin={line['origin']}").text
        assert f"/reports/{number}?search={line['name']}" in where


@pytest.mark.parametrize("form", ["table", "csv", "sarif", "cyclonedx", "spdx", "markdown", "yaml"])
def test_a_report_in_every_format(service: Running, registry: str, form: str) -> None:
    (path,) = scanned(service, f"{registry}/team/demo:1")["reports"]
    answer = service.ask(f"{path}?format={form}")
    assert answer.status == 200
    assert b"six" in answer.body


def test_pages_go_on_where_they_ended(service: Running, registry: str) -> None:
    scanned(service, f"{registry}/team/demo:1")
    path, seen = "/api/v1/distributions?most=2", []
    cursor: str | None = ""
    while cursor is not None:
        page = service.ask(path + (f"&cursor={cursor}" if cursor else "")).json
        seen += [(row["name"], row["version"], row["origin"]) for row in page["rows"]]
        cursor = page["next"]
    assert len(seen) > 4
    assert seen == sorted(set(seen))


def test_what_cannot_be_scanned_is_dead_with_its_reason(service: Running, registry: str) -> None:
    job = scanned(service, f"{registry}/team/none:1", "dead")
    assert "not found" in job["reason"] or "no such" in job["reason"]
    assert job["id"] in [row["id"] for row in service.ask("/api/v1/jobs?state=dead").json["rows"]]
    again = service.ask(f"/api/v1/jobs/{job['id']}/requeue", method="POST").json
    assert again["id"] == job["id"]
    assert service.ask(f"{job['url']}?wait=60").json["state"] == "dead"


def test_what_is_out_of_reach_is_tried_again(service: Running) -> None:
    submitted = service.ask("/api/v1/scans", {"image": "127.0.0.1:1/team/app:1"}).json
    job = until(lambda: (one := service.ask(submitted["url"]).json)["state"] == "failed" and one)
    assert job["due"] > job["started"]
    cancelled = service.ask(f"{submitted['url']}/cancel", method="POST").json
    assert cancelled["state"] == "cancelled"


@pytest.mark.parametrize(
    ("path", "body", "token", "status"),
    [
        ("/api/v1/images", None, "nobody" * 4, 401),
        ("/metrics", None, "nobody" * 4, 401),
        ("/api/v1/scans", {"image": "r.example/a:1"}, READ, 403),
        ("/api/v1/scans", {"image": "dir:/etc"}, SCAN, 422),
        ("/api/v1/scans", {"image": "r.example/a:1", "x": 1}, SCAN, 422),
        ("/api/v1/scans", {"image": "A B"}, SCAN, 422),
        ("/api/v1/scans", b"{", SCAN, 422),
        ("/api/v1/scans", b"x" * 1_100_000, SCAN, 413),
        ("/api/v1/images?cursor=xx", None, READ, 422),
        ("/api/v1/images?cursor=WzFd", None, READ, 422),
        ("/api/v1/images?most=0", None, READ, 422),
        ("/api/v1/jobs/" + "0" * 32, None, READ, 404),
        ("/api/v1/reports/999999", None, READ, 404),
        ("/nowhere", None, READ, 404),
        ("/healthz", None, "nobody" * 4, 200),
    ],
)
def test_refusals(service: Running, path: str, body: Any, token: str, status: int) -> None:
    answer = service.ask(path, body, token=token)
    assert answer.status == status, answer.body
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["status"] == status
        assert "Traceback" not in answer.body.decode()


def test_health_and_metrics(service: Running, registry: str) -> None:
    scanned(service, f"{registry}/team/empty:1")
    assert service.ask("/readyz").json == {"status": "ok", "parts": {}}
    text = service.ask("/metrics").body.decode()
    for name in (
        "cgscan_jobs{state",
        "cgscan_scan_seconds_bucket",
        "cgscan_layer_bytes_read",
        "cgscan_coverage_percent",
    ):
        assert name in text


def test_no_secret_is_logged(service: Running, registry: str) -> None:
    service.ask("/api/v1/scans", {"image": f"user:{SCAN}@{registry}/x:1"})
    said = service.log.read_text()
    assert READ not in said
    assert SCAN not in said


def test_stopped_in_good_order(tmp_path: Path, registry: str, demo_parts: Demo) -> None:
    config = configured(tmp_path, top={"indexes": indexes(demo_parts), "platform": "linux/amd64"})
    running = start(tmp_path, "serve", "--config", str(config))
    try:
        job = running.ask("/api/v1/scans", {"image": f"{registry}/team/demo:1"}).json
        until(lambda: running.said("scan begins"))
        assert running.stop() == 0
        assert [line["how"] for line in running.said("scan ends")] == ["done"]
        assert running.lines()[-1]["event"] == "stopped"
    finally:
        running.process.kill()
    with started(tmp_path, "serve", "--config", str(config)) as again:
        assert again.ask(job["url"]).json["state"] == "done"


def test_a_service_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    config = configured(tmp_path, listen="0.0.0.0:0")
    command = [sys.executable, "-m", "scanner", "serve", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"HOME": str(tmp_path), "PATH": ""})
    assert done.returncode == 2
    assert "there has to be a token" in done.stderr
    assert done.stderr.count("\n") == 2


def test_without_the_extra_it_is_said_in_a_line(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'sqlalchemy' else real(n, *a)\n"
        "from scanner.cli import main; sys.exit(main(['serve']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "cgscan: error: the service is not installed: no sqlalchemy",
        "hint: pip install 'cgscan[serve]'",
    ]


def test_who_asks_a_worker_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PATIENCE", 0.1)
    port = metrics.Metrics().serve("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as silent:
        silent.sendall(b"GET / HTT")
        assert silent.recv(1) == b""
    assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200


def test_a_worker_tells_prometheus_what_it_did(tmp_path: Path, registry: str, demo_parts: Demo) -> None:
    """Counters of its own, and nothing that every worker would say of the whole fleet."""
    config = configured(tmp_path, workers=1, top={"indexes": indexes(demo_parts), "platform": "linux/amd64"})
    words = ["--config", str(config)]
    with (
        started(tmp_path, "serve", *words, "--no-workers") as server,
        started(tmp_path, "worker", *words, "--metrics", "127.0.0.1:0") as worker,
    ):
        assert scanned(server, f"{registry}/team/demo:1")["state"] == "done"
        (ready,) = worker.said("ready")
        until(lambda: 'cgscan_jobs_ended_total{how="done"} 1.0' in httpx.get(ready["metrics"]).text)
        text = httpx.get(ready["metrics"]).text
        assert "cgscan_scan_seconds_count 1.0" in text
        assert "cgscan_images" not in text
        fleet = server.ask("/metrics").body.decode()
        assert "cgscan_images 1.0" in fleet
        assert "cgscan_scan_seconds_count 0.0" in fleet
    with started(tmp_path, "serve", *words, "--no-workers") as server:
        busy = ["--metrics", server.url.removeprefix("http://")]
        for command in (["worker", *words, *busy], ["serve", *words, "--listen", busy[1]]):
            done = subprocess.run(
                [sys.executable, "-m", "scanner", *command], capture_output=True, text=True, check=False
            )
            assert done.returncode == 2
            said, hint = done.stderr.splitlines()
            assert said == f"cgscan: error: cannot listen at {busy[1]}: Address already in use"
            assert hint.endswith("takes another address")
