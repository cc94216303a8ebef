"""``cgscan explain`` as a process sees it, and what the documentation says of it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.demo import Demo
from scanner.cli import commands, main

ROOT = Path(__file__).parent.parent
INDEXES = ["--index", "build/demo/chainguard", "--upstream", "build/demo/pypi"]
EXPLAIN = ["explain", "oci-dir:build/demo/image"]


@pytest.fixture(autouse=True)
def _own_interrupts() -> Iterator[None]:
    """``main`` is made for a process of its own and leaves its handler behind."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _where_make_puts_the_demo(demo_parts: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "build").mkdir()
    (tmp_path / "build/demo").symlink_to(demo_parts.image.parent)
    monkeypatch.chdir(tmp_path)


def without_digests(text: str) -> str:
    """A rebuilt wheel has other digests on another day, when its backend has a new version."""
    return re.sub(r"\b[0-9a-f]{8}\b|\b[0-9a-f]{64}\b", lambda found: "0" * len(found[0]), text)


def test_the_documentation_shows_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    docs = (ROOT / "docs/explain.md").read_text("utf-8")
    quoted = docs.partition("<!-- explain:start -->\n```text\n")[2].partition("```\n<!-- explain:end -->")[0]
    assert main([*EXPLAIN, "blinker", *INDEXES]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert quoted.count("\n") > 30
    assert without_digests(quoted) == without_digests(out)


def test_json_to_a_file_and_the_table_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*EXPLAIN, "Click", *INDEXES, "-o", "json=click.json", "-o", "table"]) == 0
    data = json.loads(Path("click.json").read_text())
    assert (data["schema"], data["name"]) == ("cgscan-explanation/1", "click")
    assert data["distributions"][0]["distribution"]["origin"] == "upstream"
    assert "click 8.1.8: upstream, intact" in capsys.readouterr().out


def test_outputs_of_reports_are_not_written_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("cgscan.yaml").write_text("outputs: [json=report.json]\n")
    Path("report.json").write_text("the report")
    assert main([*EXPLAIN, "six", *INDEXES]) == 0
    monkeypatch.setenv("CGSCAN_OUTPUT", "csv")
    assert main([*EXPLAIN, "six", *INDEXES]) == 0
    assert Path("report.json").read_text() == "the report"
    assert capsys.readouterr().out.count("six 1.17.0: chainguard, intact") == 2


def test_all_files_are_named_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*EXPLAIN, "idna", *INDEXES, "--all-files"]) == 0
    assert "idna/core.py" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ([*EXPLAIN, "blinkr", *INDEXES], "there is no distribution blinkr", "did you mean blinker?"),
        ([*EXPLAIN, "six", "--environment", "/srv", *INDEXES], "there is no six in /srv", "it is in /usr/local/lib/"),
        ([*EXPLAIN, "six", "--environment", "srv"], "'srv' is no absolute path", "as the table has them"),
        ([*EXPLAIN, "six==1"], "'six==1' is no project's name", "without a version"),
        ([*EXPLAIN, "six", "-o", "csv"], "--output: there is no format csv; write one of table, json", ""),
        ([*EXPLAIN, "six", "-o", "table", "-o", "json"], "two formats go to standard output", ""),
        ([*EXPLAIN, "six", "-o", "json=no/such/x"], "cannot write no/such/x", ""),
        ([*EXPLAIN], "Missing argument 'NAME'", ""),
        (["explain", "dir:nowhere", "six"], "nowhere", ""),
        ([*EXPLAIN, "six", "--min-coverage", "3"], "No such option '--min-coverage'", ""),
    ],
    ids=lambda value: " ".join(value[2:])[:40] if isinstance(value, list) else "",
)
def test_what_cannot_be_explained_is_one_line_and_status_2(
    arguments: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    first, *rest = err.splitlines()
    assert out == ""
    assert first.startswith("cgscan: error: ")
    assert message in first
    assert all(line.startswith("hint: ") for line in rest)
    assert hint in "".join(rest)


def test_it_has_the_options_of_a_scan_but_for_those_of_a_policy() -> None:
    scan, explain = ({part.name for part in commands.commands[name].params} for name in ("scan", "explain"))
    assert scan - explain == {"targets", "policy", "min_coverage", "fail_on", "min_evidence", "only", "group_by"}
    assert explain - scan == {"target", "name", "environment", "all_files", "vex"}


def test_all_layers_of_a_folder_say_so_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    Path("root").mkdir()
    assert main(["scan", "dir:root", *INDEXES, "--scope", "all-layers", "-v"]) == 0
    assert "it has no layers, so --scope all-layers finds nothing more" in capsys.readouterr().err
