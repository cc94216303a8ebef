"""``html``: one self-contained file for a person who has nothing else.

Which layer, which file, what to do: all of it is text in the page, so that it is there without the script too, on
paper, and for the browser's own search. The script, which is part of the file like the style, adds search, filters,
sorting and folding. Nothing is loaded from anywhere, and the page's own policy (``Content-Security-Policy``) lets
nothing else run than the one script whose digest it names.

The parts of a report are templates of their own, which the service's pages are made of too::

    frame.html          the page around everything
    parts.html          bars, facts, prose: macros
    report.html         reports, of summary.html, layers.html, findings.html and distributions.html
    controls.html       search and filters above the distributions
    blocks.html         titles, sentences and tables: of differences

Whatever comes out of the target is escaped twice: written out where it could deceive
(:func:`scanner.formats.text.escaped`), and as HTML by the template.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import jinja2
from markupsafe import Markup

from scanner.formats.html.sections import section
from scanner.formats.text import Look, shown
from scanner.report import Report

if TYPE_CHECKING:
    from scanner.formats.html.sections import Section

_PARTS: Final = ("style.css", "script.js")


def render(reports: Sequence[Report], look: Look) -> str:
    """One page; a section for each report."""
    sections = [section(report, look.view, f"r{number}") for number, report in enumerate(reports)]
    return page("report.html", title=_title(sections), sections=sections)


def page(template: str, **values: object) -> str:
    """A template of this folder inside the frame that all pages share (``frame.html``)."""
    environment = _environment()
    parts = {name.partition(".")[0]: part(name) for name in _PARTS}
    policy = {f"{name}_digest": _digest(text) for name, text in parts.items()}
    return environment.get_template(template).render(**parts, **policy, **values) + "\n"


def _title(sections: Sequence[Section]) -> str:
    first = f"{sections[0].name}: {sections[0].words}" if sections else "nothing scanned"
    return f"{first} and {len(sections) - 1} more" if len(sections) > 1 else first


@lru_cache(1)
def _environment() -> jinja2.Environment:
    return environment()


def environment(*more: jinja2.BaseLoader) -> jinja2.Environment:
    """The templates of this folder, and of others that are to look the same; what they are given is escaped twice."""
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([*more, jinja2.PackageLoader("scanner.formats.html", "")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_told,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _told(value: object) -> object:
    """Every text of the page that is not the page's own."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(len(_PARTS))
def part(name: str) -> Markup:
    """The style sheet or the script."""
    loader = _environment().loader
    assert loader is not None
    text, _, _ = loader.get_source(_environment(), name)
    return Markup(text)  # noqa: S704 - it is a file of this package


def _digest(text: str) -> str:
    """As a policy names an inline script or style: of the bytes between the tags."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
