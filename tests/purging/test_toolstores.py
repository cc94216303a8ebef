"""Entries of caches made by hand: what is none, links, locks, bytes that changed, deletions that were killed."""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from packaging.utils import NormalizedName

from scanner import toolstores
from scanner.digest import Digest
from scanner.errors import NotDeleted
from scanner.limits import DEFAULT_LIMITS
from scanner.manager import Deleted
from scanner.stale import LocalCopy
from scanner.toolstores import answers, locks
from tests.plans import a_local_copy
from tests.trees import snapshot

WHEEL = b"PK\x03\x04 a wheel"
SHA256 = Digest.of(WHEEL)
NAME = "urllib3-2.2.1-py3-none-any.whl"
HEX = "abcde" + "0" * 51
ARCHIVE = "archive-v0/Hy3GXs_HoG-X6EQ6"
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    monkeypatch.setattr(answers, "PATIENCE", 0.0)


def copy_of(root: Path, path: str, tool: str = "pip", **changes: Any) -> LocalCopy:
    return replace(a_local_copy(tool=tool, root=str(root), path=f"{root}/{path}", sha256=SHA256), **changes)


def deleted(copy: LocalCopy, planned: dt.datetime | None = LATER) -> Deleted:
    return toolstores.delete(copy, planned=planned, limits=DEFAULT_LIMITS)


def put(path: Path, data: bytes | str = WHEEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def answer(body: bytes, url: str = f"https://pypi.example/packages/{NAME}") -> bytes:
    document = {"response": {"body": body, "headers": {}}, "request": {"url": url}}
    return b"cc=4," + bytes(msgpack.packb(document))


# -- stores, each with an entry


def pip_download(root: Path) -> LocalCopy:
    put(root / f"http-v2/a/b/c/d/e/{HEX}", answer(b""))
    put(root / f"http-v2/a/b/c/d/e/{HEX}.body")
    return copy_of(root, f"http-v2/a/b/c/d/e/{HEX}.body")


def old_pip_download(root: Path) -> LocalCopy:
    put(root / f"http/a/b/c/d/e/{HEX}", answer(WHEEL))
    return copy_of(root, f"http/a/b/c/d/e/{HEX}")


def built_by_pip(root: Path) -> LocalCopy:
    folder = f"wheels/aa/bb/cc/{'0' * 50}"
    put(root / folder / NAME)
    put(root / folder / "origin.json", "{}")
    return copy_of(root, f"{folder}/{NAME}")


def of_poetry(root: Path) -> LocalCopy:
    path = f"artifacts/aa/bb/cc/{'0' * 58}/{NAME}"
    put(root / path)
    digest = hashlib.sha256(b"urllib3:2.2.1").hexdigest()
    above = "/".join(digest[at : at + 2] for at in range(0, 16, 2))
    put(root / f"cache/repositories/pypi/{above}/{digest}", "9999999999{}")
    return copy_of(root, path, "poetry")


def row_of_pdm(root: Path) -> LocalCopy:
    put(root / "http/http-cache.db", b"")
    with sqlite3.connect(root / "http/http-cache.db") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE entries (id BLOB PRIMARY KEY, data BLOB NOT NULL)")
        connection.execute("CREATE TABLE streams (entry_id BLOB, chunk_number INTEGER, chunk_data BLOB)")
        for key, body in ((b"1", b"another"), (b"2", WHEEL)):
            head = msgpack.packb({"request": {"url": f"https://pypi.example/{key.decode()}"}})
            connection.execute("INSERT INTO entries VALUES (?, ?)", (key, head))
            for number, piece in enumerate((body[:3], body[3:])):
                connection.execute("INSERT INTO streams VALUES (?, ?, ?)", (key, number, piece))
            connection.execute("INSERT INTO streams VALUES (?, -1, ?)", (key, b""))
    connection.close()
    digest = hashlib.sha224(b"https://pypi.example/2").hexdigest()
    put(root / f"hashes/{digest[:2]}/{digest[2:4]}/{digest[4:6]}/{digest[6:8]}/{digest[8:]}", f"sha256:{SHA256.hex}")
    return copy_of(root, "http/http-cache.db", "pdm")


def unpacked_by_pdm(root: Path) -> LocalCopy:
    entry = root / f"packages/{NAME}.cache"
    put(entry / "urllib3-2.2.1.dist-info/RECORD", "")
    put(entry / "urllib3/__init__.py", "")
    put(entry / ".referrers", f"{root}/no/such/place\n")
    put(entry / ".lock", "")
    return copy_of(root, f"packages/{NAME}.cache", "pdm", sha256=None)


def unpacked_by_uv(root: Path) -> LocalCopy:
    entry = root / ARCHIVE
    put(entry / "urllib3-2.2.1.dist-info/RECORD", "")
    put(entry / "urllib3/__init__.py", "")
    pointer = msgpack.packb([ARCHIVE.rpartition("/")[2], [{"Sha256": SHA256.hex}], NAME])
    for index in ("pypi", "index/184b4391adba467d"):
        folder = root / "wheels-v8" / index / "urllib3"
        put(folder / "2.2.1-py3-none-any.http", pointer)
        put(folder / "2.2.1-py3-none-any.msgpack", b"")
        (folder / "2.2.1-py3-none-any").symlink_to(entry)
        put(root / "simple-v28" / index / "urllib3.rkyv", "")
    put(root / ".lock", "")
    put(root / "CACHEDIR.TAG", "")
    return copy_of(root, ARCHIVE, "uv", sha256=None)


def built_by_uv(root: Path) -> LocalCopy:
    path = f"sdists-v11/pypi/urllib3/2.2.1/6AP7DBOJVkFpeY33/{NAME}"
    put(root / path)
    return copy_of(root, path, "uv")


Make = Callable[[Path], LocalCopy]
MAKERS: tuple[Make, ...] = (
    pip_download,
    old_pip_download,
    built_by_pip,
    of_poetry,
    row_of_pdm,
    unpacked_by_pdm,
    unpacked_by_uv,
    built_by_uv,
)
FILES = tuple(make for make in MAKERS if make not in (row_of_pdm, unpacked_by_pdm, unpacked_by_uv))
each = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)


