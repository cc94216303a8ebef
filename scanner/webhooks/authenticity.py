"""Is a request the registry's: a secret in it, a signature over it, or a token of Google's.

Every comparison with a secret takes the same time whatever it is compared with, and all secrets of a source are tried
each time, so that neither tells how far a guess was right. Checked before a byte of the body is read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import assert_never

from scanner.webhooks.events import Unacceptable
from scanner.webhooks.keys import Keys
from scanner.webhooks.request import Headers
from scanner.webhooks.source import Auth, WebhookSource
from scanner.webhooks.tokens import check_token


def check(
    source: WebhookSource, headers: Headers, body: bytes, *, url_secret: str | None, now: float, keys: Keys | None
) -> None:
    """:class:`Unacceptable` unless the request is the registry's. ``body`` as it came; ``now`` in Unix seconds."""
    match source.auth:
        case Auth.NONE:
            return
        case Auth.HMAC:
            _check_signature(source, headers, body)
        case Auth.BEARER:
            _check_secret(source, bearer(headers))
        case Auth.HEADER:
            _check_secret(source, _needed(headers, source.shared_header))
        case Auth.BASIC:
            _check_basic(source, headers)
        case Auth.URL:
            if not url_secret:
                raise Unacceptable(401, "the secret is missing in the URL: ?secret=...")
            _check_secret(source, url_secret)
        case Auth.JWT:
            check_token(source, bearer(headers), now=now, keys=keys)
        case _:
            assert_never(source.auth)


def bearer(headers: Headers) -> str:
    """The token of ``Authorization: Bearer``."""
    return _credentials(headers, "Bearer")


def _needed(headers: Headers, name: str) -> str:
    value = headers.one(name)
    if not value:
        raise Unacceptable(401, f"the header {name} is missing or empty")
    return value


def _credentials(headers: Headers, scheme: str) -> str:
    word, _, rest = _needed(headers, "Authorization").partition(" ")
    if word.lower() != scheme.lower() or not rest.strip():
        raise Unacceptable(401, f"the header Authorization is not of the form {scheme} ...")
    return rest.strip()


def _check_secret(source: WebhookSource, given: str) -> None:
    if not _is_one_of(given, source.secrets):
        raise Unacceptable(403, "the secret is none of this source")


def _check_basic(source: WebhookSource, headers: Headers) -> None:
    try:
        pair = base64.b64decode(_credentials(headers, "Basic").encode("ascii", "replace"), validate=True)
    except binascii.Error as problem:
        raise Unacceptable(401, "the header Authorization holds no base64") from problem
    user, _, password = pair.decode("utf-8", "surrogateescape").partition(":")
    right = [_is_one_of(user, [source.username]), _is_one_of(password, source.secrets)]
    if not all(right):
        raise Unacceptable(403, "user and password are not those of this source")


def _check_signature(source: WebhookSource, headers: Headers, body: bytes) -> None:
    signing = source.signing
    given = _needed(headers, signing.header)
    if not given.startswith(signing.prefix):
        raise Unacceptable(401, f"the header {signing.header} does not start with {signing.prefix}")
    digests = [hmac.new(_raw(secret), body, signing.algorithm).hexdigest() for secret in source.secrets]
    if not _is_one_of(given.removeprefix(signing.prefix).lower(), digests):
        raise Unacceptable(403, f"the signature in {signing.header} is not that of the body with this source's secret")


def _is_one_of(given: str, known: Iterable[str]) -> bool:
    """Compared by their hashes, so that not even the length of a secret can be measured."""
    own = hashlib.sha256(_raw(given)).digest()
    return any([hmac.compare_digest(own, hashlib.sha256(_raw(one)).digest()) for one in known])  # noqa: C419 - all tried


def _raw(text: str) -> bytes:
    """Secrets are printable ASCII (:func:`scanner.webhooks.source.armed`); what else was sent is equal to none."""
    return text.encode("utf-8", "surrogatepass")
