"""Chainguard's own host under its own name: tiers, tokens, refusals, and a proxy that cached a 302 as a wheel."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from scanner.errors import IndexUnavailable, UsageError, WheelUnreadable
from scanner.http import Client, Credentials
from scanner.index import IndexSpec, Role, Tier
from scanner.indexes import chainguard
from scanner.indexes.kinds import simple_url
from scanner.indexes.tier import CHAINGUARD_HOST
from scanner.managers import open_manager
from tests.repository_managers.fake_chainguard import CONFLICTS, PROXY, STORAGE, FakeChainguard, token
from tests.repository_managers.hosts import Hosts
from tests.repository_managers.vendors import (
    LIMITS,
    SECRET,
    Scene,
    documented,
    index,
    judged,
    one_line,
    served,
    through_folders,
)

PYTHON = f"https://{CHAINGUARD_HOST}/python/simple/"
REMEDIATED = f"https://{CHAINGUARD_HOST}/python-remediated/simple/"
IDENTITY = "0123456789012345678901234567890123456789/0123456789abcdef"
ONE = canonicalize_name("built-one")
Fake = Callable[..., tuple[FakeChainguard, Hosts, Client]]


@pytest.fixture
def fake(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Starts the host with these quirks; the pull token is in the environment as chainctl prints it."""
    with contextlib.ExitStack() as stack:

        def make(**quirks: Any) -> tuple[FakeChainguard, Hosts, Client]:
            pull_token = token(quirks.pop("seconds", 3600), SECRET)
            login = quirks.pop("login", (IDENTITY, pull_token))
            copied = scene.served[-1].name
            tiers = {copied: "python-upstream"}
            one = FakeChainguard(wheels=scene.served, login=login, tiers=tiers, **quirks)
            running, client = stack.enter_context(served(tmp_path, one.responds, monkeypatch))
            monkeypatch.setenv("CHAINGUARD_PYTHON_IDENTITY_ID", IDENTITY)
            monkeypatch.setenv("CHAINGUARD_PYTHON_TOKEN", pull_token)
            return one, running, client

        yield make


@pytest.mark.parametrize("html_only", [False, True])
def test_the_report_is_that_of_a_folder(fake: Fake, scene: Scene, html_only: bool) -> None:
    _, running, client = fake(html_only=html_only)
    ours = [index(PYTHON, client), index(REMEDIATED, client)]
    upstream = index(scene.upstream_folder, client, role=Role.UPSTREAM)
    report = judged(scene, [*ours, upstream])
    assert report == through_folders(scene, client)
    assert SECRET not in str(report) + "".join(one.url for one in ours)
    assert running.requests(STORAGE)
    assert not [seen for seen in running.requests(STORAGE) if "authorization" in seen.headers]
    assert {seen.method for seen in running.requests(CHAINGUARD_HOST)} == {"GET"}
    assert running.refused == []


def test_tiers_by_the_paths(fake: Fake) -> None:
    _, _, client = fake()
    tiers = {
        name: [file.tier for file in index(url, client).files(canonicalize_name(name))]
        for name, url in (("built-one", PYTHON), ("copied", PYTHON), ("remedied", REMEDIATED))
    }
    assert tiers == {"built-one": [Tier.BUILT], "copied": [Tier.FALLBACK], "remedied": [Tier.BUILT]}
    assert index(PYTHON, client).files(canonicalize_name("remedied")) == ()  # the main index never lists them


@pytest.mark.parametrize("user", [IDENTITY.replace("/", "_"), IDENTITY.replace("/", "%2F")])
def test_the_identity_in_a_url(fake: Fake, user: str) -> None:
    password = token(3600, SECRET)
    _, _, client = fake(login=(user.replace("%2F", "/"), password))
    assert index(PYTHON.replace("://", f"://{user}:{password}@"), client).files(ONE)


