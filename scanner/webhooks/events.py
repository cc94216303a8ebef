"""What came of one request of a registry, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from scanner.digest import Digest
from scanner.reference import ImageName


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """An image was pushed, so says the registry: a hint. What the tag means is asked of the registry.

    ``image`` is on the registry of the configuration. ``children`` are the images of a pushed index, where that was
    told: a scan of the index is theirs too. ``id`` is the same each time that a delivery is sent again; it is nobody's
    proof of anything.
    """

    image: ImageName
    children: tuple[Digest, ...] = ()
    id: str | None = None

    @property
    def repository(self) -> str:
        """The repository on the registry, without its host."""
        return self.image.repository

    @property
    def tag(self) -> str | None:
        """The tag, None where the image was pushed by its digest."""
        return self.image.tag

    @property
    def digest(self) -> Digest | None:
        """The digest of the manifest or index, None where the registry does not tell."""
        return self.image.digest

    @property
    def reference(self) -> str:
        """The TARGET to scan, which never means a daemon."""
        return f"registry:{self.image}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Something else happened, or it is not for us. To be answered like a push: else it is sent again for ever."""

    reason: str


Event: TypeAlias = Pushed | Ignored


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The request is the registry's. Never empty of events: what is ignored is one, with its reason."""

    events: tuple[Event, ...]

    @property
    def pushes(self) -> tuple[Pushed, ...]:
        """What there is to scan."""
        return tuple(event for event in self.events if isinstance(event, Pushed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A status from 400 on, with the reason in one line of ASCII; nothing of the request was used."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question of the sender to its receiver, with the answer: status 200, these headers, this as JSON if any."""

    headers: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, str] | None = None


Outcome: TypeAlias = Accepted | Refused | Answered


class Unacceptable(Exception):
    """Raised while a request is read; becomes :class:`Refused` at the one place that answers."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
