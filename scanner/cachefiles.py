"""What the caches of pip, uv, Poetry and PDM write beside artifacts and around them: answers, pointers, places.

Pure readers: bytes in, values out; hostile bytes give None. Forms, as real tools write them:

* *answers* of CacheControl (pip, Poetry, old PDM): ``cc=4,`` and MessagePack ``{response: {body, headers …}, vary}``;
  in ``http-v2`` the body is empty and stands in a file ``….body``. Older forms (``cc=0`` to ``cc=3``) are not read;
* answers of hishel (PDM): the same as MessagePack alone in one file each, or rows of ``http-cache.db`` (SQLite);
* *pointers* of uv: MessagePack ``[archive id, hashes, file name …]`` and then uv's notes on the answer, with the URL in
  them as plain text; ``.rev`` has a time stamp around it; ``revision.http`` is the same for source distributions.
"""

from __future__ import annotations

import contextlib
import enum
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

import msgpack  # type: ignore[import-untyped]

from scanner.digest import Digest
from scanner.errors import DatabaseUnreadable, UsageError
from scanner.limits import KIB, Limits

POINTER_SIZE: Final = 64 * KIB
"""uv's pointers are a few hundred bytes."""
_SMALL: Final = 64 * KIB
_ITEMS: Final = 1000
_SQLITE_STEPS: Final = 5_000_000
FAULTS: Final = (ValueError, TypeError, LookupError, RecursionError, OverflowError, msgpack.UnpackException)
_ANSWER: Final = re.compile(rb"cc=4,")
_OLD_ANSWER: Final = re.compile(rb"cc=[0-3],")
_URL: Final = re.compile(
    rb"https?://[!-~]{1,2000}?\.(?:whl|tar\.gz|zip|tgz|tar\.bz2)(?:#sha256=(?P<sha256>[0-9a-f]{64}))?"
)
_HASHED: Final = re.compile(r"(?:.*/)?[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{2}/(?:[0-9a-f]{50}|[0-9a-f]{58})")
_ANSWERS: Final = re.compile(r"(?:.*/)?[0-9a-f](?:/[0-9a-f]){4}")
_ANSWER_NAME: Final = re.compile(r"[0-9a-f]{56}(?P<body>\.body)?")
_HISHEL_NAME: Final = re.compile(r"[0-9a-f]{32}")
_UV_WHEELS: Final = re.compile(r"(?:.*/)?(?:built-)?wheels-v\d+(?:/.*)?")
_UV_SDISTS: Final = re.compile(r"(?:.*/)?sdists-v\d+(?:/.*)?")
_SDISTS: Final = (".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz")
HISHEL_DATABASE: Final = "http-cache.db"


class Store(enum.Enum):
    """What kind of folder of a cache a path is, by its form; what is not a cache's is none of these."""

    ANSWERS = "answers"
    """``…/a/b/c/d/e`` with files ``abcde…`` of 56 hex digits: CacheControl's."""
    HASHED = "hashed"
    """``…/aa/bb/cc/<rest of a sha224 or sha256>``: wheels and source archives of pip, Poetry and PDM."""
    HISHEL = "hishel"
    """``http``: PDM's answers."""
    UV_WHEELS = "uv-wheels"
    UV_SDISTS = "uv-sdists"

    @classmethod
    def of(cls, folder: str) -> Store | None:
        """Read it off a folder's path."""
        if _ANSWERS.fullmatch(folder):
            return cls.ANSWERS
        if _HASHED.fullmatch(folder):
            return cls.HASHED
        if folder == "http" or folder.endswith("/http"):
            return cls.HISHEL
        if "wheels-v" in folder and _UV_WHEELS.fullmatch(folder):
            return cls.UV_WHEELS
        return cls.UV_SDISTS if "sdists-v" in folder and _UV_SDISTS.fullmatch(folder) else None

    def is_answer(self, name: str, folder: str) -> bool:
        """Whether a file is an answer with its body inside, or the head of one."""
        if self is Store.HISHEL:
            return name == HISHEL_DATABASE or _HISHEL_NAME.fullmatch(name) is not None
        found = _ANSWER_NAME.fullmatch(name) if self is Store.ANSWERS else None
        return found is not None and not found["body"] and _is_below_its_digits(name, folder)

    def is_body(self, name: str, folder: str) -> bool:
        """Whether a file is the body of an answer."""
        found = _ANSWER_NAME.fullmatch(name) if self is Store.ANSWERS else None
        return found is not None and found["body"] is not None and _is_below_its_digits(name, folder)

    def is_pointer(self, name: str) -> bool:
        """Whether a file is uv's note on where it has an artifact from."""
        if self is Store.UV_WHEELS:
            return name.endswith((".http", ".rev"))
        return self is Store.UV_SDISTS and name in ("revision.http", "revision.rev")

    def is_archive(self, name: str) -> bool:
        """Whether a file is an artifact under its own name."""
        if name.endswith(".whl"):
            return self in (Store.HASHED, Store.UV_SDISTS, Store.UV_WHEELS)
        return self is Store.HASHED and name.endswith(_SDISTS)


