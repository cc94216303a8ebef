"""What the fleet remembers: a table of the database, bounded; what was used least recently goes first.

A value stands behind the sha256 of itself with its kind and key, so one that is damaged, or stands at another's place,
is none, and goes. A value that is there is not written again: under one key there can only be one.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from scanner.results.database import Database, clock
from scanner.results.tables import remembered

_USED: Final = 3600.0
"""Seconds after which it is written down again that a value was used."""
_ROW: Final = 256
"""Bytes that a row takes beside its value, about."""
_AT_ONCE: Final = 500
_CHECKSUM: Final = 32


class Remembered:
    """The values of a database, ``most`` bytes of them. What the database cannot do is a
    :class:`scanner.errors.DatabaseFailed`.
    """

    def __init__(self, database: Database, *, most: int) -> None:
        self._database = database
        self._most = most
        self._lock = threading.Lock()
        self._unchecked = most // 16
        """Bytes that may be written before all values are counted again."""

    def get(self, kind: str, key: bytes) -> bytes | None:
        """The value; None where there is none, or a damaged one."""
        here = _place(kind, key)
        with self._database.reading() as connection:
            columns = select(remembered.c.data, remembered.c.used)
            row = connection.execute(columns.where(here)).one_or_none()
            if row is None:
                return None
            now = clock(connection)
        data = row.data[_CHECKSUM:]
        if row.data[:_CHECKSUM] != _checksum(kind, key, data):
            self._forget(here)
            return None
        if row.used < now - _USED:
            with self._database.writing() as connection:
                connection.execute(update(remembered).where(here).values(used=now))
        return bytes(data)

    def _forget(self, here: ColumnElement[bool]) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(remembered).where(here))

    def put(self, kind: str, key: bytes, data: bytes) -> bool:
        """Remember a value; whether it was new."""
        try:
            new = self._put(kind, key, data)
        except _Overtaken:
            return False
        if new:
            self._keep_to_bound(len(data) + _ROW)
        return new

    def _put(self, kind: str, key: bytes, data: bytes) -> bool:
        with self._database.writing() as connection:
            if connection.execute(select(remembered.c.size).where(_place(kind, key))).first() is not None:
                return False
            sealed, now = _checksum(kind, key, data) + data, clock(connection)
            row = {"kind": kind, "key": key.hex(), "data": sealed, "size": len(data) + _ROW, "used": now}
            try:
                connection.execute(insert(remembered).values(**row))
            except IntegrityError as problem:
                raise _Overtaken from problem
            return True

    def _keep_to_bound(self, written: int) -> None:
        with self._lock:
            self._unchecked -= written
            if self._unchecked > 0:
                return
            self._unchecked = self._most // 16
        self.tidy()

    def tidy(self) -> int:
        """Where there is too much, forget what was used least recently, down to four fifths; how many values."""
        with self._database.reading() as connection:
            total = int(connection.execute(select(func.coalesce(func.sum(remembered.c.size), 0))).scalar_one())
        over = total - self._most * 4 // 5 if total > self._most else 0
        gone = 0
        while over > 0:
            sizes = self._forget_oldest(over)
            if not sizes:
                break  # another process is at it
            gone += len(sizes)
            over -= sum(sizes)
        return gone

    def _forget_oldest(self, over: int) -> list[int]:
        """Some of them, of ``over`` bytes or a little more; the bytes of each."""
        columns = select(remembered.c.kind, remembered.c.key, remembered.c.size)
        oldest = columns.order_by(remembered.c.used, remembered.c.key).limit(_AT_ONCE).with_for_update(skip_locked=True)
        sizes: list[int] = []
        with self._database.writing() as connection:
            for kind, key, size in connection.execute(oldest).all():
                if sum(sizes) >= over:
                    break
                connection.execute(delete(remembered).where(_place(kind, bytes.fromhex(key))))
                sizes.append(size)
        return sizes


def _place(kind: str, key: bytes) -> ColumnElement[bool]:
    return and_(remembered.c.kind == kind, remembered.c.key == key.hex())


def _checksum(kind: str, key: bytes, data: bytes) -> bytes:
    return hashlib.sha256(b"\n".join((kind.encode(), key, data))).digest()


class _Overtaken(Exception):
    """Another process put the same value between our look and our insert."""
