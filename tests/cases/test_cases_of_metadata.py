"""Metadata in every odd form: cases 5 to 11, 14 to 18 and 45 to 47 of the facts.

Trees are put together by hand where no installer of today makes them any more; otherwise real pip and real uv have.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fixtures import trees, wheels
from scanner.distribution import Origin
from tests.scenes import SITE, Judged, Scene, builds

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
    "demo/data.txt": b"some data\n",
}
LATER = {**CODE, "demo/__init__.py": b"VERSION = '2.0'\n"}
PLACE = f"/{SITE}"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def metadata(name: str, version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()


def lines_of(judged: Judged) -> list[tuple[str, str | None, str, str]]:
    return [(one.name, one.version, one.origin.value, one.integrity.value) for one in judged.lines]


def findings_of(judged: Judged) -> list[tuple[str, str]]:
    return sorted((one.kind.value, one.path.removeprefix(PLACE + "/")) for one in judged.findings)


# --- 5: broken metadata ---


@pytest.mark.parametrize("files", [{}, {"REQUESTED": b""}, {"INSTALLER": b"pip\n", "REQUESTED": b""}])
def test_case_05_metadata_that_says_nothing_is_listed_and_told(scene: Scene, files: Mapping[str, bytes]) -> None:
    (scene.site / "demo-1.0.dist-info").mkdir()
    put(scene.site / "demo-1.0.dist-info", files)
    judged = scene.judge([], [])
    assert lines_of(judged) == [("demo", "1.0", "unknown", "none")]
    assert "its metadata are broken" in judged.one.reason
    assert judged.findings == []


def test_case_05_the_module_of_broken_metadata_is_still_compared(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, {**CODE, "demo/_fast.so": b"\x7fELF"}, tag="cp311-cp311-manylinux_2_28_x86_64")
    info = scene.install(ours)
    for file in [*info.rglob("*")]:
        if file.is_file() and file.name not in ("INSTALLER", "REQUESTED"):
            file.unlink()
    shutil.rmtree(info / "sboms")
    judged = scene.judge([ours], [theirs])
    assert lines_of(judged) == [("demo", "1.0", "ambiguous", "pruned")]
    assert "its metadata are broken" in judged.one.reason
    assert judged.findings == []


def test_case_05_a_file_where_metadata_should_be(scene: Scene) -> None:
    (scene.site / "demo-1.0.dist-info").write_bytes(b"")
    (scene.site / "loop-1.0.dist-info").symlink_to("loop-1.0.dist-info")
    (scene.site / "gone-1.0.dist-info").symlink_to("/nowhere")
    judged = scene.judge([], [])
    assert judged.lines == []
    assert findings_of(judged) == [
        ("dangling-link", "gone-1.0.dist-info"),
        ("dangling-link", "loop-1.0.dist-info"),
        ("unreadable", "demo-1.0.dist-info"),
    ]


# --- 6: two dist-infos of one project ---


def versions(folder: Path) -> tuple[list[Path], list[Path]]:
    """(Chainguard's, PyPI's) wheels of 1.0 and 2.0."""
    first, second = builds(folder / "1", CODE), builds(folder / "2", LATER, version="2.0")
    return [first[0], second[0]], [first[1], second[1]]


def only_metadata(scene: Scene, wheel: Path, folder: str | None = None) -> Path:
    """The dist-info of a wheel put beside whatever files are there."""
    with_record = scene.root.parent / "aside"
    aside = Scene(with_record)
    info = aside.install(wheel)
    target = scene.site / (folder or info.name)
    shutil.move(info, target)
    shutil.rmtree(with_record)
    return target


@pytest.mark.parametrize("live", [0, 1])
def test_case_06_the_files_say_which_is_live(scene: Scene, tmp_path: Path, live: int) -> None:
    ours, theirs = versions(tmp_path)
    scene.install(theirs[live])
    stale = only_metadata(scene, ours[1 - live])
    judged = scene.judge(ours, theirs)
    assert lines_of(judged) == [("demo", f"{live + 1}.0", "upstream", "intact")]
    assert findings_of(judged) == [("stale-metadata", stale.name)]
    assert f"demo-{live + 1}.0.dist-info" in judged.findings[0].detail


@pytest.mark.parametrize("live", [0, 1])
@pytest.mark.parametrize("asked", [True, False])
def test_case_06_without_an_index_record_says_which_is_live(
    scene: Scene, tmp_path: Path, live: int, asked: bool
) -> None:
    _, theirs = versions(tmp_path)
    scene.install(theirs[live])
    stale = only_metadata(scene, theirs[1 - live])
    judged = scene.judge([], []) if asked else scene.judge()
    assert [(one.version, one.origin.value) for one in judged.lines] == [
        (f"{live + 1}.0", "unknown" if asked else "unchecked")
    ]
    assert findings_of(judged) == [("stale-metadata", stale.name)]


def test_case_06_a_live_one_that_no_index_has_beats_a_listed_leftover(scene: Scene, tmp_path: Path) -> None:
    """Said by whoever trusts the listed one: demo 1.0 is modified."""
    ours, theirs = versions(tmp_path)
    scene.install(theirs[1])
    only_metadata(scene, theirs[0])
    judged = scene.judge(ours[:1], theirs[:1])
    assert lines_of(judged) == [("demo", "2.0", "unknown", "none")]
    assert findings_of(judged) == [("stale-metadata", "demo-1.0.dist-info")]


@pytest.mark.parametrize("folder", ["Demo-1.0.dist-info", "demo-1.0.0.dist-info", "DEMO-1.dist-info"])
def test_case_06_one_version_spelled_twice_is_not_chainguards_by_a_leftover(
    scene: Scene, tmp_path: Path, folder: str
) -> None:
    """The worst: Chainguard's metadata put beside PyPI's code, which is the same code."""
    ours, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    only_metadata(scene, ours, folder)
    judged = scene.judge([ours], [theirs])
    assert lines_of(judged) == [("demo", "1.0", "ambiguous", "intact")]
    assert findings_of(judged) == [("stale-metadata", folder)]


def test_case_06_compiled_files_tell_two_builds_of_one_version_apart(scene: Scene, tmp_path: Path) -> None:
    tag = "cp311-cp311-manylinux_2_28_x86_64"
    ours, _ = builds(tmp_path / "a", {**CODE, "demo/_fast.so": b"\x7fELF ours"}, tag=tag)
    _, theirs = builds(tmp_path / "b", {**CODE, "demo/_fast.so": b"\x7fELF theirs"}, tag=tag)
    scene.install(ours)
    only_metadata(scene, theirs, "Demo-1.0.dist-info")
    judged = scene.judge([ours], [theirs])
    assert lines_of(judged) == [("demo", "1.0", "chainguard", "intact")]
    assert findings_of(judged) == [("stale-metadata", "Demo-1.0.dist-info")]


def test_case_06_projects_are_one_whatever_their_spelling(scene: Scene) -> None:
    for folder in ("Foo_Bar-1.0.dist-info", "foo.bar-1.0.dist-info", "foo-bar-2.0.dist-info"):
        row = wheels.record_row("foo_bar.py", b"x = 2\n" if "2.0" in folder else b"x = 1\n")
        put(scene.site / folder, {"METADATA": b"", "RECORD": wheels.record_bytes([row])})
    put(scene.site, {"foo_bar.py": b"x = 2\n"})
    judged = scene.judge([], [])
    assert lines_of(judged) == [("foo-bar", "2.0", "unknown", "none")]
    assert [kind for kind, _ in findings_of(judged)] == ["stale-metadata"] * 2 + ["unreadable"] * 3


# --- 7: pip --target --upgrade ---


def test_case_07_upgrade_of_a_target_leaves_the_old_metadata(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = versions(tmp_path)
    site = trees.install([ours[1]], scene.root, layout="target")
    trees.install([theirs[0]], scene.root, layout="target")
    assert len([*site.glob("*.dist-info")]) == 2
    judged = scene.judge(ours, theirs)
    assert lines_of(judged) == [("demo", "1.0", "upstream", "intact")]
    assert [(one.kind.value, one.path) for one in judged.findings] == [
        ("stale-metadata", "/var/task/demo-2.0.dist-info")
    ]
    assert scene.judge().one.version == "1.0", "and RECORD says so without an index"


# --- 8: pip's leftovers ---


def test_case_08_leftovers_of_pip(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    put(scene.site / "~emo-0.9.dist-info", {"METADATA": metadata("demo", "0.9"), "RECORD": b"demo/core.py,,\n"})
    put(scene.site / "~emo", {"__init__.py": b"old = 1\n", "core.py": b"old = 2\n", "deep/x.py": b"old = 3\n"})
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "intact")
    assert findings_of(judged) == [("stale-metadata", "~emo-0.9.dist-info"), ("unowned-file", "~emo")]
    details = {one.kind.value: one.detail for one in judged.findings}
    assert "demo 0.9" in details["stale-metadata"]


# --- 9: vendored ---

INNER = {
    "owner/_vendor/inner/__init__.py": b"x = 1\n",
    "owner/_vendor/inner-2.0.dist-info/METADATA": metadata("inner", "2.0"),
    "owner/_vendor/inner-2.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n",
}
OWNER = {"owner/__init__.py": b"import owner._vendor\n", **INNER}
DEEP = {**OWNER, "owner/_vendor/inner/_vendor/core-3.0.dist-info/METADATA": metadata("core", "3.0")}


def vendored_of(judged: Judged) -> dict[str, tuple[str, str | None, str, str]]:
    return {one.name: (one.kind.value, one.owner, one.origin.value, one.integrity.value) for one in judged.lines}


def test_case_09_vendored_is_verified_through_its_owner(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, DEEP, name="owner")
    scene.install(ours)
    judged = scene.judge([ours], [theirs])
    part = ("vendored", "owner", "chainguard", "intact")
    assert vendored_of(judged) == {
        "owner": ("installed", None, "chainguard", "intact"),
        "inner": part,
        "core": part,
    }
    assert judged.findings == []


def test_case_09_metadata_put_below_somebodys_package_are_judged_by_themselves(scene: Scene, tmp_path: Path) -> None:
    """The owner's wheel does not have them, whatever its RECORD says now."""
    ours, theirs = builds(tmp_path, OWNER, name="owner")
    info = scene.install(ours)
    put(
        scene.site / "owner/_vendor",
        {"evil-1.0.dist-info/METADATA": metadata("evil", "1.0"), "evil.py": b"import os\n"},
    )
    with (info / "RECORD").open("a") as record:
        record.write("owner/_vendor/evil-1.0.dist-info/METADATA,,\nowner/_vendor/evil.py,,\n")
    judged = scene.judge([ours], [theirs])
    assert vendored_of(judged)["evil"] == ("installed", None, "unknown", "none")
    assert vendored_of(judged)["inner"] == ("vendored", "owner", "chainguard", "intact")
    assert "unowned-file" in judged.kinds


