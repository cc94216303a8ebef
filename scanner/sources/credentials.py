"""Who we are to a registry: logins as docker and podman keep them.

Places, first match wins (docker/cli ``cli/config``; containers-auth.json(5)):

1. the file given by option: then only that file;
2. ``DOCKER_AUTH_CONFIG``: the JSON itself;
3. the file named by ``REGISTRY_AUTH_FILE``: then no other file;
4. podman's ``$XDG_RUNTIME_DIR/containers/auth.json`` (or ``/run/containers/UID/auth.json``) and
   ``$XDG_CONFIG_HOME/containers/auth.json``;
5. docker's ``$DOCKER_CONFIG/config.json`` or ``~/.docker/config.json``;
6. ``~/.dockercfg``.

Inside one place a helper for the host goes before the helper for all, and that before ``auths``. A helper
that does not work is no error: the image may be public. What went wrong is kept in :attr:`Found.problems` and
told when the registry refuses us. No message holds any content of these files.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from scanner import credentialhelper
from scanner.credentialhelper import TOKEN_USER, Helped, HelperFailed
from scanner.errors import ConfigError
from scanner.limits import MIB
from scanner.reference import DOCKER_HUB

_HUB_KEY: Final = "https://index.docker.io/v1/"
_HUB_HOSTS: Final = ("docker.io", "index.docker.io", "registry-1.docker.io")
_SUFFIX: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NOT_THERE: Final = "credentials not found in native keychain"
_HELPER_SECONDS: Final = 10.0
_LARGEST_FILE: Final = 4 * MIB

Json: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What we may show to one registry and its token server. Never printed but for ``source``.

    ``identity_token`` is an OAuth2 refresh token, ``registry_token`` a bearer token as it stands.
    """

    username: str | None = None
    password: str | None = None
    identity_token: str | None = None
    registry_token: str | None = None
    source: str = ""

    def __repr__(self) -> str:
        return f"Login(… from {self.source})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The login, if there is one, and what could not be asked for one."""

    login: Login | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One parsed file: ``name`` for messages."""

    name: str
    auths: Json
    helpers: Json
    store: object


def find_login(
    host: str, repository: str, *, authfile: Path | None = None, environ: Mapping[str, str] | None = None
) -> Found:
    """The login for ``host/repository``; ``host`` includes the port, Docker Hub is ``docker.io``.

    :class:`ConfigError` names a place that cannot be read or has the wrong shape, never its content.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    for place in _places(authfile, environ):
        login = _from_helpers(place, host, environ, problems) or _from_auths(place, host, repository)
        if login:
            return Found(login=login, problems=tuple(problems))
    return Found(login=None, problems=tuple(problems))


