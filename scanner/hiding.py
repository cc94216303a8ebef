"""Does a layer hide anything of the tree below it that may be a distribution's? Asked before the layer is put on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from scanner.inventory import Entry, Inventory
from scanner.rootfs import Node, RootFS

_INFO: Final = (".dist-info", ".egg-info")
_NAMES: Final = re.compile(r"\.(dist-info|egg-info|egg-link|egg|whl)(/|$)")
_DATABASES: Final = re.compile(r"/(var/lib/(dpkg|rpm)|(usr/)?lib/apk|usr/(lib/sysimage|share)/rpm|etc)/")
"""Kept for who owns what; they change with every package that is installed."""


class Hiding:
    """Whether a layer hides anything of the tree below it that may be a distribution's.

    Answered before the layer is put on, so in doubt it is yes: that costs a look, no truth.
    """

    def __init__(self, below: RootFS, layer: Inventory) -> None:
        self._below = below
        self._layer = layer
        self._places: dict[str, tuple[str, Node] | None] = {}
        self._looked_at: dict[int, Node] = {}
        self._environments: dict[str, bool] = {}
        self._links = {entry.path for entry in layer.entries if entry.kind == "symlink"}
        self._linked = any(entry.kind == "hardlink" for entry in layer.entries)
        self._digests = {entry.path: entry.sha256 for entry in layer.entries if self._linked and entry.sha256}

    def anything(self) -> bool:
        """Whether it does."""
        return any(self._hides(entry) for entry in self._layer.entries)

    def _hides(self, entry: Entry) -> bool:
        place = self._place(entry.folder)
        if place is None:  # a new folder: it hides something only if the way there leads over this layer's own link
            return bool(self._links) and any(parent in self._links for parent in _with_parents(entry.folder))
        path, node = place
        if node.children is None:
            return self._matters(path, node)  # a file that becomes a folder
        if entry.kind == "opaque":
            return self._in_environment(path) or any(
                self._matters(f"{path}/{name}", child) for name, child in node.children.items()
            )
        child = node.children.get(entry.name)
        if child is None or (entry.kind != "whiteout" and self._is_same(child.entry, entry)):
            return False
        gone = entry.kind == "whiteout" and self._in_environment(path)
        return gone or self._matters(f"{path}/{entry.name}", child)

    def _place(self, folder: str) -> tuple[str, Node] | None:
        """The real path below the root and what stands there, or the file in the way to it."""
        if folder not in self._places:
            self._places[folder] = self._found(folder)
        return self._places[folder]

    def _found(self, folder: str) -> tuple[str, Node] | None:
        for path in ("/" + folder, *(f"/{parent}" for parent in _with_parents(folder))):
            real = self._below.resolve(path)
            node = self._below.node(real) if real is not None else None
            if real is not None and node is not None:
                whole = path == "/" + folder
                return (real.rstrip("/"), node) if whole or node.children is None else None
        return None

    def _is_same(self, below: Entry, above: Entry) -> bool:
        """Whether an entry leaves what is there as it is."""
        if above.kind == "hardlink":
            target = self._below.file("/" + above.link)
            digest = self._digests.get(above.link) or (target.sha256 if target else None)
            return below.kind == "file" and below.sha256 == digest
        return (below.kind, below.sha256, below.link) == (above.kind, above.sha256, above.link)

    def _matters(self, path: str, top: Node) -> bool:
        """Whether something at or below a path may be a distribution's: by its name, or because it is kept."""
        if _NAMES.search(path):
            return True
        pending = [(path, top)]
        while pending:
            path, node = pending.pop()
            if id(node) in self._looked_at:
                continue
            self._looked_at[id(node)] = node
            if node.children is None:
                if self._is_kept(node) and not _DATABASES.match(path):
                    return True
                continue
            if any(_NAMES.search(name) for name in node.children):
                return True
            pending += ((f"{path}/{name}", child) for name, child in node.children.items())
        return False

    def _is_kept(self, node: Node) -> bool:
        sha256 = node.entry.sha256
        return sha256 is not None and self._below.keeps(sha256)

    def _in_environment(self, path: str) -> bool:
        """Whether a folder, or one above it, holds metadata: what goes from there may be a distribution's file."""
        if path not in self._environments:
            known = any(name.endswith(_INFO) for name in self._below.children(path or "/"))
            self._environments[path] = known or (bool(path) and self._in_environment(path.rpartition("/")[0]))
        return self._environments[path]


def _with_parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]
