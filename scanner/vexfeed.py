"""A feed of OpenVEX documents at a URL or in a file: what it says of one project.

A feed is a list of documents, one for each project (Chainguard's ``all.json``), or one document. A list is asked for
by each run, on condition that it has changed; a document of it only where the list says that it was changed since.
What was had is stored; where the feed cannot be asked, or nothing may be, the stored one is used. A feed that is not
there, or is none, is a value here and no error: nothing that is said of files rests on it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urljoin, urlsplit

import msgpack  # type: ignore[import-untyped]
from backports import zstd

from scanner.http import Client, RequestFailed, masked
from scanner.indexes.pagememory import freshness, may_store, unless, validator
from scanner.vex import Statement, listed_of, statements_of

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.limits import Limits
    from scanner.store import Store

_FORMAT: Final = "vex/1"
"""Counted up when documents come to be stored otherwise."""
_KIND: Final = "vex"
_LIST: Final = "all.json"
_LEVEL: Final = 1
_FAULTS: Final = (
    ValueError, TypeError, OverflowError, RecursionError, zstd.ZstdError, msgpack.exceptions.UnpackException,
)  # fmt: skip


class _Unreadable(Exception):
    """Why a document cannot be had, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a feed says, None where it could not be had; ``problem`` is one line on what could not."""

    statements: tuple[Statement, ...] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A document in the store. ``at`` is seconds since 1970, ``fresh`` for how many it is used unasked.

    ``changed`` is when the list said that it was changed.
    """

    etag: str
    at: float
    fresh: float
    changed: str
    body: bytes = field(repr=False)


class VexFeed:
    """A feed. ``location`` is a URL of http or https, else a path; of a folder it is ``all.json`` in it."""

    def __init__(self, location: str, *, client: Client, store: Store, limits: Limits) -> None:
        self._location = _of_list(location)
        self._client = client
        self._store = store
        self._limits = limits
        self._problem: str | None = None

    @property
    def name(self) -> str:
        """The location as it may be shown."""
        return masked(self._location) if _is_url(self._location) else self._location

    def about(self, project: NormalizedName) -> Told:
        """What it says of a project."""
        try:
            data = self._document(self._location)
            listed = listed_of(data)
            if listed is not None and project not in listed:
                return Told(statements=(), problem=self._problem)
            if listed is not None:
                there, changed = listed[project]
                data = self._document(_beside(self._location, there), changed)
            return Told(statements=statements_of(data), problem=self._problem)
        except (_Unreadable, ValueError) as problem:
            return Told(problem=f"{self.name}: {problem}")

    def _document(self, location: str, changed: str = "") -> bytes:
        return self._asked(location, changed) if _is_url(location) else self._read(_path(location))

    def _read(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                data = file.read(self._limits.document + 1)
        except (OSError, ValueError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else problem
            raise _Unreadable(f"{path.name} cannot be read ({why})") from problem
        if len(data) > self._limits.document:
            raise _Unreadable(f"{path.name} is longer than {self._limits.document} bytes (limit document)")
        return data

    # over the network

    def _asked(self, url: str, changed: str) -> bytes:
        """(1) What is stored, where it is fresh or nothing may be asked; (2) else what the server has; (3) else (1)."""
        stored = self._stored(url)
        if stored is not None and (self._client.offline or _is_fresh(stored, changed)):
            return stored.body
        try:
            return self._from_server(url, changed, stored)
        except RequestFailed as problem:
            why = problem.message
        except _Unreadable as problem:
            why = str(problem)
        if stored is None:
            raise _Unreadable(why)
        self._problem = f"{why}; what was stored is used"
        return stored.body

    def _from_server(self, url: str, changed: str, stored: _Stored | None) -> bytes:
        headers = {"Accept": "application/json", **(unless(stored.etag) if stored is not None else {})}
        answer = self._client.get(url, headers=headers, max_bytes=self._limits.document)
        if answer.status == 304 and stored is not None:
            fresh = replace(stored, at=time.time(), fresh=freshness(answer.headers), changed=changed)
            self._put(url, fresh)
            return stored.body
        if answer.status != 200:
            raise _Unreadable(f"{masked(url)} was answered with status {answer.status}")
        if may_store(answer.headers):
            etag, fresh_for = validator(answer.headers), freshness(answer.headers)
            self._put(url, _Stored(etag=etag, at=time.time(), fresh=fresh_for, changed=changed, body=answer.body))
        return answer.body

    def _stored(self, url: str) -> _Stored | None:
        data = self._store.get(_KIND, f"{_FORMAT}\n{url}")
        try:
            unpacker = zstd.ZstdDecompressor()
            plain = unpacker.decompress(data or b"", self._limits.document + 4096)
            etag, at, fresh, changed, body = msgpack.unpackb(plain, use_list=False)
            return _Stored(etag=str(etag), at=float(at), fresh=float(fresh), changed=str(changed), body=bytes(body))
        except _FAULTS:
            return None

    def _put(self, url: str, one: _Stored) -> None:
        row = msgpack.packb((one.etag, one.at, one.fresh, one.changed, one.body))
        self._store.put(_KIND, f"{_FORMAT}\n{url}", zstd.compress(row, level=_LEVEL))


def _is_fresh(stored: _Stored, changed: str) -> bool:
    """By its list, or by the server's word for its first minutes."""
    return (bool(changed) and stored.changed == changed) or 0 <= time.time() - stored.at < stored.fresh


def _is_url(location: str) -> bool:
    return location.lower().startswith(("http://", "https://"))


def _path(location: str) -> Path:
    return Path(unquote(urlsplit(location).path)) if location.startswith("file:") else Path(location)


def _of_list(location: str) -> str:
    if _is_url(location):
        return location + _LIST if urlsplit(location).path.endswith("/") and "?" not in location else location
    path = _path(location)
    return str(path / _LIST if path.is_dir() else path)


def _beside(location: str, there: str) -> str:
    """Where a document of the list is; its id is a path of two plain segments."""
    return urljoin(location, there) if _is_url(location) else str(Path(location).parent / there)
