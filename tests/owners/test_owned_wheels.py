"""Wheel files that a package of the system brought, as Debian's python3-pip-whl: the system's, while as listed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fixtures import trees, wheels
from tests.scenes import Scene, builds

CODE = {"demo/__init__.py": b"VERSION = '1.0'\n"}
PLACE = "usr/share/python-wheels"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def _brought(scene: Scene, wheel: Path) -> Path:
    """The wheel as dpkg has it; its name stays when its bytes change."""
    place = scene.root / PLACE / wheel.name
    place.parent.mkdir(parents=True)
    shutil.copy(wheel, place)
    trees.dpkg_owned(scene.root, "python3-demo-whl", "1.0-1", [f"{PLACE}/{wheel.name}"])
    return place


def test_a_wheel_file_of_a_package_is_the_systems(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    _brought(scene, wheels.make_wheel(tmp_path / "debian", "demo", "1.0", {**CODE, "demo/patch.py": b"X = 1\n"}))
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("os", "intact")
    assert (judged.one.kind.value, judged.one.owner) == ("wheel", "dpkg:python3-demo-whl")
    assert judged.findings == []


def test_a_wheel_file_that_replaced_a_packages_is_judged_by_its_bytes(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE)
    place = _brought(
        scene, wheels.make_wheel(tmp_path / "debian", "demo", "1.0", {**CODE, "demo/patch.py": b"X = 1\n"})
    )
    shutil.copy(ours, place)
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("chainguard", "intact")
    assert judged.one.owner is None


def test_a_wheel_file_that_no_digest_can_be_told_of_is_still_listed(scene: Scene, tmp_path: Path) -> None:
    """Without sums the list is believed, as for installed files; nothing is said of integrity."""
    ours, theirs = builds(tmp_path, CODE)
    _brought(scene, theirs)
    (scene.root / "var/lib/dpkg/info/python3-demo-whl.md5sums").unlink()
    assert scene.judge([ours], [theirs]).words == ("os", "none")
