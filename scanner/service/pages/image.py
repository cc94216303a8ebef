"""The report of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from scanner.formats import FORMATS
from scanner.results import reading, standing
from scanner.service.api.asked import Asked, Service
from scanner.service.api.images import in_format
from scanner.service.api.problems import Refusal
from scanner.service.pages import drawing, fields
from scanner.service.pages.drawing import Course, Point
from scanner.service.pages.looks import HEADERS, image_name, page
from scanner.service.pages.shown import FILTERS, part
from scanner.service.pages.visiting import Looking, PageRoute

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)
_PAST: Final = 50
"""Entries of a name's history."""
_ENDINGS: Final = {
    "table": "txt",
    "markdown": "md",
    "cyclonedx": "cdx.json",
    "spdx": "spdx.json",
    "sarif": "sarif",
}
ReportId = Annotated[int, Path(ge=1, lt=2**63)]


@router.api_route("/reports/{report_id}", methods=["GET", "HEAD"])
def image(request: Request, service: Asked, who: Looking, report_id: ReportId) -> Response:
    """Layers, distributions, findings, files in question, and what the name was before."""
    wanted = {name: fields.word(request, name) for name in ("search", "look", *FILTERS)}
    begin = int(fields.number(request, "begin", 0, 10_000_000) or 0)
    names = standing.named(service.database, report_id)
    shown = part(_document(service, report_id), wanted, begin)
    name = names[0] if names else None
    past = _past(service, name) if name else ()
    return page(
        "image.html",
        title=image_name({**name, "digest": dict(shown.section.facts).get("Digest")}) if name else shown.section.name,
        here="/images",
        visitor=who,
        report_id=report_id,
        names=names,
        section=shown.section,
        shown=shown,
        asked=wanted,
        past=past,
        course=_course(past),
        newer=_newer(report_id, names, past),
        formats=FORMATS,
    )


@router.api_route("/reports/{report_id}/{form}", methods=["GET", "HEAD"])
def as_file(service: Asked, _: Looking, report_id: ReportId, form: str) -> Response:
    """A report in a format of ``cgscan scan``, to be kept."""
    answer = in_format(_document(service, report_id), form)
    answer.headers.update(HEADERS)
    answer.headers["Content-Security-Policy"] = "sandbox"
    ending = _ENDINGS.get(form, form)
    answer.headers["Content-Disposition"] = f'attachment; filename="cgscan-{report_id}.{ending}"'
    return answer


def _document(service: Service, report_id: int) -> bytes:
    found = reading.document(service.database, report_id)
    if found is None:
        raise Refusal(404, "there is no such report; it may have been dropped for its age (serve.keep_days)")
    return found


def _past(service: Service, name: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """What the name was, the newest first."""
    key = {part: name[part] for part in ("registry", "repository", "tag", "platform")}
    return reading.course(service.database, **key, most=_PAST, cursor=None).rows


def _newer(
    report_id: int, names: Sequence[Mapping[str, Any]], past: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The entry of the history that is there instead, where no name has this report any more."""
    if any(name["newest"] for name in names) or not past:
        return None
    return past[0] if past[0]["report_id"] != report_id else None


def _course(past: Sequence[Mapping[str, Any]]) -> Course | None:
    return drawing.course(
        [
            Point(when=row["seen"], coverage=row["coverage"], of=f"{row['verified']:,} of {row['applicable']:,}")
            for row in reversed(past)
            if row["coverage"] is not None
        ]
    )
