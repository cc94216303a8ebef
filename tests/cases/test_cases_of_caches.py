"""Caches, and environments that are made of links into them: cases 39 to 42 and 59 of the facts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fixtures import images, trees, wheels
from tests import stores
from tests.scenes import Judged, Scene, builds, copy_tree

VENV = f"opt/venv/lib/python{trees.RUNNING}/site-packages"
CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
    "demo/data.txt": b"data\n",
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(Chainguard's, PyPI's) wheel."""
    return builds(tmp_path_factory.mktemp("wheels"), CODE)


def of_kind(judged: Judged, kind: str) -> list[tuple[str, str, str]]:
    """(location, origin, integrity) of the lines of one kind."""
    lines = [line for line in judged.lines if line.kind.value == kind]
    return [(line.location, line.origin.value, line.integrity.value) for line in lines]


@pytest.fixture(scope="module", params=["root/.cache/uv", "a/store"])
def linked(request: pytest.FixtureRequest, pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a venv whose files uv has linked from its cache; in a tar either of the two comes first."""
    root = tmp_path_factory.mktemp("linked") / "root"
    trees.install([pair[0]], root, by="uv", layout="venv", uv_cache=root / str(request.param))
    return root


def test_case_39_hard_links_between_a_cache_and_a_venv_in_one_layer(linked: Path, pair: tuple[Path, Path]) -> None:
    layer = images.layer_from_tree(linked)
    assert (linked / VENV / "demo/core.py").stat().st_nlink == 2, "uv has made hard links"
    judged = stores.judged_layers([layer], [pair[0]], [pair[1]])
    assert of_kind(judged, "installed") == [(f"/{VENV}/demo-1.0.dist-info", "chainguard", "intact")]
    [(location, *words)] = of_kind(judged, "cached")
    assert words == ["chainguard", "intact"]
    assert "/archive-v0/" in location
    assert len(judged.lines) == 2
    assert judged.findings == []


def test_case_40_hard_links_to_a_lower_layer_and_to_nothing(linked: Path, pair: tuple[Path, Path]) -> None:
    """The cache in the lower layer, the venv above it made of links to it; one more links to what is not there."""
    files = {str(path.relative_to(linked)): path.read_bytes() for path in linked.rglob("*") if path.is_file()}
    cached = {data: name for name, data in files.items() if "archive-v0" in name}
    lower = [images.file_entry(name, data) for name, data in files.items() if not name.startswith("opt/")]
    upper = [
        images.hardlink_entry(name, cached[data]) if data in cached else images.file_entry(name, data)
        for name, data in files.items()
        if name.startswith("opt/")
    ]
    assert len([entry for entry in upper if entry[0].islnk()]) >= len(CODE)
    gone = images.hardlink_entry(f"{VENV}/demo/gone.py", "root/.cache/uv/archive-v0/gone/demo/gone.py")
    layers = [images.layer_from_entries(lower), images.layer_from_entries([*upper, gone])]
    judged = stores.judged_layers(layers, [pair[0]], [pair[1]])
    assert of_kind(judged, "installed") == [(f"/{VENV}/demo-1.0.dist-info", "chainguard", "intact")]
    assert [words for _, *words in of_kind(judged, "cached")] == [["chainguard", "intact"]]
    assert [(one.kind.value, one.path, one.layer) for one in judged.findings] == [
        ("dangling-link", f"/{VENV}/demo/gone.py", 1)
    ]


@pytest.fixture(scope="module")
def symlinked(pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a venv that uv has made of symbolic links into its cache."""
    root = tmp_path_factory.mktemp("symlinked") / "root"
    site = root / VENV
    site.mkdir(parents=True)
    (root / "opt/venv/pyvenv.cfg").write_text(f"home = /usr/bin\nversion_info = {trees.RUNNING}.0\n")
    with stores.cacheable([pair[0]]) as index:
        stores.uv_cache(root / "root/.cache/uv", index, site, "demo==1.0", mode="symlink")
    for path in root.rglob("*"):
        if path.is_symlink() and (target := str(path.readlink())).startswith(str(root)):
            path.unlink()
            path.symlink_to(target.removeprefix(str(root)))
    assert (site / "demo/core.py").is_symlink()
    return root


def test_case_41_symlinks_into_a_cache_that_is_there(symlinked: Path, pair: tuple[Path, Path]) -> None:
    judged = stores.judged_layers([images.layer_from_tree(symlinked)], [pair[0]], [pair[1]])
    assert of_kind(judged, "installed") == [(f"/{VENV}/demo-1.0.dist-info", "chainguard", "intact")]
    assert [words for _, *words in of_kind(judged, "cached")] == [["chainguard", "intact"]]
    [cached] = [line for line in judged.lines if line.kind.value == "cached"]
    assert "the cache noted the sha256 of this wheel" in cached.reason
    assert judged.findings == []


def test_case_42_symlinks_into_a_cache_that_was_only_mounted(
    symlinked: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    root = copy_tree(symlinked, tmp_path / "root")
    shutil.rmtree(root / "root")
    judged = stores.judged_layers([images.layer_from_tree(root)], [pair[0]], [pair[1]])
    assert of_kind(judged, "installed") == [(f"/{VENV}/demo-1.0.dist-info", "unknown", "none")], "it is still listed"
    assert judged.one.name == "demo"
    assert judged.one.version == "1.0"
    assert "none of its files is there" in judged.one.reason
    [finding] = judged.findings
    assert (finding.kind.value, finding.path) == ("dangling-link", f"/{VENV}/demo-1.0.dist-info")
    links = sum(path.is_symlink() for path in (root / VENV).rglob("*"))
    assert finding.detail.startswith(f"{links} of its files are links to files that are not there")


def test_case_59_caches_in_an_image_are_cached_and_not_installed(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """pip's answers with whole wheels, pip's and Poetry's wheels, uv's unpacked ones; buckets of any number."""
    chainguard, pypi = pair
    scene = Scene(tmp_path)
    scene.install(pypi)
    home = scene.root / "root/.cache"
    with stores.cacheable([chainguard]) as index:
        stores.pip_cache(home / "pip", index, "demo==1.0")
        stores.uv_cache(home / "uv", index, tmp_path / "elsewhere", "demo==1.0")
    for folder, hashed in (("pip/wheels", 50), ("pypoetry/artifacts", 58)):
        place = home / folder / "aa/bb/cc" / ("d" * hashed)
        place.mkdir(parents=True)
        shutil.copy(pypi, place)
    later = home / "later"
    shutil.copytree(home / "uv", later, symlinks=True)
    for bucket in list(later.glob("*-v*")):
        bucket.rename(f"{bucket}7")
    judged = scene.judge([chainguard], [pypi])
    assert [words for _, *words in of_kind(judged, "installed")] == [["upstream", "intact"]]
    cached = of_kind(judged, "cached")
    assert sorted(words[0] for _, *words in cached) == ["chainguard"] * 3 + ["upstream"] * 2
    assert all(integrity == "intact" for *_, integrity in cached)
    stored = {location.split("/")[3] for location, *_ in cached}
    assert stored == {"pip", "uv", "pypoetry", "later"}
    assert judged.findings == []
    assert [line.environment is None for line in judged.lines].count(False) == 1


def test_case_59_a_cached_wheel_that_is_none(pair: tuple[Path, Path], tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    whole = pair[1].read_bytes()
    middle = len(whole) // 2
    broken = {
        "html": (b"<!DOCTYPE html><html>404</html>", "an HTML page"),
        "json": (b'{"errors": [{"status": 503}]}', "JSON"),
        "empty": (b"", "it is empty"),
        "cut": (whole[:middle], "a zip"),
        "flipped": (whole.replace(b"PK\x01\x02", b"PK\x01\x03"), "a zip"),
    }
    for number, (data, _) in enumerate(broken.values()):
        place = scene.root / f"cache/aa/bb/cc/{number:050x}"
        place.mkdir(parents=True)
        (place / "demo-1.0-py3-none-any.whl").write_bytes(data)
    judged = scene.judge([pair[0]], [pair[1]])
    assert judged.lines == []
    found = {finding.path.split("/")[5]: finding for finding in judged.findings}
    assert {finding.kind.value for finding in judged.findings} == {"corrupt-cache"}
    for number, (_, words) in enumerate(broken.values()):
        assert words in found[f"{number:050x}"].detail
    outside = scene.root / "wheels/demo-1.0-py3-none-any.whl"
    outside.parent.mkdir()
    outside.write_bytes(b"<html>")
    assert "unreadable" in scene.judge([pair[0]], [pair[1]]).kinds, "outside of a cache it is not corrupt, but unread"


def test_case_59_a_wheel_whose_crc_is_wrong(pair: tuple[Path, Path], tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    data = bytearray(
        wheels.make_wheel(tmp_path / "big", "demo", "1.0", {"demo/x.py": bytes(range(256)) * 40}).read_bytes()
    )
    data[60] ^= 1
    place = scene.root / f"cache/aa/bb/cc/{'0' * 58}"
    place.mkdir(parents=True)
    (place / "demo-1.0-py3-none-any.whl").write_bytes(data)
    judged = scene.judge([pair[0]], [pair[1]])
    assert (judged.lines, judged.kinds) == ([], ["corrupt-cache"])
