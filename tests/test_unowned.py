"""Importable files that no distribution accounts for, and those that are no finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures import trees, wheels
from scanner.strays import MADE_FOR_ENVIRONMENTS
from tests.scenes import Scene, builds

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
    "single.py": b"x = 1\n",
}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_clean_environment_has_no_finding(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    cache = scene.site / "demo/__pycache__"
    cache.mkdir()
    (cache / "core.cpython-311.pyc").write_bytes(b"byte code beside its source")
    assert scene.judge([ours], [theirs]).findings == []


@pytest.mark.parametrize(
    "path",
    [
        "evil.py",
        "evil.pth",
        "sitecustomize.py",
        "usercustomize.py",
        "demo/added.py",
        "demo/deep/added.py",
        "demo/_fast.cpython-311-x86_64-linux-gnu.so",
        "demo/sourceless.pyc",
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_an_added_file_is_found_whatever_record_says(scene: Scene, tmp_path: Path, path: str, listed: bool) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours)
    (scene.site / path).parent.mkdir(exist_ok=True)
    (scene.site / path).write_bytes(b"import os\n")
    if listed:
        with (info / "RECORD").open("a") as record:
            record.write(f"{path},,\n")
    judged = scene.judge([ours], [theirs])
    assert [(finding.kind.value, finding.path) for finding in judged.findings] == [
        ("unowned-file", f"/usr/local/lib/python3.11/site-packages/{path}")
    ]
    assert judged.words == ("chainguard", "intact")


@pytest.mark.parametrize("path", ["notes.txt", "demo/data.json", "demo/inner.pth", "demo-1.0.dist-info/x.py"])
def test_what_is_not_importable_is_no_finding(scene: Scene, tmp_path: Path, path: str) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / path).write_bytes(b"text\n")
    assert scene.judge([ours], [theirs]).findings == []


def test_a_stray_folder_is_one_finding(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / "stray/inner").mkdir(parents=True)
    for number in range(40):
        (scene.site / f"stray/inner/m{number}.py").write_bytes(b"x = 1\n")
    findings = scene.judge([ours], [theirs]).findings
    assert [finding.path.rpartition("/")[2] for finding in findings] == ["stray"]
    assert "40 importable files" in findings[0].detail


def test_an_unexplained_distributions_record_accounts_for_its_files(scene: Scene, tmp_path: Path) -> None:
    _, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    assert scene.judge([], []).findings == []


def test_what_the_operating_system_owns_is_no_finding(scene: Scene) -> None:
    files = {"hello/__init__.py": b"x = 1\n", "hello-1.0.dist-info/METADATA": b"Name: hello\nVersion: 1.0\n"}
    folder = scene.root / "usr/lib/python3/dist-packages"
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    trees.dpkg_owned(scene.root, "python3-hello", "1.0", [f"usr/lib/python3/dist-packages/{path}" for path in files])
    judged = scene.judge([], [])
    assert judged.words == ("os", "none")
    assert judged.findings == []
    (folder / "hello/added.py").write_bytes(b"import os\n")
    assert scene.judge([], []).kinds == ["unowned-file"]


def test_files_made_for_environments_are_known_by_their_bytes(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / "_virtualenv.pth").write_bytes(b"import _virtualenv")
    assert scene.judge([ours], [theirs]).findings == []
    (scene.site / "_virtualenv.pth").write_bytes(b"import _virtualenv, evil")
    assert scene.judge([ours], [theirs]).kinds == ["unowned-file"]
    assert "_virtualenv.py" in MADE_FOR_ENVIRONMENTS


def test_the_code_of_a_local_install_is_no_finding(scene: Scene, tmp_path: Path) -> None:
    own = wheels.make_wheel(tmp_path / "own", "private", "0.1", {"__editable__.private-0.1.pth": b"/src\n"})
    info = scene.install(own)
    (info / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {"editable": true}}')
    assert scene.judge([], []).findings == []
