"""A job ends -> what is told to whom: rows of the outbox, in the transaction of the ending.

A report is compared with the one that its name had: so only what changed is told, and two jobs of one name are told of
one after the other. Images that are named by their digest alone are compared with the same digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, func, select

from scanner.difference import FINDING_KEYS
from scanner.pairing import paired
from scanner.results.database import clock
from scanner.results.tables import findings, history, images, jobs, outbox, reports
from scanner.service.jobs import Ending, Job
from scanner.service.telling.outbox import WAITING
from scanner.serving import Attaching, Receiver
from scanner.webhooks.naming import pattern_of

NOTIFY: Final = "notify"
ATTACH: Final = "attach"
MOST_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A new report of a name, the one that the name had, and what that makes happen."""

    report: int
    previous: int | None
    events: frozenset[str]
    digest: str | None = None


class Deciding:
    """Decides for these receivers. Called within the transaction that ends a job."""

    def __init__(self, receivers: Sequence[Receiver], attaching: Attaching | None) -> None:
        self._receivers = receivers
        self._attaching = attaching

    def __call__(self, connection: Connection, ending: Ending) -> None:
        """Write down what is to be told."""
        job = ending.job
        receivers = [one for one in self._receivers if _is_for(job, one.registries, one.repositories)]
        attaching = self._attaching
        attaches = attaching is not None and _is_for(job, attaching.registries, attaching.repositories)
        if not receivers and not (attaches and ending.reports):
            return
        _lock_name(connection, job)
        found = list(_compared(connection, ending))
        for receiver in receivers:
            if row := _notification(receiver, ending, found):
                _write(connection, job, row)
        for one in found if attaches else ():
            about = json.dumps([{"report": one.report}])
            row = {"kind": ATTACH, "receiver": job.registry, "events": "", "about": about, "digest": one.digest}
            _write(connection, job, row, job.repository, one.report)


def _is_for(job: Job, registries: Iterable[str], repositories: Iterable[str]) -> bool:
    return all(
        not patterns or any(pattern_of(pattern).fullmatch(text) for pattern in patterns)
        for patterns, text in ((tuple(registries), job.registry), (tuple(repositories), job.repository))
    )


def _notification(receiver: Receiver, ending: Ending, found: Sequence[Compared]) -> dict[str, Any] | None:
    if not ending.reports:
        if "dead" not in receiver.events:
            return None
        about: object = {"reason": (ending.reason or "")[:MOST_SHOWN]}
        return {"kind": NOTIFY, "receiver": receiver.name, "events": "dead", "about": json.dumps(about)}
    told = [(one, one.events & receiver.events) for one in found]
    about = [
        {"report": one.report, "previous": one.previous, "events": sorted(events)} for one, events in told if events
    ]
    events = sorted({event for _, events in told for event in events})
    if not events:
        return None
    return {"kind": NOTIFY, "receiver": receiver.name, "events": " ".join(events), "about": json.dumps(about)}


def _write(connection: Connection, job: Job, row: dict[str, Any], *of: object) -> None:
    """One row; nothing where it is there already. ``of`` is what is told once, the ending where nothing is given."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]  # noqa: PLC0415
    parts = (row["kind"], row["receiver"], *(of or (job.id, job.lease)))
    now = clock(connection)
    values = {
        "id": hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32],
        "registry": job.registry,
        "repository": job.repository,
        "tag": job.tag,
        "digest": connection.execute(select(jobs.c.digest).where(jobs.c.id == job.id)).scalar_one(),
        "job_id": job.id,
        "state": WAITING,
        "created": now,
        "due": now,
        "attempts": 0,
        "lease": 0,
        **row,
    }
    connection.execute(insert(outbox).values(**values).on_conflict_do_nothing(index_elements=["id"]))


def _lock_name(connection: Connection, job: Job) -> None:
    """Jobs of one name end one after the other. SQLite's transactions do so anyway."""
    if connection.dialect.name == "postgresql":
        name = hashlib.sha256(f"{job.registry}/{job.repository}:{job.tag}".encode()).digest()
        connection.execute(select(func.pg_advisory_xact_lock(int.from_bytes(name[:8], signed=True))))


def _compared(connection: Connection, ending: Ending) -> Iterator[Compared]:
    """Each report beside the one before it; none where a later job of the name was quicker."""
    for report_id in ending.reports:
        columns = (reports.c.platform, reports.c.passed, reports.c.findings, reports.c.digest)
        new = connection.execute(select(*columns).where(reports.c.id == report_id)).one()
        is_newest, previous = _previous(connection, ending.job, new.platform, new.digest)
        if not is_newest or previous == report_id:
            yield Compared(report=report_id, previous=previous, events=frozenset(), digest=new.digest)
            continue
        before = _passed(connection, previous)
        events = {"broken"} if not new.passed and before in (True, None) else set()
        if new.passed and before is False:
            events.add("mended")
        if new.findings and _something_new(connection, report_id, previous):
            events.add("finding")
        yield Compared(report=report_id, previous=previous, events=frozenset(events), digest=new.digest)


def _previous(connection: Connection, job: Job, platform: str, digest: str | None) -> tuple[bool, int | None]:
    """Whether a report becomes the newest of its name, and which it then replaces."""
    where = {"registry": job.registry, "repository": job.repository, "tag": job.tag, "platform": platform}
    if not job.tag:
        named = and_(*(history.c[name] == value for name, value in where.items()), reports.c.digest == digest)
        query = select(history.c.report_id).select_from(history.join(reports)).where(named)
        return True, connection.execute(query.order_by(history.c.id.desc()).limit(1)).scalar_one_or_none()
    named = and_(*(images.c[name] == value for name, value in where.items()))
    row = connection.execute(select(images.c.report_id, images.c.said).where(named)).one_or_none()
    if row is None:
        return True, None
    return row.said <= job.seen, int(row.report_id)


def _passed(connection: Connection, report_id: int | None) -> bool | None:
    if report_id is None:
        return None
    return bool(connection.execute(select(reports.c.passed).where(reports.c.id == report_id)).scalar_one())


def _something_new(connection: Connection, report_id: int, previous: int | None) -> bool:
    """Whether a report has a finding that the one before has not."""
    if previous is None:
        return True
    columns = (findings.c.kind, findings.c.path)
    old, new = (
        connection.execute(select(*columns).where(findings.c.report_id == one).order_by(findings.c.path)).all()
        for one in (previous, report_id)
    )
    return any(one is None for one, _ in paired(old, new, FINDING_KEYS))
