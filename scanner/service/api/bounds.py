"""Bodies are bounded before anything reads them, said to be long or not."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scanner.service.api.problems import Refusal, problem


class Bounded:
    """An application whose requests have bodies of at most ``most`` bytes, on some paths ``longer`` ones; else 413."""

    def __init__(self, app: ASGIApp, *, most: int, longer: Mapping[str, int]) -> None:
        self._app = app
        self._most = most
        self._longer = longer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = max(self._most, self._longer.get(scope["path"], 0))
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or len(said) > 18 or int(said) > most:
            await _drain(receive, 4 * most)
            await problem(413, f"the body is longer than {most} bytes (serve.body)")(scope, receive, send)
            return
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise Refusal(413, f"the body is longer than {most} bytes (serve.body)")
            return message

        await self._app(scope, bounded, send)


async def _drain(receive: Receive, most: int) -> None:
    """Read on for a while: many clients do not see an answer that comes before they have sent everything."""
    left = most
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return
