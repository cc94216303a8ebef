"""A right set-up told from wrong ones: what is wrong is named, and nothing else is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.trees import simple_tree
from fixtures.wheels import make_wheel
from scanner.cli import main
from tests.doctor.told import Doctor, Wheels, configured
from tests.managers import Devpi, devpi, html_page, nginx, sha256
from tests.registries import Exchange, free_port, site
from tests.repository_managers import fake_nexus
from tests.repository_managers.fake_artifactory import FakeArtifactory, Item
from tests.repository_managers.fake_cloudsmith import FakeCloudsmith
from tests.repository_managers.fake_google import FakeGoogle
from tests.repository_managers.fake_nexus import Asset, FakeNexus
from tests.repository_managers.vendors import SECRET, project, served

CHAINGUARD, PYPI, ALL = fake_nexus.CHAINGUARD, fake_nexus.PYPI, fake_nexus.ALL
HTML = b'<html><body><a href="https://storage.example/x?sig=1">Found</a>.</body></html>'


def _file(*indexes: dict[str, object]) -> str:
    """A configuration of these indexes, with user and password in variables."""
    rows = []
    for index in indexes:
        keys = {**index, "username_env": "THE_USER", "password_env": "THE_PASSWORD"}
        rows.append(
            "  - "
            + "\n    ".join(f"{key}: {str(value).lower() if value is True else value}" for key, value in keys.items())
        )
    return configured("indexes:\n" + "\n".join(rows) + "\n")


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_USER", "ci")
    monkeypatch.setenv("THE_PASSWORD", SECRET)


@pytest.fixture
def nexus(wheels: Wheels) -> Iterator[FakeNexus]:
    """As it should be: proxies of Chainguard, with a copy of PyPI's, and of PyPI."""
    with FakeNexus(built=wheels.served, upstream=wheels.upstream).running() as one:
        yield one


@pytest.fixture
def artifactory(wheels: Wheels) -> Iterator[FakeArtifactory]:
    """The same, set up as Chainguard recommends."""
    fallback = frozenset({wheels.copied.name})
    with FakeArtifactory(built=wheels.served, upstream=wheels.upstream, fallback=fallback).running() as one:
        yield one


def _nexus(one: FakeNexus, ours: str = CHAINGUARD, theirs: str = PYPI, **more: object) -> str:
    root = f"{one.root}/repository"
    return _file(
        {"name": "ours", "role": "chainguard", "kind": "nexus", "url": f"{root}/{ours}/simple", **more},
        {"name": "theirs", "role": "upstream", "kind": "nexus", "url": f"{root}/{theirs}/simple"},
    )


def _artifactory(one: FakeArtifactory, ours: str = CHAINGUARD, **more: object) -> str:
    root = f"{one.root}/api/pypi"
    return _file(
        {"name": "ours", "role": "chainguard", "url": f"{root}/{ours}/simple", **more},
        {"name": "theirs", "role": "upstream", "url": f"{root}/{PYPI}/simple"},
    )


# -- right


def test_a_right_nexus(nexus: FakeNexus, doctor: Doctor) -> None:
    told = doctor("--config", _nexus(nexus))
    assert (told.status, told.wrong) == (0, set())
    assert told.line("ours", "reachable")[0] == told.line("ours", "allowed")[0] == "ok"
    assert told.line("ours", "source") == (
        "ok",
        "python-chainguard fetches from https://libraries.cgr.dev/python/; do: None",
    )
    assert told.line("theirs", "source")[0] == "ok"
    result, says = told.line("ours", "builds")
    assert result == "ok"
    assert "2 of 3 files" in says
    assert "blinker-1.9.0-py3-none-any.whl has Chainguard's SBOM" in says
    assert "mixed: idna-3.10-py3-none-any.whl" in told.line("ours", "fallback")[1]
    assert "the upstream index tells builds from copies" in told.line("ours", "tier")[1]
    assert "the right bytes" in told.line("ours", "ranges")[1]
    assert told.line("ours", "direct")[0] == told.line("ours", "token")[0] == "not to be told"
    assert "built_only" not in told.lines("ours")
    assert "order" not in told.lines("ours")


