"""Errors as problem+json (RFC 9457): what went wrong in one sentence, never a traceback and never a value of ours."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from scanner.errors import CgscanError, DatabaseFailed, UsageError
from scanner.service.jobs import Full
from scanner.service.logs import say

MEDIA_TYPE: Final = "application/problem+json"


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail[:2000]}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Errors for the description of a path."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def install(app: FastAPI) -> None:
    """Every error of the application becomes one of these."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSONResponse:
        return problem(error.status, error.detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5]]
        return problem(422, "; ".join(faults))

    @app.exception_handler(HTTPException)
    async def of_framework(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(Full)
    async def full(_: Request, __: Full) -> JSONResponse:
        return problem(429, "the queue is full (serve.most_waiting); nothing was queued", {"Retry-After": "30"})

    @app.exception_handler(CgscanError)
    async def ours(_: Request, error: CgscanError) -> JSONResponse:
        if isinstance(error, DatabaseFailed):
            say("trouble", reason=str(error))
            return problem(503, "the database is out of reach", {"Retry-After": "5"})
        return problem(422 if isinstance(error, UsageError) else 500, str(error))

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        say("unexpected", reason=f"{type(error).__name__}: {error}")
        return problem(500, "unexpected; the service's log says more")
