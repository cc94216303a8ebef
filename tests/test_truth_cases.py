"""Cases that ``make truth`` has found, each as the smallest scene that shows it. Names say what was said wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fixtures import wheels
from scanner.index import Role
from tests.scenes import Scene, Shelf, builds

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
    "demo/data.txt": b"some data\n",
    "demo/tests/test_core.py": b"def test():\n    pass\n",
}
COMPILED = {**CODE, "demo/_fast.so": b"\x7fELF of somebody's build"}
OTHERS = {**CODE, "demo/_fast.so": b"\x7fELF of another build"}
MARKER = "sboms/sbom.spdx.json"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def _plant(info: Path, ours: Path, *, listed: bool) -> None:
    """Chainguard's own SBOM put into another build's dist-info; RECORD has a row for it or not."""
    [content] = [data for name, data in wheels.read_members(ours) if name.filename.endswith(MARKER)]
    (info / "sboms").mkdir()
    (info / MARKER).write_bytes(content)
    if listed:
        rows = wheels.read_record(info / "RECORD")
        row = wheels.record_row(f"{info.name}/{MARKER}", content)
        (info / "RECORD").write_bytes(wheels.record_bytes([*rows, row]))


def _strip(info: Path, *parts: str) -> None:
    for part in parts:
        (info / part).unlink()


def _compiled_builds(tmp_path: Path) -> tuple[Path, Path]:
    tag = "cp311-cp311-manylinux_2_28_x86_64"
    plain = wheels.make_wheel(tmp_path / "plain", "demo", "1.0", COMPILED, tag=tag, generator="rebuilder 9")
    ours = wheels.add_sbom(plain, tmp_path / "chainguard")
    return ours, wheels.make_wheel(tmp_path / "pypi", "demo", "1.0", OTHERS, tag=tag)


def _local(tmp_path: Path, files: Mapping[str, bytes] = CODE) -> Path:
    """Built by an older backend: METADATA like PyPI's, another WHEEL."""
    return wheels.make_wheel(tmp_path / "local", "demo", "1.0", files, generator="older 1")


# --- a planted SBOM is not evidence by itself ---


@pytest.mark.parametrize("listed", [False, True])
def test_a_marker_over_other_machine_code_is_not_chainguards(scene: Scene, tmp_path: Path, listed: bool) -> None:
    """Said: chainguard, modified. PyPI's files, WHEEL and METADATA removed, SBOM planted; no upstream asked."""
    ours, theirs = _compiled_builds(tmp_path)
    info = scene.install(theirs)
    _plant(info, ours, listed=listed)
    _strip(info, "WHEEL", "METADATA")
    judged = scene.judge([ours])
    assert judged.words == ("unknown", "none")
    assert judged.kinds == ["planted-sbom"]


@pytest.mark.parametrize("listed", [False, True])
def test_a_marker_and_nothing_else_that_tells_is_not_verified(scene: Scene, tmp_path: Path, listed: bool) -> None:
    """Said: chainguard, pruned. What is left fits both wheels, RECORD knows PyPI's WHEEL."""
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(theirs)
    _plant(info, ours, listed=listed)
    _strip(info, "WHEEL", "METADATA")
    assert scene.judge([ours], [theirs]).one.origin.value in ("ambiguous", "upstream")


def test_chainguards_own_marker_still_tells(scene: Scene, tmp_path: Path) -> None:
    """The other side: Chainguard's wheel, WHEEL and METADATA removed; its RECORD knows its SBOM and its WHEEL."""
    ours, theirs = builds(tmp_path, CODE)
    _strip(scene.install(ours), "WHEEL", "METADATA")
    assert scene.judge([ours], [theirs]).words == ("chainguard", "pruned")


def test_a_listed_marker_beside_a_changed_wheel_file_is_not_chainguards(scene: Scene, tmp_path: Path) -> None:
    """Said: chainguard, modified. PyPI has no such project; WHEEL is neither RECORD's nor Chainguard's."""
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(theirs)
    _plant(info, ours, listed=True)
    (info / "WHEEL").write_bytes((info / "WHEEL").read_bytes() + b"#")
    judged = scene.judge([ours], [])
    assert judged.one.origin.value not in ("chainguard", "ambiguous")
    assert judged.kinds == ["planted-sbom"]


