"""What one layer holds: every entry, the sha256 of every regular file, the bytes of the few that are read later.

A pure function of the layer's bytes: nothing of other layers, indexes or options is in it, so it can be
remembered under the layer's diff_id. The same value is made of a directory on disk.

Names are normalised (``usr/lib/x``, no leading slash); an entry that cannot be applied as
written is left out and becomes the finding ``unsafe-entry``: one odd entry must not blind the scan.
Whiteouts: OCI image-spec, layer.md, "Whiteouts"; AUFS leftovers are ignored, as runtimes do.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from scanner.digest import CHUNK
from scanner.distribution import Finding, FindingKind
from scanner.errors import LimitExceeded, TargetError, WheelUnreadable
from scanner.limits import Limits
from scanner.tarstream import TarEntry, TarStream
from scanner.wheel import WheelContents, read_wheel

_OPAQUE: Final = ".wh..wh..opq"
_AUFS: Final = ".wh..wh."
_WHITEOUT: Final = ".wh."

_KEPT_IN_INFO: Final = frozenset(
    {
        "METADATA",
        "PKG-INFO",
        "RECORD",
        "WHEEL",
        "INSTALLER",
        "REQUESTED",
        "direct_url.json",
        "provenance_url.json",
        "entry_points.txt",
        "top_level.txt",
        "installed-files.txt",
        "SOURCES.txt",
    }
)
_KEPT_NAMES: Final = frozenset({"pyvenv.cfg", "os-release", "lsb-release"})
_INFO: Final = (".dist-info", ".egg-info")
_KEPT_SUFFIXES: Final = (".whl", ".egg-link", ".pth", ".egg-info")
_OF_NOTHING: Final = hashlib.sha256().digest()
_ODD_NAME: Final = re.compile(r"\.\.|\0|//|(?:^|/)\.(?:/|$)|^/|/$|^$")
_DPKG_LISTS: Final = "var/lib/dpkg/info/"
_PACKAGE_LISTS: Final = re.compile(r"(var/lib/dpkg/(status|status\.d/[^/]+)|(usr/)?lib/apk/db/installed)")
_SCRIPT_FOLDERS: Final = ("bin", "Scripts", "sbin")
_SCRIPT_SIZE: Final = 1024 * 1024
_PYTHON_SCRIPT: Final = re.compile(rb"#!.*(python|pypy|/bin/sh)")


class Entry(NamedTuple):
    """One entry of a layer. ``kind`` is ``file directory symlink hardlink other whiteout opaque``.

    ``sha256`` is raw and set for files only; ``link`` is a link's target as written (normalised like a
    path for hard links); ``mtime`` is kept for Python files only. A whiteout names what it hides, an opaque
    mark has its directory as ``folder`` and no name. Folder and name are apart, because a layer has a
    hundred entries for every folder.
    """

    folder: str
    name: str
    kind: str
    size: int = 0
    sha256: bytes | None = None
    link: str = ""
    mtime: int = 0

    @property
    def path(self) -> str:
        """``folder/name``."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """One layer: its entries in their order, kept bytes by raw sha256, wheels by raw sha256, findings."""

    entries: tuple[Entry, ...]
    contents: dict[bytes, bytes] = field(default_factory=dict)
    wheels: dict[bytes, WheelContents] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def take_inventory(tar: BinaryIO, *, limits: Limits, what: str = "layer") -> Inventory:
    """Read a layer's uncompressed tar, once, to its end-of-archive blocks.

    Raises :class:`scanner.errors.UntrustedContent` for what makes the rest untrustworthy.
    """
    taking = _Taking(limits=limits, what=what)
    stream = TarStream(tar, what=what, limits=limits)
    for entry in stream:
        taking.take_entry(entry, stream.content)
    return taking.done()


def take_directory(root: Path, *, limits: Limits) -> Inventory:
    """Read a tree on disk. Links are not followed, other file systems below ``/`` such as ``/proc`` are left out."""
    taking = _Taking(limits=limits, what=str(root))
    for relative, path, status in _walk(root, taking):
        taking.take_disk(relative, path, status)
    return taking.done()


def take_file(path: Path, *, limits: Limits) -> Inventory:
    """Read one file as a tree that holds only it."""
    taking = _Taking(limits=limits, what=str(path))
    taking.take_disk(path.name, path, path.stat())
    return taking.done()


class _Taking:
    """An inventory while it is taken."""

    def __init__(self, *, limits: Limits, what: str) -> None:
        self._limits = limits
        self._what = what
        self._entries: list[Entry] = []
        self._contents: dict[bytes, bytes] = {}
        self._wheels: dict[bytes, WheelContents] = {}
        self._findings: list[Finding] = []
        self._kept = 0
        self._folders: dict[str, _Folder] = {}

    def done(self) -> Inventory:
        return Inventory(
            entries=tuple(self._entries),
            contents=self._contents,
            wheels=self._wheels,
            findings=tuple(self._findings),
        )

    def finding(self, kind: FindingKind, path: str, detail: str) -> None:
        if len(self._findings) < 10_000:
            self._findings.append(Finding(kind=kind, path="/" + path.lstrip("/"), layer=None, detail=detail))

    def add(
        self, path: str, kind: str, *, size: int = 0, sha256: bytes | None = None, link: str = "", mtime: int = 0
    ) -> None:
        folder, _, name = path.rpartition("/")
        folder = self._folder(folder).path
        self._entries.append(Entry(folder, name, kind, size, sha256, link, mtime))
        if len(self._entries) > self._limits.entries:
            raise LimitExceeded(f"{self._what}: more than {self._limits.entries} entries (limit entries)")

    def _folder(self, path: str) -> _Folder:
        known = self._folders.get(path)
        if known is None:
            known = self._folders[path] = _Folder.of(path)
        return known

    # --- from a tar ---

    def take_entry(self, entry: TarEntry, content: Callable[[], Iterable[bytes | memoryview]]) -> None:
        path = self._checked_path(entry.name)
        if entry.fault:
            self.finding(FindingKind.UNSAFE_ENTRY, entry.name, entry.fault)
        if path is None:
            return
        if _WHITEOUT in path and path.rpartition("/")[2].startswith(_WHITEOUT):
            self._take_whiteout(path)
        elif entry.kind == "file":
            self._take_file(path, entry.size, entry.mtime, content())
        elif entry.kind == "hardlink":
            self._take_hardlink(path, entry)
        elif entry.kind == "symlink" and (not entry.link or len(entry.link) > self._limits.path or "\0" in entry.link):
            self.finding(FindingKind.UNSAFE_ENTRY, path, "a symbolic link whose target is no path")
        else:
            self.add(path, entry.kind, link=entry.link if entry.kind == "symlink" else "")

    def _take_hardlink(self, path: str, entry: TarEntry) -> None:
        target = self._clean(entry.link)
        if not target:
            self.finding(FindingKind.UNSAFE_ENTRY, path, f"a hard link to {entry.link[:200]!r}, outside of the root")
        else:
            self.add(path, "hardlink", link=target)

    def _take_whiteout(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        if name == _OPAQUE:
            self._entries.append(Entry(folder, "", "opaque"))
            return
        if name.startswith(_AUFS):
            return
        hidden = name[len(_WHITEOUT) :]
        if hidden in ("", ".", ".."):
            self.finding(FindingKind.UNSAFE_ENTRY, path, "a whiteout that names nothing")
            return
        self.add(f"{folder}/{hidden}" if folder else hidden, "whiteout")

    def _checked_path(self, name: str) -> str | None:
        """The entry's path, normalised; None where it is the root or cannot be applied."""
        path = self._clean(name)
        if path is None:
            self.finding(FindingKind.UNSAFE_ENTRY, name[:500], "its name escapes the root, or is none")
            return None
        if len(path) > 255 and (len(path) > self._limits.path or path.count("/") >= self._limits.depth):
            self.finding(FindingKind.UNSAFE_ENTRY, path[:500], "its name is longer or deeper than a file system allows")
            return None
        return path or None

    @staticmethod
    def _clean(name: str) -> str | None:
        """``a/b`` for ``/a//./b/``, empty for the root; None for a name with ``..`` or NUL."""
        if not _ODD_NAME.search(name):
            return name
        parts = [part for part in name.split("/") if part not in ("", ".")]
        return None if ".." in parts or "\0" in name else "/".join(parts)

    # --- from a disk ---

    def take_disk(self, relative: str, path: Path, status: os.stat_result) -> None:
        if stat.S_ISLNK(status.st_mode):
            self.add(relative, "symlink", link=str(path.readlink()))
        elif stat.S_ISDIR(status.st_mode):
            self.add(relative, "directory")
        elif stat.S_ISREG(status.st_mode):
            try:
                with path.open("rb") as file:
                    chunks = iter(lambda: file.read(CHUNK), b"")
                    mtime = int(status.st_mtime) if relative.endswith((".py", ".pyc")) else 0
                    self._take_file(relative, status.st_size, mtime, chunks)
            except OSError as problem:
                self.finding(FindingKind.UNREADABLE, relative, f"could not be read: {problem.strerror}")
        else:
            self.add(relative, "other")

    # --- files ---

    def _take_file(self, path: str, size: int, mtime: int, chunks: Iterable[bytes | memoryview]) -> None:
        folder, _, name = path.rpartition("/")
        bound = self._kept_bound(self._folder(folder), name)
        if bound and size > bound:
            self._too_large(path, size, bound)
            bound = 0
        if not bound:
            sha256 = self._hashed(chunks)
            self.add(path, "file", size=size, sha256=sha256, mtime=mtime)
            return
        data = b"".join(chunks)
        sha256 = self._hashed((data,))
        self.add(path, "file", size=len(data), sha256=sha256, mtime=mtime)
        self._keep(path, folder, name, sha256, data)

    def _hashed(self, chunks: Iterable[bytes | memoryview]) -> bytes:
        """Raw sha256; one object for equal ones, because images hold the same file many times."""
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
        sha256 = digest.digest()
        if sha256 == _OF_NOTHING:
            return _OF_NOTHING
        return sha256

    def _kept_bound(self, folder: _Folder, name: str) -> int:
        """How many bytes of a file are kept if it is no longer than that; 0 for files that are only hashed."""
        if folder.all_kept or (folder.info and name in _KEPT_IN_INFO):
            return self._limits.kept_file
        if name.endswith(_KEPT_SUFFIXES) or name in _KEPT_NAMES:
            return self._limits.archive if name.endswith(".whl") else self._limits.kept_file
        if folder.dpkg_lists:
            return self._limits.kept_file if name.endswith((".list", ".md5sums")) else 0
        if folder.databases and _PACKAGE_LISTS.fullmatch(f"{folder.path}/{name}"):
            return self._limits.kept_file * 4
        return _SCRIPT_SIZE if folder.scripts else 0

    def _too_large(self, path: str, size: int, bound: int) -> None:
        """A file that would be read and is too large for it; scripts are matched by their digest alone."""
        if bound != _SCRIPT_SIZE:
            self.finding(FindingKind.UNREADABLE, path, f"{size} bytes are more than the limit of {bound} to be read")

    def _keep(self, path: str, folder: str, name: str, sha256: bytes, data: bytes) -> None:
        if name.endswith(".whl"):
            self._open_wheel(path, name, sha256, data)
            return
        if folder.rpartition("/")[2] in _SCRIPT_FOLDERS and not _PYTHON_SCRIPT.match(data):
            return
        if folder + "/" == _DPKG_LISTS and b"-packages" not in data:
            return
        if sha256 in self._contents:
            return
        self._kept += len(data)
        if self._kept > self._limits.kept_total:
            raise LimitExceeded(
                f"{self._what}: more than {self._limits.kept_total} bytes of metadata (limit kept_total)"
            )
        self._contents[sha256] = data

    def _open_wheel(self, path: str, name: str, sha256: bytes, data: bytes) -> None:
        if sha256 in self._wheels:
            return
        try:
            self._wheels[sha256] = read_wheel(io.BytesIO(data), filename=name, limits=self._limits)
        except WheelUnreadable as problem:
            self.finding(FindingKind.UNREADABLE, path, problem.message)


