"""The settings in effect and where each comes from, without a secret: of variables only whether they are set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Final

from scanner.checkup import Effective, Variable
from scanner.config import SETTINGS, Settings
from scanner.index import IndexSpec, Role
from scanner.indexes.credentials import shown
from scanner.limits import DEFAULT_LIMITS
from scanner.variables import KNOWN

_DEFAULT: Final = "default"
_OWN: Final[Mapping[str, str]] = {known.name: known.purpose for known in KNOWN if known.asking}


def effective(settings: Settings, places: Mapping[str, str]) -> tuple[Effective, ...]:
    """Every setting with its value; ``places`` is what :func:`scanner.config.places` gives."""
    values = dict(_values(settings))
    rows = [Effective(name=name, value=value, place=places.get(name, _DEFAULT)) for name, value in values.items()]
    for field in fields(DEFAULT_LIMITS):
        amount = getattr(settings.limits, field.name)
        place = places.get(f"limit.{field.name}")
        if place is not None:
            rows.append(Effective(name=f"limit.{field.name}", value=str(amount), place=place))
    return tuple(rows)


def _values(settings: Settings) -> Iterator[tuple[str, str]]:
    policy = settings.policy
    own: dict[str, object] = {
        "index": [_index(spec) for spec in settings.indexes if spec.role is Role.CHAINGUARD],
        "upstream": [_index(spec) for spec in settings.indexes if spec.role is Role.UPSTREAM],
        "built_only": any(spec.built_only for spec in settings.indexes),
        "config": settings.file,
        "scope": "all-layers" if settings.all_layers else "squashed",
        "output": [f"{one.format}={one.path}" if one.path else one.format for one in settings.outputs],
        "min_coverage": policy.min_coverage,
        "fail_on": sorted(policy.fail_on),
        "min_evidence": policy.min_evidence,
        "no_cache": settings.cache_dir is None,
    }
    for setting in SETTINGS:
        if setting.name in ("limit", "policy"):  # each limit and each part of the policy is a row of its own
            continue
        value = own[setting.name] if setting.name in own else getattr(settings, setting.name, None)
        yield setting.name, _text(value)


def _index(spec: IndexSpec) -> str:
    """Its name, else where it is, without a secret."""
    return spec.name or shown(spec.location)


def _text(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case frozenset():
            return ", ".join(sorted(map(_text, value))) or "none"
        case list() | tuple():
            return ", ".join(map(_text, value)) or "none"
        case _:
            return shown(str(getattr(value, "value", value)))


def variables(settings: Settings, environment: Mapping[str, str]) -> tuple[Variable, ...]:
    """Those that hold secrets of the indexes, and those that change how anything is asked; never a value."""
    rows: dict[str, str] = {}
    for spec in settings.indexes:
        for field in fields(spec):
            name = getattr(spec, field.name) if field.name.endswith("_env") else None
            if isinstance(name, str):
                use = f"{field.name.removesuffix('_env')} of {spec.name or shown(spec.location)}"
                rows[name] = f"{rows[name]}, {use}" if name in rows else use
    own = {name: use for name, use in _OWN.items() if name not in rows}
    found = [Variable(name=name, is_set=bool(environment.get(name)), purpose=use) for name, use in rows.items()]
    around = [
        Variable(name=name, is_set=True, purpose=use)
        for name, use in own.items()
        if environment.get(name) or environment.get(name.lower())
    ]
    return (*found, *around)
