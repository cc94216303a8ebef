"""uv.lock: wheels with url, hash and size below the registry that they are from (version 1, all revisions)."""

from __future__ import annotations

from scanner.indexes.credentials import shown
from scanner.lockfile import Item, Lock, LockEntry, LockFormat, Start
from scanner.lockfiles.items import gap_of, item_of, items_of, project_of, specifiers_of, version_of
from scanner.lockfiles.nodes import Table, end_of, line_of

_APART = ("git", "url", "path", "directory", "editable", "virtual")


def read_uv(root: Table, text: str) -> Lock:
    """The entries of the packages, that of the project itself among them."""
    return Lock(
        format=LockFormat.UV,
        text=text,
        entries=tuple(_entry(package, text) for package in root.tables("package")),
        requires_python=specifiers_of(root.text("requires-python")),
    )


def _entry(package: Table, text: str) -> LockEntry:
    at = package.at.start if package.at else 0
    source = package.table("source")
    wheels = package.pairs.get("wheels")
    items = items_of(wheels, url="url")
    registry = source.text("registry")
    return LockEntry(
        project=project_of(package.text("name"), text, at),
        version=version_of(package.text("version")),
        line=line_of(text, at),
        items=items,
        gap=gap_of(text, wheels, items),
        start=None if items else _start(package, text),
        source=shown(registry) if registry else None,
        apart=next((key for key in _APART if key in source.pairs), None),
    )


def _start(package: Table, text: str) -> Start | None:
    """Below the source archive, written as that is."""
    sdist = package.table("sdist")
    pattern = item_of(sdist, url="url") if sdist.braced else None
    return started(text, pattern, end_of(sdist)) if pattern and "wheels" not in package.pairs else None


def started(text: str, pattern: Item, at: int) -> Start:
    """A list of wheels on the lines below ``at``."""
    newline = "\r\n" if text[text.find("\n", at) - 1] == "\r" else "\n"
    return Start(at=at, before=f"{newline}wheels = [{newline}    ", after=f",{newline}]", pattern=pattern)
