"""Nexus: the same report through it, all that it has stored, and what may be deleted from it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from packaging.utils import canonicalize_name

from fixtures.demo import Demo
from scanner.errors import IndexUnavailable, UsageError
from scanner.http import Client
from scanner.index import IndexSpec, Role
from scanner.manager import Deleted, Holds, Repository
from scanner.managers import open_manager
from scanner.managers.nexus import NexusManager
from tests.managers import sha256
from tests.repository_managers.fake_nexus import ALL, CHAINGUARD, HOSTED, PYPI, Asset, FakeNexus
from tests.repository_managers.vendors import LIMITS, SECRET, Scene, index, one_line
from tests.repository_managers.whole import answers, reported

Fake: TypeAlias = Callable[..., tuple[FakeNexus, NexusManager]]
Running: TypeAlias = tuple[FakeNexus, Client]
API = "/service/rest/v1"
REPOSITORIES, ASSETS = f"{API}/repositories", f"{API}/assets"


@pytest.fixture
def fake(scene: Scene, client: Client) -> Iterator[Fake]:
    """Starts a fake that has fetched everything, and opens the manager of one of its repositories."""
    with contextlib.ExitStack() as stack:

        def start(repository: str = CHAINGUARD, **more: Any) -> tuple[FakeNexus, NexusManager]:
            one = FakeNexus(built=scene.served, upstream=scene.upstream, **more)
            stack.enter_context(one.running())
            one.fetch_all()
            return one, opened(one.location(repository), client)

        yield start


@pytest.fixture(scope="module")
def running(scene: Scene) -> Iterator[Running]:
    """One fake and one client for many examples."""
    with FakeNexus(built=scene.served).running() as one, Client(limits=LIMITS) as client:
        yield one, client


def opened(location: str, client: Client, **more: Any) -> NexusManager:
    spec = IndexSpec(location=location, role=Role.CHAINGUARD, **more)
    manager = open_manager(spec, client=client, limits=LIMITS)
    assert isinstance(manager, NexusManager)
    return manager


def digests(*wheels: Path) -> dict[str, str]:
    return {wheel.name: sha256(wheel.read_bytes()) for wheel in wheels}


def names(manager: NexusManager) -> dict[str, str | None]:
    return {entry.filename: entry.sha256.hex if entry.sha256 else None for entry in manager.retrieved()}


@pytest.mark.parametrize(
    "quirks",
    [{}, {"typed": False}, {"redirects": True}, {"context": "/nexus"}, {"busy": 1}],
    ids=["plain", "no content type", "redirect", "context", "429 first"],
)
def test_the_same_report_as_through_folders(demo_parts: Demo, client: Client, quirks: dict[str, Any]) -> None:
    built, upstream = (sorted(tree.glob("*/*.whl")) for tree in (demo_parts.chainguard, demo_parts.pypi))
    plain = reported(demo_parts.image, demo_parts.chainguard, demo_parts.pypi, client)
    with FakeNexus(built=built, upstream=upstream, **quirks).running() as one:
        report = reported(demo_parts.image, one.location(CHAINGUARD), one.location(PYPI), client)
        cloud = one.cloud.requests
        stored = {asset.path for asset in one.stored[CHAINGUARD]}
    assert report.lines == plain.lines
    assert report.kinds == ["nexus", "nexus"]
    assert SECRET not in report.text
    assert bool(cloud) is quirks.get("redirects", False)
    assert not [seen for seen in cloud if "authorization" in seen.headers]
    assert "packages/six/1.17.0/six-1.17.0-py2.py3-none-any.whl" in stored


def test_a_version_that_loses_files_with_a_plus(demo_parts: Demo, scene: Scene, client: Client) -> None:
    with FakeNexus(built=scene.served, breaks_plus=True).running() as one:
        ours = index(one.location(), client)
        [file] = ours.files(canonicalize_name("remedied"))
        with pytest.raises(Exception, match="listed by the index, and not there") as raised:
            ours.wheel(file)
    assert "%2Bcgr.1" in one_line(raised.value)


@pytest.mark.parametrize(
    "quirks",
    [{}, {"slash": False}, {"page_size": 1}, {"page_size": 5}, {"context": "/nexus"}, {"busy": 1}],
    ids=["plain", "no slash", "pages of one", "a full last page", "context", "429 first"],
)
def test_all_that_is_stored(fake: Fake, scene: Scene, quirks: dict[str, Any]) -> None:
    _, manager = fake(**quirks)
    entries = {entry.filename: entry for entry in manager.retrieved()}
    assert names(manager) == digests(*scene.served)
    remedied = entries["remedied-3.0+cgr.1-py3-none-any.whl"]
    assert (remedied.project, remedied.version, remedied.repository) == ("remedied", "3.0+cgr.1", CHAINGUARD)
    assert remedied.path == "packages/remedied/3.0+cgr.1/remedied-3.0+cgr.1-py3-none-any.whl"
    assert (remedied.size, remedied.tier) == (scene.built[2].stat().st_size, None)
    assert (remedied.created, remedied.downloaded) == ("2026-10-01T08:12:44.100+00:00", "2026-11-02T10:00:00.000+00:00")
    assert (manager.kind, manager.repository) == ("nexus", CHAINGUARD)


@pytest.mark.parametrize("page_size", [10, 100])
def test_all_pages(fake: Fake, page_size: int) -> None:
    one, manager = fake(page_size=page_size)
    one.stored[CHAINGUARD] = [Asset(path=f"packages/many/1.{n}/many-1.{n}.tar.gz", data=b"%d" % n) for n in range(250)]
    entries = list(manager.retrieved())
    assert {(entry.version, entry.sha256 and entry.sha256.hex) for entry in entries} == {
        (f"1.{n}", sha256(b"%d" % n)) for n in range(250)
    }
    asked = [seen for seen in one.front.requests if seen.path == ASSETS]
    assert (len(entries), len(asked)) == (250, 250 // page_size + 1)


def test_assets_that_lack_something(fake: Fake) -> None:
    one, manager = fake()
    one.stored[CHAINGUARD] = [
        Asset(path="packages/a/1.0/a-1.0-py3-none-any.whl", data=b"a", checksum={"md5": "A" * 32}),
        Asset(path="packages/b/1.0/b-1.0-py3-none-any.whl", data=b"", checksum={}),
        Asset(path="packages/c/1.0/c-1.0.tar.gz", data=b"c", about={"name": 7, "version": None}),
        Asset(path="packages/d/1.0/d.txt", data=b"d"),
        Asset(path="simple/e/e-1.0-py3-none-any.whl", data=b"e"),
    ]
    [first, second] = manager.retrieved()
    assert (first.filename, first.sha256, first.md5) == ("a-1.0-py3-none-any.whl", None, "a" * 32)
    assert (second.project, second.version) == ("c", "1.0")
    assert manager.delete(first) is Deleted.CHANGED  # nobody can tell that it is the same still
    assert one.deleted == []


@pytest.mark.parametrize("is_admin", [True, False])
def test_a_group(fake: Fake, scene: Scene, is_admin: bool) -> None:
    one, manager = fake(ALL, is_admin=is_admin)
    one.stored[HOSTED] = [Asset(path="packages/mine/1.0/mine-1.0-py3-none-any.whl", data=b"mine")]
    entries = list(manager.retrieved())
    assert {(entry.repository, entry.filename) for entry in entries} == {
        (HOSTED, "mine-1.0-py3-none-any.whl"),
        *((CHAINGUARD, wheel.name) for wheel in scene.served),
        *((PYPI, wheel.name) for wheel in scene.upstream),
    }
    with pytest.raises(UsageError, match="python-hosted is not a proxy"):
        manager.delete(next(entry for entry in entries if entry.repository == HOSTED))
    assert one.deleted == []


def test_the_repositories(fake: Fake) -> None:
    _, manager = fake()
    assert manager.repositories() == (
        Repository(name=ALL, holds=Holds.GROUP, members=(HOSTED, CHAINGUARD, PYPI)),
        Repository(name=CHAINGUARD, holds=Holds.PROXY, remote="https://libraries.cgr.dev/python/"),
        Repository(name=HOSTED, holds=Holds.HOSTED),
        Repository(name=PYPI, holds=Holds.PROXY, remote="https://pypi.org/"),
    )


def test_a_repository_that_is_none(fake: Fake) -> None:
    _, manager = fake("nowhere")
    with pytest.raises(IndexUnavailable, match="has no Python repository 'nowhere'"):
        list(manager.retrieved())


# -- deleting


def test_deleting_from_a_proxy(fake: Fake) -> None:
    one, manager = fake()
    entry = next(entry for entry in manager.retrieved() if "+cgr" in entry.filename)
    assert manager.delete(entry) is Deleted.GONE
    assert one.deleted == [entry.path]
    assert manager.delete(entry) is Deleted.ALREADY_GONE
    assert len(one.deleted) == 1


def test_a_plus_that_stayed_escaped(fake: Fake) -> None:
    one, manager = fake()
    path = "packages/remedied/3.0%2Bcgr.1/remedied-3.0%2Bcgr.1-py3-none-any.whl"
    one.stored[CHAINGUARD] = [Asset(path=path, data=b"wheel")]
    [entry] = manager.retrieved()
    assert (entry.filename, entry.version) == ("remedied-3.0+cgr.1-py3-none-any.whl", "3.0+cgr.1")
    assert manager.delete(entry) is Deleted.GONE
    assert one.deleted == [path]


def test_other_bytes_are_left_alone(fake: Fake) -> None:
    one, manager = fake()
    entry = next(manager.retrieved())
    assets = one.stored[CHAINGUARD]
    assets[:] = [replace(asset, data=b"newer") if asset.path == entry.path else asset for asset in assets]
    assert manager.delete(entry) is Deleted.CHANGED
    assert one.deleted == []


def test_an_id_of_another_file(fake: Fake) -> None:
    one, manager = fake()
    first, second, *_ = manager.retrieved()
    assert manager.delete(replace(first, identity=second.identity)) is Deleted.CHANGED
    with pytest.raises(UsageError, match="no asset's id"):
        manager.delete(replace(first, identity="../components/1"))
    assert one.deleted == []


def test_only_a_proxy_that_is_one_still(fake: Fake) -> None:
    one, manager = fake()
    entry = next(manager.retrieved())
    hosted = json.dumps([{"name": CHAINGUARD, "format": "pypi", "type": "hosted"}]).encode()
    one.answers[REPOSITORIES] = (200, hosted, {})
    with pytest.raises(UsageError, match="not a proxy"):
        manager.delete(entry)
    assert one.deleted == []


def test_without_the_right_to_delete(fake: Fake) -> None:
    _, manager = fake(may_delete=False)
    entry = next(manager.retrieved())
    with pytest.raises(IndexUnavailable, match="refused 403") as raised:
        manager.delete(entry)
    assert "-delete to delete" in one_line(raised.value)


# -- answers that are none

ROW = '{"id": "a", "path": "/packages/a/1/a-1-py3-none-any.whl", "fileSize": 1}'


@pytest.mark.parametrize(
    ("path", "status", "body", "headers", "said"),
    [
        (REPOSITORIES, 200, "<html>Log in</html>", {"Content_Type": "text/html"}, "no JSON"),
        (REPOSITORIES, 302, "", {"Location": "http://127.0.0.2:9/login"}, "."),
        (REPOSITORIES, 403, "", {}, "refused 403"),
        (REPOSITORIES, 404, "", {}, "404"),
        (REPOSITORIES, 200, "{}", {}, "is no list"),
        (REPOSITORIES, 200, "", {}, "is no list"),
        (ASSETS, 200, "[]", {}, "is no object"),
        (ASSETS, 200, '{"items": {}}', {}, "is no list"),
        (ASSETS, 200, '{"items": [{"path": 1}]}', {}, "has no id"),
        (ASSETS, 200, '{"items": [], "continuationToken": 7}', {}, "is no token"),
        (ASSETS, 200, '{"items": [' + ROW + '], "continuationToken": "x"}', {}, "in a circle"),
        (ASSETS, 200, '{"items": [], "continuationToken": ""}', {}, "in a circle"),
        (ASSETS, 406, "", {}, "406"),
        (ASSETS, 429, "", {"Retry_After": "3600"}, "429"),
        (ASSETS, 503, "", {"Retry_After": "3600"}, "503"),
    ],
)
def test_answers_that_are_none(
    fake: Fake, path: str, status: int, body: str, headers: dict[str, str], said: str
) -> None:
    one, manager = fake()
    one.answers[path] = (status, body.encode(), headers)
    with pytest.raises(IndexUnavailable) as raised:
        list(manager.retrieved())
    assert said in one_line(raised.value)


@settings(max_examples=100)
@given(repositories=answers("name", "format", "type", "attributes"), assets=answers("items", "id", "path", "checksum"))
def test_any_answer_gives_files_or_one_line(running: Running, repositories: bytes, assets: bytes) -> None:
    one, client = running
    for own in (True, False):
        one.answers = {ASSETS: (200, assets, {}), **({} if own else {REPOSITORIES: (200, repositories, {})})}
        with contextlib.suppress(IndexUnavailable):
            manager = opened(one.location(), client)
            assert all(isinstance(entry.filename, str) for entry in manager.retrieved())


def test_a_wrong_password(fake: Fake, client: Client) -> None:
    one, _ = fake()
    wrong = opened(one.location().replace(SECRET, "another-s3cr3t"), client)
    with pytest.raises(IndexUnavailable, match="refused 401") as raised:
        wrong.repositories()
    assert raised.value.whole
    assert "another-s3cr3t" not in one_line(raised.value)


def test_user_and_password_from_the_environment(
    fake: Fake, client: Client, monkeypatch: pytest.MonkeyPatch, scene: Scene
) -> None:
    one, _ = fake()
    monkeypatch.setenv("NEXUS_USER", "ci")
    monkeypatch.setenv("NEXUS_PASSWORD", SECRET)
    location = f"{one.root}/repository/{CHAINGUARD}"  # without simple
    manager = opened(location, client, username_env="NEXUS_USER", password_env="NEXUS_PASSWORD")
    assert names(manager) == digests(*scene.served)


def test_a_name_of_its_own_has_pages_only(client: Client) -> None:
    location = "https://pypi.acme.example/simple"
    assert index(location, client, kind="nexus").url == f"{location}/"
    with pytest.raises(UsageError, match="does not tell where Nexus is"):
        opened(location, client, kind="nexus")
