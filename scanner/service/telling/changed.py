"""What is told -> what changed since the name's previous report, as the document that is sent.

Read from the kept reports when it is sent. Everything in it is bounded: so many items of a kind, so many characters of
a text, and how many more there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from scanner.difference import Change, FindingChange, Stand, TargetDifference, difference
from scanner.index import Evidence
from scanner.report import Report, plain
from scanner.results.database import Database
from scanner.results.keeping import report_of
from scanner.results.reading import document
from scanner.service.telling.outbox import Item

SCHEMA: Final = "cgscan-notification/1"
API: Final = "/api/v1"
_LONGEST: Final = 500
"""Characters of a text out of a report."""
_MOST_REPORTS: Final = 20
_T = TypeVar("_T")


class Gone(Exception):
    """A report that was to be told of is not kept any more."""


def document_of(database: Database, item: Item, *, most: int, url: str | None, minimum: Evidence) -> dict[str, Any]:
    """The document; ``most`` items of a kind. :class:`Gone`."""
    about = json.loads(item.about)
    compared = about if isinstance(about, list) else []
    reason = None if compared else about["reason"]
    tag = f":{item.tag}" if item.tag else ""
    digest = f"@{item.digest}" if item.digest else ""
    return {
        "schema": SCHEMA,
        "id": item.id,
        "created": _time(item.created),
        "events": item.events.split(),
        "image": {
            "name": f"{item.registry}/{item.repository}{tag}{digest}",
            "registry": item.registry,
            "repository": item.repository,
            "tag": item.tag,
            "digest": item.digest,
        },
        "job": {"id": item.job_id, "url": _link(url, f"{API}/jobs/{item.job_id}"), "reason": _short(reason)},
        "reports": _bounded(
            compared, _MOST_REPORTS, lambda one: _report(database, one, most=most, url=url, minimum=minimum)
        ),
    }


def _report(database: Database, one: dict[str, Any], *, most: int, url: str | None, minimum: Evidence) -> Any:
    """One report, and what it has that the one before it had not."""
    new = _read(database, one["report"])
    if new is None:
        raise Gone
    old = _read(database, one["previous"]) if one["previous"] is not None else None
    found = difference(old, new, minimum=minimum) if old is not None else None
    return {
        "id": one["report"],
        "url": _link(url, f"{API}/reports/{one['report']}"),
        "page": _link(url, f"/reports/{one['report']}"),
        "platform": new.target.platform,
        "digest": new.target.digest,
        "scanned_at": new.scanned_at,
        "events": one["events"],
        "passed": new.summary.passed,
        "coverage": new.summary.coverage,
        "violations": _bounded(new.summary.violations, most, _short),
        "previous": _previous(one["previous"], old) if old is not None else None,
        "findings": _bounded(_appeared(new, found), most, _finding),
        "distributions": _bounded(_changes(found, mended="mended" in one["events"]), most, _distribution),
    }


def _previous(report_id: int, old: Report) -> dict[str, Any]:
    return {
        "id": report_id,
        "digest": old.target.digest,
        "scanned_at": old.scanned_at,
        "passed": old.summary.passed,
        "coverage": old.summary.coverage,
    }


def _appeared(new: Report, found: TargetDifference | None) -> Sequence[Any]:
    """Findings that the report before had not; all where there is none."""
    return new.findings if found is None else [one for one in found.findings if one.appeared]


def _finding(one: FindingChange) -> dict[str, Any]:
    return {"kind": one.kind.value, "path": _short(one.path), "detail": _short(one.detail)}


def _changes(found: TargetDifference | None, *, mended: bool) -> Sequence[Change]:
    """Distributions that changed: the worst first, or the best where it is mended; none without a report before."""
    if found is None:
        return ()
    return found.changes[::-1] if mended else found.changes


def _distribution(one: Change) -> dict[str, Any]:
    return {
        "name": _short(one.name),
        "what": [what.value for what in one.what],
        "before": _stand(one.before),
        "after": _stand(one.after),
    }


def _stand(stand: Stand | None) -> dict[str, Any] | None:
    if stand is None:
        return None
    return {
        "version": _short(stand.version),
        "origin": stand.origin.value,
        "integrity": stand.integrity.value,
        "location": _short(stand.location),
    }


def _read(database: Database, report_id: int) -> Report | None:
    found = document(database, report_id)
    return None if found is None else report_of(found)


def _bounded(items: Iterable[_T], most: int, shown: Callable[[_T], object]) -> dict[str, Any]:
    """``most`` of them, and how many more there are."""
    everything = list(items)
    return {"items": [shown(one) for one in everything[:most]], "more": max(0, len(everything) - most)}


def _short(text: str | None) -> str | None:
    if text is None:
        return None
    said = str(plain(text))
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"


def _link(url: str | None, path: str) -> str | None:
    return f"{url}{path}" if url else None


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
