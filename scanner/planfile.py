"""A plan as JSON, in the shape of ``plan.schema.json``, and back.

What is read may come from another machine and decides what is deleted: nothing in it is made to fit, paths are
absolute and climb nowhere, copies are below their stores, and all faults are told at once.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from packaging.utils import NormalizedName

import scanner
from scanner.decoding import Reading, decoded, json_of, json_value
from scanner.digest import Digest
from scanner.errors import UsageError
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.manager import Retrieved
from scanner.plan import SCHEMA, Coverage, Plan
from scanner.report import plain
from scanner.stale import LocalCopy

TOOLS: Final = ("pip", "uv", "poetry", "pdm")
_HINT: Final = "'cgscan plan TARGET -o json=FILE' writes one"
_NAMES: Final = {"Digest": Digest, "NormalizedName": NormalizedName, "Retrieved": Retrieved}


def document(plan: Plan) -> dict[str, Any]:
    """The JSON value of a plan; every text in it is valid UTF-8."""
    value = plain(plan)
    tool = {"name": "cgscan", "version": scanner.__version__}
    return {"schema": value.pop("schema"), "tool": tool, **value}


def read_plan(source: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> Plan:
    """The plan of a file (a path) or of a JSON text.

    Raises :class:`scanner.errors.UsageError` for what is none, :class:`scanner.errors.ConfigError` with all faults.
    """
    what = str(source) if isinstance(source, Path) else "the plan"
    value = json_of(source, limits=limits) if isinstance(source, Path) else json_value(source, what)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise UsageError(f"{what}: no plan of cgscan's ({SCHEMA})", hint=_HINT)
    return _plan({key: part for key, part in value.items() if key != "tool"}, what)


def _plan(value: dict[str, Any], what: str) -> Plan:
    reading = Reading(names=_NAMES)
    plan = decoded(Plan, value, reading)
    if plan is not None:
        reading.faults.extend(_faults(plan))
    reading.check(f"{what}: this plan cannot be used", _HINT)
    assert plan is not None
    return plan


def _faults(plan: Plan) -> Iterator[str]:
    """What types alone do not show."""
    items = [item for step in plan.rebuild for item in step.items] + list(plan.wait)
    if any(
        number >= len(plan.targets) for number in [*(one.target for one in plan.rebuild), *(i.target for i in items)]
    ):
        yield "rebuild, wait: a target that is not in targets"
    for number, target in enumerate(plan.targets):
        if not target.coverage.is_consistent:
            yield f"targets[{number}].coverage: its numbers do not fit each other"
    if plan.coverage != Coverage.all(target.coverage for target in plan.targets):
        yield "coverage: is not that of the targets together"
    for number, copy in enumerate(plan.purge_locally):
        for fault in _misplaced(copy):
            yield f"purge_locally[{number}].{fault}"


def _misplaced(copy: LocalCopy) -> Iterator[str]:
    if copy.tool not in TOOLS:
        yield f"tool: {ascii(copy.tool)[:80]} is none of {', '.join(TOOLS)}"
    if not _is_place(copy.root) or copy.root == "/":
        yield "root: is no absolute path of a folder"
    elif not _is_place(copy.path) or not copy.path.startswith(copy.root + "/"):
        yield "path: is not below root"


def _is_place(path: str) -> bool:
    return path.startswith("/") and not path.startswith("//") and "\0" not in path and posixpath.normpath(path) == path
