"""Which files a distribution's own metadata say are its, in the most precise of their lists.

RECORD, ``installed-files.txt``, ``top_level.txt``, ``SOURCES.txt``, in this order.
A claim, and used as one: to tell which of two dist-infos is live, and which files belong to a distribution
that no wheel explains. Sources: PEP 376; setuptools (``install --record`` writes ``installed-files.txt``, relative to
the egg-info; ``SOURCES.txt`` is relative to the source tree).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from scanner.distribution import Installed
from scanner.record import normalise
from scanner.rootfs import RootFS

_MOST_LINES: Final = 200_000
_MOST_NAMES: Final = 1_000
_HOMES: Final = ("", "src/", "lib/")
_IMPORTED: Final = (".py", ".so", ".pyd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Files by absolute path, with the sha256 (raw) that is claimed for them, if any; and whole folders.

    Where the metadata name single files, no folder is claimed.
    """

    files: Mapping[str, bytes | None]
    folders: tuple[str, ...] = ()


def claimed(one: Installed) -> Claimed:
    """What the distribution's metadata claim, from the most precise list that is there."""
    if one.record is not None:
        home = _home(one)
        rows = {_below(home, row.path): row for row in one.record.rows}
        digests = {path: row.digest if row.algorithm == "sha256" else None for path, row in rows.items()}
        return Claimed(files=digests)
    if one.location.endswith("/EGG-INFO"):
        return Claimed(files={}, folders=(one.environment,))  # an egg's folder is the egg
    if files := dict.fromkeys(_installed_files(one)):
        return Claimed(files=files)
    if names := _top_level(one):
        home = _home(one)
        modules = [f"{home}/{name}.py" for name in names]
        return Claimed(files=dict.fromkeys(modules), folders=tuple(f"{home}/{name}" for name in names))
    return Claimed(files=dict.fromkeys(_sources(one)))


def claimed_metadata(one: Installed) -> Iterator[str]:
    """Of the files that RECORD or ``installed-files.txt`` list, those that are somebody's metadata."""
    if one.record is None:
        yield from (path for path in _installed_files(one) if "-info" in path)
        return
    for row in one.record.rows:
        if "-info" in row.path:
            yield _below(_home(one), row.path)


def _below(home: str, path: str) -> str:
    """Where a row's path leads: it is normalised, but for ``..`` in front."""
    return posixpath.normpath(f"{home}/{path}") if path.startswith("..") else f"{home}/{path}"


def _home(one: Installed) -> str:
    return one.environment.rstrip("/")


def _installed_files(one: Installed) -> Iterator[str]:
    for line in _lines(one, "installed-files.txt"):
        yield posixpath.normpath(posixpath.join(one.location, line))


def _top_level(one: Installed) -> list[str]:
    names = [name.strip() for name in _lines(one, "top_level.txt")]
    return [name for name in names if name.isidentifier()][:_MOST_NAMES]


def _sources(one: Installed) -> Iterator[str]:
    """Modules of SOURCES.txt where an install puts them: a source tree has them at its top, or in ``src``."""
    for line in _lines(one, "SOURCES.txt"):
        path = normalise(line)
        if path is None or path.startswith("../") or not path.endswith(_IMPORTED):
            continue
        for home in _HOMES:
            if path.startswith(home) and path != "setup.py":
                yield f"{_home(one)}/{path[len(home) :]}"


def _lines(one: Installed, name: str) -> list[str]:
    text = one.documents.get(name, b"").decode("utf-8", "surrogateescape")
    return [line.rstrip("\r") for line in text.split("\n") if line.strip() and "\0" not in line][:_MOST_LINES]


def standing(one: Installed, rootfs: RootFS) -> tuple[int, int, int]:
    """How the claimed files outside of metadata stand: with the claimed bytes, with others, there without a claim."""
    same = other = there = 0
    own = one.location + "/"
    said = claimed(one)
    for path, digest in said.files.items():
        file = None if path.startswith(own) or "/__pycache__/" in path else rootfs.file(path)
        if file is None:
            continue
        there += digest is None
        same += digest == file.sha256
        other += digest is not None and digest != file.sha256
    return same, other, there + sum(bool(rootfs.children(folder)) for folder in said.folders)
