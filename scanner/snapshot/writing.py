"""A snapshot to add to."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from scanner.index import IndexFile, Seen
from scanner.snapshot.reading import Snapshot
from scanner.snapshot.tables import APPLICATION, FORMAT, SEEN_AT_MOST, TABLES, Answer, Source, told

if TYPE_CHECKING:
    from types import TracebackType

    from packaging.utils import NormalizedName

    from scanner.limits import Limits


class WritableSnapshot(Snapshot):
    """A snapshot to add to; made where there is none. Every answer is a transaction of its own.

    Raises :class:`UsageError` where it cannot be written.
    """

    def __init__(self, path: Path, *, limits: Limits, wheels: str) -> None:
        self._wheels = wheels
        super().__init__(path, limits=limits, wheels=wheels)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock, suppress(sqlite3.Error):
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        """What a killed writer began is taken back by SQLite here."""
        with suppress(OSError):
            if self.path.stat().st_size:
                self._check_header()
        connection = self._connected("rwc")
        self._deadline = time.monotonic() + self._limits.request_seconds
        with told(self.path):
            try:
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute("BEGIN IMMEDIATE")
                [used] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                if not used:
                    for sql in (*TABLES, f"PRAGMA application_id={APPLICATION}", f"PRAGMA user_version={FORMAT}"):
                        connection.execute(sql)
                    connection.execute("INSERT INTO about VALUES ('wheels', ?)", (self._wheels,))
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
        return connection

    def add(self, source: Source) -> int:
        """Take in an index, or what is new of it; its number. ``id`` and the counts are not used."""
        with self._writing() as write:
            write.execute(
                "INSERT INTO indexes (role, url, name, kind, built_only, pulled) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (role, url) DO UPDATE SET name = excluded.name, kind = excluded.kind, "
                "built_only = excluded.built_only, pulled = excluded.pulled",
                (source.role.value, source.url, source.name, source.kind, source.built_only, float(source.pulled)),
            )
            [number] = write.execute(
                "SELECT id FROM indexes WHERE role = ? AND url = ?", (source.role.value, source.url)
            ).fetchone()
        return int(number)

    def put_answer(self, index: int, project: NormalizedName, answer: Answer) -> None:
        """Store what an index said of a project. A failure never takes the place of an answer."""
        try:
            with self._writing() as write:
                self._put_answer(write, index, str(project), answer)
        except (ValueError, OverflowError):
            failure = "it lists what cannot be stored: a name or digest that is none, or too large a number"
            with self._writing() as write:
                self._put_answer(write, index, str(project), Answer(at=answer.at, files=(), failure=failure))

    def _put_answer(self, write: sqlite3.Connection, index: int, project: str, answer: Answer) -> None:
        write.execute(
            "INSERT INTO projects (of_index, name, asked, failure) VALUES (?, ?, ?, ?) ON CONFLICT (of_index, name) "
            "DO UPDATE SET asked = excluded.asked, failure = excluded.failure "
            "WHERE excluded.failure IS NULL OR projects.failure IS NOT NULL",
            (index, project, float(answer.at), answer.failure),
        )
        if answer.failure is not None:
            return
        where = (index, project)
        [number] = write.execute("SELECT id FROM projects WHERE of_index = ? AND name = ?", where).fetchone()
        write.execute("DELETE FROM files WHERE project = ?", (number,))
        rows = [(number, place, *_columns(file)) for place, file in enumerate(answer.files)]
        write.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def put_wheel(self, owner: int, key: tuple[bytes, str], contents: bytes, members: Collection[bytes]) -> bool:
        """Store what a wheel holds. ``key`` is its raw sha256 and its file name; ``members`` are raw sha256.

        False for what is too large to be read again (limit ``page``), and is not stored.
        """
        sha256, filename = key
        if len(contents) > self._limits.page // 2:
            return False
        with self._writing() as write:
            added = write.execute(
                "INSERT OR IGNORE INTO wheels (sha256, filename, of_index, contents) VALUES (?, ?, ?, ?)",
                (sha256, filename, owner, contents),
            )
            if added.rowcount:
                rows = [(member, added.lastrowid) for member in set(members)]
                write.executemany("INSERT OR IGNORE INTO members VALUES (?, ?)", rows)
        return True

    def put_seen(self, index: int, project: NormalizedName, seen: Collection[Seen]) -> None:
        """Store when wheels were seen listed and what held of them, together with what is known of that.

        What cannot be stored is left out. Those that were not seen for the longest time make room.
        """
        with self._writing() as write:
            known = {(one.file.filename, one.file.sha256): one for one in self.seen(index, project)}
            for one in seen:
                before = known.get((one.file.filename, one.file.sha256))
                with suppress(ValueError, OverflowError):
                    write.execute(
                        "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (index, str(project), *_seen_columns(before.joined(one) if before else one)),
                    )
            write.execute(
                "DELETE FROM seen WHERE of_index = ? AND project = ? AND (filename, content) NOT IN (SELECT filename, "
                "content FROM seen WHERE of_index = ? AND project = ? ORDER BY last DESC LIMIT ?)",
                (index, str(project), index, str(project), SEEN_AT_MOST),
            )

    def put_content(self, index: int, project: NormalizedName, file: IndexFile, sha256: bytes) -> None:
        """The sha256 of a file's bytes, where its page has none."""
        with self._writing() as write:
            write.execute(
                "UPDATE files SET content = ? WHERE filename = ? AND url = ? AND hashes IS NOT NULL "
                "AND project = (SELECT id FROM projects WHERE of_index = ? AND name = ?)",
                (sha256, file.filename, file.shown_url, index, str(project)),
            )

    def put_attestation(self, content: bytes, form: str, document: bytes) -> None:
        """What is signed about the bytes with this raw sha256; in place of what was known."""
        with self._writing() as write:
            write.execute("INSERT OR REPLACE INTO attestations VALUES (?, ?, ?)", (content, form, document))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or nothing, also after a kill."""
        with self._lock, told(self.path):
            self._deadline = time.monotonic() + self._limits.index_seconds
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _columns(file: IndexFile) -> tuple[object, ...]:
    """A row of ``files`` behind its place."""
    sha256 = file.sha256
    plain = sha256 is not None and len(file.hashes) == 1
    return (
        file.filename,
        file.shown_url,
        None if sha256 is None else sha256.raw,
        None if plain else json.dumps(dict(file.hashes), sort_keys=True),
        file.size,
        file.requires_python,
        int(file.yanked),
        file.tier.value if file.tier else None,
    )


def _seen_columns(one: Seen) -> tuple[object, ...]:
    """A row of ``seen`` behind its project."""
    filename, url, content, *rest = _columns(one.file)
    flags = (int(one.upstream), int(one.not_upstream), int(one.built_only))
    return (filename, content, url, *rest, float(one.first), float(one.last), *flags)
