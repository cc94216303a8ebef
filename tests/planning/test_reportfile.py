"""A report's file is read as what it says and no more: data from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from scanner.errors import CgscanError, ConfigError, UsageError
from scanner.formats import render
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.report import Report, as_object
from scanner.reportfile import read_reports
from tests.reports import a_line, a_report, any_report, everything, verified_line


def read(path: Path, value: object) -> list[Report]:
    path.write_text(json.dumps(value), "utf-8")
    return read_reports(path, limits=DEFAULT_LIMITS)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for reports in ([everything()], [everything(), a_report()]):
        path.write_text(render(reports, "json"), "utf-8")
        again = read_reports(path, limits=DEFAULT_LIMITS)
        assert [as_object(one)["distributions"] for one in again] == [
            as_object(one)["distributions"] for one in reports
        ]
        assert [as_object(one)["findings"] for one in again] == [as_object(one)["findings"] for one in reports]


@settings(max_examples=30)
@given(any_report())
def test_any_report_is_read_or_its_faults_are_told(tmp_path_factory: pytest.TempPathFactory, report: Report) -> None:
    path = tmp_path_factory.mktemp("any") / "report.json"
    path.write_text(render([report], "json"), "utf-8")
    told = ""
    try:
        [again] = read_reports(path, limits=DEFAULT_LIMITS)
        assert as_object(again)["distributions"] == as_object(report)["distributions"]
    except CgscanError as problem:
        told = str(problem)
    assert "layer" in told or not told


def test_only_what_the_schema_asks_for_is_needed_and_more_may_be_there(tmp_path: Path) -> None:
    schema = json.loads((Path(__file__).parents[2] / "scanner" / "report.schema.json").read_text("utf-8"))
    least = _least(json.loads(render([a_report(a_line(), verified_line())], "json")), schema, schema)
    [report] = read(tmp_path / "report.json", {**least, "added_later": [1]})
    assert [line.name for line in report.distributions] == ["requests", "flask"]
    assert (report.summary.applicable, report.timing, report.distributions[0].hidden) == (2, {}, False)


def _least(value: Any, schema: Any, whole: Any) -> Any:
    """The value without what the schema does not ask for."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, dict) and "properties" in schema:
        return {key: _least(value[key], schema["properties"][key], whole) for key in schema["required"]}
    return [_least(one, schema["items"], whole) for one in value] if isinstance(value, list) else value


def test_nobody_s_numbers_are_believed(tmp_path: Path) -> None:
    value = as_object(a_report(a_line(), verified_line()))
    value["summary"].update(coverage=100.0, verified=2)
    [report] = read(tmp_path / "report.json", value)
    assert (report.summary.coverage, report.summary.verified) == (50.0, 1)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda value: value.pop("distributions"), "distributions: is missing"),
        (lambda value: value["distributions"][0].update(origin="best"), "distributions[0].origin: 'best' is none of"),
        (lambda value: value["distributions"][0].update(layer=99), "distributions[0].layer: there is no such layer"),
        (lambda value: value["distributions"][0].update(layers=[99]), "distributions[0].layer: there is no such layer"),
        (lambda value: value["distributions"][0].update(name=None), "distributions[0].name: None is no text"),
        (lambda value: value["target"].update(kind="moon"), "target.kind: 'moon' is none of image"),
        (lambda value: value["target"].update(layers=[1]), "target.layers[0]: is no object"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(tmp_path: Path, change: Callable[[Any], object], fault: str) -> None:
    value = as_object(a_report(a_line()))
    change(value)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "report.json", value)
    assert any(told.startswith(fault) for told in caught.value.faults), caught.value.faults
    with pytest.raises(ConfigError, match=r"\[1\]\."):
        read(tmp_path / "report.json", [as_object(a_report()), value])


@pytest.mark.parametrize("text", ["", "[]", "{}", "[{}]", '"cgscan-report/1"', "{" * 100_000, "\x00"])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_reports(path, limits=DEFAULT_LIMITS)


def test_a_file_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(render([everything()], "json"), "utf-8")
    with pytest.raises(UsageError, match="limit kept_total"):
        read_reports(path, limits=Limits(kept_total=1000))
