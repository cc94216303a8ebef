"""``cyclonedx``: a CycloneDX 1.6 BOM (https://cyclonedx.org/docs/1.6/json/) of one target.

The target is the root component and depends on the distributions, of whatever kind: what runs is ``required``, what
lies there as a file ``optional``, what is in lower layers only ``excluded``. Everything that CycloneDX has no field
for is a property (:mod:`scanner.formats.facts`).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.component_evidence import (
    AnalysisTechnique,
    ComponentEvidence,
    Identity,
    IdentityField,
    Method,
    Occurrence,
)
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6

from scanner.formats import facts, sentences
from scanner.formats.json_ import written
from scanner.formats.target import name_of, sha256_of
from scanner.formats.text import Look, escaped
from scanner.report import DistributionLine, Integrity, Kind, MatchLine, Report

if TYPE_CHECKING:
    from packageurl import PackageURL

_TYPES: Final = {
    "image": ComponentType.CONTAINER,
    "directory": ComponentType.APPLICATION,
    "file": ComponentType.FILE,
}
_CLAIMED: Final = Decimal("0.5")
"""How sure a name and a version are that only metadata tell."""


def render(reports: Sequence[Report], _look: Look) -> str:
    """One BOM; :class:`scanner.errors.UsageError` for several reports."""
    bom = _bom(facts.one_of(reports, "cyclonedx"))
    return written(json.loads(JsonV1Dot6(bom).output_as_string()))


def _bom(report: Report) -> Bom:
    root, tool = _root(report), Component(name="cgscan", version=report.tool["version"], type=ComponentType.APPLICATION)
    minimum = sentences.minimum_of(report)
    components = [
        _component(line, reference, report, facts.of_distribution(line, report, minimum))
        for line, reference in zip(report.distributions, facts.references(report), strict=True)
    ]
    bom = Bom(
        serial_number=facts.identifier(report),
        metadata=BomMetaData(
            timestamp=dt.datetime.fromisoformat(report.scanned_at),
            tools=ToolRepository(components=[tool]),
            component=root,
        ),
        components=components,
    )
    bom.register_dependency(root, components)
    return bom


def _root(report: Report) -> Component:
    target, name = report.target, name_of(report.target)
    digest = sha256_of(target.digest)
    told = facts.of_target(report)
    for number, finding in enumerate(report.findings):
        told += facts.of_finding(finding, number)
    return Component(
        name=escaped(name.path) or escaped(target.reference),
        version=escaped(target.digest or name.tag or "") or None,
        type=_TYPES[target.kind],
        bom_ref="target",
        purl=facts.image_purl(report, name),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
        properties=_properties(told),
    )


def _component(line: DistributionLine, reference: str, report: Report, told: Sequence[facts.Fact]) -> Component:
    sha256, supplier, purl = facts.wheel_sha256(line), facts.supplier_of(line), facts.purl_of(line, report)
    return Component(
        name=escaped(line.name),
        version=escaped(line.version) if line.version else None,
        type=ComponentType.LIBRARY,
        bom_ref=reference,
        supplier=OrganizationalEntity(name=supplier) if supplier else None,
        scope=_scope(line),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
        external_references=list(_external(line)),
        properties=_properties(told),
        evidence=ComponentEvidence(
            identity=list(_identities(line, purl, sha256)),
            occurrences=[Occurrence(location=escaped(line.location), additional_context=_layer(line, report))],
        ),
    )


def _scope(line: DistributionLine) -> ComponentScope:
    if line.hidden:
        return ComponentScope.EXCLUDED
    stored = line.kind in (Kind.WHEEL, Kind.CACHED)
    return ComponentScope.OPTIONAL if stored else ComponentScope.REQUIRED


def _external(line: DistributionLine) -> Iterator[ExternalReference]:
    """Where the wheel is that these bytes are from."""
    match = facts.settled_match(line)
    if match is not None and match.url and match.url.startswith(("https://", "http://")):
        yield ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(escaped(match.url)))


def _layer(line: DistributionLine, report: Report) -> str | None:
    if line.layer is None:
        return None
    digest = facts.diff_id(line.layer, report)
    return f"layer {line.layer}" + (f", {escaped(digest)}" if digest else "")


def _properties(told: Sequence[facts.Fact]) -> list[Property]:
    return [Property(name=name, value=value) for name, value in told]


# -- evidence --------------------------------------------------------------------------------------


def _identities(line: DistributionLine, purl: PackageURL | None, sha256: str | None) -> Iterator[Identity]:
    """Who it is: by its name and version, and by its bytes where they are a wheel's."""
    method = _method(line)
    if purl is not None:
        value = purl.to_string()
        field, concluded = IdentityField.PURL, value
    else:
        field, concluded = IdentityField.NAME, escaped(line.name)
    yield Identity(field=field, confidence=method.confidence, concluded_value=concluded, methods=[method])
    if sha256 is not None:
        yield Identity(field=IdentityField.HASH, confidence=method.confidence, concluded_value=sha256, methods=[method])


def _method(line: DistributionLine) -> Method:
    """Its files were compared with a wheel's, or only its metadata were read."""
    match = line.match
    if match is None or line.integrity is Integrity.NONE:
        return Method(technique=AnalysisTechnique.MANIFEST_ANALYSIS, confidence=_CLAIMED, value=escaped(line.reason))
    files = match.files
    said = (
        f"{files.matched} files as in {match.filename} of {match.index}, "
        f"{files.missing} missing, {files.modified} modified"
    )
    return Method(technique=AnalysisTechnique.HASH_COMPARISON, confidence=_share(match), value=escaped(said))


def _share(match: MatchLine) -> Decimal:
    """The part of the wheel's files that are there with their bytes, rounded down to two places."""
    files = match.files
    total = files.matched + files.missing + files.modified
    hundredths = 100 * files.matched // total if total else 100
    return Decimal(hundredths) / 100
