"""A snapshot to read from."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scanner.errors import UntrustedContent, UsageError
from scanner.index import EARLIER, IndexFile, Role, Seen, Tier
from scanner.snapshot.tables import (
    ANY,
    APPLICATION,
    FORMAT,
    HELD_BY_AT_MOST,
    LINK,
    MAKE_AGAIN,
    MAKE_ONE,
    SEEN_AT_MOST,
    TABLES,
    Answer,
    Source,
    told,
)

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.limits import Limits

_MOST_INDEXES: Final = 1000
_STEPS: Final = 100_000
"""Instructions of SQLite's machine between two looks at the clock."""
_BUSY: Final = 30.0
_YEAR_9999: Final = 253_370_764_800.0
_RAW: Final = 32
"""Bytes of a raw sha256."""
_FILES: Final = """
    SELECT project, place, filename, url, content, hashes, size, requires_python, yanked, tier
    FROM files WHERE project = ? ORDER BY place
"""
_HOLDING: Final = """
    SELECT DISTINCT f.project, f.place, f.filename, f.url, f.content, f.hashes, f.size, f.requires_python, f.yanked,
        f.tier
    FROM members AS m JOIN wheels AS w ON w.id = m.wheel
    JOIN files AS f ON f.content = w.sha256 AND f.filename = w.filename JOIN projects AS p ON p.id = f.project
    WHERE m.sha256 = ? AND p.of_index = ? AND w.of_index IN (0, p.of_index)
    ORDER BY f.project, f.place LIMIT ?
"""
_SEEN: Final = """
    SELECT filename, url, content, hashes, size, requires_python, yanked, tier, first, last, upstream, not_upstream,
        built_only
    FROM seen WHERE of_index = ? AND project = ? ORDER BY last DESC LIMIT ?
"""
_EARLIER: Final = """
    SELECT count(*) FROM seen AS s WHERE s.of_index = ?
    AND EXISTS (SELECT 1 FROM wheels AS w WHERE w.sha256 = s.content AND w.filename = s.filename
        AND w.of_index IN (0, s.of_index))
    AND NOT EXISTS (SELECT 1 FROM files AS f JOIN projects AS p ON p.id = f.project
        WHERE f.content = s.content AND p.of_index = s.of_index AND p.name = s.project)
"""
_T = TypeVar("_T")


