"""Artifactory: the same report through it, all that it has stored, and what may be deleted from it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings

from fixtures.demo import Demo
from scanner.errors import IndexUnavailable, UsageError
from scanner.http import Client
from scanner.index import IndexSpec, Role, Tier
from scanner.limits import Limits
from scanner.manager import Deleted, Holds, Repository, Retrieved
from scanner.managers import open_manager
from scanner.managers.artifactory import ArtifactoryManager
from tests.managers import sha256
from tests.repository_managers.fake_artifactory import ALL, CHAINGUARD, LOCAL, PYPI, FakeArtifactory, Item
from tests.repository_managers.vendors import LIMITS, SECRET, Scene, index, one_line
from tests.repository_managers.whole import answers, reported

Fake: TypeAlias = Callable[..., tuple[FakeArtifactory, ArtifactoryManager]]
Running: TypeAlias = tuple[FakeArtifactory, Client]
HTML = {"Content_Type": "text/html"}


@pytest.fixture
def fake(scene: Scene, client: Client) -> Iterator[Fake]:
    """Starts a fake that has fetched everything, and opens the manager of one of its repositories."""
    with contextlib.ExitStack() as stack:

        def start(repository: str = CHAINGUARD, **more: Any) -> tuple[FakeArtifactory, ArtifactoryManager]:
            copied = frozenset({scene.served[-1].name})
            one = FakeArtifactory(built=scene.served, upstream=scene.upstream, fallback=copied, **more)
            stack.enter_context(one.running())
            one.fetch_all()
            return one, opened(one.location(repository), client)

        yield start


@pytest.fixture(scope="module")
def running(scene: Scene) -> Iterator[Running]:
    """One fake and one client for many examples."""
    with FakeArtifactory(built=scene.served).running() as one, Client(limits=LIMITS) as client:
        yield one, client


def opened(location: str, client: Client, **more: Any) -> ArtifactoryManager:
    spec = IndexSpec(location=location, role=Role.CHAINGUARD, **more)
    manager = open_manager(spec, client=client, limits=LIMITS)
    assert isinstance(manager, ArtifactoryManager)
    return manager


def names(entries: Iterator[Retrieved]) -> dict[str, str | None]:
    return {entry.filename: entry.sha256.hex if entry.sha256 else None for entry in entries}


def digests(*wheels: Path) -> dict[str, str]:
    return {wheel.name: sha256(wheel.read_bytes()) for wheel in wheels}


@pytest.mark.parametrize(
    "quirks",
    [{}, {"json_pages": True}, {"redirects": False}, {"redirects": False, "wrong_ranges": True}],
    ids=["redirect", "json", "ranges", "wrong ranges"],
)
def test_the_same_report_as_through_folders(demo_parts: Demo, client: Client, quirks: dict[str, Any]) -> None:
    built, upstream = (sorted(tree.glob("*/*.whl")) for tree in (demo_parts.chainguard, demo_parts.pypi))
    copied = frozenset(wheel.name for wheel in built if wheel.name.startswith("certifi"))
    plain = reported(demo_parts.image, demo_parts.chainguard, demo_parts.pypi, client)
    with FakeArtifactory(built=built, upstream=upstream, fallback=copied, **quirks).running() as one:
        report = reported(demo_parts.image, one.location(CHAINGUARD), one.location(PYPI), client)
        requests, cloud = one.front.requests, one.cloud.requests
        stored = {item.name for item in one.stored[f"{CHAINGUARD}-cache"]}
    assert report.lines == plain.lines
    assert report.kinds == ["artifactory", "artifactory"]
    assert SECRET not in report.text
    assert bool(cloud) is quirks.get("redirects", True)
    assert not [seen for seen in cloud if "authorization" in seen.headers]
    assert not [seen for seen in (*requests, *cloud) if "x-jfrog-art-api" in seen.headers]
    assert "six-1.17.0-py2.py3-none-any.whl" in stored


def test_all_that_is_stored(fake: Fake, scene: Scene) -> None:
    one, manager = fake()
    entries = {entry.filename: entry for entry in manager.retrieved()}
    assert names(iter(entries.values())) == digests(*scene.served)
    remedied = entries["remedied-3.0+cgr.1-py3-none-any.whl"]
    assert (remedied.project, remedied.version, remedied.repository) == ("remedied", "3.0+cgr.1", CHAINGUARD)
    assert remedied.path == "python/simple/remedied/3.0+cgr.1/remedied-3.0+cgr.1-py3-none-any.whl"
    assert remedied.size == scene.built[2].stat().st_size
    assert (remedied.created, remedied.downloaded) == ("2026-10-01T08:12:44.101Z", "2026-11-02T10:00:00.000Z")
    assert (remedied.tier, entries[scene.served[-1].name].tier) == (Tier.BUILT, Tier.FALLBACK)
    assert manager.kind == "artifactory"
    assert manager.repository == CHAINGUARD
    assert one.front.requests[-1].headers["content-type"] == "text/plain"


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"statistics": "refused"},
        {"statistics": "unpaged"},
        {"text_sizes": True},
        {"busy": 1},
        {"hidden": frozenset(f"many-1.{n}-py3-none-any.whl" for n in range(900, 2000))},
    ],
    ids=["plain", "no statistics", "all at once", "sizes as text", "429 first", "a page that is hidden"],
)
def test_all_pages(fake: Fake, quirks: dict[str, Any]) -> None:
    one, manager = fake(**quirks)
    many = [Item(path=f"python/{n:05}", name=f"many-1.{n}-py3-none-any.whl", data=b"%d" % n) for n in range(3200)]
    one.stored[f"{CHAINGUARD}-cache"] = many
    entries = list(manager.retrieved())
    expected = [item for item in many if item.name not in one.hidden]
    assert {(entry.filename, entry.size) for entry in entries} == {(item.name, len(item.data)) for item in expected}
    assert len(entries) == len(expected)


def test_source_archives_and_what_is_none(fake: Fake) -> None:
    one, manager = fake()
    one.stored[f"{CHAINGUARD}-cache"] = [
        Item(path="python/simple/odd-name/1.0", name="odd-name-1.0.tar.gz", data=b"a"),
        Item(path="aa/bb/cc", name="plain-2.0.zip", data=b"b"),
        Item(path=".pypi", name="simple.html", data=b"c"),
        Item(path="..", name="up-1.0-py3-none-any.whl", data=b"d"),
        Item(path=".", name="root-1.0-py3-none-any.whl", data=b"e", downloaded=None),
    ]
    found = {entry.path: (entry.project, entry.version) for entry in manager.retrieved()}
    assert found == {
        "python/simple/odd-name/1.0/odd-name-1.0.tar.gz": ("odd-name", "1.0"),
        "aa/bb/cc/plain-2.0.zip": ("plain", "2.0"),
        "root-1.0-py3-none-any.whl": ("root", "1.0"),
    }


def test_a_page_of_a_redirect_stored_as_a_wheel_is_listed_with_its_own_bytes(fake: Fake, scene: Scene) -> None:
    one, manager = fake()
    page = b"<html>302 Found</html>"
    [first, *_] = one.stored[f"{CHAINGUARD}-cache"]
    one.stored[f"{CHAINGUARD}-cache"] = [replace(first, data=page)]
    [entry] = manager.retrieved()
    assert (entry.size, entry.sha256 and entry.sha256.hex) == (len(page), sha256(page))


@pytest.mark.parametrize("is_admin", [True, False])
def test_a_virtual_repository(fake: Fake, scene: Scene, is_admin: bool) -> None:
    one, manager = fake(ALL, is_admin=is_admin)
    one.stored[LOCAL] = [Item(path="python/simple/mine/1.0", name="mine-1.0-py3-none-any.whl", data=b"mine")]
    entries = list(manager.retrieved())
    places = {(entry.repository, entry.filename) for entry in entries}
    assert places == {
        (LOCAL, "mine-1.0-py3-none-any.whl"),
        *((CHAINGUARD, wheel.name) for wheel in scene.served),
        *((PYPI, wheel.name) for wheel in scene.upstream),
    }
    assert len(entries) == len(places)
    [mine] = [entry for entry in entries if entry.repository == LOCAL]
    assert mine.tier is None  # whoever uploads chooses the path
    with pytest.raises(UsageError, match="no cache"):
        manager.delete(mine)
    assert one.deleted == []


def test_a_path_of_another_upstream_names_no_built_tier(fake: Fake, scene: Scene) -> None:
    _, manager = fake(chainguard_url="https://mirror.example/")
    tiers = {entry.filename: entry.tier for entry in manager.retrieved()}
    assert tiers == {**{wheel.name: None for wheel in scene.built}, scene.served[-1].name: Tier.FALLBACK}


def test_the_repositories(fake: Fake) -> None:
    _, manager = fake()
    assert manager.repositories() == (
        Repository(name=ALL, holds=Holds.GROUP, members=(LOCAL, CHAINGUARD, PYPI)),
        Repository(name=CHAINGUARD, holds=Holds.PROXY, remote="https://libraries.cgr.dev/"),
        Repository(name=LOCAL, holds=Holds.HOSTED),
        Repository(name=PYPI, holds=Holds.PROXY, remote="https://pypi.org/"),
    )


def test_the_members_of_a_virtual_repository_are_for_administrators(fake: Fake) -> None:
    _, manager = fake(is_admin=False)
    assert manager.repositories()[0] == Repository(name=ALL, holds=Holds.GROUP)


def test_the_cache_itself_as_the_index(fake: Fake, scene: Scene) -> None:
    _, manager = fake(f"{CHAINGUARD}-cache")
    assert names(manager.retrieved()) == digests(*scene.served)


def test_a_repository_that_is_none(fake: Fake) -> None:
    _, manager = fake("nowhere")
    with pytest.raises(IndexUnavailable, match="has no Python repository 'nowhere'"):
        list(manager.retrieved())


# -- deleting


def test_deleting_from_a_cache(fake: Fake, scene: Scene) -> None:
    one, manager = fake()
    entry = next(entry for entry in manager.retrieved() if "+cgr" in entry.filename)
    assert manager.delete(entry) is Deleted.GONE
    assert one.deleted == [f"{CHAINGUARD}-cache/python/simple/remedied/3.0+cgr.1/{entry.filename}"]
    assert manager.delete(entry) is Deleted.ALREADY_GONE
    assert len(one.deleted) == 1


def test_a_plus_that_stayed_escaped(fake: Fake) -> None:
    one, manager = fake()
    folder, name = "python/simple/remedied/3.0%2Bcgr.1", "remedied-3.0%2Bcgr.1-py3-none-any.whl"
    one.stored[f"{CHAINGUARD}-cache"] = [Item(path=folder, name=name, data=b"wheel")]
    [entry] = manager.retrieved()
    assert (entry.filename, entry.version) == ("remedied-3.0+cgr.1-py3-none-any.whl", "3.0+cgr.1")
    assert entry.tier is Tier.BUILT
    assert manager.delete(entry) is Deleted.GONE
    assert one.deleted == [f"{CHAINGUARD}-cache/{folder}/{name}"]


def test_other_bytes_are_left_alone(fake: Fake) -> None:
    one, manager = fake()
    [entry, *_] = manager.retrieved()
    items = one.stored[f"{CHAINGUARD}-cache"]
    items[:] = [replace(item, data=b"newer") if item.name == entry.filename else item for item in items]
    assert manager.delete(entry) is Deleted.CHANGED
    assert manager.delete(replace(entry, sha256=None)) is Deleted.CHANGED
    assert one.deleted == []


def test_only_a_remote_that_is_one_still(fake: Fake) -> None:
    one, manager = fake()
    [entry, *_] = manager.retrieved()
    local = b'[{"key": "python-chainguard", "type": "LOCAL", "packageType": "pypi"}]'
    one.answers["/api/repositories"] = (200, local, {"Content_Type": "application/json"})
    with pytest.raises(UsageError, match="not a remote repository"):
        manager.delete(entry)
    assert one.deleted == []


@pytest.mark.parametrize(
    "identity",
    ["python-local/a/F", "python-chainguard-cache/../python-local/F", "python-chainguard-cache//F", "F", ""],
)
def test_places_that_are_none_of_the_cache(fake: Fake, identity: str) -> None:
    one, manager = fake()
    [entry, *_] = manager.retrieved()
    with pytest.raises(UsageError, match="no cache"):
        manager.delete(replace(entry, identity=identity.replace("F", entry.filename)))
    assert not [seen for seen in one.front.requests if seen.method == "DELETE"]


def test_without_the_right_to_delete(fake: Fake) -> None:
    one, manager = fake()
    [entry, *_] = manager.retrieved()
    one.is_admin = False
    with pytest.raises(IndexUnavailable, match="403: Not enough permissions") as raised:
        manager.delete(entry)
    assert "Delete" in one_line(raised.value)


def test_a_deletion_is_not_sent_elsewhere(fake: Fake) -> None:
    one, manager = fake()
    entry = next(entry for entry in manager.retrieved() if "+cgr" in entry.filename)
    here = f"/{entry.identity}".replace("+", "%2B")
    one.answers[here] = (307, b"", {"Location": "/artifactory/python-local/mine-1.0-py3-none-any.whl"})
    with pytest.raises(IndexUnavailable, match="sends on"):
        manager.delete(entry)
    assert [seen.path for seen in one.front.requests if seen.method == "DELETE"] == [f"/artifactory{here}"]


# -- answers that are none

AQL = "/api/search/aql"
REPOSITORIES = "/api/repositories"
ROW = b'{"repo": "r", "path": "p", "name": "a-1.0-py3-none-any.whl"}'


@pytest.mark.parametrize(
    ("path", "status", "body", "headers", "said"),
    [
        (REPOSITORIES, 200, b"<html>Log in</html>", HTML, "no JSON"),
        (REPOSITORIES, 302, b"", {"Location": "/ui/login"}, "no JSON"),
        (REPOSITORIES, 302, b"", {"Location": "http://127.0.0.2:9/login"}, "."),
        (REPOSITORIES, 403, b'{"errors":[{"status":403,"message":"no\\nright"}]}', {}, "refused 403: no right"),
        (REPOSITORIES, 404, b"", {}, "404"),
        (REPOSITORIES, 200, b'{"a": 1}', {}, "is no list"),
        (REPOSITORIES, 200, b"[1]", {}, "is no object"),
        (REPOSITORIES, 200, b"[" * 100_000, {}, "no JSON"),
        (AQL, 200, b"[]", {}, "is no object"),
        (AQL, 200, b'{"results": 1}', {}, "is no list"),
        (AQL, 200, b'{"results": [{"repo": 1}]}', {}, "no repo, path or name"),
        (AQL, 200, b'{"results": [' + ROW + b"]}", {}, "repeats the ones before"),
        (AQL, 200, b'{"results": [], "range": {"notification": "trimmed"}}', {}, "has cut its answer"),
        (AQL, 307, b"", {"Location": "/artifactory/elsewhere"}, "sends on"),
        (AQL, 429, b"", {"Retry_After": "3600"}, "429"),
        (AQL, 503, b"", {"Retry_After": "3600"}, "503"),
    ],
)
def test_answers_that_are_none(
    fake: Fake, path: str, status: int, body: bytes, headers: dict[str, str], said: str
) -> None:
    one, manager = fake()
    one.answers[path] = (status, body, headers)
    with pytest.raises(IndexUnavailable) as raised:
        list(manager.retrieved())
    assert said in one_line(raised.value)


@settings(max_examples=100)
@given(
    repositories=answers("key", "type", "url", "packageType"), files=answers("repo", "path", "name", "stats", "size")
)
def test_any_answer_gives_files_or_one_line(running: Running, repositories: bytes, files: bytes) -> None:
    one, client = running
    for own in (True, False):
        one.answers = {AQL: (200, files, {}), **({} if own else {REPOSITORIES: (200, repositories, {})})}
        with contextlib.suppress(IndexUnavailable):
            manager = opened(one.location(), client)
            assert all(isinstance(entry.filename, str) for entry in manager.retrieved())


def test_an_answer_that_is_too_long(fake: Fake, client: Client) -> None:
    one, _ = fake()
    one.answers[REPOSITORIES] = (200, b'["' + b"x" * 100_000 + b'"]', {})
    spec = IndexSpec(location=one.location(), role=Role.CHAINGUARD)
    manager = open_manager(spec, client=client, limits=Limits(page=50_000))
    assert manager is not None
    with pytest.raises(IndexUnavailable, match="longer than 50000 bytes"):
        manager.repositories()


def test_a_server_that_says_secrets_again(fake: Fake, client: Client) -> None:
    one, _ = fake()
    wrong = opened(one.location().replace(SECRET, "another-s3cr3t"), client)
    with pytest.raises(IndexUnavailable, match="refused 401") as raised:
        list(wrong.retrieved())
    assert raised.value.whole
    assert "another-s3cr3t" not in one_line(raised.value)
    assert "Basic …" in str(raised.value)


def test_a_token_from_the_environment(
    fake: Fake, client: Client, monkeypatch: pytest.MonkeyPatch, scene: Scene
) -> None:
    one, _ = fake()
    monkeypatch.setenv("ARTIFACTORY_TOKEN", SECRET)
    location = f"{one.root}/api/pypi/{CHAINGUARD}/simple"
    manager = opened(location, client, token_env="ARTIFACTORY_TOKEN")
    assert names(manager.retrieved()) == digests(*scene.served)
    assert one.front.requests[-1].headers["authorization"] == f"Bearer {SECRET}"


def test_a_name_of_its_own_has_pages_only(client: Client) -> None:
    location = "https://pypi.acme.example/simple"
    assert index(location, client, kind="artifactory").url == f"{location}/"
    with pytest.raises(UsageError, match="does not tell where Artifactory is"):
        opened(location, client, kind="artifactory")
