"""``json`` and ``yaml``: the same content, readable by any reader."""

from __future__ import annotations

import json

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.formats import render
from scanner.report import Report
from tests.reports import HOSTILE, a_line, a_report, any_report, everything


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(reports=st.lists(any_report(), min_size=1, max_size=2))
def test_yaml_says_what_json_says(reports: list[Report]) -> None:
    assert yaml.safe_load(render(reports, "yaml")) == json.loads(render(reports, "json"))


def test_several_targets_are_an_array() -> None:
    reports = [everything(), a_report(a_line())]
    for read, name in ((json.loads, "json"), (yaml.safe_load, "yaml")):
        data = read(render(reports, name))
        assert [len(each["distributions"]) for each in data] == [18, 1]


def test_text_stays_text() -> None:
    report = a_report(a_line("größe", "1.10"))
    assert '"größe"' in render([report], "json")
    assert "name: \"gr\\xF6\\xDFe\"\n  version: '1.10'" in render([report], "yaml")


def test_a_byte_that_is_no_utf8_is_written_out() -> None:
    line = a_line(location="/site/\udcff\ud83d\udc00.dist-info")
    data = json.loads(render([a_report(line)], "json"))
    assert data["distributions"][0]["location"] == r"/site/\xff\ud83d\udc00.dist-info"


def test_a_hostile_name_is_kept_and_cannot_act() -> None:
    text = render([a_report(a_line(HOSTILE))], "json")
    assert "\x1b" not in text
    assert json.loads(text)["distributions"][0]["name"] == HOSTILE.replace("\udcff", r"\xff")
