"""What others ask of jobs, and change of them without a lease."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from scanner.results.database import Database, clock
from scanner.results.tables import jobs
from scanner.service.jobs.job import Job, State, claimable, job_of
from scanner.service.jobs.leased import end


def cancel(database: Database, job_id: str) -> Job | None:
    """End a job that has not ended; the job as it then is, None where there is none."""
    with database.writing() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one_or_none()
        if row is None:
            return None
        if not job_of(row).state.ended:
            end(connection, job_id, State.CANCELLED, clock(connection), reason="cancelled")
        return job_of(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())


def requeue(database: Database, job_id: str) -> Job | None:
    """Try a dead or cancelled job again from the start; the job as it then is, None where there is none."""
    with database.writing() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one_or_none()
        if row is None:
            return None
        if job_of(row).state in (State.DEAD, State.CANCELLED):
            now = clock(connection)
            again = {"state": State.QUEUED.value, "due": now, "attempts": 0, "ended": None, "worker": None}
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(**again))
        return job_of(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())


def get(database: Database, job_id: str) -> Job | None:
    """One job."""
    with database.reading() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        return None if row is None else job_of(row)


def listed(
    database: Database, *, states: Sequence[State], most: int, before: tuple[float, str] | None = None
) -> list[Job]:
    """Jobs, the newest first; ``before`` is (submitted, id) of the last one that is known."""
    conditions: list[ColumnElement[bool]] = [jobs.c.state.in_([state.value for state in states])] if states else []
    if before is not None:
        when, last = before
        conditions.append(or_(jobs.c.submitted < when, and_(jobs.c.submitted == when, jobs.c.id < last)))
    query = select(jobs).where(*conditions).order_by(jobs.c.submitted.desc(), jobs.c.id.desc()).limit(most)
    with database.reading() as connection:
        return [job_of(row) for row in connection.execute(query)]


def counted(database: Database) -> dict[State, int]:
    """How many jobs are in each state."""
    with database.reading() as connection:
        rows = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
    return dict.fromkeys(State, 0) | {State(state): number for state, number in rows}


def due(database: Database) -> int:
    """How many jobs a worker could claim now."""
    with database.reading() as connection:
        now = clock(connection)
        return int(connection.execute(select(func.count()).select_from(jobs).where(claimable(now))).scalar_one())
