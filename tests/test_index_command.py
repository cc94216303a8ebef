"""``cgscan index`` and scans with a snapshot, as processes see them; indexes are folders and real servers."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from fixtures.demo import Demo
from fixtures.trees import install, simple_tree
from fixtures.wheels import add_sbom, make_wheel
from scanner.cli import main
from scanner.formats.snapshots import SCHEMA
from tests.managers import access_log, devpi, html_page, nginx, sha256
from tests.registries import Exchange, site

ROOT = Path(__file__).parent.parent
SNAPSHOT = "a.cgindex"
DEADLINE = 60.0


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def pulled(*arguments: str) -> None:
    """Pull, and all of it is there."""
    assert main(["index", "pull", SNAPSHOT, "--no-cache", "-q", *arguments]) == 0


def report(*arguments: str, status: int = 0) -> dict[str, Any]:
    assert main(["scan", *arguments, "--no-cache", "-q", "-o", "json=report.json"]) == status
    found: dict[str, Any] = json.loads(Path("report.json").read_text())
    return found


def judged(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {line["name"]: (line["origin"], line["integrity"]) for line in found["distributions"]}


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    """A report without what differs between two runs, or is meant to differ between index and snapshot."""
    indexes = [{**index, "kind": "", "as_of": None} for index in found["indexes"]]
    return {**found, "scanned_at": "", "timing": {}, "indexes": indexes}


@pytest.fixture
def wheel(tmp_path: Path) -> Callable[..., Path]:
    """A wheel of the upstream kind, or the same with Chainguard's SBOM."""

    def made(name: str, version: str = "1.0", *, ours: bool = False, module: str | None = None) -> Path:
        module = module or name.replace("-", "_")
        files = {f"{module}/__init__.py": f"NAME = {name!r}\n".encode(), f"{module}/core.py": b"x = 1\n" * 50}
        folder = tmp_path / ("ours" if ours else "theirs")
        built = make_wheel(folder, name, version, files, generator="ours 1" if ours else "theirs 1")
        return add_sbom(built, folder) if ours else built

    return made


# -- the same report -------------------------------------------------------------------------------


def _folders(demo: Demo, _stack: ExitStack, _folder: Path) -> tuple[str, str]:
    return str(demo.chainguard), str(demo.pypi)


def _nginx(demo: Demo, stack: ExitStack, folder: Path) -> tuple[str, str]:
    url = stack.enter_context(nginx(folder / "nginx", demo.chainguard.parent))
    return f"{url}/{demo.chainguard.name}/", f"{url}/{demo.pypi.name}/"


def _devpi(demo: Demo, stack: ExitStack, folder: Path) -> tuple[str, str]:
    server = stack.enter_context(devpi(folder / "devpi"))
    for name, tree in (("cg", demo.chainguard), ("pypi", demo.pypi)):
        server.make_index(name, type="stage")
        for file in tree.glob("*/*.whl"):
            server.upload(name, file)
    return server.simple("cg"), server.simple("pypi")


@pytest.mark.parametrize("serve", [_folders, _nginx, _devpi], ids=["folder", "nginx", "devpi"])
def test_the_same_report_offline(
    demo_parts: Demo, tmp_path: Path, serve: Callable[[Demo, ExitStack, Path], tuple[str, str]]
) -> None:
    target = f"oci-dir:{demo_parts.image}"
    (tmp_path / "devpi").mkdir()
    with ExitStack() as stack:
        ours, theirs = serve(demo_parts, stack, tmp_path)
        online = report(target, "--index", ours, "--upstream", theirs)
        pulled("--for", target, "--index", ours, "--upstream", theirs)
    offline = report(target, "--index", SNAPSHOT, "--offline")
    assert comparable(offline) == comparable(online)
    assert {line["origin"] for line in online["distributions"]} >= {"chainguard", "upstream", "ambiguous", "os"}
    assert [index["as_of"] for index in online["indexes"]] == [None, None]
    for index in offline["indexes"]:
        assert index["kind"] == "snapshot"
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", index["as_of"])


