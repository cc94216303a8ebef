"""How a distribution stands to the list of the package that owns it.

Installers other than the owner's write over its files, so the list alone does not make a distribution the owner's:

1. ``METADATA`` (``PKG-INFO``) that the owner's digest denies is another's, and so is the distribution.
2. ``INSTALLER`` and ``RECORD`` are what every installer writes anew. If both are there and neither is the owner's,
   another installer put the distribution there, even if ``METADATA`` came out the same.
3. Of the files whose digests can be checked, most must be the owner's.

md5 and sha1 need the bytes, which are kept of metadata only; a sha256 can be checked for every file. So integrity is
told where the owner has sha256; byte code and what installers write are left out, as for wheels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scanner.distribution import Installed, Integrity, WheelFile
from scanner.merging import Node
from scanner.owner import Owner
from scanner.owners import Owners
from scanner.rootfs import RootFS

_METADATA: Final = ("METADATA", "PKG-INFO")
_WRITTEN_BY_INSTALLERS: Final = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD")
_WRITTEN_ANEW: Final = ("INSTALLER", "RECORD")
_INFO: Final = (".dist-info", ".egg-info")
_NAMES_READ: Final = 65536
"""Bytes of ``top_level.txt`` that are read."""
_MOST_DIVIDED: Final = 50
"""Distributions of one package in one environment; SUSE and Fedora have up to a dozen."""
_MOST_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The owner of a distribution, and how its files stand to the owner's list."""

    owner: Owner
    integrity: Integrity
    reason: str


def standing(rootfs: RootFS, owners: Owners, one: Installed) -> Standing | None:
    """None where no package owns the distribution, or it is not the owner's any more."""
    metadata = _owned_metadata(rootfs, owners, one)
    owner = _owner(one, metadata)
    if owner is None:
        return None
    checking = _Checking(rootfs, owners, owner)
    if any(checking.says(path) is False for path in _named(one, _METADATA) if path in metadata):
        return None
    if all(checking.is_another_s(path) for path in _named(one, _WRITTEN_ANEW)):
        return None
    files = checking.files_of(one)
    said = Counter(checking.says(path) for path in {*metadata, *(files or ())})
    if said[False] > said[True]:
        return None
    return checking.standing(files)


def standing_of_wheel(owners: Owners, one: WheelFile) -> Standing | None:
    """The same for a wheel file that a package brought, such as the seeds of ``venv``: one file, one digest."""
    owner = owners.of(one.location)
    if owner is None:
        return None
    weak = one.contents.weak_digests.get(owner.algorithm) if one.contents else None
    same = owner.digest == weak if weak else owner.agrees(data=None, sha256=one.sha256.raw)
    if same is False:
        return None
    integrity = Integrity.INTACT if same and owner.digest else Integrity.NONE
    return Standing(owner=owner, integrity=integrity, reason=f"{owner.package} owns the file")


def standing_in_archive(rootfs: RootFS, owners: Owners, one: Installed | WheelFile) -> Standing | None:
    """The same for what is inside an archive that a package brought: the outermost file is the package's."""
    path = one.location
    while (archive := rootfs.archive_of(path)) is not None:
        path = archive
    owner = owners.of(path) if path != one.location else None
    file = rootfs.file(path)
    if owner is None or file is None:
        return None
    weak = rootfs.archives[file.sha256].weak_digests.get(owner.algorithm) if file.sha256 in rootfs.archives else None
    same = owner.digest == weak if weak else owner.agrees(data=None, sha256=file.sha256)
    if same is False:
        return None
    integrity = Integrity.INTACT if same and owner.digest else Integrity.NONE
    return Standing(owner=owner, integrity=integrity, reason=f"{owner.package} owns {path}, which it is in")


def _owned_metadata(rootfs: RootFS, owners: Owners, one: Installed) -> Mapping[str, Owner]:
    """Files of its metadata that are there and have an owner: those in its folder, or the one that it is."""
    paths = [f"{one.location}/{name}" for name in rootfs.children(one.location)] or [one.location]
    return {path: owner for path in paths if (owner := owners.of(path)) is not None}


def _owner(one: Installed, metadata: Mapping[str, Owner]) -> Owner | None:
    """Whose ``METADATA`` it is; without it, whose most of the other files are."""
    for path in (*_named(one, _METADATA), one.location):
        if path in metadata:
            return metadata[path]
    packages = Counter((owner.package, owner.prefix) for owner in metadata.values())
    return max(metadata.values(), key=lambda owner: packages[owner.package, owner.prefix], default=None)


