"""The pages in Debian's Chromium: signing in, buttons, filters, what the policy blocks, and who can read them how."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from scanner.reference import ImageName
from scanner.results.database import Database
from scanner.service import jobs
from scanner.service.jobs import Job, Priority, State, Wanted
from tests import fleets
from tests.browser import chromium, unreadable, visited
from tests.reports import everything
from tests.services import Running, configured, started

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

READ, SCAN = "r" * 20, "s" * 20
STRANGE = "\u202e<script>alert(1)</script>\x1b"
WIDE, NARROW = {"width": 1200, "height": 900}, {"width": 360, "height": 780}

Visit = Callable[..., AbstractContextManager["Page"]]


@dataclass(frozen=True, kw_only=True)
class World:
    """A service with a fleet in it; ids of reports: of a usual image, of one with everything, of a large one."""

    database: Database
    service: Running
    usual: int
    strange: int
    large: int

    def waits(self, image: str, priority: Priority = Priority.PUSH) -> Job:
        wanted = Wanted(image=ImageName.parse(image), source="ours", priority=priority, circumstances="now")
        ((job, _),) = jobs.submit(self.database, [wanted], most_waiting=100)
        return job

    def given_up(self, image: str, reason: str) -> Job:
        job = self.waits(image, Priority.DEPLOY)
        claimed = jobs.claim(self.database, "w", attempts=5, lease=30)
        assert claimed is not None
        assert claimed.id == job.id
        jobs.give_up(self.database, claimed, reason)
        return job

    def state(self, job: Job) -> State:
        found = jobs.get(self.database, job.id)
        assert found is not None
        return found.state


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started_:
        yield started_


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "data").mkdir()
    database = Database(f"sqlite:///{folder / 'data' / 'cgscan.sqlite'}")
    database.migrate()
    fleets.a_fleet(database)
    usual = fleets.put(database, fleets.billing(), "registry.example/shop/billing:latest")
    strange = fleets.put(database, everything(), f"registry.example/{STRANGE}:{STRANGE}")
    large = fleets.put(database, fleets.many(500), "registry.example/data/science:1")
    tokens = [
        {"name": name, "rights": rights, "sha256": hashlib.sha256(token.encode()).hexdigest()}
        for name, rights, token in (("reader", ["read"], READ), ("ci", ["read", "scan"], SCAN))
    ]
    config = configured(folder, tokens=tokens)
    with started(folder, "serve", "--config", str(config), "--no-workers") as service:
        yield World(database=database, service=service, usual=usual, strange=strange, large=large)
    database.close()


@pytest.fixture(scope="module")
def sessions(browser: Browser, world: World) -> dict[str | None, Any]:
    """What a browser keeps of somebody who has signed in with a token."""
    kept: dict[str | None, Any] = {None: None}
    for token in (READ, SCAN):
        with visited(browser, world.service.url) as page:
            page.goto("/login")
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{world.service.url}/")
            kept[token] = page.context.storage_state()
    return kept


@pytest.fixture
def visit(browser: Browser, world: World, sessions: dict[str | None, Any]) -> Visit:
    """A page of somebody with this token, at this path; keywords are the context's."""

    @contextmanager
    def visiting(path: str, token: str | None = SCAN, **looks: Any) -> Iterator[Page]:
        with visited(browser, world.service.url, storage_state=sessions[token], **looks) as page:
            page.goto(path)
            yield page

    return visiting


def names(page: Page) -> list[str]:
    found: list[str] = page.locator("tbody.row:visible .name").all_inner_texts()
    return found


# -- signing in, buttons -------------------------------------------------------------------------------


def test_from_a_link_to_its_page_by_signing_in(visit: Visit, world: World) -> None:
    with visit("/images?search=billing", token=None) as page:
        page.get_by_label("Token").fill("x" * 20)
        page.keyboard.press("Enter")
        assert "no such token" in page.get_by_role("alert").inner_text()
        page.get_by_label("Token").fill(READ)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{world.service.url}/images?search=billing")
        assert page.get_by_role("status").inner_text() == "2 images that fit. Show all"
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{world.service.url}/login")
        assert page.context.cookies() == []
        page.goto("/queue")
        assert page.get_by_role("heading", name="Sign in").is_visible()


