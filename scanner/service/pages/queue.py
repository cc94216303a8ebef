"""Jobs, and what can be done about them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response

from scanner.results.paging import cursor_of, key_of
from scanner.results.standing import reports_of_jobs
from scanner.service import jobs
from scanner.service.api.asked import Asked, Service
from scanner.service.api.problems import Refusal
from scanner.service.jobs import Job, Priority, State
from scanner.service.pages import fields, links
from scanner.service.pages.looks import page
from scanner.service.pages.visiting import Acting, Looking, PageRoute

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)
_HERE: Final = "/queue"
_ROWS: Final = 50
_FEW: Final = 10
"""Jobs of a state where all states are shown."""
_SHOWN: Final = (State.RUNNING, State.QUEUED, State.FAILED, State.DEAD, State.DONE)
_WORDS: Final = {
    State.RUNNING: "Running",
    State.QUEUED: "Waiting",
    State.FAILED: "To be tried again",
    State.DEAD: "Given up",
    State.DONE: "Done",
    State.CANCELLED: "Cancelled",
}
JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


@router.api_route(_HERE, methods=["GET", "HEAD"])
def queue(request: Request, service: Asked, who: Looking) -> Response:
    """Counts by state, and the jobs of each; with ``state``, all of that one."""
    said = fields.choice(request, "state", tuple(state.value for state in State))
    counts = jobs.counted(service.database)
    if said is None:
        lists = [_list(service, state, _FEW, None) for state in _SHOWN if counts[state]]
    else:
        lists = [_list(service, State(said), _ROWS, fields.cursor(request))]
    return page(
        "queue.html",
        title=f"Queue: {_WORDS[State(said)].lower()}" if said else "Queue",
        here=_HERE,
        visitor=who,
        state=said,
        counts=[(state.value, _WORDS[state], counts[state]) for state in State],
        lists=lists,
        urgency={priority.value: priority.name.lower() for priority in Priority},
    )


def _list(service: Service, state: State, most: int, cursor: str | None) -> dict[str, Any]:
    """Jobs of a state, the newest first, with the cursor of what follows."""
    before = key_of(cursor, [(int, float), str]) if cursor is not None else None
    found = jobs.listed(service.database, states=[state], most=most + 1, before=before)  # type: ignore[arg-type]
    rows = found[:most]
    more = cursor_of((rows[-1].submitted, rows[-1].id)) if len(found) > most else None
    done = reports_of_jobs(service.database, [job.id for job in rows]) if state is State.DONE else {}
    return {"state": state.value, "title": _WORDS[state], "rows": rows, "next": more, "reports": done}


@router.post("/queue/{job_id}/cancel")
def cancel(service: Asked, _: Acting, job_id: JobId) -> Response:
    """End a job that has not ended."""
    return _back(jobs.cancel(service.database, job_id))


@router.post("/queue/{job_id}/requeue")
def requeue(service: Asked, _: Acting, job_id: JobId) -> Response:
    """Try a dead or cancelled job again."""
    job = jobs.requeue(service.database, job_id)
    if job is not None and job.state is State.QUEUED:
        service.carrier.wake()
    return _back(job)


def _back(job: Job | None) -> Response:
    if job is None:
        raise Refusal(404, "there is no such job")
    return RedirectResponse(links.to(_HERE).unescape(), status_code=303)
