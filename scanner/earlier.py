"""Wheels that indexes listed once: an image built last month is explained by last month's wheel.

What is listed now goes first. Only where it does not explain every file are the wheels of the history laid over the
files, each in a contest with the page as it was then: in place of what its index lists under its name now. So a wheel
of the past helps no other, and is judged as it would have been at that time. Wheels that PyPI served once take part
in every contest: they can take a verdict away from Chainguard, and never give one.

Whose it is was decided by the answers of that time (:class:`scanner.index.Seen`): see
:meth:`scanner.candidates.Gathering.origin_of_earlier`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from scanner.distribution import Origin
from scanner.index import Recalling, Role
from scanner.match import Candidate, Circumstances, Explained, Explanation, Fit, explain

if TYPE_CHECKING:
    from scanner.candidates import Gathering
    from scanner.digest import Digest
    from scanner.index import Index, Seen

_MOST: Final = 12
"""Wheels of the past that are laid over the files of one distribution, the last seen first, for each role."""


def earlier_candidates(gathering: Gathering) -> tuple[Candidate, ...]:
    """The wheels of this version that were listed once, fit, and whose contents are known."""
    found: dict[Digest | None, Candidate] = {}
    for candidate in _candidates(gathering):
        found.setdefault(candidate.file.sha256, candidate)
    return tuple(found.values())


def _candidates(gathering: Gathering) -> Iterator[Candidate]:
    """Upstream's first: of the same bytes it is PyPI's."""
    for role in (Role.UPSTREAM, Role.CHAINGUARD):
        left = _MOST
        for index, seen in sorted(gathering.earlier(role), key=lambda pair: -pair[1].last):
            file = seen.file
            if left and file.wheel is not None and gathering.question.is_for(file.wheel) and gathering.fits(file):
                candidate = _candidate(gathering, index, seen)
                if candidate is not None:
                    left -= 1
                    yield candidate


def _candidate(gathering: Gathering, index: Index, seen: Seen) -> Candidate | None:
    contents = index.recall(seen.file) if isinstance(index, Recalling) else None
    if contents is None:
        return None
    origin, evidence = gathering.origin_of_earlier(index, seen, contents)
    return Candidate(
        index=index.name, file=seen.file, contents=contents, origin=origin, evidence=evidence, seen=seen
    )  # fmt: skip


def earlier_file(gathering: Gathering, sha256: Digest) -> tuple[Index, Seen] | None:
    """What an index listed once with this sha256, upstream's first."""
    for role in (Role.UPSTREAM, Role.CHAINGUARD):
        for index, seen in gathering.earlier(role):
            if seen.file.sha256 == sha256:
                return index, seen
    return None


def with_earlier(
    found: Explanation, listed: Sequence[Fit], earlier: Sequence[Fit], circumstances: Circumstances
) -> Explanation:
    """The better of what the ``listed`` wheels explain, which is ``found``, and of what a wheel of the past does."""
    theirs = [fit for fit in earlier if fit.candidate.origin is Origin.UPSTREAM]
    if theirs and isinstance(found, Explained) and found.fit.candidate.origin is Origin.CHAINGUARD:
        found = explain([*listed, *theirs], circumstances)  # it stands if it stands against what PyPI served once, too
    won: list[Fit] = []
    for fit in earlier:
        then = [one for one in listed if not _is_in_its_place(one, fit)]
        explained = explain([fit, *then, *(one for one in theirs if one is not fit)], circumstances)
        if isinstance(explained, Explained) and explained.fit is fit:
            won.append(fit)
    best = min(won, key=lambda fit: fit.rank, default=None)
    if best is None or (isinstance(found, Explained) and found.fit.rank <= best.rank):
        return found
    return Explained(fit=best)


def _is_in_its_place(one: Fit, fit: Fit) -> bool:
    """Whether a listed wheel stands where the other one stood."""
    return (one.candidate.index, one.candidate.file.filename) == (fit.candidate.index, fit.candidate.file.filename)
