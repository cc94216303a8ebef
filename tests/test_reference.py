"""What the documentation says of commands, exit statuses and environment variables is what the code says."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import scanner
from fixtures import reference
from scanner.cli import main
from scanner.cli.manual import pages
from scanner.cli.topics import environment, exit_statuses
from scanner.config import SETTINGS
from scanner.status import SENTENCES, Status
from scanner.variables import COMPLETE, KNOWN

SOURCES = sorted(Path(scanner.__file__).parent.rglob("*.py"))
ENVIRONMENT_LIKE = re.compile(r"(?:[A-Z]+_)+(?:HOME|DIR|FILE|HOST|CONFIG|TOKEN|PROXY|CONTEXT|ID|COLOR)")
OTHERS = {"COMP_WORDS", "COMP_CWORD", "ARTIFACTORY_TOKEN", "GOOGLE_ARTIFACTS_TOKEN"}
"""Told by completion scripts; names in proposed configurations."""


@pytest.mark.parametrize("path", reference.written())
def test_the_pages_are_as_written(path: str) -> None:
    """``make docs`` writes them."""
    assert (reference.ROOT / path).read_text("utf-8") == reference.written()[path]


def test_statuses_are_said_where_they_are_documented() -> None:
    for path in ("README.md", "docs/configuration.md", "docs/report.md"):
        text = (reference.ROOT / path).read_text("utf-8")
        assert all(f"| {number} | {said} |\n" in text for number, said in exit_statuses())
    assert SENTENCES.keys() == set(Status)


def read_variables() -> Iterator[tuple[str, str]]:
    """Names of variables that the code reads, with the module."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            for place, key in _lookups(node):
                if place.endswith(("environ", "environment")) and isinstance(key, ast.Constant):
                    yield str(key.value), file.name
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and ENVIRONMENT_LIKE.fullmatch(node.value)
            ):
                yield node.value, file.name


def _lookups(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Call(func=ast.Attribute(value=place, attr="get" | "pop"), args=[key, *_]):
            yield ast.unparse(place), key
        case ast.Call(func=ast.Attribute(attr="getenv"), args=[key, *_]):
            yield "environ", key
        case ast.Subscript(value=place, slice=key):
            yield ast.unparse(place), key
        case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[place]):
            yield ast.unparse(place), key


def test_every_variable_that_is_read_is_documented() -> None:
    known = {one.name for one in KNOWN} | {setting.variable for setting in SETTINGS} | {COMPLETE} | OTHERS
    found = dict(read_variables())
    assert {"NETRC", "DOCKER_HOST", "UV_CACHE_DIR", "TERM"} <= found.keys()  # it finds some
    assert {name: module for name, module in found.items() if name.upper() not in known} == {}


def test_every_setting_and_variable_is_a_row_once() -> None:
    names = [name for name, _ in environment()]
    assert len(names) == len(set(names)) == len(SETTINGS) + len(KNOWN)


def test_man_pages_are_read_without_a_warning(tmp_path: Path) -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed (apt-get install groff-base)")
    written = dict(pages(reference.root()))
    assert {"cgscan.1", "cgscan-scan.1", "cgscan-index-pull.1"} <= written.keys()
    for name, text in written.items():
        file = tmp_path / name
        file.write_text(text, "utf-8")
        assert f"{name.removesuffix('.1')} - " in _typeset(groff, file)
    assert "--fail-on" in _typeset(groff, tmp_path / "cgscan-scan.1")


def _typeset(groff: str, file: Path) -> str:
    """As plain text, with one space between words."""
    done = subprocess.run([groff, "-man", "-ww", "-Tutf8", str(file)], capture_output=True, text=True, check=True)
    assert done.stderr == "", file.name
    plain = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    return " ".join(re.sub("[\u2010\u2212]", "-", plain).split())


def test_help_has_topics_commands_and_pages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "exit-status"]) == 0
    assert "130  it was interrupted" in capsys.readouterr().out
    assert main(["help", "environment"]) == 0
    assert "CGSCAN_MIN_COVERAGE" in capsys.readouterr().out
    assert main(["help", "index", "pull"]) == 0
    assert capsys.readouterr().out.startswith("Usage: cgscan index pull")
    assert main(["help", "--man", "index", "pull"]) == 0
    assert capsys.readouterr().out.startswith('.TH "CGSCAN\\-INDEX\\-PULL" "1"')
    assert main(["help", "nothing"]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 2)
    assert "there is no help on 'nothing'" in told.err
