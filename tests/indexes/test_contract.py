"""What every kind of index does, and what nobody can tell by the way that the wheels came."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from scanner.errors import IndexFailure, IndexUnavailable
from scanner.http import Client
from scanner.index import Index, IndexSpec, Role
from scanner.indexes import open_indexes
from scanner.indexes.recording import RecordingIndex, Tally, open_for_writing
from scanner.progress import silent
from scanner.pulling import pull
from scanner.store import DiskStore, NoStore
from scanner.wanted import Want
from scanner.wheel import read_wheel
from tests.managers import Devpi, sha256
from tests.repository_managers.vendors import LIMITS, SECRET, Scene, judged, make_scene, project
from tests.shelves import SERVED, Place, Shelf, copy_of

ON_DISK = [name for name in SERVED if not name.startswith("devpi")]
"""Kinds that give whatever the wheels' files hold at the moment."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def place(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Place:
    def devpi() -> Devpi:
        running: Devpi = request.getfixturevalue("running_devpi")
        return running

    return Place(scene=scene, folder=tmp_path, patch=monkeypatch, devpi=devpi)


@pytest.fixture(params=SERVED)
def shelf(request: pytest.FixtureRequest, place: Place) -> Iterator[Shelf]:
    """Each kind in its turn."""
    with SERVED[request.param](place) as one:
        yield one


@pytest.fixture(scope="module")
def expected(scene: Scene) -> list[dict[str, Any]]:
    """The report with folders as indexes."""
    with Client(limits=LIMITS) as client:
        folders = [(scene.built_folder, Role.CHAINGUARD), (scene.upstream_folder, Role.UPSTREAM)]
        specs = [IndexSpec(location=str(path), role=role) for path, role in folders]
        report = judged(scene, open_indexes(specs, client=client, store=NoStore(), limits=LIMITS))
    assert {line["origin"].value for line in report[:-1]} == {"chainguard", "upstream"}
    return report


def promised(index: Index, wheel: Path) -> dict[str, str | None]:
    """File names with what the page promises of them."""
    files = index.files(canonicalize_name(project(wheel)))
    return {file.filename: file.sha256.hex if file.sha256 else None for file in files}


# -- one index


def test_it_lists_the_files_of_a_project_with_their_digests(shelf: Shelf, scene: Scene) -> None:
    for wheel in scene.served:
        index = shelf.ours_with(wheel)
        digest = None if shelf.kind == "directory" else sha256(wheel.read_bytes())  # a folder promises nothing
        assert promised(index, wheel) == promised(index, wheel)
        assert promised(index, wheel).keys() == {wheel.name}
        assert promised(index, wheel)[wheel.name] in (digest, sha256(wheel.read_bytes()))


def test_it_answers_that_there_is_no_such_project(shelf: Shelf) -> None:
    for index in shelf.opened():
        assert index.files(canonicalize_name("no-such-project")) == ()


def test_it_reads_what_a_wheel_holds(shelf: Shelf, scene: Scene) -> None:
    for wheel in scene.served:
        with wheel.open("rb") as file:
            whole = read_wheel(file, filename=wheel.name, limits=LIMITS)
        index = shelf.ours_with(wheel)
        [file_there] = index.files(canonicalize_name(project(wheel)))
        contents = index.wheel(file_there)
        assert {path: one.sha256 for path, one in contents.members.items()} == {
            path: one.sha256 for path, one in whole.members.items()
        }
        proved = index.wheel(file_there, whole=True)
        assert proved.proved
        assert proved.sha256 is not None
        assert proved.sha256.hex == sha256(wheel.read_bytes())


def test_it_says_what_it_is_without_secrets(shelf: Shelf) -> None:
    indexes = shelf.opened()
    assert [index.role for index in indexes] == [Role.CHAINGUARD] * len(shelf.ours) + [Role.UPSTREAM]
    assert [index.name for index in indexes] == [spec.name for spec in shelf.specs()]
    assert {index.kind for index in indexes[: len(shelf.ours)]} == {shelf.kind}
    for index in indexes:
        assert not index.built_only
        assert SECRET not in f"{index.url} {index.name} {index!r}"
        assert "@" not in index.url


def test_threads_get_the_same_answer(shelf: Shelf, scene: Scene) -> None:
    index = shelf.opened()[0]
    name = canonicalize_name(project(scene.built[0]))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: index.wheel(index.files(name)[0]), range(16)))
    assert all(one is answers[0] for one in answers)


@pytest.mark.parametrize("shelf", [kind for kind in SERVED if kind != "folder"], indirect=True)
def test_it_is_remembered_offline_and_unavailable_without(shelf: Shelf, scene: Scene, tmp_path: Path) -> None:
    """All but a folder, which is there without a network."""
    store, wheel = DiskStore(tmp_path / "store"), scene.built[0]
    name = canonicalize_name(project(wheel))
    online = shelf.opened(store=store)[0]
    contents = online.wheel(online.files(name)[0])
    with Client(limits=LIMITS, offline=True) as client:
        offline = shelf.opened(client=client, store=store)[0]
        assert promised(offline, wheel) == promised(online, wheel)
        assert offline.wheel(offline.files(name)[0]) == contents
        with pytest.raises(IndexUnavailable, match="offline") as caught:
            shelf.opened(client=client)[0].files(name)
        assert caught.value.whole


@pytest.mark.parametrize("kind", ON_DISK)
def test_other_bytes_than_promised_are_no_wheel(kind: str, place: Place, scene: Scene, tmp_path: Path) -> None:
    own = copy_of(scene, tmp_path / "own")
    with SERVED[kind](Place(scene=own, folder=tmp_path, patch=place.patch, devpi=place.devpi)) as shelf:
        index = shelf.opened()[0]
        [file] = index.files(canonicalize_name("built-one"))
        data = bytearray(own.built[0].read_bytes())
        data[len(data) // 2] ^= 0xFF
        own.built[0].write_bytes(data)
        with pytest.raises(IndexFailure):
            index.wheel(file, whole=True)


# -- all of them


def test_the_same_report(shelf: Shelf, scene: Scene, expected: list[dict[str, Any]]) -> None:
    assert _plain(judged(scene, shelf.opened())) == _plain(expected)


@pytest.mark.parametrize("kind", SERVED)
def test_the_same_report_through_a_snapshot(
    kind: str, place: Place, scene: Scene, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Whatever served it is gone when the snapshot is read."""
    path = tmp_path / "own.cgindex"
    wants = [Want(project=canonicalize_name(project(wheel))) for wheel in (*scene.served, *scene.upstream)]
    tally = Tally()
    with SERVED[kind](place) as shelf, open_for_writing(path, limits=LIMITS) as snapshot:
        recorded = [
            RecordingIndex(one, snapshot, tally=tally, fresh=0, whole=False, limits=LIMITS) for one in shelf.opened()
        ]
        pull(wants, recorded, jobs=2, progress=silent)
    assert tally.failures == []
    assert SECRET.encode() not in path.read_bytes()
    spec = IndexSpec(location=str(path), role=Role.CHAINGUARD)
    with Client(limits=LIMITS, offline=True) as client:
        indexes = open_indexes([spec], client=client, store=NoStore(), limits=LIMITS)
        assert {index.kind for index in indexes} == {"snapshot"}
        assert _plain(judged(scene, indexes)) == _plain(expected)


def _plain(value: Any) -> Any:
    """A report without the indexes' names, which are made of their addresses."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if key != "index"}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
