"""Which registries are walked through, what of them is scanned, and when."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from scanner.sections import each_once, said_by_keys
from scanner.serving.numbers import count, number
from scanner.values import as_host, shown
from scanner.webhooks.naming import pattern_of
from scanner.webhooks.settings import PATTERN

REPOSITORY: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
GLOB: Final = r"[A-Za-z0-9._/*?\[\]!-]{1,255}"
SPAN: Final = r"[1-9][0-9]{0,3}[mhd]"
TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]"
MOST: Final = 1000
"""Globs or names in one list, and registries."""
LEAST_SECONDS: Final = 60
MOST_SECONDS: Final = 366 * 86_400
_UNITS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl:
    """A registry and how it is walked through.

    ``repositories`` are named where the registry does not list them. Of those that are named or listed, all count that
    a pattern of ``include`` matches and none of ``exclude``; so with ``tags`` and ``exclude_tags``, which are globs.
    ``newest`` is how many of a repository's numbered tags count, by their numbers; None is all. Every ``seconds`` there
    is a walk, or each day ``at`` so many seconds after midnight, UTC. A walk asks ``per_second`` times a second and
    ends with its bounds.
    """

    registry: str
    repositories: tuple[str, ...] = ()
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    tags: tuple[str, ...] = ("*",)
    exclude_tags: tuple[str, ...] = ()
    newest: int | None = None
    seconds: float = 6 * 3600.0
    at: float | None = None
    per_second: float = 10.0
    most_repositories: int = 10_000
    most_tags: int = 1000
    most_images: int = 100_000

    def wants(self, repository: str) -> bool:
        """Whether a repository counts."""
        return _matches(repository, self.include) and not _matches(repository, self.exclude)

    def wants_tag(self, tag: str) -> bool:
        """Whether a tag counts."""
        return any(fnmatchcase(tag, glob) for glob in self.tags) and not any(
            fnmatchcase(tag, glob) for glob in self.exclude_tags
        )

    def next_after(self, now: float) -> float:
        """When the walk after one that began then begins, in seconds since 1970."""
        if self.at is None:
            return now + self.seconds
        return ((now - self.at) // _DAY + 1) * _DAY + self.at


def _matches(repository: str, patterns: tuple[str, ...]) -> bool:
    return any(pattern_of(pattern).fullmatch(repository) for pattern in patterns)


def as_crawls(value: object) -> tuple[Crawl, ...]:
    """The registries of the key ``crawl``, each named once."""
    return each_once(value, crawl_of, lambda one: one.registry, most=MOST)


def crawl_of(value: object) -> Crawl:
    """One registry as it is configured."""
    read = said_by_keys(value, KEYS, needed=("registry",))
    if "every" in read and "at" in read:
        raise ValueError("each has either every or at, which is once a day")
    return Crawl(**{"seconds" if key == "every" else key: said for key, said in read.items()})


def as_span(value: object) -> float:
    """``90m``, ``6h``, ``1d``, or seconds."""
    if isinstance(value, str) and re.fullmatch(SPAN, value):
        return int(value[:-1]) * _UNITS[value[-1]]
    try:
        return float(number(LEAST_SECONDS, MOST_SECONDS)(value))
    except ValueError as problem:
        raise ValueError(f"{shown(value)} is no time: 90m, 6h, 1d, or seconds") from problem


def _as_time(value: object) -> float:
    if not isinstance(value, str) or not re.fullmatch(TIME, value):
        raise ValueError('must be a time of the day as "HH:MM", in quotes')
    hours, _, minutes = value.partition(":")
    return int(hours) * 3600.0 + int(minutes) * 60.0


def _texts(pattern: str, what: str) -> Callable[[object], tuple[str, ...]]:
    def read(value: object) -> tuple[str, ...]:
        several = value if isinstance(value, list) else [value]
        if not several or len(several) > MOST:
            raise ValueError(f"must be 1 to {MOST} {what}")
        for one in several:
            if not isinstance(one, str) or not re.fullmatch(pattern, one):
                raise ValueError(f"{shown(one)} is none of {what}")
        return tuple(several)

    return read


KEYS: Final[Mapping[str, Callable[[object], Any]]] = {
    "registry": as_host,
    "repositories": _texts(REPOSITORY, "names of repositories"),
    "include": _texts(PATTERN, "patterns of repositories"),
    "exclude": _texts(PATTERN, "patterns of repositories"),
    "tags": _texts(GLOB, "globs"),
    "exclude_tags": _texts(GLOB, "globs"),
    "newest": count(1, 10_000),
    "every": as_span,
    "at": _as_time,
    "per_second": number(0.1, 1000),
    "most_repositories": count(1, 100_000),
    "most_tags": count(1, 100_000),
    "most_images": count(1, 1_000_000),
}
"""The keys of a registry."""
