"""Develop installs, and the metadata of source trees: nobody installed their files.

A ``NAME.egg-link`` points at a source folder; ``setup.py develop`` and pips of old made them.

The first line is the folder with the project's egg-info, the second the way from there to ``setup.py``. The link is
the distribution: what it points at may be gone, or never have been copied into the image.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Final

from packaging.utils import canonicalize_name

from scanner.distribution import Finding, FindingKind, Identity, Installed
from scanner.finders.metadata import headers, of_folder
from scanner.rootfs import Node, RootFS

EGG_LINK: Final = ".egg-link"
_LONGEST: Final = 4096
_MOST_SOURCES: Final = 4 * 1024 * 1024
_PROJECT_FILES: Final = ("pyproject.toml", "setup.py", "setup.cfg")
_PDM_BUILD: Final = "/.pdm-build"
"""Where pdm-backend prepares the metadata of an editable install."""


def read_egg_link(rootfs: RootFS, path: str, node: Node) -> Iterator[Installed | Finding]:
    """A path named ``*.egg-link``: the distribution, and a finding where it leads nowhere."""
    environment, _, name = path.rpartition("/")
    identity = of_folder(name)
    if rootfs.file(path) is None:
        kind = FindingKind.DANGLING_LINK if rootfs.node(path) is None else FindingKind.UNREADABLE
        yield _finding(kind, path, node, "an egg-link that is no file")
        return
    if identity is None:
        yield _finding(FindingKind.UNREADABLE, path, node, "an egg-link whose name is no project's")
        return
    source = _source(rootfs.read(path), environment)
    yield Installed(
        name=identity.name,
        version=_version(rootfs, source, identity),
        location=path,
        environment=environment or "/",
        local="a develop install",
        source=source,
    )
    if source is None:
        yield _finding(FindingKind.UNREADABLE, path, node, "names no folder")
    elif not rootfs.children(source):
        yield _finding(FindingKind.DANGLING_LINK, path, node, f"points at {source[:200]!r}, which is not there")


def _source(data: bytes | None, environment: str) -> str | None:
    """The folder in the first line: absolute, or seen from the link."""
    lines = (data or b"")[:_LONGEST].decode("utf-8", "surrogateescape").splitlines()
    first = lines[0].strip() if lines else ""
    return posixpath.normpath(posixpath.join(environment or "/", first)) if first and "\0" not in first else None


def _version(rootfs: RootFS, source: str | None, identity: Identity) -> str | None:
    """What the egg-info in the source folder says."""
    for name in sorted(rootfs.children(source)) if source else ():
        stem, dot, suffix = name.rpartition(".")
        if dot and suffix == "egg-info" and canonicalize_name(stem) == identity.name:
            return headers(rootfs.read(f"{source}/{name}/PKG-INFO") or b"").get("version")
    return identity.version


def nobody_installed(rootfs: RootFS, path: str, identity: Identity, documents: Mapping[str, bytes]) -> str | None:
    """For metadata in a source tree, or of the interpreter itself: what they are."""
    environment, _, folder = path.rpartition("/")
    if environment.endswith(_PDM_BUILD) and "RECORD" not in documents and "INSTALLER" not in documents:
        tree = rootfs.children(environment.removesuffix(_PDM_BUILD))
        return "a source tree's own metadata" if "pyproject.toml" in tree else None
    if not folder.endswith(".egg-info"):
        return None
    if identity.name == "python" and _is_own_library(rootfs, environment, identity.version):
        return "the interpreter's own metadata"
    if identity.version and f"-{identity.version}" in folder:
        return None
    root = _source_root(environment, folder, documents.get("SOURCES.txt", b""))
    found = rootfs.children(root) if root is not None else {}
    return "a source tree's own metadata" if any(name in found for name in _PROJECT_FILES) else None


def _is_own_library(rootfs: RootFS, environment: str, version: str | None) -> bool:
    """Whether a folder is ``lib/pythonX.Y`` (or ``lib-dynload`` in it) of the interpreter of that version."""
    found = re.fullmatch(
        r"(?P<library>.*/lib(?:64|32)?/python(?P<version>\d+\.\d+))(?:/lib-dynload|/config)?", environment
    )
    if not found or not version or not f"{version}.".startswith(found["version"] + "."):
        return False
    there = rootfs.children(found["library"])
    return all(name in there for name in ("os.py", "site.py", "encodings"))


def _source_root(environment: str, folder: str, sources: bytes) -> str | None:
    """The project's folder: SOURCES.txt names itself as seen from there (``src/x.egg-info/SOURCES.txt``)."""
    if not sources:
        return environment
    tail = f"{folder}/SOURCES.txt"
    end = sources.replace(b"\\", b"/").find(tail.encode("utf-8", "surrogateescape"), 0, _MOST_SOURCES)
    above = sources[sources.rfind(b"\n", 0, max(end, 0)) + 1 : max(end, 0)].decode("utf-8", "surrogateescape")
    above = above.replace("\\", "/").rstrip("/")
    if end < 0 or not f"{environment}/".endswith(f"/{above}/" if above else "/"):
        return None
    return environment.removesuffix(f"/{above}") if above else environment


def _finding(kind: FindingKind, path: str, node: Node, detail: str) -> Finding:
    return Finding(kind=kind, path=path, layer=node.layer, detail=detail)
