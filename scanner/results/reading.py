"""Questions across all images, and single reports. Lists come in pages (:mod:`scanner.results.paging`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, Table, case, cast, func, select, tuple_

from scanner.results.database import Database
from scanner.results.paging import Key, cursor_of, key_of
from scanner.results.tables import distributions, findings, history, images, reports

_IMAGE: Final = (images.c.id, images.c.registry, images.c.repository, images.c.tag, images.c.platform, images.c.seen)
_NAME: Final = ("registry", "repository", "tag", "platform")
SORTS: Final = ("name", "coverage", "findings", "scanned")
"""What images are listed by."""
_SORTED_BY: Final = "sorted_by"
_REPORT: Final = tuple(
    column for column in reports.c if column.name not in ("id", "document", "content", "number", "platform")
)
THERE: Final = images.c.gone.is_(None)
"""What its registry does not have any more does not run; its history is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows as mappings, and the cursor of what follows them, None at the end."""

    rows: tuple[dict[str, Any], ...]
    next: str | None


class _Order(NamedTuple):
    """The order of a list: columns of its key, what they hold, what they are called in a row, and the direction."""

    key: tuple[ColumnElement[Any], ...]
    kinds: tuple[Any, ...]
    names: tuple[str, ...]
    down: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The newest of all names together. ``coverage`` is percent, None where nothing is applicable."""

    images: int
    applicable: int
    verified: int
    passed: int
    findings: int

    @property
    def coverage(self) -> float | None:
        """100 x verified / applicable."""
        return round(100 * self.verified / self.applicable, 2) if self.applicable else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which images. ``search`` is a part of the name; coverage below ``below`` percent."""

    registry: str | None = None
    repository: str | None = None
    tag: str | None = None
    digest: str | None = None
    search: str | None = None
    below: float | None = None
    passed: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """On :data:`images` joined to :data:`reports`."""
        exact = {images.c.registry: self.registry, images.c.repository: self.repository, images.c.tag: self.tag}
        exact |= {reports.c.digest: self.digest}
        found: list[ColumnElement[bool]] = [column == value for column, value in exact.items() if value is not None]
        if self.search is not None:
            name = images.c.registry + "/" + images.c.repository + ":" + images.c.tag
            found.append(name.contains(self.search, autoescape=True))
        if self.below is not None:
            found.append(reports.c.coverage < self.below)
        if self.passed is not None:
            found.append(reports.c.passed == self.passed)
        return found


def fleet(database: Database) -> Fleet:
    """All names' newest reports, counted."""
    sums = [func.coalesce(func.sum(column), 0) for column in (reports.c.applicable, reports.c.verified)]
    passed = func.coalesce(func.sum(case((reports.c.passed, 1), else_=0)), 0)  # PostgreSQL adds no booleans
    query = select(func.count(), *sums, passed, func.coalesce(func.sum(reports.c.findings), 0))
    with database.reading() as connection:
        row = connection.execute(query.select_from(images.join(reports)).where(THERE)).one()
    count, applicable, verified, passing, found = map(int, row)
    return Fleet(images=count, applicable=applicable, verified=verified, passed=passing, findings=found)


def listed_images(
    database: Database, wanted: Filter, *, most: int, cursor: str | None, by: str = "name", down: bool = False
) -> Page:
    """Names with their newest reports, in the order of one of :data:`SORTS`."""
    order = _of_images(by, down=down)
    query = select(*_IMAGE, images.c.report_id, *_REPORT, order.key[0].label(_SORTED_BY))
    query = query.select_from(images.join(reports)).where(THERE, *wanted.conditions())
    return _page(database, query, order, most=most, cursor=cursor)


def _of_images(by: str, *, down: bool) -> _Order:
    """What has no coverage comes last in either direction."""
    if by == "name":
        return _Order(tuple(images.c[name] for name in _NAME), (str,) * len(_NAME), _NAME, down)
    columns = {
        "coverage": func.coalesce(reports.c.coverage, -1.0 if down else 101.0),
        "findings": reports.c.findings,
        "scanned": reports.c.scanned,
    }
    return _Order((columns[by], images.c.id), ((int, float), int), (_SORTED_BY, "id"), down)


def course(
    database: Database,
    *,
    repository: str,
    registry: str | None,
    tag: str | None,
    platform: str | None = None,
    most: int,
    cursor: str | None,
) -> Page:
    """What a repository or one of its tags was, the newest first."""
    columns = [history.c[name] for name in ("id", "registry", "repository", "tag", "platform", "seen", "report_id")]
    query = select(*columns, *_REPORT).select_from(history.join(reports)).where(history.c.repository == repository)
    wanted = ((history.c.registry, registry), (history.c.tag, tag), (history.c.platform, platform))
    for column, value in wanted:
        query = query.where(column == value) if value is not None else query
    order = _Order((history.c.seen, history.c.id), ((int, float), int), ("seen", "id"), down=True)
    return _page(database, query, order, most=most, cursor=cursor)