class _Folder(NamedTuple):
    """What a folder's path says of the files in it; worked out once for all of them."""

    path: str
    info: bool
    all_kept: bool
    dpkg_lists: bool
    databases: bool
    scripts: bool

    @classmethod
    def of(cls, path: str) -> _Folder:
        name = path.rpartition("/")[2]
        return cls(
            path=path,
            info=name.endswith(_INFO) or name == "EGG-INFO",
            all_kept=name == "sboms" and ".dist-info/" in path,
            dpkg_lists=path + "/" == _DPKG_LISTS,
            databases=path.startswith(("var/lib/dpkg", "lib/apk", "usr/lib/apk")),
            scripts=name in _SCRIPT_FOLDERS,
        )


def _walk(root: Path, taking: _Taking) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Every entry below ``root`` as (path relative to it, path, status), parents first."""
    try:
        home = root.stat().st_dev
    except OSError as problem:
        raise TargetError(f"{root}: {problem.strerror}") from problem
    whole_system = root == Path("/")
    pending = [("", root)]
    while pending:
        prefix, folder = pending.pop()
        try:
            found = sorted(os.scandir(folder), key=lambda item: item.name)
        except OSError as problem:
            if not prefix:
                raise TargetError(f"{root}: {problem.strerror}") from problem
            taking.finding(FindingKind.UNREADABLE, prefix, f"could not be listed: {problem.strerror}")
            continue
        for item in found:
            relative = f"{prefix}/{item.name}" if prefix else item.name
            try:
                status = item.stat(follow_symlinks=False)
            except OSError:
                continue  # gone while the tree was read
            if whole_system and status.st_dev != home and stat.S_ISDIR(status.st_mode) and _is_pseudo(relative):
                continue
            path = Path(item.path)
            yield relative, path, status
            if stat.S_ISDIR(status.st_mode):
                pending.append((relative, path))


def _is_pseudo(relative: str) -> bool:
    """File systems of the kernel, which hold no files of anybody."""
    return relative.partition("/")[0] in ("proc", "sys", "dev", "run")
