"""Gitea and Forgejo: the event ``package`` (docs.gitea.com, "Webhooks"). A version is a tag or a digest.

The images of an index fire as well, each by its digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.webhooks.events import Ignored
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.naming import Hint, said
from scanner.webhooks.request import read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    login: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    owner: _Owner
    type: str
    name: str
    version: str
    html_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payload:
    action: str
    package: _Package


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """The one package."""
    headers = delivery.headers
    event = headers.one("X-Gitea-Event") or headers.one("X-Forgejo-Event")
    if event != "package":
        yield Ignored(reason=f"the event {said(event)} is none of a package")
        return
    payload = read(_Payload, delivery.document)
    package = payload.package
    if payload.action != "created" or package.type != "container":
        yield Ignored(reason=f"{said(payload.action)} of a package of type {said(package.type)} is no push of an image")
        return
    is_digest = ":" in package.version
    yield Hint(
        repository=f"{package.owner.login}/{package.name}".lower(),
        tag=None if is_digest else package.version or None,
        digest=package.version if is_digest else None,
        named=(package.html_url,),
        id=headers.one("X-Gitea-Delivery") or headers.one("X-Forgejo-Delivery"),
    )
