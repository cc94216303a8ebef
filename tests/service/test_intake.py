"""Requests that come at the same time: one transaction for all of them, and each as if it had come alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import event, func, select

from scanner.errors import DatabaseFailed
from scanner.reference import ImageName
from scanner.results import tables
from scanner.results.database import Database
from scanner.service import jobs
from scanner.service.intake import Intake
from scanner.service.jobs import Full, Job, Priority, Wanted
from tests.services import new_database, until

MOST = 5


def wanted(name: str) -> Wanted:
    image = ImageName(host="r.example", repository=name, tag="1", digest=None)
    return Wanted(image=image, source="test", priority=Priority.PUSH, circumstances="now")


@pytest.fixture
def intake(database: Database) -> Iterator[Intake]:
    """With room for five jobs."""
    intake = Intake(database, most_waiting=MOST)
    yield intake
    intake.close()


class Together:
    """Has requests come while the transaction of one before them, ``first``, is not committed yet."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._intake = intake
        self._gate = threading.Event()
        self.commits = 0
        event.listen(database.engine, "commit", self._commit)

    def _commit(self, _: object) -> None:
        self.commits += 1
        self._gate.wait(60)

    def submit(self, requests: Sequence[Sequence[Wanted]]) -> list[Future[list[tuple[Job, bool]]]]:
        """How each of them ended."""
        with ThreadPoolExecutor(len(requests) + 1) as pool:
            first = pool.submit(self._intake.submit, [wanted("first")])
            until(lambda: self.commits)
            asked = [pool.submit(self._intake.submit, request) for request in requests]
            until(lambda: len(self._intake._asked) == len(requests))
            self._gate.set()
        first.result()
        return asked


def count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.jobs)).scalar_one())


def test_it_starts_with_nothing_queued(database: Database, intake: Intake) -> None:
    assert count(database) == 0


def test_many_requests_are_one_transaction(database: Database, intake: Intake) -> None:
    together = Together(database, intake)
    asked = together.submit([[wanted("a"), wanted("b")], [wanted("c")], [], [wanted("a")]])
    assert together.commits == 2
    found = [[(job.repository, new) for job, new in one.result()] for one in asked]
    new = [sorted(repository for repository, is_new in one if is_new) for one in found]
    assert [[repository for repository, _ in one] for one in found] == [["a", "b"], ["c"], [], ["a"]]
    assert sorted(name for names in new for name in names) == ["a", "b", "c"]
    assert count(database) == 4
    for one in asked:
        for job, _ in one.result():
            assert jobs.get(database, job.id) == job


def test_who_finds_no_room_takes_it_from_nobody(database: Database, intake: Intake) -> None:
    many = [wanted(f"many{number}") for number in range(MOST)]
    asked = Together(database, intake).submit([[wanted("a")], many, [wanted("b")], [wanted("first")]])
    assert [one.exception() is None for one in asked] == [True, False, True, True]
    assert isinstance(asked[1].exception(), Full)
    assert count(database) == 3


def test_a_full_queue_still_knows_what_it_has_and_takes_more_when_there_is_room(
    database: Database, intake: Intake
) -> None:
    asked = Together(database, intake).submit([[wanted(str(number))] for number in range(2 * MOST)])
    assert [one.exception() is None for one in asked].count(True) == MOST - 1
    assert count(database) == MOST
    for _ in range(2):
        with pytest.raises(Full):
            intake.submit([wanted("more")])
    ((first, new),) = intake.submit([wanted("first")])
    assert not new
    jobs.cancel(database, first.id)
    ((_, new),) = intake.submit([wanted("more")])
    assert new
    with pytest.raises(Full):
        intake.submit([wanted("still more")])


def test_what_a_database_does_not_take_costs_nobody_else(postgresql_url: str) -> None:
    database = Database(new_database(postgresql_url))
    database.migrate()
    intake = Intake(database, most_waiting=MOST)
    asked = Together(database, intake).submit([[wanted("a")], [wanted("x" * 300)], [wanted("b")]])
    assert [type(one.exception()) for one in asked] == [type(None), DatabaseFailed, type(None)]
    assert count(database) == 3
    intake.close()
    database.close()


def test_a_database_that_is_away_is_told_to_everybody(database: Database, intake: Intake) -> None:
    with database.writing() as connection:
        tables.jobs.drop(connection)
    for _ in range(2):
        with pytest.raises(DatabaseFailed):
            intake.submit([wanted("a")])


def test_a_request_that_comes_after_the_end_is_queued_by_itself(intake: Intake) -> None:
    intake.close()
    ((_, new),) = intake.submit([wanted("late")])
    assert new
