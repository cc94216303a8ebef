"""Distributions without metadata, known by their content: which version of which project has these files?

1. Wheels at hand: those that lie in the target, and those that explain another environment.
2. Indexes that can look up a file by its digest.
3. Projects guessed from the names (:mod:`scanner.guessing`), all their versions (:mod:`scanner.versions`).
4. What the identified ones, and those with metadata, require and nobody has.

What comes out is a claim like a dist-info's: the usual comparison decides whose build it is, or that it cannot be told.
Bounded by ``guessed_names``, ``guessed_wheels``, ``guessed_bytes`` and the time for indexes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from packaging.utils import NormalizedName

from scanner.assessed import Assessed, Terms
from scanner.comparison import Comparing
from scanner.distribution import Distribution, Installed, WheelFile
from scanner.environment import Environment
from scanner.errors import IndexFailure
from scanner.guessing import AtHand, Portion, names_of, portions, required
from scanner.index import ByContent, IndexFile
from scanner.match import COMPILED
from scanner.placement import InstalledSite
from scanner.rootfs import RootFS
from scanner.strays import Strays
from scanner.threads import threads
from scanner.versions import Cover, Laying, Search
from scanner.wheel import WheelContents

_ROUNDS: Final = 4
_DIGESTS_ASKED: Final = 8
_FEW: Final = 3
_IN_TEN: Final = 10
"""So many changed files, or one for ten that are not, are named one by one; more are another version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """A project and version that has files, and the metadata of its wheel.

    Where files of it are changed, another version that no index lists explains them as well: it is not accused.
    """

    name: NormalizedName
    version: str
    portion: Portion
    cover: Cover
    metadata: bytes

    @property
    def doubt(self) -> str | None:
        """Why it is not known which version it is, and if it was changed; None where every file that is left fits."""
        if not self.cover.changed:
            return None
        here, other = len(self.cover.files), self.cover.modified
        return f"most like {self.version} of the listed versions: {here} files are its, {other} have other bytes"

    @property
    def installed(self) -> Installed:
        """It as a distribution. A few changed files are left to be found as nobody's; many are another version."""
        many = self.cover.modified > max(_FEW, len(self.cover.files) // _IN_TEN)
        files = self.cover.files | self.cover.changed if many else self.cover.files
        return Installed(
            name=self.name,
            version=self.version,
            location=_location(self.portion, sorted(self.cover.files)),
            environment=self.portion.environment,
            files=tuple(sorted(files)),
        )


class Identifying:
    """Identifies what one tree holds without metadata. ``answered`` is whether an index did, None if none was asked."""

    def __init__(self, rootfs: RootFS, terms: Terms, comparing: Comparing, deadline: float) -> None:
        self._rootfs = rootfs
        self._terms = terms
        self._comparing = comparing
        self._deadline = deadline
        self._names_left = terms.limits.guessed_names
        self._answers: list[bool] = []

    @property
    def answered(self) -> bool | None:
        """Whether an index has answered a guess."""
        return any(self._answers) if self._answers else None

    def identify(
        self, strays: Sequence[Strays], live: Sequence[Assessed], found: Sequence[Distribution]
    ) -> list[Identified]:
        """One for each project that has files of an environment; its verdict is still to be found."""
        at_hand = AtHand(_wheels_at_hand(live, found))
        return [one for each in strays for one in self._in_environment(each, live, at_hand)]

    def _in_environment(self, strays: Strays, live: Sequence[Assessed], at_hand: AtHand) -> list[Identified]:
        here = strays.environment
        beside = [one for one in live if isinstance(one.found, Installed) and one.found.environment == here]
        python = Environment.of(here, self._rootfs).python
        work = _Environment(strays=strays, taken={one.found.name for one in beside})
        left = portions(self._rootfs, strays)
        jobs: list[tuple[Portion, Iterable[_Guess]]] = [(one, self._guesses(one, at_hand)) for one in left]
        for _ in range(_ROUNDS):
            work.take(self._searched(jobs, work))
            left = [one for one in left if not work.have.issuperset(one.files)]
            if not left:
                break
            wanted = [name for name in required(_metadata(beside, work.won), python) if name not in work.tried]
            if not wanted:
                break
            together = replace(left[0], files=tuple(path for one in left for path in one.files))
            jobs = [(together, [_Guess(name, is_required=True)]) for name in wanted]
            work.tried.update(wanted)
        return work.won

    def _searched(self, jobs: Sequence[tuple[Portion, Iterable[_Guess]]], work: _Environment) -> list[Identified]:
        allowed = jobs[: max(0, self._names_left)]
        self._names_left -= len(allowed)
        with threads(self._terms.jobs) as pool:
            done = pool.map(lambda job: self._search(job[0], job[1], work), allowed)
            return [one for found in done for one in found]

    def _search(self, portion: Portion, guesses: Iterable[_Guess], work: _Environment) -> list[Identified]:
        """What a portion may be, up to the first that has all of it."""
        found: list[Identified] = []
        for guess in guesses:
            if guess.name in work.taken or time.monotonic() > self._deadline:
                continue
            one = self._try(portion, guess, work)
            if one is not None:
                found.append(one)
                if one.cover.files.issuperset(portion.files) and not one.cover.modified:
                    break
        return found

    def _guesses(self, portion: Portion, at_hand: AtHand) -> Iterator[_Guess]:
        most = self._terms.limits.guessed_wheels
        for name, version, contents in at_hand.having(portion)[:most]:
            yield _Guess(name, version, contents)
        yield from islice(dict.fromkeys(self._by_content(portion)), most)
        yield from (_Guess(name) for name in names_of(portion))

    def _by_content(self, portion: Portion) -> Iterator[_Guess]:
        """What indexes that look up digests have for the largest files."""
        able = [index for index in self._terms.indexes if isinstance(index, ByContent)]
        files = [file for file in map(self._rootfs.file, portion.files if able else ()) if file is not None]
        for file in islice(sorted(files, key=lambda file: (-file.size, file.path)), _DIGESTS_ASKED):
            for index in able:
                for listed in _holding(index, file.sha256):
                    if listed.wheel is not None:
                        yield _Guess(listed.wheel.project, str(listed.wheel.version))

    def _try(self, portion: Portion, guess: _Guess, work: _Environment) -> Identified | None:
        """The version of one project that has the portion's files best; None if none has any of their code."""
        trial = Installed(
            name=guess.name,
            version=guess.version,
            location=portion.location,
            environment=portion.environment,
            files=portion.files,
        )
        site = InstalledSite(self._rootfs, trial, Environment.of(portion.environment, self._rootfs))
        laying = Laying(site, work.files, frozenset(portion.files))
        if guess.contents is not None:
            cover = laying.cover(guess.contents)
            metadata = guess.contents.documents.get("METADATA", b"")
            return _identified(guess, str(guess.version), portion, cover, metadata)
        gathering = self._comparing.gathering(trial)
        if self._terms.indexes:
            self._answers.append(bool(gathering.listing.files))
        best = Search(gathering, laying, self._terms, self._deadline).best()
        if best is None:
            return None
        version, cover, contents = best
        return _identified(guess, str(version), portion, cover, contents.documents.get("METADATA", b""))


@dataclass(frozen=True, slots=True)
class _Guess:
    """A project that files may be of; with a version where somebody names one, with contents where they are at hand.

    ``is_required``: something else requires it, and it may be any of what is left.
    """

    name: NormalizedName
    version: str | None = None
    contents: WheelContents | None = None
    is_required: bool = False


class _Environment:
    """What of one environment is identified so far."""

    def __init__(self, *, strays: Strays, taken: set[NormalizedName]) -> None:
        self.files = frozenset(path for path, _ in strays.files)
        self.taken = taken
        self.tried = set(taken)
        self.won: list[Identified] = []
        self.have: set[str] = set()

    def take(self, found: Iterable[Identified]) -> None:
        """No file twice and no project twice: who has most files comes first."""
        ranked = sorted(found, key=lambda one: (*(-number for number in one.cover.rank), one.name, one.version))
        for one in ranked:
            if one.name not in self.taken and not one.cover.files <= self.have:
                self.won.append(one)
                self.have |= one.cover.files
                self.taken.add(one.name)
                self.tried.add(one.name)


def _identified(guess: _Guess, version: str, portion: Portion, cover: Cover, metadata: bytes) -> Identified | None:
    """An identity, if the wheel has code of the portion and more of it than not: a name and a line are no project."""
    text = [path for path in portion.files if COMPILED.fullmatch(path) is None]
    mine = cover.files.intersection(text or portion.files)
    most = guess.is_required or len(mine) * 2 > len(text or portion.files)
    if not cover.code or cover.code <= cover.modified or not most:
        return None
    return Identified(name=guess.name, version=version, portion=portion, cover=cover, metadata=metadata)


def _location(portion: Portion, files: Sequence[str]) -> str:
    """The package directory or module that has most of the files: the portion, or another at the top."""
    start = len(portion.environment.rstrip("/")) + 1
    tops: dict[str, int] = {}
    for path in files:
        inside = path == portion.location or path.startswith(portion.location + "/")
        top = portion.location if inside else path[:start] + path[start:].partition("/")[0]
        tops[top] = tops.get(top, 0) + 1
    return max(sorted(tops), key=lambda top: (tops[top], top == portion.location))


def _metadata(beside: Iterable[Assessed], won: Iterable[Identified]) -> Iterator[bytes]:
    for one in beside:
        if isinstance(one.found, Installed):
            yield one.found.documents.get("METADATA", b"")
    for identified in won:
        yield identified.metadata


def _wheels_at_hand(
    live: Sequence[Assessed], found: Sequence[Distribution]
) -> Iterator[tuple[NormalizedName, str, WheelContents]]:
    for one in found:
        if isinstance(one, WheelFile) and one.contents is not None and one.version:
            yield one.name, one.version, one.contents
    for assessed in live:
        fit = assessed.verdict.fit
        if fit is not None and fit.candidate.file.wheel is not None:
            yield assessed.found.name, str(fit.candidate.file.wheel.version), fit.candidate.contents


def _holding(index: ByContent, sha256: bytes) -> Sequence[IndexFile]:
    try:
        return index.holding(sha256)
    except IndexFailure:
        return ()
