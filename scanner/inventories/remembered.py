"""Inventories in the store: read once in the life of a layer. And the forms of changed files.

The key is what the layer says that it is (diff_id, digest and size of its stored form), the limits, and the shape
of the values: a new field or a new meaning never reads an old one wrongly. What does not load is not there. What was
taken from a table of contents has a key of its own, with the table's digest.
Entries are stored by columns, because a layer has tens of thousands of them.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import struct
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import repeat
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]
from backports import zstd

from scanner.artifact import Artifact, Trouble
from scanner.digest import Digest
from scanner.distribution import Finding, FindingKind
from scanner.forms import Elf, Form, Section, Text
from scanner.image import Layer
from scanner.inventory import Entry, Inventory
from scanner.limits import Limits
from scanner.owner import OwnedFile, Package
from scanner.store import Store, found_or_claimed
from scanner.wheel import Member, WheelContents

_MEANING: Final = 1
"""Counted up when the same fields come to mean something else, or other files are kept."""
_VALUES: Final[tuple[type[Any], ...]] = (
    Artifact, Digest, Elf, Finding, Member, OwnedFile, Package, Section, Text, WheelContents,
)  # fmt: skip
_WORDS: Final[tuple[type[enum.Enum], ...]] = (FindingKind, Trouble)
_KINDS: Final = ("file", "directory", "symlink", "hardlink", "other", "whiteout", "opaque")
_INVENTORY: Final = 0
_FIRST_VALUE: Final = 1
_FIRST_WORD: Final = 64
_LEVEL: Final = 1
_FAULTS: Final = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, zstd.ZstdError,
    msgpack.exceptions.UnpackException,
)  # fmt: skip


class InventoryMemory:
    """The inventories that a store remembers; what was taken under other limits is not asked for."""

    def __init__(self, store: Store, *, limits: Limits) -> None:
        self._store = store
        self._limits = repr(limits)

    def get(self, layer: Layer, *, lazy: bool = False) -> Inventory | None:
        """What is remembered of a layer that was read whole; with ``lazy`` also by its table of contents."""
        for listed in (False, True) if lazy and layer.part is not None else (False,):
            data = self._store.get("inventory", self._key(layer, listed=listed))
            inventory = None if data is None else unpack(data)
            if inventory is not None and inventory.listed is listed:
                return inventory
        return None

    def known_or_claimed(self, layer: Layer, *, lazy: bool = False) -> AbstractContextManager[Inventory | None]:
        """The same; None where the caller is to read the layer, which then nobody else does meanwhile."""
        key = self._key(layer, listed=lazy and layer.part is not None)
        return found_or_claimed(self._store, "inventory", key, partial(self.get, layer, lazy=lazy))

    def put(self, layer: Layer, inventory: Inventory) -> None:
        """Remember a layer that was read to its end, its digests checked, or by its table of contents."""
        with suppress(*_FAULTS):  # a number that no format holds, for one: then it is read again
            self._store.put("inventory", self._key(layer, listed=inventory.listed), pack(inventory))

    def _key(self, layer: Layer, *, listed: bool) -> str:
        parts = (_SHAPE, self._limits, str(layer.diff_id), str(layer.digest or ""), str(layer.size))
        return "\n".join((*parts, repr(layer.toc)) if listed else parts)


class FormMemory:
    """The forms of changed files, by the raw sha256 of their bytes; also which files have none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def known(self, digests: Iterable[bytes]) -> dict[bytes, Form | None]:
        """What is remembered of the files."""
        found: dict[bytes, Form | None] = {}
        for sha256 in digests:
            data = self._store.get("form", self._key(sha256))
            with suppress(*_FAULTS):
                form = _unpacked(data) if data is not None else ()
                if form is None or isinstance(form, Elf | Text):
                    found[sha256] = form
        return found

    def all_known_or_claimed(
        self, layer: Layer, digests: Collection[bytes]
    ) -> AbstractContextManager[dict[bytes, Form | None] | None]:
        """The forms of all of them; None where the caller is to look into the layer, as nobody else does meanwhile."""

        def look() -> dict[bytes, Form | None] | None:
            found = self.known(digests)
            return found if len(found) == len(digests) else None

        return found_or_claimed(self._store, "form", f"{_SHAPE}\n{layer.diff_id}", look)

    def put(self, sha256: bytes, form: Form | None) -> None:
        """Remember a form, or that there is none."""
        with suppress(*_FAULTS):
            self._store.put("form", self._key(sha256), _packed(form))

    def _key(self, sha256: bytes) -> str:
        return f"{_SHAPE}\n{sha256.hex()}"


