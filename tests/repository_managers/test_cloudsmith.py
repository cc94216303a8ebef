"""Cloudsmith: scans through it, what it has stored, and what may be deleted of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scanner.errors import IndexUnavailable, UsageError
from scanner.http import Client
from scanner.index import IndexSpec, Role
from scanner.manager import Deleted, Holds, Repository, Retrieved
from scanner.managers import open_manager
from scanner.managers.cloudsmith import CloudsmithManager, tag_of
from tests.managers import sha256
from tests.repository_managers.fake_cloudsmith import CDN, DOWNLOADS, INTERFACE, FakeCloudsmith
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

PACKAGES = "/v1/packages/acme/python-all/"
Fake = Callable[..., tuple[FakeCloudsmith, Hosts, CloudsmithManager, Client]]


@pytest.fixture
def fake(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Starts a Cloudsmith with these quirks."""
    with contextlib.ExitStack() as stack:

        def make(**quirks: Any) -> tuple[FakeCloudsmith, Hosts, CloudsmithManager, Client]:
            one = FakeCloudsmith(wheels=quirks.pop("wheels", scene.served), **quirks)
            running, client = stack.enter_context(served(tmp_path, one.responds, monkeypatch))
            spec = IndexSpec(location=one.location, role=Role.CHAINGUARD)
            return one, running, CloudsmithManager(spec, client=client, limits=LIMITS), client

        yield make


def test_the_report_is_that_of_a_folder(fake: Fake, scene: Scene) -> None:
    one, running, _, client = fake()
    there = [index(one.location, client), index(scene.upstream_folder, client, role=Role.UPSTREAM)]
    report = judged(scene, there)
    assert report == through_folders(scene, client)
    assert {line["origin"].value for line in report[:-1]} == {"chainguard", "upstream"}
    assert SECRET not in str(report) + "".join(one.url for one in there)
    assert running.requests(CDN)
    assert not [seen for seen in running.requests(CDN) if "authorization" in seen.headers]
    assert running.refused == []


def test_it_is_known_by_its_url(fake: Fake) -> None:
    one, _, _, client = fake()
    assert index(one.location, client).kind == "cloudsmith"
    spec = IndexSpec(location=one.location, role=Role.CHAINGUARD)
    manager = open_manager(spec, client=client, limits=LIMITS)
    assert manager is not None
    assert (manager.kind, manager.repository) == ("cloudsmith", "python-all")
    assert len(list(manager.retrieved())) == 4


def test_all_pages_of_what_is_stored(fake: Fake, scene: Scene) -> None:
    one, running, manager, _ = fake(most_per_page=1)
    entries = list(manager.retrieved())
    assert {entry.filename: entry.sha256 and entry.sha256.hex for entry in entries} == {
        wheel.name: sha256(wheel.read_bytes()) for wheel in scene.served
    }
    asked = [seen.query["page"] for seen in running.requests(INTERFACE)]
    assert asked == [["1"], ["2"], ["3"], ["4"]]  # never beyond the last one
    cured = next(entry for entry in entries if entry.project == "remedied")
    assert cured == Retrieved(
        project=cured.project,
        version="3.0+cgr.1",
        filename="remedied-3.0+cgr.1-py3-none-any.whl",
        repository="python-all",
        path=f"https://{DOWNLOADS}/basic/acme/python-all/python/remedied-3.0+cgr.1-py3-none-any.whl",
        identity=one.slug(scene.built[2]),
        size=scene.built[2].stat().st_size,
        sha256=cured.sha256,
        md5="0" * 32,
        created="2026-10-01T08:12:44.101Z",
    )


def test_pages_without_headers_end_with_the_first_that_is_not_there(fake: Fake) -> None:
    one, _, manager, _ = fake()
    one._send = lambda exchange, status, document, **_: exchange.send(  # type: ignore[method-assign]
        status, json.dumps(document).encode()
    )
    assert len(list(manager.retrieved())) == 4


def test_only_what_came_through_an_upstream(fake: Fake, scene: Scene) -> None:
    _, _, manager, _ = fake(uploads=frozenset({scene.built[1].name}))
    names = {entry.filename for entry in manager.retrieved_through("Python Chainguard")}
    assert names == {wheel.name for wheel in scene.served} - {scene.built[1].name}


