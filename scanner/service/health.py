"""Asking a service that runs on this machine whether it is ready: the health check of a container."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
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
    connection = _connection(serving)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return _reason(answer.status, answer.read(_MOST))
    except (OSError, http.client.HTTPException) as problem:
        return f"no answer from {serving.host}:{serving.port}: {problem or type(problem).__name__}"
    finally:
        connection.close()


def _connection(serving: Serving) -> http.client.HTTPConnection:
    """Nothing secret is sent and only a status is read, so this machine's own certificate need not name it."""
    host = _reached(serving.host)
    if serving.tls is None:
        return http.client.HTTPConnection(host, serving.port, timeout=_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if serving.tls.client_ca is not None:
        try:
            context.load_cert_chain(serving.tls.certificate, serving.tls.key)
        except OSError as problem:
            raise CgscanError(f"serve.tls: {serving.tls.certificate}: {problem.strerror or problem}") from problem
    return http.client.HTTPSConnection(host, serving.port, timeout=_SECONDS, context=context)


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
