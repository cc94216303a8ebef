"""Without tokens, only who is on this machine is answered: not what a page on the internet makes its browser ask.

Such a service listens on loopback, but every browser of the machine reaches it. Two ways lead there: a name of a
stranger that is made to mean 127.0.0.1 (DNS rebinding), told by the ``Host`` header; and a request that a page sends
without seeing its answer (CSRF), told by ``Sec-Fetch-Site`` and ``Origin``, which a page cannot choose. What is no
browser sends neither. With tokens none of this is asked: a page does not have one.

Webhooks are left out: their sources have secrets of their own, and tunnels call this machine by other names. So is
what the configuration lets anybody ask.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from scanner.http import is_loopback
from scanner.service.api.problems import problem

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LEFT_OUT: Final = ("/webhooks/", "/healthz", "/readyz")


class Neighbours:
    """An application that only this machine may ask, ``but`` for some paths; else 403."""

    def __init__(self, app: ASGIApp, *, but: tuple[str, ...] = ()) -> None:
        self._app = app
        self._but = (*_LEFT_OUT, *but)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"].startswith(self._but):
            await self._app(scope, receive, send)
            return
        why = _foreign(Headers(scope=scope), scope["method"])
        if why is None:
            await self._app(scope, receive, send)
        else:
            await problem(403, f"{why}; with serve.tokens it may")(scope, receive, send)


def _foreign(headers: Headers, method: str) -> str | None:
    """Why this may come from a stranger's page."""
    if not is_loopback(_host(headers.get("host", "localhost"))):
        return "without a token, this service is asked as localhost or 127.0.0.1, not by another name"
    if method not in _SAFE and of_own_page(headers) is False:
        return "without a token, no other page may send this"
    return None


def of_own_page(headers: Headers) -> bool | None:
    """Whether a page of ours sent this, by what the browser says; None where nobody says."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site == "same-origin"
    if origin is not None:
        return origin.partition("://")[2].lower() == headers.get("host", "").lower() != ""
    return None


def _host(said: str) -> str:
    """Without its port; ``localhost.`` is localhost."""
    name = said if said.endswith("]") else said.rpartition(":")[0] or said
    return name.lower().removesuffix(".")
