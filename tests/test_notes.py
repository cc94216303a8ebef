"""Notes on changed files; a changed file stays changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures import wheels
from tests.scenes import Scene, builds

CODE = {"demo/__init__.py": b"VERSION = '1.0'\n", "demo/core.py": b"def run():\n    return 42\n"}
SCRIPT = b"#!python\nimport demo.core\ndemo.core.run()\n"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def with_script(folder: Path) -> Path:
    made = wheels.make_wheel(folder, "demo", "1.0", CODE, data={"scripts/demo": SCRIPT})
    return wheels.add_sbom(made, folder)


@pytest.mark.parametrize("first", [b"#!/bin/sh -c evil", b"#!/usr/bin/env python3", b"#!/bin/sh \x1b[31m" + b"x" * 500])
def test_the_first_line_of_a_script(scene: Scene, tmp_path: Path, first: bytes) -> None:
    ours = with_script(tmp_path / "made")
    scene.install(ours)
    script = scene.root / "usr/local/bin/demo"
    rest = SCRIPT.partition(b"\n")[2]
    script.write_bytes(b"#!/usr/local/bin/python3.11\n" + rest)
    assert scene.judge([ours], []).words == ("chainguard", "intact")
    script.write_bytes(first + b"\n" + rest)
    judged = scene.judge([ours], [])
    assert judged.words == ("chainguard", "modified")
    note = judged.one.files[0].note or ""
    said = first.decode().replace("\x1b", "?")[:80]
    assert note == f"only its first line differs, and no installer writes that: {said}"
    script.write_bytes(first + b"\n" + rest + b"more()\n")
    assert [file.note for file in scene.judge([ours], []).one.files] == [None]


def test_record_that_disagrees_says_nothing(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / "demo/core.py").write_bytes(b"def run():\n    return 43\n")
    assert [file.note for file in scene.judge([ours], [theirs]).one.files] == [None]


def test_several_notes_on_one_file(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / "demo/core.py").write_bytes(CODE["demo/core.py"].replace(b"\n", b"\r\n"))
    wheels.fix_record(scene.site, "demo/core.py")
    (file,) = scene.judge([ours], [theirs]).one.files
    first, second = (file.note or "").split("; ")
    assert first == "only its newlines differ: CRLF instead of LF"
    assert second.startswith("RECORD says so too")


def test_an_unexplained_distribution_whose_record_has_the_bytes(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path / "a", CODE)
    own = wheels.make_wheel(tmp_path / "b", "private", "0.1", {"demo/core.py": b"PRIVATE = 1\n"})
    scene.install(ours)
    scene.install(own)
    judged = scene.judge([ours], [theirs])
    assert [file.note for file in judged.lines[0].files] == ["has the bytes that RECORD of private lists"]
