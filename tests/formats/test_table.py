"""``table``: what a person in a terminal sees.

After a wished change write the expected text anew and read the difference:
``CGSCAN_GOLDEN=write pytest tests/formats/test_table.py``
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from scanner.distribution import Finding, FindingKind
from scanner.formats import render
from scanner.index import Evidence
from scanner.policy import Policy
from scanner.report import Available, FileLine, Integrity, Kind, Origin, Report, TargetLine
from tests.reports import HOSTILE, LIBRARIES, PYPI, a_line, a_report, an_example, everything, verified_line

GOLDEN = Path(__file__).with_name("golden") / "table.txt"
DOCS = Path(__file__).parents[2] / "docs" / "report.md"


def table(report: Report, *, color: bool = False, width: int | None = None) -> str:
    return render([report], "table", color=color, width=width)


def last(report: Report) -> str:
    """The closing sentence on one line."""
    return " ".join(table(report, width=120).split("\n\n")[-1].split())


def test_the_table_of_everything_is_the_expected_one() -> None:
    text = table(everything())
    if os.environ.get("CGSCAN_GOLDEN") == "write":
        GOLDEN.write_bytes(text.encode())
    assert text.encode() == GOLDEN.read_bytes()


def test_the_example_in_the_docs_is_real() -> None:
    docs = DOCS.read_text("utf-8")
    if os.environ.get("CGSCAN_GOLDEN") == "write":
        docs = re.sub(r"```text\n.*?```", lambda _: f"```text\n{table(an_example())}```", docs, flags=re.DOTALL)
        DOCS.write_text(docs, "utf-8")
    assert f"```text\n{table(an_example())}```\n" in docs


def test_it_fits_the_terminal() -> None:
    report = everything()
    for width in (80, 100, 120):
        long = [line for line in table(report, width=width).splitlines() if len(line) > width]
        assert all(len(line.split()) == 1 for line in long), long  # a path that must stay whole


def test_a_wide_terminal_shortens_nothing_that_has_room() -> None:
    own = verified_line("a", "2025.1.31.post1+cgr.12", origin=Origin.OS, owner="dpkg:python3-with-a-long-name")
    report = a_report(own, a_line("b"))
    wide = table(report, width=120)
    assert "2025.1.31.post1+cgr.12" in wide
    assert "dpkg:python3-with-a-long-name" in wide
    assert "2025.1.31.post1+cgr.12" not in table(report, width=80)


def test_a_narrow_terminal_still_names_what_it_lists() -> None:
    text = table(a_report(verified_line("itsdangerous"), a_line("charset-normalizer", "2025.1.31")), width=60)
    assert [line for line in text.splitlines() if len(line) > 60 and len(line.split()) > 1] == []
    assert "itsd…rous" in text


def test_color_adds_nothing_but_color() -> None:
    colored = table(everything(), color=True)
    assert "\x1b[32mchainguard\x1b[0m" in colored
    assert "\x1b[33mupstream\x1b[0m" in colored
    assert "\x1b[31mmodified\x1b[0m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == table(everything())


@pytest.mark.parametrize("color", [False, True])
def test_a_hostile_name_is_written_out(color: bool) -> None:
    text = table(a_report(a_line(HOSTILE, HOSTILE, origin=Origin.UNKNOWN)), color=color)
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert r"\x1b[2Jrm\u202e|`@root`<script>\n\xff" in text


def test_every_distribution_that_is_not_verified_has_its_reason() -> None:
    text = " ".join(table(everything()).split())
    for line in everything().distributions:
        if line.applicable and not line.hidden and line.origin is not Origin.CHAINGUARD and line.name != HOSTILE:
            assert line.reason in text, line.name


def test_equal_reasons_are_said_once() -> None:
    lines = [a_line(name, "1", origin=Origin.UNCHECKED, reason="pypi could not be asked: 503") for name in "abc"]
    text = table(a_report(*lines))
    assert "    a 1, b 1, c 1: pypi could not be asked: 503\n" in text


def test_a_name_that_is_there_twice_says_where() -> None:
    text = table(a_report(a_line(environment="/a", reason="one"), a_line(environment="/b", reason="two")))
    assert "requests 2.31.0 (/a/requests-2.31.0.dist-info): one" in text
    assert "requests 2.31.0 (/b/requests-2.31.0.dist-info): two" in text


@pytest.mark.parametrize(("count", "more"), [(5, None), (6, "and 1 more; see --output json")])
def test_at_most_five_changed_files(count: int, more: str | None) -> None:
    files = tuple(
        FileLine(path=f"/x/{number}.py", state="modified", expected=None, actual=None, layer=number)
        for number in range(count)
    )
    text = table(a_report(verified_line(integrity=Integrity.MODIFIED, files=files)))
    assert text.count("\n      ~ /x/") == 5
    assert "~ /x/4.py  layer 4" in text
    assert (more in text) if more else ("more;" not in text)


def test_at_most_twenty_findings_then_a_count() -> None:
    findings = [Finding(kind=FindingKind.UNOWNED_FILE, path=f"/f{n}.py", layer=None, detail="d") for n in range(21)]
    findings += [Finding(kind=FindingKind.UNREADABLE, path="/g", layer=None, detail="d")]
    text = table(a_report(findings=findings))
    assert "Findings (22)" in text
    assert "/f19.py" in text
    assert "/f20.py" not in text
    assert "and 2 more; in all 21 unowned-file, 1 unreadable" in text


def test_the_policy_is_spoken_of_where_it_does_not_hold() -> None:
    assert "policy" not in table(a_report(a_line()))
    text = table(a_report(a_line(), policy=Policy(fail_on=frozenset({"upstream"}))))
    assert "The policy does not hold\n  - 1 distribution of origin upstream: requests 2.31.0\n" in text


def test_no_index_asked() -> None:
    assert "\n  no index was asked\n" in table(a_report(indexes=()))


@pytest.mark.parametrize(
    ("indexes", "how"),
    [
        ((LIBRARIES,), "an upstream index (--upstream https://pypi.org/simple) would settle them."),
        ((LIBRARIES, PYPI), "an upstream index that answers would settle them."),
    ],
)
def test_what_rests_on_the_sbom_alone_is_counted(indexes: tuple[object, ...], how: str) -> None:
    lines = [verified_line(name, evidence=Evidence.SBOM) for name in "ab"]
    text = " ".join(table(a_report(*lines, verified_line(), indexes=indexes)).split())  # type: ignore[arg-type]
    assert f"2 verdicts rest on the SBOM alone; {how}" in text
    assert "rest on the SBOM" not in table(a_report(verified_line()))


def test_evidence_below_the_policy_is_said() -> None:
    report = a_report(
        verified_line("a", evidence=Evidence.SBOM), verified_line("b"), policy=Policy(min_evidence=Evidence.PATH)
    )
    text = table(report)
    assert re.search(r"^!   a +3\.0\.2 +chainguard +intact +2  weak: sbom$", text, re.MULTILINE)
    assert "  chainguard, intact, on weak evidence (sbom)\n    a 3.0.2: " in text
    assert last(report).endswith("Coverage 50 % (1 of 2 applicable); 1 to look at, with reasons above.")


def test_attestations_that_nobody_could_check_are_counted_once() -> None:
    reason = (
        "all 5 files of Chainguard's wheel (PyPI does not serve these bytes); not attested: sigstore is not installed"
    )
    lines = [verified_line(name, reason=reason) for name in "ab"]
    strict = Policy(min_evidence=Evidence.ATTESTED)
    text = " ".join(table(a_report(*lines, policy=strict)).split())
    wanted = "2 verdicts want an attestation to be checked; pip install 'cgscan[attested]' would settle them."
    assert text.count(wanted) == text.count("cgscan[attested]") == 1
    other = verified_line(reason=reason.replace("sigstore is not installed", "its index offers no attestation"))
    assert "cgscan[attested]" not in table(a_report(other, policy=strict))


def test_closing_sentences() -> None:
    same = Available(same_version="requests-2.31.0-py3-none-any.whl")
    refused = a_line("x", origin=Origin.UNCHECKED, reason="libraries, pypi: timed out")
    assert last(a_report()) == "Nothing applicable; no installed distribution that an index could explain."
    assert last(a_report(verified_line())) == "Coverage 100 % (1 of 1 applicable); nothing to do."
    assert last(a_report(verified_line(), a_line(), a_line("b", available=same))) == (
        "Coverage 33.33 % (1 of 3 applicable); 1 more can come from Chainguard: "
        "rebuild with its index first and without caches."
    )
    assert last(a_report(refused)) == (
        "Coverage 0 % (0 of 1 applicable); 1 unchecked: scan again when libraries and pypi answers."
    )


def test_what_is_not_counted_is_said_in_numbers() -> None:
    vendored = [a_line(name, kind=Kind.VENDORED, environment=None) for name in "ab"]
    ours = verified_line("c", kind=Kind.VENDORED, environment=None)
    text = table(a_report(*vendored, ours, a_line("d", origin=Origin.OS), a_line("e", hidden=True)), width=120)
    assert "Not counted: 3 vendored (2 upstream, 1 chainguard), 1 installed os, 1 in lower layers only.\n" in text
    assert "To look at" not in text


def test_a_directory_has_no_layers() -> None:
    report = a_report(verified_line(layer=None), target=TargetLine(reference="/srv/venv", kind="directory"))
    assert table(report).startswith("/srv/venv\n  directory\n  asked ")


def test_several_targets_stand_apart() -> None:
    text = render([everything(), a_report()], "table")
    assert text == f"{table(everything())}\n{'=' * 80}\n\n{table(a_report())}"
