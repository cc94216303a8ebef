"""Plans and proofs in every format: whole, on narrow terminals, and with names that nobody should meet raw."""

from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest
import yaml

from scanner.formats import PLANNED, plans, proofs
from scanner.formats.text import Look
from scanner.index import Evidence
from scanner.plan import Lack
from scanner.planfile import document
from scanner.proof import Proof, Traces, is_kept, proved
from scanner.report import Available
from tests.plans import a_full_plan, a_local_copy, a_plan, a_proxy_copy
from tests.reports import HOSTILE, a_line, a_report, verified_line

COPIED_WHOLE = ("urllib3-2.2.1", "/", "http")
"""Words longer than a line stay whole: paths, to be copied."""


def a_proof() -> Proof:
    offered = Available(same_version="a-1-py3-none-any.whl")
    before = a_report(a_line("a", available=offered), a_line(HOSTILE, HOSTILE), verified_line("lost"), a_line("moved"))
    after = a_report(a_line("a", available=offered), a_line(HOSTILE, HOSTILE), a_line("lost"), verified_line("moved"))
    one = proved(before, after, minimum=Evidence.SBOM, traces=Traces())
    return Proof(made_at="2026-03-02T12:00:00Z", kept=is_kept(one.changes), targets=(one,))


@pytest.mark.parametrize("name", PLANNED)
def test_nothing_hostile_is_shown_raw(name: str) -> None:
    for text in (plans.render(a_full_plan(), name, Look()), proofs.render(a_proof(), name, Look())):
        assert text.endswith("\n")
        text.encode()
        wrong = {char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs"} and char != "\n"}
        assert not wrong
        assert "<script>" not in text or name in ("json", "yaml", "csv", "table")


@pytest.mark.parametrize("width", [None, 60, 80, 120])
def test_lines_fit(width: int | None) -> None:
    columns = width or 80
    for text in (
        plans.render(a_full_plan(), "table", Look(width=width)),
        proofs.render(a_proof(), "table", Look(width=width)),
    ):
        for line in text.splitlines():
            words = line.split()
            assert len(line) <= columns or (len(words) == 1 and len(words[0]) > columns - 12), line


def test_json_and_yaml_are_the_same_document() -> None:
    plan = a_full_plan()
    assert json.loads(plans.render(plan, "json", Look())) == document(plan)
    assert yaml.safe_load(plans.render(plan, "yaml", Look())) == document(plan)
    assert json.loads(proofs.render(a_proof(), "json", Look())) == proofs.document(a_proof())


def test_csv_has_a_row_for_each_thing() -> None:
    plan = a_full_plan()
    rows = list(csv.DictReader(io.StringIO(plans.render(plan, "csv", Look()))))
    steps = [row["step"] for row in rows]
    assert {step: steps.count(step) for step in steps} == {
        "rebuild": 5,
        "purge in manager": 2,
        "purge locally": 3,
        "unpin": 1,
        "wait": len(Lack),
    }
    assert tuple(rows[0]) == plans.COLUMNS
    changes = list(csv.DictReader(io.StringIO(proofs.render(a_proof(), "csv", Look()))))
    assert [row["outcome"] for row in changes] == ["lost", "not-moved", "not-moved", "moved"]


@pytest.mark.parametrize("name", ["table", "markdown"])
def test_every_group_is_told_with_what_to_do(name: str) -> None:
    text = " ".join(plans.render(a_full_plan(), name, Look(width=120)).split()).replace("`", "")
    for words in (
        "Rebuild (5)",
        "--no-cache",
        "the base image's",
        "pip install --force-reinstall",
        "Purge in the manager behind pypi (1)",
        "Left alone: 1 of PyPI's without a replacement, 3 of Chainguard's, 1 that lie in no proxy.",
        "Purge locally (2)",
        "Unpin (1)",
        f"Wait ({len(Lack)})",
        "3.1.3+cgr.2 (remediated)",
        "25 %",
        "75 %",
    ):
        assert words in text, words
    for lack in Lack:
        assert f"because of {lack.value}" in text


def test_a_plan_without_anything_to_do() -> None:
    text = plans.render(a_plan(), "table", Look())
    assert "Rebuild" not in text
    assert "Coverage now 25 % (1 of 4 applicable), then 75 % (3 of 4)" in text


def test_a_hundred_thousand_copies_are_counted_and_a_few_are_shown() -> None:
    copies = tuple(a_proxy_copy(f"p{number}") for number in range(3_000))
    plan = a_plan(purge_in_manager=copies, managers=a_full_plan().managers)
    text = plans.render(plan, "table", Look())
    assert "Purge in the manager behind pypi (3000)" in text
    assert "and 2960 more; see --output json" in text
    assert len(plans.render(plan, "markdown", Look())) < 65_000
    many = a_plan(purge_locally=tuple(a_local_copy(f"p{number}") for number in range(100)))
    assert "and 60 more; see --output json" in plans.render(many, "table", Look())


def test_a_proof_says_what_was_promised_and_why_it_did_not_come() -> None:
    text = " ".join(proofs.render(a_proof(), "table", Look(width=120)).split())
    assert "a (promised)" in text
    assert "a-1-py3-none-any.whl was there and was not taken" in text
    assert "Coverage before 25 %, the plan said 50 %, now 25 %." in text
    assert text.endswith("Not all that was promised has moved.")
