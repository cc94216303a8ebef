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
_NO_NAMES: Final = frozenset({"", ".", ".."})
_FOLDERS_KNOWN: Final = 50_000
_MEMBER_COST: Final = 200
"""What one member of an opened wheel takes in memory, about, in bytes."""
_ODD_NAME: Final = re.compile(r"\.\.|\0|//|(?:^|/)\.(?:/|$)|^/|/$|^$")
_DPKG_LISTS: Final = "var/lib/dpkg/info/"
_PACKAGE_LISTS: Final = re.compile(r"(var/lib/dpkg/(status|status\.d/[^/]+)|(usr/)?lib/apk/db/installed)")
_SCRIPT_FOLDERS: Final = ("bin", "Scripts", "sbin")
_SCRIPT_SIZE: Final = 1024 * 1024
_PYTHON_SCRIPT: Final = re.compile(rb"#!.*(python|pypy|/bin/sh)")


class Entry(NamedTuple):
    """One entry of a layer. ``kind`` is ``file directory symlink hardlink other whiteout opaque``.

    ``sha256`` is raw and set for files only (one object for all empty files); ``link`` is a link's target
    as written (normalised like a path for hard links); ``mtime`` is kept for Python files only. A whiteout
    names what it hides, an opaque mark has its directory as ``folder`` and no name. Folder and name are
    apart, because a layer has a hundred entries for every folder.
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
    """Read a tree on disk. Links are not followed; file systems of the kernel's, such as ``proc``, are left out."""
    taking = _Taking(limits=limits, what=str(root))
    for relative, path, status in _walk(root, taking):
        taking.take_disk(relative, path, status)
    return taking.done()


