"""Real projects that pip builds from their sdist: ``source``, never ``modified``, never verified."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures import wheels
from tests.scenes import Scene

PROJECTS = {
    "setuptools": "tabulate==0.9.0",
    "hatchling": "platformdirs==4.3.6",
    "flit": "itsdangerous==2.2.0",
    "poetry": "tomlkit==0.13.2",
    "compiled": "markupsafe==3.0.2",
}


def install_from_source(requirement: str, scene: Scene) -> None:
    """What pip does where the index has only a source archive for the platform."""
    sdist = wheels.download_sdist(requirement)
    how = ["--quiet", "--no-input", "--no-deps", "--no-cache-dir", "--target", str(scene.site), str(sdist)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *how], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        pytest.skip(f"pip could not build {requirement}: {done.stderr.strip()[-300:]}")


@pytest.mark.parametrize("backend", PROJECTS)
def test_of_every_backend(
    backend: str,
    tmp_path: Path,
    pypi_wheel: Callable[[str], Path],
    rebuilt_wheel: Callable[[str], Path],
) -> None:
    """Chainguard's is built by the same backend here as the one on the spot: only its SBOM tells them apart."""
    requirement = PROJECTS[backend]
    theirs, ours = pypi_wheel(requirement), rebuilt_wheel(requirement)
    scene = Scene(tmp_path)
    install_from_source(requirement, scene)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("source", "none"), judged.one.reason
    assert judged.findings == []
    assert scene.judge([ours]).one.origin.value == "unknown", "only one side was asked"
    assert scene.judge(None, [theirs]).one.origin.value == "unknown"
    module = next(path for path in scene.site.rglob("*.py") if path.stat().st_size > 200)
    module.write_bytes(module.read_bytes() + b"\nimport os\n")
    changed = scene.judge([ours], [theirs]).words
    assert changed[0] in ("unknown", "upstream", "chainguard")
    assert changed[1] in ("none", "modified")


def test_on_musl_where_the_indexes_have_wheels_for_glibc_only(
    tmp_path: Path, pypi_wheel: Callable[[str], Path], rebuilt_wheel: Callable[[str], Path]
) -> None:
    """Such a wheel cannot have been installed; its code was."""
    requirement = PROJECTS["compiled"]
    theirs, ours = pypi_wheel(requirement), rebuilt_wheel(requirement)
    assert "manylinux" in theirs.name
    scene = Scene(tmp_path)
    (scene.root / "lib").mkdir()
    (scene.root / "lib/ld-musl-x86_64.so.1").write_bytes(b"")
    install_from_source(requirement, scene)
    assert scene.judge([ours], [theirs]).words == ("source", "none")
    [module] = scene.site.glob("markupsafe/__init__.py")
    module.write_bytes(module.read_bytes() + b"\nimport os\n")
    assert scene.judge([ours], [theirs]).words == ("unknown", "none")
