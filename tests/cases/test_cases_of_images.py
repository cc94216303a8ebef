"""Layers and images as they come: cases 61 to 64 of the facts."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from fixtures.images import (
    Entry,
    LayerBlob,
    dir_entry,
    file_entry,
    hardlink_entry,
    image_config,
    json_bytes,
    layer_from_entries,
    multi_platform_layout,
    opaque_entry,
    symlink_entry,
    whiteout_entry,
    write_index_of,
    write_manifest,
    write_oci_layout,
)
from fixtures.wheels import read_members
from scanner.errors import UnsupportedTarget
from scanner.image import Platform
from scanner.index import Role
from scanner.pipeline import Options, scan
from scanner.reference import parse_reference
from scanner.report import Report
from tests.scenes import SITE, Shelf, builds

CODE = {"demo/__init__.py": b"VERSION = '1.0'\n", "demo/core.py": b"def run():\n    return 42\n"}
Words: TypeAlias = tuple[str, str, str, int | None]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(Chainguard's, PyPI's) wheel."""
    return builds(tmp_path_factory.mktemp("wheels"), CODE)


def unpacked(wheel: Path, folder: str = SITE) -> list[Entry]:
    """A wheel's members as entries of a layer."""
    return [file_entry(f"{folder}/{info.filename}", data) for info, data in read_members(wheel)]


def scanned(
    pair: tuple[Path, Path], layers: Sequence[Sequence[Entry]], folder: Path, *, all_layers: bool = False
) -> Report:
    layout = write_oci_layout(folder / "image", [layer_from_entries(one) for one in layers])
    return report_of(f"oci-dir:{layout}", pair, Options(all_layers=all_layers))


def report_of(target: str, pair: tuple[Path, Path], options: Options | None = None) -> Report:
    shelves = [Shelf(wheels=[pair[0]], role=Role.CHAINGUARD), Shelf(wheels=[pair[1]], role=Role.UPSTREAM)]
    [report] = scan(parse_reference(target), indexes=shelves, options=options or Options())
    return report


def words(report: Report) -> list[Words]:
    return [(line.location, line.origin.value, line.integrity.value, line.layer) for line in report.distributions]


INFO = f"/{SITE}/demo-1.0.dist-info"


