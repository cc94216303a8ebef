"""Credentials that are kept elsewhere: in the system's keyring, or by a program of the user's (a credential helper).

The keyring is asked as pip and uv ask it: for the index's URL, then for its host. A helper gets the URL on its standard
input, as docker's helpers do (docker/docker-credential-helpers), and prints JSON in one of three shapes::

    {"Username": "…", "Secret": "…"}     docker's; the user "<token>" marks a bearer token
    {"username": "…", "password": "…"}
    {"token": "…"}                       a bearer token

Both are asked when the first request is sent, and never offline: they may be slow, ask a person, or open sockets of
their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from scanner import credentialhelper
from scanner.credentialhelper import TOKEN_USER, HelperFailed
from scanner.errors import IndexUnavailable
from scanner.http import Credentials

if TYPE_CHECKING:
    from types import ModuleType

_INSTALL: Final = "install it: pip install 'cgscan[keyring]'"
_SHAPES: Final = 'it prints {"Username": …, "Secret": …}, {"username": …, "password": …} or {"token": …} as JSON'


def ask_keyring(url: str, user: str | None, *, index: str) -> Credentials:
    """What the keyring has for a URL, of ``user`` where one is named; ``index`` is for messages.

    Raises :class:`scanner.errors.IndexUnavailable`: a keyring that is asked for and has nothing is no anonymous access.
    """
    keyring = _keyring(index)
    host = urlsplit(url).netloc
    for service in (url, host):
        found = _looked_up(keyring, service, user, index)
        if found is not None:
            return found
    raise IndexUnavailable(
        f"index {index}: the keyring has no password for {host}",
        whole=True,
        hint=f"keyring set {host} {user or 'USER'}",
    )


def _keyring(index: str) -> ModuleType:
    try:
        import keyring  # noqa: PLC0415 - an extra that few need
    except ImportError:
        raise IndexUnavailable(f"index {index}: there is no keyring to ask", whole=True, hint=_INSTALL) from None
    return keyring


def _looked_up(keyring: ModuleType, service: str, user: str | None, index: str) -> Credentials | None:
    try:
        found: Any = keyring.get_credential(service, user)
        if found is None or not found.password:
            return None
        return Credentials(username=str(found.username or user or ""), password=str(found.password))
    except Exception as problem:  # noqa: BLE001 - back ends are programs of others, and their words may hold a secret
        raise IndexUnavailable(
            f"index {index}: the keyring cannot be asked ({type(problem).__name__})",
            whole=True,
            hint="'keyring diagnose' says which one is used",
        ) from None


def ask_helper(command: Sequence[str], url: str, *, environment: Mapping[str, str], index: str) -> Credentials:
    """What a helper says for a URL; no message has any of its words.

    Raises :class:`scanner.errors.IndexUnavailable`.
    """
    try:
        helped = credentialhelper.ask(command, url, environment=environment)
    except HelperFailed as problem:
        raise IndexUnavailable(f"index {index}: the credential helper {problem.message}", whole=True) from None
    program = command[0]
    if helped.status:
        raise IndexUnavailable(
            f"index {index}: the credential helper {program} failed with status {helped.status}",
            whole=True,
            hint="run it with the index's URL on its standard input",
        )
    found = _credentials(helped.output)
    if found is None:
        raise IndexUnavailable(
            f"index {index}: the credential helper {program} gave an answer of another shape", whole=True, hint=_SHAPES
        )
    return found


def _credentials(output: bytes) -> Credentials | None:
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    if token := _text(answer, "token"):
        return Credentials(token=token)
    for user_key, password_key in (("Username", "Secret"), ("username", "password")):
        user, password = _text(answer, user_key), _text(answer, password_key)
        if user is not None and password:
            return Credentials(token=password) if user == TOKEN_USER else Credentials(username=user, password=password)
    return None


def _text(answer: Mapping[str, object], key: str) -> str | None:
    value = answer.get(key)
    return value if isinstance(value, str) else None
