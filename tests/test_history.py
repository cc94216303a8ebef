"""What indexes listed once: real indexes whose content changes between two scans, and what is then said of an image.

Chainguard builds a release again, a proxy is purged, PyPI's wheel is deleted: the bytes behind a name are others now,
and the image has those from before.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import connect
from typing import Any

import httpx
import msgpack  # type: ignore[import-untyped]
import pytest
from backports import zstd
from packaging.utils import NormalizedName, canonicalize_name

from fixtures.trees import install, simple_tree
from fixtures.wheels import add_sbom, dist_info_name, flip_byte, make_wheel, read_members, write_wheel
from scanner.candidates import Gathering
from scanner.cli import main
from scanner.digest import Digest
from scanner.distribution import Origin
from scanner.errors import WheelUnreadable
from scanner.index import Held, IndexFile, Role, Seen
from scanner.indexes.history import History
from scanner.store import DiskStore, NoStore
from scanner.wheel import WheelContents
from tests.formats.test_formats import VALIDATOR
from tests.managers import devpi, nginx
from tests.test_candidates import question

CODE = {"demo/__init__.py": b"NAME = 'demo'\n", "demo/core.py": b"x = 1\n" * 50, "demo/extra.py": b"y = 2\n" * 20}
NAME = "demo-1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CGSCAN_CACHE_DIR", "CGSCAN_CONFIG", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


class Past:
    """An image's tree, two indexes as folders, a cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ours, self.theirs = str(folder / "ours"), str(folder / "theirs")

    def ours_built(self, time: int, files: dict[str, bytes] | None = None, version: str = "1.0") -> Path:
        """Chainguard's wheel as it was built the first, the second … time."""
        into = self.folder / f"built-{time}"
        plain = make_wheel(
            into, "demo", version, files or CODE, generator=f"ours {time}", metadata_version=f"2.{time}"
        )  # fmt: skip
        return add_sbom(plain, into)

    def pypis(self, files: dict[str, bytes] | None = None) -> Path:
        """PyPI's wheel."""
        return make_wheel(self.folder / "pypi", "demo", "1.0", files or CODE, generator="theirs 1")

    def installed(self, *wheels: Path) -> Path:
        """The image's tree with these installed."""
        shutil.rmtree(self.folder / "root", ignore_errors=True)
        install(wheels, self.folder / "root")
        return self.folder / "root" / "usr/local/lib/python3.11/site-packages"

    def listed(self, ours: Sequence[Path] = (), theirs: Sequence[Path] | None = None) -> None:
        """What the indexes list from now on."""
        for folder, wheels in ((self.ours, ours), (self.theirs, theirs)):
            if wheels is not None:
                shutil.rmtree(folder, ignore_errors=True)
                simple_tree(Path(folder), wheels)

    def scan(self, *more: str, upstream: bool = True, ours: str | None = None) -> dict[str, Any]:
        """The line of the only distribution."""
        indexes = ["--index", ours or self.ours, *(["--upstream", self.theirs] if upstream else [])]
        command = ["scan", "dir:root", *indexes, "-q", "-o", "json=report.json", "--cache-dir", "cache", *more]
        assert main(command) == 0
        report = json.loads((self.folder / "report.json").read_text())
        VALIDATOR.validate(report)
        [line] = report["distributions"]
        found: dict[str, Any] = line
        return found

    def verdict(self, *more: str, upstream: bool = True) -> tuple[str, str, str | None]:
        """Origin, integrity, evidence."""
        line = self.scan(*more, upstream=upstream)
        return line["origin"], line["integrity"], line["match"] and line["match"]["evidence"]


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path)


# -- a wheel of the past explains an image of the past ---------------------------------------------


def test_chainguard_builds_a_release_again(past: Past) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    past.installed(first)
    past.listed([first], [pypi])
    before = past.scan()
    assert (before["origin"], before["integrity"], before["match"]["seen"]) == ("chainguard", "intact", None)
    past.listed([second])
    after = past.scan()
    assert (after["origin"], after["integrity"]) == ("chainguard", "intact")
    seen = after["match"]["seen"]
    assert seen["listed"] is False
    assert seen["first"] <= seen["last"]
    assert after["match"]["sha256"] == before["match"]["sha256"]
    assert after["match"]["evidence"] == "not-upstream"
    assert f"{past.ours} does not list it any more, it was seen there" in after["reason"]
    assert seen["last"] in after["reason"]
    assert after["available"]["same_version"] == NAME
    # without the memory there is nothing that explains it
    assert past.verdict("--no-cache")[0] not in ("chainguard", "upstream")
    # nothing remembered: as without a history
    assert past.verdict("--cache-dir", "empty")[0] not in ("chainguard", "upstream")


