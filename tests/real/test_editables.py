"""Case 45 with every backend that people use, at the version that PyPI has today, installed by real pip and real uv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.distribution import Origin
from tests.scenes import Scene

BACKENDS = {
    "hatchling": ("hatchling.build", "hatchling", ""),
    "hatch-exact": (
        "hatchling.build",
        "hatchling",
        '[tool.hatch.build.targets.wheel]\npackages = ["src/demo"]\n[tool.hatch.build]\ndev-mode-exact = true\n',
    ),
    "flit": ("flit_core.buildapi", "flit_core", ""),
    "poetry": ("poetry.core.masonry.api", "poetry-core", ""),
    "pdm": ("pdm.backend", "pdm-backend", ""),
    "pdm-hook": ("pdm.backend", "pdm-backend", '[tool.pdm.build]\neditable-backend = "editables"\n'),
    "setuptools": ("setuptools.build_meta", "setuptools", ""),
    "setuptools-finder": (
        "setuptools.build_meta",
        "setuptools",
        '[tool.setuptools]\npackages = ["demo"]\npackage-dir = {demo = "other"}\n',
    ),
    "setuptools-old": (
        "setuptools.build_meta",
        "setuptools==68.1.0",
        '[tool.setuptools]\npackages = ["demo"]\npackage-dir = {demo = "other"}\n',
    ),
    "meson": ("mesonpy", "meson-python", ""),
    "scikit-build": ("scikit_build_core.build", "scikit-build-core", ""),
    "uv": ("uv_build", "uv_build", ""),
}
MESON = """project('demo', version: '1.0')
python = import('python').find_installation()
python.install_sources('src/demo/__init__.py', subdir: 'demo')
"""
CMAKE = "cmake_minimum_required(VERSION 3.15)\nproject(demo LANGUAGES NONE)\n"


def project(folder: Path, backend: str) -> Path:
    api, requirement, more = BACKENDS[backend]
    for package in ("src/demo", "other"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text('"""A demo."""\nVALUE = 1\n')
    (folder / "meson.build").write_text(MESON)
    (folder / "CMakeLists.txt").write_text(CMAKE)
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["{requirement}"]\nbuild-backend = "{api}"\n'
        f'[project]\nname = "demo"\nversion = "1.0"\ndescription = "demo"\n{more}'
    )
    return folder


@pytest.mark.parametrize("installer", ["pip", "uv"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_case_45_of_every_backend(tmp_path: Path, backend: str, installer: str) -> None:
    """Local, not counted, and what the backend wrote to run at every start is known."""
    scene = Scene(tmp_path)
    source = project(scene.root / "src/demo", backend)
    how = ["install", "--quiet", "--no-deps", "--target", str(scene.site), "--editable", str(source)]
    tool = ["pip", "--no-input"] if installer == "pip" else ["uv", "--no-cache", "pip"]
    done = subprocess.run(
        [sys.executable, "-m", *tool, *how], capture_output=True, text=True, timeout=600, check=False, env=os.environ
    )
    if done.returncode:
        pytest.skip(f"{installer} could not install it: {done.stderr.strip()[-300:]}")
    judged = scene.judge([], [])
    assert {(one.name, one.origin) for one in judged.lines} == {("demo", Origin.LOCAL)}
    assert judged.findings == []
    for pth in scene.site.glob("*.pth"):
        pth.write_text(f"{pth.read_text()}\nimport os\n")
    assert "unowned-file" in scene.judge([], []).kinds, "and what is added to it is shown"
