"""CNCF Distribution (``docker-registry``), and the registry of GitLab, which is built on it.

An envelope of events for manifests and blobs, one event an envelope in practice; with ``includereferences`` an event
has what the manifest refers to. What is not answered with 2xx or 3xx is sent again for ever
(distribution.github.io/distribution/about/notifications).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scanner.decoding import named
from scanner.webhooks.events import Ignored
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.naming import CONFIGS, INDEXES, Hint, said
from scanner.webhooks.request import read


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a manifest refers to."""

    media_type: str | None = field(default=None, metadata=named("mediaType"))
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was pushed."""

    repository: str
    media_type: str | None = field(default=None, metadata=named("mediaType"))
    digest: str | None = None
    tag: str | None = None
    url: str | None = None
    references: tuple[Descriptor, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The request of who pushed."""

    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One event. A test of Azure's has no target."""

    action: str
    id: str | None = None
    target: Target | None = None
    request: Request | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Envelope:
    events: tuple[Notification, ...]


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """The events of an envelope."""
    for event in read(_Envelope, delivery.document).events:
        yield hint_of(event)


def hint_of(event: Notification) -> Hint | Ignored:
    """One event."""
    target = event.target
    if event.action != "push":
        return Ignored(reason=f"the action {said(event.action)} is no push")
    if target is None:
        return Ignored(reason="a push of nothing")
    references = target.references or ()
    is_index = target.media_type in INDEXES
    return Hint(
        repository=target.repository,
        tag=target.tag or None,
        digest=target.digest or None,
        named=(target.url, event.request.host if event.request else None),
        media_type=target.media_type,
        config_type=None if is_index else _config_type(references),
        children=tuple(one.digest for one in references if one.digest) if is_index else (),
        id=event.id,
    )


def _config_type(references: tuple[Descriptor, ...]) -> str | None:
    """The media type of the configuration, which stands first; None where references are not told."""
    types = [one.media_type for one in references if one.media_type]
    return next((one for one in types if one in CONFIGS), types[0] if types else None)
