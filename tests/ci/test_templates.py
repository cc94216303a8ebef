"""What other projects take from ``ci/``: checked by schemas and linters of others, run as its runners would run it."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from fixtures.demo import Demo
from fixtures.wheels import add_sbom, make_wheel

ROOT: Final = Path(__file__).parents[2]
ACTION: Final = ROOT / "action.yml"
HOOKS: Final = ROOT / ".pre-commit-hooks.yaml"
Ran = subprocess.CompletedProcess[str]
Step = Mapping[str, Any]


def run(command: list[str], place: Path, **variables: str) -> Ran:
    """In a folder, with nothing of this process's environment but where programs are; ``cgscan`` is among them."""
    programs = place / "programs"
    if not programs.exists():
        programs.mkdir()
        for name, words in (("cgscan", '-m scanner "$@"'), ("python3", '"$@"')):
            (programs / name).write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {words}\n")
            (programs / name).chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(place),
        "PYTHONPATH": str(ROOT),
        "CGSCAN_CACHE_DIR": str(place / "cache"),
        **variables,
    }
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=300)


# -- checked by others


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-actions", "action.yml"),
        ("vendor.github-workflows", "ci/github/workflow.yml"),
        ("vendor.gitlab-ci", "ci/gitlab.yml"),
    ],
)
def test_it_is_of_the_schema(schema: str, file: str, tmp_path: Path) -> None:
    def checked(path: Path) -> int:
        more = ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *more, str(path)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert checked(ROOT / file) == 0
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(re.sub(r"(?m)^(runs|jobs|cgscan):", r"\1-not:", (ROOT / file).read_text()) + "\nstages: 7\n")
    assert checked(wrong) != 0


def test_scripts_are_fine_with_shellcheck() -> None:
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert shellcheck is not None
    scripts = sorted((ROOT / "ci" / "github").glob("*.sh"))
    assert len(scripts) == 2
    done = subprocess.run([shellcheck, *scripts, ROOT / ".ci/run"], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def test_no_input_is_a_part_of_a_script() -> None:
    """``${{ … }}`` is put into the text of a script before it is run; in ``env`` it is a value."""
    steps = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []


def table_of_inputs() -> str:
    action = yaml.safe_load(ACTION.read_text())
    rows = [
        (
            f"`{name}`",
            f"{one['description'].rstrip('.')}{', needed' if one.get('required') else ''}",
            one.get("default", ""),
        )
        for name, one in action["inputs"].items()
    ]
    outputs = [(f"`{name}`", one["description"].rstrip(".")) for name, one in action["outputs"].items()]
    given = "".join(f"| {name} | {what} | {f'`{default}`' if default else ''} |\n" for name, what, default in rows)
    made = "".join(f"| {name} | {what} |\n" for name, what in outputs)
    inputs_of, outputs_of = (
        "| input | what it is | default |\n| --- | --- | --- |\n",
        "| output | what it is |\n| --- | --- |\n",
    )
    return f"{inputs_of}{given}\n{outputs_of}{made}"


def documented(mark: str, text: str) -> None:
    """Between two marks of docs/ci.md; ``CGSCAN_GOLDEN=write`` writes it."""
    page = ROOT / "docs" / "ci.md"
    before, start, rest = page.read_text().partition(f"<!-- {mark}:start -->\n")
    old, end, after = rest.partition(f"<!-- {mark}:end -->")
    assert end
    if os.environ.get("CGSCAN_GOLDEN") == "write":
        page.write_text(f"{before}{start}{text}{end}{after}")
    else:
        assert old == text


def test_the_documented_inputs_are_the_actions() -> None:
    documented("inputs", table_of_inputs())


# -- GitHub


class Runner:
    """As much of GitHub's runner as a composite action needs."""

    def __init__(self, place: Path, inputs: Mapping[str, str]) -> None:
        self.place = place
        self.action = yaml.safe_load(ACTION.read_text())
        known = self.action["inputs"]
        assert inputs.keys() <= known.keys()
        self.values = {f"inputs.{name}": inputs.get(name, one.get("default", "")) for name, one in known.items()}
        self.values["github.action_path"] = str(ROOT)
        self.values["steps.install.outputs.python"] = sys.executable
        self.outputs: dict[str, str] = {}
        self.said = ""

    def step(self, name: str) -> Ran:
        [step] = [one for one in self.action["runs"]["steps"] if one["name"] == name]
        out, summary = self.place / "output", self.place / "summary"
        out.write_text("")
        summary.write_text("")
        env = {key: re.sub(r"\$\{\{ (.*?) \}\}", self._value, text) for key, text in step["env"].items()}
        files = {"GITHUB_OUTPUT": str(out), "GITHUB_STEP_SUMMARY": str(summary), "RUNNER_TEMP": str(self.place)}
        done = run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], self.place, **files, **env)
        for line in out.read_text().splitlines():
            key, _, value = line.partition("=")
            self.values[f"steps.{step.get('id')}.outputs.{key}"] = self.outputs[key] = value
        self.said = summary.read_text()
        return done

    def _value(self, found: re.Match[str]) -> str:
        return str(self.values.get(found[1], ""))


