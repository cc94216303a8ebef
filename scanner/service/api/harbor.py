"""``/harbor/<name>/api/v1``: Harbor uses the service as a scanner; see :mod:`scanner.service.harbor`.

Harbor has a description of its own for these paths, so they are not in ours.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from scanner.errors import CgscanError
from scanner.results.keeping import report_of
from scanner.results.reading import document, reports_of_job
from scanner.service import harbor as words
from scanner.service import jobs
from scanner.service.api.asked import Asked, Service
from scanner.service.api.jobs import ROOT, queue
from scanner.service.api.problems import Refusal
from scanner.service.api.shown import require
from scanner.service.harbor import BadRequest, Linked
from scanner.service.jobs import Full, Job, Priority, State, Wanted
from scanner.service.logs import say
from scanner.service.scanning import image_of
from scanner.serving import Harbor

_KEY: Final = "X-ScannerAdapter-API-Key"
_REFRESH: Final = "5"
"""Seconds; Harbor reads it as a number below 128."""

router: Final = APIRouter(prefix="/harbor/{name}/api/v1", include_in_schema=False)


def _asking(service: Asked, name: str, request: Request) -> Harbor:
    """The Harbor that asks, with the right to."""
    require(service, request, "scan", header=_KEY)
    found = next((one for one in service.serving.harbor if one.name == name), None)
    if found is None:
        raise Refusal(404, "there is no such entry in serve.harbor")
    return found


Asking = Annotated[Harbor, Depends(_asking)]


@router.get("/metadata")
def metadata(_: Asking, request: Request) -> Response:
    """What we are and can do, in the version that is asked for."""
    asked = request.headers.get("accept", "").replace(" ", "")
    version = "1.1" if f"{words.METADATA};version=1.1" in asked else "1.0"
    return JSONResponse(words.metadata(), media_type=f"{words.METADATA}; version={version}")


@router.post("/scan")
async def scan(service: Asked, harbor: Asking, request: Request) -> Response:
    """Queue a scan; its id is that of the job."""
    body = await request.body()
    return await run_in_threadpool(_queued, service, harbor, body)


@router.get("/scan/{job_id}/report")
def report(service: Asked, harbor: Asking, job_id: str, request: Request) -> Response:
    """The report once it is there; until then 302, which means to ask again."""
    kind = _kind(request.headers.get("accept", ""))
    sbom = request.query_params.get("sbom_media_type") or next(iter(words.SBOMS))
    if kind is None or sbom not in words.SBOMS:
        return _error(501, f"there is {', '.join((*words.REPORTS, words.SBOM))} of {' and '.join(words.SBOMS)}")
    job = jobs.get(service.database, job_id) if len(job_id) == 32 and job_id.isascii() else None
    if job is None or job.registry != harbor.registry:
        return _error(404, "there is no such scan")
    if not job.state.ended:
        return Response(status_code=302, headers={"Refresh-After": _REFRESH})
    if job.state is not State.DONE:
        return _error(500, f"the scan came to nothing: {job.reason or job.state.value}")
    linked = _linked(service, job)
    if linked is None:
        return _error(500, "its report is not kept any more")
    image = image_of(job)
    is_sbom = kind == words.SBOM
    found = words.sbom_for(image, linked.report, sbom) if is_sbom else words.report_for(harbor, image, linked)
    return JSONResponse(found, media_type=kind)


def _queued(service: Service, harbor: Harbor, body: bytes) -> Response:
    try:
        image = words.wanted(harbor, body)
        wanted = Wanted(
            image=image,
            source=f"harbor {harbor.name}",
            priority=Priority.REQUEST,
            circumstances=service.circumstances(),
        )
        (job,) = queue(service, [wanted])
    except BadRequest as problem:
        return _error(problem.status, problem.reason)
    except Full:
        return _error(503, "the queue is full; nothing was queued")
    except CgscanError as problem:
        say("trouble", reason=str(problem))
        return _error(500, "the database is out of reach")
    return JSONResponse({"id": job.id}, status_code=202, media_type=words.RESPONSE)


def _kind(accept: str) -> str | None:
    """The type to answer with; the newest where anything will do."""
    asked = [part.replace(" ", "") for part in accept.split(",")] or [""]
    if any(part.partition(";")[0] in ("", "*/*", "application/*") for part in asked):
        return words.REPORTS[0]
    return next((kind for kind in (*words.REPORTS, words.SBOM) if kind.replace(" ", "") in asked), None)


def _linked(service: Service, job: Job) -> Linked | None:
    """The first report: Harbor asks for each image of an index by itself."""
    for report_id in reports_of_job(service.database, job.id, job.content)[:1]:
        kept = document(service.database, report_id)
        if kept is not None:
            url = f"{service.serving.url}{ROOT}/reports/{report_id}" if service.serving.url else None
            minimum = service.settings.policy.min_evidence
            return Linked(report=report_of(kept), url=url, minimum=minimum)
    return None


def _error(status: int, message: str) -> Response:
    """An error as Harbor reads it."""
    return JSONResponse({"error": {"message": message[:2000]}}, status_code=status, media_type=words.ERROR)
