"""The queue's truth: what a job is, and every change of its state as one transaction.

::

    queued ──claim──▶ running ──finish──▶ done
      ▲                 │  │
      │ claim when due  │  └─give up──▶ dead ──requeue──▶ queued
    failed ◀───retry────┘
    queued, failed, running ──cancel──▶ cancelled

``failed`` waits to be tried again. A ``running`` job whose lease has run out is claimed like a queued one.
"""

from __future__ import annotations

import enum
import hashlib
import math
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, and_, false, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from scanner.answered import Answers
from scanner.digest import Digest
from scanner.reference import ImageName
from scanner.report import Report
from scanner.results import states
from scanner.results.crawls import set_gone
from scanner.results.database import Database, clock
from scanner.results.keeping import Basis, Named, keep, name, of_content
from scanner.results.tables import images, jobs

BACKOFF: Final = (10.0, 60.0, 300.0, 1800.0)
"""Seconds before each next attempt; the last counts for all that follow."""
ASKED: Final = "api"
"""The source of jobs that somebody asked for; others are what a registry told of, or has."""
INDEXES: Final = "indexes"
"""The source of jobs that look at an image again because an index has changed, or was out of reach."""
CRAWL: Final = "crawl"
"""The source of jobs of what a walk through a registry has found."""
SETTLING: Final = 10.0
"""Seconds that an image that was pushed by its digest waits for the index that it may be of."""
_TOGETHER: Final = 60.0
"""Seconds within which an index follows its images."""
_KEYS: Final = 500
"""Keys in one question."""
MOST_SHOWN: Final = 1000
"""Characters of a reason that are kept."""
_SAME_TAG: Final = 30.0
"""Seconds for which a tag is taken to mean what it meant."""


