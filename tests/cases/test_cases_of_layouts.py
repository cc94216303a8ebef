"""Layouts: wherever an installer or a build system puts a distribution, it is found once, and its files decide.

Cases 43, 44, 49, 50, 58 and 60 of the facts, and the other places that users name. Real pip and real uv have installed
wherever they can make the layout; Nix's and Bazel's trees are put together as their tools do it.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from fixtures import trees, wheels
from scanner.report import DistributionLine
from tests.scenes import Judged, Scene

RUNNING = f"python{trees.RUNNING}"
SITE = f"lib/{RUNNING}/site-packages"
CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
    "demo/data.txt": b"some data\n",
}
DATA = {
    "scripts/demo-tool": b"#!python\nimport demo.core\ndemo.core.run()\n",
    "data/share/demo/page.1": b".TH demo\n",
    "purelib/demo_pure.py": b"PURE = True\n",
}
POINTS = "[console_scripts]\ndemo = demo.core:run\n"
INTACT = {"chainguard": ("chainguard", "intact"), "pypi": ("upstream", "intact")}


class Pair:
    """One project as both builds: the same code, metadata of two backends; scripts, data and entry points."""

    def __init__(self, folder: Path, version: str = "1.0") -> None:
        def made(whose: str, generator: str, metadata: str) -> Path:
            return wheels.make_wheel(
                folder / whose,
                "demo",
                version,
                CODE,
                generator=generator,
                metadata_version=metadata,
                entry_points=POINTS,
                data=DATA,
            )

        self.pypi = made("pypi", "upstreams 1", "2.1")
        self.chainguard = wheels.add_sbom(made("plain", "rebuilder 9", "2.4"), folder / "chainguard")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("later"), "2.0")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    found = Scene(tmp_path)
    shutil.rmtree(found.root)
    found.root.mkdir()
    return found


@pytest.fixture(scope="module")
def installed(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chainguard's build in a virtual environment at ``/opt/venv``, by uv."""
    root = tmp_path_factory.mktemp("installed")
    trees.install([pair.chainguard], root, by="uv", layout="venv")
    return root


def judged(scene: Scene, *pairs: Pair) -> Judged:
    return scene.judge([one.chainguard for one in pairs], [one.pypi for one in pairs])


def lines_of(judgement: Judged) -> dict[str | None, DistributionLine]:
    """Installed distributions by environment; each is there once."""
    lines = [line for line in judgement.lines if line.kind.value == "installed"]
    found = {line.environment: line for line in lines}
    assert len(found) == len(lines)
    return found


def words_of(judgement: Judged) -> dict[str | None, tuple[str, str]]:
    return {place: (line.origin.value, line.integrity.value) for place, line in lines_of(judgement).items()}


