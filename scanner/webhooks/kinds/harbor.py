"""Harbor, in its own format and as CloudEvents (goharbor.io, "Configure Webhook Notifications").

An artifact pushed without a tag has its digest for one; of several tags only the first is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.webhooks.events import Ignored
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.naming import Hint, said
from scanner.webhooks.request import read, shape

_PUSHES = ("PUSH_ARTIFACT", "harbor.artifact.pushed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource:
    digest: str | None = None
    tag: str | None = None
    resource_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repository:
    repo_full_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    resources: tuple[_Resource, ...]
    repository: _Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    type: str
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    event_data: _Data


@dataclass(frozen=True, slots=True, kw_only=True)
class _CloudEvent:
    data: _Data


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """The resources of one event."""
    event = read(_Event, delivery.document)
    if event.type not in _PUSHES:
        yield Ignored(reason=f"the event {said(event.type)} is no push of an artifact")
        return
    if "specversion" in shape(delivery.document):
        data = read(_CloudEvent, delivery.document).data
    else:
        data = read(_Own, delivery.document).event_data
    for one in data.resources:
        yield Hint(
            repository=data.repository.repo_full_name,
            tag=one.tag if one.tag and one.tag != one.digest else None,
            digest=one.digest or None,
            named=(one.resource_url,),
            id=event.id,
        )
