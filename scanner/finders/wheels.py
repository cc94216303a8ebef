"""Wheel files that lie in the tree: ``/wheels``, ensurepip's and virtualenv's seeds, a wheel given as TARGET."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import canonicalize_name

from scanner.digest import Digest
from scanner.distribution import Finding, FindingKind, WheelFile
from scanner.rootfs import RootFS
from scanner.wheel import WheelName


def find_wheels(rootfs: RootFS) -> Iterator[WheelFile | Finding]:
    """Every regular file named ``*.whl``."""
    for path, node in rootfs.walk():
        if node.entry.kind != "file" or not path.endswith(".whl") or node.entry.sha256 is None:
            continue
        filename = path.rpartition("/")[2]
        name = WheelName.parse(filename)
        contents = rootfs.wheels.get(node.entry.sha256)
        if name is None and contents is None:
            yield Finding(
                kind=FindingKind.UNREADABLE,
                path=path,
                layer=node.since,
                detail="is named like a wheel, and neither its name nor its bytes are one",
            )
            continue
        stem = contents.dist_info.removesuffix(".dist-info") if contents else ""
        project, _, version = stem.partition("-")
        yield WheelFile(
            name=name.project if name else canonicalize_name(project),
            version=str(name.version) if name else version,
            location=path,
            sha256=Digest.sha256(node.entry.sha256),
            contents=contents,
        )
