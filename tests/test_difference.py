"""What became of distributions and findings between two reports, and that nothing is lost on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from scanner.difference import OPPOSITES, TargetDifference, What, difference, failed
from scanner.distribution import Finding, FindingKind
from scanner.index import Evidence
from scanner.pairing import pairs
from scanner.report import DistributionLine, Integrity, Kind, Origin, Report
from tests.reports import SITE, a_line, a_match, a_report, any_report, everything, verified_line
from tests.scenes import Scene, builds

ELSEWHERE = SITE.replace("3.12", "3.13")


def compared(before: Report, after: Report, minimum: Evidence = Evidence.SBOM) -> TargetDifference:
    return difference(before, after, minimum=minimum)


def words(before: DistributionLine | None, after: DistributionLine | None) -> list[str]:
    """The words of the only change, if there is one."""
    old, new = (a_report(*([line] if line else [])) for line in (before, after))
    return [what.value for change in compared(old, new).changes for what in change.what]


OURS = verified_line("a", "1")
THEIRS = a_line("a", "1")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (OURS, OURS, []),
        (OURS, THEIRS, ["fell-back"]),
        (THEIRS, OURS, ["became-chainguard"]),
        (OURS, replace(OURS, origin=Origin.AMBIGUOUS), ["fell-back"]),
        (OURS, replace(OURS, origin=Origin.UNCHECKED, integrity=Integrity.INTACT), ["unchecked"]),
        (replace(OURS, origin=Origin.UNCHECKED), OURS, ["checked"]),
        (OURS, verified_line("a", "2"), ["updated"]),
        (OURS, a_line("a", "2"), ["fell-back", "updated"]),
        (THEIRS, verified_line("a", "2"), ["updated", "became-chainguard"]),
        (OURS, replace(OURS, integrity=Integrity.MODIFIED), ["modified"]),
        (replace(OURS, integrity=Integrity.MODIFIED), OURS, ["restored"]),
        (OURS, replace(OURS, integrity=Integrity.PRUNED), ["other-integrity"]),
        (THEIRS, replace(THEIRS, origin=Origin.UNKNOWN), ["other-origin"]),
        (OURS, verified_line("a", "1", Evidence.ATTESTED), ["evidence"]),
        (OURS, replace(OURS, match=a_match(Evidence.NOT_UPSTREAM, sha256=f"sha256:{'cd' * 32}")), ["other-wheel"]),
        (OURS, replace(OURS, layer=3, layers=(2, 3)), []),
        (None, OURS, ["came"]),
        (OURS, None, ["gone"]),
        (OURS, replace(OURS, kind=Kind.WHEEL, environment=None), ["came", "gone"]),
        (OURS, replace(OURS, hidden=True), ["came", "gone"]),
    ],
)
def test_each_word(before: DistributionLine | None, after: DistributionLine | None, expected: list[str]) -> None:
    assert words(before, after) == expected


def test_every_word_is_told_above() -> None:
    [mark] = [mark for mark in test_each_word.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert {word for *_, expected in mark.args[1] for word in expected} == {what.value for what in What}


def test_an_environment_of_another_python_goes_with_it() -> None:
    found = pairs([a_line("a")], [verified_line("a", environment=ELSEWHERE)])
    assert [(one is not None, other is not None) for one, other in found] == [(True, True)]
    site, venv = "/opt/a/lib/python3.11/site-packages", "/opt/b/lib/python3.11/site-packages"
    old = [verified_line("a", environment=site), a_line("a", environment=venv)]
    new = [replace(line, environment=(line.environment or "").replace("3.11", "3.12")) for line in reversed(old)]
    assert [(one and one.origin, other and other.origin) for one, other in pairs(old, new)] == [
        (Origin.CHAINGUARD, Origin.CHAINGUARD),
        (Origin.UPSTREAM, Origin.UPSTREAM),
    ]


def test_what_cannot_be_told_apart_came_and_went() -> None:
    twice = [verified_line("a", environment=f"/opt/{number}") for number in range(2)]
    assert Counter(words(a_line("a"), None)) == {"gone": 1}
    changes = compared(a_report(a_line("a")), a_report(*twice)).changes
    assert [change.what[0].value for change in changes] == ["came", "came", "gone"]


def test_two_of_a_name_in_one_environment_are_both_counted() -> None:
    old = [a_line("a", "1"), a_line("a", "2")]
    found = compared(a_report(*old), a_report(a_line("a", "2"), a_line("a", "3")))
    assert found.unchanged == 1
    [change] = found.changes
    assert change.before is not None
    assert change.after is not None
    assert (change.before.version, change.after.version) == ("1", "3")


def test_the_layer_that_brought_it_in() -> None:
    [change] = compared(a_report(OURS), a_report(replace(THEIRS, layer=3))).changes
    assert change.before is not None
    assert change.after is not None
    assert change.after.layer is not None
    assert (change.after.layer.number, change.after.layer.created_by) == (3, "RUN step 3")


def test_findings_that_appeared_and_vanished() -> None:
    def finding(path: str, kind: FindingKind = FindingKind.UNOWNED_FILE) -> Finding:
        return Finding(kind=kind, path=path, layer=1, detail="d")

    before = a_report(findings=[finding(f"{SITE}/same.py"), finding("/gone.py"), finding("/twice"), finding("/twice")])
    after = a_report(findings=[finding(f"{ELSEWHERE}/same.py"), finding("/new.py"), finding("/twice")])
    found = compared(before, after)
    assert found.unchanged_findings == 2
    assert [(one.appeared, one.path) for one in found.findings] == [
        (False, "/gone.py"),
        (False, "/twice"),
        (True, "/new.py"),
    ]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, None),
        ({"indexes": ()}, "other indexes"),
        ({"tool": {"name": "cgscan", "version": "0.0.1"}}, "other versions of cgscan, 0.0.1 and"),
    ],
)
def test_what_else_may_be_behind_it(changes: dict[str, Any], note: str | None) -> None:
    notes = compared(replace(a_report(OURS), **changes), a_report(OURS)).notes
    assert len(notes) == (note is not None)
    assert note is None or note in notes[0]


def test_other_terms_are_noted() -> None:
    report = a_report(OURS)
    old = replace(report, indexes=tuple(replace(index, as_of="2026-01-01T00:00:00Z") for index in report.indexes))
    assert "of other days" in compared(old, report).notes[0]
    arm = replace(report, target=replace(report.target, platform="linux/arm64"))
    assert "linux/arm64" in compared(arm, report).notes[0]
    lower = a_report(OURS, replace(THEIRS, hidden=True))
    assert "--scope squashed" in compared(lower, report).notes[0]


def test_what_a_gate_stops_at() -> None:
    everything_else = frozenset(what.value for what in What) | {"coverage", "finding"}
    found = [compared(a_report(OURS, verified_line("b")), a_report(THEIRS, verified_line("b")))]
    assert failed(found, everything_else) == ("fell-back", "coverage")
    assert failed(found, {"finding", "modified"}) == ()
    weaker = [compared(a_report(OURS), a_report(verified_line("a", "1", Evidence.SBOM)), Evidence.PATH)]
    assert failed(weaker, everything_else) == ("evidence", "coverage")
    assert failed([compared(a_report(OURS), a_report())], {"coverage"}) == (), "nothing is left that could be verified"
    appeared = [compared(a_report(), a_report(findings=everything().findings[:1]))]
    assert failed(appeared, everything_else) == ("finding",)


@settings(max_examples=40)
@given(any_report())
def test_a_report_is_the_same_as_itself(report: Report) -> None:
    found = compared(report, report)
    assert (found.changes, found.findings, found.notes) == ((), (), ())
    assert (found.unchanged, found.unchanged_findings) == (len(report.distributions), len(report.findings))


def assert_mirrored(before: Report, after: Report) -> None:
    there, back = compared(before, after), compared(after, before)
    assert (there.before, there.after) == (back.after, back.before)
    assert Counter(
        (change.name, frozenset(OPPOSITES[what] for what in change.what), change.after, change.before)
        for change in there.changes
    ) == Counter((change.name, frozenset(change.what), change.before, change.after) for change in back.changes)
    assert Counter((one.kind, one.path, one.detail) for one in there.findings if one.appeared) == Counter(
        (one.kind, one.path, one.detail) for one in back.findings if not one.appeared
    )
    for side, of in ((before, "before"), (after, "after")):
        told = sum(getattr(change, of) is not None for change in there.changes)
        assert told + there.unchanged == len(side.distributions), "each is counted once"


@settings(max_examples=40)
@given(any_report(), any_report())
def test_the_other_way_round_is_the_opposite(before: Report, after: Report) -> None:
    assert_mirrored(before, after)


def test_the_other_way_round_with_names_in_common() -> None:
    report = everything()
    moved = [replace(line, environment=line.environment and line.environment.replace("3.12", "3.13"))
             for line in report.distributions]  # fmt: skip
    turned = [replace(line, origin=Origin.UPSTREAM, version="9") for line in moved[::2]]
    assert_mirrored(report, replace(report, distributions=(*turned, *moved[1::2])))


def test_real_scans_before_and_after_a_rebuild(tmp_path: Path) -> None:
    (ours, theirs), (others, _) = (
        builds(tmp_path / name, {f"{name}.py": b"1"}, name=name) for name in ("demo", "gone")
    )
    scenes = [Scene(tmp_path / name) for name in ("before", "after")]
    scenes[0].install(ours)
    scenes[0].install(others)
    scenes[1].install(theirs)
    (scenes[1].site / "sitecustomize.py").write_text("import os\n")
    judged = [scene.judge([ours, others], [theirs]) for scene in scenes]
    old, new = (a_report(*one.lines, findings=one.findings) for one in judged)
    found = compared(old, new)
    assert [(change.name, [what.value for what in change.what]) for change in found.changes] == [
        ("demo", ["fell-back"]),
        ("gone", ["gone"]),
    ]
    assert [(one.appeared, one.kind) for one in found.findings] == [(True, FindingKind.UNOWNED_FILE)]
    assert (found.before.coverage, found.after.coverage) == (100.0, 0.0)
