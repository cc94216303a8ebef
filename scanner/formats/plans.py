"""A plan as text: table, json, yaml, csv, markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

import yaml

from scanner.formats import csv_, json_
from scanner.formats.blocks import Block, in_markdown, in_terminal
from scanner.formats.text import Look, many
from scanner.plan import Coverage, Item, ManagerStanding, Pin, Plan, Rebuild, Whose
from scanner.planfile import document
from scanner.stale import LocalCopy, ProxyCopy

COLUMNS: Final = (
    "step",
    "target",
    "name",
    "version",
    "kind",
    "origin",
    "integrity",
    "layer",
    "place",
    "path",
    "size",
    "downloaded",
    "same_version",
    "remediated",
    "later",
    "lack",
    "why",
)
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def render(plan: Plan, format: str, look: Look) -> str:  # noqa: A002 - the word of the command line
    """The plan in one of :data:`scanner.formats.FORMATS`."""
    match format:
        case "json":
            return json_.written(document(plan))
        case "yaml":
            return yaml.safe_dump(document(plan), sort_keys=False, width=120)
        case "csv":
            return _csv(plan)
        case "markdown":
            return in_markdown(list(_blocks(plan)))
        case _:
            return in_terminal(list(_blocks(plan)), look)


# -- blocks ----------------------------------------------------------------------------------------


def _blocks(plan: Plan) -> Iterator[Block]:
    yield _head(plan)
    yield from _unpin(plan)
    yield from _rebuild(plan)
    yield from _in_manager(plan)
    yield from _locally(plan)
    yield from _wait(plan)
    yield Block(title="", before=tuple(_closing(plan)))


def _head(plan: Plan) -> Block:
    targets = [
        f"{one.reference}: {one.kind}{f' for {one.platform}' if one.platform else ''}, scanned {one.scanned_at}"
        for one in plan.targets
    ]
    managers = [f"what {one.repository} holds, asked of {one.kind} behind {one.index}" for one in plan.managers]
    asked = [f"asked {one.name} ({one.role.value}) {one.url}" for one in plan.indexes]
    return Block(title="Plan", before=(*targets, *managers, *asked))


def _unpin(plan: Plan) -> Iterator[Block]:
    if plan.unpin:
        yield Block(
            title=f"Unpin ({len(plan.unpin)})",
            before=("The hashes of these entries refuse Chainguard's bytes.",),
            headers=("file", "line", "name", "version", "instead"),
            rows=tuple(_pin(one) for one in plan.unpin),
        )


def _pin(one: Pin) -> tuple[str, ...]:
    line = "" if one.line is None else str(one.line)
    return (one.file, line, one.project, one.version or "", one.replacement.filename)


def _rebuild(plan: Plan) -> Iterator[Block]:
    if not plan.rebuild:
        return
    count = sum(len(step.items) for step in plan.rebuild)
    yield Block(title=f"Rebuild ({count})", before=tuple(_how_to_rebuild(plan)))
    for step in plan.rebuild:
        where = "" if step.layer is None else f"layer {step.layer} of "
        yield Block(
            title=f"{where}{plan.targets[step.target].reference}",
            level=2,
            before=tuple(_layer(step)),
            headers=("name", "version", "origin", "instead"),
            rows=tuple(_moved(item) for item in step.items),
        )


def _how_to_rebuild(plan: Plan) -> Iterator[str]:
    layers = [step for step in plan.rebuild if step.layer is not None]
    if layers:
        yield (
            "Build without the build cache (docker build --no-cache), with Chainguard's index first: a cached layer "
            "brings the same bytes again. All layers from the first one named here on are built anew."
        )
    if any(step.whose is Whose.UNKNOWN for step in layers):
        yield (
            "Whether a layer is the base image's is not known; --base IMAGE tells. What is in a base image comes with "
            "a newer one only (--pull)."
        )
    if any(step.whose is Whose.BASE for step in layers):
        yield "Layers of the base image come with a newer base image only: rebuild that first, then build with --pull."
    if len(layers) < len(plan.rebuild):
        yield "What is in no image is installed again: pip install --force-reinstall --no-deps --no-cache-dir."


def _layer(step: Rebuild) -> Iterator[str]:
    if step.whose is not Whose.UNKNOWN:
        yield "the base image's" if step.whose is Whose.BASE else "your own"
    if step.created_by:
        yield step.created_by


def _moved(item: Item) -> tuple[str, ...]:
    offer = item.offer
    comes = offer.same_version.filename if offer.same_version else ""
    also = f"{offer.remediated} (remediated)" if offer.remediated else ""
    return (_label(item), item.version or "", item.origin.value, " or ".join(filter(None, (comes, also))))


def _label(item: Item) -> str:
    kind = "" if item.kind.value == "installed" else f" ({item.kind.value})"
    return f"{item.name}{kind}{' (hidden)' if item.hidden else ''}"


def _in_manager(plan: Plan) -> Iterator[Block]:
    replaced = [copy for copy in plan.purge_in_manager if copy.replacement is not None]
    for manager in plan.managers:
        mine = [copy for copy in replaced if copy.manager == manager.index]
        yield Block(
            title=f"Purge in the manager behind {manager.index} ({len(mine)})",
            before=tuple(_of_manager(manager, mine)),
            headers=("file", "size", "last download"),
            rows=tuple(_proxied(copy) for copy in mine),
            notes=tuple(_where(copy) for copy in mine),
        )


def _of_manager(manager: ManagerStanding, copies: list[ProxyCopy]) -> Iterator[str]:
    size = sum(copy.entry.size or 0 for copy in copies)
    left = manager.copies - len(copies)
    files = f"{many(len(copies), 'file')} of PyPI's that Chainguard has by now"
    yield f"{files}, {_size(size)}: 'cgscan purge PLAN' deletes them." if copies else "Nothing to delete."
    parts = [f"{left} of PyPI's without a replacement"] if left else []
    parts += [f"{manager.chainguards} of Chainguard's"] if manager.chainguards else []
    parts += [f"{manager.kept_back} that lie in no proxy"] if manager.kept_back else []
    parts += [f"{manager.unclear} of which nothing tells whose they are"] if manager.unclear else []
    if parts:
        yield f"Left alone: {', '.join(parts)}."


def _proxied(copy: ProxyCopy) -> tuple[str, ...]:
    entry = copy.entry
    return (entry.filename, _size(entry.size), (entry.downloaded or "")[:10])


def _where(copy: ProxyCopy) -> str:
    """Where it lies, and Chainguard's file where that has another name."""
    entry, instead = copy.entry, copy.replacement.filename if copy.replacement else copy.entry.filename
    other = f"; instead {instead}" if instead != entry.filename else ""
    return f"{entry.repository}: {entry.path}{other}"


