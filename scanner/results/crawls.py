"""How far the walks through registries have come, and what a walk has to know of the names that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, and_, exists, or_, select, update

from scanner.results.database import Database, inserting
from scanner.results.tables import crawls, images, jobs, reports

_MOST_SHOWN: Final = 500
"""Characters of a problem that are kept."""
_PATIENCE: Final = 7 * 24 * 3600.0
"""Seconds for which what nothing came of is not queued again, unless its tag means another digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The last walk through a registry. ``position`` is the last repository that was done, in the order of names;
    ``ended`` None while it goes on. Times are seconds since 1970. ``gone`` are names that are not there any more.
    """

    registry: str
    begun: float
    ended: float | None = None
    position: str = ""
    repositories: int = 0
    images: int = 0
    queued: int = 0
    gone: int = 0
    problem: str | None = None

    def with_part(self, *, images: int, queued: int, gone: int) -> Walk:
        """The same with so many more."""
        return replace(self, images=self.images + images, queued=self.queued + queued, gone=self.gone + gone)


def last_walk(connection: Connection, registry: str) -> Walk | None:
    """The last walk through a registry, also if it has not ended."""
    row = connection.execute(select(crawls).where(crawls.c.registry == registry)).one_or_none()
    return None if row is None else Walk(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def write_walk(connection: Connection, walk: Walk) -> None:
    """Write down how far it has come."""
    values = asdict(walk)
    values["problem"] = walk.problem[:_MOST_SHOWN] if walk.problem else None
    statement = inserting(connection, crawls).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["registry"], set_=values))


def walks(database: Database) -> list[Walk]:
    """The last walk of each registry."""
    with database.reading() as connection:
        rows = connection.execute(select(crawls).order_by(crawls.c.registry)).all()
    return [Walk(**row._mapping) for row in rows]  # noqa: SLF001 - as above


# -- names


def known_repositories(connection: Connection, registry: str) -> list[str]:
    """Repositories of a registry that a name is known of that is there."""
    query = select(images.c.repository).where(images.c.registry == registry, images.c.gone.is_(None))
    return list(connection.execute(query.distinct()).scalars())


def known_tags(connection: Connection, registry: str, repository: str) -> list[str]:
    """The tags of names in a repository that are taken to be there."""
    query = select(images.c.tag).where(images.c.registry == registry, images.c.repository == repository)
    return list(connection.execute(query.where(images.c.tag != "", images.c.gone.is_(None)).distinct()).scalars())


def unknown(
    connection: Connection, place: tuple[str, str], digests: Mapping[str, str], terms: str, *, now: float
) -> list[str]:
    """Which tags of a repository have no report of their digest under these settings; not those that nothing came of.

    ``place`` is registry and repository, ``digests`` are by tag.
    """
    return [tag for tag, digest in digests.items() if not _is_known(connection, (*place, tag), digest, terms, now=now)]


def _is_known(connection: Connection, name: tuple[str, str, str], digest: str, terms: str, *, now: float) -> bool:
    columns = ("registry", "repository", "tag")
    named = and_(*(images.c[column] == value for column, value in zip(columns, name, strict=True)))
    query = select(images.c.id).select_from(images.join(reports)).where(named, images.c.gone.is_(None))
    if connection.execute(query.where(reports.c.asked == digest, reports.c.terms == terms).limit(1)).first():
        return True
    job = and_(*(jobs.c[column] == value for column, value in zip(columns, name, strict=True)))
    dead = and_(jobs.c.state == "dead", jobs.c.ended > now - _PATIENCE)
    waits = jobs.c.state.in_(("queued", "failed", "running"))
    found = select(exists().where(job, jobs.c.digest == digest, or_(dead, waits)))
    return bool(connection.execute(found).scalar_one())


def set_gone(
    connection: Connection, place: tuple[str, str], tags: Sequence[str], *, now: float, digest: str | None = None
) -> int:
    """Tags that their registry does not have any more, or not with this digest; how many. What is pushed again is there
    again.
    """
    count = 0
    for tag in tags:
        named: Any = and_(images.c.registry == place[0], images.c.repository == place[1], images.c.tag == tag)
        if digest is not None:
            named = and_(named, images.c.report_id.in_(select(reports.c.id).where(reports.c.asked == digest)))
        done = connection.execute(update(images).where(named, images.c.gone.is_(None)).values(gone=now))
        count += done.rowcount > 0
    return count