def _is_below_its_digits(name: str, folder: str) -> bool:
    return folder.replace("/", "").endswith(name[:5])


# --- answers ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of an index as a cache has it. Header names are lower-case; ``url`` is without secrets, if it is known.

    ``part`` names it in a file that holds several.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    part: str = ""

    @property
    def is_said_a_wheel(self) -> bool:
        """Whether its headers or its URL say that it is a wheel."""
        disposition = self.headers.get("content-disposition", "").lower()
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        named = (self.url or "").endswith(".whl") or re.search(r"filename\S*\.whl\b", disposition)
        return bool(named) or kind in ("application/x-wheel+zip", "application/x-python-wheel")


def is_of_an_old_form(data: bytes) -> bool:
    """Whether it is an answer in a form that is not read: of pip before 10, in 2018."""
    return _OLD_ANSWER.match(data) is not None


def read_answer(data: bytes) -> Answer | None:
    """CacheControl's or hishel's one answer in one file; None for anything else."""
    found = _ANSWER.match(data)
    try:
        return _answer(data, found.end() if found else 0)
    except FAULTS:
        return None


def _answer(data: bytes, start: int) -> Answer | None:
    response: dict[str, memoryview] = {}
    url = None
    for name, value in _fields(memoryview(data)[start:]):
        if name == "response":
            response = dict(_fields(value))
        elif name == "request":
            url = _text(dict(_fields(value)).get("url"))
    body = response.get("body", response.get("content"))
    if body is None:
        return None
    return Answer(body=bytes(_binary(body)), headers=_headers(response.get("headers")), url=without_secrets(url))


def _fields(data: memoryview) -> Iterator[tuple[str, memoryview]]:
    """The items of a MessagePack map, their values unread: nothing is built of what nobody asked for."""
    unpacker = msgpack.Unpacker(max_buffer_size=max(len(data), 1), max_str_len=_SMALL, strict_map_key=False)
    unpacker.feed(data)
    count = unpacker.read_map_header()
    if count > _ITEMS:
        raise ValueError("more fields than an answer has")
    for _ in range(count):
        name = unpacker.unpack()
        start = unpacker.tell()
        unpacker.skip()
        if isinstance(name, str):
            yield name, data[start : unpacker.tell()]


_LENGTHS: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""How many bytes the length takes, of MessagePack's binary and string forms by their first byte."""


def _binary(value: memoryview) -> memoryview:
    """The bytes of one binary or string value, which is all of ``value``."""
    if 0xA0 <= value[0] <= 0xBF:
        return value[1:]
    return value[1 + _LENGTHS[value[0]] :]


def _text(value: memoryview | None) -> str | None:
    if value is None or len(value) > _SMALL:
        return None
    return bytes(_binary(value)).decode("utf-8", "replace")


def _small(value: memoryview | bytes) -> object:
    """A small value, built."""
    if len(value) > _SMALL:
        raise ValueError("too large to be headers")
    unpacked: object = msgpack.unpackb(
        bytes(value), raw=True, strict_map_key=False, max_array_len=_ITEMS, max_map_len=_ITEMS
    )
    return unpacked


def _headers(value: memoryview | None) -> dict[str, str]:
    """Of a map of names to values, or of a list of pairs; what is neither has none."""
    headers = _small(value) if value is not None else None
    pairs = headers.items() if isinstance(headers, dict) else headers if isinstance(headers, list) else ()
    return {
        name.decode("latin-1").lower(): content.decode("latin-1")
        for name, content in pairs
        if isinstance(name, bytes) and isinstance(content, bytes)
    }