def _locally(plan: Plan) -> Iterator[Block]:
    if not plan.purge_locally:
        return
    replaced = [copy for copy in plan.purge_locally if copy.replacement is not None]
    left = len(plan.purge_locally) - len(replaced)
    sizes = sum(copy.size or 0 for copy in replaced)
    entries = "1 entry" if len(replaced) == 1 else f"{len(replaced)} entries"
    before = [f"{entries}, {_size(sizes)}: 'cgscan purge PLAN' deletes them."]
    before += [f"Left alone: {left} that Chainguard has no build of."] if left else []
    yield Block(
        title=f"Purge locally ({len(replaced)})",
        before=tuple(before),
        headers=("tool", "name", "version", "size"),
        rows=tuple(_stored(copy) for copy in replaced),
        notes=tuple(copy.path for copy in replaced),
    )


def _stored(copy: LocalCopy) -> tuple[str, ...]:
    return (copy.tool, copy.project, copy.version or "", _size(copy.size))


def _wait(plan: Plan) -> Iterator[Block]:
    if not plan.wait:
        return
    yield Block(
        title=f"Wait ({len(plan.wait)})",
        headers=("name", "version", "origin", "lack", "later version"),
        rows=tuple(_waiting(item) for item in plan.wait),
        notes=tuple(item.offer.why or "" for item in plan.wait),
    )


