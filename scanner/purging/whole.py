"""A purge: find the copies, select, and delete them if that is wanted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scanner import toolstores
from scanner.drafting import spec_of
from scanner.errors import UsageError
from scanner.journal import Journal, journal
from scanner.manager import Deleting
from scanner.managers import open_manager
from scanner.purge import Purge, Result, Selection, select
from scanner.purging.asked import Asked, Found, find, names_of
from scanner.purging.deletions import Means, carry_out
from scanner.run import client_of

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.http import Client
    from scanner.progress import Progress
    from scanner.run import Note


def purge(asked: Asked, settings: Settings, *, progress: Progress, note: Note, told: Callable[[Result], None]) -> Purge:
    """Nothing is deleted, and no journal made, unless ``asked.yes``. ``told`` hears of each deletion when it has ended.

    Raises :class:`scanner.errors.CgscanError` where it cannot begin.
    """
    found = find(asked, settings, progress=progress, note=note)
    selection = select(found.copies, asked.wanted, now=dt.datetime.now(dt.UTC), used=toolstores.written)
    if not asked.yes:
        return Purge(selection=selection)
    path = asked.journal or _usual_journal(found, settings)
    with client_of(settings) as client:
        means = _means(found, asked, settings, client)
        _check_managers(selection, means, settings)
        with journal(path, found.identity, goes_on=found.goes_on) as kept:
            results = _results(selection, means, kept, told)
    return Purge(selection=selection, results=results, journal=str(path))


def _means(found: Found, asked: Asked, settings: Settings, client: Client) -> Means:
    return Means(
        manager=lambda name: open_manager(spec_of(name, settings), client=client, limits=settings.limits),
        local=partial(toolstores.delete, planned=found.made, limits=settings.limits),
        rate=asked.rate,
    )


def _check_managers(selection: Selection, means: Means, settings: Settings) -> None:
    """What can be seen to be wrong is said before the first deletion."""
    names = names_of(selection.going)
    if names and settings.offline:
        raise UsageError("a manager cannot be asked offline", hint="leave --offline off")
    for name in names:
        if not isinstance(means.manager(name), Deleting):
            raise UsageError(f"behind the index {name} is no manager that can delete")


def _results(selection: Selection, means: Means, kept: Journal, told: Callable[[Result], None]) -> tuple[Result, ...]:
    results: list[Result] = []
    for result in carry_out(selection.going, means, kept):
        results.append(result)
        told(result)
    if all(result.ended.is_done for result in results):
        kept.write(finished=True)
    return tuple(results)


def _usual_journal(found: Found, settings: Settings) -> Path:
    if settings.cache_dir is None:
        raise UsageError("there is no cache folder to keep the journal in", hint="name it with --journal FILE")
    name = found.identity if found.goes_on else "direct"
    return settings.cache_dir / "purges" / f"{name}.jsonl"
