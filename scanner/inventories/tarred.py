"""A tar file inside a target -> Inventory: packed environments (conda-pack, venv-pack), wheel houses.

The names are read first; only a tar that holds metadata or wheels is read again, and as a whole.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import BinaryIO, cast

from scanner.compression import decompressed
from scanner.errors import LimitExceeded, MalformedArchive, TruncatedStream
from scanner.inventories.opening import Opening
from scanner.inventories.taking import Taking
from scanner.inventories.worth import Worth
from scanner.inventory import Inventory
from scanner.tarstream import TarStream


def open_tar(file: BinaryIO, opening: Opening) -> Inventory | None:
    """Read a tar file; None where it is none, or holds no distribution; a source distribution is not opened either.

    Whatever is wrong with one that does is an error of :class:`scanner.errors.UntrustedContent`.
    """
    worth = Worth()
    try:
        if not _is_tar(file, opening):
            return None
        count = _seen(_stream(file, opening), worth, opening)
    except (MalformedArchive, TruncatedStream):
        if worth.distributions or worth.inner:
            raise
        return None
    if worth.source or not (worth.distributions or worth.inner):
        return None
    opening.budget.list(count)
    taking = Taking.inside(opening)
    stream = _stream(file, opening)
    for entry in stream:
        if worth.wants(entry.name) or entry.kind != "file":
            taking.take_entry(entry, stream.content)
    return taking.done()


def _seen(stream: TarStream, worth: Worth, opening: Opening) -> int:
    """How many entries there are, their names looked at."""
    count = 0
    for entry in stream:
        worth.see(entry.name)
        count += 1
        if count > opening.limits.archive_members:
            raise LimitExceeded(f"more than {opening.limits.archive_members} members (limit archive_members)")
    return count


def _is_tar(file: BinaryIO, opening: Opening) -> bool:
    plain = _plain(file, opening)
    start = b""
    while len(start) < 512 and (more := plain.read(512 - len(start))):
        start += more
    return start[257:262] == b"ustar"


def _stream(file: BinaryIO, opening: Opening) -> TarStream:
    return TarStream(_plain(file, opening), what="the tar", limits=opening.limits)


def _plain(file: BinaryIO, opening: Opening) -> BinaryIO:
    file.seek(0)
    limits = replace(opening.limits, expanded=opening.limits.archives_expanded)
    return cast("BinaryIO", _Counted(decompressed(file, what="the tar", limits=limits), opening))


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted against what one archive, and all, may expand to."""

    def __init__(self, source: BinaryIO, opening: Opening) -> None:
        super().__init__()
        self._source = source
        self._opening = opening
        self._left = opening.most

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        self._opening.budget.expand(len(data))
        if self._left < 0:
            raise LimitExceeded(f"expands to more than {self._opening.most} bytes (limits wheel_expanded, wheel_ratio)")
        return data
