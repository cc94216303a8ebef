"""Two reports beside each other, as text: table, json, yaml, csv, markdown, html, sarif."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

import scanner
from scanner.difference import Change, Difference, FindingChange, LayerOf, Side, Stand, TargetDifference, What
from scanner.formats import csv_, json_
from scanner.formats.blocks import Block, in_markdown, in_terminal
from scanner.formats.text import Look, many
from scanner.report import Integrity, Kind, Report, plain

COLUMNS: Final = (
    *("target", "what", "name", "kind", "version_before", "version_after", "origin_before", "origin_after"),
    *("integrity_before", "integrity_after", "environment", "location", "layer", "created_by", "reason"),
)
_TITLES: Final[Mapping[What, str]] = {
    What.FELL_BACK: "Fell back from Chainguard",
    What.MODIFIED: "Modified now",
    What.UNCHECKED: "Not checked any more",
    What.CAME: "Came",
    What.GONE: "Gone",
    What.OTHER_ORIGIN: "Of another origin",
    What.CHECKED: "Checked now",
    What.UPDATED: "Updated",
    What.OTHER_WHEEL: "The same version out of another wheel",
    What.EVIDENCE: "Shown by other evidence",
    What.OTHER_INTEGRITY: "Of another integrity",
    What.RESTORED: "Not modified any more",
    What.CHAINGUARD: "Became Chainguard's",
}


def render(
    found: Difference,
    reports: Sequence[tuple[Report, Report]],
    format: str,  # noqa: A002 - the word of the command line
    look: Look,
) -> str:
    """The difference in one of :data:`scanner.formats.COMPARED`; ``reports`` are those that it is of."""
    match format:
        case "json" | "yaml":
            value = document(found)
            return json_.written(value) if format == "json" else yaml.safe_dump(value, sort_keys=False, width=120)
        case "csv":
            return _csv(found)
        case "markdown":
            return in_markdown(list(_blocks(found)))
        case "html":
            from scanner.formats import html  # noqa: PLC0415 - slow to import

            titles = [_title(target) for target in found.targets]
            return html.page("blocks.html", title="; ".join(titles), blocks=list(_blocks(found)))
        case "sarif":
            from scanner.formats import sarif  # noqa: PLC0415 - slow to import

            return sarif.render_new(reports)
        case _:
            return in_terminal(list(_blocks(found)), look)


def document(found: Difference) -> dict[str, Any]:
    """The JSON value in the shape of ``diff.schema.json``; every text in it is valid UTF-8."""
    value = plain(found)
    tool = {"name": "cgscan", "version": scanner.__version__}
    return {"schema": value.pop("schema"), "tool": tool, **value}


def _blocks(found: Difference) -> Iterator[Block]:
    for target in found.targets:
        yield Block(title=_title(target), before=(_coverage(target), *target.notes))
        for what in What:
            yield from _changes(target, what)
        for appeared, title in ((True, "Findings that appeared"), (False, "Findings that vanished")):
            yield from _findings([one for one in target.findings if one.appeared is appeared], title)
        yield Block(title="", before=(_same(target),))
    if found.failed:
        yield Block(title="", before=(f"What was not to happen: {', '.join(found.failed)}.",))


def _title(target: TargetDifference) -> str:
    names = [_name(target.before), _name(target.after)]
    return f"{names[0]} and {names[1]}" if names[0] != names[1] else names[0]


def _name(side: Side) -> str:
    return f"{side.reference} ({side.platform})" if side.platform else side.reference


def _coverage(target: TargetDifference) -> str:
    numbers = [
        f"{'none' if side.coverage is None else f'{side.coverage:g} %'} ({side.verified} of {side.applicable})"
        for side in (target.before, target.after)
    ]
    return f"Coverage before {numbers[0]}, now {numbers[1]}."


def _same(target: TargetDifference) -> str:
    return f"The same in both: {many(target.unchanged, 'distribution')}, {many(target.unchanged_findings, 'finding')}."


def _changes(target: TargetDifference, what: What) -> Iterator[Block]:
    changes = [change for change in target.changes if change.what[0] is what]
    if changes:
        yield Block(
            title=f"{_TITLES[what]} ({len(changes)})",
            level=2,
            headers=("name", "before", "after", "layer"),
            rows=tuple((_called(one), _stood(one.before), _stood(one.after), _number(one)) for one in changes),
            notes=tuple(_note(change) for change in changes),
        )


def _called(change: Change) -> str:
    said = [*([] if change.kind is Kind.INSTALLED else [change.kind.value]), *(["hidden"] if change.hidden else [])]
    return f"{change.name} ({', '.join(said)})" if said else change.name


def _stood(stand: Stand | None) -> str:
    if stand is None:
        return "-"
    integrity = "" if stand.integrity in (Integrity.NONE, Integrity.INTACT) else f", {stand.integrity.value}"
    return f"{stand.version or '-'} {stand.origin.value}{integrity}"


def _layer_of(change: Change) -> LayerOf | None:
    stand = change.after or change.before
    return stand.layer if stand else None


def _number(change: Change) -> str:
    layer = _layer_of(change)
    return "-" if layer is None else str(layer.number)


def _note(change: Change) -> str:
    """Why, and by which instruction, for what is worse or new; where it went with its environment."""
    also = [_TITLES[what].lower() for what in change.what[1:]]
    said = [f"also: {', '.join(also)}"] if also else []
    worse = change.what[0] in (What.FELL_BACK, What.MODIFIED, What.UNCHECKED, What.CAME)
    if worse and change.after is not None:
        said.append(change.after.reason)
        layer = change.after.layer
        said += [f"layer {layer.number}: {layer.created_by}"] if layer and layer.created_by else []
    return "; ".join(said)


def _findings(findings: Sequence[FindingChange], title: str) -> Iterator[Block]:
    if findings:
        yield Block(
            title=f"{title} ({len(findings)})",
            level=2,
            headers=("finding", "path", "layer"),
            rows=tuple((one.kind.value, one.path, str(one.layer.number) if one.layer else "-") for one in findings),
            notes=tuple(one.detail if one.appeared else "" for one in findings),
        )


def _csv(found: Difference) -> str:
    """One row for each distribution, then for each finding, that is not the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for target in found.targets:
        rows = [*map(_row, target.changes), *map(_finding_row, target.findings)]
        writer.writerows([csv_.cell(value) for value in (target.after.reference, *row)] for row in rows)
    return text.getvalue()


def _row(change: Change) -> tuple[object, ...]:
    old, new = change.before, change.after
    stand = new or old
    assert stand is not None
    sides = [
        part
        for name in ("version", "origin", "integrity")
        for part in (getattr(old, name, None), getattr(new, name, None))
    ]
    what = " ".join(one.value for one in change.what)
    return (
        what,
        change.name,
        change.kind,
        *sides,
        stand.environment,
        stand.location,
        *_told(stand.layer),
        stand.reason,
    )


def _finding_row(finding: FindingChange) -> tuple[object, ...]:
    what = "finding-appeared" if finding.appeared else "finding-vanished"
    return (what, None, finding.kind, *[None] * 7, finding.path, *_told(finding.layer), finding.detail)


def _told(layer: LayerOf | None) -> tuple[object, object]:
    return (layer.number, layer.created_by) if layer else (None, None)
