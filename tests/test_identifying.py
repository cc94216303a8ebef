"""Distributions without metadata: named by their content, or not at all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from packaging.utils import NormalizedName

from fixtures import images, wheels
from scanner.errors import IndexUnavailable
from scanner.index import IndexFile, Role
from scanner.limits import DEFAULT_LIMITS
from scanner.pipeline import Options, scan
from scanner.reference import parse_reference
from scanner.values import as_limit
from scanner.wheel import WheelContents
from tests.scenes import SITE, Scene, Shelf, builds, copy_tree

PLACE = f"/{SITE}"


def code(version: str) -> dict[str, bytes]:
    return {
        "demo/__init__.py": f"VERSION = {version!r}\n".encode(),
        "demo/core.py": b"def run():\n    return 42\n",
        "demo/more.py": b"def more():\n    return 43\n",
    }


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def bare(scene: Scene, *built: Path) -> None:
    """Install wheels and take their metadata away."""
    for wheel in built:
        shutil.rmtree(scene.install(wheel))


def versions(folder: Path, *names: str) -> dict[str, Path]:
    return {name: wheels.make_wheel(folder, "demo", name, code(name)) for name in names}


def test_the_version_whose_files_are_there(scene: Scene, tmp_path: Path) -> None:
    listed = versions(tmp_path / "pypi", "1.0", "1.1", "1.2", "2.0a1")
    bare(scene, listed["1.1"])
    judged = scene.judge([], list(listed.values()))
    assert (judged.one.name, judged.one.version, judged.one.location) == ("demo", "1.1", f"{PLACE}/demo")
    assert (judged.words, judged.findings) == (("unknown", "none"), [])


def test_pruned_and_without_metadata(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, code("1.0"))
    bare(scene, theirs)
    (scene.site / "demo/more.py").unlink()
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("ambiguous", "pruned")
    missing = {file.path for file in judged.one.files}
    assert {f"{PLACE}/demo/more.py", f"{PLACE}/demo-1.0.dist-info/METADATA"} <= missing


def test_a_changed_file_makes_it_unknown_and_is_found(scene: Scene, tmp_path: Path) -> None:
    """It may be a version that nobody lists; so nobody is accused, and the file is told."""
    files = {**code("1.0"), **{f"demo/m{number}.py": b"NUMBER = %d\n" % number for number in range(20)}}
    ours, theirs = builds(tmp_path, files)
    bare(scene, theirs)
    (scene.site / "demo/core.py").write_bytes(b"import os\n")
    judged = scene.judge([ours], [theirs])
    assert (judged.words, judged.one.version) == (("unknown", "none"), None)
    assert "most like 1.0 of the listed versions: 22 files are its, 1 have other bytes" in judged.one.reason
    assert [finding.path for finding in judged.findings] == [f"{PLACE}/demo/core.py"]


def test_another_version_is_one_distribution_and_not_a_list_of_files(scene: Scene, tmp_path: Path) -> None:
    files = {f"demo/m{number}.py": b"NUMBER = %d\n" % number for number in range(20)}
    ours, theirs = builds(tmp_path, files)
    bare(scene, theirs)
    for number in range(5):
        (scene.site / f"demo/m{number}.py").write_bytes(b"NUMBER = 'of another version'\n")
    judged = scene.judge([ours], [theirs])
    assert (judged.one.version, judged.one.origin.value, judged.findings) == (None, "unknown", [])


def test_own_code_of_a_listed_name_is_not_that_project(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, {"demo/run.py": b"def run(): ...\n", "demo/shared.py": b"# a line\n"})
    (scene.site / "demo").mkdir()
    for name in ("__init__", "shared", "orders", "people", "things"):
        (scene.site / f"demo/{name}.py").write_bytes(f"# {name}\n".encode())
    (scene.site / "demo/shared.py").write_bytes(b"# a line\n")
    judged = scene.judge([ours], [theirs])
    assert judged.lines == []
    assert [finding.path for finding in judged.findings] == [f"{PLACE}/demo"]


def test_one_project_of_several_packages(scene: Scene, tmp_path: Path) -> None:
    files = {"yaml/__init__.py": b"import _yaml\n", "yaml/load.py": b"LOAD = 1\n", "_yaml/__init__.py": b"FAST = 1\n"}
    ours, theirs = builds(tmp_path, files, name="PyYAML")
    bare(scene, ours)
    judged = scene.judge([ours], [theirs])
    assert (judged.one.name, judged.one.location, judged.findings) == ("pyyaml", f"{PLACE}/yaml", [])


def test_packages_of_one_namespace(scene: Scene, tmp_path: Path) -> None:
    one = wheels.make_wheel(tmp_path, "zoo-cats", "1.0", {"zoo/cats/__init__.py": b"NAME = 'cats'\n"})
    two = wheels.make_wheel(tmp_path, "zoo-dogs", "1.0", {"zoo/dogs/__init__.py": b"NAME = 'dogs'\n"})
    bare(scene, one, two)
    judged = scene.judge([], [one, two])
    assert [(line.name, line.location) for line in judged.lines] == [
        ("zoo-cats", f"{PLACE}/zoo/cats"),
        ("zoo-dogs", f"{PLACE}/zoo/dogs"),
    ]


def test_what_another_requires(scene: Scene, tmp_path: Path) -> None:
    """No variant of PIL is its project's name; the metadata of what is there say it."""
    metadata = b"Metadata-Version: 2.1\nName: app\nVersion: 1.0\nRequires-Dist: pillow\n"
    files = {"app.py": b"import PIL\n", "app-1.0.dist-info/METADATA": metadata}
    app = wheels.make_wheel(tmp_path, "app", "1.0", files)
    pillow = wheels.make_wheel(tmp_path, "pillow", "9.0", {"PIL/__init__.py": b"NAME = 'pillow'\n"})
    bare(scene, app, pillow)
    judged = scene.judge([], [app, pillow])
    assert [(line.name, line.version, line.location) for line in judged.lines] == [
        ("app", "1.0", f"{PLACE}/app.py"),
        ("pillow", "9.0", f"{PLACE}/PIL"),
    ]


