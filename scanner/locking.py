"""Lock files x indexes -> which entries accept Chainguard's bytes; and hashes written into the files.

A hash in a lock file is trust: it is written only for a wheel that is Chainguard's by the rules of a verdict (bytes
that an upstream index serves too are PyPI's) and under the policy's least evidence. A file is written whole or not at
all, after the changed text has been read again and says of every entry what it said before, but for the hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from packaging.utils import NormalizedName
from packaging.version import Version

from scanner.acceptance import advice, judge
from scanner.builtwheels import built_wheels
from scanner.digest import STRONG, Digest
from scanner.errors import CgscanError, IndexUnavailable, UsageError
from scanner.lockdisk import read_locks, write_lock
from scanner.lockfile import Acceptance, Answer, Built, Judged, Lock, LockFormat, PlannedLock
from scanner.lockfiles import edited, edits, read_lock
from scanner.lockfiles.items import same_place
from scanner.plan import Pin
from scanner.progress import Found, Matched, Progress, silent
from scanner.run import attestor_of, client_of, has_chainguard, indexes_of, store_of
from scanner.stale import Replacement
from scanner.threads import threads

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.limits import Limits

Wanted: TypeAlias = tuple[NormalizedName, Version]
_ASKED: Final = (Acceptance.ACCEPTS, Acceptance.REFUSES, Acceptance.ANYTHING)
_NOBODY: Final = Answer()


def plan_lock(
    paths: Sequence[str], settings: Settings, *, write: bool = False, progress: Progress = silent
) -> tuple[PlannedLock, ...]:
    """Judge the entries of lock files, and with ``write`` write the hashes of Chainguard's wheels into them.

    Requirements files that they include are planned too, where they lie in the same folder or below it. Raises
    :class:`scanner.errors.CgscanError` for files that cannot be read or written, and where no index answers at all.
    """
    # (1) what can be seen to be wrong is said before anything is asked
    if not has_chainguard(settings):
        raise UsageError("no index of Chainguard's builds is given", hint="name one with --index")
    locks = read_locks(paths, limits=settings.limits)
    # (2) every version is asked for once
    answers = _answers([lock for _, lock, _ in locks], settings, progress)
    # (3) all files are planned before the first is written
    planned = [_planned(path, lock, notes, answers, settings.limits) for path, lock, notes in locks]
    return tuple(write_lock(one) if write and one.edits else one for one in planned)


# -- planning --------------------------------------------------------------------------------------


def _planned(
    path: str, lock: Lock, notes: Sequence[str], answers: Mapping[Wanted, Answer], limits: Limits
) -> PlannedLock:
    judged = _judged(lock, answers)
    changes = edits(lock, judged)
    after = edited(lock.text, changes)
    left = _left(path, lock, after, judged, answers, limits) if changes else _missing(judged)
    return PlannedLock(
        path=path,
        lock=lock,
        judged=judged,
        edits=changes,
        after=after,
        indexes=_indexes(answers),
        notes=(*notes, *_elsewhere(judged, lock, answers), *_sources(judged, lock, answers), *_unwritten(lock, left)),
    )


def _judged(lock: Lock, answers: Mapping[Wanted, Answer]) -> tuple[Judged, ...]:
    return tuple(
        judge(lock, entry, answers.get((entry.project, entry.version), _NOBODY) if entry.version else _NOBODY)
        for entry in lock.entries
    )


def _left(
    path: str, lock: Lock, after: str, judged: Sequence[Judged], answers: Mapping[Wanted, Answer], limits: Limits
) -> list[Judged]:
    """Read what would be written: entries that would still miss wheels. Raises where else it says other things."""
    again = read_lock(path, replace(lock, text=after).data, limits=limits)
    same = [(entry.project, entry.version, entry.source, entry.apart) for entry in again.entries]
    if same != [(entry.project, entry.version, entry.source, entry.apart) for entry in lock.entries]:
        raise CgscanError(f"{path}: its hashes cannot be written without changing more; it is left as it is")
    anew = _judged(again, answers)
    for before, then in zip(judged, anew, strict=True):
        if not {built.sha256 for built in before.accepted} <= {built.sha256 for built in then.accepted}:
            raise CgscanError(f"{path}: {before.entry.project} would accept less than before; it is left as it is")
    return _missing(anew)


def _missing(judged: Iterable[Judged]) -> list[Judged]:
    writable = (Acceptance.ACCEPTS, Acceptance.REFUSES)
    return [one for one in judged if one.missing and one.acceptance in writable]


def _unwritten(lock: Lock, left: Sequence[Judged]) -> Iterator[str]:
    for one in left:
        names = ", ".join(built.filename for built in one.missing[:3])
        yield (
            f"{one.entry.project} {one.entry.version}: {len(one.missing)} of Chainguard's wheels cannot be written "
            f"in the form of this {lock.format.value} ({names})"
        )


def _elsewhere(judged: Iterable[Judged], lock: Lock, answers: Mapping[Wanted, Answer]) -> Iterator[str]:
    if any(one.acceptance is Acceptance.ELSEWHERE for one in judged):
        yield advice(lock, _indexes(answers)[0])


def _sources(judged: Iterable[Judged], lock: Lock, answers: Mapping[Wanted, Answer]) -> Iterator[str]:
    """Whom the tool asks, where that is none of the indexes: with the hashes alone it still gets files from there."""
    if lock.format in (LockFormat.UV, LockFormat.PYLOCK):
        return
    known = {same_place(url) for url in _indexes(answers)}
    found: dict[str, int] = {}
    for one in judged:
        source = one.entry.source
        if one.acceptance in _ASKED and source is not None and same_place(source) not in known:
            found[source] = found.get(source, 0) + 1
    for source, count in found.items():
        entries = "1 entry is" if count == 1 else f"{count} entries are"
        yield (
            f"{entries} asked of {source}, which is no index of role chainguard here: "
            "hashes let Chainguard's files in, and that place has to serve them"
        )


def pins_of(planned: Iterable[PlannedLock]) -> tuple[Pin, ...]:
    """Entries that refuse Chainguard's bytes, as steps of a plan."""
    refusing = (Acceptance.REFUSES, Acceptance.ELSEWHERE)
    return tuple(
        Pin(
            file=one.path,
            project=judged.entry.project,
            version=str(judged.entry.version),
            line=judged.entry.line,
            accepted=_digests(judged),
            replacement=_replacement(judged.missing[0]),
        )
        for one in planned
        for judged in one.judged
        if judged.acceptance in refusing and judged.missing
    )


