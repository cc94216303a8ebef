"""``cgscan diff`` as a process sees it: reports and targets on either side, gates, errors in one line."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scanner.cli import main
from scanner.difference import What
from scanner.formats import render
from scanner.report import Report
from tests.reports import a_line, a_report, verified_line
from tests.scenes import Scene, builds


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def stored(name: str, *reports: Report) -> str:
    Path(name).write_text(render(reports, "json"), "utf-8")
    return name


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["diff", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cgscan: error: ")
    assert len(err.splitlines()) <= 2, err
    return err


def test_two_targets_and_their_reports_have_the_same_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = builds(tmp_path, {"demo.py": b"1"})
    scenes = [Scene(tmp_path / name) for name in ("before", "after")]
    for scene, wheel in zip(scenes, (ours, theirs), strict=True):
        scene.install(wheel)
    where = ["--index", str(ours.parent), "--upstream", str(theirs.parent), "--no-cache", "-q"]
    targets = [f"dir:{scene.root}" for scene in scenes]
    for target, name in zip(targets, ("before.json", "after.json"), strict=True):
        assert main(["scan", target, *where, "-o", f"json={name}"]) == 0

    def told(*sides: str) -> Any:
        capsys.readouterr()
        assert main(["diff", *sides, *where, "-o", "json", "--fail-on-change", "worse"]) == 1
        value = json.loads(capsys.readouterr().out)
        for side in ("before", "after"):
            value["targets"][0][side]["scanned_at"] = ""
        return value

    expected = told(*targets)
    assert expected["failed"] == ["fell-back", "coverage"]
    [change] = expected["targets"][0]["changes"]
    assert (change["name"], change["what"], change["after"]["origin"]) == ("demo", ["fell-back"], "upstream")
    assert told("before.json", "after.json") == told("before.json", targets[1]) == expected


def test_a_gate_stops_at_what_it_names_only(capsys: pytest.CaptureFixture[str]) -> None:
    worse = (stored("a.json", a_report(verified_line())), stored("b.json", a_report(a_line("flask", "3.0.2"))))
    assert main(["diff", *worse]) == 0
    assert main(["diff", *worse, "--fail-on-change", "modified,finding"]) == 0
    assert main(["diff", *worse, "--fail-on-change", "fell-back"]) == 1
    assert main(["diff", *reversed(worse), "--fail-on-change", "worse"]) == 0
    assert "Became Chainguard's (1)" in capsys.readouterr().out
    assert "--fail-on-change: bad is nothing that" in refused(capsys, *worse, "--fail-on-change", "bad")


@pytest.mark.parametrize("name", ["cyclonedx", "spdx"])
def test_formats_without_a_difference(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = stored("a.json", a_report())
    told = "is an inventory, which has no difference"
    assert told in refused(capsys, report, report, "-o", name)


def test_targets_of_one_file_find_their_partners(capsys: pytest.CaptureFixture[str]) -> None:
    def of(platform: str, reference: str) -> Report:
        report = a_report(verified_line())
        return replace(report, target=replace(report.target, platform=platform, reference=reference))

    old = stored("old.json", of("linux/amd64", "app:1"), of("linux/arm64", "app:1"))
    new = stored("new.json", of("linux/arm64", "app:2"), of("linux/amd64", "app:2"))
    assert main(["diff", old, new, "-o", "json"]) == 0
    targets = json.loads(capsys.readouterr().out)["targets"]
    assert [(one["before"]["platform"], one["after"]["platform"]) for one in targets] == [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64", "linux/arm64"),
    ]
    one = stored("one.json", of("linux/amd64", "app:1"))
    assert "old.json: nothing in one.json is to be compared" in refused(capsys, old, one)
    assert "old.json: nothing in one.json is to be compared" in refused(capsys, one, old)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"schema": "cgscan-report/1"}', b"[]", b'{"schema": "cgscan-diff/1"}'],
    ids=["empty", "object", "deep", "bytes", "fields", "none", "other"],
)
def test_a_file_that_is_no_report(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.json").write_bytes(content)
    report = stored("a.json", a_report())
    for sides in (("bad.json", report), (report, "bad.json")):
        assert main(["diff", *sides]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("cgscan: error: bad.json: ")) == ("", 1)
        assert "Traceback" not in err


def test_a_target_needs_an_index(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no index of Chainguard's is given" in refused(capsys, stored("a.json", a_report()), "dir:.")


def test_the_documentation_has_every_word() -> None:
    text = (Path(__file__).parent.parent / "docs" / "diff.md").read_text("utf-8")
    assert [what.value for what in What if f"`{what.value}`" not in text] == []
