"""hishel's database of answers, as PDM keeps it: ``http/http-cache.db``, SQLite with a write-ahead log.

An artifact is the rows of ``streams`` to one of ``entries``. What is deleted are the entries whose bytes have the
planned sha256, in one transaction: all of it or nothing. The number of a row in a plan says nothing, it may be
another's by now.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from scanner.cachefiles import FAULTS, read_head
from scanner.digest import Digest
from scanner.errors import NotDeleted
from scanner.manager import Deleted
from scanner.toolstores import notes
from scanner.toolstores.forms import Form
from scanner.toolstores.locks import PATIENCE
from scanner.toolstores.places import Place

if TYPE_CHECKING:
    from scanner.limits import Limits
    from scanner.stale import LocalCopy

_STEPS: Final = 50_000_000
"""Of SQLite's machine: a damaged or hostile file must not keep it busy."""


def delete(store: Place, form: Form, copy: LocalCopy, limits: Limits) -> Deleted:
    """(1) Alone in the database; (2) the entries with these bytes; (3) the notes on their URLs; (4) delete them."""
    if copy.sha256 is None:
        raise NotDeleted(f"{copy.path}: not deleted: the plan has no sha256 for it, so which one it is cannot be told")
    with store.below(form.folder) as folder, _opened(folder, form.name, limits) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            found = [(key, url) for key, url, body in _entries(connection) if body == copy.sha256]
            for key, url in found:
                notes.forget(store, form, copy, url)
                connection.execute("DELETE FROM streams WHERE entry_id = ?", (key,))
                connection.execute("DELETE FROM entries WHERE id = ?", (key,))
            connection.execute("COMMIT")
        except (sqlite3.Error, TypeError) as problem:
            raise NotDeleted(f"{folder.path}/{form.name}: not deleted: {problem}") from problem
    return Deleted.GONE if found else Deleted.ALREADY_GONE


@contextlib.contextmanager
def _opened(folder: Place, name: str, limits: Limits) -> Iterator[sqlite3.Connection]:
    """The database, which SQLite opens by its path: through the folder that is open, so that no link comes between."""
    with folder.reading(name):  # a file, and no link
        pass
    place = f"/proc/self/fd/{folder.descriptor}"
    path = f"{place if os.path.isdir(place) else folder.path}/{name}"  # noqa: PTH112 - a link of the kernel's
    uri = f"file:{quote(path)}?mode=rw"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    except sqlite3.Error as problem:
        raise NotDeleted(f"{folder.path}/{name}: not deleted: {problem}") from problem
    with contextlib.closing(connection):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.archive)
        steps = iter(range(_STEPS // 1000))
        connection.set_progress_handler(lambda: next(steps, None) is None, 1000)
        yield connection


def _entries(connection: sqlite3.Connection) -> Iterator[tuple[bytes, str | None, Digest]]:
    """Key, URL and the sha256 of the body of every entry."""
    for key, head in connection.execute("SELECT id, data FROM entries").fetchall():
        digest = hashlib.sha256()
        pieces = "SELECT chunk_data FROM streams WHERE entry_id = ? AND chunk_number >= 0 ORDER BY chunk_number"
        for (piece,) in connection.execute(pieces, (key,)):
            digest.update(piece)
        yield key, _url(head), Digest("sha256", digest.hexdigest())


def _url(head: bytes) -> str | None:
    try:
        return read_head(head)[0]
    except FAULTS:
        return None
