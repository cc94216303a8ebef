"""``html``: what is in the file without a browser, and what a person can do with it in one."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import html5lib  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings

from scanner.formats import render
from scanner.formats.text import shown
from scanner.formats.view import View
from scanner.report import Integrity, Origin, Report
from tests.browser import chromium, opened, unreadable
from tests.formats import test_differences
from tests.formats.test_golden import the_report
from tests.reports import HOSTILE, a_line, a_report, any_report, verified_line

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open = Callable[..., AbstractContextManager["Page"]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Open:
    """Reports in the browser; keywords are the context's."""

    def shown_(*reports: Report, view: View | None = None, **looks: Any) -> AbstractContextManager[Page]:
        file = tmp_path / "report.html"
        file.write_text(render(reports or [the_report()], "html", view=view), "utf-8")
        return opened(browser, file, **looks)

    return shown_


def names(page: Page) -> list[str]:
    """The distributions that are shown, in their order."""
    found: list[str] = page.locator("tbody.row:visible .name").all_inner_texts()
    return found


def parsed(text: str) -> Any:
    """The document; an error for anything that HTML does not allow."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def rows(document: Any) -> list[Any]:
    return [body for body in document.iter("tbody") if body.get("class") == "row"]


def words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


# -- the file ------------------------------------------------------------------------------------------


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(any_report())
def test_any_report_is_valid_html_with_the_same_counts(report: Report) -> None:
    document = parsed(render([report], "html"))
    bodies = rows(document)
    assert len(bodies) == len(report.distributions)
    assert Counter(body.get("data-origin") for body in bodies) == Counter(report.summary.by_origin)
    assert [words(body.find(".//span[@class='name']")) for body in bodies] == [
        " ".join(shown(line.name).split()) for line in report.distributions
    ]
    findings = [one for one in document.iter("ul") if one.get("class") == "findings"]
    assert sum(len(one.findall("li")) for one in findings) == len(report.findings)


@settings(max_examples=10)
@given(any_report(), any_report())
def test_any_difference_is_valid_html(before: Report, after: Report) -> None:
    parsed(test_differences.rendered((before, after), "html"))


def test_nothing_is_loaded_and_only_the_own_script_may_run() -> None:
    text = render([the_report()], "html")
    document = parsed(text)
    assert not [
        one.tag for one in document.iter() if one.get("src") or one.get("style") or one.tag in ("img", "iframe")
    ]
    assert {
        one.get("href")[:5] for one in document.iter() if one.get("href") and not one.get("href").startswith("#")
    } == {"data:"}
    [policy] = [one.get("content") for one in document.iter("meta") if one.get("http-equiv")]
    for tag in ("script", "style"):
        [inline] = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_which_layer_which_file_what_to_do() -> None:
    """All of it in the text of one distribution, open without a script."""
    [numpy] = [body for body in rows(parsed(render([the_report()], "html"))) if "numpy" in words(body)[:20]]
    text = words(numpy)
    assert "7 of 812 files have other bytes" in text
    assert "module_0.py" in text
    assert "layer 3: RUN step 3" in text
    assert (
        "To do: Look at the changed files that the result names, and install the distribution anew. Chainguard offers"
        in text
    )
    assert "cgscan explain registry.example.com/shop/billing:1.4 numpy" in text


def test_what_is_left_out_is_said_and_groups_have_titles() -> None:
    view = View.of(["upstream,chainguard"], "origin")
    document = parsed(render([the_report()], "html", view=view))
    assert {body.get("data-origin") for body in rows(document)} == {"chainguard", "upstream"}
    assert "Shown (--only):" in words(document)
    titles = [words(body) for body in document.iter("tbody") if body.get("class") == "group"]
    assert [title.split()[0] for title in titles] == ["chainguard", "upstream"]


def test_a_report_without_anything_says_so() -> None:
    text = words(parsed(render([a_report(indexes=())], "html")))
    assert "Nothing here counts for coverage" in text
    assert "no index" in text
    assert text.count("None.") == 2  # findings, distributions


# -- in a browser --------------------------------------------------------------------------------------


def test_search_filters_and_their_count(show: Open) -> None:
    with show() as page:
        everything = names(page)
        search, status = page.get_by_role("searchbox"), page.get_by_role("status")
        assert page.locator(".more:visible").count() == 0
        assert status.inner_text() == f"All {len(everything)} are shown."
        search.fill("NUMPY module_3")
        assert names(page) == ["numpy"]
        assert status.inner_text() == f"1 of {len(everything)} are shown."
        search.fill("no such thing")
        assert names(page) == []
        page.get_by_role("button", name="Show all again").click()
        assert names(page) == everything
        page.get_by_label("Origin").select_option("upstream")
        upstream = names(page)
        assert 0 < len(upstream) < len(everything)
        page.get_by_label("Kind").select_option("vendored")
        assert names(page) == ["msgpack"]
        page.get_by_role("button", name="Reset", exact=True).click()
        page.get_by_label("To look at").check()
        assert names(page) != everything
        page.locator("select[data-key=layer]").select_option("2")
        assert "numpy" in names(page)


def test_with_the_keyboard_alone(show: Open) -> None:
    with show() as page:
        first, second, *_ = names(page)
        page.keyboard.press("/")
        page.keyboard.type("numpy")
        assert names(page) == ["numpy"]
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert page.get_by_role("button", name="numpy").get_attribute("aria-expanded") == "true"
        assert page.locator(".more:visible .files li").count() == 8  # seven changed, one gone
        page.keyboard.press("Enter")
        assert page.locator(".more:visible").count() == 0
        page.keyboard.press("Escape")
        assert len(names(page)) > 2
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.textContent") == first
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.textContent") == second
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        assert page.evaluate("document.activeElement.type") == "search"


def test_sorting(show: Open) -> None:
    lines = [a_line(name, version) for name, version in (("b", "1.10"), ("a", "1.9"), ("c", None), ("d", "1.2"))]
    with show(a_report(*lines)) as page:
        head = page.get_by_role("columnheader", name="Version")
        head.get_by_role("button").click()
        assert (names(page), head.get_attribute("aria-sort")) == (["d", "a", "b", "c"], "ascending")
        head.get_by_role("button").click()
        assert (names(page), head.get_attribute("aria-sort")) == (["b", "a", "d", "c"], "descending")
        page.get_by_role("columnheader", name="Name").get_by_role("button").click()
        assert (names(page), head.get_attribute("aria-sort")) == (["a", "b", "c", "d"], None)
        page.get_by_role("button", name="Reset", exact=True).click()
        assert names(page) == ["b", "a", "c", "d"]


def test_groups_go_with_their_members_and_when_sorted(show: Open) -> None:
    with show(view=View.of([], "origin")) as page:
        titles = page.locator("tbody.group:visible")
        assert titles.count() == len(Origin)
        page.get_by_role("searchbox").fill("numpy")
        assert [text.split()[0] for text in titles.all_inner_texts()] == ["chainguard"]
        page.get_by_role("searchbox").fill("")
        page.get_by_role("columnheader", name="Name").get_by_role("button").click()
        assert titles.count() == 0
        page.keyboard.press("Escape")
        assert titles.count() == len(Origin)


def test_a_link_opens_its_distribution_even_where_it_is_filtered_out(show: Open) -> None:
    with show() as page:
        page.get_by_role("searchbox").fill("certifi")
        page.locator("ul.first a").first.click()
        assert page.evaluate("document.activeElement.textContent") == "numpy"
        assert page.locator(".more:visible").count() == 1


def test_all_can_be_opened(show: Open) -> None:
    with show() as page:
        page.get_by_role("button", name="Open all").click()
        assert page.locator(".more:visible").count() == len(names(page))
        page.get_by_role("button", name="Close all").click()
        assert page.locator(".more:visible").count() == 0


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_it_is_accessible_in_both_schemes_and_on_a_phone(show: Open, scheme: str, width: int) -> None:
    with show(color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (min(map(int, re.findall(r"\d+", paper)[:3])) > 128) is (scheme == "light")
        page.get_by_role("button", name="Open all").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert unreadable(page) == []


def test_a_difference_is_accessible(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "difference.html"
    file.write_text(test_differences.rendered(test_differences.the_reports(), "html"), "utf-8")
    for scheme in ("light", "dark"):
        with opened(browser, file, color_scheme=scheme, viewport={"width": 360, "height": 800}) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            assert unreadable(page) == []


def test_without_a_script_all_of_it_is_open(show: Open) -> None:
    with show(java_script_enabled=False) as page:
        assert page.locator(".more:visible").count() == page.locator("tbody.row").count()
        assert page.locator(".controls:visible").count() == 0


def test_on_paper_all_of_it_is_open(show: Open) -> None:
    with show() as page:
        page.emulate_media(media="print")
        assert page.locator(".more:visible").count() == page.locator("tbody.row").count()
        assert page.locator(".controls:visible").count() == 0
        assert page.pdf().startswith(b"%PDF")


def test_hostile_names_are_text(show: Open) -> None:
    evil = "<img src=x onerror=alert(1)>'\"&{{7*7}}</script><script>alert(2)</script>"
    lines = [
        a_line(text, text, origin=Origin.UNKNOWN, reason=text, owner=text, installer=text, location=f"/{text}")
        for text in (evil, HOSTILE)
    ]
    report = a_report(*lines)
    report = replace(report, target=replace(report.target, reference=evil))
    with show(report) as page:
        assert names(page) == [evil, shown(HOSTILE)]
        assert page.locator("img, script").count() == 1
        assert page.title().startswith(evil)
        page.get_by_role("button", name="Open all").click()
        assert evil in page.locator(".more").first.inner_text()


def test_several_targets_have_lists_of_their_own(show: Open) -> None:
    second = a_report(verified_line("only-here"))
    with show(the_report(), second) as page:
        assert page.get_by_role("navigation").locator("a").count() == 2
        page.get_by_role("searchbox").nth(1).fill("no such thing")
        assert "numpy" in names(page)
        assert "only-here" not in names(page)


def test_a_thousand_distributions(show: Open) -> None:
    lines = [
        a_line(f"project-{number:04}", f"1.{number}", layer=number % 4, integrity=list(Integrity)[number % 3])
        for number in range(1000)
    ]
    with show(a_report(*lines)) as page:
        assert page.get_by_role("status").inner_text() == "All 1000 are shown."
        page.keyboard.press("/")
        page.keyboard.type("project-0777")
        assert names(page) == ["project-0777"]
        page.keyboard.press("Escape")
        page.get_by_role("columnheader", name="Version").get_by_role("button").click()
        page.get_by_role("columnheader", name="Version").get_by_role("button").click()
        assert page.locator("tbody.row .name").first.inner_text() == "project-0999"
