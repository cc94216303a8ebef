"""Google Artifact Registry: scans through it, what it has stored, and what may be deleted of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.wheels import make_wheel
from scanner.errors import IndexUnavailable, UsageError
from scanner.http import Client
from scanner.index import IndexSpec, Role
from scanner.manager import Deleted, Holds, Repository, Retrieved
from scanner.managers import open_manager
from scanner.managers.google import GoogleManager
from tests.managers import sha256
from tests.repository_managers.fake_google import INDEX, INTERFACE, STORAGE, FakeGoogle, resource
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

Fake = Callable[..., tuple[FakeGoogle, Hosts, Callable[..., GoogleManager], Client]]


@pytest.fixture
def fake(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Starts a project with these quirks; gives managers of its repositories."""
    with contextlib.ExitStack() as stack:

        def make(**quirks: Any) -> tuple[FakeGoogle, Hosts, Callable[..., GoogleManager], Client]:
            one = FakeGoogle(cached=quirks.pop("cached", scene.served), **quirks)
            running, client = stack.enter_context(served(tmp_path, one.responds, monkeypatch))

            def manager(repository: str = "chainguard", **more: Any) -> GoogleManager:
                spec = IndexSpec(location=one.location(repository, **more), role=Role.CHAINGUARD)
                return GoogleManager(spec, client=client, limits=LIMITS)

            return one, running, manager, client

        yield make


def test_the_report_is_that_of_a_folder(fake: Fake, scene: Scene) -> None:
    one, running, _, client = fake()
    for repository in ("chainguard", "all"):
        there = [index(one.location(repository), client), index(scene.upstream_folder, client, role=Role.UPSTREAM)]
        report = judged(scene, there)
        assert report == through_folders(scene, client)
        assert {line["origin"].value for line in report[:-1]} == {"chainguard", "upstream"}
        assert SECRET not in str(report) + "".join(one.url for one in there)
    assert running.requests(STORAGE)
    assert not [seen for seen in running.requests(STORAGE) if "authorization" in seen.headers]
    assert running.refused == []


def test_it_is_known_by_its_url(fake: Fake) -> None:
    one, _, _, client = fake()
    assert index(one.location(), client).kind == "google"
    spec = IndexSpec(location=one.location(), role=Role.CHAINGUARD)
    manager = open_manager(spec, client=client, limits=LIMITS)
    assert manager is not None
    assert (manager.kind, manager.repository) == ("google", "chainguard")
    assert len(list(manager.retrieved())) == 4


def test_all_pages_of_what_is_stored(fake: Fake, scene: Scene) -> None:
    _, running, manager, _ = fake()
    entries = list(manager().retrieved())
    assert {entry.filename: entry.sha256 and entry.sha256.hex for entry in entries} == {
        wheel.name: sha256(wheel.read_bytes()) for wheel in scene.served
    }
    lists = [seen for seen in running.requests(INTERFACE) if seen.path.endswith("/files")]
    assert [seen.query.get("pageToken") for seen in lists] == [None, ["+/=2"]]
    cured = next(entry for entry in entries if entry.project == "remedied")
    assert cured == Retrieved(
        project=cured.project,
        version="3.0+cgr.1",
        filename="remedied-3.0+cgr.1-py3-none-any.whl",
        repository="chainguard",
        path="remedied/remedied-3.0+cgr.1-py3-none-any.whl",
        identity=f"{resource('chainguard')}/files/remedied%2Fremedied-3.0%2Bcgr.1-py3-none-any.whl",
        size=scene.built[2].stat().st_size,
        sha256=cured.sha256,
        md5=cured.md5,
        created="2026-10-02T09:00:00Z",
    )
    assert len(cured.md5 or "") == 32


def test_a_virtual_repository_in_the_order_of_its_policies(fake: Fake, scene: Scene, tmp_path: Path) -> None:
    mine = make_wheel(tmp_path / "mine", "mine", "1.0", {"mine.py": b""})
    _, _, manager, _ = fake(uploaded=[mine])
    entries = [(entry.repository, entry.filename) for entry in manager("all").retrieved()]
    assert entries[0] == ("own", mine.name)
    assert {repository for repository, _ in entries[1:]} == {"chainguard"}
    assert len(entries) == 1 + len(scene.served)


def test_virtual_repositories_in_a_circle(fake: Fake) -> None:
    _, _, manager, _ = fake(policies=(("all", 1), ("chainguard", 1), ("chainguard", 0)))
    assert len(list(manager("all").retrieved())) == 4