def inputs(demo: Demo, **more: str) -> dict[str, str]:
    given = {"target": f"oci-dir:{demo.image}", "index": f"{demo.chainguard}\n", "upstream": str(demo.pypi)}
    return {**given, **{name.replace("_", "-"): value for name, value in more.items()}}


def test_a_scan_writes_everything_before_the_policy_is_asked(demo_parts: Demo, tmp_path: Path) -> None:
    runner = Runner(tmp_path, inputs(demo_parts, min_coverage="90", args="--only\nupstream"))
    done = runner.step("Scan")
    assert done.returncode == 0, done.stderr
    assert "Coverage 33.33 %" in done.stdout
    assert runner.outputs == {
        "status": "1",
        "coverage": "33.33",
        **{name: f"cgscan-report/cgscan.{end}" for name, end in REPORTS.items()},
    }
    assert all((tmp_path / runner.outputs[name]).stat().st_size for name in REPORTS)
    assert runner.said.startswith("## Failed, coverage 33.33 %")
    shown = runner.said.replace(str(demo_parts.image.parent), "build/demo").split("| Findings")[0]
    documented("summary", f"````markdown\n{shown}…\n````\n")
    assert runner.step("Does the policy hold").returncode == 1
    assert runner.action["outputs"].keys() == runner.outputs.keys()


REPORTS = {"json": "json", "sarif": "sarif", "markdown": "md", "html": "html"}


def test_a_policy_that_holds(demo_parts: Demo, tmp_path: Path) -> None:
    runner = Runner(tmp_path, inputs(demo_parts, summary="false", folder="a folder"))
    assert runner.step("Scan").returncode == 0
    assert (runner.outputs["status"], runner.said) == ("0", "")
    assert runner.outputs["json"] == "a folder/cgscan.json"
    assert runner.step("Does the policy hold").returncode == 0


@pytest.mark.parametrize("target", ["oci-dir:nowhere", "$(touch ran)", "x'; touch ran; '", "--help", "`touch ran`"])
def test_what_cannot_be_scanned_is_2_and_leaves_no_old_report(target: str, tmp_path: Path) -> None:
    old = tmp_path / "cgscan-report" / "cgscan.json"
    old.parent.mkdir()
    old.write_text("{}")
    runner = Runner(tmp_path, {"target": target, "index": str(tmp_path), "args": "--offline"})
    assert runner.step("Scan").returncode == 0
    assert runner.outputs == {"status": "2"}
    assert "did not run to the end (exit status 2)" in runner.said
    assert runner.step("Does the policy hold").returncode == 2
    assert not (tmp_path / "ran").exists()
    assert not old.exists()


