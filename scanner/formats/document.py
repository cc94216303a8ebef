"""The one JSON value of all reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scanner.report import Report, as_object


def as_one_document(reports: Sequence[Report]) -> dict[str, Any] | list[dict[str, Any]]:
    """One object for one report, an array for several (contract, "Report")."""
    objects = [as_object(report) for report in reports]
    return objects[0] if len(objects) == 1 else objects
