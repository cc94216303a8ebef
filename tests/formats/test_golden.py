"""One report with everything in it, in every format that programs read, byte for byte.

After a wished change write the expected text anew and read the difference:
``CGSCAN_GOLDEN=write pytest tests/formats/test_golden.py``
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from scanner.distribution import FindingKind
from scanner.formats import render
from scanner.index import Evidence
from scanner.report import Integrity, Kind, Origin, Report
from tests.reports import everything

GOLDEN = Path(__file__).with_name("golden")
FILES = {
    "json": "everything.json",
    "yaml": "everything.yaml",
    "csv": "everything.csv",
    "markdown": "everything.md",
    "html": "everything.html",
    "sarif": "everything.sarif",
    "cyclonedx": "everything.cdx.json",
    "spdx": "everything.spdx.json",
}


def the_report() -> Report:
    """Everything, by a version that stays the same."""
    return replace(everything(), tool={"name": "cgscan", "version": "1.2.3"})


def test_the_report_has_everything() -> None:
    report = the_report()
    assert {line.origin for line in report.distributions} == set(Origin)
    assert {line.integrity for line in report.distributions} == set(Integrity)
    assert {line.kind for line in report.distributions} == set(Kind)
    assert {line.match.evidence for line in report.distributions if line.match} >= set(Evidence)
    assert {finding.kind for finding in report.findings} == set(FindingKind)


@pytest.mark.parametrize("name", FILES)
def test_it_is_the_expected_text(name: str) -> None:
    text = render([the_report()], name).encode()
    file = GOLDEN / FILES[name]
    if os.environ.get("CGSCAN_GOLDEN") == "write":
        file.write_bytes(text)
    assert text == file.read_bytes()
