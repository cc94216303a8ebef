"""An inventory while it is taken: names are normalised, odd entries become findings, files are hashed.

Whiteouts: OCI image-spec, layer.md, "Whiteouts"; AUFS leftovers are ignored, as runtimes do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final, Self, TypeAlias, TypeVar, cast

from scanner.distribution import Finding, FindingKind
from scanner.errors import LimitExceeded
from scanner.inventories.compiled import Search
from scanner.inventories.keeping import Folder, Keeper, Spooled, Treatment
from scanner.inventories.opening import Opener, Opening
from scanner.inventories.stamping import PYTHON_FILES, KeepCode, Stamping, stamped
from scanner.inventories.suspicion import Chunks, Suspect, suspected
from scanner.inventory import Entry, Inventory
from scanner.limits import Limits
from scanner.tarstream import TarEntry

_T = TypeVar("_T", Treatment, Spooled, Treatment | Spooled | None)
Content: TypeAlias = Callable[[], Iterable[bytes | memoryview]]
OnKept: TypeAlias = Callable[[str, bytes], None]
"""Is told of each file whose bytes are kept as soon as it is read: its path and its bytes."""
_OPAQUE: Final = ".wh..wh..opq"
_AUFS: Final = ".wh..wh."
_WHITEOUT: Final = ".wh."
OF_NOTHING: Final = hashlib.sha256().digest()
_NO_NAMES: Final = frozenset({"", ".", ".."})
_FOLDERS_KNOWN: Final = 50_000
_IN_MEMORY: Final = 4 * 1024 * 1024
_ODD_NAME: Final = re.compile(r"\.\.|\0|//|(?:^|/)\.(?:/|$)|^/|/$|^$")


class Taking:
    """One inventory. ``what`` names the target in errors; ``keep_code`` gets the bytes of sources and byte code.

    ``opener`` looks into archives; without one they are files like others. ``on_kept`` is told of what lies in none.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        what: str,
        keep_code: KeepCode | None = None,
        opener: Opener | None = None,
        on_kept: OnKept | None = None,
    ) -> None:
        self._limits = limits
        self._what = what
        self._entries: list[Entry] = []
        self._findings: list[Finding] = []
        self._whiteouts = True
        self._keeper = Keeper(limits=limits, what=what, finding=self.finding, opener=opener)
        self._code = Stamping(limits=limits, keep=keep_code)
        self._on_kept = on_kept
        self._folders: dict[str, Folder] = {}
        """By their text as written: ``./usr/bin`` is what ``usr/bin`` is."""

    @classmethod
    def inside(cls, opening: Opening) -> Self:
        """The inventory of an archive: a name like a whiteout's is a name there."""
        taking = cls(limits=opening.limits, what="the archive")
        taking._whiteouts = False
        taking._keeper = Keeper(
            limits=opening.limits,
            what="the archive",
            finding=taking.finding,
            opener=opening.opener,
            budget=opening.budget,
            depth=opening.depth + 1,
        )
        return taking

    def done(self) -> Inventory:
        """All that was taken."""
        return Inventory(
            entries=tuple(self._entries),
            contents=self._keeper.contents,
            wheels=self._keeper.wheels,
            packages=self._keeper.packages,
            archives=self._keeper.archives,
            frozen=self._keeper.frozen,
            artifacts=self._keeper.stored.artifacts,
            findings=tuple(self._findings),
        )

    def finding(self, kind: FindingKind, path: str, detail: str) -> None:
        """Tell of something odd; no more than ten thousand times."""
        if len(self._findings) < 10_000:
            self._findings.append(Finding(kind=kind, path="/" + path.lstrip("/"), layer=None, detail=detail))

    def _append(self, entry: Entry) -> None:
        self._entries.append(entry)
        if len(self._entries) > self._limits.entries:
            raise LimitExceeded(f"{self._what}: more than {self._limits.entries} entries (limit entries)")

    def _folder(self, path: str) -> Folder:
        known = self._folders.get(path)
        if known is None:
            if len(self._folders) >= _FOLDERS_KNOWN:
                self._folders.clear()  # a shortcut, not a record: one folder for every entry must not fill the memory
            known = self._folders[path] = Folder.of(path)
        return known

    # --- entries ---

    def take_entry(self, entry: TarEntry, content: Content) -> None:
        """An entry of a layer, its name as written; ``content`` gives its bytes, once."""
        written, _, name = entry.name.rpartition("/")
        folder = self._folders.get(written)
        if folder is None or name in _NO_NAMES or "\0" in name or len(entry.name) > 255 or entry.fault:
            placed = self._placed(entry)
            if placed is None:
                return
            folder, name = placed
        if entry.kind == "file" and not (name.startswith(_WHITEOUT) and self._whiteouts):
            self._take_file(folder, name, entry, content)
        else:
            self._take_other(folder, name, entry)

    def take_named(self, path: str, entry: TarEntry, content: Content = tuple) -> None:
        """An entry whose path is a file system's: it needs no cleaning, and a whiteout is a file like any other."""
        parent, _, name = path.rpartition("/")
        folder = self._folder(parent)
        if entry.kind == "file":
            self._take_file(folder, name, entry, content)
        elif entry.kind == "symlink":
            self._take_symlink(folder, name, entry.link)
        else:
            self._append(Entry(folder.path, name, entry.kind))

    def _take_other(self, folder: Folder, name: str, entry: TarEntry) -> None:
        """A whiteout, whatever its kind, or an entry without content."""
        if name.startswith(_WHITEOUT) and self._whiteouts:
            self._take_whiteout(folder, name)
        elif entry.kind == "hardlink":
            self._take_hardlink(folder, name, entry.link)
        elif entry.kind == "symlink":
            self._take_symlink(folder, name, entry.link)
        else:
            self._append(Entry(folder.path, name, entry.kind))

    def _take_hardlink(self, folder: Folder, name: str, link: str) -> None:
        target = self._clean(link)
        if not target or len(target) > self._limits.path:
            self.finding(
                FindingKind.UNSAFE_ENTRY, folder.file(name), f"a hard link to {link[:200]!r}, outside of the root"
            )
        else:
            self._append(Entry(folder.path, name, "hardlink", link=target))

    def _take_symlink(self, folder: Folder, name: str, link: str) -> None:
        if not link or len(link) > self._limits.path or "\0" in link:
            self.finding(FindingKind.UNSAFE_ENTRY, folder.file(name), "a symbolic link whose target is no path")
        else:
            self._append(Entry(folder.path, name, "symlink", link=link))

    def _take_whiteout(self, folder: Folder, name: str) -> None:
        hidden = name[len(_WHITEOUT) :]
        if name == _OPAQUE:
            self._append(Entry(folder.path, "", "opaque"))
        elif name.startswith(_AUFS):
            return
        elif hidden in _NO_NAMES:
            self.finding(FindingKind.UNSAFE_ENTRY, folder.file(name), "a whiteout that names nothing")
        else:
            self._append(Entry(folder.path, hidden, "whiteout"))

    def _placed(self, entry: TarEntry) -> tuple[Folder, str] | None:
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

    # --- files ---

    def _take_file(self, folder: Folder, name: str, entry: TarEntry, content: Content) -> None:
        treatment = self._keeper.treatment(folder, name)
        if treatment is None and not entry.size and not name.endswith(PYTHON_FILES):
            self._append(Entry(folder.path, name, "file", 0, OF_NOTHING, "", entry.mtime))
            return
        if treatment is not None:
            treatment = self._bounded(treatment, folder, name, entry.size)
        chunks = content() if entry.size else ()
        if self._keeper.may_hold_code(treatment):
            suspect, chunks = suspected(name, entry.size, chunks)
            if suspect is Suspect.COMPILED:
                self._take_compiled(folder, name, entry, chunks)
                return
            if suspect is not None:
                treatment = self._bounded(self._keeper.look_into(suspect, entry.size), folder, name, entry.size)
        if isinstance(treatment, Spooled):
            self._take_spooled(folder, name, entry, chunks, treatment)
        else:
            self._take_bytes(folder, name, entry, chunks, treatment)

    def _bounded(self, treatment: _T, folder: Folder, name: str, size: int) -> _T | None:
        """The treatment of a file, if it is not too large for it."""
        if treatment is None or size <= treatment.bound:
            return treatment
        if treatment.told:
            detail = f"{size} bytes are more than the limit of {treatment.bound} to be read"
            self.finding(FindingKind.UNREADABLE, folder.file(name), detail)
        return None

    def _take_bytes(
        self, folder: Folder, name: str, entry: TarEntry, chunks: Chunks, treatment: Treatment | None
    ) -> None:
        python = name.endswith(PYTHON_FILES)
        if treatment is None and not (python and self._code.wants(name, entry.size)):
            stamp = b""
            if python and name.endswith(".pyc"):
                stamp, chunks = stamped(chunks)
                self._code.see(stamp)
            sha256 = _hashed(chunks) if entry.size else OF_NOTHING
            self._append(Entry(folder.path, name, "file", entry.size, sha256, "", entry.mtime, stamp))
            return
        data = b"".join(chunks)
        sha256 = _hashed((data,))
        stamp = self._code.take(name, sha256, data) if python else b""
        self._append(Entry(folder.path, name, "file", len(data), sha256, "", entry.mtime, stamp))
        if treatment is not None:
            treatment.take(folder.file(name), sha256, data)
            if self._on_kept is not None:
                self._on_kept(folder.file(name), data)

    def _take_compiled(self, folder: Folder, name: str, entry: TarEntry, chunks: Chunks) -> None:
        search = Search(chunks)
        sha256 = _hashed(search)
        self._append(Entry(folder.path, name, "file", entry.size, sha256, "", entry.mtime))
        if search.found:
            self._keeper.is_nuitkas(sha256)

    def _take_spooled(self, folder: Folder, name: str, entry: TarEntry, chunks: Chunks, spooled: Spooled) -> None:
        """A file that is looked into as a whole: it goes through a temporary file that has no name."""
        path = folder.file(name)
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
            spooling = Spooling(cast("BinaryIO", spool), chunks)
            sha256 = _hashed(spooling)
            self._append(Entry(folder.path, name, "file", spooling.size, sha256, "", entry.mtime))
            if spooling.fault is not None:
                self.finding(FindingKind.UNREADABLE, path, f"no temporary file to read it from: {spooling.fault}")
                return
            spool.seek(0)
            self._keeper.count_stored(spooling.size)
            spooled.take(path, sha256, cast("BinaryIO", spool))


class Spooling:
    """Chunks that are written to a file while somebody iterates over them; ``fault`` is why that failed."""

    def __init__(self, file: BinaryIO, chunks: Chunks) -> None:
        self._file = file
        self._chunks = chunks
        self.size = 0
        self.fault: str | None = None

    def __iter__(self) -> Iterator[bytes | memoryview]:
        for chunk in self._chunks:
            self.size += len(chunk)
            if self.fault is None:
                try:
                    self._file.write(chunk)
                except OSError as problem:
                    self.fault = problem.strerror or "unknown"
            yield chunk


def _hashed(chunks: Chunks) -> bytes:
    """Raw sha256."""
    if isinstance(chunks, tuple) and len(chunks) == 1:  # the content is at hand: nearly always
        sha256 = hashlib.sha256(chunks[0]).digest()
    else:
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
        sha256 = digest.digest()
    return OF_NOTHING if sha256 == OF_NOTHING else sha256
