"""Where the fleet stands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from scanner.results import reading, standing
from scanner.results.standing import Moment, Span
from scanner.service import jobs
from scanner.service.api.asked import Asked
from scanner.service.jobs import State
from scanner.service.pages import drawing
from scanner.service.pages.drawing import Course, Point
from scanner.service.pages.looks import page
from scanner.service.pages.visiting import Looking, PageRoute

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)
DAYS: Final = 30
"""Of the course."""
_DAY: Final = 86_400.0
_WORST: Final = 10
_FINDINGS: Final = 6


@router.api_route("/", methods=["GET", "HEAD"])
def overview(request: Request, service: Asked, who: Looking) -> Response:
    """Coverage now and over time, the worst images, the newest findings, the queue in a line."""
    fleet = reading.fleet(service.database)
    counts = jobs.counted(service.database)
    queue = [(state.value, counts[state]) for state in State if state not in (State.DONE, State.CANCELLED)]
    shared: dict[str, Any] = {"title": "Overview", "here": "/", "visitor": who, "queue": queue}
    if not fleet.images:
        base = f"{service.serving.url or str(request.base_url).rstrip('/')}/"
        return page("nothing.html", **shared, base=base, tokens=not service.tokens.open, sources=service.sources)
    return page(
        "overview.html",
        **shared,
        fleet=fleet,
        course=course(standing.fleet_over_time(service.database, days())),
        days=DAYS,
        worst=standing.worst_images(service.database, most=_WORST),
        findings=standing.newest_findings(service.database, most=_FINDINGS),
    )


def days() -> Span:
    """Of a course: a part for each of the last days, the last ends now."""
    now = time.time()
    return Span(since=now - DAYS * _DAY, until=now, steps=DAYS)


def course(moments: Sequence[Moment]) -> Course | None:
    """Coverage of what there was at each time."""
    return drawing.course(
        [
            Point(when=one.when, coverage=one.coverage, of=f"{one.verified:,} of {one.applicable:,}")
            for one in moments
            if one.coverage is not None
        ]
    )
