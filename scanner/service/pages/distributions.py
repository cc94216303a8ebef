"""What runs where: distributions across all images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from packaging.utils import canonicalize_name

from scanner.report import Origin
from scanner.results import reading, standing
from scanner.service.api.asked import Asked, texted
from scanner.service.api.problems import Refusal
from scanner.service.pages import fields, links
from scanner.service.pages.looks import page
from scanner.service.pages.visiting import Looking, PageRoute

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)
_HERE: Final = "/distributions"
_ROWS: Final = 50
_NAMES: Final = 30
_ORIGINS: Final = tuple(origin.value for origin in Origin)


@router.api_route(_HERE, methods=["GET", "HEAD"])
def list_distributions(request: Request, service: Asked, who: Looking) -> Response:
    """Names, with how many images each is in by origin; with ``name``, where that one runs."""
    name = texted(request.query_params.get("name"), "name")
    if name:
        return _one(request, service, who, name)
    search = fields.word(request, "search")
    cursor = fields.cursor(request)
    rows = standing.projects(service.database, search=search, most=_NAMES, cursor=cursor)
    return page(
        "distributions.html",
        title="Distributions",
        here=_HERE,
        visitor=who,
        asked={"search": search},
        rows=rows,
        most=max((sum(row["origins"].values()) for row in rows.rows), default=1),
        first=cursor is None,
    )


@router.api_route("/distributions/{name}", methods=["GET", "HEAD"])
def distribution(request: Request, service: Asked, who: Looking, name: str) -> Response:
    """Where a distribution runs, by version and origin."""
    return _one(request, service, who, texted(name, "name") or "")


def _one(request: Request, service: Asked, who: Looking, name: str) -> Response:
    spread = standing.spread(service.database, name)
    usual = canonicalize_name(name)
    if not spread and usual != name and standing.spread(service.database, usual):
        return RedirectResponse(links.distribution(usual).unescape(), status_code=303)
    if not spread:
        raise Refusal(404, "no image that is known runs a distribution of this name")
    versions = _by_version(spread)
    version = texted(request.query_params.get("version"), "version")
    origin = fields.choice(request, "origin", _ORIGINS)
    found = reading.found_distributions(
        service.database,
        name=name,
        version=version,
        origins=[origin] if origin else [],
        most=_ROWS,
        cursor=fields.cursor(request),
    )
    return page(
        "distribution.html",
        title=name,
        here=_HERE,
        visitor=who,
        name=name,
        versions=versions,
        most=max(sum(counts.values()) for _, counts in versions),
        counts=_in_order(sum((counts for _, counts in versions), Counter())),
        asked={"version": version, "origin": origin},
        rows=found,
        first=fields.cursor(request) is None,
    )


def _by_version(spread: Sequence[Mapping[str, Any]]) -> list[tuple[str, Counter[str]]]:
    """Versions, those in most images first, each with its counts by origin."""
    found: dict[str, Counter[str]] = {}
    for row in spread:
        found.setdefault(row["version"], Counter())[row["origin"]] += row["images"]
    ordered = sorted(found.items(), key=lambda item: (-item[1].total(), item[0]))
    return [(version, Counter(_in_order(counts))) for version, counts in ordered]


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return {origin: counts[origin] for origin in _ORIGINS if counts.get(origin)}