class State(enum.Enum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    FAILED = "failed"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (State.DONE, State.DEAD, State.CANCELLED)


class Priority(enum.IntEnum):
    """What comes first; more is sooner."""

    CRAWL = 0
    PUSH = 10
    REQUEST = 20
    DEPLOY = 30


_WAITING: Final = (State.QUEUED.value, State.FAILED.value)
_OPEN: Final = (*_WAITING, State.RUNNING.value)


class Full(Exception):
    """The queue is over its limit; nothing was queued."""


class LeaseLost(Exception):
    """Somebody else has the job, or it was cancelled: whatever was found out is thrown away."""


class _Overtaken(Exception):
    """Another process wrote the same between our look and our insert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row. ``key`` collapses duplicates while it is set; ``content`` is of the digest and of ``circumstances``, all
    that else decides the result; None until the digest is known. ``seen`` is when its name was last said to be this.
    ``lease`` is the fencing number.
    """

    id: str
    key: str | None
    circumstances: str
    content: str | None
    state: State
    priority: int
    registry: str
    repository: str
    tag: str
    digest: str | None
    source: str
    submitted: float
    seen: float
    due: float
    started: float | None
    ended: float | None
    attempts: int
    lease: int
    lease_until: float | None
    worker: str | None
    reason: str | None

    @property
    def name(self) -> str:
        """The image as a person writes it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be scanned. ``circumstances`` is the state of the indexes and the fingerprint of the settings;
    ``delay`` is seconds before it is due.

    ``moved`` is whether the tag is said to have been pushed, so that it may mean another digest than a moment ago.
    ``seen`` is when the name was said to mean the digest, if that is not now: what was said later counts more.
    """

    image: ImageName
    source: str
    priority: Priority
    circumstances: str
    delay: float = 0.0
    moved: bool = False
    seen: float | None = None

    @property
    def key(self) -> str:
        """The same for what is the same job."""
        return _hashed(str(self.image), self.circumstances)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A job that ends: with ``reports``, or ``DEAD`` for a reason."""

    job: Job
    reports: tuple[int, ...] = ()
    reason: str | None = None


Tell: TypeAlias = Callable[[Connection, Ending], None]
"""Writes down what is to be told of an ending, in the transaction of the ending and before the name has new reports."""


def _tell_nobody(_: Connection, __: Ending) -> None:
    pass


def content_of(digest: str, circumstances: str) -> str:
    """The key of a result."""
    return _hashed("content", digest, circumstances)


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


# -- in ----------------------------------------------------------------------------------------------


def submit(database: Database, wanted: Sequence[Wanted], *, most_waiting: int) -> list[tuple[Job, bool]]:
    """Queue what is not there yet; each job, and whether it is new. All of it or, with :class:`Full`, nothing.

    A duplicate is the job that is there, done or not, moved forward if this one is more urgent.
    """
    for _ in range(3):
        try:
            with database.writing() as connection:
                found = _submit(connection, wanted)
                _check_room(connection, found, most_waiting)
                return found
        except _Overtaken:
            continue
    raise Full


def _submit(connection: Connection, wanted: Sequence[Wanted]) -> list[tuple[Job, bool]]:
    """One after the other; but what is new is written at once, since every statement is a way to the database."""
    first = {one.key: one for one in reversed(wanted)}
    now, known = clock(connection), _known(connection, first)
    rows = {key: _row(one, now) for key, one in first.items() if key not in known}
    _insert(connection, [rows[key] for key in sorted(rows)])  # in one order everywhere: nobody waits in a circle
    return [(_new(rows.pop(one.key)), True) if one.key in rows else _submit_one(connection, one) for one in wanted]


def _known(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Those of the keys that jobs have."""
    known: set[str] = set()
    left = iter(keys)
    while some := list(islice(left, _KEYS)):
        known.update(connection.execute(select(jobs.c.key).where(jobs.c.key.in_(some))).scalars())
    return known


def _submit_one(connection: Connection, wanted: Wanted) -> tuple[Job, bool]:
    now = clock(connection)
    row = connection.execute(select(jobs).where(jobs.c.key == wanted.key)).one_or_none()
    known = _job(row) if row is not None else None
    if known is not None and _is_over(connection, known, wanted):
        connection.execute(update(jobs).where(jobs.c.id == known.id).values(key=None))
        known = None
    if known is not None:
        if known.priority < wanted.priority and known.state.value in _WAITING:
            sooner = min(known.due, now + wanted.delay) if known.state is State.QUEUED else known.due
            forward = {"priority": int(wanted.priority), "due": sooner}
            connection.execute(update(jobs).where(jobs.c.id == known.id).values(**forward))
        return known, False
    new = _row(wanted, now)
    _insert(connection, [new])
    return _new(new), True


def _row(wanted: Wanted, now: float) -> dict[str, Any]:
    """The columns of a new job that are not empty."""
    digest = str(wanted.image.digest) if wanted.image.digest else None
    return {
        "id": uuid.uuid4().hex,
        "key": wanted.key,
        "circumstances": wanted.circumstances,
        "content": content_of(digest, wanted.circumstances) if digest else None,
        "state": State.QUEUED.value,
        "priority": int(wanted.priority),
        "registry": wanted.image.host,
        "repository": wanted.image.repository,
        "tag": wanted.image.tag or "",
        "digest": digest,
        "source": wanted.source,
        "submitted": now,
        "seen": now if wanted.seen is None else wanted.seen,
        "due": now + wanted.delay,
        "attempts": 0,
        "lease": 0,
    }


def _insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        try:
            connection.execute(insert(jobs), rows)
        except IntegrityError as problem:
            raise _Overtaken from problem


def _new(row: dict[str, Any]) -> Job:
    """A job as it was just written."""
    return Job(**{**dict.fromkeys(jobs.c.keys()), **row, "state": State(row["state"])})


def _is_over(connection: Connection, known: Job, wanted: Wanted) -> bool:
    """Whether a job says nothing any more of what is wanted: the name has become another since, or is gone, or may."""
    if wanted.image.digest is None and known.digest is not None:
        if wanted.moved:
            return True
        if known.state is State.DONE and (known.started or 0.0) < clock(connection) - _SAME_TAG:
            return True
    if known.state is not State.DONE:
        return False
    same = [images.c[name] == getattr(known, name) for name in ("registry", "repository", "tag")]
    since = or_(images.c.said > known.seen, images.c.gone.is_not(None))
    return connection.execute(select(images.c.id).where(*same, since).limit(1)).first() is not None


def _check_room(connection: Connection, found: Sequence[tuple[Job, bool]], most_waiting: int) -> None:
    if any(new for _, new in found):
        count = connection.execute(select(func.count()).select_from(jobs).where(jobs.c.state.in_(_WAITING)))
        if count.scalar_one() > most_waiting:
            raise Full


def room(database: Database, keys: Collection[str], *, most_waiting: int) -> tuple[int, set[str]]:
    """How many jobs more may wait, and which of the keys are known: those need no room."""
    with database.reading() as connection:
        waiting = select(func.count()).select_from(jobs).where(jobs.c.state.in_(_WAITING))
        left = most_waiting - connection.execute(waiting).scalar_one()
        return max(0, left), _known(connection, keys)


# -- under a lease -----------------------------------------------------------------------------------


def claim(database: Database, worker: str, *, attempts: int, lease: float, tell: Tell = _tell_nobody) -> Job | None:
    """The most urgent job that is due, now running under a lease of ``lease`` seconds; None where there is none.

    A job that was lost with its worker too often is given up here: it may be what kills them.
    """
    with database.writing() as connection:
        now = clock(connection)
        while True:
            lost = and_(jobs.c.state == State.RUNNING.value, jobs.c.lease_until < now)
            due = or_(and_(jobs.c.state.in_(_WAITING), jobs.c.due <= now), lost)
            order = (jobs.c.priority.desc(), jobs.c.due, jobs.c.submitted, jobs.c.id)
            query = select(jobs).where(due).order_by(*order).limit(1).with_for_update(skip_locked=True)
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            job = _job(row)
            if job.state is State.RUNNING and job.attempts >= attempts:
                reason = f"its worker was lost {job.attempts} times while it scanned this"
                _end(connection, job.id, State.DEAD, now, reason=reason)
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
            return _job(connection.execute(select(jobs).where(jobs.c.id == job.id)).one())


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
    tell: Tell = _tell_nobody,
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
    tell: Tell = _tell_nobody,
) -> None:
    """Keep the results and end the job, both or neither; :class:`LeaseLost`. ``digest`` is what the name meant.

    ``answers`` is what indexes said: where that is what they are known to say, the results are of the present state.
    """
    outcome = _Outcome(reports=reports, digest=digest, answers=answers or {})
    try:
        _finish(database, job, outcome, tell)
    except _Overtaken:  # another job was quicker with the same result, which is there now
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
            raise _Overtaken from problem
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
    _submit_one(connection, again)


