"""What is there of a distribution and is no member of either wheel: what installers made, and what somebody added."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, TypeAlias

from scanner.claimed import claimed
from scanner.distribution import Installed, WheelFile
from scanner.environment import Environment
from scanner.explaining.sides import Sides
from scanner.explanation import Stand
from scanner.placement import SiteFile
from scanner.rootfs import RootFS
from scanner.scripts import entry_points

Beside: TypeAlias = Iterator[tuple[str, SiteFile, Stand]]

_INFO: Final = (".dist-info", ".egg-info")
_WRITTEN_BY_INSTALLERS: Final = frozenset(
    {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "provenance_url.json"}
)


def beside_installed(
    rootfs: RootFS, found: Installed, sides: Sides, known: Collection[str], below: str | None = None
) -> Beside:
    """Files of its metadata, of its RECORD, and in the folders where it has any; ``known`` are the wheels' members.

    ``below`` is a folder that holds all of it, where it is part of another distribution.
    """
    scripts = set(_scripts(rootfs, found, sides))
    own = found.location + "/"
    paths = {*_there(rootfs, found, known, below), *scripts, *claimed(found).files}
    for path in sorted(paths.difference(known)):
        file = rootfs.file(path)
        if file is None or (below is not None and not path.startswith(below + "/")):
            continue
        made = path in scripts or (path.startswith(own) and path[len(own) :] in _WRITTEN_BY_INSTALLERS)
        stand = Stand.NOT_IN_WHEEL if sides.subject is not None else Stand.NOT_COMPARED
        if made or _is_byte_code_of(path, known):
            stand = Stand.GENERATED
        yield path, SiteFile(path=path, sha256=file.sha256, since=file.since, writers=file.writers), stand


def beside_in_archive(rootfs: RootFS, found: WheelFile, sides: Sides, known: Collection[str]) -> Beside:
    """Members of a wheel file that the wheels of the indexes do not have."""
    file = rootfs.file(found.location)
    since, writers = (file.since, file.writers) if file else (None, ())
    stand = Stand.NOT_IN_WHEEL if sides.subject is not None else Stand.NOT_COMPARED
    for member, content in found.contents.members.items() if found.contents else ():
        path = f"{found.location}!/{member}"
        if path not in known:
            yield path, SiteFile(path=path, sha256=content.sha256, since=since, writers=writers), stand


def _there(rootfs: RootFS, found: Installed, known: Collection[str], below: str | None) -> Iterator[str]:
    claims = claimed(found)
    environment = found.environment.rstrip("/")
    paths = (path for path in (*known, *claims.files, *found.files) if rootfs.file(path) is not None)
    tops = filter(None, (_top(environment, path) for path in paths))
    for root in sorted({found.location, below or found.location, *claims.folders, *tops}):
        for path, node in rootfs.walk(root, archives=False):
            if node.entry.kind in ("file", "symlink"):
                yield path


def _top(environment: str, path: str) -> str | None:
    """The folder right below the environment that a path is in; None for the environment's own files and others."""
    if not path.startswith(environment + "/"):
        return None
    name, slash, _ = path[len(environment) + 1 :].partition("/")
    return f"{environment}/{name}" if slash and not name.endswith(_INFO) else None


def _scripts(rootfs: RootFS, found: Installed, sides: Sides) -> Iterator[str]:
    """Where installers put the scripts that they make."""
    texts = {column.fit.candidate.contents.documents.get("entry_points.txt", b"") for _, column in sides.columns()}
    folders = Environment.of(found.environment, rootfs).script_folders
    for text in (*sorted(texts), found.documents.get("entry_points.txt", b"")):
        for entry in entry_points(text):
            yield from (f"{folder}/{entry.name}" for folder in folders)


def _is_byte_code_of(path: str, known: Collection[str]) -> bool:
    folder, _, name = path.rpartition("/")
    home, cached, _ = folder.rpartition("/__pycache__")
    return bool(cached) and name.endswith(".pyc") and f"{home}/{name.partition('.')[0]}.py" in known
