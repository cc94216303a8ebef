"""What a scan tells while it works: event values and a callback.

The library never prints. Whoever wants to see progress hands in a function that takes
these values; :func:`silent` takes them and does nothing. Events may come from any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A target was opened. ``layers`` is the number of layers, ``size`` their stored bytes if known."""

    reference: str
    layers: int
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRead:
    """``read`` more stored bytes of layer ``layer`` were consumed."""

    layer: int
    read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDone:
    """Layer ``layer`` was read to its end, or was ``remembered`` from an earlier scan."""

    layer: int
    remembered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """``distributions`` are to be matched from here on."""

    distributions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """One distribution has its verdict."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A repository manager is asked what the proxy behind ``index`` has retrieved."""

    index: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """It has told one more file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulling:
    """``projects`` are to be pulled into a snapshot."""

    projects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """One project is in the snapshot."""

    name: str


Event: TypeAlias = Opened | LayerRead | LayerDone | Found | Matched | Listing | Listed | Pulling | Pulled
Progress: TypeAlias = Callable[[Event], None]


def silent(event: Event) -> None:
    """Take an event and do nothing."""