def test_chainguards_own_with_a_changed_wheel_file_stays_chainguards(scene: Scene, tmp_path: Path) -> None:
    """The other side: its RECORD knows the WHEEL that the candidate has."""
    ours, _ = builds(tmp_path, CODE)
    info = scene.install(ours)
    (info / "WHEEL").write_bytes((info / "WHEEL").read_bytes() + b"#")
    assert scene.judge([ours], []).words == ("chainguard", "modified")


@pytest.mark.parametrize("folder", ["include/site/python3.11/Demo", "include/python/de-mo", "include/demo"])
def test_headers_of_a_target_folder_without_record(tmp_path: Path, folder: str) -> None:
    """Said: a header is gone. pip --target puts it below the Python that it runs in, spelled as it was asked for."""
    name = "de-mo" if folder.endswith("de-mo") else "demo"
    files = {**CODE, f"{name.replace('-', '_')}-1.0.data/headers/api.h": b"int api(void);\n"}
    theirs = wheels.make_wheel(tmp_path / "pypi", name, "1.0", files)
    scene = Scene(tmp_path)
    info = scene.install(theirs, listed=False)
    target = scene.root / "var/task"
    target.mkdir(parents=True)
    for one in (info, scene.site / "demo"):
        one.rename(target / one.name)
    header = target / folder / "api.h"
    header.parent.mkdir(parents=True)
    header.write_bytes(files[f"{name.replace('-', '_')}-1.0.data/headers/api.h"])
    judged = scene.judge([], [theirs])
    assert judged.words == ("upstream", "intact"), judged.one.files


# --- built on the spot is never modified ---


@pytest.mark.parametrize("listed", [False, True])
def test_a_local_build_with_a_planted_marker_is_not_modified(scene: Scene, tmp_path: Path, listed: bool) -> None:
    """Said: upstream, modified (or chainguard, modified): METADATA is PyPI's, WHEEL nobody's."""
    ours, theirs = builds(tmp_path, CODE)
    _plant(scene.install(_local(tmp_path)), ours, listed=listed)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("source", "none")
    assert judged.kinds == ["planted-sbom"]


def test_a_local_build_less_a_module_is_still_source(scene: Scene, tmp_path: Path) -> None:
    """Said: upstream, modified. A module that is gone changes no code."""
    ours, theirs = builds(tmp_path, CODE)
    scene.install(_local(tmp_path))
    (scene.site / "demo/core.py").unlink()
    assert scene.judge([ours], [theirs]).words == ("source", "none")


def test_a_local_build_with_a_changed_module_is_not_source(scene: Scene, tmp_path: Path) -> None:
    """The other side: a changed module rules source out."""
    ours, theirs = builds(tmp_path, CODE)
    scene.install(_local(tmp_path))
    (scene.site / "demo/core.py").write_bytes(b"import os\n")
    assert scene.judge([ours], [theirs]).words == ("unknown", "none")


def test_a_local_build_whose_backend_wrote_another_version_file(scene: Scene, tmp_path: Path) -> None:
    """Said: upstream, modified. Nobody changed a file; the only listed wheel shares METADATA."""
    _, theirs = builds(tmp_path, CODE)
    scene.install(_local(tmp_path, {**CODE, "demo/__init__.py": b"VERSION = '1.0+local'\n"}))
    assert scene.judge([], [theirs]).words == ("unknown", "none")


def test_a_local_build_less_its_wheel_file_is_not_modified(scene: Scene, tmp_path: Path) -> None:
    """Said: upstream, modified. RECORD knows a WHEEL that is no listed build's."""
    ours, theirs = _compiled_builds(tmp_path)
    info = scene.install(_local(tmp_path, {**CODE, "demo/_fast.so": b"\x7fELF made here"}))
    _strip(info, "WHEEL")
    assert scene.judge([ours], [theirs]).words == ("unknown", "none")


