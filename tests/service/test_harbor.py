"""Harbor uses the service as a scanner: what it asks, what it is answered, and that it gets no further than its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest

from fixtures import images
from fixtures.demo import Demo
from scanner.distribution import Finding, FindingKind
from scanner.report import Integrity, Report
from scanner.service import jobs
from scanner.service.jobs import Priority
from tests.registries import docker_registry, push
from tests.reports import LIBRARIES, PYPI, a_line, a_report, verified_line
from tests.service.inside import Inside, inside, long, token
from tests.services import Running, configured, started, until

DIGEST: Final = f"sha256:{'ab' * 32}"
OCI: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER: Final = "application/vnd.docker.distribution.manifest.v2+json"
METADATA: Final = "application/vnd.scanner.adapter.metadata+json"
REQUEST: Final = "application/vnd.scanner.adapter.scan.request+json; version=1.1"
RESPONSE: Final = "application/vnd.scanner.adapter.scan.response+json; version=1.0"
ERROR: Final = "application/vnd.scanner.adapter.error+json; version=1.0"
REPORT: Final = "application/vnd.security.vulnerability.report; version=1.1"
OLD_REPORT: Final = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"
SBOM: Final = "application/vnd.security.sbom.report+json; version=1.0"
SECRET: Final = "hunter2-of-the-registry"

TEXT: Final = {"type": "string", "minLength": 1}
SCANNER: Final = {"type": "object", "required": ["name", "vendor", "version"], "additionalProperties": TEXT}
SEVERITY: Final = {"enum": ["Unknown", "Negligible", "Low", "Medium", "High", "Critical", "None"]}
HEAD: Final = {
    "generated_at": {"type": "string", "format": "date-time"},
    "artifact": {"type": "object", "required": ["repository", "digest"], "additionalProperties": TEXT},
    "scanner": SCANNER,
}
ENTRY: Final = {
    "type": "object",
    "required": ["id", "package", "version", "severity", "description", "links"],
    "additionalProperties": False,
    "properties": {
        "id": TEXT,
        "package": TEXT,
        "version": {"type": "string"},
        "fix_version": {"type": "string"},
        "severity": SEVERITY,
        "description": TEXT,
        "links": {"type": "array", "items": {"type": "string", "format": "uri"}},
        "vendor_attributes": {"type": "object"},
    },
}
OF_VULNERABILITIES: Final = {
    "type": "object",
    "required": [*HEAD, "severity", "vulnerabilities"],
    "additionalProperties": False,
    "properties": {**HEAD, "severity": SEVERITY, "vulnerabilities": {"type": "array", "items": ENTRY}},
}
OF_SBOM: Final = {
    "type": "object",
    "required": [*HEAD, "media_type", "sbom"],
    "additionalProperties": False,
    "properties": {**HEAD, "media_type": TEXT, "sbom": {"type": "object"}, "vendor_attributes": {"type": "object"}},
}
"""The shapes of the specification, versions 1.1 and 1.2."""


def wanted(host: str = "h.example", **changes: Any) -> dict[str, Any]:
    """What Harbor posts."""
    artifact = {"repository": "team/app", "digest": DIGEST, "tag": "1", "mime_type": OCI, "size": 1234}
    registry = {"url": f"https://{host}", "authorization": f"Bearer {SECRET}", "insecure": False}
    return {
        "registry": registry | changes.pop("registry", {}),
        "artifact": artifact | changes.pop("artifact", {}),
        **changes,
    }


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Inside]:
    ours = {"name": "main", "registry": "h.example", "known_as": ["core:8080", "[::1]:5000"]}
    other = {"name": "other", "registry": "o.example", "severities": {"upstream": "Low", "modified": "Critical"}}
    with inside(tmp_path, harbor=[ours, other], url="https://cgscan.example") as found:
        yield found


def posted(service: Inside, body: Any, *, name: str = "main") -> httpx.Response:
    return service.ask(f"/harbor/{name}/api/v1/scan", body, Content_Type=REQUEST)


def asked(service: Inside, job: str, *, accept: str = REPORT, name: str = "main", query: str = "") -> httpx.Response:
    return service.ask(f"/harbor/{name}/api/v1/scan/{job}/report{query}", Accept=accept)


def accepted(service: Inside, body: Any, *, name: str = "main") -> str:
    answer = posted(service, body, name=name)
    assert (answer.status_code, answer.headers["content-type"]) == (202, RESPONSE), answer.text
    return str(answer.json()["id"])


def done(service: Inside, report: Report, *, name: str = "main", host: str = "h.example") -> str:
    """The id of a scan that has ended with a report."""
    job = accepted(service, wanted(host), name=name)
    claimed = jobs.claim(service.service.database, "w", attempts=5, lease=30)
    assert claimed is not None
    jobs.finish(service.service.database, claimed, [report], digest=DIGEST)
    return job


def refused(answer: httpx.Response, status: int) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, ERROR), answer.text
    assert SECRET not in answer.text
    return str(answer.json()["error"]["message"])


# -- what is asked


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_metadata(service: Inside, version: str) -> None:
    answer = service.ask("/harbor/main/api/v1/metadata", Accept=f"{METADATA}; version={version}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{METADATA}; version={version}")
    said = answer.json()
    jsonschema.validate(said["scanner"], SCANNER)
    of = {one["type"]: one for one in said["capabilities"]}
    assert set(of) == {"vulnerability", "sbom"}
    assert all(DOCKER in one["consumes_mime_types"] for one in of.values())
    assert of["vulnerability"]["produces_mime_types"] == [REPORT, OLD_REPORT]
    assert of["sbom"]["produces_mime_types"] == [SBOM]
    assert of["sbom"]["additional_attributes"]["sbom_media_types"]


def test_a_scan_is_a_job_and_the_same_again_is_the_same(service: Inside) -> None:
    job = accepted(service, wanted())
    assert accepted(service, wanted()) == job
    (queued,) = service.jobs()
    assert (queued.id, queued.name) == (job, f"h.example/team/app@{DIGEST}")
    assert (queued.priority, queued.source) == (Priority.REQUEST, "harbor main")


@pytest.mark.parametrize(
    "url",
    ["https://h.example", "https://H.EXAMPLE:443/", "http://core:8080", "http://[::1]:5000", "https://u:p@h.example"],
)
def test_the_registry_is_that_of_the_configuration(service: Inside, url: str) -> None:
    accepted(service, wanted(registry={"url": url}))
    assert [job.registry for job in service.jobs()] == ["h.example"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"registry": {"url": "https://evil.example"}}, 422),
        ({"registry": {"url": "https://h.example:8443"}}, 422),
        ({"registry": {"url": "https://h.example@evil.example"}}, 422),
        ({"registry": {"url": "https://[::1"}}, 422),
        ({"registry": {"url": None}}, 422),
        ({"registry": {"url": 7}}, 400),
        ({"artifact": {"mime_type": "application/vnd.cncf.helm.config.v1+json"}}, 422),
        ({"artifact": {"digest": "latest"}}, 422),
        ({"artifact": {"digest": None}}, 422),
        ({"artifact": {"repository": "../x"}}, 422),
        ({"artifact": {"repository": "evil.example/a@sha256:0"}}, 422),
        ({"artifact": {"repository": ""}}, 400),
        ({"enabled_capabilities": [{"type": "licence"}]}, 501),
        ({"enabled_capabilities": {}}, 400),
        ({"enabled_capabilities": [7]}, 400),
    ],
)
def test_what_makes_no_sense_or_is_anothers(service: Inside, changes: dict[str, Any], status: int) -> None:
    assert refused(posted(service, wanted(**changes)), status)
    assert service.jobs() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 50_000, b'{"registry": 1}', b"\xff"])
def test_what_is_no_request(service: Inside, body: bytes) -> None:
    assert refused(posted(service, body), 400)


def test_a_full_queue(tmp_path: Path) -> None:
    with inside(tmp_path, harbor=[{"name": "main", "registry": "h.example"}], most_waiting=1) as service:
        accepted(service, wanted())
        other = wanted(artifact={"digest": f"sha256:{'cd' * 32}"})
        assert "full" in refused(posted(service, other), 503)


# -- what it is answered


def test_while_it_runs_it_is_to_ask_again(service: Inside) -> None:
    job = accepted(service, wanted())
    for claim in (False, True):
        if claim:
            assert jobs.claim(service.service.database, "w", attempts=5, lease=30) is not None
        answer = asked(service, job)
        assert answer.status_code == 302
        assert "location" not in answer.headers
        assert 0 < int(answer.headers["refresh-after"]) < 128


def test_a_report(service: Inside) -> None:
    changed = a_line("flask", "3.0.2", integrity=Integrity.MODIFIED)
    finding = Finding(kind=FindingKind.STALE_METADATA, path="/app/x", layer=1, detail="two versions\x1b[2J")
    report = a_report(verified_line(), a_line(), changed, a_line("old", hidden=True), findings=[finding])
    job = done(service, report)
    answer = asked(service, job)
    assert (answer.status_code, answer.headers["content-type"]) == (200, REPORT)
    said = answer.json()
    jsonschema.validate(said, OF_VULNERABILITIES)
    assert said["artifact"] == {"repository": "team/app", "digest": DIGEST}
    assert [(one["id"], one["package"], one["severity"]) for one in said["vulnerabilities"]] == [
        ("CGSCAN-UPSTREAM", "requests", "Unknown"),
        ("CGSCAN-MODIFIED", "flask", "High"),
        ("CGSCAN-STALE-METADATA", "/app/x", "Low"),
    ]
    assert said["severity"] == "High"
    (number,) = {link for one in said["vulnerabilities"] for link in one["links"]}
    assert number.startswith("https://cgscan.example/api/v1/reports/")
    old = asked(service, job, accept=OLD_REPORT)
    assert (old.headers["content-type"], old.json()) == (OLD_REPORT, said)


def test_a_report_without_entries(service: Inside) -> None:
    said = asked(service, done(service, a_report(verified_line()))).json()
    jsonschema.validate(said, OF_VULNERABILITIES)
    assert (said["severity"], said["vulnerabilities"]) == ("None", [])


def test_severities_of_the_configuration(service: Inside) -> None:
    report = a_report(a_line(), a_line("flask", integrity=Integrity.MODIFIED))
    said = asked(service, done(service, report, name="other", host="o.example"), name="other").json()
    assert [one["severity"] for one in said["vulnerabilities"]] == ["Low", "Critical"]
    assert said["severity"] == "Critical"


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("", "application/vnd.cyclonedx+json"),
        ("?sbom_media_type=application/vnd.cyclonedx%2Bjson", "application/vnd.cyclonedx+json"),
        ("?sbom_media_type=application/spdx%2Bjson", "application/spdx+json"),
    ],
)
def test_an_sbom(service: Inside, query: str, kind: str) -> None:
    job = done(service, a_report(verified_line(), a_line("flask"), indexes=(LIBRARIES, PYPI)))
    answer = asked(service, job, accept=SBOM, query=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, SBOM)
    said = answer.json()
    jsonschema.validate(said, OF_SBOM)
    assert said["media_type"] == kind
    assert ("spdxVersion" in said["sbom"], "bomFormat" in said["sbom"]) == (
        kind.startswith("application/s"),
        "cyc" in kind,
    )
    assert "flask" in json.dumps(said["sbom"])


def test_what_is_not_to_be_had(service: Inside) -> None:
    job = accepted(service, wanted())
    assert refused(asked(service, job, accept="text/html"), 501)
    assert refused(asked(service, job, accept=SBOM, query="?sbom_media_type=text/x"), 501)
    for unknown in ("0" * 32, "x", "é" * 32):
        assert refused(asked(service, unknown), 404)
    assert refused(asked(service, job, name="other"), 404)  # it is another registry's
    claimed = jobs.claim(service.service.database, "w", attempts=5, lease=30)
    assert claimed is not None
    jobs.give_up(service.service.database, claimed, "the layer is no tar")
    assert refused(asked(service, job), 500) == "the scan came to nothing: the layer is no tar"


# -- who may ask


def test_who_may_ask(tmp_path: Path) -> None:
    tokens = [token("reads", "read"), token("scans", "scan")]
    with inside(tmp_path, harbor=[{"name": "main", "registry": "h.example"}], tokens=tokens) as service:

        def status(**headers: str) -> int:
            return service.ask("/harbor/main/api/v1/metadata", **headers).status_code

        assert status() == 401
        assert status(Authorization=f"Bearer {long('nobody')}") == 401
        assert status(Authorization=f"Bearer {long('reads')}") == 403
        assert status(Authorization=f"Bearer {long('scans')}") == 200
        basic = base64.b64encode(f"harbor:{long('scans')}".encode()).decode()
        assert status(Authorization=f"Basic {basic}") == 200
        assert status(X_ScannerAdapter_API_Key=long("scans")) == 200
        assert status(X_ScannerAdapter_API_Key="x") == 401
        assert service.ask("/harbor/none/api/v1/metadata", Authorization=f"Bearer {long('scans')}").status_code == 404
        assert posted(service, wanted()).status_code == 401
        assert service.jobs() == []


# -- from a push to a report, and before a deploy


@dataclass(kw_only=True)
class FakeHarbor:
    """Harbor's client as its source has it: no redirects, 5 seconds for a call, ``Refresh-After`` below 128."""

    url: str
    key: str
    calls: list[int] = field(default_factory=list)

    def call(self, method: str, path: str, *, accept: str, body: Any = None) -> httpx.Response:
        headers = {"Accept": accept, "X-ScannerAdapter-API-Key": self.key}
        if body is not None:
            headers["Content-Type"] = REQUEST
        content = json.dumps(body) if body is not None else None
        answer = httpx.request(
            method, f"{self.url}/api/v1{path}", headers=headers, content=content, timeout=30, follow_redirects=False
        )
        self.calls.append(answer.status_code)
        return answer

    def scanned(self, host: str, digest: str, *, accept: str, query: str = "") -> Any:
        """Have an artifact scanned; the report."""
        said = self.call("GET", "/metadata", accept=f"{METADATA}; version=1.1").json()
        assert any(DOCKER in one["consumes_mime_types"] for one in said["capabilities"])
        body = wanted(host, artifact={"repository": "team/demo", "digest": digest}, registry={"url": f"http://{host}"})
        answer = self.call("POST", "/scan", accept=RESPONSE, body=body)
        assert answer.status_code == 202, answer.text
        path = f"/scan/{answer.json()['id']}/report{query}"

        def report() -> httpx.Response | None:
            found = self.call("GET", path, accept=accept)
            if found.status_code == 302:
                assert 0 < int(found.headers["Refresh-After"]) < 128
                return None
            assert found.status_code == 200, found.text
            return found

        return until(report).json()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, demo_parts: Demo) -> Iterator[str]:
    """A registry with the demo in it, as ``team/demo:1``."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        (one,) = json.loads((demo_parts.image / "index.json").read_bytes())["manifests"]
        push(demo_parts.image, f"{host}/team/demo:1", tag=str(one["annotations"]["org.opencontainers.image.ref.name"]))
        yield host


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, demo_parts: Demo, registry: str) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    indexes = [
        {"name": "ours", "role": "chainguard", "path": str(demo_parts.chainguard)},
        {"name": "theirs", "role": "upstream", "path": str(demo_parts.pypi)},
    ]
    config = configured(
        folder,
        tokens=[token("harbor", "scan"), token("kube", "admit")],
        harbor=[{"name": "main", "registry": registry}],
        registries=[registry],
        admission={"default": {"mode": "enforce", "unknown": "deny"}, "resolve_seconds": 20},
        top={"indexes": indexes, "platform": "linux/amd64", "policy": {"min_coverage": 100}},
    )
    with started(folder, "serve", "--config", str(config)) as found:
        yield found


def digest_of(host: str, tag: str) -> str:
    answer = httpx.head(f"http://{host}/v2/team/demo/manifests/{tag}", headers={"Accept": f"{OCI}, {DOCKER}"})
    return str(answer.headers["Docker-Content-Digest"])


def admitted(running: Running, image: str) -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": "web", "image": image}]}}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {"uid": "u-1", "kind": kind, "operation": "CREATE", "namespace": "shop", "object": pod}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    answer = running.ask("/admit?timeout=30s", review, token=long("kube"))
    assert (answer.status, answer.json["response"]["uid"]) == (200, "u-1")
    response: dict[str, Any] = answer.json["response"]
    return response


def test_harbor_scans_and_kubernetes_is_answered(running: Running, registry: str) -> None:
    digest = digest_of(registry, "1")
    unknown = admitted(running, f"{registry}/team/demo:none")
    assert "not found" in unknown["status"]["message"] or "no such" in unknown["status"]["message"]
    harbor = FakeHarbor(url=f"{running.url}/harbor/main", key=long("harbor"))
    said = harbor.scanned(registry, digest, accept=REPORT)
    jsonschema.validate(said, OF_VULNERABILITIES)
    assert {"CGSCAN-UPSTREAM", "CGSCAN-MODIFIED"} & {one["id"] for one in said["vulnerabilities"]}
    sbom = harbor.scanned(registry, digest, accept=SBOM)
    jsonschema.validate(sbom, OF_SBOM)
    assert "six" in json.dumps(sbom)
    assert harbor.calls.count(202) == 2
    assert len(running.said("scan ends")) == 1  # the second is the same job
    # by its tag, which is asked of the registry; by its digest; and that counts wherever it is fetched from
    for name in (f"{registry}/team/demo:1", f"{registry}/team/demo@{digest}", f"elsewhere.example/demo@{digest}"):
        denied = admitted(running, name)
        assert "the policy asks for 100 %" in denied["status"]["message"], denied
    log = running.log.read_text()
    assert SECRET not in log
    assert long("harbor") not in log


def test_an_unknown_image_is_known_a_little_later(running: Running, registry: str, tmp_path: Path) -> None:
    """Queued by the first question, scanned, and answered by what came of it."""
    layer = images.layer_from_entries([images.file_entry("etc/motd", b"hello")])
    push(images.write_oci_layout(tmp_path / "empty", [layer]), f"{registry}/team/empty:1")
    said = admitted(running, f"{registry}/team/empty:1")
    assert "not scanned yet; queued: /api/v1/jobs/" in said["status"]["message"]
    until(lambda: admitted(running, f"{registry}/team/empty:1")["allowed"])
