"""TLS of the service: certificate and key are read again when their files change, as those who renew them expect."""

from __future__ import annotations

import logging
import ssl
import time
from typing import Final

from scanner.errors import ConfigError
from scanner.service.logs import say
from scanner.serving import Tls

_LOOK: Final = 5.0
"""Seconds between looks at the files."""


def context_of(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 and later; :class:`ConfigError` for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
        if tls.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(tls.client_ca)
    except (OSError, ValueError) as problem:  # an SSLError is an OSError
        files = ", ".join(map(str, tls.files))
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
        hint = "certificate and key are PEM, belong together, and the key has no password"
        raise ConfigError(f"serve.tls: {files}: {reason}", hint=hint) from problem
    return context


class Renewing:
    """The context that connections are made with. :meth:`look` takes over what has changed."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._seen = self._state()
        self._looked = time.monotonic()
        self.context = context_of(tls)

    def look(self) -> None:
        """Take over changed files, at most every few seconds. Files that cannot be used leave all as it is."""
        if time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        state = self._state()
        if state == self._seen:
            return
        try:
            context_of(self._tls)  # as a whole, before anything of the one in use is changed
            self.context.load_cert_chain(self._tls.certificate, self._tls.key, password=_no_password)
            if self._tls.client_ca is not None:
                self.context.load_verify_locations(self._tls.client_ca)
        except (ConfigError, OSError, ValueError) as problem:
            say("certificate not renewed", level=logging.WARNING, reason=str(problem))
            return
        self._seen = state
        say("certificate renewed")

    def _state(self) -> list[tuple[int, int, int] | None]:
        found: list[tuple[int, int, int] | None] = []
        for file in self._tls.files:
            try:
                status = file.stat()
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
            except OSError:
                found.append(None)
        return found


def _no_password() -> str:
    """Asked for a key with a password: openssl would ask on the terminal."""
    raise ValueError("the key has a password")
