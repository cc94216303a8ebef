"""Asking a service that runs on this machine whether it is ready: the health check of a container."""

from __future__ import annotations

import http.client
import ipaddress
import json
from typing import Final

from scanner.errors import CgscanError
from scanner.serving import Serving

_SECONDS: Final = 4.0
_MOST: Final = 64 * 1024
"""Bytes of an answer."""


def not_ready(serving: Serving) -> str | None:
    """Why the service of this configuration is not ready; None where it is.

    Raises :class:`scanner.errors.CgscanError` where the configuration does not say where it listens.
    """
    if serving.port == 0:
        raise CgscanError("serve.listen has port 0, so nobody knows where it listens", hint="give it a port")
    connection = http.client.HTTPConnection(_reached(serving.host), serving.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return _reason(answer.status, answer.read(_MOST))
    except (OSError, http.client.HTTPException) as problem:
        return f"no answer from {serving.host}:{serving.port}: {problem or type(problem).__name__}"
    finally:
        connection.close()


def _reached(host: str) -> str:
    """Where this machine reaches what listens at ``host``: what listens everywhere is on loopback too."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def _reason(status: int, body: bytes) -> str | None:
    if status == 200:
        return None
    try:
        parts = json.loads(body)["parts"]
        return ", ".join(f"{name} {how}" for name, how in parts.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"it answers with status {status}"
