"""Wheel files, archives and frozen programs: cases 12, 13 and 55 to 57 of the facts."""

from __future__ import annotations

import ensurepip
import shutil
import tarfile
import zipapp
from collections.abc import Mapping
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from fixtures import bundles, images, trees, wheels
from scanner.finders import stale_bytecode
from scanner.inventories import take_directory
from scanner.limits import DEFAULT_LIMITS
from scanner.rootfs import RootFS
from tests.scenes import SITE, Judged, Scene, builds
from tests.stores import judged_layers

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
    "demo/data.txt": b"some data\n",
    "demo-1.0.data/scripts/demo-tool": b"#!python\nprint(1)\n",
}
PURE = {name: content for name, content in CODE.items() if ".data/" not in name}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(Chainguard's, PyPI's) wheel."""
    return builds(tmp_path_factory.mktemp("wheels"), CODE)


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same without a script."""
    return builds(tmp_path_factory.mktemp("pure"), PURE)


def put(scene: Scene, path: str, content: bytes) -> None:
    place = scene.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def put_all(folder: Path, files: Mapping[str, bytes]) -> Path:
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def said(judged: Judged) -> list[tuple[str, str, str, str]]:
    """(kind, location, origin, integrity) of every line."""
    return [(one.kind.value, one.location, one.origin.value, one.integrity.value) for one in judged.lines]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# --- 12, 13: wheel files ---


def test_case_12_seed_wheels_are_wheel_files_and_not_installed(scene: Scene) -> None:
    """The wheels that this Python has for ``venv``, where ensurepip and where virtualenv keep them."""
    seeds = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    if not seeds:
        pytest.skip("this Python has no wheels in ensurepip")
    homes = ["usr/local/lib/python3.11/ensurepip/_bundled", f"{SITE}/virtualenv/seed/wheels/embed"]
    for home in homes:
        put(scene, f"{home}/{seeds[0].name}", seeds[0].read_bytes())
    judged = scene.judge(upstream=[seeds[0]])
    assert said(judged) == [("wheel", f"/{home}/{seeds[0].name}", "upstream", "intact") for home in sorted(homes)]
    assert all(one.environment is None for one in judged.lines)
    assert all(one.match is not None and one.match.filename == seeds[0].name for one in judged.lines)


@pytest.mark.parametrize("folder", ["wheels", "tmp", "opt"])
def test_case_13_loose_wheels_match_by_their_sha256(scene: Scene, pair: tuple[Path, Path], folder: str) -> None:
    ours, theirs = pair
    put(scene, f"{folder}/{ours.name}", ours.read_bytes())
    judged = scene.judge([ours], [theirs])
    assert said(judged) == [("wheel", f"/{folder}/{ours.name}", "chainguard", "intact")]
    assert "installed" not in judged.one.reason


def test_case_13_the_reason_says_whether_a_loose_wheel_is_also_installed(scene: Scene, pair: tuple[Path, Path]) -> None:
    ours, theirs = pair
    put(scene, f"wheels/{ours.name}", ours.read_bytes())
    scene.install(theirs)
    judged = scene.judge([ours], [theirs])
    loose = next(one for one in judged.lines if one.kind.value == "wheel")
    assert loose.reason.endswith(f"; demo 1.0 is also installed in /{SITE}")
    assert [line[0::2] for line in sorted(said(judged))] == [("installed", "upstream"), ("wheel", "chainguard")]


# --- 55: layers for AWS Lambda ---


@pytest.mark.parametrize("home", ["python/lib/python3.11/site-packages", "python"])
def test_case_55_a_zipped_layer_is_opened(scene: Scene, pure: tuple[Path, Path], home: str) -> None:
    put(scene, "opt/layers/layer.zip", bundles.zip_of(bundles.installed(pure[0], f"{home}/")))
    judged = scene.judge([pure[0]], [pure[1]])
    location = f"/opt/layers/layer.zip!/{home}/demo-1.0.dist-info"
    assert said(judged) == [("bundled", location, "chainguard", "intact")]
    assert judged.one.environment is None
    assert judged.findings == []


@pytest.mark.parametrize("home", ["var/task", "opt/python", "opt/python/lib/python3.11/site-packages"])
def test_case_55_unpacked_layers_are_environments(scene: Scene, pure: tuple[Path, Path], home: str) -> None:
    for path, content in bundles.installed(pure[0], f"{home}/").items():
        put(scene, path, content)
    judged = scene.judge([pure[0]], [pure[1]])
    assert said(judged) == [("installed", f"/{home}/demo-1.0.dist-info", "chainguard", "intact")]
    assert judged.one.environment == f"/{home}"


