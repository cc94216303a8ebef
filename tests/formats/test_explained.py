"""``cgscan explain`` in a terminal: it fits, the telling files come first, nothing hostile comes out raw."""

from __future__ import annotations

import json
import re

import pytest

from scanner.distribution import Finding, FindingKind, Origin
from scanner.explanation import (
    Account,
    Answer,
    CandidateLine,
    ExplainedFile,
    Explanation,
    Listed,
    RecordLine,
    Side,
    SideFile,
    Stand,
)
from scanner.formats import EXPLAINED, render_explanations
from scanner.index import Evidence, Role
from scanner.report import FileCounts, Integrity
from tests.reports import HOSTILE, LIBRARIES, PYPI, SITE, a_report, verified_line

INFO = f"{SITE}/flask-3.0.2.dist-info"


def sha(digit: str) -> str:
    return f"sha256:{digit * 64}"


def beside(ours: str | None, theirs: str | None, installed: str | None) -> dict[str, object]:
    """What both sides have, and how it stands to Chainguard's."""

    def side(digit: str | None) -> SideFile | None:
        state = Stand.MISSING if installed is None else Stand.MATCHED if digit == installed else Stand.MODIFIED
        return SideFile(sha256=sha(digit), state=state) if digit else None

    one, other = side(ours), side(theirs)
    return {
        "chainguard": one,
        "upstream": other,
        "installed": sha(installed) if installed else None,
        "state": one.state if one else Stand.NOT_IN_WHEEL,
        "layer": 2 if installed else None,
    }


def a_file(path: str, **changes: object) -> ExplainedFile:
    told = {"member": path, "path": path if path.startswith("/") else f"{SITE}/{path}", **changes}
    return ExplainedFile(**told)  # type: ignore[arg-type]


FILES = (
    a_file(f"{INFO}/METADATA", **beside("a", "b", "a"), discriminating=True, speaks_for=Origin.CHAINGUARD),
    a_file(f"{INFO}/LICENSE", **beside(None, "c", None), discriminating=True),
    a_file(f"{INFO}/INSTALLER", member=None, state=Stand.GENERATED, installed=sha("d"), record=Listed.LISTED),
    *(a_file(f"flask/{number}.py", **beside("e", "e", "e")) for number in range(27)),
    a_file("flask/app.py", **beside("f", "f", "0"), record=Listed.EDITED),
    a_file("flask/cli.py", **beside("f", "f", "1"), note="has the bytes of werkzeug"),
    a_file("flask/added.py", member=None, state=Stand.NOT_IN_WHEEL, installed=sha("2"), record=Listed.NOT_LISTED),
    *(a_file(f"flask/gone/{number}.py", **beside("3", "3", None)) for number in range(20)),
)


def a_side(origin: Origin, evidence: Evidence | None = None) -> Side:
    counts = FileCounts(matched=28, missing=20, modified=2, generated=1)
    return Side(
        index="libraries",
        filename="flask-3.0.2-py3-none-any.whl",
        sha256=sha("9"),
        url=None,
        origin=origin,
        evidence=evidence,
        proved=True,
        tags="py3-none-any",
        discriminating=1,
        speaking=1,
        files=counts,
    )


def a_candidate(filename: str = "flask-3.0.2-py3-none-any.whl", **changes: object) -> CandidateLine:
    told: dict[str, object] = {
        "index": "libraries",
        "role": Role.CHAINGUARD,
        "filename": filename,
        "sha256": None,
        "url": None,
        "tags": "py3-none-any",
        "origin": Origin.CHAINGUARD,
        "evidence": Evidence.NOT_UPSTREAM,
        "chosen": False,
        "reason": "27 files there with its bytes",
        **changes,
    }
    return CandidateLine(**told)  # type: ignore[arg-type]


def an_account(**changes: object) -> Account:
    told: dict[str, object] = {
        "distribution": verified_line("flask", "3.0.2", integrity=Integrity.MODIFIED),
        "why": ("The files are those of a wheel that Chainguard built.", "1 file changed."),
        "compared_with": "chainguard",
        "chainguard": a_side(Origin.CHAINGUARD, Evidence.NOT_UPSTREAM),
        "upstream": a_side(Origin.UPSTREAM),
        "files": FILES,
        "candidates": (a_candidate("other.whl"), a_candidate(chosen=True)),
        "answers": (Answer(index="libraries", role=Role.CHAINGUARD, listed=3, of_version=1),),
        "failures": (),
        "record": RecordLine(rows=3, faults=(), edited=1, other_bytes=0, not_listed=1),
        **changes,
    }
    return Account(**told)  # type: ignore[arg-type]


def an_explanation(*accounts: Account, findings: tuple[Finding, ...] = ()) -> Explanation:
    report = a_report()
    return Explanation(
        scanned_at=report.scanned_at,
        timing={},
        target=report.target,
        indexes=(LIBRARIES, PYPI),
        name="flask",
        distributions=accounts or (an_account(),),
        findings=findings,
    )


