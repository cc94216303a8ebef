"""The last round of questions to each index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from scanner.results.database import Database
from scanner.results.tables import index_rounds

_MOST_SHOWN: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How many questions were answered and were not, and how many answers were new; ``problem`` is the last one.

    ``ended`` is seconds since 1970.
    """

    index: str
    ended: float
    answered: int
    unanswered: int
    changed: int
    problem: str | None


def write(connection: Connection, rounds: Sequence[Round]) -> None:
    """Keep these in place of the last ones."""
    connection.execute(delete(index_rounds))
    for one in rounds:
        values = {name: getattr(one, name) for name in ("ended", "answered", "unanswered", "changed")}
        problem = one.problem[:_MOST_SHOWN] if one.problem else None
        connection.execute(insert(index_rounds).values(index_name=one.index, problem=problem, **values))


def last(database: Database) -> list[Round]:
    """The last round of each index, by name."""
    with database.reading() as connection:
        rows = connection.execute(select(index_rounds).order_by(index_rounds.c.index_name)).mappings().all()
    return [Round(index=row["index_name"], **{key: row[key] for key in row if key != "index_name"}) for row in rows]
