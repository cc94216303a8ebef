"""What an index has listed, in the store: wheels by file name and sha256, with the first and the last time.

The bytes behind a name change: a proxy is purged and fetches Chainguard's build in place of PyPI's copy, Chainguard
builds a release again, a release is deleted. An image from before is explained by the wheel from before. What such a
wheel holds is remembered by its sha256 (:mod:`scanner.indexes.remembered`); here is that the index listed it, when, and
what held of it then, because whose build it is was decided by the answers of that time.

One value for each project and for whom an index is asked as: its URL, its role, and the user. Nothing stored holds a
credential. A scan writes it anew when it has something new to say; that a wheel is still listed is new after ten
minutes. A page without sha256 leaves no history. What does not load is not there.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgpack  # type: ignore[import-untyped]
from backports import zstd

from scanner.index import EARLIER, Held, IndexFile, Seen, Tier

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.index import Role
    from scanner.store import Store

_FORMAT: Final = "seen/1"
"""Counted up when what is kept has other fields, or another meaning."""
_KIND: Final = "seen"
_MOST: Final = 300
"""Wheels of one project that are kept: what was not seen for the longest time goes first."""
_GRAIN: Final = 600.0
"""Seconds: what was seen listed less than this before is not written down again."""
_MOST_BYTES: Final = 16 * 1024 * 1024
_LEVEL: Final = 1
_YEAR_9999: Final = 253_370_764_800.0
_FAULTS: Final = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, struct.error,
    zstd.ZstdError, msgpack.exceptions.UnpackException,
)  # fmt: skip

Key: TypeAlias = tuple[str, str]
"""A file name and the hex sha256 of the bytes behind it."""


class History:
    """What one index has listed. ``index`` is its URL, ``user`` who asks it; neither is stored, only their digest."""

    def __init__(self, store: Store, *, index: str, role: Role, user: str, built_only: bool) -> None:
        self._store = store
        self._scope = (role.value, user, index)
        self._built_only = built_only
        self._lock = threading.Lock()
        self._known: dict[NormalizedName, Mapping[Key, Seen]] = {}

    def earlier(self, project: NormalizedName, files: Sequence[IndexFile]) -> tuple[Seen, ...]:
        """What was listed once; ``files`` are what is listed now."""
        seen = self._of(project)
        return gone(seen.values(), files) if seen else ()

    def remember(self, project: NormalizedName, files: Sequence[IndexFile], at: float, held: Iterable[Held]) -> None:
        """Keep that ``files`` were listed at that time, as far as they were looked at, now or earlier."""
        now = {key_of(one.file): sighting(one, at, built_only=self._built_only) for one in held}
        before = self._of(project)
        if with_sightings(before, now, files, at) is None:
            return

        def change(data: bytes | None) -> bytes | None:
            known = _unpacked(data)
            joined = with_sightings(known, now, files, at)
            self._know(project, known if joined is None else joined)
            return None if joined is None else _packed(joined)

        self._store.change(_KIND, self._key(project), change)

    def _of(self, project: NormalizedName) -> Mapping[Key, Seen]:
        with self._lock:
            known = self._known.get(project)
        return self._know(project, _unpacked(self._store.get(_KIND, self._key(project)))) if known is None else known

    def _know(self, project: NormalizedName, seen: Mapping[Key, Seen]) -> Mapping[Key, Seen]:
        with self._lock:
            self._known[project] = seen
        return seen

    def _key(self, project: NormalizedName) -> str:
        return "\n".join((_FORMAT, *self._scope, project))


def key_of(file: IndexFile) -> Key:
    """What tells one sighting from another."""
    return file.filename, file.hashes.get("sha256", "")


def sighting(held: Held, at: float, *, built_only: bool) -> Seen:
    """A wheel that is listed at that time. Its URL is not kept: it may hold a secret, and will lead elsewhere."""
    file = held.file._replace(url=f"{EARLIER}{held.file.hashes.get('sha256', '')}")
    return Seen(
        file=file,
        first=at,
        last=at,
        upstream=held.upstream,
        not_upstream=held.not_upstream and not held.upstream,
        built_only=built_only,
    )


def gone(seen: Iterable[Seen], files: Iterable[IndexFile]) -> tuple[Seen, ...]:
    """Those whose bytes no file that is listed has, under whatever name; last seen first."""
    of_bytes: dict[str, list[Seen]] = {}
    for one in seen:
        of_bytes.setdefault(one.file.hashes["sha256"], []).append(one)
    for file in files:
        of_bytes.pop(file.hashes.get("sha256", ""), None)
    left = [one for several in of_bytes.values() for one in several]
    return tuple(sorted(left, key=lambda one: (-one.last, -one.first, key_of(one.file))))


def with_sightings(
    before: Mapping[Key, Seen], now: Mapping[Key, Seen], files: Iterable[IndexFile], at: float
) -> dict[Key, Seen] | None:
    """What is known with what is seen now; None where that says nothing new."""
    joined = dict(before)
    told = False
    for key, one in now.items():
        known = before.get(key)
        joined[key] = one if known is None else known.joined(one)
        told = told or known is None or _says_more(joined[key], known)
    for key in _listed([key for key in before if key not in now], files):
        known = before[key]
        joined[key] = known.joined(replace(known, first=at, last=at))
        told = told or _says_more(joined[key], known)
    if not told:
        return None
    newest = sorted(joined, key=lambda key: -joined[key].last)[:_MOST]
    return {key: joined[key] for key in newest}


def _listed(keys: Iterable[Key], files: Iterable[IndexFile]) -> set[Key]:
    """Which of them are on the page."""
    wanted = set(keys)
    return {key_of(file) for file in files if key_of(file) in wanted} if wanted else set()


def _says_more(one: Seen, known: Seen) -> bool:
    flags = (one.upstream, one.not_upstream, one.built_only) != (known.upstream, known.not_upstream, known.built_only)
    return flags or one.first < known.first or one.last >= known.last + _GRAIN


# --- as bytes ---


def _packed(seen: Mapping[Key, Seen]) -> bytes | None:
    try:
        rows = [_row(one) for one in seen.values()]
        return zstd.compress(msgpack.packb(rows, unicode_errors="surrogatepass"), level=_LEVEL)
    except _FAULTS:  # a number that no format holds, for one
        return None


def _row(one: Seen) -> tuple[object, ...]:
    file = one.file
    return (
        file.filename,
        file.shown_url,
        dict(file.hashes),
        file.size,
        file.requires_python,
        file.yanked,
        file.tier.value if file.tier else None,
        (one.first, one.last),
        (one.upstream, one.not_upstream, one.built_only),
    )


def _unpacked(data: bytes | None) -> dict[Key, Seen]:
    if data is None:
        return {}
    try:
        unpacker = zstd.ZstdDecompressor()
        plain = unpacker.decompress(data, _MOST_BYTES)
        rows = msgpack.unpackb(plain, use_list=False, strict_map_key=False, unicode_errors="surrogatepass")
        found = [_seen(*row) for row in rows] if unpacker.eof else []
    except _FAULTS:
        return {}
    return {key_of(one.file): one for one in found}


def _seen(  # noqa: PLR0913, PLR0917 - the columns of a row
    filename: str, url: str, hashes: dict[str, str], size: int | None, requires: str | None, yanked: object,
    tier: str | None, times: tuple[Any, Any], flags: tuple[object, object, object],
) -> Seen:  # fmt: skip
    file = IndexFile(
        filename=filename,
        url=f"{EARLIER}{hashes['sha256']}",
        shown_url=url,
        hashes=hashes,
        size=size,
        requires_python=requires,
        yanked=yanked is True,
        tier=None if tier is None else Tier(tier),
    )
    first, last = map(float, times)
    upstream, not_upstream, built_only = flags
    if file.sha256 is None or not 0 <= first <= last < _YEAR_9999 or not isinstance(filename + url, str):
        raise ValueError("no sighting")
    return Seen(
        file=file,
        first=first,
        last=last,
        upstream=upstream is not False,  # in doubt for PyPI
        not_upstream=not_upstream is True,
        built_only=built_only is True,
    )