def test_case_09_changed_vendored_metadata_are_the_owners_change(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, OWNER, name="owner")
    scene.install(ours)
    put(scene.site, {"owner/_vendor/inner-2.0.dist-info/METADATA": metadata("other", "9.0")})
    judged = scene.judge([ours], [theirs])
    assert vendored_of(judged) == {
        "owner": ("installed", None, "chainguard", "modified"),
        "other": ("vendored", "owner", "chainguard", "modified"),
    }


def test_case_09_vendored_in_what_no_index_explains_is_judged_by_itself(scene: Scene, tmp_path: Path) -> None:
    """RECORD says where it belongs, and no more."""
    own = wheels.make_wheel(tmp_path / "own", "owner", "1.0", OWNER)
    scene.install(own)
    judged = scene.judge([], [])
    assert vendored_of(judged) == {
        "owner": ("installed", None, "unknown", "none"),
        "inner": ("vendored", "owner", "unknown", "none"),
    }
    ours, theirs = builds(tmp_path, {"inner/__init__.py": b"x = 1\n"}, name="inner", version="2.0")
    del theirs
    members = {f"owner/_vendor/{info.filename}": data for info, data in wheels.read_members(ours)}
    put(scene.site, members)
    assert vendored_of(scene.judge([ours], []))["inner"] == ("vendored", "owner", "chainguard", "intact")


