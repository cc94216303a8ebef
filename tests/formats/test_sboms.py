"""``cyclonedx`` and ``spdx``: valid by their own libraries, the same counts, nothing claimed that bytes do not show."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import HealthCheck, given, settings
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from scanner.formats import facts, render
from scanner.formats.target import name_of
from scanner.index import Evidence
from scanner.report import Integrity, Kind, Origin, Report, TargetLine
from tests.formats.test_golden import the_report
from tests.reports import HOSTILE, LIBRARIES, a_line, a_match, a_report, any_report, verified_line

DOCS = Path(__file__).parents[2] / "docs" / "sbom.md"
some_reports = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
strict = JsonStrictValidator(SchemaVersion.V1_6)


def bom(report: Report) -> dict[str, Any]:
    text = render([report], "cyclonedx")
    problem = strict.validate_str(text)
    assert problem is None, problem
    return dict(json.loads(text))


def document(report: Report) -> dict[str, Any]:
    data = json.loads(render([report], "spdx"))
    parsed = JsonLikeDictParser().parse(data)  # type: ignore[no-untyped-call]
    assert validate_full_spdx_document(parsed) == []
    return dict(data)


def component(*lines: Any) -> dict[str, Any]:
    (found,) = bom(a_report(*lines))["components"]
    return dict(found)


def package(*lines: Any) -> dict[str, Any]:
    """The one package that is not the target."""
    _, found = document(a_report(*lines))["packages"]
    return dict(found)


def properties(of: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in of.get("properties", [])}


def notes(data: dict[str, Any]) -> list[dict[str, str]]:
    """The JSON objects of all annotations."""
    elements = [data, *data["packages"]]
    return [json.loads(note["comment"]) for each in elements for note in each.get("annotations", [])]


# -- valid, and whole --------------------------------------------------------------------------------


@some_reports
@given(report=any_report())
def test_any_report_is_a_valid_bom_with_its_counts(report: Report) -> None:
    data = bom(report)
    read = Bom.from_json(data)  # type: ignore[attr-defined]
    assert len(read.components) == len(data.get("components", [])) == len(report.distributions)
    origins = [properties(each)["cgscan:origin"] for each in data.get("components", [])]
    assert {word: origins.count(word) for word in origins} == report.summary.by_origin
    root = properties(data["metadata"]["component"])
    assert sum(bool(re.fullmatch(r"cgscan:finding:\d+:kind", name)) for name in root) == len(report.findings)
    assert root["cgscan:applicable"] == str(report.summary.applicable)
    verified = [properties(each)["cgscan:verified"] for each in data.get("components", [])].count("true")
    assert root["cgscan:verified"] == str(report.summary.verified) == str(verified)


@some_reports
@given(report=any_report())
def test_any_report_is_a_valid_document_with_its_counts(report: Report) -> None:
    data = document(report)
    assert len(data["packages"]) == len(report.distributions) + 1
    told = notes(data)
    origins = [each["cgscan:origin"] for each in told if "cgscan:origin" in each]
    assert {word: origins.count(word) for word in origins} == report.summary.by_origin
    assert sum(any(re.fullmatch(r"cgscan:finding:\d+:kind", name) for name in each) for each in told) == len(
        report.findings
    )


def test_the_target_contains_all_of_them() -> None:
    report = the_report()
    data = bom(report)
    refs = {each["bom-ref"] for each in data["components"]}
    (root,) = [each for each in data["dependencies"] if each["ref"] == "target"]
    assert set(root["dependsOn"]) == refs
    assert data["metadata"]["component"]["bom-ref"] == "target"

    related = document(report)["relationships"]
    contained = [each for each in related if each["relationshipType"] == "CONTAINS"]
    assert {each["spdxElementId"] for each in contained} == {"SPDXRef-target"}
    assert {each["relatedSpdxElement"] for each in contained} == {f"SPDXRef-distribution-{ref}" for ref in refs}


def test_two_that_are_alike_are_two() -> None:
    line = a_line()
    report = a_report(line, line)
    assert len({each["bom-ref"] for each in bom(report)["components"]}) == 2
    assert len({each["SPDXID"] for each in document(report)["packages"]}) == 3


def test_numbers_are_the_reports_own() -> None:
    report = the_report()
    serial, space = bom(report)["serialNumber"], document(report)["documentNamespace"]
    assert serial == space == f"urn:uuid:{facts.identifier(report)}"
    assert facts.identifier(replace(report, timing={})) == facts.identifier(report)
    assert facts.identifier(replace(report, scanned_at="2027-01-01T00:00:00Z")) != facts.identifier(report)
    assert bom(report)["metadata"]["timestamp"] == "2026-03-01T12:00:00+00:00"
    assert document(report)["creationInfo"]["created"] == "2026-03-01T12:00:00Z"


# -- the target ------------------------------------------------------------------------------------


def test_an_image_is_named_by_its_manifest() -> None:
    report = the_report()
    digest = "0123456789abcdef" * 4
    where = "repository_url=registry.example.com/shop/billing"
    purl = f"pkg:oci/billing@sha256:{digest}?arch=amd64&{where}&tag=1.4"
    root = bom(report)["metadata"]["component"]
    assert (root["type"], root["name"]) == ("container", "registry.example.com/shop/billing")
    assert root["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert PackageURL.from_string(root["purl"]) == PackageURL.from_string(purl)
    assert properties(root)["cgscan:layer:3:created_by"] == "RUN step 3"
    assert properties(root)["cgscan:violation:0"].startswith("coverage is ")
    target = document(report)["packages"][0]
    assert target["primaryPackagePurpose"] == "CONTAINER"
    assert target["externalRefs"][0]["referenceLocator"] == root["purl"]


@pytest.mark.parametrize(
    ("reference", "digest", "qualifiers"),
    [
        ("docker:app:1.4", f"sha256:{'a' * 64}", {"tag": "1.4"}),
        ("docker:registry.example.com/app:1.4", f"sha256:{'a' * 64}",
         {"repository_url": "registry.example.com/app", "tag": "1.4"}),
        ("oci-dir:build/app", f"sha256:{'a' * 64}", {}),
        ("docker-archive:app.tar:1", None, None),
    ],
)  # fmt: skip
def test_nothing_is_claimed_of_where_an_image_is_from(
    reference: str, digest: str | None, qualifiers: dict[str, str] | None
) -> None:
    target = TargetLine(reference=reference, kind="image", digest=digest)
    purl = facts.image_purl(a_report(target=target), name_of(target))
    assert (None if purl is None else purl.qualifiers) == qualifiers


def test_a_folder_is_no_image() -> None:
    report = a_report(verified_line(layer=None), target=TargetLine(reference="dir:.venv", kind="directory"))
    root = bom(report)["metadata"]["component"]
    assert (root["type"], root["name"], "purl" in root) == ("application", ".venv", False)
    assert document(report)["packages"][0]["primaryPackagePurpose"] == "OTHER"


# -- what is claimed of a distribution -----------------------------------------------------------------


def purl_of(line: Any) -> str | None:
    found = component(line).get("purl")
    refs = package(line).get("externalRefs", [])
    assert [each["referenceLocator"] for each in refs] == ([found] if found else [])
    return str(found) if found else None


def test_chainguards_build_is_named_with_its_index() -> None:
    line = verified_line("jinja2", "3.1.3+cgr.1", match=a_match(Evidence.PATH, filename="jinja2-3.1.3+cgr.1-py3.whl"))
    purl = purl_of(line)
    assert purl is not None
    assert purl.startswith("pkg:pypi/jinja2@3.1.3%2Bcgr.1?file_name=jinja2-3.1.3%2Bcgr.1-py3.whl&repository_url=https:")
    assert PackageURL.from_string(purl).qualifiers["repository_url"] == LIBRARIES.url
    found = component(line)
    assert found["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert found["supplier"] == {"name": "Chainguard"}
    assert package(line)["supplier"] == "Organization: Chainguard"


def test_pypis_build_is_pypis() -> None:
    assert purl_of(a_line()) == "pkg:pypi/requests@2.31.0?file_name=requests-2.31.0-py3-none-any.whl"
    assert package(a_line())["supplier"] == "Organization: Python Package Index"


@pytest.mark.parametrize(
    "changes",
    [
        {"integrity": Integrity.MODIFIED},
        {"origin": Origin.AMBIGUOUS},
        {"origin": Origin.SOURCE},
        {"origin": Origin.LOCAL, "integrity": Integrity.NONE},
        {"origin": Origin.UNCHECKED, "match": None},
    ],
    ids=str,
)
def test_no_wheels_digest_is_claimed_where_the_bytes_are_not_its(changes: dict[str, Any]) -> None:
    line = verified_line(**changes)
    found, packed = component(line), package(line)
    assert purl_of(line) == "pkg:pypi/flask@3.0.2"
    assert not {"hashes", "supplier", "externalReferences"} & set(found)
    assert [each["field"] for each in found["evidence"]["identity"]] == ["purl"]
    assert packed["downloadLocation"] == packed["supplier"] == "NOASSERTION"
    assert not packed.get("checksums")


@pytest.mark.parametrize(
    ("changes", "technique", "confidence"),
    [
        ({}, "hash-comparison", 1.0),
        ({"match": a_match(files=a_match().files.__class__(matched=2, missing=1, modified=0, generated=9)),
          "integrity": Integrity.PRUNED}, "hash-comparison", 0.66),
        ({"match": a_match(files=a_match().files.__class__(matched=0, missing=0, modified=0, generated=0))},
         "hash-comparison", 1.0),
        ({"match": None, "integrity": Integrity.NONE}, "manifest-analysis", 0.5),
    ],
)  # fmt: skip
def test_how_sure_it_is(changes: dict[str, Any], technique: str, confidence: float) -> None:
    identity = component(a_line(**changes))["evidence"]["identity"]
    assert {each["confidence"] for each in identity} == {confidence}
    assert {method["technique"] for each in identity for method in each["methods"]} == {technique}


@pytest.mark.parametrize(
    ("changes", "scope"),
    [
        ({}, "required"),
        ({"kind": Kind.VENDORED}, "required"),
        ({"kind": Kind.BUNDLED}, "required"),
        ({"kind": Kind.WHEEL}, "optional"),
        ({"kind": Kind.CACHED}, "optional"),
        ({"hidden": True}, "excluded"),
    ],
)
def test_what_runs_is_required(changes: dict[str, Any], scope: str) -> None:
    assert component(a_line(**changes))["scope"] == scope


def test_an_address_that_readers_refuse_is_left_out() -> None:
    near, far = (f"https://{host}/x-1-py3-none-any.whl" for host in ("localhost:8080", "pypi.example.com"))
    assert package(a_line(match=a_match(url=near)))["downloadLocation"] == "NOASSERTION"
    assert package(a_line(match=a_match(url=far)))["downloadLocation"] == far
    assert component(a_line(match=a_match(url=near)))["externalReferences"][0]["url"] == near
    assert "externalReferences" not in component(a_line(match=a_match(url="build/x.whl")))


# -- oddities --------------------------------------------------------------------------------------


def test_without_a_version() -> None:
    line = a_line("requests", None, match=None, integrity=Integrity.NONE, origin=Origin.UNKNOWN)
    assert purl_of(line) == "pkg:pypi/requests"
    assert "version" not in component(line)
    assert "versionInfo" not in package(line)


@pytest.mark.parametrize("name", [HOSTILE, "", "..", "a/b", "a b", "-a", "ä", "a\n"])
def test_what_names_no_project_has_no_purl(name: str) -> None:
    line = a_line(name, origin=Origin.UNKNOWN)
    assert purl_of(line) is None
    assert component(line)["evidence"]["identity"][0]["field"] in ("name", "hash")


def test_names_are_normalised_and_versions_encoded() -> None:
    line = a_line("Foo_Bar", "1.0+a/b?c#d@e", match=None, origin=Origin.UNKNOWN, integrity=Integrity.NONE)
    purl = purl_of(line)
    assert purl == "pkg:pypi/foo-bar@1.0%2Ba/b%3Fc%23d%40e"
    assert PackageURL.from_string(purl).version == "1.0+a/b?c#d@e"


def test_hostile_text_is_written_out() -> None:
    line = a_line(HOSTILE, HOSTILE, location=f"/x/{HOSTILE}", origin=Origin.UNKNOWN, reason=HOSTILE)
    written_out = r"\x1b[2Jrm\u202e|`@root`<script>\n\xff"
    assert component(line)["name"] == component(line)["version"] == written_out
    assert package(line)["packageFileName"] == f"/x/{written_out}"


def test_the_docs_name_every_property() -> None:
    data = bom(the_report())
    names = {name for each in (data["metadata"]["component"], *data["components"]) for name in properties(each)}
    said = set(re.findall(r"^\| `(cgscan:[^`]+)`", DOCS.read_text("utf-8"), re.MULTILINE))
    assert {re.sub(r":\d+(?=:|$)", ":N", name) for name in names} <= said
