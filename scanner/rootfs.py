"""One root file system out of a target's inventories, with the layer of each path (:mod:`scanner.merging`).

The members of opened archives stand in it as ``OUTER!/inner`` (:mod:`scanner.grafts`): every method takes such paths.
Nothing is ever read from the machine's own file system here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from scanner.artifact import Artifact
from scanner.distribution import Finding
from scanner.grafts import Grafts
from scanner.inventory import Inventory
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.merging import Merging, Node, find_in
from scanner.owner import Package
from scanner.wheel import WheelContents

__all__ = ["Chain", "Node", "RegularFile", "RootFS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularFile:
    """A regular file as a reader sees it. ``path`` is absolute and real: no part of it is a link."""

    path: str
    sha256: bytes
    size: int
    layer: int
    since: int
    writers: tuple[int, ...]


class RootFS:
    """The merged tree. Paths given to its methods are absolute; links are followed inside the root."""

    def __init__(
        self,
        merging: Merging,
        findings: Sequence[Finding],
        *,
        limits: Limits,
        archives: bool = True,
    ) -> None:
        self._root = merging.root
        self._contents: Mapping[bytes, bytes] = merging.contents
        self.wheels: Mapping[bytes, WheelContents] = merging.wheels
        self.archives: Mapping[bytes, Inventory] = merging.archives
        self.packages: Mapping[bytes, tuple[Package, ...]] = merging.packages
        self.artifacts: Mapping[bytes, tuple[Artifact, ...]] = merging.artifacts
        self.frozen: Mapping[bytes, str] = merging.frozen
        self._grafts = Grafts(merging.root, merging.archives if archives else {}, limits)
        self.findings = (*findings, *self._grafts.findings)

    @classmethod
    def of(cls, inventories: Sequence[Inventory], *, limits: Limits = DEFAULT_LIMITS) -> Self:
        """Merge inventories, the lowest layer first. :class:`LimitExceeded` for more folders than ``entries``."""
        merging = Merging(limits)
        for layer, inventory in enumerate(inventories):
            merging.apply(inventory, layer)
        return cls(merging, merging.findings, limits=limits)

    def resolve(self, path: str, *, follow_last: bool = True) -> str | None:
        """The real path; None where there is nothing, or links loop or lead nowhere."""
        found = self._find(path, follow_last=follow_last)
        return None if found is None else "/" + "/".join(found[0])

    def node(self, path: str, *, follow_last: bool = True) -> Node | None:
        """What stands at a path, links followed."""
        found = self._find(path, follow_last=follow_last)
        return None if found is None else found[1]

    def _find(self, path: str, *, follow_last: bool) -> tuple[list[str], Node] | None:
        return find_in(self._root, path, follow_last=follow_last, beside=self._grafts.beside)

    def archive_of(self, path: str) -> str | None:
        """The innermost opened archive that a path is in, as the path of its file; None for what lies in the open."""
        if "!" not in path or not self._grafts.paths:
            return None
        return self._grafts.archive_of(path) or self._grafts.archive_of(self.resolve(path) or "")

    def file(self, path: str) -> RegularFile | None:
        """The regular file at a path, links followed; None for anything else."""
        found = self._find(path, follow_last=True)
        if found is None or found[1].entry.kind != "file":
            return None
        parts, node = found
        assert node.entry.sha256 is not None
        return RegularFile(
            path="/" + "/".join(parts),
            sha256=node.entry.sha256,
            size=node.entry.size,
            layer=node.layer,
            since=node.since,
            writers=node.writers,
        )

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, if they were kept."""
        file = self.file(path)
        return None if file is None else self._contents.get(file.sha256)

    def keeps(self, sha256: bytes) -> bool:
        """Whether the bytes, or what is in them, were kept for reading: files of whom somebody may want to know."""
        opened = (self.wheels, self.archives, self.artifacts)
        return sha256 in self._contents or any(sha256 in known for known in opened)

    def children(self, path: str) -> Mapping[str, Node]:
        """What a directory holds, by name; empty for anything else."""
        node = self.node(path)
        return self._in(node) if node is not None else {}

    def _in(self, folder: Node) -> Mapping[str, Node]:
        archives = self._grafts.beside(folder)
        return {**(folder.children or {}), **archives} if archives else folder.children or {}

    def walk(
        self,
        path: str = "/",
        *,
        archives: bool = True,
        endings: tuple[str, ...] = ("",),
        digests: Collection[bytes] = (),
    ) -> Iterator[tuple[str, Node]]:
        """Every path below a directory and what stands there, parents first, by name; links are not followed.

        The members of opened archives are among them, as ``OUTER!/inner``, unless ``archives`` is false. ``endings``
        and ``digests`` leave out what neither has a name that ends so nor the bytes of one: nearly everything.
        """
        start = self.node(path)
        if start is None:
            return
        prefix = "" if path == "/" else path.rstrip("/")
        if prefix and _is_told(prefix, start, endings, digests):
            yield prefix, start
        below = self._in if archives else _children
        pending = [(prefix, found := below(start), _of_interest(found, endings, digests))]
        while pending:
            prefix, found, names = pending[-1]
            for name in names:
                child = found[name]
                inner = f"{prefix}/{name}"
                if _is_told(name, child, endings, digests):
                    yield inner, child
                if child.children:
                    pending.append((inner, found := below(child), _of_interest(found, endings, digests)))
                    break
            else:
                pending.pop()


def _children(folder: Node) -> Mapping[str, Node]:
    return folder.children or {}


def _is_told(name: str, node: Node, endings: tuple[str, ...], digests: Collection[bytes]) -> bool:
    return name.endswith(endings) or node.entry.sha256 in digests


def _of_interest(found: Mapping[str, Node], endings: tuple[str, ...], digests: Collection[bytes]) -> Iterator[str]:
    """The names of folders and of what is told, sorted. Written out: it is asked of everything in a tree."""
    names = [
        name for name, node in found.items() if name.endswith(endings) or node.children or node.entry.sha256 in digests
    ]
    names.sort()
    return iter(names)


class Chain:
    """The trees that a target's layers make, from the lowest up: one tree that grows.

    A tree that was handed out is good until the next one is asked for.
    """

    def __init__(self, inventories: Sequence[Inventory], *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._inventories = inventories
        self._merging = Merging(limits)
        self._limits = limits
        self._next = 0

    def up_to(self, layer: int, *, archives: bool = True) -> RootFS:
        """The tree of the layers up to this one; ``layer`` never shrinks. Without ``archives`` none is looked into."""
        for number in range(self._next, layer + 1):
            self._merging.apply(self._inventories[number], number)
        self._next = max(self._next, layer + 1)
        return RootFS(self._merging, (), limits=self._limits, archives=archives)
