"""What indexes last said, under a serial that grows; which results still hold, and which names are looked at again.

``counters`` has the serial of the newest state, and up to which one names were ``followed``: those that a change
concerns were queued. A transaction that says what a name is now shares the lock of the serial, so that none comes
between a change and the search for the names that it concerns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select, update
from sqlalchemy.sql.expression import ColumnClause

from scanner.answered import Answers
from scanner.results.database import inserting
from scanner.results.keeping import LONGEST_PROJECT, of_content
from scanner.results.tables import counters, images, index_states, jobs, reports, rests

_SERIAL: Final = "serial"
_FOLLOWED: Final = "followed"
_TERMS: Final = 40
"""Characters of a fingerprint of settings that are told."""
_AT_ONCE: Final = 400
_OPEN: Final = ("queued", "failed", "running")
_PATIENCE: Final = 24 * 3600.0
"""Seconds after which what could not be scanned is tried again."""
RETRIES: Final = (600.0, 2400.0, 9600.0, 38_400.0, 86_400.0)
"""Seconds after which an image with something unchecked is looked at again; the last counts for all that follow."""


# -- the serial


def circumstances(terms: str, serial: int) -> str:
    """All that decides a result besides the image, as one text: settings, and the state of the indexes."""
    return f"{terms[:_TERMS]}-{serial}"


def parted(text: str) -> tuple[str, int]:
    """The settings and the state out of such a text."""
    terms, _, serial = text.rpartition("-")
    return (terms, int(serial)) if terms and serial.isascii() and serial.isdigit() else (text, 0)


def serial(connection: Connection, *, hold: bool = False) -> int:
    """The newest state. With ``hold`` there is no newer one before the end of the transaction."""
    query = select(counters.c.value).where(counters.c.name == _SERIAL)
    return int(connection.execute(query.with_for_update(read=True) if hold else query).scalar_one())


def lock(connection: Connection) -> None:
    """Let no other transaction read the state with ``hold`` before the end of this one. Whoever writes down what
    indexes say does so first of all: others have that lock when they write the same.
    """
    connection.execute(select(counters.c.value).where(counters.c.name == _SERIAL).with_for_update())


def next_serial(connection: Connection) -> int:
    """A new state from now on."""
    connection.execute(update(counters).where(counters.c.name == _SERIAL).values(value=counters.c.value + 1))
    return serial(connection)


# -- what indexes said


def take_answers(connection: Connection, answers: Answers, *, now: float) -> bool:
    """Write down what a scan was answered, where nothing is known yet; whether all else is as it is known.

    What is known otherwise is in doubt, whichever of the two is the newer: the next round finds it changed.
    """
    same = True
    doubtful: list[tuple[str, str]] = []
    for name, said in sorted(answers.items()):
        asked = {project: mark for project, mark in sorted(said.items()) if len(project) <= LONGEST_PROJECT}
        known = _known(connection, name, list(asked))
        fresh = [_row(name, project, mark, now) for project, mark in asked.items() if project not in known]
        _insert_absent(connection, fresh)
        differing = [project for project, mark in asked.items() if known.get(project, mark) != mark]
        doubtful += [(name, project) for project in differing]
        same = same and not differing
    for name, project in doubtful:
        connection.execute(update(index_states).where(_is(name, project)).values(fingerprint=""))
    return same


def take_round(connection: Connection, name: str, answers: Mapping[str, str], *, now: float) -> int:
    """Write down what an index says now; how many answers are new. They are under a new serial, where there are any."""
    marks = dict(sorted(answers.items()))
    known = _known(connection, name, list(marks))
    changed = [project for project in marks if project in known and known[project] != marks[project]]
    number = next_serial(connection) if changed else 0
    _insert_absent(connection, [_row(name, project, marks[project], now) for project in marks if project not in known])
    for project, mark in marks.items():
        if project in known:
            values: dict[str, Any] = {"asked": now}
            if known[project] != mark:
                values |= {"fingerprint": mark, "serial": number}
            connection.execute(update(index_states).where(_is(name, project)).values(**values))
    return len(changed)


def _known(connection: Connection, name: str, projects: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in _parts(projects):
        query = select(index_states.c.project, index_states.c.fingerprint)
        query = query.where(index_states.c.index_name == name, index_states.c.project.in_(part))
        found |= {row.project: row.fingerprint for row in connection.execute(query)}
    return found


def _insert_absent(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    for part in _parts(rows):
        connection.execute(inserting(connection, index_states).values(list(part)).on_conflict_do_nothing())


def _row(name: str, project: str, mark: str, now: float) -> dict[str, Any]:
    return {"index_name": name, "project": project, "fingerprint": mark, "serial": 0, "asked": now}


def _is(name: str, project: str) -> ColumnElement[bool]:
    return and_(index_states.c.index_name == name, index_states.c.project == project)


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))


def watched(connection: Connection) -> list[str]:
    """The projects that the newest reports of all names rest on; what was not asked for the longest time first."""
    asked = select(index_states.c.project, func.min(index_states.c.asked).label("asked"))
    last = asked.group_by(index_states.c.project).subquery()
    newest = select(rests.c.project).join(images, images.c.report_id == rests.c.report_id)
    newest_only = newest.where(images.c.gone.is_(None)).distinct().subquery()
    query = select(newest_only.c.project).outerjoin(last, last.c.project == newest_only.c.project)
    when = func.coalesce(last.c.asked, 0.0)
    return list(connection.execute(query.order_by(when, newest_only.c.project)).scalars())


# -- which results hold


def standing(connection: Connection, digest: str, terms: str, *, since: float) -> list[int]:
    """The reports of a digest under these settings that still hold: made after ``since``, with everything checked, and
    no index has changed what they rest on. Also that of an image that was scanned with the index that it is of.
    """
    holds = and_(reports.c.terms == terms[:_TERMS], reports.c.unchecked == 0, reports.c.scanned >= since)
    query = select(reports.c.id, reports.c.content).where(holds, ~_touched(reports.c.serial))
    query = query.order_by(reports.c.id.desc()).limit(1)
    whole = connection.execute(query.where(reports.c.asked == digest)).one_or_none()
    if whole is not None:
        return of_content(connection, whole.content)
    part = connection.execute(query.where(reports.c.digest == digest)).one_or_none()
    return [part.id] if part is not None else []


def is_touched(connection: Connection, report_ids: Sequence[int]) -> bool:
    """Whether an index has changed what one of them rests on."""
    query = select(reports.c.id).where(reports.c.id.in_(report_ids), _touched(reports.c.serial)).limit(1)
    return connection.execute(query).first() is not None


def _touched(than: ColumnClause[Any] | ColumnElement[int]) -> ColumnElement[bool]:
    """Whether an index has changed what a report rests on."""
    joined = rests.join(index_states, index_states.c.project == rests.c.project)
    changed = select(rests.c.project).select_from(joined)
    return exists(changed.where(rests.c.report_id == reports.c.id, index_states.c.serial > than))


# -- names that are to be looked at again


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name, the digest that it had when it was last scanned, and when it was said to have it."""

    registry: str
    repository: str
    tag: str
    digest: str
    said: float


