"""``--only`` and ``--group-by``: what is shown, and that nothing that is counted changes with it."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.distribution import FindingKind
from scanner.errors import UsageError
from scanner.formats import render, sentences
from scanner.formats.view import GROUPINGS, Only, View, grouped
from scanner.index import Evidence
from scanner.policy import Policy
from scanner.report import Integrity, Kind, Origin, Report
from tests.reports import a_line, a_report, any_report, everything, verified_line

WORDS = [word.value for words in (Origin, Integrity, Kind, FindingKind) for word in words]


def names(filter_text: str, *, minimum: Evidence = Evidence.SBOM) -> set[str]:
    """Those of everything, without the hostile one, and kinds of findings with a plus."""
    report, view = everything(), View.of([filter_text], None)
    lines = {line.name for line in view.lines(report.distributions, minimum) if line.name.isascii()}
    return lines | {f"+{finding.kind.value}" for finding in view.findings(report)}


ALL = names("")
FINDINGS = {f"+{kind.value}" for kind in FindingKind}


def test_no_word_stands_for_two_things() -> None:
    assert Counter([*WORDS, "verified"]).most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unchecked", {"protobuf", "six"}),
        ("unchecked,source", {"protobuf", "six", "psycopg2"}),
        ("upstream,cached", {"pip"}),
        ("upstream,cached,bundled", {"pip", "idna"}),
        ("upstream,!installed", {"pip", "idna", "msgpack"}),
        ("name=p*,upstream", {"pip"}),
        ("name=P??", {"pip"}),
        ("name=pip,name=six", {"pip", "six"}),
        ("verified", {"certifi", "flask", "jinja2"}),
        ("unreadable", {"+unreadable"}),
        ("unreadable,conda", {"+unreadable", "openssl-py"}),
        ("!unreadable", ALL - {"+unreadable"}),
        ("!os, !conda", ALL - {"python-apt", "openssl-py"}),
        ("conda,!conda", set()),
        (" , ", ALL),
    ],
)
def test_what_is_shown(text: str, expected: set[str]) -> None:
    assert names(text) == expected


def test_what_is_verified_is_said_by_the_policy() -> None:
    assert names("verified", minimum=Evidence.PATH) == {"certifi", "jinja2"}
    report = a_report(
        verified_line("weak", evidence=Evidence.SBOM), verified_line("sound"), policy=Policy(min_evidence=Evidence.PATH)
    )
    text = render([report], "table", view=View.of(["!verified"], None))
    assert "weak" in text
    assert "sound" not in text


def test_several_filters_are_one() -> None:
    assert Only.parse(["upstream", "!os,cached"]) == Only.parse(["upstream,!os,cached"])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("upsteam", "cannot filter by 'upsteam'; did you mean upstream?"),
        ("name=", "cannot filter by 'name='"),
        ("!", "cannot filter by ''"),
        ("!!os", "cannot filter by '!os'; did you mean os?"),
        ("\x1b[2J", r"cannot filter by '\x1b[2J'"),
        ("a" * 2001, "a filter of 2001 characters; at most 2000 are read"),
    ],
)
def test_a_word_that_there_is_not(word: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Only.parse([word])
    assert caught.value.message == said


def test_a_grouping_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="cannot group by 'moon'"):
        View.of([], "moon")


# -- nothing else changes ----------------------------------------------------------------------------


def ends(text: str) -> list[str]:
    """What is said of all of the report: the policy and the last sentences."""
    parts = text.split("\n\n")
    return [part for part in parts if part.startswith(("The policy does not hold", "Not counted", "Coverage"))]


@pytest.mark.parametrize("text", ["verified", "unreadable", "!upstream", "name=nothing"])
def test_what_is_counted_stays(text: str) -> None:
    whole, less = (render([everything()], "table", view=View.of(only, None)) for only in ([], [text]))
    assert ends(less) == ends(whole) != []
    assert re.search(r"\nShown \(--only\): \d+ of 18 distributions, \d+ of 10 findings\.\n", less)
    assert "Shown" not in whole


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    report=any_report(),
    words=st.lists(st.sampled_from([*WORDS, "verified", "name=*a*"]), max_size=4),
    group_by=st.none() | st.sampled_from(GROUPINGS),
)
def test_any_report_can_be_viewed(report: Report, words: list[str], group_by: str | None) -> None:
    minimum = sentences.minimum_of(report)
    wanted = View.of([",".join(words)], group_by)
    unwanted = View.of([",".join(f"!{word}" for word in words)], group_by)
    for view in (wanted, unwanted):
        for name in ("table", "markdown"):
            render([report], name, view=view)
    for name in ("json", "csv", "sarif"):
        assert render([report], name, view=wanted) == render([report], name)
    shown = [*wanted.lines(report.distributions, minimum), *unwanted.lines(report.distributions, minimum)]
    assert all(line in report.distributions for line in shown)
    if len(words) == 1:  # what a word shows and what it leaves out are all of it
        assert len(shown) == len(report.distributions)
        assert len(wanted.findings(report)) + len(unwanted.findings(report)) == len(report.findings)


# -- groups ----------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(report=any_report(), group_by=st.sampled_from(GROUPINGS))
def test_groups_lose_nothing(report: Report, group_by: str) -> None:
    members = [line for _, group in grouped(report.distributions, report, group_by) for line in group]
    assert Counter(map(id, members)) == Counter(map(id, report.distributions))


def titles(text: str) -> list[str]:
    """Titles of tables: the line before the headers."""
    lines = text.splitlines()
    return [lines[place - 1] for place, line in enumerate(lines) if re.match(r" +name +version", line)]


def test_layers_have_their_instructions() -> None:
    report = a_report(a_line("a", layer=3), a_line("b", layer=0), a_line("c", layer=None), a_line("d", layer=3))
    text = render([report], "table", view=View.of([], "layer"))
    assert titles(text) == ["layer 0: RUN step 0", "layer 3: RUN step 3", "no layer"]
    assert titles(render([report], "table")) == [report.distributions[0].environment]


def test_origins_stand_in_their_order() -> None:
    report = a_report(a_line("a", origin=Origin.UNKNOWN), verified_line("b"), a_line("c"))
    text = render([report], "table", view=View.of([], "origin"))
    assert titles(text) == ["chainguard", "upstream", "unknown"]
    rows = re.findall(r"^\| +\| `([a-z ]+)` \|", render([report], "markdown", view=View.of([], "origin")), re.MULTILINE)
    assert rows[:1] == ["chainguard"]


def test_what_is_only_counted_otherwise_is_shown_when_asked_for() -> None:
    owned = [a_line(f"owned-{number}", origin=Origin.OS) for number in range(13)]
    vendored = a_line("inner", kind=Kind.VENDORED, environment=None)
    report = a_report(*owned, vendored)
    whole = render([report], "table")
    assert "owned-12" not in whole
    assert "inner" not in whole
    assert "owned-12" in render([report], "table", view=View.of(["os"], None))
    assert titles(render([report], "table", view=View.of(["vendored"], None))) == ["vendored"]
