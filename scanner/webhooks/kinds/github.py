"""GitHub's container registry: the events ``package`` and ``registry_package`` (docs.github.com, "Webhook events").

The owner and name of a package may have capitals that its address does not have. What has no tag is mostly an image of
an index; its tag is told as an empty text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scanner.decoding import named
from scanner.webhooks.events import Ignored
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.naming import Hint, said
from scanner.webhooks.request import read

_EVENTS = ("package", "registry_package")
_ACTIONS = ("published", "updated")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tag:
    name: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config:
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    digest: str | None = None
    media_type: str | None = None
    config: _Config | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Container:
    tag: _Tag | None = None
    manifest: _Manifest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    version: str | None = None
    package_url: str | None = None
    container: _Container | None = field(default=None, metadata=named("container_metadata"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    login: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    name: str
    owner: _Owner
    package_type: str
    version: _Version | None = field(default=None, metadata=named("package_version"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payload:
    action: str
    package: _Package | None = None
    registry_package: _Package | None = None


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """The one package."""
    event = delivery.headers.one("X-GitHub-Event")
    if event not in _EVENTS:
        yield Ignored(reason=f"the event {said(event)} is none of a package")
        return
    payload = read(_Payload, delivery.document)
    package = payload.registry_package or payload.package
    if payload.action not in _ACTIONS or package is None:
        yield Ignored(reason=f"the action {said(payload.action)} is no push")
    elif package.package_type.lower() != "container" or package.version is None:
        yield Ignored(reason=f"a package of type {said(package.package_type)}, no image")
    else:
        yield _hint(package, package.version, delivery.headers.one("X-GitHub-Delivery"))


def _hint(package: _Package, version: _Version, delivery: str | None) -> Hint:
    container = version.container or _Container()
    tag = container.tag or _Tag()
    manifest = container.manifest or _Manifest()
    stated = version.version if (version.version or "").startswith("sha") else None
    return Hint(
        repository=f"{package.owner.login}/{package.name}".lower(),
        tag=tag.name or None,
        digest=tag.digest or manifest.digest or stated,
        named=(version.package_url,),
        media_type=manifest.media_type or None,
        config_type=(manifest.config.media_type or None) if manifest.config else None,
        id=delivery,
    )