def test_buttons_of_the_queue(visit: Visit, world: World) -> None:
    dead = world.given_up("registry.example/team/none:1", "not found: no such tag")
    job = world.waits("registry.example/team/app:1")
    with visit("/queue", READ) as page:
        assert "not found: no such tag" in page.locator("main").inner_text()
        assert page.get_by_role("main").get_by_role("button").count() == 0
    with visit("/queue") as page:
        for button in ("Cancel: registry.example/team/app:1", "Try again: registry.example/team/none:1"):
            with page.expect_navigation():
                page.get_by_role("button", name=button).click()
            assert page.get_by_role("button", name=button).count() == 0
        assert world.state(job) is State.CANCELLED
        assert world.state(dead) is State.QUEUED
        page.get_by_role("link", name="1 cancelled").click()
        assert page.get_by_role("button", name="Try again: registry.example/team/app:1").is_visible()
    jobs.cancel(world.database, dead.id)


def test_a_form_and_a_frame_of_another_site(visit: Visit, browser: Browser, world: World) -> None:
    """As the browser sends them: the form's button does nothing, the frame stays empty."""
    job = world.waits("registry.example/team/other:1")
    url = f"{world.service.url}/queue/{job.id}/cancel"
    with visit("/queue") as page:
        context = page.context
        other = context.new_page()
        with other.expect_response(url) as answer:
            other.set_content(f'<form method="post" action="{url}"><button>Win</button></form>')
            other.get_by_role("button").click()
        assert answer.value.status in (303, 403)
        assert world.state(job) is State.QUEUED
        framed = context.new_page()
        with framed.expect_console_message(lambda message: "frame-ancestors" in message.text):
            framed.set_content(f'<iframe src="{world.service.url}/login"></iframe>')
    jobs.cancel(world.database, job.id)


# -- an image ------------------------------------------------------------------------------------------


def test_five_hundred_distributions(visit: Visit, world: World) -> None:
    with visit(f"/reports/{world.large}") as page:
        assert len(names(page)) == 500
        page.keyboard.press("/")
        page.keyboard.type("project-04")
        assert len(names(page)) == 100
        page.get_by_label("Origin").select_option("chainguard")
        assert len(names(page)) == 33
        with page.expect_navigation():
            page.get_by_label("Search").press("Enter")  # the address has the filter, for who is sent it
        assert re.search(r"search=project-04.*origin=chainguard", page.url)
        assert len(names(page)) == 33
        assert "33 of 500 fit" in page.locator(".fits").inner_text()
        with page.expect_navigation():
            page.get_by_role("link", name="Show all").click()
        assert len(names(page)) == 500


def test_without_a_script(visit: Visit, world: World) -> None:
    with visit(f"/reports/{world.usual}", java_script_enabled=False) as page:
        page.get_by_label("Search").fill("sandbox.py")
        with page.expect_navigation():
            page.get_by_role("button", name="Filter").click()
        assert names(page) == ["jinja2"]
        assert page.get_by_text("File by file").is_visible()
        assert page.get_by_role("button", name="Open all").count() == 0


def test_from_the_layers_to_a_file_and_what_to_do(visit: Visit, world: World) -> None:
    with visit(f"/reports/{world.usual}") as page:
        layers = page.get_by_role("table").filter(has_text="Instruction")
        assert "RUN pip install --no-cache-dir six" in layers.inner_text()
        assert layers.locator("rect.o-upstream").count() == 2
        page.locator("table.changed").get_by_role("link", name="jinja2").first.click()
        assert page.evaluate("document.activeElement.textContent") == "jinja2"
        assert page.locator(".command:visible").count() == 1
        with page.expect_download() as download:
            page.get_by_role("link", name="cyclonedx").click()
        assert download.value.suggested_filename == f"cgscan-{world.usual}.cdx.json"


def test_names_of_strangers_are_shown_as_text(visit: Visit, world: World) -> None:
    """Where it counts: nothing of them runs, nothing becomes an element, nothing turns the text around."""
    with visit(f"/reports/{world.strange}") as page:
        for path in (page.url, "/", "/images", "/distributions"):
            page.goto(path)
            text = page.locator("body").inner_text()
            assert "\\u202e" in text
            assert "<script>" in text
            assert not set(text) & set("\u202e\x1b")
            assert page.locator("script:not([src])").count() == 0
        page.goto("/images")
        page.get_by_role("link", name="<script>").click()
        page.wait_for_url(f"{world.service.url}/reports/{world.strange}")
        page.get_by_role("link", name="registry.example/").first.click()
        page.get_by_role("heading", name="Tags").wait_for()


