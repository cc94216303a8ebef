"""Who looks, and what they may; errors as pages.

With tokens a person signs in with one, and has its rights (:mod:`scanner.service.sessions`). To see takes the right to
read, a button the right to scan. A button is a form that only a page of ours may send: the cookie is
``SameSite=Strict``, and the browser has to say that it was us.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from scanner.errors import CgscanError, DatabaseFailed, UsageError
from scanner.service.api.asked import Asked
from scanner.service.api.neighbours import of_own_page
from scanner.service.api.problems import Refusal
from scanner.service.logs import say
from scanner.service.pages import links
from scanner.service.pages.looks import page
from scanner.service.sessions import Sessions

COOKIE: Final = "cgscan"
COOKIE_OF_HTTPS: Final = f"__Host-{COOKIE}"
"""Browsers take it by https only, and from this host alone."""
_DETAILS: Final = {
    404: "There is nothing here. What was here may have been dropped for its age (serve.keep_days).",
    405: "This address cannot be asked like that.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A person; ``signed_in`` is whether they can sign out."""

    rights: frozenset[str]
    signed_in: bool

    @property
    def may_scan(self) -> bool:
        """Whether there are buttons."""
        return "scan" in self.rights


class SignIn(Exception):
    """Nobody is signed in."""


def is_https(request: Request) -> bool:
    """Whether the browser came by https, as far as anybody says.

    Whoever says so wrongly gets a cookie that their own browser does not send: it is only ever made stricter.
    """
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    origin = request.headers.get("origin", "")
    return request.url.scheme == "https" or forwarded == "https" or origin.startswith("https://")


def sessions_of(request: Request) -> Sessions:
    """The sessions of the application."""
    found = request.app.state.sessions
    assert isinstance(found, Sessions)
    return found


def visitor(request: Request, service: Asked) -> Visitor:
    """Who looks; they may read."""
    if service.tokens.open:
        return Visitor(rights=service.tokens.rights(None) or frozenset(), signed_in=False)
    cookie = request.cookies.get(COOKIE_OF_HTTPS)
    if cookie is None and not is_https(request):
        cookie = request.cookies.get(COOKIE)
    rights = sessions_of(request).rights_of(cookie, now=time.time())
    if rights is None:
        raise SignIn
    if "read" not in rights:
        raise Refusal(403, "this token has no right to read")
    return Visitor(rights=rights, signed_in=True)


Looking = Annotated[Visitor, Depends(visitor)]


def check_sent_by_us(request: Request) -> None:
    """Whether a form was sent from a page of ours; 403 also where the browser does not say."""
    if not of_own_page(request.headers):
        raise Refusal(403, "this form was not sent from a page of this service; programs use /api/v1")


def acting(_: Annotated[None, Depends(check_sent_by_us)], who: Looking) -> Visitor:
    """Who presses a button; they may scan."""
    if not who.may_scan:
        raise Refusal(403, "this token has no right to scan")
    return who


Acting = Annotated[Visitor, Depends(acting)]


# -- errors


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's seam for what surrounds a handler."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:  # noqa: BLE001 - every error is a page
                return in_words(request, error)

        return handled


def in_words(request: Request, error: Exception) -> Response:
    """The page of an error; never a traceback and never a value of ours."""
    if isinstance(error, SignIn):
        return _to_sign_in(request)
    status, words = _told(error)
    if status >= 500:
        say("trouble", reason=f"{type(error).__name__}: {error}")
    answer = page("trouble.html", status=status, title=f"{status} {HTTPStatus(status).phrase}", detail=words)
    if status == 503:
        answer.headers["Retry-After"] = "5"
    return answer


def _told(error: Exception) -> tuple[int, str]:
    """The status of an error, and what a person is told of it."""
    match error:
        case Refusal(status=status, detail=detail):
            told = status, f"{detail[:1].upper()}{detail[1:]}."
        case HTTPException(status_code=status):
            told = status, _DETAILS.get(status, f"{HTTPStatus(status).phrase}.")
        case RequestValidationError():
            told = 404, _DETAILS[404]  # of pages only paths are validated
        case DatabaseFailed():
            told = 503, "The database is out of reach; it is tried again with every page."
        case UsageError():
            told = 422, f"{error}."
        case CgscanError():
            told = 500, f"{error}."
        case _:
            told = 500, "That was not expected; the service's log says more."
    return told


def _to_sign_in(request: Request) -> Response:
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = asked if request.method in ("GET", "HEAD") and asked != "/" else None
    url = links.to("/login", next=back).unescape()
    return RedirectResponse(url, status_code=303, headers={"Cache-Control": "no-store"})
