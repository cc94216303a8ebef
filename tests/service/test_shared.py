"""What scans share: the fleet's memory, claims, and a desk that strangers talk to."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from scanner.results import tables
from scanner.results.database import Database
from scanner.service.metrics import Metrics
from scanner.service.sharing import desk as desks
from scanner.service.sharing import wire
from scanner.service.sharing.claims import Claims, ClaimsHere, ClaimsOfFleet
from scanner.service.sharing.desk import Sharing
from scanner.service.sharing.floors import Floors
from scanner.service.sharing.remembered import Remembered
from scanner.service.sharing.wire import key_of
from scanner.serving import Serving
from scanner.store import DiskStore, NoStore, Store, found_or_claimed
from tests.services import new_database, until

KEY = key_of("inventory", "a layer")


def stored(database: Database) -> tuple[int, int]:
    """How many values, and their bytes."""
    table = tables.remembered
    with database.reading() as connection:
        count, size = connection.execute(select(func.count(), func.coalesce(func.sum(table.c.size), 0))).one()
    return int(count), int(size)


# -- the memory


def test_what_was_put_is_got_and_never_changed(database: Database) -> None:
    memory = Remembered(database, most=1 << 20)
    assert memory.get("inventory", KEY) is None
    assert memory.put("inventory", KEY, b"first")
    assert not memory.put("inventory", KEY, b"second")
    assert memory.get("inventory", KEY) == b"first"
    assert memory.get("wheel", KEY) is None
    assert memory.put("wheel", KEY, b"")
    assert memory.get("wheel", KEY) == b""


def test_what_is_damaged_is_nothing_and_makes_room(database: Database) -> None:
    memory = Remembered(database, most=1 << 20)
    table = tables.remembered
    for what in ("flipped", "short", "of another kind"):
        memory.put("inventory", KEY, b"data")
        with database.writing() as connection:
            data = connection.execute(select(table.c.data)).scalar_one()
            bad = {"flipped": data[:-1] + b"x", "short": data[:10]}.get(what, data)
            kind = "wheel" if what == "of another kind" else "inventory"
            connection.execute(update(table).values(data=bad, kind=kind))
        assert memory.get(kind, KEY) is None, what
        assert stored(database) == (0, 0)
    assert memory.put("inventory", KEY, b"data")
    assert memory.get("inventory", KEY) == b"data"


def test_it_keeps_to_its_bound_and_forgets_what_was_used_least_recently(database: Database) -> None:
    memory = Remembered(database, most=60_000)
    keys = [key_of("wheel", str(number)) for number in range(25)]
    table = tables.remembered
    for number, key in enumerate(keys):
        memory.put("wheel", key, bytes(4000))
        assert stored(database)[1] <= 60_000 + 60_000 // 16 + 5000
        with database.writing() as connection:  # an hour for each, and the first is always in use
            connection.execute(update(table).where(table.c.key == key.hex()).values(used=number * 3600.0))
        if number == 9:
            assert memory.get("wheel", keys[0]) is not None
    assert memory.get("wheel", keys[0]) is not None
    assert memory.get("wheel", keys[1]) is None
    assert memory.get("wheel", keys[-1]) is not None
    there, _ = stored(database)
    assert Remembered(database, most=0).tidy() == there
    assert stored(database) == (0, 0)


def test_the_same_value_from_many_sides_is_there_once(database: Database) -> None:
    memory = Remembered(database, most=1 << 20)
    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(lambda _: memory.put("inventory", KEY, b"data"), range(16)))
    assert new.count(True) == 1
    assert stored(database)[0] == 1


# -- claims


def claims_of(database: Database) -> list[Claims]:
    return [ClaimsOfFleet(database, seconds=60), ClaimsHere()]


def test_a_claim_is_of_one_until_it_is_given_up(database: Database) -> None:
    for claims in claims_of(database):
        assert claims.claim("layer", "a")
        assert claims.claim("layer", "a")
        assert not claims.claim("layer", "b")
        assert claims.claim("other", "b")
        claims.release("layer", "b")
        assert not claims.claim("layer", "b")
        claims.renew("b")
        claims.release("layer", "a")
        assert claims.claim("layer", "b")


def test_of_many_who_claim_at_once_one_has_it(database: Database) -> None:
    for claims in claims_of(database):
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda owner, of=claims: of.claim("layer", str(owner)), range(16)))
        assert won.count(True) == 1


def test_a_claim_that_nobody_renews_runs_out(database: Database) -> None:
    gone, there = ClaimsOfFleet(database, seconds=-1), ClaimsOfFleet(database, seconds=60)
    assert gone.claim("layer", "killed")
    assert there.claim("layer", "b")
    gone.renew("killed")
    assert not gone.claim("layer", "killed")
    assert gone.claim("left", "killed")
    there.tidy()
    with database.reading() as connection:
        assert connection.execute(select(tables.claims.c.key)).scalars().all() == ["layer"]


# -- desk and floors


@pytest.fixture(scope="module")
def postgres(postgresql_url: str) -> Iterator[Database]:
    database = Database(new_database(postgresql_url))
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def fleet(postgres: Database) -> Database:
    """A database of the kind that is shared, with nothing in it."""
    with postgres.writing() as connection:
        for table in (tables.remembered, tables.claims):
            connection.execute(table.delete())
    return postgres


def sharing_of(database: Database, **more: object) -> Sharing:
    return Sharing(database, Serving(**more), Metrics())  # type: ignore[arg-type]


def floors(line: socket.socket, front: Store | None = None, patience: float = 30.0) -> Floors:
    return Floors(front or NoStore(), line.dup(), patience=patience)


def test_what_one_machine_has_remembered_another_has_too(fleet: Database, tmp_path: Path) -> None:
    sharing = sharing_of(fleet)
    with sharing.desk() as one, sharing.desk() as other:
        floors(one, DiskStore(tmp_path / "a")).put("inventory", "layer", b"data")
        theirs = floors(other, DiskStore(tmp_path / "b"))
        assert theirs.get("inventory", "layer") == b"data"
        assert DiskStore(tmp_path / "b").get("inventory", "layer") == b"data"
        assert theirs.get("inventory", "other") is None


@pytest.mark.parametrize("kind", ["page", "seen", "settled", "attestation", "vex"])
def test_what_may_change_stays_with_the_machine(fleet: Database, tmp_path: Path, kind: str) -> None:
    with sharing_of(fleet).desk() as line:
        store = floors(line, DiskStore(tmp_path))
        store.put(kind, "key", b"data")
        store.change(kind, "other", lambda _: b"data")
        assert store.get(kind, "key") == store.get(kind, "other") == b"data"
    assert stored(fleet) == (0, 0)


def test_a_value_that_is_too_large_stays_with_the_machine(
    fleet: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanner.service.sharing.floors.MOST", 10)
    with sharing_of(fleet).desk() as line:
        store = floors(line, DiskStore(tmp_path))
        store.put("inventory", "layer", bytes(11))
        store.put("inventory", "small", bytes(10))
        assert store.get("inventory", "layer") == bytes(11)
    assert stored(fleet)[0] == 1


def test_on_one_machine_nothing_is_written_twice(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite'}")
    database.migrate()
    with sharing_of(database).desk() as line:
        floors(line).put("inventory", "layer", b"data")
    assert stored(database) == (0, 0)
    database.close()


def read_once(stores: list[Store]) -> tuple[int, list[bytes]]:
    """All of them want the same layer at once; how often it was read, and what each has got."""
    reads: list[int] = []
    begin = threading.Barrier(len(stores))

    def scan(store: Store) -> bytes:
        begin.wait(10)
        with found_or_claimed(store, "inventory", "layer", lambda: store.get("inventory", "layer")) as known:
            if known is not None:
                return known
            reads.append(1)
            store.put("inventory", "layer", b"data")
            return b"data"

    with ThreadPoolExecutor(len(stores)) as pool:
        got = list(pool.map(scan, stores))
    return len(reads), got


def test_of_many_scans_one_reads_in_the_fleet(fleet: Database) -> None:
    mine, others = sharing_of(fleet), sharing_of(fleet)
    with mine.desk() as a, mine.desk() as b, others.desk() as c, others.desk() as d:
        assert read_once([floors(line) for line in (a, b, c, d)]) == (1, [b"data"] * 4)
    with fleet.reading() as connection:
        assert connection.execute(select(func.count()).select_from(tables.claims)).scalar_one() == 0


def test_of_many_scans_one_reads_on_one_machine(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite'}")
    sharing = sharing_of(database)
    with sharing.desk() as a, sharing.desk() as b, sharing.desk() as c:
        stores: list[Store] = [floors(line, DiskStore(tmp_path / "cache")) for line in (a, b, c)]
        assert read_once(stores) == (1, [b"data"] * 3)
    database.close()


def test_who_ends_gives_up_what_it_claimed(fleet: Database) -> None:
    sharing = sharing_of(fleet)
    with sharing.desk() as other:
        with sharing.desk() as line, floors(line).claimed("inventory", "layer", lambda: None) as known:
            assert known is None
            assert not sharing.claims.claim(key_of("inventory", "layer").hex(), "b")
            line.shutdown(socket.SHUT_RDWR)  # as if its process were gone
            until(lambda: sharing.claims.claim(key_of("inventory", "layer").hex(), "b"))
        sharing.claims.release(key_of("inventory", "layer").hex(), "b")
        with floors(other).claimed("inventory", "layer", lambda: None) as known:
            assert known is None


def test_who_has_waited_long_enough_reads_without_a_claim(fleet: Database) -> None:
    sharing = sharing_of(fleet)
    assert sharing.claims.claim(key_of("inventory", "layer").hex(), "somebody")
    with sharing.desk() as line, floors(line, patience=0.2).claimed("inventory", "layer", lambda: None) as known:
        assert known is None


def test_a_claim_is_renewed_but_not_for_ever(fleet: Database) -> None:
    key = key_of("inventory", "layer").hex()
    sharing = sharing_of(fleet, lease_seconds=1)
    with sharing.desk() as line, floors(line).claimed("inventory", "layer", lambda: None):
        with fleet.reading() as connection:
            first = connection.execute(select(tables.claims.c.until)).scalar_one()

        def renewed() -> bool:
            with fleet.reading() as connection:
                return bool(connection.execute(select(tables.claims.c.until)).scalar_one() > first + 1)

        until(renewed)
        assert not sharing.claims.claim(key, "b")
        sharing.patience = 0.0
        until(lambda: sharing.claims.claim(key, "b"))


def test_without_its_database_a_scan_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    sharing = sharing_of(away)
    with sharing.desk() as line:
        store = floors(line, DiskStore(tmp_path))
        store.put("inventory", "layer", b"data")
        assert store.get("inventory", "layer") == b"data"
        assert store.get("inventory", "other") is None
        with store.claimed("inventory", "other", lambda: None) as known:
            assert known is None
    asked: list[int] = []
    monkeypatch.setattr(sharing, "remembered", None)
    assert sharing.tried(lambda: asked.append(1), None) is None
    assert asked == []  # it is left alone for a while


def test_without_its_worker_a_scan_goes_on(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    store = Floors(DiskStore(tmp_path), theirs, patience=30)
    store.put("inventory", "layer", b"data")
    assert store.get("inventory", "layer") == b"data"
    with store.claimed("inventory", "other", lambda: store.get("inventory", "other")) as known:
        assert known is None


HEAD = struct.Struct("!BB32sI")


@pytest.mark.parametrize(
    "said",
    [
        HEAD.pack(9, 0, KEY, 0),
        HEAD.pack(1, 9, KEY, 0),
        HEAD.pack(1, 0, KEY, 1) + b"x",
        HEAD.pack(2, 0, KEY, wire.MOST + 1),
        b"GET / HTTP/1.1\r\n\r\n" * 4,
    ],
    ids=["ask", "kind", "more", "long", "http"],
)
def test_a_line_that_says_anything_else_is_cut(fleet: Database, said: bytes) -> None:
    with sharing_of(fleet).desk() as line:
        line.settimeout(20)
        line.sendall(said)
        with contextlib.suppress(ConnectionResetError):  # it had not read all of it
            assert line.recv(1) == b""
    assert stored(fleet) == (0, 0)


@pytest.mark.parametrize("bound", ["_MOST_PUT", "_MOST_BYTES"])
def test_one_scan_puts_so_much_and_no_more(fleet: Database, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(desks, bound, 3)
    with sharing_of(fleet).desk() as line:
        store = floors(line)
        for number in range(6):
            store.put("form", str(number), b"x")
        assert stored(fleet)[0] == 3
        assert store.get("form", "0") == b"x"


def test_one_scan_claims_so_much_and_no_more(fleet: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "_MOST_HELD", 2)
    with sharing_of(fleet).desk() as line:
        for number in range(5):
            wire.send_question(line, wire.Question(wire.Ask.CLAIM, "inventory", key_of("inventory", str(number))))
            assert wire.receive_answer(line).yes
        with fleet.reading() as connection:
            assert connection.execute(select(func.count()).select_from(tables.claims)).scalar_one() == 2


def test_what_is_there_a_scan_cannot_change(fleet: Database) -> None:
    with sharing_of(fleet).desk() as line:
        floors(line).put("inventory", "layer", b"right")
        floors(line).put("inventory", "layer", b"wrong")
        assert floors(line).get("inventory", "layer") == b"right"
