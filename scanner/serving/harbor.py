"""Harbors that use the service as a scanner: the key ``harbor`` of the section ``serve``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from scanner.policy import ALLOWED
from scanner.sections import read_keys
from scanner.values import as_host, as_hosts, as_name, meant, shown

SEVERITIES: Final = ("None", "Unknown", "Negligible", "Low", "Medium", "High", "Critical")
"""Harbor's words, the least first."""
_MOST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Harbor:
    """One Harbor. ``registry`` is the host where images are fetched, ``known_as`` others that its requests may name.

    ``severities`` are of words of a report (origins, integrities, kinds of findings), in place of ours.
    """

    name: str
    registry: str
    known_as: frozenset[str] = frozenset()
    severities: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def as_harbors(value: object) -> tuple[Harbor, ...]:
    """The key as values; ValueError with every fault."""
    if not isinstance(value, list) or len(value) > _MOST:
        raise ValueError(f"must be a list of at most {_MOST} (- name: …)")
    faults: list[str] = []
    found: list[Harbor] = []
    for at, one in enumerate(value):
        parts = read_keys(one, _KEYS, f"[{at}]", faults, needed=("name", "registry"))
        if parts.get("name") in [harbor.name for harbor in found]:
            faults.append(f"[{at}].name: {parts['name']} is the name of one above")
        if not faults:
            found.append(Harbor(**parts))
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(found)


def _as_severities(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping (upstream: Low)")  # noqa: TRY004 - faults of settings are ValueErrors
    for word, severity in value.items():
        if word not in ALLOWED:
            raise ValueError(f"{shown(word)} is no origin, integrity or kind of finding{meant(str(word), ALLOWED)}")
        if severity not in SEVERITIES:
            raise ValueError(f"{shown(severity)} is none of {', '.join(SEVERITIES)}")
    return MappingProxyType(dict(value))


_KEYS: Final[Mapping[str, Callable[[object], Any]]] = {
    "name": as_name,
    "registry": as_host,
    "known_as": as_hosts,
    "severities": _as_severities,
}
