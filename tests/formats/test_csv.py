"""``csv``: one row for each distribution, nothing that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import scanner.report
from scanner.formats import render
from scanner.formats.csv_ import COLUMNS
from scanner.report import Report
from tests.reports import a_line, a_report, any_report, everything, verified_line


def rows(*reports: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(reports, "csv")), strict=True))


def test_the_columns_are_the_scalar_fields_of_the_schema() -> None:
    schema = json.loads(Path(scanner.report.__file__).with_name("report.schema.json").read_text("utf-8"))
    fields = schema["$defs"]["distribution"]["properties"]
    scalar = [name for name, field in fields.items() if not {"object", "array"}.intersection(_types(field))]
    assert list(COLUMNS) == scalar
    assert render([], "csv") == ",".join(scalar) + "\n"


def _types(field: dict[str, object]) -> list[str]:
    types = field.get("type")
    return types if isinstance(types, list) else [str(types)]


def test_a_row_has_what_the_report_has() -> None:
    (row,) = rows(a_report(a_line("requests", None, layer=None, hidden=True, reason='a, "b"')))
    assert row["version"] == row["layer"] == row["owner"] == ""
    assert (row["hidden"], row["kind"], row["origin"], row["integrity"]) == ("true", "installed", "upstream", "intact")
    assert row["reason"] == 'a, "b"'


def test_several_targets_are_rows_one_after_the_other() -> None:
    got = rows(everything(), a_report(verified_line("last", "1")))
    assert len(got) == 19
    assert (got[-1]["name"], got[-1]["hidden"], got[-1]["layer"]) == ("last", "false", "2")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_a_formula_is_made_text(start: str) -> None:
    (row,) = rows(a_report(a_line(f"{start}cmd|' /C calc'!A0")))
    assert row["name"].startswith("'")
    assert row["name"].endswith("cmd|' /C calc'!A0")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(report=any_report())
def test_one_line_for_each_distribution(report: Report) -> None:
    text = render([report], "csv")
    assert len(text.splitlines()) == len(rows(report)) + 1 == len(report.distributions) + 1
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows(report) for cell in row.values())


def test_long_text_is_whole() -> None:
    (row,) = rows(a_report(a_line(reason="x" * 5000)))
    assert row["reason"] == "x" * 5000