def test_what_is_listed_today_goes_first(past: Past) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    past.installed(first)
    past.listed([first], [pypi])
    past.scan()
    past.listed([second])
    past.installed(second)
    line = past.scan()
    assert (line["origin"], line["integrity"], line["match"]["seen"]) == ("chainguard", "intact", None)


def test_of_equals_it_is_the_one_that_is_listed_today(past: Past) -> None:
    """Two builds that differ in their SBOM alone, and the SBOM is gone."""
    first = past.ours_built(1)
    second = _built_again(first, past.folder / "again", part="sboms/sbom.spdx.json")
    site = past.installed(second)
    past.listed([first], [past.pypis()])
    past.scan()
    past.listed([second])
    shutil.rmtree(next(site.glob("demo-*.dist-info/sboms")))
    line = past.scan()
    assert (line["origin"], line["integrity"], line["match"]["seen"]) == ("chainguard", "pruned", None)


def test_equal_input_gives_an_equal_line(past: Past) -> None:
    first, second = past.ours_built(1), past.ours_built(2)
    past.installed(first)
    past.listed([first], [past.pypis()])
    past.scan()
    past.listed([second])
    assert past.scan() == past.scan() == past.scan("--offline")


def test_pruned_and_modified_files_of_the_past(past: Past) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    site = past.installed(first)
    past.listed([first], [pypi])
    past.scan("--prove")
    past.listed([second])
    (site / "demo/extra.py").unlink()
    line = past.scan()
    assert (line["origin"], line["integrity"], line["match"]["seen"] is None) == ("chainguard", "pruned", False)
    flip_byte(site / "demo/core.py", 3)
    line = past.scan()
    assert (line["origin"], line["integrity"], line["match"]["seen"] is None) == ("chainguard", "modified", False)
    assert line["match"]["proved"] is True


def test_nobody_is_accused_by_a_wheel_that_cannot_be_read_whole(past: Past) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    site = past.installed(first)
    past.listed([first], [pypi])
    assert past.scan()["match"]["proved"] is False
    past.listed([second])
    assert past.verdict() == ("chainguard", "intact", "not-upstream")
    line = past.scan("--prove")
    assert (line["origin"], line["match"]) == ("unchecked", None)
    assert "cannot be read whole any more" in line["reason"]
    flip_byte(site / "demo/core.py", 3)
    assert past.scan()["origin"] == "unchecked"


def test_pypis_wheel_that_was_deleted(past: Past) -> None:
    pypi = past.pypis()
    past.installed(pypi)
    past.listed([], [pypi])
    past.scan()
    past.listed([], [])
    line = past.scan()
    assert (line["origin"], line["integrity"], line["match"]["evidence"]) == ("upstream", "intact", None)
    assert line["match"]["seen"]["listed"] is False


def test_a_wheel_file_of_the_past(past: Past) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    folder = past.folder / "root" / "wheels"
    folder.mkdir(parents=True)
    shutil.copy(first, folder)
    past.listed([first], [pypi])
    assert past.scan()["match"]["evidence"] == "not-upstream"
    past.listed([second])
    line = past.scan()
    assert (line["kind"], line["origin"], line["integrity"]) == ("wheel", "chainguard", "intact")
    assert line["match"]["seen"]["listed"] is False
    assert past.verdict("--no-cache")[0] not in ("chainguard", "upstream")


