"""Whose request is it: right and forged, over the raw bytes, in constant time, with several secrets."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.webhooks import Accepted, Outcome, Refused, WebhookSource, receive
from tests.webhooks.payloads import NOW, OTHER, SAMPLES, SECRET, Sample, basic, signature, source

EVERY = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())


def refused(found: Outcome, status: int) -> str:
    """The reason of a refusal with a status: one line of ASCII without a secret."""
    assert isinstance(found, Refused), found
    assert found.status == status, found
    assert found.reason.isascii()
    assert found.reason.isprintable()
    assert SECRET not in found.reason
    return found.reason


@EVERY
def test_forged_is_refused(sample: Sample) -> None:
    for secret in ("wrong", SECRET[:-1], SECRET + "x", SECRET.upper(), "é\ud800", "\U0001f40d"):
        headers, url_secret = sample.signed(secret="wrong") if not secret.isascii() else sample.signed(secret=secret)
        if not secret.isascii() and url_secret:
            url_secret = secret
        found = receive(sample.source, headers, sample.body, now=NOW, url_secret=url_secret)
        refused(found, 403)


@EVERY
def test_what_shows_nothing_is_refused(sample: Sample) -> None:
    refused(receive(sample.source, sample.headers, sample.body, now=NOW), 401)
    headers, _ = sample.signed()
    empty = {name: "" if name == sample.sign.split()[0] else value for name, value in headers.items()}
    refused(receive(sample.source, empty, sample.body, now=NOW, url_secret=""), 401)


@EVERY
def test_a_header_counts_in_any_case_and_once(sample: Sample) -> None:
    headers, secret = sample.signed()
    for cased in (str.lower, str.upper):
        found = receive(
            sample.source,
            {cased(name): value for name, value in headers.items()},
            sample.body,
            now=NOW,
            url_secret=secret,
        )
        assert isinstance(found, Accepted)
    if secret is None:
        name = sample.sign.split()[0]
        for twice in ([*headers.items(), (name.lower(), "x")], [(name.upper(), headers[name]), *headers.items()]):
            assert "2 times" in refused(receive(sample.source, twice, sample.body, now=NOW), 400)


@EVERY
def test_a_body_that_was_touched_is_not_the_signed_one(sample: Sample) -> None:
    if "sha" not in sample.sign:
        return
    headers, _ = sample.signed()
    refused(receive(sample.source, headers, sample.body + b" ", now=NOW), 403)
    refused(receive(sample.source, headers, sample.body.replace(b"1.4", b"1.5"), now=NOW), 403)


@EVERY
def test_while_a_secret_is_changed_both_count(sample: Sample) -> None:
    both = source(**{**sample.entry, "secret_env": ["HOOK_NEXT", "HOOK"]})
    for secret in (SECRET, OTHER):
        headers, url_secret = sample.signed(secret=secret)
        assert isinstance(receive(both, headers, sample.body, now=NOW, url_secret=url_secret), Accepted)
    headers, url_secret = sample.signed(secret="third")
    refused(receive(both, headers, sample.body, now=NOW, url_secret=url_secret), 403)


@EVERY
def test_secrets_are_compared_in_constant_time(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    real, lengths = hmac.compare_digest, []

    def compare(one: bytes, other: bytes) -> bool:
        lengths.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    both = source(**{**sample.entry, "secret_env": ["HOOK", "HOOK_NEXT"]})
    for secret in (SECRET, "w"):
        lengths.clear()
        headers, url_secret = sample.signed(secret=secret)
        receive(both, headers, sample.body, now=NOW, url_secret=url_secret)
        users = 1 if "basic" in sample.sign else 0
        assert lengths == [(32, 32)] * (2 + users), "every secret is tried, by hashes of one length"
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: False)
    headers, url_secret = sample.signed()
    refused(receive(both, headers, sample.body, now=NOW, url_secret=url_secret), 403)


def test_signatures_are_those_of_the_registries() -> None:
    """Vectors that were computed elsewhere, over a body of 22 bytes."""
    body, secret = b'{"action":"published"}', "cgscan-test-secret"
    assert signature(body, secret=secret) == "cc8a505dd32017eaac089f33c91d0fda2a27b2b7f4fa4322cca7b1cd1a95563a"
    assert signature(body, "sha1", secret) == "f5d0d53c8f9c23d5f917adae26261cb94eda69ed"


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (SECRET, 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (f"Basic {SECRET}", 401),
        (f"Bearer {SECRET} x", 403),
        (f"Bearer {SECRET}\x00", 403),
        (f"bearer  {SECRET}", 200),
    ],
)
def test_forms_of_a_bearer(value: str, status: int) -> None:
    sample = SAMPLES["distribution"]
    found = receive(sample.source, {"Authorization": value}, sample.body, now=NOW)
    if status == 200:
        assert isinstance(found, Accepted)
    else:
        refused(found, status)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("Basic", 401),
        ("Basic *", 401),
        ("Basic é", 401),
        (basic("other", SECRET), 403),
        (basic("registry", "other"), 403),
        (basic("registry", SECRET + ":"), 403),
        (basic("", SECRET), 403),
    ],
)
def test_forms_of_basic(value: str, status: int) -> None:
    sample = SAMPLES["distribution basic"]
    refused(receive(sample.source, {"Authorization": value}, sample.body, now=NOW), status)


def test_a_signature_is_of_its_own_form() -> None:
    """A plain secret where bodies are signed, and SHA-1 where SHA-256 is configured, count for nothing."""
    for name, value in (
        ("artifactory", SECRET),
        ("artifactory token", signature(SAMPLES["artifactory token"].body)),
        ("gitea", signature(SAMPLES["gitea"].body, "sha1")),
    ):
        sample = SAMPLES[name]
        headers, _ = sample.signed()
        refused(receive(sample.source, {**headers, sample.sign.split()[0]: value}, sample.body, now=NOW), 403)
    github = SAMPLES["github"]
    bare = {**github.headers, "X-Hub-Signature-256": signature(github.body)}
    refused(receive(github.source, bare, github.body, now=NOW), 401)
    old = {**github.headers, "X-Hub-Signature": "sha1=" + signature(github.body, "sha1")}
    refused(receive(github.source, old, github.body, now=NOW), 401)


def test_upper_case_digits_are_digits() -> None:
    sample = SAMPLES["gitea"]
    headers = {**sample.headers, "X-Gitea-Signature": signature(sample.body).upper()}
    assert isinstance(receive(sample.source, headers, sample.body, now=NOW), Accepted)


# -- bodies


def sent(
    sample: Sample, body: bytes, one: WebhookSource | None = None, more: Mapping[str, str] | None = None
) -> Outcome:
    """A body of any kind, properly signed."""
    headers, secret = sample.signed(body)
    return receive(one or sample.source, {**headers, **(more or {})}, body, now=NOW, url_secret=secret)


def test_a_body_is_bounded() -> None:
    sample = SAMPLES["github"]
    size = len(sample.body)
    assert isinstance(sent(sample, sample.body, source(**sample.entry, body=size)), Accepted)
    why = refused(sent(sample, sample.body, source(**sample.entry, body=size - 1)), 413)
    assert f"{size - 1} bytes" in why
    assert refused(sent(sample, b""), 400) == "the body is empty"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b'{"a":' * 100_000, "no JSON"),
        (b'{"action":1,"action":2}', "twice"),
        (b'{"a":NaN}', "no number"),
        (b'{"a":' + b"9" * 5000 + b"}", "no JSON"),
        (b"null", "no JSON object|is no object"),
        (b"[]", "no JSON object|is no object"),
        (b'"x"', "no JSON object|is no object"),
        (b'{"\\ud800":1,"\\ud800":2}', "twice"),
    ],
    ids=lambda one: str(one[:30]),
)
@EVERY
def test_what_is_no_such_document_is_refused(sample: Sample, body: bytes, why: str) -> None:
    found = sent(sample, body)
    if isinstance(found, Accepted):  # a list of no events is one for Azure's
        assert body == b"[]"
        assert sample.entry["kind"] == "acr"
        return
    reason = refused(found, 400)
    assert any(one in reason for one in (*why.split("|"), "no such key")), reason


def test_a_form_is_not_json() -> None:
    sample = SAMPLES["github"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert "application/json" in refused(sent(sample, b"payload=%7B%7D", more=form), 415)
    refused(sent(sample, sample.body, more={"Content-Encoding": "gzip"}), 415)


def places(document: Any, before: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all values in a document."""
    pairs: list[tuple[str | int, Any]] = []
    if isinstance(document, dict):
        pairs = list(document.items())
    elif isinstance(document, list):
        pairs = list(enumerate(document))
    return [place for key, one in pairs for place in [(*before, key), *places(one, (*before, key))]]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("value", [None, 7, -1.5, True, "x", "", [], {}, [[]], [None], {"": None}, ...], ids=repr)
