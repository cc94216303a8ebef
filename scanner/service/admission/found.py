"""What is known of an image, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A report that breaks the policy. ``platform`` is empty where it has none."""

    report: int
    platform: str
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The newest reports: how many there are, and which break the policy.

    ``age`` is seconds where they are of earlier circumstances, else None.
    """

    reports: int
    broken: tuple[Broken, ...]
    age: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """No result that counts; why. ``job`` is the path of the job that was queued."""

    reason: str
    job: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exempt:
    """The rule leaves it alone."""


Found: TypeAlias = Result | Unknown | Exempt
