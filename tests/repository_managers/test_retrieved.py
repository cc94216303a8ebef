"""``cgscan index pull --retrieved``: a snapshot of everything that a proxy has fetched, by each manager that tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from packaging.utils import canonicalize_name

from fixtures.wheels import make_wheel
from scanner.cli import main
from scanner.environment import Environment
from scanner.errors import IndexUnavailable
from scanner.http import Client
from scanner.image import Platform
from scanner.index import IndexSpec, Role
from scanner.manager import Retrieved
from scanner.managers import open_manager
from scanner.wanted import wants_of_retrieved
from tests.registries import Seen
from tests.repository_managers.fake_artifactory import CHAINGUARD as ARTIFACTORY
from tests.repository_managers.fake_artifactory import FakeArtifactory
from tests.repository_managers.fake_cloudsmith import DOWNLOADS, FakeCloudsmith
from tests.repository_managers.fake_cloudsmith import INTERFACE as CLOUDSMITH
from tests.repository_managers.fake_google import INTERFACE as GOOGLE
from tests.repository_managers.fake_google import FakeGoogle
from tests.repository_managers.fake_nexus import CHAINGUARD as NEXUS
from tests.repository_managers.fake_nexus import FakeNexus
from tests.repository_managers.vendors import LIMITS, SECRET, Scene, served
from tests.repository_managers.whole import answers

SNAPSHOT = "all.cgindex"


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A manager with what it has fetched. ``more`` are options that lead there."""

    location: str
    asked: list[Seen]
    more: list[str] = field(default_factory=list)

    def pages(self) -> list[str]:
        """What was asked of the index itself, not of the manager's interface."""
        return [seen.path for seen in self.asked if "/simple/" in seen.path or seen.path.endswith(".whl")]


