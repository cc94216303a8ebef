"""A registry's 401 and our answer to it: Basic, or a bearer token from the server that it names.

distribution/distribution ``docs/content/spec/auth/{token,oauth,scope}.md``; RFC 9110, 11.6.1 for the
challenge. What keeps the credentials where they belong:

1. nothing is shown before the registry asks, and then to the registry or its token server only;
2. the token server is reached over https, unless the registry itself is spoken to in plain http;
3. an address that is private is no token server, unless it is the registry's own host or was named by
   the user: a registry does not choose which machine of our network gets a request with a password.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from scanner.errors import AccessDenied, TargetError
from scanner.http import Answer, Client, Credentials, RequestFailed, is_loopback, literal_address, masked
from scanner.limits import MIB
from scanner.reference import DOCKER_HUB
from scanner.sources.credentials import Found, Login

_CLIENT: Final = "cgscan"
_LONGEST_HEADER: Final = 8192
_LONGEST_ANSWER: Final = 1 * MIB
_SHORTEST_LIFE: Final = 60.0
_LONGEST_LIFE: Final = 86400.0
_MARGIN: Final = 5.0
_NO_OAUTH: Final = frozenset({400, 401, 404, 405})  # ACR, Artifactory, GCR, and who knows only GET
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PART: Final = re.compile(rf'[\s,]*({_WORD})(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?')
_REALM: Final = re.compile(
    r"https?://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?(?:/[!-\"$-\[\]-~]*)?"
)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,65536}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to answer a 401: scheme in lower case, parameters by lower-case name."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read ``WWW-Authenticate``; several fields are joined with commas. What is no challenge is left out."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    header = header[:_LONGEST_HEADER]
    while part := _PART.match(header, position):
        position = part.end()
        name, quoted, plain = part.groups()
        if quoted is None and plain is None:
            found.append((name.lower(), {}))
        elif found:
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].setdefault(name.lower(), value)
    return tuple(Challenge(scheme=scheme, parameters=parameters) for scheme, parameters in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grant:
    """What a token is asked for, and where."""

    realm: str
    service: str | None
    scopes: tuple[str, ...]


class Authority:
    """Answers the challenges of one registry for one repository. Safe to share between threads.

    ``origin`` is the registry's URL without path; ``find`` is called once, when a login is needed first;
    ``named`` are ``host[:port]`` that the user allowed by name; ``scope`` is asked for where a challenge names none.
    """

    def __init__(
        self,
        *,
        client: Client,
        origin: str,
        host: str,
        repository: str,
        find: Callable[[], Found],
        named: frozenset[str] = frozenset(),
        scope: str | None = None,
    ) -> None:
        self._client = client
        self._origin = origin
        self._host = host
        self._repository = repository
        self._find = find
        self._named = named
        self._scope = scope or f"repository:{repository}:pull"
        self._lock = threading.Lock()
        self._found: Found | None = None
        self._shown: Credentials | None = None
        self._grant: _Grant | None = None
        self._ends = 0.0

    def current(self) -> Credentials | None:
        """What to show with the next request: nothing, a login, or a token that still holds."""
        with self._lock:
            if self._grant is not None and time.monotonic() > self._ends:
                self._shown = self._token(self._grant)
            return self._shown

    def answer(self, header: str, *, shown: Credentials | None) -> Credentials:
        """What to show after a 401 with ``WWW-Authenticate: header``, when ``shown`` was shown.

        :class:`AccessDenied` where there is nothing to show, :class:`TargetError` where the token
        server gives no answer.
        """
        with self._lock:
            if self._shown is not None and self._shown is not shown:
                return self._shown  # another thread was here first
            self._shown = self._respond(parse_challenges(header))
            return self._shown

    def denied(self, what: str) -> AccessDenied:
        """The error for a refusal; the hint says how to log in, and what went wrong with helpers."""
        found = self._found or Found(login=None)
        login = f"the login from {found.login.source} does not do" if found.login else "no login was shown"
        command = "docker login" if self._host == DOCKER_HUB else f"docker login {self._host}"
        hints = [f"check the name, or log in with: {command}", *found.problems]
        return AccessDenied(f"{what}; {login}", hint="; ".join(hints))

    # -- with the lock held

    def _login(self) -> Login | None:
        if self._found is None:
            self._found = self._find()
        return self._found.login

    def _respond(self, challenges: tuple[Challenge, ...]) -> Credentials:
        by_scheme = {challenge.scheme: challenge.parameters for challenge in reversed(challenges)}
        login = self._login()
        if login and login.registry_token and "bearer" in by_scheme and self._shown is None:
            return Credentials(token=login.registry_token)
        if "realm" in by_scheme.get("bearer", {}):
            grant = self._granted(by_scheme["bearer"])
            credentials = self._token(grant)
            self._grant = grant
            return credentials
        if login and "basic" in by_scheme and login.username is not None and login.password is not None:
            return Credentials(username=login.username, password=login.password)
        if login and challenges and not {"basic", "bearer"} & by_scheme.keys():
            raise AccessDenied(f"{self._host}: wants a login in a way that cgscan does not know")
        raise self.denied(f"{self._host}/{self._repository}: the registry wants a login (401)")

    def _granted(self, parameters: Mapping[str, str]) -> _Grant:
        scope = parameters.get("scope") or self._scope
        return _Grant(
            realm=self._checked_realm(parameters["realm"]),
            service=parameters.get("service"),
            scopes=tuple(scope.split()),
        )

    def _checked_realm(self, realm: str) -> str:
        parsed = _REALM.fullmatch(realm)
        if not parsed:
            raise AccessDenied(f"{self._host}: names a token server that is no plain URL")
        server, own = urlsplit(realm), urlsplit(self._origin)
        host, shown = server.hostname or "", masked(realm)
        if server.scheme != "https" and own.scheme == "https":
            raise AccessDenied(f"{self._host}: names a token server without TLS, {shown}")
        allowed = host == own.hostname or {host, server.netloc} & self._named
        both_here = is_loopback(host) and is_loopback(own.hostname or "")
        if not allowed and not both_here and _is_private(host):
            raise AccessDenied(
                f"{self._host}: names a token server on a private address, {shown}",
                hint=f"if it is right, allow it with --plain-http {server.netloc}",
            )
        return realm

    def _token(self, grant: _Grant) -> Credentials:
        started = time.monotonic()
        answer = self._asked(grant)
        where = f"token server {masked(grant.realm)} of {self._host}"
        if answer.status in (401, 403):
            raise self.denied(f"{self._host}/{self._repository}: the {where} refuses ({answer.status})")
        if answer.status != 200:
            raise TargetError(f"{where}: answered {answer.status}")
        token, seconds = _read_token(answer.body, where)
        self._ends = started + seconds - _MARGIN
        return Credentials(token=token)

    def _asked(self, grant: _Grant) -> Answer:
        login = self._login()
        try:
            if login and login.identity_token:
                answer = self._post(grant, login.identity_token)
                if answer.status not in _NO_OAUTH:
                    return answer
            return self._get(grant, login)
        except RequestFailed as problem:
            raise TargetError(f"token server of {self._host}: {problem.message}", hint=problem.hint) from problem

    def _post(self, grant: _Grant, identity_token: str) -> Answer:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": identity_token,
            "client_id": _CLIENT,
            "scope": " ".join(grant.scopes),
            **({"service": grant.service} if grant.service else {}),
        }
        return self._client.get(grant.realm, method="POST", form=form, max_bytes=_LONGEST_ANSWER)

    def _get(self, grant: _Grant, login: Login | None) -> Answer:
        query = [("scope", scope) for scope in grant.scopes]
        if grant.service:
            query.insert(0, ("service", grant.service))
        joint = "&" if "?" in grant.realm else "?"
        return self._client.get(
            f"{grant.realm}{joint}{urlencode(query)}", credentials=_basic(login), max_bytes=_LONGEST_ANSWER
        )


def _basic(login: Login | None) -> Credentials | None:
    """Name and password; an identity token stands for the password where there is none (Azure)."""
    if login is None:
        return None
    password = login.password or login.identity_token
    if not password:
        return None
    return Credentials(username=login.username or "<token>", password=password)


def _read_token(body: bytes, where: str) -> tuple[str, float]:
    """Token and seconds; without ``expires_in`` it is 60, and less counts as 60 (the specification)."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise TargetError(f"{where}: the answer is no JSON object")
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise TargetError(f"{where}: the answer holds no token")
    seconds = answer.get("expires_in")
    if not isinstance(seconds, int | float) or not seconds > _SHORTEST_LIFE:
        return token, _SHORTEST_LIFE
    return token, min(seconds, _LONGEST_LIFE)


def _is_private(host: str) -> bool:
    address = literal_address(host)
    return is_loopback(host) or (address is not None and not address.is_global)
