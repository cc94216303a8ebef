"""JFrog Artifactory: events of the domain ``docker`` (jfrog.com/help, "Webhooks").

The digest comes without its algorithm. Where a repository of Artifactory is reached as a registry, its configuration
decides (a path, a host or a port of its own), which the payload does not say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.webhooks.events import Ignored
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.naming import Hint, said
from scanner.webhooks.request import read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    repo_key: str
    image_name: str
    tag: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    domain: str
    event_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payload:
    data: _Data
    jpd_origin: str | None = None


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """The one push."""
    event = read(_Event, delivery.document)
    if (event.domain, event.event_type) != ("docker", "pushed"):
        yield Ignored(reason=f"the event {said(event.event_type)} of {said(event.domain)} is no push of an image")
        return
    payload = read(_Payload, delivery.document)
    data = payload.data
    digest = (data.sha256 or "").removeprefix("sha256:")
    by_digest = data.tag.replace("__", ":") == f"sha256:{digest}"
    yield Hint(
        repository=data.image_name,
        tag=None if by_digest else data.tag or None,
        digest=f"sha256:{digest}" if digest else None,
        named=(payload.jpd_origin,),
        manager_repository=data.repo_key,
    )