def test_explain_shows_it(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    past.installed(first)
    past.listed([first], [pypi])
    past.scan()
    past.listed([second])
    command = ["explain", "dir:root", "demo", "--index", past.ours, "--upstream", past.theirs, "--cache-dir", "cache"]
    capsys.readouterr()
    assert main([*command, "-o", "json=explained.json", "-o", "table"]) == 0
    [account] = json.loads(Path("explained.json").read_text())["distributions"]
    [chosen] = [one for one in account["candidates"] if one["chosen"]]
    assert chosen["seen"] == account["chainguard"]["seen"] == account["distribution"]["match"]["seen"]
    assert len(account["candidates"]) == 3
    text = " ".join(capsys.readouterr().out.split())
    assert "not listed any more, last seen 20" in text
    assert "as it was listed until 20" in text


# -- never a wrong chainguard ----------------------------------------------------------------------


def test_what_upstream_serves_now_is_upstreams(past: Past) -> None:
    """An SBOM is copied into a wheel; Chainguard's proxy has it from PyPI, and nobody asks PyPI at that time."""
    planted, second = past.ours_built(1), past.ours_built(2)
    past.installed(planted)
    past.listed([planted], [planted])
    assert past.verdict(upstream=False) == ("chainguard", "intact", "sbom")  # all that can be said without PyPI
    past.listed([second])
    assert past.verdict() == ("upstream", "intact", None)


def test_what_upstream_served_then_is_upstreams(past: Past) -> None:
    planted, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    past.installed(planted)
    past.listed([planted], [planted])
    assert past.verdict(upstream=False) == ("chainguard", "intact", "sbom")  # all that can be said without PyPI
    assert past.verdict() == ("upstream", "intact", None)
    past.listed([second], [pypi])
    assert past.verdict() == ("upstream", "intact", None)
    # also where PyPI is asked at another place by now, or not at all
    assert past.verdict(upstream=False) == ("upstream", "intact", None)
    shutil.copytree(past.theirs, past.folder / "moved")
    assert past.verdict("--upstream", "moved", upstream=False) == ("upstream", "intact", None)


def test_what_was_not_asked_of_upstream_then_is_not_evidence_now(past: Past) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    past.installed(first)
    past.listed([first], [pypi])
    assert past.verdict(upstream=False) == ("chainguard", "intact", "sbom")
    past.listed([second])
    assert past.verdict() == ("chainguard", "intact", "sbom")


def test_built_only_is_what_it_was_then(past: Past) -> None:
    pypi_like = make_wheel(past.folder / "fallback", "demo", "1.0", CODE, generator="theirs 1")
    second = past.ours_built(2)
    past.installed(pypi_like)
    past.listed([pypi_like], [])
    assert past.verdict(upstream=False)[0] == "unknown"
    past.listed([second])
    # purged since, and said to serve built wheels only: that is said of what it serves now
    assert past.verdict("--built-only", upstream=False) == ("unknown", "intact", None)
    past.listed([pypi_like])
    assert past.verdict("--built-only", "--cache-dir", "other", upstream=False)[2] == "built-only"
    past.listed([second])
    assert past.verdict("--built-only", "--cache-dir", "other", upstream=False)[2] == "built-only"
    assert past.verdict("--cache-dir", "other", upstream=False) == ("unknown", "intact", None)


def test_an_index_inherits_nothing_of_another_role_or_place(past: Past) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    past.installed(first)
    past.listed([first], [pypi])
    past.scan()
    past.listed([second])
    shutil.copytree(past.ours, past.folder / "copy")
    assert past.scan(ours=str(past.folder / "copy"))["origin"] not in ("chainguard", "upstream")
    # the place that was Chainguard's, now given as PyPI's: it never listed that as PyPI's
    command = ["scan", "dir:root", "--upstream", past.ours, "-q", "-o", "json=report.json", "--cache-dir", "cache"]
    assert main(command) == 0
    [line] = json.loads(Path("report.json").read_text())["distributions"]
    assert line["match"] is None


def test_pypis_wheel_of_the_past_explains_what_is_left_of_it(past: Past) -> None:
    """The same backend wrote the same METADATA and WHEEL; PyPI has deleted its wheel."""
    ours = add_sbom(make_wheel(past.folder / "plain", "demo", "1.0", CODE, generator="theirs 1"), past.folder / "a")
    pypi = past.pypis({**CODE, "demo/more.py": b"z = 3\n"})
    site = past.installed(pypi)
    past.listed([ours], [pypi])
    (site / "demo/extra.py").unlink()
    assert past.verdict()[0] == "upstream"
    past.listed([ours], [])
    assert past.verdict()[0] == "upstream"
    assert past.verdict("--no-cache")[0] != "upstream"


def test_pypis_wheel_of_the_past_takes_a_verdict_from_chainguard(past: Past) -> None:
    """All that is there is in both builds; today PyPI lists nothing, so that nothing speaks against Chainguard's."""
    ours = add_sbom(make_wheel(past.folder / "plain", "demo", "1.0", CODE, generator="theirs 1"), past.folder / "a")
    pypi = past.pypis()
    site = past.installed(pypi)
    past.listed([ours], [pypi])
    (site / "demo/extra.py").unlink()
    next(site.glob("demo-*.dist-info/RECORD")).unlink()
    assert past.verdict()[0] == "ambiguous"
    past.listed([ours], [])
    assert past.verdict()[0] == "ambiguous"
    assert past.verdict("--no-cache")[0] == "chainguard"


def test_a_wheel_of_the_past_helps_no_other(past: Past) -> None:
    """An upload of somebody's is gone; it must not make Chainguard's METADATA telling, which PyPI's build has too."""
    stray = make_wheel(past.folder / "stray", "demo", "1.0", CODE, generator="somebody 1", metadata_version="2.3")
    past.installed(stray)
    past.listed([stray], [])
    past.scan("--prove", upstream=False)
    past.listed([past.ours_built(1)])
    past.scan("--prove", upstream=False)
    past.listed([past.ours_built(2)])
    past.installed(past.pypis())
    assert past.verdict(upstream=False)[0] == "unknown"


A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("theirs", "their_past", "origin"),
    [
        ([("other-1.0-py3-none-any.whl", A)], [], Origin.UPSTREAM),
        ([], [("other-1.0-py3-none-any.whl", A)], Origin.UPSTREAM),
        ([(NAME, B)], [(NAME, B)], Origin.CHAINGUARD),
    ],
)
def test_the_same_bytes_at_upstream_now_or_then(
    theirs: list[tuple[str, str]], their_past: list[tuple[str, str]], origin: Origin
) -> None:
    contents = WheelContents(
        filename=NAME,
        sha256=Digest("sha256", A),
        proved=True,
        members={},
        dist_info="demo-1.0.dist-info",
        documents={"sboms/x.json": b'{"creationInfo": {"creators": ["Organization: Chainguard, Inc"]}}'},
    )
    ours = Remembered(role=Role.CHAINGUARD, past=[(NAME, A)])
    gathering = Gathering(question(), [ours, Remembered(role=Role.UPSTREAM, now=theirs, past=their_past)])
    [(_, seen)] = gathering.earlier(Role.CHAINGUARD)
    assert gathering.origin_of_earlier(ours, seen, contents)[0] is origin