def test_the_repositories_of_the_project(fake: Fake) -> None:
    _, _, manager, _ = fake()
    assert manager().repositories() == (
        Repository(name="chainguard", holds=Holds.PROXY, remote="https://libraries.cgr.dev/python/"),
        Repository(name="own", holds=Holds.HOSTED),
        Repository(name="all", holds=Holds.GROUP, members=("own", "chainguard")),
    )


def test_packages_for_those_who_may_not_list_files(fake: Fake) -> None:
    _, _, manager, _ = fake()
    assert set(manager("all").versions()) == {
        ("built-one", "1.0"),
        ("built-two", "2.1"),
        ("remedied", "3.0+cgr.1"),
        ("copied", "0.4"),
    }


def test_one_refusal_for_too_many_requests_passes(fake: Fake) -> None:
    _, _, manager, _ = fake(throttled=1)
    assert len(list(manager().retrieved())) == 4


def test_odd_values_of_a_row(fake: Fake, scene: Scene) -> None:
    odd = {"sizeBytes": True, "hashes": [7, {"type": "SHA256", "value": "no base64!"}], "owner": 5, "fetchTime": "now"}
    _, _, manager, _ = fake(changes={scene.built[0].name: odd})
    entry = next(entry for entry in manager().retrieved() if entry.filename == scene.built[0].name)
    assert (entry.size, entry.sha256, entry.created) == (None, None, "2026-10-01T08:12:44.101234Z")
    assert (entry.project, entry.version) == ("built-one", "1.0")


# -- deleting


def entry_of(manager: GoogleManager, wheel: Path) -> Retrieved:
    return next(entry for entry in manager.retrieved() if entry.filename == wheel.name)


def deletions(running: Hosts) -> list[str]:
    return [seen.path for seen in running.requests(INTERFACE) if seen.method == "DELETE"]


@pytest.mark.parametrize("repository", ["chainguard", "all"])
def test_delete_what_a_remote_repository_fetched(fake: Fake, scene: Scene, repository: str) -> None:
    one, running, manager, _ = fake()
    entry = entry_of(manager(repository), scene.built[2])
    assert manager(repository).delete(entry) is Deleted.GONE
    assert one.versions_deleted == [one.owner("chainguard", scene.built[2])]
    assert deletions(running) == [f"/v1/{one.owner('chainguard', scene.built[2])}"]
    assert manager(repository).delete(entry) is Deleted.ALREADY_GONE


def test_other_bytes_are_left_alone(fake: Fake, scene: Scene) -> None:
    _, running, manager, _ = fake()
    entry = entry_of(manager(), scene.built[0])
    other = entry_of(manager(), scene.built[1])
    assert manager().delete(replace(entry, sha256=other.sha256)) is Deleted.CHANGED
    assert manager().delete(replace(entry, sha256=None)) is Deleted.CHANGED
    assert deletions(running) == []


def test_an_upload_is_never_deleted(fake: Fake, scene: Scene) -> None:
    _, running, manager, _ = fake(uploaded=scene.built)
    for repository in ("own", "all"):
        entry = entry_of(manager(repository), scene.built[0])
        with pytest.raises(UsageError) as raised:
            manager(repository).delete(entry)
        assert "own is no remote repository" in one_line(raised.value)
    assert deletions(running) == []


def test_a_repository_of_unknown_mode_is_left_alone(fake: Fake, scene: Scene) -> None:
    _, running, manager, _ = fake(changes={"chainguard": {"mode": "MODE_UNSPECIFIED"}})
    with pytest.raises(UsageError):
        manager().delete(entry_of(manager(), scene.built[0]))
    assert deletions(running) == []


def test_a_file_of_another_repository_is_left_alone(fake: Fake, scene: Scene) -> None:
    _, running, manager, _ = fake()
    entry = entry_of(manager(), scene.built[0])
    with pytest.raises(UsageError) as raised:
        manager("own").delete(entry)
    assert "not behind" in one_line(raised.value)
    with pytest.raises(UsageError):
        manager().delete(replace(entry, identity=entry.identity + "/../../x"))
    assert deletions(running) == []


def test_a_version_with_other_files_is_left_alone(fake: Fake, scene: Scene, tmp_path: Path) -> None:
    second = make_wheel(tmp_path / "more", "built-one", "1.0", {"built_one.py": b""}, tag="cp312-cp312-linux_x86_64")
    _, running, manager, _ = fake(cached=[*scene.served, second])
    with pytest.raises(IndexUnavailable) as raised:
        manager().delete(entry_of(manager(), scene.built[0]))
    assert "1 other files" in one_line(raised.value)
    assert "gcloud artifacts versions delete 1.0" in one_line(raised.value)
    assert deletions(running) == []


