"""Reading a wheel that an index serves: by ranges where that works, else the whole file.

1. A small file, one without a sha256 on the page, and one that must be proved are read whole.
2. Otherwise the end is asked for; where the page has no size, as the last bytes whatever the size, and where a server
   refuses that, after the first byte has told the size. Whether ranges work is seen from the answer to a GET: HEAD
   is refused, lies, or costs the server a download.
3. A 200 is the whole file: it is read from that answer, and this origin is not asked for ranges again.
4. Whatever is wrong with ranges (lengths, CRCs, no zip) leads to the whole file, once. If that one is right,
   this origin is not asked for ranges again: Artifactory is known to serve wrong bytes for them.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

from scanner.artifact import looks_like
from scanner.digest import Digest
from scanner.errors import WheelUnreadable
from scanner.indexes.asking import Asker, refusal
from scanner.indexes.credentials import Origin
from scanner.indexes.ranged import (
    UNKNOWN_END,
    Part,
    RangeBroken,
    RangedFile,
    end_of,
    range_header,
    suffix_header,
    take_part,
    take_suffix,
)
from scanner.limits import KIB, MIB
from scanner.wheel import WheelContents, read_wheel, read_wheel_by_record

if TYPE_CHECKING:
    from scanner.http import Stream
    from scanner.index import IndexFile
    from scanner.limits import Limits

_SMALL: Final = 32 * KIB
_IN_MEMORY: Final = 1 * MIB
"""Of a whole file, while its digest is not known yet; what is larger waits in a temporary file without a name."""
_NO_RANGE: Final = frozenset({400, 405, 416, 500, 501})
_REFETCH: Final = "delete the cached item in the repository manager, so that it is fetched again"
_FRESH_URL: Final = frozenset({400, 401, 403, 404, 410})


@dataclass(slots=True)
class _Place:
    """Where the parts of one file come from: the last URL after redirects while it works."""

    file: IndexFile
    url: str


class WheelReader:
    """Reads wheels for one index; remembers where ranges do not work. Thread-safe."""

    def __init__(self, asker: Asker, *, limits: Limits) -> None:
        self._asker = asker
        self._limits = limits
        self._lock = threading.Lock()
        self._plain: set[Origin] = set()
        self._without_suffix: set[Origin] = set()

    def read(self, file: IndexFile, *, whole: bool) -> WheelContents:
        """What the wheel holds; read whole it is ``proved`` and its sha256 is that of the bytes."""
        origin = Origin.of(file.url)
        small = file.size is not None and file.size <= _SMALL
        if whole or small or file.sha256 is None or origin in self._plain:
            return self._read_whole(file)
        try:
            contents = self._read_ranged(file, origin)
        except RangeBroken:
            contents = self._read_whole(file)
            self._no_ranges(origin)
        return contents if contents is not None else self._read_whole(file)

    def _no_ranges(self, origin: Origin) -> None:
        with self._lock:
            self._plain.add(origin)

    def _read_whole(self, file: IndexFile) -> WheelContents:
        with self._asker.stream(file.url) as stream:
            if stream.status != 200:
                raise refusal(stream.status, stream.body, url=file.url)
            return self._take_whole(stream, file)

    def _take_whole(self, stream: Stream, file: IndexFile) -> WheelContents:
        """Store the body aside, check it against what the page promises, and read it."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as aside:
            sha256 = self._copy(stream, aside, file)
            aside.seek(0)
            _check_no_page(aside.read(512), file)
            aside.seek(0)
            whole = cast("BinaryIO", aside)
            return read_wheel(whole, filename=file.filename, limits=self._limits, sha256=sha256, forms=True)

    def _copy(self, stream: Stream, aside: IO[bytes], file: IndexFile) -> Digest:
        check = PromisedBytes(file, limits=self._limits)
        for chunk in self._asker.chunks(stream):
            check.take(chunk)
            aside.write(chunk)
        return check.end()

    # by ranges

    def _read_ranged(self, file: IndexFile, origin: Origin) -> WheelContents | None:
        first, place = self._first_part(file, origin)
        if isinstance(first, WheelContents):
            return first
        if file.size is not None and first.total != file.size:
            raise RangeBroken(f"{file.shown_url}: {first.total} bytes long, {file.size} by the index")
        complete = len(first.data) == first.total
        try:
            return self._read_bytes(first.data, file) if complete else self._read_parts(first, place)
        except WheelUnreadable as problem:
            raise RangeBroken(problem.message) from problem

    def _first_part(self, file: IndexFile, origin: Origin) -> tuple[Part | WheelContents, _Place]:
        """The end of the file, or all that it holds where the server sent all of it."""
        if file.size is not None:
            return self._part_or_whole(file, origin, file.size - end_of(file.size), file.size)
        if origin not in self._without_suffix:
            found = self._suffix_or_whole(file, origin)
            if found is not None:
                return found
        first, place = self._part_or_whole(file, origin, 0, 1)
        if isinstance(first, WheelContents) or first.total <= 1:
            return first, place
        return self._part_or_whole(file, origin, first.total - end_of(first.total), first.total)

    def _part_or_whole(
        self, file: IndexFile, origin: Origin, start: int, end: int
    ) -> tuple[Part | WheelContents, _Place]:
        with self._asker.stream(file.url, headers=range_header(start, end)) as stream:
            if stream.status == 200:
                return self._unasked(stream, file, origin)
            if stream.status != 206:
                raise _range_refusal(stream, file)
            return take_part(stream, start=start, end=end), _Place(file, stream.url)

    def _suffix_or_whole(self, file: IndexFile, origin: Origin) -> tuple[Part | WheelContents, _Place] | None:
        """None where the server knows no such range, or its answer is none: it is asked in the other way."""
        with self._asker.stream(file.url, headers=suffix_header(UNKNOWN_END)) as stream:
            if stream.status == 200:
                return self._unasked(stream, file, origin)
            if stream.status in _NO_RANGE:
                with self._lock:
                    self._without_suffix.add(origin)
                return None
            if stream.status != 206:
                raise _range_refusal(stream, file)
            return take_suffix(stream, length=UNKNOWN_END), _Place(file, stream.url)

    def _unasked(self, stream: Stream, file: IndexFile, origin: Origin) -> tuple[WheelContents, _Place]:
        """The whole file in answer to a range."""
        self._no_ranges(origin)
        return self._take_whole(stream, file), _Place(file, stream.url)

    def _read_bytes(self, data: bytes, file: IndexFile) -> WheelContents:
        check = PromisedBytes(file, limits=self._limits)
        check.take(data)
        sha256 = check.end()
        return read_wheel(io.BytesIO(data), filename=file.filename, limits=self._limits, sha256=sha256, forms=True)

    def _read_parts(self, first: Part, place: _Place) -> WheelContents | None:
        file = place.file
        ranged = RangedFile(first, fetch=self._fetcher(place))
        return read_wheel_by_record(
            cast("BinaryIO", ranged), filename=file.filename, limits=self._limits, sha256=file.sha256
        )

    def _fetcher(self, place: _Place) -> Callable[[int, int], Part]:
        def fetch(start: int, end: int) -> Part:
            if place.url != place.file.url:
                part = self._try_part(place, place.url, start, end, or_none=True)
                if part is not None:
                    return part
            part = self._try_part(place, place.file.url, start, end, or_none=False)
            assert part is not None
            return part

        return fetch

    def _try_part(self, place: _Place, url: str, start: int, end: int, *, or_none: bool) -> Part | None:
        """One part; None where the URL after redirects has expired."""
        with self._asker.stream(url, headers=range_header(start, end)) as stream:
            if or_none and stream.status in _FRESH_URL:
                return None
            if stream.status not in (200, 206):
                raise _range_refusal(stream, place.file)
            part = take_part(stream, start=start, end=end)
            place.url = stream.url
            return part


