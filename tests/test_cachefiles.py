"""Answers, pointers and databases of caches: the forms that real tools write, and bytes that only look like them."""

from __future__ import annotations

import sqlite3
import tracemalloc
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.cachefiles import (
    Store,
    is_of_an_old_form,
    read_answer,
    read_answers,
    read_pointer,
    without_secrets,
)
from scanner.digest import Digest
from scanner.errors import DatabaseUnreadable
from scanner.limits import DEFAULT_LIMITS, Limits

NAME = "0" * 5 + "f" * 51
SHA256 = "ab" * 32
URL = "https://libraries.example/python/simple/demo/1.0/demo-1.0-py3-none-any.whl"


def cachecontrol(body: bytes, **headers: str) -> bytes:
    """An answer as CacheControl writes it."""
    response = {"body": body, "headers": headers, "status": 200, "version": 11, "reason": "OK", "decode_content": False}
    return b"cc=4," + packed({"response": response, "vary": {}})


def hishel(body: bytes, url: str) -> bytes:
    """An answer as hishel 0 writes it."""
    response = {"status": 200, "headers": [[b"Content-Type", b"application/octet-stream"]], "content": body}
    return packed({"response": response, "request": {"method": "GET", "url": url, "headers": []}, "metadata": {}})


def packed(value: object) -> bytes:
    data: bytes = msgpack.packb(value)
    return data


# --- places ---


@pytest.mark.parametrize(
    ("folder", "store"),
    [
        ("root/.cache/pip/http-v2/0/0/0/0/0", Store.ANSWERS),
        ("0/1/2/3/f", Store.ANSWERS),
        ("cache/repositories/pypi/_http/a/b/c/d/e", Store.ANSWERS),
        ("pip/wheels/aa/bb/cc/" + "d" * 50, Store.HASHED),
        ("pypoetry/artifacts/aa/bb/cc/" + "d" * 58, Store.HASHED),
        ("pdm/http", Store.HISHEL),
        ("uv/wheels-v8/pypi/demo", Store.UV_WHEELS),
        ("uv/built-wheels-v3/pypi/demo/1.0/x", Store.UV_WHEELS),
        ("uv/sdists-v11/pypi/demo/1.0", Store.UV_SDISTS),
        ("usr/lib/python3.11/site-packages/demo", None),
        ("aa/bb/cc/" + "d" * 40, None),
        ("uv/wheels-vx", None),
        ("uv/archive-v0/id", None),
    ],
)
def test_places(folder: str, store: Store | None) -> None:
    assert Store.of(folder) is store


def test_files_of_a_place() -> None:
    folder = "x/0/0/0/0/0"
    assert Store.ANSWERS.is_answer(NAME, folder)
    assert Store.ANSWERS.is_body(NAME + ".body", folder)
    assert not Store.ANSWERS.is_answer(NAME + ".body", folder)
    assert not Store.ANSWERS.is_answer(NAME, "x/0/0/0/0/1"), "its first digits are its folders"
    assert not Store.ANSWERS.is_body("demo.body", folder)
    assert Store.UV_WHEELS.is_pointer("1.0-py3-none-any.http")
    assert Store.UV_WHEELS.is_pointer("1.0-py3-none-any.rev")
    assert not Store.UV_WHEELS.is_pointer("1.0-py3-none-any.msgpack")
    assert Store.UV_SDISTS.is_pointer("revision.http")
    assert not Store.UV_SDISTS.is_pointer("other.http")
    assert Store.HASHED.is_archive("demo-1.0.tar.gz")
    assert not Store.UV_SDISTS.is_archive("demo-1.0.tar.gz")


# --- answers ---


def test_an_answer_of_cachecontrol() -> None:
    answer = read_answer(cachecontrol(b"PK\3\4 body", **{"Content-Type": "text/html; charset=utf-8"}))
    assert answer is not None
    assert answer.body == b"PK\3\4 body"
    assert answer.headers == {"content-type": "text/html; charset=utf-8"}
    assert answer.url is None
    assert not answer.is_said_a_wheel


@pytest.mark.parametrize("size", [0, 1, 31, 255, 256, 65535, 65536, 100_000])
def test_bodies_of_any_length(size: int) -> None:
    answer = read_answer(cachecontrol(b"x" * size))
    assert answer is not None
    assert answer.body == b"x" * size


def test_an_answer_of_hishel_says_where_it_is_from() -> None:
    answer = read_answer(hishel(b"PK", URL.replace("://", "://user:secret@") + "?token=secret#x"))
    assert answer is not None
    assert (answer.body, answer.url, answer.is_said_a_wheel) == (b"PK", URL, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Disposition": 'attachment; filename="demo-1.0-py3-none-any.whl"'},
        {"Content-Type": "application/x-wheel+zip"},
    ],
)
def test_headers_that_say_it_is_a_wheel(headers: dict[str, str]) -> None:
    answer = read_answer(cachecontrol(b"", **headers))
    assert answer is not None
    assert answer.is_said_a_wheel


def test_old_forms_are_told_and_not_read() -> None:
    for number in range(4):
        data = f"cc={number},".encode() + b"whatever"
        assert is_of_an_old_form(data)
        assert read_answer(data) is None
    assert not is_of_an_old_form(cachecontrol(b""))


HOSTILE: list[Any] = [
    b"",
    b"cc=4,",
    b"cc=4," + packed([1, 2]),
    b"cc=4," + packed({"response": 3}),
    b"cc=4," + packed({"response": {"headers": {}}}),
    b"cc=4," + packed({"response": {"body": 7}}),
    b"cc=4," + packed({"response": {"body": b"x", "headers": 5}}),
    cachecontrol(b"x" * 100)[:-60],
    b"\xdf\xff\xff\xff\xff",  # a map of four thousand million items
    b"\x81\xa8response\xdd\xff\xff\xff\xff",
    b"\x81\xa8response\x81\xa4body\xc6\xff\xff\xff\xffx",
    b"cc=4," + b"\x91" * 100_000,
    b"cc=4,\x81\xa8response" + b"\x81\xa1a" * 100_000,
]


