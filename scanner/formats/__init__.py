"""Report -> text. One module for each format, one line for each in :data:`FORMATS`.

A renderer takes the reports of all targets and a :class:`~scanner.formats.text.Look`, and returns text
that ends in a newline and is valid UTF-8.

    view            what of a report is shown, and how it is grouped
    text            how text is laid out: escapes, widths, colours
    sentences       what a report says in words
    document        the one JSON value of all reports
    target          what a target is called in SARIF and SBOMs, and where its files are
    html            one page for a person: its values, its templates, its style and script
    facts           what SBOMs and SARIF say of a report: purls, digests, properties
    rules           SARIF's rules: an origin, an integrity, a kind of finding each
    explained       one distribution file by file, for ``cgscan explain``
    snapshots       what is in a snapshot, for ``cgscan index``
    checkups        a check-up, for ``cgscan doctor``
    discovered      the repositories of managers, for ``cgscan doctor --discover``
    blocks          sentences and rows, and how they look in a terminal and in markdown
    differences     two reports beside each other, for ``cgscan diff``
    plans, proofs   a plan, and what moved after a rebuild, for ``cgscan plan``
    purged          what a purge deletes or has deleted, for ``cgscan purge``

A format's module is imported when something is written in it: what some of them need is slow to import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

from scanner.errors import UsageError
from scanner.formats.document import as_one_document
from scanner.formats.text import Look
from scanner.formats.view import View
from scanner.report import Report

if TYPE_CHECKING:
    from scanner.explanation import Explanation

__all__ = [
    "COMPARED",
    "EXPLAINED",
    "FORMATS",
    "OF_ONE_TARGET",
    "PLANNED",
    "Renderer",
    "as_one_document",
    "render",
    "render_explanations",
]

Renderer: TypeAlias = Callable[[Sequence[Report], Look], str]

_MODULES: Final = {
    "table": "table",
    "json": "json_",
    "yaml": "yaml_",
    "csv": "csv_",
    "markdown": "markdown",
    "html": "html",
    "sarif": "sarif",
    "cyclonedx": "cyclonedx",
    "spdx": "spdx",
}

FORMATS: Final = tuple(_MODULES)

OF_ONE_TARGET: Final = ("cyclonedx", "spdx")
"""Formats that describe one thing."""

EXPLAINED: Final = ("table", "json")
"""The formats of ``cgscan explain``."""
COMPARED: Final = ("table", "json", "yaml", "csv", "markdown", "html", "sarif")
"""The formats of ``cgscan diff``."""
PLANNED: Final = ("table", "json", "yaml", "csv", "markdown")
"""The formats of ``cgscan plan``."""


def render_explanations(
    explanations: Sequence[Explanation],
    format: str,  # noqa: A002 - the word of the command line
    *,
    color: bool = False,
    width: int | None = None,
    all_files: bool = False,
) -> str:
    """The explanations in one of :data:`EXPLAINED`: one JSON object for one, an array for several.

    ``all_files`` names the files in the table that are the same everywhere; JSON has them in any case.
    """
    from scanner.explanation import as_object  # noqa: PLC0415
    from scanner.formats import explained, json_  # noqa: PLC0415

    if format == "json":
        objects = [as_object(one) for one in explanations]
        return json_.written(objects[0] if len(objects) == 1 else objects)
    return explained.render(explanations, Look(color=color, width=width), all_files=all_files)


def render(
    reports: Sequence[Report],
    format: str,  # noqa: A002 - the word of the command line
    *,
    color: bool = False,
    width: int | None = None,
    view: View | None = None,
) -> str:
    """The reports in one of :data:`FORMATS`; ``width`` is the terminal's columns, None without one.

    ``view`` is for ``table``, ``markdown`` and ``html``; the others, which programs read, have everything.
    Raises :class:`scanner.errors.UsageError` for a format that there is not.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no format {ascii(format)[:80]}", hint=f"write one of {', '.join(FORMATS)}")
    renderer: Renderer = import_module(f"scanner.formats.{_MODULES[format]}").render
    return renderer(reports, Look(color=color, width=width, view=view or View()))
