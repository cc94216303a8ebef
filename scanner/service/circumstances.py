"""What decides a result besides the image: the settings as a fingerprint, and the state of the indexes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

import scanner
from scanner.config import Settings
from scanner.results import states
from scanner.results.database import Database

_ELSEWHERE: Final = frozenset(
    {"outputs", "cache_dir", "jobs", "file", "vex", "ca_file", "authfile", "plain_http", "webhooks"}
)
"""Settings that decide nothing of a verdict."""


def terms_of(settings: Settings) -> str:
    """The fingerprint of all settings that decide something; the same in every process with the same configuration."""
    decides = [(one.name, _written(getattr(settings, one.name))) for one in fields(settings)]
    said = repr((scanner.__version__, [part for part in decides if part[0] not in _ELSEWHERE]))
    return hashlib.sha256(said.encode()).hexdigest()[:40]


def _written(value: object) -> str:
    """Sets have an order of their own in every process."""
    if isinstance(value, frozenset):
        return repr(sorted(map(repr, value)))
    if isinstance(value, tuple | list):
        return repr([_written(one) for one in value])
    if isinstance(value, Mapping):
        return repr(sorted((repr(key), _written(one)) for key, one in value.items()))
    names = getattr(value, "__dataclass_fields__", None)
    if names is None:
        return repr(value)
    return repr([(name, _written(getattr(value, name))) for name in names])


def circumstances(database: Database, settings: Settings) -> str:
    """The settings under the present state of the indexes; one look into the database."""
    with database.reading() as connection:
        return states.circumstances(terms_of(settings), states.serial(connection))
