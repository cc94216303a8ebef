"""Azure Container Registry: its own webhooks, and Event Grid in both of its formats.

A webhook is one event of Distribution without the envelope; Event Grid has the same as ``data``, in a list of its own
events or as one CloudEvent (learn.microsoft.com, "Azure Container Registry webhook reference", "… as an Event Grid
source"). Before its own format Event Grid posts a question to which the code in it is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scanner.decoding import named
from scanner.webhooks.events import Ignored
from scanner.webhooks.kinds.adapter import Answer, Delivery
from scanner.webhooks.kinds.distribution import Notification, hint_of
from scanner.webhooks.naming import Hint, said
from scanner.webhooks.request import read, shape

_PUSHED: Final = "Microsoft.ContainerRegistry.ImagePushed"
_QUESTION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    code: str = field(metadata=named("validationCode"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    data: _Code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pushed:
    data: Notification


@dataclass(frozen=True, slots=True, kw_only=True)
class _GridEvent:
    type: str = field(metadata=named("eventType"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _CloudEvent:
    type: str


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored | Answer]:
    """The event of a webhook, or those of Event Grid."""
    document = delivery.document
    if isinstance(document, list):
        for one in document:
            yield _grid(read(_GridEvent, one).type, one)
    elif "specversion" in shape(document):
        yield _grid(read(_CloudEvent, document).type, document)
    else:
        yield hint_of(read(Notification, document))


def _grid(kind: str, event: object) -> Hint | Ignored | Answer:
    if kind == _QUESTION:
        return Answer(document={"validationResponse": read(_Question, event).data.code})
    if kind != _PUSHED:
        return Ignored(reason=f"the event {said(kind)} is no push of an image")
    return hint_of(read(_Pushed, event).data)
