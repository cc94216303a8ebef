"""Installed distributions: a ``*.dist-info`` or ``*.egg-info`` anywhere in the tree.

By structure, not by a list of directories. Metadata is a claim and may be missing, wrong or
hostile; the folder's name is the second witness. Sources: PEP 376, PEP 427 (escaping), PEP 503 (names),
PEP 610 (``direct_url.json``), setuptools (egg-info as folder and file).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Final, TypeVar, cast

from packaging.utils import canonicalize_name

from scanner.digest import Digest
from scanner.distribution import Finding, FindingKind, Installed
from scanner.errors import UsageError
from scanner.record import Record, parse_record
from scanner.rootfs import Node, RootFS
from scanner.wheel import names_chainguard, wheel_tags

INFO_SUFFIXES: Final = (".dist-info", ".egg-info")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_STEM = re.compile(r"(?P<name>.+?)(?:-(?P<version>\d[^-]*))?(?:-py[0-9.]+)?")
_DOCUMENTS: Final = (
    "METADATA",
    "PKG-INFO",
    "RECORD",
    "WHEEL",
    "INSTALLER",
    "direct_url.json",
    "entry_points.txt",
    "top_level.txt",
)
_HEADER_BYTES: Final = 1024 * 1024
_MOST_ROWS: Final = 1_000_000
_T = TypeVar("_T")


class Memory:
    """What documents say, worked out once for equal bytes: a layer can link one large file a hundred thousand times."""

    def __init__(self) -> None:
        self._known: dict[tuple[Hashable, bytes], object] = {}
        self._rows = 0

    def of(self, read: Callable[[bytes], _T], data: bytes) -> _T:
        """``read(data)``."""
        if (read, data) not in self._known:
            self._known[read, data] = read(data)
        return cast("_T", self._known[read, data])

    def record(self, data: bytes) -> Record | None:
        """The RECORD; None once all of them together have more rows than any tree has files of Python."""
        known = (parse_record, data) in self._known
        if not known and self._rows > _MOST_ROWS:
            return None
        record = self.of(parse_record, data)
        self._rows += 0 if known else len(record.rows)
        return record


def read_installed(rootfs: RootFS, path: str, node: Node, memory: Memory) -> Iterator[Installed | Finding]:
    """A path named ``*.dist-info`` or ``*.egg-info``; findings where its name or links say nothing usable."""
    if node.entry.kind == "symlink":
        yield from _through_link(rootfs, path, node, memory)
    elif node.children is not None or (path.endswith(".egg-info") and node.entry.kind == "file"):
        yield from _read(rootfs, path, memory)


def _through_link(rootfs: RootFS, path: str, node: Node, memory: Memory) -> Iterator[Installed | Finding]:
    """A linked dist-info: its real place is found by itself if it is named like one."""
    real = rootfs.resolve(path)
    if real is None:
        yield _finding(FindingKind.DANGLING_LINK, path, node, f"links to {node.entry.link[:200]!r}, which is not there")
    elif not real.endswith(INFO_SUFFIXES):
        yield from _read(rootfs, path, memory)


def _read(rootfs: RootFS, path: str, memory: Memory) -> Iterator[Installed | Finding]:
    environment, _, folder = path.rpartition("/")
    node = rootfs.node(path)
    assert node is not None
    if folder.startswith("~"):
        yield _finding(FindingKind.STALE_METADATA, path, node, "left behind by an interrupted pip")
        return
    documents = dict(_documents(rootfs, path))
    for unread in [part for part, data in documents.items() if data is None]:
        yield from _unread(rootfs, f"{path}/{unread}", node)
    known = {name: data for name, data in documents.items() if data is not None}
    headers = memory.of(_headers, known.get("METADATA") or known.get("PKG-INFO") or b"")
    stem = _STEM.fullmatch(folder.rpartition(".")[0])
    name = headers.get("name") or (stem["name"] if stem and _NAME.fullmatch(stem["name"]) else None)
    if name is None:
        yield _finding(FindingKind.UNREADABLE, path, node, "neither its metadata nor its folder names a project")
        return
    record = memory.record(known["RECORD"]) if "RECORD" in known else None
    if "RECORD" in known and record is None:
        yield _finding(FindingKind.UNREADABLE, f"{path}/RECORD", node, f"all RECORDs have over {_MOST_ROWS} rows")
    local, archive = memory.of(_direct_url, known.get("direct_url.json", b"{}"))
    sboms = [data for part, data in known.items() if part.startswith("sboms/")]
    yield Installed(
        name=canonicalize_name(name),
        version=headers.get("version") or (stem and stem["version"]),
        location=path,
        environment=environment or "/",
        documents=known,
        record=record,
        installer=_first_word(known.get("INSTALLER")),
        tags=memory.of(wheel_tags, known.get("WHEEL", b"")),
        local=local,
        archive_sha256=archive,
        claims_chainguard=any(memory.of(names_chainguard, data) for data in sboms),
    )


def _documents(rootfs: RootFS, path: str) -> Iterator[tuple[str, bytes | None]]:
    """The metadata files below ``path`` by name; None for one that is there and was not kept."""
    if rootfs.file(path) is not None:
        yield "PKG-INFO", rootfs.read(path)  # an egg-info that is one file
        return
    children = rootfs.children(path)
    for name in _DOCUMENTS:
        if name in children:
            yield name, rootfs.read(f"{path}/{name}")
    for name in sorted(rootfs.children(f"{path}/sboms")):
        yield f"sboms/{name}", rootfs.read(f"{path}/sboms/{name}") or b""


def _unread(rootfs: RootFS, path: str, node: Node) -> Iterator[Finding]:
    """Why a metadata file could not be read; a file over the limit has its finding from the inventory."""
    if node.entry.kind == "file":
        return
    if rootfs.node(path) is None:
        yield _finding(FindingKind.DANGLING_LINK, path, node, "a link to metadata that is not there")
    elif rootfs.file(path) is None:
        yield _finding(FindingKind.UNREADABLE, path, node, "is no regular file")
    elif rootfs.resolve(path) != path:
        yield _finding(FindingKind.UNREADABLE, path, node, "a link to a file that is not named like metadata")


def _headers(data: bytes) -> dict[str, str]:
    """The first usable ``Name`` and ``Version`` of the header block, whatever else is wrong with it."""
    found: dict[str, str] = {}
    for line in data[:_HEADER_BYTES].decode("utf-8-sig", "replace").replace("\r\n", "\n").split("\n"):
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        key, value = key.strip().lower(), value.strip()
        usable = _NAME.fullmatch(value) if key == "name" else re.fullmatch(r"[A-Za-z0-9.!+_-]{1,100}", value)
        if colon and key in ("name", "version") and key not in found and usable and len(value) <= 200:
            found[key] = value
    return found


def _direct_url(data: bytes) -> tuple[str | None, Digest | None]:
    """(what a local install is, the digest of an installed archive) by PEP 610."""
    try:
        document = json.loads(data[:_HEADER_BYTES])
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(document, dict):
        return None, None
    directory, archive = document.get("dir_info"), document.get("archive_info")
    if isinstance(directory, dict):
        return ("an editable install" if directory.get("editable") is True else "installed from a directory"), None
    if isinstance(document.get("vcs_info"), dict):
        return "installed from version control", None
    return None, _archive_digest(archive) if isinstance(archive, dict) else None


def _archive_digest(archive: Mapping[str, object]) -> Digest | None:
    hashes = archive.get("hashes")
    text = hashes.get("sha256") if isinstance(hashes, dict) else None
    if not isinstance(text, str):
        text = str(archive.get("hash", "")).partition("sha256=")[2]
    try:
        return Digest.parse(f"sha256:{text}")
    except UsageError:
        return None


def _first_word(data: bytes | None) -> str | None:
    words = (data or b"")[:200].decode("utf-8", "replace").split()
    return words[0][:50] if words else None


def _finding(kind: FindingKind, path: str, node: Node, detail: str) -> Finding:
    return Finding(kind=kind, path=path, layer=node.layer, detail=detail)