@pytest.fixture(params=["artifactory", "nexus", "cloudsmith", "google"])
def proxy(
    request: pytest.FixtureRequest, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """Each kind in its turn; all that it serves has been fetched."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        if request.param in ("artifactory", "nexus"):
            one: Any = {"artifactory": FakeArtifactory, "nexus": FakeNexus}[request.param](built=scene.served)
            stack.enter_context(one.running())
            one.fetch_all()
            repository = {"artifactory": ARTIFACTORY, "nexus": NEXUS}[request.param]
            yield Proxy(location=one.location(repository), asked=one.front.requests)
            return
        fake: Any = {"cloudsmith": FakeCloudsmith, "google": FakeGoogle}[request.param]
        one = fake(wheels=scene.served) if fake is FakeCloudsmith else fake(cached=scene.served)
        running, _ = stack.enter_context(served(tmp_path, one.responds, monkeypatch))
        location = one.location if fake is FakeCloudsmith else one.location()
        host = DOWNLOADS if fake is FakeCloudsmith else "us-python.pkg.dev"
        more = ["--ca-file", str(running.certificate)]
        yield Proxy(location=location, asked=running.requests(host), more=more)


def pull(proxy: Proxy, *more: str, retrieved: str | None = None) -> int:
    """A pull of everything that it has retrieved."""
    asked = ["--index", proxy.location, "--retrieved", retrieved or proxy.location]
    return main(["index", "pull", SNAPSHOT, *asked, *proxy.more, *more, "--no-cache"])


def test_everything_is_in_the_snapshot(proxy: Proxy, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    upstream = ["--upstream", str(scene.upstream_folder)]
    assert pull(proxy, *upstream) == 0
    said = capsys.readouterr()
    assert f"has retrieved {len(scene.served)} files" in said.err
    assert SECRET not in said.err + said.out
    assert SECRET.encode() not in Path(SNAPSHOT).read_bytes()
    assert main(["index", "show", SNAPSHOT, "-o", "json"]) == 0
    ours = json.loads(capsys.readouterr().out)["indexes"][0]
    assert (ours["projects"], ours["files"], ours["wheels"]) == (4, 4, 4)
    scan = ["scan", f"dir:{scene.target}", "--no-cache", "-q", "-o", "json"]
    assert main([*scan, "--index", SNAPSHOT, "--offline"]) == 0
    offline = _origins(capsys.readouterr().out)
    assert main([*scan, "--index", str(scene.built_folder), *upstream]) == 0
    assert offline == _origins(capsys.readouterr().out)
    assert {origin for origin, _ in offline.values()} == {"chainguard", "upstream"}


def _origins(report: str) -> dict[str, tuple[str, str]]:
    return {line["name"]: (line["origin"], line["integrity"]) for line in json.loads(report)["distributions"]}


def test_again_nothing_is_asked_but_the_list(proxy: Proxy) -> None:
    assert pull(proxy) == 0
    before = proxy.pages()
    assert before
    assert pull(proxy) == 0
    assert proxy.pages() == before


def test_after_an_interruption_it_goes_on(proxy: Proxy, scene: Scene) -> None:
    """A pull that ended half-way, here: one that was of two projects."""
    some = ["built-one==1.0", "copied==0.4"]
    assert main(["index", "pull", SNAPSHOT, *some, "--index", proxy.location, *proxy.more, "--no-cache", "-q"]) == 0
    before = len(proxy.pages())
    assert pull(proxy) == 0
    asked_now = [path.replace("_", "-") for path in proxy.pages()[before:]]
    assert not [path for path in asked_now if "built-one" in path]
    assert [path for path in asked_now if "remedied" in path]


def test_an_index_that_is_not_asked(proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    assert pull(proxy, retrieved="other") == 2
    assert "cgscan: error: other: no index that is asked" in capsys.readouterr().err
    assert not Path(SNAPSHOT).exists()
    assert proxy.asked == []


def test_a_manager_that_refuses(proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Proxy(location=proxy.location.replace(SECRET, "wr0ng"), asked=proxy.asked, more=proxy.more)
    assert pull(wrong) == 2
    said = capsys.readouterr()
    assert "401" in said.err
    assert "wr0ng" not in said.err
    assert said.out == ""


@pytest.mark.parametrize("kind", ["simple", "directory", "chainguard"])
def test_an_index_without_a_manager(
    kind: str, tmp_path: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    locations = {"simple": "https://pypi.org/simple", "chainguard": "https://libraries.cgr.dev/python/simple"}
    location = locations.get(kind, str(scene.built_folder))
    status = main(["index", "pull", str(tmp_path / SNAPSHOT), "--index", location, "--retrieved", location])
    assert status == 2
    assert f"an index of the kind {kind} does not tell what it has retrieved" in capsys.readouterr().err


def test_by_its_name(tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the address of the manager and the repository, and who asks by variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("P", SECRET)
    monkeypatch.setenv("U", "ci")
    with FakeNexus(built=scene.served).running() as one:
        one.fetch_all()
        entry = f"{{name: ours, role: chainguard, kind: nexus, url: '{one.root}', repository: {NEXUS}"
        Path("cgscan.yaml").write_text(f"indexes: [{entry}, username_env: U, password_env: P}}]\n")
        assert main(["index", "pull", SNAPSHOT, "--retrieved", "ours", "--no-cache", "-q"]) == 0


# -- which wheels that is


def _entry(filename: str, version: str | None = "1.0") -> Retrieved:
    return Retrieved(
        project=canonicalize_name("a"), version=version, filename=filename, repository="r", path=filename, identity="1"
    )


@pytest.mark.parametrize(
    ("filename", "python", "platform"),
    [
        ("a-1.0-py3-none-any.whl", None, None),
        ("a-1.0-py2.py3-none-any.whl", None, None),
        ("a-1.0.tar.gz", None, None),
        ("a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", (3, 11), "linux/amd64"),
        ("a-1.0-cp313-cp313t-musllinux_1_2_aarch64.whl", (3, 13), "linux/arm64"),
        ("a-1.0-cp37-cp37m-manylinux1_i686.whl", (3, 7), "linux/386"),
        ("a-1.0-cp38-abi3-linux_x86_64.whl", None, "linux/amd64"),
        ("a-1.0-cp311-none-win_amd64.whl", None, None),
        ("a-1.0-cp312-cp312-macosx_11_0_arm64.whl", (3, 12), None),
        ("a-1.0-cp312-cp312-manylinux_2_28_riscv64.whl", (3, 12), None),
        ("a-1.0-cp310.cp311-cp310.cp311-manylinux_2_17_x86_64.whl", None, "linux/amd64"),
    ],
)
def test_for_whom_a_retrieved_file_is(filename: str, python: tuple[int, int] | None, platform: str | None) -> None:
    [want] = wants_of_retrieved([_entry(filename)])
    assert Environment.of(want.environment).python == python
    assert want.platform == (Platform.parse(platform) if platform else None)


def test_a_file_without_a_version_is_not_wanted() -> None:
    assert list(wants_of_retrieved([_entry("a.whl", None), _entry("a.whl", "no version")])) == []


# -- any answer


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("lonely"), "one", "1.0", {"one.py": b""})


@settings(max_examples=100)
@given(packages=answers("slug_perm", "filename", "checksum_sha256", "version", "tags"))
def test_any_answer_of_cloudsmith_gives_files_or_one_line(
    packages: bytes, lonely: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    fake, client = _cloudsmith(lonely, tmp_path_factory)
    fake.answers = {"/v1/packages/acme/python-all/": (200, packages, "application/json")}
    _all_or_one_line(IndexSpec(location=fake.location, role=Role.CHAINGUARD), client)


@settings(max_examples=100)
@given(files=answers("name", "hashes", "sizeBytes", "owner", "files", "nextPageToken"), about=answers("name", "mode"))
def test_any_answer_of_google_gives_files_or_one_line(
    files: bytes, about: bytes, lonely: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    fake, client = _google(lonely, tmp_path_factory)
    repository = "projects/acme-prod/locations/us/repositories/chainguard"
    for own in (True, False):
        fake.answers = {f"{repository}/files": (200, files, "application/json")}
        fake.answers |= {} if own else {repository: (200, about, "application/json")}
        _all_or_one_line(IndexSpec(location=fake.location(), role=Role.CHAINGUARD), client)


def _all_or_one_line(spec: IndexSpec, client: Client) -> None:
    manager = open_manager(spec, client=client, limits=LIMITS)
    assert manager is not None
    try:
        assert all(isinstance(entry.filename, str) for entry in manager.retrieved())
    except IndexUnavailable as problem:
        assert "\n" not in problem.message  # noqa: PT017


_RUNNING: dict[str, tuple[Any, Client]] = {}
_STACK = ExitStack()


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    """What the examples share ends with the module."""
    yield
    _RUNNING.clear()
    _STACK.close()


def _shared(name: str, fake: Any, folders: pytest.TempPathFactory) -> tuple[Any, Client]:
    if name not in _RUNNING:
        patch = _STACK.enter_context(pytest.MonkeyPatch.context())
        _, client = _STACK.enter_context(served(folders.mktemp(name), fake.responds, patch))
        _RUNNING[name] = fake, client
        assert client.get(f"https://{CLOUDSMITH if name == 'cloudsmith' else GOOGLE}/").status in (401, 404)
    return _RUNNING[name]


def _cloudsmith(wheel: Path, folders: pytest.TempPathFactory) -> tuple[Any, Client]:
    return _shared("cloudsmith", FakeCloudsmith(wheels=[wheel]), folders)


def _google(wheel: Path, folders: pytest.TempPathFactory) -> tuple[Any, Client]:
    return _shared("google", FakeGoogle(cached=[wheel]), folders)
