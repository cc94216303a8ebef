"""What one layer holds: every entry, the sha256 of every regular file, the bytes of the few that are read later.

A pure function of the layer's bytes: nothing of other layers, indexes or options is in it, so it can be
remembered under the layer's diff_id. :mod:`scanner.inventories` makes it, out of a tar, a directory or a file.

Names are normalised (``usr/lib/x``, no leading slash); an entry that cannot be applied as
written is left out and becomes the finding ``unsafe-entry``: one odd entry must not blind the scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from scanner.artifact import Artifact
from scanner.distribution import Finding
from scanner.owner import Package
from scanner.wheel import WheelContents


class Entry(NamedTuple):
    """One entry of a layer. ``kind`` is ``file directory symlink hardlink other whiteout opaque``.

    ``sha256`` is raw and set for files only (one object for all empty files); ``link`` is a link's target
    as written (normalised like a path for hard links); ``mtime`` is kept for Python files only. A whiteout
    names what it hides, an opaque mark has its directory as ``folder`` and no name. Folder and name are
    apart, because a layer has a hundred entries for every folder. ``stamp`` is what byte code and source are compared
    by (:mod:`scanner.bytecode`): the first 16 bytes of a ``.pyc``; for a ``.py``, in a layer that has byte code with a
    hash before it, the header of byte code with its hash. Empty for everything else;
    ``UNREAD`` for both where the layer was read by its table of contents.
    """

    folder: str
    name: str
    kind: str
    size: int = 0
    sha256: bytes | None = None
    link: str = ""
    mtime: int = 0
    stamp: bytes = b""

    @property
    def path(self) -> str:
        """``folder/name``."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """One layer: its entries in their order; by raw sha256, kept bytes, opened wheels and opened archives; findings.

    ``packages`` is what the databases of rpm and conda list, ``artifacts`` what a file of a tool's cache holds, by its
    raw sha256.

    An opened archive (a zip or tar that is no wheel) is an inventory of its own, with paths below its root; one that
    could not be opened has no entries, and a finding for ``/`` that says why. ``frozen`` says of programs with
    Python code inside, by their raw sha256, what they are.
    """

    entries: tuple[Entry, ...]
    contents: dict[bytes, bytes] = field(default_factory=dict)
    wheels: dict[bytes, WheelContents] = field(default_factory=dict)
    packages: dict[bytes, tuple[Package, ...]] = field(default_factory=dict)
    artifacts: dict[bytes, tuple[Artifact, ...]] = field(default_factory=dict)
    archives: dict[bytes, Inventory] = field(default_factory=dict)
    frozen: dict[bytes, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    listed: bool = False
    """Taken from a layer's table of contents: what the layer holds besides, and its digest, was not looked at."""
    weak_digests: dict[str, bytes] = field(default_factory=dict)
    """Of an archive that lies in the layer itself: what owners' lists may have instead of a sha256."""

    @property
    def kept(self) -> int:
        """Bytes that it keeps in memory, about, those of its archives too."""
        own = sum(map(len, self.contents.values()))
        listed = sum(package.cost for packages in self.packages.values() for package in packages)
        return own + listed + sum(inner.kept for inner in self.archives.values())
