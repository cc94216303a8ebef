"""Entries of a lock file x Chainguard's wheels -> what they accept. Pure.

The hash decides, wherever a file is said to be from: an entry with the hash of a Chainguard wheel accepts it. One that
names the URL of another place takes the file from there, so a hash alone would break it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from packaging.specifiers import SpecifierSet

from scanner.lockfile import Acceptance, Answer, Built, Hash, Judged, Lock, LockEntry, LockFormat
from scanner.lockfiles.items import same_place
from scanner.wheel import WheelName

if TYPE_CHECKING:
    from packaging.tags import Tag

_PYTHON: Final = re.compile(r"cp(?P<major>\d)(?P<minor>\d+)")
_LINUX: Final = re.compile(r"(?P<libc>many|musl)?linux(?:\d+|_\d+_\d+)?_(?P<machine>.+)")
_LAST: Final = 99
"""A patch release of Python later than any."""


def judge(lock: Lock, entry: LockEntry, answer: Answer) -> Judged:
    """What an entry accepts of what Chainguard has of its version."""
    if entry.apart is not None:
        return Judged(entry=entry, acceptance=Acceptance.NO_INDEX, why=f"it is from no index ({entry.apart})")
    if entry.version is None:
        return Judged(entry=entry, acceptance=Acceptance.UNPINNED, why="it is not pinned to one version")
    fitting = [built for built in answer.built if _is_for(built.wheel, lock.requires_python)]
    accepted = tuple(_let_in(entry, answer.built))
    missing = tuple(built for built in fitting if built not in accepted)
    acceptance, why = _acceptance(lock, entry, answer, accepted, fitting)
    if acceptance is Acceptance.ACCEPTS and missing and not _is_here(lock, entry, answer):
        missing = ()
    writable = acceptance in (Acceptance.ACCEPTS, Acceptance.REFUSES) and missing
    return Judged(
        entry=entry,
        acceptance=acceptance,
        why=why,
        accepted=accepted,
        missing=missing,
        dropped=_in_the_way(entry, answer, fitting) if writable else frozenset(),
        remediated=answer.remediated,
    )


def _let_in(entry: LockEntry, built: Iterable[Built]) -> Iterator[Built]:
    """Wheels whose hash is among those of an entry; where files are named, under their names."""
    known: dict[Hash, set[str | None]] = {}
    for item in entry.items:
        for one in item.hashes:
            known.setdefault(one, set()).add(item.filename)
    for wheel in built:
        names = set[str | None]().union(*(known.get(one, ()) for one in wheel.hashes))
        if names & {None, wheel.filename}:
            yield wheel


def _is_here(lock: Lock, entry: LockEntry, answer: Answer) -> bool:
    """Whether the tool fetches from where Chainguard's wheels are listed, if the lock file names places of files."""
    if lock.format is LockFormat.UV or (lock.format is LockFormat.PYLOCK and entry.source is not None):
        return entry.source is not None and same_place(entry.source) in {same_place(url) for url in answer.indexes}
    items = [*entry.items, *([entry.start.pattern] if entry.start else [])]
    places = {_host(item.url) for item in items if item.url is not None}
    if lock.format is LockFormat.PYLOCK and not places:
        return False
    return not places or bool(places & {_host(built.url) for built in answer.built if built.url is not None})


def _acceptance(
    lock: Lock, entry: LockEntry, answer: Answer, accepted: Sequence[Built], fitting: Sequence[Built]
) -> tuple[Acceptance, str]:
    if accepted:
        of = f" of {len(fitting)}" if len(fitting) > len(accepted) else ""
        wheels = "wheel" if len(fitting) == 1 else "wheels"
        return Acceptance.ACCEPTS, f"it has the hash of {len(accepted)}{of} Chainguard {wheels}"
    if answer.failure is not None:
        return Acceptance.UNCHECKED, answer.failure
    if not fitting:
        others = f"; its wheels are for no Python of {lock.requires_python}" if answer.built else ""
        return Acceptance.WAIT, f"Chainguard has no wheel of this version{others}"
    if not _is_here(lock, entry, answer):
        return Acceptance.ELSEWHERE, _elsewhere(lock, entry)
    if not any(item.hashes for item in entry.items) and not (lock.format.one_hash_per_file and not entry.items):
        return Acceptance.ANYTHING, "it has no hashes"
    return Acceptance.REFUSES, _refuses(lock, entry)


