"""JSON of strangers -> frozen dataclasses, read by their own annotations; every fault is told with its path.

What is read so may come from another machine and another person. So: bounded in size, a value of the wrong type is
never made to fit, numbers are finite, names are normalised already, digests are digests, and no key is taken twice.
"""

from __future__ import annotations

import enum
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from packaging.utils import NormalizedName, canonicalize_name

from scanner.digest import Digest
from scanner.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from scanner.limits import Limits

T = TypeVar("T")

MOST_FAULTS: Final = 20
"""Told of one document; how many there are more is said."""
_LONGEST: Final = 65_536
_LARGEST: Final = 1 << 62


class Wrong(Exception):
    """A value that is not what it should be; the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a document is read, and what is wrong with it.

    ``names`` are types that annotations name without importing them. ``absent`` has the values of fields that may be
    left out though the dataclass has no default. ``strict`` refuses keys that there are not.
    """

    names: Mapping[str, Any] = field(default_factory=dict)
    absent: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = True
    faults: list[str] = field(default_factory=list)

    def fault(self, where: str, why: str) -> None:
        """Note what is wrong at a path of the document."""
        self.faults.append(f"{where or 'it'}: {why}")

    def check(self, what: str, hint: str) -> None:
        """:class:`ConfigError` with all that is wrong, if anything is."""
        if self.faults:
            more = len(self.faults) - MOST_FAULTS
            told = [*self.faults[:MOST_FAULTS], *([f"and {more} faults more"] if more > 0 else [])]
            raise ConfigError(what, faults=told, hint=hint)


def json_of(path: Path, *, limits: Limits) -> object:
    """What a JSON file says; no longer than the limit ``kept_total``. :class:`UsageError` for anything else."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.kept_total + 1)
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    if len(data) > limits.kept_total:
        raise UsageError(f"{path}: longer than {limits.kept_total} bytes (limit kept_total)")
    return json_value(data, str(path))


def json_value(data: bytes | str, what: str) -> object:
    """What JSON says; :class:`UsageError` for no JSON, keys that stand there twice, and numbers that are none."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except Wrong as problem:
        raise UsageError(f"{what}: {problem}") from problem
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"{what}: no JSON") from problem


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise Wrong(f"the key {next(ascii(name)[:80] for name in names if names.count(name) > 1)} stands there twice")
    return found


def _no_number(word: str) -> object:
    raise Wrong(f"{word} is no number")


def decoded(kind: type[T], value: object, reading: Reading, where: str = "") -> T | None:
    """The value as a dataclass, None where anything of it is wrong: that is in ``reading.faults`` then."""
    if not isinstance(value, dict):
        reading.fault(where, "is no object")
        return None
    before = len(reading.faults)
    known = {_key(part): part for part in fields(kind)}  # type: ignore[arg-type]
    if reading.strict:
        for key in value.keys() - known.keys():
            reading.fault(_below(where, ascii(key)[1:-1][:80]), "there is no such key")
    hints = _hints(typing.cast("Any", kind), tuple(reading.names.items()))
    found = {
        part.name: _field(part, hints[part.name], value, reading, _below(where, key)) for key, part in known.items()
    }
    if len(reading.faults) > before:
        return None
    return kind(**found)


def named(key: str) -> Mapping[str, str]:
    """The metadata of a field whose key in the document is no name of Python's: ``field(metadata=named("a-b"))``."""
    return {"key": key}


def _key(part: Field[Any]) -> str:
    return str(part.metadata.get("key", part.name))


@lru_cache(256)
def _hints(kind: Any, names: tuple[tuple[str, Any], ...]) -> Mapping[str, Any]:
    return typing.get_type_hints(kind, localns=dict(names))


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _field(part: Field[Any], hint: Any, value: Mapping[str, Any], reading: Reading, where: str) -> Any:
    if _key(part) in value:
        return _value(hint, value[_key(part)], reading, where)
    if part.name in reading.absent:
        return reading.absent[part.name]
    if part.default is not MISSING:
        return part.default
    if part.default_factory is not MISSING:
        return part.default_factory()
    reading.fault(where, "is missing")
    return None


def _value(hint: Any, value: object, reading: Reading, where: str) -> Any:
    """A value of a field; None, with a fault noted, for one of another type."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _value(_present(inside), value, reading, where)
    if origin is tuple:
        return tuple(_each(inside[0], value, reading, where))
    if origin is dict:
        return _mapping(inside[1], value, reading, where)
    if is_dataclass(hint) and hint is not Digest:
        return decoded(typing.cast("type[object]", hint), value, reading, where)
    try:
        return _single(hint, value)
    except Wrong as problem:
        reading.fault(where, str(problem))
        return None


def _present(hints: Iterable[Any]) -> Any:
    """The one type of ``X | None``."""
    [hint] = [one for one in hints if one is not type(None)]
    return hint


def _each(hint: Any, value: object, reading: Reading, where: str) -> Iterable[Any]:
    if not isinstance(value, list):
        reading.fault(where, "is no list")
        return ()
    return [_value(hint, one, reading, f"{where}[{number}]") for number, one in enumerate(value)]


def _mapping(hint: Any, value: object, reading: Reading, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        reading.fault(where, "is no object")
        return {}
    return {key: _value(hint, one, reading, _below(where, ascii(key)[1:-1][:80])) for key, one in value.items()}


def _single(hint: Any, value: object) -> Any:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _word(hint, value)
    reader = _SINGLE.get(hint)
    assert reader is not None, f"no reader for {hint}"
    return reader(value)


def _word(words: type[enum.Enum], value: object) -> enum.Enum:
    found = [word for word in words if word.value == value]
    if not found:
        raise Wrong(f"{_shown(value)} is none of {', '.join(str(word.value) for word in words)}")
    return found[0]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Wrong(f"{_shown(value)} is no text")
    if len(value) > _LONGEST:
        raise Wrong(f"is a text of more than {_LONGEST} characters")
    return value


def _name(value: object) -> NormalizedName:
    text = _text(value)
    name = canonicalize_name(text)
    if not text or name != text:
        raise Wrong(f"{_shown(value)} is no normalised name of a project")
    return name


def _digest(value: object) -> Digest:
    try:
        return Digest.parse(_text(value))
    except UsageError as problem:
        raise Wrong(f"{_shown(value)} is no digest") from problem


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _LARGEST:
        raise Wrong(f"{_shown(value)} is no whole number from 0 on")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"{_shown(value)} is neither true nor false")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > _LARGEST or math.isnan(value):
        raise Wrong(f"{_shown(value)} is no number")
    return float(value)


def _shown(value: object) -> str:
    match value:
        case list():
            return "a list"
        case dict():
            return "an object"
        case int() if not isinstance(value, bool) and abs(value) > _LARGEST:
            return "a number of many digits"
        case _:
            return ascii(value)[:80]


_SINGLE: Final[Mapping[Any, Callable[[object], Any]]] = {
    str: _text,
    int: _count,
    bool: _switch,
    float: _number,
    Digest: _digest,
    NormalizedName: _name,
}
