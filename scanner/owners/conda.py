"""What conda owns: the packages of an environment, at whatever prefix it is, and those unpacked in its cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scanner.condameta import package_title
from scanner.owner import Package
from scanner.rootfs import RootFS


def conda_packages(rootfs: RootFS, prefix: str) -> Iterator[Package]:
    """The packages of the environment at a prefix, with paths relative to it; none where there is no environment."""
    for name in sorted(rootfs.children(f"{prefix}/conda-meta")):
        file = rootfs.file(f"{prefix}/conda-meta/{name}") if name.endswith(".json") else None
        if file is not None:
            yield from rootfs.packages.get(file.sha256, ())


def conda_cached(rootfs: RootFS, folder: str) -> Iterator[Package]:
    """The package that is unpacked in a folder of the cache (``pkgs/NAME-VERSION-BUILD``), with paths below it."""
    file = rootfs.file(f"{folder}/info/paths.json")
    if file is None or rootfs.file(f"{folder}/info/index.json") is None:
        return
    for package in rootfs.packages.get(file.sha256, ()):
        yield replace(package, title=package_title(folder.rpartition("/")[2].rsplit("-", 2)[0]))