def beside(root: Path) -> None:
    """What has nothing to do with an entry."""
    put(root / "wheels-v8/pypi/flask/1.0-py3-none-any.http", msgpack.packb(["another", [], "flask"]))
    put(root / f"http-v2/a/b/c/d/e/abcde{'1' * 51}.body")
    put(root / "precious.txt", "precious")


@each
def test_an_entry_goes_and_nothing_else(tmp_path: Path, make: Make) -> None:
    root = tmp_path / "store"
    beside(root)
    untouched = snapshot(root)
    copy = make(root)
    assert deleted(copy) is Deleted.GONE
    after = {path: what for path, what in snapshot(root).items() if what[0] != "folder"}
    kept = {path for path in untouched if untouched[path][0] != "folder"}
    assert kept <= after.keys()
    assert {path: after[path] for path in kept} == {path: untouched[path] for path in kept}
    own = {path for path in after.keys() - kept if Path(path).name not in (".lock", "CACHEDIR.TAG")}
    assert own == ({"http/http-cache.db"} if make is row_of_pdm else set())
    assert deleted(copy) is Deleted.ALREADY_GONE
    assert toolstores.written(copy) is None or make is row_of_pdm


def test_only_the_row_that_was_meant(tmp_path: Path) -> None:
    copy = row_of_pdm(tmp_path)
    assert deleted(replace(copy, path=f"{copy.path}!/7/other.whl")) is Deleted.GONE
    with sqlite3.connect(tmp_path / "http/http-cache.db") as connection:
        assert connection.execute("SELECT id FROM entries").fetchall() == [(b"1",)]
        assert {key for (key,) in connection.execute("SELECT entry_id FROM streams")} == {b"1"}
    connection.close()


@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_other_bytes_stay(tmp_path: Path, make: Make) -> None:
    copy = make(tmp_path)
    put(Path(copy.path), answer(b"newer") if "/http/" in copy.path else b"newer")
    before = snapshot(tmp_path)
    assert deleted(copy) is Deleted.CHANGED
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("make", [unpacked_by_pdm, unpacked_by_uv], ids=lambda make: make.__name__)
def test_another_unpacked_wheel_stays(tmp_path: Path, make: Make) -> None:
    copy = make(tmp_path)
    before = snapshot(tmp_path)
    for other in (
        replace(copy, version="2.2.2"),
        replace(copy, version=None),
        replace(copy, project=NormalizedName("urllib4")),
    ):
        assert deleted(other) is Deleted.CHANGED
    assert deleted(copy, planned=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)) is Deleted.CHANGED, "written after the plan"
    put(Path(copy.path) / "pyvenv.cfg", "")
    assert deleted(copy) is Deleted.CHANGED, "an environment"
    (Path(copy.path) / "pyvenv.cfg").unlink()
    put(Path(copy.path) / "flask-1.0.dist-info/RECORD", "")
    assert deleted(copy) is Deleted.CHANGED, "several distributions"
    shutil.rmtree(Path(copy.path) / "flask-1.0.dist-info")
    assert snapshot(tmp_path) == before


