"""What moved, what did not and why: one change for each word, and when a promise counts as kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.utils import NormalizedName

from scanner.index import Evidence
from scanner.proof import Change, Outcome, TargetProof, Traces, Why, is_kept, proved, stored_in
from scanner.report import Available, DistributionLine, Integrity, Kind, Origin
from tests.plans import a_plan, a_rebuild, an_item
from tests.reports import SITE, a_line, a_match, a_report, verified_line

OFFERED = Available(same_version="a-1-py3-none-any.whl")
OURS, THEIRS = "ab" * 32, "cd" * 32


def proof(
    before: list[DistributionLine], after: list[DistributionLine], traces: Traces | None = None, **more: Any
) -> TargetProof:
    terms = {"minimum": Evidence.SBOM, **more}
    return proved(a_report(*before), a_report(*after), traces=traces or Traces(), **terms)


def only(found: TargetProof) -> Change:
    [change] = found.changes
    return change


def test_what_moved() -> None:
    found = proof([a_line("a", available=OFFERED), verified_line()], [verified_line("a"), verified_line()])
    change = only(found)
    assert (change.outcome, change.promised, change.why) == (Outcome.MOVED, True, None)
    assert (found.coverage_before, found.coverage_said, found.coverage_after) == (50.0, 100.0, 100.0)
    assert found.unmoved == 1
    assert is_kept(found.changes)


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ({"available": OFFERED}, Why.NOT_TAKEN),
        ({"available": Available(remediated="1+cgr.1")}, Why.NOT_TAKEN),
        ({}, Why.NOT_AVAILABLE),
        ({"version": "2"}, Why.NOT_AVAILABLE),
        ({"origin": Origin.UNCHECKED, "match": None, "available": OFFERED}, Why.UNCHECKED),
        ({"origin": Origin.LOCAL, "match": None, "available": OFFERED}, Why.OWN_BUILD),
        ({"version": "1+acme.3", "available": OFFERED}, Why.OWN_BUILD),
        ({"origin": Origin.UNKNOWN, "available": OFFERED}, Why.OWN_BUILD),
        ({"origin": Origin.UNKNOWN, "match": None, "available": OFFERED}, Why.NOT_TAKEN),
        ({"origin": Origin.CHAINGUARD, "integrity": Integrity.MODIFIED, "available": OFFERED}, Why.CHANGED),
    ],
)
def test_what_did_not_move_and_why(after: dict[str, Any], why: Why) -> None:
    found = proof([a_line("a", "1", available=OFFERED)], [a_line("a", **{"version": "1", **after})])
    change = only(found)
    assert (change.outcome, change.promised, change.why) == (Outcome.NOT_MOVED, True, why)
    assert change.detail
    assert not is_kept(found.changes)


def test_a_lock_file_that_refuses_chainguard_s_bytes() -> None:
    before, after = [a_line("a", "1", available=OFFERED)], a_line("a", "1", available=OFFERED)
    after = replace(after, match=a_match(sha256=f"sha256:{THEIRS}"))
    built: dict[tuple[NormalizedName, str | None], list[str]] = {(NormalizedName("a"), "1"): [OURS]}
    pinned = f"a==1 --hash=sha256:{THEIRS}\n"

    def why(text: str) -> Why | None:
        return only(proof(before, [after], Traces(locks={"requirements.txt": text}, built=built))).why

    assert why(pinned) is Why.PINNED_HASH
    assert why(f"{pinned} --hash=sha256:{OURS}") is Why.NOT_TAKEN, "it accepts both"
    assert why(f"a==1 --hash=sha256:{'0' * 64}") is Why.NOT_TAKEN, "that is another file's"


def test_a_copy_that_is_still_in_a_cache() -> None:
    line = a_line("a", "1", available=OFFERED)
    cached = a_line("a", "1", kind=Kind.CACHED, environment=None, location="/root/.cache/pip/x")
    ours = verified_line("b", "1", kind=Kind.CACHED, environment=None, location="/root/.cache/pip/y")
    stored = stored_in([a_report(cached, ours)])
    change = only(proof([line], [line], Traces(stored=stored)))
    assert change.why is Why.STILL_CACHED
    assert change.detail == "a copy is still in registry.example.com/shop/billing:1.4 /root/.cache/pip/x"
    other = only(proof([line], [replace(line, version="2")], Traces(stored=stored)))
    assert other.why is Why.NOT_TAKEN, "a copy of another version explains nothing"


def test_new_gone_and_lost() -> None:
    found = proof(
        [verified_line("lost"), a_line("gone", available=OFFERED), verified_line("stays")],
        [a_line("lost", available=OFFERED), a_line("new"), verified_line("new-and-ours"), verified_line("stays")],
    )
    assert [(change.name, change.outcome, change.why) for change in found.changes] == [
        ("lost", Outcome.LOST, Why.NOT_TAKEN),
        ("gone", Outcome.GONE, None),
        ("new", Outcome.NEW, Why.NOT_AVAILABLE),
        ("new-and-ours", Outcome.NEW, None),
    ]
    assert not is_kept(found.changes)
    assert is_kept(found.changes[1:]), "what is gone needs not move"


def test_what_was_not_promised_may_stay() -> None:
    found = proof([a_line("a")], [a_line("a")])
    assert (only(found).outcome, only(found).promised) == (Outcome.NOT_MOVED, False)
    assert is_kept(found.changes)


def test_an_environment_of_another_python_is_the_same_distribution_s() -> None:
    elsewhere = SITE.replace("3.12", "3.13")
    found = proof([a_line("a", available=OFFERED)], [verified_line("a", environment=elsewhere)])
    assert only(found).outcome is Outcome.MOVED
    twice = [verified_line("a", environment=f"{elsewhere}/{number}") for number in range(2)]
    outcomes = [change.outcome for change in proof([a_line("a", available=OFFERED)], twice).changes]
    assert outcomes == [Outcome.GONE, Outcome.NEW, Outcome.NEW], "which of the two it is cannot be told"


def test_what_the_system_s_package_took_over_is_gone() -> None:
    taken = a_line("a", origin=Origin.OS, integrity=Integrity.NONE, match=None)
    assert only(proof([a_line("a", available=OFFERED)], [taken])).outcome is Outcome.GONE


def test_the_plan_s_file_says_what_was_promised() -> None:
    before = [a_line("a", available=OFFERED), a_line("b", available=OFFERED)]
    plan = a_plan(rebuild=(a_rebuild(an_item("a")),))
    found = proof(before, [verified_line("a"), before[1]], plan=(plan, 0))
    assert [(change.name, change.promised) for change in found.changes] == [("b", False), ("a", True)]
    assert found.coverage_said == plan.coverage.then
    assert is_kept(found.changes)


def test_evidence_below_the_policy_s_is_not_moved() -> None:
    weak = verified_line("a", evidence=Evidence.SBOM)
    change = only(proof([a_line("a", available=OFFERED)], [weak], minimum=Evidence.PATH))
    assert (change.outcome, change.why) == (Outcome.NOT_MOVED, Why.WEAK)
