"""The four managers with a proxy that has fetched PyPI's builds, alike for the tests of purges."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from scanner.config import Settings
from scanner.drafting import surveyed
from scanner.index import IndexSpec, Role
from scanner.manager import Retrieved
from scanner.planfile import document
from scanner.purge import Purge, Result
from scanner.purging import Asked, purge
from scanner.stale import ProxyCopy
from tests.plans import a_plan
from tests.registries import Seen
from tests.repository_managers import fake_artifactory, fake_nexus
from tests.repository_managers.fake_artifactory import FakeArtifactory
from tests.repository_managers.fake_cloudsmith import INTERFACE as CLOUDSMITH
from tests.repository_managers.fake_cloudsmith import FakeCloudsmith
from tests.repository_managers.fake_google import INTERFACE as GOOGLE
from tests.repository_managers.fake_google import FakeGoogle
from tests.repository_managers.fake_nexus import FakeNexus
from tests.repository_managers.hosts import hosts
from tests.repository_managers.vendors import LIMITS, Scene

VENDORS = ("artifactory", "nexus", "cloudsmith", "google")


@dataclass(kw_only=True)
class Running:
    """A manager while it runs. ``held`` are the names of files that its proxy holds, ``state`` all that it holds;
    ``forbid`` takes the right to delete away, ``change`` gives a file other bytes, ``busy`` says how many requests are
    answered with 429 from now on.
    """

    scene: Scene
    location: str
    kind: str
    held: Callable[[], set[str]]
    state: Callable[[], object]
    requests: Callable[[], list[Seen]]
    forbid: Callable[[str], None]
    change: Callable[[str], None]
    busy: Callable[[int], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    certificate: Path | None = None

    def settings(self, **changes: Any) -> Settings:
        """Chainguard's and PyPI's builds in folders, and the manager behind the index ``proxy``."""
        specs = (
            IndexSpec(location=str(self.scene.built_folder), role=Role.CHAINGUARD, name="ours"),
            IndexSpec(location=str(self.scene.upstream_folder), role=Role.UPSTREAM, name="pypi"),
            IndexSpec(location=self.location, role=Role.UPSTREAM, name="proxy", kind=self.kind),
        )
        return Settings(indexes=specs, limits=LIMITS, ca_file=self.certificate, **changes)

    def copies(self) -> tuple[ProxyCopy, ...]:
        """What the manager holds that is PyPI's."""
        return surveyed("proxy", self.settings(), note=lambda _: None).copies

    def plan(self, folder: Path, *copies: ProxyCopy) -> Path:
        """The file of a plan with these copies, or with all."""
        file = folder / "plan.json"
        file.write_text(json.dumps(document(a_plan(purge_in_manager=copies or self.copies()))))
        return file

    def purge(self, journal: Path, **asked: Any) -> Purge:
        """Without a plan, what is held now."""
        told: list[Result] = []
        given = {"managers": () if "plan" in asked else ("proxy",), "rate": 1000.0, "journal": journal, **asked}
        done = purge(Asked(**given), self.settings(), progress=lambda _: None, note=lambda _: None, told=told.append)
        assert tuple(told) == (done.results or ())
        return done

    def methods(self) -> set[str]:
        """Of all requests, but for the questions in AQL that are sent as POST."""
        return {seen.method for seen in self.requests() if not seen.path.endswith("/api/search/aql")}


