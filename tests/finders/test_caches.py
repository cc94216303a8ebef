"""What lies in a store is cached; what only lies under a store's name is not. Real pip and uv make the caches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fixtures import wheels
from scanner.index import Role
from tests import stores
from tests.scenes import Judged, Scene, Shelf, builds
from tests.test_artifact import METADATA, tar
from tests.test_cachefiles import URL, cachecontrol, database, hishel, packed, policy

CODE = {"demo/__init__.py": b"VERSION = '1.0'\n", "demo/core.py": b"def run():\n    return 42\n"}
SCRIPT = {"scripts/demo-tool": b"#!python\nprint(1)\n", "purelib/demo_pure.py": b"PURE = True\n"}
ANSWER = "0/1/2/3/4/01234" + "f" * 51


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(Chainguard's, PyPI's) wheel, with scripts and data of its own."""
    folder = tmp_path_factory.mktemp("wheels")
    pypi = wheels.make_wheel(folder / "pypi", "demo", "1.0", CODE, data=SCRIPT)
    rebuilt = wheels.make_wheel(folder / "plain", "demo", "1.0", CODE, data=SCRIPT, generator="rebuilder 9")
    return wheels.add_sbom(rebuilt, folder / "chainguard"), pypi


@pytest.fixture(scope="module")
def uv(pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that uv has filled with Chainguard's wheel."""
    folder = tmp_path_factory.mktemp("uv")
    with stores.cacheable([pair[0]]) as index:
        stores.uv_cache(folder / "cache", index, folder / "target", "demo==1.0")
    return folder / "cache"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def put(scene: Scene, path: str, data: bytes) -> Path:
    """A file in the scene."""
    place = scene.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place


def words(judged: Judged) -> list[tuple[str, str, str, str]]:
    return sorted(stores.said(line) for line in judged.lines)


# --- uv ---


def entry_of(cache: Path) -> Path:
    """The one unpacked wheel of a cache."""
    return next(cache.glob("archive-v*/*/*.dist-info")).parent


def test_an_unpacked_wheel_of_uv(uv: Path, pair: tuple[Path, Path], scene: Scene) -> None:
    shutil.copytree(uv, scene.root / "anywhere/at/all", symlinks=True)
    judged = scene.judge([pair[0]], [pair[1]])
    assert words(judged) == [("cached", "demo", "chainguard", "intact")]  # with scripts at the wheel's paths
    assert judged.one.environment is None
    assert judged.one.match is not None
    assert judged.one.match.files.missing == judged.one.match.files.generated == 0
    assert "; the cache noted the sha256 of this wheel; the cache says: from http://127.0.0.1:" in judged.one.reason
    assert judged.findings == []


def test_a_changed_file_in_a_store(uv: Path, pair: tuple[Path, Path], scene: Scene) -> None:
    shutil.copytree(uv, scene.root / "uv", symlinks=True)
    (entry_of(scene.root / "uv") / "demo/core.py").write_bytes(b"evil = 1\n")
    judged = scene.judge([pair[0]], [pair[1]])
    assert words(judged) == [("cached", "demo", "chainguard", "modified")]
    assert judged.kinds == []


def test_a_pointer_is_no_evidence(uv: Path, pair: tuple[Path, Path], scene: Scene) -> None:
    """PyPI's bytes in an entry of which the pointer says that it is Chainguard's wheel."""
    shutil.copytree(uv, scene.root / "uv", symlinks=True)
    entry = entry_of(scene.root / "uv")
    shutil.rmtree(entry)
    shutil.unpack_archive(pair[1], entry, format="zip")
    judged = scene.judge([pair[0]], [pair[1]])
    assert words(judged) == [("cached", "demo", "upstream", "intact")]
    assert "the cache noted the sha256 of demo-1.0-py3-none-any.whl of chainguard-shelf" in judged.one.reason


def _alone(root: Path) -> None:
    for path in root.iterdir():
        if not path.name.startswith("archive-v"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _installed(root: Path) -> None:
    (next(entry_of(root).glob("*.dist-info")) / "INSTALLER").write_text("pip\n")


def _two(root: Path) -> None:
    shutil.copytree(next(entry_of(root).glob("*.dist-info")), entry_of(root) / "other-1.0.dist-info")


def _venv(root: Path) -> None:
    entry = entry_of(root)
    site = entry / "lib/python3.11/site-packages"
    site.mkdir(parents=True)
    for path in list(entry.iterdir()):
        if path.name != "lib":
            path.rename(site / path.name)
    (entry / "pyvenv.cfg").write_text("version = 3.11.0\n")


def _in_its_own_venv(root: Path) -> None:
    (entry_of(root) / "pyvenv.cfg").write_text("version = 3.11.0\n")


def _on_the_path(root: Path) -> None:
    site = root.parent / "usr/local/lib/python3.11/site-packages"
    (site / "more.pth").write_text("import sys\n# comment\n/" + str(entry_of(root).relative_to(root.parent)) + "\n")


def _renamed(root: Path) -> None:
    (root / "archive-v0").rename(root / "archives")


@pytest.mark.parametrize("change", [_alone, _installed, _two, _venv, _in_its_own_venv, _on_the_path, _renamed])
def test_a_live_environment_does_not_hide_in_a_store(
    uv: Path, pair: tuple[Path, Path], scene: Scene, change: Callable[[Path], None]
) -> None:
    shutil.copytree(uv, scene.root / "uv", symlinks=True)
    change(scene.root / "uv")
    lines = scene.judge([pair[0]], [pair[1]]).lines
    assert {line.kind.value for line in lines} == {"installed"}
    assert all(line.environment is not None for line in lines)


def test_what_is_vendored_in_an_unpacked_wheel(tmp_path: Path) -> None:
    inner = wheels.make_wheel(tmp_path / "inner", "inner", "2.0", {"inner.py": b"INNER = 1\n"})
    vendored = {f"demo/_vendor/{info.filename}": data for info, data in wheels.read_members(inner)}
    chainguard, pypi = builds(tmp_path, {**CODE, **vendored})
    scene = Scene(tmp_path)
    with stores.cacheable([pypi]) as index:
        stores.uv_cache(scene.root / "uv", index, tmp_path / "target", "demo==1.0")
    judged = scene.judge([chainguard], [pypi])
    assert words(judged) == [("cached", "demo", "upstream", "intact"), ("vendored", "inner", "upstream", "intact")]
    assert judged.findings == []


def test_a_wheel_that_uv_built(pair: tuple[Path, Path], scene: Scene) -> None:
    """The wheel, its unpacked form, and where the source is from."""
    revision = scene.root / "uv/sdists-v11/pypi/demo/1.0/Rev"
    other = wheels.make_wheel(revision, "demo", "1.0", CODE, data=SCRIPT, generator="here 1")
    put(
        scene,
        "uv/sdists-v11/pypi/demo/1.0/revision.http",
        packed(["Rev", [], 9]) + policy(URL.replace("py3-none-any.whl", "x.tar.gz")),
    )
    shutil.unpack_archive(other, scene.root / "uv/archive-v0/Id", format="zip")
    (revision / "demo-1.0-py3-none-any").symlink_to("/home/me/.cache/uv/archive-v0/Id")
    judged = scene.judge([pair[0]], [pair[1]])
    assert words(judged) == [("cached", "demo", "source", "none")] * 2
    assert {line.reason.rpartition(": ")[2] for line in judged.lines} == {
        "built from https://libraries.example/python/simple/demo/1.0/demo-1.0-x.tar.gz"
    }


def test_source_trees_of_uv_are_nobodys_environment(pair: tuple[Path, Path], scene: Scene) -> None:
    folder = "uv/sdists-v9/pypi/demo/1.0/Rev/src"
    put(scene, f"{folder}/demo.egg-info/PKG-INFO", METADATA)
    put(scene, f"{folder}/setup.py", b"")
    put(scene, f"{folder}/demo/core.py", CODE["demo/core.py"])
    put(scene, "uv/CACHEDIR.TAG", b"")
    judged = scene.judge([pair[0]], [pair[1]])
    assert [line.kind.value for line in judged.lines] == ["cached"]
    assert judged.findings == []


# --- pip and Poetry ---


def test_answers_of_pip(pair: tuple[Path, Path], scene: Scene) -> None:
    with stores.cacheable([pair[1]]) as index:
        stores.pip_cache(scene.root / "pip", index, "demo==1.0")
    judged = scene.judge([pair[0]], [pair[1]])
    assert words(judged) == [("cached", "demo", "upstream", "intact")]
    assert judged.one.location.endswith(".body")
    assert judged.findings == [], "the index's page beside it is nobody's business"


def test_old_answers_hold_the_wheel_themselves(pair: tuple[Path, Path], scene: Scene) -> None:
    put(scene, f"pip/http/{ANSWER}", cachecontrol(pair[0].read_bytes()))
    put(scene, f"pdm/http/{'a' * 32}", hishel(pair[1].read_bytes(), URL))
    put(scene, f"pdm/http/{'b' * 32}", b"something else")
    judged = scene.judge([pair[0]], [pair[1]])
    assert words(judged) == [("cached", "demo", "chainguard", "intact"), ("cached", "demo", "upstream", "intact")]
    [upstream] = [line for line in judged.lines if line.origin.value == "upstream"]
    assert upstream.reason.endswith(f"; the cache says: from {URL}")
    assert upstream.match is not None
    assert upstream.match.filename == "demo-1.0-py3-none-any.whl"


def test_an_answer_of_before_2018_is_told(scene: Scene) -> None:
    put(scene, f"pip/http/{ANSWER}", b"cc=2,xxxx")
    assert scene.judge([], []).kinds == ["unreadable"]


def test_answers_in_a_database(pair: tuple[Path, Path], scene: Scene, tmp_path: Path) -> None:
    bodies = {
        URL: [pair[1].read_bytes()],
        URL.replace("1.0-py3", "9.9-py3"): [b"<html>"],
        "https://h/simple/": [b"<html>"],
    }
    put(scene, "pdm/http/http-cache.db", database(tmp_path, bodies))
    judged = scene.judge([pair[0]], [pair[1]])
    assert words(judged) == [("cached", "demo", "upstream", "intact")]
    assert judged.one.location == "/pdm/http/http-cache.db!/0/demo-1.0-py3-none-any.whl"
    assert [(one.kind.value, one.path) for one in judged.findings] == [
        ("corrupt-cache", "/pdm/http/http-cache.db!/1/demo-9.9-py3-none-any.whl")
    ]
    put(scene, "pdm/http/http-cache.db", b"SQLite format 3\0" + b"x" * 5000)
    assert scene.judge([], []).kinds == ["unreadable"]


@pytest.mark.parametrize(
    ("headers", "kinds"),
    [
        ({"Content-Type": "text/html"}, []),
        ({"Content-Type": "application/octet-stream"}, []),
        ({"Content-Disposition": "attachment; filename=demo-1.0-py3-none-any.whl"}, ["corrupt-cache"]),
    ],
)
def test_a_body_that_should_be_a_wheel(scene: Scene, headers: Mapping[str, str], kinds: list[str]) -> None:
    put(scene, f"http-v2/{ANSWER}", cachecontrol(b"", **headers))
    put(scene, f"http-v2/{ANSWER}.body", b"<html>not found</html>")
    judged = scene.judge([], [])
    assert (judged.lines, judged.kinds) == ([], kinds)


def test_a_cut_body_is_corrupt_whatever_its_head_says(pair: tuple[Path, Path], scene: Scene) -> None:
    put(scene, f"http-v2/{ANSWER}.body", pair[0].read_bytes()[:-30])
    judged = scene.judge([pair[0]], [pair[1]])
    assert (judged.lines, judged.kinds) == ([], ["corrupt-cache"])
    assert judged.findings[0].path == f"/http-v2/{ANSWER}.body"


def test_a_wheel_that_pip_built(pair: tuple[Path, Path], scene: Scene) -> None:
    folder = scene.root / "pip/wheels/aa/bb/cc" / ("d" * 50)
    wheels.make_wheel(folder, "demo", "1.0", CODE, data=SCRIPT, generator="here 1")
    (folder / "origin.json").write_text(
        json.dumps({"url": "https://me:secret@host/demo-1.0.tar.gz", "archive_info": {}})
    )
    judged = scene.judge([pair[0]], [pair[1]])
    assert words(judged) == [("cached", "demo", "source", "none")]
    assert judged.one.reason.endswith("; the cache says: built from https://host/demo-1.0.tar.gz")


def test_the_same_artifact_twice_is_two_lines(pair: tuple[Path, Path], scene: Scene) -> None:
    for name in (ANSWER, "a" + ANSWER[1:].replace("/01234", "/a1234")):
        put(scene, f"http-v2/{name}.body", pair[0].read_bytes())
    shelf = Shelf(wheels=[pair[0]], role=Role.CHAINGUARD)
    judged = scene.judge(shelf, [pair[1]])
    assert words(judged) == [("cached", "demo", "chainguard", "intact")] * 2
    assert shelf.whole_reads == []


# --- source archives ---


SDIST = {"demo-1.0/PKG-INFO": METADATA.replace(b"Demo.Pkg", b"demo"), "demo-1.0/setup.py": b""}
IN_POETRY = f"artifacts/aa/bb/cc/{'d' * 58}/demo-1.0.tar.gz"


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(tar(SDIST))
    return path


@pytest.mark.parametrize(
    ("on_chainguard", "on_pypi", "built_only", "origin", "integrity"),
    [
        (False, True, False, "upstream", "intact"),
        (True, True, True, "upstream", "intact"),  # the same bytes on PyPI are PyPI's
        (True, False, False, "unknown", "intact"),  # nothing says that Chainguard made it
        (True, False, True, "chainguard", "intact"),
        (False, False, False, "unknown", "none"),
    ],
)
def test_whose_a_source_archive_is(
    scene: Scene, sdist: Path, on_chainguard: bool, on_pypi: bool, built_only: bool, origin: str, integrity: str
) -> None:
    put(scene, IN_POETRY, sdist.read_bytes())
    put(scene, f"http-v2/{ANSWER}.body", sdist.read_bytes())
    judged = scene.judge([sdist] if on_chainguard else [], [sdist] if on_pypi else [], built_only=built_only)
    assert words(judged) == [("cached", "demo", origin, integrity)] * 2
    if integrity == "none":
        assert all("a source archive, and no index lists its sha256" in line.reason for line in judged.lines)
    else:
        assert all("its sha256 is that of" in line.reason for line in judged.lines)


def test_a_source_archive_is_nobodys_built_only_without_pypis_word(scene: Scene, sdist: Path) -> None:
    put(scene, IN_POETRY, sdist.read_bytes())
    assert scene.judge([sdist], built_only=True).words == ("unknown", "intact")
    refusing = Shelf(wheels=[], role=Role.UPSTREAM, refuses="no")
    assert scene.judge([sdist], refusing, built_only=True).one.origin.value == "unchecked"


def test_a_source_archive_that_is_none(scene: Scene) -> None:
    put(scene, IN_POETRY, b"<html>")
    judged = scene.judge([], [])
    assert (judged.lines, judged.kinds) == ([], ["corrupt-cache"])


def test_what_is_in_a_source_archive_is_nobodys_bundle(scene: Scene) -> None:
    inside = {**SDIST, "demo-1.0/demo.egg-info/PKG-INFO": METADATA, "demo-1.0/demo/x.py": b"x = 1\n"}
    put(scene, IN_POETRY, tar(inside))
    put(scene, f"http-v2/{ANSWER}.body", tar(inside))
    judged = scene.judge([], [])
    assert words(judged) == [("cached", "demo", "unknown", "none")] * 2
    assert judged.findings == []


def test_an_archive_that_names_nothing_is_told(scene: Scene) -> None:
    put(scene, IN_POETRY.replace("demo-1.0", "main"), tar({"main/setup.py": b""}))
    put(scene, f"http-v2/{ANSWER}.body", tar({"repo-main/pyproject.toml": b""}))
    judged = scene.judge([], [])
    assert (judged.lines, judged.kinds) == ([], ["unreadable"] * 2)


# --- PDM and virtualenv ---


@pytest.mark.parametrize(
    ("folder", "mark", "kind"),
    [
        ("demo-1.0-py3-none-any.whl.cache", ".lock", "cached"),
        ("demo-1.0-py3-none-any", ".referrers", "cached"),
        ("demo-1.0-py3-none-any.whl.cache", "nothing", "installed"),
        ("demo-1.0", ".lock", "installed"),
    ],
)
def test_packages_of_pdm(pair: tuple[Path, Path], scene: Scene, folder: str, mark: str, kind: str) -> None:
    place = scene.root / "pdm/packages" / folder
    shutil.unpack_archive(pair[0], place, format="zip")
    (place / mark).write_bytes(b"")
    assert words(scene.judge([pair[0]], [pair[1]]))[0][0] == kind


def test_what_virtualenv_copies_from(pair: tuple[Path, Path], scene: Scene) -> None:
    place = scene.root / "virtualenv/wheel/3.11/image/1/CopyPipInstall/demo-1.0-py3-none-any"
    shutil.unpack_archive(pair[1], place, format="zip")
    (place / "demo-1.0.dist-info/INSTALLER").write_text("pip\n")
    assert words(scene.judge([pair[0]], [pair[1]])) == [("cached", "demo", "upstream", "intact")]