def test_a_right_artifactory(artifactory: FakeArtifactory, doctor: Doctor) -> None:
    told = doctor("--config", _artifactory(artifactory))
    assert (told.status, told.wrong) == (0, set())
    assert told.line("ours", "tier") == ("ok", "the paths of 3 of 3 files name it; do: None")
    assert "mixed: idna" in told.line("ours", "fallback")[1]


@pytest.fixture(scope="module")
def running_devpi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devpi]:
    with devpi(tmp_path_factory.mktemp("devpi")) as server:
        yield server


def test_a_real_devpi_beside_a_real_nginx(running_devpi: Devpi, wheels: Wheels, tmp_path: Path, doctor: Doctor) -> None:
    simple_tree(tmp_path / "pypi/simple", wheels.upstream)
    running_devpi.make_index("ours", type="stage")
    for wheel in wheels.served:
        running_devpi.upload("ours", wheel)
    with nginx(tmp_path / "nginx", tmp_path / "pypi") as url:
        told = doctor("--index", running_devpi.simple("ours"), "--upstream", f"{url}/simple")
    names = [one["name"] for one in told.document["indexes"]]
    assert (told.status, told.wrong) == (0, set())
    assert "headers devpi's" in told.line(names[0], "kind")[1]
    assert "not honoured" in told.line(names[0], "ranges")[1]
    assert "the right bytes" in told.line(names[1], "ranges")[1]


def test_a_right_cloudsmith(wheels: Wheels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctor: Doctor) -> None:
    simple_tree(tmp_path / "theirs", wheels.upstream)
    one = FakeCloudsmith(wheels=wheels.served)
    with served(tmp_path, one.responds, monkeypatch) as (running, _):
        told = doctor("--index", one.location, "--upstream", "theirs", "--ca-file", str(running.certificate))
    name = "dl.cloudsmith.io/basic/acme/python-all/python"
    assert (told.status, told.wrong) == (0, set())
    assert told.line(name, "source")[0] == told.line(name, "stored")[0] == "ok"


def test_a_right_google(wheels: Wheels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctor: Doctor) -> None:
    simple_tree(tmp_path / "theirs", wheels.upstream)
    one = FakeGoogle(cached=wheels.served)
    with served(tmp_path, one.responds, monkeypatch) as (running, _):
        told = doctor("--index", one.location(), "--upstream", "theirs", "--ca-file", str(running.certificate))
    name = "us-python.pkg.dev/acme-prod/chainguard"
    assert (told.status, told.wrong) == (0, set())
    assert told.line(name, "source")[0] == told.line(name, "stored")[0] == "ok"


def test_a_snapshot(nexus: FakeNexus, doctor: Doctor) -> None:
    pulled = ["index", "pull", "a.cgindex", "blinker", "itsdangerous", "idna", "-q", "--no-cache"]
    assert main([*pulled, "--config", _nexus(nexus)]) == 0
    asked = len(nexus.front.requests)
    told = doctor("--index", "a.cgindex", "--offline")
    assert (told.status, told.wrong) == (0, set())
    assert told.line("ours", "builds")[0] == told.line("theirs", "builds")[0] == "ok"
    assert len(nexus.front.requests) == asked


def test_folders(wheels: Wheels, tmp_path: Path, doctor: Doctor) -> None:
    for folder, some in (("ours", wheels.built), ("theirs", wheels.upstream)):
        simple_tree(tmp_path / folder, some)
    told = doctor("--index", "ours", "--upstream", "theirs", "--built-only")
    assert (told.status, told.wrong) == (0, set())
    assert told.line("ours", "built_only")[0] == "ok"
    assert "no copy of PyPI's among 2 files" in told.line("ours", "fallback")[1]
    assert "ranges" not in told.lines("ours")


# -- wrong


def test_nobody_answers(nexus: FakeNexus, doctor: Doctor) -> None:
    dead = f"http://127.0.0.1:{free_port()}/simple"
    told = doctor("--index", dead, "--upstream", nexus.location(PYPI))
    [name, *_] = [one["name"] for one in told.document["indexes"]]
    assert (told.status, told.wrong) == (1, {(name, "reachable")})
    assert "firewall" in told.line(name, "reachable")[1]
    assert told.line(name, "builds")[0] == "not to be told"


