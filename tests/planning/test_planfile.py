"""A plan file is read back as it was written, and what is wrong in one is told with its path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner import planfile
from scanner.errors import CgscanError, ConfigError, UsageError
from scanner.limits import Limits
from scanner.plan import Plan
from scanner.planfile import document, read_plan
from tests.plans import a_full_plan, a_local_copy, a_plan


def written(plan: Plan) -> str:
    return json.dumps(document(plan))


def changed(change: Callable[[Any], object]) -> str:
    value = document(a_full_plan())
    change(value)
    return json.dumps(value)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    for plan in (a_plan(), a_plan(purge_locally=(a_local_copy(),))):
        assert read_plan(written(plan)) == plan
    path = tmp_path / "plan.json"
    path.write_text(written(a_full_plan()), "utf-8")
    again = read_plan(path)
    assert document(again) == document(a_full_plan())
    assert again.purge_in_manager == a_full_plan().purge_in_manager
    assert again.purge_locally == a_full_plan().purge_locally


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda value: value.update(more=1), "more: there is no such key"),
        (lambda value: value.pop("wait"), "wait: is missing"),
        (lambda value: value.update(wait={}), "wait: is no list"),
        (
            lambda value: value["purge_locally"][0].update(sha256="sha256:no"),
            "purge_locally[0].sha256: 'sha256:no' is no digest",
        ),
        (
            lambda value: value["purge_locally"][0].update(path="/etc/passwd"),
            "purge_locally[0].path: is not below root",
        ),
        (
            lambda value: value["purge_locally"][0].update(path="/root/.cache/pip/../../x"),
            "purge_locally[0].path: is not below root",
        ),
        (lambda value: value["purge_locally"][0].update(root="/"), "purge_locally[0].root: is no absolute path"),
        (lambda value: value["purge_locally"][0].update(tool="rm"), "purge_locally[0].tool: 'rm' is none of pip, uv"),
        (
            lambda value: value["purge_in_manager"][0]["entry"].update(size=-1),
            "purge_in_manager[0].entry.size: -1 is no whole number",
        ),
        (
            lambda value: value["purge_in_manager"][0]["entry"].update(size=True),
            "purge_in_manager[0].entry.size: True is no whole number",
        ),
        (
            lambda value: value["purge_in_manager"][0]["entry"].update(project="Not_Normal"),
            "purge_in_manager[0].entry.project: 'Not_Normal' is no normalised name",
        ),
        (
            lambda value: value["purge_in_manager"][0]["entry"].update(tier="gold"),
            "purge_in_manager[0].entry.tier: 'gold' is none of built, fallback",
        ),
        (lambda value: value["wait"][0].update(target=9), "rebuild, wait: a target that is not in targets"),
        (lambda value: value["coverage"].update(then=100.0), "coverage: is not that of the targets together"),
        (
            lambda value: value["targets"][0]["coverage"].update(promised=99),
            "targets[0].coverage: its numbers do not fit each other",
        ),
        (lambda value: value["rebuild"][0].update(created_by="x" * 70_000), "rebuild[0].created_by: is a text of more"),
        (lambda value: value["targets"].append([]), "targets[1]: is no object"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(change: Callable[[Any], object], fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan(changed(change))
    assert any(told.startswith(fault) for told in caught.value.faults), caught.value.faults


def test_all_faults_are_told_at_once_but_not_a_million() -> None:
    def break_all(value: Any) -> None:
        for copy in value["purge_in_manager"]:
            copy["entry"]["size"] = "many"
        value["wait"] = [1] * 100

    with pytest.raises(ConfigError) as caught:
        read_plan(changed(break_all))
    assert len(caught.value.faults) == 21
    assert caught.value.faults[-1] == "and 82 faults more"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "nul", '{"schema": "cgscan-plan/2"}', "[" * 100_000, '{"schema": NaN}', "9" * 10_000, '"\\ud800"'],
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_plan(text)


def test_a_key_that_stands_there_twice_is_refused() -> None:
    text = written(a_plan())
    with pytest.raises(UsageError, match="the key 'schema' stands there twice"):
        read_plan(text.replace("{", '{"schema": "cgscan-plan/1", ', 1))


def test_a_file_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(written(a_full_plan()), "utf-8")
    with pytest.raises(UsageError, match="limit kept_total"):
        read_plan(path, limits=Limits(kept_total=1000))
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.data())
def test_no_value_in_any_place_is_more_than_a_told_fault(data: st.DataObject) -> None:
    value = document(a_full_plan())
    here: Any = value
    while isinstance(here, dict | list) and here:
        keys = sorted(here) if isinstance(here, dict) else range(len(here))
        key = data.draw(st.sampled_from(list(keys)))
        if data.draw(st.booleans()) or not isinstance(here[key], dict | list) or not here[key]:
            here[key] = data.draw(JSON)
            break
        here = here[key]
    told = ""
    try:
        read_plan(json.dumps(value))
    except CgscanError as problem:
        told = str(problem)
    assert "\n" not in told
    assert len(told) < 10_000


def test_what_is_written_is_of_the_shipped_schema() -> None:
    schema = json.loads((Path(planfile.__file__).parent / "plan.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for plan in (a_plan(), a_full_plan()):
        check.validate(document(plan))
    wrong = document(a_full_plan())
    wrong["purge_locally"][0]["tool"] = "rm"
    assert [error.json_path for error in check.iter_errors(wrong)] == ["$.purge_locally[0].tool"]
