"""``cgscan doctor --discover``: the repositories of a manager, and a configuration that can be pasted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scanner.checkup import Behind
from scanner.cli import main
from scanner.config import gather
from scanner.doctor.behind import is_wrong_order, sources_of
from scanner.manager import Holds, Repository
from tests.doctor.told import Doctor, Wheels, configured
from tests.registries import Exchange, site
from tests.repository_managers import fake_artifactory, fake_nexus
from tests.repository_managers.fake_artifactory import FakeArtifactory
from tests.repository_managers.fake_cloudsmith import FakeCloudsmith
from tests.repository_managers.fake_google import FakeGoogle
from tests.repository_managers.fake_nexus import FakeNexus
from tests.repository_managers.vendors import SECRET, served

CHAINGUARD, PYPI, ALL = fake_nexus.CHAINGUARD, fake_nexus.PYPI, fake_nexus.ALL
Discover = Callable[..., str]


@pytest.fixture
def discover(capsys: pytest.CaptureFixture[str]) -> Discover:
    """Runs the command; its output is a configuration without secrets."""

    def run(*arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        assert main(["doctor", "--discover", *arguments]) == status
        told, said = capsys.readouterr()
        assert SECRET not in told + said
        assert status != 2 or told == ""
        return told or said

    return run


@pytest.fixture
def nexus(wheels: Wheels) -> Iterator[FakeNexus]:
    with FakeNexus(built=wheels.served, upstream=wheels.upstream).running() as one:
        yield one


@pytest.fixture
def artifactory(wheels: Wheels) -> Iterator[FakeArtifactory]:
    with FakeArtifactory(built=wheels.served, upstream=wheels.upstream).running() as one:
        yield one


def _with_login(url: str, login: tuple[str, str] = ("ci", SECRET)) -> str:
    return url.replace("://", f"://{login[0]}:{login[1]}@")


def _entries(told: str, tmp_path: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """The indexes of a printed configuration, which cgscan takes as it stands."""
    file = tmp_path / "found.yaml"
    file.write_text(told)
    entries: list[dict[str, Any]] = yaml.safe_load(told)["indexes"]
    specs = gather({"config": str(file)}, environment).indexes
    assert [spec.location for spec in specs] == [entry["url"] for entry in entries]
    return entries


@pytest.mark.parametrize("path", ["", "/", "/artifactory", "/artifactory/", "/ui/repos/tree/General/x"])
def test_artifactory_by_where_it_is(
    artifactory: FakeArtifactory,
    discover: Discover,
    tmp_path: Path,
    doctor: Doctor,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = discover(_with_login(f"{artifactory.front.url}{path}"))
    assert f"# artifactory at {artifactory.root}: 4 Python repositories" in told
    assert "of Chainguard, https://libraries.cgr.dev/" in told
    assert f"asks {fake_artifactory.LOCAL}, {CHAINGUARD} (Chainguard), {PYPI} (PyPI)" in told
    assert f"# {ALL}: name the proxy of Chainguard alone" in told
    assert "# to be set: ARTIFACTORY_TOKEN" in told
    ours, theirs = _entries(told, tmp_path, {})
    assert ours == {
        "name": CHAINGUARD,
        "role": "chainguard",
        "kind": "artifactory",
        "url": f"{artifactory.root}/api/pypi/{CHAINGUARD}/simple/",
        "token_env": "ARTIFACTORY_TOKEN",
    }
    assert (theirs["name"], theirs["role"]) == (PYPI, "upstream")
    # and what was printed is a right set-up
    monkeypatch.setenv("ARTIFACTORY_TOKEN", SECRET)
    assert doctor("--config", str(tmp_path / "found.yaml")).wrong == set()


@pytest.mark.parametrize("context", ["", "/nexus"])
def test_nexus_by_where_it_is(wheels: Wheels, discover: Discover, tmp_path: Path, context: str) -> None:
    with FakeNexus(built=wheels.served, context=context).running() as one:
        told = discover(_with_login(one.root))
    ours, theirs = _entries(told, tmp_path, {})
    assert f"# nexus at {one.root}: 4 Python repositories" in told
    assert (ours["url"], ours["role"]) == (f"{one.root}/repository/{CHAINGUARD}/simple/", "chainguard")
    assert (theirs["url"], theirs["role"]) == (f"{one.root}/repository/{PYPI}/simple/", "upstream")
    assert (ours["username_env"], ours["password_env"]) == ("NEXUS_USER", "NEXUS_PASSWORD")


def test_behind_an_index_by_its_name_and_by_its_url(
    nexus: FakeNexus, discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_USER", "ci")
    monkeypatch.setenv("THE_PASSWORD", SECRET)
    file = configured(
        "indexes:\n  - name: mine\n    role: chainguard\n    kind: nexus\n"
        f"    url: {nexus.root}/repository/{ALL}/simple\n"
        "    username_env: THE_USER\n    password_env: THE_PASSWORD\n"
    )
    told = {
        discover("--config", file),
        discover("mine", "--config", file),
        discover(f"{nexus.root}/repository/{PYPI}/simple/", "--config", file),
        discover(nexus.root, "--config", file),  # with the credentials of the index on the same host
    }
    assert len(told) == 1
    ours, _ = _entries(told.pop(), tmp_path, {})
    assert (ours["name"], ours["username_env"], ours["password_env"]) == (CHAINGUARD, "THE_USER", "THE_PASSWORD")


def test_netrc_needs_no_variables(
    nexus: FakeNexus, discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login ci password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    ours, _ = _entries(discover(nexus.root), tmp_path, {})
    assert set(ours) == {"name", "role", "kind", "url"}


def test_a_wrong_order_is_said(nexus: FakeNexus, discover: Discover) -> None:
    nexus.order = (PYPI, CHAINGUARD)
    assert f"# {ALL}: PyPI is asked before Chainguard" in discover(_with_login(nexus.root))


def test_members_for_administrators_only(nexus: FakeNexus, discover: Discover) -> None:
    nexus.is_admin = False
    assert f"# {ALL}: its members are told to administrators only" in discover(_with_login(nexus.root))


def test_no_proxy_of_chainguard(artifactory: FakeArtifactory, discover: Discover, tmp_path: Path) -> None:
    artifactory.chainguard_url = "https://libraries.cgr.dev.evil.example/python/"
    told = discover(_with_login(artifactory.root), status=1)
    assert "# none is a proxy of Chainguard alone" in told
    assert f"{CHAINGUARD}  proxy   of https://libraries.cgr.dev.evil.example/python/" in told
    assert [entry["name"] for entry in _entries(told, tmp_path, {})] == [PYPI]


def test_a_proxy_of_remediated_builds_has_built_wheels_only(
    artifactory: FakeArtifactory, discover: Discover, tmp_path: Path
) -> None:
    artifactory.chainguard_url = "https://libraries.cgr.dev/python-remediated/"
    ours, _ = _entries(discover(_with_login(artifactory.root)), tmp_path, {})
    assert ours["built_only"] is True


def test_cloudsmith(wheels: Wheels, discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = FakeCloudsmith(wheels=wheels.served)
    with served(tmp_path, one.responds, monkeypatch) as (running, _):
        told = discover(one.location, "--ca-file", str(running.certificate))
    [ours] = _entries(told, tmp_path, {})
    assert (ours["role"], ours["kind"]) == ("chainguard", "cloudsmith")
    assert ours["url"] == "https://dl.cloudsmith.io/basic/acme/python-all/python/simple/"


@pytest.mark.parametrize("first", ["Chainguard", "PyPI"])
def test_cloudsmith_with_two_upstreams(
    wheels: Wheels, discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    one = FakeCloudsmith(wheels=wheels.served)
    urls = {"Chainguard": "https://libraries.cgr.dev/python/", "PyPI": "https://pypi.org/"}
    rows = [
        {"name": name, "upstream_url": url, "mode": "Cache and Proxy", "priority": 1 if name == first else 2}
        for name, url in urls.items()
    ]
    one.answers["/v1/repos/acme/python-all/upstream/python/"] = (200, json.dumps(rows).encode(), "application/json")
    with served(tmp_path, one.responds, monkeypatch) as (running, _):
        told = discover(one.location, "--ca-file", str(running.certificate))
    assert ("PyPI is asked before Chainguard" in told) == (first == "PyPI")
    [ours] = _entries(told, tmp_path, {})  # nothing better can be had there
    assert ours["role"] == "chainguard"


@pytest.mark.parametrize("path", ["acme-prod", "acme-prod/all/simple/"])
def test_google(wheels: Wheels, discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    one = FakeGoogle(cached=wheels.served)
    url = one.location().partition("acme-prod")[0] + path
    with served(tmp_path, one.responds, monkeypatch) as (running, _):
        told = discover(url, "--ca-file", str(running.certificate))
    [ours] = _entries(told, tmp_path, {})
    assert ours["url"] == "https://us-python.pkg.dev/acme-prod/chainguard/simple/"


def test_as_json(nexus: FakeNexus, discover: Discover) -> None:
    document = json.loads(discover(_with_login(nexus.root), "-o", "json"))
    assert document["schema"] == "cgscan-discovery/1"
    [manager] = document["managers"]
    by_name = {one["name"]: one for one in manager["repositories"]}
    assert by_name[CHAINGUARD]["of"] == "Chainguard"
    assert [one["of"] for one in by_name[ALL]["asks"]] == ["nothing", "Chainguard", "PyPI"]
    assert [one["name"] for one in manager["indexes"]] == [CHAINGUARD, PYPI]


# -- what cannot be asked


def test_nothing_to_ask(discover: Discover) -> None:
    assert "none of the configured indexes has one" in discover(status=2)


def test_a_name_of_no_index(discover: Discover) -> None:
    assert "neither a URL nor an index" in discover("somebody", status=2)


def test_an_index_without_a_manager(discover: Discover) -> None:
    assert "has no list of repositories" in discover("https://libraries.cgr.dev/python/simple", status=2)


def test_a_wrong_password(nexus: FakeNexus, discover: Discover) -> None:
    assert "401" in discover(_with_login(nexus.root, ("ci", "wrong")), status=2)


def test_a_host_without_a_manager(discover: Discover) -> None:
    with site(lambda exchange: exchange.send(404)) as one:
        said = discover(_with_login(one.url), status=2)
    assert "no repository manager answers there" in said


def test_offline(nexus: FakeNexus, discover: Discover) -> None:
    assert "offline" in discover(_with_login(nexus.root), "--offline", status=2)
    assert nexus.front.requests == []


def test_names_that_are_no_names(discover: Discover, tmp_path: Path) -> None:
    """What a server calls its repositories is shown without effect, and becomes a name that the configuration takes."""
    names = ["-x'\": #", "\u202eevil", "a" * 500, "..", "a/b", "\x1b[31m", "é", "é"]
    rows = [
        {
            "name": name,
            "format": "pypi",
            "type": "proxy",
            "attributes": {"proxy": {"remoteUrl": "https://libraries.cgr.dev/"}},
        }
        for name in names
    ]

    def respond(exchange: Exchange) -> None:
        exchange.send(200, json.dumps(rows).encode(), Content_Type="application/json")

    with site(respond) as one:
        told = discover(f"{one.url}/repository/x/simple")
    assert all(line.isprintable() for line in told.split("\n"))
    entries = _entries(told, tmp_path, {})
    assert len({entry["name"] for entry in entries}) == len(entries) > 3


# -- order, as values


def _repositories(*rows: tuple[str, tuple[str, ...] | str | None]) -> dict[str, Repository]:
    return {
        name: Repository(name=name, holds=Holds.GROUP, members=of)
        if isinstance(of, tuple)
        else Repository(name=name, holds=Holds.PROXY if of else Holds.HOSTED, remote=of)
        for name, of in rows
    }


def test_groups_in_groups_and_in_circles() -> None:
    known = _repositories(
        ("all", ("own", "inner", "all", "pypi")),
        ("inner", ("cgr", "all", "own")),
        ("own", None),
        ("cgr", "https://libraries.cgr.dev/"),
        ("pypi", "https://pypi.org/"),
    )
    sources = sources_of(known["all"], known)
    assert [name for name, _ in sources] == ["own", "cgr", "pypi"]
    assert not is_wrong_order(sources)


@pytest.mark.parametrize(
    ("order", "is_wrong"),
    [
        ((Behind.PYPI, Behind.CHAINGUARD), True),
        ((Behind.NONE, Behind.CHAINGUARD, Behind.PYPI), False),
        ((Behind.CHAINGUARD, Behind.PYPI, Behind.CHAINGUARD), False),
        ((Behind.OTHER, Behind.CHAINGUARD), False),
        ((), False),
    ],
)
def test_orders(order: tuple[Behind, ...], is_wrong: bool) -> None:
    assert is_wrong_order([(what.value, what) for what in order]) is is_wrong