def pack(inventory: Inventory) -> bytes:
    """An inventory as bytes."""
    return zstd.compress(_packed(inventory), level=_LEVEL)


def unpack(data: bytes) -> Inventory | None:
    """The inventory that :func:`pack` wrote; None for anything else."""
    try:
        found = _unpacked(zstd.decompress(data))
    except _FAULTS:
        return None
    return found if isinstance(found, Inventory) else None


def _packed(value: object) -> bytes:
    packed: bytes = msgpack.packb(value, default=_plain, strict_types=True, unicode_errors="surrogatepass")
    return packed


def _unpacked(data: bytes) -> Any:
    return msgpack.unpackb(data, ext_hook=_value, use_list=False, strict_map_key=False, unicode_errors="surrogatepass")


# --- values ---


def _plain(value: object) -> object:
    """What msgpack does not know, as what it knows."""
    if isinstance(value, Inventory):
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)[1:]]
        return msgpack.ExtType(_INVENTORY, _packed([_columns(value.entries), *parts]))
    if isinstance(value, enum.Enum):
        return msgpack.ExtType(_FIRST_WORD + _WORDS.index(type(value)), _packed(value.value))
    if type(value) in _VALUES:
        parts = [getattr(value, name) for name in _fields(type(value))]
        return msgpack.ExtType(_FIRST_VALUE + _VALUES.index(type(value)), _packed(parts))
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


def _value(code: int, data: bytes) -> object:
    """The value of an extension."""
    content = _unpacked(data)
    if code == _INVENTORY:
        names = [field.name for field in dataclasses.fields(Inventory)[1:]]
        return Inventory(entries=_entries(content[0]), **dict(zip(names, content[1:], strict=True)))
    if code >= _FIRST_WORD:
        return _WORDS[code - _FIRST_WORD](content)
    made = _VALUES[code - _FIRST_VALUE]
    return made(**dict(zip(_fields(made), content, strict=True)))


def _fields(made: type[Any]) -> tuple[str, ...]:
    named: tuple[str, ...] | None = getattr(made, "_fields", None)
    return named if named is not None else tuple(field.name for field in dataclasses.fields(made))


# --- entries ---


def _columns(entries: tuple[Entry, ...]) -> list[object]:
    """Folders and the number of each entry's; then a column for each field, short where most have nothing in it."""
    folders: dict[str, int] = {}
    of_entry = [folders.setdefault(entry.folder, len(folders)) for entry in entries]
    return [
        list(folders),
        of_entry,
        [entry.name for entry in entries],
        bytes(_KINDS.index(entry.kind) for entry in entries),
        [entry.size for entry in entries],
        b"".join(entry.sha256 for entry in entries if entry.sha256 is not None),
        _sparse(entry.link for entry in entries),
        _sparse(entry.mtime for entry in entries),
        _sparse(entry.stamp for entry in entries),
    ]


def _sparse(column: Iterable[object]) -> dict[int, object]:
    return {at: value for at, value in enumerate(column) if value}


def _entries(columns: tuple[Any, ...]) -> tuple[Entry, ...]:
    folders, of_entry, names, kinds, sizes, digests, links, times, stamps = columns
    count = len(names)
    if len(kinds) != count or len(digests) != kinds.count(0) * 32:
        raise ValueError("digests and files differ in number")
    empty = hashlib.sha256().digest()  # one object for all empty files, as when they were taken
    shared = {empty: empty}
    each = (shared.get(digest, digest) for (digest,) in struct.iter_unpack("32s", digests))
    rows = zip(
        map(folders.__getitem__, of_entry),
        names,
        map(_KINDS.__getitem__, kinds),
        sizes,
        [None if kind else next(each) for kind in kinds],
        _full(links, count, ""),
        _full(times, count, 0),
        _full(stamps, count, b""),
        strict=True,
    )
    return tuple(map(tuple.__new__, repeat(Entry), rows))  # what Entry._make does, ten times as fast


def _full(sparse: Mapping[int, Any], count: int, nothing: object) -> Iterable[Any]:
    if not sparse:
        return repeat(nothing, count)
    column = [nothing] * count
    for at, value in sparse.items():
        column[at] = value
    return column


_SHAPE: Final = hashlib.sha256(
    repr((_MEANING, _KINDS, *((made.__name__, _fields(made)) for made in (Inventory, Entry, *_VALUES)))).encode()
).hexdigest()
"""The fields of everything that is stored."""
