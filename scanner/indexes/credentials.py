"""Who we are to an index, and what of a URL may be shown.

Places, first match wins:

1. what the configuration names: environment variables (``token_env``; ``password_env`` with ``username_env``), a
   credential helper or the keyring (:mod:`scanner.indexes.kept`);
2. user and password in the index's URL;
3. for Chainguard's own host: ``CHAINGUARD_PYTHON_IDENTITY_ID`` and ``CHAINGUARD_PYTHON_TOKEN``, as
   ``chainctl auth pull-token --output env`` prints them;
4. the entry of exactly that host in ``$NETRC`` or ``~/.netrc``; an entry ``default`` is for any host and is not used.

The first three are shown to the index's own origin (scheme, host and port) only. A file on another host gets what
netrc has for exactly that host, or nothing: storage behind signed URLs refuses requests that carry more.
"""

from __future__ import annotations

import netrc
import os
import re
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from scanner.errors import UsageError
from scanner.http import Credentials, masked
from scanner.index import IndexSpec
from scanner.indexes.kept import ask_helper, ask_keyring
from scanner.indexes.tier import CHAINGUARD_HOST
from scanner.variables import CHAINGUARD_TOKEN, CHAINGUARD_USER

_ANY_USER: Final = "__token__"
_PORTS: Final = {"http": 80, "https": 443}
# https://dl.cloudsmith.io/<entitlement token>/<owner>/<repository>/: the first segment is a secret
_TOKEN_IN_PATH = re.compile(r"(://(?:[^/@\s]*@)?dl\.cloudsmith\.io(?::\d+)?/)(?!basic/|public/)[^/\s]+/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what credentials are for."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of an absolute URL; :class:`UsageError` where it has none."""
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as problem:
            raise UsageError(f"not a URL: {shown(url)[:300]}") from problem
        if not parts.hostname or not port:
            raise UsageError(f"not a URL of a host: {shown(url)[:300]}")
        return cls(parts.scheme, parts.hostname, port)


def shown(text: str) -> str:
    """A URL as it may be printed and stored: no user, password, query, fragment or entitlement token."""
    return hidden(masked(text))


def hidden(text: str) -> str:
    """A message without the secrets that stand in the paths of URLs."""
    return _TOKEN_IN_PATH.sub(r"\1…/", text)


def bare(url: str) -> str:
    """The URL without user and password; the rest as it stands."""
    head, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{head}{separator}{authority.rpartition('@')[2]}{slash}{path}"


class Keyring:
    """The credentials of one index, by URL. Never printed. Safe to share between threads."""

    def __init__(self, spec: IndexSpec, environment: Mapping[str, str] | None = None) -> None:
        self._spec = spec
        self._environment = os.environ if environment is None else environment
        self._origin = Origin.of(spec.location)
        self._lock = threading.Lock()
        self._kept: Credentials | None = None
        self._user, self._own = _own(spec, self._origin, self._environment)
        self._netrc: Mapping[str, tuple[str, str, str]] = {}
        if self._own is None and not self._is_kept:
            self._netrc = _read_netrc(self._environment)
            self._own = self._from_netrc(self._origin, self._user)
            if self._own is None and self._user is not None:
                self._own = Credentials(username=self._user, password="")

    def __repr__(self) -> str:
        return "Keyring(…)"

    @property
    def _is_kept(self) -> bool:
        """Whether somebody else is to be asked."""
        return self._spec.keyring or bool(self._spec.helper)

    @property
    def has_own(self) -> bool:
        """Whether the index itself is shown credentials."""
        return self._own is not None or self._is_kept

    @property
    def user(self) -> str:
        """Who asks: the user that the index is shown, ``bearer``, or empty. Secrets are renewed, users stay."""
        if self._own is None:
            return ""
        return "bearer" if self._own.token is not None else f"user {self._own.username or ''}"

    def of(self, url: str) -> Credentials | None:
        """What a request for ``url`` may carry. User and password in ``url`` itself are the page's own and go first.

        Raises :class:`scanner.errors.IndexUnavailable` where the keyring or helper has nothing.
        """
        given = _in_url(url)
        if given is not None and given.password is not None:
            return given
        origin = Origin.of(url)
        return self._of_index() if origin == self._origin else self._from_netrc(origin, None)

    def _of_index(self) -> Credentials | None:
        """The index's own; whoever keeps them is asked once."""
        if not self._is_kept:
            return self._own
        with self._lock:
            if self._kept is None:
                self._kept = self._ask()
            return self._kept

    def _ask(self) -> Credentials:
        index = self._spec.name or shown(self._spec.location)
        url = bare(self._spec.location)
        if self._spec.helper:
            return ask_helper(self._spec.helper, url, environment=self._environment, index=index)
        return ask_keyring(url, self._user, index=index)

    def _from_netrc(self, origin: Origin, user: str | None) -> Credentials | None:
        entry = self._netrc.get(origin.host)
        if entry is None or (user is not None and entry[0] != user):
            return None
        return Credentials(username=entry[0], password=entry[2] or "")


def _own(spec: IndexSpec, origin: Origin, environment: Mapping[str, str]) -> tuple[str | None, Credentials | None]:
    """The user that is named so far, and what the variables, the URL or Chainguard's names give."""
    if spec.token_env is not None:
        return None, Credentials(token=_variable(spec.token_env, spec, environment))
    given = _in_url(spec.location)
    user = given.username if given else None
    if spec.username_env is not None:
        user = _variable(spec.username_env, spec, environment)
    if spec.password_env is not None:
        password = _variable(spec.password_env, spec, environment)
        return user, Credentials(username=user or _ANY_USER, password=password)
    if given is not None and given.password is not None:
        return user, Credentials(username=user, password=given.password)
    identity, token = environment.get(CHAINGUARD_USER), environment.get(CHAINGUARD_TOKEN)
    if identity and token and user is None and (origin.scheme, origin.host) == ("https", CHAINGUARD_HOST):
        return user, Credentials(username=identity, password=token)
    return user, None


def _in_url(url: str) -> Credentials | None:
    """User and password in a URL; the password is None where there is only a user."""
    authority = urlsplit(url).netloc
    if "@" not in authority:
        return None
    user, colon, password = authority.rpartition("@")[0].partition(":")
    return Credentials(username=unquote(user), password=unquote(password) if colon else None)


def _variable(name: str, spec: IndexSpec, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if not value:
        raise UsageError(
            f"index {spec.name or shown(spec.location)}: the environment variable {name} is not set",
            hint=f"export {name}, or take its name out of the configuration",
        )
    return value


def _read_netrc(environment: Mapping[str, str]) -> Mapping[str, tuple[str, str, str]]:
    """The entries by host; none without a file. No message holds any content of the file."""
    named = environment.get("NETRC")
    try:
        place = Path(named).expanduser() if named else Path.home() / ".netrc"
        if not place.is_file():
            return {}
        if not named:
            _check_private(place)
        hosts = netrc.netrc(place).hosts
    except netrc.NetrcParseError as problem:
        raise UsageError(f"{place}: cannot be read as a netrc file (line {problem.lineno})") from None
    except (OSError, ValueError, RuntimeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else type(problem).__name__
        raise UsageError(f"{named or '~/.netrc'}: cannot be read ({why})") from None
    return {host.lower(): entry for host, entry in hosts.items() if host != "default"}


def _check_private(place: Path) -> None:
    """The file at the usual place is for its owner only, as ftp, curl's users and Python's netrc expect."""
    found = place.stat()
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{place}: others may read it", hint=f"chmod 600 {place}")