def test_an_archive_of_which_uv_notes_another_sha256(tmp_path: Path) -> None:
    copy = replace(unpacked_by_uv(tmp_path), sha256=Digest.of(b"other"))
    before = snapshot(tmp_path)
    assert deleted(copy) is Deleted.CHANGED
    assert snapshot(tmp_path) == before
    assert deleted(replace(copy, sha256=SHA256)) is Deleted.GONE


def test_a_built_wheel_without_sha256_by_its_name_and_time(tmp_path: Path) -> None:
    copy = replace(built_by_pip(tmp_path), sha256=None)
    assert deleted(copy, planned=None) is Deleted.CHANGED
    assert deleted(copy, planned=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)) is Deleted.CHANGED
    assert deleted(replace(copy, version="2.2.2")) is Deleted.CHANGED
    assert deleted(copy) is Deleted.GONE
    download = replace(pip_download(tmp_path / "pip"), sha256=None)
    assert deleted(download) is Deleted.CHANGED
    assert Path(download.path).exists()
    with pytest.raises(NotDeleted, match="no sha256"):
        deleted(replace(row_of_pdm(tmp_path / "pdm"), sha256=None))


# -- what is no entry

HOSTILE = [
    ("pip", "precious.txt"),
    ("pip", f"http-v2/a/b/c/d/e/{HEX}.body/../../../../../../../precious.txt"),
    ("pip", f"http-v2/a/b/c/d/f/{HEX}.body"),
    ("pip", f"http-v2/a/b/c/d/e/{HEX}.txt"),
    ("pip", "wheels/aa/bb/cc/x/" + NAME),
    ("pip", "http-v2"),
    ("uv", "archive-v0"),
    ("uv", "archive-v0/.."),
    ("uv", "archive-v0/./Hy3GXs_HoG-X6EQ6"),
    ("uv", f"{ARCHIVE}/urllib3"),
    ("uv", f"http-v2/a/b/c/d/e/{HEX}.body"),
    ("uv", "environments-v2/app-1234567"),
    ("uv", f"sdists-v11/../../{NAME}"),
    ("poetry", "virtualenvs/app/lib"),
    ("poetry", "artifacts/aa/bb/cc/../precious.txt"),
    ("pdm", "http/http-cache.db-wal"),
    ("pdm", "packages"),
    ("pdm", "packages/..whl.cache"),
    ("conda", f"http-v2/a/b/c/d/e/{HEX}.body"),
]


