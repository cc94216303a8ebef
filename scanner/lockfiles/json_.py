"""JSON with places: where each value stands. As in :mod:`scanner.lockfiles.toml`, the library decides what it says."""

from __future__ import annotations

import json
import re
from typing import Final

from scanner.errors import UsageError
from scanner.limits import Limits
from scanner.lockfile import Span
from scanner.lockfiles.nodes import Counter, Leaf, List, Node, Table, plain, refused

_TOKEN: Final = re.compile(r'[ \t\r\n]*([{}\[\]:,]|"[^"\\]*(?:\\.[^"\\]*)*"|[^\s{}\[\]:,"]+)', re.DOTALL)


def read_json(text: str, *, limits: Limits) -> Table:
    """The tree of a JSON object; :class:`UsageError` for what is none."""
    root = _Walk(text, Counter(limits)).value(1)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"no JSON: {str(problem)[:200]}") from problem
    if not isinstance(root, Table) or plain(root) != values:
        raise UsageError("no JSON object, or one in which the places of its values cannot be told")
    return root


class _Walk:
    def __init__(self, text: str, counter: Counter) -> None:
        self._text = text
        self._counter = counter
        self._at = 0

    def value(self, depth: int) -> Node:
        """The value that begins here."""
        self._counter.value()
        self._counter.depth(depth)
        sign, at = self._next()
        match sign[0]:
            case "{":
                return self._table(at.start, depth)
            case "[":
                return self._list(at.start, depth)
            case "}" | "]" | ":" | ",":
                raise self._wrong("a value is missing")
            case _:
                return Leaf(self._decoded(sign), at)

    def _table(self, start: int, depth: int) -> Table:
        table = Table(opened=self._at, braced=True)
        sign, at = self._next()
        while sign != "}":
            if sign == "," and table.pairs:
                sign, at = self._next()
            name = self._decoded(sign)
            self._expect(":")
            table.pairs[str(name)], table.keys[str(name)] = self.value(depth + 1), at.start
            sign, at = self._next()
        table.at = Span(start, self._at)
        return table

    def _list(self, start: int, depth: int) -> List:
        items: list[Node] = []
        while self._peek() != "]":
            if items:
                self._expect(",")
            items.append(self.value(depth + 1))
        self._next()
        return List(items, Span(start, self._at))

    def _decoded(self, sign: str) -> object:
        try:
            return json.loads(sign)
        except (ValueError, RecursionError):
            raise self._wrong("a value is missing") from None

    def _peek(self) -> str:
        before = self._at
        sign, _ = self._next()
        self._at = before
        return sign

    def _expect(self, sign: str) -> None:
        if self._next()[0] != sign:
            raise self._wrong(f"{sign} is missing")

    def _next(self) -> tuple[str, Span]:
        found = _TOKEN.match(self._text, self._at)
        if not found:
            raise self._wrong("it ends too early")
        self._at = found.end()
        return found[1], Span(*found.span(1))

    def _wrong(self, what: str) -> UsageError:
        return refused(self._text, self._at, f"no JSON: {what}")
