"""Importable files in environments that no distribution accounts for: where somebody would add code.

What accounts for a file stands in :mod:`scanner.strays`. A folder without one accounted file is one finding, not
thousands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from scanner.distribution import Finding, FindingKind
from scanner.editable import STARTING
from scanner.rootfs import Node
from scanner.strays import Strays


def unowned(found: Sequence[Strays], environments: Collection[str]) -> Iterator[Finding]:
    """Findings ``unowned-file`` for what is left in the environments."""
    for strays in found:
        if strays.environment in environments:
            yield from _in_environment(strays)


def _in_environment(strays: Strays) -> Iterator[Finding]:
    folders: dict[str, list[tuple[str, Node]]] = {}
    for path, node in strays.files:
        folder = _outermost(strays, path)
        if folder == strays.environment and path.endswith(".pyc"):
            folder = path.rpartition("/")[0]  # of modules without sources there are many in one folder
        folders.setdefault(folder, []).append((path, node))
    for folder, files in folders.items():
        if folder != strays.environment and len(files) > 1:
            detail = f"{len(files)} importable files in it that no distribution accounts for{_sourceless(files)}"
            yield Finding(
                kind=FindingKind.UNOWNED_FILE, path=folder, layer=max(node.since for _, node in files), detail=detail
            )
            continue
        for path, node in files:
            detail = f"no distribution accounts for this file{_why_it_matters(path, strays.environment)}"
            yield Finding(kind=FindingKind.UNOWNED_FILE, path=path, layer=node.since, detail=detail)


def _sourceless(files: Sequence[tuple[str, Node]]) -> str:
    count = sum(path.endswith(".pyc") for path, _ in files)
    of = "all of them" if count == len(files) else f"{count} of them"
    return f"; {of} byte code without a source, which cannot be compared" if count else ""


def _outermost(strays: Strays, path: str) -> str:
    """The outermost folder around a file in which nothing is accounted for; the environment where there is none."""
    outermost = strays.environment
    folder = path.rpartition("/")[0]
    while len(folder) > len(strays.environment) and folder not in strays.accounted:
        outermost, folder = folder, folder.rpartition("/")[0]
    return outermost


def _why_it_matters(path: str, environment: str) -> str:
    name = path.rpartition("/")[2]
    if name.endswith(STARTING) or name.partition(".")[0] in ("sitecustomize", "usercustomize"):
        return "; Python runs it at every start" if path == f"{environment}/{name}" else ""
    return "; it is byte code without a source" if name.endswith(".pyc") else ""
