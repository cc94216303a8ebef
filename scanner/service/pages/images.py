"""Names of images, and one repository with its course."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from scanner.results import reading, standing
from scanner.results.reading import Filter
from scanner.service.api.asked import Asked, texted
from scanner.service.api.problems import Refusal
from scanner.service.pages import fields, links
from scanner.service.pages.looks import page
from scanner.service.pages.overview import DAYS, course, days
from scanner.service.pages.visiting import Looking, PageRoute

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)
_HERE: Final = "/images"
_ROWS: Final = 50
_PASSED: Final = {"yes": True, "no": False}
_DOWN: Final = "down"


@router.api_route(_HERE, methods=["GET", "HEAD"])
def list_images(request: Request, service: Asked, who: Looking) -> Response:
    """All names, or those that fit a filter, in one of several orders."""
    search, registry = fields.word(request, "search"), fields.word(request, "registry")
    passed = fields.choice(request, "passed", tuple(_PASSED))
    below = fields.number(request, "below", 0, 100)
    by = fields.choice(request, "by", reading.SORTS) or "name"
    order = fields.choice(request, "order", ("up", _DOWN))
    wanted = Filter(search=search, registry=registry, passed=_PASSED.get(passed or ""), below=below)
    cursor = fields.cursor(request)
    filters = {"search": search, "registry": registry, "passed": passed, "below": fields.plain(below)}
    return page(
        "images.html",
        title="Images",
        here=_HERE,
        visitor=who,
        filters=filters,
        filtered=any(value is not None for value in filters.values()),
        by=by,
        down=order == _DOWN,
        asked={**filters, "by": by if by != "name" else None, "order": order},
        registries=standing.registries(service.database),
        count=standing.count_of_images(service.database, wanted),
        rows=reading.listed_images(service.database, wanted, most=_ROWS, cursor=cursor, by=by, down=order == _DOWN),
        first=cursor is None,
    )


@router.api_route("/images/{registry}/{repository:path}", methods=["GET", "HEAD"])
def repository(request: Request, service: Asked, who: Looking, registry: str, repository: str) -> Response:
    """The tags of a repository and its course; with ``tag``, on to the newest report of that name."""
    tag, platform = request.query_params.get("tag"), request.query_params.get("platform")
    wanted = Filter(
        registry=texted(registry, "registry"), repository=texted(repository, "repository"), tag=texted(tag, "tag")
    )
    cursor, earlier = fields.cursor(request), fields.cursor(request, "earlier")
    rows = reading.listed_images(service.database, wanted, most=_ROWS, cursor=cursor)
    found = [row for row in rows.rows if platform in (None, row["platform"])]
    if tag is not None and len(found) == 1:
        url = links.image(found[0]["report_id"]).unescape()
        return RedirectResponse(url, status_code=303, headers={"Cache-Control": "no-store"})
    past = reading.course(
        service.database, repository=repository, registry=registry, tag=tag, most=_ROWS, cursor=earlier
    )
    if not found and not past.rows:
        raise Refusal(404, "there is no such image")
    moments = standing.fleet_over_time(service.database, days(), repository=(registry, repository))
    return page(
        "repository.html",
        title=f"{registry}/{repository}",
        here=_HERE,
        visitor=who,
        rows=rows,
        first=cursor is None,
        asked={"tag": tag},
        place={"registry": registry, "repository": repository},
        course=course(moments),
        days=DAYS,
        past=past.rows,
        past_next=past.next,
        newest=earlier is None,
    )
