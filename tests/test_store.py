"""What is remembered: all of it or nothing, and never a path that a target chooses."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scanner.store import DiskStore, NoStore

ROOT = str(Path(__file__).resolve().parents[1])


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_no_store_forgets() -> None:
    NoStore().put("pages", "key", b"data")
    assert NoStore().get("pages", "key") is None


def test_what_was_put_is_got(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "not" / "there" / "yet")
    assert store.get("pages", "key") is None
    for data in (b"", b"\n", b"data", bytes(1_000_000), b"a\nb\n"):
        store.put("pages", "key", data)
        assert store.get("pages", "key") == data
        assert DiskStore(tmp_path / "not" / "there" / "yet").get("pages", "key") == data
    assert store.get("wheels", "key") is None
    assert store.get("pages", "Key") is None
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("key", ["../../../etc/passwd", "/etc/passwd", "a\0b", "", "x" * 100_000, "caf\udce9", "a/b"])
def test_keys_are_no_paths(tmp_path: Path, key: str) -> None:
    store = DiskStore(tmp_path / "cache")
    store.put("pages", key, b"data")
    assert store.get("pages", key) == b"data"
    (file,) = files(tmp_path)
    assert file.relative_to(tmp_path / "cache" / "pages")
    assert len(file.parent.name) == 2
    assert len(file.name) == 62


def test_damage_is_nothing(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.put("pages", "key", b"some data")
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert store.get("pages", "key") is None
        file.write_bytes(whole[:at])
        assert store.get("pages", "key") is None
    file.write_bytes(whole + b"x")
    assert store.get("pages", "key") is None
    store.put("pages", "key", b"new")
    assert store.get("pages", "key") == b"new"


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for folder in (tmp_path / "file", Path("/proc/nowhere"), Path("/dev/null/x")):
        store = DiskStore(folder)
        store.put("pages", "key", b"data")
        assert store.get("pages", "key") is None
        assert list(store.entries()) == []
        assert store.clear() == 0


def test_a_place_where_a_folder_stands_is_no_error(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.put("pages", "key", b"data")
    (file,) = files(tmp_path)
    file.unlink()
    file.mkdir()
    store.put("pages", "key", b"data")
    assert store.get("pages", "key") is None
    assert files(tmp_path) == []  # nothing is left lying about


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "cache")
    store.put("pages", "key", b"data")
    (file,) = files(tmp_path)
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_counting_and_clearing(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    for number in range(20):
        store.put("pages" if number % 2 else "wheels", str(number), b"x" * number)
    strange = [tmp_path / "notes.txt", tmp_path / "pages" / "ab" / "mine", tmp_path / "other" / "x" / "y"]
    for file in strange:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"keep me")
    entries = list(store.entries())
    assert sorted({kind for kind, _ in entries}) == ["pages", "wheels"]
    assert sum(size for _, size in entries) == sum(65 + number for number in range(20))
    assert store.clear() == 20
    assert files(tmp_path) == sorted(strange)
    assert store.get("pages", "1") is None
    assert DiskStore(tmp_path / "nothing").clear() == 0


def test_what_a_kill_leaves_is_cleared_and_never_read(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.put("pages", "key", b"data")
    (file,) = files(tmp_path)
    (file.parent / ".new-abc").write_bytes(b"half")
    assert store.get("pages", "key") == b"data"
    assert store.clear() == 2


def test_what_killed_writers_leave_goes_after_a_day(tmp_path: Path) -> None:
    code = "while True: store.put('pages', 'key', bytes(20_000_000))"
    while not list(tmp_path.rglob(".new-*")):  # again, if one was killed between two values
        with _process(code, tmp_path) as writer:
            while not list(tmp_path.rglob(".new-*")):
                assert writer.poll() is None
            writer.kill()
    store = DiskStore(tmp_path, most=1 << 30)
    assert store.get("pages", "key") in (None, bytes(20_000_000))
    (left,) = tmp_path.rglob(".new-*")
    assert ("unfinished", left.stat().st_size) in store.entries()
    store.put("pages", "other", b"data")
    assert left.exists()  # it may be somebody's who is still writing
    os.utime(left, (time.time() - 25 * 60 * 60,) * 2)
    DiskStore(tmp_path, most=1 << 30).put("pages", "other", b"data")
    assert not left.exists()
    assert store.get("pages", "other") == b"data"


def test_readers_writers_and_kills_at_the_bound(tmp_path: Path) -> None:
    values = "def value(key): return hashlib.sha256(key.encode()).digest() * 300\n"
    writing = (
        f"{values}for n in range(10**9):\n    key = str(n % 60)\n    store.put('pages', key, value(key))\n"
        "    if n == 100: print('written', flush=True)"
    )
    reading = (
        f"{values}seen = 0\nprint('ready', flush=True)\nwhile not Path(sys.argv[1], 'stop').exists():\n"
        "    for key in map(str, range(60)):\n        data = store.get('pages', key)\n"
        "        assert data in (None, value(key))\n        seen += data is not None\nassert seen"
    )
    with _process(reading, tmp_path) as one, _process(reading, tmp_path) as other:
        for reader in (one, other):
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
        for _ in range(4):
            with _process(writing, tmp_path) as first, _process(writing, tmp_path) as second:
                for writer in (first, second):
                    assert writer.stdout is not None
                    assert writer.stdout.readline() == "written\n"
                    writer.kill()
        (tmp_path / "stop").touch()
        assert [one.wait(60), other.wait(60)] == [0, 0]
    assert 0 < sum(size for _, size in DiskStore(tmp_path).entries()) <= 2 * _BOUND


_BOUND = 300_000


def _process(code: str, folder: Path) -> subprocess.Popen[str]:
    """Another process with a store in the folder."""
    start = (
        "import hashlib, sys; from pathlib import Path; from scanner.store import DiskStore\n"
        f"store = DiskStore(Path(sys.argv[1]), most={_BOUND})\n"
    )
    command = [sys.executable, "-c", start + code, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_readers_see_all_or_nothing_while_others_write(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), letter], env={**os.environ, "PYTHONPATH": ROOT})
        for letter in "abc"
    ]
    store, seen = DiskStore(tmp_path), set()
    while any(writer.poll() is None for writer in writers):
        data = store.get("pages", "key")
        seen.add(data[:1] if data else None)
        assert data is None or data == data[:1] * len(data)
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(files(tmp_path)) == 1
    assert seen & {b"a", b"b", b"c"}


_WRITER = """
import sys
from pathlib import Path
from scanner.store import DiskStore
store = DiskStore(Path(sys.argv[1]))
for size in range(300):
    store.put("pages", "key", sys.argv[2].encode() * (size * 100 + 1))