def test_a_wheel_file_in_the_target_is_at_hand(scene: Scene, tmp_path: Path) -> None:
    """Nothing in the name ``helpers`` leads to the project; the wheel that was left behind does."""
    wheel = wheels.make_wheel(tmp_path, "acme-internal", "3.0", {"helpers.py": b"def help():\n    return 'help'\n"})
    bare(scene, wheel)
    (scene.root / "wheels").mkdir()
    shutil.copy(wheel, scene.root / "wheels")
    judged = scene.judge([], [])
    installed = [line for line in judged.lines if line.kind.value == "installed"]
    assert [(line.name, line.version, line.origin.value) for line in installed] == [("acme-internal", "3.0", "unknown")]
    assert judged.findings == []


@dataclass(kw_only=True)
class Snapshot(Shelf):
    """A shelf that can be asked by content."""

    asked: list[bytes] = field(default_factory=list)

    def holding(self, sha256: bytes) -> list[IndexFile]:
        self.asked.append(sha256)
        files = [file for wheel in self.wheels for file in self.files(NormalizedName(wheel.name.partition("-")[0]))]
        return [file for file in files if any(one.sha256 == sha256 for one in self.wheel(file).members.values())]


def test_an_index_that_can_be_asked_by_content(scene: Scene, tmp_path: Path) -> None:
    wheel = wheels.make_wheel(tmp_path, "opencv", "4.0", {"cv2/__init__.py": b"NAME = 'opencv'\n"})
    bare(scene, wheel)
    snapshot = Snapshot(wheels=[wheel], role=Role.UPSTREAM)
    assert scene.judge([], [wheel]).lines == []
    assert (scene.judge([], snapshot).one.name, len(snapshot.asked)) == ("opencv", 1)


def test_an_application_beside_nothing_is_no_environment(scene: Scene) -> None:
    for path in ("app/src/main.py", "app/src/lib/util.py", "var/task/handler.py", "srv/python3.11/tool.py"):
        (scene.root / path).parent.mkdir(parents=True, exist_ok=True)
        (scene.root / path).write_bytes(b"x = 1\n")
    judged = scene.judge([], [])
    assert (judged.lines, judged.findings) == ([], [])


def test_a_lambda_task_without_metadata(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, code("1.0"))
    bare(scene, theirs)
    task = scene.root / "var/task"
    task.mkdir(parents=True)
    shutil.move(scene.site / "demo", task / "demo")
    (task / "handler.py").write_bytes(b"import demo\n")
    judged = scene.judge([ours], [theirs])
    assert (judged.one.environment, judged.one.location) == ("/var/task", "/var/task/demo")
    assert judged.words == ("ambiguous", "pruned")
    assert [finding.path for finding in judged.findings] == ["/var/task/handler.py"]