def certificate_files(host: str, *, environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """The certificates (``*.crt``) that ``certs.d`` directories add for ``host`` (containers-certs.d(5)).

    The first directory that exists counts; it may be empty.
    """
    environ = os.environ if environ is None else environ
    home = _home(environ)
    parents = [Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d")]
    if home is not None:
        parents.insert(0, Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "certs.d")
    for parent in parents:
        try:
            return tuple(sorted(path for path in (parent / host).iterdir() if path.suffix == ".crt"))
        except OSError:
            continue
    return ()


# -- places


def _places(authfile: Path | None, environ: Mapping[str, str]) -> Iterator[_Place]:
    if authfile is not None:
        yield _needed(authfile, "the file given with --authfile")
        return
    if text := environ.get("DOCKER_AUTH_CONFIG", "").strip():
        yield _parse(text, "DOCKER_AUTH_CONFIG")
    if named := environ.get("REGISTRY_AUTH_FILE"):
        yield _needed(Path(named), "the file named by REGISTRY_AUTH_FILE")
        return
    for path in _usual_files(environ):
        if content := (_read(path) or "").strip():
            yield _parse(content, str(path))


def _usual_files(environ: Mapping[str, str]) -> Iterator[Path]:
    runtime = environ.get("XDG_RUNTIME_DIR")
    home = _home(environ)
    yield Path(runtime or f"/run/containers/{os.getuid()}") / ("containers/auth.json" if runtime else "auth.json")
    if settings := environ.get("XDG_CONFIG_HOME") or (home and home / ".config"):
        yield Path(settings) / "containers" / "auth.json"
    if folder := environ.get("DOCKER_CONFIG") or (home and home / ".docker"):
        yield Path(folder) / "config.json"
    if home:
        yield home / ".dockercfg"


def _home(environ: Mapping[str, str]) -> Path | None:
    if home := environ.get("HOME"):
        return Path(home)
    try:
        return Path.home()
    except RuntimeError:
        return None


def _needed(path: Path, what: str) -> _Place:
    text = _read(path)
    if text is None:
        raise ConfigError(f"{path}: no such file ({what})")
    return _parse(text or "{}", str(path))


def _read(path: Path) -> str | None:
    """The text of a file; None where there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be read: {problem.strerror or type(problem).__name__}") from problem
    if len(data) > _LARGEST_FILE:
        raise ConfigError(f"{path}: longer than {_LARGEST_FILE} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8") from None


def _parse(text: str, name: str) -> _Place:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # json's own words may quote the text
        raise ConfigError(f"{name}: not JSON", hint="log in again, or take the file away") from None
    whole = _mapping(document, name, "the document")
    if name.endswith(".dockercfg"):
        whole = {"auths": whole}
    return _Place(
        name=name,
        auths=_mapping(whole.get("auths"), name, "auths"),
        helpers=_mapping(whole.get("credHelpers"), name, "credHelpers"),
        store=whole.get("credsStore"),
    )


def _mapping(value: object, name: str, where: str) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: {where} is no JSON object")
    return value


# -- auths


def _from_auths(place: _Place, host: str, repository: str) -> Login | None:
    for wanted in _wanted(host, repository):
        for key in (key for key in place.auths if _means(key, wanted)):
            if login := _entry(_mapping(place.auths[key], place.name, f"auths[{key}]"), place.name, key):
                return login
    return None


def _wanted(host: str, repository: str) -> Iterator[str]:
    """``host/a/b``, ``host/a``, ``host``: the longest first; Docker Hub has several names."""
    parts = repository.split("/")
    for count in range(len(parts), -1, -1):
        for name in _names(host):
            yield "/".join([name, *parts[:count]])


def _names(host: str) -> tuple[str, ...]:
    return _HUB_HOSTS if host == DOCKER_HUB else (host.lower(),)


def _means(key: str, wanted: str) -> bool:
    """Old keys are URLs (``https://host/v1/``) and mean the host; podman's may name a namespace."""
    scheme, separator, rest = key.partition("://")
    plain = rest if separator else scheme
    name, _, path = plain.rstrip("/").partition("/")
    if separator or path in ("v1", "v2"):
        path = ""
    return wanted == "/".join(part for part in (name.lower(), path) if part)


def _entry(entry: Json, name: str, key: str) -> Login | None:
    """One value of ``auths``; None where it is empty, as docker leaves it beside a helper."""
    where = f"auths[{key}]"
    username, password = _text(entry, "username", name, where), _text(entry, "password", name, where)
    if auth := _text(entry, "auth", name, where):
        username, password = _decoded(auth, name, where)
    identity = _text(entry, "identitytoken", name, where)
    token = _text(entry, "registrytoken", name, where)
    if not (username or password or identity or token):
        return None
    return Login(
        username=username or None,
        password=password or None,
        identity_token=identity or None,
        registry_token=token or None,
        source=name,
    )


def _text(entry: Json, field: str, name: str, where: str) -> str | None:
    value = entry.get(field)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{name}: {where}.{field} is no text")
    return value


def _decoded(auth: str, name: str, where: str) -> tuple[str, str]:
    """``auth`` is base64 of ``user:password``; docker cuts NUL bytes off its end."""
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise ConfigError(f"{name}: {where}.auth is not base64 of user:password", hint="log in again")
    return user, password.rstrip("\0")


# -- helpers


def _from_helpers(place: _Place, host: str, environ: Mapping[str, str], problems: list[str]) -> Login | None:
    """Ask the helper for this host, then the one for all."""
    for key, suffix in place.helpers.items():
        if any(_means(key, wanted) for wanted in _names(host)):
            if login := _ask(suffix, key, place.name, environ, problems):
                return login
            break
    if not place.store:
        return None
    return _ask(place.store, _HUB_KEY if host == DOCKER_HUB else host, place.name, environ, problems)


def _ask(suffix: object, server: str, name: str, environ: Mapping[str, str], problems: list[str]) -> Login | None:
    """One helper's answer (docker/docker-credential-helpers); what it says goes into no message."""
    if not isinstance(suffix, str) or not _SUFFIX.fullmatch(suffix):
        raise ConfigError(f"{name}: the name of a credential helper has other signs than letters, digits and _.-")
    program = f"docker-credential-{suffix}"
    path = shutil.which(program, path=environ.get("PATH"))
    if path is None:
        problems.append(f"{program} (named in {name}) is not on PATH")
        return None
    try:
        helped = credentialhelper.ask([path, "get"], server, environment=environ, seconds=_HELPER_SECONDS)
    except HelperFailed as problem:
        problems.append(problem.message.replace(path, program))
        return None
    return _helped(helped, program, problems)


def _helped(done: Helped, program: str, problems: list[str]) -> Login | None:
    if done.status:
        if _NOT_THERE not in done.output.decode(errors="replace"):
            problems.append(f"{program} failed with status {done.status}")
        return None
    try:
        answer = json.loads(done.output)
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, LookupError, TypeError, RecursionError):
        user = secret = None
    if not isinstance(user, str) or not isinstance(secret, str):
        problems.append(f"{program} gave an answer of another shape")
        return None
    if not user and not secret:
        return None
    if user == TOKEN_USER:
        return Login(identity_token=secret, source=program)
    return Login(username=user, password=secret, source=program)
