"""What the readers of several formats share: hashes, versions, gaps and items out of nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
)
from packaging.version import InvalidVersion, Version

from scanner.errors import UsageError
from scanner.lockfile import Field, Hash, Item, Span
from scanner.lockfiles.nodes import Leaf, List, Node, Table, line_of
from scanner.wheel import WheelName

_DIGEST: Final = re.compile(r"\s*(?P<algorithm>[A-Za-z0-9_]{1,20})[:=](?P<hex>[0-9A-Fa-f]{1,200})\s*")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_INDENT: Final = re.compile(r"[ \t\r\n]*")


def hash_of(text: str | None) -> Hash | None:
    """Read ``sha256:HEX``."""
    found = _DIGEST.fullmatch(text or "")
    return Hash(found["algorithm"].lower(), found["hex"].lower()) if found else None


def version_of(text: str | None) -> Version | None:
    """The version, None where there is none."""
    try:
        return Version(text) if text else None
    except InvalidVersion:
        return None


def specifiers_of(text: str | None) -> SpecifierSet | None:
    """A specifier of Python versions, None for what is none."""
    try:
        return SpecifierSet(text) if text else None
    except InvalidSpecifier:
        return None


def project_of(text: str | None, root: str, at: int) -> NormalizedName:
    """The normalised name; :class:`UsageError` with the line where there is none."""
    if text is None or len(text) > 200 or not _NAME.fullmatch(text):
        raise UsageError(f"line {line_of(root, at)}: an entry has no name of a project")
    return canonicalize_name(text)


def basename(url: str | None) -> str | None:
    """The file name at the end of a URL or path."""
    try:
        return unquote(urlsplit(url).path.rpartition("/")[2]) or None if url else None
    except ValueError:
        return None


def is_wheel(item: Item) -> bool:
    """Whether an item is of a wheel, as far as its name says."""
    return (item.filename or "").endswith(".whl")


def version_in(filename: str | None) -> Version | None:
    """The version in the name of a wheel or source archive."""
    wheel = WheelName.parse(filename or "")
    if wheel is not None:
        return wheel.version
    try:
        return parse_sdist_filename(filename or "")[1]
    except (InvalidSdistFilename, InvalidWheelFilename):
        return None


def item_of(table: Table, *, name: str | None = None, url: str | None = None) -> Item | None:
    """A table with ``hash = "sha256:…"``; ``name`` and ``url`` are the keys under which its file is named.

    None where the table is of another form.
    """
    digest, said = table.leaf("hash"), hash_of(table.text("hash"))
    at = table.at
    if at is None:
        return None
    filename = table.text(name) if name else None
    places = {Field.FILENAME: table.leaf(name) if name else None, Field.URL: table.leaf(url) if url else None}
    fields = {field: leaf.inside for field, leaf in places.items() if leaf is not None}
    if digest is not None and said is not None:
        fields[Field.DIGEST] = digest.inside
    where = table.text(url) if url else None
    return Item(
        at=at,
        hashes=(said,) if said else (),
        filename=filename or basename(where),
        url=where,
        fields=fields | size_of(table),
        own=own_of(table),
        whole_size=table.pair("size") if "size" in table.pairs else None,
    )


def size_of(table: Table) -> dict[Field, Span]:
    """The place of the size."""
    size = table.leaf("size")
    return {Field.SIZE: size.at} if size else {}


def own_of(table: Table) -> tuple[Span, ...]:
    """What is true of one file alone."""
    return (table.pair("upload-time"),) if "upload-time" in table.pairs else ()


def items_of(node: Node | None, *, name: str | None = None, url: str | None = None) -> tuple[Item, ...]:
    """The items of a list of tables."""
    tables = [one for one in node.items if isinstance(one, Table)] if isinstance(node, List) else []
    return tuple(item for one in tables if (item := item_of(one, name=name, url=url)) is not None)


def gap_of(text: str, node: Node | None, items: Sequence[Item]) -> str:
    """What stands between two items of a bracketed list; where there is one item, as the list was begun."""
    if not isinstance(node, List) or node.at is None or not items:
        return ""
    found = _INDENT.match(text, node.at.start + 1)
    assert found is not None
    return f",{found[0] or ' '}"


def same_place(url: str) -> str:
    """A URL as it is compared: without user, password and a slash at its end; scheme and host in lower case."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2].lower()}{parts.path.rstrip('/')}"


def strings(node: Node | None) -> list[Leaf]:
    """The strings of a list."""
    return [one for one in node.items if isinstance(one, Leaf)] if isinstance(node, List) else []
