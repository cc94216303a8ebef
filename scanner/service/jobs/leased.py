"""What a worker does with a job under its lease, and how jobs end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, false, or_, select, update
from sqlalchemy.exc import IntegrityError

from scanner.answered import Answers
from scanner.digest import Digest
from scanner.reference import ImageName
from scanner.report import Report
from scanner.results import states
from scanner.results.crawls import set_gone
from scanner.results.database import Database, clock
from scanner.results.keeping import Basis, Named, keep, name, of_content
from scanner.results.tables import jobs
from scanner.service.jobs.job import (
    ASKED,
    INDEXES,
    MOST_SHOWN,
    Ending,
    Job,
    LeaseLost,
    Overtaken,
    Priority,
    State,
    Tell,
    Wanted,
    claimable,
    content_of,
    job_of,
    tell_nobody,
)
from scanner.service.jobs.queueing import submit_one

BACKOFF: Final = (10.0, 60.0, 300.0, 1800.0)
"""Seconds before each next attempt; the last counts for all that follow."""
_TOGETHER: Final = 60.0
"""Seconds within which an index follows its images."""


def claim(database: Database, worker: str, *, attempts: int, lease: float, tell: Tell = tell_nobody) -> Job | None:
    """The most urgent job that is due, now running under a lease of ``lease`` seconds; None where there is none.

    A job that was lost with its worker too often is given up here: it may be what kills them.
    """
    with database.writing() as connection:
        now = clock(connection)
        while True:
            order = (jobs.c.priority.desc(), jobs.c.due, jobs.c.submitted, jobs.c.id)
            query = select(jobs).where(claimable(now)).order_by(*order).limit(1).with_for_update(skip_locked=True)
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            job = job_of(row)
            if job.state is State.RUNNING and job.attempts >= attempts:
                reason = f"its worker was lost {job.attempts} times while it scanned this"
                end(connection, job.id, State.DEAD, now, reason=reason)
                tell(connection, Ending(job=job, reason=reason))
                continue
            values = {
                "state": State.RUNNING.value,
                "lease": job.lease + 1,
                "lease_until": now + lease,
                "worker": worker[:120],
                "attempts": job.attempts + 1,
                "started": now,
            }
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
            return job_of(connection.execute(select(jobs).where(jobs.c.id == job.id)).one())


def renew(database: Database, job: Job, *, lease: float) -> None:
    """Hold on to a job for ``lease`` seconds from now; :class:`LeaseLost`."""
    with database.writing() as connection:
        _change(connection, job, lease_until=clock(connection) + lease)


def settle_digest(
    database: Database,
    job: Job,
    digest: str,
    *,
    terms: str | None = None,
    fresh: float = math.inf,
    tell: Tell = tell_nobody,
) -> bool:
    """Write down what the name means. Whether this job is to scan it: not where a result still holds (the job is then
    done), nor while another job scans the same digest, or may scan the index that it is of (it is then due a little
    later); :class:`LeaseLost`.

    ``terms`` are the settings of who scans, which whoever asked for it may not have. No result of more than ``fresh``
    seconds ago holds under another state than that in which it was asked for.
    """
    terms = terms or states.parted(job.circumstances)[0]
    with database.writing() as connection:
        now = clock(connection)
        circumstances = _present(connection, job.circumstances, terms)
        content = content_of(digest, circumstances)
        _change(connection, job, digest=digest, content=content, circumstances=circumstances)
        known = of_content(connection, content) or states.standing(connection, digest, terms, since=now - fresh)
        if known:
            _done(connection, job, known, now, tell)
            return False
        rival = and_(jobs.c.content == content, jobs.c.state == State.RUNNING.value, jobs.c.id < job.id)
        scanned = and_(rival, jobs.c.lease_until >= now)
        if connection.execute(select(jobs.c.id).where(or_(scanned, _may_be_its_index(job))).limit(1)).first():
            back = {"state": State.QUEUED.value, "due": now + 1.0, "attempts": job.attempts - 1}
            _change(connection, job, worker=None, **back)
            return False
        return True


def _present(connection: Connection, circumstances: str, terms: str) -> str:
    """These settings under the present state of the indexes, which stays that until the transaction ends."""
    asked, number = states.parted(circumstances)
    now = states.serial(connection, hold=True)
    return states.circumstances(terms, now) if (terms, now) != (asked, number) else circumstances


def _may_be_its_index(job: Job) -> ColumnElement[bool]:
    """Jobs of tags that were pushed together with an image that was pushed by its digest; none for any other, nor for
    one that somebody waits for.
    """
    if job.tag or job.source == ASKED or job.priority > Priority.PUSH:
        return false()
    name = and_(jobs.c.registry == job.registry, jobs.c.repository == job.repository, jobs.c.tag != "")
    together = and_(jobs.c.submitted >= job.submitted, jobs.c.submitted < job.submitted + _TOGETHER)
    is_open = jobs.c.state.in_((State.QUEUED.value, State.RUNNING.value))
    return and_(name, together, is_open)


def finish(
    database: Database,
    job: Job,
    reports: Sequence[Report],
    *,
    digest: str,
    answers: Answers | None = None,
    tell: Tell = tell_nobody,
) -> None:
    """Keep the results and end the job, both or neither; :class:`LeaseLost`. ``digest`` is what the name meant.

    ``answers`` is what indexes said: where that is what they are known to say, the results are of the present state.
    """
    outcome = _Outcome(reports=reports, digest=digest, answers=answers or {})
    try:
        _finish(database, job, outcome, tell)
    except Overtaken:  # another job was quicker with the same result, which is there now
        _finish(database, job, outcome, tell)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    reports: Sequence[Report]
    digest: str
    answers: Answers


def _finish(database: Database, job: Job, outcome: _Outcome, tell: Tell) -> None:
    with database.writing() as connection:
        present = states.serial(connection, hold=True)
        said = connection.execute(select(jobs.c.circumstances).where(jobs.c.id == job.id)).scalar_one_or_none()
        circumstances = said or job.circumstances
        content = content_of(outcome.digest, circumstances)
        _change(connection, job, content=content)
        now = clock(connection)
        terms, number = states.parted(circumstances)
        basis = _basis(connection, outcome, terms, number=number, present=present, now=now)
        try:
            report_ids = keep(connection, outcome.reports, content=content, basis=basis)
        except IntegrityError as problem:
            raise Overtaken from problem
        _done(connection, job, report_ids, now, tell)
        if basis.serial < present and states.is_touched(connection, report_ids):
            _again(connection, job, outcome.digest, states.circumstances(terms, present))


def _basis(connection: Connection, outcome: _Outcome, terms: str, *, number: int, present: int, now: float) -> Basis:
    """What the reports rest on: the present state only where all indexes said what they are known to say now."""
    known = states.take_answers(connection, outcome.answers, now=now)
    asked = {index.name for report in outcome.reports for index in report.indexes}
    projects = {project for answers in outcome.answers.values() for project in answers}
    serial = present if known and asked <= outcome.answers.keys() else number
    return Basis(asked=outcome.digest, terms=terms, serial=serial, projects=projects)


def _again(connection: Connection, job: Job, digest: str, circumstances: str) -> None:
    """An index has changed while this was scanned: the name is looked at once more."""
    image = ImageName(host=job.registry, repository=job.repository, tag=job.tag or None, digest=Digest.parse(digest))
    again = Wanted(image=image, source=INDEXES, priority=Priority.CRAWL, circumstances=circumstances, seen=job.seen)
    submit_one(connection, again)


def _done(connection: Connection, job: Job, report_ids: Sequence[int], now: float, tell: Tell) -> None:
    _change(connection, job, state=State.DONE.value, ended=now, reason=None)
    tell(connection, Ending(job=job, reports=tuple(report_ids)))
    named = Named(job=job.id, registry=job.registry, repository=job.repository, tag=job.tag, said=job.seen)
    name(connection, report_ids, named, now=now)


def retry(database: Database, job: Job, reason: str, *, attempts: int, tell: Tell = tell_nobody) -> State:
    """Try again later, or give up after as many ``attempts``; :class:`LeaseLost`."""
    if job.attempts >= attempts:
        give_up(database, job, f"{reason} (after {job.attempts} attempts)", tell=tell)
        return State.DEAD
    wait = BACKOFF[min(job.attempts, len(BACKOFF)) - 1]
    with database.writing() as connection:
        due = clock(connection) + wait
        _change(connection, job, state=State.FAILED.value, due=due, reason=reason[:MOST_SHOWN], worker=None)
    return State.FAILED


def hand_back(database: Database, job: Job) -> None:
    """Give a job back untried, because this worker stops; :class:`LeaseLost`."""
    with database.writing() as connection:
        back = {"state": State.QUEUED.value, "due": clock(connection), "attempts": job.attempts - 1}
        _change(connection, job, worker=None, **back)


def give_up(database: Database, job: Job, reason: str, *, tell: Tell = tell_nobody) -> None:
    """Nothing will come of it; :class:`LeaseLost`."""
    with database.writing() as connection:
        _change(connection, job)
        end(connection, job.id, State.DEAD, clock(connection), reason=reason)
        tell(connection, Ending(job=job, reason=reason))


def leave(database: Database, job: Job, reason: str, *, gone: bool = False) -> None:
    """There is nothing to scan in what a registry told of, or had, if that is ``gone``; :class:`LeaseLost`."""
    with database.writing() as connection:
        _change(connection, job)
        if gone:
            set_gone(connection, (job.registry, job.repository), [job.tag], now=clock(connection), digest=job.digest)
        end(connection, job.id, State.CANCELLED, clock(connection), reason=reason)


def _change(connection: Connection, job: Job, **values: Any) -> None:
    """Change a job under its lease."""
    held = and_(jobs.c.id == job.id, jobs.c.lease == job.lease, jobs.c.state == State.RUNNING.value)
    if connection.execute(update(jobs).where(held).values(**(values or {"lease": job.lease}))).rowcount != 1:
        raise LeaseLost


def end(connection: Connection, job_id: str, state: State, now: float, *, reason: str) -> None:
    """End without a result; the same may be asked for again."""
    values = {"state": state.value, "ended": now, "reason": reason[:MOST_SHOWN], "key": None}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values, lease=jobs.c.lease + 1))