@dataclass(kw_only=True)
class Remembered:
    """An index that lists files and has listed others."""

    role: Role
    now: Sequence[tuple[str, str]] = ()
    past: Sequence[tuple[str, str]] = ()
    kind: str = "list"
    url: str = "list:"
    built_only: bool = False

    @property
    def name(self) -> str:
        return self.role.value

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        return [IndexFile(name, f"list:{name}", f"list:{name}", {"sha256": sha256}) for name, sha256 in self.now]

    def wheel(self, file: IndexFile, *, whole: bool = False) -> WheelContents:
        raise WheelUnreadable(file.filename)

    def earlier(self, project: NormalizedName) -> Sequence[Seen]:
        files = [IndexFile(name, f"list:{name}", f"list:{name}", {"sha256": sha256}) for name, sha256 in self.past]
        return [
            Seen(file=file, first=1.0, last=2.0, upstream=False, not_upstream=True, built_only=False) for file in files
        ]

    def recall(self, file: IndexFile) -> WheelContents | None:
        return None


# -- remediated builds and other names -------------------------------------------------------------


def test_only_wheels_of_its_version(past: Past) -> None:
    other = past.ours_built(1, version="1.0+cgr.1")
    past.installed(other)
    past.listed([other], [past.pypis()])
    assert past.verdict() == ("chainguard", "intact", "not-upstream")
    past.listed([past.ours_built(2, version="1.0+cgr.2")])
    line = past.scan()
    assert (line["version"], line["origin"], line["match"]["seen"]["listed"]) == ("1.0+cgr.1", "chainguard", False)
    assert line["available"]["remediated"] == "1.0+cgr.2"


# -- over HTTP -------------------------------------------------------------------------------------


@contextmanager
def _folder(folder: Path) -> Iterator[tuple[str, Callable[[Sequence[Path]], None]]]:
    def put(wheels: Sequence[Path]) -> None:
        shutil.rmtree(folder / "tree", ignore_errors=True)
        simple_tree(folder / "tree", wheels)

    put([])
    yield str(folder / "tree"), put


