"""The section ``serve`` of ``cgscan.yaml``: how the service listens, keeps, queues and bounds.

Secrets are in the environment: the section names variables. ``CGSCAN_DATABASE`` and ``CGSCAN_QUEUE`` hold whole URLs,
which may have a password in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from scanner.errors import ConfigError, UsageError
from scanner.limits import GIB, KIB
from scanner.sections import check_keys, mapping
from scanner.serving.admission import Admission, as_admission
from scanner.serving.crawling import Crawl, as_crawls
from scanner.serving.harbor import Harbor, as_harbors
from scanner.serving.numbers import count, number
from scanner.serving.telling import Attaching, Receiver, as_attaching, as_receivers
from scanner.serving.tls import Tls, as_tls
from scanner.values import as_hosts, as_name, as_path, as_size, as_variable
from scanner.variables import DATABASE, QUEUE

SECTION: Final = "serve"
RIGHTS: Final = ("read", "scan", "admit")
URL: Final = r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?"
"""Of the service, as others reach it."""
_LISTEN: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSetting:
    """A token of the API: the sha256 of it, as hex, or the environment variable that holds it."""

    name: str
    rights: frozenset[str]
    sha256: str | None = None
    token_env: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the service runs. ``database`` and ``queue`` None are SQLite files in ``folder``.

    ``registries`` are those that may be scanned when the API asks, none for all. ``workers`` are scans at once in one
    process. A job whose worker is silent for ``lease_seconds`` is another's. A scan is bounded by ``scan_seconds`` and
    ``scan_memory``, bytes of address space; a request by ``body``, bytes; the queue by ``most_waiting``, jobs. Every
    ``index_seconds`` the indexes are asked whether they have changed; after ``fresh_seconds`` an image is scanned anew
    also where they have not. ``keep_seconds`` is how long what is old is kept; ``remembered`` how many bytes workers
    share of what scans remember, on PostgreSQL. ``url`` is the address under which others reach the service, without a
    slash at its end. ``notify`` are told, ``attach`` is where reports go, ``crawl`` are walked through.
    """

    host: str = "127.0.0.1"
    port: int = 8087
    folder: Path = Path()
    database: str | None = field(default=None, repr=False)
    queue: str | None = field(default=None, repr=False)
    tokens: tuple[TokenSetting, ...] = ()
    registries: frozenset[str] = frozenset()
    workers: int = 2
    attempts: int = 5
    lease_seconds: float = 30.0
    scan_seconds: float = 1800.0
    scan_memory: int = 8 * GIB
    most_waiting: int = 10_000
    body: int = 1024 * KIB
    fresh_seconds: float = 7 * 24 * 3600.0
    index_seconds: float = 3600.0
    keep_seconds: float = 365 * 24 * 3600.0
    url: str | None = None
    notify: tuple[Receiver, ...] = ()
    attach: Attaching | None = None
    tls: Tls | None = None
    admission: Admission = field(default_factory=Admission)
    harbor: tuple[Harbor, ...] = ()
    remembered: int = 4 * GIB
    crawl: tuple[Crawl, ...] = ()


def serving_of(file: Path | None, environment: Mapping[str, str]) -> Serving:
    """The section of the configuration file, with what the environment holds.

    Raises :class:`scanner.errors.ConfigError` with every fault.
    """
    faults: list[str] = []
    values = _read(_section(file, faults), file, faults)
    for name, variable in (("database", DATABASE), ("queue", QUEUE)):
        if environment.get(variable):
            values[name] = environment[variable]
    if "folder" not in values:
        values["folder"] = _usual_folder(environment, faults)
    if faults:
        raise ConfigError(f"the section {SECTION} makes no sense", faults=faults, hint="see docs/service.md")
    return Serving(**values)


def listening(serving: Serving, text: str, option: str) -> Serving:
    """The same at the address that an option says; :class:`scanner.errors.UsageError`."""
    try:
        return replace(serving, **_as_listen(text))
    except ValueError as problem:
        raise UsageError(f"{option}: {problem}") from problem


def _section(file: Path | None, faults: list[str]) -> Mapping[object, Any]:
    if file is None:
        return {}
    from scanner.yamlfile import read_yaml  # noqa: PLC0415 - as in scanner.config

    return mapping(mapping(read_yaml(file), str(file), faults).get(SECTION), SECTION, faults)


