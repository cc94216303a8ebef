"""Report x policy -> violations."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from scanner.distribution import Finding, FindingKind
from scanner.errors import ConfigError, UsageError
from scanner.index import Evidence
from scanner.policy import ALLOWED, Policy, check, judged, load_policy
from scanner.report import Integrity, Kind, Origin, Report
from tests.reports import a_line, a_report, any_policy, any_report, everything, verified_line


def test_the_default_asks_nothing() -> None:
    assert check(everything(), Policy()) == ()
    assert judged(everything(), Policy()).summary.passed


def test_no_word_stands_for_two_things() -> None:
    assert len(set(ALLOWED)) == len(ALLOWED) == len(Origin) + len(Integrity) + len(FindingKind)


@pytest.mark.parametrize(("least", "holds"), [(0, True), (50, True), (50.01, False), (100, False)])
def test_least_coverage(least: float, holds: bool) -> None:
    violations = check(a_report(verified_line(), a_line()), Policy(min_coverage=least))
    assert (violations == ()) is holds
    if not holds:
        assert violations == (f"coverage is 50 %, the policy asks for {least:g} %; not verified: requests 2.31.0",)


def test_least_coverage_holds_where_nothing_is_applicable() -> None:
    assert check(a_report(a_line(origin=Origin.OS)), Policy(min_coverage=100)) == ()


def test_rounded_coverage_is_the_one_that_counts() -> None:
    assert check(a_report(verified_line(), verified_line(), a_line()), Policy(min_coverage=66.67)) == ()


@pytest.mark.parametrize("word", ALLOWED)
def test_every_word_can_fail(word: str) -> None:
    (violation,) = check(everything(), Policy(fail_on=frozenset({word})))
    assert word in violation
    assert check(a_report(), Policy(fail_on=frozenset({word}))) == ()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_counts_unless_hidden(kind: Kind) -> None:
    policy = Policy(fail_on=frozenset({"upstream"}))
    name = "requests 2.31.0" if kind is Kind.INSTALLED else f"requests 2.31.0 ({kind.value})"
    assert check(a_report(a_line(kind=kind)), policy) == (f"1 distribution of origin upstream: {name}",)
    assert check(a_report(a_line(kind=kind, hidden=True)), policy) == ()


def test_at_most_five_names() -> None:
    policy = Policy(fail_on=frozenset({"upstream", "unreadable"}))
    findings = [Finding(kind=FindingKind.UNREADABLE, path=f"/{n}", layer=0, detail="x") for n in range(5)]
    report = a_report(*[a_line(f"p{n}", "1") for n in range(7)], findings=findings)
    assert check(report, policy) == (
        "7 distributions of origin upstream: p0 1, p1 1, p2 1, p3 1, p4 1 and 2 more",
        "5 findings of kind unreadable: /0, /1, /2, /3, /4",
    )


def test_evidence_below_the_least_is_not_verified() -> None:
    report = a_report(verified_line("a", "1", Evidence.SBOM), verified_line("b", "1", Evidence.ATTESTED))
    told = judged(report, Policy(min_evidence=Evidence.NOT_UPSTREAM, min_coverage=100))
    assert (told.summary.verified, told.summary.coverage, told.summary.passed) == (1, 50.0, False)
    assert told.summary.violations == ("coverage is 50 %, the policy asks for 100 %; not verified: a 1",)
    assert judged(told, Policy()).summary == report.summary


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(report=any_report(), policy=any_policy())
def test_passed_is_to_have_no_violation(report: Report, policy: Policy) -> None:
    told = judged(report, policy)
    assert told.summary.violations == check(report, policy)
    assert told.summary.passed is (not told.summary.violations)
    assert told.distributions == report.distributions


@pytest.mark.parametrize("value", [-1, 100.1, math.nan, math.inf, True, 10**400, "80"])
def test_a_coverage_that_is_none(value: Any) -> None:
    with pytest.raises(UsageError, match="not a coverage") as caught:
        Policy(min_coverage=value)
    assert caught.value.hint == "write a number from 0 to 100"


def test_an_unknown_word_names_the_allowed_ones() -> None:
    with pytest.raises(UsageError, match="cannot fail on 'pypi', 'weird'") as caught:
        Policy(fail_on=frozenset({"weird", "upstream", "pypi"}))
    assert caught.value.hint == f"write one of {', '.join(ALLOWED)}"


# -- reading ---------------------------------------------------------------------------------------


def test_reading_a_policy() -> None:
    data = {"min_coverage": 80, "fail_on": ["unknown", "none", "planted-sbom"], "min_evidence": "path"}
    expected = frozenset({"unknown", "none", "planted-sbom"})
    assert load_policy(data) == Policy(min_coverage=80, fail_on=expected, min_evidence=Evidence.PATH)
    assert load_policy(None) == load_policy({}) == load_policy(dict.fromkeys(data)) == Policy()
    assert load_policy({"fail_on": "unknown"}) == Policy(fail_on=frozenset({"unknown"}))


def test_all_faults_at_once_with_their_paths() -> None:
    data = {"min_coverage": "80%", "fail_on": ["unknown", "nix", ["x"]], "min_evidence": "vibes", "minimum": 1, 7: 7}
    with pytest.raises(ConfigError) as caught:
        load_policy(data)
    starts = (
        "min_coverage: '80%' is no number",
        "fail_on[1]: 'nix' is unknown; write one of chainguard, ",
        "fail_on[2]: ['x'] is unknown",
        "min_evidence: 'vibes' is unknown; write one of attested, ",
        "'minimum': there is no such key",
        "7: there is no such key",
    )
    assert len(caught.value.faults) == len(starts)
    for fault, start in zip(caught.value.faults, starts, strict=True):
        assert fault.startswith(start)
    assert caught.value.hint == "keys are min_coverage, fail_on, min_evidence"


@pytest.mark.parametrize("data", ["upstream", 1, ["min_coverage"], {"fail_on": 3}, {"fail_on": {"a": 1}}])
def test_data_that_is_no_policy(data: object) -> None:
    with pytest.raises(ConfigError):
        load_policy(data)