@pytest.mark.parametrize(("tool", "path"), HOSTILE)
def test_what_is_no_entry_is_not_touched(tmp_path: Path, tool: str, path: str) -> None:
    put(tmp_path / "precious.txt")
    for make in (pip_download, unpacked_by_uv, unpacked_by_pdm):
        make(tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(NotDeleted):
        deleted(copy_of(tmp_path, path, tool))
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("root", ["", "relative", "/nowhere/else"])
def test_a_root_that_the_path_is_not_below(tmp_path: Path, root: str) -> None:
    copy = replace(pip_download(tmp_path), root=root)
    with pytest.raises(NotDeleted, match="does not lie below"):
        deleted(copy)
    assert Path(copy.path).exists()


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    assert deleted(copy_of(tmp_path / "gone", f"http-v2/a/b/c/d/e/{HEX}.body")) is Deleted.ALREADY_GONE


# -- links


@each
def test_a_link_instead_of_a_folder_leads_nowhere(tmp_path: Path, make: Make) -> None:
    """Every folder on the way to the entry, one after the other, is a link to what it was."""
    for depth in range(1, 8):
        root, real = tmp_path / f"store{depth}", tmp_path / f"real{depth}"
        copy = make(root)
        steps = Path(copy.path).relative_to(root).parts[:depth]
        linked = root.joinpath(*steps)
        if not linked.exists() or linked == Path(copy.path):
            break
        shutil.move(linked, real)
        linked.symlink_to(real)
        before = snapshot(real)
        with pytest.raises(NotDeleted):
            deleted(copy)
        assert snapshot(real) == before


@each
def test_a_link_instead_of_the_entry(tmp_path: Path, make: Make) -> None:
    copy = make(tmp_path / "store")
    shutil.move(copy.path, tmp_path / "real")
    Path(copy.path).symlink_to(tmp_path / "real")
    before = snapshot(tmp_path)
    with pytest.raises(NotDeleted):
        deleted(copy)
    assert snapshot(tmp_path) == before


def test_links_inside_of_an_archive_are_not_followed(tmp_path: Path) -> None:
    copy = unpacked_by_uv(tmp_path / "store")
    put(tmp_path / "home/precious.txt")
    (Path(copy.path) / "urllib3/home").symlink_to(tmp_path / "home")
    assert deleted(copy) is Deleted.GONE
    assert (tmp_path / "home/precious.txt").exists()


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    pip_download(tmp_path / "real")
    (tmp_path / "store").symlink_to(tmp_path / "real")
    assert deleted(copy_of(tmp_path / "store", f"http-v2/a/b/c/d/e/{HEX}.body")) is Deleted.GONE


def test_a_pipe_instead_of_the_entry(tmp_path: Path) -> None:
    copy = pip_download(tmp_path)
    Path(copy.path).unlink()
    os.mkfifo(copy.path)
    with pytest.raises(NotDeleted, match="no file"):
        deleted(copy)


# -- locks


@pytest.mark.parametrize(
    ("make", "lock"),
    [(unpacked_by_uv, ".lock"), (built_by_uv, ".lock"), (unpacked_by_pdm, f"packages/{NAME}.cache/.lock")],
)
def test_a_tool_that_is_at_work_keeps_its_entries(tmp_path: Path, make: Make, lock: str) -> None:
    copy = make(tmp_path)
    put(tmp_path / lock, "")
    before = snapshot(tmp_path)
    with (tmp_path / lock).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with pytest.raises(NotDeleted, match="at work there"):
            deleted(copy)
        assert snapshot(tmp_path) == before
    assert deleted(copy) is Deleted.GONE


def test_an_answer_that_poetry_writes(tmp_path: Path) -> None:
    path = f"cache/repositories/pypi/_http_/a/b/c/d/e/{HEX}"
    put(tmp_path / path, answer(b""))
    put(tmp_path / f"{path}.body")
    lock = put(tmp_path / f"{path}.body.lock", "")
    copy = copy_of(tmp_path, f"{path}.body", "poetry")
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(NotDeleted, match="poetry is at work there"):
            deleted(copy)
    assert deleted(copy) is Deleted.GONE
    assert not (tmp_path / path).exists()


def test_a_database_that_is_written(tmp_path: Path) -> None:
    copy = row_of_pdm(tmp_path)
    connection = sqlite3.connect(tmp_path / "http/http-cache.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotDeleted, match="locked"):
        deleted(copy)
    connection.execute("ROLLBACK")
    connection.close()
    assert deleted(copy) is Deleted.GONE


@pytest.mark.parametrize("data", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 200])
def test_what_is_no_database(tmp_path: Path, data: bytes) -> None:
    put(tmp_path / "http/http-cache.db", data)
    with pytest.raises(NotDeleted):
        deleted(copy_of(tmp_path, "http/http-cache.db", "pdm"))
    assert (tmp_path / "http/http-cache.db").read_bytes() == data


def test_an_environment_of_links_into_an_entry(tmp_path: Path) -> None:
    copy = unpacked_by_pdm(tmp_path)
    put(Path(copy.path) / ".referrers", f"{tmp_path}/no/such\n{tmp_path}/packages\n")
    with pytest.raises(NotDeleted, match="is made of links into it"):
        deleted(copy)


def test_a_store_that_may_not_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    copy = pip_download(tmp_path)
    Path(copy.path).parent.chmod(0o500)
    with pytest.raises(NotDeleted, match="Permission denied"):
        deleted(copy)
    Path(copy.path).parent.chmod(0o700)


# -- killed


class Killed(BaseException):
    """What SIGKILL is to a process."""


@each
def test_killed_at_every_step_and_run_again(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each call that changes the disk, in turn; the second run ends as one run does."""
    once = make(tmp_path / "once")
    deleted(once)
    calls = ("unlink", "rename", "rmdir")
    for stop in range(1, 60):
        root = tmp_path / f"store{stop}"
        copy = make(root)
        left = [stop]

        def stopping(name: str, left: list[int] = left) -> Callable[..., object]:
            real = getattr(os, name)

            def call(*arguments: object, **named: object) -> object:
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
                return real(*arguments, **named)

            return call

        with monkeypatch.context() as patch:
            for name in calls:
                patch.setattr(os, name, stopping(name))
            try:
                deleted(copy)
            except Killed:
                finished = False
            else:
                finished = True
        if finished:
            break
        assert deleted(copy) in (Deleted.GONE, Deleted.ALREADY_GONE)
        assert _plain(root) == _plain(tmp_path / "once"), stop
    assert stop > 1


def _plain(root: Path) -> dict[str, tuple[str, ...]]:
    """The database is told by its rows."""
    return {path: what for path, what in snapshot(root).items() if not path.startswith("http/http-cache.db")}