@pytest.mark.parametrize("data", HOSTILE)
def test_what_only_begins_like_an_answer(data: bytes) -> None:
    answer = read_answer(data)
    assert answer is None or answer.headers == {}


def test_memory_of_many_small_values_is_bounded() -> None:
    """Ten million empty lists would be half a gigabyte of objects; nobody asked for them."""
    many = b"\xdd" + (10_000_000).to_bytes(4, "big") + b"\x90" * 10_000_000
    tracemalloc.start()
    try:
        for data in (
            b"\x82\xa4vary" + many + b"\xa8response\x81\xa4body\xc4\x01x",
            b"\x81\xa8response\x81\xa7headers" + many,
        ):
            read_answer(data)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    read_answer(data)
    read_answer(b"cc=4," + data)
    read_pointer(data)


# --- pointers ---


def policy(url: str) -> bytes:
    """What uv writes behind a pointer: bytes with the URL among them."""
    return b"\0\1\xffabc\x80" + url.encode() + b"\0\0\xff\xff"


@pytest.mark.parametrize(
    ("data", "sha256", "url"),
    [
        # uv 0.13
        (packed(["id", [{"Sha256": SHA256}], "demo-1.0-py3-none-any.whl", 0, 9]) + policy(URL), SHA256, URL),
        # uv 0.9 does not hash what needs no hash
        (packed(["id", [], "demo-1.0-py3-none-any.whl", 0]) + policy(URL), None, URL),
        # uv 0.4
        (packed(["id", []]) + policy(f"{URL}#sha256={SHA256}"), SHA256, URL),
        # a wheel of this machine, with the time of its file
        (packed([[1795382596, 547824882], ["id", [], "demo-1.0-py3-none-any.whl", 0, None]]), None, None),
    ],
)
def test_pointers_of_uv(data: bytes, sha256: str | None, url: str | None) -> None:
    pointer = read_pointer(data)
    assert pointer is not None
    assert pointer.folder == "id"
    assert pointer.sha256 == (Digest("sha256", sha256) if sha256 else None)
    assert pointer.url == url


def test_the_url_of_a_source_distribution_and_without_its_password() -> None:
    said = "https://user:secret@host.example/x/demo-1.0.tar.gz"
    pointer = read_pointer(packed(["rev", [{"Sha256": SHA256}], 5]) + policy(said))
    assert pointer is not None
    assert pointer.url == "https://host.example/x/demo-1.0.tar.gz"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        packed({}),
        packed("text"),
        packed([]),
        packed([1, 2]),
        packed([[], []]),
        packed(["id", [{"Sha256": "short"}]])[:-2],
        packed(["id", [{}] * 70_000]),
        b"\x91" * 5000,
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_what_is_no_pointer(data: bytes) -> None:
    assert read_pointer(data) is None


def test_a_wrong_digest_is_none() -> None:
    pointer = read_pointer(packed(["id", [{"Sha256": "short"}, 7]]))
    assert pointer is not None
    assert pointer.sha256 is None


@pytest.mark.parametrize("url", ["", None, "file:///etc/passwd", "https://[x", "https://a/\x07b", "ftp://h/x"])
def test_what_the_web_does_not_have(url: str | None) -> None:
    assert without_secrets(url) is None


# --- hishel's database ---


def database(folder: Path, bodies: dict[str, list[bytes]], *, wal: bool = False) -> bytes:
    """A database as hishel 1 writes it: URLs and the pieces of their bodies."""
    path = folder / "http-cache.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE entries (id BLOB PRIMARY KEY, cache_key BLOB, data BLOB NOT NULL)")
        connection.execute("CREATE TABLE streams (entry_id BLOB, chunk_number INTEGER, chunk_data BLOB)")
        for number, (url, pieces) in enumerate(bodies.items()):
            key = number.to_bytes(16, "big")
            head = packed({"id": key, "request": {"url": url}, "response": {"status_code": 200, "headers": {}}})
            connection.execute("INSERT INTO entries VALUES (?, ?, ?)", (key, b"", head))
            for at, piece in enumerate(pieces):
                connection.execute("INSERT INTO streams VALUES (?, ?, ?)", (key, at, piece))
            connection.execute("INSERT INTO streams VALUES (?, -1, ?)", (key, b""))
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize("wal", [False, True])
def test_answers_of_a_database(tmp_path: Path, wal: bool) -> None:
    data = database(tmp_path, {URL: [b"PK", b"34"], "https://host/simple/demo/": [b"<html>"]}, wal=wal)
    first, second = read_answers(data, DEFAULT_LIMITS)
    assert (first.body, first.url, first.part) == (b"PK34", URL, "0/demo-1.0-py3-none-any.whl")
    assert (second.body, second.part) == (b"<html>", "1")


def test_what_is_no_such_database(tmp_path: Path) -> None:
    whole = database(tmp_path, {URL: [b"PK" * 5000]})
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE other (id)")
    connection.close()
    for data in (b"", b"SQLite", b"x" * 5000, whole[:5000], other.read_bytes()):
        with pytest.raises(DatabaseUnreadable):
            list(read_answers(data, DEFAULT_LIMITS))


def test_a_database_that_gives_more_than_it_is(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreadable, match="limit archive"):
        list(read_answers(database(tmp_path, {URL: [b"x" * 90_000] * 3}), Limits(archive=200_000)))
