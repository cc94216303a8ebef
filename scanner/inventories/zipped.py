"""A zip file -> Inventory: zipapps, PEX, shiv, eggs, layers for AWS Lambda, and what else holds Python code.

Only what holds something of Python's is read, and of that only what may belong to a distribution or be imported.
What Python's importer reads counts: of two members of one name the last one, and all bytes that a member has.
"""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import BinaryIO, Final
from zipfile import ZipInfo

from scanner.distribution import FindingKind
from scanner.errors import LimitExceeded, MalformedArchive
from scanner.inventories.opening import Opening
from scanner.inventories.taking import Taking
from scanner.inventories.worth import Worth
from scanner.inventory import Inventory
from scanner.tarstream import TarEntry
from scanner.zips import content_of, directory_of, has_directory

_UNIX: Final = 3
_MOST_TOLD: Final = 20
"""Members of one archive that have a finding each."""


def open_zip(file: BinaryIO, opening: Opening) -> Inventory | None:
    """Read a zip file; None where it holds nothing of Python's.

    :class:`MalformedArchive`, :class:`LimitExceeded`.
    """
    if file.read(2) == b"#!" and not has_directory(file, limits=opening.limits):
        return None
    members = directory_of(file, limits=opening.limits)
    worth = Worth()
    for member in members:
        worth.see(member.filename)
    if worth.source or not (worth.distributions or worth.code or worth.inner or _has_zip(members)):
        return None
    opening.budget.list(len(members))
    return _Zip(file, opening).taken(members, worth)


def _has_zip(members: Sequence[ZipInfo]) -> bool:
    return any(member.filename.endswith(".zip") for member in members)


class _Zip:
    """One zip file while it is read."""

    def __init__(self, file: BinaryIO, opening: Opening) -> None:
        self._file = file
        self._opening = opening
        self._taking = Taking.inside(opening)
        self._left = opening.most
        self._told = 0
        self._names: frozenset[str] = frozenset()

    def taken(self, members: Sequence[ZipInfo], worth: Worth) -> Inventory:
        """Read the members that count."""
        wanted = [one for one in members if not one.is_dir() and worth.wants(one.filename)]
        self._names = frozenset(posixpath.normpath(one.filename) for one in members)
        for member in self._last_of_each(wanted):
            try:
                self._take(member)
            except MalformedArchive as problem:
                self._tell(FindingKind.UNREADABLE, member, f"{problem.message} and was left out")
        if self._told > _MOST_TOLD:
            detail = f"{self._told - _MOST_TOLD} more of its members are odd, too"
            self._taking.finding(FindingKind.UNREADABLE, "", detail)
        return self._taking.done()

    def _last_of_each(self, members: Iterable[ZipInfo]) -> Iterable[ZipInfo]:
        last: dict[str, ZipInfo] = {}
        for member in members:
            other = last.pop(member.filename, None)
            if other is not None and (other.CRC, other.file_size) != (member.CRC, member.file_size):
                detail = "stands there twice with other bytes: readers differ in which they take, Python takes the last"
                self._tell(FindingKind.UNSAFE_ENTRY, member, detail)
            last[member.filename] = member
        return last.values()

    def _take(self, member: ZipInfo) -> None:
        if len(member.orig_filename) != len(member.filename):
            self._tell(FindingKind.UNSAFE_ENTRY, member, "has a NUL in its name")
        link = self._link(member)
        if link is not None:
            self._taking.take_entry(TarEntry(member.filename, "symlink", 0, link, 0, None), tuple)
            return
        # a member without bytes by the directory may have some all the same
        size = member.file_size or (member.compress_size if member.compress_size > 2 else 0)
        entry = TarEntry(member.filename, "file", size, "", 0, None)
        self._taking.take_entry(entry, partial(self._content, member))

    def _content(self, member: ZipInfo) -> Iterator[bytes]:
        for part in content_of(self._file, member, partial(self._tell, FindingKind.UNSAFE_ENTRY, member)):
            self._left -= len(part)
            self._opening.budget.expand(len(part))
            if self._left < 0:
                raise LimitExceeded(
                    f"expands to more than {self._opening.most} bytes (limits wheel_expanded, wheel_ratio)"
                )
            yield part

    def _link(self, member: ZipInfo) -> str | None:
        """The target of a symbolic link to another member: tools that unpack make it one, Python's importer does not.

        A link to anything else is a file for both, as far as it leads anywhere.
        """
        if member.create_system != _UNIX or not stat.S_ISLNK(member.external_attr >> 16):
            return None
        if member.file_size <= self._opening.limits.path:
            link = b"".join(self._content(member)).decode("utf-8", "surrogateescape")
            folder = posixpath.dirname(member.filename)
            if posixpath.normpath(posixpath.join(folder, link)) in self._names:
                return link
        self._tell(FindingKind.UNSAFE_ENTRY, member, "is a symbolic link to nothing in the archive; read as a file")
        return None

    def _tell(self, kind: FindingKind, member: ZipInfo, detail: str) -> None:
        self._told += 1
        if self._told <= _MOST_TOLD:
            self._taking.finding(kind, member.filename[:500], detail)
