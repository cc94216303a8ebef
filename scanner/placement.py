"""Where the members of a wheel stand in a target: in an environment, or in a wheel file.

:class:`Site` is the one thing that the matcher knows of a distribution's files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from scanner.environment import Environment, said_places
from scanner.record import landing
from scanner.scripts import entry_points

if TYPE_CHECKING:
    from scanner.distribution import Installed
    from scanner.rootfs import RegularFile, RootFS
    from scanner.wheel import WheelContents

_MADE_BY_INSTALLERS: Final = ("INSTALLER", "REQUESTED", "direct_url.json", "provenance_url.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """A file where a wheel's member belongs. ``since`` and ``writers`` are layers, empty where there are none."""

    path: str
    sha256: bytes
    since: int | None = None
    writers: tuple[int, ...] = ()


class Site(Protocol):
    """Where a distribution's files are: an environment, or the members of a wheel file."""

    def look(self, member: str, contents: WheelContents) -> SiteFile | None:
        """The file at the member's place; None if there is none."""

    def read(self, file: SiteFile) -> bytes | None:
        """The bytes of a script, if they were kept."""

    def place(self, member: str, contents: WheelContents) -> str:
        """Where the member should be."""

    def generated(self, contents: WheelContents) -> int:
        """How many files the installer made for this wheel that are none of its members."""


class InstalledSite:
    """The files of an installed distribution: its dist-info and what the wheel puts around it."""

    def __init__(self, rootfs: RootFS, installed: Installed, environment: Environment) -> None:
        self._rootfs = rootfs
        self._installed = installed
        self._environment = environment
        self._said = said_places(installed.record, self._base())

    def _base(self) -> str:
        """The folder from which RECORD's rows climb.

        ``pip --target`` installs into a home of its own first, into ``lib/python``, and moves that; the rows stay.
        """
        flat = not self._environment.folder and self._installed.installer == "pip"
        return f"{self._installed.environment}/lib/python" if flat else self._installed.environment

    def look(self, member: str, contents: WheelContents) -> SiteFile | None:
        """The regular file at the first place where the member may have been put and something is."""
        for path in self._places(member, contents):
            file = self._rootfs.file(path)
            if file is not None:
                return _site_file(path, file)
        return None

    def place(self, member: str, contents: WheelContents) -> str:
        """The most likely place."""
        return next(self._places(member, contents))

    def read(self, file: SiteFile) -> bytes | None:
        """The bytes of a script, if they were kept."""
        return self._rootfs.read(file.path)

    def generated(self, contents: WheelContents) -> int:
        """Installer's files in dist-info, entry-point scripts, byte code of the wheel's modules."""
        made = sum(self._rootfs.file(f"{self._installed.location}/{name}") is not None for name in _MADE_BY_INSTALLERS)
        scripts = sum(
            self._rootfs.file(f"{self._environment.prefix}/{folder}/{entry.name}") is not None
            for entry in entry_points(contents.documents.get("entry_points.txt", b""))
            for folder in ("bin", "Scripts")
        )
        return made + scripts + self._byte_code(contents)

    def _byte_code(self, contents: WheelContents) -> int:
        stems: dict[str, set[str]] = {}
        for member in contents.members:
            if member.endswith(".py"):
                folder, _, name = next(self._places(member, contents)).rpartition("/")
                stems.setdefault(folder, set()).add(name[:-3])
        return sum(
            name.endswith(".pyc") and name.partition(".")[0] in known and node.entry.kind == "file"
            for folder, known in stems.items()
            for name, node in self._rootfs.children(f"{folder}/__pycache__").items()
        )

    def _places(self, member: str, contents: WheelContents) -> Iterator[str]:
        folder = contents.dist_info + "/"
        if member.startswith(folder):
            yield f"{self._installed.location}/{member[len(folder) :]}"
            return
        where = landing(member)
        yield from self._environment.places(where, self._installed.name)
        for path in self._said.get(where.path.rpartition("/")[2], ()):
            if path.endswith("/" + where.path):
                yield path


class WheelSite:
    """The members of a wheel file that lies in the target, as ``OUTER!/member``."""

    def __init__(self, location: str, own: WheelContents, layer: int | None) -> None:
        self._location = location
        self._own = own
        self._layer = layer

    def look(self, member: str, contents: WheelContents) -> SiteFile | None:
        """The member of the same path; dist-info folders correspond to each other."""
        own = self._counterpart(member, contents)
        found = self._own.members.get(own)
        if found is None:
            return None
        return SiteFile(path=f"{self._location}!/{own}", sha256=found.sha256, since=self._layer)

    def place(self, member: str, contents: WheelContents) -> str:
        """The member's path in the archive."""
        return f"{self._location}!/{self._counterpart(member, contents)}"

    def read(self, file: SiteFile) -> bytes | None:
        """Nothing: a wheel's scripts are as the wheel has them."""
        return None

    def generated(self, contents: WheelContents) -> int:
        """None: nobody installed it."""
        return 0

    def _counterpart(self, member: str, contents: WheelContents) -> str:
        folder = contents.dist_info + "/"
        return f"{self._own.dist_info}/{member[len(folder) :]}" if member.startswith(folder) else member


def _site_file(path: str, file: RegularFile) -> SiteFile:
    return SiteFile(path=path, sha256=file.sha256, since=file.since, writers=file.writers)