# -- the policy ----------------------------------------------------------------------------------------


def test_the_policy_blocks(browser: Browser, world: World) -> None:
    """What somebody managed to put into a page would not run, load or send."""
    context = browser.new_context(base_url=world.service.url)
    page = context.new_page()
    outside: list[Request] = []
    page.on("request", lambda request: None if request.url.startswith(world.service.url) else outside.append(request))
    page.goto("/login")
    blocked = page.evaluate(
        """async () => {
            const seen = [];
            document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
            document.body.insertAdjacentHTML("beforeend", `<img src="https://evil.example/x"><p style="color: red">x</p>
                <a id="on" onclick="window.ran = 1">x</a><form id="out" action="https://evil.example/"></form>
                <iframe src="https://evil.example/"></iframe><object data="https://evil.example/x"></object>`);
            for (const [tag, key, value] of [["script", "textContent", "window.ran = 1"],
                    ["script", "src", "https://evil.example/x.js"], ["style", "textContent", "body { color: red }"],
                    ["link", "href", "https://evil.example/x.css"], ["base", "href", "https://evil.example/"]]) {
                const made = document.createElement(tag);
                if (tag === "link") made.rel = "stylesheet";
                made[key] = value;
                document.head.append(made);
            }
            document.getElementById("on").click();
            document.getElementById("out").submit();
            await fetch("https://evil.example/").catch(() => null);
            const until = Date.now() + 5000;  // some of them are told later
            while (new Set(seen).size < 10 && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
            return [[...new Set(seen)].sort(), window.ran ?? null, document.baseURI];
        }"""
    )
    directives = ["base-uri", "connect-src", "form-action", "frame-src", "img-src", "object-src"]
    directives += ["script-src-attr", "script-src-elem", "style-src-attr", "style-src-elem"]
    assert blocked == [directives, None, page.url]
    assert {request.failure for request in outside} <= {"csp"}
    context.close()


# -- who can read them ---------------------------------------------------------------------------------


def test_with_the_keyboard_alone(visit: Visit, world: World) -> None:
    with visit("/") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")
        page.goto("/images")
        head = page.get_by_role("columnheader", name="Coverage")
        for order in ("ascending", "descending"):
            head.get_by_role("link").focus()
            with page.expect_navigation():
                page.keyboard.press("Enter")
            assert head.get_attribute("aria-sort") == order
        landmarks = [
            page.get_by_role(role).count() for role in ("banner", "navigation", "main", "contentinfo", "search")
        ]
        assert landmarks == [1, 1, 1, 1, 1]
        assert page.get_by_role("heading", level=1).count() == 1


LIGHT_WIDE, DARK_WIDE, LIGHT_NARROW, DARK_NARROW = [
    (scheme, size) for size in (WIDE, NARROW) for scheme in ("light", "dark")
]
TWO, FOUR = (LIGHT_WIDE, DARK_NARROW), (LIGHT_WIDE, DARK_WIDE, LIGHT_NARROW, DARK_NARROW)
PAGES = {
    "/": FOUR,
    "/images?by=coverage": TWO,
    "/images/registry.example/shop/billing": TWO,
    "/reports/{usual}": FOUR,
    "/reports/{strange}": TWO,
    "/distributions": TWO,
    "/distributions/jinja2": TWO,
    "/queue": FOUR,
    "/nowhere": TWO,
    "/login": TWO,
}


@pytest.mark.parametrize("path", PAGES)
def test_it_is_accessible_in_both_schemes_and_on_a_phone(visit: Visit, world: World, path: str) -> None:
    waiting = world.waits("registry.example/team/waiting:1")
    dead = world.given_up("registry.example/team/dead:1", "x" * 300)
    with visit(path.format(usual=world.usual, strange=world.strange)) as page:
        for scheme, size in PAGES[path]:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.set_viewport_size(size)  # type: ignore[arg-type]
            paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            assert (min(map(int, re.findall(r"\d+", paper)[:3])) > 128) is (scheme == "light")
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            assert unreadable(page) == []
    for job in (dead, waiting):
        jobs.requeue(world.database, job.id)
        jobs.cancel(world.database, job.id)
