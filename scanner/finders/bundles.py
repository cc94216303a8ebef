"""Distributions inside archives (``bundled``), and programs with frozen code, whose modules cannot be compared.

An archive's members stand in the tree below ``OUTER!`` (:mod:`scanner.grafts`), so what is in one is found like
anything else. What makes it ``bundled`` is that the tree knows the archive, never a name: eggs that lie there
unpacked, PEX with ``--layout loose`` and shiv's ``~/.shiv`` are environments like others. An application's own modules
are nobody's distribution, and no finding.
Sources: PEP 441 (zipapp), setuptools ("The Internal Structure of Python Eggs"), cx_Freeze.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from scanner.distribution import Distribution, Finding, FindingKind, Kind
from scanner.inventories.frozen import said_of_modules
from scanner.rootfs import Node, RootFS

ZIPPED_EGG: Final = "!/EGG-INFO"
CX_FREEZE: Final = "/frozen_application_license.txt"
_CODE: Final = (".pyc", ".so")
_MOST_MODULES: Final = 100_000


def is_egg_in_archive(rootfs: RootFS, path: str) -> bool:
    """Whether a path is the metadata at the root of an archive that is an egg."""
    return path.endswith(ZIPPED_EGG) and rootfs.archive_of(path) is not None


def bundled(rootfs: RootFS, one: Distribution) -> Distribution:
    """The same; ``bundled`` where it is inside an archive."""
    return one if rootfs.archive_of(one.location) is None else replace(one, kind=Kind.BUNDLED)


def opaque_bundle(rootfs: RootFS, path: str, node: Node) -> Iterator[Finding]:
    """A frozen program at a path, or cx_Freeze's mark of a folder with one."""
    if node.entry.kind != "file" or node.entry.sha256 is None:
        return
    what = rootfs.frozen.get(node.entry.sha256)
    if what is not None:
        yield Finding(kind=FindingKind.OPAQUE_BUNDLE, path=path, layer=node.since, detail=what)
    elif path.endswith(CX_FREEZE):
        folder = posixpath.dirname(path)
        detail = said_of_modules("a program made by cx_Freeze", _frozen_modules(rootfs, f"{folder}/lib"))
        yield Finding(kind=FindingKind.OPAQUE_BUNDLE, path=folder or "/", layer=node.since, detail=detail)


def _frozen_modules(rootfs: RootFS, library: str) -> Iterator[str]:
    """The modules in cx_Freeze's ``lib`` and in ``lib/library.zip``."""
    for path, node in islice(rootfs.walk(library), _MOST_MODULES):
        if not path.endswith(_CODE) or node.entry.kind != "file":
            continue
        below = path[len(library) + 1 :].removeprefix("library.zip!/")
        folder, _, name = below.rpartition("/")
        parts = [part for part in (*folder.split("/"), name.partition(".")[0]) if part and part != "__init__"]
        if not name.startswith("lib") or name.endswith(".pyc"):
            yield ".".join(parts)