def _digests(judged: Judged) -> tuple[Digest, ...]:
    found = {one for item in judged.entry.items for one in item.hashes if one.algorithm in STRONG}
    return tuple(Digest(*one) for one in sorted(found) if len(one.hex) == STRONG[one.algorithm])


def _replacement(built: Built) -> Replacement:
    return Replacement(index=built.index, filename=built.filename, sha256=built.sha256)


# -- indexes ---------------------------------------------------------------------------------------


def _answers(locks: Iterable[Lock], settings: Settings, progress: Progress) -> Mapping[Wanted, Answer]:
    """What the indexes have of every version that is pinned. Raises where none of them could be asked for any."""
    wanted = {
        (entry.project, entry.version): None
        for lock in locks
        for entry in lock.entries
        if entry.version is not None and entry.apart is None
    }
    progress(Found(distributions=len(wanted)))
    with client_of(settings) as client:
        store = store_of(settings)
        indexes, attestor = indexes_of(settings, client, store), attestor_of(settings, store)

        def one(want: Wanted) -> Answer:
            answer = built_wheels(*want, indexes, least=settings.policy.min_evidence, attestor=attestor)
            progress(Matched(name=want[0]))
            return answer

        with threads(settings.jobs) as pool:
            answers = dict(zip(wanted, pool.map(one, wanted), strict=True))
    failures = [answer.failure for answer in answers.values() if answer.failure is not None]
    if failures and len(failures) == len(answers):
        raise IndexUnavailable(f"no index has answered: {failures[0]}", whole=True)
    return answers


def _indexes(answers: Mapping[Wanted, Answer]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(url for answer in answers.values() for url in answer.indexes))
