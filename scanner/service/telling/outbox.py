"""What waits to be told; every change of its state as one transaction.

::

    waiting ──claim──▶ sending ──settle──▶ done
       ▲                  │  └─give up───▶ dead ──requeue──▶ waiting
       └──────later───────┘

``sending`` whose lease has run out is claimed like what waits. What is about one name goes to a receiver in its order:
nobody hears that an image is mended before that it was broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, or_, select, update

from scanner.results.database import Database, clock
from scanner.results.tables import outbox

WAITING: Final = "waiting"
SENDING: Final = "sending"
DONE: Final = "done"
DEAD: Final = "dead"
STATES: Final = (WAITING, SENDING, DONE, DEAD)
BACKOFF: Final = (10.0, 60.0, 300.0, 900.0, 1800.0)
"""Seconds before each next attempt; the last counts for all that follow."""
ATTEMPTS: Final = 10
LONGEST_PAUSE: Final = 3600.0
"""Seconds that a receiver may ask to wait."""
_MOST_SHOWN: Final = 300
_COLUMNS: Final = tuple(column for column in outbox.c if column.name not in ("document", "about"))


class LeaseLost(Exception):
    """Somebody else tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A row; ``about`` is JSON, ``lease`` the fencing number."""

    number: int
    id: str
    kind: str
    receiver: str
    events: str
    registry: str
    repository: str
    tag: str
    digest: str | None
    job_id: str
    about: str
    document: bytes | None
    state: str
    created: float
    due: float
    ended: float | None
    attempts: int
    lease: int
    lease_until: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """It may go well later: after ``pause`` seconds if the receiver asked for that.

    ``others`` is whether what else waits for the receiver waits as well, and ``counts`` whether that is an attempt of
    theirs too: a receiver that is out of reach is not asked for each of them.
    """

    reason: str
    pause: float = 0.0
    others: bool = False
    counts: bool = False


def claim(database: Database, *, kind: str, receiver: str | None, lease: float) -> Item | None:
    """What is to be told next, under a lease of ``lease`` seconds; None where there is nothing due.

    ``receiver`` None is any. What was lost with its worker too often is given up here.
    """
    with database.writing() as connection:
        now = clock(connection)
        while True:
            query = select(outbox).where(_due(now), outbox.c.kind == kind, ~_earlier())
            if receiver is not None:
                query = query.where(outbox.c.receiver == receiver)
            query = query.order_by(outbox.c.due, outbox.c.number).limit(1).with_for_update(skip_locked=True)
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            item = _item(row)
            mine = outbox.c.number == item.number
            if item.attempts >= ATTEMPTS:
                reason = item.reason or "its worker was lost each time"
                connection.execute(update(outbox).where(mine).values(**_dead(now, reason, item.attempts)))
                continue
            held = {"state": SENDING, "lease": item.lease + 1, "lease_until": now + lease}
            connection.execute(update(outbox).where(mine).values(**held, attempts=item.attempts + 1))
            return _item(connection.execute(select(outbox).where(mine)).one())


def keep_document(database: Database, item: Item, document: bytes) -> None:
    """Remember what is going to be attached, so that every attempt attaches the same; :class:`LeaseLost`."""
    with database.writing() as connection:
        _change(connection, item, document=document)


def settle(database: Database, item: Item, *, note: str | None = None) -> None:
    """It is told; :class:`LeaseLost`."""
    with database.writing() as connection:
        _change(connection, item, state=DONE, ended=clock(connection), reason=note, document=None)


def give_up(database: Database, item: Item, reason: str) -> None:
    """It cannot be told; :class:`LeaseLost`."""
    with database.writing() as connection:
        _change(connection, item, **_dead(clock(connection), reason, item.attempts), document=None)


def put_off(database: Database, item: Item, later: Later) -> str:
    """Tell it later, or give up after :data:`ATTEMPTS`; the state it then has. :class:`LeaseLost`."""
    wait = min(later.pause, LONGEST_PAUSE) or BACKOFF[min(item.attempts, len(BACKOFF)) - 1]
    with database.writing() as connection:
        now = clock(connection)
        if item.attempts >= ATTEMPTS:
            _change(connection, item, **_dead(now, later.reason, item.attempts), document=None)
        else:
            _change(connection, item, state=WAITING, due=now + wait, reason=later.reason[:_MOST_SHOWN])
        if later.others:
            _put_off_others(connection, item, now, now + wait, later)
    return DEAD if item.attempts >= ATTEMPTS else WAITING


def _put_off_others(connection: Connection, item: Item, now: float, due: float, later: Later) -> None:
    same = and_(outbox.c.kind == item.kind, outbox.c.receiver == item.receiver, outbox.c.state == WAITING)
    values: dict[str, Any] = {"due": due}
    if later.counts:
        values |= {"attempts": outbox.c.attempts + 1, "reason": later.reason[:_MOST_SHOWN]}
    connection.execute(update(outbox).where(same, outbox.c.due <= now).values(**values))


def requeue(database: Database, item_id: str) -> dict[str, Any] | None:
    """Try what was given up again from the start; the row as it then is, None where there is none."""
    with database.writing() as connection:
        again = {"state": WAITING, "due": clock(connection), "attempts": 0, "ended": None}
        connection.execute(update(outbox).where(outbox.c.id == item_id, outbox.c.state == DEAD).values(**again))
        row = connection.execute(select(*_COLUMNS).where(outbox.c.id == item_id)).one_or_none()
        return None if row is None else dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def listed(
    database: Database, *, states: Sequence[str], receiver: str | None, most: int, before: int | None
) -> list[dict[str, Any]]:
    """Rows, the newest first; ``before`` is the number of the last one that is known."""
    conditions: list[ColumnElement[bool]] = [outbox.c.state.in_(states)] if states else []
    if receiver is not None:
        conditions.append(outbox.c.receiver == receiver)
    if before is not None:
        conditions.append(outbox.c.number < before)
    query = select(*_COLUMNS).where(*conditions).order_by(outbox.c.number.desc()).limit(most)
    with database.reading() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - as above


def counted(database: Database) -> dict[tuple[str, str], int]:
    """How many rows there are by receiver and state."""
    columns = (outbox.c.receiver, outbox.c.state)
    with database.reading() as connection:
        rows = connection.execute(select(*columns, func.count()).group_by(*columns)).all()
    return {(receiver, state): number for receiver, state, number in rows}


def _due(now: float) -> ColumnElement[bool]:
    lost = and_(outbox.c.state == SENDING, outbox.c.lease_until < now)
    return or_(and_(outbox.c.state == WAITING, outbox.c.due <= now), lost)


def _earlier() -> ColumnElement[bool]:
    """Something older about the same name is not told yet."""
    other = outbox.alias()
    same = [other.c[name] == outbox.c[name] for name in ("kind", "receiver", "registry", "repository", "tag")]
    return exists().where(*same, other.c.number < outbox.c.number, other.c.state.in_((WAITING, SENDING)))


def _change(connection: Connection, item: Item, **values: Any) -> None:
    """Change a row under its lease."""
    held = and_(outbox.c.number == item.number, outbox.c.lease == item.lease, outbox.c.state == SENDING)
    if connection.execute(update(outbox).where(held).values(**values)).rowcount != 1:
        raise LeaseLost


def _dead(now: float, reason: str, attempts: int) -> dict[str, Any]:
    tries = f" (after {attempts} attempts)" if attempts > 1 else ""
    return {"state": DEAD, "ended": now, "reason": f"{reason[:_MOST_SHOWN]}{tries}"}


def _item(row: Row[Any]) -> Item:
    return Item(**row._mapping)  # noqa: SLF001 - as above
