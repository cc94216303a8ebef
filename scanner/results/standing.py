"""Where the fleet stands, and how it came there: what a person looks at first. No document is read for any of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CompoundSelect, Integer, Select, case, cast, desc, exists, func, literal, select

from scanner.results.database import Database
from scanner.results.paging import cursor_of, key_of
from scanner.results.reading import THERE, Filter, Page
from scanner.results.tables import distributions, findings, history, images, reports

_NAME: Final = ("registry", "repository", "tag", "platform")
_NUMBERS: Final = ("digest", "scanned", "coverage", "applicable", "verified", "distributions", "findings", "passed")
_FROM_EACH: Final = 3
"""Findings of one report that are shown where those of many are."""
_MOST_REGISTRIES: Final = 200
_MOST_NAMES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What all names had together at a time, in seconds since 1970. ``coverage`` is percent, None for nothing
    applicable.
    """

    when: float
    images: int
    applicable: int
    verified: int

    @property
    def coverage(self) -> float | None:
        """100 x verified / applicable."""
        return round(100 * self.verified / self.applicable, 2) if self.applicable else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time from ``since`` to ``until``, in seconds since 1970, in ``steps`` equal parts."""

    since: float
    until: float
    steps: int

    @property
    def step(self) -> float:
        """Seconds of a part."""
        return (self.until - self.since) / self.steps


def fleet_over_time(database: Database, span: Span, *, repository: tuple[str, str] | None = None) -> list[Moment]:
    """What all names, or those of one (registry, repository), had at the end of each part of ``span``; it begins with
    the first in which there was anything.

    An entry of the history changes the sums by what it has more than the one before it of the same name; a name that
    its registry does not have any more takes away what it had.
    """
    changes = _changes(repository).subquery()
    part = (changes.c.seen - span.since) / span.step
    whole = cast(func.floor(part), Integer)
    if database.engine.dialect.name == "sqlite":  # it may have no floor(), and its cast goes towards 0
        whole = cast(part, Integer)
    number = case((changes.c.seen < span.since, -1), (changes.c.seen >= span.until, span.steps), else_=whole)
    query = select(number.label("number"), *(func.sum(changes.c[name]) for name in ("first", "applicable", "verified")))
    with database.reading() as connection:
        rows = connection.execute(query.group_by("number"))
        found = {int(number): tuple(map(int, sums)) for number, *sums in rows}
    count = applicable = verified = 0
    moments = []
    for at in range(-1, span.steps):
        more = found.get(at, (0, 0, 0))
        count, applicable, verified = count + more[0], applicable + more[1], verified + more[2]
        if at >= 0 and count:
            when = span.since + (at + 1) * span.step
            moments.append(Moment(when=when, images=count, applicable=applicable, verified=verified))
    return moments


def _changes(repository: tuple[str, str] | None) -> CompoundSelect[Any]:
    """Entries of the history as differences to the entry before, and names that are gone."""
    name, order = [history.c[part] for part in _NAME], (history.c.seen, history.c.id)
    differences = [
        (column - func.coalesce(func.lag(column).over(partition_by=name, order_by=order), 0)).label(column.name)
        for column in (reports.c.applicable, reports.c.verified)
    ]
    number = func.row_number().over(partition_by=name, order_by=order)
    first = case((number == 1, 1), else_=0).label("first")
    query = select(history.c.seen, first, *differences).select_from(history.join(reports))
    gone = select(images.c.gone, literal(-1), -reports.c.applicable, -reports.c.verified)
    gone = gone.select_from(images.join(reports)).where(images.c.gone.is_not(None))
    if repository is not None:
        query = query.where(history.c.registry == repository[0], history.c.repository == repository[1])
        gone = gone.where(images.c.registry == repository[0], images.c.repository == repository[1])
    return query.union_all(gone)


# -- names


def worst_images(database: Database, *, most: int) -> list[dict[str, Any]]:
    """The names with the lowest coverage below 100 percent; of those alike, the ones with more to cover first."""
    query = _images().where(THERE, reports.c.coverage < 100)
    query = query.order_by(reports.c.coverage, reports.c.applicable.desc(), images.c.id).limit(most)
    return _rows(database, query)


def count_of_images(database: Database, wanted: Filter) -> int:
    """How many names :func:`scanner.results.reading.listed_images` lists."""
    query = select(func.count()).select_from(images.join(reports)).where(THERE, *wanted.conditions())
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())


def registries(database: Database) -> list[str]:
    """The registries that names are of."""
    query = select(images.c.registry).distinct().order_by(images.c.registry).limit(_MOST_REGISTRIES)
    with database.reading() as connection:
        return list(connection.execute(query).scalars())


def named(database: Database, report_id: int) -> list[dict[str, Any]]:
    """The names that have or had a report; ``newest`` is whether it still is a name's newest."""
    key = [history.c[part] for part in _NAME]
    mine = [images.c[part] == history.c[part] for part in _NAME]
    newest = exists().where(*mine, images.c.report_id == report_id)
    query = select(*key, newest.label("newest")).where(history.c.report_id == report_id)
    return _rows(database, query.distinct().order_by(*key).limit(_MOST_NAMES))


