"""Configuration -> Index: one module for each kind of index.

::

    once          identical questions are asked once
    tier          what a file's path says about where it comes from
    credentials   who we are to an index; what of a URL may be shown
    page          pages of the simple API -> files
    asking        requests, their time, and what refusals mean
    ranged        a remote file that is read where it is needed
    remote        reading a wheel by ranges, or whole
    remembered    pages and wheels in the store
    simple        an index behind a URL
    directory     a folder as an index
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scanner.errors import UsageError
from scanner.indexes.credentials import shown
from scanner.indexes.directory import DirectoryIndex
from scanner.indexes.simple import SimpleIndex

if TYPE_CHECKING:
    from scanner.http import Client
    from scanner.index import Index, IndexSpec
    from scanner.limits import Limits
    from scanner.store import Store

__all__ = ["open_index"]

_KINDS = ("simple", "directory")


def open_index(spec: IndexSpec, *, client: Client, store: Store, limits: Limits) -> Index:
    """The index that ``spec`` describes. Nothing is asked yet; :class:`UsageError` for what can be none.

    One object is for one scan: it remembers every answer and every failure. It may be shared between threads.
    """
    kind = spec.kind or _kind(spec.location)
    if kind == "simple":
        return SimpleIndex(spec, client=client, store=store, limits=limits)
    if kind == "directory":
        return DirectoryIndex(spec, store=store, limits=limits)
    raise UsageError(f"{shown(spec.location)}: no such kind of index: {kind}", hint=f"kinds are {', '.join(_KINDS)}")


def _kind(location: str) -> str:
    if location.lower().startswith(("http://", "https://")):
        return "simple"
    if location.startswith("file:") or Path(location).is_dir():
        return "directory"
    raise UsageError(
        f"{shown(location)}: neither the URL of an index nor a folder",
        hint="URLs start with https:// and end with /simple for most products",
    )
