"""The token that Google's Pub/Sub puts on every push: OpenID Connect, signed with RS256.

What is checked (cloud.google.com/pubsub/docs/authenticate-push-subscriptions):

1. the signature, with one of the keys at the configured address; no other algorithm, whatever the token says;
2. ``iss`` is Google, ``aud`` is the audience of the configuration;
3. ``exp`` is not over, ``iat`` and ``nbf`` not to come, give or take half a minute;
4. ``email`` is the account of the configuration, and ``email_verified`` is true.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

from scanner.webhooks.events import Unacceptable
from scanner.webhooks.source import GOOGLE_ISSUERS, WebhookSource

if TYPE_CHECKING:
    from scanner.webhooks.keys import Keys

_LONGEST: Final = 16_384
_SKEW: Final = 30.0
"""Seconds that two clocks may differ."""


def check_token(source: WebhookSource, token: str, *, now: float, keys: Keys | None) -> None:
    """:class:`Unacceptable` unless Google says with it that the account of the source sends to this audience."""
    import jwt  # noqa: PLC0415 - of an extra; only sources of kind google need it

    if len(token) > _LONGEST or not token.isascii():
        raise Unacceptable(401, f"the token is longer than {_LONGEST} characters, or no ASCII")
    if keys is None:
        raise Unacceptable(503, "there are no keys to check the token with")
    # (1) and (2); times are compared with the caller's clock below
    try:
        head = jwt.get_unverified_header(token)
        if head.get("alg") != "RS256" or not isinstance(head.get("kid"), str):
            raise Unacceptable(401, "the token is not signed with RS256 and a named key")
        claims = jwt.decode(
            token,
            keys.key(source.keys_url, head["kid"], now),
            algorithms=["RS256"],
            audience=source.audience,
            issuer=GOOGLE_ISSUERS,
            options={
                "require": ["exp", "iat", "iss", "aud"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidAudienceError as problem:
        raise Unacceptable(403, "the token is for another audience") from problem
    except jwt.InvalidIssuerError as problem:
        raise Unacceptable(403, "the token is not from Google") from problem
    except jwt.InvalidSignatureError as problem:
        raise Unacceptable(403, "the signature of the token is wrong") from problem
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as problem:
        raise Unacceptable(401, "the token is none, or a claim of it is missing") from problem
    _check_times(claims, now)
    _check_account(claims, source)


def _check_times(claims: dict[str, Any], now: float) -> None:
    """(3)"""
    times = {name: claims.get(name, 0) for name in ("exp", "iat", "nbf")}
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in times.values()):
        raise Unacceptable(401, "a time in the token is no number")
    if not times["exp"] > now - _SKEW:
        raise Unacceptable(403, "the token is over")
    if not times["iat"] <= now + _SKEW or not times["nbf"] <= now + _SKEW:
        raise Unacceptable(403, "the token is from the future")


def _check_account(claims: dict[str, Any], source: WebhookSource) -> None:
    """(4)"""
    email = claims.get("email")
    own = (source.email or "").encode()
    given = email.encode("utf-8", "surrogatepass") if isinstance(email, str) else b""
    if not own or not hmac.compare_digest(given, own) or claims.get("email_verified") is not True:
        raise Unacceptable(403, "the token is from another account")
