"""Which copies a purge means: those of a plan file, those that a manager holds now, those in folders of caches."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from scanner.drafting import cached_in, surveyed
from scanner.errors import ConfigError, UsageError
from scanner.planfile import read_plan
from scanner.progress import Progress
from scanner.purge import Wanted, moment
from scanner.stale import LocalCopy, ProxyCopy, Stale
from scanner.values import as_size, shown

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.run import Note

_TOOLS: Final = (
    ("PIP_CACHE_DIR", "pip", "pip"),
    ("UV_CACHE_DIR", "uv", None),
    ("POETRY_CACHE_DIR", "pypoetry", "pypoetry"),
    ("PDM_CACHE_DIR", "pdm", "pdm"),
)
"""Variable, folder below the user's caches, folder below macOS' ``~/Library/Caches`` where it is that."""
_MOST_DAYS: Final = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a purge is for. With a plan, ``managers`` and ``local`` choose of its copies; without one they say where to
    look: in ``folders``. ``rate`` is deletions in a second.
    """

    plan: Path | None = None
    managers: tuple[str, ...] = ()
    local: bool = False
    folders: tuple[Path, ...] = ()
    wanted: Wanted = field(default_factory=Wanted)
    yes: bool = False
    rate: float = 5.0
    journal: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The copies that are meant. ``made`` is when they were found; ``identity`` names the plan, for its journal, and
    ``goes_on`` says that a run for it may be the continuation of another one.
    """

    copies: tuple[Stale, ...]
    made: dt.datetime
    identity: str
    goes_on: bool


def find(asked: Asked, settings: Settings, *, progress: Progress, note: Note) -> Found:
    """Read the plan, or look. Only reads, wherever it looks."""
    if asked.plan is not None:
        return _of_plan(asked.plan, asked, settings)
    if not asked.managers and not asked.folders:
        why = "no cache of pip, uv, Poetry or PDM was found" if asked.local else "nothing to purge is named"
        raise UsageError(why, hint="name the file of a plan, --manager NAME, --local, or folders of caches")
    made = dt.datetime.now(dt.UTC)
    copies: list[Stale] = []
    for name in asked.managers:
        copies += surveyed(name, settings, note=note).copies
    for folder in asked.folders:
        copies += cached_in(folder, settings, progress=progress, note=note)
    words = [made.isoformat(), *asked.managers, *(str(folder) for folder in asked.folders)]
    return Found(copies=tuple(copies), made=made, identity=_digest("\n".join(words).encode()), goes_on=False)


def _of_plan(file: Path, asked: Asked, settings: Settings) -> Found:
    plan = read_plan(file, limits=settings.limits)
    made = moment(plan.made_at)
    if made is None:
        raise UsageError(f"{file}: made_at is no time of day with a time zone", hint="make the plan anew")
    every = not asked.managers and not asked.local and not asked.folders
    proxies = [copy for copy in plan.purge_in_manager if every or copy.manager in asked.managers]
    local = [copy for copy in plan.purge_locally if every or asked.local or asked.folders]
    chosen: list[Stale] = [*proxies, *(copy for copy in local if _is_below(copy, asked.folders))]
    try:
        identity = _digest(file.read_bytes())
    except OSError as problem:
        raise UsageError(f"{file}: cannot be read: {problem.strerror or problem}") from problem
    return Found(copies=tuple(chosen), made=made, identity=identity, goes_on=True)


def _is_below(copy: LocalCopy, folders: Sequence[Path]) -> bool:
    return not folders or any(Path(copy.path).is_relative_to(folder.absolute()) for folder in folders)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def names_of(copies: Sequence[Stale]) -> list[str]:
    """The indexes behind whose managers there is something to delete."""
    return sorted({copy.manager for copy in copies if isinstance(copy, ProxyCopy)})


# -- where tools keep their caches


def usual_stores(environment: Mapping[str, str], platform: str) -> tuple[Path, ...]:
    """Where pip, uv, Poetry and PDM keep a user's caches, by their variables and the system's; those that there are."""
    home = Path(environment.get("HOME", ""))
    own = Path(environment.get("XDG_CACHE_HOME", ""))
    caches = own if own.is_absolute() else home / ".cache"
    places: list[Path] = []
    for variable, name, on_mac in _TOOLS:
        said = Path(environment.get(variable, ""))
        mac = home / "Library/Caches" / on_mac if platform == "darwin" and on_mac else None
        places.append(said if said.is_absolute() else mac or caches / name)
    return tuple(dict.fromkeys(place for place in places if place.is_absolute() and place.is_dir()))


# -- filters, as a person writes them


def wanted_of(flags: Mapping[str, Any]) -> Wanted:
    """The filters by their options' names. :class:`scanner.errors.ConfigError` with every fault."""
    faults: list[str] = []

    def read(option: str, reader: Any) -> Any:
        raw = flags.get(option.removeprefix("--").replace("-", "_"))
        try:
            return None if raw is None else reader(raw)
        except (ValueError, InvalidSpecifier) as problem:
            faults.append(f"{option}: {problem}")
            return None

    wanted = Wanted(
        projects=tuple(flags.get("project", ())),
        versions=read("--versions", SpecifierSet),
        unused=read("--unused", _days),
        least=read("--min-size", as_size),
        everything=bool(flags.get("all")),
        most=read("--limit", _count),
    )
    if faults:
        raise ConfigError("options that make no sense", faults=faults, hint="see 'cgscan purge --help'")
    return wanted


def _days(raw: str) -> dt.timedelta:
    try:
        days = float(raw)
    except ValueError:
        days = math.nan
    if not 0 <= days <= _MOST_DAYS:
        raise ValueError(f"{shown(raw)} is no number of days")
    return dt.timedelta(days=days)


def _count(raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and len(raw) < 10):
        raise ValueError(f"{shown(raw)} is neither a number of deletions nor NAME=VALUE")
    return int(raw)
