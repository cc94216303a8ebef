"""What stands in a TOML or JSON file, with its places: leaves, lists and tables."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from scanner.errors import LimitExceeded, UsageError
from scanner.limits import Limits
from scanner.lockfile import Span


@dataclass(slots=True)
class Leaf:
    """A string, number, boolean or date. A string's place is with its quotes."""

    value: object
    at: Span

    @property
    def inside(self) -> Span:
        """The place of a one-line string without its quotes."""
        return Span(self.at.start + 1, self.at.end - 1)


@dataclass(slots=True)
class List:
    """A list between brackets, or one of tables that each have a header of their own (TOML): then it has no place."""

    items: list[Node] = field(default_factory=list)
    at: Span | None = None


@dataclass(slots=True)
class Table:
    """A table or object. ``keys`` are where each key starts.

    ``opened`` is the end of the brace or header that begins it; a table with a header ends with the last value in it or
    below it.
    """

    pairs: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    at: Span | None = None
    opened: int = 0
    braced: bool = False

    def text(self, key: str) -> str | None:
        """The string that stands at a key, if one does."""
        node = self.pairs.get(key)
        return node.value if isinstance(node, Leaf) and isinstance(node.value, str) else None

    def leaf(self, key: str) -> Leaf | None:
        """The leaf at a key."""
        node = self.pairs.get(key)
        return node if isinstance(node, Leaf) else None

    def table(self, key: str) -> Table:
        """The table at a key, an empty one where there is none."""
        node = self.pairs.get(key)
        return node if isinstance(node, Table) else Table()

    def tables(self, key: str) -> Iterator[Table]:
        """The tables in the list at a key."""
        node = self.pairs.get(key)
        return (item for item in node.items if isinstance(item, Table)) if isinstance(node, List) else iter(())

    def pair(self, key: str) -> Span:
        """The place of a key and its value with what separates them from the one before, or from the one after."""
        names = list(self.pairs)
        place, value = names.index(key), end_of(self.pairs[key])
        if place:
            return Span(end_of(self.pairs[names[place - 1]]), value)
        if self.braced and len(names) > 1:
            return Span(self.keys[key], self.keys[names[1]])
        return Span(self.opened, value)


Node: TypeAlias = Leaf | List | Table


def end_of(node: Node) -> int:
    """Where a node ends."""
    assert node.at is not None
    return node.at.end


def plain(node: Node) -> object:
    """The values alone."""
    match node:
        case Leaf(value=value):
            return value
        case List(items=items):
            return [plain(item) for item in items]
        case Table(pairs=pairs):
            return {key: plain(value) for key, value in pairs.items()}


class Counter:
    """Counts what is read, and stops it at the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._values = 0

    def value(self) -> None:
        """One more value."""
        self._values += 1
        if self._values > self._limits.lock_values:
            raise LimitExceeded(f"more than {self._limits.lock_values} values (limit lock_values)")

    def depth(self, depth: int) -> None:
        """So deep inside one another."""
        if depth > self._limits.lock_depth:
            raise LimitExceeded(f"nested deeper than {self._limits.lock_depth} (limit lock_depth)")


def line_of(text: str, place: int) -> int:
    """The number of the line of a place, from 1."""
    return bisect_left(_ends(text), place) + 1


@lru_cache(2)
def _ends(text: str) -> list[int]:
    """Where the lines end: counted anew for every entry, a long file would take its square."""
    return [found.start() for found in re.finditer("\n", text)]


def refused(text: str, place: int, what: str) -> UsageError:
    """What is no such file, with the line."""
    return UsageError(f"line {line_of(text, place)}: {what}")