# --- 56: PEX, shiv, zipapp, eggs ---


@pytest.mark.parametrize("prefix", [bundles.SHEBANG, b"", b"#!/bin/sh\n" + b"# PEX\n" * 900 + b"exit 1\n"])
@pytest.mark.parametrize("name", ["app.pex", "bin/app"])
def test_case_56_distributions_in_a_pex_are_compared(
    scene: Scene, pair: tuple[Path, Path], name: str, prefix: bytes
) -> None:
    put(scene, f"opt/{name}", bundles.pex(pair[1], prefix=prefix))
    judged = scene.judge([pair[0]], [pair[1]])
    location = f"/opt/{name}!/.deps/{pair[1].name}/demo-1.0.dist-info"
    assert said(judged) == [("bundled", location, "upstream", "intact")]
    assert judged.findings == []


def test_case_56_a_changed_file_in_a_pex_is_modified(scene: Scene, pair: tuple[Path, Path]) -> None:
    changed = bundles.pex(pair[0]).replace(b"PEX-INFO", b"PEX-INFO")
    members = {f".deps/{pair[0].name}/{name}": data for name, data in bundles.installed(pair[0]).items()}
    members[f".deps/{pair[0].name}/demo/core.py"] += b"import evil\n"
    put(scene, "app.pex", bundles.zip_of(members, prefix=bundles.SHEBANG))
    put(scene, "good.pex", changed)
    judged = scene.judge([pair[0]], [pair[1]])
    assert [line[2:] for line in said(judged)] == [("chainguard", "modified"), ("chainguard", "intact")]
    [file] = [file for file in judged.lines[0].files if file.state == "modified"]
    assert file.path == f"/app.pex!/.deps/{pair[0].name}/demo/core.py"


def test_case_56_a_shiv_is_an_environment_in_a_zip(scene: Scene, pure: tuple[Path, Path]) -> None:
    put(scene, "usr/local/bin/app", bundles.shiv(pure[0]))
    judged = scene.judge([pure[0]], [pure[1]])
    location = "/usr/local/bin/app!/site-packages/demo-1.0.dist-info"
    assert said(judged) == [("bundled", location, "chainguard", "intact")]


def test_case_56_a_zipapp_with_its_requirements(scene: Scene, pure: tuple[Path, Path], tmp_path: Path) -> None:
    """What ``python -m zipapp`` makes of a folder that pip has installed into, beside the application's own module."""
    own = {"__main__.py": bundles.MAIN, "mine.py": b"X = 1\n"}
    source = put_all(tmp_path / "app", {**bundles.installed(pure[1]), **own})
    zipapp.create_archive(source, scene.root / "app.pyz", interpreter="/usr/bin/python3")
    judged = scene.judge([pure[0]], [pure[1]])
    assert said(judged) == [("bundled", "/app.pyz!/demo-1.0.dist-info", "upstream", "intact")]
    assert judged.findings == [], "the application's own modules are nobody's distribution"


def test_case_56_an_applications_own_zipapp_says_nothing(scene: Scene) -> None:
    put(scene, "app.pyz", bundles.zip_of({"__main__.py": bundles.MAIN, "mine.py": b"X = 1\n"}, prefix=bundles.SHEBANG))
    judged = scene.judge([], [])
    assert (judged.lines, judged.findings) == ([], [])


def test_case_56_unpacked_bundles_are_environments(scene: Scene, pure: tuple[Path, Path]) -> None:
    """shiv's ``~/.shiv`` and PEX's ``installed_wheels``."""
    homes = ["root/.shiv/app_0123/site-packages", f"root/.cache/pex/installed_wheels/0/0123/{pure[0].name}"]
    for home in homes:
        put_all(scene.root / home, bundles.installed(pure[0]))
    judged = scene.judge([pure[0]], [pure[1]])
    assert said(judged) == [
        ("installed", f"/{home}/demo-1.0.dist-info", "chainguard", "intact") for home in sorted(homes)
    ]


