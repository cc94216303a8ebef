"""The public keys with which Google signs tokens, remembered as long as Google says, asked for seldom.

A request names the key it was signed with, and anybody can send one: so an unknown name asks for the keys again at
most once in ``_PAUSE`` seconds, whatever comes. The address of the keys is the configuration's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from scanner.decoding import json_value
from scanner.errors import CgscanError
from scanner.webhooks.events import Unacceptable

MOST_BYTES: Final = 256 * 1024
"""Of one answer; the few keys that there are take 2 KiB."""
_MOST_KEYS: Final = 32
_MOST_URLS: Final = 16
_SHORTEST, _LONGEST = 300.0, 86_400.0
_PAUSE: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer with status 200: its body, and for how many seconds it may be kept (``Cache-Control: max-age``)."""

    body: bytes
    max_age: float | None = None


Fetch: TypeAlias = Callable[[str], Fetched]
"""Get a URL of the configuration. Raises :class:`scanner.errors.CgscanError`; reads no more than ``MOST_BYTES``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    keys: Mapping[str, Any] = field(default_factory=dict)
    fetched: float = 0.0
    fresh_until: float = 0.0
    asked: float = -_PAUSE


class Keys:
    """Public keys by the URL they come from and their ``kid``; for all threads of a process.

    ``fetch`` is called by one thread at a time. When it fails, keys are used on until a day after they came.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def key(self, url: str, kid: str, now: float) -> Any:
        """The key as PyJWT takes it. :class:`Unacceptable` with 403 for a name that is none, 503 where none came."""
        with self._lock:
            kept = self._kept.get(url, _Kept(asked=now - _PAUSE))
            if (now >= kept.fresh_until or kid not in kept.keys) and now - kept.asked >= _PAUSE:
                kept = self._asked(url, kept, now)
        if not kept.keys or now - kept.fetched > _LONGEST:
            raise Unacceptable(503, "the keys to check the token with could not be had; send it again")
        if kid not in kept.keys:
            raise Unacceptable(403, "the token is signed with a key that is none of Google's")
        return kept.keys[kid]

    def _asked(self, url: str, kept: _Kept, now: float) -> _Kept:
        """What is known after asking; what was, if there is no answer."""
        if url not in self._kept and len(self._kept) >= _MOST_URLS:
            self._kept.clear()
        try:
            answer = self._fetch(url)
            keys = _keys(answer.body)
        except CgscanError:
            made = _Kept(keys=kept.keys, fetched=kept.fetched, fresh_until=kept.fresh_until, asked=now)
        else:
            life = min(max(answer.max_age or _SHORTEST, _SHORTEST), _LONGEST)
            made = _Kept(keys=keys, fetched=now, fresh_until=now + life, asked=now)
        self._kept[url] = made
        return made


def _keys(body: bytes) -> Mapping[str, Any]:
    """RSA keys of a JWK set (RFC 7517, 5) by their names; others are left out. :class:`CgscanError` for no set."""
    import jwt  # noqa: PLC0415 - of an extra; only sources of kind google need it

    if len(body) > MOST_BYTES:
        raise CgscanError(f"the keys are longer than {MOST_BYTES} bytes")
    document = json_value(body, "the keys")
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
        raise CgscanError("the keys are no JWK set")
    found: dict[str, Any] = {}
    for one in listed:
        if isinstance(one, dict) and one.get("kty") == "RSA" and isinstance(one.get("kid"), str):
            try:
                found[one["kid"]] = jwt.PyJWK(one, algorithm="RS256").key
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
    if not found:
        raise CgscanError("the keys hold no RSA key")
    return found
