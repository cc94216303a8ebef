"""TLS of the service: certificate and key are read again when their files change, as those who renew them expect."""

from __future__ import annotations

import logging
import ssl
import time
from typing import Final

from scanner.errors import ConfigError
from scanner.service.logs import say
from scanner.serving import Tls

_LOOK: Final = 1.0
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
            context.options |= ssl.OP_NO_TICKET  # a session that is taken up again shows no certificate
            context.num_tickets = 0
    except (OSError, ValueError) as problem:  # an SSLError is an OSError
        files = ", ".join(map(str, tls.files))
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
        hint = "certificate and key are PEM, belong together, and the key has no password"
        raise ConfigError(f"serve.tls: {files}: {reason}", hint=hint) from problem
    return context


class Renewing:
    """The context that connections are made with. :meth:`look` takes over what has changed.

    A handshake is handed to the newest context as a whole: one that had new files loaded into it would go on to trust
    an authority that was taken out, and to show a certificate of another kind of key.
    """

    def __init__(self, tls: Tls, *, every: float = _LOOK) -> None:
        self._tls = tls
        self._every = every
        self._seen = self._state()
        self._looked = time.monotonic()
        self._newest = context_of(tls)
        self.context = context_of(tls)
        self.context.sni_callback = self._hand_over  # called for every handshake, also for one that names no server

    def look(self) -> None:
        """Take over changed files, looking every so many seconds. Files that cannot be used leave all as it is."""
        if time.monotonic() - self._looked < self._every:
            return
        self._looked = time.monotonic()
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._newest = context_of(self._tls)
        except ConfigError as problem:  # half of them may have been written; the other half is a change too
            say("certificate not renewed", level=logging.WARNING, reason=problem.message)
            return
        say("certificate renewed")

    def _hand_over(self, connection: ssl.SSLObject, *_: object) -> None:
        connection.context = self._newest

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
