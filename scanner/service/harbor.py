"""Harbor's pluggable scanner API: what it asks, read as a hint, and reports in its words.

Specification ``goharbor/pluggable-scanner-spec``, versions 1.0 to 1.2. Harbor knows SBOMs, which ours are, and
vulnerabilities. So a line of a report that is not proved, and a finding, becomes an entry of that list. None of them is
a CVE, and their identifiers say so: ``CGSCAN-UPSTREAM``, ``CGSCAN-MODIFIED``, ``CGSCAN-PLANTED-SBOM``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import scanner
from scanner.decoding import json_value
from scanner.digest import Digest
from scanner.errors import UsageError
from scanner.formats import render
from scanner.index import Evidence
from scanner.reference import ImageName
from scanner.report import DistributionLine, Integrity, Report, is_verified, plain
from scanner.serving import SEVERITIES, Harbor

METADATA: Final = "application/vnd.scanner.adapter.metadata+json"
REQUEST: Final = "application/vnd.scanner.adapter.scan.request+json"
RESPONSE: Final = "application/vnd.scanner.adapter.scan.response+json; version=1.0"
ERROR: Final = "application/vnd.scanner.adapter.error+json; version=1.0"
REPORTS: Final = (
    "application/vnd.security.vulnerability.report; version=1.1",
    "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0",
)
"""Of vulnerabilities; both have the same shape."""
SBOM: Final = "application/vnd.security.sbom.report+json; version=1.0"
SBOMS: Final[Mapping[str, str]] = {
    "application/vnd.cyclonedx+json": "cyclonedx",
    "application/spdx+json": "spdx",
}
"""By media type: the format, the usual one first."""
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
SCANNER: Final = MappingProxyType({"name": "cgscan", "vendor": "cgscan", "version": scanner.__version__})
_USUAL: Final[Mapping[str, str]] = {
    "modified": "High",
    "planted-sbom": "High",
    "modified-script": "High",
    "unowned-file": "Medium",
    "stale-bytecode": "Medium",
    "corrupt-cache": "Low",
    "stale-metadata": "Low",
}
"""What hints at tampering. Everything else is ``Unknown``: who built something says nothing of how bad it is."""
_LONGEST: Final = 2000


class BadRequest(Exception):
    """What Harbor asks makes no sense, or is not for us; the status and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A report, and where it can be read if others can. What rests on less than ``minimum`` is not proved."""

    report: Report
    url: str | None
    minimum: Evidence


def metadata() -> dict[str, Any]:
    """What we are and can do."""
    eats = {"consumes_mime_types": list(MANIFESTS)}
    sboms = {"additional_attributes": {"sbom_media_types": list(SBOMS)}}
    capabilities = [
        {"type": "vulnerability", **eats, "produces_mime_types": list(REPORTS)},
        {"type": "sbom", **eats, "produces_mime_types": [SBOM], **sboms},
    ]
    properties = {
        "harbor.scanner-adapter/scanner-type": "provenance",
        "harbor.scanner-adapter/registry-authorization-type": "Bearer",
    }
    return {"scanner": dict(SCANNER), "capabilities": capabilities, "properties": properties}


def wanted(harbor: Harbor, body: bytes) -> ImageName:
    """The image that a request means, on the registry of the configuration; :class:`BadRequest`.

    The credentials in it are not read: we ask with our own.
    """
    try:
        value = json_value(body, "the body")
    except UsageError as problem:
        raise BadRequest(400, problem.message) from problem
    request = _object(value, "the body")
    _check_host(harbor, _text(_object(request.get("registry"), "registry"), "url"))
    artifact = _object(request.get("artifact"), "artifact")
    if _text(artifact, "mime_type").partition(";")[0].strip() not in MANIFESTS:
        raise BadRequest(422, "artifact.mime_type: no manifest of an image")
    _check_capabilities(request.get("enabled_capabilities"))
    try:
        digest = Digest.parse(_text(artifact, "digest"))
        return ImageName.parse(f"{harbor.registry}/{_text(artifact, 'repository')}@{digest}")
    except UsageError as problem:
        raise BadRequest(422, f"artifact: {problem.message}") from problem


def _check_host(harbor: Harbor, url: str) -> None:
    """That a request speaks of the registry of the configuration, or of one of its other names."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as problem:
        raise BadRequest(422, "registry.url: no URL") from problem
    host = f"[{host}]" if ":" in host else host
    names = {host, f"{host}:{port or (80 if parts.scheme == 'http' else 443)}"}
    if port not in (None, 80, 443):
        names.discard(host)
    if not names & {harbor.registry, *harbor.known_as}:
        reason = "registry.url: not the registry of the configuration (serve.harbor: registry, known_as)"
        raise BadRequest(422, reason)


