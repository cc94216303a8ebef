"""The file of a snapshot: what goes in comes out, and what a stranger puts in does no harm."""

from __future__ import annotations

import hashlib
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from scanner.errors import CgscanError, UntrustedContent, UsageError
from scanner.index import IndexFile, Role, Tier
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.snapshot import ANY, Answer, Snapshot, Source, WritableSnapshot

DEMO, OTHER = canonicalize_name("demo"), canonicalize_name("other")
FORM = "wheel/test"
ROOT = Path(__file__).parent.parent


def raw(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def source(url: str = "https://pypi.example/simple/", role: Role = Role.UPSTREAM, name: str = "pypi") -> Source:
    return Source(id=0, name=name, role=role, kind="simple", url=url, built_only=False, pulled=1000.0)


def listed(filename: str = "demo-1.0-py3-none-any.whl", **more: object) -> IndexFile:
    url = f"https://files.example/{filename}"
    fields = {"hashes": {"sha256": raw(filename).hex()}, "size": 12, **more}
    return IndexFile(filename=filename, url=f"{url}?secret=hunter2", shown_url=url, **fields)  # type: ignore[arg-type]


def writable(path: Path, limits: Limits = DEFAULT_LIMITS) -> WritableSnapshot:
    return WritableSnapshot(path, limits=limits, wheels=FORM)


def readable(path: Path, limits: Limits = DEFAULT_LIMITS) -> Snapshot:
    return Snapshot(path, limits=limits, wheels=FORM)


def asked_everything(path: Path) -> None:
    """All that can be asked of a snapshot."""
    snapshot = readable(path)
    snapshot.counted()
    answer = snapshot.answer(1, DEMO)
    for file in answer.files if answer else ():
        snapshot.content(file)
    snapshot.wheel(1, raw("demo-1.0-py3-none-any.whl"), "demo-1.0-py3-none-any.whl", proved=False)
    snapshot.holding(1, raw("member"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A snapshot of one index with a project, one that is not listed, and a wheel."""
    place = tmp_path / "a.cgindex"
    with writable(place) as snapshot:
        number = snapshot.add(source())
        snapshot.put_answer(number, DEMO, Answer(at=5.0, files=(listed(),)))
        snapshot.put_answer(number, OTHER, Answer(at=7.0, files=()))
        key = (raw("demo-1.0-py3-none-any.whl"), "demo-1.0-py3-none-any.whl")
        assert snapshot.put_wheel(ANY, key, b"contents", [raw("member"), raw("member"), raw("more")])
    return place


# -- what goes in comes out ------------------------------------------------------------------------


def test_what_was_put_there(path: Path) -> None:
    snapshot = readable(path)
    [one] = snapshot.counted()
    assert (one.name, one.role, one.url, one.pulled) == ("pypi", Role.UPSTREAM, "https://pypi.example/simple/", 1000.0)
    assert (one.oldest, one.newest) == (5.0, 7.0)
    assert (one.projects, one.unlisted, one.failed, one.files, one.wheels) == (2, 1, 0, 1, 1)
    answer = snapshot.answer(one.id, DEMO)
    assert answer is not None
    [file] = answer.files
    assert file._replace(url="") == listed()._replace(url="")
    assert snapshot.answer(one.id, OTHER) == Answer(at=7.0, files=())
    assert snapshot.answer(one.id, canonicalize_name("never-asked")) is None
    assert snapshot.wheel(one.id, raw(file.filename), file.filename, proved=True) == b"contents"
    assert snapshot.holding(one.id, raw("member")) == (file,)
    assert snapshot.holding(one.id, raw("nobody's")) == ()
    assert snapshot.holding(one.id + 1, raw("member")) == ()


def test_no_part_of_a_url_that_is_not_shown_is_stored(path: Path) -> None:
    data = path.read_bytes()
    assert b"https://files.example/demo" in data
    assert b"hunter2" not in data


def test_one_file_is_left(path: Path) -> None:
    readable(path).counted()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@given(
    files=st.lists(
        st.builds(
            IndexFile,
            filename=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
            url=st.just(""),
            shown_url=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
            hashes=st.dictionaries(
                st.sampled_from(["md5", "sha256"]), st.binary(min_size=32, max_size=32).map(bytes.hex)
            ),
            size=st.none() | st.integers(0, 2**63 - 1),
            requires_python=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            yanked=st.booleans(),
            tier=st.none() | st.sampled_from(Tier),
            provenance=st.none(),  # what is signed has a table of its own
        ),
        max_size=5,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_file_comes_out_as_it_went_in(path: Path, files: list[IndexFile]) -> None:
    with writable(path) as snapshot:
        snapshot.put_answer(1, DEMO, Answer(at=9.0, files=tuple(files)))
        answer = snapshot.answer(1, DEMO)
    assert answer is not None
    assert [file._replace(url="") for file in answer.files] == files
    assert len({file.url for file in answer.files}) == len(files)


@pytest.mark.parametrize("wrong", [{"filename": "\udcff.whl"}, {"size": 2**63}, {"hashes": {"sha256": "z" * 64}}])
def test_what_cannot_be_stored_is_a_failure_of_that_project(path: Path, wrong: dict[str, Any]) -> None:
    with writable(path) as snapshot:
        fresh = canonicalize_name("fresh")
        snapshot.put_answer(1, fresh, Answer(at=9.0, files=(listed(**wrong),)))
        answer = snapshot.answer(1, fresh)
        assert answer is not None
        assert answer.failure is not None
        assert snapshot.answer(1, DEMO) is not None


def test_a_failure_takes_no_answers_place_and_an_answer_takes_a_failures(path: Path) -> None:
    late = canonicalize_name("late")
    with writable(path) as snapshot:
        snapshot.put_answer(1, DEMO, Answer(at=9.0, files=(), failure="503"))
        snapshot.put_answer(1, late, Answer(at=9.0, files=(), failure="503"))
        kept, failed = snapshot.answer(1, DEMO), snapshot.answer(1, late)
        snapshot.put_answer(1, late, Answer(at=10.0, files=(listed(),)))
        answered = snapshot.answer(1, late)
    assert kept is not None and failed is not None and answered is not None  # noqa: PT018
    assert (kept.at, len(kept.files), kept.failure) == (5.0, 1, None)
    assert (failed.failure, answered.failure, len(answered.files)) == ("503", None, 1)


def test_an_index_is_known_by_role_and_url(path: Path) -> None:
    with writable(path) as snapshot:
        assert snapshot.add(source(name="renamed")) == 1
        assert snapshot.add(source(role=Role.CHAINGUARD)) == 2
    assert [one.name for one in readable(path).sources()] == ["renamed", "pypi"]


def test_one_indexs_word_is_not_anothers(path: Path) -> None:
    key = (raw("x"), "x-1-py3-none-any.whl")
    with writable(path) as snapshot:
        two = snapshot.add(source("https://other.example/"))
        for index in (1, two):
            snapshot.put_answer(index, OTHER, Answer(at=9.0, files=(listed(key[1], hashes={"sha256": key[0].hex()}),)))
        snapshot.put_wheel(two, key, b"by its RECORD", [raw("theirs")])
        assert [file.filename for file in snapshot.holding(two, raw("theirs"))] == [key[1]]
        assert snapshot.holding(1, raw("theirs")) == ()
        assert snapshot.wheel(two, *key, proved=False) == b"by its RECORD"
        assert snapshot.wheel(two, *key, proved=True) is None
        assert snapshot.wheel(1, *key, proved=False) is None


def test_what_is_too_large_to_be_read_is_not_written(path: Path) -> None:
    small = Limits(page=64 * 1024)
    with writable(path, small) as snapshot:
        assert not snapshot.put_wheel(ANY, (raw("y"), "y-1-py3-none-any.whl"), bytes(33 * 1024), [])
        assert snapshot.wheel(1, raw("y"), "y-1-py3-none-any.whl", proved=True) is None


# -- what is no snapshot ---------------------------------------------------------------------------


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE people (name TEXT)")


def _changed(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        for statement in statements:
            other.execute(statement)
        other.close()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(b""), "no snapshot of an index"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(2)), "no snapshot of an index"),
        (lambda path: path.write_bytes(b"SQLite format 3\0\x10\x00\x01\x01" + bytes(5000)), "no snapshot of an index"),
        (lambda path: path.write_text("projects: []"), "no snapshot of an index"),
        (lambda path: path.unlink(), "cannot be read: No such file"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read: Is a directory"),
        (_foreign, "another program's SQLite file"),
        (_changed("PRAGMA journal_mode=WAL"), "no snapshot of an index"),
        (_changed("PRAGMA application_id=1"), "another program's SQLite file"),
        (_changed("PRAGMA user_version=9"), "a snapshot of form 9, this cgscan reads 2"),
        (_changed("UPDATE about SET value = 'wheel/0'"), "a snapshot of another version of cgscan"),
        (_changed("CREATE VIEW v AS SELECT 1"), "whose tables are not those"),
        (_changed("DROP TABLE members", "CREATE VIEW members AS SELECT 1"), "whose tables are not those"),
        (_changed("CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM files; END"), "whose tables are not those"),
        (_changed("ALTER TABLE files ADD COLUMN more"), "whose tables are not those"),
        (_changed("DROP TABLE wheels"), "whose tables are not those"),
    ],
)
def test_what_is_no_snapshot_is_told_in_one_line(path: Path, change: Callable[[Path], None], message: str) -> None:
    change(path)
    with pytest.raises(UsageError, match=message):
        readable(path)


def test_a_foreign_file_is_not_written_into(path: Path) -> None:
    _foreign(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="another program's SQLite file"):
        writable(path)
    path.write_text("a letter to a friend, somewhat longer than the header of a database file is")
    with pytest.raises(UsageError, match="no snapshot"):
        writable(path)
    _foreign(path)
    assert path.read_bytes() == before


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unable to open"):
        writable(tmp_path / "no" / "such" / "folder.cgindex")


# -- what a stranger puts in -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE indexes SET role = 'owner'",
        "UPDATE indexes SET name = x'00'",
        "UPDATE indexes SET name = 'a' || char(27) || '[31m'",
        "UPDATE indexes SET url = 'https://a' || char(10) || 'b'",
        "UPDATE indexes SET pulled = 9e999",
        "UPDATE projects SET asked = 'yesterday'",
        "UPDATE projects SET asked = -1.0",
        "UPDATE projects SET failure = x'ff'",
        "UPDATE files SET filename = x'ff'",
        "UPDATE files SET filename = CAST(x'ff' AS TEXT)",
        "UPDATE files SET content = NULL",
        "UPDATE files SET content = x'00'",
        'UPDATE files SET hashes = \'{"sha256": "00"}\'',
        "UPDATE files SET hashes = '[]'",
        "UPDATE files SET hashes = '{'",
        "UPDATE files SET hashes = replace(hex(zeroblob(40000)), '0', '[')",
        "UPDATE files SET size = 'large'",
        "UPDATE files SET tier = 'top'",
        "UPDATE wheels SET contents = 'text'",
    ],
)
def test_values_of_other_types_are_damage(path: Path, statement: str) -> None:
    _changed(statement)(path)
    with pytest.raises(UntrustedContent, match="the snapshot is damaged"):
        asked_everything(path)


def test_many_or_long_values_are_not_taken_in(path: Path) -> None:
    _changed(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO files SELECT 1, i, 'a-1-py3-none-any.whl', 'u', NULL, '{}', 1, NULL, 0, NULL FROM n"
    )(path)
    with pytest.raises(UntrustedContent, match="limit page"):
        readable(path, Limits(page=100_000)).answer(1, DEMO)
    _changed("UPDATE wheels SET contents = zeroblob(200000)")(path)
    with pytest.raises(UntrustedContent, match="damaged"):
        readable(path, Limits(page=100_000)).wheel(
            1, raw("demo-1.0-py3-none-any.whl"), "demo-1.0-py3-none-any.whl", proved=True
        )


def test_no_question_takes_longer_than_its_time(path: Path) -> None:
    _changed(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
        "INSERT INTO files SELECT 1, i, '', '', NULL, '{}', 1, NULL, 0, NULL FROM n"
    )(path)
    snapshot = readable(path)
    assert snapshot.counted()[0].files == 300_001  # there is time
    hurried = readable(path)
    hurried._limits = Limits(request_seconds=0.0)
    with pytest.raises(UntrustedContent, match="interrupted"):
        hurried.counted()


def test_it_is_not_written_to(path: Path) -> None:
    snapshot = readable(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        snapshot._connection.execute("DELETE FROM files")


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_anywhere_is_an_error_of_ours_or_none(path: Path, data: st.DataObject) -> None:
    whole = path.read_bytes()
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(whole) - 1) | st.integers(0, 200))
        changed[place] = data.draw(st.integers(0, 255))
    damaged = path.with_name("damaged.cgindex")
    damaged.write_bytes(changed[: data.draw(st.sampled_from([len(whole), len(whole), len(whole) // 2]))])
    with suppress(CgscanError):  # any other exception is a failure
        asked_everything(damaged)


# -- a writer that was killed ----------------------------------------------------------------------

_KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size=1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM members")
for number in range(2000):
    connection.execute("INSERT INTO files VALUES (9, ?, ?, '', NULL, '{}', 1, NULL, 0, NULL)", (number, "x" * 500))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_began_is_taken_back_by_the_next(path: Path) -> None:
    whole = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() != whole  # it is half written, with a journal beside it
    assert path.with_name(path.name + "-journal").stat().st_size
    kept = shutil.copytree(path.parent, path.parent / "kept")
    with pytest.raises(UsageError, match="cannot be read or written as it is"):
        readable(path)
    with writable(path) as snapshot:
        assert snapshot.holding(1, raw("member"))
    asked_everything(path)
    assert not path.with_name(path.name + "-journal").exists()
    with pytest.raises(UsageError) as told:
        readable(kept / path.name)
    assert "run it again" in str(told.value.hint)
