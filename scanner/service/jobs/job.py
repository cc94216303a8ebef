"""A job as a value, and what is wanted of one."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, and_, or_

from scanner.reference import ImageName
from scanner.results.tables import jobs

ASKED: Final = "api"
"""The source of jobs that somebody asked for; others are what a registry told of, or has."""
INDEXES: Final = "indexes"
"""The source of jobs that look at an image again because an index has changed, or was out of reach."""
CRAWL: Final = "crawl"
"""The source of jobs of what a walk through a registry has found."""
MOST_SHOWN: Final = 1000
"""Characters of a reason that are kept."""
SETTLING: Final = 10.0
"""Seconds that an image that was pushed by its digest waits for the index that it may be of."""


class State(enum.Enum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    FAILED = "failed"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (State.DONE, State.DEAD, State.CANCELLED)


class Priority(enum.IntEnum):
    """What comes first; more is sooner."""

    CRAWL = 0
    PUSH = 10
    REQUEST = 20
    DEPLOY = 30


WAITING: Final = (State.QUEUED.value, State.FAILED.value)
"""The states of what waits."""


class Full(Exception):
    """The queue is over its limit; nothing was queued."""


class LeaseLost(Exception):
    """Somebody else has the job, or it was cancelled: whatever was found out is thrown away."""


class Overtaken(Exception):
    """Another process wrote the same between our look and our insert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row. ``key`` collapses duplicates while it is set; ``content`` is of the digest and of ``circumstances``, all
    that else decides the result; None until the digest is known. ``seen`` is when its name was last said to be this.
    ``lease`` is the fencing number.
    """

    id: str
    key: str | None
    circumstances: str
    content: str | None
    state: State
    priority: int
    registry: str
    repository: str
    tag: str
    digest: str | None
    source: str
    submitted: float
    seen: float
    due: float
    started: float | None
    ended: float | None
    attempts: int
    lease: int
    lease_until: float | None
    worker: str | None
    reason: str | None

    @property
    def name(self) -> str:
        """The image as a person writes it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be scanned. ``circumstances`` is the state of the indexes and the fingerprint of the settings;
    ``delay`` is seconds before it is due.

    ``moved`` is whether the tag is said to have been pushed, so that it may mean another digest than a moment ago.
    ``seen`` is when the name was said to mean the digest, if that is not now: what was said later counts more.
    """

    image: ImageName
    source: str
    priority: Priority
    circumstances: str
    delay: float = 0.0
    moved: bool = False
    seen: float | None = None

    @property
    def key(self) -> str:
        """The same for what is the same job."""
        return hashed(str(self.image), self.circumstances)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A job that ends: with ``reports``, or ``DEAD`` for a reason."""

    job: Job
    reports: tuple[int, ...] = ()
    reason: str | None = None


Tell: TypeAlias = Callable[[Connection, Ending], None]
"""Writes down what is to be told of an ending, in the transaction of the ending and before the name has new reports."""


def tell_nobody(_: Connection, __: Ending) -> None:
    """Where nobody wants to know."""


def content_of(digest: str, circumstances: str) -> str:
    """The key of a result."""
    return hashed("content", digest, circumstances)


def hashed(*parts: str) -> str:
    """One key of several parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def job_of(row: Row[Any]) -> Job:
    """A row as a value."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return Job(**{**values, "state": State(values["state"])})


def claimable(now: float) -> ColumnElement[bool]:
    """Jobs that a worker may claim: those that are due, and those whose worker is lost."""
    lost = and_(jobs.c.state == State.RUNNING.value, jobs.c.lease_until < now)
    return or_(and_(jobs.c.state.in_(WAITING), jobs.c.due <= now), lost)
