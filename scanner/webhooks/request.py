"""The headers and the body of a request, read strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from scanner.decoding import Reading, decoded, json_value
from scanner.errors import UsageError
from scanner.webhooks.events import Unacceptable

T = TypeVar("T")

_TOLD: Final = 5
"""Faults of a body that are told."""
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")

RawHeaders: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Headers:
    """Headers by lower-case name, every value that was sent."""

    values: Mapping[str, tuple[str, ...]] = field(repr=False)

    @classmethod
    def of(cls, raw: RawHeaders) -> Headers:
        """Of a mapping, or of pairs, which may have a name twice."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in raw.items() if isinstance(raw, Mapping) else raw:
            found[name.lower()] = (*found.get(name.lower(), ()), value)
        return cls(found)

    def one(self, name: str) -> str | None:
        """The value of a header, None without it. Refused if it stands there twice: who reads which is a way past."""
        found = self.values.get(name.lower(), ())
        if len(found) > 1:
            raise Unacceptable(400, f"the header {name} stands there {len(found)} times")
        return found[0].strip(" \t") if found else None


def bounded(body: bytes, most: int) -> None:
    """Refuse what is too long or not there. The service stops reading at the same bound."""
    if len(body) > most:
        raise Unacceptable(413, f"the body is longer than {most} bytes (body of the source)")
    if not body:
        raise Unacceptable(400, "the body is empty")


def document(headers: Headers, body: bytes) -> object:
    """The body as JSON."""
    form = (headers.one("Content-Type") or "").partition(";")[0].strip().lower()
    if form in _FORMS:
        raise Unacceptable(415, f"the body is {form}; set the content type application/json at the registry")
    if (headers.one("Content-Encoding") or "identity").lower() != "identity":
        raise Unacceptable(415, "the body is encoded; send it as it is")
    try:
        return json_value(body, "the body")
    except UsageError as problem:
        raise Unacceptable(400, _line(str(problem))) from problem


def read(kind: type[T], value: object) -> T:
    """A document as a dataclass, by its annotations; what is not in them may be anything."""
    reading = Reading(strict=False)
    found = decoded(kind, value, reading)
    if found is None:
        told = reading.faults[:_TOLD]
        more = len(reading.faults) - len(told)
        raise Unacceptable(400, _line("; ".join([*told, *([f"and {more} more"] if more else [])])))
    return found


def shape(value: object) -> Mapping[str, Any]:
    """A document that is an object."""
    if not isinstance(value, dict):
        raise Unacceptable(400, "the body is no JSON object")
    return value


def _line(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()[:1000]