def view(explanation: Explanation | None = None, *, width: int | None = None, **changes: bool) -> str:
    return render_explanations([explanation or an_explanation()], "table", width=width, **changes)


def test_the_formats_are_a_list() -> None:
    assert EXPLAINED == ("table", "json")


@pytest.mark.parametrize("width", [72, 80, 120, 200])
@pytest.mark.parametrize("all_files", [False, True])
def test_it_fits_the_terminal(width: int, all_files: bool) -> None:
    for line in view(width=width, all_files=all_files).splitlines():
        assert len(line) <= width or len(line.split()) == 1, line


def test_the_telling_files_come_first_and_the_same_are_a_number() -> None:
    lines = view().partition("\nFiles (sha256)")[2].splitlines()
    titles = [re.sub(r" +", " ", line.strip()) for line in lines if line.startswith("  ") and line[2] not in " >~+-"]
    assert titles == [
        "sets the builds apart, and speaks for it (1)",
        "changed: not Chainguard's bytes (2)",
        "in neither wheel (1)",
        "sets the builds apart, and does not speak (1)",
        "of Chainguard's wheel, and gone (20)",
        "27 files the same in all three",
        "1 file generated by the installer",
    ]
    assert "and 5 more; see --all-files" in view()


def test_a_row_has_what_is_there_and_what_both_wheels_have() -> None:
    text = view(width=100)
    assert re.search(r"^  > \*\.dist-info/METADATA +aaaaaaaa +aaaaaaaa +bbbbbbbb +2  matched$", text, re.MULTILINE)
    assert re.search(r"^    \*\.dist-info/LICENSE +missing +- +cccccccc +not in it$", text, re.MULTILINE)
    assert re.search(r"^  ~ flask/app.py +0{8} +f{8} +f{8} +2  modified$", text, re.MULTILINE)
    assert re.search(r"app.py.*\n      RECORD lists these bytes\n", text)
    assert re.search(r"cli.py.*\n      has the bytes of werkzeug\n", text)
    assert re.search(r"^  \+ flask/added.py +2{8} +- +- .*\n      RECORD does not list it$", text, re.MULTILINE)
    assert "a" * 12 in view(width=200)


def test_all_files_are_named_when_they_are_asked_for() -> None:
    text = view(all_files=True)
    assert "27 files the same" not in text
    assert all(f"flask/{number}.py" in text for number in range(27))
    assert all(f"gone/{number}.py" in text for number in range(20))
    assert "--all-files" not in text


def test_a_side_without_a_wheel_says_so() -> None:
    text = view(an_explanation(an_account(upstream=None)))
    assert re.search(r"METADATA +a{8} +a{8} +no wheel", text)
    assert "belongs to one build alone, and speaks for it (1)" in text
    assert "27 files as in Chainguard's wheel" not in text  # FILES have both; the title is that of what is known


def test_the_chosen_wheel_is_the_first_considered() -> None:
    more = tuple(a_candidate(f"flask-{number}.whl") for number in range(10))
    text = view(an_explanation(an_account(candidates=(*more, a_candidate(chosen=True)))))
    assert "Considered (11)\n  > flask-3.0.2-py3-none-any.whl of libraries" in text
    assert "  and 3 more; see --output json\n" in text


def test_colors_add_nothing_but_color() -> None:
    colored = view(color=True)
    assert "\x1b[32m" in colored
    assert "\x1b[31m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == view()
    assert "\x1b" not in view()


@pytest.mark.parametrize("name", EXPLAINED)
def test_hostile_names_are_written_out(name: str) -> None:
    line = verified_line(HOSTILE, HOSTILE, location=f"/{HOSTILE}.dist-info", installer=HOSTILE, owner=HOSTILE)
    account = an_account(
        distribution=line,
        why=(HOSTILE,),
        files=(a_file(f"/{HOSTILE}", **beside("f", "e", "1"), note=HOSTILE),),
        candidates=(a_candidate(HOSTILE, index=HOSTILE, reason=HOSTILE),),
        failures=(HOSTILE,),
    )
    finding = Finding(kind=FindingKind.UNOWNED_FILE, path=f"/{HOSTILE}", layer=1, detail=HOSTILE)
    text = render_explanations([an_explanation(account, findings=(finding,))], name, all_files=True)
    assert not set(text) & {"\x1b", "\u202e", "\udcff"}
    text.encode("utf-8")


def test_several_are_an_array_and_stand_apart() -> None:
    both = [an_explanation(), an_explanation()]
    assert len(json.loads(render_explanations(both, "json"))) == 2
    assert json.loads(render_explanations(both[:1], "json"))["schema"] == "cgscan-explanation/1"
    assert f"\n{'=' * 80}\n" in render_explanations(both, "table")
