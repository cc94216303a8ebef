"""What one of several processes does at a time, now and then: a turn is held under a lease that is renewed.

As with jobs, a number grows with each turn: who has lost the lease changes nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, or_, select, true, update

from scanner.results.database import Database, clock, inserting
from scanner.results.tables import turns


class TurnLost(Exception):
    """Somebody else is at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A turn that is held. ``number`` is the fencing number, ``lease`` seconds."""

    name: str
    number: int
    lease: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnState:
    """When it is due, in seconds since 1970, and whether somebody is at it."""

    due: float
    held: bool


def take(
    database: Database, name: str, holder: str, *, lease: float, first: float = 0.0, latest: float | None = None
) -> Turn | None:
    """A turn that is due and that nobody is at, else None. One that never was is due at ``first``, and none later than
    at ``latest``: what is to be done may have become more frequent since it was given back.
    """
    with database.writing() as connection:
        now = clock(connection)
        due = turns.c.due <= now
        if latest is not None:
            due = or_(due, turns.c.due > latest)
        return _take(connection, name, holder, lease, first=first, due=due)


def take_now(database: Database, name: str, holder: str, *, lease: float) -> Turn | None:
    """The same also before it is due."""
    with database.writing() as connection:
        return _take(connection, name, holder, lease, first=0.0, due=true())


def states_of(database: Database) -> dict[str, TurnState]:
    """All that there are, by name."""
    with database.reading() as connection:
        now = clock(connection)
        rows = connection.execute(select(turns.c.name, turns.c.due, turns.c.until)).all()
    return {row.name: TurnState(due=row.due, held=row.until is not None and row.until >= now) for row in rows}


def _take(
    connection: Connection, name: str, holder: str, lease: float, *, first: float, due: ColumnElement[bool]
) -> Turn | None:
    now = clock(connection)
    row = {"name": name, "holder": "", "number": 0, "until": None, "due": first}
    connection.execute(inserting(connection, turns).values(**row).on_conflict_do_nothing())
    free = and_(turns.c.name == name, or_(turns.c.until.is_(None), turns.c.until < now), due)
    taken = {"holder": holder[:120], "until": now + lease, "number": turns.c.number + 1}
    if connection.execute(update(turns).where(free).values(**taken)).rowcount != 1:
        return None
    number = connection.execute(select(turns.c.number).where(turns.c.name == name)).scalar_one()
    return Turn(name=name, number=int(number), lease=lease)


def hold(connection: Connection, turn: Turn) -> float:
    """Hold on to it from now; the time. What this transaction writes is fenced by it; :class:`TurnLost`."""
    now = clock(connection)
    _change(connection, turn, until=now + turn.lease)
    return now


def give_back(database: Database, turn: Turn, *, due: float) -> None:
    """It is done until ``due``, seconds since 1970; :class:`TurnLost`."""
    with database.writing() as connection:
        _change(connection, turn, until=None, due=due)


def _change(connection: Connection, turn: Turn, **values: float | None) -> None:
    held = and_(turns.c.name == turn.name, turns.c.number == turn.number, turns.c.until.is_not(None))
    if connection.execute(update(turns).where(held).values(**values)).rowcount != 1:
        raise TurnLost
