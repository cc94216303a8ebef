"""Tree -> distributions and findings: one module for each way a distribution sits in a target.

:func:`find` walks the tree once and hands each path to the module whose kind it may be.
"""

from __future__ import annotations

from collections.abc import Iterator

from scanner.distribution import Distribution, Finding
from scanner.finders.installed import INFO_SUFFIXES, Memory, read_installed
from scanner.finders.wheels import read_wheel_file
from scanner.rootfs import RootFS


def find(rootfs: RootFS) -> Iterator[Distribution | Finding]:
    """Every distribution in the tree, in no particular order, and what looked like one and could not be read."""
    memory = Memory()
    for path, node in rootfs.walk():
        if path.endswith(INFO_SUFFIXES):
            yield from read_installed(rootfs, path, node, memory)
        elif path.endswith(".whl"):
            yield from read_wheel_file(rootfs, path, node)
