"""Owners: what a package of the system or of conda owns is its own, by file; what pip wrote over it is pip's.

Cases 1, 2, 48, 51, 52, 53 and 54 of the facts. rpm's packages are built and installed by rpm, dpkg's unpacked from a
package that dpkg-deb made; pip is the real one. Databases of apk and conda are written as those tools write them.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from fixtures import packages, trees, wheels
from fixtures.images import layer_from_tree
from fixtures.wheels import FixtureUnavailable
from scanner.assess import assess
from scanner.assessed import Terms
from scanner.distribution import Finding
from scanner.finders import find
from scanner.index import Role
from scanner.inventories import take_inventory
from scanner.limits import DEFAULT_LIMITS
from scanner.rootfs import RootFS
from tests.scenes import Judged, Scene, Shelf, builds, copy_tree

PYTHON = f"python{trees.RUNNING}"
CODE = {"demo/__init__.py": b"VERSION = '1.0'\n", "demo/core.py": b"def run():\n    return 42\n"}
SITES = {"rpm": f"usr/lib/{PYTHON}/site-packages", "apk": "usr/lib/python3.12/site-packages"}


class Pair:
    """One project as both indexes have it."""

    def __init__(self, folder: Path) -> None:
        self.chainguard, self.pypi = builds(folder, CODE)
        self.chainguard_by_pip = by_pip(self.chainguard, folder / "by-pip-1")
        self.pypi_by_pip = by_pip(self.pypi, folder / "by-pip-2")

    def judge(self, scene: Scene) -> Judged:
        return scene.judge(chainguard=[self.chainguard], upstream=[self.pypi])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def packaged(wheel: Path, site: str, installer: bytes, *, record: bool = False) -> dict[str, bytes]:
    """The files of a wheel as a distribution's packager has them: another INSTALLER, and mostly no RECORD."""
    members = {f"{site}/{info.filename}": data for info, data in wheels.read_members(wheel)}
    [listed] = [path for path in members if path.endswith("/RECORD")]
    if not record:
        del members[listed]
    return {**members, f"{listed.rpartition('/')[0]}/INSTALLER": installer}