def test_case_09_vendored_in_what_the_operating_system_owns(scene: Scene) -> None:
    folder = "usr/lib/python3/dist-packages"
    files = {**OWNER, "owner-1.0.dist-info/METADATA": metadata("owner", "1.0")}
    put(scene.root / folder, files)
    trees.dpkg_owned(scene.root, "python3-owner", "1.0-1", [f"{folder}/{path}" for path in files])
    judged = scene.judge([], [])
    assert {name: words[:3] for name, words in vendored_of(judged).items()} == {
        "owner": ("installed", "dpkg:python3-owner", "os"),
        "inner": ("vendored", "owner", "os"),
    }
    put(scene.root / folder / "owner/_vendor", {"evil-1.0.dist-info/METADATA": metadata("evil", "1.0")})
    assert vendored_of(scene.judge([], []))["evil"] == ("installed", None, "unknown", "none")


def test_case_09_a_nest_in_a_nest_that_is_nobodys(scene: Scene, tmp_path: Path) -> None:
    """An environment inside a package, with a distribution of its own that has parts."""
    ours, theirs = builds(tmp_path, OWNER, name="owner")
    scene.install(ours)
    outer = wheels.make_wheel(tmp_path / "outer", "outer", "1.0", {"outer/__init__.py": b""})
    info = scene.install(outer)
    shutil.move(info, scene.root / "aside")
    inside = scene.site / "outer/runtime"
    inside.mkdir()
    for path in (scene.site / "owner", scene.site / "owner-1.0.dist-info"):
        shutil.move(path, inside / path.name)
    shutil.move(scene.root / "aside", info)
    judged = scene.judge([ours, outer], [theirs])
    assert vendored_of(judged)["owner"] == ("installed", None, "chainguard", "intact")
    assert vendored_of(judged)["inner"] == ("vendored", "owner", "chainguard", "intact")


# --- 10, 11: SBOMs inside ---


def sbom(*components: tuple[str, str]) -> bytes:
    parts = [{"type": "library", "name": name, "version": version} for name, version in components]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": parts}).encode()


def test_case_10_what_an_sbom_declares_vendored_is_not_installed(scene: Scene, tmp_path: Path) -> None:
    code = {
        "pip/__init__.py": b"",
        "pip/_vendor/msgpack/__init__.py": b"",
        "pip/_vendor/bom.cdx.json": sbom(("msgpack", "1.1")),
    }
    ours, theirs = builds(tmp_path, code, name="pip", version="26.0")
    scene.install(theirs)
    judged = scene.judge([ours], [theirs])
    assert lines_of(judged) == [("pip", "26.0", "upstream", "intact")]
    assert judged.findings == []