def test_the_entry_in_netrc(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _, client = fake()
    monkeypatch.delenv("CHAINGUARD_PYTHON_TOKEN")
    assert one.login is not None
    entry = tmp_path / ".netrc"
    entry.write_text(f"machine {CHAINGUARD_HOST}\n  login {one.login[0]}\n  password {one.login[1]}\n")
    entry.chmod(0o600)
    assert index(PYTHON, client).files(ONE)


# -- refusals


def said(fake: Fake, **quirks: Any) -> str:
    _, _, client = fake(**quirks)
    with pytest.raises(IndexUnavailable) as raised:
        index(PYTHON, client).files(ONE)
    return one_line(raised.value)


def test_a_token_that_has_ended(fake: Fake) -> None:
    text = said(fake, seconds=-60, login=("other", "other"))
    assert "wants to know who asks (401)" in text
    ended = dt.datetime.fromtimestamp(int(time.time()) - 60, dt.UTC)
    assert f"the token ended at {ended:%Y-%m-%dT%H}" in text
    assert "chainctl auth pull-token" in text


def test_a_token_that_is_not_taken(fake: Fake) -> None:
    text = said(fake, login=("other", "other"))
    assert "the token was refused" in text
    assert "ended" not in text


def test_no_token(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, client = fake()
    monkeypatch.delenv("CHAINGUARD_PYTHON_TOKEN")
    with pytest.raises(IndexUnavailable) as raised:
        index(PYTHON, client).files(ONE)
    assert "no token was sent" in one_line(raised.value)


def test_no_entitlement(fake: Fake) -> None:
    text = said(fake, refusals={"built-one": 403})
    assert "refused (403)" in text
    assert "no entitlement" in text
    assert "netrc" in text


def test_an_old_form_of_url(fake: Fake) -> None:
    text = said(fake, refusals={"built-one": 400})
    assert "not understood (400)" in text
    assert "old form of URL" in text


@pytest.mark.parametrize("reason", [*CONFLICTS, "SOMETHING_NEW"])
def test_what_is_withheld(fake: Fake, reason: str) -> None:
    text = said(fake, refusals={"built-one": 409}, reasons={"built-one": reason})
    assert f"withheld (409: {reason}: withheld by policy)" in text
    wanted = {
        "POLICY_ORG_BLOCKLIST": "block list",
        "POLICY_COOLDOWN": "younger",
        "MALWARE_DETECTED": "do not install it",
        "SOMETHING_NEW": "half an hour",
    }
    assert wanted[reason] in text


def test_an_unknown_project_is_an_answer(fake: Fake) -> None:
    _, _, client = fake()
    assert index(PYTHON, client).files(canonicalize_name("no-such-project")) == ()


@pytest.mark.parametrize("page", ["json", "html"])
def test_a_302_page_cached_as_a_wheel(fake: Fake, page: str) -> None:
    _, _, client = fake()
    there = index(f"https://{PROXY}/repository/{page}/simple/", client)
    [file] = there.files(ONE)
    with pytest.raises(WheelUnreadable) as raised:
        there.wheel(file)
    text = one_line(raised.value)
    assert (file.sha256 is None) == (page == "html")
    assert "302 page cached as a wheel" in text
    assert "delete the cached item" in text
    assert "built_one-1.0-py3-none-any.whl" in text


def test_it_has_no_manager(fake: Fake) -> None:
    _, _, client = fake()
    there = index(PYTHON, client)
    assert there.kind == "chainguard"
    assert open_manager(IndexSpec(location=PYTHON, role=Role.CHAINGUARD), client=client, limits=LIMITS) is None


# -- values


@pytest.mark.parametrize("path", ["python", "python/", "python/simple", "python/simple/"])
def test_an_index_by_its_root(path: str) -> None:
    assert simple_url(f"https://{CHAINGUARD_HOST}/{path}", "chainguard") == PYTHON
    assert chainguard.index_of(f"https://{CHAINGUARD_HOST}/{path}") == "python"


@pytest.mark.parametrize("name", ["python-remediated", "cu126", "cu128", "cu129"])
def test_the_other_indexes(name: str) -> None:
    url = f"https://{CHAINGUARD_HOST}/{name}"
    assert simple_url(url, "chainguard") == f"{url}/simple/"
    assert chainguard.index_of(url) == name


@pytest.mark.parametrize("path", ["", "python-upstream/simple/", "javascript/", "python/simple/flask/", "cu12/simple/"])
def test_what_is_no_index(path: str) -> None:
    with pytest.raises(UsageError) as raised:
        simple_url(f"https://{SECRET}@{CHAINGUARD_HOST}/{path}", "chainguard")
    assert "/python/simple" in one_line(raised.value)


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c", "a.!!!.c", "a.W10.c", "a.e30.c", "a.eyJleHAiOiJ4In0.c", "a.eyJleHAiOjFlOTk5fQ.c"]
)
def test_a_token_that_does_not_say_when_it_ends(text: str) -> None:
    assert chainguard.expiry(Credentials(username="x", password=text)) is None
    assert chainguard.expiry(None) is None


def test_when_a_token_ends() -> None:
    ends = chainguard.expiry(Credentials(token=token(600, SECRET)))
    assert ends is not None
    assert 500 < (ends - dt.datetime.now(dt.UTC)).total_seconds() <= 600


def test_the_documented_configuration(tmp_path: Path) -> None:
    assert documented("chainguard.md", tmp_path, {}) == {
        "chainguard": "chainguard",
        "remediated": "chainguard",
        "pypi": None,
    }