def test_a_local_build_that_spells_its_dist_info_like_pypi(scene: Scene, tmp_path: Path) -> None:
    """Said: ambiguous. RECORD's word for WHEEL holds for a build whose dist-info is spelled differently, too."""
    ours = wheels.make_wheel(tmp_path / "cg", "demo", "1.0", CODE, generator="r 9", metadata_version="2.4", sbom=True)
    spelled = {f"Demo-1.0.dist-info/{part}": data for part, data in _metadata(ours, "other 3").items()}
    info = scene.site / "Demo-1.0.dist-info"
    for path, content in {**CODE, **spelled}.items():
        (scene.site / path).parent.mkdir(parents=True, exist_ok=True)
        (scene.site / path).write_bytes(content)
    rows = [wheels.record_row(path, content) for path, content in {**CODE, **spelled}.items()]
    (info / "RECORD").write_bytes(wheels.record_bytes(rows))
    _strip(info, "METADATA", "WHEEL")
    theirs = wheels.make_wheel(tmp_path / "pypi", "demo", "1.0", CODE)
    assert scene.judge([ours], [theirs]).words == ("unknown", "none")


def _metadata(wheel: Path, generator: str) -> dict[str, bytes]:
    members = {info.filename.rpartition("/")[2]: data for info, data in wheels.read_members(wheel)}
    return {"METADATA": members["METADATA"] + b"X: 1\n", "WHEEL": members["WHEEL"].replace(b"r 9", generator.encode())}


def test_without_an_upstream_another_builds_metadata_accuse_nobody(scene: Scene, tmp_path: Path) -> None:
    """Said: unknown, modified. PyPI's bytes lie on a Chainguard index as a copy, no upstream is asked."""
    _, theirs = builds(tmp_path, CODE)
    scene.install(_local(tmp_path))
    assert scene.judge(Shelf(wheels=[theirs], role=Role.CHAINGUARD)).words == ("unknown", "none")


# --- where files are ---


def _with_header(scene: Scene, tmp_path: Path) -> tuple[Path, Path]:
    """A wheel that has one header twice: beside its modules, and for the interpreter's include folder."""
    header = b"#define DEMO 1\n"
    wheel = wheels.make_wheel(
        tmp_path / "pypi", "demo", "1.0", {**CODE, "demo/demo.h": header}, data={"headers/demo.h": header}
    )
    info = scene.install(wheel)
    (scene.root / "usr/local/demo.h").unlink()
    path = "usr/local/include/python3.11/demo/demo.h"
    (scene.root / path).parent.mkdir(parents=True)
    (scene.root / path).write_bytes(header)
    rows = [row for row in wheels.read_record(info / "RECORD") if "headers" not in row[0]]
    row = wheels.record_row("../../../include/python3.11/demo/demo.h", header)
    (info / "RECORD").write_bytes(wheels.record_bytes([*rows, row]))
    return wheel, info


def test_a_header_outside_does_not_stand_in_for_the_one_inside(scene: Scene, tmp_path: Path) -> None:
    """Said: intact. ``demo/demo.h`` is gone; the file that RECORD lists below include/ is another member."""
    wheel, _ = _with_header(scene, tmp_path)
    (scene.site / "demo/demo.h").unlink()
    judged = scene.judge([], [wheel])
    assert judged.words == ("upstream", "pruned")
    assert [line.path.rpartition("/site-packages/")[2] for line in judged.one.files] == ["demo/demo.h"]


def test_a_missing_header_is_named_where_record_had_it(scene: Scene, tmp_path: Path) -> None:
    """Said: /usr/local/include/site/python3.11/demo/demo.h is missing."""
    wheel, _ = _with_header(scene, tmp_path)
    (scene.root / "usr/local/include/python3.11/demo/demo.h").unlink()
    judged = scene.judge([], [wheel])
    assert [line.path for line in judged.one.files] == ["/usr/local/include/python3.11/demo/demo.h"]
