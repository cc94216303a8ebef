"""Tree -> distributions and findings: one module for each way a distribution sits in a target.

:func:`find` asks all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from scanner.distribution import Distribution, Finding
from scanner.finders.installed import find_installed
from scanner.finders.wheels import find_wheels
from scanner.rootfs import RootFS


def find(rootfs: RootFS) -> Iterator[Distribution | Finding]:
    """Every distribution in the tree, in no particular order, and what looked like one and could not be read."""
    yield from find_installed(rootfs)
    yield from find_wheels(rootfs)