def run(command: Sequence[str | Path], **variables: str) -> None:
    """An installer, with nothing of this machine's configuration."""
    dropped = ("PIP_", "UV_", "VIRTUAL_ENV", "PYTHON", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment = {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def links_within(root: Path) -> None:
    """Let absolute links below ``root`` say where they lead in the image."""
    for path in sorted(root.rglob("*")):
        if path.is_symlink() and path.readlink().is_relative_to(root):
            target = path.readlink().relative_to(root)
            path.unlink()
            path.symlink_to(Path("/") / target)


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def only_copy(installed: Path, scene: Scene) -> Path:
    """The installed environment in the scene's tree; gives its site-packages."""
    shutil.copytree(installed, scene.root, symlinks=True, dirs_exist_ok=True)
    return scene.root / "opt/venv" / SITE


# --- 43: lib64 ---


def test_case_43_lib64_is_a_link_to_lib(scene: Scene, pair: Pair, installed: Path) -> None:
    """One distribution, one line, whichever of the two is the link."""
    only_copy(installed, scene)
    assert (scene.root / "opt/venv/lib64").is_symlink()
    found = judged(scene, pair)
    assert words_of(found) == {f"/opt/venv/{SITE}": INTACT["chainguard"]}
    assert found.findings == []
    (scene.root / "opt/venv/lib64").unlink()
    (scene.root / "opt/venv/lib").rename(scene.root / "opt/venv/lib64")
    (scene.root / "opt/venv/lib").symlink_to("lib64")
    found = judged(scene, pair)
    assert words_of(found) == {f"/opt/venv/lib64/{RUNNING}/site-packages": INTACT["chainguard"]}
    assert found.findings == []


@pytest.mark.parametrize(("change", "integrity"), [("nothing", "intact"), ("flip", "modified"), ("remove", "pruned")])
def test_case_43_lib64_is_a_folder_of_its_own(
    scene: Scene, pair: Pair, installed: Path, change: str, integrity: str
) -> None:
    """``cp -L`` makes two environments of one; what is wrong in the one is not covered by the other's files."""
    site = only_copy(installed, scene)
    (scene.root / "opt/venv/lib64").unlink()
    shutil.copytree(scene.root / "opt/venv/lib", scene.root / "opt/venv/lib64")
    if change == "flip":
        wheels.flip_byte(site / "demo/core.py", 3)
    elif change == "remove":
        (site / "demo/core.py").unlink()
    found = judged(scene, pair)
    assert words_of(found) == {
        f"/opt/venv/{SITE}": ("chainguard", integrity),
        f"/opt/venv/lib64/{RUNNING}/site-packages": INTACT["chainguard"],
    }
    assert found.findings == []


def test_case_43_purelib_and_platlib_of_one_wheel(scene: Scene, pair: Pair, installed: Path) -> None:
    """Fedora's and Red Hat's scheme: dist-info and compiled files below lib64, what is pure below lib."""
    site = only_copy(installed, scene)
    (scene.root / "opt/venv/lib64").unlink()
    shutil.copytree(scene.root / "opt/venv/lib", scene.root / "opt/venv/lib64")
    for path in (site / "demo", *site.glob("*.dist-info")):
        shutil.rmtree(path)
    (scene.root / f"opt/venv/lib64/{RUNNING}/site-packages/demo_pure.py").unlink()
    found = judged(scene, pair)
    assert words_of(found) == {f"/opt/venv/lib64/{RUNNING}/site-packages": INTACT["chainguard"]}
    assert found.findings == []


# --- 44: dist-info that is a link ---


def test_case_44_dist_info_is_a_link_to_another_version(scene: Scene, pair: Pair, later: Pair, installed: Path) -> None:
    """The real folder decides: one distribution; the other name is said to be one that nothing stands for."""
    site = only_copy(installed, scene)
    (site / "demo-2.0.dist-info").symlink_to("demo-1.0.dist-info")
    found = judged(scene, pair, later)
    [line] = found.lines
    assert (line.version, line.location) == ("1.0", f"/opt/venv/{SITE}/demo-1.0.dist-info")
    assert found.words == INTACT["chainguard"]
    [finding] = found.findings
    assert (finding.kind.value, finding.path) == ("stale-metadata", f"/opt/venv/{SITE}/demo-2.0.dist-info")
    assert f"/opt/venv/{SITE}/demo-1.0.dist-info" in finding.detail


def test_case_44_dist_info_is_a_link_to_a_folder_of_another_kind_of_name(scene: Scene, pair: Pair) -> None:
    """Then the link is what Python reads, and so it is the distribution's place."""
    site = trees.install([pair.pypi], scene.root, by="uv")
    (scene.root / "opt/metadata").mkdir(parents=True)
    (site / "demo-1.0.dist-info").rename(scene.root / "opt/metadata/demo")
    (site / "demo-1.0.dist-info").symlink_to("/opt/metadata/demo")
    found = judged(scene, pair)
    assert found.words == INTACT["pypi"]
    assert found.one.location == f"/usr/local/{SITE}/demo-1.0.dist-info"
    assert set(found.kinds) == {"unreadable"}, "only its files' digests are known"


# --- 49: Nix ---


def nix_store(scene: Scene, wheel: Path, hashed: str) -> str:
    """A store path with one distribution; gives its site-packages."""
    prefix = f"nix/store/{hashed}-{RUNNING}-demo"
    trees.install([wheel], scene.root, by="uv", prefix=prefix)
    return f"/{prefix}/{SITE}"


def nix_environment(scene: Scene, site: str) -> Path:
    """What ``python3.withPackages`` makes: a farm of links into store paths."""
    farm = scene.root / f"nix/store/zzz-{RUNNING}-env" / SITE
    for entry in sorted((scene.root / site.lstrip("/")).iterdir()):
        link(farm / entry.name, f"{site}/{entry.name}")
    return farm


def test_case_49_nix_store_and_its_farm_of_links(scene: Scene, pair: Pair, later: Pair) -> None:
    """One line for each store path, none for the links to it."""
    old, new = nix_store(scene, pair.pypi, "aaa"), nix_store(scene, later.chainguard, "bbb")
    nix_environment(scene, new)
    link(scene.root / "run/current-system/sw", f"/nix/store/zzz-{RUNNING}-env")
    found = judged(scene, pair, later)
    assert words_of(found) == {old: INTACT["pypi"], new: INTACT["chainguard"]}
    assert found.findings == []


def test_case_49_a_file_put_into_the_farm_is_seen(scene: Scene, pair: Pair) -> None:
    """It holds no dist-info of its own, and Python runs from it all the same."""
    farm = nix_environment(scene, nix_store(scene, pair.pypi, "aaa"))
    (farm / "zz_hook.pth").write_bytes(b"import os\n")
    found = judged(scene, pair)
    assert [(one.kind.value, one.path) for one in found.findings] == [
        ("unowned-file", f"/nix/store/zzz-{RUNNING}-env/{SITE}/zz_hook.pth")
    ]


# --- 50: Bazel ---


def bazel_repository(scene: Scene, installed: Path) -> Path:
    """rules_python's external repository in a runfiles tree: no lib folder, bin and data beside site-packages."""
    repository = scene.root / "app/server.runfiles/rules_python++pip+pip_311_demo"
    site = repository / "site-packages"
    shutil.copytree(installed / "opt/venv" / SITE, site)
    shutil.copytree(installed / "opt/venv/share", repository / "data/share")
    (repository / "bin").mkdir()
    for script in ("demo-tool", "demo"):
        text = (installed / "opt/venv/bin" / script).read_bytes()
        (repository / "bin" / script).write_bytes(text.replace(b"#!/opt/venv/bin/python", b"#!/dev/null"))
    [record] = site.glob("*.dist-info/RECORD")
    rows = [(row[0].replace("../../../", "../").replace("../share", "../data/share"), *row[1:])
            for row in wheels.read_record(record)]  # fmt: skip
    record.write_bytes(wheels.record_bytes(rows))
    return site


def test_case_50_bazel_runfiles(scene: Scene, pair: Pair, installed: Path) -> None:
    site = bazel_repository(scene, installed)
    farm = scene.root / f"app/server.runfiles/_main/_server.venv/{SITE}"
    for name in ("demo", "demo-1.0.dist-info"):
        link(farm / name, f"../../../../../{site.parent.name}/site-packages/{name}")
        assert (farm / name).is_dir()
    found = judged(scene, pair)
    assert words_of(found) == {f"/app/server.runfiles/{site.parent.name}/site-packages": INTACT["chainguard"]}
    assert found.findings == []


def test_case_50_bazel_runfiles_without_record(scene: Scene, pair: Pair, installed: Path) -> None:
    """Where scripts and data are is known without RECORD's word."""
    site = bazel_repository(scene, installed)
    next(site.glob("*.dist-info/RECORD")).unlink()
    found = judged(scene, pair)
    assert found.words == INTACT["chainguard"]


def test_case_50_a_wheel_patched_by_bazel_is_modified(scene: Scene, pair: Pair, installed: Path) -> None:
    """``pip.override`` patches the wheel and rewrites its RECORD: true, and the patched file is named."""
    site = bazel_repository(scene, installed)
    (site / "demo/core.py").write_bytes(CODE["demo/core.py"] + b"# patched\n")
    wheels.fix_record(site, "demo/core.py")
    found = judged(scene, pair)
    assert found.words == ("chainguard", "modified")
    assert [(one.state, one.path.rpartition("/site-packages/")[2]) for one in found.one.files] == [
        ("modified", "demo/core.py")
    ]


# --- 58: homes and run-time environments ---

HOMES = {
    "jupyter": "home/jovyan/.local",
    "airflow": "home/airflow/.local",
    "ray": "tmp/ray/session_2026-01-02_03-04-05_6_7/runtime_resources/pip/4950ef80135a68b4f9621da6/virtualenv",
    "pipx": "root/.local/share/pipx/venvs/demo",
    "spark": "opt/spark/work-dir/venv",
}


@pytest.mark.parametrize("home", HOMES)
def test_case_58_environments_in_homes_and_of_runtimes(scene: Scene, pair: Pair, home: str) -> None:
    layout: Literal["prefix", "venv"] = "prefix" if ".local" in HOMES[home][-6:] else "venv"
    trees.install([pair.chainguard], scene.root, by="uv", layout=layout, prefix=HOMES[home])
    found = judged(scene, pair)
    assert words_of(found) == {f"/{HOMES[home]}/{SITE}": INTACT["chainguard"]}
    assert found.findings == []


@pytest.mark.parametrize("base", ["root/.local", "srv/userbase"])
def test_case_58_pip_user_and_pythonuserbase(scene: Scene, pair: Pair, base: str) -> None:
    """Real ``pip install --user`` by the interpreter that this environment was made of."""
    interpreter = Path(getattr(sys, "_base_executable", sys.executable))
    packages = next(path for path in sys.path if (Path(path) / "pip").is_dir())
    how = ["--no-index", "--no-deps", "--break-system-packages", "--root-user-action=ignore", "-q", "--no-compile"]
    where = ["--find-links", str(pair.pypi.parent), "--no-warn-script-location"]
    base_folder = str(scene.root / base)
    run(
        [interpreter, "-m", "pip", "install", "--user", *how, *where, "demo"],
        PYTHONPATH=packages,
        PYTHONUSERBASE=base_folder,
    )
    [record] = (scene.root / base / SITE).glob("*.dist-info/RECORD")
    record.with_name("direct_url.json").unlink(missing_ok=True)
    found = judged(scene, pair)
    assert words_of(found) == {f"/{base}/{SITE}": INTACT["pypi"]}
    assert found.findings == []


def test_case_58_uv_tool_install(scene: Scene, pair: Pair) -> None:
    """Real ``uv tool install``: an environment for each tool, its script linked into ``~/.local/bin``."""
    share, binaries = scene.root / "root/.local/share/uv/tools", scene.root / "root/.local/bin"
    how = ["--no-index", "--find-links", str(pair.chainguard.parent), "--offline", "--no-config", "--quiet"]
    run(
        [sys.executable, "-m", "uv", "tool", "install", *how, "--python", sys.executable, "demo"],
        UV_TOOL_DIR=str(share),
        UV_TOOL_BIN_DIR=str(binaries),
        UV_CACHE_DIR=str(scene.root.parent / "cache"),
        UV_LINK_MODE="copy",
    )
    links_within(scene.root)
    assert (binaries / "demo").is_symlink()
    for note in share.rglob("uv_cache.json"):
        note.unlink()  # only for wheels from a folder
    found = judged(scene, pair)
    environment = f"/root/.local/share/uv/tools/demo/{SITE}"
    assert words_of(found) == {environment: INTACT["chainguard"]}
    assert [one for one in found.findings if not one.path.endswith(("/bin/demo", "/bin/python"))] == []


# --- 60: the same project many times ---


def test_case_60_the_same_project_in_several_environments(scene: Scene, pair: Pair, later: Pair) -> None:
    """Each (environment, name) is its own: versions, builds and damage are not mixed up."""
    places = {
        "usr/local/lib/python3.10/site-packages": (pair.pypi, "3.10", "prefix", "usr/local"),
        "usr/local/lib/python3.12/site-packages": (later.chainguard, "3.12", "prefix", "usr/local"),
        "opt/a/lib/python3.12/site-packages": (pair.chainguard, "3.12", "venv", "opt/a"),
        "opt/b/lib/python3.12/site-packages": (pair.chainguard, "3.12", "venv", "opt/b"),
    }
    for wheel, python, layout, prefix in places.values():
        trees.install([wheel], scene.root, by="uv", layout=layout, prefix=prefix, python=python)  # type: ignore[arg-type]
    (scene.root / "opt/b/lib/python3.12/site-packages/demo/core.py").write_bytes(b"other = 1\n")
    found = judged(scene, pair, later)
    assert words_of(found) == {
        # both interpreters' scripts share one folder: the later one's are there, and are as good as the first one's
        "/usr/local/lib/python3.10/site-packages": INTACT["pypi"],
        "/usr/local/lib/python3.12/site-packages": INTACT["chainguard"],
        "/opt/a/lib/python3.12/site-packages": INTACT["chainguard"],
        "/opt/b/lib/python3.12/site-packages": ("chainguard", "modified"),
    }
    versions = {place: line.version for place, line in lines_of(found).items()}
    assert list(versions.values()).count("2.0") == 1
    assert versions["/usr/local/lib/python3.12/site-packages"] == "2.0"
    assert found.findings == []


# --- without a number: what users name ---


@pytest.mark.parametrize("place", ["var/task", "opt/python", f"opt/python/{SITE}", "app/vendor/site-packages"])
@pytest.mark.parametrize("by", ["pip", "uv"])
def test_target_folders_of_functions_and_layers(scene: Scene, pair: Pair, place: str, by: trees.Installer) -> None:
    """``--target`` as for AWS Lambda: the function's own folder, and both forms of a layer's."""
    trees.install([pair.chainguard], scene.root, by=by, layout="target", prefix=place)
    found = judged(scene, pair)
    assert words_of(found) == {f"/{place}": INTACT["chainguard"]}
    assert found.findings == []


def test_a_function_and_its_layer_have_the_same_project(scene: Scene, pair: Pair, later: Pair) -> None:
    trees.install([pair.pypi], scene.root, by="uv", layout="target", prefix="var/task")
    trees.install([later.chainguard], scene.root, by="uv", layout="target", prefix="opt/python")
    assert words_of(judged(scene, pair, later)) == {"/var/task": INTACT["pypi"], "/opt/python": INTACT["chainguard"]}


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink"])
def test_link_modes_of_uv(scene: Scene, pair: Pair, mode: str) -> None:
    """The environment says the same however uv puts the files there; its cache lies in the image."""
    where = ["--no-index", "--find-links", str(pair.chainguard.parent), "--target", str(scene.root / "opt/app")]
    how = ["--offline", "--no-config", "--quiet", "--link-mode", mode, "--python", sys.executable]
    run(
        [sys.executable, "-m", "uv", "pip", "install", *how, *where, "demo"],
        UV_CACHE_DIR=str(scene.root / "root/.cache/uv"),
    )
    module = scene.root / "opt/app/demo/core.py"
    assert (module.is_symlink(), module.lstat().st_nlink > 1) == (mode == "symlink", mode == "hardlink")
    links_within(scene.root)
    found = judged(scene, pair)
    assert words_of(found)["/opt/app"] == INTACT["chainguard"]
    assert [one for one in found.findings if one.path.startswith("/opt/app")] == []


def test_an_archive_among_the_files_of_a_wheel_is_vendored(scene: Scene, tmp_path: Path) -> None:
    """setuptools' tests bring a zip with metadata of its own, and an unpacked egg."""
    metadata = b"Metadata-Version: 1.0\nName: inner\nVersion: 1.0\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("inner.egg-info/PKG-INFO", metadata)
        file.writestr("inner.py", b"X = 1\n")
    files = {
        "demo/__init__.py": b"",
        "demo/data/inner.zip": archive.getvalue(),
        "demo/data/other-1.0-py3.7.egg/EGG-INFO/PKG-INFO": metadata.replace(b"inner", b"other"),
    }
    wheel = wheels.make_wheel(tmp_path / "wheels", "demo", "1.0", files)
    trees.install([wheel], scene.root, by="uv")
    found = scene.judge([], [wheel])
    assert {(line.name, line.kind.value, line.owner, line.origin.value) for line in found.lines} == {
        ("demo", "installed", None, "upstream"),
        ("inner", "vendored", "demo", "upstream"),
        ("other", "vendored", "demo", "upstream"),
    }
    assert found.findings == []