class PromisedBytes:
    """The bytes of a file while they pass: as many as promised, with the digests that the page has."""

    def __init__(self, file: IndexFile, *, limits: Limits) -> None:
        self._file = file
        self._most = limits.wheel_download
        self._count = 0
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *file.hashes}}

    def take(self, data: bytes) -> None:
        """The next bytes."""
        self._count += len(data)
        if self._count > self._most:
            raise WheelUnreadable(f"{self._file.shown_url}: larger than {self._most} bytes (limit wheel_download)")
        for running in self._hashes.values():
            running.update(data)

    def end(self) -> Digest:
        """The sha256 of all bytes; :class:`WheelUnreadable` unless every promise is kept."""
        promised = self._file.hashes
        broken = [name for name, value in promised.items() if self._hashes[name].hexdigest() != value]
        if not promised and self._file.size not in (None, self._count):
            broken = ["the size"]
        if broken:
            raise WheelUnreadable(
                f"{self._file.shown_url}: the stored bytes ({self._count}) are not the promised ones "
                f"({', '.join(sorted(broken))} differs): a 302 page cached as a wheel?",
                hint=_REFETCH,
            )
        return Digest("sha256", self._hashes["sha256"].hexdigest())


def _check_no_page(start: bytes, file: IndexFile) -> None:
    """A web page under a wheel's name is said to be one; where the index promises no digest nothing else tells."""
    if start.lstrip()[:1] == b"<":
        raise WheelUnreadable(
            f"{file.shown_url}: no wheel ({looks_like(start)}): a 302 page cached as a wheel?", hint=_REFETCH
        )


def _range_refusal(stream: Stream, file: IndexFile) -> Exception:
    """A refusal; of a range alone (501) it may be, then the whole file is tried."""
    if stream.status in _NO_RANGE:
        return RangeBroken(f"{file.shown_url}: answered a range with status {stream.status}")
    return refusal(stream.status, stream.body, url=file.url)
