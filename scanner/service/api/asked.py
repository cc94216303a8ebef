"""What a handler works with, and who may do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from scanner.config import Settings
from scanner.results.database import Database
from scanner.service.api.problems import Refusal
from scanner.service.carrier import Carrier
from scanner.service.circumstances import circumstances
from scanner.service.intake import Intake
from scanner.service.metrics import Metrics
from scanner.service.tokens import Tokens
from scanner.serving import Serving
from scanner.webhooks import Keys, WebhookSource

_BEARER: Final = HTTPBearer(auto_error=False, description="A token of serve.tokens; none for this machine alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """All that a handler works with."""

    database: Database
    carrier: Carrier
    metrics: Metrics
    settings: Settings
    serving: Serving
    tokens: Tokens
    sources: tuple[WebhookSource, ...] = ()
    keys: Keys | None = None
    intake: Intake | None = None
    """Queues for many requests at once; without it each does alone."""
    stopping: Callable[[], bool] = field(default=lambda: False)

    def circumstances(self) -> str:
        """The fingerprint of the settings and the state of the indexes, as one text."""
        return circumstances(self.database, self.settings)


def service_of(request: Request) -> Service:
    """The service of a request."""
    found = request.app.state.service
    assert isinstance(found, Service)
    return found


Asked = Annotated[Service, Depends(service_of)]


def _may(right: str) -> Callable[..., None]:
    def check(service: Asked, shown: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]) -> None:
        rights = service.tokens.rights(shown.credentials if shown else None)
        if rights is None:
            raise Refusal(401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
        if right not in rights:
            raise Refusal(403, f"this token has no right to {right}")

    return check


MAY_READ: Final = Depends(_may("read"))
MAY_SCAN: Final = Depends(_may("scan"))
Most = Annotated[int, Query(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str | None, Query(max_length=8000, description="The field next of the page before")]


def texted(value: str | None, what: str) -> str | None:
    """A text of a query as a database can look for it."""
    if value is not None and ("\0" in value or any("\ud800" <= char <= "\udfff" for char in value)):
        raise Refusal(422, f"{what}: no text")
    return value
