"""The rules of the matcher, each on real wheel bytes. Names say the contract's rule."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fixtures import wheels
from scanner.index import Evidence, Role, Tier
from tests.scenes import Scene, Shelf, builds, replace_member

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
    "demo/data.txt": b"some data\n",
    "demo/tests/test_core.py": b"def test():\n    pass\n",
}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# --- whole wheels ---


def test_all_bytes_of_chainguards_wheel(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "intact")
    assert judged.one.match is not None
    assert judged.one.match.evidence is Evidence.NOT_UPSTREAM
    assert judged.one.match.files.missing == judged.one.match.files.modified == 0
    assert judged.findings == []


def test_all_bytes_of_pypis_wheel(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("upstream", "intact")
    assert judged.one.available.same_version == ours.name
    assert judged.findings == []


def test_fallback_bytes_on_a_chainguard_index_are_upstream(scene: Scene, tmp_path: Path) -> None:
    _, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    assert scene.judge([theirs], [theirs]).words == ("upstream", "intact")


def test_fallback_bytes_with_a_planted_sbom_are_upstream(scene: Scene, tmp_path: Path) -> None:
    """PyPI itself serves a wheel that carries the marker: the same sha256 decides."""
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    judged = scene.judge([ours], [ours])
    assert judged.words == ("upstream", "intact")
    assert judged.kinds == ["planted-sbom"]


def test_a_fallback_path_makes_it_upstream(scene: Scene, tmp_path: Path) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    assert scene.judge([ours], tier=Tier.FALLBACK).words == ("upstream", "intact")


def test_all_of_upstream_and_chainguard_has_an_sbom_more(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE, same_metadata=True)
    scene.install(theirs)
    assert scene.judge([ours], [theirs]).words == ("upstream", "intact")


def test_chainguards_less_its_sbom_is_ambiguous(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE, same_metadata=True)
    info = scene.install(ours)
    shutil.rmtree(info / "sboms")
    assert scene.judge([ours], [theirs]).words[0] == "ambiguous"


def test_both_complete_the_sbom_decides(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE, same_metadata=True)
    scene.install(ours)
    assert scene.judge([ours], [theirs]).words == ("chainguard", "intact")


# --- evidence ---


def test_evidence_sbom_without_an_upstream(scene: Scene, tmp_path: Path) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    match = scene.judge([ours]).one.match
    assert match is not None
    assert match.evidence is Evidence.SBOM


def test_evidence_path_of_a_built_tier(scene: Scene, tmp_path: Path) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    match = scene.judge([ours], tier=Tier.BUILT).one.match
    assert match is not None
    assert match.evidence is Evidence.PATH


def test_evidence_built_only(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    match = scene.judge([ours], [theirs], built_only=True).one.match
    assert match is not None
    assert match.evidence is Evidence.BUILT_ONLY


def test_built_only_does_not_outweigh_the_same_sha256_upstream(scene: Scene, tmp_path: Path) -> None:
    _, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    assert scene.judge([theirs], [theirs], built_only=True).words == ("upstream", "intact")


def test_evidence_not_upstream_when_upstream_has_no_such_file(scene: Scene, tmp_path: Path) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    match = scene.judge([ours], []).one.match
    assert match is not None
    assert match.evidence is Evidence.NOT_UPSTREAM


@pytest.mark.parametrize(("version", "tier"), [("1.0+cgr.1", None), ("1.0", Tier.BUILT)])
def test_evidence_not_upstream_without_an_sbom(scene: Scene, tmp_path: Path, version: str, tier: Tier | None) -> None:
    """A ``+cgr.N`` version or a built tier does instead, but only where an upstream index was asked."""
    own = wheels.make_wheel(tmp_path / "own", "demo", version, CODE)
    scene.install(own)
    match = scene.judge([own], [], tier=tier).one.match
    assert match is not None
    assert match.evidence is Evidence.NOT_UPSTREAM
    alone = scene.judge([own], tier=tier).one.match
    assert (alone.evidence if alone else None) is (Evidence.PATH if tier else None)


def test_the_ladder_has_a_test_for_every_rung() -> None:
    """Here and in ``test_attesting.py``; the order is the contract's."""
    assert [rung.value for rung in Evidence] == ["attested", "built-only", "not-upstream", "path", "sbom"]
    assert [rung.rung for rung in Evidence] == [0, 1, 2, 3, 4]


