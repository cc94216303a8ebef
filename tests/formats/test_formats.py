"""What holds for every format: any report can be shown, nothing hostile comes out raw."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scanner.report
from scanner.errors import UsageError
from scanner.formats import FORMATS, OF_ONE_TARGET, as_one_document, render
from scanner.report import Report, as_object
from tests.reports import a_line, a_report, any_report, everything

SCHEMA = json.loads(Path(scanner.report.__file__).with_name("report.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
BIDI = set("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u2028\u2029")

some_reports = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_formats_are_a_list() -> None:
    assert list(FORMATS) == ["table", "json", "yaml", "csv", "markdown", "html", "sarif", "cyclonedx", "spdx"]


def test_an_unknown_format_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="there is no format 'xml'") as caught:
        render([everything()], "xml", color=False, width=None)
    assert caught.value.hint == "write one of table, json, yaml, csv, markdown, html, sarif, cyclonedx, spdx"


@pytest.mark.parametrize("name", OF_ONE_TARGET)
def test_what_describes_one_thing_refuses_more(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} holds one target, not 2$"):
        render([everything(), a_report()], name)


@pytest.mark.parametrize("name", FORMATS)
def test_equal_reports_give_equal_text(name: str) -> None:
    assert render([everything()], name, color=False) == render([everything()], name, color=False)


@pytest.mark.parametrize("name", FORMATS)
def test_only_the_table_has_colors(name: str) -> None:
    assert ("\x1b[" in render([everything()], name, color=True)) is (name == "table")


@pytest.mark.parametrize("name", FORMATS)
@some_reports
@given(reports=st.lists(any_report(), min_size=1, max_size=2), width=st.none() | st.integers(0, 300))
def test_any_report_becomes_valid_text(name: str, reports: list[Report], width: int | None) -> None:
    text = render(reports[:1] if name in OF_ONE_TARGET else reports, name, color=False, width=width)

    assert text.endswith("\n")
    text.encode("utf-8")
    raw = {each for each in text if ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0} | (set(text) & BIDI)
    assert raw <= {"\n"}


@some_reports
@given(report=any_report())
def test_any_report_fits_the_schema_and_its_counts_agree(report: Report) -> None:
    data = json.loads(render([report], "json"))

    VALIDATOR.validate(data)
    assert len(data["distributions"]) == data["summary"]["distributions"] == sum(data["summary"]["by_origin"].values())
    assert sum(data["summary"]["by_integrity"].values()) == data["summary"]["distributions"]
    assert data["summary"]["verified"] + data["summary"]["upgradable"] <= data["summary"]["applicable"]
    assert len(data["findings"]) == len(report.findings)


def test_the_schema_is_one_and_refuses() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    data = as_object(everything())
    VALIDATOR.validate(data)
    assert not VALIDATOR.is_valid({**data, "scanned_at": "yesterday"})
    assert not VALIDATOR.is_valid({**data, "target": {**data["target"], "kind": "moon"}})


def test_the_report_has_the_fields_of_the_schema_in_its_order() -> None:
    def names(properties: dict[str, object]) -> list[str]:
        return list(properties)

    data = as_object(everything())
    distribution = SCHEMA["$defs"]["distribution"]["properties"]
    assert list(data) == names(SCHEMA["properties"])
    assert list(data["summary"]) == names(SCHEMA["properties"]["summary"]["properties"])
    assert list(data["distributions"][0]) == names(distribution)
    assert list(data["distributions"][0]["match"]) == names(distribution["match"]["properties"])
    assert list(data["findings"][0]) == names(SCHEMA["properties"]["findings"]["items"]["properties"])


def test_one_report_is_one_object_and_several_are_an_array() -> None:
    report = a_report(a_line())
    assert as_one_document([report]) == as_object(report)
    assert as_one_document([report, report]) == [as_object(report)] * 2
    assert as_one_document([]) == []
