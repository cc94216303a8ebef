"""What is known of a digest, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
from dataclasses import replace

from scanner.reference import ImageName
from scanner.report import Report
from scanner.results.database import Database
from scanner.results.digests import newest, standing
from scanner.results.keeping import Basis, keep
from scanner.service import jobs
from scanner.service.jobs import Priority, State, Wanted, content_of
from tests.reports import a_line, a_report, verified_line

INDEX = f"sha256:{'aa' * 32}"
CHILD = f"sha256:{'bb' * 32}"


def of(digest: str, scanned: str = "2026-03-01T12:00:00Z") -> Report:
    report = a_report(verified_line(), a_line())
    return replace(report, scanned_at=scanned, target=replace(report.target, digest=digest))


def scanned(database: Database, digest: str, circumstances: str, *reports: Report) -> None:
    """A job of that digest that has ended with reports."""
    image = ImageName.parse(f"r.example/a@{digest}")
    wanted = Wanted(image=image, source="t", priority=Priority.PUSH, circumstances=circumstances)
    jobs.submit(database, [wanted], most_waiting=10)
    job = jobs.claim(database, "w", attempts=5, lease=30)
    assert job is not None
    jobs.finish(database, job, reports, digest=digest)


def test_the_result_of_now_else_the_newest(database: Database) -> None:
    with database.reading() as connection:
        assert newest(connection, INDEX, content_of(INDEX, "now")) is None
    scanned(database, INDEX, "before", of(CHILD, "2026-03-02T12:00:00Z"), of("other", "2026-03-02T12:00:00Z"))
    scanned(database, INDEX, "long ago", of(CHILD), of("other"))
    with database.reading() as connection:
        for digest, count in ((INDEX, 2), (CHILD, 1)):
            known = newest(connection, digest, content_of(digest, "now"))
            assert known is not None
            assert (known.current, len(known.reports), {one.content for one in known.reports}) == (
                False,
                count,
                {content_of(INDEX, "before")},
            )
            assert known.age > 0
    with database.writing() as connection:
        basis = Basis(asked=CHILD, terms="now", serial=0)
        kept = keep(connection, [of(CHILD)], content=content_of(CHILD, "now"), basis=basis)
    with database.reading() as connection:
        known = newest(connection, CHILD, content_of(CHILD, "now"))
    assert known is not None
    assert (known.current, [one.id for one in known.reports]) == (True, kept)
    # no index has changed what it rests on since, so that it is the result of a later state too
    with database.reading() as connection:
        for terms, fresh, current in (("now", math.inf, True), ("now", 1.0, False), ("other", math.inf, False)):
            known = newest(connection, CHILD, content_of(CHILD, "later"), terms=terms, fresh=fresh)
            assert known is not None
            assert known.current == current


def test_how_the_newest_job_stands(database: Database) -> None:
    image = ImageName.parse(f"r.example/a@{INDEX}")
    wanted = Wanted(image=image, source="t", priority=Priority.PUSH, circumstances="now")
    content = content_of(INDEX, "now")
    with database.reading() as connection:
        assert standing(connection, content) is None
    for _ in range(2):
        ((submitted, new),) = jobs.submit(database, [wanted], most_waiting=10)
        assert new
        with database.reading() as connection:
            found = standing(connection, content)
        assert found is not None
        assert (found.id, found.state, found.ended) == (submitted.id, State.QUEUED.value, None)
        jobs.cancel(database, submitted.id)
    with database.reading() as connection:
        found = standing(connection, content)
    assert found is not None
    assert (found.state, found.reason) == (State.CANCELLED.value, "cancelled")
    assert found.ended is not None