def take_file(path: Path, *, limits: Limits) -> Inventory:
    """Read one file as a tree that holds only it; :class:`scanner.errors.TargetError` if it is not there."""
    taking = _Taking(limits=limits, what=str(path))
    try:
        status = path.stat()
    except OSError as problem:
        raise TargetError(f"{path}: {problem.strerror}") from problem
    taking.take_disk(path.name, path.resolve(), status)
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
        """By their text as written: ``./usr/bin`` is what ``usr/bin`` is."""

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

    def _add(
        self, folder: _Folder, name: str, kind: str, size: int = 0, sha256: bytes | None = None, *, mtime: int = 0
    ) -> None:
        self._append(Entry(folder.path, name, kind, size, sha256, "", mtime))

    def _append(self, entry: Entry) -> None:
        self._entries.append(entry)
        if len(self._entries) > self._limits.entries:
            raise LimitExceeded(f"{self._what}: more than {self._limits.entries} entries (limit entries)")

    def _folder(self, path: str) -> _Folder:
        known = self._folders.get(path)
        if known is None:
            if len(self._folders) >= _FOLDERS_KNOWN:
                self._folders.clear()  # a shortcut, not a record: one folder for every entry must not fill the memory
            known = self._folders[path] = _Folder.of(path)
        return known

    # --- from a tar ---

    def take_entry(self, entry: TarEntry, content: Callable[[], Iterable[bytes | memoryview]]) -> None:
        written, _, name = entry.name.rpartition("/")
        folder = self._folders.get(written)
        if folder is None or name in _NO_NAMES or "\0" in name or len(entry.name) > 255 or entry.fault:
            placed = self._placed(entry)
            if placed is None:
                return
            folder, name = placed
        if entry.kind == "file" and not name.startswith(_WHITEOUT):
            self._take_file(folder, name, entry, content)
        else:
            self._take_other(folder, name, entry)

    def _take_other(self, folder: _Folder, name: str, entry: TarEntry) -> None:
        """A whiteout, whatever its kind, or an entry without content."""
        if name.startswith(_WHITEOUT):
            self._take_whiteout(folder, name)
        elif entry.kind == "hardlink":
            self._take_hardlink(folder, name, entry.link)
        elif entry.kind == "symlink":
            self._take_symlink(folder, name, entry.link)
        else:
            self._add(folder, name, entry.kind)

    def _take_hardlink(self, folder: _Folder, name: str, link: str) -> None:
        target = self._clean(link)
        if not target or len(target) > self._limits.path:
            self.finding(
                FindingKind.UNSAFE_ENTRY, folder.file(name), f"a hard link to {link[:200]!r}, outside of the root"
            )
        else:
            self._append(Entry(folder.path, name, "hardlink", link=target))

    def _take_symlink(self, folder: _Folder, name: str, link: str) -> None:
        if not link or len(link) > self._limits.path or "\0" in link:
            self.finding(FindingKind.UNSAFE_ENTRY, folder.file(name), "a symbolic link whose target is no path")
        else:
            self._append(Entry(folder.path, name, "symlink", link=link))

    def _take_whiteout(self, folder: _Folder, name: str) -> None:
        hidden = name[len(_WHITEOUT) :]
        if name == _OPAQUE:
            self._add(folder, "", "opaque")
        elif name.startswith(_AUFS):
            return
        elif hidden in _NO_NAMES:
            self.finding(FindingKind.UNSAFE_ENTRY, folder.file(name), "a whiteout that names nothing")
        else:
            self._add(folder, hidden, "whiteout")

    def _placed(self, entry: TarEntry) -> tuple[_Folder, str] | None:
        """The entry's folder and name, normalised; None where it is the root or cannot be applied."""
        if entry.fault:
            self.finding(FindingKind.UNSAFE_ENTRY, entry.name[:500], entry.fault)
        path = self._clean(entry.name)
        if path is None:
            self.finding(FindingKind.UNSAFE_ENTRY, entry.name[:500], "its name escapes the root, or is none")
            return None
        if len(path) > 255 and (len(path) > self._limits.path or path.count("/") >= self._limits.depth):
            self.finding(FindingKind.UNSAFE_ENTRY, path[:500], "its name is longer or deeper than a file system allows")
            return None
        if not path:
            if entry.kind != "directory":
                self.finding(FindingKind.UNSAFE_ENTRY, "/", "the root, as something else than a directory")
            return None
        parent, _, name = path.rpartition("/")
        folder = self._folder(parent)
        if entry.name.endswith("/" + name):
            self._folders[entry.name.rpartition("/")[0]] = folder
        return folder, name

    @staticmethod
    def _clean(name: str) -> str | None:
        """``a/b`` for ``/a//./b/``, empty for the root; None for a name with ``..`` or NUL."""
        if not _ODD_NAME.search(name):
            return name
        parts = [part for part in name.split("/") if part not in ("", ".")]
        return None if ".." in parts or "\0" in name else "/".join(parts)

    # --- from a disk ---

    def take_disk(self, relative: str, path: Path, status: os.stat_result) -> None:
        parent, _, name = relative.rpartition("/")
        folder = self._folder(parent)
        try:
            if stat.S_ISLNK(status.st_mode):
                self._take_symlink(folder, name, str(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                self._take_disk_file(folder, name, path)
            else:
                self._add(folder, name, "directory" if stat.S_ISDIR(status.st_mode) else "other")
        except OSError as problem:
            self.finding(FindingKind.UNREADABLE, relative, f"could not be read: {problem.strerror}")

    def _take_disk_file(self, folder: _Folder, name: str, path: Path) -> None:
        # What was a file a moment ago may be a link or a pipe by now.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                self.finding(FindingKind.UNREADABLE, folder.file(name), "changed its kind while the tree was read")
                return
            mtime = int(status.st_mtime) if name.endswith((".py", ".pyc")) else 0
            entry = TarEntry(name, "file", status.st_size, "", mtime, None)
            self._take_file(folder, name, entry, lambda: _read(file, status.st_size))

    # --- files ---

    def _take_file(
        self, folder: _Folder, name: str, entry: TarEntry, content: Callable[[], Iterable[bytes | memoryview]]
    ) -> None:
        size = entry.size
        bound = self._kept_bound(folder, name)
        if bound and size > bound:
            self._too_large(folder.file(name), size, bound)
            bound = 0
        if not bound:
            sha256 = _hashed(content()) if size else _OF_NOTHING
            self._append(Entry(folder.path, name, "file", size, sha256, "", entry.mtime))
            return
        data = b"".join(content()) if size else b""
        sha256 = _hashed((data,))
        self._append(Entry(folder.path, name, "file", len(data), sha256, "", entry.mtime))
        self._keep(folder, name, sha256, data)

    def _kept_bound(self, folder: _Folder, name: str) -> int:
        """How many bytes of a file are kept if it is no longer than that; 0 for files that are only hashed."""
        if folder.all_kept or (folder.info and name in _KEPT_IN_INFO):
            return self._limits.kept_file
        if name.endswith(_KEPT_SUFFIXES) or name in _KEPT_NAMES:
            return self._limits.archive if name.endswith(".whl") else self._limits.kept_file
        if folder.dpkg_lists:
            return self._limits.kept_file if name.endswith((".list", ".md5sums")) else 0
        if folder.databases and _PACKAGE_LISTS.fullmatch(folder.file(name)):
            return self._limits.kept_file * 4
        return _SCRIPT_SIZE if folder.scripts else 0

    def _too_large(self, path: str, size: int, bound: int) -> None:
        """A file that would be read and is too large for it; scripts are matched by their digest alone."""
        if bound != _SCRIPT_SIZE:
            self.finding(FindingKind.UNREADABLE, path, f"{size} bytes are more than the limit of {bound} to be read")

    def _keep(self, folder: _Folder, name: str, sha256: bytes, data: bytes) -> None:
        if name.endswith(".whl"):
            self._open_wheel(folder.file(name), name, sha256, data)
            return
        if folder.scripts and not _PYTHON_SCRIPT.match(data):
            return
        if folder.dpkg_lists and b"-packages" not in data:
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
            wheel = read_wheel(io.BytesIO(data), filename=name, limits=self._limits)
        except WheelUnreadable as problem:
            self.finding(FindingKind.UNREADABLE, path, problem.message)
            return
        cost = sum(map(len, wheel.documents.values())) + _MEMBER_COST * len(wheel.members)
        if self._kept + cost > self._limits.kept_total:
            detail = f"the wheels' metadata is more than {self._limits.kept_total} bytes together (limit kept_total)"
            self.finding(FindingKind.UNREADABLE, path, f"not opened, {detail}")
            return
        self._kept += cost
        self._wheels[sha256] = wheel


def _hashed(chunks: Iterable[bytes | memoryview]) -> bytes:
    """Raw sha256."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    sha256 = digest.digest()
    return _OF_NOTHING if sha256 == _OF_NOTHING else sha256


def _read(file: BinaryIO, size: int) -> Iterator[bytes]:
    """No more than ``size`` bytes: a file may grow while it is read, and some of the kernel's have no end."""
    while size > 0 and (chunk := file.read(min(size, CHUNK))):
        size -= len(chunk)
        yield chunk


class _Folder(NamedTuple):
    """What a folder's path says of the files in it; worked out once for all of them."""

    path: str
    info: bool
    all_kept: bool
    dpkg_lists: bool
    databases: bool
    scripts: bool

    def file(self, name: str) -> str:
        """The path of a file in it."""
        return f"{self.path}/{name}" if self.path else name

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
            if status.st_dev != home and stat.S_ISDIR(status.st_mode) and _is_pseudo(relative):
                continue
            path = Path(item.path)
            yield relative, path, status
            if stat.S_ISDIR(status.st_mode):
                pending.append((relative, path))


def _is_pseudo(relative: str) -> bool:
    """File systems of the kernel, which hold no files of anybody."""
    return relative.partition("/")[0] in ("proc", "sys", "dev", "run")
