"""Who reads a layer at the moment: the one who claimed it first, until that is over or runs out."""

from __future__ import annotations

import threading
from typing import Protocol

from sqlalchemy import and_, delete, insert, or_, update
from sqlalchemy.exc import IntegrityError

from scanner.results.database import Database, clock
from scanner.results.tables import claims


class Claims(Protocol):
    """Claims by key. An owner is a scan; a call may raise :class:`scanner.errors.CgscanError`."""

    def claim(self, key: str, owner: str) -> bool:
        """Whether it is the owner's now."""

    def renew(self, owner: str) -> None:
        """Hold on to all that is the owner's."""

    def release(self, key: str, owner: str) -> None:
        """Give it up, if it is the owner's."""


class ClaimsHere:
    """Those of one process. They end with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[str, str] = {}

    def claim(self, key: str, owner: str) -> bool:
        """Whether it is the owner's now."""
        with self._lock:
            return self._owners.setdefault(key, owner) == owner

    def renew(self, owner: str) -> None:
        """They do not run out."""

    def release(self, key: str, owner: str) -> None:
        """Give it up."""
        with self._lock:
            if self._owners.get(key) == owner:
                del self._owners[key]


class ClaimsOfFleet:
    """Those of all who work on one database. One that is not renewed for ``seconds`` is anybody's."""

    def __init__(self, database: Database, *, seconds: float) -> None:
        self._database = database
        self._seconds = seconds

    def claim(self, key: str, owner: str) -> bool:
        """Whether it is the owner's now."""
        try:
            return self._claim(key, owner)
        except _Overtaken:
            return False

    def _claim(self, key: str, owner: str) -> bool:
        with self._database.writing() as connection:
            now = clock(connection)
            values = {"owner": owner, "until": now + self._seconds}
            free = and_(claims.c.key == key, or_(claims.c.until < now, claims.c.owner == owner))
            if connection.execute(update(claims).where(free).values(**values)).rowcount:
                return True
            if connection.execute(claims.select().where(claims.c.key == key)).first() is not None:
                return False
            try:
                connection.execute(insert(claims).values(key=key, **values))
            except IntegrityError as problem:
                raise _Overtaken from problem
            return True

    def renew(self, owner: str) -> None:
        """Hold on to all that is the owner's."""
        with self._database.writing() as connection:
            until = clock(connection) + self._seconds
            connection.execute(update(claims).where(claims.c.owner == owner).values(until=until))

    def release(self, key: str, owner: str) -> None:
        """Give it up, if it is the owner's."""
        with self._database.writing() as connection:
            connection.execute(delete(claims).where(claims.c.key == key, claims.c.owner == owner))

    def tidy(self) -> None:
        """Delete those that have run out: their owners are gone."""
        with self._database.writing() as connection:
            connection.execute(delete(claims).where(claims.c.until < clock(connection)))


class _Overtaken(Exception):
    """Somebody else claimed it between our look and our insert."""
