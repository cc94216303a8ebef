"""A part of a blob: one request, with exactly the bytes that were asked for or none.

Ranges are optional for registries (distribution-spec, "Pulling blobs"). Whatever is no such part is no error here:
the blob can be read whole, and that says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final

from scanner.http import RequestFailed, Stream
from scanner.sources.resuming import CONTENT_RANGE
from scanner.toc import Unlisted

_TRIES: Final = 3


def read_part(
    ask: Callable[[Mapping[str, str]], AbstractContextManager[Stream]], start: int, end: int, *, size: int, what: str
) -> bytes:
    """The bytes from ``start`` up to ``end`` of a blob of ``size`` bytes; ``ask`` makes one request with these headers.

    :class:`Unlisted` where the answer is another, three times where it breaks off.
    """
    problem: RequestFailed | None = None
    for _ in range(_TRIES):
        try:
            with ask({"Range": f"bytes={start}-{end - 1}"}) as stream:
                return _body(stream, start, end, size, what)
        except RequestFailed as broken:
            problem = broken
    raise Unlisted(f"{what}: bytes {start} to {end} do not come ({problem})") from problem


def _body(stream: Stream, start: int, end: int, size: int, what: str) -> bytes:
    found = CONTENT_RANGE.fullmatch(stream.headers.get("content-range", "").strip())
    encoded = stream.headers.get("content-encoding", "identity") != "identity"
    if stream.status != 206 or encoded or found is None or (int(found[1]), int(found[2])) != (start, end - 1):
        raise Unlisted(f"{what}: status {stream.status} to a range of bytes")
    if found[3] not in ("*", str(size)):
        raise Unlisted(f"{what}: has {found[3]} bytes, not {size}")
    data = bytearray()
    while len(data) <= end - start and (chunk := stream.body.read(end - start + 1 - len(data))):
        data += chunk
    if len(data) != end - start:
        raise RequestFailed(f"{len(data)} bytes came")
    return bytes(data)