class Snapshot:
    """A snapshot to read from. Thread-safe.

    Raises :class:`UsageError` for what is no snapshot, or one of another version; :class:`UntrustedContent`, then and
    later, for one that is damaged. ``wheels`` names the form in which wheels are stored.
    """

    def __init__(self, path: Path, *, limits: Limits, wheels: str) -> None:
        self.path = path
        self._limits = limits
        self._lock = threading.RLock()
        self._deadline = 0.0
        self._connection = self._open()
        weakref.finalize(self, self._connection.close)
        try:
            self._check(wheels)
        except BaseException:
            self._connection.close()
            raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path})"

    def _open(self) -> sqlite3.Connection:
        self._check_header()
        return self._connected("ro")

    def _check_header(self) -> None:
        """SQLite's mark, and a rollback journal: a write-ahead log would be a second file, and needs write access."""
        try:
            with self.path.open("rb") as file:
                header = file.read(20)
        except OSError as problem:
            raise UsageError(f"{self.path}: cannot be read: {problem.strerror}") from problem
        if not header.startswith(b"SQLite format 3\0") or header[18:20] != b"\x01\x01":
            raise UsageError(f"{self.path}: no snapshot of an index", hint=MAKE_ONE)

    def _connected(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        with told(self.path):
            connection = sqlite3.connect(
                uri, uri=True, timeout=_BUSY, check_same_thread=False, isolation_level=None, cached_statements=64
            )
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._limits.page)
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            connection.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 0)
            connection.set_progress_handler(self._too_long, _STEPS)
            for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
                connection.execute(f"PRAGMA {pragma}")
        return connection

    def _too_long(self) -> bool:
        return time.monotonic() > self._deadline

    def _check(self, wheels: str) -> None:
        """Header, schema and the form of wheels are this program's, this version's."""
        [[application]] = self._rows("PRAGMA application_id")
        [[version]] = self._rows("PRAGMA user_version")
        if application != APPLICATION:
            raise UsageError(f"{self.path}: no snapshot of an index, another program's SQLite file", hint=MAKE_ONE)
        if version != FORMAT:
            raise UsageError(f"{self.path}: a snapshot of form {version}, this cgscan reads {FORMAT}", hint=MAKE_AGAIN)
        said = {(name, sql) for name, sql in self._rows("SELECT name, sql FROM sqlite_schema LIMIT 100")}
        if {sql for _, sql in said if sql is not None} != {*TABLES} or len(said) > len(TABLES) + 10:
            raise UsageError(f"{self.path}: a snapshot whose tables are not those of this cgscan", hint=MAKE_AGAIN)
        form = [value for [value] in self._rows("SELECT value FROM about WHERE key = 'wheels'")]
        if form != [wheels]:
            raise UsageError(f"{self.path}: a snapshot of another version of cgscan", hint=MAKE_AGAIN)

    # what is asked of it

    def sources(self) -> tuple[Source, ...]:
        """The indexes, in the order in which they came into the snapshot."""
        rows = self._rows(
            "SELECT id, name, role, kind, url, built_only, pulled FROM indexes ORDER BY id LIMIT ?", _MOST_INDEXES + 1
        )
        if len(rows) > _MOST_INDEXES:
            raise self.damaged("it has too many indexes")
        return tuple(self._source(row) for row in rows)

    def _source(self, row: Sequence[Any]) -> Source:
        number, name, role, kind, url, built_only, pulled = row
        if role not in {known.value for known in Role}:
            raise self.damaged("an index has no role that there is")
        if not all(self._typed(text, str).isprintable() for text in (name, kind, url)):
            raise self.damaged("an index is called what cannot be printed")
        [[oldest, newest, projects]] = self._rows(
            "SELECT min(asked), max(asked), count(*) FROM projects WHERE of_index = ? AND failure IS NULL", number
        )
        return Source(
            id=self._typed(number, int),
            name=name,
            role=Role(role),
            kind=kind,
            url=url,
            built_only=built_only == 1,
            pulled=self._time(pulled),
            oldest=None if oldest is None else self._time(oldest),
            newest=None if newest is None else self._time(newest),
            projects=projects,
        )

    def counted(self) -> tuple[Source, ...]:
        """The same with all numbers, for which the whole file is gone through."""
        return tuple(self._counted(source) for source in self.sources())

    def _counted(self, source: Source) -> Source:
        of = "FROM projects AS p WHERE p.of_index = ?"
        none = "AND NOT EXISTS (SELECT 1 FROM files WHERE project = p.id)"
        [[failed]] = self._rows(f"SELECT count(*) {of} AND failure IS NOT NULL", source.id)
        [[unlisted]] = self._rows(f"SELECT count(*) {of} AND failure IS NULL {none}", source.id)
        joined = "FROM projects AS p JOIN files AS f ON f.project = p.id"
        [[files]] = self._rows(f"SELECT count(*) {joined} WHERE p.of_index = ?", source.id)
        held = "SELECT 1 FROM wheels AS w WHERE w.sha256 = f.content AND w.filename = f.filename"
        [[wheels]] = self._rows(
            f"SELECT count(*) {joined} WHERE p.of_index = ? AND EXISTS ({held} AND w.of_index IN (0, p.of_index))",
            source.id,
        )
        [[earlier]] = self._rows(_EARLIER, source.id)
        return replace(source, failed=failed, unlisted=unlisted, files=files, wheels=wheels, earlier=earlier)

    def answer(self, index: int, project: NormalizedName) -> Answer | None:
        """What an index said of a project; None where it was not asked."""
        found = self._rows(
            "SELECT id, asked, failure FROM projects WHERE of_index = ? AND name = ?", index, str(project)
        )
        if not found:
            return None
        number, at, failure = found[0]
        if failure is not None:
            return Answer(at=self._time(at), files=(), failure=self._typed(failure, str))
        return Answer(at=self._time(at), files=tuple(map(self._file, self._rows(_FILES, number))))

    def _file(self, row: Sequence[Any]) -> IndexFile:
        project, place, filename, url, content, hashes, size, requires_python, yanked, tier = row
        if tier not in (None, *(known.value for known in Tier)):
            raise self.damaged("a file has no tier that there is")
        return IndexFile(
            filename=self._typed(filename, str),
            url=f"{LINK}{project}/{place}",
            shown_url=self._typed(url, str),
            hashes=self._hashes(hashes, content),
            size=None if size is None else self._typed(size, int),
            requires_python=None if requires_python is None else self._typed(requires_python, str),
            yanked=yanked == 1,
            tier=None if tier is None else Tier(tier),
        )

    def _hashes(self, text: object, content: object) -> dict[str, str]:
        """What the page had: ``content`` is its sha256 unless a text says otherwise."""
        if content is not None and len(self._typed(content, bytes)) != _RAW:
            raise self.damaged("a file's sha256")
        if text is None:
            return {"sha256": self._typed(content, bytes).hex()}
        try:
            hashes = json.loads(self._typed(text, str))
        except (ValueError, RecursionError) as problem:
            raise self.damaged("a file's hashes") from problem
        if not isinstance(hashes, dict) or not all(isinstance(value, str) for value in hashes.values()):
            raise self.damaged("a file's hashes")
        if "sha256" in hashes and (content is None or hashes["sha256"] != self._typed(content, bytes).hex()):
            raise self.damaged("a file's hashes")
        return hashes

    def seen(self, index: int, project: NormalizedName) -> tuple[Seen, ...]:
        """The wheels of a project that were looked at, last seen first."""
        return tuple(map(self._sighting, self._rows(_SEEN, index, str(project), SEEN_AT_MOST)))

    def _sighting(self, row: Sequence[Any]) -> Seen:
        first, last = self._time(row[8]), self._time(row[9])
        if first > last:
            raise self.damaged("a wheel was seen last before it was seen first")
        file = self._file((0, 0, *row[:8]))
        if file.sha256 is None:
            raise self.damaged("a wheel was seen without its sha256")
        upstream, not_upstream, built_only = row[10:]
        return Seen(
            file=file._replace(url=f"{EARLIER}{file.sha256.hex}"),
            first=first,
            last=last,
            upstream=upstream != 0,  # in doubt for PyPI
            not_upstream=not_upstream == 1,
            built_only=built_only == 1,
        )

    def content(self, file: IndexFile) -> bytes | None:
        """The raw sha256 of a file's bytes; None where nobody knows."""
        if file.sha256 is not None:
            return file.sha256.raw
        project, _, place = file.url.removeprefix(LINK).partition("/")
        if not (project.isdecimal() and place.isdecimal()):
            return None
        rows = self._rows("SELECT content FROM files WHERE project = ? AND place = ?", int(project), int(place))
        return self._typed(rows[0][0], bytes) if rows and rows[0][0] is not None else None

    def wheel(self, index: int, content: bytes, filename: str, *, proved: bool) -> bytes | None:
        """What a wheel holds, as it was stored: proved for all, or one index's word."""
        for owner in (ANY,) if proved else (ANY, index):
            rows = self._rows(
                "SELECT contents FROM wheels WHERE sha256 = ? AND filename = ? AND of_index = ?",
                content, filename, owner,
            )  # fmt: skip
            if rows:
                return self._typed(rows[0][0], bytes)
        return None

    def attestation(self, content: bytes, form: str) -> bytes | None:
        """What is signed about the bytes with this raw sha256, in one form."""
        rows = self._rows("SELECT document FROM attestations WHERE content = ? AND form = ?", content, form)
        return self._typed(rows[0][0], bytes) if rows else None

    def holding(self, index: int, member: bytes) -> tuple[IndexFile, ...]:
        """The files of an index that have a member with this raw sha256; a few hundred at most."""
        return tuple(map(self._file, self._rows(_HOLDING, member, index, HELD_BY_AT_MOST)))

    # how it is read

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a question; together no more than the limit ``page``, in no more than ``request_seconds``."""
        rows: list[tuple[Any, ...]] = []
        size = 0
        with self._lock, told(self.path):
            self._deadline = time.monotonic() + self._limits.request_seconds
            for row in self._connection.execute(sql, values):
                size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
                if size > self._limits.page:
                    raise self.damaged(f"one answer is longer than {self._limits.page} bytes (limit page)")
                rows.append(row)
        return rows

    def _typed(self, value: object, wanted: type[_T]) -> _T:
        if type(value) is not wanted:
            raise self.damaged("a value is of another type")
        return value

    def _time(self, value: object) -> float:
        """Seconds since 1970, of a year that can be written."""
        seconds = self._typed(value, float)
        if not 0 <= seconds < _YEAR_9999:
            raise self.damaged("a time is none")
        return seconds

    def damaged(self, why: str) -> UntrustedContent:
        """The error for what cannot be believed of it."""
        return UntrustedContent(f"{self.path}: the snapshot is damaged: {why}", hint=MAKE_AGAIN)
