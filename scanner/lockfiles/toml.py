"""TOML with places: where each value stands.

:mod:`tomllib` decides what the file says; it does not tell where. This walk finds the places, and is believed only
if it has found the very values that tomllib has: anything else is refused, so that no wrong place is ever written to.
Dialect: TOML 1.0 (https://toml.io/en/v1.0.0).
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from typing import Final

from scanner.errors import UsageError
from scanner.limits import Limits
from scanner.lockfile import Span
from scanner.lockfiles.nodes import Counter, Leaf, List, Node, Table, plain, refused

# No possessive quantifiers: Debian 12's Python, 3.11.2, matches some of them wrongly. Nothing is tried again and again
# without them either: what repeats can be divided in one way only, or nothing follows that could fail.
_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_KEY: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING: Final = re.compile(
    r'''"""[^"\\]*(?:(?:\\.|"{1,2}(?!"))[^"\\]*)*"{3,5}'''
    r"""|\'\'\'[^']*(?:'{1,2}(?!')[^']*)*'{3,5}|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\n]*\'""",
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d[^\s,\]}#]*|[^\s,\]}#=]+")


def read_toml(text: str, *, limits: Limits) -> Table:
    """The tree of a TOML text. :class:`UsageError` with the line for what is none, also where the walk is not sure."""
    walk = _Walk(text, Counter(limits))
    root = walk.document()
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"no TOML: {str(problem)[:200]}") from problem
    if plain(root) != values:
        raise UsageError("TOML of a form in which the places of its values cannot be told")
    return root


@lru_cache(4096)
def _decoded(raw: str) -> object:
    """What a scalar or string means; None for what means nothing, which tomllib will refuse too."""
    if raw[0] in "\"'" and raw[:3] not in ('"""', "'''") and "\\" not in raw:
        return raw[1:-1]
    try:
        return tomllib.loads(f"v = {raw}")["v"]
    except (ValueError, RecursionError):
        return None


class _Walk:
    """One pass over a text. It takes some things that are no TOML, and tomllib does not."""

    def __init__(self, text: str, counter: Counter) -> None:
        self._text = text
        self._counter = counter
        self._at = 0
        self._root = Table(at=Span(0, 0))
        self._open: list[Table] = [self._root]
        """The tables that a key after the last header belongs to, directly or through its parents."""

    def document(self) -> Table:
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return self._root
            if self._text[self._at] == "[":
                self._header()
            else:
                self._pair(self._open[-1], self._open)

    # --- headers and keys ---

    def _header(self) -> None:
        start = self._at
        many = self._text.startswith("[[", start)
        self._at += 2 if many else 1
        names = [name for name, _ in self._key()]
        self._expect("]]" if many else "]")
        self._counter.depth(len(names))
        self._counter.value()
        self._open = [self._root]
        for name in names[:-1]:
            self._open.append(self._below(self._open[-1], name))
        self._open.append(self._named(names[-1], many=many))
        table = self._open[-1]
        if table.at is None or many:
            table.at, table.opened = Span(start, self._at), self._at
        self._grow(self._open)

    def _named(self, name: str, *, many: bool) -> Table:
        """The table of a header: a new one at the end of a list, or the one there."""
        parent = self._open[-1]
        if not many:
            return self._below(parent, name)
        there = parent.pairs.setdefault(name, List())
        if not isinstance(there, List) or there.at is not None:
            raise self._wrong("a list of tables where another value is")
        there.items.append(Table())
        made = there.items[-1]
        assert isinstance(made, Table)
        return made

    def _below(self, parent: Table, name: str) -> Table:
        """The table at a key; of a list of tables the last one."""
        there = parent.pairs.setdefault(name, Table())
        if isinstance(there, List) and there.items:
            there = there.items[-1]
        if not isinstance(there, Table) or there.braced:
            raise self._wrong("a table where another value is")
        return there

    def _key(self) -> list[tuple[str, int]]:
        """The parts of a dotted key, with their starts."""
        parts: list[tuple[str, int]] = []
        while True:
            self._skip(_SPACE)
            found = _KEY.match(self._text, self._at)
            if not found:
                raise self._wrong("a key is missing")
            name = _decoded(found[0]) if found[0][0] in "\"'" else found[0]
            parts.append((str(name), self._at))
            self._counter.value()
            self._counter.depth(len(parts))
            self._at = found.end()
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _pair(self, table: Table, growing: list[Table], depth: int = 1) -> None:
        parts = self._key()
        self._expect("=")
        self._skip(_SPACE)
        value = self._value(depth)
        for name, start in parts[:-1]:
            table.keys.setdefault(name, start)
            table = self._below(table, name)
            growing = [*growing, table]
        name, start = parts[-1]
        if name in table.pairs:
            raise self._wrong("a key that is there already")
        table.pairs[name], table.keys[name] = value, start
        self._grow(growing)

    def _grow(self, tables: list[Table]) -> None:
        """They end here, as far as is known."""
        for table in tables:
            if not table.braced:
                table.at = Span(table.at.start if table.at else self._at, self._at)

    # --- values ---

    def _value(self, depth: int) -> Node:
        self._counter.value()
        self._counter.depth(depth)
        match self._text[self._at : self._at + 1]:
            case "[":
                return self._list(depth)
            case "{":
                return self._braced(depth)
            case '"' | "'":
                return self._leaf(_STRING)
            case _:
                return self._leaf(_SCALAR)

    def _leaf(self, form: re.Pattern[str]) -> Leaf:
        found = form.match(self._text, self._at)
        if not found:
            raise self._wrong("a value is missing, or a string does not end")
        self._at = found.end()
        return Leaf(_decoded(found[0]), Span(*found.span()))

    def _list(self, depth: int) -> List:
        start = self._at
        self._at += 1
        items: list[Node] = []
        while not self._closed("]", _BLANK):
            items.append(self._value(depth + 1))
            self._skip(_BLANK)
            if not self._text.startswith("]", self._at):
                self._expect(",")
        return List(items, Span(start, self._at))

    def _braced(self, depth: int) -> Table:
        start = self._at
        self._at += 1
        table = Table(opened=self._at, braced=True)
        while not self._closed("}", _BLANK):
            self._pair(table, [table], depth + 1)
            self._skip(_BLANK)
            if not self._text.startswith("}", self._at):
                self._expect(",")
        table.at = Span(start, self._at)
        return table

    def _closed(self, bracket: str, blank: re.Pattern[str]) -> bool:
        self._skip(blank)
        if not self._text.startswith(bracket, self._at):
            return False
        self._at += 1
        return True

    # --- signs ---

    def _skip(self, form: re.Pattern[str]) -> None:
        found = form.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _expect(self, sign: str) -> None:
        self._skip(_SPACE)
        if not self._text.startswith(sign, self._at):
            raise self._wrong(f"{sign} is missing")
        self._at += len(sign)

    def _wrong(self, what: str) -> UsageError:
        return refused(self._text, self._at, f"no TOML: {what}")
