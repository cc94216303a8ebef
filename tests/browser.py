"""Debian's Chromium for the pages that people read: one for the session, a fresh context for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.registries import needed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

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
    context = browser.new_context(**looks)
    page = context.new_page()
    faults: list[str] = []

    def asked(request: Request) -> None:
        if not _own(request.url, path):
            faults.append(f"asked for {request.url}")

    page.on("request", asked)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    try:
        page.goto(path.as_uri())
        yield page
        assert faults == []
    finally:
        context.close()


def _own(url: str, path: Path) -> bool:
    return url.partition("#")[0] == path.as_uri() or url.startswith("data:")


def unreadable(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA and best practices, one line each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]