@contextmanager
def _nginx(folder: Path) -> Iterator[tuple[str, Callable[[Sequence[Path]], None]]]:
    with _folder(folder) as (tree, put), nginx(folder / "nginx", Path(tree)) as url:
        yield f"{url}/", put


@contextmanager
def _devpi(folder: Path) -> Iterator[tuple[str, Callable[[Sequence[Path]], None]]]:
    folder.mkdir(parents=True, exist_ok=True)
    with devpi(folder) as server:
        server.make_index("ours", type="stage", volatile=True)

        def put(wheels: Sequence[Path]) -> None:
            headers = server._auth()
            httpx.delete(f"{server.url}/root/ours/demo", headers=headers, timeout=30)
            for wheel in wheels:
                server.upload("ours", wheel)

        yield server.simple("ours"), put


@pytest.mark.parametrize("serve", [_folder, _nginx, _devpi], ids=["folder", "nginx", "devpi"])
def test_real_wheels_on_real_indexes(
    past: Past,
    serve: Callable[[Path], Any],
    pypi_wheel: Callable[[str], Path],
    rebuilt_wheel: Callable[[str], Path],
) -> None:
    """PyPI's copy was cached first; it was purged and Chainguard's build came; that was built again."""
    pypi, built = pypi_wheel("blinker==1.9.0"), rebuilt_wheel("blinker==1.9.0")
    again = _built_again(built, past.folder / "again")
    past.listed(theirs=[pypi])
    with serve(past.folder / "served") as (url, put):
        put([pypi])
        past.installed(pypi)
        assert past.scan(ours=url)["origin"] == "upstream"
        put([built])
        assert past.scan(ours=url)["match"]["seen"] is None  # PyPI still has it
        past.installed(built)
        before = past.scan(ours=url)
        assert (before["origin"], before["match"]["evidence"]) == ("chainguard", "not-upstream")
        put([again])
        after = past.scan(ours=url)
        offline = past.scan("--offline", ours=url)
    assert (after["origin"], after["integrity"], after["match"]["seen"]["listed"]) == ("chainguard", "intact", False)
    assert after["match"]["sha256"] == before["match"]["sha256"]
    assert offline == after


def _built_again(wheel: Path, folder: Path, part: str = "METADATA") -> Path:
    """The same code and another METADATA, or what else of dist-info is named, under the same name."""
    folder.mkdir()
    members = read_members(wheel)
    info = dist_info_name(members)
    changed = [
        (
            member,
            data + (b"\nbuilt again\n" if part == "METADATA" else b"\n")
            if member.filename == f"{info}/{part}"
            else data,
        )
        for member, data in members
    ]
    write_wheel(folder / wheel.name, changed, record=f"{info}/RECORD")
    return folder / wheel.name


def test_no_user_inherits_what_another_has_seen(past: Past) -> None:
    first, second = past.ours_built(1), past.ours_built(2)
    past.listed([], [past.pypis()])
    past.installed(first)
    with _nginx(past.folder / "served") as (url, put):
        one, other = (url.replace("://", f"://{user}:secret@") for user in ("one", "other"))
        put([first])
        assert past.scan(ours=one)["origin"] == "chainguard"
        put([second])
        assert past.scan(ours=other)["match"] is None
        assert past.scan(ours=url)["match"] is None
        # the secret is renewed, the user is the same
        assert past.scan(ours=one.replace("secret", "renewed"))["origin"] == "chainguard"
    assert not [file for file in Path("cache").rglob("*") if file.is_file() and b"secret" in file.read_bytes()]


# -- snapshots -------------------------------------------------------------------------------------


def _pull(past: Past, *more: str) -> None:
    command = ["index", "pull", "a.cgindex", "--index", past.ours, "--upstream", past.theirs, "--max-age", "0", "-q"]
    assert main([*command, *more]) == 0


def _offline(past: Past) -> dict[str, Any]:
    return past.scan("--offline", "--no-cache", upstream=False, ours="a.cgindex")


