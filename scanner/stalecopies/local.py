"""The cached distributions of a scanned folder -> copies on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from scanner.digest import Digest
from scanner.errors import UsageError
from scanner.plan import Offer
from scanner.report import DistributionLine, Kind, Origin
from scanner.stale import LocalCopy
from scanner.stalecopies.tools import entry_at

_STALE: Final = frozenset({Origin.UPSTREAM, Origin.AMBIGUOUS, Origin.SOURCE, Origin.UNKNOWN})
_MOST_FILES: Final = 100_000
"""Files of one entry whose sizes are added up."""


def local_copies(lines: Iterable[tuple[DistributionLine, Offer]], folder: Path) -> Iterator[LocalCopy]:
    """The entries that hold no build of Chainguard's, each once.

    ``folder`` is the scanned one, absolute; locations start there. Entries whose bytes could not be judged, and those
    of no tool's store, are none.
    """
    given: set[tuple[str, str, str | None]] = set()
    for line, offer in lines:
        if line.kind is not Kind.CACHED or line.origin not in _STALE or line.hidden:
            continue
        copy = _copy(line, offer, folder)
        if copy is not None and (copy.path, copy.project, copy.version) not in given:
            given.add((copy.path, copy.project, copy.version))
            yield copy


def is_in_store(line: DistributionLine, folder: Path) -> bool:
    """Whether a cached distribution lies in a store of a tool that is known."""
    return entry_at(_on_disk(line, folder)) is not None


def _on_disk(line: DistributionLine, folder: Path) -> str:
    return f"{str(folder).rstrip('/')}{line.location}"


def _copy(line: DistributionLine, offer: Offer, folder: Path) -> LocalCopy | None:
    entry = entry_at(_on_disk(line, folder))
    if entry is None:
        return None
    unpacked = line.location.rpartition("/")[2].endswith((".dist-info", ".egg-info"))
    return LocalCopy(
        tool=entry.tool,
        root=entry.root,
        path=entry.path,
        project=canonicalize_name(line.name),
        version=line.version,
        filename=line.match.filename if line.match else None,
        size=_size(Path(entry.path)),
        sha256=_digest(line.match.sha256) if line.match and not unpacked else None,
        replacement=offer.same_version,
    )


def _digest(text: str | None) -> Digest | None:
    try:
        return Digest.parse(text) if text else None
    except UsageError:
        return None


def _size(path: Path) -> int | None:
    """Bytes of a file or of all files of a folder; None where there is nothing to be seen."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_size
        return _size_of_folder(path)
    except OSError:
        return None


def _size_of_folder(path: Path) -> int | None:
    total, left = 0, _MOST_FILES
    waiting = [path]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    return None
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
