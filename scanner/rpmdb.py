"""rpm's package database -> the packages that have files in environments.

Three forms, told by their first bytes: SQLite (``rpmdb.sqlite``: rpm 4.16 and later), ndb (``Packages.db``: SUSE) and
BerkeleyDB's hash (``Packages``: RHEL 8 and older, Amazon Linux 2). All three hold one header for each package
(:mod:`scanner.rpmheader`). Sources: rpm's ``lib/backend``; Oracle's "Berkeley DB", ``db_page.h``.

What is read is hostile: no header is read that is not inside the file, all of them together are no larger than it, and
SQLite reads a copy in memory with everything switched off but reading one table.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from scanner.errors import DatabaseUnreadable
from scanner.limits import Limits
from scanner.owner import Listed, Package
from scanner.rpmheader import RpmHeader

_SQLITE: Final = b"SQLite format 3\0"
_SQLITE_STEPS: Final = 50_000_000
"""Steps of SQLite's machine; ten for a package is usual."""
_NDB: Final = b"RpmP\0\0\0\0"
_NDB_PAGE: Final = 4096
_NDB_BLOCK: Final = 16
_BDB_HASH: Final = 0x061561
_BDB_PAGE_HEADER: Final = 26
_BDB_HASH_PAGES: Final = (2, 13)
_BDB_OVERFLOW_PAGE: Final = 7
_BDB_OFF_PAGE: Final = 3
_BDB_SMALLEST: Final = 24
"""The value of the key 0 is a number, and no package."""


def read_rpmdb(data: bytes, *, limits: Limits) -> Listed:
    """The packages; of a damaged database those that could be read."""
    reading = _Reading(len(data), limits)
    try:
        for header in _headers(data):
            reading.take(header)
    except DatabaseUnreadable as problem:
        reading.fault = problem.message
    return Listed(packages=tuple(reading.found), fault=reading.fault)


class _Reading:
    """The packages of one database as they are read."""

    def __init__(self, size: int, limits: Limits) -> None:
        self.found: list[Package] = []
        self.fault = ""
        self._limits = limits
        self._left = size
        self._files = self._cost = 0

    def take(self, blob: bytes) -> None:
        """One header. Raises where all together are more than there may be."""
        self._left -= len(blob)
        if self._left < 0:
            raise DatabaseUnreadable("its packages are larger than the whole database")
        package = self._package(blob)
        if package is not None:
            self.found.append(package)
            self._cost += package.cost
        if self._cost > self._limits.kept_total:
            raise DatabaseUnreadable(f"its lists take more than {self._limits.kept_total} bytes (limit kept_total)")

    def _package(self, blob: bytes) -> Package | None:
        """A damaged header is left out, and said."""
        try:
            header = RpmHeader(blob, limits=self._limits)
            self._files += header.count
            if self._files <= self._limits.entries:
                return header.package()
            self.fault = f"it lists more than {self._limits.entries} files (limit entries)"
        except DatabaseUnreadable as problem:
            self.fault = problem.message
        return None


def _headers(data: bytes) -> Iterator[bytes]:
    if data.startswith(_SQLITE):
        return _sqlite_headers(data)
    if data.startswith(_NDB):
        return _ndb_headers(data)
    for order in "<>":
        if len(data) >= 512 and struct.unpack_from(order + "I", data, 12)[0] == _BDB_HASH:
            return _bdb_headers(data, order)
    raise DatabaseUnreadable("is no database of rpm's that is known: neither SQLite, ndb nor BerkeleyDB's hash")


# --- SQLite ---


