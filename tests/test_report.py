"""Counting."""

from __future__ import annotations

import pytest

from scanner.index import Evidence
from scanner.report import Available, Integrity, Kind, Origin, as_object, is_verified, summarise, valid_text
from tests.reports import a_line, a_match, everything, verified_line


def test_nothing_applicable_has_no_coverage() -> None:
    lines = [a_line(origin=Origin.OS), verified_line(kind=Kind.WHEEL), verified_line(hidden=True)]
    summary = summarise(lines)
    assert (summary.distributions, summary.applicable, summary.verified, summary.coverage) == (3, 0, 0, None)


def test_coverage_is_percent_with_two_places() -> None:
    assert summarise([verified_line(), a_line(), a_line()]).coverage == 33.33
    assert summarise([verified_line(), verified_line(), a_line()]).coverage == 66.67


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("kind", Kind)
def test_applicable_are_installed_ones_that_an_index_could_explain(origin: Origin, kind: Kind) -> None:
    inside = {"chainguard", "upstream", "ambiguous", "source", "unknown", "unchecked"}
    assert a_line(origin=origin, kind=kind).applicable is (kind is Kind.INSTALLED and origin.value in inside)


@pytest.mark.parametrize(
    ("integrity", "verified"),
    [(Integrity.INTACT, True), (Integrity.PRUNED, True), (Integrity.MODIFIED, False), (Integrity.NONE, False)],
)
def test_verified_by_integrity(integrity: Integrity, verified: bool) -> None:
    assert is_verified(verified_line(integrity=integrity)) is verified
    assert not is_verified(a_line(integrity=integrity))


def test_verified_by_evidence() -> None:
    line = verified_line(evidence=Evidence.PATH)
    assert [is_verified(line, rung) for rung in Evidence] == [False, False, False, True, True]
    assert not is_verified(verified_line(match=None))
    assert not is_verified(verified_line(match=a_match(None)))


def test_upgradable_is_what_is_not_verified_and_available() -> None:
    same = Available(same_version="x-1-py3-none-any.whl")
    lines = [verified_line(available=same), a_line(available=same), a_line(), a_line(available=same, hidden=True)]
    assert summarise(lines).upgradable == 1


def test_counts_are_in_the_contract_s_order_and_of_all() -> None:
    summary = everything().summary
    assert list(summary.by_origin) == [origin.value for origin in Origin]
    assert list(summary.by_integrity) == [state.value for state in Integrity]
    assert sum(summary.by_origin.values()) == summary.distributions == 18


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("plain é 👍", "plain é 👍"),
        ("a\udc80b\udcff", r"a\x80b\xff"),
        ("\ud83d\udc4d", r"\ud83d\udc4d"),
        ("\udc00", r"\udc00"),
    ],
)
def test_lone_surrogates_are_written_out(text: str, valid: str) -> None:
    assert valid_text(text) == valid


def test_nothing_of_python_is_left_in_the_object() -> None:
    def walk(value: object) -> None:
        assert isinstance(value, dict | list | str | int | float | None)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(item)

    walk(as_object(everything()))
