"""Configuration -> Index: one module for each kind of index.

::

    once          identical questions are asked once
    tier          what a file's path says about where it comes from
    kept          credentials in the system's keyring, or of a credential helper
    credentials   who we are to an index; what of a URL may be shown
    chainguard    Chainguard's own indexes, tokens and refusals
    kinds         which kind an index is of, and the URL below which it has its pages
    repository    a repository by its name -> the index's URL
    links         the links of a page -> files
    page          pages of the simple API -> files
    asking        requests, their time, and what refusals mean
    ranged        a remote file that is read where it is needed
    remote        reading a wheel by ranges, or whole
    signed        what is signed about the files behind a URL
    remembered    wheels in the store
    pagememory    pages in the store
    history       what was listed earlier, in the store
    simple        an index behind a URL
    directory     a folder as an index
    snapshot      a snapshot as indexes
    recording     an index whose answers go into a snapshot
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from scanner.errors import UsageError
from scanner.indexes.credentials import shown
from scanner.indexes.kinds import KINDS, REMOTE, kind_of, simple_url

if TYPE_CHECKING:
    from scanner.http import Client
    from scanner.index import Index, IndexSpec
    from scanner.limits import Limits
    from scanner.store import Store

__all__ = ["open_index", "open_indexes"]


def open_indexes(specs: Sequence[IndexSpec], *, client: Client, store: Store, limits: Limits) -> list[Index]:
    """The indexes of all specs, each under a name of its own: the report's matches refer to it.

    A snapshot is as many indexes as it was pulled from. Raises what :func:`open_index` raises.
    """
    opened: list[Index] = []
    for spec in specs:
        taken = {index.name for index in opened}
        if (spec.kind or kind_of(spec.location)) == "snapshot":
            opened += _of_snapshot(spec, opened, limits)
            continue
        index = open_index(spec, client=client, store=store, limits=limits)
        if index.name in taken:
            own = replace(spec, name=f"{index.name} ({spec.role.value} {len(opened) + 1})")
            index = open_index(own, client=client, store=store, limits=limits)
        opened.append(index)
    return opened


def _of_snapshot(spec: IndexSpec, opened: Sequence[Index], limits: Limits) -> list[Index]:
    """The indexes in a snapshot, less those that another option has opened from the same file."""
    from scanner.indexes.snapshot import SnapshotIndex, open_snapshot  # noqa: PLC0415

    there = {(one.path, one.role, one.url) for one in opened if isinstance(one, SnapshotIndex)}
    found = [one for one in open_snapshot(spec, limits=limits) if (one.path, one.role, one.url) not in there]
    taken = {index.name for index in opened}
    for place, one in enumerate(found, len(opened) + 1):
        if one.name in taken:
            one.name = f"{one.name} ({one.role.value} {place})"
        taken.add(one.name)
    return [*found]


def open_index(spec: IndexSpec, *, client: Client, store: Store, limits: Limits) -> Index:
    """The index that ``spec`` describes. Nothing is asked yet; :class:`UsageError` for what can be none.

    One object is for one scan: it remembers every answer and every failure. It may be shared between threads.
    """
    kind = spec.kind or kind_of(spec.location)
    if kind in REMOTE:
        from scanner.indexes.simple import SimpleIndex  # noqa: PLC0415 - a folder needs nothing of it

        own = replace(spec, kind=kind, location=simple_url(spec.location, kind))
        return SimpleIndex(own, client=client, store=store, limits=limits)
    if kind == "directory":
        from scanner.indexes.directory import DirectoryIndex  # noqa: PLC0415

        return DirectoryIndex(spec, store=store, limits=limits)
    if kind == "snapshot":
        raise UsageError(f"{shown(spec.location)}: a snapshot is several indexes", hint="open_indexes() opens them")
    raise UsageError(f"{shown(spec.location)}: no such kind of index: {kind}", hint=f"kinds are {', '.join(KINDS)}")
