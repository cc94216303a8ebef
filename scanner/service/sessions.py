"""Sessions of people: a cookie that says until when it counts, signed for the token that was shown.

No session is kept. What signs is made of a secret of the database, which all processes share and no configuration
holds, and of the token's digest: a token that is taken out of the configuration ends its sessions, and who has only
read the digests there signs nothing. Signing out takes the cookie from the browser; a copy of it counts to its end.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final

from sqlalchemy import select

from scanner.results.database import Database
from scanner.results.tables import secrets as kept
from scanner.service.tokens import Tokens

LIFETIME: Final = 12 * 3600
"""Seconds."""
_NAME: Final = "sessions"
_LENGTH: Final = 32
_SHAPE: Final = re.compile(r"([0-9]{1,12})\.[0-9a-f]{64}", re.ASCII)


class Sessions:
    """The sessions of those who have shown one of ``tokens``."""

    def __init__(self, tokens: Tokens, database: Database) -> None:
        self._tokens = tokens
        self._database = database
        self._secret: bytes | None = None

    def opened(self, token: str, *, now: float) -> str | None:
        """The cookie of who shows this token; None for nobody known."""
        if self._tokens.open or self._tokens.rights(token) is None:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        return self._signed(digest, int(now) + LIFETIME)

    def rights_of(self, cookie: str | None, *, now: float) -> frozenset[str] | None:
        """The rights that the token of a cookie has now; None for a cookie that is none, or is over."""
        shape = _SHAPE.fullmatch(cookie or "")
        if shape is None or int(shape[1]) <= now:
            return None
        known = self._tokens.known.items()
        found = [rights for digest, rights in known if _same(self._signed(digest, int(shape[1])), shape[0])]
        return found[0] if found else None

    def _signed(self, digest: bytes, ends: int) -> str:
        if self._secret is None:
            self._secret = secret_of(self._database)
        return f"{ends}.{hmac.new(self._secret, digest + str(ends).encode(), hashlib.sha256).hexdigest()}"


def secret_of(database: Database) -> bytes:
    """What sessions are signed with; the first process to ask makes it."""
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert as inserting  # noqa: PLC0415
        else:
            from sqlalchemy.dialects.sqlite import insert as inserting  # type: ignore[assignment]  # noqa: PLC0415
        made = inserting(kept).values(name=_NAME, value=secrets.token_bytes(_LENGTH))
        connection.execute(made.on_conflict_do_nothing())
        return bytes(connection.execute(select(kept.c.value).where(kept.c.name == _NAME)).scalar_one())


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
