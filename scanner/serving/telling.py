"""``serve.notify`` and ``serve.attach``: who is told what, and where reports are attached.

A URL that is itself the secret is in the environment, as secrets and passwords are: the section names variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from scanner.sections import each_once, said_by_keys
from scanner.serving.numbers import count
from scanner.values import as_name, as_path, as_text, as_url_without_secrets, as_variable, shown
from scanner.variables import KEY_PASSWORD
from scanner.webhooks.settings import as_pattern

KINDS: Final = ("webhook", "slack")
EVENTS: Final = ("broken", "mended", "finding", "dead")
PREDICATES: Final = ("vsa", "report")
HOSTS: Final = r"[a-z0-9*\[][a-z0-9.:*\]-]{0,254}"
MOST_RECEIVERS: Final = 32
MOST_ITEMS: Final = 100
_MOST_PATTERNS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who is told. ``url`` or ``url_env``; ``secrets`` are variables, several while a secret is changed; ``registries``
    and ``repositories`` are patterns, none for all; ``most`` is how many items of a kind one message lists.
    """

    name: str
    kind: str
    url: str | None = field(default=None, repr=False)
    url_env: str | None = None
    secrets: tuple[str, ...] = ()
    events: frozenset[str] = frozenset(EVENTS)
    registries: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    most: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Attaching:
    """Where reports are attached to their images, signed by ``key``: in ``registries``, which are patterns."""

    registries: tuple[str, ...]
    key: Path
    password_env: str = KEY_PASSWORD
    repositories: tuple[str, ...] = ()
    predicates: tuple[str, ...] = PREDICATES
    verifier: str | None = None


def as_receivers(value: object) -> tuple[Receiver, ...]:
    """The list of receivers."""
    return each_once(value, _receiver, lambda one: one.name, most=MOST_RECEIVERS)


def _receiver(value: object) -> Receiver:
    values = said_by_keys(value, RECEIVER_KEYS, needed=("name", "kind"))
    receiver = Receiver(**{_FIELDS.get(key, key): one for key, one in values.items()})
    if receiver.kind == "slack":
        if receiver.url or not receiver.url_env or receiver.secrets:
            raise ValueError(f"{receiver.name}: the URL of a slack receiver is its secret: write url_env alone")
    elif (receiver.url is None) == (receiver.url_env is None):
        raise ValueError(f"{receiver.name}: a receiver has either url or url_env")
    elif not receiver.secrets:
        raise ValueError(f"{receiver.name}: secret_env is missing: the variable with what messages are signed with")
    return receiver


def as_attaching(value: object) -> Attaching:
    """Where reports are attached."""
    return Attaching(**said_by_keys(value, ATTACH_KEYS, needed=("registries", "key")))


def _word(known: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in known:
            raise ValueError(f"{shown(value)} is none of {', '.join(known)}")
        return str(value)

    return read


def _several(read: Callable[[object], Any], most: int = _MOST_PATTERNS) -> Callable[[object], tuple[Any, ...]]:
    """One, or a list of them."""

    def read_all(value: object) -> tuple[Any, ...]:
        items = value if isinstance(value, list) else [value]
        if not 1 <= len(items) <= most:
            raise ValueError(f"must be one, or a list of at most {most}")
        return tuple(dict.fromkeys(read(item) for item in items))

    return read_all


def _as_hosts(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(HOSTS, value):
        raise ValueError("must be HOST or HOST:PORT, with * for any part of it")
    return value


def _as_endpoint(value: object) -> str:
    """The URL of a receiver, as a file may have it."""
    text = as_url_without_secrets(value)
    if not text.startswith(("https://", "http://")) or not urlsplit(text).hostname:
        raise ValueError("must be a URL of https")
    if "?" in text or "#" in text:
        raise ValueError("has a query, which may be a secret; write url_env: VARIABLE")
    return text


def _as_verifier(value: object) -> str:
    text = as_text(value)
    if not urlsplit(text).scheme or " " in text or not text.isprintable():
        raise ValueError("must be a URI")
    return text


_patterns = _several(as_pattern)
_hosts = _several(_as_hosts)
_events = _several(_word(EVENTS))
RECEIVER_KEYS: Final[Mapping[str, Callable[[object], Any]]] = {
    "name": as_name,
    "kind": _word(KINDS),
    "url": _as_endpoint,
    "url_env": as_variable,
    "secret_env": _several(as_variable, 8),
    "events": lambda value: frozenset(_events(value)),
    "registries": _hosts,
    "repositories": _patterns,
    "most": count(1, MOST_ITEMS),
}
"""What a receiver may say."""
ATTACH_KEYS: Final[Mapping[str, Callable[[object], Any]]] = {
    "registries": _hosts,
    "key": as_path,
    "password_env": as_variable,
    "repositories": _patterns,
    "predicates": _several(_word(PREDICATES)),
    "verifier": _as_verifier,
}
"""What attaching may say."""
_FIELDS: Final = {"secret_env": "secrets"}
