"""Where the members of a wheel stand in a target: in an environment, or in a wheel file.

:class:`Site` is the one thing that the matcher knows of a distribution's files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from packaging.utils import canonicalize_name

from scanner.environment import Environment, said_places
from scanner.record import Landing, landing
from scanner.scripts import entry_points

if TYPE_CHECKING:
    from scanner.distribution import Installed
    from scanner.rootfs import Node, RegularFile, RootFS
    from scanner.wheel import WheelContents

_MOST_SAID: Final = 100
"""Places that RECORD may have for one member."""
_PEX_LAYOUT: Final = ".layout.json"
MADE_BY_INSTALLERS: Final = ("INSTALLER", "REQUESTED", "direct_url.json", "provenance_url.json")

Bytes: TypeAlias = tuple[str, bytes]
"""A path and the raw sha256 of what a wheel has for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """A file where a wheel's member belongs. ``since`` and ``writers`` are layers, empty where there are none.

    ``others``: the bytes are those that another distribution's wheel has for this path.
    """

    path: str
    sha256: bytes
    since: int | None = None
    writers: tuple[int, ...] = ()
    others: bool = False


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

    def __init__(
        self, rootfs: RootFS, installed: Installed, environment: Environment, others: Collection[Bytes] = ()
    ) -> None:
        self._rootfs = rootfs
        self._installed = installed
        self._others = others
        self._environment = replace(environment, twin=None) if self._has_own_twin(environment) else environment
        self._said = self._inside(said_places(installed.record, self._base()))
        self._homes: tuple[WheelContents | None, Mapping[str, Landing]] = (None, {})
        self._looked: dict[str, SiteFile | None] = {}
        """By module: most of one candidate's are another's too."""
        self._folders: dict[str, Mapping[str, Node]] = {}

    def _inside(self, said: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """The same without places outside of the archive that the distribution is in: its RECORD may name anything."""
        archive = self._rootfs.archive_of(self._installed.location)
        if archive is None:
            return said
        return {name: tuple(path for path in paths if path.startswith(f"{archive}!/")) for name, paths in said.items()}

    def _has_own_twin(self, environment: Environment) -> bool:
        """Whether ``lib64`` is a folder of its own that holds the project itself: its files are that one's."""
        twin = environment.twin and self._rootfs.resolve(environment.twin)
        if not twin or twin == self._rootfs.resolve(environment.path):
            return False
        return any(
            name.endswith((".dist-info", ".egg-info"))
            and canonicalize_name(name.partition("-")[0]) == self._installed.name
            for name in self._rootfs.children(twin)
        )

    def _base(self) -> str:
        """The folder from which RECORD's rows climb.

        ``pip --target`` installs into a home of its own first, into ``lib/python``, and moves that; the rows stay.
        """
        flat = not self._environment.folder and self._installed.installer == "pip"
        return f"{self._installed.environment}/lib/python" if flat else self._installed.environment

    def look(self, member: str, contents: WheelContents) -> SiteFile | None:
        """The regular file at the first place where the member may have been put and something is."""
        shared = self._is_module(member, contents)
        if shared and member in self._looked:
            return self._looked[member]
        found = next((file for path in self._places(member, contents) if (file := self._look_at(path))), None)
        if shared:
            self._looked[member] = found
        return found

    def _look_at(self, path: str) -> SiteFile | None:
        """The regular file at a path; a folder is gone to once for all that is in it."""
        folder, _, name = path.rpartition("/")
        there = self._folders.get(folder)
        if there is None:
            there = self._folders[folder] = self._rootfs.children(folder)
        node = there.get(name)
        if node is None or node.entry.kind != "file" or node.entry.sha256 is None:
            file = self._rootfs.file(path) if node is None or node.entry.kind == "symlink" else None
            found = _site_file(path, file) if file is not None else None
        else:
            found = SiteFile(path=path, sha256=node.entry.sha256, since=node.since, writers=node.writers)
        return replace(found, others=True) if found and (path, found.sha256) in self._others else found

    def place(self, member: str, contents: WheelContents) -> str:
        """Where RECORD has it; without its word the most likely place."""
        said = self._said_of(landing(member), contents) if not self._is_metadata(member, contents) else iter(())
        return next(said, None) or self._first_place(member, contents)

    def read(self, file: SiteFile) -> bytes | None:
        """The bytes of a script, if they were kept."""
        return self._rootfs.read(file.path)

    def generated(self, contents: WheelContents) -> int:
        """Installer's files in dist-info, entry-point scripts, byte code of the wheel's modules."""
        made = sum(self._rootfs.file(f"{self._installed.location}/{name}") is not None for name in MADE_BY_INSTALLERS)
        scripts = sum(
            self._rootfs.file(f"{folder}/{entry.name}") is not None
            for entry in entry_points(contents.documents.get("entry_points.txt", b""))
            for folder in self._environment.script_folders
        )
        return made + scripts + self._byte_code(contents)

    def _byte_code(self, contents: WheelContents) -> int:
        stems: dict[str, set[str]] = {}
        for member in contents.members:
            if member.endswith(".py"):
                folder, _, name = self._first_place(member, contents).rpartition("/")
                stems.setdefault(folder, set()).add(name[:-3])
        return sum(
            name.endswith(".pyc") and name.partition(".")[0] in known and node.entry.kind == "file"
            for folder, known in stems.items()
            for name, node in self._rootfs.children(f"{folder}/__pycache__").items()
        )

    def _first_place(self, member: str, contents: WheelContents) -> str:
        if self._is_module(member, contents):
            return f"{self._environment.path}/{member}"
        return next(self._places(member, contents))

    def _places(self, member: str, contents: WheelContents) -> Iterator[str]:
        folder = contents.dist_info + "/"
        if self._is_metadata(member, contents):
            if self._installed.files:  # identified without metadata: its location is its code's
                yield f"{self._installed.environment}/{member}"
            else:
                yield f"{self._installed.location}/{member[len(folder) :]}"
            return
        where = landing(member)
        yield from self._environment.places(where, self._installed.name)
        if where.scheme == "headers":
            yield from (f"{folder}/{where.path}" for folder in self._header_folders)
        yield from self._said_of(where, contents)

    @cached_property
    def _header_folders(self) -> Sequence[str]:
        """The folders of the project's headers that are there.

        pip spells the project as it was asked for; of ``--target`` it takes the version of the Python it runs in.
        """
        homes = [*self._environment.header_folders]
        for folder in self._environment.header_folders:
            homes += [f"{folder}/site/{name}" for name in self._rootfs.children(f"{folder}/site")]
        return [
            f"{folder}/{name}"
            for folder in dict.fromkeys(homes)
            for name in sorted(self._rootfs.children(folder))
            if canonicalize_name(name) == self._installed.name
        ]

    def _said_of(self, where: Landing, contents: WheelContents) -> Iterator[str]:
        """Where RECORD says that a script, header or data file is, if that is not another member's own place."""
        known = self._said.get(where.path.rpartition("/")[2], ()) if where.scheme != "lib" else ()
        for path in known[:_MOST_SAID]:
            headers = where.scheme == "headers" and path.startswith(f"{self._environment.path}/include/")
            if path.startswith(self._environment.path + "/") and not headers:
                continue  # modules stand there; of --target the headers too
            if path.endswith("/" + where.path) and self._homes_of(contents).get(path, where) == where:
                yield path

    def _homes_of(self, contents: WheelContents) -> Mapping[str, Landing]:
        """The members outside of the environment by the first place where they belong; worked out once for a wheel."""
        if self._homes[0] is not contents:
            members = [landing(member) for member in contents.members if ".data/" in member]
            found = {next(self._environment.places(where, self._installed.name)): where for where in members}
            self._homes = (contents, found)
        return self._homes[1]

    @classmethod
    def _is_module(cls, member: str, contents: WheelContents) -> bool:
        """Whether it goes into the environment just as it stands in the wheel: nearly all do."""
        return ".data/" not in member and not cls._is_metadata(member, contents)

    @staticmethod
    def _is_metadata(member: str, contents: WheelContents) -> bool:
        folder = contents.dist_info
        return member.startswith(folder) and member.startswith("/", len(folder))


class UnpackedSite:
    """The members of a wheel that lies unpacked in a tool's store: each at its own path, nothing installed."""

    def __init__(self, rootfs: RootFS, unpacked: Installed) -> None:
        self._rootfs = rootfs
        self._unpacked = unpacked

    def look(self, member: str, contents: WheelContents) -> SiteFile | None:
        """The file of the member's path; dist-info folders correspond to each other."""
        path = self.place(member, contents)
        file = self._rootfs.file(path)
        return _site_file(path, file) if file is not None else None

    def place(self, member: str, contents: WheelContents) -> str:
        """The member's path in the store."""
        folder = contents.dist_info + "/"
        if member.startswith(folder):
            return f"{self._unpacked.location}/{member[len(folder) :]}"
        return f"{self._unpacked.environment}/{member}"

    def read(self, file: SiteFile) -> bytes | None:
        """Nothing: its scripts are as the wheel has them."""
        return None

    def generated(self, contents: WheelContents) -> int:
        """None: nobody installed it."""
        return 0


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
        if member.startswith(folder):
            return f"{self._own.dist_info}/{member[len(folder) :]}"
        return member if member in self._own.members else self._stashed(member)

    def _stashed(self, member: str) -> str:
        """The place of what is not at its own in a wheel of a packed PEX, which is an installed one zipped again."""
        if _PEX_LAYOUT not in self._own.members:
            return member
        where = landing(member)
        folders = {"lib": "", "scripts": ".prefix/bin/"}
        place = f"{folders.get(where.scheme, '.prefix/data/')}{where.path}"
        return place if place in self._own.members else member


def _site_file(path: str, file: RegularFile) -> SiteFile:
    return SiteFile(path=path, sha256=file.sha256, since=file.since, writers=file.writers)
