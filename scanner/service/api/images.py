"""Names, reports, and what is asked across them."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from packaging.utils import canonicalize_name

from scanner.distribution import FindingKind, Origin
from scanner.formats import FORMATS, render
from scanner.results import reading
from scanner.results.keeping import report_of, unpacked
from scanner.results.reading import Filter
from scanner.service.api.answers import (
    CoveragePoint,
    DistributionAnswer,
    DistributionCount,
    FindingAnswer,
    FleetAnswer,
    ImageAnswer,
    ImagesAsked,
    PageOf,
)
from scanner.service.api.asked import MAY_READ, Asked, Cursor, Most, texted
from scanner.service.api.jobs import ROOT
from scanner.service.api.problems import Refusal, described

_DAY: Final = 86_400.0
_TYPES: Final = {"json": "application/json", "csv": "text/csv", "sarif": "application/sarif+json"}
_TYPES_OF_SBOMS: Final = {"cyclonedx": "application/vnd.cyclonedx+json", "spdx": "application/spdx+json"}

router: Final = APIRouter(
    prefix=ROOT, tags=["images"], dependencies=[MAY_READ], responses=described(401, 403, 422, 503)
)
ReportId = Annotated[int, Path(ge=1, lt=2**63, description="The id of a report")]
Word = Annotated[str | None, Query(max_length=300)]
FormatName = Annotated[str, Query(alias="format", json_schema_extra={"enum": list(FORMATS)})]


@router.get("/fleet")
def fleet(service: Asked) -> FleetAnswer:
    """The newest reports of all names, counted."""
    now = reading.fleet(service.database)
    return FleetAnswer(
        images=now.images,
        applicable=now.applicable,
        verified=now.verified,
        passed=now.passed,
        findings=now.findings,
        coverage=now.coverage,
    )


@router.get("/images")
def list_images(
    service: Asked, asked: Annotated[ImagesAsked, Query()], most: Most = 50, cursor: Cursor = None
) -> PageOf[ImageAnswer]:
    """Names with their newest reports."""
    texts = {name: texted(getattr(asked, name), name) for name in ("registry", "repository", "tag", "digest", "search")}
    wanted = Filter(**texts, below=asked.below, passed=asked.passed)
    page = reading.listed_images(service.database, wanted, most=most, cursor=cursor)
    return PageOf(rows=[ImageAnswer(**row) for row in page.rows], next=page.next)


@router.get("/history")
def history(
    service: Asked,
    repository: Annotated[str, Query(min_length=1, max_length=300)],
    registry: Word = None,
    tag: Word = None,
    most: Most = 50,
    cursor: Cursor = None,
) -> PageOf[ImageAnswer]:
    """What a repository, or one of its tags, was at which time, the newest first."""
    page = reading.course(
        service.database,
        repository=texted(repository, "repository") or "",
        registry=texted(registry, "registry"),
        tag=texted(tag, "tag"),
        most=most,
        cursor=cursor,
    )
    return PageOf(rows=[ImageAnswer(**row) for row in page.rows], next=page.next)


@router.get("/coverage")
def coverage(
    service: Asked,
    repository: Word = None,
    days: Annotated[float, Query(gt=0, le=3660)] = 30,
    step_hours: Annotated[float, Query(ge=1, le=24 * 366)] = 24,
) -> list[CoveragePoint]:
    """Coverage of what was scanned, over time."""
    since = time.time() - days * _DAY
    points = reading.coverage_over_time(
        service.database, repository=texted(repository, "repository"), since=since, step=step_hours * 3600
    )
    return [CoveragePoint(**point) for point in points]


@router.get("/distributions")
def list_distributions(
    service: Asked, search: Word = None, most: Most = 50, cursor: Cursor = None
) -> PageOf[DistributionCount]:
    """Distributions by name, version and origin, and in how many names they run."""
    page = reading.counted_distributions(service.database, search=texted(search, "search"), most=most, cursor=cursor)
    return PageOf(rows=[DistributionCount(**row) for row in page.rows], next=page.next)


@router.get("/distributions/{name}")
def where(
    service: Asked,
    name: Annotated[str, Path(max_length=300)],
    version: Word = None,
    origin: Annotated[list[Origin] | None, Query(max_length=9)] = None,
    most: Most = 50,
    cursor: Cursor = None,
) -> PageOf[DistributionAnswer]:
    """Where a distribution runs: ``/distributions/flask?version=3.0.2&origin=upstream``."""
    page = reading.found_distributions(
        service.database,
        name=canonicalize_name(texted(name, "name") or ""),
        version=texted(version, "version"),
        origins=[one.value for one in origin or ()],
        most=most,
        cursor=cursor,
    )
    return PageOf(rows=[DistributionAnswer(**row) for row in page.rows], next=page.next)


@router.get("/findings")
def list_findings(
    service: Asked,
    kind: Annotated[list[FindingKind] | None, Query(max_length=20)] = None,
    most: Most = 50,
    cursor: Cursor = None,
) -> PageOf[FindingAnswer]:
    """Findings of the newest reports of all names."""
    kinds = [one.value for one in kind or ()]
    page = reading.found_findings(service.database, kinds=kinds, most=most, cursor=cursor)
    return PageOf(rows=[FindingAnswer(**row) for row in page.rows], next=page.next)


@router.get(
    "/reports/{report_id}",
    responses={**described(404), 200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
    response_class=Response,
)
def report(service: Asked, report_id: ReportId, form: FormatName = "json") -> Response:
    """A report in full, in any of the formats of ``cgscan scan``."""
    check_format(form)
    kept: bytes | None = reading.document(service.database, report_id)
    if kept is None:
        raise Refusal(404, "there is no such report")
    return in_format(kept, form)


def in_format(kept: bytes, form: str) -> Response:
    """A kept report in one of the formats; 422 for another."""
    check_format(form)
    headers: dict[str, Any] = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    if form == "json":
        return Response(unpacked(kept), media_type="application/json", headers=headers)
    kind = {**_TYPES, **_TYPES_OF_SBOMS}.get(form, "text/html" if form == "html" else "text/plain")
    return Response(render([report_of(kept)], form), media_type=kind, headers=headers)


def check_format(form: str) -> None:
    """422 for what is no format."""
    if form not in FORMATS:
        raise Refusal(422, f"there is no such format; there are {', '.join(FORMATS)}")