def test_case_11_sboms_of_auditwheel_are_no_packages(scene: Scene, tmp_path: Path) -> None:
    files = {**CODE, "demo-1.0.dist-info/sboms/auditwheel.cdx.json": sbom(("libz", "1.3"), ("libcrypto", "3"))}
    theirs = wheels.make_wheel(tmp_path / "pypi", "demo", "1.0", files)
    scene.install(theirs)
    judged = scene.judge([], [theirs])
    assert lines_of(judged) == [("demo", "1.0", "upstream", "intact")]
    assert judged.findings == []


# --- 14: egg-info ---


@pytest.mark.parametrize(
    "files",
    [
        {"demo-1.0-py3.11.egg-info": metadata("Demo", "1.0")},
        {"demo-1.0-py3.11.egg-info/PKG-INFO": metadata("Demo", "1.0")},
        {"demo-1.0-py3.11.egg-info/METADATA": metadata("Demo", "1.0")},
        {"demo.egg-info/METADATA": metadata("Demo", "1.0"), "demo.egg-info/top_level.txt": b"demo\n"},
    ],
)
def test_case_14_egg_info_as_file_and_as_folder(scene: Scene, files: Mapping[str, bytes]) -> None:
    put(scene.site, files)
    assert lines_of(scene.judge([], [])) == [("demo", "1.0", "unknown", "none")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("installed-files.txt", b"../demo/__init__.py\n../demo/core.py\nPKG-INFO\n"),
        ("top_level.txt", b"demo\n"),
        ("SOURCES.txt", b"setup.py\nsrc/demo/__init__.py\nsrc/demo/core.py\n"),
    ],
)
def test_case_14_its_lists_account_for_its_files(scene: Scene, name: str, text: bytes) -> None:
    info = {"demo-1.0.egg-info/PKG-INFO": metadata("demo", "1.0"), f"demo-1.0.egg-info/{name}": text}
    put(scene.site, {**CODE, **info, "evil.py": b"import os\n"})
    judged = scene.judge([], [])
    assert lines_of(judged) == [("demo", "1.0", "unknown", "none")]
    assert findings_of(judged) == [("unowned-file", "evil.py")]


def test_case_14_what_setup_py_installed_was_built_on_the_spot(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    put(scene.site, {**CODE, "demo-1.0-py3.11.egg-info/PKG-INFO": metadata("demo", "1.0")})
    assert scene.judge([ours], [theirs]).words == ("source", "none")
    assert scene.judge([ours]).words == ("unknown", "none"), "only one side was asked"
    put(scene.site, {"demo/core.py": b"import os\n"})
    assert scene.judge([ours], [theirs]).words == ("unknown", "none"), "a changed module rules source out"


def test_case_14_a_folder_named_egg(scene: Scene) -> None:
    put(
        scene.site,
        {"demo-1.0-py3.11.egg/EGG-INFO/PKG-INFO": metadata("demo", "1.0"), "demo-1.0-py3.11.egg/demo.py": b""},
    )
    judged = scene.judge([], [])
    assert lines_of(judged) == [("demo", "1.0", "unknown", "none")]
    assert judged.findings == []


# --- 15: malformed headers ---


@pytest.mark.parametrize(
    "text",
    [
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nDescription: a\nno header here\nLicense: BSD\n",
        b"Summary: " + b"x" * 100_000 + b"\nName: demo\nVersion: 1.0\n",
        b"Summary: a\n\tName: other\n\tVersion: 9\nName: demo\nVersion: 1.0\n",
        b"Author: \xff\xfe\xe9\x00\nName: demo\nVersion: 1.0\n",
        b"no colon in the first line\nName: demo\nVersion: 1.0\n",
    ],
)
def test_case_15_malformed_headers(scene: Scene, text: bytes) -> None:
    put(scene.site / "other_name-3.0.dist-info", {"METADATA": text, "WHEEL": b""})
    judged = scene.judge([], [])
    assert lines_of(judged) == [("demo", "1.0", "unknown", "none")]
    assert judged.findings == []


@pytest.mark.parametrize("text", [b"", b"\n\nName: late\n", b"Name: -\n", b"\x00" * 70_000])
def test_case_15_metadata_without_a_name_leave_it_to_the_folder(scene: Scene, text: bytes) -> None:
    put(scene.site / "demo-3.0.dist-info", {"METADATA": text, "WHEEL": b""})
    judged = scene.judge([], [])
    assert lines_of(judged) == [("demo", "3.0", "unknown", "none")]
    assert findings_of(judged) == [("unreadable", "demo-3.0.dist-info/METADATA")]


# --- 16: the folder and METADATA disagree ---


def test_case_16_a_local_version_in_the_folder_only(scene: Scene, tmp_path: Path) -> None:
    """uv takes such a wheel: METADATA has the version without its local part."""
    _, theirs = builds(tmp_path, CODE)
    files = {**CODE, "demo/core.py": b"def run():\n    return 43\n"}
    files["demo-1.0+cgr.1.dist-info/METADATA"] = metadata("demo", "1.0")
    ours = wheels.make_wheel(tmp_path / "cgr", "demo", "1.0+cgr.1", files, generator="r 9", sbom=True)
    scene.install(ours)
    judged = scene.judge([ours], [theirs])
    assert lines_of(judged) == [("demo", "1.0", "chainguard", "intact")]
    assert "its metadata say demo 1.0, its folder says demo 1.0+cgr.1" in judged.one.reason


def test_case_16_uv_installs_it_so(scene: Scene, tmp_path: Path) -> None:
    files = {**CODE, "demo-1.0+cgr.1.dist-info/METADATA": metadata("demo", "1.0")}
    ours = wheels.make_wheel(tmp_path / "cgr", "demo", "1.0+cgr.1", files, sbom=True)
    try:
        trees.install([ours], scene.root, by="uv")
    except trees.InstallFailed as problem:
        pytest.skip(f"this uv refuses it: {problem}")
    judged = scene.judge([ours], [])
    assert judged.one.match is not None
    assert lines_of(judged) == [("demo", "1.0", "chainguard", "intact")]


def test_case_16_only_the_folder_has_the_right_name(scene: Scene, tmp_path: Path) -> None:
    """Whoever edits METADATA so that no index knows the project is found out all the same."""
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours)
    (info / "METADATA").write_bytes(metadata("nobody-knows", "7.0"))
    judged = scene.judge([ours], [theirs])
    assert lines_of(judged) == [("nobody-knows", "7.0", "chainguard", "modified")]
    assert "its folder says demo 1.0" in judged.one.reason