def test_a_name_out_of_an_image_gives_the_runner_no_command(demo_parts: Demo, tmp_path: Path) -> None:
    (tmp_path / "::error::x").symlink_to(demo_parts.image)
    runner = Runner(tmp_path, inputs(demo_parts, target="oci-dir:::error::x\ndir:::set-env name=PATH::y"))
    first, *said, last = runner.step("Scan").stdout.splitlines()
    token = first.removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert last == f"::{token}::"
    assert [line for line in said if token in line] == []


def test_a_folder_that_would_write_outputs_of_its_own_is_refused(tmp_path: Path) -> None:
    runner = Runner(tmp_path, {"target": "dir:.", "folder": "x\nstatus=0"})
    assert runner.step("Scan").returncode == 2
    assert runner.outputs == {}


@pytest.mark.real
@pytest.mark.large
def test_the_action_installs_itself(tmp_path: Path) -> None:
    runner = Runner(tmp_path, {"target": "dir:.", "python": sys.executable})
    done = runner.step("Install cgscan")
    assert done.returncode == 0, done.stderr
    code = "import scanner.cli.entry, scanner.formats.html, scanner.formats.cyclonedx, sigstore.verify"
    assert run([runner.outputs["python"], "-c", code], tmp_path).returncode == 0


# -- GitLab


def test_the_gitlab_job(demo_parts: Demo, tmp_path: Path) -> None:
    [job] = yaml.safe_load((ROOT / "ci/gitlab.yml").read_text()).values()
    script = "\n".join([*job["before_script"], 'printf %s "$DOCKER_AUTH_CONFIG" >auth.json', *job["script"]])
    variables = {
        "CI_REGISTRY": "registry.example",
        "CI_REGISTRY_USER": "gitlab",
        "CI_REGISTRY_PASSWORD": "pa'ss\"word",
        "SCAN_TARGET": f"oci-dir:{demo_parts.image}",
        "SCAN_FOLDER": job["variables"]["SCAN_FOLDER"],
        "CGSCAN_INDEX": str(demo_parts.chainguard),
        "CGSCAN_FAIL_ON": "modified",
    }
    done = run(["sh", "-e", "-c", script], tmp_path, **variables)
    assert (done.returncode, "blinker" in done.stdout) == (1, True), done.stderr
    auth = json.loads((tmp_path / "auth.json").read_text())["auths"]["registry.example"]["auth"]
    assert base64.b64decode(auth) == b"gitlab:pa'ss\"word"
    sbom = json.loads((tmp_path / job["artifacts"]["reports"]["cyclonedx"]).read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    [kept] = job["artifacts"]["paths"]
    assert {one.name for one in (tmp_path / kept).iterdir()} == {
        f"cgscan.{end}" for end in ("json", "html", "md", "cdx.json")
    }


# -- Jenkins


def test_the_script_of_the_jenkins_pipeline(demo_parts: Demo, tmp_path: Path) -> None:
    text = (ROOT / "ci/Jenkinsfile").read_text()
    [script] = re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL)
    names = re.findall(r"(CGSCAN_\w+|SCAN_\w+) = ", text)
    values = [str(demo_parts.chainguard), str(demo_parts.pypi), "90", "modified,unknown", f"oci-dir:{demo_parts.image}"]
    # Groovy reads \\ and a newline in ''' as one line
    done = run(["sh", "-xe", "-c", script.replace("\\\n", " ")], tmp_path, **dict(zip(names, values, strict=True)))
    assert done.returncode == 1, done.stderr
    assert {one.name for one in (tmp_path / "cgscan-report").iterdir()} == {
        f"cgscan.{end}" for end in ("json", "html", "sarif")
    }


# -- make


