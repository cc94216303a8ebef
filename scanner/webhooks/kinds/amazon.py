"""Amazon ECR through EventBridge: ``ECR Image Action``, and the CloudEvent that input transformers make of it.

The registry of a payload is its account's in its region; it is compared with the configured one
(docs.aws.amazon.com/AmazonECR, "Amazon ECR events and EventBridge").
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
from scanner.webhooks.request import read, shape

_SOURCE: Final = re.compile(r"urn:aws:ecr:([a-z0-9-]{1,40}):([0-9]{12}):repository/.{1,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Detail:
    action: str = field(metadata=named("action-type"))
    repository: str = field(metadata=named("repository-name"))
    result: str | None = None
    digest: str | None = field(default=None, metadata=named("image-digest"))
    tag: str | None = field(default=None, metadata=named("image-tag"))
    manifest_type: str | None = field(default=None, metadata=named("manifest-media-type"))
    artifact_type: str | None = field(default=None, metadata=named("artifact-media-type"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    type: str | None = field(default=None, metadata=named("detail-type"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    detail: _Detail
    account: str
    region: str
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    repository: str = field(metadata=named("repositoryName"))
    digest: str | None = field(default=None, metadata=named("imageDigest"))
    tag: str | None = field(default=None, metadata=named("imageTag"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _CloudEvent:
    type: str
    source: str
    data: _Data
    id: str | None = None


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """The one event."""
    if "specversion" in shape(delivery.document):
        yield _of_cloud_event(read(_CloudEvent, delivery.document))
        return
    kind = read(_Kind, delivery.document).type
    if kind != "ECR Image Action":
        yield Ignored(reason=f"the event {said(kind)} is none of an image")
        return
    event = read(_Event, delivery.document)
    detail = event.detail
    if detail.action != "PUSH" or detail.result not in (None, "SUCCESS"):
        yield Ignored(reason=f"the action {said(detail.action)} with the result {said(detail.result)} is no push")
        return
    yield Hint(
        repository=detail.repository,
        tag=detail.tag or None,
        digest=detail.digest or None,
        named=(_host(event.account, event.region),),
        media_type=detail.manifest_type or None,
        config_type=detail.artifact_type or None,
        id=event.id,
    )


def _of_cloud_event(event: _CloudEvent) -> Hint | Ignored:
    if event.type != "com.amazon.ecr.image.push":
        return Ignored(reason=f"the event {said(event.type)} is no push of an image")
    found = _SOURCE.fullmatch(event.source)
    if not found:
        return Ignored(reason=f"the source {said(event.source)} is no repository of ECR")
    return Hint(
        repository=event.data.repository,
        tag=event.data.tag or None,
        digest=event.data.digest or None,
        named=(_host(found[2], found[1]),),
        id=event.id,
    )


def _host(account: str, region: str) -> str:
    """Regions of China have a suffix of their own."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