def _check_capabilities(value: object) -> None:
    """That what is wanted is among what we do; without it everything that we do is."""
    if value is None:
        return
    if not isinstance(value, list):
        raise BadRequest(400, "enabled_capabilities is no list")
    kinds = [_object(one, "enabled_capabilities").get("type") for one in value]
    if kinds and not {"vulnerability", "sbom"} & set(map(str, kinds)):
        raise BadRequest(501, "only the capabilities vulnerability and sbom are there")


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest(400, f"{where} is no object")
    return value


def _text(tree: Mapping[str, Any], key: str) -> str:
    value = tree.get(key)
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST:
        raise BadRequest(422 if value is None else 400, f"{key} is no text of at most {_LONGEST} characters")
    return value


# -- reports


def report_for(harbor: Harbor, image: ImageName, linked: Linked) -> dict[str, Any]:
    """A report in Harbor's words."""
    entries = [*_of_distributions(harbor, linked), *_of_findings(harbor, linked)]
    worst = max((entry["severity"] for entry in entries), key=SEVERITIES.index, default="None")
    found: dict[str, Any] = plain({**_head(image, linked.report), "severity": worst, "vulnerabilities": entries})
    return found


def sbom_for(image: ImageName, report: Report, media_type: str) -> dict[str, Any]:
    """The SBOM of a report, in one of :data:`SBOMS`."""
    text = render([report], SBOMS[media_type])
    return {**_head(image, report), "vendor_attributes": {}, "media_type": media_type, "sbom": json.loads(text)}


def _head(image: ImageName, report: Report) -> dict[str, Any]:
    artifact = {"repository": image.repository, "digest": str(image.digest)}
    return {"generated_at": report.scanned_at, "artifact": artifact, "scanner": dict(SCANNER)}


def _of_distributions(harbor: Harbor, linked: Linked) -> Iterator[dict[str, Any]]:
    """Installed ones that count and are not proved, and whatever has changed bytes."""
    for line in linked.report.distributions:
        if line.hidden:
            continue
        if line.integrity is Integrity.MODIFIED:
            yield _of_line(harbor, line, line.integrity.value, linked)
        elif line.applicable and not is_verified(line, linked.minimum):
            yield _of_line(harbor, line, line.origin.value, linked)


def _of_line(harbor: Harbor, line: DistributionLine, word: str, linked: Linked) -> dict[str, Any]:
    attributes = {"origin": line.origin.value, "integrity": line.integrity.value, "location": line.location}
    return {
        **_entry(harbor, word, linked, f"{line.reason} ({line.location})"),
        "package": line.name,
        "version": line.version or "",
        "fix_version": _offered(line),
        "vendor_attributes": {"cgscan": attributes},
    }


def _offered(line: DistributionLine) -> str:
    """The version that Chainguard has built: this one, or the remediated one of it; empty where there is none."""
    if line.available.same_version:
        return line.version or ""
    return line.available.remediated or ""


def _of_findings(harbor: Harbor, linked: Linked) -> Iterator[dict[str, Any]]:
    for one in linked.report.findings:
        entry = _entry(harbor, one.kind.value, linked, one.detail)
        more = {"cgscan": {"kind": one.kind.value, "path": one.path}}
        yield {**entry, "package": one.path, "version": "", "fix_version": "", "vendor_attributes": more}


def _entry(harbor: Harbor, word: str, linked: Linked, description: str) -> dict[str, Any]:
    return {
        "id": f"CGSCAN-{word.upper()}",
        "severity": harbor.severities.get(word, _USUAL.get(word, "Unknown")),
        "description": description[:_LONGEST],
        "links": [linked.url] if linked.url else [],
    }
