"""What one origin is shown, what it answers, and what is no answer."""

from __future__ import annotations

import base64
import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from scanner.errors import CgscanError

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class RequestFailed(CgscanError):
    """No answer: unreachable, timed out, refused by TLS, too many redirects, too long."""


class CertificateRefused(RequestFailed):
    """The other side speaks TLS and shows a certificate that is not trusted."""


class HostUnreachable(RequestFailed):
    """Nobody answers at that host: no such name, nobody listens, or no TLS there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one origin is shown: a user and password, or a bearer token. Never printed."""

    username: str | None = None
    password: str | None = None
    token: str | None = None

    def header(self) -> str:
        """The value of ``Authorization``."""
        if self.token is not None:
            if not _TOKEN.fullmatch(self.token):  # the libraries below would show it in their error
                raise RequestFailed("a bearer token holds signs that no header can carry")
            return f"Bearer {self.token}"
        pair = f"{self.username or ''}:{self.password or ''}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def __repr__(self) -> str:
        return "Credentials(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. ``url`` is the last one after redirects; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer whose body is still to be read; ``body`` gives raw bytes and raises RequestFailed when it breaks."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: BinaryIO


def asked_pause(headers: Mapping[str, str]) -> float:
    """Seconds that an answer asks to wait, 0 where it asks for none: a number or an HTTP date (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:6])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):  # no date, or one of no year that this machine counts
        return 0.0
