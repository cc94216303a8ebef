"""What rpm owns: its database at the places that distributions keep it, as the inventory read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scanner.owner import Package
from scanner.rootfs import RootFS

_FOLDERS: Final = ("/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm")
_DATABASES: Final = ("rpmdb.sqlite", "Packages.db", "Packages")
_MANIFEST: Final = "/var/lib/rpmmanifest/container-manifest-2"
"""Names and versions of the packages in images without a database (Azure Linux, "distroless")."""


def rpm_packages(rootfs: RootFS) -> Iterator[Package]:
    """The packages with files that matter."""
    seen = set()
    for place in _places(rootfs):
        file = rootfs.file(place)
        if file is not None and file.path not in seen:
            seen.add(file.path)
            yield from rootfs.packages.get(file.sha256, ())


def rpm_fault(rootfs: RootFS) -> tuple[str, str] | None:
    """(path, why) where not all that rpm owns can be told."""
    places = _places(rootfs)
    if not places and rootfs.file(_MANIFEST) is not None:
        return _MANIFEST, "rpm's packages are named here, without lists of their files"
    for place in places:
        file, log = rootfs.file(place), rootfs.file(f"{place}-wal")
        if file is None or file.sha256 not in rootfs.packages:
            return place, "rpm's database was not read"
        if log is not None and log.size:
            return log.path, f"{log.size} bytes of rpm's database are still in its log, which was not read"
    return None


def _places(rootfs: RootFS) -> list[str]:
    return [f"{folder}/{name}" for folder in _FOLDERS for name in _DATABASES if name in rootfs.children(folder)]
