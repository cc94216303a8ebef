"""What is drawn: coverage over time, and shares of a whole. Values only; the templates make SVG of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scanner.formats.html.sections import Share
from scanner.report import Origin

_HEIGHT: Final = 100.0
"""Units of the drawing: one for each percent, 0 at the bottom. It is as wide as it is high, and stretched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Coverage at a time, in seconds since 1970; ``of`` says in words what it is a share of."""

    when: float
    coverage: float
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A line through points, the earliest first. ``line`` and ``area`` are paths in units of the drawing; ``dots`` are
    their places.
    """

    points: tuple[Point, ...]
    line: str
    area: str
    dots: tuple[tuple[float, float, Point], ...]

    @property
    def words(self) -> str:
        """What the line says, for who does not see it."""
        first, last = self.points[0], self.points[-1]
        lowest = min(self.points, key=lambda point: point.coverage)
        return (
            f"From {first.coverage:g} % to {last.coverage:g} %, "
            f"the lowest {lowest.coverage:g} %; the table below has every value."
        )


def course(points: Sequence[Point]) -> Course | None:
    """The line through two points or more; None for fewer."""
    if len(points) < 2:
        return None
    begin, length = points[0].when, points[-1].when - points[0].when or 1.0
    dots = [(round(100 * (one.when - begin) / length, 2), round(_HEIGHT - one.coverage, 2), one) for one in points]
    line = "M" + " L".join(f"{x:g} {y:g}" for x, y, _ in dots)
    area = f"{line} L{dots[-1][0]:g} {_HEIGHT:g} L{dots[0][0]:g} {_HEIGHT:g} Z"
    return Course(points=tuple(points), line=line, area=area, dots=tuple(dots))


def covered(verified: int, applicable: int) -> tuple[Share, ...]:
    """The part of a bar that is verified."""
    if not verified or not applicable:
        return ()
    width = round(100 * verified / applicable, 3)
    return (Share(look="verified", label="verified", count=verified, start=0.0, width=width),)


def by_origin(counts: Mapping[str, int], whole: int | None = None) -> tuple[Share, ...]:
    """Origins side by side, in their order; ``whole`` is what the bar's length stands for."""
    whole = whole or sum(counts.values())
    shares, start = [], 0.0
    for origin in Origin:
        if count := counts.get(origin.value, 0):
            width = 100 * count / whole
            place = {"start": round(start, 3), "width": round(width, 3)}
            shares.append(Share(look=origin.value, label=origin.value, count=count, **place))
            start += width
    return tuple(shares)