def test_case_56_a_packed_pex_has_wheels_that_are_zipped_again(scene: Scene, pair: tuple[Path, Path]) -> None:
    members = {"demo-1.0.data/scripts/demo-tool": b"", ".layout.json": b"{}"}
    files = bundles.installed(pair[0])
    files[".prefix/bin/demo-tool"] = CODE["demo-1.0.data/scripts/demo-tool"]
    files[".layout.json"] = members[".layout.json"]
    put(scene, f"app/.deps/{pair[0].name}", bundles.zip_of(files))
    judged = scene.judge([pair[0]], [pair[1]])
    assert said(judged) == [("wheel", f"/app/.deps/{pair[0].name}", "chainguard", "intact")]


def test_case_56_an_egg_file(scene: Scene, pure: tuple[Path, Path]) -> None:
    put(scene, f"{SITE}/demo-1.0-py3.11.egg", bundles.zip_of(bundles.egg(pure[1])))
    judged = scene.judge([pure[0]], [pure[1]])
    [(kind, location, origin, _)] = said(judged)
    assert (kind, location) == ("bundled", f"/{SITE}/demo-1.0-py3.11.egg!/EGG-INFO")
    assert (judged.one.name, judged.one.version) == ("demo", "1.0")
    assert origin == "source", "its code is the wheels', its metadata nobody's"
    assert "unowned-file" not in judged.kinds


def test_case_56_an_egg_file_without_metadata_is_named_by_its_file(scene: Scene, pure: tuple[Path, Path]) -> None:
    files = {**bundles.egg(pure[1]), "EGG-INFO/PKG-INFO": b""}
    put(scene, f"{SITE}/demo-1.0-py3.11.egg", bundles.zip_of(files))
    judged = scene.judge([pure[0]], [pure[1]])
    assert (judged.one.name, judged.one.version) == ("demo", "1.0")


def test_case_56_an_egg_folder(scene: Scene, pure: tuple[Path, Path]) -> None:
    put_all(scene.site / "demo-1.0-py3.11.egg", bundles.egg(pure[1]))
    [(kind, location, _, _)] = said(scene.judge([pure[0]], [pure[1]]))
    assert (kind, location) == ("installed", f"/{SITE}/demo-1.0-py3.11.egg/EGG-INFO")


def test_case_56_archives_in_archives(scene: Scene, pure: tuple[Path, Path]) -> None:
    inner = bundles.zip_of(bundles.egg(pure[1]))
    wheel = {f"wheels/{pure[0].name}": pure[0].read_bytes()}
    put(scene, "a.zip", bundles.zip_of({"lib/b.egg": inner, **wheel}))
    judged = scene.judge([pure[0]], [pure[1]])
    assert [line[:3] for line in said(judged)] == [
        ("bundled", "/a.zip!/lib/b.egg!/EGG-INFO", "source"),
        ("bundled", f"/a.zip!/wheels/{pure[0].name}", "chainguard"),
    ]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.xz"])
def test_case_56_a_packed_environment(scene: Scene, pure: tuple[Path, Path], tmp_path: Path, suffix: str) -> None:
    """What venv-pack makes."""
    source = put_all(tmp_path / "env", bundles.installed(pure[0], "lib/python3.11/site-packages/"))
    (source / "bin").mkdir()
    (source / "bin/python").symlink_to("/usr/bin/python3")
    mode = {"gz": "w:gz", "xz": "w:xz"}.get(suffix[-2:], "w")
    with tarfile.open(scene.root / f"env{suffix}", mode) as archive:  # type: ignore[call-overload]
        archive.add(source, "env")
    judged = scene.judge([pure[0]], [pure[1]])
    location = f"/env{suffix}!/env/lib/python3.11/site-packages/demo-1.0.dist-info"
    assert said(judged) == [("bundled", location, "chainguard", "intact")]
    assert judged.findings == []


def test_case_56_a_bundle_has_the_layer_of_its_file(pure: tuple[Path, Path]) -> None:
    lower = images.layer_from_entries([images.file_entry("app.pex", bundles.pex(pure[1]))])
    upper = images.layer_from_entries([images.file_entry("app.pex", bundles.pex(pure[0]))])
    judged = judged_layers([lower, upper], [pure[0]], [pure[1]])
    assert (judged.one.origin.value, judged.one.layer, judged.one.layers) == ("chainguard", 1, (0, 1))
    gone = images.layer_from_entries([images.whiteout_entry("app.pex")])
    assert judged_layers([lower, gone], [pure[0]], [pure[1]]).lines == []


