"""What is known of one digest: its newest reports, and how its newest job stands.

A digest of an index has a report for each platform that was scanned, one of a single manifest has its own, also where
the index was what was scanned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select

from scanner.results import states
from scanner.results.database import clock
from scanner.results.tables import jobs, reports


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A report without its document. ``content`` says of which result it is part."""

    id: int
    content: str
    platform: str
    scanned: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The newest reports of a digest, ``age`` seconds old; ``current`` if they are of the circumstances of now."""

    reports: tuple[Kept, ...]
    current: bool
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A job: its state, why it is in it, and how many seconds ago it ended."""

    id: str
    state: str
    reason: str | None
    ended: float | None


def newest(
    connection: Connection, digest: str, content: str, *, terms: str | None = None, fresh: float = math.inf
) -> Known | None:
    """The reports of a result, or those under the same settings that still hold and are at most ``fresh`` seconds old,
    else the newest of the digest under any circumstances; None where there are none.
    """
    rows = _reports(connection, _kept().where(reports.c.content == content).order_by(reports.c.number))
    if not rows and terms is not None:
        ids = states.standing(connection, digest, terms, since=clock(connection) - fresh)
        rows = _reports(connection, _kept().where(reports.c.id.in_(ids)).order_by(reports.c.number))
    current = bool(rows)
    if not rows:
        rows = max(_of_jobs(connection, digest), _own(connection, digest), key=_scanned)
    if not rows:
        return None
    return Known(reports=rows, current=current, age=max(0.0, clock(connection) - _scanned(rows)))


def standing(connection: Connection, content: str) -> Standing | None:
    """The newest job of a result."""
    columns = (jobs.c.id, jobs.c.state, jobs.c.reason, jobs.c.ended)
    query = select(*columns).where(jobs.c.content == content).order_by(jobs.c.submitted.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    ended = None if row.ended is None else max(0.0, clock(connection) - row.ended)
    return Standing(id=row.id, state=row.state, reason=row.reason, ended=ended)


def _kept() -> Select[Any]:
    return select(reports.c.id, reports.c.content, reports.c.platform, reports.c.scanned)


def _reports(connection: Connection, query: Select[Any]) -> tuple[Kept, ...]:
    rows = connection.execute(query).all()
    return tuple(Kept(id=row.id, content=row.content, platform=row.platform, scanned=row.scanned) for row in rows)


def _of_jobs(connection: Connection, digest: str) -> tuple[Kept, ...]:
    """All reports of the newest result of a job with this digest, which may be that of an index."""
    query = _kept().join(jobs, jobs.c.content == reports.c.content).where(jobs.c.digest == digest)
    rows = _reports(connection, query.order_by(reports.c.scanned.desc()).limit(1))
    if not rows:
        return ()
    return _reports(connection, _kept().where(reports.c.content == rows[0].content).order_by(reports.c.number))


def _own(connection: Connection, digest: str) -> tuple[Kept, ...]:
    """The newest report of this manifest."""
    return _reports(connection, _kept().where(reports.c.digest == digest).order_by(reports.c.scanned.desc()).limit(1))


def _scanned(rows: tuple[Kept, ...]) -> float:
    return max((row.scanned for row in rows), default=0.0)