def test_case_16_only_metadata_has_the_right_version(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours)
    info.rename(info.with_name("demo-9.9.dist-info"))
    judged = scene.judge([ours], [theirs])
    assert lines_of(judged) == [("demo", "1.0", "chainguard", "intact")]
    assert "its folder says demo 9.9" in judged.one.reason


@pytest.mark.parametrize("folder", ["Demo-1.0.dist-info", "demo-1.0.0.dist-info", "demo.dist-info"])
def test_case_16_spellings_do_not_disagree(scene: Scene, tmp_path: Path, folder: str) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours)
    info.rename(info.with_name(folder))
    judged = scene.judge([ours], [theirs])
    assert lines_of(judged) == [("demo", "1.0", "chainguard", "intact")]
    assert "folder" not in judged.one.reason


# --- 17: names ---


@pytest.mark.parametrize(
    ("raw", "folder", "name"),
    [
        ("Zope.Interface", "zope.interface-1.0.dist-info", "zope-interface"),
        ("Zope.Interface", "Zope.Interface-1.0.dist-info", "zope-interface"),
        ("ruamel.yaml", "ruamel.yaml-1.0.dist-info", "ruamel-yaml"),
        ("Typing_Extensions", "typing_extensions-1.0.dist-info", "typing-extensions"),
        ("Typing_Extensions", "Typing-Extensions-1.0.dist-info", "typing-extensions"),
    ],
)
def test_case_17_names_are_normalised(scene: Scene, tmp_path: Path, raw: str, folder: str, name: str) -> None:
    ours, theirs = builds(tmp_path, {"module.py": b"x = 1\n"}, name=raw)
    info = scene.install(ours)
    info.rename(info.with_name(folder))
    assert lines_of(scene.judge([ours], [theirs])) == [(name, "1.0", "chainguard", "intact")]


# --- 18: the interpreter's own ---

LIBRARY = {"os.py": b"", "site.py": b"", "encodings/__init__.py": b"", "json/__init__.py": b""}


@pytest.mark.parametrize("place", ["", "lib-dynload/"])
def test_case_18_the_interpreters_own_metadata_count_for_nothing(scene: Scene, place: str) -> None:
    library = scene.root / "usr/local/lib/python2.7"
    put(library, {**LIBRARY, f"{place}Python-2.7.18-py2.7.egg-info": metadata("Python", "2.7.18")})
    judged = scene.judge([], [])
    assert lines_of(judged) == [("python", "2.7.18", "local", "none")]
    assert "the interpreter's own metadata" in judged.one.reason
    assert judged.findings == []


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("usr/local/lib/python2.7/Python-3.9.egg-info", "3.9"),
        ("usr/local/lib/python2.7/site-packages/Python-2.7.egg-info", "2.7"),
        ("opt/lib/python2.7/Python-2.7.egg-info", "2.7"),
    ],
)
def test_case_18_anothers_of_that_name_is_a_distribution(scene: Scene, path: str, version: str) -> None:
    put(scene.root / "usr/local/lib/python2.7", LIBRARY)
    put(scene.root, {path: metadata("Python", version)})
    assert lines_of(scene.judge([], [])) == [("python", version, "unknown", "none")]


