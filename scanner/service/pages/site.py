"""All pages, put into the application of the API."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from scanner.service.pages import distributions, entrance, image, images, overview, queue
from scanner.service.pages.visiting import in_words
from scanner.service.sessions import Sessions

_OF_PROGRAMS = ("/api/", "/admit", "/harbor/", "/webhooks/", "/healthz", "/readyz", "/metrics")


def add_pages(app: FastAPI) -> FastAPI:
    """The application with its pages. What is nowhere is a page for who reads pages, and as before for programs."""
    service = app.state.service
    app.state.sessions = Sessions(service.tokens, service.database)
    for router in (overview.router, images.router, image.router, distributions.router, queue.router, entrance.router):
        app.include_router(router)
    before = app.exception_handlers[HTTPException]

    @app.exception_handler(HTTPException)
    async def of_framework(request: Request, error: HTTPException) -> Response:
        reads = "text/html" in request.headers.get("accept", "")
        if reads and not request.url.path.startswith(_OF_PROGRAMS):
            return in_words(request, error)
        answer = before(request, error)
        return answer if isinstance(answer, Response) else await answer

    return app
