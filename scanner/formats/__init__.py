"""Report -> text. One module for each format, one line for each in :data:`FORMATS`.

A renderer takes the reports of all targets and a :class:`~scanner.formats.text.Look`, and returns text
that ends in a newline and is valid UTF-8.

    text            how text is laid out: escapes, widths, colours
    sentences       what a report says in words
    document        the one JSON value of all reports
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from scanner.errors import UsageError
from scanner.formats import csv_, json_, markdown, table, yaml_
from scanner.formats.document import as_one_document
from scanner.formats.text import Look
from scanner.report import Report

__all__ = ["FORMATS", "Renderer", "as_one_document", "render"]

Renderer: TypeAlias = Callable[[Sequence[Report], Look], str]

FORMATS: Final[Mapping[str, Renderer]] = MappingProxyType(
    {
        "table": table.render,
        "json": json_.render,
        "yaml": yaml_.render,
        "csv": csv_.render,
        "markdown": markdown.render,
    }
)


def render(
    reports: Sequence[Report],
    format: str,  # noqa: A002 - the word of the command line
    *,
    color: bool = False,
    width: int | None = None,
) -> str:
    """The reports in one of :data:`FORMATS`; ``width`` is the terminal's columns, None without one.

    Raises :class:`scanner.errors.UsageError` for a format that there is not.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no format {ascii(format)[:80]}", hint=f"write one of {', '.join(FORMATS)}")
    return FORMATS[format](reports, Look(color=color, width=width))
