"""The names in a PYZ archive's table of contents: a marshalled list of ``(name, (kind, offset, length))``, or a dict.

Read by hand: :mod:`marshal` trusts its input. Only the types that such a table is made of are known, nothing is
built but texts and small tuples, and every byte is looked at once. Source: CPython's ``Python/marshal.c``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

_REFERENCED: Final = 0x80
_MOST: Final = 300_000
"""Values; a module has six."""
_DEPTH: Final = 8
_LONG: Final = struct.Struct("<i")
_Value: TypeAlias = "str | tuple[_Value, ...] | None"


class Unmarshalled(Exception):
    """It is no such table."""


def module_names(data: bytes) -> Iterator[str]:
    """The names of the modules; :class:`Unmarshalled` for anything else than such a table."""
    table = _Reader(data).value(0)
    if not isinstance(table, tuple):
        raise Unmarshalled
    for entry in table:
        name = entry[0] if isinstance(entry, tuple) and entry else None
        if isinstance(name, str):
            yield name


class _Reader:
    """A position in the data; ``_known`` are the values that later ones refer to."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._count = 0
        self._known: list[_Value] = []

    def value(self, depth: int) -> _Value:
        """The next value: texts and tuples; numbers and everything else that is known by its length are None."""
        kind = self._take(1)[0]
        self._count += 1
        if depth > _DEPTH or self._count > _MOST:
            raise Unmarshalled
        place = len(self._known)
        if kind & _REFERENCED:
            self._known.append(None)
        value = self._of(kind & ~_REFERENCED, depth)
        if kind & _REFERENCED:
            self._known[place] = value
        return value

    def _of(self, kind: int, depth: int) -> _Value:
        kinds = chr(kind)
        if kinds in "zZ":
            return self._text(self._take(1)[0])
        if kinds in "aAut":
            return self._text(self._number())
        if kinds in "([)":
            return self._several(self._take(1)[0] if kinds == ")" else self._number(), depth)
        if kinds == "{":
            return self._pairs(depth)
        if kinds == "r":
            return self._known_at(self._number())
        self._passed(kinds)
        return None

    def _passed(self, kind: str) -> None:
        """Pass over what is known by its length."""
        if kind == "i":
            self._take(4)
        elif kind == "l":
            self._take(2 * abs(self._number()))
        elif kind == "s":
            self._take(self._number())
        elif kind not in "NTF":
            raise Unmarshalled

    def _several(self, count: int, depth: int) -> tuple[_Value, ...]:
        if not 0 <= count <= len(self._data):
            raise Unmarshalled
        return tuple(self.value(depth + 1) for _ in range(count))

    def _pairs(self, depth: int) -> tuple[_Value, ...]:
        pairs: list[_Value] = []
        while self._data[self._at : self._at + 1] != b"0":
            pairs.append((self.value(depth + 1), self.value(depth + 1)))
        self._at += 1
        return tuple(pairs)

    def _known_at(self, place: int) -> _Value:
        if not 0 <= place < len(self._known):
            raise Unmarshalled
        return self._known[place]

    def _text(self, size: int) -> str:
        return self._take(size).decode("utf-8", "replace")

    def _number(self) -> int:
        number: int = _LONG.unpack(self._take(4))[0]
        return number

    def _take(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        if size < 0 or len(data) < size:
            raise Unmarshalled
        self._at += size
        return data