"""


def test_threads_write_at_once(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)

    def write() -> None:
        for number in range(50):
            store.put("k", str(number), b"%d" % number)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.get("k", str(number)) for number in range(50)] == [b"%d" % number for number in range(50)]
    assert len(files(tmp_path)) == 50


# --- bounded ---


def test_what_was_used_least_recently_is_forgotten_first(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, most=100_000)
    for number in range(9):
        store.put("pages", str(number), bytes(10_000))
    for age, file in enumerate(files(tmp_path)):
        os.utime(file, (1_000_000 + age, 1_000_000 + age))
    assert store.get("pages", "3") == bytes(10_000)  # used now
    for number in range(9, 20):
        store.put("pages", str(number), bytes(10_000))
        assert store.get("pages", "3") is not None
    assert sum(size for _, size in store.entries()) <= 100_000 + 100_000 // 16
    assert store.get("pages", "19") is not None
    assert [store.get("pages", str(number)) for number in (0, 1, 2, 4)] == [None] * 4


def test_a_value_larger_than_the_bound_does_no_harm(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, most=1000)
    store.put("pages", "large", bytes(5000))
    store.put("pages", "small", b"x")
    assert store.get("pages", "large") is None
    assert sum(size for _, size in store.entries()) <= 1000


def test_two_processes_at_their_bound(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from scanner.store import DiskStore\n"
        "store = DiskStore(Path(sys.argv[1]), most=200_000)\n"
        "for n in range(200):\n"
        "    store.put('pages', sys.argv[2] + str(n), bytes(5_000))\n"
        "    assert store.get('pages', sys.argv[2] + str(n)) in (None, bytes(5_000))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("a", "b")]
    assert [one.wait(60) for one in running] == [0, 0]
    assert 0 < sum(size for _, size in DiskStore(tmp_path).entries()) <= 250_000
