"""Numbers as a person writes them, in bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scanner.values import shown


def number(least: float, most: float, unit: float = 1) -> Callable[[object], Any]:
    """A reader of numbers from ``least`` to ``most``, times ``unit``."""

    def read(value: object) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(f"{shown(value)} is no number from {least:g} to {most:g}")
        return value * unit

    return read


def count(least: int, most: int) -> Callable[[object], int]:
    """A reader of whole numbers."""

    def read(value: object) -> int:
        found = number(least, most)(value)
        if found != int(found):
            raise ValueError(f"{shown(value)} is no whole number")
        return int(found)

    return read