# --- 45: editable installs ---

_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "VIRTUAL"))}
_PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "1.0"
[tool.setuptools]
packages = ["module"]
package-dir = {{"{package}" = "{folder}"}}
"""


def project(root: Path, name: str, package: str, folder: str) -> Path:
    """A source tree whose packages are in ``folder``; for one package's folder of another name it takes a finder."""
    source = root / "src" / name
    put(source, {f"{folder}/{'' if package else 'module/'}__init__.py": b"VALUE = 1\n"})
    (source / "pyproject.toml").write_text(_PROJECT.format(name=name, package=package, folder=folder))
    return source


def run(*module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *module], capture_output=True, text=True, env=_ENVIRONMENT, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def relocated(root: Path) -> None:
    """Paths inside the tree instead of this machine's, as they are in an image; RECORD follows."""
    for file in [*root.rglob("*.pth"), *root.rglob("__editable__*.py"), *root.rglob("direct_url.json")]:
        text = file.read_text().replace(str(root), "")
        file.write_text(text)
        site = next(parent for parent in file.parents if any(parent.glob("*.dist-info")))
        wheels.fix_record(site, file.relative_to(site).as_posix())


@pytest.fixture(scope="module")
def editables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with editable installs: a path by real pip, a finder by real uv."""
    pytest.importorskip("setuptools")
    root = tmp_path_factory.mktemp("editables")
    where = [project(root, "by-path", "", "code"), f"--prefix={root}/opt/pip", "--ignore-installed"]
    other = [project(root, "By.Finder", "module", "code"), f"--prefix={root}/opt/uv", f"--python={sys.executable}"]
    how = ["install", "-q", "--no-index", "--no-deps", "--no-build-isolation", "-e"]
    run("pip", "--no-input", *how, *map(str, where))
    run("uv", "--no-config", "--no-cache", "pip", *how, *map(str, other))
    relocated(root)
    return root


@pytest.fixture
def edited(editables: Path, scene: Scene) -> Scene:
    """A copy of the editable installs that a test may change."""
    shutil.rmtree(scene.root)
    shutil.copytree(editables, scene.root, symlinks=True)
    return scene


def environments(judged: Judged) -> dict[tuple[str, str], str]:
    return {(one.environment or "", one.name): one.origin.value for one in judged.lines}


def test_case_45_editable_installs_are_local_and_their_shims_no_finding(edited: Scene) -> None:
    for judged in (edited.judge([], []), edited.judge()):
        installed = {key: origin for key, origin in environments(judged).items() if key[0].startswith("/opt")}
        assert sorted(name for _, name in installed) == ["by-finder", "by-path"]
        assert {one.origin for one in judged.lines} == {Origin.LOCAL}, "those of the source trees, too"
        assert judged.findings == []


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("import os; os.system('x')", True),
        ("import evil", True),
        ("import os", True),
        ("/tmp/evil", True),
        ("/src/by-path/more", False),
        ("# a comment", False),
        ("/nowhere/at/all", False),
    ],
)
def test_case_45_a_pth_that_does_more_is_shown(edited: Scene, line: str, shown: bool) -> None:
    """RECORD agrees with it, and direct_url.json says editable: both are the attacker's to write."""
    put(edited.root, {"tmp/evil/evil.py": b"import os\n"})
    [pth] = edited.root.rglob("__editable__.by_path*.pth")
    pth.write_text(f"{pth.read_text()}{line}\n")
    wheels.fix_record(pth.parent, pth.name)
    judged = edited.judge([], [])
    assert [one.path.rpartition("/")[2] for one in judged.findings] == ([pth.name] if shown else [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def install():\n", "def install():\n    __import__('os').system('x')\n"),
        ("import sys\n", "import sys, evil\n"),
        ("NAMESPACES: dict[str, list[str]] = {}", "NAMESPACES: dict[str, list[str]] = __import__('evil').x"),
    ],
)
def test_case_45_a_finder_that_does_more_is_shown(edited: Scene, old: str, new: str) -> None:
    [finder] = edited.root.rglob("__editable___*finder.py")
    text = finder.read_text()
    assert old in text
    finder.write_text(text.replace(old, new, 1))
    wheels.fix_record(finder.parent, finder.name)
    names = {one.path.rpartition("/")[2] for one in edited.judge([], []).findings if one.kind.value == "unowned-file"}
    assert names == {finder.name, "__editable__.by_finder-1.0.pth"}


@pytest.mark.parametrize("name", ["sitecustomize.py", "usercustomize.py", "sitecustomize/__init__.py", "x.start"])
def test_case_45_a_local_install_accounts_for_nothing_that_runs_at_every_start(edited: Scene, name: str) -> None:
    [info] = edited.root.rglob("by_path-1.0.dist-info")
    put(info.parent, {name: b"import evil\n"})
    with (info / "RECORD").open("a") as record:
        record.write(f"{name},,\n")
    assert edited.judge([], []).kinds == ["unowned-file"]


