"""What a repository manager's proxy holds x Chainguard's indexes -> copies that keep Chainguard's builds away.

(1) Only what lies in a proxy is a copy: the kind of each repository is asked of the manager. (2) Chainguard's own files
are left out: by the tier in their path, or because an index of Chainguard's lists these bytes and PyPI's does not.
(3) Of the rest, a file is PyPI's if PyPI's index lists its bytes, if its path names the fallback tier, or if the
repository is a proxy of PyPI. (4) What is left is unclear, and counted.
"""

from __future__ import annotations

import enum
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from scanner.index import Index, Role, Tier
from scanner.manager import Holds, Manager, Repository, Retrieved
from scanner.offers import Shelf
from scanner.plan import ManagerStanding
from scanner.stale import ProxyCopy
from scanner.stalecopies.instead import replacement_of
from scanner.threads import threads

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

_PYPI: Final = ("pypi.org", "pypi.python.org", "files.pythonhosted.org")


class _Whose(enum.Enum):
    PYPI = enum.auto()
    CHAINGUARD = enum.auto()
    KEPT_BACK = enum.auto()
    UNCLEAR = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What a manager holds: the copies, by project and file name, and how many files are no copies."""

    standing: ManagerStanding
    copies: tuple[ProxyCopy, ...]


def proxy_copies(
    name: str, role: Role, manager: Manager, indexes: Sequence[Index], *, jobs: int = 4, deadline: float | None = None
) -> Surveyed:
    """Ask a manager for all that it has fetched, and the indexes for what there is instead.

    ``name`` and ``role`` are those of the index behind which it is; projects that are not asked for until ``deadline``
    (:func:`time.monotonic`) are unclear. Raises
    :class:`scanner.errors.IndexUnavailable` where the manager does not answer; a project that an index of Chainguard's
    does not answer for has no replacement.
    """
    known = {one.name: one for one in manager.repositories()}
    survey = _Survey(name=name, role=role, repositories=known, indexes=indexes, deadline=deadline or math.inf)
    by_project: dict[NormalizedName, list[Retrieved]] = {}
    for entry in manager.retrieved():
        by_project.setdefault(entry.project, []).append(entry)
    with threads(jobs) as pool:
        judged = [pair for pairs in pool.map(survey.judge, by_project.items()) for pair in pairs]
    counted = Counter(whose for whose, _ in judged)
    copies = sorted((copy for _, copy in judged if copy is not None), key=_order)
    standing = ManagerStanding(
        index=name,
        kind=manager.kind,
        repository=manager.repository,
        copies=len(copies),
        replaced=sum(1 for copy in copies if copy.replacement is not None),
        chainguards=counted[_Whose.CHAINGUARD],
        kept_back=counted[_Whose.KEPT_BACK],
        unclear=counted[_Whose.UNCLEAR],
    )
    return Surveyed(standing=standing, copies=tuple(copies))


def _order(copy: ProxyCopy) -> tuple[str, str, str, str]:
    return (copy.entry.project, copy.entry.filename, copy.entry.repository, copy.entry.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    name: str
    role: Role
    repositories: Mapping[str, Repository]
    indexes: Sequence[Index]
    deadline: float

    def judge(self, stored: tuple[NormalizedName, Iterable[Retrieved]]) -> list[tuple[_Whose, ProxyCopy | None]]:
        """The files of one project."""
        project, entries = stored
        if time.monotonic() > self.deadline:
            return [(_Whose.UNCLEAR, None) for _ in entries]
        return list(self._judged(Shelf(project, self.indexes), entries))

    def _judged(self, shelf: Shelf, entries: Iterable[Retrieved]) -> Iterator[tuple[_Whose, ProxyCopy | None]]:
        own = {file.sha256 for _, file in shelf.own}
        for entry in entries:
            listed = entry.sha256 is not None and entry.sha256 in own
            whose = self._whose(entry, shelf, listed=listed)
            copy = None
            if whose is _Whose.PYPI:
                copy = ProxyCopy(manager=self.name, entry=entry, replacement=replacement_of(entry, shelf))
            yield whose, copy

    def _whose(self, entry: Retrieved, shelf: Shelf, *, listed: bool) -> _Whose:
        repository = self.repositories.get(entry.repository)
        if repository is None or repository.holds is not Holds.PROXY:
            return _Whose.KEPT_BACK
        if entry.sha256 is not None and shelf.listing.upstream_has(entry.sha256):
            return _Whose.PYPI
        if entry.tier is Tier.BUILT or listed:
            return _Whose.CHAINGUARD
        if entry.tier is Tier.FALLBACK or self._is_of_pypi(repository):
            return _Whose.PYPI
        return _Whose.UNCLEAR

    def _is_of_pypi(self, repository: Repository) -> bool:
        """Whether a proxy fetches from PyPI: by its remote URL, else by the role of the index."""
        host = (urlsplit(repository.remote).hostname or "") if repository.remote else ""
        return host in _PYPI or (self.role is Role.UPSTREAM and not host.endswith("cgr.dev"))
