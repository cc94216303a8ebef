"""What was told, what waits to be, and what could not be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from scanner.results.paging import cursor_of, key_of
from scanner.service.api.answers import PageOf
from scanner.service.api.asked import MAY_READ, MAY_SCAN, Asked, Cursor, Most, texted
from scanner.service.api.jobs import ROOT
from scanner.service.api.problems import Refusal, described
from scanner.service.telling import outbox

router: Final = APIRouter(prefix=ROOT, tags=["notifications"], responses=described(401, 403, 422, 503))
NotificationState = Literal["waiting", "sending", "done", "dead"]
NotificationId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The id of a notification")]


class NotificationAnswer(BaseModel):
    """Something that is told. Times are seconds since 1970."""

    id: str = Field(description="The header webhook-id: the same in every attempt")
    kind: Literal["notify", "attach"]
    receiver: str = Field(description="The receiver's name, or the registry that a report is attached in")
    events: list[str]
    image: str
    digest: str | None
    job: str = Field(description="The path of the job")
    state: NotificationState
    created: float
    due: float
    ended: float | None
    attempts: int
    reason: str | None = Field(description="Why it waits, was given up, or needed nothing")


@router.get("/notifications", dependencies=[MAY_READ])
def list_notifications(
    service: Asked,
    state: Annotated[list[NotificationState] | None, Query(max_length=4)] = None,
    receiver: Annotated[str | None, Query(max_length=255)] = None,
    most: Most = 50,
    cursor: Cursor = None,
) -> PageOf[NotificationAnswer]:
    """What is told, the newest first. ``state=dead`` is what was given up, with the reason of each."""
    before = key_of(cursor, [int])[0] if cursor is not None else None
    assert before is None or isinstance(before, int)
    found = outbox.listed(
        service.database, states=state or (), receiver=texted(receiver, "receiver"), most=most + 1, before=before
    )
    after = cursor_of((found[most - 1]["number"],)) if len(found) > most else None
    return PageOf(rows=[_answer(row) for row in found[:most]], next=after)


@router.post("/notifications/{notification_id}/requeue", dependencies=[MAY_SCAN], responses=described(404))
def requeue_notification(service: Asked, notification_id: NotificationId) -> NotificationAnswer:
    """Tell again what was given up; any other stays as it is."""
    row = outbox.requeue(service.database, notification_id)
    if row is None:
        raise Refusal(404, "there is no such notification")
    return _answer(row)


def _answer(row: Mapping[str, Any]) -> NotificationAnswer:
    tag = f":{row['tag']}" if row["tag"] else ""
    said = {name: row[name] for name in NotificationAnswer.model_fields if name in row}
    return NotificationAnswer(
        **{**said, "events": row["events"].split()},
        image=f"{row['registry']}/{row['repository']}{tag}",
        job=f"{ROOT}/jobs/{row['job_id']}",
    )
