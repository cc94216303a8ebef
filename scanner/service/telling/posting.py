"""One request to a receiver, and what its answer means. Nothing that is said has its URL, which may be a secret."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from scanner.config import Settings
from scanner.errors import CgscanError, ConfigError
from scanner.http import Answer, CertificateRefused, Client, HostUnreachable, RequestFailed, asked_pause, is_loopback
from scanner.service.telling.outbox import Later
from scanner.service.telling.signed import headers_of, secret_of
from scanner.serving import Receiver

SECONDS: Final = 10.0
"""For each step of a request; a whole one takes twice as long at most."""
_MOST_ANSWER: Final = 4096
_WORD: Final = re.compile(rb"[a-z_]{3,40}")
"""What Slack answers: ``invalid_blocks``, ``no_service``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed:
    """A receiver with its URL and secrets."""

    receiver: Receiver
    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)


class Refused(Exception):
    """The receiver does not take it, and will not."""


class Postponed(Exception):
    """It may go well later."""

    def __init__(self, later: Later) -> None:
        super().__init__(later.reason)
        self.later = later


def armed_receivers(
    receivers: tuple[Receiver, ...], environment: Mapping[str, str], plain_http: frozenset[str]
) -> tuple[Armed, ...]:
    """The receivers with what the environment holds. :class:`ConfigError` with every fault, without any value."""
    faults: list[str] = []
    found: list[Armed] = []
    for one in receivers:
        url = one.url or environment.get(one.url_env or "", "").strip()
        fault = _fault_of(url, plain_http)
        if fault:
            faults.append(f"serve.notify {one.name}: {one.url_env or 'url'} {fault}")
        secrets: list[bytes] = []
        for variable in one.secrets:
            try:
                secrets.append(secret_of(environment.get(variable, ""), variable))
            except ConfigError as problem:
                faults.append(f"serve.notify {one.name}: {problem.message}")
        found.append(Armed(receiver=one, url=url, secrets=tuple(secrets)))
    if faults:
        raise ConfigError("the service cannot tell others", faults=faults, hint="see docs/notifications.md")
    return tuple(found)


def _fault_of(url: str, plain_http: frozenset[str]) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "holds no URL"
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url or parts.username:
        return "is not set, or holds no URL of https"
    if parts.scheme == "http" and not is_loopback(host) and not {host, f"{host}:{port or 80}"} & plain_http:
        return f"is not of https; allow it with plain_http: [{host}]"
    return None


class Poster:
    """Posts to one receiver. Its connections are its own, so that it holds nobody else up."""

    def __init__(self, armed: Armed, settings: Settings) -> None:
        self._armed = armed
        self._client = Client(
            limits=replace(settings.limits, request_seconds=min(SECONDS, settings.limits.request_seconds)),
            plain_http=settings.plain_http,
            ca_file=settings.ca_file,
            connections=1,
            tries=1,
        )

    def post(self, message_id: str, document: dict[str, Any]) -> None:
        """Post it, once; :class:`Refused` or :class:`Postponed` where it is not taken."""
        body = json.dumps(document, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        if self._armed.secrets:
            headers |= headers_of(message_id, int(time.time()), body, self._armed.secrets)
        watch = threading.Timer(2 * SECONDS, self._client.close)  # a receiver that drips its answer
        watch.daemon = True
        watch.start()
        try:
            answer = self._client.get(
                self._armed.url, headers=headers, method="POST", form=body, max_bytes=_MOST_ANSWER
            )
        except RequestFailed as problem:
            raise Postponed(_unanswered(problem)) from None  # its words hold the URL
        except CgscanError:
            raise Postponed(Later(reason="it cannot be asked")) from None
        finally:
            watch.cancel()
        _check(answer, self._armed.url)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _unanswered(problem: RequestFailed) -> Later:
    """No answer, in words of our own; for an answer that broke off the receiver may have heard."""
    said = problem.message
    known = {
        CertificateRefused: "its certificate is not trusted",
        HostUnreachable: "it is out of reach",
    }
    ends = ("timed out", "the answer broke off", "the answer comes too slowly", "the answer is longer")
    reason = known.get(type(problem)) or next((end for end in ends if end in said), "no answer")
    return Later(reason=reason, others=True, counts=True)


def _check(answer: Answer, url: str) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    word = _WORD.fullmatch(answer.body.strip())
    told = f": {word[0].decode()}" if word and word[0].decode() not in url else ""
    reason = f"answered {status}{_phrase(status)}{told}"
    if status in (408, 425, 429) or status >= 500:
        whole = status in (429, 502, 503, 504)
        pause = asked_pause(answer.headers)
        raise Postponed(Later(reason=reason, pause=pause, others=whole, counts=status in (502, 503, 504)))
    if 300 <= status < 400:
        reason += "; redirects are not followed"
    raise Refused(reason)


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