def _named(one: Installed, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield f"{one.location}/{name}"


class _Checking:
    """The files of one package against its list."""

    def __init__(self, rootfs: RootFS, owners: Owners, owner: Owner) -> None:
        self._rootfs = rootfs
        self._owners = owners
        self._owner = owner
        self._said: dict[str, bool | None] = {}
        self._folders: dict[str, Mapping[str, Node]] = {}

    def says(self, path: str) -> bool | None:
        """Whether a file is as the owner's list has it; None where that cannot be told, also where it is gone."""
        if path not in self._said:
            self._said[path] = self._compared(path)
        return self._said[path]

    def _compared(self, path: str) -> bool | None:
        owner = self._mine(path)
        node = self._node(path)
        if owner is None or not owner.digest or node is None:
            return None
        linked = node.entry.kind == "symlink"
        file = self._rootfs.file(path) if linked else None
        sha256 = file.sha256 if file is not None else node.entry.sha256
        if sha256 is None:
            return False
        data = None if owner.algorithm == "sha256" else self._rootfs.read(path)
        # apk has a digest also for a link: that of the link's target, as written.
        return None if linked and owner.package.startswith("apk:") else owner.agrees(data=data, sha256=sha256)

    def _node(self, path: str) -> Node | None:
        """What stands at a real path; many of them share a folder."""
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = self._rootfs.children(folder or "/")
        return self._folders[folder].get(name)

    def is_another_s(self, path: str) -> bool:
        """Whether a file is there and is not in the owner's list, or not as the list has it."""
        return self._rootfs.file(path) is not None and (self._mine(path) is None or self.says(path) is False)

    def _mine(self, path: str) -> Owner | None:
        owner = self._owners.of(path)
        same = owner is not None and (owner.package, owner.prefix) == (self._owner.package, self._owner.prefix)
        return owner if same else None

    # --- which files ---

    def files_of(self, one: Installed) -> list[str] | None:
        """What the owner's list has for a distribution; None where it has several that cannot be told apart."""
        inside = one.environment.rstrip("/") + "/"
        listed = self._owners.below(self._owner, inside)
        info = one.location[len(inside) :]
        infos = [name for name in listed if name.endswith(_INFO)]
        if infos == [info]:
            return [path for paths in listed.values() for path in paths] + self._scripts(listed)
        names = self._claimed(one) if len(infos) <= _MOST_DIVIDED else frozenset()
        claimed = [name for name in listed if name == info or name.partition(".")[0] in names]
        return [path for name in claimed for path in listed[name]] if names else None

    def _scripts(self, listed: Mapping[str, Sequence[str]]) -> list[str]:
        """The package's scripts, if it has nothing but them and what it has in this environment."""
        scripts = self._owners.scripts(self._owner)
        whole = sum(map(len, listed.values())) + len(scripts) == len(self._owners.paths_of(self._owner))
        return list(scripts) if whole else []

    def _claimed(self, one: Installed) -> frozenset[str]:
        """The packages and modules that ``top_level.txt`` names, if that is the owner's."""
        if self.says(f"{one.location}/top_level.txt") is not True:
            return frozenset()
        return frozenset(one.documents.get("top_level.txt", b"")[:_NAMES_READ].decode("utf-8", "replace").split())

    # --- how they stand ---

    def standing(self, files: Iterable[str] | None) -> Standing:
        """Integrity by the owner's sha256 of ``files``; ``none`` where it has none."""
        checked = [path for path in files or () if self._is_checked(path)]
        gone = [path for path in checked if self._node(path) is None]
        changed = sorted(path for path in checked if self.says(path) is False)
        integrity, more = Integrity.NONE, ""
        if changed:
            shown = ", ".join(changed[:_MOST_SHOWN])
            integrity, more = Integrity.MODIFIED, f"; {len(changed)} of {len(checked)} changed: {shown}"
        elif gone:
            integrity, more = Integrity.PRUNED, f"; {len(gone)} gone, the {len(checked) - len(gone)} left as listed"
        elif checked:
            integrity, more = Integrity.INTACT, f"; all {len(checked)} as listed"
        return Standing(owner=self._owner, integrity=integrity, reason=f"{self._owner.package} owns its files{more}")

    def _is_checked(self, path: str) -> bool:
        owner = self._mine(path)
        name = path.rpartition("/")[2]
        by_design = name.endswith(".pyc") or (name in _WRITTEN_BY_INSTALLERS and _is_metadata(path))
        return owner is not None and owner.algorithm == "sha256" and not by_design


def _is_metadata(path: str) -> bool:
    return path.rpartition("/")[0].endswith(_INFO)
