"""Where each distribution goes in a plan, what is promised, and that nothing is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.digest import Digest
from scanner.formats.plans import render
from scanner.formats.text import Look
from scanner.index import Evidence
from scanner.plan import Lack, Offer, Plan, Whose
from scanner.planfile import document, read_plan
from scanner.planning import Bases, Weighed, concerns, offer_of_report, plan_of
from scanner.report import Available, DistributionLine, FileLine, Integrity, Kind, Origin, Report, TargetLine
from scanner.stale import Replacement
from tests.reports import SITE, a_line, a_report, any_report, everything, verified_line

WHEEL = Replacement(index="libraries", filename="x-1-py3-none-any.whl", sha256=Digest("sha256", "ef" * 32))
HAS = Offer(same_version=WHEEL, evidence=Evidence.NOT_UPSTREAM)
HAS_NOT = Offer(lack=Lack.NOT_BUILT, why="nothing of it")


def planned(
    report: Report,
    *offers: Offer | None,
    folder: Path | None = None,
    minimum: Evidence = Evidence.SBOM,
    bases: Bases = (),
) -> Plan:
    weighed = Weighed(report=report, offers=offers, folder=folder)
    return plan_of([weighed], made_at="2026-03-01T12:05:00Z", minimum=minimum, bases=bases)


def test_what_can_come_is_rebuilt_and_counted() -> None:
    report = a_report(verified_line(), a_line("a"), a_line("b", layer=1), a_line("c"))
    plan = planned(report, None, HAS, HAS, HAS_NOT)
    assert [(step.layer, [item.name for item in step.items]) for step in plan.rebuild] == [(1, ["b"]), (2, ["a"])]
    assert [step.created_by for step in plan.rebuild] == ["RUN step 1", "RUN step 2"]
    assert [item.name for item in plan.wait] == ["c"]
    assert (plan.coverage.now, plan.coverage.then) == (25.0, 75.0)
    assert plan.coverage == plan.targets[0].coverage


@pytest.mark.parametrize("kind", [Kind.WHEEL, Kind.BUNDLED, Kind.CACHED])
def test_what_coverage_does_not_count_is_moved_and_promises_nothing(kind: Kind) -> None:
    for line in (a_line("a", kind=kind, environment=None), a_line("a", hidden=True)):
        plan = planned(a_report(line, a_line("b")), HAS, HAS_NOT)
        assert [item.name for step in plan.rebuild for item in step.items] == ["a"]
        assert (plan.coverage.applicable, plan.coverage.promised, plan.coverage.then) == (1, 0, 0.0)


def test_nobody_has_to_ask_for_what_no_index_brings() -> None:
    asked = [line.name for line in everything().distributions if concerns(line)]
    assert "my-tool" not in asked
    assert "python-apt" not in asked
    assert "msgpack" not in asked, "it comes and goes with pip"
    assert "flask" not in asked
    assert "numpy" in asked, "Chainguard's, with changed files"


def test_a_changed_build_of_chainguard_s_waits_and_says_where_it_was_changed() -> None:
    changed = FileLine(path=f"{SITE}/a.py", state="modified", expected=None, actual=None, layer=3)
    line = verified_line(integrity=Integrity.MODIFIED, files=(changed, replace(changed, state="missing")))
    plan = planned(a_report(line), HAS)
    assert plan.rebuild == ()
    [item] = plan.wait
    assert (item.offer.lack, item.offer.why) == (
        Lack.CHANGED,
        "it is Chainguard's; 1 of its files was changed in layer 3",
    )
    assert plan.coverage.promised == 0


def test_evidence_below_the_policy_s_is_no_promise() -> None:
    weak = replace(HAS, evidence=Evidence.SBOM)
    plan = planned(a_report(a_line()), weak, minimum=Evidence.NOT_UPSTREAM)
    assert (plan.coverage.promised, plan.rebuild) == (0, ())
    [item] = plan.wait
    assert item.offer.lack is Lack.UNPROVED
    assert item.offer.why == "x-1-py3-none-any.whl stands on the evidence sbom; the policy asks for not-upstream"
    assert planned(a_report(a_line()), HAS, minimum=Evidence.NOT_UPSTREAM).coverage.promised == 1


def test_whose_layer_it_is_is_told_by_the_base_image_s_layers_only() -> None:
    report = a_report(a_line("a", layer=1), a_line("b", layer=2))
    ids = [layer.diff_id for layer in report.target.layers]

    def whose(*bases: tuple[str, ...]) -> list[Whose]:
        return [step.whose for step in planned(report, HAS, HAS, bases=bases).rebuild]

    assert whose() == [Whose.UNKNOWN, Whose.UNKNOWN]
    assert whose(tuple(ids[:2])) == [Whose.BASE, Whose.OWN]
    assert whose((*ids[:1], "sha256:other")) == [Whose.UNKNOWN, Whose.UNKNOWN], "another base image"
    assert whose(("sha256:other",), tuple(ids[:2])) == [Whose.BASE, Whose.OWN]


def test_what_a_tool_keeps_in_a_folder_is_purged_and_what_lies_in_an_image_is_rebuilt() -> None:
    path = "/pip/http-v2/a/b/c/d/e/abcde" + "0" * 51 + ".body"
    cached = a_line("a", kind=Kind.CACHED, environment=None, layer=None, layers=(), location=path)
    folder = a_report(cached, target=TargetLine(reference="dir:/caches", kind="directory"))
    plan = planned(folder, HAS, folder=Path("/caches"))
    assert [(copy.tool, copy.path, copy.replacement) for copy in plan.purge_locally] == [
        ("pip", f"/caches{path}", WHEEL)
    ]
    assert (plan.rebuild, plan.wait) == ((), ())
    plan = planned(folder, HAS_NOT, folder=Path("/caches"))
    assert [copy.replacement for copy in plan.purge_locally] == [None]
    plan = planned(a_report(replace(cached, layer=2, layers=(2,))), HAS)
    assert (plan.purge_locally, [step.layer for step in plan.rebuild]) == ((), [2])


def test_an_entry_whose_bytes_could_not_be_judged_is_not_purged() -> None:
    path = "/uv/archive-v0/ID/a-1.dist-info"
    line = a_line(
        "a", kind=Kind.CACHED, environment=None, layer=None, layers=(), location=path, origin=Origin.UNCHECKED
    )
    folder = a_report(line, target=TargetLine(reference="dir:/caches", kind="directory"))
    assert planned(folder, HAS, folder=Path("/caches")).purge_locally == ()


def test_what_the_report_itself_says() -> None:
    offered = Available(same_version="a-1-py3-none-any.whl", remediated="1+cgr.2")
    report = a_report(a_line("a", available=offered), a_line("b"))
    has, has_not = (offer_of_report(line, report) for line in report.distributions)
    assert has.same_version == Replacement(index="libraries", filename="a-1-py3-none-any.whl", sha256=None)
    assert (has.remediated, has.promises) == ("1+cgr.2", True)
    assert (has_not.lack, has_not.promises) == (Lack.NOT_ASKED, False)


def _weighed(report: Report) -> Weighed:
    offers = [offer_of_report(line, report) if concerns(line) else None for line in report.distributions]
    return Weighed(report=report, offers=tuple(offers), folder=Path("/somewhere"))


def _sound(line: DistributionLine) -> DistributionLine:
    layers = tuple(layer for layer in line.layers if layer < 4)
    return replace(line, layer=None if line.layer is None else line.layer % 4, layers=layers)


@settings(max_examples=40)
@given(any_report(), st.sampled_from(Evidence))
def test_every_distribution_is_in_one_group_and_the_file_says_the_same(report: Report, minimum: Evidence) -> None:
    layers = a_report().target.layers
    target = replace(report.target, layers=layers)
    report = replace(report, target=target, distributions=tuple(map(_sound, report.distributions)))
    plan = plan_of([_weighed(report)], made_at="2026-03-01T12:05:00Z", minimum=minimum)
    concerned = sum(concerns(line) for line in report.distributions)
    items = sum(len(step.items) for step in plan.rebuild) + len(plan.wait)
    assert items + len(plan.purge_locally) <= concerned
    assert items >= sum(concerns(line) and line.kind is not Kind.CACHED for line in report.distributions)
    assert plan.coverage.is_consistent
    assert document(read_plan(_json(plan))) == document(plan)


def _json(plan: Plan) -> str:
    return render(plan, "json", Look())
