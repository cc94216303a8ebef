"""What is wanted is queued, or found to be there."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from scanner.results.database import Database, clock
from scanner.results.tables import images, jobs
from scanner.service.jobs.job import WAITING, Full, Job, Overtaken, State, Wanted, content_of, job_of

_KEYS: Final = 500
"""Keys in one question."""
_SAME_TAG: Final = 30.0
"""Seconds for which a tag is taken to mean what it meant."""


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
        except Overtaken:
            continue
    raise Full


def _submit(connection: Connection, wanted: Sequence[Wanted]) -> list[tuple[Job, bool]]:
    """One after the other; but what is new is written at once, since every statement is a way to the database."""
    first = {one.key: one for one in reversed(wanted)}
    now, known = clock(connection), _known(connection, first)
    rows = {key: _row(one, now) for key, one in first.items() if key not in known}
    _insert(connection, [rows[key] for key in sorted(rows)])  # in one order everywhere: nobody waits in a circle
    return [(_new(rows.pop(one.key)), True) if one.key in rows else submit_one(connection, one) for one in wanted]


def _known(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Those of the keys that jobs have."""
    known: set[str] = set()
    left = iter(keys)
    while some := list(islice(left, _KEYS)):
        known.update(connection.execute(select(jobs.c.key).where(jobs.c.key.in_(some))).scalars())
    return known


def submit_one(connection: Connection, wanted: Wanted) -> tuple[Job, bool]:
    """One of them, within a transaction; the job, and whether it is new."""
    now = clock(connection)
    row = connection.execute(select(jobs).where(jobs.c.key == wanted.key)).one_or_none()
    known = job_of(row) if row is not None else None
    if known is not None and _is_over(connection, known, wanted):
        connection.execute(update(jobs).where(jobs.c.id == known.id).values(key=None))
        known = None
    if known is not None:
        if known.priority < wanted.priority and known.state.value in WAITING:
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
            raise Overtaken from problem


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
        count = connection.execute(select(func.count()).select_from(jobs).where(jobs.c.state.in_(WAITING)))
        if count.scalar_one() > most_waiting:
            raise Full


def room(database: Database, keys: Collection[str], *, most_waiting: int) -> tuple[int, set[str]]:
    """How many jobs more may wait, and which of the keys are known: those need no room."""
    with database.reading() as connection:
        waiting = select(func.count()).select_from(jobs).where(jobs.c.state.in_(WAITING))
        left = most_waiting - connection.execute(waiting).scalar_one()
        return max(0, left), _known(connection, keys)
