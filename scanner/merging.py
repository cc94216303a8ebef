"""The tree while a target's layers are put on it: nodes, and the way to a path among them.

Rules: OCI image-spec, layer.md; where it is silent, what containerd and umoci do (facts,
"Applying layers"): entries apply in their order; a whiteout and an opaque mark hide what lower layers
brought and never what their own layer did, wherever they stand in it; an entry replaces what is
there, only directories merge; parents that are links are followed inside the root; a file in
the way of a parent is replaced by a directory; a hard link shares the bytes its target has then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Final, TypeAlias

from scanner.artifact import Artifact
from scanner.distribution import Finding, FindingKind
from scanner.errors import LimitExceeded
from scanner.inventory import Entry, Inventory
from scanner.limits import Limits
from scanner.owner import Package
from scanner.wheel import WheelContents

_HOPS: Final = 40
_STEPS: Final = 1024
"""Components on the way to one path, those of links included; more is an attack on the time a look-up takes."""
_PLAIN: Final = frozenset({"file", "directory", "symlink", "other"})
_DOTS: Final = frozenset({"", ".", ".."})
_DIRECTORY: Final = Entry("", "", "directory")


class Node:
    """What stands at one path. ``children`` is a mapping for directories, else None.

    ``layer`` wrote it last; ``since`` is the lowest layer since which it has had its bytes without a
    break; ``writers`` are all layers that wrote a file at this path since it was last gone.
    """

    __slots__ = ("children", "entry", "layer", "since", "writers")

    def __init__(self, entry: Entry, layer: int, earlier: Node | None = None) -> None:
        self.entry = entry
        self.layer = layer
        self.since = layer
        self.writers = _just(layer)
        self.children: dict[str, Node] | None = {} if entry.kind == "directory" else None
        if earlier is not None and earlier.entry.kind == "file" and entry.kind == "file":
            self.writers = earlier.writers if layer in earlier.writers else (*earlier.writers, layer)
            if earlier.entry.sha256 == entry.sha256:
                self.since = earlier.since


@cache
def _just(layer: int) -> tuple[int, ...]:
    """One object for all that a layer alone wrote."""
    return (layer,)


_Beside: TypeAlias = Callable[[Node], Mapping[str, Node]]
_Found: TypeAlias = tuple[list[str], Node]


def _split(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def find_in(root: Node, path: str, *, follow_last: bool, beside: _Beside | None = None) -> _Found | None:
    """Walk to a path inside the root. ``..`` at the root stays there.

    ``beside`` gives the folders of opened archives in a folder. Only the path itself leads into one, no link does;
    and links in one do not lead out of it.
    """
    parts = _split(path)
    straight = _straight(root, parts)
    return (parts, straight) if straight is not None else _followed(root, parts, follow_last=follow_last, beside=beside)


def _straight(root: Node, parts: list[str]) -> Node | None:
    """What stands at the end of a way without links and dots: nearly all of them. None where it may have some."""
    node = root
    if len(parts) > _STEPS:
        return None
    for part in parts:
        child = node.children.get(part) if node.children else None
        if child is None or child.entry.kind == "symlink":
            return None
        node = child
    return node


def _followed(root: Node, parts: list[str], *, follow_last: bool, beside: _Beside | None) -> _Found | None:
    todo = parts[::-1]
    own = len(todo)
    trail: list[tuple[str, Node]] = []
    node = root
    hops = steps = floor = 0
    while todo:
        part = todo.pop()
        linked, own = len(todo) >= own, min(own, len(todo))
        steps += 1
        if part == "..":
            del trail[max(len(trail) - 1, floor) :]
            node = trail[-1][1] if trail else root
            continue
        if part == ".":
            continue
        child = (node.children or {}).get(part)
        if child is None and beside is not None and not linked:
            child = beside(node).get(part)
            floor = len(trail) + 1 if child is not None else floor
        if child is None or steps > _STEPS:
            return None
        if child.entry.kind == "symlink" and (todo or follow_last):
            hops += 1
            if hops > _HOPS:
                return None
            if child.entry.link.startswith("/"):
                del trail[floor:]
                node = trail[-1][1] if trail else root
            todo += _split(child.entry.link)[::-1]
            continue
        trail.append((part, child))
        node = child
    return [name for name, _ in trail], node


class _Lost(Exception):
    """The way to an entry's folder leads nowhere; the message says why."""


