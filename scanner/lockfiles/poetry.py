"""poetry.lock: file names and hashes below each package (Poetry 1.3 to 2), or by project in one table (1.0 to 1.2).

``content-hash`` is of pyproject.toml and stays as it is. Poetry chooses among the links of the source by their hashes
and checks the file's hash by its name, so that both have to be listed; a name may be listed twice.
"""

from __future__ import annotations

from scanner.indexes.credentials import shown
from scanner.lockfile import Lock, LockEntry, LockFormat
from scanner.lockfiles.items import gap_of, items_of, project_of, version_in, version_of
from scanner.lockfiles.nodes import List, Node, Table, line_of

_PYPI = "https://pypi.org/simple"
"""Where packages without a source are from."""


def read_poetry(root: Table, text: str) -> Lock:
    """The entries of the packages."""
    files = root.table("metadata").table("files")
    packages = tuple(_entry(package, files, text) for package in root.tables("package"))
    return Lock(format=LockFormat.POETRY, text=text, entries=packages)


def _entry(package: Table, elsewhere: Table, text: str) -> LockEntry:
    at = package.at.start if package.at else 0
    source = package.table("source")
    kind, url = source.text("type"), source.text("url")
    version = version_of(package.text("version"))
    listed = package.pairs.get("files") or _by_project(elsewhere, package.text("name"))
    items = items_of(listed, name="file")
    if "files" not in package.pairs:  # the table has those of all versions of a project
        items = tuple(item for item in items if version_in(item.filename) in (version, None))
    return LockEntry(
        project=project_of(package.text("name"), text, at),
        version=version,
        line=line_of(text, at),
        items=items,
        gap=gap_of(text, listed, items),
        source=shown(url) if kind == "legacy" and url else _PYPI,
        apart=kind if kind not in (None, "legacy") else None,
    )


def _by_project(files: Table, name: str | None) -> Node | None:
    found = files.pairs.get(name or "")
    return found if isinstance(found, List) else None
