"""Docker Hub: one push of one tag, without a digest or a signature (docs.docker.com/docker-hub/repos/manage/webhooks).

``callback_url`` is never called: it is anybody's address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.webhooks.events import Ignored
from scanner.webhooks.kinds.adapter import Delivery
from scanner.webhooks.naming import Hint
from scanner.webhooks.request import read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Push:
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repository:
    repo_name: str
    repo_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payload:
    push_data: _Push
    repository: _Repository


def read_events(delivery: Delivery) -> Iterator[Hint | Ignored]:
    """The one push."""
    payload = read(_Payload, delivery.document)
    if not payload.push_data.tag:
        yield Ignored(reason="a push that names neither tag nor digest")
        return
    repository = payload.repository
    yield Hint(repository=repository.repo_name, tag=payload.push_data.tag, named=(repository.repo_url,))
