"""How distributions stand to their owners' lists: whose they are still, and what of them was checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from fixtures import packages
from scanner.distribution import Installed
from scanner.finders import find
from scanner.inventories import take_directory
from scanner.limits import DEFAULT_LIMITS
from scanner.owners import Owners
from scanner.owners.standing import Standing, standing
from scanner.rootfs import RootFS

SITE = "usr/lib/python3.12/site-packages"
CODE = {f"{SITE}/demo/__init__.py": b"1\n", f"{SITE}/demo/core.py": b"2\n", f"{SITE}/demo/extra.py": b"3\n"}
INFO = f"{SITE}/demo-1.dist-info"
METADATA = {f"{INFO}/METADATA": b"Name: demo\nVersion: 1\n", f"{INFO}/INSTALLER": b"apk\n", f"{INFO}/RECORD": b"\n"}
FILES = CODE | METADATA


def stand(root: Path, name: str = "demo") -> Standing | None:
    rootfs = RootFS.of([take_directory(root, limits=DEFAULT_LIMITS)])
    owners = Owners(rootfs)
    [one] = [one for one in find(rootfs) if isinstance(one, Installed) and one.name == name]
    return standing(rootfs, owners, one)


def words(root: Path, name: str = "demo") -> str | None:
    stands = stand(root, name)
    return stands.integrity.value if stands else None


def install(root: Path, files: Mapping[str, bytes] = FILES, *, flags: str = "S", name: str = "py3-demo") -> Path:
    packages.apk_install(root, name, files, flags=flags)
    return root


def test_all_files_as_listed(tmp_path: Path) -> None:
    stands = stand(install(tmp_path))
    assert stands is not None
    assert (stands.integrity.value, stands.owner.package) == ("intact", "apk:py3-demo")
    assert stands.reason == "apk:py3-demo owns its files; all 4 as listed"  # without INSTALLER and RECORD


@pytest.mark.parametrize(
    ("path", "data", "wanted"),
    [
        (f"{SITE}/demo/core.py", b"another", "modified"),
        (f"{SITE}/demo/core.py", None, "pruned"),
        (f"{INFO}/METADATA", b"Name: demo\nVersion: 1\nKeywords: another's\n", None),
        (f"{INFO}/METADATA", None, "pruned"),
        (f"{INFO}/INSTALLER", b"pip\n", "intact"),
        (f"{INFO}/RECORD", b"another", "intact"),
        (f"{SITE}/demo/unlisted.py", b"another", "intact"),
    ],
)
def test_one_file_is_another(tmp_path: Path, path: str, data: bytes | None, wanted: str | None) -> None:
    root = install(tmp_path)
    (root / path).unlink(missing_ok=True)
    if data is not None:
        (root / path).write_bytes(data)
    assert words(root) == wanted


def test_installer_and_record_by_another(tmp_path: Path) -> None:
    root = install(tmp_path)
    packages.write_files(root, {f"{INFO}/INSTALLER": b"pip\n", f"{INFO}/RECORD": b"demo/core.py,,\n"})
    assert words(root) is None


def test_installer_and_record_that_the_owner_never_had(tmp_path: Path) -> None:
    root = install(tmp_path, {path: data for path, data in FILES.items() if path.endswith((".py", "METADATA"))})
    assert words(root) == "intact"
    packages.write_files(root, {f"{INFO}/INSTALLER": b"pip\n", f"{INFO}/RECORD": b"demo/core.py,,\n"})
    assert words(root) is None


def test_most_files_are_another_s(tmp_path: Path) -> None:
    root = install(tmp_path)
    packages.write_files(root, dict.fromkeys(CODE, b"another"))
    assert words(root) == "modified"  # three are another's, three are the owner's
    packages.write_files(root, {f"{INFO}/INSTALLER": b"pip\n"})
    assert words(root) is None


def test_sha1_is_checked_where_the_bytes_are_kept(tmp_path: Path) -> None:
    root = install(tmp_path, flags="")
    assert words(root) == "none"
    (root / f"{INFO}/METADATA").write_bytes(b"Name: demo\nVersion: 1\nKeywords: another's\n")
    assert words(root) is None


def test_byte_code_is_compared_elsewhere(tmp_path: Path) -> None:
    compiled = f"{SITE}/demo/__pycache__/core.cpython-312.pyc"
    root = install(tmp_path, FILES | {compiled: b"1"})
    (root / compiled).write_bytes(b"2")
    assert words(root) == "intact"


def test_links(tmp_path: Path) -> None:
    """A link to the same bytes is as good as the file; apk's digest of a link is not that of a file."""
    root = install(tmp_path)
    core = root / f"{SITE}/demo/core.py"
    core.rename(root / "moved.py")
    core.symlink_to("/moved.py")
    assert words(root) == "intact"
    (root / "moved.py").unlink()
    assert words(root) == "modified"


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    root = install(tmp_path)
    (root / f"{SITE}/demo/core.py").unlink()
    (root / f"{SITE}/demo/core.py").mkdir()
    assert words(root) == "modified"


