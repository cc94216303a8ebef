"""``csv``: one row for each distribution, for spreadsheets.

A cell that a spreadsheet would run as a formula gets an apostrophe in front
(https://owasp.org/www-community/attacks/CSV_Injection). What could break a row or a terminal is
written out as in the table, so a row is always one line.
"""

from __future__ import annotations

import csv
import enum
import io
from collections.abc import Sequence
from typing import Final

from scanner.formats.text import Look, escaped
from scanner.report import DistributionLine, Report

COLUMNS: Final = (
    "name",
    "version",
    "kind",
    "location",
    "environment",
    "layer",
    "installer",
    "owner",
    "hidden",
    "origin",
    "integrity",
    "reason",
)
"""The scalar fields of the schema's distribution, in its order."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the fullwidth forms, which some spreadsheets read the same."""


def render(reports: Sequence[Report], _look: Look) -> str:
    """A header, then the rows of all reports one after the other."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for report in reports:
        writer.writerows(_row(line) for line in report.distributions)
    return text.getvalue()


def _row(line: DistributionLine) -> list[str]:
    return [cell(getattr(line, column)) for column in COLUMNS]


def cell(value: object) -> str:
    """A value as a cell: on one line, and no formula."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case enum.Enum():
            return str(value.value)
        case _:
            text = str(value)
            return escaped(f"'{text}" if text.startswith(_FORMULA) else text)
