"""Google Artifact Registry through Pub/Sub: a message whose data is JSON again, in base64.

``digest`` and ``tag`` are whole names with their host; a deleted image has the action ``DELETE``
(cloud.google.com/artifact-registry, "Configure Pub/Sub notifications"). An answer that is not 2xx is sent again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field

from scanner.decoding import json_value, named
from scanner.errors import UsageError
from scanner.webhooks.events import Ignored, Unacceptable
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.kinds.generic import split_name
from scanner.webhooks.naming import Hint, said
from scanner.webhooks.request import read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    data: str | None = None
    id: str | None = field(default=None, metadata=named("messageId"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payload:
    message: _Message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notice:
    action: str
    digest: str | None = None
    tag: str | None = None


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """The one message."""
    message = read(_Payload, delivery.document).message
    if not message.data:
        yield Ignored(reason="a message without data")
        return
    notice = read(_Notice, _inner(message.data))
    if notice.action != "INSERT" or not (notice.tag or notice.digest):
        yield Ignored(reason=f"the action {said(notice.action)} is no push")
        return
    yield _hint(notice, message.id)


def _inner(data: str) -> object:
    try:
        return json_value(base64.b64decode(data.encode("ascii", "replace"), validate=True), "message.data")
    except (binascii.Error, UsageError) as problem:
        raise Unacceptable(400, "message.data: no JSON in base64") from problem


def _hint(notice: _Notice, message: str | None) -> Hint | Ignored:
    """Both names are of one image, or it is not clear which is meant."""
    names = [split_name(text) for text in (notice.tag, notice.digest) if text]
    if any(one.host is None for one in names) or len({(one.host, one.repository) for one in names}) > 1:
        return Ignored(reason="tag and digest are no names of one image on a host")
    return Hint(
        repository=names[0].repository,
        tag=next((one.tag for one in names if one.tag), None),
        digest=next((one.digest for one in names if one.digest), None),
        named=(names[0].host,),
        id=message,
    )