def test_case_45_a_local_install_has_modules_that_only_its_record_knows(scene: Scene, tmp_path: Path) -> None:
    """``pip install .``: no wheel to compare with, no finding for each of its modules."""
    own = wheels.make_wheel(tmp_path / "own", "private", "0.1", {"private/__init__.py": b"", "private_tool.py": b""})
    info = scene.install(own)
    (info / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {}}')
    judged = scene.judge([], [])
    assert judged.words == ("local", "none")
    assert judged.findings == []


EASY = (
    "import sys; sys.__plen = len(sys.path)\n/src/demo\n"
    "import sys; new = sys.path[sys.__plen:]; del sys.path[sys.__plen:]; p = getattr(sys, '__egginsert', 0); "
    "sys.path[p:p] = new; sys.__egginsert = p + len(new)\n"
)


def develop(scene: Scene, *, source: bool = True) -> None:
    """What ``setup.py develop`` of old left behind."""
    put(scene.site, {"Demo.egg-link": b"/src/demo\n.", "easy-install.pth": EASY.encode()})
    if source:
        info = {
            "Demo.egg-info/PKG-INFO": metadata("Demo", "1.0"),
            "Demo.egg-info/SOURCES.txt": b"setup.py\nDemo.egg-info/SOURCES.txt\n",
        }
        put(scene.root / "src/demo", {"setup.py": b"", "demo.py": b"x = 1\n", **info})


def test_case_45_an_egg_link_is_a_local_distribution(scene: Scene) -> None:
    develop(scene)
    judged = scene.judge([], [])
    assert environments(judged) == {(PLACE, "demo"): "local", ("/src/demo", "demo"): "local"}
    assert {one.version for one in judged.lines} == {"1.0"}
    assert judged.findings == []


def test_case_45_an_egg_link_without_its_source_is_dangling(scene: Scene) -> None:
    develop(scene, source=False)
    judged = scene.judge([], [])
    assert lines_of(judged) == [("demo", None, "local", "none")]
    assert findings_of(judged) == [("dangling-link", "Demo.egg-link")]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xff\x00", b"../../../../../../etc\n"])
def test_case_45_egg_links_as_bad_as_they_come(scene: Scene, data: bytes) -> None:
    put(scene.site, {"demo.egg-link": data, "-.egg-link": b"/x\n"})
    (scene.site / "loop.egg-link").symlink_to("loop.egg-link")
    judged = scene.judge([], [])
    assert lines_of(judged) == [("demo", None, "local", "none")]
    assert {path for _, path in findings_of(judged)} == {"demo.egg-link", "-.egg-link", "loop.egg-link"}


def test_case_45_a_source_tree_with_its_metadata_in_src(scene: Scene) -> None:
    info = {"PKG-INFO": metadata("demo", "1.0"), "SOURCES.txt": b"pyproject.toml\nsrc/demo.egg-info/SOURCES.txt\n"}
    put(scene.root / "app", {"pyproject.toml": b"", "src/demo/__init__.py": b"x = 1\n"})
    put(scene.root / "app/src/demo.egg-info", info)
    judged = scene.judge([], [])
    assert lines_of(judged) == [("demo", "1.0", "local", "none")]
    assert judged.findings == []


# --- 46: direct_url.json, provenance_url.json ---


def note(info: Path, document: Mapping[str, object], name: str = "direct_url.json") -> None:
    (info / name).write_text(json.dumps(document))


def archive(wheel: Path, *, old: bool = False) -> dict[str, object]:
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    said: dict[str, object] = {"hash": f"sha256={sha256}"} if old else {"hashes": {"sha256": sha256}}
    return {"url": f"https://example.org/{wheel.name}", "archive_info": said}


def ambiguous(scene: Scene, tmp_path: Path) -> tuple[Path, Path, Path]:
    """(dist-info, Chainguard's, PyPI's): nothing that is left tells the builds apart, not even a RECORD."""
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours, listed=False)
    for name in ("WHEEL", "METADATA"):
        (info / name).unlink()
    shutil.rmtree(info / "sboms")
    assert scene.judge([ours], [theirs]).words[0] == "ambiguous"
    return info, ours, theirs


@pytest.mark.parametrize("name", ["direct_url.json", "provenance_url.json"])
@pytest.mark.parametrize("old", [False, True])
def test_case_46_the_archive_breaks_a_tie_towards_upstream(scene: Scene, tmp_path: Path, name: str, old: bool) -> None:
    info, ours, theirs = ambiguous(scene, tmp_path)
    note(info, archive(theirs, old=old), name)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("upstream", "pruned")
    assert "noted the sha256 of this wheel" in judged.one.reason


@pytest.mark.parametrize("name", ["direct_url.json", "provenance_url.json"])
def test_case_46_the_archive_breaks_no_tie_towards_chainguard(scene: Scene, tmp_path: Path, name: str) -> None:
    info, ours, theirs = ambiguous(scene, tmp_path)
    note(info, archive(ours), name)
    judged = scene.judge([ours], [theirs])
    assert judged.words[0] == "ambiguous"
    assert "noted the sha256 of demo-1.0-py3-none-any.whl of chainguard-shelf" in judged.one.reason


