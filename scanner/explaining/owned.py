"""The files of a distribution that a package of the operating system or of conda owns, beside the owner's list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scanner.distribution import Installed
from scanner.explanation import ExplainedFile, Stand, shown_digest
from scanner.owner import Owner
from scanner.owners import Owners
from scanner.rootfs import RootFS

_INFO: Final = (".dist-info", ".egg-info")
_STANDS: Final = {True: Stand.MATCHED, False: Stand.MODIFIED, None: Stand.NOT_COMPARED}


def owned_files(
    rootfs: RootFS, owners: Owners, found: Installed, owner: Owner, *, layered: bool
) -> tuple[ExplainedFile, ...]:
    """What the owner lists for it in its environment; of several distributions of one package, what is this one's."""
    paths = [path for path in sorted(set(_listed(owners, found, owner))) if _is_told(rootfs, path)]
    return tuple(_file(rootfs, owners.of(path) or owner, path, layered=layered) for path in paths)


def _is_told(rootfs: RootFS, path: str) -> bool:
    """Regular files and what is gone; lists have folders, too."""
    return rootfs.node(path, follow_last=False) is None or rootfs.file(path) is not None


def _listed(owners: Owners, found: Installed, owner: Owner) -> Iterator[str]:
    inside = found.environment.rstrip("/") + "/"
    listed = owners.below(owner, inside)
    own = found.location[len(inside) :]
    several = sum(name.endswith(_INFO) for name in listed) > 1
    named = found.documents.get("top_level.txt", b"").decode("utf-8", "replace").split()
    for name, paths in listed.items():
        if name == own or (not name.endswith(_INFO) and (not several or name.partition(".")[0] in named)):
            yield from paths


def _file(rootfs: RootFS, owner: Owner, path: str, *, layered: bool) -> ExplainedFile:
    file = rootfs.file(path)
    if file is None:
        return ExplainedFile(path=path, member=None, state=Stand.MISSING, installed=None)
    return ExplainedFile(
        path=path,
        member=None,
        state=_STANDS[owner.agrees(data=rootfs.read(path), sha256=file.sha256)],
        installed=shown_digest(file.sha256),
        layer=file.since if layered else None,
        layers=file.writers if layered else (),
    )