def _read(tree: Mapping[object, Any], file: Path | None, faults: list[str]) -> dict[str, Any]:
    check_keys(tree, KEYS, SECTION, faults)
    values: dict[str, Any] = {}
    for key, reader in KEYS.items():
        if tree.get(key) is None:
            continue
        try:
            read = reader(tree[key])
        except (ValueError, ConfigError) as problem:
            faults.append(f"{SECTION}.{key}: {problem}")
            continue
        values |= read if isinstance(read, dict) else {_FIELDS.get(key, key): read}
    if isinstance(values.get("folder"), Path) and file is not None:
        values["folder"] = file.parent / values["folder"]
    if isinstance(values.get("attach"), Attaching) and file is not None:
        values["attach"] = replace(values["attach"], key=file.parent / values["attach"].key)
    if isinstance(values.get("tls"), Tls) and file is not None:
        values["tls"] = values["tls"].below(file.parent)
    return values


def _usual_folder(environment: Mapping[str, str], faults: list[str]) -> Path:
    """``$XDG_DATA_HOME/cgscan``, else ``~/.local/share/cgscan``."""
    said, home = Path(environment.get("XDG_DATA_HOME", "")), Path(environment.get("HOME", ""))
    if said.is_absolute():
        return said / "cgscan"
    if not home.is_absolute():
        faults.append(f"{SECTION}.folder: there is no home folder; write where the database is to be")
    return home / ".local" / "share" / "cgscan"


def _as_listen(value: object) -> dict[str, Any]:
    found = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 0 <= int(found[2]) <= 65535:
        raise ValueError("must be HOST:PORT, for example 127.0.0.1:8087")
    return {"host": found[1].strip("[]"), "port": int(found[2])}


def _as_place(value: object) -> str:
    """A URL without a password: a file is copied and committed."""
    if not isinstance(value, str) or "://" not in value:
        raise ValueError("must be a URL")
    userinfo, at, _ = value.partition("://")[2].partition("/")[0].rpartition("@")
    if at and ":" in userinfo:
        raise ValueError(f"holds a password; put the URL into {DATABASE} or {QUEUE}")
    return value


def _as_url(value: object) -> str:
    """An address for links: a path may be there, nothing that is secret or behind the path."""
    if not isinstance(value, str) or not re.fullmatch(URL, value):
        raise ValueError("must be a URL like https://cgscan.example, without user, password, query and fragment")
    return value.rstrip("/")


def _as_tokens(value: object) -> tuple[TokenSetting, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list")  # noqa: TRY004 - faults of settings are ValueErrors
    return tuple(_as_token(one) for one in value)


def _as_token(value: object) -> TokenSetting:
    if not isinstance(value, Mapping) or set(value) - {"name", "rights", "sha256", "token_env"}:
        raise ValueError("a token has name, rights and sha256 or token_env, and nothing else")
    rights = value.get("rights", ["read"])
    if not isinstance(rights, list) or not rights or set(map(str, rights)) - set(RIGHTS):
        raise ValueError(f"rights is a list of {', '.join(RIGHTS)}")
    sha256, token_env = value.get("sha256"), value.get("token_env")
    if (sha256 is None) == (token_env is None):
        raise ValueError("a token has either sha256 or token_env")
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", str(sha256)):
        raise ValueError("sha256 is 64 hex digits: of printf %s TOKEN | sha256sum")
    return TokenSetting(
        name=as_name(value.get("name")),
        rights=frozenset(map(str, rights)),
        sha256=sha256,
        token_env=None if token_env is None else as_variable(token_env),
    )


_Reader: TypeAlias = Callable[[object], Any]
KEYS: Final[Mapping[str, _Reader]] = {
    "listen": _as_listen,
    "folder": as_path,
    "database": _as_place,
    "queue": _as_place,
    "tokens": _as_tokens,
    "registries": as_hosts,
    "workers": count(1, 64),
    "attempts": count(1, 20),
    "lease_seconds": number(1, 3600),
    "scan_seconds": number(1, 86_400),
    "scan_memory": as_size,
    "most_waiting": count(1, 10_000_000),
    "body": as_size,
    "fresh_hours": number(0.001, 24 * 366, 3600),
    "index_minutes": number(0.01, 7 * 24 * 60, 60),
    "keep_days": number(1, 36_600, 86_400),
    "url": _as_url,
    "notify": as_receivers,
    "attach": as_attaching,
    "tls": as_tls,
    "admission": as_admission,
    "harbor": as_harbors,
    "remembered": as_size,
    "crawl": as_crawls,
}
"""The keys of the section."""
_FIELDS: Final = {"fresh_hours": "fresh_seconds", "index_minutes": "index_seconds", "keep_days": "keep_seconds"}