def test_rows_that_are_no_stored_file_are_left_out(fake: Fake, scene: Scene) -> None:
    a, b, c, _ = scene.served
    changes = {
        a.name: {"is_sync_completed": False},
        b.name: {"checksum_sha256": ""},
        c.name: {"size": "12", "uploaded_at": 7, "checksum_md5": None, "cdn_url": None, "version": None},
    }
    _, _, manager, _ = fake(changes=changes)
    entries = {entry.filename: entry for entry in manager.retrieved()}
    assert set(entries) == {scene.served[2].name, scene.served[3].name}
    odd = entries[c.name]
    assert (odd.size, odd.created, odd.md5, odd.path, odd.version) == (12, None, None, c.name, "3.0+cgr.1")


def test_one_refusal_for_too_many_requests_passes(fake: Fake) -> None:
    _, running, manager, _ = fake(throttled=1, most_per_page=10)
    assert len(list(manager.retrieved())) == 4
    assert len(running.requests(INTERFACE)) == 2


def test_the_repository_and_its_upstreams(fake: Fake) -> None:
    _, _, manager, _ = fake()
    assert manager.repositories() == (
        Repository(name="python-all", holds=Holds.PROXY, remote="https://libraries.cgr.dev/python/"),
    )


def test_what_it_is_cannot_be_told_without_rights(fake: Fake) -> None:
    _, _, manager, _ = fake(is_admin=False)
    assert manager.repositories() == (Repository(name="python-all", holds=Holds.UNKNOWN),)


# -- deleting


def entry_of(manager: CloudsmithManager, wheel: Path) -> Retrieved:
    return next(entry for entry in manager.retrieved() if entry.filename == wheel.name)


def test_delete_what_an_upstream_brought(fake: Fake, scene: Scene) -> None:
    one, _, manager, _ = fake()
    entry = entry_of(manager, scene.built[0])
    assert manager.delete(entry) is Deleted.GONE
    assert one.deleted == [one.slug(scene.built[0])]
    assert manager.delete(entry) is Deleted.ALREADY_GONE


def test_other_bytes_are_left_alone(fake: Fake, scene: Scene) -> None:
    one, _, manager, _ = fake()
    entry = entry_of(manager, scene.built[0])
    other = entry_of(manager, scene.built[1])
    assert manager.delete(replace(entry, sha256=other.sha256)) is Deleted.CHANGED
    assert manager.delete(replace(entry, sha256=None)) is Deleted.CHANGED
    assert one.deleted == []


@pytest.mark.parametrize(
    ("quirks", "why"),
    [
        ({"uploads": True}, "may be an upload"),
        ({"is_admin": False}, "cannot be told"),
        ({"change": {"tags": {"info": ["python-pypi"]}}}, "may be an upload"),
        ({"change": {"tags": ["python-chainguard"]}}, "may be an upload"),
        # an upstream's tag that a person has set, and one of which nobody says who has set it
        ({"change": {"tags_automatic": {"version": ["latest"]}}}, "may be an upload"),
        ({"change": {"tags_automatic": {}, "tags_immutable": {"info": ["something"]}}}, "may be an upload"),
        ({"change": {"tags_automatic": {}}}, "may be an upload with an upstream's tag"),
        ({"change": {"tags_automatic": None, "tags_immutable": "python-chainguard"}}, "does not say which"),
        ({"change": {"repository": "another"}}, "another repository"),
    ],
)
def test_what_may_be_an_upload_is_never_deleted(fake: Fake, scene: Scene, quirks: dict[str, Any], why: str) -> None:
    wheel = scene.built[0]
    given = dict(quirks)
    if given.pop("uploads", None):
        given["uploads"] = frozenset({wheel.name})
    change = given.pop("change", None)
    one, running, manager, _ = fake(**given, changes={wheel.name: change} if change else {})
    with pytest.raises(UsageError) as raised:
        manager.delete(entry_of(manager, wheel))
    assert why in one_line(raised.value)
    assert one.deleted == []
    assert "DELETE" not in {seen.method for seen in running.requests(INTERFACE)}


def test_an_identity_that_leads_elsewhere_is_not_asked(fake: Fake, scene: Scene) -> None:
    _, running, manager, _ = fake()
    entry = entry_of(manager, scene.built[0])
    before = len(running.requests(INTERFACE))
    with pytest.raises(UsageError):
        manager.delete(replace(entry, identity="../../other/repo/x"))
    assert len(running.requests(INTERFACE)) == before


# -- answers that are none

