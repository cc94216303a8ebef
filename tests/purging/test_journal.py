"""The journal: what a second run knows of the first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scanner.errors import UsageError
from scanner.journal import SCHEMA, journal


def run(path: Path, plan: str, *lines: tuple[str, bool], finished: bool = False, goes_on: bool = True) -> set[str]:
    """One run, which writes these (key, gone); what it knows of the one before."""
    with journal(path, plan, goes_on=goes_on) as kept:
        for key, gone in lines:
            kept.write(key=key, ended="said", gone=gone)
        if finished:
            kept.write(finished=True)
        return kept.done


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below/journal.jsonl"


def test_a_second_run_goes_on(path: Path) -> None:
    assert run(path, "p", ("a", True), ("b", False)) == set()
    assert run(path, "p", ("c", True)) == {"a"}
    assert run(path, "p", finished=True) == {"a", "c"}
    assert run(path, "p") == set(), "that run was over"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("schema") for line in lines if "plan" in line] == [SCHEMA, SCHEMA]
    assert all(line["at"].endswith("Z") for line in lines)
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_plan_begins_anew(path: Path) -> None:
    run(path, "p", ("a", True))
    assert run(path, "q", ("b", True)) == set()
    assert run(path, "p") == set()
    assert run(path, "p", ("c", True), goes_on=False) == set()


@pytest.mark.parametrize("left", range(1, 200, 7))
def test_a_line_that_was_cut_off_was_not_written(path: Path, left: int) -> None:
    run(path, "p", ("a", True), ("b", True))
    whole = path.read_bytes()
    path.write_bytes(whole[:-left])
    known = run(path, "p", ("c", True))
    assert known == {key for key in "ab" if f'"{key}"' in whole[:-left].rpartition(b"\n")[0].decode()}
    assert run(path, "p") == known | {"c"}


@pytest.mark.parametrize(
    "text",
    [
        "my only notes",
        "my notes\n",
        '{"a": 1}\n',
        "[]\n",
        f'{{"schema": "{SCHEMA}", "plan": "p"}}\nnotes\nmore\n',
        "\0",
    ],
)
def test_a_file_of_somebody_else_is_left_alone(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        run(path, "p", ("a", True))
    assert "--journal" in str(raised.value.hint)
    assert path.read_text() == text


def test_links_and_folders_are_no_journal(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    for place in (path, tmp_path, path / "below", Path("/dev/null")):
        with pytest.raises(UsageError, match="no journal"):
            run(place, "p")
    assert not (tmp_path / "elsewhere").exists()


def test_one_run_at_a_time(path: Path) -> None:
    with (
        journal(path, "p", goes_on=True),
        pytest.raises(UsageError, match="another purge is at work"),
        journal(path, "p", goes_on=True),
    ):
        pass
