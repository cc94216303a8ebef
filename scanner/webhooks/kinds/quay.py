"""Quay: a push of one or more tags, without digests or a signature (docs.quay.io, "Repository notifications").

Older versions have an object of tags where newer have a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.webhooks.events import Ignored
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.naming import Hint
from scanner.webhooks.request import read, shape


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payload:
    repository: str
    updated_tags: tuple[str, ...] | None = None
    docker_url: str | None = None


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """A hint for each tag."""
    document = dict(shape(delivery.document))
    if "updated_tags" not in document:
        yield Ignored(reason="no push: there are no updated_tags")
        return
    if isinstance(document["updated_tags"], dict):
        document["updated_tags"] = list(document["updated_tags"])
    payload = read(_Payload, document)
    for tag in payload.updated_tags or ():
        if tag:
            yield Hint(repository=payload.repository, tag=tag, named=(payload.docker_url,))
