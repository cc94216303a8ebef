"""Installed distributions: a ``*.dist-info`` or ``*.egg-info`` anywhere in the tree.

By structure, not by a list of directories. Metadata is a claim and may be missing, wrong or
hostile; the folder's name is the second witness. What is wrong with it and matters is the finding ``unreadable``.
Sources: PEP 376, PEP 610, PEP 710, setuptools (egg-info as folder and as file, in-tree egg-info, egg folders).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from typing import Final, TypeVar, cast

from packaging.utils import canonicalize_name

from scanner.distribution import Finding, FindingKind, Identity, Installed
from scanner.finders.develop import nobody_installed
from scanner.finders.metadata import Provenance, direct_url, disagreement, first_word, headers, of_folder
from scanner.inventories.keeping import INFO_DOCUMENTS
from scanner.record import Record, parse_record
from scanner.rootfs import Node, RootFS
from scanner.wheel import names_chainguard, wheel_tags

INFO_SUFFIXES: Final = (".dist-info", ".egg-info", ".egg/EGG-INFO")
_NOTES: Final = ("direct_url.json", "provenance_url.json")
_LICENSES: Final = re.compile(r"\.dist-info/(?:[^/]+/)*licenses/")
"""PEP 639 keeps the paths of licence files: those of vendored metadata lie in a folder of that name."""
_MOST_ROWS: Final = 1_000_000
_MOST_COUNTED: Final = 5_000
_T = TypeVar("_T")


class Memory:
    """What documents say, worked out once for equal bytes: a layer can link one large file a hundred thousand times.

    ``earlier`` is that of another tree with mostly the same documents.
    """

    def __init__(self, earlier: Memory | None = None) -> None:
        self._known: dict[tuple[Hashable, bytes], object] = {}
        self._earlier = earlier.known() if earlier is not None else {}
        self._rows = 0
        self.aliases: dict[str, list[str]] = {}
        """Links named like metadata, by the real path of what they lead to."""

    def of(self, read: Callable[[bytes], _T], data: bytes) -> _T:
        """``read(data)``."""
        key = (read, data)
        if key not in self._known:
            self._known[key] = self._earlier[key] if key in self._earlier else read(data)
        return cast("_T", self._known[key])

    def known(self) -> dict[tuple[Hashable, bytes], object]:
        """What was worked out for this tree."""
        return self._known

    def record(self, data: bytes) -> Record | None:
        """The RECORD; None once all of them together have more rows than any tree has files of Python."""
        known = (parse_record, data) in self._known
        if not known and self._rows > _MOST_ROWS:
            return None
        record = self.of(parse_record, data)
        self._rows += 0 if known else len(record.rows)
        return record


def read_installed(rootfs: RootFS, path: str, node: Node, memory: Memory) -> Iterator[Installed | Finding]:
    """A path with one of :data:`INFO_SUFFIXES`; findings where its kind, name or links say nothing usable."""
    if node.entry.kind == "symlink":
        yield from _through_link(rootfs, path, node, memory)
    elif node.children is not None or (path.endswith(".egg-info") and node.entry.kind == "file"):
        yield from _read(rootfs, path, memory)
    elif not path.endswith("/EGG-INFO"):
        yield _finding(FindingKind.UNREADABLE, path, node, "is named like metadata and is no folder")


def _through_link(rootfs: RootFS, path: str, node: Node, memory: Memory) -> Iterator[Installed | Finding]:
    """A linked dist-info: its real place is found by itself if it is named like one."""
    real = rootfs.resolve(path)
    if real is None:
        detail = f"links to {node.entry.link[:200]!r}, which is not there or loops"
        yield _finding(FindingKind.DANGLING_LINK, path, node, detail)
    elif real.endswith(INFO_SUFFIXES):
        memory.aliases.setdefault(real, []).append(path)
        if real.rpartition("/")[2] != path.rpartition("/")[2]:
            yield _finding(FindingKind.STALE_METADATA, path, node, f"another name for the metadata in {real}")
    else:
        yield from _read(rootfs, path, memory)


def _read(rootfs: RootFS, path: str, memory: Memory) -> Iterator[Installed | Finding]:
    node = rootfs.node(path)
    assert node is not None
    found = _Metadata(rootfs, path, memory)
    if not found.listed and _LICENSES.search(path):
        return
    unread = [f"{path}/{part}" for part, data in found.listed.items() if data is None]
    yield from _dangling(rootfs, path, node, [*unread, *found.recorded] if unread else [])
    for part in unread:
        yield from _unread(rootfs, part, node)
    if path.rpartition("/")[2].startswith("~"):
        detail = f"metadata{found.whose} left behind by an interrupted pip"
        yield _finding(FindingKind.STALE_METADATA, path, node, detail)
        return
    identity = found.identity
    if identity is None:
        yield _finding(FindingKind.UNREADABLE, path, node, "neither its metadata nor its folder names a project")
        return
    yield found.installed(identity)
    yield from (_finding(FindingKind.UNREADABLE, at, node, why) for at, why in found.faults())


class _Metadata:
    """One dist-info or egg-info while it is read. ``listed`` has None for documents that were not kept."""

    def __init__(self, rootfs: RootFS, path: str, memory: Memory) -> None:
        self._rootfs = rootfs
        self._path = path
        self._memory = memory
        self.listed = dict(_documents(rootfs, path))
        self._documents = {name: data for name, data in self.listed.items() if data is not None}
        self._said = memory.of(headers, self._documents.get("METADATA") or self._documents.get("PKG-INFO") or b"")
        self._folder = of_folder(path.removesuffix("/EGG-INFO").removesuffix("!").rpartition("/")[2])
        record = self._documents.get("RECORD")
        self._record = None if record is None else memory.record(record)

    @property
    def recorded(self) -> list[str]:
        """Where RECORD says that files are, as many as a person would count."""
        environment = self._path.rpartition("/")[0]
        rows = self._record.rows[:_MOST_COUNTED] if self._record is not None else ()
        return [f"{environment}/{row.path}" for row in rows]

    @property
    def whose(self) -> str:
        """``" of NAME VERSION"``, as far as the metadata say it."""
        return f" of {self._said['name']} {self._said.get('version', '')}".rstrip() if "name" in self._said else ""

    @property
    def identity(self) -> Identity | None:
        """The metadata's word first, the folder's where they have none."""
        folder = self._folder
        version = self._said.get("version") or (folder.version if folder is not None else None)
        if "name" in self._said:
            return Identity(name=canonicalize_name(self._said["name"]), version=version)
        return Identity(name=folder.name, version=version) if folder is not None else None

    def installed(self, identity: Identity) -> Installed:
        """The distribution."""
        documents, memory = self._documents, self._memory
        provenance = self._provenance()
        sboms = [data for part, data in documents.items() if part.startswith("sboms/")]
        return Installed(
            name=identity.name,
            version=identity.version,
            location=self._path,
            environment=self._path.rpartition("/")[0] or "/",
            documents=documents,
            record=self._record,
            installer=first_word(documents.get("INSTALLER")),
            tags=memory.of(wheel_tags, documents.get("WHEEL", b"")),
            local=provenance.local or nobody_installed(self._rootfs, self._path, identity, documents),
            archive_sha256=provenance.archive_sha256,
            claims_chainguard=any(memory.of(names_chainguard, data) for data in sboms),
            by_folder=disagreement(identity, self._folder),
            source=provenance.source,
        )

    def _provenance(self) -> Provenance:
        """``direct_url.json``; for what came from an index ``provenance_url.json``, which excludes the other."""
        for name in _NOTES:
            if name in self._documents:
                return self._memory.of(direct_url, self._documents[name])
        return Provenance()

    def faults(self) -> Iterator[tuple[str, str]]:
        """(path, why) of what cannot be read and matters. Metadata that were removed are no fault, wrong ones are."""
        headed = [name for name in ("METADATA", "PKG-INFO") if name in self._documents]
        if headed and "name" not in self._said:
            single = self._rootfs.file(self._path) is not None
            yield self._path if single else f"{self._path}/{headed[0]}", "names no project; the folder's name is taken"
        if (why := self._why_no_record()) is not None:
            yield f"{self._path}/RECORD", why
        for name in _NOTES:
            if name in self._documents and not self._memory.of(direct_url, self._documents[name]).readable:
                yield f"{self._path}/{name}", "is no JSON object"

    def _why_no_record(self) -> str | None:
        if "RECORD" not in self._documents:
            return None
        if self._record is None:
            return f"all RECORDs have over {_MOST_ROWS} rows"
        if self._record.complete and (self._record.rows or not self._documents["RECORD"]):
            return None
        return f"cannot be read to its end: {self._record.faults[-1] if self._record.faults else 'it has no row'}"


# --- documents ---


def _documents(rootfs: RootFS, path: str) -> Iterator[tuple[str, bytes | None]]:
    """The metadata files below ``path`` by name; None for one that is there and was not kept."""
    if rootfs.file(path) is not None:
        yield "PKG-INFO", rootfs.read(path)  # an egg-info that is one file
        return
    children = rootfs.children(path)
    for name in INFO_DOCUMENTS:
        if name in children:
            yield name, rootfs.read(f"{path}/{name}")
    for name in sorted(rootfs.children(f"{path}/sboms")):
        yield f"sboms/{name}", rootfs.read(f"{path}/sboms/{name}") or b""


def _dangling(rootfs: RootFS, path: str, node: Node, listed: list[str]) -> Iterator[Finding]:
    """One finding for all links to nothing: a distribution that was linked to a cache has them by the hundred."""
    links = {each: rootfs.node(each, follow_last=False) for each in dict.fromkeys(listed) if rootfs.node(each) is None}
    there = {each: link.entry.link for each, link in links.items() if link is not None and link.entry.kind == "symlink"}
    if len(there) == 1:
        ((only, _),) = there.items()
        yield _finding(FindingKind.DANGLING_LINK, only, node, "a link to a file of its distribution that is not there")
    elif there:
        first = next(iter(there.values()))
        detail = f"{len(there)} of its files are links to files that are not there, the first to {first[:200]!r}"
        yield _finding(FindingKind.DANGLING_LINK, path, node, detail)


def _unread(rootfs: RootFS, path: str, node: Node) -> Iterator[Finding]:
    """Why a metadata file could not be read; a file over the limit has its finding from the inventory."""
    if node.entry.kind == "file" or rootfs.node(path) is None:
        return
    if rootfs.file(path) is None:
        yield _finding(FindingKind.UNREADABLE, path, node, "is no regular file")
    elif rootfs.resolve(path) != path:
        yield _finding(FindingKind.UNREADABLE, path, node, "a link to a file that is not named like metadata")


def _finding(kind: FindingKind, path: str, node: Node, detail: str) -> Finding:
    return Finding(kind=kind, path=path, layer=node.layer, detail=detail)