def test_an_organisations_own_upload_is_unknown_with_its_match(scene: Scene, tmp_path: Path) -> None:
    own = wheels.make_wheel(tmp_path / "own", "demo", "1.0", CODE)
    scene.install(own)
    judged = scene.judge([own], [])
    assert judged.words == ("unknown", "intact")
    assert judged.one.match is not None
    assert judged.one.match.evidence is None


def test_remediated_version_matches_and_is_offered(scene: Scene, tmp_path: Path) -> None:
    _, theirs = builds(tmp_path, CODE)
    mended = wheels.make_wheel(tmp_path / "cgr", "demo", "1.0+cgr.2", CODE, generator="r 2", sbom=True)
    older = wheels.make_wheel(tmp_path / "cgr", "demo", "1.0+cgr.1", CODE, generator="r 2", sbom=True)
    scene.install(theirs)
    assert scene.judge([mended, older], [theirs]).one.available.remediated == "1.0+cgr.2"


def test_remediated_version_installed(scene: Scene, tmp_path: Path) -> None:
    mended = wheels.make_wheel(tmp_path / "cgr", "demo", "1.0+cgr.2", CODE, generator="r 2", sbom=True)
    scene.install(mended)
    judged = scene.judge([mended], [])
    assert judged.words == ("chainguard", "intact")
    assert judged.one.version == "1.0+cgr.2"


# --- pruned and modified ---


def test_pruned(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    shutil.rmtree(scene.site / "demo/tests")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "pruned")
    assert [(line.state, line.path.rpartition("/")[2]) for line in judged.one.files] == [("missing", "test_core.py")]


@pytest.mark.parametrize("fixed_up", [False, True])
def test_modified_whatever_record_says(scene: Scene, tmp_path: Path, fixed_up: bool) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / "demo/core.py").write_bytes(b"def run():\n    return 43\n")
    if fixed_up:
        wheels.fix_record(scene.site, "demo/core.py")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "modified")
    assert [line.path.rpartition("/")[2] for line in judged.one.files] == ["core.py"]
    assert judged.one.match is not None
    assert judged.one.match.proved


