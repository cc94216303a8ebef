"""What in an environment nothing accounts for; what tools leave there by design is no finding."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fixtures import wheels
from tests.scenes import SITE, Judged, Scene, builds

PLACE = f"/{SITE}"
CODE = {"demo/__init__.py": b"VERSION = '1.0'\n", "demo/core.py": b"def run():\n    return 42\n"}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(tmp_path)
    made.install(builds(tmp_path, CODE)[0])
    return made


def judged(scene: Scene, tmp_path: Path) -> Judged:
    ours, theirs = builds(tmp_path, CODE)
    return scene.judge([ours], [theirs])


def paths(found: Judged) -> list[str]:
    return [finding.path for finding in found.findings]


@pytest.mark.parametrize("folder", ["/opt/venv", "/usr/local"])
def test_path_files_count_in_every_environment(scene: Scene, tmp_path: Path, folder: str) -> None:
    """Also in one below a folder that somebody made an environment by putting metadata there."""
    wheel = wheels.make_wheel(tmp_path, "other", "1.0", {"other.py": b"OTHER = 1\n"})
    site = scene.root / folder.strip("/") / "lib/python3.11/site-packages"
    site.mkdir(parents=True, exist_ok=True)
    (site / "evil.pth").write_bytes(b"import evil\n")
    (site / "evil.py").write_bytes(b"import os\n")
    info = scene.root / "usr/planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(b"Name: planted\nVersion: 1.0\n")
    ours, theirs = builds(tmp_path, CODE)
    found = paths(scene.judge([ours], [theirs, wheel]))
    assert sorted(found) == [f"{folder}/lib/python3.11/site-packages/evil.{suffix}" for suffix in ("pth", "py")]


def test_the_standard_library_is_nobodys_environment(scene: Scene, tmp_path: Path) -> None:
    library = scene.site.parent
    for name in ("os.py", "site.py", "json/__init__.py"):
        (library / name).parent.mkdir(exist_ok=True)
        (library / name).write_bytes(b"x = 1\n")
    info = scene.root / "usr/local/planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(b"Name: planted\nVersion: 1.0\n")
    assert paths(judged(scene, tmp_path)) == []


def test_a_folder_inside_a_package_is_one_finding(scene: Scene, tmp_path: Path) -> None:
    (scene.site / "demo/evil/deep").mkdir(parents=True)
    for number in range(5):
        (scene.site / f"demo/evil/deep/m{number}.py").write_bytes(b"import os\n")
    assert paths(judged(scene, tmp_path)) == [f"{PLACE}/demo/evil"]


def test_a_namespace_folder_without_init_is_found(scene: Scene, tmp_path: Path) -> None:
    (scene.site / "evil").mkdir()
    (scene.site / "evil/mod.py").write_bytes(b"import os\n")
    assert paths(judged(scene, tmp_path)) == [f"{PLACE}/evil/mod.py"]


def test_a_link_to_code_outside_is_found_and_one_to_code_inside_is_not(scene: Scene, tmp_path: Path) -> None:
    outside = scene.root / "opt/evil"
    outside.mkdir(parents=True)
    (outside / "__init__.py").write_bytes(b"import os\n")
    (scene.site / "evil").symlink_to("/opt/evil")
    (scene.site / "alias").symlink_to("demo")
    (scene.site / "core.py").symlink_to("demo/core.py")
    assert paths(judged(scene, tmp_path)) == [f"{PLACE}/evil"]


@pytest.mark.parametrize(
    "name", ["README.txt", "__pycache__/gone.cpython-311.pyc", "demo/__pycache__/x.cpython-311.pyc"]
)
def test_what_cannot_be_imported(scene: Scene, tmp_path: Path, name: str) -> None:
    (scene.site / name).parent.mkdir(exist_ok=True)
    (scene.site / name).write_bytes(b"anything")
    assert [finding.path for finding in judged(scene, tmp_path).findings if finding.kind.value == "unowned-file"] == []


def test_easy_install_names_what_is_linked(scene: Scene, tmp_path: Path) -> None:
    (scene.root / "src/tool").mkdir(parents=True)
    (scene.root / "src/tool/tool.egg-info").mkdir()
    (scene.root / "src/tool/tool.egg-info/PKG-INFO").write_bytes(b"Name: tool\nVersion: 1\n")
    (scene.root / "src/tool/setup.py").write_bytes(b"import setuptools\n")
    (scene.root / "src/tool/tool.py").write_bytes(b"x = 1\n")
    (scene.site / "tool.egg-link").write_bytes(b"/src/tool\n.")
    lines = b"import sys; sys.__plen = len(sys.path)\n/src/tool\n"
    (scene.site / "easy-install.pth").write_bytes(lines)
    assert paths(judged(scene, tmp_path)) == []
    (scene.site / "easy-install.pth").write_bytes(lines + b"import evil\n")
    assert paths(judged(scene, tmp_path)) == [f"{PLACE}/easy-install.pth"]
    (scene.site / "easy-install.pth").write_bytes(b"/src/another\n")
    assert paths(judged(scene, tmp_path)) == [f"{PLACE}/easy-install.pth"]


def test_an_environment_that_nothing_names_is_one_by_its_shape(scene: Scene, tmp_path: Path) -> None:
    for info in scene.site.glob("*.dist-info"):
        shutil.rmtree(info)
    shutil.rmtree(scene.site / "demo")
    (scene.site / "sitecustomize.py").write_bytes(b"import os\n")
    found = scene.judge([], [])
    assert [(finding.path, finding.detail) for finding in found.findings] == [
        (f"{PLACE}/sitecustomize.py", "no distribution accounts for this file; Python runs it at every start")
    ]
