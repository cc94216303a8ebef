"""``POST /webhooks/<name>``: what a registry says was pushed is queued.

A payload is a hint; see :mod:`scanner.webhooks`.
"""

from __future__ import annotations

import time
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from scanner.service.api.answers import Accepted
from scanner.service.api.asked import Asked, Service
from scanner.service.api.jobs import queue, url_of
from scanner.service.api.problems import Refusal, described
from scanner.service.jobs import SETTLING, Priority, Wanted
from scanner.webhooks import Accepted as Heard
from scanner.webhooks import Answered, Pushed, Refused, WebhookSource, handshake, receive

router: Final = APIRouter(tags=["webhooks"], responses=described(400, 401, 403, 404, 413, 415, 422, 429, 503))


def _source(service: Service, name: str) -> WebhookSource:
    source = next((one for one in service.sources if one.name == name), None)
    if source is None:
        raise Refusal(404, "there is no such source in the section webhooks")
    return source


@router.post("/webhooks/{name}", status_code=202, response_model=Accepted)
async def hook(service: Asked, name: str, request: Request) -> Response:
    """Queue what was pushed; 202 once every job is committed."""
    source = _source(service, name)
    body = await request.body()
    return await run_in_threadpool(_heard, service, source, request, body)


@router.options("/webhooks/{name}", status_code=200)
def allowed(service: Asked, name: str, request: Request) -> Response:
    """Whether an origin may send here, asked by some before they do."""
    return _answer(handshake(_source(service, name), request.headers.items()))


def _heard(service: Service, source: WebhookSource, request: Request, body: bytes) -> Response:
    outcome = receive(
        source,
        request.headers.items(),
        body,
        now=time.time(),
        keys=service.keys,
        url_secret=request.query_params.get("secret"),
    )
    status = outcome.status if isinstance(outcome, Refused) else 202
    service.metrics.webhooks.labels(source.name, str(status)).inc()
    if not isinstance(outcome, Heard):
        return _answer(outcome)
    circumstances = service.circumstances()
    wanted = [
        Wanted(
            image=push.image,
            source=source.name,
            priority=Priority.PUSH,
            circumstances=circumstances,
            delay=0.0 if push.tag else SETTLING,
            moved=True,
        )
        for push in outcome.pushes
    ]
    jobs = queue(service, wanted)
    said = {
        "jobs": [url_of(job) for job in jobs],
        "ignored": [event.reason for event in outcome.events if not isinstance(event, Pushed)],
    }
    return JSONResponse(said, status_code=202, headers={"Location": url_of(jobs[0])} if jobs else {})


def _answer(outcome: Answered | Refused) -> Response:
    if isinstance(outcome, Refused):
        raise Refusal(outcome.status, outcome.reason)
    if outcome.document is None:
        return Response(headers=dict(outcome.headers))
    return JSONResponse(dict(outcome.document), headers=dict(outcome.headers))
