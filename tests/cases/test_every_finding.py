"""Every kind of finding of the contract: a target in which it appears, and its twin in which it must not."""

from __future__ import annotations

import importlib.util
import py_compile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fixtures import bundles, images, wheels
from scanner.distribution import FindingKind
from scanner.index import Role
from scanner.pipeline import Options, scan
from scanner.reference import parse_reference
from tests.scenes import SITE, Scene, Shelf, builds

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def main():\n    return 42\n",
    "demo-1.0.dist-info/entry_points.txt": b"[console_scripts]\ndemo = demo.core:main\n",
}
MARKER = "sboms/sbom.spdx.json"
POOL = "root/.cache/pypoetry/artifacts/0a/1b/2c/" + "d" * 58
RUN = b"import sys\nfrom demo.core import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
Spoil = Callable[[Scene, "Wheels"], object]


class Wheels:
    """Both builds of one project."""

    def __init__(self, folder: Path) -> None:
        self.ours, self.theirs = builds(folder, CODE)

    def sbom(self) -> bytes:
        """Chainguard's own."""
        [content] = [data for info, data in wheels.read_members(self.ours) if info.filename.endswith(MARKER)]
        return content


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    return Wheels(tmp_path_factory.mktemp("wheels"))


def put(scene: Scene, path: str, content: bytes) -> Path:
    place = scene.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def told(target: str, pair: Wheels) -> Mapping[FindingKind, list[str]]:
    """The paths of a scan's findings."""
    shelves = [Shelf(wheels=[pair.ours], role=Role.CHAINGUARD), Shelf(wheels=[pair.theirs], role=Role.UPSTREAM)]
    [report] = scan(parse_reference(target), indexes=shelves, options=Options())
    return {kind: [one.path for one in report.findings if one.kind is kind] for kind in FindingKind}


# --- trees ---


def _module(scene: Scene, pair: Wheels) -> None:
    put(scene, f"{SITE}/demo/extra.py", b"import os\n")


def _data(scene: Scene, pair: Wheels) -> None:
    put(scene, f"{SITE}/demo/extra.txt", b"import os\n")


def _marked(scene: Scene, pair: Wheels) -> None:
    put(scene, f"{SITE}/demo-1.0.dist-info/{MARKER}", pair.sbom())


def _other_sbom(scene: Scene, pair: Wheels) -> None:
    put(scene, f"{SITE}/demo-1.0.dist-info/sboms/auditwheel.cdx.json", b'{"bomFormat": "CycloneDX"}')


def _compiled(scene: Scene, pair: Wheels) -> None:
    py_compile.compile(str(scene.site / "demo/core.py"), doraise=True)


def _stale(scene: Scene, pair: Wheels) -> None:
    _compiled(scene, pair)
    code = Path(importlib.util.cache_from_source(str(scene.site / "demo/core.py")))
    data = bytearray(code.read_bytes())
    data[12] ^= 1  # the source's size
    code.write_bytes(data)


def _second_metadata(scene: Scene, pair: Wheels) -> None:
    put(scene, f"{SITE}/demo-0.9.dist-info/METADATA", b"Metadata-Version: 2.1\nName: demo\nVersion: 0.9\n")
    put(scene, f"{SITE}/demo-0.9.dist-info/RECORD", wheels.record_bytes([wheels.record_row("demo/old.py", b"old\n")]))


def _another_project(scene: Scene, pair: Wheels) -> None:
    put(scene, f"{SITE}/demo_more-0.9.dist-info/METADATA", b"Metadata-Version: 2.1\nName: demo-more\nVersion: 0.9\n")
    put(scene, f"{SITE}/demo_more-0.9.dist-info/RECORD", b"")


def _dangling(scene: Scene, pair: Wheels) -> None:
    (scene.site / "gone-1.0.dist-info").symlink_to("/root/.cache/uv/archive-v0/abc/gone-1.0.dist-info")


def _linked(scene: Scene, pair: Wheels) -> None:
    (scene.site / "demo-1.0.dist-info").rename(scene.root / "demo-1.0.dist-info")
    (scene.site / "demo-1.0.dist-info").symlink_to("/demo-1.0.dist-info")


def _no_wheel(scene: Scene, pair: Wheels) -> None:
    put(scene, f"wheels/{pair.ours.name}", b"<html>moved</html>")


def _wheel(scene: Scene, pair: Wheels) -> None:
    put(scene, f"wheels/{pair.ours.name}", pair.ours.read_bytes())


def _frozen(scene: Scene, pair: Wheels) -> None:
    put(scene, "app/tool", bundles.pyinstaller(["demo.core", "secret"])).chmod(0o755)


def _program(scene: Scene, pair: Wheels) -> None:
    put(scene, "app/tool", bundles.elf(b"no Python in it")).chmod(0o755)


def _cached_page(scene: Scene, pair: Wheels) -> None:
    put(scene, f"{POOL}/{pair.ours.name}", b"<html>moved</html>")


def _cached_wheel(scene: Scene, pair: Wheels) -> None:
    put(scene, f"{POOL}/{pair.ours.name}", pair.ours.read_bytes())


def _script(body: bytes) -> Spoil:
    def spoil(scene: Scene, pair: Wheels) -> None:
        put(scene, "usr/local/bin/demo", b"#!/usr/local/bin/python3.11\n" + body)

    return spoil


@pytest.mark.parametrize(
    ("kind", "appears", "must_not"),
    [
        (FindingKind.UNOWNED_FILE, _module, _data),
        (FindingKind.PLANTED_SBOM, _marked, _other_sbom),
        (FindingKind.STALE_BYTECODE, _stale, _compiled),
        (FindingKind.STALE_METADATA, _second_metadata, _another_project),
        (FindingKind.DANGLING_LINK, _dangling, _linked),
        (FindingKind.UNREADABLE, _no_wheel, _wheel),
        (FindingKind.OPAQUE_BUNDLE, _frozen, _program),
        (FindingKind.CORRUPT_CACHE, _cached_page, _cached_wheel),
        (FindingKind.MODIFIED_SCRIPT, _script(b"import os\n" + RUN), _script(RUN)),
    ],
    ids=lambda value: value.value if isinstance(value, FindingKind) else "",
)
def test_a_finding_of_a_tree(kind: FindingKind, appears: Spoil, must_not: Spoil, tmp_path: Path, pair: Wheels) -> None:
    for name, spoil, count in (("appears", appears, 1), ("must not", must_not, 0)):
        scene = Scene(tmp_path / name.replace(" ", "-"))
        scene.install(pair.theirs)
        spoil(scene, pair)
        found = told(f"dir:{scene.root}", pair)
        assert len(found[kind]) == count, (name, found)
        assert not any(paths for other, paths in found.items() if other is not kind), (name, found)


# --- layers ---


def test_an_entry_that_cannot_be_applied_and_one_that_can(tmp_path: Path, pair: Wheels) -> None:
    for name, entries, count in (
        ("escapes", [images.file_entry("../../etc/passwd", b"root")], 1),
        ("climbs", [images.dir_entry("a"), images.symlink_entry("a/up", "../../../etc")], 0),
    ):
        tar = tmp_path / f"{name}.tar"
        tar.write_bytes(images.tar_of([images.dir_entry("etc"), *entries]))
        found = told(f"file:{tar}", pair)
        assert len(found[FindingKind.UNSAFE_ENTRY]) == count
        assert not any(paths for other, paths in found.items() if other is not FindingKind.UNSAFE_ENTRY)
