"""What of the stale copies a purge deletes, what it leaves, and why. Pure.

Left alone in any case: what the plan knows no sha256 of in a proxy, for nobody could tell that it is the same still.
Left alone unless all is asked for: what has no replacement, for it would only be fetched from PyPI again.
"""

from __future__ import annotations

import datetime as dt
import enum
import fnmatch
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from scanner.report import plain
from scanner.stale import LocalCopy, ProxyCopy, Stale

SCHEMA: Final = "cgscan-purge/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which copies are to go. ``projects`` are globs over normalised names, none of them for all; ``unused`` is how
    long a copy has not been downloaded, or, where nobody keeps that, written; ``least`` is bytes.

    ``everything`` takes those without a replacement too; ``most`` is how many are deleted, in the order of a purge.
    """

    projects: tuple[str, ...] = ()
    versions: SpecifierSet | None = None
    unused: dt.timedelta | None = None
    least: int | None = None
    everything: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A copy that stays, and why."""

    copy: Stale
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What goes, in its order, and what stays."""

    going: tuple[Stale, ...]
    left: tuple[Left, ...]


Used: TypeAlias = "Callable[[LocalCopy], dt.datetime | None]"
"""When an entry of a local store was written."""


def select(copies: Iterable[Stale], wanted: Wanted, *, now: dt.datetime, used: Used) -> Selection:
    """Managers first, then local stores; there by name and version. A copy that is named twice goes once."""
    going: list[Stale] = []
    left: list[Left] = []
    for copy in sorted({key_of(copy): copy for copy in copies}.values(), key=_order):
        why = _why_not(copy, wanted, now, used)
        if why is None and wanted.most is not None and len(going) >= wanted.most:
            why = f"more than the {wanted.most} of --limit"
        if why is None:
            going.append(copy)
        else:
            left.append(Left(copy=copy, why=why))
    return Selection(going=tuple(going), left=tuple(left))


def key_of(copy: Stale) -> str:
    """A name for one copy with these bytes: the sha256 of what says where it is and what it holds."""
    match copy:
        case ProxyCopy(manager=manager, entry=entry):
            parts = ["proxy", manager, entry.repository, entry.identity, entry.path, str(entry.sha256)]
        case LocalCopy():
            parts = ["local", copy.tool, copy.root, copy.path, copy.project, copy.version or "", str(copy.sha256)]
    return hashlib.sha256(json.dumps([plain(part) for part in parts]).encode()).hexdigest()


def _order(copy: Stale) -> tuple[str, ...]:
    match copy:
        case ProxyCopy(manager=manager, entry=entry):
            return ("0", manager, entry.repository, entry.project, entry.version or "", entry.path)
        case LocalCopy():
            return ("1", copy.tool, copy.root, copy.project, copy.version or "", copy.path)


def name_of(copy: Stale) -> tuple[str, str | None]:
    """Project and version."""
    match copy:
        case ProxyCopy(entry=entry):
            return entry.project, entry.version
        case LocalCopy():
            return copy.project, copy.version


def size_of(copy: Stale) -> int | None:
    """Bytes, where they are known."""
    return copy.entry.size if isinstance(copy, ProxyCopy) else copy.size


def _why_not(copy: Stale, wanted: Wanted, now: dt.datetime, used: Used) -> str | None:
    project, version = name_of(copy)
    if wanted.projects and not any(fnmatch.fnmatchcase(project, _normal(glob)) for glob in wanted.projects):
        return "another project"
    if wanted.versions is not None and not _is_in(version, wanted.versions):
        return f"not of {wanted.versions}"
    if copy.replacement is None and not wanted.everything:
        return "nothing of Chainguard's replaces it (--all deletes it all the same)"
    if isinstance(copy, ProxyCopy) and copy.entry.sha256 is None:
        return "the manager knows no sha256 of it, so that it is the same still could not be told"
    size = size_of(copy)
    if wanted.least is not None and (size is None or size < wanted.least):
        return f"smaller than {wanted.least} bytes" if size is not None else "its size is not known"
    return _too_young(copy, wanted.unused, now, used) if wanted.unused is not None else None


def _too_young(copy: Stale, unused: dt.timedelta, now: dt.datetime, used: Used) -> str | None:
    last = used(copy) if isinstance(copy, LocalCopy) else moment(copy.entry.downloaded or copy.entry.created)
    if last is None:
        return "when it was last used is not known"
    return f"used less than {unused.days} days ago" if now - last < unused else None


def moment(text: str | None) -> dt.datetime | None:
    """A time as RFC 3339 has it; None for what is none."""
    try:
        found = dt.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _normal(glob: str) -> str:
    """A glob over normalised names (PEP 503), as a person writes it: ``Zope.*`` means ``zope-*``."""
    return re.sub(r"[-_.]+", "-", glob).lower()


def _is_in(version: str | None, versions: SpecifierSet) -> bool:
    try:
        return version is not None and versions.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


# -- how it ended


class Ended(enum.Enum):
    """How the deletion of one copy ended."""

    GONE = "gone"
    ALREADY_GONE = "already gone"
    BEFORE = "gone before"
    """By a run before this one, as its journal says."""
    CHANGED = "changed"
    """Other bytes are there now; they were left alone."""
    FAILED = "failed"
    NOT_TRIED = "not tried"
    """The manager did not answer for one before it."""

    @property
    def is_done(self) -> bool:
        """Whether the copy is not there any more."""
        return self in (Ended.GONE, Ended.ALREADY_GONE, Ended.BEFORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one copy; ``why`` and ``hint`` where it is there still."""

    copy: Stale
    ended: Ended
    why: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """A purge as it is told: what goes (or went), and what stays. ``results`` is None where only showing was asked for.

    ``interrupted`` says that it was stopped before its end.
    """

    selection: Selection
    results: tuple[Result, ...] | None = None
    journal: str | None = None
    schema: str = field(default=SCHEMA)

    @property
    def all_went(self) -> bool:
        """Whether nothing that was to go is there still."""
        return all(result.ended.is_done for result in self.results or ())
