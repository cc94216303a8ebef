"""What the reader of one kind gets and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from scanner.webhooks.events import Ignored
from scanner.webhooks.naming import Hint
from scanner.webhooks.request import Headers
from scanner.webhooks.source import WebhookSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A request whose sender is who it should be: headers, and the body as plain JSON values."""

    source: WebhookSource
    headers: Headers
    document: object = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The sender asks whether we are there, and this is the answer."""

    document: Mapping[str, str]


Read: TypeAlias = Callable[[Delivery], Iterable[Hint | Ignored | Answer]]
"""The reader of a kind. Raises :class:`scanner.webhooks.events.Unacceptable` for a body of another shape."""
