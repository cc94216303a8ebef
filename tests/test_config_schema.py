"""The JSON Schema of cgscan.yaml: it is the shipped one, and says of a file what the program says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

import scanner
from scanner.cli import commands, main
from scanner.cli.config import text
from scanner.config import SERVE, SETTINGS, SIGNERS, WEBHOOKS, gather
from scanner.entries import INDEX_KEYS
from scanner.errors import ConfigError
from scanner.serving import KEYS, serving_of
from scanner.values import LIMITS
from tests.test_config import FULL, WRONG

SHIPPED = Path(scanner.__file__).parent / "config.schema.json"
DOCS = Path(__file__).parent.parent / "docs"
SCHEMA: dict[str, Any] = json.loads(SHIPPED.read_text(encoding="utf-8"))
SECTIONS = ("indexes", "limits", SIGNERS, SERVE, WEBHOOKS)
"""What is no setting of its own."""


def faults(document: object) -> list[str]:
    """The paths at which the schema finds something, as the program writes them."""
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)
    return ["".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in one.path).lstrip(".") for one in found]


def test_the_shipped_schema_is_the_settings_own() -> None:
    hint = "run: cgscan config schema > scanner/config.schema.json"
    assert SHIPPED.read_text(encoding="utf-8") == text(commands), hint
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


def test_it_has_every_key_of_the_file() -> None:
    sections = {name: one for name, one in SCHEMA["properties"].items() if name not in SECTIONS}
    keys = {name for name, one in sections.items() if "properties" not in one}
    keys |= {f"{name}.{key}" for name, one in sections.items() for key in one.get("properties", ())}
    assert keys == {one.file for one in SETTINGS if one.file and one.file not in ("indexes", "limits")}
    assert {SIGNERS, "indexes", "limits"} <= set(SCHEMA["properties"])
    assert set(SCHEMA["properties"]["indexes"]["items"]["properties"]) == set(INDEX_KEYS)
    assert set(SCHEMA["properties"]["limits"]["properties"]) == set(LIMITS)
    entry = SCHEMA["properties"]["indexes"]["items"]["properties"]
    assert all(one.get("description") for one in [*sections.values(), *entry.values()])


OBJECTS = ("tokens", "notify", "attach", "tls", "admission", "harbor", "crawl")
SERVICE: dict[str, Any] = {
    key: one for key, one in SCHEMA["properties"][SERVE]["properties"].items() if key not in OBJECTS
}
"""All but objects, which would be drawn without what they require; tests/service/test_serving_keys.py has those."""


def test_the_service_has_the_keys_that_the_schema_has() -> None:
    assert set(SCHEMA["properties"][SERVE]["properties"]) == set(KEYS)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(section=st.deferred(lambda: drawn({"properties": SERVICE})))
def test_what_the_schema_takes_of_the_service_the_service_takes(
    section: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("schema") / "cgscan.yaml"
    file.write_text(json.dumps({SERVE: section}))
    faults: tuple[str, ...] = ()
    try:
        serving_of(file, {"HOME": "/"})
    except ConfigError as problem:  # blanks of Unicode, and ~name where there is nobody of that name
        faults = problem.faults
    beyond = ("a text of one line", "no such home folder")
    assert not [one for one in faults if not any(words in one for words in beyond)], section


def test_the_whole_file_holds() -> None:
    assert faults(yaml.safe_load(FULL)) == []


@pytest.mark.parametrize(
    "page",
    [
        DOCS / "configuration.md",
        DOCS / "offline.md",
        DOCS / "attested.md",
        DOCS / "service.md",
        DOCS / "admission.md",
        DOCS / "harbor.md",
        DOCS / "notifications.md",
        DOCS / "crawl.md",
        DOCS / "webhooks.md",
        *(DOCS / "managers").glob("*.md"),
    ],
)
def test_what_the_pages_say_holds(page: Path) -> None:
    quoted = [
        one
        for one in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
        if "role:" in one or f"{SIGNERS}:" in one or one.startswith((f"{WEBHOOKS}:", f"{SERVE}:"))
    ]
    documents = [yaml.safe_load(one) for one in quoted]
    assert documents
    assert [faults(one) for one in documents] == [[] for _ in documents]


def test_it_finds_what_the_program_finds() -> None:
    document = yaml.safe_load(WRONG.replace("- plain\n", "- {name: c, role: upstream}\n"))
    found = set(faults(document))
    assert {"indexes[0].role", "indexes[0]", "indexes[1]", "indexes[1].url", "indexes[1].token_env"} <= found
    assert {"indexes[2]", "indexes[3]", "policy.min_coverage", "policy.min_evidence"} <= found
    assert {"limits", "limits.layers", "limits.path", "limits.depth", "registries", "jobs", "platform", ""} <= found
    assert {"policy.fail_on", "outputs"} <= found


AN_INDEX = {"name": "a", "role": "chainguard", "url": "https://a.example/simple"}


@pytest.mark.parametrize(
    "change",
    [
        {"token_env": "T", "helper": "pass"},
        {"password_env": "P", "keyring": True},
        {"keyring": True, "helper": ["x"]},
        {"token_env": "T", "password_env": "P"},
        {"helper": []},
        {"helper": "not a name"},
        {"helper": [1]},
        {"repository": "a b"},
        {"repository": "a/b/c"},
        {"role": "upstream", "built_only": True},
        {"url": None, "path": "x", "keyring": True},
        {"url": None, "path": "x", "repository": "y"},
        {"url": None},
        {"path": "x"},
    ],
    ids=str,
)
def test_both_refuse(change: dict[str, Any], tmp_path: Path) -> None:
    entry = {key: value for key, value in {**AN_INDEX, **change}.items() if value is not None}
    assert faults({"indexes": [AN_INDEX]}) == []
    assert faults({"indexes": [entry]})
    file = tmp_path / "cgscan.yaml"
    file.write_text(json.dumps({"indexes": [entry]}))
    with pytest.raises(ConfigError):
        gather({"config": str(file)}, {})


PARTS = {key: one for key, one in SCHEMA["properties"].items() if key not in ("indexes", SIGNERS, SERVE, WEBHOOKS)}
ENTRY = {
    key: one
    for key, one in SCHEMA["properties"]["indexes"]["items"]["properties"].items()
    if key not in ("url", "path", "kind", "repository", "name", "role", "helper")
}


def drawn(form: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """What a form takes; objects with any of their keys."""
    if "properties" in form:
        return st.fixed_dictionaries({}, optional={key: drawn(one) for key, one in form["properties"].items()})
    return from_schema({key: value for key, value in form.items() if key not in ("description", "default")})


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    document=drawn({"properties": PARTS}),
    entry=drawn({"properties": ENTRY}),
)
def test_what_the_schema_takes_the_program_takes(
    document: dict[str, Any], entry: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    document["indexes"] = [{**AN_INDEX, **entry}]
    if faults(document):  # several ways to say who asks: the rest of the entry is free
        document["indexes"] = [AN_INDEX]
    assert faults(document) == []
    file = tmp_path_factory.mktemp("schema") / "cgscan.yaml"
    file.write_text(json.dumps(document))
    try:
        gather({"config": str(file)}, {})
    except ConfigError as problem:
        # two formats on standard output, and blanks of Unicode: what only the program judges
        rest = [one for one in problem.faults if "two formats" not in one and "a text of one line" not in one]
        assert not rest, document
