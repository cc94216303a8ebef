"""Debian's Chromium for the pages that people read: one for the session, a fresh context for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.registries import needed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = needed("chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, path: Path, **looks: Any) -> Iterator[Page]:
    """A file in a context of its own; fails where the page asks for anything else or has an error."""
    with watched(browser, lambda url: url.partition("#")[0] == path.as_uri(), **looks) as page:
        page.goto(path.as_uri())
        yield page


@contextmanager
def visited(browser: Browser, site: str, **looks: Any) -> Iterator[Page]:
    """A page in a context of its own; fails where it asks for anything that is not of the site, or has an error."""
    with watched(browser, lambda url: url.startswith(f"{site}/"), base_url=site, **looks) as page:
        yield page


@contextmanager
def watched(browser: Browser, own: Callable[[str], bool], **looks: Any) -> Iterator[Page]:
    """A page that may ask only for what is ``own``. That a document is an error is no error of the page."""
    context = browser.new_context(**looks)
    page = context.new_page()
    faults: list[str] = []

    def asked(request: Request) -> None:
        if not own(request.url) and not request.url.startswith("data:"):
            faults.append(f"asked for {request.url}")

    def said(message: ConsoleMessage) -> None:
        if message.location["url"] != page.url or "the server responded with a status of 4" not in message.text:
            faults.append(message.text)

    page.on("request", asked)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", said)
    try:
        yield page
        assert faults == []
    finally:
        context.close()


def unreadable(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA and best practices, one line each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe.Axe().axe_script)
    found = page.evaluate("() => axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]
