"""Purges of all four managers: what is shown changes nothing, what goes, what stays, and what a second run does."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.wheels import make_wheel
from scanner.errors import UsageError
from scanner.purge import Ended, Purge, Wanted
from scanner.stale import ProxyCopy
from tests.repository_managers.purged import VENDORS, Running, hosted, running
from tests.repository_managers.vendors import SECRET, Scene, make_scene

REPLACED = {"built_one-1.0-py3-none-any.whl", "built_two-2.1-py3-none-any.whl"}


@pytest.fixture(params=VENDORS)
def one(
    request: pytest.FixtureRequest, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    """Each of them in turn."""
    with running(request.param, scene, tmp_path, monkeypatch) as started:
        yield started


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def ended(done: Purge) -> dict[str, Ended]:
    assert done.results is not None
    return {result.copy.entry.filename: result.ended for result in done.results if isinstance(result.copy, ProxyCopy)}


def test_what_is_only_shown_changes_nothing(one: Running, journal: Path, tmp_path: Path) -> None:
    before = one.state()
    plan = one.plan(tmp_path)
    asked = len(one.requests())
    for more in ({}, {"plan": plan}, {"wanted": Wanted(everything=True)}):
        done = one.purge(journal, **more)
        assert done.results is None
        assert len(done.selection.going) == (3 if "wanted" in more else 2)
    assert len(one.requests()) > asked
    assert one.methods() == {"GET"}
    assert one.state() == before
    assert not journal.exists()


def test_a_plan_that_is_only_shown_asks_nobody(one: Running, journal: Path, tmp_path: Path) -> None:
    plan = one.plan(tmp_path)
    asked = len(one.requests())
    one.purge(journal, plan=plan)
    assert len(one.requests()) == asked


def test_what_has_a_replacement_goes(one: Running, journal: Path) -> None:
    rest = one.held() - REPLACED
    assert len(rest) == 1
    done = one.purge(journal, yes=True)
    assert ended(done) == dict.fromkeys(REPLACED, Ended.GONE)
    assert one.held() == rest
    assert one.purge(journal, yes=True).results == ()
    done = one.purge(journal, yes=True, wanted=Wanted(everything=True))
    assert ended(done) == dict.fromkeys(rest, Ended.GONE)
    assert one.held() == set()
    assert one.methods() == {"GET", "DELETE"}


def test_a_plan_whose_entries_went_meanwhile(one: Running, journal: Path, tmp_path: Path) -> None:
    plan = one.plan(tmp_path)
    one.purge(tmp_path / "other.jsonl", yes=True)
    done = one.purge(journal, yes=True, plan=plan)
    assert ended(done) == dict.fromkeys(REPLACED, Ended.ALREADY_GONE)
    assert done.all_went


def test_without_the_right_for_one_of_them(one: Running, journal: Path, tmp_path: Path) -> None:
    plan = one.plan(tmp_path)
    first, second = sorted(REPLACED)
    one.forbid(first)
    done = one.purge(journal, yes=True, plan=plan)
    assert ended(done) == {first: Ended.FAILED, second: Ended.GONE}
    assert not done.all_went
    assert done.results is not None
    [failed] = [result for result in done.results if result.ended is Ended.FAILED]
    assert "403" in (failed.why or "")
    assert SECRET not in str(failed)
    again = one.purge(journal, yes=True, plan=plan)
    assert ended(again) == {first: Ended.FAILED, second: Ended.BEFORE}


def test_bytes_that_changed_since(one: Running, journal: Path, tmp_path: Path) -> None:
    plan = one.plan(tmp_path)
    first, second = sorted(REPLACED)
    one.change(first)
    done = one.purge(journal, yes=True, plan=plan)
    assert ended(done) == {first: Ended.CHANGED, second: Ended.GONE}
    assert first in one.held()


@pytest.mark.parametrize("one", [kind for kind in VENDORS if kind != "cloudsmith"], indirect=True)
def test_a_repository_that_people_upload_to_is_refused(one: Running, journal: Path, tmp_path: Path) -> None:
    """At Cloudsmith uploads lie in the same repository: see test_cloudsmith.py."""
    copies = [hosted(copy, one.kind) for copy in one.copies()]
    before = one.state()
    done = one.purge(journal, yes=True, plan=one.plan(tmp_path, *copies), wanted=Wanted(everything=True))
    assert set(ended(done).values()) <= {Ended.FAILED, Ended.CHANGED, Ended.ALREADY_GONE}
    assert Ended.FAILED in ended(done).values()
    assert one.state() == before
    assert "DELETE" not in one.methods()


def test_a_server_that_is_busy(one: Running, journal: Path, tmp_path: Path) -> None:
    plan = one.plan(tmp_path)
    one.busy(2)
    assert ended(one.purge(journal, yes=True, plan=plan)) == dict.fromkeys(REPLACED, Ended.GONE)


def test_filters(one: Running, journal: Path) -> None:
    done = one.purge(journal, yes=True, wanted=Wanted(projects=("*two",)))
    assert set(ended(done)) == {"built_two-2.1-py3-none-any.whl"}
    done = one.purge(journal, yes=True, wanted=Wanted(everything=True, most=1))
    assert len(ended(done)) == 1
    assert len(one.held()) == 1


def test_the_manager_of_a_plan_must_be_configured(one: Running, journal: Path, tmp_path: Path) -> None:
    copies = [replace(copy, manager="another") for copy in one.copies()]
    before = one.state()
    with pytest.raises(UsageError, match="no index another"):
        one.purge(journal, yes=True, plan=one.plan(tmp_path, *copies))
    assert one.state() == before
    assert not journal.exists()


# -- as processes


Command = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def command(one: Running, tmp_path: Path) -> Command:
    """``cgscan purge`` on a plan of all that is held."""
    return starting(one, tmp_path)


def starting(one: Running, folder: Path) -> Command:
    plan, config = one.plan(folder), folder / "cgscan.yaml"
    rows = [f"  - {{name: {name}, role: {role}, path: {path}}}" for name, role, path in _folders(one.scene)]
    secrets = "username_env: USER_OF_TEST, password_env: SECRET_OF_TEST"
    rows.append(f"  - {{name: proxy, role: upstream, kind: {one.kind}, url: '{_bare(one.location)}', {secrets}}}")
    config.write_text("\n".join(["indexes:", *rows, ""]))

    def started(*more: str) -> subprocess.Popen[str]:
        ca = ["--ca-file", str(one.certificate)] if one.certificate else []
        words = ["purge", str(plan), "--config", str(config), "--cache-dir", str(folder / "cache"), *ca, *more]
        return subprocess.Popen(
            [sys.executable, "-m", "scanner", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "USER_OF_TEST": _user(one.location), "SECRET_OF_TEST": SECRET},
        )

    return started


def _folders(scene: Scene) -> Iterator[tuple[str, str, Path]]:
    yield "ours", "chainguard", scene.built_folder
    yield "pypi", "upstream", scene.upstream_folder


def _bare(location: str) -> str:
    scheme, _, rest = location.partition("://")
    return f"{scheme}://{rest.partition('@')[2]}"


def _user(location: str) -> str:
    return location.partition("://")[2].partition(":")[0]


def said(process: subprocess.Popen[str], status: int) -> str:
    out, error = process.communicate(timeout=120)
    assert process.returncode == status, out + error
    assert "Traceback" not in error
    assert SECRET not in out + error
    return out


def test_the_command(one: Running, command: Command) -> None:
    before = one.state()
    shown = said(command(), 0)
    assert "Would delete 2 copies" in shown
    assert "Nothing was deleted" in shown
    assert one.state() == before
    first, second = sorted(REPLACED)
    one.forbid(first)
    told = json.loads(said(command("--yes", "-o", "json"), 1))
    assert {copy["entry"]["filename"]: copy["ended"] for copy in told["copies"]} == {first: "failed", second: "gone"}
    assert (told["deleted"], told["all_went"]) == (True, False)
    assert [copy["why"].partition(" (")[0] for copy in told["left"]] == ["nothing of Chainguard's replaces it"]
    again = said(command("--yes"), 1)
    assert "1 of 2 went (1 gone before, 1 failed)" in again
    assert "goes on from" in again


def test_killed_and_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At random moments, several times; the end is that of one run, and nothing is asked for twice but what was cut."""
    with running("nexus", _many(tmp_path), tmp_path, monkeypatch) as one:
        start, chance, kills = starting(one, tmp_path), random.Random(), 4
        for _ in range(kills):
            killed = start("--yes", "--rate", "1000")
            enough = len(_deletions(one)) + chance.randrange(1, 6)
            while killed.poll() is None and len(_deletions(one)) < enough:
                os.sched_yield()
            killed.kill()
            killed.communicate()
        left = len(one.held())
        assert 0 < left < _MANY
        told = json.loads(said(start("--yes", "--rate", "1000", "-o", "json"), 0))
        assert one.held() == {"copied-0.4-py3-none-any.whl"}
        endings = [copy["ended"] for copy in told["copies"]]
        assert set(endings) <= {"gone", "already gone", "gone before"}
        assert endings.count("gone") + 1 in (left, left - 1)
        assert endings.count("already gone") <= 1
        deletions = _deletions(one)
        assert len(deletions) - len(set(deletions)) <= kills


