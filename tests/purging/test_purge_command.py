"""``cgscan purge`` on caches of this machine, as a process: from a plan and directly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.wheels import make_wheel
from scanner.digest import Digest
from scanner.formats.purged import render
from scanner.formats.text import Look
from scanner.planfile import document
from scanner.purge import Ended, Left, Purge, Result, Selection
from scanner.purging import usual_stores
from scanner.stale import Stale
from tests.plans import a_local_copy, a_plan, a_proxy_copy
from tests.reports import HOSTILE
from tests.trees import snapshot

ROOT = Path(__file__).parents[2]
MANY = 12


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """``ours`` and ``pypi`` with wheels of the same names, and a cache of pip's that holds PyPI's and one more."""
    for number in range(MANY):
        name = f"many-{number}"
        code = {f"many_{number}/__init__.py": b"x = 1\n" * 50}
        make_wheel(tmp_path / "ours", name, "1.0", code, sbom=True, generator="ours 2")
        _keep(tmp_path, make_wheel(tmp_path / "pypi", name, "1.0", code), number)
    _keep(tmp_path, make_wheel(tmp_path / "pypi", "alone", "3", {"alone.py": b"y = 1\n"}), MANY)
    return tmp_path


def _keep(folder: Path, wheel: Path, number: int) -> None:
    digits = f"{number:056x}"
    place = folder / "cache/http-v2" / "/".join(digits[:5]) / f"{digits}.body"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(wheel.read_bytes())
    place.with_suffix("").write_bytes(b"cc=4,head")


def start(scene: Path, *words: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CGSCAN_", "XDG_"))}
    home = {"HOME": str(scene / "home"), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "scanner", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=scene,
        env={**kept, **home, **(environment or {})},
    )


def run(scene: Path, *words: str | Path, status: int = 0, **more: Any) -> tuple[str, str]:
    process = start(scene, *words, **more)
    out, error = process.communicate(timeout=120)
    assert process.returncode == status, out + error
    assert "Traceback" not in error
    return out, error


INDEXES = ("--index", "ours", "--upstream", "pypi")
YES = ("--yes", "--rate", "1000")
"""Where the pauses between deletions are not what is tested."""


def plan_of(scene: Path) -> Path:
    run(scene, "plan", f"dir:{scene / 'cache'}", *INDEXES, "-o", "json=plan.json")
    return scene / "plan.json"


def bodies(scene: Path) -> int:
    return len(list((scene / "cache").rglob("*.body")))


def test_shown_and_deleted_directly(scene: Path) -> None:
    before = snapshot(scene / "cache")
    shown, error = run(scene, "purge", "cache", *INDEXES)
    assert f"Would delete {MANY} copies" in shown
    assert "Nothing was deleted: --yes deletes what stands above." in shown
    assert "1: nothing of Chainguard's replaces it (--all deletes it all the same): alone 3" in " ".join(shown.split())
    assert error == ""
    assert snapshot(scene / "cache") == before
    assert not (scene / "home/.cache/cgscan/purges").exists()
    deleted, _ = run(scene, "purge", "cache", *INDEXES, *YES)
    assert f"{MANY} of {MANY} went ({MANY} gone)" in deleted
    assert [bodies(scene), len(snapshot(scene / "cache"))] == [1, len(before) - 2 * MANY]
    assert "0 of 0 went (nothing to do)" in run(scene, "purge", "cache", *INDEXES, "--yes")[0]


def test_from_a_plan_with_its_journal(scene: Path) -> None:
    plan = plan_of(scene)
    before = snapshot(scene)
    run(scene, "purge", plan)
    assert snapshot(scene) == before, "a plan is shown without writing anything at all"
    out, _ = run(scene, "purge", plan, "--yes", "-o", "json", "--journal", "journal.jsonl", "--limit", "5")
    told = json.loads(out)
    assert (told["schema"], told["deleted"], told["all_went"]) == ("cgscan-purge/1", True, True)
    assert [copy["ended"] for copy in told["copies"]] == ["gone"] * 5
    assert len(told["left"]) == MANY + 1 - 5
    assert bodies(scene) == MANY + 1 - 5
    lines = [json.loads(line) for line in (scene / "journal.jsonl").read_text().splitlines()]
    assert [line.get("gone") for line in lines] == [None, *[True] * 5, None]
    out, _ = run(scene, "purge", plan, *YES, "--journal", "journal.jsonl")
    assert f"{MANY} of {MANY} went ({MANY - 5} gone, 5 already gone)" in out


def test_bytes_that_are_others_by_now(scene: Path) -> None:
    plan = plan_of(scene)
    changed = next((scene / "cache").rglob("*.body"))
    changed.write_bytes(b"newer")
    out, error = run(scene, "purge", plan, *YES, "--all", status=1)
    assert f"{MANY} of {MANY + 1} went ({MANY} gone, 1 changed)" in out
    assert "other bytes are there than the plan means" in " ".join(out.split())
    assert error.count("\n") == 1
    assert changed.read_bytes() == b"newer"
    out, _ = run(scene, "purge", plan, *YES, "--all", status=1)
    assert f"{MANY} gone before, 1 changed" in out


def test_killed_at_any_moment_and_run_again(scene: Path) -> None:
    plan = plan_of(scene)
    for stop in (1, 4, 9):
        killed = start(scene, "purge", plan, *YES)
        while killed.poll() is None and bodies(scene) > MANY + 1 - stop:
            os.sched_yield()
        killed.kill()
        killed.communicate()
    run(scene, "purge", plan, *YES)
    assert {path for path, what in snapshot(scene / "cache").items() if what[0] == "file"} == {
        str(path.relative_to(scene / "cache")) for path in (scene / "cache").rglob(f"{MANY:056x}*")
    }


def test_interrupted(scene: Path) -> None:
    plan = plan_of(scene)
    process = start(scene, "purge", plan, "--yes", "--rate", "1", "--journal", "journal.jsonl")
    while process.poll() is None and bodies(scene) > MANY:
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in error
    assert 1 < bodies(scene) <= MANY
    run(scene, "purge", plan, *YES, "--journal", "journal.jsonl")
    assert bodies(scene) == 1


def test_the_usual_caches(scene: Path) -> None:
    (scene / "home/.cache").mkdir(parents=True)
    (scene / "cache").rename(scene / "home/.cache/pip")
    out, _ = run(scene, "purge", "--local", *INDEXES)
    assert f"Would delete {MANY} copies" in out
    out, _ = run(scene, "purge", "--local", *INDEXES, environment={"PIP_CACHE_DIR": str(scene / "ours")}, status=0)
    assert "Would delete 0 copies" in out


def test_where_the_usual_caches_are(tmp_path: Path) -> None:
    for name in ("own/pip", ".cache/uv", ".cache/pdm", "xdg/pypoetry", "Library/Caches/pip", "Library/Caches/pypoetry"):
        (tmp_path / name).mkdir(parents=True)
    home = {"HOME": str(tmp_path)}
    assert usual_stores(home, "linux") == (tmp_path / ".cache/uv", tmp_path / ".cache/pdm")
    own = {**home, "PIP_CACHE_DIR": str(tmp_path / "own/pip"), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert usual_stores(own, "linux") == (tmp_path / "own/pip", tmp_path / "xdg/pypoetry")
    names = {path.relative_to(tmp_path).as_posix() for path in usual_stores(home, "darwin")}
    assert names == {"Library/Caches/pip", ".cache/uv", "Library/Caches/pypoetry"}
    assert usual_stores({"HOME": "relative", "UV_CACHE_DIR": "."}, "linux") == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to purge is named"),
        (("--local",), "no cache of pip, uv, Poetry or PDM was found"),
        (("no-such.json",), "no-such.json"),
        (("pypi", "plan.json", "other.json"), "one plan at a time"),
        (("broken.json",), "broken.json"),
        (("report.json",), "no plan of cgscan's"),
        (("climbing.json",), "purge_locally[0].path"),
        (("plan.json", "--yes", "--no-cache"), "no cache folder to keep the journal in"),
        (("plan.json", "--yes", "--journal", "ours"), "no journal can be kept there"),
        (("plan.json", "--yes", "--journal", "report.json"), "no journal of cgscan purge"),
        (("plan.json", "--versions", "~", "--unused", "x"), "--unused"),
        (("plan.json", "--rate", "0"), "--rate"),
        (("plan.json", "-o", "yaml"), "yaml"),
        (("plan.json", "-o", "json=no/such/folder.json"), "there is no such folder"),
        (("manager.json", "--yes"), "there is no index pypi"),
        (("--manager", "nobody", "--index", "ours"), "there is no index nobody"),
        (("--manager", "ours", "--index", "ours"), "behind the index ours is no repository manager"),
        (("cache",), "no index of Chainguard's is given"),
    ],
)
def test_what_does_not_run(scene: Path, words: tuple[str, ...], said: str) -> None:
    copy = a_local_copy(root=str(scene / "cache"), path=str(next((scene / "cache").rglob("*.body"))))
    climbing = replace(copy, path=f"{copy.root}/../pypi")
    plans = {"plan": a_plan(purge_locally=(copy,)), "climbing": a_plan(purge_locally=(climbing,))}
    plans["manager"] = a_plan(purge_in_manager=(a_proxy_copy(),))
    for name, plan in plans.items():
        (scene / f"{name}.json").write_text(json.dumps(document(plan)))
    (scene / "broken.json").write_text('{"schema": "cgscan-plan/1", ')
    (scene / "report.json").write_text("{}")
    (scene / "other.json").write_text("{}")
    before = snapshot(scene)
    out, error = run(scene, "purge", *words, status=2)
    assert out == ""
    assert said in error
    assert {path: what for path, what in snapshot(scene).items() if not path.startswith("home")} == before


def test_a_plan_of_somebody_else_deletes_nothing_but_entries(scene: Path) -> None:
    """It names files that are no entry of any cache, as entries, with their true sha256."""
    secret = scene / "home/.ssh/id_rsa"
    secret.parent.mkdir(parents=True)
    secret.write_text("precious")
    digest = Digest.of(b"precious")
    copies = tuple(
        a_local_copy(name, tool=tool, root=str(root), path=str(secret), sha256=digest)
        for name, tool, root in (
            ("one", "pip", scene),
            ("two", "uv", scene / "home"),
            ("three", "poetry", secret.parent),
            ("four", "pdm", secret.parent.parent),
        )
    )
    (scene / "plan.json").write_text(json.dumps(document(a_plan(purge_locally=copies))))
    out, _ = run(scene, "purge", "plan.json", "--yes", status=1)
    assert "0 of 4 went (4 failed)" in out
    assert secret.read_text() == "precious"


def test_hostile_names_are_written_out() -> None:
    local = a_local_copy(version=HOSTILE, root=f"/{HOSTILE}", path=f"/{HOSTILE}/x")
    copies: list[Stale] = [local, a_proxy_copy(manager=HOSTILE)]
    results = tuple(Result(copy=copy, ended=Ended.FAILED, why=HOSTILE, hint=HOSTILE) for copy in copies)
    left = (Left(copy=copies[0], why=HOSTILE),)
    for told in (None, results):
        purge = Purge(selection=Selection(going=tuple(copies), left=left), results=told, journal=f"/{HOSTILE}")
        text = render(purge, "table", Look())
        assert all(line.isprintable() for line in text.splitlines())
        value = json.loads(render(purge, "json", Look()))
        assert [copy["where"] for copy in value["copies"]] == ["local", "manager"]
        assert [copy["ended"] for copy in value["copies"]] == ([None] * 2 if told is None else ["failed"] * 2)
