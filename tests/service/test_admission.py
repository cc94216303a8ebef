"""``POST /admit`` within the process: which objects, which rules, what is said, and that it is said in time."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scanner.distribution import Finding, FindingKind
from scanner.errors import ConfigError
from scanner.reference import ImageName
from scanner.report import Report
from scanner.service import jobs
from scanner.service.admission import gate
from scanner.service.admission.lookup import Lookup
from scanner.service.admission.workloads import TEMPLATES
from scanner.service.jobs import Priority
from tests.reports import a_line, a_report, verified_line
from tests.service.inside import Inside, inside, long, token

DIGEST = f"sha256:{'ab' * 32}"
GOOD = f"r.example/shop/web@{DIGEST}"
OTHER = f"sha256:{'cd' * 32}"
STRICT = {"mode": "enforce", "unknown": "deny"}
POLICY = {"policy": {"min_coverage": 80, "fail_on": ["planted-sbom"]}}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is waited for, except where the waiting is what is tested."""
    monkeypatch.setattr(gate, "REST", 30.0)


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Inside]:
    """Everything is enforced, but for a few namespaces."""
    rules = [
        {"names": "kube-*", "mode": False},
        {"names": "warned", "mode": "warn", "unknown": "deny"},
        {"names": "half", "mode": "enforce", "min_coverage": 50},
        {"names": "free", "mode": "enforce", "failing": "allow", "tags": "deny"},
        {"names": "fresh", "mode": "enforce", "unknown": "deny", "max_age_hours": 24},
        {"names": "exempt", **STRICT, "exempt": ["r.example/base/**", "docker.io/library/*"]},
    ]
    section = {"namespaces": rules, "default": STRICT, "resolve_seconds": 0.2, "images": 4}
    with inside(
        tmp_path, top=POLICY, admission=section, registries=["r.example"], url="https://cgscan.example"
    ) as found:
        yield found


def pod(*images: str, **more: Any) -> dict[str, Any]:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {"spec": {"containers": containers, **more}}


