"""Archives and programs in a target, opened: each is an :class:`Inventory` of its own, or said to be what it is.

What cannot be read of one is a finding of its own; the scan goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from scanner.distribution import Finding, FindingKind
from scanner.inventories.budget import Budget
from scanner.inventories.suspicion import Suspect
from scanner.inventory import Inventory
from scanner.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One file that is looked into: ``size`` bytes, ``depth`` archives around it."""

    size: int
    depth: int
    limits: Limits
    budget: Budget
    opener: Opener

    @property
    def most(self) -> int:
        """Bytes that it may expand to."""
        limits = self.limits
        return min(limits.wheel_expanded, max(limits.expansion_grace, self.size * limits.wheel_ratio))


Opener: TypeAlias = Callable[[Suspect, BinaryIO, Opening], Inventory | str | None]
"""Looks into a seekable file: its inventory; of a frozen program, what it is; None for what has no Python in it."""


def unopened(detail: str) -> Inventory:
    """Stands for an archive that was not opened; ``detail`` says why."""
    finding = Finding(kind=FindingKind.UNREADABLE, path="/", layer=None, detail=f"was not opened: {detail}")
    return Inventory(entries=(), findings=(finding,))
