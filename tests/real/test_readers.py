"""What other programs read in SARIF and SBOMs: Syft, lib4sbom, the NTIA checker, sarif-tools, SARIF Multitool."""

from __future__ import annotations

import csv
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures import readers
from fixtures.wheels import FixtureUnavailable
from scanner.formats import render
from scanner.report import Report
from tests.formats.test_golden import the_report
from tests.reports import a_line, a_report, verified_line

SARIF_RULES = "Sarif;Ghas"
KNOWN = {
    "SARIF2002",  # messages are texts: there is one of each
    "SARIF2003",  # no version control: the paths are an image's
    "SARIF2005",  # no informationUri: the project has no address to give
    "SARIF2006",  # whether addresses answer depends on the network
    "SARIF2009",  # rules are named by the words of the report, not by numbers
    "SARIF2010",  # no lines of code: a result is about a file of an image
    "SARIF2011",
    "SARIF2012",  # no helpUri: the help is in the rule itself
}
"""What the validator would like to have besides."""


def program(make: Callable[[], Path]) -> Path:
    try:
        return make()
    except FixtureUnavailable as problem:
        pytest.skip(str(problem))


def output(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:] or done.stdout[-2000:]
    return done.stdout


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The report with everything, by format."""
    names = {"sarif": "report.sarif", "cyclonedx": "bom.json", "spdx": "document.spdx.json"}
    for name, file in names.items():
        (tmp_path / file).write_text(render([the_report()], name), "utf-8")
    return {name: tmp_path / file for name, file in names.items()}


def identities(report: Report) -> Counter[tuple[str, str]]:
    """Names and versions, but for the hostile ones, which readers show as they like."""
    return Counter((line.name, line.version or "") for line in report.distributions if line.name.isascii())


# -- SBOMs -----------------------------------------------------------------------------------------


def of_2024(bom: Path) -> Path:
    """The BOM with one identity as an object, the only form of 1.6's that this release of Syft reads.

    CycloneDX's Go library reads both forms since December 2024, and this release is of that month.
    """
    data = json.loads(bom.read_text("utf-8"))
    for component in data["components"]:
        component["evidence"]["identity"] = component["evidence"]["identity"][0]
    bom.write_text(json.dumps(data), "utf-8")
    return bom


def syft_packages(file: Path) -> list[dict[str, Any]]:
    text = output(program(readers.syft), "convert", file, "-o", "syft-json", "--quiet")
    return list(json.loads(text)["artifacts"])


@pytest.mark.parametrize("name", ["cyclonedx", "spdx"])
def test_syft_reads_every_distribution(name: str, files: dict[str, Path]) -> None:
    file = of_2024(files[name]) if name == "cyclonedx" else files[name]
    packages = syft_packages(file)
    read = Counter((each["name"], each["version"]) for each in packages if each["name"].isascii())
    assert identities(the_report()) <= read
    assert len(packages) == len(the_report().distributions)
    purls = {each["name"]: each["purl"] for each in packages}
    assert purls["jinja2"].startswith("pkg:pypi/jinja2@3.1.3%2Bcgr.1?")
    assert {each["type"] for each in packages if each["purl"]} == {"python"}


_READ: str = """
import json, sys
from lib4sbom.parser import SBOMParser
parser = SBOMParser()
parser.parse_file(sys.argv[1])
packages = parser.get_packages()
print(json.dumps({"type": parser.get_type(), "names": [one["name"] for one in packages],
                  "relations": len(parser.get_relationships())}))
"""


@pytest.mark.parametrize(("name", "more"), [("cyclonedx", 0), ("spdx", 1)])
def test_lib4sbom_reads_every_distribution(name: str, more: int, files: dict[str, Path]) -> None:
    python = program(lambda: readers.python_of(readers.LIB4SBOM))
    read = json.loads(output(python, "-c", _READ, files[name]))
    assert read["type"] == name
    assert len(read["names"]) == len(the_report().distributions) + more
    assert read["relations"] == len(the_report().distributions) + more


def conformance(report: Report, folder: Path) -> dict[str, Any]:
    python = program(lambda: readers.python_of(readers.NTIA))
    file, result = folder / "document.spdx.json", folder / "result.json"
    file.write_text(render([report], "spdx"), "utf-8")
    main = "import sys; from ntia_conformance_checker.main import main; sys.exit(main())"
    subprocess.run(
        [str(python), "-c", main, "--output", "json", "--output-file", str(result), str(file)],
        capture_output=True,
        timeout=300,
        check=False,  # 1 where something is missing
    )
    return dict(json.loads(result.read_text("utf-8")))


def test_the_minimum_elements_are_there_where_they_are_known(tmp_path: Path) -> None:
    found = conformance(a_report(verified_line(), a_line()), tmp_path)
    assert found["authorNameProvided"]
    assert found["timestampProvided"]
    assert found["dependencyRelationshipsProvided"]
    for element in ("componentNames", "componentVersions", "componentIdentifiers"):
        assert found[element]["allProvided"], element
    # who supplied the image is not known, and not made up
    assert found["componentSuppliers"]["nonconformantComponents"] == ["registry.example.com/shop/billing"]
    assert not found["validationMessages"]


# -- SARIF -----------------------------------------------------------------------------------------


def results(file: Path) -> Iterator[tuple[str, str]]:
    for result in json.loads(file.read_text("utf-8"))["runs"][0]["results"]:
        yield result["level"], result["ruleId"]


def test_sarif_tools_reads_every_result(files: dict[str, Path], tmp_path: Path) -> None:
    python = program(lambda: readers.python_of(readers.SARIF_TOOLS))
    output(python, "-m", "sarif", "csv", "-o", tmp_path / "results.csv", files["sarif"])
    with (tmp_path / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    read = Counter((row["Severity"], row["Code"]) for row in rows)
    assert read == Counter(results(files["sarif"]))
    assert {row["Tool"] for row in rows} == {"cgscan"}


def complaints(file: Path, folder: Path) -> dict[str, set[str]]:
    """Rules of the validator that the log breaks, by level."""
    said = folder / "said.sarif"
    output(
        program(readers.multitool), "validate", file, "--rule-kind", SARIF_RULES, "--output", said,
        "--log", "ForceOverwrite", "--level", "Error;Warning;Note",
    )  # fmt: skip
    found: dict[str, set[str]] = {}
    for result in json.loads(said.read_text("utf-8-sig"))["runs"][0].get("results", []):
        found.setdefault(result.get("level", "warning"), set()).add(result["ruleId"])
    return found


def test_the_validator_of_microsoft_has_nothing_against_it(files: dict[str, Path], tmp_path: Path) -> None:
    found = complaints(files["sarif"], tmp_path)
    assert "error" not in found
    assert set().union(*found.values()) <= KNOWN


def test_the_validator_of_microsoft_complains(files: dict[str, Path], tmp_path: Path) -> None:
    data = json.loads(files["sarif"].read_text("utf-8"))
    place = data["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    place["artifactLocation"]["uri"] = "a b\\c"
    files["sarif"].write_text(json.dumps(data), "utf-8")
    assert "error" in complaints(files["sarif"], tmp_path)