def found_distributions(
    database: Database,
    *,
    name: str,
    version: str | None,
    origins: Sequence[str],
    most: int,
    cursor: str | None,
) -> Page:
    """Where a distribution runs: in the newest report of any name."""
    query = _across(distributions).where(distributions.c.name == name)
    if version is not None:
        query = query.where(distributions.c.version == version)
    if origins:
        query = query.where(distributions.c.origin.in_(origins))
    return _page(database, query, _of_lines(distributions), most=most, cursor=cursor)


def counted_distributions(database: Database, *, search: str | None, most: int, cursor: str | None) -> Page:
    """Every distribution, version and origin with the number of names it runs in."""
    key = (distributions.c.name, func.coalesce(distributions.c.version, ""), distributions.c.origin)
    version = key[1].label("version")
    count = func.count(images.c.id.distinct()).label("images")
    query = select(distributions.c.name, version, distributions.c.origin, count)
    joined = images.join(distributions, images.c.report_id == distributions.c.report_id)
    query = query.select_from(joined).where(THERE).group_by(*key)
    if search is not None:
        query = query.where(distributions.c.name.contains(search, autoescape=True))
    order = _Order(key, (str, str, str), ("name", "version", "origin"))
    return _page(database, query, order, most=most, cursor=cursor)


def found_findings(database: Database, *, kinds: Sequence[str], most: int, cursor: str | None) -> Page:
    """Findings of the newest report of any name."""
    query = _across(findings)
    if kinds:
        query = query.where(findings.c.kind.in_(kinds))
    return _page(database, query, _of_lines(findings), most=most, cursor=cursor)


def document(database: Database, report_id: int) -> bytes | None:
    """A report as it was kept."""
    with database.reading() as connection:
        found = connection.execute(select(reports.c.document).where(reports.c.id == report_id)).scalar_one_or_none()
    return None if found is None else bytes(found)


def reports_of_job(database: Database, job_id: str, content: str | None) -> list[int]:
    """The reports that a job led to: those it noted, else those of its content."""
    with database.reading() as connection:
        noted = select(history.c.report_id).where(history.c.job_id == job_id).order_by(history.c.report_id)
        found = list(connection.execute(noted).scalars())
        if not found and content is not None:
            query = select(reports.c.id).where(reports.c.content == content).order_by(reports.c.number)
            found = list(connection.execute(query).scalars())
    return found


def coverage_over_time(
    database: Database, *, repository: str | None, since: float, step: float
) -> list[dict[str, Any]]:
    """The mean coverage and the number of reports of each ``step`` seconds since then, where there are any."""
    number = history.c.seen / step  # SQLite may have no floor(), and PostgreSQL's cast rounds
    whole = cast(number, Integer) if database.engine.dialect.name == "sqlite" else func.floor(number)
    bucket = whole.label("bucket")
    query = select(bucket, func.sum(reports.c.verified), func.sum(reports.c.applicable), func.count())
    query = query.select_from(history.join(reports)).where(history.c.seen >= since).group_by(bucket).order_by(bucket)
    if repository is not None:
        query = query.where(history.c.repository == repository)
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return [
        {
            "since": float(number) * step,
            "coverage": round(100 * int(verified) / int(applicable), 2) if applicable else None,
            "reports": int(count),
        }
        for number, verified, applicable, count in rows
    ]


# -- pages


def _across(table: Table) -> Select[Any]:
    """A table of a report's lines, with the names whose newest report it is."""
    lines = [column for column in table.c if column.name not in ("report_id", "number")]
    joined = images.join(table, images.c.report_id == table.c.report_id).join(
        reports, images.c.report_id == reports.c.id
    )
    image = [images.c[name] for name in ("registry", "repository", "tag", "platform", "report_id")]
    return select(images.c.id, table.c.number, *image, reports.c.digest, *lines).select_from(joined).where(THERE)


def _of_lines(table: Table) -> _Order:
    """By names, and within one as the report has it."""
    return _Order((images.c.id, table.c.number), (int, int), ("id", "number"))


def _page(database: Database, query: Select[Any], order: _Order, *, most: int, cursor: str | None) -> Page:
    """``most`` rows behind the cursor."""
    if cursor is not None:
        key, known = tuple_(*order.key), tuple_(*key_of(cursor, order.kinds))
        query = query.where(key < known if order.down else key > known)
    query = query.order_by(*(column.desc() if order.down else column for column in order.key)).limit(most + 1)
    with database.reading() as connection:
        rows = connection.execute(query).all()
    shown = tuple(dict(row._mapping) for row in rows[:most])  # noqa: SLF001 - SQLAlchemy's documented name
    last: Key | None = tuple(shown[-1][name] for name in order.names) if len(rows) > most else None
    return Page(rows=shown, next=cursor_of(last) if last is not None else None)