def test_the_fragment_in_another_projects_makefile(demo_parts: Demo, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        f"all:\n\t@echo own\n\nscan:\n\t@echo mine\n\nCGSCAN_PREFIX := ci-\ninclude {ROOT}/ci/cgscan.mk\n"
    )
    demo = {"CGSCAN_INDEX": str(demo_parts.chainguard), "CGSCAN_UPSTREAM": str(demo_parts.pypi)}
    make = ["make", "--no-print-directory"]
    assert run(make, tmp_path).stdout == "own\n"
    (tmp_path / "first.mk").write_text(f"include {ROOT}/ci/cgscan.mk\nall:\n\t@echo own\n")
    assert run([*make, "-f", "first.mk"], tmp_path).stdout == "own\n"
    mine = run([*make, "scan"], tmp_path)
    assert (mine.stdout, mine.stderr) == ("mine\n", "")
    done = run([*make, "ci-scan", f"IMAGE=oci-dir:{demo_parts.image}"], tmp_path, **demo)
    assert (done.returncode, "Coverage 33.33 %" in done.stdout) == (0, True), done.stderr
    done = run(
        [*make, "ci-scan-report", f"IMAGE=oci-dir:{demo_parts.image}", "CGSCAN_ARGS=--min-coverage 90"],
        tmp_path,
        **demo,
    )
    assert done.returncode == 2
    assert len(list((tmp_path / "build" / "cgscan").iterdir())) == 4
    done = run([*make, "ci-scan"], tmp_path)
    assert (done.returncode, "name the image: make ci-scan IMAGE=" in done.stderr) == (2, True)
    done = run([*make, "ci-scan", "IMAGE=a'; touch ran; 'b"], tmp_path, CGSCAN_OFFLINE="1", **demo)
    assert done.returncode == 2
    assert not (tmp_path / "ran").exists()


# -- pre-commit


@pytest.fixture
def locked(tmp_path: Path) -> dict[str, str]:
    """A lock file with PyPI's hash of something that Chainguard builds; variables that name the indexes."""
    pypi = make_wheel(tmp_path / "pypi", "demo", "1.0", {"demo.py": b""})
    add_sbom(pypi, tmp_path / "ours")
    (tmp_path / "requirements.txt").write_text(f"demo==1.0 --hash=sha256:{'0' * 64}\n")
    (tmp_path / "requirements with spaces.txt").write_text("demo==1.0\n")
    return {"CGSCAN_INDEX": str(tmp_path / "ours"), "CGSCAN_UPSTREAM": str(tmp_path / "pypi")}


def test_hooks_are_valid_and_do_what_they_say(tmp_path: Path, locked: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", str(HOOKS)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    hooks = {one["id"]: one for one in yaml.safe_load(HOOKS.read_text())}
    files = ["requirements.txt", "requirements with spaces.txt"]
    assert all(re.search(hooks["cgscan-locks"]["files"], one) for one in (*files, "a/uv.lock", "pylock.dev.toml"))
    assert not re.search(hooks["cgscan-locks"]["files"], "docs/requirements.md")

    def hook(name: str) -> Ran:
        return run([*shlex.split(hooks[name]["entry"]), *(files if "locks" in name else [])], tmp_path, **locked)

    done = hook("cgscan-locks")
    assert (done.returncode, "refuses" in done.stdout) == (1, True), done.stderr
    before = (tmp_path / "requirements.txt").read_text()
    assert hook("cgscan-locks-write").returncode == 0
    assert len((tmp_path / "requirements.txt").read_text()) > len(before)
    assert hook("cgscan-locks").returncode == 0
    (tmp_path / ".cache" / "pip").mkdir(parents=True)
    assert hook("cgscan-caches").returncode == 0


@pytest.mark.real
@pytest.mark.large
def test_pre_commit_runs_a_hook_of_a_clone(tmp_path: Path, locked: dict[str, str]) -> None:
    """It builds an environment with all dependencies from PyPI."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "safe.directory=*"]
    for words in (["init", "--quiet"], ["add", "requirements.txt"], ["commit", "--quiet", "-m", "a"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "pre_commit", "try-repo", str(clone), "cgscan-locks", "--all-files"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **locked, "PRE_COMMIT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "refuses" in done.stdout, done.stdout + done.stderr