def _done(connection: Connection, job: Job, report_ids: Sequence[int], now: float, tell: Tell) -> None:
    _change(connection, job, state=State.DONE.value, ended=now, reason=None)
    tell(connection, Ending(job=job, reports=tuple(report_ids)))
    named = Named(job=job.id, registry=job.registry, repository=job.repository, tag=job.tag, said=job.seen)
    name(connection, report_ids, named, now=now)


def retry(database: Database, job: Job, reason: str, *, attempts: int, tell: Tell = _tell_nobody) -> State:
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


def give_up(database: Database, job: Job, reason: str, *, tell: Tell = _tell_nobody) -> None:
    """Nothing will come of it; :class:`LeaseLost`."""
    with database.writing() as connection:
        _change(connection, job)
        _end(connection, job.id, State.DEAD, clock(connection), reason=reason)
        tell(connection, Ending(job=job, reason=reason))


def leave(database: Database, job: Job, reason: str, *, gone: bool = False) -> None:
    """There is nothing to scan in what a registry told of, or had, if that is ``gone``; :class:`LeaseLost`."""
    with database.writing() as connection:
        _change(connection, job)
        if gone:
            set_gone(connection, (job.registry, job.repository), [job.tag], now=clock(connection), digest=job.digest)
        _end(connection, job.id, State.CANCELLED, clock(connection), reason=reason)


def _change(connection: Connection, job: Job, **values: Any) -> None:
    """Change a job under its lease."""
    held = and_(jobs.c.id == job.id, jobs.c.lease == job.lease, jobs.c.state == State.RUNNING.value)
    if connection.execute(update(jobs).where(held).values(**(values or {"lease": job.lease}))).rowcount != 1:
        raise LeaseLost


def _end(connection: Connection, job_id: str, state: State, now: float, *, reason: str) -> None:
    """End without a result; the same may be asked for again."""
    values = {"state": state.value, "ended": now, "reason": reason[:MOST_SHOWN], "key": None}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values, lease=jobs.c.lease + 1))


# -- from outside ------------------------------------------------------------------------------------


def cancel(database: Database, job_id: str) -> Job | None:
    """End a job that has not ended; the job as it then is, None where there is none."""
    with database.writing() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one_or_none()
        if row is None:
            return None
        if not _job(row).state.ended:
            _end(connection, job_id, State.CANCELLED, clock(connection), reason="cancelled")
        return _job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())


def requeue(database: Database, job_id: str) -> Job | None:
    """Try a dead or cancelled job again from the start; the job as it then is, None where there is none."""
    with database.writing() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one_or_none()
        if row is None:
            return None
        if _job(row).state in (State.DEAD, State.CANCELLED):
            now = clock(connection)
            again = {"state": State.QUEUED.value, "due": now, "attempts": 0, "ended": None, "worker": None}
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(**again))
        return _job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())


def get(database: Database, job_id: str) -> Job | None:
    """One job."""
    with database.reading() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        return None if row is None else _job(row)


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
        return [_job(row) for row in connection.execute(query)]


def counted(database: Database) -> dict[State, int]:
    """How many jobs are in each state."""
    with database.reading() as connection:
        rows = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
    return dict.fromkeys(State, 0) | {State(state): number for state, number in rows}


def due(database: Database) -> int:
    """How many jobs a worker could claim now."""
    with database.reading() as connection:
        now = clock(connection)
        lost = and_(jobs.c.state == State.RUNNING.value, jobs.c.lease_until < now)
        ready = or_(and_(jobs.c.state.in_(_WAITING), jobs.c.due <= now), lost)
        return int(connection.execute(select(func.count()).select_from(jobs).where(ready)).scalar_one())


def _job(row: Row[Any]) -> Job:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return Job(**{**values, "state": State(values["state"])})
