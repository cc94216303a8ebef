"""JSON documents out of hostile hands: bounded, of the right types, or one clear error.

Keys are matched as they are written. Go, which most runtimes are written in, also takes keys in
other case and the last of two equal ones; a document that two readers read differently is refused
here, so that nothing can be shown to the scanner that the runtime does not see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from scanner.digest import CHUNK, Digest
from scanner.errors import LimitExceeded, UntrustedContent, UsageError

if TYPE_CHECKING:
    from typing import BinaryIO


def read_bounded(stream: BinaryIO, *, limit: int, what: str) -> bytes:
    """All of ``stream``, at most ``limit`` bytes; :class:`LimitExceeded` for more. ``what`` names it in errors."""
    data = bytearray()
    while chunk := stream.read(min(CHUNK, limit + 1 - len(data))):
        data += chunk
        if len(data) > limit:
            raise LimitExceeded(f"{what}: larger than {limit} bytes (limit document)")
    return bytes(data)


def parse_json(data: bytes, *, what: str) -> Node:
    """The JSON value in ``data``, which ``what`` names in errors; :class:`UntrustedContent` for anything else."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError as problem:
        raise UntrustedContent(f"{what}: JSON nested too deeply") from problem
    except ValueError as problem:
        raise UntrustedContent(f"{what}: no JSON ({str(problem)[:200]})") from problem
    return Node(value=value, path="", what=what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value in a document that knows where it stands. ``null`` and absent are the same."""

    value: object
    path: str
    what: str

    @property
    def present(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def __getitem__(self, key: str) -> Node:
        """The member ``key`` of an object; absent in an absent object."""
        members = self._mapping()
        value = members.get(key)
        folded = key.casefold()
        if any(other != key and other.casefold() == folded for other in members):
            self.fail(f"has {key!r} in another spelling, which others read as {key!r}")
        return Node(value=value, path=f"{self.path}.{key}" if self.path else key, what=self.what)

    def items(self) -> list[Node]:
        """The elements of an array; none of an absent one."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            self.fail("is no array")
        return [Node(value=value, path=f"{self.path}[{at}]", what=self.what) for at, value in enumerate(self.value)]

    def text(self) -> str:
        """The string that must be here."""
        if not isinstance(self.value, str):
            self.fail("is missing" if self.value is None else "is no string")
        return _printable(self.value)

    def optional_text(self) -> str | None:
        """The string here, or None if it is absent or empty."""
        return (self.text() or None) if self.present else None

    def flag(self) -> bool:
        """The boolean here; an absent one is false."""
        if self.value is not None and not isinstance(self.value, bool):
            self.fail("is no boolean")
        return bool(self.value)

    def count(self) -> int:
        """The number, zero or more, that must be here."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            self.fail("is missing" if self.value is None else "is no number of bytes or items")
        return self.value

    def digest(self) -> Digest:
        """The digest that must be here."""
        text = self.text()
        try:
            return Digest.parse(text)
        except UsageError:
            self.fail(f"is {text[:100]!r}, which is no sha256, sha384 or sha512 digest")

    def texts(self) -> Mapping[str, str]:
        """An object of strings, such as annotations."""
        return {
            _printable(key): Node(value=value, path=f"{self.path}[{key[:50]!r}]", what=self.what).text()
            for key, value in self._mapping().items()
            if value is not None
        }

    def fail(self, why: str) -> NoReturn:
        """Raise :class:`UntrustedContent` that says where and why."""
        raise UntrustedContent(f"{self.what}: {self.path[:200] or 'the document'} {why}")

    def _mapping(self) -> dict[str, object]:
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            self.fail("is no object")
        return self.value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key that stands twice in one object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _printable(text: str) -> str:
    """``text`` without lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