@pytest.mark.parametrize("mark", [whiteout_entry(SITE), opaque_entry(SITE)], ids=["whiteout", "opaque"])
@pytest.mark.parametrize("late", [False, True], ids=["before the files", "behind the files"])
def test_case_61_site_packages_are_hidden_and_filled_again(
    mark: Entry, late: bool, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    ours, theirs = unpacked(pair[0]), unpacked(pair[1])
    again = [*ours, mark] if late else [mark, *ours]
    report = scanned(pair, [theirs, [dir_entry(SITE), *again]], tmp_path, all_layers=True)
    assert words(report) == [(INFO, "chainguard", "intact", 1), (INFO, "upstream", "intact", 0)]
    assert [line.hidden for line in report.distributions] == [False, True]


LINKED = "usr/lib/python3/dist-packages"
BEHIND_LINKS = {
    "whiteout of a file": [whiteout_entry("lib/python3/dist-packages/demo/core.py")],
    "whiteout of the metadata": [whiteout_entry("lib/python3/dist-packages/demo-1.0.dist-info")],
    "whiteout of the link": [whiteout_entry("lib")],
    "opaque": [dir_entry(LINKED), opaque_entry("lib/python3/dist-packages"), file_entry(f"{LINKED}/other.txt")],
    "opaque, and files behind the link": [
        opaque_entry("lib/python3/dist-packages/demo"),
        file_entry("lib/python3/dist-packages/demo/core.py", CODE["demo/core.py"]),
    ],
    "nothing": [file_entry("lib/x")],
}
"""``/lib`` is a link to ``usr/lib``, by which a layer above reaches what the layer below has."""


@pytest.mark.parametrize("name", BEHIND_LINKS)
def test_case_62_hidden_through_a_linked_parent(name: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    """What real unpacking leaves, and nothing else: the folder that umoci makes of the image says the same."""
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not installed")
    base = [dir_entry("usr/lib"), symlink_entry("lib", "usr/lib"), *unpacked(pair[0], LINKED)]
    report = scanned(pair, [base, BEHIND_LINKS[name]], tmp_path)
    rootless = () if os.geteuid() == 0 else ("--rootless",)
    command = ["umoci", "raw", "unpack", *rootless, "--image", f"{tmp_path}/image:latest", f"{tmp_path}/tree"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    disk = report_of(f"dir:{tmp_path}/tree", pair)
    assert [word[:3] for word in words(report)] == [word[:3] for word in words(disk)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("whiteout of a file", ("chainguard", "pruned")),
        ("whiteout of the metadata", None),
        ("whiteout of the link", ("chainguard", "intact")),
        ("opaque", None),
        ("opaque, and files behind the link", ("chainguard", "pruned")),
        ("nothing", ("chainguard", "intact")),
    ],
)
def test_case_62_through_a_linked_parent_it_is_the_target_s_files(
    name: str, expected: tuple[str, str] | None, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    base = [dir_entry("usr/lib"), symlink_entry("lib", "usr/lib"), *unpacked(pair[0], LINKED)]
    found = words(scanned(pair, [base, BEHIND_LINKS[name]], tmp_path))
    installed = [word for word in found if word[0].endswith("demo-1.0.dist-info")]
    assert installed == ([(f"/{LINKED}/demo-1.0.dist-info", *expected, 0)] if expected else [])


def test_case_63_reinstalled_from_another_index(pair: tuple[Path, Path], tmp_path: Path) -> None:
    gone = [whiteout_entry(f"{SITE}/demo"), whiteout_entry(f"{SITE}/demo-1.0.dist-info")]
    layers = [[file_entry("etc/os-release")], unpacked(pair[1]), [*gone, *unpacked(pair[0])]]
    [line] = scanned(pair, layers, tmp_path).distributions
    assert (line.origin.value, line.integrity.value, line.layer, line.layers) == ("chainguard", "intact", 2, (2,))


def test_case_63_one_file_replaced_later(pair: tuple[Path, Path], tmp_path: Path) -> None:
    hotfix = [file_entry(f"{SITE}/demo/core.py", b"def run():\n    return 43\n")]
    owner_changed = unpacked(pair[0])
    [line] = scanned(pair, [unpacked(pair[0]), [], owner_changed, hotfix], tmp_path).distributions
    assert (line.origin.value, line.integrity.value, line.layer) == ("chainguard", "modified", 0)
    assert line.layers == (0, 2, 3)
    assert [(file.path, file.layer) for file in line.files] == [(f"/{SITE}/demo/core.py", 3)]


def test_case_64_attestations_are_no_images(pair: tuple[Path, Path], tmp_path: Path) -> None:
    layers = [layer_from_entries(unpacked(pair[0]))]
    layout = multi_platform_layout(tmp_path / "image", {"linux/amd64": layers, "linux/arm64": layers})
    shelves = [Shelf(wheels=[pair[0]], role=Role.CHAINGUARD), Shelf(wheels=[pair[1]], role=Role.UPSTREAM)]
    reports = scan(parse_reference(f"oci-dir:{layout}"), indexes=shelves, options=Options(platform="all"))
    assert [report.target.platform for report in reports] == ["linux/amd64", "linux/arm64"]
    [one] = scan(
        parse_reference(f"oci-dir:{layout}"),
        indexes=shelves,
        options=Options(platform=Platform.parse("linux/arm64")),
    )
    assert words(one) == [(INFO, "chainguard", "intact", 0)]


@pytest.mark.parametrize("compression", ["gzip", "zstd", None])
@pytest.mark.parametrize("said", ["tar", "tar.gzip", "tar.zstd"])
def test_case_64_compression_is_told_by_the_bytes(
    compression: str | None, said: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    layer = layer_from_entries(unpacked(pair[0]), compression=compression)  # type: ignore[arg-type]
    media_type = f"application/vnd.docker.image.rootfs.diff.{said}"
    layout = layout_of([layer], tmp_path, media_type=media_type)
    assert words(report_of(f"oci-dir:{layout}", pair)) == [(INFO, "chainguard", "intact", 0)]


def layout_of(layers: Sequence[LayerBlob], folder: Path, *, media_type: str) -> Path:
    """A layout whose manifest calls its layers so."""
    config = json_bytes(image_config(layers))
    kept: list[bytes] = []

    def change(manifest: dict[str, object]) -> None:
        for layer in manifest["layers"]:  # type: ignore[attr-defined]
            layer["mediaType"] = media_type
        kept.append(json_bytes(manifest))

    write_manifest(folder / "image", config, layers, change=change)
    return write_index_of(folder / "image", kept[0])


def test_case_64_an_artifact_is_no_image(pair: tuple[Path, Path], tmp_path: Path) -> None:
    blob = replace(layer_from_entries([file_entry("model.bin", b"x")]), compression=None)
    layout = layout_of([blob], tmp_path, media_type="application/vnd.example.model.v1+bin")
    with pytest.raises(UnsupportedTarget):
        report_of(f"oci-dir:{layout}", pair)


def test_case_64_many_layers_deep_links_names_twice_and_ways_out(pair: tuple[Path, Path], tmp_path: Path) -> None:
    deep = [symlink_entry(f"links/{number}", f"{number + 1}") for number in range(130)]
    twice = [file_entry(f"{SITE}/demo/core.py", b"the first is not what runs\n"), *unpacked(pair[0])]
    out = [file_entry("../../etc/passwd", b"x"), hardlink_entry("h", "../outside"), file_entry("/abs/../../x")]
    rest = [[file_entry(f"srv/{number}")] for number in range(73)]
    report = scanned(pair, [[*deep, *twice, *out], *rest], tmp_path)
    assert words(report) == [(INFO, "chainguard", "intact", 0)]
    assert len(report.target.layers) == 74
    assert {finding.kind.value for finding in report.findings} == {"unsafe-entry"}
