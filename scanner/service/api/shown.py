"""Tokens as machines show them that know no other way than their own."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from fastapi import Request

from scanner.service.api.asked import Service
from scanner.service.api.problems import Refusal

_LONGEST: Final = 4096


def require(service: Service, request: Request, *rights: str, header: str | None = None) -> None:
    """Refuse who has none of the rights. The token is a bearer's, the password of basic, or the whole of ``header``."""
    own = service.tokens.rights(_token(request, header))
    if own is None:
        raise Refusal(401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
    if not own & set(rights):
        raise Refusal(403, f"this token has no right to {' or '.join(rights)}")


def _token(request: Request, header: str | None) -> str | None:
    if header is not None and header in request.headers:
        return request.headers[header].strip()[:_LONGEST]
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    rest = rest.strip()[:_LONGEST]
    if scheme.lower() == "bearer":
        return rest
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(rest.encode(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeError):
        return None
