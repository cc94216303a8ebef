"""What is asked of images before a deploy, by namespace: the key ``admission`` of the section ``serve``."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from scanner.sections import read_keys
from scanner.serving.numbers import count, number
from scanner.values import as_coverage, as_switch, shown
from scanner.webhooks.naming import pattern_of

NAMESPACE: Final = r"[a-z0-9*]([a-z0-9*-]{0,61}[a-z0-9*])?"
"""A pattern of namespaces."""
EXEMPT: Final = r"[a-z0-9*][a-z0-9._:/*-]{0,254}"
"""A pattern of images: HOST/REPOSITORY."""
_MOST_ITEMS: Final = 1000
_HOUR: Final = 3600.0
Word = TypeVar("Word", bound=enum.Enum)


class Mode(enum.Enum):
    """How much what is said counts."""

    ENFORCE = "enforce"
    WARN = "warn"
    OFF = "off"


class Say(enum.Enum):
    """What is said of an image."""

    ALLOW = "allow"
    WARN = "warn"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is asked in namespaces that fit one of the patterns.

    ``unknown`` is said of an image without a result, ``failing`` of one whose result breaks the policy, ``tags`` of one
    that is named without its digest. ``min_coverage`` takes the place of the policy's. A result of earlier
    circumstances counts for ``max_age`` seconds. Images that fit a pattern of ``exempt`` are not looked at.
    """

    namespaces: tuple[str, ...] = ()
    mode: Mode = Mode.WARN
    unknown: Say = Say.ALLOW
    failing: Say = Say.DENY
    tags: Say = Say.ALLOW
    min_coverage: float | None = None
    max_age: float = 7 * 24 * _HOUR
    exempt: tuple[str, ...] = ()

    def exempts(self, image: str) -> bool:
        """Whether ``HOST/REPOSITORY`` is left alone."""
        return any(pattern_of(one).fullmatch(image) for one in self.exempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """All rules; the first that fits counts. ``anonymous`` is whether reviews need no token.

    Tags are resolved within ``resolve_seconds`` in all; of one review at most ``images`` images are looked at.
    """

    rules: tuple[Rule, ...] = ()
    default: Rule = field(default_factory=Rule)
    resolve_seconds: float = 1.5
    images: int = 32
    anonymous: bool = False

    def rule(self, namespace: str) -> Rule:
        """The rule of a namespace."""
        fits = (rule for rule in self.rules if any(pattern_of(one).fullmatch(namespace) for one in rule.namespaces))
        return next(fits, self.default)


# -- reading


def as_admission(value: object) -> Admission:
    """The key as a value; ValueError with every fault."""
    faults: list[str] = []
    said = read_keys(value, _KEYS, "", faults)
    rules = tuple(_rule(one, f"namespaces[{at}]", faults) for at, one in enumerate(said.pop("namespaces", ())))
    default = _rule(said.pop("default", None), "default", faults)
    if faults:
        raise ValueError("; ".join(faults))
    return Admission(rules=rules, default=default, **said)


def _rule(value: object, where: str, faults: list[str]) -> Rule:
    named = where != "default"
    readers = {key: read for key, read in _RULE.items() if named or key != "names"}
    said = read_keys(value, readers, where, faults, needed=("names",) if named else ())
    return Rule(**{_FIELDS.get(key, key): one for key, one in said.items()})


def _as_rules(value: object) -> list[object]:
    if not isinstance(value, list) or len(value) > _MOST_ITEMS:
        raise ValueError(f"must be a list of at most {_MOST_ITEMS}")
    return value


def _as_it_is(value: object) -> object:
    return value


def _word(kind: type[Word]) -> Callable[[object], Word]:
    def read(value: object) -> Word:
        said = "off" if value is False else value  # in YAML a bare off is false
        found = next((one for one in kind if one.value == said), None)
        if found is None:
            raise ValueError(f"{shown(value)} is none of {', '.join(str(one.value) for one in kind)}")
        return found

    return read


def _patterns(form: str, what: str) -> Callable[[object], tuple[str, ...]]:
    def read(value: object) -> tuple[str, ...]:
        items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        if not 1 <= len(items) <= _MOST_ITEMS or not all(
            isinstance(one, str) and re.fullmatch(form, one) for one in items
        ):
            raise ValueError(f"must be {what}, or a list of at most {_MOST_ITEMS}")
        return tuple(items)

    return read


_KEYS: Final[Mapping[str, Callable[[object], Any]]] = {
    "namespaces": _as_rules,
    "default": _as_it_is,
    "resolve_seconds": number(0.05, 20),
    "images": count(1, 1000),
    "anonymous": as_switch,
}
_RULE: Final[Mapping[str, Callable[[object], Any]]] = {
    "names": _patterns(NAMESPACE, "a pattern of namespaces (team-*)"),
    "mode": _word(Mode),
    "unknown": _word(Say),
    "failing": _word(Say),
    "tags": _word(Say),
    "min_coverage": as_coverage,
    "max_age_hours": number(0, 24 * 3660, _HOUR),
    "exempt": _patterns(EXEMPT, "a pattern of images (registry.example/base/**)"),
}
_FIELDS: Final = {"names": "namespaces", "max_age_hours": "max_age"}
