"""Tree -> distributions and findings: one module for each way a distribution sits in a target.

:func:`find` walks the tree once and hands each path to the module whose kind it may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from scanner.distribution import Distribution, Finding, Installed
from scanner.finders.bundles import CX_FREEZE, ZIPPED_EGG, bundled, is_egg_in_archive, opaque_bundle
from scanner.finders.bytecode import stale_bytecode
from scanner.finders.caches import STORED_SUFFIXES, Caches
from scanner.finders.develop import EGG_LINK, read_egg_link
from scanner.finders.installed import INFO_SUFFIXES, Memory, read_installed
from scanner.finders.wheels import read_wheel_file
from scanner.rootfs import RootFS

__all__ = ["find", "stale_bytecode"]

_ENDINGS: Final = (*INFO_SUFFIXES, EGG_LINK, ".whl", ZIPPED_EGG, CX_FREEZE, *STORED_SUFFIXES)
"""How the paths end that may be of any of the kinds, but for those whose bytes say so."""
_NAMES: Final = tuple(ending.rpartition("/")[2] for ending in _ENDINGS)


def find(rootfs: RootFS, memory: Memory | None = None) -> Iterator[Distribution | Finding]:
    """Every distribution in the tree, in no particular order, and what looked like one and could not be read.

    ``memory`` is a new one of this tree's own; who looks at several trees lets each know of the one before.
    """
    memory = Memory() if memory is None else memory
    for one in list(_found(rootfs, memory)):
        if isinstance(one, Installed) and one.location in memory.aliases:
            yield bundled(rootfs, replace(one, aliases=tuple(memory.aliases[one.location])))
        else:
            yield one if isinstance(one, Finding) else bundled(rootfs, one)


def _found(rootfs: RootFS, memory: Memory) -> Iterator[Distribution | Finding]:
    caches = Caches(rootfs)
    known = {*rootfs.artifacts, *rootfs.frozen}
    for path, node in rootfs.walk(endings=_NAMES, digests=known):
        if not path.endswith(_ENDINGS) and node.entry.sha256 not in known:
            continue
        if path.endswith(INFO_SUFFIXES) or is_egg_in_archive(rootfs, path):
            for one in read_installed(rootfs, path, node, memory):
                yield caches.placed(one) if isinstance(one, Installed) else one
        elif caches.has(path, node):
            yield from caches.read(path, node)
        elif path.endswith(EGG_LINK):
            yield from read_egg_link(rootfs, path, node)
        elif path.endswith(".whl"):
            yield from read_wheel_file(rootfs, path, node)
        else:
            yield from opaque_bundle(rootfs, path, node)
