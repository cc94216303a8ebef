"""Pipfile.lock: lists of hashes by category and project. ``_meta.hash`` is of the Pipfile and stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scanner.indexes.credentials import shown
from scanner.lockfile import Field, Item, Lock, LockEntry, LockFormat
from scanner.lockfiles.items import gap_of, hash_of, project_of, strings, version_of
from scanner.lockfiles.nodes import Table, line_of

_APART = ("git", "hg", "svn", "bzr", "path", "file", "url")


def read_pipenv(root: Table, text: str) -> Lock:
    """The entries of all categories (``default``, ``develop`` and own ones)."""
    sources = _sources(root)
    return Lock(format=LockFormat.PIPENV, text=text, entries=tuple(_entries(root, sources, text)))


def _sources(root: Table) -> Mapping[str, str]:
    """URLs by name; the first, which is asked where none is named, also under the empty name."""
    listed = [(one.text("name") or "", one.text("url")) for one in root.table("_meta").tables("sources")]
    known = {name: shown(url) for name, url in listed if url}
    return {"": next(iter(known.values())), **known} if known else {}


def _entries(root: Table, sources: Mapping[str, str], text: str) -> Iterator[LockEntry]:
    for category in root.pairs:
        if category == "_meta":
            continue
        packages = root.table(category)
        for name, package in packages.pairs.items():
            if isinstance(package, Table):
                yield _entry(name, packages.keys[name], package, sources, text)


def _entry(name: str, at: int, package: Table, sources: Mapping[str, str], text: str) -> LockEntry:
    hashes = package.pairs.get("hashes")
    items = tuple(
        Item(at=leaf.at, hashes=(said,) if said else (), fields={Field.DIGEST: leaf.inside} if said else {})
        for leaf in strings(hashes)
        for said in (hash_of(str(leaf.value)),)
    )
    pinned = package.text("version") or ""
    return LockEntry(
        project=project_of(name, text, at),
        version=version_of(pinned.lstrip("= ")) if pinned.startswith("==") else None,
        line=line_of(text, at),
        items=items,
        gap=gap_of(text, hashes, items),
        source=sources.get(package.text("index") or "", sources.get("")),
        apart=next((key for key in _APART if key in package.pairs), None),
    )
