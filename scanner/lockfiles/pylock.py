"""pylock.toml (PEP 751): wheels with url, size and hashes, as tables in braces (uv, PDM) or with headers (pip)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from scanner.indexes.credentials import shown
from scanner.lockfile import Field, Hash, Item, Lock, LockEntry, LockFormat, Start
from scanner.lockfiles.items import basename, gap_of, own_of, project_of, size_of, specifiers_of, version_of
from scanner.lockfiles.nodes import Leaf, List, Node, Table, end_of, line_of
from scanner.lockfiles.uv import started

_APART: Final = ("vcs", "directory", "archive")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,200}")


def read_pylock(root: Table, text: str) -> Lock:
    """The entries of the packages."""
    return Lock(
        format=LockFormat.PYLOCK,
        text=text,
        entries=tuple(_entry(package, text) for package in root.tables("packages")),
        requires_python=specifiers_of(root.text("requires-python")),
    )


def _entry(package: Table, text: str) -> LockEntry:
    at = package.at.start if package.at else 0
    wheels = package.pairs.get("wheels")
    items = tuple(_item(wheel) for wheel in package.tables("wheels"))
    index = package.text("index")
    return LockEntry(
        project=project_of(package.text("name"), text, at),
        version=version_of(package.text("version")),
        line=line_of(text, at),
        items=items,
        gap=_gap(text, wheels, items),
        start=None if items else _start(package, text),
        source=shown(index) if index else None,
        apart=next((key for key in _APART if key in package.pairs), None),
    )


def _item(wheel: Table) -> Item:
    assert wheel.at is not None
    hashes = wheel.table("hashes")
    said = [Hash(name.lower(), value.lower()) for name in hashes.pairs if (value := _hex(hashes, name))]
    url, filename = wheel.text("url"), wheel.text("name")
    places = {Field.FILENAME: wheel.leaf("name"), Field.URL: wheel.leaf("url"), Field.HEX: hashes.leaf("sha256")}
    fields = {field: leaf.inside for field, leaf in places.items() if leaf is not None}
    others = tuple(hashes.pair(name) for name in hashes.pairs if name != "sha256")
    return Item(
        at=wheel.at,
        hashes=tuple(said),
        filename=filename or basename(url) or basename(wheel.text("path")),
        url=url,
        fields=fields | size_of(wheel),
        own=(*own_of(wheel), *others),
        whole_size=wheel.pair("size") if "size" in wheel.pairs else None,
    )


def _hex(hashes: Table, name: str) -> str:
    node = hashes.pairs[name]
    value = node.value if isinstance(node, Leaf) else None
    return value if isinstance(value, str) and _HEX.fullmatch(value) else ""


def _gap(text: str, wheels: Node | None, items: Sequence[Item]) -> str:
    """Of tables with headers, a line between them."""
    if isinstance(wheels, List) and wheels.at is None:
        newline = "\r\n" if "\r\n" in text[items[0].at.start : items[0].at.end] else "\n"
        return newline * 2
    return gap_of(text, wheels, items)


def _start(package: Table, text: str) -> Start | None:
    """Below the source archive, written as that is; pip's form with headers has no place for it."""
    sdist = package.table("sdist")
    if not sdist.braced or sdist.at is None or "wheels" in package.pairs:
        return None
    return started(text, _item(sdist), end_of(sdist))
