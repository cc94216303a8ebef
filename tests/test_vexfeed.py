"""Feeds in files and behind real servers: what is asked, what is kept, and what is said when there is none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from packaging.utils import canonicalize_name

from fixtures.trees import install, simple_tree
from fixtures.wheels import make_wheel, remediated
from scanner.cli import main
from scanner.http import Client
from scanner.limits import Limits
from scanner.store import DiskStore, NoStore, Store
from scanner.vexfeed import VexFeed
from tests.managers import access_log, nginx
from tests.registries import Exchange, site
from tests.test_explaining import SCHEMA
from tests.test_vex import document, statement

DEMO = canonicalize_name("demo")
LIMITS = Limits(request_seconds=5)
SAID = document(statement("1.0%2Bcgr.1"))


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """A feed as Chainguard has it, as files."""
    folder = tmp_path / "openvex"
    (folder / "pypi").mkdir(parents=True)
    entries = [{"id": f"pypi/{name}.openvex.json", "modified": "2026-08-01T00:00:00Z"} for name in ("demo", "broken")]
    (folder / "all.json").write_text(json.dumps({"version": 1, "entries": entries}))
    (folder / "pypi/demo.openvex.json").write_bytes(SAID)
    (folder / "pypi/broken.openvex.json").write_text("<html>")
    return folder


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=LIMITS) as one:
        yield one


def ask(location: str | Path, client: Client, store: Store | None = None, name: str = "demo") -> tuple[list[str], str]:
    """Vulnerabilities and the problem."""
    told = VexFeed(str(location), client=client, store=store or NoStore(), limits=LIMITS).about(canonicalize_name(name))
    said = ["nothing read"] if told.statements is None else [one.vulnerability for one in told.statements]
    return said, told.problem or ""


def test_files(feed: Path, client: Client) -> None:
    for location in (feed / "all.json", feed, feed / "pypi/demo.openvex.json", (feed / "all.json").as_uri()):
        assert ask(location, client) == (["CGA-aaaa"], "")
    assert ask(feed, client, name="other") == ([], "")
    said, problem = ask(feed, client, name="broken")
    assert (said, problem) == (["nothing read"], f"{feed}/all.json: no JSON")
    assert ask(feed / "none.json", client)[1].endswith("none.json cannot be read (No such file or directory)")
    (feed / "pypi/demo.openvex.json").write_bytes(b" " * (LIMITS.document + 1))
    assert "limit document" in ask(feed, client)[1]


def test_a_server_is_asked_for_what_has_changed(feed: Path, client: Client, tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    with nginx(tmp_path / "nginx", tmp_path) as url:
        where = f"{url}/openvex/"
        seen = len(access_log(url, tmp_path / "nginx"))

        def asked() -> list[list[str]]:
            lines = access_log(url, tmp_path / "nginx")[seen:]
            return [[line.split()[1].rpartition("/")[2], line.split()[3]] for line in lines]

        assert ask(where, client, store) == (["CGA-aaaa"], "")
        assert asked() == [["all.json", "200"], ["demo.openvex.json", "200"]]
        assert ask(where, client, store) == (["CGA-aaaa"], "")
        assert asked()[2:] == [["all.json", "304"]]
        (feed / "all.json").write_text((feed / "all.json").read_text().replace("2026-08-01", "2026-09-01"))
        os.utime(feed / "all.json", (2e9, 2e9))  # nginx' ETag is of time and size, and both may be as before
        (feed / "pypi/demo.openvex.json").write_bytes(document(statement("1.0+cgr.2", name="CGA-bbbb")))
        assert ask(where, client, store) == (["CGA-bbbb"], "")
        assert asked()[3:] == [["all.json", "200"], ["demo.openvex.json", "200"]]
    # nobody answers any more
    said, problem = ask(where, client, store)
    assert said == ["CGA-bbbb"]
    assert problem.endswith("what was stored is used")
    with Client(limits=LIMITS, offline=True) as offline:
        assert ask(where, offline, store) == (["CGA-bbbb"], "")
        said, problem = ask(where, offline)
        assert said == ["nothing read"]
        assert "not asked (offline)" in problem


def test_the_freshness_of_the_server_is_believed(feed: Path, client: Client, tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")

    def answer(exchange: Exchange) -> None:
        exchange.send(200, SAID, Cache_Control="max-age=300")

    with site(answer) as server:
        for _ in range(2):
            assert ask(f"{server.url}/demo.json", client, store) == (["CGA-aaaa"], "")
        assert server.paths() == ["/demo.json"]


def test_what_may_not_be_stored_is_not(client: Client, tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    with site(lambda exchange: exchange.send(200, SAID, Cache_Control="no-store")) as server:
        assert ask(f"{server.url}/demo.json", client, store) == (["CGA-aaaa"], "")
    assert list(store.entries()) == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda exchange: exchange.send(404, b"{}"), "answered with status 404"),
        (lambda exchange: exchange.send(403, b"{}"), "answered with status 403"),
        (lambda exchange: exchange.send(304), "answered with status 304"),
        (lambda exchange: exchange.send(200, b"<html>"), "no JSON"),
        (lambda exchange: exchange.send(200, b'{"packages": []}'), "no OpenVEX document"),
        (lambda exchange: exchange.send(200, b" " * (LIMITS.document + 1)), "longer than"),
    ],
)
def test_what_is_no_feed(answer: Callable[[Exchange], None], problem: str, client: Client, tmp_path: Path) -> None:
    with site(answer) as server:
        said, why = ask(f"{server.url}/all.json?token=hunter2", client, DiskStore(tmp_path))
    assert said == ["nothing read"]
    assert problem in why
    assert "hunter2" not in why


def test_what_is_stored_is_believed_only_as_it_was_stored(feed: Path, client: Client, tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    with nginx(tmp_path / "nginx", tmp_path) as url:
        assert ask(f"{url}/openvex/", client, store)[0] == ["CGA-aaaa"]
        store.put("vex", f"vex/1\n{url}/openvex/all.json", b"not what was put there")
        assert ask(f"{url}/openvex/", client, store) == (["CGA-aaaa"], "")


# -- cgscan explain --------------------------------------------------------------------------------


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PyPI's wheel is installed; Chainguard has the release, and two remediated builds of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    files = {"demo/__init__.py": b"x = 1\n"}
    pypi = make_wheel(tmp_path / "pypi", "demo", "1.0", files)
    ours = make_wheel(tmp_path / "ours", "demo", "1.0", files, generator="ours 1", sbom=True)
    mended = [remediated(ours, number, tmp_path / "ours") for number in (1, 2)]
    install([pypi], tmp_path / "root")
    simple_tree(tmp_path / "a", [ours, *mended])
    simple_tree(tmp_path / "b", [pypi])
    return tmp_path


def explain(*more: str) -> dict[str, Any]:
    outputs = ["-o", "json=explained.json", "-o", "table"]
    assert main(["explain", "dir:root", "demo", "--index", "a", "--upstream", "b", "--no-cache", *outputs, *more]) == 0
    found = json.loads(Path("explained.json").read_text())
    jsonschema.validate(found, SCHEMA)
    account: dict[str, Any] = found["distributions"][0]
    return account


def test_explain_says_what_remediated_builds_fix(scene: Path, feed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = explain("--vex", "openvex")
    assert account["distribution"]["available"]["remediated"] == "1.0+cgr.2"
    [fix] = account["vex"]["statements"]
    assert (fix["cves"], fix["status"], fix["fixed_version"], fix["here"]) == (
        ["CVE-2026-0001"],
        "fixed",
        "1.0+cgr.1",
        None,
    )
    shown = capsys.readouterr()
    assert "Chainguard offers 1.0+cgr.2" in shown.out
    assert "CVE-2026-0001: fixed in 1.0+cgr.1" in shown.out
    assert shown.err == ""


def test_explain_of_a_remediated_build(scene: Path, feed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install([scene / "ours/demo-1.0+cgr.1-py3-none-any.whl"], scene / "other")
    Path("root").rename("before")
    Path("other").rename("root")
    account = explain("--vex", "openvex")
    line = account["distribution"]
    assert (line["version"], line["origin"], line["integrity"]) == ("1.0+cgr.1", "chainguard", "intact")
    assert line["match"]["filename"] == "demo-1.0+cgr.1-py3-none-any.whl"
    assert [fix["here"] for fix in account["vex"]["statements"]] == ["fixed"]
    out = capsys.readouterr().out
    assert "CVE-2026-0001: fixed here" in out
    assert "Chainguard offers 1.0+cgr.2" in out


def test_the_feed_of_the_configuration_file(scene: Path, feed: Path) -> None:
    Path("settings").mkdir()
    feed.rename("settings/openvex")
    Path("settings/cgscan.yaml").write_text("vex: openvex/all.json\n")
    account = explain("--config", "settings/cgscan.yaml")
    assert (account["vex"]["feed"], len(account["vex"]["statements"])) == ("settings/openvex/all.json", 1)


def test_without_a_feed(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain()["vex"] is None
    shown = capsys.readouterr()
    assert "Chainguard offers 1.0+cgr.2" in shown.out
    assert shown.err == ""


def test_a_feed_that_cannot_be_read_is_one_note(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("--vex", "nowhere.json")["vex"] is None
    [line] = capsys.readouterr().err.splitlines()
    assert line == "cgscan: vex: nowhere.json: nowhere.json cannot be read (No such file or directory)"


def test_a_hostile_feed_moves_no_cursor(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = {"name": "CVE-2026-0001", "aliases": ["\x1b[2J"]}
    Path("feed.json").write_bytes(document({**statement("1.0+cgr.1"), "vulnerability": hostile}))
    [fix] = explain("--vex", "feed.json")["vex"]["statements"]
    assert fix["aliases"] == []
    assert "\x1b" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("value", ["https://user:hunter2@h/all.json", "ftp://h/all.json"])
def test_what_is_no_place_of_a_feed(value: str, scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "dir:root", "demo", "--index", "a", "--vex", value]) == 2
    err = capsys.readouterr().err
    assert err.startswith("cgscan: error: one setting makes no sense; --vex: ")
    assert "hunter2" not in err
