"""Mappings of a configuration file: what they must be, and keys that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from scanner.values import meant, shown

T = TypeVar("T")
_SECRETS: Final = {
    "username": "username_env",
    "user": "username_env",
    "password": "password_env",
    "secret": "password_env",
    "token": "token_env",
    "api_key": "token_env",
}


def mapping(value: object, where: str, faults: list[str]) -> Mapping[object, Any]:
    """The value as a mapping; what is none is a fault, but for nothing at all."""
    if isinstance(value, Mapping):
        return value
    if value is not None:
        faults.append(f"{where}: must be a mapping (key: value)")
    return {}


def check_keys(tree: Mapping[object, Any], known: Iterable[str], where: str, faults: list[str]) -> None:
    """Keys that are none, with the one that was perhaps meant. Values are not shown: one may be a secret."""
    names = sorted(set(known))
    for key in tree:
        if key in names:
            continue
        path = f"{where}.{shown(key)}" if where else shown(key)
        if str(key).lower() in _SECRETS:
            better = "secret_env" if "secret_env" in names else _SECRETS[str(key).lower()]
            faults.append(
                f"{path}: files are copied and committed, so this one holds no secret; write {better}: VARIABLE"
            )
        else:
            faults.append(f"{path}: there is no such key{meant(str(key), names)}")


def read_keys(
    value: object,
    readers: Mapping[str, Callable[[object], Any]],
    where: str,
    faults: list[str],
    *,
    needed: Iterable[str] = (),
) -> dict[str, Any]:
    """What a mapping says, each key by its reader. Nothing (``key:``) is not said; faults are all there are."""
    tree = mapping(value, where or "it", faults)
    check_keys(tree, readers, where, faults)
    at = f"{where}." if where else ""
    found: dict[str, Any] = {}
    for key, read in readers.items():
        if tree.get(key) is None:
            continue
        try:
            found[key] = read(tree[key])
        except ValueError as problem:
            faults.append(f"{at}{key}: {problem}")
    faults.extend(f"{at}{key}: is missing" for key in needed if tree.get(key) is None)
    return found


def said_by_keys(
    value: object, readers: Mapping[str, Callable[[object], Any]], *, needed: Iterable[str] = ()
) -> dict[str, Any]:
    """The same, as a reader of a value is: ValueError with every fault."""
    faults: list[str] = []
    found = read_keys(value, readers, "", faults, needed=needed)
    if faults:
        raise ValueError("; ".join(faults))
    return found


def each_once(value: object, read: Callable[[object], T], name: Callable[[T], str], *, most: int) -> tuple[T, ...]:
    """A list of at most ``most``, each by a reader, no two of one name; ValueError."""
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"must be a list of at most {most}")
    found = tuple(read(one) for one in value)
    names = [name(one) for one in found]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice")
    return found