def _sqlite_headers(data: bytes) -> Iterator[bytes]:
    # Read and write version 2 means that there is a write-ahead log; a database in memory cannot have one.
    plain = data[:18] + b"\x01\x01" + data[20:]
    steps = 0

    def tired() -> bool:
        nonlocal steps
        steps += 100_000
        return steps > _SQLITE_STEPS

    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(len(data), 1_000_000))
            connection.deserialize(plain)
            connection.set_progress_handler(tired, 100_000)
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            connection.set_authorizer(_only_reading)
            kinds = connection.execute("SELECT type, sql FROM sqlite_master WHERE name = 'Packages'").fetchmany(2)
            if [(kind, str(sql)[:13]) for kind, sql in kinds] != [("table", "CREATE TABLE ")]:
                raise DatabaseUnreadable("has no table Packages")
            for (blob,) in connection.execute("SELECT blob FROM Packages"):
                yield blob if isinstance(blob, bytes) else b""
    except (sqlite3.Error, OverflowError) as problem:
        raise DatabaseUnreadable(f"SQLite cannot read it: {problem}") from problem


def _only_reading(action: int, *_: str | None) -> int:
    allowed = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


# --- ndb: little-endian; a table of slots (magic, package, block, blocks), blobs with a header of 16 bytes ---


def _ndb_headers(data: bytes) -> Iterator[bytes]:
    pages = struct.unpack_from("<I", data, 12)[0] if len(data) >= _NDB_PAGE else 0
    if not 0 < pages <= len(data) // _NDB_PAGE:
        raise DatabaseUnreadable("its table of packages is cut off")
    for slot in range(2 * 16, pages * _NDB_PAGE, 16):
        magic, package, block, _ = struct.unpack_from("<4sIII", data, slot)
        if magic != b"Slot":
            raise DatabaseUnreadable("its table of packages is damaged")
        if package:
            yield _ndb_blob(data, package, block * _NDB_BLOCK)


def _ndb_blob(data: bytes, package: int, start: int) -> bytes:
    if start + 16 <= len(data):
        magic, owner, _, size = struct.unpack_from("<4sIII", data, start)
        if magic == b"BlbS" and owner == package and start + 16 + size <= len(data):
            return data[start + 16 : start + 16 + size]
    raise DatabaseUnreadable(f"its package {package} is cut off or damaged")


# --- BerkeleyDB's hash: pages; every second item of a hash page is a value, most are chains of overflow pages ---


def _bdb_headers(data: bytes, order: str) -> Iterator[bytes]:
    size = struct.unpack_from(order + "I", data, 20)[0]
    if size < 512 or size > 65536 or size & (size - 1):
        raise DatabaseUnreadable(f"a BerkeleyDB with pages of {size} bytes")
    for start in range(size, len(data) - size + 1, size):
        page = data[start : start + size]
        if page[25] in _BDB_HASH_PAGES:
            items = struct.unpack_from(order + "H", page, 20)[0]
            if _BDB_PAGE_HEADER + 2 * items > size:
                raise DatabaseUnreadable("a page of the BerkeleyDB is damaged")
            offsets = struct.unpack_from(f"{order}{items}H", page, _BDB_PAGE_HEADER)
            for end, item in zip(offsets[0::2], offsets[1::2], strict=False):  # items stand from the page's end down
                if item + 12 <= size and page[item] == _BDB_OFF_PAGE:
                    yield _bdb_value(data, order, size, *struct.unpack_from(order + "II", page, item + 4))
                elif end - item > _BDB_SMALLEST:
                    yield page[item + 1 : end]


def _bdb_value(data: bytes, order: str, page_size: int, page: int, size: int) -> bytes:
    """What a chain of overflow pages holds. The chain ends after ``size`` bytes, whatever it says of a next page."""
    found = bytearray()
    while len(found) < size:
        start = page * page_size
        if not page or start + page_size > len(data) or data[start + 25] != _BDB_OVERFLOW_PAGE:
            raise DatabaseUnreadable("a package of the BerkeleyDB is cut off")
        page, _, length = struct.unpack_from(order + "IHH", data, start + 16)
        if not 0 < length <= page_size - _BDB_PAGE_HEADER:
            raise DatabaseUnreadable("a page of the BerkeleyDB is damaged")
        found += data[start + _BDB_PAGE_HEADER : start + _BDB_PAGE_HEADER + length]
        if len(found) > len(data):
            raise DatabaseUnreadable("a package of the BerkeleyDB has no end")
    return bytes(found[:size])
