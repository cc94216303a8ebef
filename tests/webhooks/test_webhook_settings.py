"""The section ``webhooks`` of the configuration file: what it takes, and one line for each fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.config import gather
from scanner.configschema import schema
from scanner.errors import ConfigError
from scanner.webhooks import OFFERS, WEBHOOK_KEYS, Auth, Kind, Place, WebhookSource, armed, file_webhooks, is_loopback
from tests.webhooks.payloads import GOOGLE_ENTRY, SAMPLES, SECRET

PAGE = Path(__file__).parent.parent.parent / "docs" / "webhooks.md"
SCHEMA = schema({})
A_SOURCE = {"name": "main", "kind": "distribution", "registry": "registry.example", "secret_env": "HOOK"}


def taken(*entries: Any) -> tuple[WebhookSource, ...]:
    faults: list[str] = []
    found = file_webhooks(list(entries), faults)
    assert not faults, faults
    return found


def faults_of(value: Any) -> list[str]:
    faults: list[str] = []
    file_webhooks(value, faults)
    return faults


def test_a_file_has_its_sources(tmp_path: Path) -> None:
    file = tmp_path / "cgscan.yaml"
    file.write_text(yaml.safe_dump({"webhooks": [A_SOURCE]}))
    found = gather({"config": str(file)}, {}).webhooks
    assert [(one.name, one.kind, one.auth) for one in found] == [("main", Kind.DISTRIBUTION, Auth.BEARER)]
    assert found[0].registry == Place(host="registry.example")
    file.write_text(yaml.safe_dump({"webhooks": [{**A_SOURCE, "kind": "harbour"}]}))
    with pytest.raises(ConfigError, match=r"webhooks\[0\].kind: harbour is no kind of webhook.*did you mean harbor"):
        gather({"config": str(file)}, {})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": None}, "name: is missing"),
        ({"name": "a/b"}, "name: must be a name"),
        ({"kind": None}, "kind: is missing"),
        ({"kind": 7}, "kind: 7 is no kind of webhook"),
        ({"registry": None}, "registry: is missing"),
        ({"registry": "registry"}, "registry: must be HOST"),
        ({"registry": "https://registry.example"}, "registry: must be HOST"),
        ({"registry": "registry.example/Team"}, "registry: must be HOST"),
        ({"registry": "registry.example/"}, "registry: must be HOST"),
        ({"registry": "registry.example/a/../b"}, "registry: must be HOST"),
        ({"secret_env": None}, "secret_env: is missing"),
        ({"secret_env": ["A"] * 9}, "secret_env: must be one, or a list of at most 8"),
        ({"secret_env": []}, "secret_env: must be one"),
        ({"secret_env": "not a name"}, "secret_env: must be the name of an environment variable"),
        ({"secret": "hunter2"}, "holds no secret; write secret_env: VARIABLE"),
        ({"tokn": "x"}, "tokn: there is no such key"),
        ({"auth": "hmac"}, "auth: distribution has no hmac; it has bearer, header, basic, url"),
        ({"auth": "jwt"}, "auth: distribution has no jwt"),
        ({"auth": "basic"}, "username_env: is missing, for auth basic"),
        ({"username_env": "U"}, "username_env: is for auth basic"),
        ({"auth": "none"}, "secret_env: is not used with auth none"),
        ({"header": "X-Y"}, "header: is for auth header and hmac"),
        ({"header": "X Y", "auth": "header"}, "header: must be the name of a header"),
        ({"audience": "x"}, "audience: is for the kind google"),
        ({"origins": "x.example"}, "origins: is for the kind acr"),
        ({"reference": "a.b"}, "reference: is for the kind generic"),
        ({"registries": {"a": "b.example"}}, "registries: is for the kind artifactory or nexus"),
        ({"repositories": ["Team/*"]}, "repositories: must be the name of a repository"),
        ({"body": "33MiB"}, "body: 33MiB is not from 1 byte to 32MiB"),
        ({"body": 0}, "body: 0 is not from"),
        ({"untagged": "perhaps"}, "untagged: perhaps is neither true nor false"),
        ({"kind": "generic"}, "reference: is missing"),
        ({"kind": "generic", "reference": "a..b"}, "reference: must be keys"),
        ({"kind": "nexus"}, "registries: is missing"),
        ({"kind": "dockerhub"}, "registry: is docker.io for this kind"),
        ({"kind": "google", "secret_env": None}, "audience: is missing"),
        (
            {"kind": "google", "secret_env": None, "keys_url": "http://keys.example/"},
            "keys_url: must be a URL of https",
        ),
    ],
    ids=str,
)
def test_a_fault_is_one_line_with_its_place(change: dict[str, Any], told: str) -> None:
    entry = {key: value for key, value in {**A_SOURCE, **change}.items() if value is not None}
    found = faults_of([entry])
    assert any(told in one for one in found), found
    assert all(one.startswith("webhooks[0].") and "\n" not in one for one in found)
    assert "hunter2" not in str(found)


def test_names_are_there_once_and_the_section_is_a_list() -> None:
    assert faults_of([A_SOURCE, A_SOURCE]) == ["webhooks[1].name: main is the name of a source above"]
    assert faults_of({"main": A_SOURCE}) == ["webhooks: must be a list (- name: …)"]
    assert faults_of([7])[0] == "webhooks[0]: must be a mapping (key: value)"
    assert file_webhooks(None, []) == ()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=9), inside, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(entry=st.dictionaries(st.sampled_from(list(WEBHOOK_KEYS)), ANYTHING, max_size=6), section=ANYTHING)
def test_anything_else_is_a_fault(entry: dict[str, Any], section: Any) -> None:
    for value in (section, [entry], [{**A_SOURCE, **entry}]):
        assert all("\n" not in one for one in faults_of(value))


def test_secrets_come_from_the_environment_and_are_not_shown() -> None:
    [one] = armed(taken(A_SOURCE), {"HOOK": SECRET}, bound_to="0.0.0.0")
    assert one.secrets == (SECRET,)
    assert SECRET not in repr(one)


@pytest.mark.parametrize("value", [None, "", " ", "a b ", "line\n", "é", "\x00"])
def test_a_secret_that_is_none_is_refused(value: str | None) -> None:
    with pytest.raises(ConfigError, match=r"webhooks\.main: the environment variable HOOK (is not set|holds)"):
        armed(taken(A_SOURCE), {"HOOK": value} if value is not None else {}, bound_to="127.0.0.1")


@pytest.mark.parametrize("kind", list(Kind))
def test_without_a_secret_it_is_for_loopback_alone(kind: Kind) -> None:
    entry = {"name": "main", "kind": kind.value, "auth": "none"}
    if kind is Kind.NEXUS:
        entry["registries"] = {"a": "b.example"}  # type: ignore[assignment]
    elif OFFERS[kind].registry is None:
        entry["registry"] = "registry.example"
    if kind is Kind.GENERIC:
        entry["reference"] = "a"
    sources = taken(entry)
    assert armed(sources, {}, bound_to="127.0.0.1") == sources
    for host in ("0.0.0.0", "::", "10.0.0.7", "cgscan.example", ""):
        with pytest.raises(ConfigError, match="has no secret"):
            armed(sources, {}, bound_to=host)


def test_what_loopback_is() -> None:
    assert all(is_loopback(one) for one in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"))
    assert not any(is_loopback(one) for one in ("0.0.0.0", "::", "localhost.evil.example", "1.1.1.1", "", "*"))


def told_by_schema(entries: Any) -> list[str]:
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors({"webhooks": entries})
    return [one.message for one in found]


def test_the_schema_takes_what_the_program_takes() -> None:
    for entry in [*(sample.entry for sample in SAMPLES.values()), GOOGLE_ENTRY]:
        whole = {"name": "main", **entry}
        if entry["kind"] != "google":
            whole["secret_env"] = ["HOOK", "HOOK_NEXT"]
        taken(whole)
        whole.pop("keys_url", None)  # of the test's own server
        assert told_by_schema([whole]) == []
    wrong: list[dict[str, Any]] = [{"auth": "hmac"}, {"kind": "x"}, {"secret_env": []}, {"registry": "https://x"}]
    for change in [*wrong, {"none": 1}]:
        assert told_by_schema([{**A_SOURCE, **change}])
        assert faults_of([{**A_SOURCE, **change}])


def examples() -> list[dict[str, Any]]:
    """The sources that the page has."""
    blocks = PAGE.read_text(encoding="utf-8").split("```yaml\nwebhooks:")[1:]
    return [entry for one in blocks for entry in yaml.safe_load("webhooks:" + one.partition("```")[0])["webhooks"]]


def test_the_page_has_every_kind_and_key_and_holds() -> None:
    entries = examples()
    assert {entry["kind"] for entry in entries} == {kind.value for kind in Kind}
    for entry in entries:
        taken(entry)
        assert told_by_schema([entry]) == []
    page = PAGE.read_text(encoding="utf-8")
    assert not [key for key in WEBHOOK_KEYS if f"`{key}`" not in page]
    for kind, offer in OFFERS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{kind.value}` |"))
        assert [way.value for way in offer.ways] == [way.strip(" `") for way in row.split("|")[2].split(",")]
        header = offer.signing.header if offer.signing else offer.header
        assert header in row or not {Auth.HMAC, Auth.HEADER, Auth.BEARER} & set(offer.ways)