def _refuses(lock: Lock, entry: LockEntry) -> str:
    if not entry.items:
        able = "" if entry.start else f"; {lock.format.value} has to be made anew to list one"
        return f"it lists no wheel{able}"
    return "it has hashes, and none is of a Chainguard wheel"


def _elsewhere(lock: Lock, entry: LockEntry) -> str:
    where = entry.source or next((_host(item.url) for item in entry.items if item.url), None)
    said = f'source = {{ registry = "{where}" }}' if lock.format is LockFormat.UV else where or "a place of its own"
    return f"it is pinned to files at {said}"


def advice(lock: Lock, index: str) -> str:
    """What has to change in a lock file with entries that are pinned to files elsewhere."""
    match lock.format:
        case LockFormat.UV:
            return (
                "Other hashes alone would break what is pinned elsewhere: it has to become "
                f'source = {{ registry = "{index}" }} with the URLs there. '
                "Set that index in pyproject.toml ([[tool.uv.index]] with default = true) and run "
                "'uv lock', which keeps the versions"
            )
        case LockFormat.PDM:
            return (
                "Other hashes alone would break what is pinned elsewhere (strategy static_urls): "
                f"set {index} as the source in pyproject.toml and run 'pdm lock --refresh', which keeps the versions"
            )
        case _:
            return f"Other hashes alone would break what is pinned elsewhere: lock again with {index} as the index"


def _in_the_way(entry: LockEntry, answer: Answer, fitting: Sequence[Built]) -> frozenset[str]:
    """Files that tools may prefer to Chainguard's, by URL, though the index has them no more."""
    gone = {item.filename for item in entry.items if item.filename is not None and item.url is not None}
    gone -= answer.listed
    parsed = {name: WheelName.parse(name) for name in gone}
    return frozenset(
        name
        for name, wheel in parsed.items()
        if wheel is not None and any(_covers(built.wheel.tags, wheel.tags) for built in fitting)
    )


def _covers(ours: Iterable[Tag], theirs: Iterable[Tag]) -> bool:
    """Whether one wheel does where another would."""
    others = list(theirs)
    return any(_python_covers(one, other) and _platform_covers(one, other) for one in ours for other in others)


def _python_covers(one: Tag, other: Tag) -> bool:
    if (one.interpreter, one.abi) == (other.interpreter, other.abi):
        return True
    if one.interpreter.startswith("py") and one.abi == "none":
        return other.interpreter[2:3] == one.interpreter[2:3]
    ours, theirs = (_PYTHON.fullmatch(tag.interpreter) for tag in (one, other))
    if one.abi != "abi3" or ours is None or theirs is None:
        return False
    return ours["major"] == theirs["major"] and int(ours["minor"]) <= int(theirs["minor"])


def _platform_covers(one: Tag, other: Tag) -> bool:
    if one.platform in ("any", other.platform):
        return True
    ours, theirs = (_LINUX.fullmatch(tag.platform) for tag in (one, other))
    return ours is not None and theirs is not None and ours.groups() == theirs.groups()


def _is_for(wheel: WheelName, python: SpecifierSet | None) -> bool:
    """Whether a wheel is for a Python that the lock file is for, as far as its tags say."""
    return python is None or any(_runs(tag, python) for tag in wheel.tags)


def _runs(tag: Tag, python: SpecifierSet) -> bool:
    found = _PYTHON.fullmatch(tag.interpreter)
    if found is None or tag.abi == "abi3":
        return True
    release = f"{found['major']}.{found['minor']}"
    named = [part.version.removesuffix(".*") for part in python]
    tried = [f"{release}.0", f"{release}.{_LAST}", *(version for version in named if version.startswith(f"{release}."))]
    return any(python.contains(version, prereleases=True) for version in tried)


def _host(url: str | None) -> str | None:
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower() if url else None
    except ValueError:
        return None