def test_the_password_is_wrong(nexus: FakeNexus, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PASSWORD", "another")
    told = doctor("--config", _nexus(nexus))
    assert (told.status, told.wrong) == (1, {("ours", "allowed"), ("theirs", "allowed")})
    assert "401" in told.line("ours", "allowed")[1]
    assert told.line("ours", "reachable")[0] == "ok"
    pages = [path for path in nexus.front.paths() if "/simple/" in path]
    assert len(pages) == 2  # who is refused once does not ask on


def test_a_user_who_may_not_read(nexus: FakeNexus, doctor: Doctor) -> None:
    for name in ("blinker", "itsdangerous", "idna"):
        nexus.answers[f"/repository/{CHAINGUARD}/simple/{name}/"] = (403, b"", {})
    probes = ("--probe", "blinker", "--probe", "itsdangerous", "--probe", "idna")
    told = doctor("--config", _nexus(nexus), *probes)
    assert (told.status, told.wrong) == (1, {("ours", "allowed")})
    assert "403" in told.line("ours", "allowed")[1]


def test_a_project_that_is_refused_is_no_refusal_of_all(nexus: FakeNexus, doctor: Doctor) -> None:
    nexus.answers[f"/repository/{CHAINGUARD}/simple/click/"] = (403, b"", {})
    told = doctor("--config", _nexus(nexus))
    assert (told.status, told.wrong) == (0, set())
    assert "but for click" in told.line("ours", "allowed")[1]


def test_a_variable_that_is_not_set(nexus: FakeNexus, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THE_PASSWORD")
    told = doctor("--config", _nexus(nexus))
    assert (told.status, told.wrong) == (1, {("ours", "credentials"), ("theirs", "credentials")})
    assert "THE_PASSWORD is not set" in told.line("ours", "credentials")[1]
    states = {one["name"]: one["set"] for one in told.document["variables"]}
    assert (states["THE_USER"], states["THE_PASSWORD"]) == (True, False)
    assert nexus.front.requests == []


def test_roles_that_are_swapped(nexus: FakeNexus, doctor: Doctor) -> None:
    told = doctor("--config", _nexus(nexus, ours=PYPI, theirs=CHAINGUARD))
    assert told.status == 1
    assert told.wrong == {(name, check) for name in ("ours", "theirs") for check in ("builds", "source")}
    assert "swapped" in told.line("ours", "builds")[1]
    assert "comes from Chainguard" in told.line("theirs", "builds")[1]
    assert told.line("ours", "fallback")[0] == "not to be told"


def test_both_roles_are_chainguards(nexus: FakeNexus, doctor: Doctor) -> None:
    told = doctor("--config", _nexus(nexus, theirs=CHAINGUARD, built_only=True))
    assert told.wrong == {("theirs", "builds"), ("theirs", "source")}
    for check in ("builds", "fallback", "built_only", "tier"):
        assert told.line("ours", check)[0] == "not to be told"


def test_mixed_and_said_to_be_built_only(nexus: FakeNexus, doctor: Doctor) -> None:
    told = doctor("--config", _nexus(nexus, built_only=True))
    assert (told.status, told.wrong) == (1, {("ours", "built_only")})
    assert "idna-3.10-py3-none-any.whl" in told.line("ours", "built_only")[1]


def test_built_only_that_holds(wheels: Wheels, doctor: Doctor) -> None:
    with FakeNexus(built=wheels.built, upstream=wheels.upstream).running() as one:
        told = doctor("--config", _nexus(one, built_only=True))
    assert (told.status, told.wrong) == (0, set())
    assert told.line("ours", "built_only")[0] == "ok"


def test_a_group_that_asks_pypi_first(nexus: FakeNexus, doctor: Doctor) -> None:
    nexus.order = (PYPI, CHAINGUARD)
    told = doctor("--config", _nexus(nexus, ours=ALL))
    assert (told.status, told.wrong) == (1, {("ours", "order"), ("ours", "builds")})
    assert "python-pypi (PyPI), python-chainguard (Chainguard)" in told.line("ours", "order")[1]
    assert "never Chainguard's" in told.line("ours", "builds")[1]


def test_a_group_that_asks_chainguard_first(nexus: FakeNexus, doctor: Doctor) -> None:
    told = doctor("--config", _nexus(nexus, ours=ALL))
    assert (told.status, told.wrong) == (0, set())
    assert told.line("ours", "order")[0] == "ok"
    assert "name the proxy alone" in told.line("ours", "source")[1]


def test_a_group_whose_members_are_not_told(nexus: FakeNexus, doctor: Doctor) -> None:
    nexus.order, nexus.is_admin = (PYPI, CHAINGUARD), False
    told = doctor("--config", _nexus(nexus, ours=ALL))
    assert told.line("ours", "source")[0] == "not to be told"
    assert "order" not in told.lines("ours")


def test_a_virtual_repository_of_artifactory_in_the_wrong_order(artifactory: FakeArtifactory, doctor: Doctor) -> None:
    artifactory.order = (PYPI, CHAINGUARD)
    told = doctor("--config", _artifactory(artifactory, ours=ALL))
    assert told.line("ours", "order")[0] == "wrong"


@pytest.mark.parametrize("theirs", [CHAINGUARD, ALL])
def test_chainguards_files_under_the_role_upstream(nexus: FakeNexus, doctor: Doctor, theirs: str) -> None:
    told = doctor("--config", _nexus(nexus, theirs=theirs))
    assert {("theirs", "builds"), ("theirs", "source")} <= told.wrong


def test_the_page_of_a_redirect_as_a_wheel(nexus: FakeNexus, wheels: Wheels, doctor: Doctor) -> None:
    name = wheels.built[0].name
    path = f"/repository/{CHAINGUARD}/packages/blinker/1.9.0/{name}"
    nexus.answers[path] = (200, HTML, {"Content_Type": "application/zip"})
    told = doctor("--config", _nexus(nexus))
    assert (told.status, told.wrong) == (1, {("ours", "wheel")})
    _, says = told.line("ours", "wheel")
    assert "a web page lies under the name of a wheel" in says
    assert name in says
    assert "delete the cached item" in says
    assert told.line("ours", "builds")[0] == "ok"  # the other project still tells


def test_a_stored_page_of_another_project(nexus: FakeNexus, wheels: Wheels, doctor: Doctor) -> None:
    nexus.fetch_all()
    assert doctor("--config", _nexus(nexus)).wrong == set()
    path = next(asset.path for asset in nexus.stored[CHAINGUARD] if wheels.copied.name in asset.path)
    kept = [asset for asset in nexus.stored[CHAINGUARD] if asset.path != path]
    nexus.stored[CHAINGUARD] = [*kept, Asset(path=path, data=HTML)]
    told = doctor("--config", _nexus(nexus))
    assert told.wrong == {("ours", "stored")}
    assert f"{wheels.copied.name} ({len(HTML)} bytes)" in told.line("ours", "stored")[1]


def test_a_stored_page_in_artifactory(artifactory: FakeArtifactory, wheels: Wheels, doctor: Doctor) -> None:
    artifactory.fetch_all()
    cache = artifactory.stored[f"{CHAINGUARD}-cache"]
    [old] = [item for item in cache if item.name == wheels.copied.name]
    cache[cache.index(old)] = Item(path=old.path, name=old.name, data=HTML)
    assert doctor("--config", _artifactory(artifactory)).wrong == {("ours", "stored")}


def test_ranges_with_other_bytes(artifactory: FakeArtifactory, doctor: Doctor) -> None:
    artifactory.redirects, artifactory.wrong_ranges = False, True
    told = doctor("--config", _artifactory(artifactory))
    assert (told.status, told.wrong) == (1, {("ours", "ranges"), ("theirs", "ranges")})
    assert "other bytes" in told.line("ours", "ranges")[1]


@pytest.mark.parametrize("says", ["bytes 0-999/{size}", "bytes {start}-{end}/1", "none"])
def test_ranges_that_say_another_range(wheels: Wheels, doctor: Doctor, says: str) -> None:
    """The bytes are the right ones, and what is said of them is not."""

    def respond(exchange: Exchange) -> None:
        name = exchange.seen.path.rpartition("/")[2]
        data = next((wheel.read_bytes() for wheel in wheels.built if wheel.name == name), None)
        asked = exchange.seen.headers.get("range", "")
        if data is None:
            _pages(wheels.built, _sha256)(exchange)
        elif not asked:
            exchange.send(200, data)
        else:
            start, end = map(int, asked.removeprefix("bytes=").split("-"))
            said = says.format(start=start, end=end, size=len(data))
            exchange.send(206, data[start : end + 1], Content_Range=said)

    with site(respond) as one:
        told = doctor("--index", f"{one.url}/simple")
    assert "another range" in told.line(one.host, "ranges")[1]


def _pages(some: tuple[Path, ...], fragment: Callable[[str], str], **headers: str) -> Callable[[Exchange], None]:
    """Pages of the simple API, and the files; ``fragment`` makes of a file's bytes what stands behind the ``#``."""

    def respond(exchange: Exchange) -> None:
        name = exchange.seen.path.strip("/").rpartition("/")[2]
        mine = [wheel for wheel in some if project(wheel) == name]
        file = next((wheel for wheel in some if wheel.name == name), None)
        if file is not None:
            exchange.send(200, file.read_bytes(), **headers)
        elif mine:
            links = [(f"/f/{one.name}#{fragment(one.read_bytes().hex())}", one.name) for one in mine]
            exchange.send(200, html_page(links), Content_Type="text/html", **headers)
        else:
            exchange.send(404, b"", **headers)

    return respond


def _sha256(content: str) -> str:
    return f"sha256={sha256(bytes.fromhex(content))}"


@pytest.mark.parametrize("weak", ["", "md5"])
def test_pages_without_sha256(wheels: Wheels, nexus: FakeNexus, doctor: Doctor, weak: str) -> None:
    def fragment(content: str) -> str:
        return f"md5={hashlib.md5(bytes.fromhex(content)).hexdigest()}" if weak else ""

    with site(_pages(wheels.built, fragment)) as one:
        told = doctor("--index", f"{one.url}/simple", "--upstream", nexus.location(PYPI))
    assert told.wrong == {(one.host, "sha256")}
    assert f"2 of 2 files have none ({weak or 'no digest'} instead)" in told.line(one.host, "sha256")[1]


def test_never_chainguards(wheels: Wheels, doctor: Doctor) -> None:
    with FakeNexus(built=wheels.upstream, upstream=wheels.upstream).running() as one:
        told = doctor("--config", _nexus(one))
    assert (told.status, told.wrong) == (1, {("ours", "builds")})
    assert "never Chainguard's: all 3 files" in told.line("ours", "builds")[1]
    assert told.line("ours", "fallback")[0] == "not to be told"


def test_builds_of_somebody_else(wheels: Wheels, doctor: Doctor, tmp_path: Path) -> None:
    own = make_wheel(tmp_path / "own", "blinker", "1.9.0", {"blinker/__init__.py": b"own = True\n"})
    with FakeNexus(built=(own,), upstream=wheels.upstream).running() as one:
        told = doctor("--config", _nexus(one))
    assert told.wrong == {("ours", "builds")}
    assert "does not say that Chainguard built it" in told.line("ours", "builds")[1]


def test_no_upstream_and_no_tier(nexus: FakeNexus, doctor: Doctor) -> None:
    told = doctor("--index", nexus.location())
    [name] = [one["name"] for one in told.document["indexes"]]
    assert told.wrong == {(name, "tier")}
    assert told.line(name, "builds")[0] == told.line(name, "fallback")[0] == "not to be told"
    assert "--upstream" in told.line(name, "builds")[1]


def test_no_upstream_and_tiers(artifactory: FakeArtifactory, doctor: Doctor) -> None:
    told = doctor("--index", artifactory.location())
    assert (told.status, told.wrong) == (0, set())


def test_a_page_to_log_in(doctor: Doctor) -> None:
    page = b"<html><form action='/login'><input name='user'></form></html>"
    with site(lambda exchange: exchange.send(200, page, Content_Type="text/html")) as one:
        told = doctor("--index", f"{one.url}/simple")
    assert told.wrong == {(one.host, "kind")}
    assert "perhaps one to log in" in told.line(one.host, "kind")[1]


def test_a_repository_that_is_not_there(doctor: Doctor) -> None:
    with site(lambda exchange: exchange.send(404)) as one:
        told = doctor("--index", f"{one.url}/simple")
        assert told.wrong == {(one.host, "kind")}
        told = doctor("--index", f"{one.url}/simple", "--probe", "blinker")
    assert told.wrong == set()  # one project may well not be there
    assert told.line(one.host, "kind")[0] == "not to be told"


def test_a_kind_that_headers_deny(wheels: Wheels, doctor: Doctor) -> None:
    with site(_pages(wheels.built, _sha256, X_JFrog_Version="x")) as one:
        wrong: dict[str, object] = {
            "name": "ours",
            "role": "chainguard",
            "kind": "nexus",
            "url": f"{one.url}/pypi/simple",
        }
        told = doctor("--config", _file(wrong))
        assert ("ours", "kind") in told.wrong
        assert "its headers are artifactory's" in told.line("ours", "kind")[1]
        told = doctor("--config", _file({**wrong, "kind": "simple"}))
    assert told.line("ours", "kind")[0] == "ok"
    assert "write kind: artifactory" in told.line("ours", "kind")[1]


def test_urls_that_are_none_of_an_index(doctor: Doctor) -> None:
    told = doctor("--index", f"https://u:{SECRET}@artifactory.example/ui/repos/tree/General/x")
    [(_, check)] = told.wrong
    assert check == "kind"


# -- what the doctor does besides


def test_a_probe_of_ones_own(nexus: FakeNexus, doctor: Doctor) -> None:
    told = doctor("--config", _nexus(nexus), "--probe", "itsdangerous==2.2.0", "--probe", "blinker==9")
    assert told.document["probes"] == ["itsdangerous==2.2.0", "blinker==9"]
    assert "1 of 1 file" in told.line("ours", "builds")[1]
    assert "itsdangerous" in told.line("ours", "wheel")[1]


@pytest.mark.parametrize("text", ["a b", "==1", "x==", "x==y z", "\x1b[31m"])
def test_a_probe_that_is_none(doctor: Doctor, text: str) -> None:
    told = doctor("--probe", text)
    assert told.status == 2
    assert "--probe" in told.document["said"]


def test_offline_asks_nobody(nexus: FakeNexus, doctor: Doctor) -> None:
    told = doctor("--config", _nexus(nexus), "--offline")
    assert (told.status, told.wrong) == (0, set())
    assert told.line("ours", "reachable") == ("not to be told", "not asked: offline; do: None")
    assert {check["result"] for check in told.document["indexes"][0]["checks"]} == {"not to be told"}
    assert nexus.front.requests == []


def test_no_index_at_all(doctor: Doctor) -> None:
    told = doctor()
    assert (told.status, told.wrong) == (1, {("", "roles")})


def test_servers_that_break_off_and_talk_nonsense(doctor: Doctor) -> None:
    """Whatever is answered, every check has a result."""
    bodies: list[Callable[[Exchange], None]] = [
        lambda exchange: exchange.cut(200, b"<html>", 1000),
        lambda exchange: exchange.send(200, b"", Content_Type="text/html"),
        lambda exchange: exchange.send(200, b"{}", Content_Type="application/json"),
        lambda exchange: exchange.send(200, b"x", Content_Type="\x1b[31mtext/plain"),
        lambda exchange: exchange.send(302, Location="http://["),
        lambda exchange: exchange.send(302, Location="ftp://elsewhere.example/"),
        lambda exchange: exchange.send(409, b'{"reason": "\\u001b[2J", "message": 3}'),
    ]
    for respond in bodies:
        with site(respond) as one:
            told = doctor("--index", f"{one.url}/api/pypi/x/simple", "--probe", "blinker")
            assert told.status in (0, 1)
            assert told.lines(f"{one.host}/api/pypi/x")


def test_the_table(nexus: FakeNexus, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--config", _nexus(nexus, built_only=True)]) == 1
    out = capsys.readouterr().out
    assert f"ours (chainguard, nexus) {nexus.root}/repository/python-chainguard/simple/" in out
    assert "  wrong           built_only   said of an index" in out
    assert "do: take built_only out" in out
    assert SECRET not in out
    checks = out.partition("Checks\n")[2].splitlines()
    assert max(map(len, checks)) <= 100
    assert checks[-1].endswith("23 ok, 1 wrong, 3 not to be told.")
