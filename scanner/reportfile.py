"""A report as JSON -> :class:`scanner.report.Report`. It is data from elsewhere, and read as such.

Keys that a later version may have added are passed over (contract, "Report"); everything else has to be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from scanner.decoding import Reading, decoded, json_of
from scanner.errors import UsageError
from scanner.limits import Limits
from scanner.report import SCHEMA, Report, summarise

_HINT: Final = "'cgscan scan TARGET -o json=FILE' writes one"
_ABSENT: Final[Mapping[str, Any]] = {
    "timing": {},
    "layers": (),
    "digest": None,
    "size": None,
    "media_type": None,
    "created_by": None,
    "built_only": False,
    "layer": None,
    "installer": None,
    "owner": None,
    "hidden": False,
    "url": None,
    "evidence": None,
    "proved": False,
    "expected": None,
    "actual": None,
    "violations": (),
}
"""What the schema lets a report leave out."""


def read_reports(path: Path, *, limits: Limits) -> list[Report]:
    """The reports of a file; several may stand in one.

    Raises :class:`scanner.errors.UsageError` for what is none, :class:`scanner.errors.ConfigError` with all faults.
    """
    found = json_of(path, limits=limits)
    values = found if isinstance(found, list) else [found]
    if not values or not all(isinstance(one, dict) and one.get("schema") == SCHEMA for one in values):
        raise UsageError(f"{path}: no report of cgscan's ({SCHEMA})", hint=_HINT)
    reading = Reading(absent=_ABSENT, strict=False)
    reports: list[Report] = []
    for number, value in enumerate(values):
        where = f"[{number}]" if isinstance(found, list) else ""
        report = decoded(Report, value, reading, where)
        if report is not None:
            reading.faults.extend(f"{where}{'.' if where else ''}{fault}" for fault in _faults(report))
            reports.append(_counted(report))
    reading.check(f"{path}: a report that is not of its own schema", _HINT)
    return reports


def _faults(report: Report) -> Iterator[str]:
    """What types alone do not show."""
    if report.target.kind not in ("image", "directory", "file"):
        yield f"target.kind: {ascii(report.target.kind)[:80]} is none of image, directory, file"
    for number, line in enumerate(report.distributions):
        layers = [*line.layers, *([line.layer] if line.layer is not None else [])]
        if any(layer >= len(report.target.layers) for layer in layers):
            yield f"distributions[{number}].layer: there is no such layer in target.layers"


def _counted(report: Report) -> Report:
    """The report with its own count: nobody's numbers are believed where they can be counted."""
    return replace(report, summary=summarise(report.distributions))
