"""A report goes in, and out again when it is old. The caller's transaction decides whether it has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from backports import zstd
from packaging.utils import canonicalize_name
from sqlalchemy import ColumnElement, Connection, Table, and_, case, delete, exists, insert, select

from scanner.decoding import Reading, decoded, json_value
from scanner.errors import CgscanError
from scanner.report import Origin, Report, as_object, plain
from scanner.results import tables
from scanner.results.database import inserting

_LEVEL: Final = 3
_MOST: Final = 1024 * 1024 * 1024
"""Bytes of a report as JSON."""
_AT_ONCE: Final = 500
LONGEST_PROJECT: Final = 300
"""Characters; what is longer is a project on no index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The name that an image was asked for by, and the job that asked."""

    job: str
    registry: str
    repository: str
    tag: str
    said: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What reports rest on: the digest that was ``asked`` for, the settings, the state of the indexes by its serial,
    and the projects that indexes were asked about.
    """

    asked: str
    terms: str
    serial: int
    projects: Iterable[str] = ()


def keep(connection: Connection, reports: Sequence[Report], *, content: str, basis: Basis) -> list[int]:
    """Write the reports of one digest under one state; their ids. Where they are there already, it is those."""
    known = of_content(connection, content)
    if known:
        return known
    return [_keep_one(connection, report, content, number, basis) for number, report in enumerate(reports)]


def of_content(connection: Connection, content: str) -> list[int]:
    """The reports that are there already."""
    table = tables.reports
    rows = connection.execute(select(table.c.id).where(table.c.content == content).order_by(table.c.number))
    return list(rows.scalars())


def _keep_one(connection: Connection, report: Report, content: str, number: int, basis: Basis) -> int:
    summary = report.summary
    made = connection.execute(
        insert(tables.reports).values(
            content=content,
            number=number,
            digest=report.target.digest,
            asked=basis.asked,
            terms=basis.terms,
            serial=basis.serial,
            unchecked=sum(line.origin is Origin.UNCHECKED for line in report.distributions),
            platform=report.target.platform or "",
            scanned=datetime.fromisoformat(report.scanned_at).timestamp(),
            coverage=summary.coverage,
            applicable=summary.applicable,
            verified=summary.verified,
            upgradable=summary.upgradable,
            distributions=len(report.distributions),
            findings=len(report.findings),
            passed=summary.passed,
            seconds=sum(report.timing.values()),
            document=packed(report),
        )
    )
    assert made.inserted_primary_key is not None
    report_id = int(made.inserted_primary_key[0])
    _insert(connection, tables.distributions, list(_lines(report, report_id)))
    _insert(connection, tables.findings, list(_findings(report, report_id)))
    _insert(connection, tables.rests, list(_rests(report, report_id, basis)))
    return report_id


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        connection.execute(insert(table), [dict(row) for row in rows[start : start + _AT_ONCE]])


def _lines(report: Report, report_id: int) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(report.distributions):
        yield _storable(
            report_id=report_id,
            number=number,
            name=line.name,
            version=line.version,
            kind=line.kind,
            origin=line.origin,
            integrity=line.integrity,
            evidence=line.match.evidence if line.match else None,
            location=line.location,
            layer=line.layer,
            hidden=line.hidden,
            reason=line.reason,
        )


def _findings(report: Report, report_id: int) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(report.findings):
        yield _storable(
            report_id=report_id, number=number, kind=one.kind, path=one.path, layer=one.layer, detail=one.detail
        )


def _rests(report: Report, report_id: int, basis: Basis) -> Iterator[dict[str, Any]]:
    """The projects that were asked about, and those that were found: an index may not have answered."""
    found = {canonicalize_name(line.name) for line in report.distributions} | set(basis.projects)
    for project in sorted({_storable(project=project[:LONGEST_PROJECT])["project"] for project in found}):
        yield {"report_id": report_id, "project": project}


def _storable(**values: object) -> dict[str, Any]:
    """Texts as every database takes them: PostgreSQL has no NUL, neither has lone surrogates."""
    said = {name: plain(value) for name, value in values.items()}
    return {name: value.replace("\0", "\\x00") if isinstance(value, str) else value for name, value in said.items()}


def name(connection: Connection, report_ids: Sequence[int], named: Named, *, now: float) -> None:
    """Say that these are the reports of a name: once for a job, and the newest unless a later job was quicker."""
    for report_id in report_ids:
        found = connection.execute(select(tables.reports.c.platform).where(tables.reports.c.id == report_id))
        key = {
            "registry": named.registry,
            "repository": named.repository,
            "tag": named.tag,
            "platform": found.scalar_one(),
        }
        connection.execute(insert(tables.history).values(**key, report_id=report_id, job_id=named.job, seen=now))
        _name_newest(connection, key, report_id, said=named.said, now=now)


def _name_newest(connection: Connection, key: Mapping[str, str], report_id: int, *, said: float, now: float) -> None:
    table = tables.images
    gone = case((table.c.gone > said, table.c.gone), else_=None)
    values = {"report_id": report_id, "said": said, "seen": now}
    statement = inserting(connection, table).values(**key, **values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(key), set_={**values, "gone": gone}, where=table.c.said <= said
        )
    )


# -- as bytes


def packed(report: Report) -> bytes:
    """JSON, compressed."""
    return zstd.compress(json.dumps(as_object(report)).encode(), level=_LEVEL)


def unpacked(document: bytes) -> bytes:
    """JSON as it was written."""
    unpacker = zstd.ZstdDecompressor()
    return unpacker.decompress(document, _MOST)


def report_of(document: bytes) -> Report:
    """The report as a value."""
    report = decoded(Report, json_value(unpacked(document), "a kept report"), Reading(strict=False))
    if report is None:
        raise CgscanError("a kept report cannot be read", hint="was it written by a later version?")
    return report


# -- when it is old


def forget(connection: Connection, *, before: float) -> int:
    """Drop what ended, was told or named before that time, and reports that no name has any more; how many reports.

    The newest report of a name stays, however old it is.
    """
    jobs, history, reports, images = tables.jobs, tables.history, tables.reports, tables.images
    connection.execute(delete(tables.outbox).where(tables.outbox.c.ended < before))
    ended = jobs.c.state.in_(("done", "dead", "cancelled"))
    connection.execute(delete(jobs).where(and_(ended, jobs.c.ended < before)))
    connection.execute(delete(history).where(history.c.seen < before, ~_has(images, history.c.report_id)))
    unnamed = and_(~_has(images, reports.c.id), ~_has(history, reports.c.id), reports.c.scanned < before)
    return connection.execute(delete(reports).where(unnamed)).rowcount


def _has(table: Table, report_id: ColumnElement[Any]) -> ColumnElement[bool]:
    return exists().where(table.c.report_id == report_id)
