"""A vendor's REST interface on a host of its own: JSON documents, bounded, and what refusals mean.

Credentials are shown to the interface's own host: a redirect that leaves it is no answer, and for a deletion none is.
What a server says is shown in part, on one line, and without the secrets that it was shown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlencode

from scanner.errors import IndexUnavailable
from scanner.http import Answer, Client, Credentials, HostUnreachable, RequestFailed, asked_pause
from scanner.indexes.credentials import Origin, hidden, shown

if TYPE_CHECKING:
    from scanner.limits import Limits

_LONGEST_SAID: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A JSON answer; ``body`` is what :func:`json.loads` makes of it, None for an empty one."""

    headers: Mapping[str, str]
    body: object


class Refused(IndexUnavailable):
    """An answer with a status that is none. Where the credentials are not taken (401) nothing else will be answered.

    ``pause`` is how many seconds the server asks to wait for, 0 where it does not say.
    """

    def __init__(self, message: str, *, status: int, pause: float = 0.0, hint: str | None = None) -> None:
        super().__init__(message, whole=status == 401, hint=hint)
        self.status = status
        self.pause = pause


class Rest:
    """The interface below ``base``. ``hints`` say what to do about a status of refusal.

    Whatever goes wrong is an :class:`IndexUnavailable`. All its requests together may take ``index_seconds``.
    """

    def __init__(
        self,
        base: str,
        *,
        client: Client,
        credentials: Credentials | None,
        limits: Limits,
        hints: Mapping[int, str],
    ) -> None:
        self._base = base
        self._client = client
        self._credentials = credentials
        self._limits = limits
        self._hints = hints
        self._until: float | None = None

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Document:
        """A document that must be there."""
        answer = self._ask("GET", path, query)
        if answer.status != 200:
            self.refuse(answer)
        return self._document(answer)

    def find(self, path: str, query: Mapping[str, str | int] | None = None) -> Document | None:
        """A document that may be there; None for a 404."""
        answer = self._ask("GET", path, query)
        if answer.status == 404:
            return None
        if answer.status != 200:
            self.refuse(answer)
        return self._document(answer)

    def delete(self, path: str) -> Document | None:
        """Delete what is there; None where nothing is (404). The document is what the answer says besides."""
        answer = self._ask("DELETE", path, None)
        if answer.status == 404:
            return None
        if answer.status not in (200, 202, 204):
            self.refuse(answer)
        return self._document(answer)

    def post(self, path: str, text: str) -> Document:
        """The answer to a question that is sent as plain text."""
        answer = self._ask("POST", path, None, text)
        if answer.status != 200:
            self.refuse(answer)
        return self._document(answer)

    def refuse(self, answer: Answer) -> NoReturn:
        """Raise what an answer means that is none."""
        said = self.clean(_said(answer.body))
        raise Refused(
            f"{shown(answer.url)}: {'refused' if answer.status in (401, 403) else 'answered with status'} "
            f"{answer.status}{f': {said}' if said else ''}",
            status=answer.status,
            pause=asked_pause(answer.headers),
            hint=self._hints.get(answer.status),
        )

    def clean(self, text: str) -> str:
        """A text of the server's for a message: one short line without our secrets."""
        own = self._credentials
        for secret in (own.password, own.token, own.header().partition(" ")[2]) if own else ():
            text = text.replace(secret, "…") if secret else text
        return hidden("".join(sign if sign.isprintable() else " " for sign in text))[:_LONGEST_SAID].strip()

    def _ask(self, method: str, path: str, query: Mapping[str, str | int] | None, content: str | None = None) -> Answer:
        self._check_time()
        url = f"{self._base}{path}{f'?{urlencode(query)}' if query else ''}"
        plain = {"Content-Type": "text/plain"} if content is not None else {}
        try:
            answer = self._client.get(
                url,
                headers={"Accept": "application/json", **plain},
                credentials=self._credentials,
                max_bytes=self._limits.page,
                method=method,
                form=content.encode() if content is not None else None,
            )
        except RequestFailed as problem:
            lost = isinstance(problem, HostUnreachable) or self._client.offline
            raise IndexUnavailable(hidden(problem.message), whole=lost, hint=problem.hint) from problem
        moved = Origin.of(answer.url) != Origin.of(url) if method == "GET" else answer.url != url
        if moved or 300 <= answer.status < 400:
            raise IndexUnavailable(f"{shown(url)}: sends on to {shown(answer.url)[:_LONGEST_SAID]}, which is not asked")
        return answer

    def _document(self, answer: Answer) -> Document:
        if not answer.body.strip():
            return Document(headers=answer.headers, body=None)
        try:
            return Document(headers=answer.headers, body=json.loads(answer.body))
        except (ValueError, RecursionError) as problem:
            raise IndexUnavailable(
                f"{shown(answer.url)}: answered with something that is no JSON",
                hint="a page to log in, or a proxy between: check the network and the credentials",
            ) from problem

    def _check_time(self) -> None:
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._limits.index_seconds
        if now > self._until:
            seconds = self._limits.index_seconds
            raise IndexUnavailable(
                f"{shown(self._base)}: not asked any more after {seconds:g} seconds (limit index_seconds)", whole=True
            )


def _said(body: bytes) -> str:
    """The message of an error document, or empty.

    Cloudsmith's ``detail``, Google's ``error.message``, Artifactory's ``errors[0].message``.
    """
    try:
        document = json.loads(body[:65536])
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    inner = errors[0] if isinstance(errors, list) and errors else document.get("error")
    text = inner.get("message") if isinstance(inner, dict) else document.get("detail")
    return text if isinstance(text, str) else ""
