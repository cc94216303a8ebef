"""The tables of a snapshot, the values in them, and SQLite's errors as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scanner.errors import UntrustedContent, UsageError
from scanner.index import IndexFile, Role

APPLICATION: Final = 0x63676978
"""``cgix``, in the header of the file (``PRAGMA application_id``)."""
FORMAT: Final = 2
"""``PRAGMA user_version``; counted up when the tables change."""
ANY: Final = 0
"""In place of an index: what was proved by all of the bytes."""
HELD_BY_AT_MOST: Final = 300
SEEN_AT_MOST: Final = 300
"""Wheels of one project of which it is kept when they were seen listed."""
LINK: Final = "cgindex:"
"""What URLs of files start with that come out of a snapshot: there is nothing to be asked there."""

TABLES: Final = (
    "CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE indexes (id INTEGER PRIMARY KEY, role TEXT NOT NULL, url TEXT NOT NULL, name TEXT NOT NULL,
        kind TEXT NOT NULL, built_only INTEGER NOT NULL, pulled REAL NOT NULL, UNIQUE (role, url))""",
    """CREATE TABLE projects (id INTEGER PRIMARY KEY, of_index INTEGER NOT NULL, name TEXT NOT NULL,
        asked REAL NOT NULL, failure TEXT, UNIQUE (of_index, name))""",
    """CREATE TABLE files (project INTEGER NOT NULL, place INTEGER NOT NULL, filename TEXT NOT NULL, url TEXT NOT NULL,
        content BLOB, hashes TEXT, size INTEGER, requires_python TEXT, yanked INTEGER NOT NULL, tier TEXT,
        PRIMARY KEY (project, place)) WITHOUT ROWID""",
    "CREATE INDEX files_by_content ON files (content)",
    """CREATE TABLE wheels (id INTEGER PRIMARY KEY, sha256 BLOB NOT NULL, filename TEXT NOT NULL,
        of_index INTEGER NOT NULL, contents BLOB NOT NULL, UNIQUE (sha256, filename, of_index))""",
    """CREATE TABLE seen (of_index INTEGER NOT NULL, project TEXT NOT NULL, filename TEXT NOT NULL,
        content BLOB NOT NULL, url TEXT NOT NULL, hashes TEXT, size INTEGER, requires_python TEXT,
        yanked INTEGER NOT NULL, tier TEXT, first REAL NOT NULL, last REAL NOT NULL, upstream INTEGER NOT NULL,
        not_upstream INTEGER NOT NULL, built_only INTEGER NOT NULL,
        PRIMARY KEY (of_index, project, filename, content)) WITHOUT ROWID""",
    "CREATE TABLE members (sha256 BLOB NOT NULL, wheel INTEGER NOT NULL, PRIMARY KEY (sha256, wheel)) WITHOUT ROWID",
    """CREATE TABLE attestations (content BLOB NOT NULL, form TEXT NOT NULL, document BLOB NOT NULL,
        PRIMARY KEY (content, form)) WITHOUT ROWID""",
)
MAKE_AGAIN: Final = "make it again with 'cgscan index pull'"
_OF_THE_PLACE: Final = ("unable to open", "locked", "is full", "disk I/O")
"""Words in SQLite's messages that are about the file's place, not about what is in it."""
MAKE_ONE: Final = "'cgscan index pull' makes one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An index that a snapshot has answers of. Times are seconds since 1970, None where there is no answer.

    ``projects`` were answered, ``unlisted`` of them with "there is none"; ``failed`` were asked in vain. ``earlier``
    are wheels that were listed once and are not any more.
    """

    id: int
    name: str
    role: Role
    kind: str
    url: str
    built_only: bool
    pulled: float
    oldest: float | None = None
    newest: float | None = None
    projects: int = 0
    unlisted: int = 0
    failed: int = 0
    files: int = 0
    wheels: int = 0
    earlier: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an index said of a project at a time: its files, or why it did not answer."""

    at: float
    files: tuple[IndexFile, ...]
    failure: str | None = None


@contextmanager
def told(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: who cannot open or write must do something else than who has a damaged file."""
    try:
        yield
    except UnicodeDecodeError as problem:  # of a name in the schema, or in SQLite's own message
        raise UntrustedContent(f"{path}: the snapshot is damaged: a text is none", hint=MAKE_AGAIN) from problem
    except sqlite3.Error as problem:
        text = " ".join(str(problem).split())[:200]
        if "readonly database" in text:
            hint = "a pull into it was ended in its middle: run it again, and it goes on from there"
            raise UsageError(f"{path}: cannot be read or written as it is: {text}", hint=hint) from problem
        if any(word in text for word in _OF_THE_PLACE):
            raise UsageError(f"{path}: {text}", hint="look at the folder, its rights and its room") from problem
        if "not a database" in text:
            raise UsageError(f"{path}: no snapshot of an index", hint=MAKE_ONE) from problem
        raise UntrustedContent(f"{path}: the snapshot is damaged: {text}", hint=MAKE_AGAIN) from problem
