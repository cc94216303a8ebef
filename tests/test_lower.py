"""What lower layers still carry: what counts as hidden, where it is judged, and that nothing else changes by it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import wheels
from fixtures.images import (
    Entry,
    LayerBlob,
    dir_entry,
    file_entry,
    hardlink_entry,
    layer_from_entries,
    layer_from_tree,
    opaque_entry,
    symlink_entry,
    tar_of,
    whiteout_entry,
    write_docker_archive,
    write_oci_layout,
)
from scanner.distribution import Finding
from scanner.errors import LimitExceeded
from scanner.finders import find
from scanner.index import Role
from scanner.inventories import take_inventory
from scanner.inventory import Inventory
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.lower import Identity, hidden_in, identity
from scanner.pipeline import Options, scan
from scanner.reference import parse_reference
from scanner.report import DistributionLine, Report
from scanner.rootfs import RootFS
from tests.scenes import SITE, Scene, Shelf, builds

CODE = {"demo/__init__.py": b"VERSION = '1.0'\n", "demo/core.py": b"def run():\n    return 42\n"}
Step: TypeAlias = Callable[[Scene], object]
Words: TypeAlias = tuple[str, str | None, bool, int | None, str, str]


class Wheels:
    """Two builds of one release, an upgrade, and a project with a part inside."""

    def __init__(self, folder: Path) -> None:
        self.ours, self.theirs = builds(folder, CODE)
        self.new = wheels.make_wheel(folder / "new", "demo", "2.0", {"demo/__init__.py": b"VERSION = '2.0'\n"})
        inner = {
            "demo/_vendor/inner-3.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: inner\nVersion: 3.0\n",
            "demo/_vendor/inner/__init__.py": b"inner = 3\n",
        }
        self.vendoring = wheels.make_wheel(folder / "vendoring", "demo", "1.5", {**CODE, **inner})

    def shelves(self) -> list[Shelf]:
        return [
            Shelf(wheels=[self.ours], role=Role.CHAINGUARD),
            Shelf(wheels=[self.theirs, self.new, self.vendoring], role=Role.UPSTREAM),
        ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    return Wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "scene")


def layers_of(scene: Scene, *steps: Step) -> list[LayerBlob]:
    """A layer for what each step changes in the tree."""
    layers = []
    for number, step in enumerate(steps):
        before = scene.root.parent / f"before-{number}"
        shutil.copytree(scene.root, before, symlinks=True)
        step(scene)
        layers.append(layer_from_tree(scene.root, previous=before))
    return layers


def scanned(
    made: Wheels, layers: Sequence[LayerBlob], folder: Path, *, all_layers: bool = True, **changes: object
) -> Report:
    layout = write_oci_layout(folder / "image", layers)
    options = replace(Options(all_layers=all_layers), **changes)  # type: ignore[arg-type]
    [report] = scan(parse_reference(f"oci-dir:{layout}"), indexes=made.shelves(), options=options)
    return report


def words(lines: Sequence[DistributionLine]) -> list[Words]:
    return [
        (line.name, line.version, line.hidden, line.layer, line.origin.value, line.integrity.value) for line in lines
    ]


def hidden(report: Report) -> list[Words]:
    return words([line for line in report.distributions if line.hidden])


def installs(wheel: Path) -> Step:
    """As pip does it: what is there of the project goes first."""

    def step(scene: Scene) -> None:
        removes(scene)
        scene.install(wheel)

    return step


def touches(scene: Scene) -> None:
    """What ``chown -R`` does to a layer: every file again, with its bytes."""
    for path in scene.site.rglob("*"):
        path.chmod(0o755)


def removes(scene: Scene) -> None:
    for path in scene.site.glob("demo*"):
        shutil.rmtree(path)


# --- what is hidden ---


def test_removed(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    report = scanned(made, layers_of(scene, installs(made.ours), removes), tmp_path)
    assert words(report.distributions) == [("demo", "1.0", True, 0, "chainguard", "intact")]
    [line] = report.distributions
    assert line.environment == f"/{SITE}"
    assert line.reason.endswith("; hidden since layer 1")
    assert line.match is not None


def test_below_an_opaque_folder(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    layers = layers_of(scene, installs(made.ours))
    layers.append(layer_from_entries([dir_entry(SITE), opaque_entry(SITE), file_entry(f"{SITE}/x.txt")]))
    assert words(scanned(made, layers, tmp_path).distributions) == [("demo", "1.0", True, 0, "chainguard", "intact")]


def test_upgraded(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    report = scanned(made, layers_of(scene, installs(made.theirs), installs(made.new)), tmp_path)
    assert words(report.distributions) == [
        ("demo", "1.0", True, 0, "upstream", "intact"),
        ("demo", "2.0", False, 1, "upstream", "intact"),
    ]


def test_the_same_version_from_another_index(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    report = scanned(made, layers_of(scene, installs(made.theirs), installs(made.ours)), tmp_path)
    assert words(report.distributions) == [
        ("demo", "1.0", False, 1, "chainguard", "intact"),
        ("demo", "1.0", True, 0, "upstream", "intact"),
    ]


def test_a_build_that_differs_in_its_licence_only(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    licence = "demo-1.0.dist-info/LICENSE"
    first, second = (
        wheels.make_wheel(tmp_path / name, "demo", "1.0", {**CODE, licence: name.encode()}) for name in ("one", "two")
    )
    report = scanned(made, layers_of(scene, installs(first), installs(second)), tmp_path)
    assert [(line.hidden, line.layer) for line in report.distributions] == [(False, 1), (True, 0)]


def test_each_of_several_is_told_with_the_layer_that_hides_it(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    steps = [installs(made.theirs), lambda _: None, installs(made.ours), installs(made.new)]
    report = scanned(made, layers_of(scene, *steps), tmp_path)
    assert [(line.layer, line.reason.rpartition("; ")[2]) for line in report.distributions if line.hidden] == [
        (0, "hidden since layer 2"),
        (2, "hidden since layer 3"),
    ]


def test_metadata_overwritten(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    def overwrites(scene: Scene) -> None:
        (scene.site / "demo-1.0.dist-info/METADATA").write_text("Name: demo\nVersion: 1.0\n")

    report = scanned(made, layers_of(scene, installs(made.ours), overwrites), tmp_path)
    assert words(report.distributions) == [
        ("demo", "1.0", False, 1, "chainguard", "modified"),
        ("demo", "1.0", True, 0, "chainguard", "intact"),
    ]


def test_a_wheel_file_that_was_installed_and_removed(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    def copies(scene: Scene) -> None:
        (scene.root / "wheels").mkdir()
        shutil.copy(made.ours, scene.root / "wheels")

    def installs_it(scene: Scene) -> None:
        scene.install(made.ours)
        shutil.rmtree(scene.root / "wheels")

    report = scanned(made, layers_of(scene, copies, installs_it), tmp_path)
    assert words(report.distributions) == [
        ("demo", "1.0", False, 1, "chainguard", "intact"),
        ("demo", "1.0", True, 0, "chainguard", "intact"),
    ]
    assert [line.kind.value for line in report.distributions] == ["installed", "wheel"]


def test_removed_in_two_steps_is_judged_where_it_was_complete(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    steps = [
        installs(made.ours),
        lambda scene: shutil.rmtree(scene.site / "demo"),
        lambda scene: shutil.rmtree(scene.site / "demo-1.0.dist-info"),
    ]
    report = scanned(made, layers_of(scene, *steps), tmp_path)
    assert words(report.distributions) == [("demo", "1.0", True, 0, "chainguard", "intact")]
    assert report.distributions[0].reason.endswith("hidden since layer 2")


def test_parts_of_a_hidden_one_are_its(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    report = scanned(made, layers_of(scene, installs(made.vendoring), removes), tmp_path)
    assert [(line.name, line.kind.value, line.owner, line.hidden) for line in report.distributions] == [
        ("demo", "installed", None, True),
        ("inner", "vendored", "demo", True),
    ]


def test_of_two_metadata_of_one_project_the_live_one_was_there(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    def leaves_a_second(scene: Scene) -> None:
        scene.install(made.theirs)
        shutil.rmtree(scene.site / "demo")
        scene.install(made.new)

    report = scanned(made, layers_of(scene, leaves_a_second, removes), tmp_path)
    assert hidden(report) == [("demo", "2.0", True, 0, "upstream", "intact")]
    assert report.findings == ()


# --- what is not ---


@pytest.mark.parametrize(
    "again",
    [
        lambda made: touches,
        lambda made: installs(made.ours),
        lambda made: lambda scene: (scene.site / "demo-1.0.dist-info/INSTALLER").write_bytes(b"uv\n"),
        lambda made: lambda scene: (scene.site / "demo/core.py").write_bytes(b"changed\n"),
        lambda made: lambda scene: shutil.rmtree(scene.site / "demo"),
        lambda made: lambda scene: (scene.root / "etc").mkdir(),
    ],
    ids=["other modes", "the same again", "another installer", "a file changed", "its files gone", "nothing of it"],
)
def test_what_the_top_still_shows_is_not_hidden(
    again: Callable[[Wheels], Step], scene: Scene, made: Wheels, tmp_path: Path
) -> None:
    report = scanned(made, layers_of(scene, installs(made.ours), again(made)), tmp_path)
    assert [line.hidden for line in report.distributions] == [False]


def test_removed_and_installed_again_later_is_not_hidden(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    report = scanned(made, layers_of(scene, installs(made.ours), removes, installs(made.ours)), tmp_path)
    assert words(report.distributions) == [("demo", "1.0", False, 2, "chainguard", "intact")]


# --- the report ---


def test_hidden_ones_count_for_nothing_but_their_number(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    layers = layers_of(scene, installs(made.theirs), installs(made.ours))
    summary = scanned(made, layers, tmp_path).summary
    assert (summary.distributions, summary.applicable, summary.verified, summary.coverage) == (2, 1, 1, 100.0)
    assert summary.by_origin == {"chainguard": 1, "upstream": 1}
    assert summary.upgradable == 0


def test_every_source_says_the_same(scene: Scene, made: Wheels, tmp_path: Path) -> None:
    layers = layers_of(scene, installs(made.theirs), installs(made.ours), removes)
    expected = scanned(made, layers, tmp_path).distributions
    assert len(expected) == 2
    for style in ("classic", "modern"):
        archive = write_docker_archive(tmp_path / f"{style}.tar", layers, style=style)
        reference = parse_reference(f"docker-archive:{archive}")
        [report] = scan(reference, indexes=made.shelves(), options=Options(all_layers=True))
        assert report.distributions == expected


def test_a_folder_has_no_lower_layers(scene: Scene, made: Wheels) -> None:
    scene.install(made.ours)
    reports = [
        scan(parse_reference(f"dir:{scene.root}"), indexes=made.shelves(), options=Options(all_layers=all_layers))
        for all_layers in (False, True)
    ]
    assert reports[0][0].distributions == reports[1][0].distributions


def test_an_index_that_is_needed_for_hidden_ones_alone_and_is_silent(
    scene: Scene, made: Wheels, tmp_path: Path
) -> None:
    layout = write_oci_layout(tmp_path / "image", layers_of(scene, installs(made.ours), removes))
    shelf = Shelf(wheels=[], role=Role.CHAINGUARD, refuses="503")
    options = Options(all_layers=True, offline=True)
    [report] = scan(parse_reference(f"oci-dir:{layout}"), indexes=[shelf], options=options)
    assert words(report.distributions) == [("demo", "1.0", True, 0, "unchecked", "none")]


# --- cost ---


def inventories(layers: Sequence[Sequence[Entry]]) -> list[Inventory]:
    return [take_inventory(cast("BinaryIO", io.BytesIO(tar_of(one))), limits=DEFAULT_LIMITS) for one in layers]


def found_in(taken: Sequence[Inventory]) -> list[Identity]:
    return [identity(one) for one in find(RootFS.of(taken)) if not isinstance(one, Finding)]


def hidden_of(layers: Sequence[Sequence[Entry]], limits: Limits = DEFAULT_LIMITS) -> set[Identity]:
    taken = inventories(layers)
    top = [one for one in find(RootFS.of(taken)) if not isinstance(one, Finding)]
    return set(hidden_in(taken, top, limits))


def metadata(version: str, folder: str = "site") -> list[Entry]:
    text = f"Metadata-Version: 2.1\nName: demo\nVersion: {version}\n".encode()
    return [file_entry(f"{folder}/demo-{version}.dist-info/METADATA", text)]


def test_no_tree_is_looked_at_where_nothing_relevant_is_hidden() -> None:
    """The look is what ``hidden_entries`` bounds: here it may not cost more than the entries of the layers above."""
    busy = [
        file_entry("etc/passwd", b"1"),
        file_entry("var/lib/dpkg/status", b"Package: x\n"),
        file_entry("srv/app.py"),
    ]
    base = [*metadata("1.0"), *busy]
    above = [
        [file_entry("etc/passwd", str(number).encode()), file_entry("var/lib/dpkg/status", b"Package: y\n" * number)]
        for number in range(2, 20)
    ]
    limits = replace(DEFAULT_LIMITS, hidden_entries=sum(map(len, above)))
    assert hidden_of([base, *above], limits) == set()
    with pytest.raises(LimitExceeded, match="limit hidden_entries"):
        hidden_of([base, *above, [whiteout_entry("site/demo-1.0.dist-info")]], limits)


@pytest.mark.parametrize(
    "through",
    [
        whiteout_entry("l/demo-1.0.dist-info"),
        file_entry("l/demo-1.0.dist-info/METADATA", b"Name: x\n"),
        opaque_entry("l"),
    ],
    ids=["whiteout", "file", "opaque"],
)
def test_hidden_through_a_link_of_the_same_layer(through: Entry) -> None:
    assert len(hidden_of([metadata("1.0"), [symlink_entry("l", "site"), through]])) == 1


def test_a_hundred_layers_that_hide_each_other() -> None:
    upper = [[whiteout_entry(f"site/demo-{number - 1}.dist-info"), *metadata(str(number))] for number in range(1, 100)]
    assert len(hidden_of([metadata("0"), *upper])) == 99


# --- against a model ---

NAMES = st.sampled_from(["site", "l", "other"])
METADATA = st.builds(metadata, st.sampled_from(["1.0", "2.0"]), NAMES).map(lambda entries: entries[0])
PATHS = st.sampled_from(
    ["site", "l", "other", "site/demo-1.0.dist-info", "l/demo-1.0.dist-info", "other/demo-2.0.dist-info", "site/x.py"]
)
LAYER = st.lists(
    st.one_of(
        METADATA,
        st.builds(
            file_entry, PATHS.map(lambda path: f"{path}/METADATA"), st.sampled_from([b"Name: a\n", b"Name: b\n"])
        ),
        st.builds(file_entry, PATHS, st.sampled_from([b"1", b"2"])),
        st.builds(symlink_entry, st.sampled_from(["l", "other"]), st.sampled_from(["site", "other", "/site"])),
        st.builds(
            hardlink_entry, PATHS.map(lambda path: f"{path}/METADATA"), PATHS.map(lambda path: f"{path}/METADATA")
        ),
        st.builds(whiteout_entry, PATHS),
        st.builds(opaque_entry, PATHS),
        st.builds(dir_entry, PATHS),
    ),
    max_size=5,
)


@settings(max_examples=120)
@given(st.lists(LAYER, min_size=2, max_size=5))
def test_what_is_hidden_is_what_some_lower_tree_shows_and_the_top_does_not(layers: list[list[Entry]]) -> None:
    taken = inventories(layers)
    top = found_in(taken)
    below = {which for height in range(1, len(taken)) for which in found_in(taken[:height])}
    more = [(place, parts) for place, parts in (*top, *below)]
    whole = {which for which in below if not any(place == which[0] and parts > which[1] for place, parts in more)}
    assert hidden_of(layers) == whole - set(top)


STEPS = ("ours", "theirs", "new", "remove", "touch")


@settings(max_examples=6)
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=5))
def test_what_runs_is_the_same_in_both_scopes(
    tmp_path_factory: pytest.TempPathFactory, made: Wheels, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("scopes")
    meaning: dict[str, Step] = {
        "ours": installs(made.ours),
        "theirs": installs(made.theirs),
        "new": installs(made.new),
        "remove": removes,
        "touch": touches,
    }
    layers = layers_of(Scene(folder / "scene"), *(meaning[step] for step in steps))
    squashed = scanned(made, layers, folder, all_layers=False)
    whole = scanned(made, layers, folder)
    assert tuple(line for line in whole.distributions if not line.hidden) == squashed.distributions
    assert whole.findings == squashed.findings
    assert replace(whole.summary, distributions=0, by_origin={}, by_integrity={}) == replace(
        squashed.summary, distributions=0, by_origin={}, by_integrity={}
    )
