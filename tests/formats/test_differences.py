"""A difference in every format: byte for byte, of its schema, on narrow terminals, with hostile names.

After a wished change write the expected text anew and read the difference:
``CGSCAN_GOLDEN=write pytest tests/formats/test_differences.py``
"""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import given, settings

import scanner
from scanner.difference import GATES, Difference, What, difference, failed
from scanner.distribution import Finding, FindingKind
from scanner.formats import COMPARED, differences
from scanner.formats.text import Look
from scanner.index import Evidence
from scanner.report import Integrity, Kind, Origin, Report
from tests.reports import HOSTILE, SITE, a_line, a_match, a_report, any_report, verified_line

GOLDEN = Path(__file__).with_name("golden")
FILES = {
    "table": "difference.txt",
    "json": "difference.json",
    "yaml": "difference.yaml",
    "csv": "difference.csv",
    "markdown": "difference.md",
    "html": "difference.html",
    "sarif": "difference.sarif",
}


def the_reports() -> tuple[Report, Report]:
    """Every word, a finding on both sides and one on each, other indexes."""
    unknown = Origin.UNKNOWN
    before = a_report(
        verified_line("fallen", "1"),
        verified_line("patched", "1"),
        verified_line("unasked", "1"),
        verified_line("gone", "1"),
        a_line("stranger", "1"),
        replace(verified_line("asked", "1"), origin=Origin.UNCHECKED),
        verified_line("updated", "1"),
        verified_line("rebuilt", "1"),
        verified_line("attested", "1"),
        verified_line("slimmed", "1"),
        verified_line("mended", "1", integrity=Integrity.MODIFIED),
        a_line("risen", "1"),
        verified_line("same", "1"),
        a_line("also-upstream", "1"),
        findings=[_finding("same.py"), _finding("vanished.py")],
    )
    after = a_report(
        a_line("fallen", "2", layer=3),
        verified_line("patched", "1", integrity=Integrity.MODIFIED, layer=3),
        replace(verified_line("unasked", "1"), origin=Origin.UNCHECKED),
        a_line(HOSTILE, HOSTILE, kind=Kind.WHEEL, environment=None),
        a_line("stranger", "1", origin=unknown),
        verified_line("asked", "1"),
        verified_line("updated", "2"),
        verified_line("rebuilt", "1", match=a_match(Evidence.NOT_UPSTREAM, sha256=f"sha256:{'cd' * 32}")),
        verified_line("attested", "1", Evidence.ATTESTED),
        verified_line("slimmed", "1", integrity=Integrity.PRUNED),
        verified_line("mended", "1"),
        verified_line("risen", "1"),
        verified_line("same", "1"),
        a_line("also-upstream", "1"),
        findings=[_finding("same.py"), _finding("appeared.py")],
        indexes=(),
    )
    tool = {"name": "cgscan", "version": "1.2.3"}
    target = replace(after.target, reference="registry.example.com/shop/billing:1.5")
    return replace(before, tool=tool), replace(after, tool=tool, target=target)


def _finding(name: str) -> Finding:
    return Finding(kind=FindingKind.UNOWNED_FILE, path=f"{SITE}/{name}", layer=3, detail="no distribution has it")


def found(pair: tuple[Report, Report]) -> Difference:
    target = difference(*pair, minimum=Evidence.SBOM)
    return Difference(targets=(target,), failed=failed([target], GATES))


def rendered(pair: tuple[Report, Report], name: str, look: Look | None = None) -> str:
    return differences.render(found(pair), [pair], name, look or Look())


def schema() -> jsonschema.Draft202012Validator:
    value = json.loads(Path(scanner.__file__).with_name("diff.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(value)
    return jsonschema.Draft202012Validator(value)


def test_the_difference_has_everything() -> None:
    assert {
        what for target in found(the_reports()).targets for change in target.changes for what in change.what
    } == set(What)


@pytest.mark.parametrize("name", FILES)
def test_it_is_the_expected_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "__version__", "1.2.3")
    text = rendered(the_reports(), name).encode()
    file = GOLDEN / FILES[name]
    if os.environ.get("CGSCAN_GOLDEN") == "write":
        file.write_bytes(text)
    assert text == file.read_bytes()


def test_every_format_has_a_golden_file() -> None:
    assert tuple(FILES) == COMPARED


def test_json_and_yaml_are_of_the_shipped_schema() -> None:
    check, value = schema(), json.loads(rendered(the_reports(), "json"))
    check.validate(value)
    assert yaml.safe_load(rendered(the_reports(), "yaml")) == value
    value["targets"][0]["changes"][0]["what"] = ["worse"]
    assert not check.is_valid(value)


@settings(max_examples=10)
@given(any_report(), any_report())
def test_any_two_reports_have_the_same_counts_in_every_format(before: Report, after: Report) -> None:
    pair = (before, after)
    texts = {name: rendered(pair, name) for name in COMPARED}
    value = json.loads(texts["json"])
    schema().validate(value)
    [target] = value["targets"]
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert len(rows) == len(target["changes"]) + len(target["findings"])
    for name, text in texts.items():
        text.encode()
        assert name in ("json", "yaml", "sarif") or not moving(text)


def moving(text: str) -> set[str]:
    """What a terminal acts on."""
    return {char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs"} and char != "\n"}


@pytest.mark.parametrize("name", COMPARED)
def test_nothing_hostile_is_shown_raw(name: str) -> None:
    assert not moving(rendered(the_reports(), name))


@pytest.mark.parametrize("width", [None, 60, 80, 120])
def test_lines_fit(width: int | None) -> None:
    """But for words that are longer, which stay whole, to be copied."""
    lines = rendered(the_reports(), "table", Look(width=width)).splitlines()
    assert [
        line for line in lines if len(line) > (width or 80) and "none-any.whl" not in line and "/" not in line
    ] == []


def test_sarif_has_what_is_new_and_counts_the_rest() -> None:
    value: dict[str, Any] = json.loads(rendered(the_reports(), "sarif"))
    [run] = value["runs"]
    told = {(one["baselineState"], one["properties"]["name"]) for one in run["results"] if "properties" in one}
    assert {("new", "fallen"), ("new", "patched"), ("new", "unasked"), ("new", "stranger")} <= told
    assert not {"same", "also-upstream", "risen"} & {name for _, name in told}
    states = run["properties"]["baseline"]
    assert states["new"] + states["updated"] == len(run["results"])
    assert states["unchanged"] == 2, "also-upstream and same.py"
    assert states["absent"] > 0


def test_sarif_of_a_report_and_itself_is_empty() -> None:
    before, _ = the_reports()
    [run] = json.loads(rendered((before, before), "sarif"))["runs"]
    assert run["results"] == []
