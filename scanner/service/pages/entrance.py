"""Signing in and out; style and script. Nothing of it needs a session."""

from __future__ import annotations

import time
from typing import Annotated, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from scanner.service.api.asked import Asked
from scanner.service.api.problems import Refusal
from scanner.service.pages import links, looks
from scanner.service.pages.visiting import (
    COOKIE,
    COOKIE_OF_HTTPS,
    PageRoute,
    check_sent_by_us,
    is_https,
    sessions_of,
)
from scanner.service.sessions import LIFETIME

router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)
_WRONG: Final = "There is no such token, or it may not read."


@router.api_route("/login", methods=["GET", "HEAD"])
def ask(request: Request, service: Asked) -> Response:
    """The form."""
    after = links.local(request.query_params.get("next", "/"))
    if service.tokens.open:
        return _on_to(after)
    return _form(after)


async def _sent(request: Request) -> dict[str, str]:
    """The fields of the form, whose body is bounded like every other."""
    check_sent_by_us(request)
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return {name: values[0] for name, values in parse_qs(body, max_num_fields=5).items()}
    except ValueError as problem:
        raise Refusal(422, "this is not what the form sends") from problem


@router.post("/login")
def sign_in(request: Request, service: Asked, sent: Annotated[dict[str, str], Depends(_sent)]) -> Response:
    """Take a token, and give a session for it."""
    after = links.local(sent.get("next", "/"))
    if service.tokens.open:
        return _on_to(after)
    token = sent.get("token", "").strip()
    if "read" not in (service.tokens.rights(token) or ()):
        return _form(after, wrong=_WRONG)
    cookie = sessions_of(request).opened(token, now=time.time())
    assert cookie is not None
    answer = _on_to(after)
    secure = is_https(request)
    name = COOKIE_OF_HTTPS if secure else COOKIE
    answer.set_cookie(name, cookie, max_age=LIFETIME, path="/", secure=secure, httponly=True, samesite="strict")
    return answer


@router.post("/logout")
def sign_out(request: Request) -> Response:
    """Take the session out of the browser."""
    check_sent_by_us(request)
    answer = _on_to("/login")
    answer.delete_cookie(COOKIE_OF_HTTPS, path="/", secure=True, httponly=True, samesite="strict")
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
def static(name: str) -> Response:
    """The style sheet or the script."""
    found = looks.file(name)
    if found is None:
        raise Refusal(404, "there is no such file")
    return found


def _form(after: str, *, wrong: str | None = None) -> Response:
    status = 403 if wrong else 200
    return looks.page("login.html", status=status, title="Sign in", after=after, wrong=wrong, places=())


def _on_to(path: str) -> Response:
    return RedirectResponse(path, status_code=303, headers={"Cache-Control": "no-store"})