ROW = {"slug_perm": "Ab", "filename": "x-1-py3-none-any.whl", "checksum_sha256": "ab" * 32}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, b"<html>Sign in</html>", "text/html"), "no JSON"),
        ((200, b"{}", "application/json"), "is no list"),
        ((200, b"[1]", "application/json"), "is no object"),
        ((200, b'[{"filename": "x"}]', "application/json"), "no slug_perm"),
        ((200, b"[" * 200_000, "application/json"), "no JSON"),
        ((200, json.dumps([ROW]).encode(), "application/json"), "repeats the ones before"),
        ((403, f'{{"detail": "no {SECRET}\\n\\u001b[2J"}}'.encode(), "application/json"), "refused 403: no …"),
        ((404, b"", "text/plain"), "may not see"),
        ((402, b"[]", "application/json"), "the plan"),
        ((302, b"", "text/html"), "sends on"),
    ],
)
def test_hostile_answers_are_one_clear_line(fake: Fake, answer: tuple[int, bytes, str], why: str) -> None:
    _, _, manager, _ = fake(answers={PACKAGES: answer})
    with pytest.raises(IndexUnavailable) as raised:
        list(manager.retrieved())
    assert why in one_line(raised.value)


def test_an_answer_without_end(fake: Fake, scene: Scene) -> None:
    one, _, _, client = fake(answers={PACKAGES: (200, b"[" + b" " * 5000, "application/json")})
    spec = IndexSpec(location=one.location, role=Role.CHAINGUARD)
    manager = CloudsmithManager(spec, client=client, limits=replace(LIMITS, page=4000))
    with pytest.raises(IndexUnavailable, match="longer than 4000 bytes"):
        list(manager.retrieved())


def test_fewer_packages_than_promised(fake: Fake) -> None:
    one, _, manager, _ = fake(most_per_page=10)
    rows = one.rows
    send = one._send

    def short(exchange: Any, status: int, document: Any, **headers: str) -> None:
        send(exchange, status, document[:-1] if isinstance(document, list) else document, **headers)

    one._send = short  # type: ignore[method-assign]
    assert len(rows()) == 4
    with pytest.raises(IndexUnavailable, match="promises 4 packages and lists 3"):
        list(manager.retrieved())


def test_a_wrong_key_is_told_and_not_shown(fake: Fake) -> None:
    one, _, _, client = fake()
    spec = IndexSpec(location=one.location.replace("user-0f", "nobody"), role=Role.CHAINGUARD)
    with pytest.raises(IndexUnavailable) as raised:
        list(CloudsmithManager(spec, client=client, limits=LIMITS).retrieved())
    said = one_line(raised.value)
    assert "401: Invalid key …" in said
    assert "entitlement" in said
    assert raised.value.whole


def test_an_entitlement_token_in_the_url_is_not_shown(fake: Fake) -> None:
    _, _, _, client = fake()
    spec = IndexSpec(location=f"https://{DOWNLOADS}/{SECRET}/acme/python-all/python/simple/", role=Role.CHAINGUARD)
    manager = CloudsmithManager(spec, client=client, limits=LIMITS)
    assert manager.repository == "python-all"
    with pytest.raises(IndexUnavailable) as raised:
        list(manager.retrieved())
    assert "401" in one_line(raised.value)
    assert SECRET not in repr(manager)


@pytest.mark.parametrize(
    "location", ["https://packages.example/basic/a/b/python/simple/", f"https://{DOWNLOADS}/basic/"]
)
def test_no_repository_in_the_url(location: str) -> None:
    with Client(limits=LIMITS) as client, pytest.raises(UsageError) as raised:
        CloudsmithManager(IndexSpec(location=location, role=Role.CHAINGUARD), client=client, limits=LIMITS)
    assert "OWNER/REPOSITORY" in one_line(raised.value)


def test_a_domain_of_ones_own_with_the_repository_named() -> None:
    spec = IndexSpec(location="https://packages.example/basic/x/python/simple/", role=Role.CHAINGUARD)
    with Client(limits=LIMITS) as client:
        manager = CloudsmithManager(spec, client=client, limits=LIMITS, repository="acme/python-all")
    assert repr(manager) == "CloudsmithManager(acme/python-all)"


def test_the_tag_of_an_upstream() -> None:
    assert tag_of("Python Chainguard") == tag_of(" python  chainguard ") == "python-chainguard"


def test_the_documented_configuration(tmp_path: Path) -> None:
    assert documented("cloudsmith.md", tmp_path, {}) == {"chainguard": "cloudsmith", "pypi": None}