@pytest.mark.parametrize("what", [("--for", "dir:root"), ("demo==1.0",)], ids=["target", "project"])
def test_a_snapshot_keeps_what_a_later_pull_does_not_see(
    past: Past, what: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    past.installed(first)
    past.listed([first], [pypi])
    _pull(past, "--no-cache", *what)
    before = _offline(past)
    past.listed([second])
    _pull(past, "--no-cache", *what)
    after = _offline(past)
    assert (before["match"]["seen"], after["match"]["seen"]["listed"]) == (None, False)
    assert (after["origin"], after["integrity"], after["match"]["evidence"]) == ("chainguard", "intact", "not-upstream")
    capsys.readouterr()
    assert main(["index", "show", "a.cgindex", "-o", "json"]) == 0
    assert [one["earlier"] for one in json.loads(capsys.readouterr().out)["indexes"]] == [1, 0]
    past.listed([], [])
    _pull(past, "--no-cache", *what)
    assert _offline(past)["origin"] == "chainguard"


def test_a_snapshot_takes_over_what_the_cache_remembers(past: Past) -> None:
    first, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    past.installed(first)
    past.listed([first], [pypi])
    past.scan()
    past.listed([second])
    online = past.scan()
    _pull(past, "--cache-dir", "cache", "--for", "dir:root")
    assert _offline(past) == online


def test_a_snapshot_says_upstream_of_what_upstream_served_then(past: Past) -> None:
    planted, second, pypi = past.ours_built(1), past.ours_built(2), past.pypis()
    past.installed(planted)
    past.listed([planted], [planted])
    _pull(past, "--no-cache", "demo==1.0")
    past.listed([second], [pypi])
    _pull(past, "--no-cache", "demo==1.0")
    assert _offline(past)["origin"] == "upstream"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE seen SET last = 'now'",
        "UPDATE seen SET first = last + 1.0",
        "UPDATE seen SET content = x'00' WHERE content = (SELECT min(content) FROM seen)",
        "UPDATE seen SET filename = x'ff'",
        "UPDATE seen SET tier = 'top'",
        'UPDATE seen SET hashes = \'{"md5": "00"}\'',
    ],
)
def test_a_history_that_was_tampered_with_is_damage(past: Past, statement: str) -> None:
    first, second = past.ours_built(1), past.ours_built(2)
    past.installed(first)
    past.listed([first], [past.pypis()])
    _pull(past, "--no-cache", "demo==1.0")
    past.listed([second])
    _pull(past, "--no-cache", "demo==1.0")
    with closing(connect("a.cgindex")) as file, file:
        file.execute(statement)
    assert main(["scan", "dir:root", "--index", "a.cgindex", "--offline", "-q", "--no-cache"]) == 2


# -- what is stored --------------------------------------------------------------------------------


def listed(digest: str, name: str = NAME) -> IndexFile:
    url = f"https://h/{name}"
    return IndexFile(filename=name, url=f"{url}?token=hunter2", shown_url=url, hashes={"sha256": digest * 64})


def held(digest: str, *, upstream: bool = False, not_upstream: bool = False, name: str = NAME) -> Held:
    return Held(file=listed(digest, name), upstream=upstream, not_upstream=not_upstream)


def history(store: DiskStore | NoStore, *, role: Role = Role.CHAINGUARD, built_only: bool = False) -> History:
    return History(store, index="https://h/", role=role, user="", built_only=built_only)


DEMO = canonicalize_name("demo")


def test_times_are_the_first_and_the_last(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    for at in (5000.0, 1000.0, 9000.0):
        history(store).remember(DEMO, [listed("a")], at, [held("a")])
    history(store).remember(DEMO, [listed("b")], 20_000.0, [held("b")])
    [one] = history(store).earlier(DEMO, [listed("b")])
    assert (one.first, one.last, one.file.shown_url) == (1000.0, 9000.0, f"https://h/{NAME}")
    assert history(store).earlier(DEMO, [listed("a"), listed("b")]) == ()
    assert history(store).earlier(DEMO, [listed("a", "renamed.whl"), listed("b")]) == ()
    assert [one.file.hashes["sha256"][0] for one in history(store).earlier(DEMO, [])] == ["b", "a"]
    assert history(store, role=Role.UPSTREAM).earlier(DEMO, []) == ()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"hunter2" in file.read_bytes()]