OTHER = f"{SITE}/other-1.dist-info"
SECOND = {f"{SITE}/other.py": b"4\n", f"{OTHER}/METADATA": b"Name: other\nVersion: 1\n"}


def test_two_distributions_of_one_package_cannot_be_told_apart_without_top_level(tmp_path: Path) -> None:
    root = install(tmp_path, FILES | SECOND)
    assert (words(root), words(root, "other")) == ("none", "none")


def test_two_distributions_of_one_package(tmp_path: Path) -> None:
    tops = {f"{INFO}/top_level.txt": b"demo\n", f"{OTHER}/top_level.txt": b"other\n"}
    root = install(tmp_path, FILES | SECOND | tops)
    assert (words(root), words(root, "other")) == ("intact", "intact")
    (root / f"{SITE}/other.py").write_bytes(b"another")
    assert (words(root), words(root, "other")) == ("intact", "modified")
    (root / f"{INFO}/top_level.txt").write_bytes(b"nothing\n")  # an owner's word only if it is the owner's
    assert words(root) == "none"


def test_egg_info_that_is_one_file(tmp_path: Path) -> None:
    egg = {f"{SITE}/demo-1.egg-info": b"Name: demo\nVersion: 1\n", f"{SITE}/demo.py": b"1\n"}
    root = install(tmp_path, egg)
    assert words(root) == "intact"
    (root / f"{SITE}/demo.py").write_bytes(b"2\n")
    assert words(root) == "modified"
    (root / f"{SITE}/demo-1.egg-info").write_bytes(b"Name: demo\nVersion: 1\nKeywords: another's\n")
    assert words(root) is None


def test_a_file_that_nobody_lists(tmp_path: Path) -> None:
    packages.write_files(tmp_path, FILES)
    assert stand(tmp_path) is None


def test_two_packages_with_parts_of_one_distribution(tmp_path: Path) -> None:
    """METADATA decides whose it is; what another package lists is not in the count."""
    root = install(tmp_path, METADATA | {f"{SITE}/demo/__init__.py": b"1\n"})
    install(root, {f"{SITE}/demo/core.py": b"2\n"}, name="py3-demo-core")
    stands = stand(root)
    assert stands is not None
    assert stands.reason == "apk:py3-demo owns its files; all 2 as listed"


def test_conda_of_a_prefix_that_is_reached_by_a_link(tmp_path: Path) -> None:
    site = "lib/python3.12/site-packages"
    files = {path.replace(SITE, site): data for path, data in FILES.items()}
    packages.conda_install(tmp_path / "opt/miniforge", "demo", "1", files)
    (tmp_path / "opt/conda").symlink_to("miniforge")
    stands = stand(tmp_path)
    assert stands is not None
    assert (stands.owner.prefix, stands.integrity.value) == ("/opt/miniforge", "intact")


def test_a_false_database_without_digests_is_believed_and_with_false_ones_is_not(tmp_path: Path) -> None:
    """What ``docs/limits.md`` says of it."""
    root = tmp_path / "root"
    packages.write_files(root, FILES)
    listed = "".join(f"/{path}\n" for path in FILES)
    packages.write_files(root, {"var/lib/dpkg/info/python3-demo.list": listed.encode()})
    assert words(root) == "none"
    sums = "".join(f"{hashlib.md5(b'x').hexdigest()}  {path}\n" for path in FILES)
    packages.write_files(root, {"var/lib/dpkg/info/python3-demo.md5sums": sums.encode()})
    assert words(root) is None