@pytest.mark.parametrize("owner", ["packages/..", "packages/x/versions/..", "packages/%2e%2e/versions/1", "packages/x"])
def test_an_owner_that_is_no_version_is_not_deleted(fake: Fake, scene: Scene, owner: str) -> None:
    wheel = scene.built[0]
    _, running, manager, _ = fake(changes={wheel.name: {"owner": f"{resource('chainguard')}/{owner}"}})
    with pytest.raises(IndexUnavailable) as raised:
        manager().delete(entry_of(manager(), wheel))
    assert "does not say of which version" in one_line(raised.value)
    assert deletions(running) == []


def test_an_operation_that_fails(fake: Fake, scene: Scene) -> None:
    _, _, manager, _ = fake(operation_error=f"denied for {SECRET}")
    with pytest.raises(IndexUnavailable) as raised:
        manager().delete(entry_of(manager(), scene.built[0]))
    assert "not deleted: denied for …" in one_line(raised.value)


# -- answers that are none

FILES = f"{resource('chainguard')}/files"
ELSEWHERE = {"name": "projects/other/locations/us/repositories/r/files/x"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, b"<html>Sign in</html>", "text/html"), "no JSON"),
        ((200, b"[]", "application/json"), "is no object"),
        ((200, b'{"files": 5}', "application/json"), "is no list"),
        ((200, b'{"files": [5]}', "application/json"), "is no object"),
        ((200, json.dumps({"files": [ELSEWHERE]}).encode(), "application/json"), "of another name"),
        ((200, b'{"nextPageToken": "a"}', "application/json"), "leads back"),
        ((200, b'{"nextPageToken": 5}', "application/json"), "no text"),
        ((200, b'{"a":' * 100_000, "application/json"), "no JSON"),
        ((403, json.dumps({"error": {"message": f"no {SECRET}\n"}}).encode(), "text/plain"), "refused 403: no …"),
        ((404, b"{}", "application/json"), "check project"),
        ((307, b"", "text/plain"), "sends on"),
    ],
)
def test_hostile_answers_are_one_clear_line(fake: Fake, answer: tuple[int, bytes, str], why: str) -> None:
    _, _, manager, _ = fake(answers={FILES: answer})
    with pytest.raises(IndexUnavailable) as raised:
        list(manager().retrieved())
    assert why in one_line(raised.value)


@pytest.mark.parametrize(
    "about",
    [
        {"name": "projects/other/locations/us/repositories/r"},
        {"name": 5},
        {"mode": "VIRTUAL_REPOSITORY", "virtualRepositoryConfig": {"upstreamPolicies": [{"repository": "../x"}]}},
        {"mode": "VIRTUAL_REPOSITORY", "virtualRepositoryConfig": {"upstreamPolicies": "x"}},
    ],
)
def test_a_repository_that_is_none(fake: Fake, about: dict[str, Any]) -> None:
    _, _, manager, _ = fake(changes={"chainguard": about})
    with pytest.raises(IndexUnavailable) as raised:
        list(manager().retrieved())
    one_line(raised.value)


def test_an_expired_token(fake: Fake) -> None:
    one, _, _, client = fake()
    spec = IndexSpec(location=one.location().replace(SECRET, "0ld"), role=Role.CHAINGUARD)
    with pytest.raises(IndexUnavailable) as raised:
        list(GoogleManager(spec, client=client, limits=LIMITS).retrieved())
    assert "print-access-token" in one_line(raised.value)
    assert raised.value.whole


def test_a_service_accounts_key_is_no_token(fake: Fake) -> None:
    _, running, manager, _ = fake()
    with pytest.raises(UsageError) as raised:
        manager(user="_json_key_base64")
    assert "print-access-token" in one_line(raised.value)
    assert running.requests(INTERFACE) == []


@pytest.mark.parametrize(
    "location", ["https://pypi.org/simple/", f"https://{INDEX}/x/", f"https://{INDEX}/a%2Fb/c/simple/"]
)
def test_no_repository_in_the_url(location: str) -> None:
    with Client(limits=LIMITS) as client, pytest.raises(UsageError) as raised:
        GoogleManager(IndexSpec(location=location, role=Role.CHAINGUARD), client=client, limits=LIMITS)
    assert "LOCATION-python.pkg.dev" in one_line(raised.value)


def test_the_documented_configuration(tmp_path: Path) -> None:
    assert documented("google.md", tmp_path, {}) == {"chainguard": "google", "pypi": None}
