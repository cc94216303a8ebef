"""What a check-up of the configuration found, as values: settings, checks, the repositories of a manager.

A check has one of three results. What could not be looked at is "not to be told", never "ok".
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from scanner.index import Role
from scanner.manager import Repository
from scanner.status import Status

CHECKS: Final = (
    "roles",
    "reachable",
    "credentials",
    "allowed",
    "kind",
    "token",
    "source",
    "order",
    "stored",
    "sha256",
    "builds",
    "fallback",
    "built_only",
    "tier",
    "direct",
    "wheel",
    "ranges",
)
"""The names of all checks, in their order. Programs rest on them."""


class Result(enum.Enum):
    """What came of a check."""

    OK = "ok"
    WRONG = "wrong"
    UNTOLD = "not to be told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line. ``name`` is one of :data:`CHECKS`; ``advice`` says what to do."""

    name: str
    result: Result
    says: str
    advice: str | None = None


def ok(name: str, says: str, advice: str | None = None) -> Check:
    """It is right; an advice says what would be better still."""
    return Check(name=name, result=Result.OK, says=says, advice=advice)


def wrong(name: str, says: str, advice: str) -> Check:
    """It is wrong, and something can be done."""
    return Check(name=name, result=Result.WRONG, says=says, advice=advice)


def untold(name: str, says: str, advice: str | None = None) -> Check:
    """It could not be looked at, or what was seen fits both."""
    return Check(name=name, result=Result.UNTOLD, says=says, advice=advice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """An index and its checks. ``url`` is without credentials."""

    name: str
    role: Role
    kind: str
    url: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """A setting as it is in effect. ``place`` is the flag, variable or file that it comes from, or ``default``."""

    name: str
    value: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """An environment variable that matters: whether it is set, never what it holds."""

    name: str
    is_set: bool
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """All of it. ``checks`` are those that concern no single index; ``probes`` the projects that were asked for."""

    settings: tuple[Effective, ...]
    variables: tuple[Variable, ...]
    probes: tuple[str, ...]
    checks: tuple[Check, ...]
    indexes: tuple[Examined, ...]

    @property
    def all_checks(self) -> Iterator[Check]:
        """Every check, whatever it concerns."""
        yield from self.checks
        for one in self.indexes:
            yield from one.checks

    @property
    def status(self) -> int:
        """The exit status: 1 where something is wrong."""
        return Status.BROKEN if any(check.result is Result.WRONG for check in self.all_checks) else Status.HOLDS


class Behind(enum.Enum):
    """What a repository fetches from, by the URL that its manager tells."""

    CHAINGUARD = "Chainguard"
    PYPI = "PyPI"
    OTHER = "another server"
    MIXED = "several"
    NONE = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """A repository of a manager and what is behind it. A group's ``sources`` are in the order in which it asks them.

    ``url`` is that of its simple index, without credentials.
    """

    repository: Repository
    behind: Behind
    url: str
    sources: tuple[tuple[str, Behind], ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An index for ``cgscan.yaml``. ``credentials`` say where those are, by the keys of the file; none is in it."""

    name: str
    role: Role
    kind: str
    url: str
    built_only: bool = False
    credentials: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """The Python repositories of one manager, and what to write into ``cgscan.yaml``."""

    kind: str
    where: str
    repositories: tuple[Discovered, ...]
    proposals: tuple[Proposal, ...]

    @property
    def status(self) -> int:
        """The exit status: 1 where no proxy of Chainguard's is among them."""
        return Status.HOLDS if any(one.role is Role.CHAINGUARD for one in self.proposals) else Status.BROKEN
