"""Wheel files that lie in the tree: ``/wheels``, ensurepip's and virtualenv's seeds, a wheel given as TARGET."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import canonicalize_name

from scanner.digest import Digest
from scanner.distribution import Finding, FindingKind, WheelFile
from scanner.rootfs import Node, RootFS
from scanner.wheel import WheelName


def read_wheel_file(rootfs: RootFS, path: str, node: Node) -> Iterator[WheelFile | Finding]:
    """A path named ``*.whl``; only regular files are wheels."""
    if node.entry.kind != "file" or node.entry.sha256 is None:
        return
    name = WheelName.parse(path.rpartition("/")[2])
    contents = rootfs.wheels.get(node.entry.sha256)
    if name is None and contents is None:
        detail = "is named like a wheel, and neither its name nor its bytes are one"
        yield Finding(kind=FindingKind.UNREADABLE, path=path, layer=node.since, detail=detail)
        return
    stem = contents.dist_info.removesuffix(".dist-info") if contents else ""
    project, _, version = stem.partition("-")
    yield WheelFile(
        name=name.project if name else canonicalize_name(project),
        version=str(name.version) if name else version,
        location=path,
        sha256=Digest.sha256(node.entry.sha256),
        contents=contents,
    )
