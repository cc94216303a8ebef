"""Who may read, and who may have something scanned.

A token is kept as its sha256 and compared in constant time with every one there is. Without any token the API is open
to this machine alone: a service that others can reach does not start without one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scanner.errors import ConfigError
from scanner.http import is_loopback
from scanner.serving import RIGHTS, Serving

_LEAST: Final = 16
"""Characters of a token: it has to be more than a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens by their digest; ``open`` is whether everybody may do everything."""

    known: Mapping[bytes, frozenset[str]]
    open: bool

    def rights(self, token: str | None) -> frozenset[str] | None:
        """The rights of who shows this token; None for nobody known."""
        if self.open:
            return frozenset(RIGHTS)
        digest = hashlib.sha256((token or "").encode("utf-8", "surrogateescape")).digest()
        found = [rights for known, rights in self.known.items() if hmac.compare_digest(known, digest)]
        return found[0] if found else None


def tokens_of(serving: Serving, environment: Mapping[str, str]) -> Tokens:
    """The tokens of the configuration, read from the environment where they are there.

    Raises :class:`scanner.errors.ConfigError` with every fault.
    """
    known: dict[bytes, frozenset[str]] = {}
    faults: list[str] = []
    for token in serving.tokens:
        if token.sha256 is not None:
            known[bytes.fromhex(token.sha256)] = token.rights
            continue
        value = environment.get(token.token_env or "", "")
        if len(value) < _LEAST:
            faults.append(f"serve.tokens: {token.token_env} is not set, or shorter than {_LEAST} characters")
        known[hashlib.sha256(value.encode()).digest()] = token.rights
    if not known and not is_loopback(serving.host):
        faults.append(f"serve.tokens: {serving.host} is reached by others, so there has to be a token")
    if serving.admission.anonymous and not serving.registries:
        faults.append("serve.admission.anonymous: whoever may ask can have any registry asked; name serve.registries")
    if faults:
        raise ConfigError("the service cannot start", faults=faults, hint="see docs/service.md")
    return Tokens(known=known, open=not known)