@contextlib.contextmanager
def running(name: str, scene: Scene, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Start one of :data:`VENDORS`; nobody's real credentials take part."""
    patch.setenv("HOME", str(folder))
    for variable in ("NETRC", "ALL_PROXY", "all_proxy"):
        patch.delenv(variable, raising=False)
    with _STARTED[name](scene, folder) as one:
        for variable, value in one.environment.items():
            patch.setenv(variable, value)
        yield one


@contextlib.contextmanager
def _artifactory(scene: Scene, folder: Path) -> Iterator[Running]:
    with FakeArtifactory(built=scene.served, upstream=scene.upstream).running() as one:
        one.fetch_all()
        one.stored[fake_artifactory.LOCAL] = list(one.stored[f"{fake_artifactory.PYPI}-cache"])
        items = one.stored[f"{fake_artifactory.PYPI}-cache"]

        def forbid(filename: str) -> None:
            [item] = [item for item in items if item.name == filename]
            one.answers[f"/{fake_artifactory.PYPI}-cache/{item.path}/{item.name}"] = (403, b"{}", {})

        yield Running(
            scene=scene,
            location=one.location(fake_artifactory.PYPI),
            kind="artifactory",
            held=lambda: {item.name for item in items},
            state=lambda: {key: list(stored) for key, stored in one.stored.items()},
            requests=lambda: one.front.requests,
            forbid=forbid,
            change=lambda filename: _change(items, filename, "name"),
            busy=lambda count: setattr(one, "busy", count),
        )


def _change(items: list[Any], filename: str, attribute: str) -> None:
    items[:] = [replace(item, data=b"newer") if getattr(item, attribute).endswith(filename) else item for item in items]


@contextlib.contextmanager
def _nexus(scene: Scene, folder: Path) -> Iterator[Running]:
    with FakeNexus(built=scene.served, upstream=scene.upstream).running() as one:
        one.fetch_all()
        one.stored[fake_nexus.HOSTED] = list(one.stored[fake_nexus.PYPI])
        assets = one.stored[fake_nexus.PYPI]

        def forbid(filename: str) -> None:
            [asset] = [asset for asset in assets if asset.path.endswith(filename)]
            one.kept.add(asset.path)

        yield Running(
            scene=scene,
            location=one.location(fake_nexus.PYPI),
            kind="nexus",
            held=lambda: {asset.path.rpartition("/")[2] for asset in assets} - {""},
            state=lambda: {key: list(stored) for key, stored in one.stored.items()},
            requests=lambda: one.front.requests,
            forbid=forbid,
            change=lambda filename: _change(assets, filename, "path"),
            busy=lambda count: setattr(one, "busy", count),
        )


@contextlib.contextmanager
def _cloudsmith(scene: Scene, folder: Path) -> Iterator[Running]:
    one = FakeCloudsmith(wheels=scene.upstream)
    with hosts(folder / "tls", one.responds) as served:

        def forbid(filename: str) -> None:
            [wheel] = [wheel for wheel in scene.upstream if wheel.name == filename]
            one.kept.add(one.slug(wheel))

        yield Running(
            scene=scene,
            location=one.location,
            kind="cloudsmith",
            held=lambda: {row["filename"] for row in one.rows()},
            state=one.rows,
            requests=lambda: served.requests(CLOUDSMITH),
            forbid=forbid,
            change=lambda filename: setattr(one, "changes", {filename: {"checksum_sha256": "0" * 64}}),
            busy=lambda count: setattr(one, "throttled", count),
            environment=served.environment(),
            certificate=served.certificate,
        )


@contextlib.contextmanager
def _google(scene: Scene, folder: Path) -> Iterator[Running]:
    one = FakeGoogle(cached=scene.upstream, uploaded=scene.upstream[:1])
    with hosts(folder / "tls", one.responds) as served:

        def forbid(filename: str) -> None:
            [wheel] = [wheel for wheel in scene.upstream if wheel.name == filename]
            one.answers[one.owner("chainguard", wheel)] = (403, b"{}", "application/json")

        yield Running(
            scene=scene,
            location=one.location(),
            kind="google",
            held=lambda: {row["name"].rpartition("%2F")[2] for row in one.files("chainguard")},
            state=lambda: [one.files(name) for name in ("chainguard", "own")],
            requests=lambda: served.requests(GOOGLE),
            forbid=forbid,
            change=lambda filename: setattr(one, "changes", {filename: {"hashes": []}}),
            busy=lambda count: setattr(one, "throttled", count),
            environment=served.environment(),
            certificate=served.certificate,
        )


_STARTED: Mapping[str, Callable[[Scene, Path], contextlib.AbstractContextManager[Running]]] = {
    "artifactory": _artifactory,
    "nexus": _nexus,
    "cloudsmith": _cloudsmith,
    "google": _google,
}


def hosted(copy: ProxyCopy, kind: str) -> ProxyCopy:
    """The same file as if it were in the repository that people upload to, as that vendor names it."""
    entry: Retrieved = copy.entry
    match kind:
        case "artifactory":
            key = fake_artifactory.LOCAL
            entry = replace(
                entry, repository=key, identity=entry.identity.replace(f"{fake_artifactory.PYPI}-cache", key)
            )
        case "nexus":
            entry = replace(entry, repository=fake_nexus.HOSTED)
        case "google":
            entry = replace(entry, repository="own", identity=entry.identity.replace("/chainguard/", "/own/"))
    return replace(copy, entry=entry)