_MANY = 41


def _deletions(one: Running) -> list[str]:
    return [seen.path for seen in list(one.requests()) if seen.method == "DELETE"]


def _many(folder: Path) -> Scene:
    scene = make_scene(folder / "scene")
    for name in [f"many-{number}" for number in range(_MANY - 1)]:
        code = {f"{name.replace('-', '_')}/__init__.py": name.encode()}
        make_wheel(scene.built_folder, name, "1.0", code, sbom=True, generator="ours 2")
        make_wheel(scene.upstream_folder, name, "1.0", code)
    theirs = [wheel for wheel in scene.upstream_folder.glob("*.whl") if wheel.name.startswith(("many", "copied"))]
    return replace(scene, upstream=tuple(sorted(theirs)))


# -- Google's versions


def test_a_version_of_several_files_goes_when_all_are_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Path
) -> None:
    scene = make_scene(tmp_path / "scene")
    name, code, tag = "built-one", {"built_one.py": b""}, "cp312-cp312-linux_x86_64"
    make_wheel(scene.built_folder, name, "1.0", code, tag=tag, sbom=True, generator="ours 2")
    second = make_wheel(scene.upstream_folder, name, "1.0", code, tag=tag)
    with running("google", replace(scene, upstream=(*scene.upstream, second)), tmp_path, monkeypatch) as one:
        # one of the two alone would take the other with it
        done = one.purge(journal, yes=True, wanted=Wanted(projects=(name,), most=1))
        assert set(ended(done).values()) == {Ended.FAILED}
        assert one.held() >= {second.name, scene.upstream[0].name}
        done = one.purge(journal, yes=True, wanted=Wanted(projects=(name,)))
        assert ended(done) == dict.fromkeys([second.name, scene.upstream[0].name], Ended.GONE)
        assert len(_deletions(one)) == 1