def test_modified_upstream(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    (scene.site / "demo/core.py").write_bytes(b"import os\n")
    assert scene.judge([ours], [theirs]).words == ("upstream", "modified")


def test_nobody_is_accused_on_the_word_of_a_record(scene: Scene, tmp_path: Path) -> None:
    """The wheel on the index has a RECORD that lies about a member: its real bytes are what is installed."""
    ours, theirs = builds(tmp_path, CODE)
    lying = replace_member(ours, tmp_path / "lying", "demo/core.py", b"def run():\n    return 41\n")
    scene.install(lying)
    shelf = Shelf(wheels=[lying], role=Role.CHAINGUARD)
    judged = scene.judge(shelf, [theirs])
    assert judged.words == ("chainguard", "intact")
    assert shelf.whole_reads == [lying.name]


def test_prove_reads_every_matched_wheel(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    shelf = Shelf(wheels=[ours], role=Role.CHAINGUARD)
    judged = scene.judge(shelf, [theirs], prove=True)
    assert judged.one.match is not None
    assert judged.one.match.proved
    assert shelf.whole_reads == [ours.name]
    assert scene.judge(Shelf(wheels=[ours], role=Role.CHAINGUARD), [theirs]).one.match != judged.one.match


# --- lies ---


def test_sbom_planted_in_pypis_build(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(theirs)
    _copy_sbom(ours, info)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("upstream", "intact")
    assert judged.kinds == ["planted-sbom"]


def test_sbom_planted_where_nothing_else_differs(scene: Scene, tmp_path: Path) -> None:
    """RECORD does not know the SBOM, so no installer put it there."""
    ours, theirs = builds(tmp_path, CODE, same_metadata=True)
    info = scene.install(theirs)
    _copy_sbom(ours, info)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("upstream", "intact")
    assert judged.kinds == ["planted-sbom"]


def test_sbom_planted_and_no_upstream_asked(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(theirs)
    _copy_sbom(ours, info)
    judged = scene.judge([ours])
    assert judged.words == ("unknown", "none")
    assert judged.kinds == ["planted-sbom"]


def test_metadata_swapped_between_the_builds(scene: Scene, tmp_path: Path) -> None:
    """All of Chainguard's dist-info over PyPI's compiled code is no Chainguard build."""
    ours = wheels.make_wheel(
        tmp_path / "c", "demo", "1.0", {**CODE, "demo/_fast.so": b"\x7fELF ours"}, generator="r 9", sbom=True
    )
    theirs = wheels.make_wheel(tmp_path / "p", "demo", "1.0", {**CODE, "demo/_fast.so": b"\x7fELF theirs"})
    scene.install(ours)
    (scene.site / "demo/_fast.so").write_bytes(b"\x7fELF theirs")
    assert scene.judge([ours], [theirs]).words[1] == "modified"


def _copy_sbom(ours: Path, info: Path) -> None:
    sbom = next(data for member, data in wheels.read_members(ours) if "/sboms/" in member.filename)
    (info / "sboms").mkdir()
    (info / "sboms/sbom.spdx.json").write_bytes(sbom)


# --- nothing that decides is left ---


def test_stripped_of_all_that_differs_is_ambiguous(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours, listed=False)
    for name in ("WHEEL", "METADATA"):
        (info / name).unlink()
    shutil.rmtree(info / "sboms")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("ambiguous", "pruned")


def test_stripped_and_modified_is_ambiguous_and_modified(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours, listed=False)
    for name in ("WHEEL", "METADATA"):
        (info / name).unlink()
    shutil.rmtree(info / "sboms")
    (scene.site / "demo/core.py").write_bytes(b"evil = 1\n")
    assert scene.judge([ours], [theirs]).words == ("ambiguous", "modified")


def test_record_breaks_a_tie_towards_upstream(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(theirs)
    for name in ("WHEEL", "METADATA"):
        (info / name).unlink()
    assert scene.judge([ours], [theirs]).words == ("upstream", "pruned")


def test_record_never_breaks_a_tie_towards_chainguard(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours)
    for name in ("WHEEL", "METADATA"):
        (info / name).unlink()
    shutil.rmtree(info / "sboms")
    assert scene.judge([ours], [theirs]).words == ("ambiguous", "pruned")


def test_empty_files_tell_nothing(scene: Scene, tmp_path: Path) -> None:
    ours = wheels.make_wheel(
        tmp_path / "c",
        "demo",
        "1.0",
        {**CODE, "demo/py.typed": b""},
        generator="r 9",
        metadata_version="2.4",
        sbom=True,
    )
    theirs = wheels.make_wheel(tmp_path / "p", "demo", "1.0", CODE)
    info = scene.install(theirs, listed=False)
    (scene.site / "demo/py.typed").touch()
    for name in ("WHEEL", "METADATA"):
        (info / name).unlink()
    assert scene.judge([ours], [theirs]).words[0] == "ambiguous"


# --- one side asked ---


def test_code_equal_metadata_of_another_build_and_no_upstream(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    judged = scene.judge([ours])
    assert judged.words == ("unknown", "none")
    assert "code is the listed one's" in judged.one.reason


def test_same_metadata_without_the_sbom_and_no_upstream(scene: Scene, tmp_path: Path) -> None:
    """PyPI's build by the same backend looks just so; a wrong chainguard is the worst bug."""
    ours, theirs = builds(tmp_path, CODE, same_metadata=True)
    scene.install(theirs)
    assert scene.judge([ours]).words == ("unknown", "none")


def test_pruned_chainguard_and_no_upstream(scene: Scene, tmp_path: Path) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    shutil.rmtree(scene.site / "demo/tests")
    assert scene.judge([ours]).words == ("chainguard", "pruned")


def test_modified_chainguard_and_no_upstream(scene: Scene, tmp_path: Path) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / "demo/core.py").write_bytes(b"evil = 1\n")
    assert scene.judge([ours]).words == ("chainguard", "modified")


def test_only_upstream_asked(scene: Scene, tmp_path: Path) -> None:
    _, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    assert scene.judge(None, [theirs]).words == ("upstream", "intact")


def test_chainguards_build_and_only_upstream_asked_is_unknown(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    judged = scene.judge(None, [theirs])
    assert judged.words == ("unknown", "none")
    assert judged.findings == []  # nobody asked Chainguard's index, so the marker is not called planted


def test_on_no_index(scene: Scene, tmp_path: Path) -> None:
    _, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    assert scene.judge([], []).words == ("unknown", "none")


def test_no_index_given(scene: Scene, tmp_path: Path) -> None:
    _, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    assert scene.judge().words == ("unchecked", "none")


def test_other_code_of_the_same_version_is_unknown(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    files = {"demo/__init__.py": b"x=1\n", "demo/core.py": b"y=2\n"}
    other = wheels.make_wheel(tmp_path / "o", "demo", "1.0", files, generator="another 1", metadata_version="2.0")
    scene.install(other)
    assert scene.judge([ours], [theirs]).words[0] == "unknown"


# --- an index that cannot be asked ---


def test_refused_upstream_and_chainguard_explains_every_file(scene: Scene, tmp_path: Path) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    judged = scene.judge([ours], Shelf(wheels=[], role=Role.UPSTREAM, refuses="403"))
    assert judged.words == ("chainguard", "intact")
    assert judged.one.match is not None
    assert judged.one.match.evidence is Evidence.SBOM


def test_refused_upstream_and_a_file_missing_is_unchecked(scene: Scene, tmp_path: Path) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    shutil.rmtree(scene.site / "demo/tests")
    judged = scene.judge([ours], Shelf(wheels=[], role=Role.UPSTREAM, refuses="403"))
    assert judged.words == ("unchecked", "none")
    assert "403" in judged.one.reason


def test_refused_chainguard_and_upstream_explains_every_file(scene: Scene, tmp_path: Path) -> None:
    _, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    judged = scene.judge(Shelf(wheels=[], role=Role.CHAINGUARD, refuses="timed out"), [theirs])
    assert judged.words == ("upstream", "intact")


def test_refused_upstream_and_a_wheel_that_nothing_calls_chainguards(scene: Scene, tmp_path: Path) -> None:
    """It may be a fallback copy of PyPI's: only the index that refused could tell."""
    _, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    assert scene.judge([theirs], Shelf(wheels=[], role=Role.UPSTREAM, refuses="403")).words == ("unchecked", "none")


# --- built from source ---


def test_built_on_the_spot(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    local = wheels.make_wheel(tmp_path / "l", "demo", "1.0", CODE, generator="local 3", metadata_version="2.2")
    scene.install(local)
    assert scene.judge([ours], [theirs]).words == ("source", "none")
    assert scene.judge([ours]).words == ("unknown", "none")


def test_built_on_the_spot_by_chainguards_backend(scene: Scene, tmp_path: Path) -> None:
    """METADATA and even WHEEL are the rebuilt wheel's; no SBOM, and RECORD never had one."""
    ours, theirs = builds(tmp_path, CODE)
    local = wheels.make_wheel(tmp_path / "l", "demo", "1.0", CODE, generator="rebuilder 9", metadata_version="2.4")
    scene.install(local)
    assert scene.judge([ours], [theirs]).words == ("source", "none")


def test_built_on_the_spot_with_compiled_files(scene: Scene, tmp_path: Path) -> None:
    def build(folder: str, so: bytes, tag: str, generator: str, *, sbom: bool = False) -> Path:
        files = {**CODE, "demo/_fast.so": so}
        return wheels.make_wheel(
            tmp_path / folder, "demo", "1.0", files, tag=tag, generator=generator, metadata_version="2.4", sbom=sbom
        )

    ours = build("c", b"\x7fELF c", "cp311-cp311-manylinux_2_28_x86_64", "g 1", sbom=True)
    theirs = build("p", b"\x7fELF p", "cp311-cp311-manylinux_2_17_x86_64", "g 0")
    scene.install(build("l", b"\x7fELF l", "cp311-cp311-linux_x86_64", "g 1"))
    assert scene.judge([ours], [theirs]).words == ("source", "none")


def test_a_changed_py_rules_source_out(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    local = wheels.make_wheel(tmp_path / "l", "demo", "1.0", CODE, generator="local 3", metadata_version="2.2")
    scene.install(local)
    (scene.site / "demo/core.py").write_bytes(b"evil = 1\n")
    assert scene.judge([ours], [theirs]).words[0] not in ("source", "chainguard")


def test_an_edited_wheel_file_is_not_source(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(theirs)
    (info / "WHEEL").write_bytes((info / "WHEEL").read_bytes() + b"X: y\n")
    assert scene.judge([ours], [theirs]).words == ("upstream", "modified")


# --- tags ---


def test_wheels_of_other_interpreters_are_no_candidates(scene: Scene, tmp_path: Path) -> None:
    so = {**CODE, "demo/_fast.so": b"\x7fELF 311"}
    other = {**CODE, "demo/_fast.so": b"\x7fELF 312"}
    ours = [
        wheels.make_wheel(tmp_path / "c", "demo", "1.0", files, tag=tag, generator="r 9", sbom=True)
        for files, tag in ((so, "cp311-cp311-manylinux_2_28_x86_64"), (other, "cp312-cp312-manylinux_2_28_x86_64"))
    ]
    theirs = wheels.make_wheel(tmp_path / "p", "demo", "1.0", so, tag="cp311-cp311-manylinux_2_17_x86_64")
    scene.install(theirs)
    judged = scene.judge(ours, [theirs])
    assert judged.words == ("upstream", "intact")
    assert judged.one.available.same_version == ours[0].name


def test_nothing_available_for_another_machine(scene: Scene, tmp_path: Path) -> None:
    so = {**CODE, "demo/_fast.so": b"\x7fELF"}
    ours = wheels.make_wheel(
        tmp_path / "c", "demo", "1.0", so, tag="cp311-cp311-manylinux_2_28_aarch64", generator="r 9", sbom=True
    )
    theirs = wheels.make_wheel(tmp_path / "p", "demo", "1.0", so, tag="cp311-cp311-manylinux_2_17_x86_64")
    scene.install(theirs)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("upstream", "intact")
    assert judged.one.available.same_version is None


# --- scripts ---

SCRIPT = b"#!python\nimport demo\ndemo.run()\n"


@pytest.mark.parametrize(
    "shebang",
    [
        b"#!/usr/local/bin/python3.11\n",
        b"#!/opt/venv/bin/python\n",
        b"#!/opt/venv/bin/pypy3\n",
        b"#!/bin/sh\n'''exec' /very/long/path/bin/python3 \"$0\" \"$@\"\n' '''\n",
        b"#!/bin/sh\n'''exec' \"/path with spaces/bin/python3\" \"$0\" \"$@\"\n' '''\n",
        b"#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_a_rewritten_shebang_is_by_design(scene: Scene, tmp_path: Path, shebang: bytes) -> None:
    wheel = wheels.make_wheel(tmp_path / "p", "demo", "1.0", CODE, data={"scripts/demo-run": SCRIPT})
    scene.install(wheel)
    script = scene.root / "usr/local/bin/demo-run"
    script.write_bytes(shebang + SCRIPT.partition(b"\n")[2])
    assert scene.judge([], [wheel]).words == ("upstream", "intact")


@pytest.mark.parametrize(
    "script",
    [
        b"#!/usr/local/bin/python3.11\nimport demo\ndemo.run()\nimport evil\n",
        b"#!/bin/evil\nimport demo\ndemo.run()\n",
        b"#!/bin/sh\n'''exec' /bin/python3; rm -rf / \"$0\" \"$@\"\n' '''\nimport demo\ndemo.run()\n",
        b"#!/bin/sh\nevil\n'''exec' /bin/python3 \"$0\" \"$@\"\n' '''\nimport demo\ndemo.run()\n",
        b"#!/usr/bin/env -S evil python\nimport demo\ndemo.run()\n",
    ],
)
def test_any_other_change_of_a_script_is_a_modification(scene: Scene, tmp_path: Path, script: bytes) -> None:
    wheel = wheels.make_wheel(tmp_path / "p", "demo", "1.0", CODE, data={"scripts/demo-run": SCRIPT})
    scene.install(wheel)
    (scene.root / "usr/local/bin/demo-run").write_bytes(script)
    assert scene.judge([], [wheel]).words == ("upstream", "modified")


# --- wheel files ---


def test_wheel_file_by_its_digest(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    (scene.root / "wheels").mkdir()
    shutil.copy(ours, scene.root / "wheels")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "intact")
    assert judged.one.kind.value == "wheel"


def test_wheel_file_with_a_changed_member(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    (scene.root / "wheels").mkdir()
    changed = replace_member(ours, tmp_path / "changed", "demo/core.py", b"evil = 1\n")
    shutil.copy(changed, scene.root / "wheels")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "modified")
    assert judged.one.files[0].path == f"/wheels/{ours.name}!/demo/core.py"


def test_wheel_file_on_no_index(scene: Scene, tmp_path: Path) -> None:
    _, theirs = builds(tmp_path, CODE)
    (scene.root / "wheels").mkdir()
    shutil.copy(theirs, scene.root / "wheels")
    assert scene.judge([], []).words == ("unknown", "none")


# --- several in one environment ---


def test_of_two_dist_infos_the_live_one_is_the_distribution(scene: Scene, tmp_path: Path) -> None:
    _, old = builds(tmp_path / "old", {**CODE, "demo/core.py": b"old = 1\n"}, version="0.9")
    ours, theirs = builds(tmp_path, CODE)
    scene.install(old)
    scene.install(theirs)
    judged = scene.judge([ours], [old, theirs])
    assert judged.words == ("upstream", "intact")
    assert judged.one.version == "1.0"
    assert judged.kinds == ["stale-metadata"]


def test_a_file_that_another_distribution_overwrote_says_so(scene: Scene, tmp_path: Path) -> None:
    first = wheels.make_wheel(
        tmp_path / "p", "first", "1.0", {"shared/__init__.py": b"", "shared/x.py": b"first = 1\n"}
    )
    second = wheels.make_wheel(
        tmp_path / "p", "second", "1.0", {"shared/__init__.py": b"", "shared/x.py": b"second = 1\n"}
    )
    scene.install(first)
    scene.install(second)
    lines = {line.name: line for line in scene.judge([], [first, second]).lines}
    assert lines["second"].integrity.value == "intact"
    assert lines["first"].integrity.value == "modified"
    assert [file.note for file in lines["first"].files] == ["has the bytes of second"]


def test_vendored_is_judged_through_its_owner(scene: Scene, tmp_path: Path) -> None:
    inner = {
        "demo/_vendor/inner-2.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: inner\nVersion: 2.0\n",
        "demo/_vendor/inner-2.0.dist-info/RECORD": b"",
        "demo/_vendor/inner/__init__.py": b"inner = 1\n",
    }
    ours, theirs = builds(tmp_path, {**CODE, **inner})
    scene.install(ours)
    judged = scene.judge([ours], [theirs])
    lines = {line.name: line for line in judged.lines}
    assert lines["inner"].kind.value == "vendored"
    assert (lines["inner"].owner, lines["inner"].origin.value) == ("demo", "chainguard")
    assert lines["inner"].environment is None


def test_nobody_is_vendored_by_a_claim_alone(scene: Scene, tmp_path: Path) -> None:
    """RECORD of an explained owner cannot hide a distribution that its wheel does not have."""
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours)
    evil = scene.site / "demo/evil-1.0.dist-info"
    evil.mkdir()
    (evil / "METADATA").write_bytes(b"Name: evil\nVersion: 1.0\n")
    with (info / "RECORD").open("a") as record:
        record.write("demo/evil-1.0.dist-info/METADATA,,\n")
    lines = {line.name: line for line in scene.judge([ours], [theirs]).lines}
    assert lines["evil"].kind.value == "installed"
    assert lines["evil"].origin.value == "unknown"


def test_local_installs(scene: Scene, tmp_path: Path) -> None:
    own = wheels.make_wheel(tmp_path / "own", "private", "0.1", {"private.py": b"x = 1\n"})
    info = scene.install(own)
    (info / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {"editable": true}}')
    judged = scene.judge([], [])
    assert judged.words == ("local", "none")
    assert not judged.one.applicable
