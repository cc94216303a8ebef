"""Environments by their structure."""

from __future__ import annotations

from pathlib import Path

from scanner.discovery import is_source_tree, is_standard_library, places
from scanner.inventories import take_directory
from scanner.limits import DEFAULT_LIMITS
from scanner.rootfs import RootFS


def tree(root: Path, *paths: str) -> RootFS:
    """A tree of files with a line each."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x = 1\n")
    return RootFS.of([take_directory(root, limits=DEFAULT_LIMITS)])


def test_environments_have_names(tmp_path: Path) -> None:
    rootfs = tree(
        tmp_path,
        "usr/local/lib/python3.11/os.py",
        "usr/local/lib/python3.11/site-packages/a.py",
        "usr/lib/python3/dist-packages/b.py",
        "opt/venv/lib/python3.12/site-packages/c.py",
        "var/task/handler.py",
        "opt/python/d.py",
        "app/src/main.py",
    )
    found = places(rootfs)
    assert found.named == {
        "/usr/local/lib/python3.11/site-packages",
        "/usr/lib/python3/dist-packages",
        "/opt/venv/lib/python3.12/site-packages",
    }
    assert found.possible == {"/var/task", "/opt/python"}


def test_no_environment_twice_and_none_of_condas_cache(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "opt/venv/lib/python3.12/site-packages/c.py",
        "opt/conda/pkgs/six-1.17-py_0/site-packages/six.py",
        "opt/conda/pkgs/six-1.17-py_0/info/index.json",
    )
    (tmp_path / "opt/venv/lib64").symlink_to("lib")
    (tmp_path / "opt/python").symlink_to("venv")
    (tmp_path / "loop").symlink_to("/loop")
    found = places(tree(tmp_path))
    assert found.named == {"/opt/venv/lib/python3.12/site-packages"}
    assert not found.possible


def test_source_trees_and_the_standard_library(tmp_path: Path) -> None:
    rootfs = tree(
        tmp_path,
        "app/setup.py",
        "app/demo.egg-info/PKG-INFO",
        "target/setup.py",
        "target/demo-1.0.dist-info/METADATA",
        "usr/lib/python3.11/os.py",
        "usr/lib/python3.11/site.py",
        "opt/python3.11/demo.py",
    )
    assert is_source_tree(rootfs, "/app")
    assert not is_source_tree(rootfs, "/target")
    library, other = rootfs.node("/usr/lib/python3.11"), rootfs.node("/opt/python3.11")
    assert library is not None
    assert other is not None
    assert is_standard_library("/usr/lib/python3.11", library)
    assert not is_standard_library("/opt/python3.11", other)
