"""Byte code and its source: which ``.pyc`` of a tree belongs to which ``.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.util import MAGIC_NUMBER
from typing import NamedTuple

from scanner.bytecode import CACHE, CodeName, Fault, Header, fault_of, is_of_time_and_size, read_header
from scanner.grafts import MARK
from scanner.inventory import Entry
from scanner.rootfs import Node, RootFS


class Pair(NamedTuple):
    """A ``.pyc`` and its source. ``since`` is the layer of the former.

    ``name`` is None where the two stand side by side, as Python 2 and imports from zip files want it. ``archived``:
    they are members of an archive, whose times are not known and whose bytes are not kept.
    """

    path: str
    code: Entry
    since: int
    source_path: str
    source: Entry
    name: CodeName | None
    archived: bool

    @property
    def folder(self) -> str:
        """The source's."""
        return self.source_path.rpartition("/")[0] or "/"

    @property
    def header(self) -> Header:
        """What the byte code says of itself."""
        return read_header(self.code.stamp, self.name.python if self.name else None)

    @property
    def fault(self) -> Fault | None:
        """What is wrong by the header alone."""
        tag, source = self.name.python if self.name else None, self.source
        if is_of_time_and_size(self.code.stamp, tag, source.mtime, source.size):
            return None
        header = self.header
        mtime = header.mtime if self.archived else source.mtime
        return fault_of(header, tag_python=tag, mtime=mtime, size=source.size, source_stamp=source.stamp)

    @property
    def shadowed(self) -> bool:
        """Whether Python never looks at it, because the source stands beside it."""
        return self.name is None and not self.header.beside and not self.archived

    @property
    def key(self) -> tuple[bytes, bytes, str] | None:
        """What a comparison goes by; None where this machine's Python would not run the file, or not under its name.

        Names like ``x.cpython-311-pytest-8.3.3.pyc`` are those of other programs, which check them on their own.
        """
        code, source, name = self.code.sha256, self.source.sha256, self.name
        if name is None or name.tag != sys.implementation.cache_tag or name.level not in ("", "1", "2"):
            return None
        runs = (
            not self.archived
            and self.fault in (None, Fault.UNCHECKED, Fault.UNCHECKED_HASH)
            and self.header.magic == MAGIC_NUMBER
        )
        return (code, source, name.level) if runs and code is not None and source is not None else None


class Pairing:
    """Finds the pairs of one tree."""

    def __init__(self, rootfs: RootFS) -> None:
        self._rootfs = rootfs
        self._stems: dict[int, Mapping[str, list[tuple[CodeName, str]]]] = {}
        """What a cache holds, by identity: many links may lead to one large cache."""

    def all(self) -> Iterator[Pair]:
        """Every pair of the tree."""
        for path, node in self._rootfs.walk(archives=False, endings=(CACHE, ".pyc")):
            folder, _, name = path.rpartition("/")
            if name == CACHE:
                yield from self._cached(folder, path, node)
            elif name.endswith(".pyc") and not folder.endswith(f"/{CACHE}"):
                source = self._rootfs.children(folder).get(name[:-1])
                pair = self._pair((path, node), (path[:-1], source), None) if source is not None else None
                if pair is not None:
                    yield pair

    def _cached(self, folder: str, cache: str, node: Node) -> list[Pair]:
        """The pairs of a ``__pycache__``, which may be a link."""
        holder = node if node.children is not None else self._rootfs.node(cache)
        if holder is None or holder.children is None:
            return []
        if id(holder) not in self._stems:
            self._stems[id(holder)] = _by_stem(holder.children)
        stems, files = self._stems[id(holder)], holder.children
        pairs = [
            self._pair((f"{cache}/{file}", files[file]), (f"{folder}/{name}", source), code)
            for name, source in self._rootfs.children(folder).items()
            if name.endswith(".py")
            for code, file in stems.get(name[:-3], ())
        ]
        return [pair for pair in pairs if pair is not None]

    def _pair(self, code: tuple[str, Node], source: tuple[str, Node], name: CodeName | None) -> Pair | None:
        """Links are followed; nothing where one of the two is no file."""
        first, second = self._file(*code), self._file(*source)
        if first is None or second is None:
            return None
        return Pair(code[0], first.entry, first.since, source[0], second.entry, name, f"{MARK}/" in source[0])

    def _file(self, path: str, node: Node) -> Node | None:
        found = self._rootfs.node(path) if node.entry.kind == "symlink" else node
        return found if found is not None and found.entry.kind == "file" else None


def _by_stem(files: Mapping[str, Node]) -> dict[str, list[tuple[CodeName, str]]]:
    found: dict[str, list[tuple[CodeName, str]]] = {}
    for file in sorted(files):
        code = CodeName.parse(file)
        if code is not None:
            found.setdefault(code.stem, []).append((code, file))
    return found