def test_what_a_report_needs(demo_parts: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    target = f"oci-dir:{demo_parts.image}"
    indexes = ["--index", str(demo_parts.chainguard), "--upstream", str(demo_parts.pypi)]
    online = report(target, *indexes)
    pulled("--for", "report.json", *indexes)
    assert comparable(report(target, "--index", SNAPSHOT, "--offline")) == comparable(online)
    assert main(["scan", target, "--index", SNAPSHOT, "--offline", "--no-cache"]) == 0
    assert "(upstream, snapshot as of 20" in " ".join(capsys.readouterr().out.split())


def test_what_is_not_covered_is_unchecked(wheel: Callable[..., Path], tmp_path: Path) -> None:
    ours = [wheel("one", ours=True), wheel("two", ours=True)]
    install(ours, tmp_path / "root")
    indexes = ["--index", str(simple_tree(tmp_path / "cg", ours))]
    Path("requirements.txt").write_text(
        "# what we need\none==1.0 \\\n    --hash=sha256:00\n--index-url https://u:p@h/\n"
    )
    pulled("--requirements", "requirements.txt", *indexes)
    found = report("dir:root", "--index", SNAPSHOT, "--offline")
    assert judged(found) == {"one": ("chainguard", "intact"), "two": ("unchecked", "none")}
    [reason] = [line["reason"] for line in found["distributions"] if line["name"] == "two"]
    assert f"two: not in the snapshot {SNAPSHOT}" in reason


def test_beside_another_index_it_is_one_of_them(wheel: Callable[..., Path], tmp_path: Path) -> None:
    """What the snapshot does not cover is settled where another index explains every file."""
    ours = [wheel("one", ours=True), wheel("two", ours=True)]
    install(ours, tmp_path / "root")
    tree = str(simple_tree(tmp_path / "cg", ours))
    pulled("one==1.0", "--index", tree)
    found = report("dir:root", "--index", SNAPSHOT, "--index", tree)
    assert judged(found) == {"one": ("chainguard", "intact"), "two": ("chainguard", "intact")}


def test_a_name_without_version_is_its_newest_release(wheel: Callable[..., Path], tmp_path: Path) -> None:
    tree = simple_tree(tmp_path / "cg", [wheel("one", version) for version in ("1.0", "1.10", "2.0a1")])
    pulled("one", "--index", str(tree))
    with closing(sqlite3.connect(SNAPSHOT)) as file:
        assert file.execute("SELECT filename FROM wheels").fetchall() == [("one-1.10-py3-none-any.whl",)]
        assert file.execute("SELECT count(*) FROM files").fetchone() == (3,)


def test_files_without_metadata_are_known_by_content(wheel: Callable[..., Path], tmp_path: Path) -> None:
    """Nothing but the digests of its members leads from the folder ``quux`` to the project ``far-off``."""
    built = wheel("far-off", module="quux")
    site_packages = install([built], tmp_path / "root")
    shutil.rmtree(next(site_packages.glob("*.dist-info")))
    pulled("far-off==1.0", "--upstream", str(simple_tree(tmp_path / "pypi", [built])))
    found = report("dir:root", "--upstream", SNAPSHOT, "--offline")
    [line] = found["distributions"]
    assert (line["name"], line["version"]) == ("far-off", "1.0")
    with closing(sqlite3.connect(SNAPSHOT)) as file, file:
        file.execute("DELETE FROM members")
    assert report("dir:root", "--upstream", SNAPSHOT, "--offline")["distributions"] == []


# -- in parts --------------------------------------------------------------------------------------


def _rows(path: Path) -> int:
    """Of how many wheels the snapshot has the contents."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
            return int(file.execute("SELECT count(*) FROM wheels").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet, or being made
        return -1


def test_a_killed_pull_goes_on_where_it_was(wheel: Callable[..., Path], tmp_path: Path) -> None:
    names = [f"project-{number}" for number in range(6)]
    wheels = {name: wheel(name) for name in names}
    held, at_last = threading.Event(), names[4]

    def answer(exchange: Exchange) -> None:
        name = exchange.seen.path.strip("/")
        if name.endswith(".whl"):
            [data] = [one.read_bytes() for one in wheels.values() if one.name == name]
            exchange.send(200, data)
            return
        if name == at_last:
            held.wait(DEADLINE)
        row = (f"/{wheels[name].name}#sha256={sha256(wheels[name].read_bytes())}", wheels[name].name)
        exchange.send(200, html_page([row]), Content_Type="text/html")

    with site(answer) as server:
        pull = [sys.executable, "-m", "scanner", "index", "pull", SNAPSHOT, *(f"{name}==1.0" for name in names)]
        pull += ["--index", f"{server.url}/", "-j", "1", "--no-cache"]
        with subprocess.Popen(pull, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            until = time.monotonic() + DEADLINE
            while (there := _rows(tmp_path / SNAPSHOT)) < 4 and child.poll() is None and time.monotonic() < until:
                time.sleep(0.01)  # between two looks, up to the deadline
            child.kill()
        assert there == 4
        assert child.returncode == -signal.SIGKILL
        held.set()
        seen = len(server.requests)
        done = subprocess.run(pull, check=True, capture_output=True, text=True, timeout=DEADLINE)
        asked = [path.strip("/") for path in server.paths()[seen:]]
    pages = [path for path in asked if not path.endswith(".whl")]
    assert pages == names[4:]
    assert "asked for 2 pages" in done.stderr
    with closing(sqlite3.connect(SNAPSHOT)) as file:
        kept = {name for (name,) in file.execute("SELECT filename FROM wheels")}
    assert kept == {one.name for one in wheels.values()}


def test_a_pull_asks_for_nothing_that_is_fresh(wheel: Callable[..., Path], tmp_path: Path) -> None:
    built = [wheel("one", ours=True), wheel("two", ours=True)]
    install(built, tmp_path / "root")
    tree = simple_tree(tmp_path / "tree", built)
    with nginx(tmp_path / "nginx", tree) as url:
        pulled("--for", "dir:root", "--index", f"{url}/")
        seen = len(access_log(url, tmp_path / "nginx"))
        pulled("--for", "dir:root", "--index", f"{url}/")
        assert len(access_log(url, tmp_path / "nginx")) == seen
        pulled("--for", "dir:root", "--index", f"{url}/", "--max-age", "0")
        later = [line.split()[1] for line in access_log(url, tmp_path / "nginx")[seen:]]
    assert sorted(line.split("/")[1] for line in later) == ["one", "two"]
    assert not [line for line in later if line.endswith(".whl")]


def test_what_an_index_refuses_ends_with_2_and_the_rest_is_there(
    wheel: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = simple_tree(tmp_path / "tree", [wheel("one"), wheel("two")])
    with nginx(tmp_path / "nginx", tree, extra="location /one/ { deny all; }") as url:
        assert main(["index", "pull", SNAPSHOT, "one==1.0", "two==1.0", "--no-cache", "--upstream", f"{url}/"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"cgscan: not pulled: .*one/: refused \(403\)\n", err)
    assert f"cgscan: error: {SNAPSHOT}: not all of it could be pulled (1 answer is missing)\nhint: " in err
    with closing(sqlite3.connect(SNAPSHOT)) as file:
        assert file.execute("SELECT filename FROM wheels").fetchall() == [("two-1.0-py3-none-any.whl",)]


# -- no network ------------------------------------------------------------------------------------


def _traced(log: Path) -> list[str]:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    command = [strace, "-f", "-e", "trace=network", "-o", str(log)]
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    return command


def test_offline_opens_no_socket(wheel: Callable[..., Path], tmp_path: Path) -> None:
    built = wheel("one", ours=True)
    install([built], tmp_path / "root")
    pulled("--for", "dir:root", "--index", str(simple_tree(tmp_path / "tree", [built])), "--prove")
    command = [*_traced(tmp_path / "log"), sys.executable, "-m", "scanner", "scan", "dir:root", "--offline"]
    command += ["--index", SNAPSHOT, "--upstream", "https://pypi.example/simple", "--prove", "-o", "json=offline.json"]
    subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE)
    calls = [line for line in Path("log").read_text().splitlines() if "(" in line]
    assert calls == []
    assert {line["origin"] for line in json.loads(Path("offline.json").read_text())["distributions"]} == {"chainguard"}


def test_the_trace_would_show_a_socket(tmp_path: Path) -> None:
    code = "import socket; socket.socket().close()"
    subprocess.run([*_traced(tmp_path / "log"), sys.executable, "-c", code], check=True, timeout=DEADLINE)
    assert "socket(" in Path("log").read_text()


# -- show, and what makes no sense -----------------------------------------------------------------


def test_show(wheel: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = str(simple_tree(tmp_path / "tree", [wheel("one")]))
    pulled("one==1.0", "nothing", "--index", tree, "--built-only")
    capsys.readouterr()
    assert main(["index", "show", SNAPSHOT, "-o", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    [index] = shown["indexes"]
    assert (shown["schema"], shown["file"], shown["size"]) == (SCHEMA, SNAPSHOT, Path(SNAPSHOT).stat().st_size)
    assert {name: index[name] for name in ("name", "role", "kind", "url", "built_only")} == {
        "name": tree,
        "role": "chainguard",
        "kind": "directory",
        "url": tree,
        "built_only": True,
    }
    assert [index[name] for name in ("projects", "unlisted", "failed", "files", "wheels")] == [2, 1, 0, 1, 1]
    with closing(sqlite3.connect(SNAPSHOT)) as file, file:
        file.execute("UPDATE projects SET asked = asked - 3 * 86400 - 60 WHERE name = 'one'")
    assert main(["index", "show", SNAPSHOT]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{SNAPSHOT}: a snapshot of 1 index, ")
    assert "(chainguard, built wheels only)" in out
    assert re.search(r" 2 +1 +0 +1 +1 +0 +0 min to 3 d\n", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "none.cgindex"], "none.cgindex: cannot be read: No such file"),
        (["show", "text"], "text: no snapshot of an index"),
        (["pull", "text", "one"], "text: no snapshot of an index"),
        (["pull", "a.cgindex"], "nothing to pull is named"),
        (["pull", "a.cgindex", "one>1"], "'one>1': one is not pinned with =="),
        (["pull", "a.cgindex", "one==1.*"], "'one==1.*': one is not pinned with =="),
        (["pull", "a.cgindex", "not a name"], "'not a name': no requirement"),
        (["pull", "a.cgindex", "--requirements", "none.txt"], "none.txt: cannot be read"),
        (["pull", "a.cgindex", "--requirements", "uv.lock"], "uv.lock: no requirements file"),
        (["pull", "a.cgindex", "--requirements", "loose.txt"], "line 2: two is not pinned with ==; line 3: the option"),
        (["pull", "a.cgindex", "--requirements", "secret.txt"], "line 1: a requirement with a URL"),
        (["pull", "a.cgindex", "--for", "text.json"], "text.json: no JSON"),
        (["pull", "a.cgindex", "--for", "other.json"], "other.json: no report of cgscan's"),
        (["pull", "a.cgindex", "--for", "half.json"], "half.json: a report that is not of its own schema"),
        (["pull", "a.cgindex", "--for", "dir:nowhere"], "nowhere"),
        (["pull", "no/such/folder.cgindex", "one"], "unable to open"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tree").mkdir()
    Path("text").write_text("no database")
    Path("text.json").write_text("{")
    Path("other.json").write_text('{"schema": "other/1"}')
    Path("half.json").write_text('{"schema": "cgscan-report/1", "target": {"platform": null}, "distributions": [{}]}')
    Path("loose.txt").write_text("one==1.0\ntwo>=2  # any\n-r more.txt\n")
    Path("secret.txt").write_text("one @ https://user:hunter2@host/one.whl\n")
    indexes = ["--index", "tree", "--no-cache"] if arguments[0] == "pull" else []
    assert main(["index", *arguments, *indexes]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    [line] = [line for line in err.splitlines() if not line.startswith("hint: ")]
    assert line.startswith("cgscan: error: ")
    assert message in line
    assert "hunter2" not in err


def test_a_pull_needs_an_index_that_is_none_itself(
    wheel: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", "pull", SNAPSHOT, "one"]) == 2
    assert "no index to pull from is given" in capsys.readouterr().err
    pulled("one==1.0", "--index", str(simple_tree(tmp_path / "tree", [wheel("one")])))
    assert main(["index", "pull", "b.cgindex", "one", "--index", SNAPSHOT]) == 2
    assert "not from a snapshot" in capsys.readouterr().err


def test_a_damaged_snapshot_ends_the_scan(
    wheel: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = wheel("one")
    install([built], tmp_path / "root")
    pulled("one==1.0", "--upstream", str(simple_tree(tmp_path / "tree", [built])))
    with closing(sqlite3.connect(SNAPSHOT)) as file, file:
        file.execute("UPDATE wheels SET contents = x'00'")
    capsys.readouterr()
    assert main(["scan", "dir:root", "--upstream", SNAPSHOT, "--offline", "-q", "--no-cache"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"cgscan: error: {SNAPSHOT}: the snapshot is damaged: what it has of one-1.0")
