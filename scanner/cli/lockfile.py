"""The part of ``cgscan plan`` that is about lock files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from scanner.errors import UsageError
from scanner.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanner.config import Settings
    from scanner.formats.text import Look
    from scanner.lockfile import PlannedLock
    from scanner.progress import Progress

LOCKS: Final = (
    click.option(
        "--lock",
        "locks",
        metavar="FILE",
        multiple=True,
        help="A lock file: which entries accept Chainguard's bytes, or with --verify, are the reason; repeatable.",
    ),
    click.option("--write", is_flag=True, help="With --lock alone: write the hashes of Chainguard's wheels into it."),
    click.option("--diff", is_flag=True, help="With --lock alone: print what --write changes, instead of the table."),
    click.option(
        "--check", is_flag=True, help="With --lock alone: exit status 1 where an entry refuses Chainguard's bytes."
    ),
)
"""Options of lock files: ``locks``, ``write``, ``diff`` and ``check``."""


def is_alone(targets: Sequence[str], own: Mapping[str, Any]) -> bool:
    """Whether lock files are all that is asked about. Raises where their options make no sense without them."""
    alone = bool(own["locks"]) and not targets and not own["managers"] and own["verify"] is None
    for option in ("write", "diff", "check"):
        if own[option] and not alone:
            raise UsageError(f"--{option} says something of --lock alone", hint="name a lock file and no TARGET")
    if own["check"] and own["write"]:
        raise UsageError("--check changes nothing, and --write does", hint="take one of them")
    return alone


def planned_locks(
    own: Mapping[str, Any], settings: Settings, progress: Progress
) -> tuple[Callable[[str, Look], str], int]:
    """Judge lock files, write them if that is asked for; how to render it, and the exit status."""
    from scanner.formats.locks import diff, render

    made = judged_locks(own, settings, progress)
    status = Status.BROKEN if own["check"] and any(_keeps_out(one) for one in made) else Status.HOLDS
    if own["diff"]:
        return lambda _name, _look: diff(made), status
    return lambda name, look: render(made, name, look), status


def _keeps_out(made: PlannedLock) -> bool:
    """Whether Chainguard's bytes cannot come in, or it is not known that they can."""
    from scanner.lockfile import Acceptance

    return bool(made.counts.keys() & {Acceptance.REFUSES, Acceptance.ELSEWHERE, Acceptance.UNCHECKED})


def judged_locks(own: Mapping[str, Any], settings: Settings, progress: Progress) -> tuple[PlannedLock, ...]:
    """The lock files with what they accept."""
    from scanner.locking import plan_lock

    return plan_lock(own["locks"], settings, write=own["write"], progress=progress)