class Merging:
    """The tree while layers are put on it."""

    def __init__(self, limits: Limits) -> None:
        self.root = Node(_DIRECTORY, 0)
        self.contents: dict[bytes, bytes] = {}
        self.wheels: dict[bytes, WheelContents] = {}
        self.archives: dict[bytes, Inventory] = {}
        self.packages: dict[bytes, tuple[Package, ...]] = {}
        self.artifacts: dict[bytes, tuple[Artifact, ...]] = {}
        self.frozen: dict[bytes, str] = {}
        self.findings: list[Finding] = []
        self._limits = limits
        self._made = 0
        self._parents: dict[str, Node] = {}
        self._depths: dict[str, int] = {}
        """How deep the known parents are."""
        self._pending: list[Entry] = []
        self._stripped: dict[int, Node] = {}
        """Directories that have nothing of lower layers any more, by identity."""

    def apply(self, inventory: Inventory, layer: int) -> None:
        self._adopt(inventory)
        self.findings += [replace(finding, layer=layer) for finding in inventory.findings]
        self._parents.clear()
        self._stripped.clear()
        self._pending = []
        for entry in inventory.entries:
            parent = self._parents.get(entry.folder)
            if parent is None or parent.children is None or entry.kind not in _PLAIN or entry.name in parent.children:
                self._guarded(entry, layer)
            else:  # something new in a known folder: nearly all of them
                parent.children[entry.name] = Node(entry, layer)
        # A hard link may stand before its target in the archive.
        waiting, self._pending = self._pending, []
        for entry in waiting:
            self._guarded(entry, layer)
        for entry in self._pending:
            self._report(entry, layer, FindingKind.DANGLING_LINK, f"a hard link to /{entry.link}, which is not there")

    def _adopt(self, inventory: Inventory) -> None:
        """What is known of files by their digests, those inside its archives too."""
        self.contents.update(inventory.contents)
        self.wheels.update(inventory.wheels)
        self.archives.update(inventory.archives)
        self.packages.update(inventory.packages)
        self.artifacts.update(inventory.artifacts)
        self.frozen.update(inventory.frozen)
        for inner in inventory.archives.values():
            self._adopt(inner)

    def _guarded(self, entry: Entry, layer: int) -> None:
        try:
            self._apply_entry(entry, layer)
        except _Lost as problem:
            self._report(entry, layer, FindingKind.UNSAFE_ENTRY, str(problem))

    def _report(self, entry: Entry, layer: int, kind: FindingKind, detail: str) -> None:
        if len(self.findings) < 100_000:
            self.findings.append(Finding(kind=kind, path="/" + entry.path, layer=layer, detail=detail))

    def _apply_entry(self, entry: Entry, layer: int) -> None:
        match entry.kind:
            case "opaque":
                self._hide_children(entry.folder, layer)
            case "whiteout":
                self._hide(entry, layer)
            case "hardlink":
                self._link(entry, layer)
            case _:
                self._put(entry, layer)

    # --- hiding ---

    def _hide_children(self, path: str, layer: int) -> None:
        found = find_in(self.root, path, follow_last=True)
        if found is not None:
            self._parents.clear()
            self._strip(found[1], layer)

    def _hide(self, entry: Entry, layer: int) -> None:
        found = find_in(self.root, entry.folder, follow_last=True)
        if found is not None:
            self._remove_lower(found[1], entry.name, layer)

    def _remove_lower(self, parent: Node, name: str, layer: int) -> None:
        """Take away what lower layers brought below ``name``; keep what ``layer`` did."""
        if parent.children is None or name not in parent.children:
            return
        self._parents.clear()
        if not self._strip(parent.children[name], layer):
            del parent.children[name]

    # --- putting ---

    def _put(self, entry: Entry, layer: int) -> None:
        name = entry.name
        parent = self._parent(entry.folder, layer)
        assert parent.children is not None
        earlier = parent.children.get(name)
        if entry.kind == "directory" and earlier is not None and earlier.children is not None:
            earlier.layer = layer
            earlier.entry = entry
            return
        if earlier is not None and (earlier.children is not None or earlier.entry.kind == "symlink"):
            self._parents.clear()  # what the known parents were found by has changed
        parent.children[name] = Node(entry, layer, earlier)

    def _link(self, entry: Entry, layer: int) -> None:
        """A hard link: the leaf of the target is not followed, its parents are (link(2))."""
        found = find_in(self.root, entry.link, follow_last=False)
        if found is None:
            self._pending.append(entry)
        elif found[1].children is not None:
            self._report(entry, layer, FindingKind.UNSAFE_ENTRY, f"a hard link to the directory /{entry.link}")
        elif "/".join(found[0]) != entry.path:
            self._put(found[1].entry._replace(folder=entry.folder, name=entry.name), layer)

    def _parent(self, folder: str, layer: int) -> Node:
        """The directory an entry goes into, made if it is not there; links are followed inside the root."""
        known = self._parents.get(folder) or self._straight_to(folder, layer)
        if known is not None:
            return known
        todo = _split(folder)[::-1]
        trail: list[Node] = [self.root]
        hops = steps = 0
        while todo:
            part = todo.pop()
            steps += 1
            if part == ".":
                continue
            if part == "..":
                trail = trail[:-1] or [self.root]
                continue
            children = trail[-1].children
            assert children is not None
            child = children.get(part)
            if child is not None and child.entry.kind == "symlink":
                hops += 1
                trail = [self.root] if child.entry.link.startswith("/") else trail
                todo += _split(child.entry.link)[::-1]
            elif child is not None and child.children is not None:
                trail.append(child)
            else:
                trail.append(self._make(children, part, layer))
            if hops > _HOPS or steps > _STEPS or len(trail) > self._limits.depth:
                raise _Lost("a link among its parents loops" if hops > _HOPS else "links lead it too deep")
        self._parents[folder] = trail[-1]
        self._depths[folder] = len(trail)
        return trail[-1]

    def _straight_to(self, folder: str, layer: int) -> Node | None:
        """The directory by the nearest known one above it; None where there is a link, a dot or too many on the way."""
        missing: list[str] = []
        above = folder
        while above and above not in self._parents:
            missing.append(above)
            above = above.rpartition("/")[0]
        node, depth = self._parents.get(above, self.root), self._depths.get(above, 1)
        for path in reversed(missing):
            name = path.rpartition("/")[2]
            assert node.children is not None
            child = node.children.get(name)
            if name in _DOTS or depth >= self._limits.depth or (child is not None and child.entry.kind == "symlink"):
                return None
            node = child if child is not None and child.children is not None else self._make(node.children, name, layer)
            depth += 1
            self._parents[path], self._depths[path] = node, depth
        return node if missing else None

    def _make(self, children: dict[str, Node], name: str, layer: int) -> Node:
        """A folder that no entry names. One entry can ask for hundreds, so they count like entries."""
        self._made += 1
        if self._made > self._limits.entries:
            raise LimitExceeded(f"more than {self._limits.entries} folders without entries (limit entries)")
        made = children[name] = Node(_DIRECTORY, layer)
        return made

    def _strip(self, top: Node, layer: int) -> bool:
        """Remove from a subtree what layers below ``layer`` wrote; whether anything is left of it.

        Written without recursion, a tree may be deep; and no folder is gone through twice for a layer, or
        a million whiteouts of one large folder would take for ever.
        """
        order = [top]
        for node in order:
            if id(node) not in self._stripped:
                order += (node.children or {}).values()
        alive: set[int] = set()
        for node in reversed(order):
            if node.children is not None and id(node) not in self._stripped:
                for name in [name for name, child in node.children.items() if id(child) not in alive]:
                    del node.children[name]
                self._stripped[id(node)] = node
            if node.layer >= layer or node.children:
                alive.add(id(node))
        return id(top) in alive
