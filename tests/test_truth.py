"""A small run of ``make truth``: real projects, real installers, seeded changes. And: the program can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.truth.corpus import WAYS, Project, gather, install_all
from fixtures.truth.oracle import Asked, expect
from fixtures.truth.running import ImageOutcome, Job, Outcome, prepare, run, run_image
from fixtures.truth.specimens import Specimen
from fixtures.truth.tally import Tally, wrong_findings

REQUIREMENTS = (
    "blinker==1.9.0",
    "certifi==2025.1.31",
    "click==8.1.8",
    "idna==3.10",
    "iniconfig==2.0.0",
    "itsdangerous==2.2.0",
    "markupsafe==3.0.2",
    "six==1.17.0",
)
SEED = 7


@pytest.fixture(scope="module")
def projects() -> tuple[Project, ...]:
    left_out: list[str] = []
    found = gather(REQUIREMENTS, left_out.append)
    if left_out:
        pytest.skip(left_out[0])
    install_all(found)
    return found


@pytest.fixture(scope="module")
def job_of(projects: tuple[Project, ...], tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Job]:
    return prepare(SEED, projects, tmp_path_factory.mktemp("truth"))


@pytest.fixture(scope="module")
def images(job_of: Callable[[int], Job]) -> list[ImageOutcome]:
    return list(run(job_of, 60))


def test_no_wrong_word(images: list[ImageOutcome]) -> None:
    tally = Tally(SEED, images)
    assert len(tally.outcomes) >= 60
    assert not tally.errors, "\n".join(tally.lines())
    assert not tally.failed


def test_no_false_finding(images: list[ImageOutcome]) -> None:
    assert [(one.what, wrong_findings(one)) for image in images for one in image.outcomes if wrong_findings(one)] == []
    assert [what for image in images for what in image.invented] == []


def test_the_same_seed_draws_the_same(job_of: Callable[[int], Job], images: list[ImageOutcome]) -> None:
    again = run_image(replace(job_of(0), keep=True))
    assert _drawn(again) == _drawn(images[0])


def _drawn(image: ImageOutcome) -> list[tuple[str, str, object]]:
    return [(one.number, one.what, one.accepted) for one in image.outcomes]


# --- the program can fail ---


def _outcome(*wrong: tuple[str, str], findings: tuple[tuple[str, str, bool], ...] = ()) -> Outcome:
    return Outcome(
        number="0.0",
        what="demo",
        build="upstream",
        change="nothing",
        mix="both",
        accepted=frozenset({("upstream", "intact")}),
        said=("chainguard", "intact"),
        reason="",
        wrong=wrong,
        findings=findings,
    )


@pytest.mark.parametrize("kind", ["false chainguard", "false modified", "missed change", "lost", "false ambiguous"])
def test_what_must_not_be_fails_the_run_and_says_how_to_see_it_again(kind: str) -> None:
    tally = Tally(9, [ImageOutcome(outcomes=(_outcome((kind, "why")),), invented=(), timing={})])
    assert tally.failed
    assert "python -m fixtures.truth --seed 9 --only 0.0" in "\n".join(tally.lines())


@pytest.mark.parametrize(("may", "there"), [("must", False), ("must not", True)])
def test_a_missed_and_a_false_finding_fail_the_run(may: str, *, there: bool) -> None:
    tally = Tally(
        9, [ImageOutcome(outcomes=(_outcome(findings=(("unowned-file", may, there),)),), invented=(), timing={})]
    )
    assert tally.failed


def test_what_nobody_put_there_fails_the_run() -> None:
    assert Tally(9, [ImageOutcome(outcomes=(_outcome(),), invented=("a thing",), timing={})]).failed
    assert not Tally(9, [ImageOutcome(outcomes=(_outcome(),), invented=(), timing={})]).failed


# --- the oracle, by hand ---

BOTH = Asked(chainguard_asked=True, upstream_asked=True, chainguard="chainguard", upstream=True)


def _specimen(projects: tuple[Project, ...], name: str, build: str) -> Specimen:
    [project] = [one for one in projects if one.name == name]
    [build_] = [one for one in project.builds if one == build]
    return Specimen(number="0.0", project=project, build=build_, way=WAYS[0])


@pytest.mark.parametrize("build", ["chainguard", "upstream"])
def test_an_untouched_build_has_one_right_answer(projects: tuple[Project, ...], build: str) -> None:
    assert expect(_specimen(projects, "markupsafe", build), BOTH).verdicts == {(build, "intact")}


@pytest.mark.parametrize("build", ["chainguard", "upstream"])
def test_a_changed_module_has_one_right_answer(projects: tuple[Project, ...], build: str) -> None:
    one = _specimen(projects, "markupsafe", build)
    one.files[f"{one.way.site}/markupsafe/_native.py"] += b"#"
    assert expect(one, BOTH).verdicts == {(build, "modified")}
    assert one.changed == {f"{one.way.site}/markupsafe/_native.py"}


def test_a_build_of_the_day_is_source_and_nothing_else(projects: tuple[Project, ...]) -> None:
    one = _specimen(projects, "markupsafe", "source")
    assert expect(one, BOTH).verdicts <= {("source", "none"), ("unknown", "none")}


def test_pypis_build_is_never_chainguards_without_an_upstream(projects: tuple[Project, ...]) -> None:
    alone = replace(BOTH, upstream_asked=False, upstream=False)
    assert expect(_specimen(projects, "markupsafe", "upstream"), alone).verdicts == {("unknown", "none")}


def test_out_of_an_image_nothing_is_left(job_of: Callable[[int], Job], tmp_path: Path) -> None:
    run_image(replace(job_of(1), out=tmp_path))
    assert list(tmp_path.iterdir()) == []
