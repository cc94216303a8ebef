"""OpenVEX documents of every form, and what is none; what they say of the builds of a release."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from scanner.vex import Fix, fixes_of, listed_of, statements_of

DEMO = canonicalize_name("demo")


def document(*statements: Any, **more: Any) -> bytes:
    top = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://h/1", "author": "Chainguard"}
    return json.dumps({**top, "timestamp": "2026-08-01T00:00:00Z", "statements": statements, **more}).encode()


def statement(*versions: str, status: str = "fixed", name: str = "CGA-aaaa", **more: Any) -> dict[str, Any]:
    products = [{"identifiers": {"purl": f"pkg:pypi/demo@{version}"}} for version in versions]
    vulnerability = {"@id": f"https://h/{name}", "name": name, "aliases": ["CVE-2026-0001", "GHSA-x"]}
    return {"vulnerability": vulnerability, "products": products, "status": status, **more}


def fixes(data: bytes, version: str | None = "1.0") -> tuple[Fix, ...]:
    return fixes_of(statements_of(data), DEMO, version)


def test_what_is_fixed_in_a_remediated_build() -> None:
    [fix] = fixes(document(statement("1.0%2Bcgr.1", "1.0%2Bcgr.2")))
    assert fix == Fix(
        vulnerability="CGA-aaaa",
        cves=("CVE-2026-0001",),
        aliases=("GHSA-x",),
        status="fixed",
        fixed_version="1.0+cgr.1",
        here=None,
    )
    assert fixes(document(statement("1.0%2Bcgr.1", "1.0%2Bcgr.2")), "1.0+cgr.2")[0].here == "fixed"
    assert fixes(document(statement("1.0%2Bcgr.0")), "1.0+cgr.0")[0].fixed_version == "1.0+cgr.0"


def test_versions_are_compared_by_their_value() -> None:
    data = document(statement("1.0.0+cgr.10", "1.0+cgr.9"))
    for version in ("1.0", "1", "1.0.0+cgr.1"):
        assert fixes(data, version)[0].fixed_version == "1.0+cgr.9"
    others: list[str | None] = ["1.0.1", "1.0.post1", "1.0rc1", None, "of somebody's"]
    assert [fixes(data, version) for version in others] == [()] * 5


@pytest.mark.parametrize(
    "product",
    [
        {"@id": "pkg:pypi/demo@1.0%2Bcgr.1"},
        {"@id": "pkg:pypi/demo@1.0+cgr.1", "identifiers": {"purl": 7}},
        {"identifiers": {"purl": "pkg:pypi/Demo@1.0%2bcgr.1?repository_url=https://h/#sub"}},
        {"@id": "https://h/product", "identifiers": {"purl": "pkg:pypi/demo@1.0%2Bcgr.1"}},
        "pkg:pypi/demo@1.0%2Bcgr.1",
    ],
)
def test_forms_of_a_product(product: Any) -> None:
    assert [fix.fixed_version for fix in fixes(document({**statement(), "products": [product]}))] == ["1.0+cgr.1"]


@pytest.mark.parametrize(
    ("vulnerability", "cves"),
    [
        ("CVE-2026-0002", ("CVE-2026-0002",)),
        ({"@id": "CVE-2026-0002"}, ("CVE-2026-0002",)),
        ({"name": "CVE-2026-0002", "aliases": "CVE-2026-0003"}, ("CVE-2026-0002",)),
        ({"name": "x", "aliases": [7, "CVE-2026-10000", "CVE-2026-9999"]}, ("CVE-2026-9999", "CVE-2026-10000")),
        ({"name": "a\x1b[31m", "@id": "plain"}, ()),
    ],
)  # fmt: skip
def test_forms_of_a_vulnerability(vulnerability: Any, cves: tuple[str, ...]) -> None:
    [fix] = fixes(document({**statement("1.0+cgr.1"), "vulnerability": vulnerability}))
    assert fix.cves == cves
    assert fix.vulnerability.isprintable()


@pytest.mark.parametrize(
    "change",
    [
        {"status": "solved"},
        {"status": ["fixed"]},
        {"vulnerability": None},
        {"vulnerability": {"aliases": []}},
        {"products": None},
        {"products": {"@id": "pkg:pypi/demo@1.0"}},
        {"products": ["pkg:npm/demo@1.0", "pkg:pypi/demo@", "pkg:pypi/demo@latest", "pkg:pypi/other@1.0", 7, "", None]},
    ],
)
def test_what_says_nothing_is_left_out(change: dict[str, Any]) -> None:
    good = statement("1.0+cgr.1", name="good")
    assert [fix.vulnerability for fix in fixes(document(7, {**statement("1.0"), **change}, good))] == ["good"]


def test_a_later_statement_takes_the_place_of_an_earlier_one() -> None:
    first = statement("1.0", status="under_investigation", timestamp="2026-08-02T00:00:00Z")
    last = statement(
        "1.0", status="affected", timestamp="2026-08-02T00:00:00Z", last_updated="2026-09-01T02:00:00+02:00"
    )
    mended = statement("1.0+cgr.1", timestamp="nonsense")
    for order in ([first, last, mended], [mended, last, first]):
        [fix] = fixes(document(*order))
        assert (fix.status, fix.fixed_version, fix.here) == ("fixed", "1.0+cgr.1", "affected")
    [fix] = fixes(document(first, last))
    assert (fix.status, fix.fixed_version, fix.here) == ("affected", None, "affected")


def test_of_any_version() -> None:
    data = document({**statement(status="not_affected"), "products": ["pkg:pypi/demo"]})
    assert [(fix.status, fix.here) for fix in fixes(data)] == [("not_affected", "not_affected")]


def test_the_order_is_that_of_the_numbers() -> None:
    rows = [
        {**statement("1.0+cgr.1"), "vulnerability": name} for name in ("CVE-2026-10", "CVE-2025-99999", "CVE-2026-9999")
    ]
    assert [fix.vulnerability for fix in fixes(document(*rows))] == ["CVE-2026-10", "CVE-2025-99999", "CVE-2026-9999"]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"statements": 7}', b"\xff", b"[" * 100_000, b'{"a": 1' + b"1" * 9999]
)
def test_what_is_no_document(data: bytes) -> None:
    with pytest.raises(ValueError, match="no "):
        statements_of(data)


def test_a_list_of_documents() -> None:
    entries = [
        {"id": "pypi/Zope.Interface.openvex.json", "modified": "2026-08-01T00:00:00Z"},
        {"id": "pypi/../../secret.openvex.json", "modified": "x"},
        {"id": "pypi/a/b.openvex.json"},
        {"id": "maven/demo.openvex.json"},
        {"id": "pypi/demo.openvex.json", "modified": 7},
        {"id": 7},
        7,
    ]
    assert listed_of(json.dumps({"version": 1, "entries": entries}).encode()) == {
        "zope-interface": ("pypi/Zope.Interface.openvex.json", "2026-08-01T00:00:00Z"),
        "demo": ("pypi/demo.openvex.json", ""),
    }
    assert listed_of(document()) is None


_KEYS = ["vulnerability", "products", "status", "name", "aliases", "@id", "identifiers", "purl", "timestamp"]
_TEXTS = ["fixed", "pkg:pypi/demo@1.0+cgr.1", "pkg:pypi/demo@", "CVE-2026-0001", "0001-01-01T00:00:00+23:59"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(_TEXTS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=6),
    max_leaves=30,
)


@given(st.lists(_JSON, max_size=4), _JSON, st.binary(max_size=40))
def test_any_values(rows: list[Any], time: Any, data: bytes) -> None:
    for fix in fixes(json.dumps({"statements": rows, "timestamp": time}).encode()):
        assert fix.vulnerability.isprintable()
    listed_of(json.dumps({"entries": rows}).encode())
    with suppress(ValueError):
        statements_of(data)
