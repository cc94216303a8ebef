"""``docs/doctor.md`` says what the command says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scanner.checkup import CHECKS
from scanner.cli import main
from scanner.formats import checkups, discovered
from tests.doctor.told import Wheels
from tests.repository_managers.fake_artifactory import FakeArtifactory

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()


def test_every_check_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert tuple(rows) == CHECKS


def test_the_schemas_are_named() -> None:
    assert f"`{checkups.SCHEMA}`" in PAGE
    assert f"`{discovered.SCHEMA}`" in PAGE


def test_the_exit_statuses_are_those_of_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--help"])
    helped = re.findall(r"^    (\d)  ([^;\n]+)", capsys.readouterr().out, re.MULTILINE)
    page = re.findall(r"^\| (\d) \| ([^:;|]*[^:;| ])", PAGE, re.MULTILINE)
    assert page == helped


def test_the_printed_configuration(wheels: Wheels, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeArtifactory(built=wheels.served, upstream=wheels.upstream).running() as one:
        url = one.root.replace("://", f"://{one.login[0]}:{one.login[1]}@")
        assert main(["doctor", "--discover", url]) == 0
        told = capsys.readouterr().out.replace(one.root, "https://artifactory.example/artifactory")
    assert told in PAGE
