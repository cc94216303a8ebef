"""The pages of an index in the store: what they list, and how fresh that is.

What a page lists is stored, not its text: a page of PyPI's has thousands of files, and a scan reads hundreds of pages.
The files are stored by columns, like the entries of inventories. Nothing stored holds a credential; pages may be
private, the store keeps them from other users. What does not load is not there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgpack  # type: ignore[import-untyped]
from backports import zstd

from scanner.index import IndexFile, Tier
from scanner.indexes.credentials import shown

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.store import Store

_FORMAT: Final = "page/4"
"""Counted up when pages come to be read otherwise, or what they list has other fields."""
_LONGEST_FRESH: Final = 600.0
_LEVEL: Final = 1
_MODIFIED: Final = "modified: "
"""Stands before a Last-Modified that is kept for want of an ETag."""
_FAULTS: Final = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, zstd.ZstdError,
    msgpack.exceptions.UnpackException,
)  # fmt: skip
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """What a page listed; nothing, where the index has said that there is none.

    ``at`` is seconds since 1970, ``fresh`` how many seconds the server lets it be used from then on without asking.
    """

    etag: str
    at: float
    fresh: float
    files: tuple[IndexFile, ...] = field(repr=False)

    @property
    def is_fresh(self) -> bool:
        """Whether it may be used without asking; a clock that went back says no."""
        return 0 <= time.time() - self.at < min(self.fresh, _LONGEST_FRESH)


class PageMemory:
    """The pages of one index, by project. ``index`` is its URL without secrets; ``signed`` is as the pages are read."""

    def __init__(self, store: Store, index: str, *, signed: bool = False) -> None:
        self._store = store
        self._index = index
        self._format = f"{_FORMAT}+signed" if signed else _FORMAT

    def get(self, project: NormalizedName) -> StoredPage | None:
        """The page that was stored last."""
        data = self._store.get("page", self._key(project))
        return None if data is None else _unpacked(data)

    def put(self, project: NormalizedName, page: StoredPage) -> None:
        """Store a page in place of the last one."""
        with suppress(*_FAULTS):  # a number that no format holds, for one: then it is asked for again
            self._store.put("page", self._key(project), _packed(_without_secrets(page)))

    def _key(self, project: NormalizedName) -> str:
        return "\n".join((self._format, self._index, project))


def _without_secrets(page: StoredPage) -> StoredPage:
    """A page with links that hold secrets (signatures, users) is stored without them, and asked for each time.

    Offline it still says what is listed, and wheels are remembered by their sha256.
    """
    files = tuple(_bared(file) for file in page.files)
    return page if files == page.files else replace(page, etag="", fresh=0.0, files=files)


def _bared(file: IndexFile) -> IndexFile:
    signed = file.provenance if file.provenance is None or shown(file.provenance) == file.provenance else None
    if file.url == file.shown_url and signed == file.provenance:
        return file
    return file._replace(url=file.shown_url, provenance=signed)


def may_store(headers: Mapping[str, str]) -> bool:
    """Whether the server lets an answer be stored (RFC 9111, 5.2.2.5)."""
    return "no-store" not in _directives(headers)


def freshness(headers: Mapping[str, str]) -> float:
    """For how many seconds from now an answer may be used without asking: ``max-age`` less ``Age``."""
    said = _directives(headers)
    if "no-cache" in said or not said.get("max-age", "").isdigit():
        return 0.0
    age = headers.get("age", "0").strip()
    spent = float(age[:9]) if age.isascii() and age.isdigit() else 0.0
    return max(0.0, min(float(said["max-age"][:9]), _LONGEST_FRESH) - spent)


def validator(headers: Mapping[str, str]) -> str:
    """By what a server knows whether a page has changed (RFC 9110, 8.8): its ETag, else the time of the last change."""
    modified = headers.get("last-modified", "")
    return headers.get("etag", "") or (f"{_MODIFIED}{modified}" if modified else "")


def unless(known: str) -> dict[str, str]:
    """The header that asks for a page unless it is still the one with this validator; none without one."""
    if known.startswith(_MODIFIED):
        return {"If-Modified-Since": known.removeprefix(_MODIFIED)}
    return {"If-None-Match": known} if known else {}


def _directives(headers: Mapping[str, str]) -> Mapping[str, str]:
    parts = (part.partition("=") for part in headers.get("cache-control", "").lower().split(","))
    return {name.strip(): value.strip().strip('"') for name, _, value in parts if value.isascii()}


# --- files ---


def _packed(page: StoredPage) -> bytes:
    document = (page.etag, page.at, page.fresh, _columns(page.files))
    return zstd.compress(msgpack.packb(document, unicode_errors="surrogatepass"), level=_LEVEL)


def _unpacked(data: bytes) -> StoredPage | None:
    try:
        plain = zstd.decompress(data)
        document = msgpack.unpackb(plain, use_list=False, strict_map_key=False, unicode_errors="surrogatepass")
        etag, at, fresh, columns = document
        return StoredPage(etag=str(etag), at=float(at), fresh=float(fresh), files=_files(columns))
    except _FAULTS:
        return None


def _columns(files: Sequence[IndexFile]) -> tuple[object, ...]:
    """A column for each field; what only a few have, by its place."""
    words: dict[str | None, int] = {}
    return (
        [file.filename for file in files],
        [file.url for file in files],
        b"".join(bytes.fromhex(file.hashes["sha256"]) if _is_plain(file) else bytes(32) for file in files),
        {at: dict(file.hashes) for at, file in enumerate(files) if not _is_plain(file)},
        [file.size for file in files],
        [words.setdefault(file.requires_python, len(words)) for file in files],
        list(words),
        {at: True for at, file in enumerate(files) if file.yanked},
        {at: file.tier.value for at, file in enumerate(files) if file.tier is not None},
        {at: file.provenance for at, file in enumerate(files) if file.provenance is not None},
    )


def _is_plain(file: IndexFile) -> bool:
    """Whether there is a sha256 and nothing else, as nearly everywhere."""
    return len(file.hashes) == 1 and len(file.hashes.get("sha256", "")) == 64


def _files(columns: tuple[Any, ...]) -> tuple[IndexFile, ...]:
    names, urls, digests, hashes, sizes, numbers, words, yanked, tiers, signed = columns
    count, hexadecimal = len(names), digests.hex()
    each = [{"sha256": hexadecimal[start : start + 64]} for start in range(0, len(hexadecimal), 64)]
    rows = zip(
        names,
        urls,
        urls,
        _patched(each, hashes),
        sizes,
        map(words.__getitem__, numbers),
        _patched([False] * count, yanked),
        _patched([None] * count, {at: Tier(value) for at, value in tiers.items()}),
        _patched([None] * count, signed),
        strict=True,
    )
    return tuple(map(tuple.__new__, repeat(IndexFile), rows))  # what IndexFile._make does, ten times as fast


def _patched(column: Iterable[_T], places: Mapping[int, _T]) -> Iterable[_T]:
    if not places:
        return column
    patched = list(column)
    for at, value in places.items():
        patched[at] = value
    return patched
