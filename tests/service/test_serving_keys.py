"""Keys of the section ``serve`` that are objects: what is read, and what program and schema both refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import scanner
from scanner.errors import ConfigError
from scanner.serving import Mode, Say, Serving, serving_of

SCHEMA: dict[str, Any] = json.loads((Path(scanner.__file__).parent / "config.schema.json").read_text("utf-8"))
RULE = {"names": "team-*", "mode": "enforce", "unknown": "deny", "min_coverage": 90, "max_age_hours": 48}


def read(folder: Path, **section: Any) -> Serving:
    file = folder / "cgscan.yaml"
    file.write_text(json.dumps({"serve": section}))
    return serving_of(file, {"HOME": "/"})


def is_valid(**section: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid({"serve": section}))


def test_rules_in_their_order(tmp_path: Path) -> None:
    rules = [{"names": ["kube-*"], "mode": False}, {**RULE, "exempt": ["r.example:5000/base/**", "*/pause"]}]
    section = {"namespaces": rules, "default": {"tags": "warn"}, "images": 5}
    assert is_valid(admission=section)
    admission = read(tmp_path, admission=section).admission
    assert admission.rule("kube-system").mode is Mode.OFF
    rule = admission.rule("team-a")
    assert (rule.mode, rule.unknown, rule.failing, rule.min_coverage) == (Mode.ENFORCE, Say.DENY, Say.DENY, 90)
    assert rule.max_age == 48 * 3600
    assert [rule.exempts(one) for one in ("r.example:5000/base/a/b", "r.example/base/a", "k.example/pause")] == [
        True,
        False,
        True,
    ]
    assert admission.rule("team").tags is Say.WARN
    assert admission.rule("").mode is Mode.WARN


def test_paths_start_at_the_file_and_an_address_has_no_slash_at_its_end(tmp_path: Path) -> None:
    tls = {"certificate": "tls.crt", "key": "/run/tls.key"}
    assert is_valid(tls=tls, url="https://cgscan.example/base/")
    serving = read(tmp_path, tls=tls, url="https://cgscan.example/base/")
    assert serving.tls is not None
    assert serving.tls.files == (tmp_path / "tls.crt", Path("/run/tls.key"))
    assert serving.url == "https://cgscan.example/base"


@pytest.mark.parametrize("url", ["http://cgscan.example:18087", "https://[2001:db8::1]:8443/a-b/c"])
def test_addresses(url: str, tmp_path: Path) -> None:
    assert is_valid(url=url)
    assert read(tmp_path, url=url).url == url


def test_a_harbor(tmp_path: Path) -> None:
    section = {"name": "main", "registry": "h.example", "known_as": ["core:8080"], "severities": {"upstream": "Low"}}
    assert is_valid(harbor=[section])
    (harbor,) = read(tmp_path, harbor=[section]).harbor
    assert (harbor.registry, harbor.known_as, harbor.severities["upstream"]) == (
        "h.example",
        frozenset({"core:8080"}),
        "Low",
    )


def test_a_registry_to_walk_through(tmp_path: Path) -> None:
    section = {"registry": "r.example:5000", "include": ["team/**"], "tags": "v*", "newest": 3, "at": "02:30"}
    assert is_valid(crawl=[section, {"registry": "ghcr.io", "repositories": ["a/b"], "every": "90m"}])
    one, other = read(tmp_path, crawl=[section, {"registry": "ghcr.io", "repositories": "a/b", "every": 7200}]).crawl
    assert (one.registry, one.include, one.tags, one.newest, one.at) == (
        "r.example:5000",
        ("team/**",),
        ("v*",),
        3,
        9000,
    )
    assert (other.repositories, other.seconds) == (("a/b",), 7200)
    with pytest.raises(ConfigError, match="makes no sense") as caught:
        read(tmp_path, crawl=[section, section])
    assert "r.example:5000 is named twice" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("url", "ftp://cgscan.example", "must be a URL"),
        ("url", "https://user:pw@cgscan.example", "must be a URL"),
        ("url", "https://cgscan.example/?a=b", "must be a URL"),
        ("tls", {"certificate": "a"}, "key: is missing"),
        ("tls", {"certificate": "a", "key": "b", "password": "c"}, "password"),
        ("admission", [], "must be a mapping"),
        ("admission", {"namespaces": {}}, "namespaces: must be a list"),
        ("admission", {"namespaces": [{"mode": "warn"}]}, "namespaces[0].names: is missing"),
        ("admission", {"namespaces": [{**RULE, "names": []}]}, "namespaces[0].names: must be"),
        ("admission", {"namespaces": [{**RULE, "mode": "on"}]}, "namespaces[0].mode: on is none of"),
        ("admission", {"namespaces": [{**RULE, "unknown": "off"}]}, "namespaces[0].unknown: off is none of"),
        ("admission", {"default": {"names": "a"}}, "default.names"),
        ("admission", {"default": {"min_coverage": 101}}, "default.min_coverage"),
        ("admission", {"resolve_seconds": 60}, "resolve_seconds"),
        ("admission", {"nothing": 1}, "there is no such key"),
        ("crawl", {}, "must be a list"),
        ("crawl", [{"include": "a/**"}], "registry: is missing"),
        ("crawl", [{"registry": "r.example", "every": "1d", "at": "02:30"}], "either every or at"),
        ("crawl", [{"registry": "r.example", "every": 1}], "90m, 6h"),
        ("crawl", [{"registry": "r.example", "at": 230}], "at: must be"),
        ("crawl", [{"registry": "r.example", "include": "A"}], "include:"),
        ("crawl", [{"registry": "r.example", "tags": []}], "tags:"),
        ("crawl", [{"registry": "r.example", "newest": 0}], "newest:"),
        ("crawl", [{"registry": "r.example", "per_second": 0}], "per_second:"),
        ("crawl", [{"registry": "https://r.example"}], "registry:"),
        ("harbor", {}, "must be a list"),
        ("harbor", [{"name": "main"}], "[0].registry: is missing"),
        ("harbor", [{"name": "a/b", "registry": "h.example"}], "[0].name"),
        ("harbor", [{"name": "a", "registry": "h.example", "severities": {"bad": "Low"}}], "is no origin"),
        ("harbor", [{"name": "a", "registry": "h.example", "severities": {"upstream": "Bad"}}], "is none of"),
    ],
)
def test_both_refuse(key: str, value: Any, said: str, tmp_path: Path) -> None:
    assert not is_valid(**{key: value})
    with pytest.raises(ConfigError, match="makes no sense") as caught:
        read(tmp_path, **{key: value})
    assert said in str(caught.value)
    assert "pw" not in str(caught.value)


def test_a_name_stands_once(tmp_path: Path) -> None:
    one = {"name": "main", "registry": "h.example"}
    with pytest.raises(ConfigError, match="is the name of one above"):
        read(tmp_path, harbor=[one, one])
