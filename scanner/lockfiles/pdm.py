"""pdm.lock: files and hashes below each package (PDM 2.8 on), or by project and version in one table (before).

With the strategy ``static_urls`` files are named by their URLs, which PDM then fetches. ``content_hash`` is of
pyproject.toml and stays as it is. A file may be listed twice, with either hash.
"""

from __future__ import annotations

from scanner.indexes.credentials import shown
from scanner.lockfile import Lock, LockEntry, LockFormat
from scanner.lockfiles.items import gap_of, items_of, project_of, version_of
from scanner.lockfiles.nodes import List, Node, Table, line_of

_APART = ("git", "hg", "svn", "bzr", "url", "path")


def read_pdm(root: Table, text: str) -> Lock:
    """The entries of the packages. One that is locked with extras and without is two entries of the same files."""
    files = root.table("metadata").table("files")
    entries = tuple(_entry(package, files, text) for package in root.tables("package"))
    return Lock(format=LockFormat.PDM, text=text, entries=entries)


def _entry(package: Table, elsewhere: Table, text: str) -> LockEntry:
    at = package.at.start if package.at else 0
    name, version = package.text("name"), package.text("version")
    listed = package.pairs.get("files") or _by_version(elsewhere, name, version)
    items = items_of(listed, name="file", url="url")
    return LockEntry(
        project=project_of(name, text, at),
        version=version_of(version),
        line=line_of(text, at),
        items=items,
        gap=gap_of(text, listed, items),
        source=_source(package),
        apart=next((key for key in _APART if key in package.pairs), None),
    )


def _by_version(files: Table, name: str | None, version: str | None) -> Node | None:
    found = files.pairs.get(f"{name} {version}")
    return found if isinstance(found, List) else None


def _source(package: Table) -> str | None:
    """Not written by PDM so far: sources are those of pyproject.toml."""
    url = package.table("source").text("url")
    return shown(url) if url else None
