"""All of it as one application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

import scanner
from scanner.service.api import admission, crawls, harbor, hooks, images, jobs, notifications, operation, problems
from scanner.service.api.answers import Problem
from scanner.service.api.asked import Service
from scanner.service.api.bounds import Bounded
from scanner.service.api.neighbours import Neighbours


def application(service: Service) -> FastAPI:
    """The ASGI application."""
    app = FastAPI(
        title="cgscan",
        version=scanner.__version__,
        description="Which build of every Python distribution the images of a registry run.",
        openapi_url=f"{jobs.ROOT}/openapi.json",
        docs_url=None,  # its pages fetch scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app)
    for part in (jobs, images, hooks, notifications, crawls, harbor, operation):
        app.include_router(part.router)
    admission.install(app, service)
    app.add_middleware(Bounded, most=service.serving.body, longer={admission.PATH: admission.MOST_BODY})
    if service.tokens.open:
        app.add_middleware(Neighbours, but=(admission.PATH,) if service.serving.admission.anonymous else ())
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Put the shape of errors into the description, which refers to it everywhere."""
    made = app.openapi

    def described() -> dict[str, Any]:
        description = made()
        schemas = description.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        return description

    app.openapi = described  # type: ignore[method-assign]