def review(value: Any, *, kind: tuple[str, str] = ("", "Pod"), **more: Any) -> dict[str, Any]:
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": kind[0], "version": "v1", "kind": kind[1]},
        "operation": "CREATE",
        "namespace": "shop",
        "object": value,
        **more,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def asked(service: Inside, value: Any, **more: Any) -> dict[str, Any]:
    """The response to a review."""
    answer = service.ask("/admit?timeout=3s", review(value, **more))
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert (document["apiVersion"], document["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: dict[str, Any] = document["response"]
    assert response["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert ("status" in response) is not response["allowed"]
    assert all(len(warning) <= 256 for warning in response["warnings"])
    return response


def message(response: dict[str, Any]) -> str:
    assert response["status"]["code"] == 403
    return str(response["status"]["message"])


def half() -> Any:
    """A report of coverage 50."""
    return a_report(verified_line(), a_line())


def fresh(report: Report, *, days: int = 0) -> Report:
    """The same, scanned so many days ago."""
    return replace(report, scanned_at=(datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ"))


# -- what is known


def test_what_holds_is_allowed_and_what_does_not_says_why(strict: Inside) -> None:
    strict.keep(a_report(verified_line()), digest=DIGEST)
    assert asked(strict, pod(GOOD))["allowed"]
    finding = Finding(kind=FindingKind.PLANTED_SBOM, path="/app/x", layer=1, detail="not Chainguard's")
    (number,) = strict.keep(replace(half(), findings=(finding,)), digest=OTHER)
    response = asked(strict, pod(GOOD, f"r.example/shop/db@{OTHER}"))
    assert message(response) == (
        f"cgscan: container c1: r.example/shop/db@{OTHER}: coverage is 50 %, the policy asks for 80 %; not verified: "
        "requests 2.31.0; 1 finding of kind planted-sbom: /app/x; "
        f"report: https://cgscan.example/api/v1/reports/{number}"
    )
    assert response["auditAnnotations"] == {
        "verdict": "deny",
        "mode": "enforce",
        "images": "2",
        "unknown": "0",
        "failing": "1",
    }
    assert strict.jobs() == []


def test_the_rule_of_the_namespace_counts(strict: Inside) -> None:
    strict.keep(half(), digest=DIGEST)
    assert not asked(strict, pod(GOOD))["allowed"]
    assert asked(strict, pod(GOOD), namespace="half")["allowed"]
    off = asked(strict, pod("r.example/none:1"), namespace="kube-system")
    assert (off["allowed"], off["auditAnnotations"]) == (True, {"verdict": "allow", "mode": "off"})
    warned = asked(strict, pod(GOOD), namespace="warned")
    assert warned["allowed"]
    assert warned["warnings"][0].startswith(f"cgscan: container c0: {GOOD}: coverage is 50 %")
    assert asked(strict, pod(GOOD), namespace="free")["allowed"]
    tagged = asked(strict, pod("r.example/shop/web:1"), namespace="free")
    assert message(tagged).endswith("named by a tag, which may come to mean another image; write its digest")


def test_what_is_exempt_is_not_looked_at(strict: Inside) -> None:
    assert asked(strict, pod("r.example/base/a/b:1", "nginx", "redis:7"), namespace="exempt")["allowed"]
    assert "c1" in message(asked(strict, pod("nginx", "quay.io/x/y:1"), namespace="exempt"))
    assert strict.jobs() == []


def test_every_platform_has_to_hold(strict: Inside) -> None:
    good, bad = a_report(verified_line()), half()
    other = replace(bad, target=replace(bad.target, platform="linux/arm64"))
    strict.keep(good, other, digest=DIGEST)
    said = message(asked(strict, pod(GOOD)))
    assert "linux/arm64: coverage is 50 %" in said
    assert said.endswith("(1 of 2 platforms)")


def test_a_manifest_of_an_index_has_its_own_report(strict: Inside) -> None:
    good, bad = a_report(verified_line()), half()
    child = fresh(replace(good, target=replace(good.target, digest=OTHER)))
    other = replace(bad, target=replace(bad.target, platform="linux/arm64"))
    strict.keep(child, fresh(other), digest=DIGEST)
    assert asked(strict, pod(f"r.example/shop/web@{OTHER}"))["allowed"]
    assert not asked(strict, pod(GOOD))["allowed"]


def test_an_older_result_counts_for_a_while_and_says_its_age(strict: Inside) -> None:
    old = fresh(half(), days=3)
    old = replace(old, target=replace(old.target, digest=DIGEST))
    strict.keep(old, digest=DIGEST, circumstances="before")
    assert message(asked(strict, pod(GOOD))).endswith("(scanned 3 days ago, before indexes or settings changed)")
    assert strict.jobs() == []
    said = message(asked(strict, pod(GOOD), namespace="fresh"))
    assert "its last scan was 3 days ago; queued: https://cgscan.example/api/v1/jobs/" in said
    strict.keep(a_report(verified_line()), digest=DIGEST)
    assert asked(strict, pod(GOOD), namespace="fresh")["allowed"]


def test_an_older_result_of_an_index_is_found_by_its_job(strict: Inside) -> None:
    wanted = jobs.Wanted(image=ImageName.parse(GOOD), source="t", priority=Priority.PUSH, circumstances="before")
    ((job, _),) = jobs.submit(strict.service.database, [wanted], most_waiting=10)
    claimed = jobs.claim(strict.service.database, "w", attempts=5, lease=30)
    assert claimed is not None
    assert claimed.id == job.id
    jobs.finish(strict.service.database, claimed, [fresh(a_report(verified_line())), fresh(half())], digest=DIGEST)
    assert "(1 of 2 platforms)" in message(asked(strict, pod(GOOD)))


# -- what is not known


def test_an_unknown_image_is_queued_before_all_others_and_answered_by_the_rule(strict: Inside) -> None:
    said = message(asked(strict, pod(GOOD)))
    (job,) = strict.jobs()
    assert said == (
        f"cgscan: container c0: {GOOD}: no result that counts: not scanned yet; "
        f"queued: https://cgscan.example/api/v1/jobs/{job.id}"
    )
    assert (job.digest, job.priority, job.source) == (DIGEST, Priority.DEPLOY, "admission")
    response = asked(strict, pod(GOOD), namespace="half")
    assert response["allowed"]
    assert response["warnings"] == []
    assert response["auditAnnotations"]["unknown"] == "1"
    assert len(strict.jobs()) == 1


def test_a_dry_run_queues_nothing(strict: Inside) -> None:
    assert message(asked(strict, pod(GOOD), dryRun=True)).endswith("not scanned yet (not queued: a dry run)")
    assert strict.jobs() == []


def test_what_somebody_cancelled_is_not_queued_each_time(strict: Inside) -> None:
    asked(strict, pod(GOOD))
    (job,) = strict.jobs()
    jobs.cancel(strict.service.database, job.id)
    assert message(asked(strict, pod(GOOD))).endswith("its scan came to nothing: cancelled")
    assert len(strict.jobs()) == 1


def test_what_waits_for_its_index_waits_no_longer(strict: Inside) -> None:
    image, now = ImageName.parse(GOOD), strict.service.circumstances()
    pushed = jobs.Wanted(image=image, source="hook", priority=Priority.PUSH, circumstances=now, delay=600)
    ((job, _),) = jobs.submit(strict.service.database, [pushed], most_waiting=10)
    assert jobs.claim(strict.service.database, "w", attempts=5, lease=30) is None
    asked(strict, pod(GOOD))
    claimed = jobs.claim(strict.service.database, "w", attempts=5, lease=30)
    assert claimed is not None
    assert (claimed.id, claimed.priority) == (job.id, Priority.DEPLOY)
    tagged = jobs.Wanted(
        image=ImageName.parse("r.example/shop/web:1"), source="hook", priority=Priority.PUSH, circumstances=now
    )
    jobs.submit(strict.service.database, [tagged], most_waiting=10)  # it may be the index
    assert jobs.settle_digest(strict.service.database, claimed, DIGEST)


def test_what_nothing_came_of_says_why_and_is_not_queued_each_time(strict: Inside) -> None:
    asked(strict, pod(GOOD))
    claimed = jobs.claim(strict.service.database, "w", attempts=5, lease=30)
    assert claimed is not None
    jobs.give_up(strict.service.database, claimed, "the layer is no tar")
    assert message(asked(strict, pod(GOOD))).endswith("its scan came to nothing: the layer is no tar")
    assert len(strict.jobs()) == 1


def test_a_foreign_host_is_never_asked(strict: Inside) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        said = message(asked(strict, pod(f"{host}/a:1", f"{host}/a@{DIGEST}", "nginx")))
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert said.count(f"{host} is none of serve.registries") == 2
    assert "docker.io is none of serve.registries" in said
    assert strict.jobs() == []
    strict.keep(a_report(verified_line()), digest=DIGEST)  # a digest is the same everywhere
    assert asked(strict, pod(f"{host}/a@{DIGEST}"))["allowed"]


def test_a_registry_that_never_answers_makes_an_image_unknown(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        section = {"default": STRICT, "resolve_seconds": 0.1}
        with inside(tmp_path, admission=section) as service:
            service.keep(a_report(verified_line()), digest=DIGEST)
            response = asked(service, pod(f"{host}/a:1", GOOD, f"{host}/a:1"))
            (job,) = service.jobs()
    assert message(response) == (
        f"cgscan: container c0, container c2: {host}/a:1: no result that counts: not resolved in time; "
        f"queued: /api/v1/jobs/{job.id}"
    )
    assert (job.name, job.priority) == (f"{host}/a:1", Priority.DEPLOY)


def test_a_database_that_never_answers_makes_no_review_late(strict: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on = threading.Event()
    monkeypatch.setattr(Lookup, "result", lambda *_, **__: going_on.wait(60))
    monkeypatch.setattr(gate, "REST", 0.01)
    try:
        said = message(asked(strict, pod(GOOD, "r.example/a:1")))
    finally:
        going_on.set()
    assert f"{GOOD}: no result that counts: not looked up in time" in said
    assert "r.example/a:1: no result that counts: not resolved in time" in said


def test_it_is_answered_before_nobody_waits_any_more(strict: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "REST", 0.4)
    waited: list[float] = []

    async def noted(awaited: Awaitable[Any], seconds: float) -> Any:  # times are compared, not measured
        waited.append(round(seconds, 3))
        return await asyncio.wait({asyncio.ensure_future(awaited)}, timeout=seconds)

    monkeypatch.setattr(asyncio, "wait_for", noted)
    said = ("10s", "200ms", "0.1s", "0m0.1s", "", "10", "-1s", "1e9s", "s")
    for timeout in said:
        assert strict.ask(f"/admit?timeout={timeout}", review(pod(GOOD))).status_code == 200
    assert waited == [0.6, 0.18, 0.09, 0.09, 0.6, 0.6, 0.6, 0.6, 0.6]


def test_what_is_no_name_and_one_too_many(strict: Inside) -> None:
    said = message(asked(strict, pod("Not A Name", *(f"r.example/a@sha256:{number:064x}" for number in range(5)))))
    assert "not an image name" in said
    assert said.count("one image too many (serve.admission.images)") == 2
    assert len(strict.jobs()) == 3


def test_nothing_moves_a_cursor(strict: Inside) -> None:
    value = {"spec": {"containers": [{"name": "a\x1b[2J", "image": "\u202eB\n"}]}}
    said = message(asked(strict, value))
    assert said.isprintable()
    assert "\\x1b" in said


# -- which objects


def template(kind: tuple[str, str], spec: Any) -> Any:
    value = spec
    for step in reversed(TEMPLATES[kind]):
        value = {step: value}
    return value


@pytest.mark.parametrize("kind", TEMPLATES, ids=lambda kind: kind[1])
def test_every_kind_that_holds_pods(strict: Inside, kind: tuple[str, str]) -> None:
    assert "c0" in message(asked(strict, template(kind, pod(GOOD)["spec"]), kind=kind))


def test_every_place_of_a_pod(strict: Inside) -> None:
    names = [f"r.example/{word}@{DIGEST}" for word in ("init", "main", "late", "data")]
    spec = {
        "initContainers": [{"name": "a", "image": names[0]}],
        "containers": [{"name": "b", "image": names[1]}, {"name": "none"}, {"name": "empty", "image": ""}],
        "ephemeralContainers": [{"name": "c", "image": names[2]}],
        "volumes": [{"name": "d", "image": {"reference": names[3]}}, {"name": "e", "emptyDir": {}}],
    }
    said = message(asked(strict, {"spec": spec}))
    for what, name in zip(("init container a", "container b", "ephemeral container c", "volume d"), names, strict=True):
        assert f"{what}: {name}" in said


def test_an_ephemeral_container_that_is_added(strict: Inside) -> None:
    debug = {"ephemeralContainers": [{"name": "debug", "image": "r.example/debug:1"}]}
    more = {"operation": "UPDATE", "oldObject": pod(GOOD), "subResource": "ephemeralcontainers"}
    said = message(asked(strict, pod(GOOD, **debug), **more))
    assert "ephemeral container debug" in said
    assert "container c0" not in said


def test_a_change_of_other_things_passes(strict: Inside) -> None:
    kind = ("apps", "Deployment")
    before, after = template(kind, pod(GOOD)["spec"]), template(kind, pod(GOOD)["spec"])
    after["spec"]["replicas"] = 7
    assert asked(strict, after, kind=kind, operation="UPDATE", oldObject=before)["allowed"]
    after = template(kind, pod(f"r.example/shop/web@{OTHER}")["spec"])
    assert not asked(strict, after, kind=kind, operation="UPDATE", oldObject=before)["allowed"]


@pytest.mark.parametrize(
    "more",
    [
        {"operation": "DELETE", "object": None, "oldObject": pod(GOOD)},
        {"operation": "CONNECT", "object": {"command": ["sh"]}},
        {"kind": {"group": "", "version": "v1", "kind": "Service"}},
        {"kind": {"group": "other.example", "version": "v1", "kind": "Deployment"}},
        {"object": {"spec": {}}},
        {"object": {}},
        {"object": None},
    ],
)
def test_what_names_no_image_passes(strict: Inside, more: dict[str, Any]) -> None:
    document = review(pod(GOOD))
    document["request"].update(more)
    answer = strict.ask("/admit", document)
    assert (answer.status_code, answer.json()["response"]["allowed"]) == (200, True)
    assert strict.jobs() == []


# -- what is no review


@pytest.fixture(scope="module")
def open_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    section = {"default": STRICT, "resolve_seconds": 0.05}
    with inside(tmp_path_factory.mktemp("open"), admission=section, registries=["r.example"]) as found:
        yield found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"apiVersion":"admission.k8s.io/v1","apiVersion":"x"}',
        b"\xff\xfe",
        json.dumps({**review(pod(GOOD)), "apiVersion": "admission.k8s.io/v1beta1"}).encode(),
        json.dumps({**review(pod(GOOD)), "request": []}).encode(),
        json.dumps(review(pod(GOOD), uid="")).encode(),
        json.dumps(review(pod(GOOD), uid=7)).encode(),
        json.dumps(review(pod(GOOD), operation="PATCH")).encode(),
        json.dumps(review(pod(GOOD), dryRun="yes")).encode(),
        json.dumps(review(pod(GOOD), namespace={})).encode(),
        json.dumps(review({"spec": {"containers": {}}})).encode(),
        json.dumps(review({"spec": {"containers": [7]}})).encode(),
        json.dumps(review({"spec": {"containers": [{"name": "a", "image": ["x"]}]}})).encode(),
        json.dumps(review({"spec": "x"})).encode(),
        json.dumps(review({"spec": {"containers": [{}] * 1001}})).encode(),
    ],
    ids=range(20),
)
def test_what_is_no_review_is_a_400(open_gate: Inside, body: bytes) -> None:
    answer = open_gate.ask("/admit", body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answer.text


def test_a_body_is_bounded(strict: Inside) -> None:
    padded = review(pod(GOOD))
    padded["request"]["object"]["metadata"] = {"managedFields": "x" * (3 * 1024 * 1024)}
    assert strict.ask("/admit", padded).status_code == 200
    assert strict.ask("/admit", b" " * (8 * 1024 * 1024 + 1)).status_code == 413


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@example(path=(), value=None)
@example(path=("object", "spec", "containers", 0, "image"), value="r.example/a\0b")
@given(
    path=st.sampled_from(
        [
            ("uid",),
            ("kind",),
            ("kind", "kind"),
            ("namespace",),
            ("operation",),
            ("object",),
            ("object", "spec"),
            ("object", "spec", "containers"),
            ("object", "spec", "containers", 0),
            ("object", "spec", "containers", 0, "image"),
            ("object", "spec", "containers", 0, "name"),
            ("object", "spec", "volumes"),
        ]
    ),
    value=JSON,
)
def test_any_shape_has_an_answer(open_gate: Inside, path: tuple[Any, ...], value: Any) -> None:
    document = review(pod("r.example/a"))
    place: Any = document["request"]
    for step in path[:-1]:
        place = place[step]
    if path:
        place[path[-1]] = value
    answer = open_gate.ask("/admit", document)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        assert answer.json()["response"]["uid"] == document["request"]["uid"]


# -- who may ask


def test_who_may_ask(tmp_path: Path) -> None:
    tokens = [token("reader", "read"), token("scans", "scan"), token("admits", "admit")]
    with inside(tmp_path, tokens=tokens) as service:
        body = review(pod())

        def status(header: str) -> int:
            return service.ask("/admit", body, Authorization=header).status_code

        assert service.ask("/admit", body).status_code == 401
        assert status(f"Bearer {long('nobody')}") == 401
        assert status(f"Bearer {long('reader')}") == 403
        assert status(f"Bearer {long('scans')}") == 200
        assert status(f"Bearer {long('admits')}") == 200
        basic = base64.b64encode(f"kubernetes:{long('admits')}".encode()).decode()
        assert status(f"Basic {basic}") == 200
        assert status("Basic %%%") == 401
        assert service.ask("/api/v1/images", Authorization=f"Bearer {long('admits')}").status_code == 403


def test_without_a_token_only_where_registries_are_named(tmp_path: Path) -> None:
    section = {"anonymous": True}
    with inside(tmp_path, tokens=[token("a", "read")], registries=["r.example"], admission=section) as service:
        assert service.ask("/admit", review(pod())).status_code == 200
        assert service.ask("/api/v1/images").status_code == 401
    with pytest.raises(ConfigError, match=r"name serve\.registries"), inside(tmp_path, admission=section):
        pass