def test_case_46_a_forged_archive_hash_makes_nothing_chainguards(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    note(scene.install(theirs), archive(ours))
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("upstream", "intact")
    assert "noted the sha256 of demo-1.0-py3-none-any.whl of chainguard-shelf" in judged.one.reason


def test_case_46_an_archive_that_nobody_lists_is_said(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    note(scene.install(ours), {"url": "https://x", "archive_info": {"hashes": {"sha256": "ab" * 32}}})
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "intact")
    assert "noted an archive that no index lists (sha256 abababababab" in judged.one.reason


def test_case_46_of_equal_wheels_the_noted_one_is_shown(scene: Scene, tmp_path: Path) -> None:
    """Two wheels with the same members: their zips differ, not what is installed."""
    first = wheels.make_wheel(tmp_path / "a", "demo", "1.0", CODE)
    second = tmp_path / "b" / "demo-1.0-1-py3-none-any.whl"
    second.parent.mkdir()
    shutil.copyfile(first, second)
    with second.open("ab") as end:
        end.write(b"")
    wheels.write_wheel(second, [*reversed(wheels.read_members(first))], record="demo-1.0.dist-info/RECORD")
    for wheel in (first, second):
        note(scene.install(first), archive(wheel))
        match = scene.judge([], [first, second]).one.match
        assert match is not None
        assert match.filename == wheel.name


VCS = {"url": "https://example.org/demo.git", "vcs_info": {"vcs": "git", "commit_id": "0" * 40}}
FOLDER = {"url": "file:///src/demo", "dir_info": {}}


@pytest.mark.parametrize("document", [VCS, FOLDER])
def test_case_46_what_was_installed_from_elsewhere_is_local(
    scene: Scene, tmp_path: Path, document: Mapping[str, object]
) -> None:
    ours, theirs = builds(tmp_path / "listed", CODE)
    own = wheels.make_wheel(tmp_path / "own", "demo", "1.0", {**CODE, "demo/core.py": b"forked = 1\n"}, generator="o 1")
    note(scene.install(own), document)
    assert scene.judge([ours], [theirs]).words == ("local", "none")


@pytest.mark.parametrize("document", [VCS, FOLDER])
def test_case_46_if_all_bytes_are_a_listed_wheels_they_decide(
    scene: Scene, tmp_path: Path, document: Mapping[str, object]
) -> None:
    ours, theirs = builds(tmp_path, CODE)
    note(scene.install(ours), document)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "intact")
    assert "installed from" in judged.one.reason


def test_case_46_an_editable_install_with_a_listed_wheels_metadata_is_local(scene: Scene, tmp_path: Path) -> None:
    """Said by whoever counts METADATA alone: pruned, and verified."""
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours)
    for path in CODE:
        (scene.site / path).unlink()
    put(scene.site, {"demo.pth": b"/src/demo\n"})
    note(info, {"url": "file:///src/demo", "dir_info": {"editable": True}})
    rows = [row for row in wheels.read_record(info / "RECORD") if not row[0].startswith("demo/")]
    rows.append(wheels.record_row("demo.pth", b"/src/demo\n"))
    (info / "RECORD").write_bytes(wheels.record_bytes(rows))
    judged = scene.judge([ours], [theirs])
    assert judged.one.origin is Origin.LOCAL


def test_case_46_a_fork_by_the_same_backend_is_not_modified(scene: Scene, tmp_path: Path) -> None:
    """WHEEL and METADATA are PyPI's, one module is not, and RECORD has it so."""
    ours, theirs = builds(tmp_path, CODE)
    fork = wheels.make_wheel(tmp_path / "fork", "demo", "1.0", {**CODE, "demo/core.py": b"forked = 1\n"})
    info = scene.install(fork)
    assert scene.judge([ours], [theirs]).words == ("upstream", "modified"), "without the note"
    note(info, VCS)
    assert scene.judge([ours], [theirs]).words == ("local", "none")


def test_case_46_a_note_takes_no_change_back(scene: Scene, tmp_path: Path) -> None:
    """RECORD has the wheel's bytes for a file that is there with others."""
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours)
    put(scene.site, {"demo/core.py": b"import os\n"})
    note(info, VCS)
    assert scene.judge([ours], [theirs]).words == ("chainguard", "modified")


# --- 47: private packages ---


def test_case_47_a_private_package_is_unknown_and_stops_nothing(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    scene.install(wheels.make_wheel(tmp_path / "own", "private", "0.1", {"private/__init__.py": b"x = 1\n"}))
    judged = scene.judge([ours], [theirs])
    assert lines_of(judged) == [("demo", "1.0", "chainguard", "intact"), ("private", "0.1", "unknown", "none")]
    assert judged.findings == []
