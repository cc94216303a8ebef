"""``cgscan plan`` as a process sees it: what goes where, exit statuses, errors in one line."""

from __future__ import annotations

import enum
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.demo import Demo
from fixtures.signing import Signing, Sigstore
from scanner.cli import main
from scanner.formats import render
from scanner.plan import Lack
from scanner.planfile import read_plan
from scanner.proof import Why
from tests.managers import sha256
from tests.reports import HOSTILE, a_line, a_report, everything
from tests.repository_managers.fake_artifactory import CHAINGUARD, PYPI, FakeArtifactory
from tests.repository_managers.vendors import SECRET, make_scene
from tests.scenes import Scene, builds


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def where(demo: Demo) -> list[str]:
    return ["--index", str(demo.chainguard), "--upstream", str(demo.pypi), "--no-cache", "-q"]


def planned(*arguments: str) -> dict[str, Any]:
    assert main(["plan", *arguments, "-o", "json=plan.json"]) == 0
    found: dict[str, Any] = json.loads(Path("plan.json").read_text("utf-8"))
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["plan", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cgscan: error: ")
    assert len(err.splitlines()) <= 2, err
    return err


def essence(plan: dict[str, Any]) -> dict[str, Any]:
    targets = [{**target, "scanned_at": ""} for target in plan["targets"]]
    return {**plan, "made_at": "", "targets": targets}


def test_a_target_and_its_report_give_the_same_plan(demo_parts: Demo) -> None:
    image = f"oci-dir:{demo_parts.image}"
    assert main(["scan", image, *where(demo_parts), "-o", "json=report.json"]) == 0
    plan = planned(image, *where(demo_parts))
    assert essence(planned("report.json", *where(demo_parts))) == essence(plan)
    assert [(step["layer"], [item["name"] for item in step["items"]]) for step in plan["rebuild"]] == [
        (1, ["idna"]),
        (2, ["click"]),
    ]
    assert {item["name"]: item["offer"]["lack"] for item in plan["wait"]} == {
        "blinker": "changed",
        "certifi": "not-built",
    }
    assert plan["coverage"] == {"applicable": 6, "verified": 2, "promised": 2, "now": 33.33, "then": 66.67}
    [click] = plan["rebuild"][1]["items"]
    assert click["offer"]["same_version"]["index"] == str(demo_parts.chainguard)
    wheel = next(demo_parts.chainguard.glob("click/*.whl"))
    assert click["offer"]["same_version"]["sha256"] == f"sha256:{sha256(wheel.read_bytes())}"


def test_a_report_alone_is_enough_without_an_index(demo_parts: Demo) -> None:
    assert main(["scan", f"oci-dir:{demo_parts.image}", *where(demo_parts), "-o", "json=report.json"]) == 0
    plan = planned("report.json", "-q", "--no-cache")
    assert (plan["coverage"]["promised"], plan["coverage"]["then"]) == (2, 66.67)
    assert {item["name"]: item["offer"]["lack"] for item in plan["wait"]} == {
        "blinker": "changed",
        "certifi": "not-asked",
    }


def test_layers_of_a_base_image_are_told(demo_parts: Demo) -> None:
    image = f"oci-dir:{demo_parts.image}"
    plan = planned(image, "--base", image, *where(demo_parts))
    assert [step["whose"] for step in plan["rebuild"]] == ["base", "base"]
    assert [step["whose"] for step in planned(image, *where(demo_parts))["rebuild"]] == ["unknown", "unknown"]


def test_what_a_manager_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = make_scene(tmp_path / "scene")
    with FakeArtifactory(built=scene.served, upstream=scene.upstream).running() as fake:
        fake.fetch_all()
        indexes = ["--index", fake.location(CHAINGUARD), "--upstream", fake.location(PYPI), "--no-cache", "-q"]
        plan = planned("--manager", fake.location(PYPI), *indexes)
        assert main(["plan", "--manager", fake.location(PYPI), *indexes]) == 0
    [manager] = plan["managers"]
    assert (manager["copies"], manager["replaced"], manager["repository"]) == (3, 2, PYPI)
    assert (plan["targets"], plan["coverage"]["now"]) == ([], None)
    assert [index["role"] for index in plan["indexes"]] == ["chainguard", "upstream"]
    read_plan(Path("plan.json"))
    text = capsys.readouterr().out
    assert "built_one-1.0-py3-none-any.whl" in text
    assert SECRET not in text + json.dumps(plan)


def test_what_makes_no_sense_is_said_before_anything_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing to plan for is named" in refused(capsys)
    assert "no index of Chainguard's is given" in refused(capsys, "dir:.")
    assert "there is no index pypi" in refused(capsys, "--manager", "pypi")
    assert "no repository manager" in refused(capsys, "--manager", ".", "--index", ".")
    assert "--plan says something of --verify" in refused(capsys, "dir:.", "--plan", "x")
    assert "what the new build is called is missing" in refused(capsys, "--verify", "x.json")
    assert "there is no format" in refused(capsys, "dir:.", "-o", "html")
    assert "no such folder" in refused(capsys, "dir:.", "--index", ".", "-o", "json=nowhere/plan.json")


def test_reports_of_strangers(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = Path("hostile.json")
    hostile.write_text("{" * 100_000)
    assert "no JSON" in refused(capsys, "hostile.json")
    hostile.write_text(render([everything()], "json"), "utf-8")
    assert main(["plan", "hostile.json", "--no-cache", "-q"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    value = json.loads(hostile.read_text("utf-8"))
    value["distributions"][0]["origin"] = HOSTILE
    hostile.write_text(json.dumps(value))
    assert "distributions[0].origin" in refused(capsys, "hostile.json")


def test_the_proof_s_exit_status(demo_parts: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", f"oci-dir:{demo_parts.image}", *where(demo_parts), "-o", "json=report.json"]) == 0
    assert main(["plan", "--verify", "report.json", "report.json", "--no-cache", "-q"]) == 1
    assert "Not all that was promised has moved." in capsys.readouterr().out
    Path("done.json").write_text(render([a_report(a_line("certifi"))], "json"), "utf-8")
    assert main(["plan", "--verify", "done.json", "done.json", "--no-cache", "-q"]) == 0, "nothing was promised"
    assert "has no" not in capsys.readouterr().err
    Path("two.json").write_text(render([a_report(a_line()), a_report(a_line())], "json"), "utf-8")
    assert "two.json has 2 targets, and the new build is 1 target" in refused(
        capsys, "--verify", "two.json", "done.json"
    )
    planned("report.json", *where(demo_parts))
    assert "plan.json: is no plan for" in refused(capsys, "--verify", "done.json", "--plan", "plan.json", "done.json")
    Path("report.lock").symlink_to("nowhere")
    assert "cannot be read" in refused(capsys, "--verify", "done.json", "done.json", "--lock", "report.lock")


def test_what_must_be_attested_is_promised_if_it_is(tmp_path: Path) -> None:
    """The plan's promise and the scan's verdict stand on the same rung."""
    sigstore = Sigstore()
    ours, theirs = builds(tmp_path, {"demo/__init__.py": b"VERSION = '1.0'\n"})
    scene = Scene(tmp_path)
    scene.install(theirs)
    folders = ["--index", str(ours.parent), "--upstream", str(theirs.parent), "--no-cache", "-q"]
    terms = [*folders, "--min-evidence", "attested", "--trust-root", str(sigstore.write_trust_root(tmp_path / "trust"))]
    plan = planned("dir:root", *terms)
    assert [(item["name"], item["offer"]["lack"]) for item in plan["wait"]] == [("demo", "unproved")]
    assert plan["coverage"]["promised"] == 0
    statement = sigstore.provenance(sha256(ours.read_bytes()), ours.name, Signing())
    ours.with_name(f"{ours.name}.provenance").write_text(json.dumps(statement))
    plan = planned("dir:root", *terms)
    [step] = plan["rebuild"]
    assert (step["layer"], step["items"][0]["offer"]["evidence"]) == (None, "attested")
    assert (plan["coverage"]["now"], plan["coverage"]["then"]) == (0.0, 100.0)


def test_the_time_for_indexes_is_limited(demo_parts: Demo) -> None:
    assert main(["scan", f"oci-dir:{demo_parts.image}", *where(demo_parts), "-o", "json=report.json"]) == 0
    plan = planned("report.json", *where(demo_parts), "--limit", "index_seconds=0.000001")
    assert {item["name"]: item["offer"]["why"] for item in plan["wait"] if item["name"] != "blinker"} == {
        "certifi": "the limit index_seconds is used up"
    }
    assert plan["coverage"]["promised"] == 2, "the report itself names these"


@pytest.mark.parametrize("words", [Lack, Why])
def test_the_documentation_has_every_word(words: type[enum.Enum]) -> None:
    text = (Path(__file__).parent.parent / "docs" / "plan.md").read_text("utf-8")
    assert [word.value for word in words if f"`{word.value}`" not in text] == []
