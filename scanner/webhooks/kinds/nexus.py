"""Sonatype Nexus Repository: events of components and assets (help.sonatype.com, "Working With Webhooks").

An asset of a pushed image is named after the path at which registries have its manifest. Which registry a repository
is reached at (a port, a host or a path of its own), the payload does not say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from scanner.decoding import named
from scanner.webhooks.events import Ignored
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.naming import Hint, said
from scanner.webhooks.request import read

_MANIFEST: Final = re.compile(r"/?v2/([^:@]{1,255})/manifests/([^/]{1,255})")
_CHANGES: Final = ("CREATED", "UPDATED")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    name: str
    format: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payload:
    action: str
    repository: str = field(metadata=named("repositoryName"))
    component: _Item | None = None
    asset: _Item | None = None


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """The one component or asset."""
    payload = read(_Payload, delivery.document)
    item = payload.component or payload.asset
    if payload.action not in _CHANGES or item is None:
        yield Ignored(reason=f"the action {said(payload.action)} is no push")
    elif item.format != "docker":
        yield Ignored(reason=f"the format {said(item.format)} is not docker")
    else:
        yield _hint(payload, item, delivery.headers.one("X-Nexus-Webhook-Delivery"))


def _hint(payload: _Payload, item: _Item, delivery: str | None) -> Hint | Ignored:
    name, version = item.name, item.version or ""
    if payload.component is None:
        found = _MANIFEST.fullmatch(item.name)
        if not found:
            return Ignored(reason="an asset that is no manifest")
        name, version = found[1], found[2]
    is_digest = ":" in version
    if not version:
        return Ignored(reason="a component without a version")
    return Hint(
        repository=name,
        tag=None if is_digest else version,
        digest=version if is_digest else None,
        manager_repository=payload.repository,
        id=delivery,
    )