def test_a_value_of_another_type_raises_nothing(name: str, value: Any) -> None:
    sample = SAMPLES[name]
    for place in places(sample.document):
        changed = sample.changed(*place, to=value)
        found = sent(changed, changed.body)
        if isinstance(found, Refused):
            assert refused(found, 400)
        elif isinstance(found, Accepted):
            hosts = {push.image.host for push in found.pushes}
            assert hosts <= {sample.image.partition("/")[0]}


def test_a_wrong_type_is_told_with_its_place() -> None:
    for name, path, told in (
        ("distribution", ("events", 0, "target", "tag"), "events[0].target.tag: 7 is no text"),
        ("github", ("package", "owner"), "package.owner: is no object"),
        ("ecr", ("detail", "image-digest"), "detail.image-digest: 7 is no text"),
        ("generic", ("images", 0, "name"), "images[].name: is no text"),
    ):
        changed = SAMPLES[name].changed(*path, to=7)
        assert told in refused(sent(changed, changed.body), 400)
    many = SAMPLES["distribution"].changed("events", to=[7] * 100)
    assert refused(sent(many, many.body), 400).endswith("and 95 more")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=12), inside, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(SAMPLES)),
    body=st.binary(max_size=200) | ANY_JSON.map(lambda one: json.dumps(one).encode()),
)
def test_any_body_is_answered(name: str, body: bytes) -> None:
    found = sent(SAMPLES[name], body)
    assert not isinstance(found, Accepted) or not found.pushes
    if isinstance(found, Refused):
        assert found.status in (400, 413)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_value_at_any_place_is_answered(data: st.DataObject) -> None:
    sample = SAMPLES[data.draw(st.sampled_from(list(SAMPLES)))]
    changed = sample.changed(*data.draw(st.sampled_from(places(sample.document))), to=data.draw(ANY_JSON))
    found = sent(changed, json.dumps(changed.document).encode())
    if isinstance(found, Accepted):
        assert {push.image.host for push in found.pushes} <= {sample.image.partition("/")[0]}
        assert all(event in found.pushes or event.reason.isascii() for event in found.events)  # type: ignore[union-attr]


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(list(SAMPLES)),
    pairs=st.lists(
        st.tuples(
            st.sampled_from(["Authorization", "X-Signature", "X-Hub-Signature-256", "X-GitHub-Event", "Content-Type"])
            | st.text(max_size=8),
            st.text(max_size=40)
            | st.text(max_size=40).map("Bearer ".__add__)
            | st.text(max_size=40).map("Basic ".__add__),
        ),
        max_size=6,
    ),
    url_secret=st.none() | st.text(max_size=20),
)
def test_any_headers_are_refused(name: str, pairs: list[tuple[str, str]], url_secret: str | None) -> None:
    sample = SAMPLES[name]
    found = receive(sample.source, pairs, sample.body, now=NOW, url_secret=url_secret)
    assert isinstance(found, Refused)
    assert found.status in (400, 401, 403)
