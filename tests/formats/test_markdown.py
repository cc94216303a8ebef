"""``markdown``: a comment on a pull request that nothing in the target can write into."""

from __future__ import annotations

import html
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from scanner.formats import render
from scanner.formats.markdown import code, prose
from scanner.formats.text import shorten, shown
from scanner.policy import Policy
from scanner.report import Origin, Report
from tests.reports import HOSTILE, TEXTS, a_line, a_report, any_report, everything, verified_line

OUR_TAGS = {"<br>", "<code>", "</code>", "<details>", "</details>", "<summary>", "</summary>"}


def as_html(text: str) -> str:
    """As a renderer of GitHub's Markdown shows it, HTML and autolinks let through."""
    return str(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


def seen(text: str) -> str:
    """What a reader sees of one line of Markdown."""
    return html.unescape(re.sub(r"<[^>]*>", "", as_html(f"x {text}"))).removeprefix("x")


def test_the_heading_has_the_verdict() -> None:
    passed, failed = a_report(verified_line()), a_report(a_line(), policy=Policy(min_coverage=50))
    name = "`registry.example.com/shop/billing:1.4`"
    assert render([passed], "markdown").startswith(f"## Passed, coverage 100 % (1 of 1 applicable): {name}\n")
    assert render([failed], "markdown").startswith(f"## Failed, coverage 0 % (0 of 1 applicable): {name}\n")
    assert "* coverage is 0 %, the policy asks for 50 %; not verified: requests 2.31.0\n" in render(
        [failed], "markdown"
    )


def test_it_has_its_parts_and_all_distributions() -> None:
    text = render([everything()], "markdown")
    parts = re.findall(r"^###? .*|^<details>.*", text, re.MULTILINE)
    assert [part.split(" (")[0] for part in parts[1:]] == [
        "### The policy does not hold",
        "### To look at",
        "### Findings",
        "<details><summary>All 18 distributions</summary>",
    ]
    rows = text.split("<details>")[1].count("\n| ") - 2
    assert rows == len(everything().distributions)


@given(text=TEXTS)
def test_code_shows_the_text_and_nothing_else(text: str) -> None:
    assert seen(code(text)).split() == shown(shorten(text, 300)).split()


@given(text=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60))
def test_a_sentence_reads_as_it_is(text: str) -> None:
    assert seen(prose(text)).split() == text.split()


def test_a_hostile_name_acts_nowhere() -> None:
    line = a_line(
        HOSTILE, HOSTILE, origin=Origin.UNKNOWN, reason=f"see @security/team, www.evil.example, #12 and {HOSTILE}"
    )
    text = render([a_report(line)], "markdown")
    assert "<script>" not in text
    assert "@" not in text
    assert "`rm" not in text
    assert "`www.evil.example`" in text
    assert "<code>&#35;12</code>" in text


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(report=any_report())
def test_only_our_own_html_and_cells_come_out(report: Report) -> None:
    text = render([report], "markdown")
    assert set(re.findall(r"<[^ ]*?>", text)) <= OUR_TAGS
    for row in re.findall(r"^\|.*$", text.split("<details>")[1], re.MULTILINE):
        assert row.count("|") == 9
    assert "<a " not in as_html(text)
    assert as_html(text).count("<h2>") == 1


def test_a_comment_is_never_too_long() -> None:
    lines = [a_line(f"project-{number}", "1.0", reason=f"{number} " * 300) for number in range(900)]
    for reports in ([a_report(*lines)], [a_report(*lines)] * 3):
        text = render(reports, "markdown")
        assert len(text) < 65_536
        assert re.search(r"\|  \| and \d+ more; see --output json \|", text)
        assert text.endswith("</details>\n")
