"""The same wheels by every kind of index, for tests that all of them must pass.

Real servers where they run here (devpi, nginx), fakes of the vendors otherwise. ``ours`` are the indexes of
Chainguard's builds (the remediated ones have an index of their own at Chainguard itself), ``theirs`` that of PyPI's.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from scanner.http import Client
from scanner.index import Index, IndexSpec, Role
from scanner.indexes import open_indexes
from scanner.indexes.tier import CHAINGUARD_HOST
from scanner.store import NoStore, Store
from tests.managers import Chainguard, Devpi, html_page, nginx, sha256
from tests.repository_managers.fake_artifactory import CHAINGUARD as ARTIFACTORY_OURS
from tests.repository_managers.fake_artifactory import PYPI as ARTIFACTORY_THEIRS
from tests.repository_managers.fake_artifactory import FakeArtifactory
from tests.repository_managers.fake_chainguard import FakeChainguard, token
from tests.repository_managers.fake_cloudsmith import FakeCloudsmith
from tests.repository_managers.fake_google import FakeGoogle
from tests.repository_managers.fake_nexus import CHAINGUARD as NEXUS_OURS
from tests.repository_managers.fake_nexus import PYPI as NEXUS_THEIRS
from tests.repository_managers.fake_nexus import FakeNexus
from tests.repository_managers.vendors import LIMITS, SECRET, Scene, project, served


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """One kind while it is served. ``kind`` is what the index says of itself."""

    kind: str
    ours: tuple[str, ...]
    theirs: str
    client: Client

    def specs(self, **more: Any) -> list[IndexSpec]:
        """Both sides, Chainguard's first."""
        named = [(f"ours-{number}", location, Role.CHAINGUARD) for number, location in enumerate(self.ours)]
        named.append(("theirs", self.theirs, Role.UPSTREAM))
        return [IndexSpec(name=name, location=location, role=role, **more) for name, location, role in named]

    def opened(self, *, client: Client | None = None, store: Store | None = None) -> list[Index]:
        """The indexes, anew: nothing is remembered but in the store."""
        return open_indexes(self.specs(), client=client or self.client, store=store or NoStore(), limits=LIMITS)

    def ours_with(self, wheel: Path, **more: Any) -> Index:
        """The index of Chainguard's that has a wheel."""
        indexes = self.opened(**more)
        return indexes[1] if len(self.ours) > 1 and "+cgr." in wheel.name else indexes[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a kind is served: its wheels, a folder of its own, and the one devpi of all."""

    scene: Scene
    folder: Path
    patch: pytest.MonkeyPatch
    devpi: Callable[[], Devpi]


Serve: TypeAlias = Callable[[Place], contextlib.AbstractContextManager[Shelf]]


@contextlib.contextmanager
def _folders(place: Place) -> Iterator[Shelf]:
    with Client(limits=LIMITS) as client:
        ours, theirs = str(place.scene.built_folder), str(place.scene.upstream_folder)
        yield Shelf(kind="directory", ours=(ours,), theirs=theirs, client=client)


def _tree(root: Path, wheels: tuple[Path, ...]) -> None:
    for name in {project(wheel) for wheel in wheels}:
        below = root / name
        below.mkdir(parents=True)
        mine = [wheel for wheel in wheels if project(wheel) == name]
        for wheel in mine:
            (below / wheel.name).hardlink_to(wheel)
        rows = [(f"{one.name.replace('+', '%2B')}#sha256={sha256(one.read_bytes())}", one.name) for one in mine]
        (below / "index.html").write_bytes(html_page(rows))


@contextlib.contextmanager
def _nginx(place: Place) -> Iterator[Shelf]:
    root = place.folder / "tree"
    _tree(root / "ours", place.scene.served)
    _tree(root / "theirs", place.scene.upstream)
    with nginx(place.folder / "nginx", root) as url, Client(limits=LIMITS) as client:
        yield Shelf(kind="simple", ours=(f"{url}/ours/",), theirs=f"{url}/theirs/", client=client)


@contextlib.contextmanager
def _devpi_stage(place: Place) -> Iterator[Shelf]:
    server, name = place.devpi(), uuid.uuid4().hex[:8]
    for index, wheels in ((f"ours{name}", place.scene.served), (f"theirs{name}", place.scene.upstream)):
        server.make_index(index, type="stage")
        for wheel in wheels:
            server.upload(index, wheel)
    ours, theirs = server.simple(f"ours{name}"), server.simple(f"theirs{name}")
    with Client(limits=LIMITS) as client:
        yield Shelf(kind="simple", ours=(ours,), theirs=theirs, client=client)


@contextlib.contextmanager
def _devpi_mirror(place: Place) -> Iterator[Shelf]:
    server, name = place.devpi(), uuid.uuid4().hex[:8]
    with (
        Chainguard(wheels=place.scene.served, login=("user", "t0ken")).running() as ours,
        Chainguard(wheels=place.scene.upstream, login=None).running() as theirs,
        Client(limits=LIMITS) as client,
    ):
        for index, host in (("ours", ours.simple_with_login), ("theirs", theirs.simple)):
            options = {"type": "mirror", "mirror_url": host, "mirror_cache_expiry": 0, "volatile": True}
            server.make_index(f"{index}{name}", mirror_no_project_list=True, **options)
        locations = server.simple(f"ours{name}"), server.simple(f"theirs{name}")
        yield Shelf(kind="simple", ours=(locations[0],), theirs=locations[1], client=client)


@contextlib.contextmanager
def _artifactory(place: Place) -> Iterator[Shelf]:
    copied = frozenset({place.scene.served[-1].name})
    one = FakeArtifactory(built=place.scene.served, upstream=place.scene.upstream, fallback=copied)
    with one.running(), Client(limits=LIMITS) as client:
        ours, theirs = one.location(ARTIFACTORY_OURS), one.location(ARTIFACTORY_THEIRS)
        yield Shelf(kind="artifactory", ours=(ours,), theirs=theirs, client=client)


@contextlib.contextmanager
def _nexus(place: Place) -> Iterator[Shelf]:
    one = FakeNexus(built=place.scene.served, upstream=place.scene.upstream)
    with one.running(), Client(limits=LIMITS) as client:
        ours, theirs = one.location(NEXUS_OURS), one.location(NEXUS_THEIRS)
        yield Shelf(kind="nexus", ours=(ours,), theirs=theirs, client=client)


@contextlib.contextmanager
def _cloudsmith(place: Place) -> Iterator[Shelf]:
    one = FakeCloudsmith(wheels=place.scene.served)
    with served(place.folder, one.responds, place.patch) as (_, client):
        theirs = str(place.scene.upstream_folder)
        yield Shelf(kind="cloudsmith", ours=(one.location,), theirs=theirs, client=client)


@contextlib.contextmanager
def _google(place: Place) -> Iterator[Shelf]:
    one = FakeGoogle(cached=place.scene.served)
    with served(place.folder, one.responds, place.patch) as (_, client):
        theirs = str(place.scene.upstream_folder)
        yield Shelf(kind="google", ours=(one.location(),), theirs=theirs, client=client)


@contextlib.contextmanager
def _chainguard(place: Place) -> Iterator[Shelf]:
    """Named by the environment, as ``chainctl`` prints it."""
    login = ("0123abcd/4567ef", token(3600, SECRET))
    one = FakeChainguard(wheels=place.scene.served, login=login)
    with served(place.folder, one.responds, place.patch) as (_, client):
        place.patch.setenv("CHAINGUARD_PYTHON_IDENTITY_ID", login[0])
        place.patch.setenv("CHAINGUARD_PYTHON_TOKEN", login[1])
        ours = tuple(f"https://{CHAINGUARD_HOST}/{name}/simple/" for name in ("python", "python-remediated"))
        yield Shelf(kind="chainguard", ours=ours, theirs=str(place.scene.upstream_folder), client=client)


SERVED: Mapping[str, Serve] = {
    "folder": _folders,
    "nginx": _nginx,
    "devpi stage": _devpi_stage,
    "devpi mirror": _devpi_mirror,
    "artifactory": _artifactory,
    "nexus": _nexus,
    "cloudsmith": _cloudsmith,
    "google": _google,
    "chainguard": _chainguard,
}
"""Every kind but the snapshot, which is made of each."""


def copy_of(scene: Scene, folder: Path) -> Scene:
    """The same wheels in files that may be changed."""

    def copied(wheel: Path, side: str) -> Path:
        (folder / side).mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, folder / side))

    built = tuple(copied(wheel, "built") for wheel in scene.built)
    upstream = tuple(copied(wheel, "upstream") for wheel in scene.upstream)
    copied(scene.served[-1], "built")
    folders = {"built_folder": folder / "built", "upstream_folder": folder / "upstream"}
    return Scene(built=built, upstream=upstream, target=scene.target, **folders)
