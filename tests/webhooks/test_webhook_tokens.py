"""Google's tokens: signed with keys of the test, served by a function."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.errors import IndexUnavailable
from scanner.webhooks import Accepted, Fetched, Keys, Outcome, Refused, receive
from tests.webhooks.payloads import GOOGLE_ENTRY, GOOGLE_NOTICE, NOW, pubsub, source

SOURCE = source(**GOOGLE_ENTRY)
BODY = json.dumps(pubsub(GOOGLE_NOTICE)).encode()
CLAIMS: dict[str, Any] = {
    "iss": "https://accounts.google.com",
    "aud": GOOGLE_ENTRY["audience"],
    "azp": "117",
    "sub": "117",
    "email": GOOGLE_ENTRY["email"],
    "email_verified": True,
    "iat": int(NOW) - 10,
    "exp": int(NOW) + 3600,
}
KEYS = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("one", "two", "stranger")}


def key_set(*kids: str) -> bytes:
    """Public keys as Google serves them."""
    keys = [
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[kid].public_key())), "kid": kid, "alg": "RS256"}
        for kid in kids
    ]
    return json.dumps({"keys": keys}).encode()


@dataclass(kw_only=True)
class Google:
    """Answers for the keys, and counts."""

    answer: Callable[[], Fetched] = field(default=lambda: Fetched(body=key_set("one"), max_age=3600))
    asked: list[str] = field(default_factory=list)

    def fetch(self, url: str) -> Fetched:
        self.asked.append(url)
        return self.answer()


def failing() -> Fetched:
    raise IndexUnavailable("no answer")


def token(claims: dict[str, Any] | None = None, *, kid: str = "one", signed_by: str = "one", **head: Any) -> str:
    """A token; by default a right one."""
    return jwt.encode(claims or CLAIMS, KEYS[signed_by], algorithm="RS256", headers={"kid": kid, **head})


def sent(text: str, keys: Keys | None = None, now: float = NOW) -> Outcome:
    """The push with a token."""
    keys = keys or Keys(Google().fetch)
    return receive(SOURCE, {"Authorization": f"Bearer {text}"}, BODY, now=now, keys=keys)


def status(found: Outcome) -> int:
    """200 for what is accepted."""
    if isinstance(found, Refused):
        assert found.reason.isascii()
        return found.status
    assert isinstance(found, Accepted)
    assert found.pushes
    return 200


def test_a_right_token_is_accepted() -> None:
    google = Google()
    assert status(sent(token(), Keys(google.fetch))) == 200
    assert google.asked == [GOOGLE_ENTRY["keys_url"]]
    assert status(sent(token({**CLAIMS, "iss": "accounts.google.com"}))) == 200


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"aud": "https://other.example"}, 403),
        ({"aud": None}, 401),
        ({"iss": "https://evil.example"}, 403),
        ({"iss": "https://accounts.google.com.evil.example"}, 403),
        ({"iss": None}, 401),
        ({"email": "other@p.iam.gserviceaccount.com"}, 403),
        ({"email": None}, 403),
        ({"email": 7}, 403),
        ({"email": "\ud800"}, 403),
        ({"email_verified": False}, 403),
        ({"email_verified": "true"}, 403),
        ({"email_verified": None}, 403),
        ({"exp": int(NOW) - 31}, 403),
        ({"exp": int(NOW) - 10}, 200),
        ({"exp": None}, 401),
        ({"exp": True}, 401),
        ({"exp": "tomorrow"}, 401),
        ({"exp": float("nan")}, 403),
        ({"iat": int(NOW) + 31}, 403),
        ({"nbf": int(NOW) + 31}, 403),
        ({"nbf": int(NOW) + 10}, 200),
    ],
    ids=str,
)
def test_every_claim_counts(change: dict[str, Any], expected: int) -> None:
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
    assert status(sent(token(claims))) == expected


def test_the_signature_counts() -> None:
    assert status(sent(token(signed_by="stranger"))) == 403
    assert status(sent(token(signed_by="stranger", kid="stranger"))) == 403
    head, claims, signed = token().split(".")
    other = token({**CLAIMS, "email": "x"}).split(".")[1]
    assert status(sent(f"{head}.{other}.{signed}")) == 403
    assert status(sent(f"{head}.{claims}.")) == 403
    none = jwt.encode(CLAIMS, "", algorithm="none", headers={"kid": "one"})
    assert status(sent(none)) == 401
    confused = jwt.encode(CLAIMS, "0" * 32, algorithm="HS256", headers={"kid": "one"})
    assert status(sent(confused)) == 401
    assert status(sent(jwt.encode(CLAIMS, KEYS["one"], algorithm="RS512", headers={"kid": "one"}))) == 401
    assert status(sent(jwt.encode(CLAIMS, KEYS["one"], algorithm="RS256"))) == 401


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60) | st.binary(max_size=60).map(lambda one: one.hex() + ".e30.e30"))
def test_what_is_no_token_is_refused(text: str) -> None:
    assert status(sent(text)) in (401, 403)


def test_a_long_token_is_refused() -> None:
    assert status(sent("a" * 16_385)) == 401
    assert status(sent(token({**CLAIMS, "x": "y" * 20_000}))) == 401


def test_keys_are_kept_as_long_as_they_may_be() -> None:
    google = Google()
    keys = Keys(google.fetch)
    for later in (0, 1, 3599):
        assert status(sent(token({**CLAIMS, "exp": int(NOW) + 9999}), keys, NOW + later)) == 200
    assert len(google.asked) == 1
    assert status(sent(token({**CLAIMS, "exp": int(NOW) + 9999}), keys, NOW + 3601)) == 200
    assert len(google.asked) == 2


def test_a_new_key_is_asked_for_and_an_old_one_is_over() -> None:
    google = Google()
    keys = Keys(google.fetch)
    assert status(sent(token(), keys)) == 200
    google.answer = lambda: Fetched(body=key_set("two"))
    assert status(sent(token(kid="two", signed_by="two"), keys, NOW + 61)) == 200
    assert status(sent(token(), keys, NOW + 62)) == 403


def test_unknown_keys_do_not_make_a_flood() -> None:
    google = Google()
    keys = Keys(google.fetch)
    for number in range(100):
        assert status(sent(token(kid=f"k{number}"), keys, NOW + number / 10)) == 403
    assert len(google.asked) == 1
    assert status(sent(token(kid="x"), keys, NOW + 61)) == 403
    assert len(google.asked) == 2


def test_without_an_answer_it_is_sent_again() -> None:
    google = Google(answer=failing)
    keys = Keys(google.fetch)
    assert status(sent(token(), keys)) == 503
    assert status(sent(token(), keys, NOW + 1)) == 503
    assert len(google.asked) == 1
    assert status(receive(SOURCE, {"Authorization": f"Bearer {token()}"}, BODY, now=NOW)) == 503


def test_old_keys_are_used_on_for_a_day_when_there_is_no_answer() -> None:
    google = Google()
    keys = Keys(google.fetch)
    lasting = token({**CLAIMS, "exp": int(NOW) + 200_000})
    assert status(sent(lasting, keys)) == 200
    google.answer = failing
    assert status(sent(lasting, keys, NOW + 80_000)) == 200
    assert status(sent(lasting, keys, NOW + 86_401)) == 503


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no",
        b"[]",
        b"{}",
        b'{"keys":7}',
        b'{"keys":[]}',
        b'{"keys":[7,{"kty":"RSA","kid":"one"},{"kty":"RSA","kid":"one","n":"!","e":"AQAB"}]}',
        b'{"keys":[{"kty":"oct","kid":"one","k":"AAAA"}]}',
        b'{"keys":[' + b"{}," * 40 + b"{}]}",
        b" " * 300_000,
        b"[" * 100_000,
    ],
    ids=lambda one: str(one[:40]),
)
def test_an_answer_that_is_no_key_set_is_none(body: bytes) -> None:
    assert status(sent(token(), Keys(Google(answer=lambda: Fetched(body=body)).fetch))) == 503
