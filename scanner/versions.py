"""Which version of a project has files that have no metadata: its wheels, laid over them.

Versions are tried newest first; where there are many, first some spread over all, then between the best and its
neighbours, because versions beside each other share most of their code. A wheel is read by its RECORD. Bounded by
``guessed_wheels``, ``guessed_bytes`` and the time for indexes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scanner.errors import IndexFailure
from scanner.match import COMPILED
from scanner.record import landing

if TYPE_CHECKING:
    from packaging.version import Version

    from scanner.assessed import Terms
    from scanner.candidates import Gathering
    from scanner.index import Index, IndexFile
    from scanner.placement import Site
    from scanner.wheel import WheelContents

_AT_FIRST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """A wheel laid over files without metadata: those that it has, those that it has otherwise, what of it is gone.

    ``code`` is how many of the files in question it has, empty ones aside. Compiled files count for nothing but
    ``files``: two builds of one version have the same code.
    """

    files: frozenset[str]
    changed: frozenset[str]
    code: int
    missing: int

    @property
    def modified(self) -> int:
        """How many of the wheel's files are there with other bytes."""
        return len(self.changed)

    @property
    def rank(self) -> tuple[int, int, int]:
        """More is better."""
        return (len(self.files), -self.modified, -self.missing)


class Laying:
    """Lays wheels over the files of an environment that nothing accounts for; ``own`` are those in question."""

    def __init__(self, site: Site, files: frozenset[str], own: frozenset[str]) -> None:
        self._site = site
        self._files = files
        self._own = own

    def cover(self, contents: WheelContents) -> Cover:
        """What of the files a wheel has."""
        have: set[str] = set()
        changed: set[str] = set()
        code = missing = 0
        for member, content in contents.members.items():
            if member.startswith(contents.dist_info + "/") or landing(member).scheme != "lib":
                continue
            file = self._site.look(member, contents)
            if file is not None and file.sha256 == content.sha256:
                have.add(file.path)
                code += content.size > 0 and file.path in self._own
            elif COMPILED.fullmatch(member) is None and not member.endswith(".pyc"):
                missing += file is None
                changed.update([file.path] if file is not None else [])
        return Cover(files=self._files & have, changed=frozenset(changed), code=code, missing=missing)

    def is_all(self, cover: Cover) -> bool:
        """Whether a wheel is there as a whole, and has all of the files but compiled ones."""
        rest = {path for path in self._own - cover.files if COMPILED.fullmatch(path) is None}
        return not (cover.changed or cover.missing or rest)


class Search:
    """The version of one project that has the files best."""

    def __init__(self, gathering: Gathering, laying: Laying, terms: Terms, deadline: float) -> None:
        self._gathering = gathering
        self._laying = laying
        self._deadline = deadline
        self._reads = terms.limits.guessed_wheels
        self._bytes = terms.limits.guessed_bytes
        self._found: dict[int, tuple[Version, Cover, WheelContents] | None] = {}

    def best(self) -> tuple[Version, Cover, WheelContents] | None:
        """The best version with its cover and its wheel; None if no wheel that was read has any of the code."""
        versions = self._gathering.versions()
        for number in _order(len(versions), self._best_number):
            if self._reads <= 0 or self._bytes <= 0 or time.monotonic() > self._deadline:
                break
            found = self._found[number] = self._look(versions[number])
            if found is not None and self._laying.is_all(found[1]):
                return found
        best = self._best_number()
        return None if best is None else self._found[best]

    def _best_number(self) -> int | None:
        """Of the versions that were looked at; the newest of equals."""
        known = [(found[1].rank, -number) for number, found in self._found.items() if found is not None]
        return -max(known)[1] if known else None

    def _look(self, version: Version) -> tuple[Version, Cover, WheelContents] | None:
        """One wheel is enough where its code is there; a project of compiled files alone needs the right one."""
        for index, file in self._gathering.wheels_of(version):
            if self._reads <= 0 or self._bytes <= 0:
                break
            contents = self._read(index, file)
            cover = self._laying.cover(contents) if contents is not None else None
            if contents is not None and cover is not None and cover.code:
                return version, cover, contents
        return None

    def _read(self, index: Index, file: IndexFile) -> WheelContents | None:
        self._reads -= 1
        try:
            contents = index.wheel(file)
        except IndexFailure:
            return None
        if contents.proved:  # it could only be read whole
            self._bytes -= file.size or sum(member.size for member in contents.members.values())
        return contents


def _order(count: int, best: Callable[[], int | None]) -> Iterator[int]:
    """In which order versions are looked at: spread over all, then between the best so far and its neighbours.

    Nothing more once none of the spread ones has any of the code.
    """
    step = max(1, -(-count // _AT_FIRST))
    seen = set(range(0, count, step))
    yield from sorted(seen)
    while len(seen) < count and (middle := best()) is not None:
        following = _between(middle, seen, count)
        seen.add(following)
        yield following


def _between(middle: int, seen: Collection[int], count: int) -> int:
    """The middle of the wider gap beside the best; where both neighbours are known, the nearest unknown."""
    before = max((number for number in seen if number < middle), default=-1)
    after = min((number for number in seen if number > middle), default=count)
    lower, upper = (before, middle) if middle - before > after - middle else (middle, after)
    if upper - lower > 1:
        return (lower + upper) // 2
    return min((number for number in range(count) if number not in seen), key=lambda number: abs(number - middle))