def _waiting(item: Item) -> tuple[str, ...]:
    offer = item.offer
    lack = offer.lack.value if offer.lack else ""
    return (_label(item), item.version or "", item.origin.value, lack, offer.later or "")


def _closing(plan: Plan) -> Iterator[str]:
    if len(plan.targets) > 1:
        counted = [one for one in plan.targets if one.coverage.applicable]
        yield from (f"{one.reference}: {coverage_in_words(one.coverage)}" for one in counted)
    if plan.targets:
        yield coverage_in_words(plan.coverage)
    elif not plan.managers:
        yield "Nothing to do."


def coverage_in_words(coverage: Coverage) -> str:
    """``Coverage now 33.33 % (2 of 6), then 83.33 % (5 of 6) if every step succeeds.``"""
    if coverage.now is None or coverage.then is None:
        return "Nothing applicable, so there is no coverage."
    then = coverage.verified + coverage.promised
    now = f"Coverage now {coverage.now:g} % ({coverage.verified} of {coverage.applicable} applicable)"
    return f"{now}, then {coverage.then:g} % ({then} of {coverage.applicable}) if every step succeeds."


def _size(size: int | None) -> str:
    if size is None:
        return ""
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size} bytes" if not unit else f"{amount:.1f} {_UNITS[unit]}"


# -- csv -------------------------------------------------------------------------------------------


def _csv(plan: Plan) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in _rows(plan):
        writer.writerow([csv_.cell(row.get(column)) for column in COLUMNS])
    return text.getvalue()


def _rows(plan: Plan) -> Iterator[dict[str, object]]:
    """One for each thing that is moved or waits."""
    for step in plan.rebuild:
        yield from (_row_of_item("rebuild", item, plan) for item in step.items)
    for copy in plan.purge_in_manager:
        entry, instead = copy.entry, copy.replacement
        yield {
            "step": "purge in manager",
            "target": copy.manager,
            "name": entry.project,
            "version": entry.version,
            "place": entry.repository,
            "path": entry.path,
            "size": entry.size,
            "downloaded": entry.downloaded,
            "same_version": instead.filename if instead else None,
        }
    yield from map(_row_of_stored, plan.purge_locally)
    yield from map(_row_of_pin, plan.unpin)
    yield from (_row_of_item("wait", item, plan) for item in plan.wait)


def _row_of_item(step: str, item: Item, plan: Plan) -> dict[str, object]:
    offer = item.offer
    return {
        "step": step,
        "target": plan.targets[item.target].reference,
        "name": item.name,
        "version": item.version,
        "kind": item.kind,
        "origin": item.origin,
        "integrity": item.integrity,
        "layer": item.layer,
        "place": item.environment,
        "path": item.location,
        "same_version": offer.same_version.filename if offer.same_version else None,
        "remediated": offer.remediated,
        "later": offer.later,
        "lack": offer.lack,
        "why": offer.why,
    }


def _row_of_stored(copy: LocalCopy) -> dict[str, object]:
    return {
        "step": "purge locally",
        "target": copy.tool,
        "name": copy.project,
        "version": copy.version,
        "place": copy.root,
        "path": copy.path,
        "size": copy.size,
        "same_version": copy.replacement.filename if copy.replacement else None,
    }


def _row_of_pin(pin: Pin) -> dict[str, object]:
    return {
        "step": "unpin",
        "name": pin.project,
        "version": pin.version,
        "path": pin.file if pin.line is None else f"{pin.file}:{pin.line}",
        "same_version": pin.replacement.filename,
    }
