"""Health and metrics, for those who run the service."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text

from scanner.errors import CgscanError
from scanner.service.api.answers import Health
from scanner.service.api.asked import MAY_READ, Asked
from scanner.service.api.problems import described

router: Final = APIRouter(tags=["operation"])


@router.get("/healthz")
def healthz() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Health}})
def readyz(service: Asked, response: Response) -> Health:
    """The database and the queue can be worked with, and the service is not stopping."""
    parts: dict[str, str] = {}
    try:
        with service.database.reading() as connection:
            connection.execute(text("SELECT 1"))
    except CgscanError:
        parts["database"] = "out of reach"
    try:
        service.carrier.check()
    except CgscanError:
        parts["queue"] = "out of reach"
    if service.stopping():
        parts["service"] = "stopping"
    if parts:
        response.status_code = 503
    return Health(status="unavailable" if parts else "ok", parts=parts)


@router.get("/metrics", dependencies=[MAY_READ], response_class=Response, responses=described(401, 403, 503))
def metrics(service: Asked) -> Response:
    """For Prometheus."""
    return Response(service.metrics.text(service.database), media_type=CONTENT_TYPE_LATEST)