def test_what_is_listed_and_not_looked_at_is_still_seen(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    history(store).remember(DEMO, [listed("a"), listed("b", "other.whl")], 1000.0, [held("a")])
    history(store).remember(DEMO, [listed("a"), listed("b", "other.whl")], 9000.0, [held("b", name="other.whl")])
    assert {one.last for one in history(store).earlier(DEMO, [])} == {9000.0}


def test_what_held_once(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    history(store, built_only=True).remember(DEMO, [], 1000.0, [held("a", not_upstream=True)])
    history(store, built_only=False).remember(DEMO, [], 2000.0, [held("a", upstream=True)])
    history(store, built_only=True).remember(DEMO, [], 3000.0, [held("a")])
    [one] = history(store).earlier(DEMO, [])
    assert (one.upstream, one.not_upstream, one.built_only) == (True, True, False)


def test_it_is_bounded(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    for number in range(400):
        name = f"demo-{number}-py3-none-any.whl"
        history(store).remember(DEMO, [], 1000.0 + number, [held("a", name=name)])
    found = history(store).earlier(DEMO, [])
    assert len(found) == 300
    assert min(one.last for one in found) == 1100.0


def test_without_a_store(tmp_path: Path) -> None:
    one = history(NoStore())
    one.remember(DEMO, [], 1000.0, [held("a")])
    assert one.earlier(DEMO, []) == ()


def test_what_is_no_history(tmp_path: Path) -> None:
    class Given(NoStore):
        def __init__(self, data: bytes) -> None:
            self.data = data

        def get(self, kind: str, key: str) -> bytes:
            return self.data

    rows: list[object] = [
        [],
        [1],
        [["n"] * 9],
        [["n", "u", {"sha256": "a" * 64}, 1, None, 0, None, [2.0, 1.0], [0] * 3]],
    ]
    for data in (b"", b"x", *(zstd.compress(msgpack.packb(row)) for row in rows)):
        assert History(Given(data), index="", role=Role.UPSTREAM, user="", built_only=False).earlier(DEMO, []) == ()
    good = ["n", "u", {"sha256": "a" * 64}, 1, None, 0, None, [1.0, 2.0], [7, 7, 7]]
    store = Given(zstd.compress(msgpack.packb([good])))
    [one] = History(store, index="", role=Role.UPSTREAM, user="", built_only=False).earlier(DEMO, [])
    assert (one.upstream, one.not_upstream, one.built_only) == (True, False, False)


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.test_history import DEMO, held, history
from scanner.store import DiskStore
for number in range(25):
    name = f"demo-{sys.argv[3]}.{number}-py3-none-any.whl"
    history(DiskStore(Path(sys.argv[2]))).remember(DEMO, [], 1000.0 + number, [held("a", name=name)])
"""


def test_several_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    root = str(Path(__file__).parent.parent)
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, root, str(tmp_path), str(number)]) for number in range(4)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 4
    assert len(history(DiskStore(tmp_path)).earlier(DEMO, [])) == 100


def test_threads_lose_nothing_of_each_other(tmp_path: Path) -> None:
    one = history(DiskStore(tmp_path))

    def write(number: int) -> None:
        one.remember(DEMO, [], 1000.0, [held("a", name=f"demo-{number}-py3-none-any.whl")])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history(DiskStore(tmp_path)).earlier(DEMO, [])) == 16
    assert len(one.earlier(DEMO, [])) == 16


def test_who_holds_the_lock_for_too_long_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.store._PATIENCE", 0.05)
    store = DiskStore(tmp_path)
    with store._locked("seen"):
        history(store).remember(DEMO, [], 1000.0, [held("a")])
        history(DiskStore(tmp_path)).remember(DEMO, [], 1000.0, [held("b")])
    assert history(DiskStore(tmp_path)).earlier(DEMO, []) == ()
    history(DiskStore(tmp_path)).remember(DEMO, [], 1000.0, [held("a")])
    assert len(history(DiskStore(tmp_path)).earlier(DEMO, [])) == 1


def test_a_page_that_may_not_be_stored_leaves_no_history(past: Past) -> None:
    first, second = past.ours_built(1), past.ours_built(2)
    past.listed([], [past.pypis()])
    past.installed(first)
    with _folder(past.folder / "served") as (tree, put):
        put([first])
        extra = "add_header Cache-Control no-store;"
        with nginx(past.folder / "nginx", Path(tree), extra=extra) as url:
            assert past.scan(ours=f"{url}/")["origin"] == "chainguard"
            put([second])
            assert past.scan(ours=f"{url}/")["match"] is None