def test_case_56_what_is_in_an_archive_of_the_systems_is_the_systems(scene: Scene, pure: tuple[Path, Path]) -> None:
    """While the archive has the bytes that its package brought."""
    put(scene, "usr/share/demo/app.pyz", bundles.shiv(pure[1]))
    trees.dpkg_owned(scene.root, "demo", "1.0-1", ["usr/share/demo/app.pyz"])
    judged = scene.judge([pure[0]], [pure[1]])
    assert (judged.one.kind.value, *judged.words, judged.one.owner) == ("bundled", "os", "intact", "dpkg:demo")
    put(scene, "usr/share/demo/app.pyz", bundles.shiv(pure[0]))
    judged = scene.judge([pure[0]], [pure[1]])
    assert (judged.words, judged.one.owner) == (("chainguard", "intact"), None)


def test_case_56_a_record_in_an_archive_names_no_file_outside_of_it(scene: Scene, pair: tuple[Path, Path]) -> None:
    """The script that the wheel has is missing in the archive, and lies outside where RECORD says."""
    files = bundles.installed(pair[0], "site/")
    row = wheels.record_row("../../../bin/demo-tool", CODE["demo-1.0.data/scripts/demo-tool"])
    files["site/demo-1.0.dist-info/RECORD"] += wheels.record_bytes([row])
    put(scene, "srv/x/app.pyz", bundles.zip_of(files))
    put(scene, "srv/bin/demo-tool", CODE["demo-1.0.data/scripts/demo-tool"])
    assert scene.judge([pair[0]], [pair[1]]).words == ("chainguard", "pruned")


def test_case_56_byte_code_in_an_archive_is_compared_with_nothing(scene: Scene, pure: tuple[Path, Path]) -> None:
    """Its times are those of the archive's directory."""
    files = bundles.installed(pure[0])
    files["demo/core.pyc"] = MAGIC_NUMBER + bytes(4) + b"\1\2\3\4\5\0\0\0" + b"code"
    put(scene, "app.pyz", bundles.zip_of(files))
    rootfs = RootFS.of([take_directory(scene.root, limits=DEFAULT_LIMITS)])
    assert list(stale_bytecode(rootfs)) == []


# --- 57: frozen programs ---


def test_case_57_pyinstaller_is_opaque_and_its_modules_are_named(scene: Scene) -> None:
    put(scene, "usr/local/bin/app", bundles.pyinstaller(["flask", "flask.app", "json", "os"]))
    judged = scene.judge([], [])
    [finding] = judged.findings
    assert (finding.kind.value, finding.path) == ("opaque-bundle", "/usr/local/bin/app")
    assert finding.detail == (
        "a program made by PyInstaller for Python 3.11 with 5 modules, 3 of them not Python's own "
        "(app, flask, flask.app), which cannot be compared with any wheel's"
    )
    assert judged.lines == []


def test_case_57_nuitka_is_opaque(scene: Scene) -> None:
    put(scene, "app/app.bin", bundles.elf(bytes(200_000) + b"\0__nuitka_version__\0"))
    put(scene, "app/other.bin", bundles.elf(bytes(200_000) + b"\0nothing of interest\0"))
    [finding] = scene.judge([], []).findings
    assert (finding.kind.value, finding.path) == ("opaque-bundle", "/app/app.bin")
    assert "Nuitka" in finding.detail


def test_case_57_cx_freeze_is_opaque_and_its_modules_are_named(scene: Scene) -> None:
    library = bundles.zip_of({"json/__init__.pyc": b"x", "flask/app.pyc": b"x"})
    files = {"frozen_application_license.txt": b"x", "lib/library.zip": library, "lib/demo/core.pyc": b"x"}
    put_all(scene.root / "opt/app", files)
    [finding] = scene.judge([], []).findings
    assert (finding.kind.value, finding.path) == ("opaque-bundle", "/opt/app")
    assert "3 modules, 2 of them not Python's own (demo.core, flask.app)" in finding.detail


def test_case_57_ordinary_programs_are_not(scene: Scene) -> None:
    """This machine's own programs, and one with much behind what it loads."""
    for name in ("bash", "tar", "git"):
        if found := shutil.which(name):
            put(scene, f"usr/bin/{name}", Path(found).read_bytes())
    put(scene, "usr/bin/debug", bundles.elf(bytes(10), behind=bytes(300_000)))
    assert scene.judge([], []).findings == []
