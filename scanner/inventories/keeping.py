"""Which files of a target are read later, and what is done with their bytes for it.

Everything else is hashed and forgotten. A file that is kept is bounded by itself and by ``kept_total`` together with
all others; what is too large for its bound is hashed too, and the finding ``unreadable`` says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO, Final, NamedTuple

from scanner.cachefiles import POINTER_SIZE, Store
from scanner.condameta import read_condameta, read_condapaths
from scanner.distribution import FindingKind
from scanner.errors import LimitExceeded, WheelUnreadable
from scanner.inventories.budget import Budget
from scanner.inventories.compiled import NUITKA
from scanner.inventories.opening import Opener, Opening, unopened
from scanner.inventories.storing import Storing
from scanner.inventories.suspicion import Suspect
from scanner.inventory import Inventory
from scanner.limits import Limits
from scanner.owner import Package
from scanner.rpmdb import read_rpmdb
from scanner.wheel import WheelContents, read_wheel

INFO_DOCUMENTS: Final = (
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
)
"""The files of a dist-info or egg-info that are read, besides its SBOMs."""
_KEPT_IN_INFO: Final = frozenset(INFO_DOCUMENTS)
_KEPT_NAMES: Final = frozenset({"pyvenv.cfg", "os-release", "lsb-release"})
_INFO: Final = (".dist-info", ".egg-info")
_KEPT_SUFFIXES: Final = (".egg-link", ".pth", ".start", ".egg-info")
_FINDER: Final = re.compile(r"__editable___.+_finder\.py|_editable_.+\.py|_.+_editable(_loader)?\.py")
"""What backends of editable installs have run at every start (:mod:`scanner.editable`)."""
_FINDER_SIZE: Final = 256 * 1024
_MEMBER_COST: Final = 200
"""What one member of an opened wheel takes in memory, about, in bytes."""
_DPKG_LISTS: Final = "var/lib/dpkg/info/"
_PACKAGE_LISTS: Final = re.compile(r"(var/lib/dpkg/(status|status\.d/[^/]+)|(usr/)?lib/apk/db/installed)")
_RPM_FOLDERS: Final = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
_OWNERS: Final = frozenset(
    {"var/lib/dpkg", "var/lib/dpkg/info", "var/lib/dpkg/status.d", "lib/apk/db", "usr/lib/apk/db", *_RPM_FOLDERS}
)
_RPM_DATABASES: Final = ("rpmdb.sqlite", "Packages.db", "Packages")
_OPENED: Final = (b".egg", b".whl", b".pyz", b".pex", b".zip")
_SCRIPT_FOLDERS: Final = ("bin", "Scripts", "sbin")
_SCRIPT_SIZE: Final = 1024 * 1024
_PYTHON_SCRIPT: Final = re.compile(rb"#!.*(python|pypy|/bin/sh|/dev/null)")


class Treatment(NamedTuple):
    """What is done with a file: ``take(path, sha256, data)`` gets its bytes if they are no more than ``bound``.

    ``told`` is whether a larger file is a finding.
    """

    bound: int
    take: Callable[[str, bytes, bytes], None]
    told: bool = True


class Spooled(NamedTuple):
    """The same for a file that may be too large for the memory: ``take(path, sha256, file)`` gets it open."""

    bound: int
    take: Callable[[str, bytes, BinaryIO], None]
    told: bool = True


class Folder(NamedTuple):
    """What a folder's path says of the files in it; worked out once for all of them."""

    path: str
    info: bool
    all_kept: bool
    owners: bool
    scripts: bool
    store: Store | None

    def file(self, name: str) -> str:
        """The path of a file in it."""
        return f"{self.path}/{name}" if self.path else name

    @classmethod
    def of(cls, path: str) -> Folder:
        """Read it off the path."""
        name = path.rpartition("/")[2]
        return cls(
            path=path,
            info=name.endswith(_INFO) or name == "EGG-INFO",
            all_kept=name == "sboms" and ".dist-info/" in path,
            owners=path in _OWNERS or name == "conda-meta" or (name == "info" and "pkgs/" in path),
            scripts=name in _SCRIPT_FOLDERS,
            store=Store.of(path),
        )


