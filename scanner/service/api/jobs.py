"""Submit, wait, cancel, the dead-letter list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from scanner.reference import ImageName
from scanner.results.paging import cursor_of, key_of
from scanner.results.reading import reports_of_job
from scanner.service import jobs
from scanner.service.api.answers import JobAnswer, PageOf, ScanRequest, StateName
from scanner.service.api.asked import MAY_READ, MAY_SCAN, Asked, Cursor, Most, Service
from scanner.service.api.problems import Refusal, described
from scanner.service.jobs import ASKED, Job, Priority, State, Wanted

ROOT: Final = "/api/v1"
_LOOK: Final = 0.25
"""Seconds between looks at a job that is waited for."""
_MOST_WAIT: Final = 60.0

router: Final = APIRouter(prefix=ROOT, tags=["jobs"], responses=described(401, 403, 422, 503))
JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The id of a job")]


def url_of(job: Job) -> str:
    """The path of a job."""
    return f"{ROOT}/jobs/{job.id}"


def queue(service: Service, wanted: Sequence[Wanted]) -> list[Job]:
    """Queue, and wake workers for what is new; committed when this returns."""
    if service.intake is not None:
        found = service.intake.submit(wanted)
    else:
        found = jobs.submit(service.database, wanted, most_waiting=service.serving.most_waiting)
    new = sum(is_new for _, is_new in found)
    if new:
        service.carrier.wake(new)
    return [job for job, _ in found]


def answer(service: Service, job: Job) -> JobAnswer:
    """A job as it is told."""
    done = job.state is State.DONE
    reports = reports_of_job(service.database, job.id, job.content) if done else []
    said = {name: getattr(job, name) for name in JobAnswer.model_fields if hasattr(job, name)}
    return JobAnswer(
        **{**said, "state": job.state.value},
        url=url_of(job),
        image=job.name,
        reports=[f"{ROOT}/reports/{report}" for report in reports],
    )


@router.post("/scans", status_code=202, dependencies=[MAY_SCAN], responses=described(413, 429))
def submit(service: Asked, request: ScanRequest, response: Response) -> JobAnswer:
    """Have an image scanned. The same image under the same settings is the same job, also when it is done."""
    image = ImageName.parse(request.image.removeprefix("registry:"))
    if service.serving.registries and image.host not in service.serving.registries:
        raise Refusal(403, f"{image.host} is none of serve.registries")
    wanted = Wanted(
        image=image,
        source=ASKED,
        priority=Priority[request.priority.upper()],
        circumstances=service.circumstances(),
    )
    (job,) = queue(service, [wanted])
    response.headers["Location"] = url_of(job)
    return answer(service, job)


@router.get("/jobs", dependencies=[MAY_READ])
def list_jobs(
    service: Asked,
    state: Annotated[list[StateName] | None, Query(max_length=6)] = None,
    most: Most = 50,
    cursor: Cursor = None,
) -> PageOf[JobAnswer]:
    """Jobs, the newest first. ``state=dead`` is the dead-letter list, with the reason of each."""
    states = [State(one) for one in state or ()]
    before = key_of(cursor, [(int, float), str]) if cursor is not None else None
    found = jobs.listed(service.database, states=states, most=most + 1, before=before)  # type: ignore[arg-type]
    after = cursor_of((found[most - 1].submitted, found[most - 1].id)) if len(found) > most else None
    return PageOf(rows=[answer(service, job) for job in found[:most]], next=after)


@router.get("/jobs/{job_id}", dependencies=[MAY_READ], responses=described(404))
async def get_job(
    service: Asked,
    job_id: JobId,
    request: Request,
    wait: Annotated[float, Query(ge=0, le=_MOST_WAIT, description="Seconds to wait for its end")] = 0,
) -> JobAnswer:
    """One job; with ``wait`` when it has ended, or as it is when the time is over."""
    until = time.monotonic() + wait
    while True:
        job = await run_in_threadpool(jobs.get, service.database, job_id)
        if job is None:
            raise Refusal(404, "there is no such job")
        over = time.monotonic() >= until or service.stopping()
        if job.state.ended or over or await request.is_disconnected():
            return await run_in_threadpool(answer, service, job)
        await asyncio.sleep(_LOOK)


@router.post("/jobs/{job_id}/cancel", dependencies=[MAY_SCAN], responses=described(404))
def cancel(service: Asked, job_id: JobId) -> JobAnswer:
    """End a job that has not ended; one that has stays as it is."""
    job = jobs.cancel(service.database, job_id)
    if job is None:
        raise Refusal(404, "there is no such job")
    return answer(service, job)


@router.post("/jobs/{job_id}/requeue", dependencies=[MAY_SCAN], responses=described(404))
def requeue(service: Asked, job_id: JobId) -> JobAnswer:
    """Try a dead or cancelled job again; any other stays as it is."""
    job = jobs.requeue(service.database, job_id)
    if job is None:
        raise Refusal(404, "there is no such job")
    if job.state is State.QUEUED:
        service.carrier.wake()
    return answer(service, job)
