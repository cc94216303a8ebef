"""What a form asked for. A form sends empty fields too: they ask for nothing. What makes no sense is 422."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from fastapi import Request

from scanner.service.api.asked import texted
from scanner.service.api.problems import Refusal

_LONGEST: Final = 300
_LONGEST_CURSOR: Final = 8000


def word(request: Request, name: str) -> str | None:
    """A text."""
    value = request.query_params.get(name, "").strip()
    if len(value) > _LONGEST:
        raise Refusal(422, f"{name} is longer than {_LONGEST} characters")
    return texted(value, name) or None


def number(request: Request, name: str, least: float, most: float) -> float | None:
    """A number within bounds."""
    said = word(request, name)
    if said is None:
        return None
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise Refusal(422, f"{name} is a number from {least:g} to {most:g}")
    return value


def choice(request: Request, name: str, among: Collection[str]) -> str | None:
    """One of some words."""
    said = word(request, name)
    if said is not None and said not in among:
        raise Refusal(422, f"{name} is one of {', '.join(among)}")
    return said


def plain(value: float | None) -> str | None:
    """A number as it goes back into a form."""
    return None if value is None else f"{value:g}"


def cursor(request: Request, name: str = "cursor") -> str | None:
    """Where the page before ended."""
    said = request.query_params.get(name) or None
    if said is not None and len(said) > _LONGEST_CURSOR:
        raise Refusal(422, "the cursor is none")
    return said