def _images() -> Select[Any]:
    columns = [*(images.c[name] for name in (*_NAME, "report_id", "seen")), *(reports.c[name] for name in _NUMBERS)]
    return select(*columns).select_from(images.join(reports))


# -- findings


def newest_findings(database: Database, *, most: int) -> list[dict[str, Any]]:
    """The digests that were seen last of those with findings, each with one name of it, ``since`` when it was seen
    first, and ``first`` of its findings. That an old digest is scanned anew makes nothing of it new.
    """
    earlier = reports.alias()
    seen = select(func.min(history.c.seen)).select_from(history.join(earlier, history.c.report_id == earlier.c.id))
    since = func.coalesce(seen.where(earlier.c.digest == reports.c.digest).scalar_subquery(), images.c.seen)
    newest = select(images.c.report_id, func.min(since).label("since")).select_from(images.join(reports))
    newest = newest.where(THERE, reports.c.findings > 0).group_by(images.c.report_id)
    newest = newest.order_by(desc("since"), images.c.report_id.desc()).limit(most)
    chosen = newest.subquery()
    query = _images().add_columns(chosen.c.since).join(chosen, chosen.c.report_id == images.c.report_id).where(THERE)
    rows = _rows(database, query.order_by(chosen.c.since.desc(), images.c.report_id.desc(), images.c.id))
    by_report = {row["report_id"]: row for row in reversed(rows)}  # of several names of a report, the first
    few = select(findings).where(findings.c.report_id.in_(by_report), findings.c.number < _FROM_EACH)
    lines = _rows(database, few.order_by(findings.c.report_id, findings.c.number))
    return [
        {**row, "first": [line for line in lines if line["report_id"] == report_id]}
        for report_id, row in reversed(by_report.items())
    ]


# -- distributions


def projects(database: Database, *, search: str | None, most: int, cursor: str | None) -> Page:
    """Names of distributions in the newest reports, each with how many ``images`` and ``versions``, and with the
    images by ``origins``, where one counts for each.
    """
    after = None if cursor is None else str(key_of(cursor, [str])[0])
    query = _names(after, search).limit(most + 1)
    with database.reading() as connection:
        names = list(connection.execute(query).scalars())
    spread, count = _spread(database, names[:most]), _in_images(database, names[:most])
    rows = tuple(_project(name, spread, count[name]) for name in names[:most])
    return Page(rows=rows, next=cursor_of((names[most - 1],)) if len(names) > most else None)


def _names(after: str | None, search: str | None) -> Select[Any]:
    """Names of distributions in the newest reports, in their order. Each is looked up behind the one before it, so
    that the lines of a name are not read for its name alone. Both databases give the rows of such a walk as it makes
    them; to have them sorted they would walk to the end for each page.
    """
    column = distributions.c.name
    first = select(func.min(column).label("name"))
    walk = (first if after is None else first.where(column > after)).cte("names", recursive=True)
    following = select(func.min(column)).where(column > walk.c.name).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.name.is_not(None)))
    lines = distributions.join(images, images.c.report_id == distributions.c.report_id)
    there = exists().select_from(lines).where(column == walk.c.name, THERE)
    query = select(walk.c.name).where(walk.c.name.is_not(None), there)
    return query if search is None else query.where(walk.c.name.contains(search, autoescape=True))


def spread(database: Database, name: str) -> list[dict[str, Any]]:
    """In how many names' newest reports each version and origin of a distribution is."""
    return _spread(database, [name])


def _spread(database: Database, names: Sequence[str]) -> list[dict[str, Any]]:
    version = func.coalesce(distributions.c.version, "").label("version")
    key = (distributions.c.name, version, distributions.c.origin)
    count = func.count(images.c.id.distinct()).label("images")
    joined = distributions.join(images, images.c.report_id == distributions.c.report_id)
    query = select(*key, count).select_from(joined).where(THERE, distributions.c.name.in_(names))
    return _rows(database, query.group_by(*key).order_by(*key))


def _in_images(database: Database, names: Sequence[str]) -> dict[str, int]:
    joined = distributions.join(images, images.c.report_id == distributions.c.report_id)
    query = select(distributions.c.name, func.count(images.c.id.distinct())).select_from(joined)
    with database.reading() as connection:
        rows = connection.execute(query.where(THERE, distributions.c.name.in_(names)).group_by(distributions.c.name))
        return {str(name): int(count) for name, count in rows}


def _project(name: str, spread: Sequence[dict[str, Any]], count: int) -> dict[str, Any]:
    mine = [row for row in spread if row["name"] == name]
    origins: dict[str, int] = {}
    for row in mine:
        origins[row["origin"]] = origins.get(row["origin"], 0) + row["images"]
    return {"name": name, "images": count, "origins": origins, "versions": len({row["version"] for row in mine})}


# -- jobs


def reports_of_jobs(database: Database, job_ids: Sequence[str]) -> dict[str, int]:
    """The first report that each job led to, of those that led to any."""
    query = select(history.c.job_id, func.min(history.c.report_id)).where(history.c.job_id.in_(job_ids))
    with database.reading() as connection:
        return {str(job): int(report) for job, report in connection.execute(query.group_by(history.c.job_id))}


def _rows(database: Database, query: Select[Any]) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's documented name
