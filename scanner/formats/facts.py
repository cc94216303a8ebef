"""What both kinds of SBOM say of a report, and SARIF of a distribution: purls, digests, names and properties.

The properties have names of their own, ``cgscan:…``; ``docs/sbom.md`` lists them. Names, paths and sentences come out
of the target and are written out on one line (:func:`scanner.formats.text.escaped`).
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from packageurl import PackageURL

from scanner.distribution import Finding
from scanner.errors import UsageError
from scanner.formats.target import TargetName, sha256_of
from scanner.formats.text import escaped
from scanner.index import Evidence
from scanner.report import (
    DistributionLine,
    Integrity,
    MatchLine,
    Origin,
    Report,
    as_object,
    is_verified,
    valid_text,
)

Fact: TypeAlias = tuple[str, str]
"""Name and value of a property."""

PREFIX: Final = "cgscan:"
_PROJECT: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
"""What may name a project (PEP 508). A purl for anything else would name nothing."""
_SETTLED: Final = (Origin.CHAINGUARD, Origin.UPSTREAM, Origin.UNKNOWN)
_SPACE: Final = uuid.uuid5(uuid.NAMESPACE_OID, "cgscan-report/1")
_MODIFIED_AT_MOST: Final = 100


def one_of(reports: Sequence[Report], name: str) -> Report:
    """The one report; :class:`UsageError` where there are more, for an SBOM describes one thing."""
    if len(reports) != 1:
        raise UsageError(f"{name} holds one target, not {len(reports)}", hint="scan them one by one")
    return reports[0]


def identifier(report: Report) -> uuid.UUID:
    """The same for the same report; another for every other scan. How long it took is no part of it."""
    content = {**as_object(report), "timing": {}}
    return uuid.uuid5(_SPACE, json.dumps(content, sort_keys=True, allow_nan=False))


def references(report: Report) -> list[str]:
    """One for each distribution, in their order: the same in every report that has the distribution there."""
    seen: Counter[str] = Counter()
    return [_numbered(_reference(line), seen) for line in report.distributions]


def _reference(line: DistributionLine) -> str:
    parts = (line.kind.value, line.location, line.name, line.version or "", "hidden" if line.hidden else "")
    return hashlib.sha256("\0".join(map(valid_text, parts)).encode()).hexdigest()[:16]


def _numbered(reference: str, seen: Counter[str]) -> str:
    seen[reference] += 1
    return reference if seen[reference] == 1 else f"{reference}-{seen[reference]}"


# -- identities ------------------------------------------------------------------------------------


def settled_match(line: DistributionLine) -> MatchLine | None:
    """The wheel whose bytes these are: none where a file has other bytes, or where two wheels fit."""
    whole = line.integrity in (Integrity.INTACT, Integrity.PRUNED)
    return line.match if whole and line.origin in _SETTLED else None


def wheel_sha256(line: DistributionLine) -> str | None:
    """The hex digest of the wheel whose bytes these are, where it is known."""
    match = settled_match(line)
    return sha256_of(match.sha256) if match is not None else None


def purl_of(line: DistributionLine, report: Report) -> PackageURL | None:
    """``pkg:pypi/name@version``; of a matched wheel with its file name, of Chainguard's with the index too."""
    if not _PROJECT.fullmatch(line.name):
        return None
    match = settled_match(line)
    qualifiers = {}
    if match is not None:
        qualifiers["file_name"] = escaped(match.filename)
        if line.origin is not Origin.UPSTREAM and (url := _address(match.index, report)):
            qualifiers["repository_url"] = url
    return PackageURL("pypi", None, line.name, valid_text(line.version or "") or None, qualifiers)


def _address(index: str, report: Report) -> str | None:
    urls = [each.url for each in report.indexes if each.name == index]
    return escaped(urls[0]) if urls and urls[0].startswith(("https://", "http://")) else None


