"""Headers of a signed message: Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks).

``webhook-signature`` is ``v1,`` and the base64 of HMAC-SHA256 over ``ID.TIMESTAMP.BODY``; one for each secret, with
blanks between, while a secret is changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from scanner.errors import ConfigError

_PREFIX: Final = "whsec_"
_LEAST: Final = 16
"""Bytes of a secret."""


def secret_of(text: str, variable: str) -> bytes:
    """The key in a variable: base64 behind ``whsec_``, else the text itself. :class:`ConfigError` for what is none."""
    key = text.encode()
    if text.startswith(_PREFIX):
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
    if len(key) < _LEAST:
        raise ConfigError(f"{variable} is not set, or holds no secret of at least {_LEAST} bytes")
    return key


def headers_of(message_id: str, timestamp: int, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The three headers; ``timestamp`` in Unix seconds."""
    content = f"{message_id}.{timestamp}.".encode() + body
    marks = [base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{mark}" for mark in marks),
    }