class Keeper:
    """What is kept of one layer, or of one archive with ``depth`` others around it.

    ``opener`` looks into archives; ``budget`` is shared by all that is nested.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        what: str,
        finding: Callable[[FindingKind, str, str], None],
        opener: Opener | None = None,
        budget: Budget | None = None,
        depth: int = 0,
    ) -> None:
        self._limits = limits
        self._what = what
        self._finding = finding
        self._opener = opener
        self._budget = budget or Budget(limits=limits)
        self._depth = depth
        self._nothing: set[bytes] = set()
        self.archives: dict[bytes, Inventory] = {}
        self.frozen: dict[bytes, str] = {}
        self.contents: dict[bytes, bytes] = {}
        self.wheels: dict[bytes, WheelContents] = {}
        self.packages: dict[bytes, tuple[Package, ...]] = {}
        self._document = Treatment(limits.kept_file, self._keep)
        self._package_list = Treatment(limits.kept_file, self._keep_package_list)
        self._database = Treatment(limits.kept_file * 4, self._keep)
        self._script = Treatment(_SCRIPT_SIZE, self._keep_script, told=False)
        self._finder_module = Treatment(_FINDER_SIZE, self._keep, told=False)
        self._rpm_database = Treatment(limits.package_database, self._read_packages)
        self._conda_package = Treatment(limits.kept_file, self._read_packages)
        self._wheel = Spooled(limits.bundle, self._open_wheel)
        self.stored = Storing(
            limits=limits, keep=self._keep, admit=self._admit, expand=self._budget.expand, finding=finding
        )
        self._note = Treatment(POINTER_SIZE, self.stored.take_note, told=False)
        self._answer = Treatment(limits.archive, self.stored.take_answer)
        self._cached_wheel = Spooled(limits.bundle, self.stored.take_wheel)
        self._cached_archive = Spooled(limits.bundle, self.stored.take_archive)

    @property
    def _kept(self) -> int:
        return self._budget.kept

    @_kept.setter
    def _kept(self, kept: int) -> None:
        self._budget.kept = kept

    def may_hold_code(self, treatment: Treatment | Spooled | None) -> bool:
        """Whether a file so treated is looked at for being an archive."""
        return self._opener is not None and (treatment is None or treatment is self._script)

    def look_into(self, suspect: Suspect, size: int) -> Spooled:
        """What is done with a file that may be an archive or a frozen program."""

        def take(_: str, sha256: bytes, file: BinaryIO) -> None:
            self._look_into(suspect, sha256, file, size)

        return Spooled(self._limits.bundle, take, told=suspect is not Suspect.PROGRAM)

    def is_nuitkas(self, sha256: bytes) -> None:
        """Note a program whose Python modules are compiled."""
        self.frozen[sha256] = NUITKA

    def count_stored(self, size: int) -> None:
        """Count a file that is about to be opened, if it lies in the layer itself."""
        self._budget.stored += 0 if self._depth else size

    def _look_into(self, suspect: Suspect, sha256: bytes, file: BinaryIO, size: int) -> None:
        if self._opener is None or sha256 in self.archives or sha256 in self.frozen or sha256 in self._nothing:
            return
        limits = self._limits
        if self._depth >= limits.archive_depth:
            detail = f"archives in archives are more than {limits.archive_depth} deep (limit archive_depth)"
            self.archives[sha256] = unopened(detail)
            return
        opening = Opening(size=size, depth=self._depth, limits=limits, budget=self._budget, opener=self._opener)
        match self._opener(suspect, file, opening):
            case None:
                self._nothing.add(sha256)
            case str(what):
                self.frozen[sha256] = what
            case Inventory() as inventory:
                weak = {} if self._depth else _weak_digests(file)
                self.archives[sha256] = replace(inventory, weak_digests=weak)

    def treatment(self, folder: Folder, name: str) -> Treatment | Spooled | None:
        """What is done with a file; None for those that are only hashed."""
        if folder.all_kept or (folder.info and name in _KEPT_IN_INFO):
            return self._document
        cached = self._cached(folder.store, folder.path, name) if folder.store is not None else None
        if cached is not None or name.endswith(".whl"):
            return cached or self._wheel
        if name.endswith(_KEPT_SUFFIXES) or name in _KEPT_NAMES:
            return self._document
        if folder.owners:
            return self._of_owners(folder, name)
        if name.startswith("_") and name.endswith(".py") and _FINDER.fullmatch(name):
            return self._finder_module
        return self._script if folder.scripts else None

    def _of_owners(self, folder: Folder, name: str) -> Treatment | None:
        if folder.path in _RPM_FOLDERS:
            return self._rpm_database if name in _RPM_DATABASES else None
        if folder.path + "/" == _DPKG_LISTS:
            return self._package_list if name.endswith((".list", ".md5sums")) else None
        if _PACKAGE_LISTS.fullmatch(folder.file(name)):
            return self._database
        if folder.path.endswith("info"):
            return self._conda_package if name == "paths.json" else None
        return self._conda_package if folder.path.endswith("conda-meta") and name.endswith(".json") else None

    def _cached(self, store: Store, folder: str, name: str) -> Treatment | Spooled | None:
        """What is done with a file in a folder of a tool's cache."""
        if store.is_pointer(name) or (store is Store.HASHED and name == "origin.json"):
            return self._note
        if store.is_archive(name):
            return self._cached_wheel if name.endswith(".whl") else self._cached_archive
        if store.is_answer(name, folder):
            return self._answer
        return self._cached_archive if store.is_body(name, folder) else None

    def _keep(self, path: str, sha256: bytes, data: bytes) -> None:
        if sha256 in self.contents:
            return
        self._kept += len(data)
        if self._kept > self._limits.kept_total:
            raise LimitExceeded(
                f"{self._what}: more than {self._limits.kept_total} bytes of metadata (limit kept_total)"
            )
        self.contents[sha256] = data

    def _keep_package_list(self, path: str, sha256: bytes, data: bytes) -> None:
        if any(part in data for part in (b"-packages", b".dist-info", *_OPENED)):
            self._keep(path, sha256, data)

    def _read_packages(self, path: str, sha256: bytes, data: bytes) -> None:
        """Databases whose bytes are many and whose rows that matter are few."""
        if sha256 in self.packages:
            return
        read = read_condapaths if path.endswith("info/paths.json") else read_condameta
        listed = (read if path.endswith(".json") else read_rpmdb)(data, limits=self._limits)
        if listed.fault:
            self._finding(FindingKind.UNREADABLE, path, f"a package database: {listed.fault}")
        cost = sum(package.cost for package in listed.packages)
        if self._kept + cost > self._limits.kept_total:
            detail = f"package databases take more than {self._limits.kept_total} bytes together (limit kept_total)"
            self._finding(FindingKind.UNREADABLE, path, f"not kept, {detail}")
            return
        self._kept += cost
        self.packages[sha256] = listed.packages

    def _keep_script(self, path: str, sha256: bytes, data: bytes) -> None:
        if _PYTHON_SCRIPT.match(data):
            self._keep(path, sha256, data)

    def _open_wheel(self, path: str, sha256: bytes, file: BinaryIO) -> None:
        if sha256 in self.wheels:
            return
        name = path.rpartition("/")[2]
        try:
            self._budget.expand(0)
            wheel = replace(read_wheel(file, filename=name, limits=self._limits), weak_digests=_weak_digests(file))
            self._budget.expand(sum(member.size for member in wheel.members.values()))
        except (WheelUnreadable, LimitExceeded) as problem:
            self._finding(FindingKind.UNREADABLE, path, problem.message)
            return
        if self._admit(path, wheel):
            self.wheels[sha256] = wheel

    def _admit(self, path: str, wheel: WheelContents) -> bool:
        """Whether there is room for what a wheel holds."""
        cost = sum(map(len, wheel.documents.values())) + _MEMBER_COST * len(wheel.members)
        if self._kept + cost > self._limits.kept_total:
            detail = f"the wheels' metadata is more than {self._limits.kept_total} bytes together (limit kept_total)"
            self._finding(FindingKind.UNREADABLE, path, f"not opened, {detail}")
            return False
        self._kept += cost
        return True


def _weak_digests(file: BinaryIO) -> dict[str, bytes]:
    """What a package database may have of a wheel file: raw md5 and sha1."""
    found = {"md5": hashlib.md5(usedforsecurity=False), "sha1": hashlib.sha1(usedforsecurity=False)}
    file.seek(0)
    while chunk := file.read(1024 * 1024):
        for digest in found.values():
            digest.update(chunk)
    return {name: digest.digest() for name, digest in found.items()}