def test_an_index_that_refuses_decides_nothing(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, code("1.0"))
    bare(scene, theirs)
    refusing = Shelf(wheels=[ours], role=Role.CHAINGUARD, refuses="says 503")
    assert scene.judge(refusing, [theirs]).words == ("unchecked", "none")
    judged = scene.judge(refusing, None)
    assert (judged.lines, judged.kinds) == ([], ["unowned-file"])


def test_many_versions_cost_few_reads(scene: Scene, tmp_path: Path) -> None:
    """Files change one after another, as they do; two hundred versions are not all read."""

    def at(version: int) -> dict[str, bytes]:
        return {f"demo/m{part}.py": f"SINCE = {(version + part) // 40}\n".encode() for part in range(40)}

    listed = [wheels.make_wheel(tmp_path, "demo", f"1.{number}", at(number)) for number in range(200)]
    bare(scene, listed[77])
    shelf = Counting(wheels=listed, role=Role.UPSTREAM)
    judged = scene.judge([], shelf)
    assert (judged.one.name, judged.one.version) == ("demo", "1.77")
    assert len(set(shelf.read)) <= 32


def test_layers_are_those_of_its_files(tmp_path: Path) -> None:
    """Most of the code came with the first layer; the second removed the metadata, the third brought one file more."""
    wheel = wheels.make_wheel(tmp_path, "demo", "1.0", {**code("1.0"), "demo/less.py": b"LESS = 1\n"})
    scene = Scene(tmp_path)
    info = scene.install(wheel)
    late = scene.site / "demo/less.py"
    late.unlink()
    installed = copy_tree(scene.root, tmp_path / "installed")
    shutil.rmtree(info)
    bared = copy_tree(scene.root, tmp_path / "bared")
    late.write_bytes(b"LESS = 1\n")
    blobs = [
        images.layer_from_tree(installed),
        images.layer_from_tree(bared, previous=installed),
        images.layer_from_tree(scene.root, previous=bared),
    ]
    layout = images.write_oci_layout(tmp_path / "image", blobs)
    shelf = Shelf(wheels=[wheel], role=Role.UPSTREAM)
    (report,) = scan(parse_reference(f"oci-dir:{layout}"), indexes=[shelf], options=Options())
    (line,) = report.distributions
    assert (line.name, line.origin.value, line.layer, line.layers) == ("demo", "unknown", 0, (0, 2))
    assert report.findings == ()


def test_an_index_that_answers_nothing_ends_the_scan(scene: Scene, tmp_path: Path) -> None:
    """Without any metadata there is still something to ask."""
    wheel = wheels.make_wheel(tmp_path, "demo", "1.0", code("1.0"))
    bare(scene, wheel)
    shelf = Shelf(wheels=[wheel], role=Role.UPSTREAM, refuses="says 503")
    with pytest.raises(IndexUnavailable):
        scan(parse_reference(f"dir:{scene.root}"), indexes=[shelf], options=Options())


@dataclass(kw_only=True)
class Counting(Shelf):
    """A shelf that notes which wheels were read."""

    read: list[str] = field(default_factory=list)

    def wheel(self, file: IndexFile, *, whole: bool = False) -> WheelContents:
        self.read.append(file.filename)
        return super().wheel(file, whole=whole)


def test_the_changed_file_of_a_small_package_is_found(scene: Scene, tmp_path: Path) -> None:
    """One of three: too many for a tenth, and still few enough to be told by name."""
    ours, theirs = builds(tmp_path, code("1.0"))
    bare(scene, theirs)
    (scene.site / "demo/core.py").write_bytes(b"import os\n")
    judged = scene.judge([ours], [theirs])
    assert judged.words == ("unknown", "none")
    assert [finding.path for finding in judged.findings] == [f"{PLACE}/demo/core.py"]


def test_no_name_is_sent_to_an_index_if_none_may_be(scene: Scene, tmp_path: Path) -> None:
    """A folder's name may be somebody's secret. An index that refuses shows whether it was asked."""
    bare(scene, versions(tmp_path / "pypi", "1.0")["1.0"])
    index = Shelf(wheels=[], role=Role.UPSTREAM, refuses="asked")
    target = parse_reference(f"dir:{scene.root}")
    with pytest.raises(IndexUnavailable, match="asked for the projects"):
        scan(target, indexes=[index], options=Options())
    silent = replace(DEFAULT_LIMITS, guessed_names=int(as_limit("guessed_names=0")[1]))
    [report] = scan(target, indexes=[index], options=Options(limits=silent))
    assert [finding.path for finding in report.findings] == [f"{PLACE}/demo"]