def followed(connection: Connection) -> int:
    """The state up to which the names that a change concerns were queued."""
    return int(connection.execute(select(counters.c.value).where(counters.c.name == _FOLLOWED)).scalar_one())


def set_followed(connection: Connection, number: int) -> None:
    """The same from now on."""
    held = and_(counters.c.name == _FOLLOWED, counters.c.value < number)
    connection.execute(update(counters).where(held).values(value=number))


def touched_names(connection: Connection, terms: str, *, now: float) -> tuple[list[Name], bool]:
    """Names whose newest report rests on what an index has changed since the names were last followed; and whether
    those are all, or others wait for a scan or have just failed.
    """
    changed = select(rests.c.report_id).join(index_states, index_states.c.project == rests.c.project)
    changed = changed.where(index_states.c.serial > followed(connection))
    query = _names(terms).add_columns(_is_held(now).label("held"))
    rows = connection.execute(query.where(images.c.report_id.in_(changed), _touched(reports.c.serial))).all()
    names = dict.fromkeys(_name(row) for row in rows if not row.held)  # an index of images has one row a platform
    return list(names), not any(row.held for row in rows)


def doubtful_names(connection: Connection, terms: str, *, now: float, since: float) -> list[Name]:
    """Names whose newest report is older than ``since``, or has something unchecked and it is time to try again."""
    again = reports.alias("again")
    tried = select(func.count(again.c.content.distinct())).where(
        again.c.asked == reports.c.asked, again.c.terms == reports.c.terms, again.c.unchecked > 0
    )
    columns = (reports.c.unchecked, reports.c.scanned, tried.scalar_subquery().label("tried"))
    unsure = and_(reports.c.unchecked > 0, reports.c.scanned < now - RETRIES[0])
    query = _names(terms).add_columns(*columns).where(~_is_held(now), or_(unsure, reports.c.scanned < since))
    rows = connection.execute(query).all()
    return list(dict.fromkeys(_name(row) for row in rows if _is_due(row, now=now, since=since)))


def _is_due(row: Row[Any], *, now: float, since: float) -> bool:
    wait = RETRIES[min(max(row.tried, 1), len(RETRIES)) - 1]
    return bool(row.scanned < since or (row.unchecked and row.scanned < now - wait))


def _names(terms: str) -> Select[Any]:
    """Names that are there and were scanned under these settings."""
    columns = (images.c.registry, images.c.repository, images.c.tag, images.c.said, reports.c.asked)
    query = select(*columns).select_from(images.join(reports))
    return query.where(images.c.gone.is_(None), reports.c.terms == terms[:_TERMS])


def _is_held(now: float) -> ColumnElement[bool]:
    """Whether a name waits for a scan, or nothing came of one a short time ago."""
    same = [jobs.c[name] == images.c[name] for name in ("registry", "repository", "tag")]
    failed = and_(jobs.c.digest == reports.c.asked, jobs.c.state == "dead", jobs.c.ended > now - _PATIENCE)
    return exists().where(*same, or_(jobs.c.state.in_(_OPEN), failed))


def _name(row: Row[Any]) -> Name:
    return Name(registry=row.registry, repository=row.repository, tag=row.tag, digest=row.asked, said=row.said)
