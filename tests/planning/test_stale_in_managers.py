"""What Artifactory's proxies hold, and what Chainguard has instead: PyPI's files only, of proxies only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.wheels import make_wheel
from scanner.digest import Digest
from scanner.http import Client
from scanner.index import IndexSpec, Role
from scanner.manager import Holds, Repository, Retrieved
from scanner.managers import open_manager
from scanner.plan import ManagerStanding
from scanner.stalecopies import Surveyed, proxy_copies
from tests import scenes
from tests.repository_managers.fake_artifactory import ALL, CHAINGUARD, LOCAL, PYPI, FakeArtifactory, Item
from tests.repository_managers.vendors import LIMITS, Scene, index, make_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def fake(scene: Scene) -> Iterator[FakeArtifactory]:
    copied = frozenset({scene.served[-1].name})
    with FakeArtifactory(built=scene.served, upstream=scene.upstream, fallback=copied).running() as one:
        one.fetch_all()
        yield one


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    with Client(limits=LIMITS) as one:
        yield one


def surveyed(fake: FakeArtifactory, repository: str, client: Client, *, role: Role = Role.UPSTREAM) -> Surveyed:
    spec = IndexSpec(location=fake.location(repository), role=role)
    manager = open_manager(spec, client=client, limits=LIMITS)
    assert manager is not None
    indexes = [index(fake.location(CHAINGUARD), client), index(fake.location(PYPI), client, role=Role.UPSTREAM)]
    return proxy_copies("proxy", role, manager, indexes)


def instead(found: Surveyed) -> dict[tuple[str, str], str | None]:
    return {
        (copy.entry.repository, copy.entry.filename): copy.replacement.filename if copy.replacement else None
        for copy in found.copies
    }


def test_pypi_s_files_in_the_proxy_of_pypi(fake: FakeArtifactory, client: Client) -> None:
    found = surveyed(fake, PYPI, client)
    assert instead(found) == {
        (PYPI, "built_one-1.0-py3-none-any.whl"): "built_one-1.0-py3-none-any.whl",
        (PYPI, "built_two-2.1-py3-none-any.whl"): "built_two-2.1-py3-none-any.whl",
        (PYPI, "copied-0.4-py3-none-any.whl"): None,
    }
    assert found.standing == ManagerStanding(
        index="proxy",
        kind="artifactory",
        repository=PYPI,
        copies=3,
        replaced=2,
        chainguards=0,
        kept_back=0,
        unclear=0,
    )
    [one] = [copy for copy in found.copies if copy.entry.project == "built-one"]
    assert one.entry.size is not None
    assert one.entry.downloaded is not None
    assert one.replacement is not None
    assert one.replacement.sha256 != one.entry.sha256


def test_chainguard_s_own_files_and_what_lies_in_no_proxy_stay(fake: FakeArtifactory, client: Client) -> None:
    fake.stored[LOCAL] = [Item(path="built-one/1.0", name="built_one-1.0-py3-none-any.whl", data=b"our own")]
    found = surveyed(fake, ALL, client, role=Role.CHAINGUARD)
    assert {repository for repository, _ in instead(found)} == {CHAINGUARD, PYPI}
    assert [name for repository, name in instead(found) if repository == CHAINGUARD] == ["copied-0.4-py3-none-any.whl"]
    assert (found.standing.chainguards, found.standing.kept_back, found.standing.copies) == (3, 1, 4)


def test_a_manager_that_does_not_tell_what_is_a_proxy_gets_nothing_deleted(
    fake: FakeArtifactory, client: Client
) -> None:
    row = {"key": PYPI, "type": "SOMETHING", "url": "https://pypi.org/", "packageType": "Pypi"}
    fake.answers["/api/repositories"] = (200, json.dumps([row]).encode(), {"Content_Type": "application/json"})
    fake.stored[PYPI] = fake.stored[f"{PYPI}-cache"]
    found = surveyed(fake, PYPI, client)
    assert (found.copies, found.standing.kept_back) == ((), 3)


class _Manager:
    """A manager in memory."""

    kind = "memory"
    repository = "pypi"

    def __init__(self, *entries: Retrieved, remote: str | None = "https://pypi.org/") -> None:
        self._entries = entries
        self._repository = Repository(name="pypi", holds=Holds.PROXY, remote=remote)

    def repositories(self) -> tuple[Repository, ...]:
        return (self._repository,)

    def retrieved(self) -> Iterator[Retrieved]:
        yield from self._entries


def stored(filename: str, **changes: object) -> Retrieved:
    entry = Retrieved(
        project=filename.partition("-")[0],  # type: ignore[arg-type]
        version=filename.split("-")[1].removesuffix(".tar.gz"),
        filename=filename,
        repository="pypi",
        path=filename,
        identity=filename,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


LINUX, MUSL = "manylinux_2_17_x86_64", "musllinux_1_2_x86_64"


@pytest.mark.parametrize(
    ("filename", "offered", "does"),
    [
        (f"demo-1.0-cp311-cp311-{LINUX}.whl", "cp311-cp311-manylinux_2_28_x86_64", True),
        (f"demo-1.0-cp311-cp311-{LINUX}.whl", "py3-none-any", True),
        (f"demo-1.0-cp311-cp311-{LINUX}.whl", "cp39-abi3-manylinux_2_28_x86_64", True),
        (f"demo-1.0-cp311-cp311-{LINUX}.whl", "cp312-cp312-manylinux_2_28_x86_64", False),
        (f"demo-1.0-cp311-cp311-{LINUX}.whl", f"cp311-cp311-{MUSL}", False),
        ("demo-1.0-cp311-cp311-manylinux_2_17_aarch64.whl", f"cp311-cp311-{LINUX}", False),
        (f"demo-1.0-cp311-cp311-{MUSL}.whl", f"cp311-cp311-{MUSL}", True),
        (f"demo-1.0-pp310-pypy310_pp73-{LINUX}.whl", f"cp310-cp310-{LINUX}", False),
        (f"demo-1.0-cp38-abi3-{LINUX}.whl", f"cp311-cp311-{LINUX}", False),
        ("demo-1.0-py3-none-any.whl", f"cp311-cp311-{LINUX}", False),
        ("demo-1.0-py3-none-any.whl", f"py3-none-{LINUX}", False),
        ("demo-1.0-py2.py3-none-any.whl", "py3-none-any", True),
        ("demo-1.0-py2-none-any.whl", "py3-none-any", False),
        ("demo-1.0-cp311-cp311-macosx_11_0_arm64.whl", "py3-none-any", False),
        ("demo-1.0-cp311-cp311-win_amd64.whl", f"cp311-cp311-{LINUX}", False),
        ("demo-1.1-py3-none-any.whl", "py3-none-any", False),
        ("demo-1.0.tar.gz", "py3-none-any", False),
    ],
)
def test_what_serves_everybody_whom_a_stored_file_served(
    tmp_path: Path, filename: str, offered: str, does: bool
) -> None:
    wheel = make_wheel(tmp_path, "demo", "1.0", {"demo.py": b""}, tag=offered, sbom=True)
    shelf = scenes.Shelf(wheels=[wheel], role=Role.CHAINGUARD)
    [copy] = proxy_copies("pypi", Role.UPSTREAM, _Manager(stored(filename)), [shelf]).copies
    assert (copy.replacement is not None) is does


def test_whose_a_file_is_that_no_index_lists(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "demo", "1.0", {"demo.py": b""}, sbom=True)
    indexes = [scenes.Shelf(wheels=[wheel], role=Role.CHAINGUARD), scenes.Shelf(wheels=[], role=Role.UPSTREAM)]
    entry = stored(wheel.name)
    for role, remote, counted in (
        (Role.UPSTREAM, "https://pypi.org/", (1, 0)),
        (Role.UPSTREAM, None, (1, 0)),
        (Role.UPSTREAM, "https://libraries.cgr.dev/python/", (0, 1)),
        (Role.CHAINGUARD, None, (0, 1)),
        (Role.CHAINGUARD, "https://pypi.org/", (1, 0)),
    ):
        standing = proxy_copies("pypi", role, _Manager(entry, remote=remote), indexes).standing
        assert (standing.copies, standing.unclear) == counted, (role, remote)


def test_chainguard_s_bytes_are_no_copy_wherever_they_lie(tmp_path: Path) -> None:
    """Somebody put Chainguard's wheel where only PyPI's were expected: the bytes say whose it is."""
    wheel = make_wheel(tmp_path, "demo", "1.0", {"demo.py": b""}, sbom=True)
    indexes = [scenes.Shelf(wheels=[wheel], role=Role.CHAINGUARD), scenes.Shelf(wheels=[], role=Role.UPSTREAM)]
    entry = stored(wheel.name, sha256=Digest.of(wheel.read_bytes()))
    found = proxy_copies("pypi", Role.UPSTREAM, _Manager(entry), indexes)
    assert (found.copies, found.standing.chainguards) == ((), 1)


def test_an_index_that_does_not_answer_gives_no_replacement(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "demo", "1.0", {"demo.py": b""}, sbom=True)
    refusing = scenes.Shelf(wheels=[wheel], role=Role.CHAINGUARD, refuses="503")
    [copy] = proxy_copies("pypi", Role.UPSTREAM, _Manager(stored(wheel.name)), [refusing]).copies
    assert copy.replacement is None


def test_what_there_was_no_time_to_ask_for_is_unclear(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "demo", "1.0", {"demo.py": b""}, sbom=True)
    shelf = scenes.Shelf(wheels=[wheel], role=Role.CHAINGUARD)
    found = proxy_copies("pypi", Role.UPSTREAM, _Manager(stored(wheel.name)), [shelf], deadline=1e-9)
    assert (found.copies, found.standing.unclear) == ((), 1)
