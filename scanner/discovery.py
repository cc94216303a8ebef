"""Environments by their structure: folders that Python imports installed code from, whether metadata is left or not.

``find -name '*.dist-info' -exec rm -rf`` leaves nothing that names an environment. What is left is its shape:
``site-packages`` and ``dist-packages`` (sysconfig, PEP 405, Debian's Python policy), and the flat folders that AWS
Lambda imports from (its documentation, "Search paths for layers"). The standard library around them is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scanner.rootfs import Node, RootFS

_NAMES: Final = frozenset({"site-packages", "dist-packages"})
_FLAT: Final = ("/var/task", "/opt/python", "/python")
_PASSED: Final = ("__pycache__", "proc", "sys")
_INFO: Final = (".dist-info", ".egg-info")
_SOURCE_TREE: Final = ("pyproject.toml", "setup.py", "setup.cfg")
_CONDA_PACKAGE: Final = re.compile(r"(.*/pkgs/[^/]+)/.*")
_LIBRARY: Final = re.compile(r"(python|pypy)[0-9.]*t?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Real paths: environments by their name, and folders that are one only if a distribution is found in them."""

    named: frozenset[str]
    possible: frozenset[str]


def places(rootfs: RootFS) -> Places:
    """The environments of a tree; every folder of it is looked at."""
    named: set[str] = set()
    root = rootfs.node("/")
    pending = [("", (root.children if root is not None else None) or {})]
    for path, children in pending:
        for name, child in children.items():
            if child.children:
                if name in _NAMES:
                    named.add(f"{path}/{name}")
                if name not in _PASSED and not name.endswith(_INFO):
                    pending.append((f"{path}/{name}", child.children))
    possible = {path for path in _FLAT if rootfs.resolve(path) == path and rootfs.children(path)}
    return Places(
        named=frozenset(path for path in named if not _is_unpacked_by_conda(rootfs, path)),
        possible=frozenset(possible),
    )


def is_source_tree(rootfs: RootFS, path: str) -> bool:
    """Whether a folder with an egg-info is the source of a project, where ``setup.py`` left it, and no environment."""
    children = rootfs.children(path)
    return any(name in children for name in _SOURCE_TREE) and not any(name.endswith(".dist-info") for name in children)


def is_standard_library(path: str, node: Node) -> bool:
    """Whether a folder is ``lib/pythonX.Y`` with the standard library in it."""
    children = node.children or {}
    return bool(_LIBRARY.fullmatch(path.rpartition("/")[2])) and "os.py" in children and "site.py" in children


def _is_unpacked_by_conda(rootfs: RootFS, path: str) -> bool:
    """Whether it lies in conda's cache of packages: nothing is imported from there."""
    found = _CONDA_PACKAGE.fullmatch(path)
    return found is not None and rootfs.file(f"{found[1]}/info/index.json") is not None
