"""What moved after a rebuild, as text: table, json, yaml, csv, markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

import scanner
from scanner.formats import csv_, json_
from scanner.formats.blocks import Block, in_markdown, in_terminal
from scanner.formats.text import Look, many
from scanner.proof import Change, Outcome, Proof, Stand, TargetProof
from scanner.report import Integrity, plain

COLUMNS: Final = ("target", "outcome", "name", "environment", "promised", "before", "after", "why", "detail")
_TITLES: Final[Mapping[Outcome, str]] = {
    Outcome.LOST: "Lost: verified before, and not any more",
    Outcome.NOT_MOVED: "Not moved",
    Outcome.MOVED: "Moved to Chainguard",
    Outcome.GONE: "Gone",
    Outcome.NEW: "New",
}


def render(proof: Proof, format: str, look: Look) -> str:  # noqa: A002 - the word of the command line
    """The proof in one of :data:`scanner.formats.FORMATS`."""
    match format:
        case "json":
            return json_.written(document(proof))
        case "yaml":
            return yaml.safe_dump(document(proof), sort_keys=False, width=120)
        case "csv":
            return _csv(proof)
        case "markdown":
            return in_markdown(list(_blocks(proof)))
        case _:
            return in_terminal(list(_blocks(proof)), look)


def document(proof: Proof) -> dict[str, Any]:
    """The JSON value of a proof; every text in it is valid UTF-8."""
    value = plain(proof)
    tool = {"name": "cgscan", "version": scanner.__version__}
    return {"schema": value.pop("schema"), "tool": tool, **value}


def _blocks(proof: Proof) -> Iterator[Block]:
    for target in proof.targets:
        yield Block(title=f"{target.before} and {target.after}" if target.before != target.after else target.after)
        for outcome in reversed(Outcome):
            yield from _outcome(target, outcome)
        yield Block(title="", before=(_coverage(target),))
    yield Block(
        title="", before=("All that was promised has moved." if proof.kept else "Not all that was promised has moved.",)
    )


def _outcome(target: TargetProof, outcome: Outcome) -> Iterator[Block]:
    changes = [change for change in target.changes if change.outcome is outcome]
    if not changes:
        return
    told = any(change.why for change in changes)
    yield Block(
        title=f"{_TITLES[outcome]} ({len(changes)})",
        level=2,
        headers=("name", "before", "after", "why") if told else ("name", "before", "after"),
        rows=tuple(_row(change, told=told) for change in changes),
        notes=tuple(change.detail or "" for change in changes),
    )


def _row(change: Change, *, told: bool) -> tuple[str, ...]:
    name = f"{change.name} (promised)" if change.promised and change.outcome is Outcome.NOT_MOVED else change.name
    why = (change.why.value if change.why else "",) if told else ()
    return (name, _stood(change.before), _stood(change.after), *why)


def _stood(stand: Stand | None) -> str:
    if stand is None:
        return "-"
    integrity = "" if stand.integrity in (Integrity.NONE, Integrity.INTACT) else f", {stand.integrity.value}"
    return f"{stand.version or '-'} {stand.origin.value}{integrity}"


def _coverage(target: TargetProof) -> str:
    numbers = [
        "none" if value is None else f"{value:g} %"
        for value in (target.coverage_before, target.coverage_said, target.coverage_after)
    ]
    still = f"; {many(target.unmoved, 'distribution')} verified before and after" if target.unmoved else ""
    return f"Coverage before {numbers[0]}, the plan said {numbers[1]}, now {numbers[2]}{still}."


def _csv(proof: Proof) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for target in proof.targets:
        for change in target.changes:
            stood = (_stood(change.before), _stood(change.after))
            place = (change.name, change.environment, change.promised)
            row = (target.after, change.outcome, *place, *stood, change.why, change.detail)
            writer.writerow([csv_.cell(value) for value in row])
    return text.getvalue()
