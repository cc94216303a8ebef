"""Who owns a path: the package databases inside the target, as the layers together leave them.

One module for each family; ``standing`` says how a distribution stands to its owner's list. Ownership is by file, never
by name and version.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scanner.distribution import Finding, FindingKind, Installed, Kind
from scanner.owner import OwnedFile, Owner, Package
from scanner.owners.apk import apk_packages
from scanner.owners.conda import conda_cached, conda_packages
from scanner.owners.dpkg import dpkg_fault, dpkg_packages
from scanner.owners.rpm import rpm_fault, rpm_packages
from scanner.rootfs import RootFS

__all__ = ["Owners"]


class Owners:
    """The owners of those paths that may belong to a Python distribution.

    Conda's environments are looked for when a path below them is asked for: they may be anywhere.
    """

    def __init__(self, rootfs: RootFS) -> None:
        self._rootfs = rootfs
        self._by_path: dict[str, Owner] = {}
        self._paths: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._sorted: dict[tuple[str, str], Sequence[str]] = {}
        self._scripts: dict[tuple[str, str], Sequence[str]] = {}
        self._real: dict[str, str | None] = {}
        self._looked: set[str] = set()
        for read in (dpkg_packages, apk_packages, rpm_packages):
            for package in read(rootfs):
                self._add(package, Owner(package=package.title))

    def of(self, path: str) -> Owner | None:
        """The owner of a real path."""
        self._look_for_conda(path.rpartition("/")[0])
        return self._by_path.get(path)

    def paths_of(self, owner: Owner) -> Sequence[str]:
        """The real paths that an owner's package lists, of those that may matter, in order."""
        key = (owner.package, owner.prefix)
        if key not in self._sorted:
            self._sorted[key] = sorted(self._paths.get(key, ()))
        return self._sorted[key]

    def below(self, owner: Owner, folder: str) -> Mapping[str, Sequence[str]]:
        """Those of them below ``folder`` (which ends with a slash), by their first part there."""
        paths = self.paths_of(owner)
        found: dict[str, list[str]] = defaultdict(list)
        at = bisect_left(paths, folder)
        while at < len(paths) and paths[at].startswith(folder):
            found[paths[at][len(folder) :].partition("/")[0]].append(paths[at])
            at += 1
        return found

    def scripts(self, owner: Owner) -> Sequence[str]:
        """Those of them that lie in a ``bin`` and in no environment."""
        key = (owner.package, owner.prefix)
        if key not in self._scripts:
            self._scripts[key] = [path for path in self.paths_of(owner) if "bin/" in path and "-packages/" not in path]
        return self._scripts[key]

    def unread(self, others: Iterable[Installed]) -> Iterator[Finding]:
        """What could not be read of the databases, if one of the ``others`` lies where an operating system's would."""
        if not any(_may_be_the_system_s(one) for one in others):
            return
        for fault in (dpkg_fault(self._rootfs), rpm_fault(self._rootfs)):
            if fault is not None:
                path, why = fault
                node = self._rootfs.node(path)
                detail = f"{why}: which distributions the system's packages own cannot be told"
                layer = node.layer if node is not None else None
                yield Finding(kind=FindingKind.UNREADABLE, path=path, layer=layer, detail=detail)

    def _look_for_conda(self, folder: str) -> None:
        """The environments that a folder is in."""
        while folder not in self._looked:
            self._looked.add(folder)
            for package in conda_packages(self._rootfs, folder):
                self._add(package, Owner(package=package.title, prefix=folder or "/"))
            for package in conda_cached(self._rootfs, folder):
                self._add(package, Owner(package=package.title, prefix=folder or "/", cached=True))
            folder = folder.rpartition("/")[0]

    def _add(self, package: Package, owner: Owner) -> None:
        """Paths of conda's packages are relative to their prefix."""
        start = owner.prefix.rstrip("/") + "/" if owner.prefix else ""
        for file in package.files:
            path = self._real_path(start + file.path)
            known = self._by_path.get(path)
            if known is None or not known.digest:
                self._by_path[path] = _with_digest(owner, file)
                self._paths[owner.package, owner.prefix].append(path)

    def _real_path(self, path: str) -> str:
        """A package lists /lib/x where the file system has /usr/lib/x; many files share a folder."""
        folder, _, name = path.rpartition("/")
        if folder not in self._real:
            self._real[folder] = self._rootfs.resolve(folder or "/")
        real = self._real[folder]
        return path if real is None else f"{real.rstrip('/')}/{name}"


def _with_digest(owner: Owner, file: OwnedFile) -> Owner:
    """Written out: it is done for every file."""
    return Owner(
        package=owner.package,
        prefix=owner.prefix,
        algorithm=file.algorithm,
        digest=file.digest,
        cached=owner.cached,
    )


def _may_be_the_system_s(one: Installed) -> bool:
    """Packages of operating systems put nothing below ``/usr/local`` or into homes."""
    folder = one.environment + "/"
    return one.kind is Kind.INSTALLED and folder.startswith("/usr/") and not folder.startswith("/usr/local/")