def image_purl(report: Report, name: TargetName) -> PackageURL | None:
    """``pkg:oci/name@sha256:…`` of an image whose manifest is known."""
    target = report.target
    if target.kind != "image" or sha256_of(target.digest) is None or not name.path:
        return None
    architecture = (target.platform or "").split("/")[1:2]
    qualifiers = {
        "arch": escaped(architecture[0]) if architecture else None,
        "repository_url": name.repository,
        "tag": escaped(name.tag) if name.tag else None,
    }
    last = name.path.rpartition("/")[2]
    present = {key: value for key, value in qualifiers.items() if value}
    return PackageURL("oci", None, escaped(last).lower(), target.digest, present)


def supplier_of(line: DistributionLine) -> str | None:
    """Who built or served the bytes, where bytes have shown it."""
    if settled_match(line) is None:
        return None
    return {Origin.CHAINGUARD: "Chainguard", Origin.UPSTREAM: "Python Package Index"}.get(line.origin)


# -- properties ------------------------------------------------------------------------------------


def of_distribution(line: DistributionLine, report: Report, minimum: Evidence) -> list[Fact]:
    """What the report says of one distribution."""
    facts: list[tuple[str, object]] = [
        ("kind", line.kind.value),
        ("origin", line.origin.value),
        ("integrity", line.integrity.value),
        ("verified", is_verified(line, minimum) and not line.hidden),
        ("reason", line.reason),
        ("location", line.location),
        ("environment", line.environment),
        ("layer", line.layer),
        ("layer:diff_id", diff_id(line.layer, report)),
        ("installer", line.installer),
        ("owner", line.owner),
        ("hidden", line.hidden or None),
        *_of_match(line.match),
        *_of_changed_files(line),
        ("available:same_version", line.available.same_version),
        ("available:remediated", line.available.remediated),
    ]
    return list(_told(facts))


def _of_match(match: MatchLine | None) -> Iterator[tuple[str, object]]:
    if match is None:
        return
    yield "evidence", match.evidence.value if match.evidence else None
    yield "match:index", match.index
    yield "match:filename", match.filename
    yield "match:sha256", match.sha256
    yield "match:proved", match.proved
    for state in ("matched", "missing", "modified", "generated"):
        yield f"match:files:{state}", getattr(match.files, state)


def _of_changed_files(line: DistributionLine) -> Iterator[tuple[str, object]]:
    paths = [file.path for file in line.files if file.state == "modified"]
    for number, path in enumerate(paths[:_MODIFIED_AT_MOST]):
        yield f"modified:{number}", path


def of_target(report: Report) -> list[Fact]:
    """What the report says of the target, of its layers, of the indexes, and its numbers."""
    target, summary = report.target, report.summary
    facts: list[tuple[str, object]] = [
        ("target:reference", target.reference),
        ("target:kind", target.kind),
        ("target:platform", target.platform),
        ("coverage", summary.coverage),
        ("applicable", summary.applicable),
        ("verified", summary.verified),
        ("upgradable", summary.upgradable),
        ("passed", summary.passed),
    ]
    facts += [(f"violation:{number}", text) for number, text in enumerate(summary.violations)]
    for number, index in enumerate(report.indexes):
        facts += [(f"index:{number}:{key}", getattr(index, key)) for key in ("name", "url", "as_of")]
        facts.append((f"index:{number}:role", index.role.value))
    for number, layer in enumerate(target.layers):
        facts += [(f"layer:{number}:{key}", getattr(layer, key)) for key in ("diff_id", "digest", "created_by")]
    return list(_told(facts))


def of_finding(finding: Finding, number: int) -> list[Fact]:
    """What the report says of one finding."""
    parts = {"kind": finding.kind.value, "path": finding.path, "layer": finding.layer, "detail": finding.detail}
    return list(_told([(f"finding:{number}:{key}", value) for key, value in parts.items()]))


def diff_id(layer: int | None, report: Report) -> str | None:
    """The digest of a layer, where the target has it."""
    layers = report.target.layers
    return layers[layer].diff_id if layer is not None and layer < len(layers) else None


def _told(facts: Sequence[tuple[str, object]]) -> Iterator[Fact]:
    """Those that say something."""
    for name, value in facts:
        match value:
            case None:
                continue
            case bool():
                yield f"{PREFIX}{name}", "true" if value else "false"
            case float():
                yield f"{PREFIX}{name}", f"{value:g}"
            case _:
                yield f"{PREFIX}{name}", escaped(str(value))
