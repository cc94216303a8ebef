"""``spdx``: an SPDX 2.3 document in JSON (https://spdx.github.io/spdx-spec/v2.3/) of one target.

The document describes the target, and that contains a package for each distribution. What SPDX has no field for is in
annotations: the JSON object of a package's properties (:mod:`scanner.formats.facts`), one for each finding.
Files are not listed: SPDX asks for the SHA-1 of each.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter
from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    Annotation,
    AnnotationType,
    Checksum,
    ChecksumAlgorithm,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    Package,
    PackagePurpose,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)
from spdx_tools.spdx.validation.uri_validators import validate_download_location

from scanner.formats import facts, sentences
from scanner.formats.json_ import written
from scanner.formats.target import name_of, sha256_of
from scanner.formats.text import Look, escaped
from scanner.report import DistributionLine, Report

if TYPE_CHECKING:
    from packageurl import PackageURL

_DOCUMENT: Final = "SPDXRef-DOCUMENT"
_TARGET: Final = "SPDXRef-target"
_PURPOSES: Final = {
    "image": PackagePurpose.CONTAINER,
    "directory": PackagePurpose.OTHER,
    "file": PackagePurpose.FILE,
}
_LONGEST_URL: Final = 2000


def render(reports: Sequence[Report], _look: Look) -> str:
    """One document; :class:`scanner.errors.UsageError` for several reports."""
    document = _document(facts.one_of(reports, "spdx"))
    converter = DocumentConverter()  # type: ignore[no-untyped-call]
    return written(converter.convert(document))


def _document(report: Report) -> Document:
    references = [f"SPDXRef-distribution-{reference}" for reference in facts.references(report)]
    tool = Actor(ActorType.TOOL, f"cgscan-{report.tool['version']}")
    created = dt.datetime.fromisoformat(report.scanned_at).replace(tzinfo=None)
    contained = [Relationship(_TARGET, RelationshipType.CONTAINS, reference) for reference in references]
    return Document(
        creation_info=CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id=_DOCUMENT,
            name=escaped(report.target.reference) or "target",
            document_namespace=f"urn:uuid:{facts.identifier(report)}",
            creators=[tool],
            created=created,
        ),
        packages=[_root(report), *map(_package, report.distributions, references, [report] * len(references))],
        relationships=[Relationship(_DOCUMENT, RelationshipType.DESCRIBES, _TARGET), *contained],
        annotations=[
            Annotation(about, AnnotationType.OTHER, tool, created, comment)
            for about, comment in _comments(report, references)
        ],
    )


def _root(report: Report) -> Package:
    target, name = report.target, name_of(report.target)
    return Package(
        spdx_id=_TARGET,
        name=escaped(name.path) or escaped(target.reference) or "target",
        version=escaped(target.digest or name.tag or "") or None,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        checksums=_checksums(sha256_of(target.digest)),
        license_concluded=SpdxNoAssertion(),
        license_declared=SpdxNoAssertion(),
        copyright_text=SpdxNoAssertion(),
        external_references=_purls(facts.image_purl(report, name)),
        primary_package_purpose=_PURPOSES[target.kind],
    )


def _package(line: DistributionLine, reference: str, report: Report) -> Package:
    supplier = facts.supplier_of(line)
    return Package(
        spdx_id=reference,
        name=escaped(line.name) or "-",
        version=escaped(line.version) if line.version else None,
        file_name=escaped(line.location),
        supplier=Actor(ActorType.ORGANIZATION, supplier) if supplier else SpdxNoAssertion(),
        download_location=_download_location(line),
        files_analyzed=False,
        checksums=_checksums(facts.wheel_sha256(line)),
        license_concluded=SpdxNoAssertion(),
        license_declared=SpdxNoAssertion(),
        copyright_text=SpdxNoAssertion(),
        comment=escaped(line.reason),
        external_references=_purls(facts.purl_of(line, report)),
        primary_package_purpose=PackagePurpose.LIBRARY,
    )


def _download_location(line: DistributionLine) -> str | SpdxNoAssertion:
    """Where the wheel is that these bytes are from. Readers refuse what they do not take for a URL (``localhost``)."""
    match = facts.settled_match(line)
    url = escaped(match.url) if match is not None and match.url else ""
    sound = url.startswith(("https://", "http://")) and len(url) <= _LONGEST_URL
    return url if sound and not validate_download_location(url) else SpdxNoAssertion()


def _checksums(sha256: str | None) -> list[Checksum]:
    return [Checksum(ChecksumAlgorithm.SHA256, sha256)] if sha256 else []


def _purls(purl: PackageURL | None) -> list[ExternalPackageRef]:
    if purl is None:
        return []
    return [ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", purl.to_string())]


def _comments(report: Report, references: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What an annotation is about, and its comment."""
    minimum = sentences.minimum_of(report)
    yield _TARGET, _compact(facts.of_target(report))
    for number, finding in enumerate(report.findings):
        yield _TARGET, _compact(facts.of_finding(finding, number))
    for line, reference in zip(report.distributions, references, strict=True):
        yield reference, _compact(facts.of_distribution(line, report, minimum))


def _compact(told: Sequence[facts.Fact]) -> str:
    return json.dumps(dict(told), ensure_ascii=False)