# --- hishel's database ---


def read_answers(database: bytes, limits: Limits) -> Iterator[Answer]:
    """The answers in hishel's SQLite file; :class:`scanner.errors.DatabaseUnreadable` where they cannot be read on."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            yield from _rows(connection, database, limits)
        except (sqlite3.Error, *FAULTS) as problem:
            raise DatabaseUnreadable(f"the answers in it cannot be read to the end: {problem}") from problem


def _rows(connection: sqlite3.Connection, database: bytes, limits: Limits) -> Iterator[Answer]:
    if database[18:20] != b"\1\1":  # a write-ahead log is a file of its own, and what is in this one counts
        database = b"".join((database[:18], b"\1\1", database[20:]))
    connection.deserialize(database)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.archive)
    steps = iter(range(_SQLITE_STEPS // 1000))
    connection.set_progress_handler(lambda: next(steps, None) is None, 1000)
    left = limits.archive
    for number, (key, head) in enumerate(connection.execute("SELECT id, data FROM entries")):
        answer = _row(connection, bytes(key), bytes(head), left, number)
        left -= len(answer.body)
        yield answer


def _row(connection: sqlite3.Connection, key: bytes, head: bytes, most: int, number: int) -> Answer:
    pieces = connection.execute(
        "SELECT chunk_data FROM streams WHERE entry_id = ? AND chunk_number >= 0 ORDER BY chunk_number", (key,)
    )
    body = bytearray()
    for (piece,) in pieces:
        body += bytes(piece)
        if len(body) > most:
            raise ValueError("they are larger than the limit archive")
    url, headers = read_head(head)
    part = f"{number}/{unquote((url or '').rpartition('/')[2])}".rstrip("/")
    return Answer(body=bytes(body), headers=headers, url=url, part=part)


def read_head(head: bytes) -> tuple[str | None, dict[str, str]]:
    """URL (without secrets) and headers of an entry of hishel's database; ValueError and its kin for what is none."""
    fields = dict(_fields(memoryview(head)))
    request = dict(_fields(fields["request"])) if "request" in fields else {}
    response = dict(_fields(fields["response"])) if "response" in fields else {}
    return without_secrets(_text(request.get("url"))), _headers(response.get("headers"))


# --- uv's pointers ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Where uv says that it has an artifact from. ``folder`` is the archive's id, or that of a revision of an sdist."""

    folder: str
    sha256: Digest | None
    url: str | None


def read_pointer(data: bytes) -> Pointer | None:
    """A ``.http``, ``.rev`` or ``revision.http`` of uv; None for anything else."""
    if len(data) > POINTER_SIZE:
        return None
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=POINTER_SIZE, strict_map_key=False)
    unpacker.feed(data)
    try:
        said = unpacker.unpack()
    except FAULTS:
        return None
    if isinstance(said, list) and len(said) == 2 and isinstance(said[1], list) and isinstance(said[0], list):
        said = said[1]  # a time stamp, and then the pointer
    if not isinstance(said, list) or len(said) < 2 or not isinstance(said[0], bytes):
        return None
    found = _URL.search(data, unpacker.tell())
    url = found[0].decode("ascii") if found else None
    return Pointer(
        folder=said[0].decode("ascii", "replace"),
        sha256=_sha256(said[1]) or _digest((found and found["sha256"]) or b""),
        url=without_secrets(url),
    )


def _sha256(hashes: object) -> Digest | None:
    """Of ``[{Sha256: hex} …]``."""
    for one in hashes if isinstance(hashes, list) else ():
        value = one.get(b"Sha256") if isinstance(one, dict) else None
        if isinstance(value, bytes):
            return _digest(value)
    return None


def _digest(text: bytes) -> Digest | None:
    try:
        return Digest.parse(f"sha256:{text.decode('ascii', 'replace')}")
    except UsageError:
        return None


def without_secrets(url: str | None) -> str | None:
    """A URL without user, password, query and fragment; None for what is none that the web has."""
    try:
        parts = urlsplit((url or "")[:2000])
    except ValueError:
        return None
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return bare if parts.scheme in ("http", "https") and bare.isprintable() else None
