"""``POST /admit``: Kubernetes asks before it deploys; see :mod:`scanner.service.admission`.

What is no review is a 400, and Kubernetes does then what its ``failurePolicy`` says; every review has an answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from scanner.limits import MIB
from scanner.run import source_of
from scanner.service.admission import BadReview, Decision, Gate, Review, Tags, read
from scanner.service.admission.lookup import Lookup
from scanner.service.admission.review import API_VERSION, KIND, OPERATIONS
from scanner.service.api.asked import Asked, Service
from scanner.service.api.jobs import queue, url_of
from scanner.service.api.problems import Refusal, described
from scanner.service.api.shown import require
from scanner.service.jobs import Wanted

PATH: Final = "/admit"
MOST_BODY: Final = 8 * MIB
"""Bytes of a review: the object as it is to be and as it was, of up to 3 MiB each."""

_BODY: Final[Mapping[str, Any]] = {
    "required": True,
    "description": "An AdmissionReview with a request",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["apiVersion", "kind", "request"],
                "properties": {
                    "apiVersion": {"const": API_VERSION},
                    "kind": {"const": KIND},
                    "request": {
                        "type": "object",
                        "required": ["uid", "operation", "kind"],
                        "properties": {
                            "uid": {"type": "string", "pattern": "^[!-~]{1,253}$"},
                            "operation": {"enum": sorted(OPERATIONS)},
                            "kind": {"type": "object"},
                        },
                    },
                },
            }
        }
    },
}
"""Read by :mod:`scanner.service.admission.review`, which is stricter."""
_DURATION: Final = re.compile(r"(?=[0-9])(?:([0-9]{1,3})m)?(?:([0-9]{1,4}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,6})ms)?")

router: Final = APIRouter(tags=["admission"], responses=described(400, 401, 403, 413))


class AdmissionStatus(BaseModel):
    """Why not."""

    code: int
    reason: str
    message: str


class AdmissionResponse(BaseModel):
    """The answer to the review of this ``uid``; ``status`` only where it is not allowed."""

    uid: str
    allowed: bool
    status: AdmissionStatus | None = None
    warnings: list[str] = []
    auditAnnotations: dict[str, str] = {}  # noqa: N815 - Kubernetes' name


class AdmissionAnswer(BaseModel):
    """An AdmissionReview with a response."""

    apiVersion: Literal["admission.k8s.io/v1"]  # noqa: N815 - Kubernetes' name
    kind: Literal["AdmissionReview"]
    response: AdmissionResponse


def install(app: FastAPI, service: Service) -> None:
    """Add the path, and what answers it."""
    app.state.gate = _gate(service)
    app.include_router(router)


def _gate(service: Service) -> Gate:
    seconds = service.serving.admission.resolve_seconds
    return Gate(
        serving=service.serving,
        policy=service.settings.policy,
        lookup=Lookup(service.database, fresh=service.serving.fresh_seconds),
        tags=Tags(source_of(service.settings), seconds=seconds),
        queue=partial(_queued, service),
        circumstances=service.circumstances,
    )


def _queued(service: Service, wanted: list[Wanted]) -> list[str]:
    return [url_of(job) for job in queue(service, wanted)]


def _gate_of(request: Request) -> Gate:
    found = request.app.state.gate
    assert isinstance(found, Gate)
    return found


@router.post(PATH, response_model=AdmissionAnswer, openapi_extra={"requestBody": dict(_BODY)})
async def admit(service: Asked, gate: Annotated[Gate, Depends(_gate_of)], request: Request) -> JSONResponse:
    """Whether the images of an object may be deployed, from results; what has none is queued before all others."""
    if not service.serving.admission.anonymous:
        require(service, request, "admit", "scan")
    try:
        review = await asyncio.to_thread(read, await request.body())
    except BadReview as problem:
        raise Refusal(400, str(problem)) from problem
    decision = await gate.decide(review, within=_seconds(request.query_params.get("timeout", "")))
    service.metrics.admissions.labels(decision.annotations["verdict"]).inc()
    return JSONResponse(_answer(review, decision))


def _seconds(text: str) -> float | None:
    """How long Kubernetes waits, written as Go writes durations: ``?timeout=10s``; None where it does not say."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    return sum(float(found[at]) * unit for at, unit in ((1, 60.0), (2, 1.0), (3, 0.001)) if found[at])


def _answer(review: Review, decision: Decision) -> dict[str, Any]:
    response: dict[str, Any] = {
        "uid": review.uid,
        "allowed": decision.allowed,
        "warnings": list(decision.warnings),
        "auditAnnotations": dict(decision.annotations),
    }
    if not decision.allowed:
        response["status"] = {"code": 403, "reason": "Forbidden", "message": decision.message}
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}