def patched(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The distribution's own patch to the code, and its own build of the metadata."""
    words = {"core.py": b"def run():\n    return 43  # CVE fixed\n"}
    changed = {path: words.get(path.rpartition("/")[2], data) for path, data in files.items()}
    return {
        path: data + b"Keywords: packaged\n" if path.endswith("METADATA") else data for path, data in changed.items()
    }


def by_pip(wheel: Path, scratch: Path) -> Path:
    """A prefix into which real pip installed the wheel, by name and not by path: a path would be noted."""
    links = scratch / "links"
    links.mkdir(parents=True)
    shutil.copy(wheel, links)
    how = ["--no-index", "--no-deps", "--no-compile", "--ignore-installed", "--quiet", "--find-links", str(links)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    command = [sys.executable, "-m", "pip", "install", *how, "--root-user-action=ignore", "--prefix"]
    done = subprocess.run(
        [*command, str(scratch / "prefix"), "demo"], capture_output=True, text=True, timeout=120, env=kept, check=False
    )
    assert done.returncode == 0, done.stderr
    return scratch / "prefix"


def pip_over(root: Path, installed: Path, prefix: str = "usr") -> None:
    """What ``pip install --ignore-installed`` does: it writes its files over those that are there."""
    shutil.copytree(installed, root / prefix, dirs_exist_ok=True)


def told(judged: Judged) -> tuple[str, str, str | None]:
    """Origin, integrity and owner of the only distribution."""
    return (*judged.words, judged.one.owner)


# --- dpkg ---


def dpkg_install(root: Path, scratch: Path, name: str, files: Mapping[str, bytes]) -> None:
    """A package that dpkg-deb makes and dpkg installs into the tree."""
    staged = scratch / name
    packages.write_files(staged, files)
    control = (
        f"Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: demo\n"
    )
    sums = "".join(f"{packages.md5(data)}  {path}\n" for path, data in sorted(files.items()))
    packages.write_files(staged, {"DEBIAN/control": control.encode(), "DEBIAN/md5sums": sums.encode()})
    packages.write_files(
        root, {"var/lib/dpkg/status": b"", "var/lib/dpkg/updates/.keep": b"", "var/lib/dpkg/info/.keep": b""}
    )
    try:
        packages.run("dpkg-deb", "--root-owner-group", "-b", str(staged), str(scratch / f"{name}.deb"))
        how = ["--force-not-root", "--force-script-chrootless", f"--root={root}", "--log=/dev/null"]
        packages.run("dpkg", *how, "-i", str(scratch / f"{name}.deb"))
    except FixtureUnavailable as problem:
        pytest.skip(str(problem))


DEBIAN = "usr/lib/python3/dist-packages"


def test_case_01_dist_packages_without_record(scene: Scene, pair: Pair, tmp_path: Path) -> None:
    """The .list says whose it is; nothing is ever called changed for want of a RECORD."""
    dpkg_install(scene.root, tmp_path / "debs", "python3-demo", packaged(pair.pypi, DEBIAN, b"debian\n"))
    judged = pair.judge(scene)
    assert told(judged) == ("os", "none", "dpkg:python3-demo")
    assert judged.kinds == []


def test_case_01_a_package_that_was_removed_owns_nothing(scene: Scene, pair: Pair, tmp_path: Path) -> None:
    """A stale .list beside a status that says "config-files"."""
    dpkg_install(scene.root, tmp_path / "debs", "python3-demo", packaged(pair.pypi, DEBIAN, b"debian\n"))
    status = scene.root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("install ok installed", "deinstall ok config-files"))
    assert told(pair.judge(scene)) == ("upstream", "intact", None)


def test_case_01_lists_that_are_gone_are_said(scene: Scene, pair: Pair, tmp_path: Path) -> None:
    dpkg_install(scene.root, tmp_path / "debs", "python3-demo", patched(packaged(pair.pypi, DEBIAN, b"debian\n")))
    shutil.rmtree(scene.root / "var/lib/dpkg/info")
    judged = pair.judge(scene)
    assert judged.one.origin.value != "os"
    [finding] = [one for one in judged.findings if one.kind.value == "unreadable"]
    assert (finding.path, "1 packages" in finding.detail) == ("/var/lib/dpkg/status", True)


def test_case_54_pip_into_usr_local_dist_packages(scene: Scene, pair: Pair, tmp_path: Path) -> None:
    """The folder's name says nothing: only one of the two copies is dpkg's."""
    dpkg_install(scene.root, tmp_path / "debs", "python3-demo", packaged(pair.pypi, DEBIAN, b"debian\n"))
    scene.site = scene.root / f"usr/local/lib/{PYTHON}/dist-packages"
    scene.install(pair.pypi)
    lines = {line.environment: line for line in pair.judge(scene).lines}
    assert lines[f"/{DEBIAN}"].origin.value == "os"
    local = lines[f"/usr/local/lib/{PYTHON}/dist-packages"]
    assert (local.origin.value, local.integrity.value, local.owner) == ("upstream", "intact", None)


# --- distroless ---


def distroless(root: Path, name: str, files: Mapping[str, bytes], *, sums: bool = True) -> None:
    packages.write_files(root, files)
    listed = "".join(f"{packages.md5(data)}  {path}\n" for path, data in sorted(files.items()))
    database = {f"var/lib/dpkg/status.d/{name}": f"Package: {name}\nVersion: 1.0-1\n".encode()}
    if sums:
        database[f"var/lib/dpkg/status.d/{name}.md5sums"] = listed.encode()
    packages.write_files(root, database)


def test_case_51_distroless(scene: Scene, pair: Pair) -> None:
    distroless(scene.root, "python3-demo", packaged(pair.pypi, DEBIAN, b"debian\n"))
    judged = pair.judge(scene)
    assert told(judged) == ("os", "none", "dpkg:python3-demo")
    assert judged.kinds == []


def test_case_51_distroless_without_sums_is_said(scene: Scene, pair: Pair) -> None:
    """INSTALLER is a claim that anybody can write, so the distribution is judged by its bytes, and the gap is told."""
    distroless(scene.root, "python3-demo", patched(packaged(pair.pypi, DEBIAN, b"debian\n")), sums=False)
    judged = pair.judge(scene)
    assert judged.one.origin.value not in ("os", "chainguard")
    assert [one.path for one in judged.findings if one.kind.value == "unreadable"] == ["/var/lib/dpkg/status.d"]


def test_case_51_the_gap_is_not_told_where_it_does_not_matter(scene: Scene, pair: Pair) -> None:
    distroless(scene.root, "base-files", {"etc/debian_version": b"12\n"}, sums=False)
    scene.install(pair.pypi)  # below /usr/local, where no package of Debian's puts anything
    judged = pair.judge(scene)
    assert (judged.words, judged.kinds) == (("upstream", "intact"), [])


# --- rpm ---


def rpm_tree(folder: Path, files: Mapping[str, bytes], name: str = "python3-demo") -> Path:
    try:
        built = packages.rpm_package(folder / "build", name, files)
        packages.rpm_install(folder / "root", [built])
    except FixtureUnavailable as problem:
        pytest.skip(str(problem))
    return folder / "root"


@pytest.fixture(scope="module")
def fedora(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> Path:
    files = packaged(pair.pypi, SITES["rpm"], b"rpm\n") | {"usr/bin/demo": b"#!/usr/bin/python3\n"}
    return rpm_tree(tmp_path_factory.mktemp("fedora"), files)


@pytest.fixture
def rpm_scene(scene: Scene, fedora: Path) -> Scene:
    shutil.rmtree(scene.root)
    copy_tree(fedora, scene.root)
    scene.site = scene.root / SITES["rpm"]
    return scene


def test_case_02_rpm_without_record(rpm_scene: Scene, pair: Pair) -> None:
    """rpm's own sha256 of every file says how they stand, though they are also those of PyPI's wheel."""
    judged = pair.judge(rpm_scene)
    assert told(judged) == ("os", "intact", "rpm:python3-demo")
    assert (judged.kinds, judged.one.match) == ([], None)


def test_case_02_what_rpm_s_digests_deny(rpm_scene: Scene, pair: Pair) -> None:
    (rpm_scene.site / "demo/core.py").write_bytes(b"import os\n")
    judged = pair.judge(rpm_scene)
    assert told(judged) == ("os", "modified", "rpm:python3-demo")
    assert f"/{SITES['rpm']}/demo/core.py" in judged.one.reason


def test_case_02_a_script_of_the_package_counts(rpm_scene: Scene, pair: Pair) -> None:
    (rpm_scene.root / "usr/bin/demo").write_bytes(b"#!/usr/bin/python3\nimport os\n")
    judged = pair.judge(rpm_scene)
    assert told(judged) == ("os", "modified", "rpm:python3-demo")


def test_case_02_what_is_gone(rpm_scene: Scene, pair: Pair) -> None:
    (rpm_scene.site / "demo/core.py").unlink()
    assert told(pair.judge(rpm_scene)) == ("os", "pruned", "rpm:python3-demo")


def test_case_02_byte_code_and_a_new_installer_file_are_no_change(rpm_scene: Scene, pair: Pair) -> None:
    (rpm_scene.site / "demo-1.0.dist-info/INSTALLER").write_bytes(b"dnf\n")
    assert told(pair.judge(rpm_scene)) == ("os", "intact", "rpm:python3-demo")


@pytest.mark.parametrize("form", ["Packages.db", "Packages"])
def test_case_02_older_databases(form: str, rpm_scene: Scene, pair: Pair) -> None:
    """ndb is SUSE's, BerkeleyDB's hash that of RHEL 8 and Amazon Linux 2."""
    database = rpm_scene.root / packages.RPM_FOLDER / "rpmdb.sqlite"
    headers = packages.headers_of(database)
    shutil.rmtree(database.parent)
    made = packages.ndb_of(headers) if form == "Packages.db" else packages.berkeley_of(headers)
    packages.write_files(rpm_scene.root, {f"usr/lib/sysimage/rpm/{form}": made})
    (rpm_scene.root / "var/lib/rpm").symlink_to("../../usr/lib/sysimage/rpm")
    assert told(pair.judge(rpm_scene)) == ("os", "intact", "rpm:python3-demo")


def test_case_02_a_database_that_cannot_be_read_is_said(rpm_scene: Scene, pair: Pair) -> None:
    database = rpm_scene.root / packages.RPM_FOLDER / "rpmdb.sqlite"
    database.write_bytes(b"\0" * 5000)
    judged = pair.judge(rpm_scene)
    assert told(judged) == ("upstream", "intact", None)
    [finding] = [one for one in judged.findings if one.kind.value == "unreadable"]
    assert (finding.path, "no database of rpm's" in finding.detail) == ("/var/lib/rpm/rpmdb.sqlite", True)


def test_case_02_what_is_still_in_the_log_is_said(rpm_scene: Scene, pair: Pair) -> None:
    log = rpm_scene.root / packages.RPM_FOLDER / "rpmdb.sqlite-wal"
    assert pair.judge(rpm_scene).kinds == []
    log.write_bytes(b"\x37\x7f\x06\x82" + bytes(100))
    pip_over(rpm_scene.root, pair.pypi_by_pip)
    judged = pair.judge(rpm_scene)
    assert [one.path for one in judged.findings if one.kind.value == "unreadable"] == ["/var/lib/rpm/rpmdb.sqlite-wal"]


def test_case_53_versions_that_the_distribution_patched(scene: Scene, pair: Pair, tmp_path: Path) -> None:
    """By file, whatever version the package and its metadata name; never PyPI's, never changed."""
    root = rpm_tree(
        tmp_path / "suse", patched(packaged(pair.pypi, SITES["rpm"], b"rpm\n", record=True)), "python311-demo"
    )
    scene.root = root
    judged = pair.judge(scene)
    assert told(judged) == ("os", "intact", "rpm:python311-demo")
    assert judged.kinds == []


def layered(*roots: Path) -> RootFS:
    """Trees as layers: each holds what sets it apart from the one before."""
    blobs = [layer_from_tree(root, previous=before) for before, root in zip([None, *roots], roots, strict=False)]
    return RootFS.of(
        [take_inventory(cast("BinaryIO", io.BytesIO(blob.tar())), limits=DEFAULT_LIMITS) for blob in blobs]
    )


def judge_layers(rootfs: RootFS, pair: Pair) -> Judged:
    shelves = [Shelf(wheels=[pair.chainguard], role=Role.CHAINGUARD), Shelf(wheels=[pair.pypi], role=Role.UPSTREAM)]
    terms = Terms(indexes=shelves, limits=DEFAULT_LIMITS, platform=None, layered=True, on_matched=lambda _: None)
    found = [one for one in find(rootfs) if not isinstance(one, Finding)]
    lines, findings, _ = assess(rootfs, found, terms)
    return Judged(lines=lines, findings=[*findings, *rootfs.findings])


def test_case_53_across_layers(fedora: Path, pair: Pair, tmp_path: Path) -> None:
    """The files came in one layer; the database was written anew in the next, where pip also was."""
    second = copy_tree(fedora, tmp_path / "second")
    extra = packages.rpm_package(tmp_path / "extra", "extra", {"usr/share/doc/extra": b"words\n"})
    packages.rpm_install(second, [extra])
    judged = judge_layers(layered(fedora, second), pair)
    assert told(judged) == ("os", "intact", "rpm:python3-demo")
    assert judged.one.layer == 0
    third = copy_tree(second, tmp_path / "third")
    pip_over(third, pair.pypi_by_pip)
    judged = judge_layers(layered(fedora, second, third), pair)
    assert told(judged) == ("upstream", "intact", None)


def test_case_53_the_same_version_by_pip_over_the_system_s(scene: Scene, pair: Pair, tmp_path: Path) -> None:
    scene.root = rpm_tree(tmp_path / "fedora", patched(packaged(pair.pypi, SITES["rpm"], b"rpm\n")))
    assert pair.judge(scene).one.origin.value == "os"
    pip_over(scene.root, pair.chainguard_by_pip)
    assert told(pair.judge(scene)) == ("chainguard", "intact", None)


# --- apk ---


@pytest.mark.parametrize("folder", ["lib/apk/db", "usr/lib/apk/db"])
@pytest.mark.parametrize(("flags", "integrity"), [("", "none"), ("S", "intact")])
def test_case_52_apk(scene: Scene, pair: Pair, folder: str, flags: str, integrity: str) -> None:
    """apk's digests are sha1, which need bytes, or sha256 cut to 20 bytes, which can be checked for every file."""
    files = packaged(pair.chainguard, SITES["apk"], b"installer\n", record=True)
    packages.apk_install(scene.root, "py3-demo", files, flags=flags, folder=folder)
    judged = pair.judge(scene)
    assert told(judged) == ("os", integrity, "apk:py3-demo")


def test_case_52_apk_with_sha256_sees_changes(scene: Scene, pair: Pair) -> None:
    files = packaged(pair.pypi, SITES["apk"], b"installer\n")
    packages.apk_install(scene.root, "py3-demo", files, flags="S")
    (scene.root / SITES["apk"] / "demo/core.py").write_bytes(b"import os\n")
    assert told(pair.judge(scene)) == ("os", "modified", "apk:py3-demo")


def test_case_52_pip_over_apk_s(scene: Scene, pair: Pair) -> None:
    site = f"usr/lib/{PYTHON}/site-packages"
    packages.apk_install(scene.root, "py3-demo", patched(packaged(pair.pypi, site, b"installer\n", record=True)))
    assert pair.judge(scene).one.origin.value == "os"
    pip_over(scene.root, pair.pypi_by_pip)
    assert told(pair.judge(scene)) == ("upstream", "intact", None)


def test_case_52_pip_over_apk_s_with_equal_metadata(scene: Scene, pair: Pair) -> None:
    """All the wheel's bytes are also apk's; INSTALLER and RECORD say who wrote last."""
    site = f"usr/lib/{PYTHON}/site-packages"
    packages.apk_install(scene.root, "py3-demo", packaged(pair.pypi, site, b"installer\n", record=True))
    assert pair.judge(scene).one.origin.value == "os"
    pip_over(scene.root, pair.pypi_by_pip)
    assert told(pair.judge(scene)) == ("upstream", "intact", None)


# --- conda ---

PREFIXES = ["opt/conda", "opt/conda/envs/app", "srv/somewhere", "home/me/.venv"]


def conda_files(wheel: Path) -> dict[str, bytes]:
    return packaged(wheel, f"lib/{PYTHON}/site-packages", b"conda", record=True)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_case_48_conda_at_any_prefix(scene: Scene, pair: Pair, prefix: str) -> None:
    """Its own sha256 of every file says how they stand; it is never Chainguard's, whatever the index has."""
    packages.conda_install(scene.root / prefix, "demo", "1.0", conda_files(pair.chainguard))
    judged = pair.judge(scene)
    assert told(judged) == ("conda", "intact", "conda:demo")
    assert judged.one.installer == "conda"
    assert judged.kinds == []


def test_case_48_the_digest_after_the_prefix_was_written(scene: Scene, pair: Pair) -> None:
    prefix = scene.root / "opt/conda"
    script = f"#!{prefix}/bin/python\nimport demo\n".encode()
    packages.conda_install(prefix, "demo", "1.0", conda_files(pair.pypi) | {"bin/demo": script})
    assert told(pair.judge(scene)) == ("conda", "intact", "conda:demo")
    (prefix / "bin/demo").write_bytes(script + b"import os\n")
    judged = pair.judge(scene)
    assert (*judged.words, "/opt/conda/bin/demo" in judged.one.reason) == ("conda", "modified", True)


def test_case_48_installer_alone_is_a_claim(scene: Scene, pair: Pair) -> None:
    packages.write_files(scene.root / "opt/conda", conda_files(pair.pypi))
    assert told(pair.judge(scene)) == ("upstream", "intact", None)


def test_case_48_a_document_that_lists_other_bytes_owns_nothing(scene: Scene, pair: Pair) -> None:
    """The name and the paths alone hide nothing from coverage."""
    prefix = scene.root / "opt/conda"
    document = packages.conda_install(prefix, "demo", "1.0", conda_files(pair.pypi))
    listed = json.loads(document.read_text())
    for row in listed["paths_data"]["paths"]:
        row["sha256"] = row["sha256_in_prefix"] = "0" * 64
    document.write_text(json.dumps(listed))
    assert told(pair.judge(scene)) == ("upstream", "intact", None)


def test_case_48_pip_over_conda_s(scene: Scene, pair: Pair) -> None:
    packages.conda_install(scene.root / "opt/conda", "demo", "1.0", patched(conda_files(pair.pypi)))
    assert pair.judge(scene).one.origin.value == "conda"
    pip_over(scene.root, pair.chainguard_by_pip, prefix="opt/conda")
    assert told(pair.judge(scene)) == ("chainguard", "intact", None)


def test_case_48_the_same_package_in_two_environments(scene: Scene, pair: Pair) -> None:
    """One document, two prefixes: each stands to its own files."""
    for prefix in ("opt/conda", "opt/conda/envs/app"):
        packages.conda_install(scene.root / prefix, "demo", "1.0", conda_files(pair.pypi))
    (scene.root / f"opt/conda/envs/app/lib/{PYTHON}/site-packages/demo/core.py").write_bytes(b"import os\n")
    lines = [(line.environment, line.origin.value, line.integrity.value) for line in pair.judge(scene).lines]
    site = f"lib/{PYTHON}/site-packages"
    wanted = [(f"/opt/conda/envs/app/{site}", "conda", "modified"), (f"/opt/conda/{site}", "conda", "intact")]
    assert sorted(lines) == wanted


def test_case_48_coverage_does_not_count_it(scene: Scene, pair: Pair) -> None:
    packages.conda_install(scene.root / "opt/conda", "demo", "1.0", conda_files(pair.pypi))
    scene.install(pair.chainguard)
    assert sorted(line.origin.value for line in pair.judge(scene).lines) == ["chainguard", "conda"]


def test_case_48_an_environment_that_is_scanned_by_itself(scene: Scene, pair: Pair) -> None:
    """``dir:/opt/conda``: the prefix is the root."""
    packages.conda_install(scene.root, "demo", "1.0", conda_files(pair.pypi))
    assert told(pair.judge(scene)) == ("conda", "intact", "conda:demo")


def test_case_48_what_is_only_unpacked_in_conda_s_cache(scene: Scene, pair: Pair) -> None:
    """Beside the environment that it was linked into: cached, not installed twice."""
    files = conda_files(pair.pypi)
    packages.conda_install(scene.root / "opt/conda", "demo", "1.0", files)
    folder = packages.conda_unpacked(scene.root / "opt/conda/pkgs", "demo", "1.0", files)
    judged = pair.judge(scene)
    lines = [(line.kind.value, line.origin.value, line.integrity.value, line.owner) for line in judged.lines]
    assert sorted(lines) == [
        ("cached", "conda", "intact", "conda:demo"),
        ("installed", "conda", "intact", "conda:demo"),
    ]
    assert judged.kinds == []
    (folder / "info/paths.json").unlink()
    assert "upstream" in [line.origin.value for line in pair.judge(scene).lines]
