"""Opened archives as folders beside their files: the members of ``/opt/app.pex`` stand below ``/opt/app.pex!``.

They take layer and writers of the file that they are in. They are no part of the tree itself, so no entry of a layer
can stand in them, replace them or claim to be one: a real folder named ``app.pex!`` is a folder.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from scanner.distribution import Finding, FindingKind
from scanner.errors import LimitExceeded
from scanner.inventory import Inventory
from scanner.limits import Limits
from scanner.merging import Merging, Node

MARK: Final = "!"
_NOTHING: Final[Mapping[str, Node]] = {}
_MOST_TOLD: Final = 50
"""Findings inside one archive, those in its own archives with them."""


class Grafts:
    """The archives of one tree: ``paths`` are those of their folders, which end in ``!``."""

    def __init__(self, root: Node, archives: Mapping[bytes, Inventory], limits: Limits) -> None:
        self.paths: set[str] = set()
        self._findings: dict[str, list[Finding]] = defaultdict(list)
        self._untold: Counter[str] = Counter()
        """Of what is one too many, how much there is, by the outermost archive."""
        self._archives = archives
        self._limits = limits
        self._left = limits.archived_entries
        self._beside: dict[int, dict[str, Node]] = {}
        """By the identity of the folder that the archive is in."""
        pending = [("", root, 0)] if archives else []
        while pending:
            path, folder, depth = pending.pop()
            for name, child in (folder.children or {}).items():
                if child.children:
                    pending.append((f"{path}/{name}", child, depth))
                elif child.entry.sha256 in archives:
                    grafted = self._graft(f"{path}/{name}", folder, child, depth)
                    pending += [(f"{path}/{name}{MARK}", grafted, depth + 1)] if grafted else []

    @property
    def findings(self) -> Iterator[Finding]:
        """What is odd in the archives; of very many findings in one the first."""
        for path, findings in self._findings.items():
            yield from findings
            if count := self._untold[path]:
                detail = f"{count} more things are odd inside"
                yield Finding(kind=FindingKind.UNREADABLE, path=path, layer=findings[0].layer, detail=detail)

    def beside(self, folder: Node) -> Mapping[str, Node]:
        """The archives' folders in a folder, by their names with ``!``."""
        return self._beside.get(id(folder), _NOTHING)

    def archive_of(self, path: str) -> str | None:
        """The innermost archive that a real path is in."""
        end = len(path)
        while self.paths and (end := path.rfind(MARK, 0, end)) >= 0:
            if path[: end + 1] in self.paths and path[end + 1 : end + 2] in ("/", ""):
                return path[:end]
        return None

    def _graft(self, path: str, folder: Node, outer: Node, depth: int) -> Node | None:
        """The archive's folder, if it has one; its findings are told in any case."""
        assert outer.entry.sha256 is not None
        inventory = self._archives[outer.entry.sha256]
        merging = Merging(replace(self._limits, entries=max(self._left, 1)))
        fault = self._fault(inventory, folder, path, depth)
        try:
            merging.apply(replace(inventory, entries=()) if fault else inventory, outer.layer)
        except LimitExceeded:
            fault = self._too_many()
        for finding in merging.findings:
            inside = "" if finding.path == "/" else f"{MARK}{finding.path}"
            self._tell(replace(finding, path=f"{path}{inside}", layer=outer.since))
        if fault:
            self._tell(Finding(kind=FindingKind.UNREADABLE, path=path, layer=outer.since, detail=fault))
        if fault or not merging.root.children:
            return None
        for node in _all_of(merging.root):
            self._left -= 1
            node.since, node.writers = outer.since, outer.writers
        self._beside.setdefault(id(folder), {})[f"{path.rpartition('/')[2]}{MARK}"] = merging.root
        self.paths.add(f"{path}{MARK}")
        return merging.root

    def _fault(self, inventory: Inventory, folder: Node, path: str, depth: int) -> str | None:
        """Why its members cannot stand in the tree."""
        name = f"{path.rpartition('/')[2]}{MARK}"
        if not inventory.entries:
            return None
        if name in (folder.children or {}):
            return f"was not opened: something real stands beside it, named {name[:200]!r} like its members' folder"
        if depth >= self._limits.archive_depth:
            return f"was not opened: archives in archives are {depth} deep (limit archive_depth)"
        return self._too_many() if len(inventory.entries) > self._left else None

    def _too_many(self) -> str:
        return f"was not opened: all archives hold over {self._limits.archived_entries} files (limit archived_entries)"

    def _tell(self, finding: Finding) -> None:
        outermost = finding.path.partition(f"{MARK}/")[0]
        if len(self._findings[outermost]) < _MOST_TOLD:
            self._findings[outermost].append(finding)
        else:
            self._untold[outermost] += 1


def _all_of(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += (node.children or {}).values()
