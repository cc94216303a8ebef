"""Chainguard Libraries without a repository manager between: its indexes, its tokens, and what its refusals mean.

Source: Chainguard's documentation on access and errors. The host has several indexes; ``python`` may also serve copies
of PyPI's files, under the path ``python-upstream`` (:mod:`scanner.indexes.tier`). It has no list of what was fetched.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from scanner.errors import UsageError
from scanner.indexes.tier import CHAINGUARD_HOST

if TYPE_CHECKING:
    from scanner.http import Credentials

_INDEX = re.compile(r"/(?P<name>python|python-remediated|cu\d{3})(?:/(?:simple/?)?)?")
_LONGEST_TOKEN: Final = 64 * 1024
RENEW: Final = "chainctl auth pull-token --repository=python --output env"
_REASONS: Final = {
    "POLICY_ORG_BLOCKLIST": "the organisation's block list has it; whoever keeps its policy can take it out",
    "POLICY_COOLDOWN": "it is younger than the organisation's policy allows; it is served when the time is over",
    "MALWARE_DETECTED": "it is known as malware: do not install it, and look where it may have been installed",
}


def is_chainguard(url: str) -> bool:
    """Whether a URL is of Chainguard's own host."""
    parts = urlsplit(url)
    return parts.scheme == "https" and (parts.hostname or "").lower() == CHAINGUARD_HOST


def index_of(location: str) -> str:
    """The index that a URL names: ``python``, ``python-remediated``, ``cu128`` …

    Raises :class:`scanner.errors.UsageError` for others: ``python-upstream`` is where files are, no index.
    """
    found = _INDEX.fullmatch(urlsplit(location).path)
    if found is None:
        raise UsageError(
            f"{CHAINGUARD_HOST}{urlsplit(location).path[:100]}: no index of Python libraries",
            hint=f"https://{CHAINGUARD_HOST}/python/simple/, …/python-remediated/simple/ or …/cu128/simple/",
        )
    return found["name"]


def expiry(credentials: Credentials | None) -> dt.datetime | None:
    """When a token says that it ends (the claim ``exp`` of a JWT, RFC 7519); None where it does not say.

    Nothing is verified: it is for a hint, never for a decision.
    """
    return _moment(_claims(credentials), "exp")


def lifetime(credentials: Credentials | None) -> dt.timedelta | None:
    """How long a token lives, by its claims ``iat`` (or ``nbf``) and ``exp``; None where it does not say."""
    claims = _claims(credentials)
    begin, end = _moment(claims, "iat") or _moment(claims, "nbf"), _moment(claims, "exp")
    return end - begin if begin is not None and end is not None and begin < end else None


def _claims(credentials: Credentials | None) -> Mapping[str, object]:
    """What the middle part of a JWT says; empty for what is none."""
    token = (credentials.token or credentials.password or "") if credentials is not None else ""
    parts = token.split(".") if len(token) <= _LONGEST_TOKEN else []
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _moment(claims: Mapping[str, object], name: str) -> dt.datetime | None:
    seconds = claims.get(name)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    try:
        return dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def hint(status: int, reason: str, credentials: Credentials | None) -> str | None:
    """What to do about a refusal of Chainguard's; ``reason`` is what the body of a 409 gives as such."""
    match status:
        case 400:
            return "an old form of URL, as proxies keep it: have the proxy forget its page of the project"
        case 401:
            return _about_401(credentials)
        case 403:
            return (
                "the organisation has no entitlement to Python libraries, or another token was sent than you think: "
                f"an old entry of ~/.netrc for {CHAINGUARD_HOST} does the same"
            )
        case 409:
            return _REASONS.get(reason, "changes of policy take up to half an hour")
        case _:
            return None


def _about_401(credentials: Credentials | None) -> str:
    if credentials is None:
        return (
            f'no token was sent: eval "$({RENEW})", or an entry of ~/.netrc for {CHAINGUARD_HOST}; '
            "CHAINGUARD_PYTHON_IDENTITY_ID and CHAINGUARD_PYTHON_TOKEN are both needed"
        )
    end = expiry(credentials)
    if end is not None and end <= dt.datetime.now(dt.UTC):
        return f"the token ended at {end:%Y-%m-%dT%H:%M:%SZ}; a new one: {RENEW}"
    return f"the token was refused: taken back, or of another organisation or host; a new one: {RENEW}"
