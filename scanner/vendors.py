"""Distributions inside the files of another: whose wheel accounts for them (``vendored``).

Below somebody's package anybody can put a dist-info. So it is vendored only where the wheel that explains the owner
has it, or the operating system's package that owns it has the owner too. An owner that no wheel explains has its
RECORD, a claim: it is believed as to where the part belongs, and the part is judged by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from scanner.assessed import Assessed
from scanner.claimed import claimed_metadata
from scanner.distribution import Distribution, Installed, Integrity
from scanner.match import Fit
from scanner.rootfs import RootFS
from scanner.verdict import integrity_of

_INFO = (".dist-info", ".egg-info", ".egg/EGG-INFO")
_ARCHIVES = (".zip", ".egg", ".pyz", ".pex", ".whl")


def by_depth(found: Sequence[Distribution]) -> list[list[Distribution]]:
    """The outermost environments' distributions first, then those that lie in one of their folders, and so on."""
    environments = {one.environment for one in found if isinstance(one, Installed)}
    levels: dict[int, list[Distribution]] = defaultdict(list)
    for one in found:
        outer = _outer(one.environment, environments) if isinstance(one, Installed) else ()
        levels[len(list(outer))].append(one)
    return [levels[depth] for depth in sorted(levels)]


def _outer(environment: str, environments: Container[str]) -> Iterator[str]:
    """The environments that one lies in, the innermost first."""
    parts = environment.split("/")
    for end in range(len(parts) - 1, 1, -1):
        if (path := "/".join(parts[:end])) in environments:
            yield path


class Vendors:
    """Which distribution accounts for metadata that lies below its environment."""

    def __init__(self, rootfs: RootFS) -> None:
        self._rootfs = rootfs
        self._by_location: dict[str, Assessed] = {}

    def add(self, done: Iterable[Assessed]) -> None:
        """Take in distributions that may have others in their files; those that a wheel explains come first."""
        for one in sorted(done, key=lambda one: one.verdict.fit is None):
            if not isinstance(one.found, Installed):
                continue
            for location in self._locations(one, one.found):
                if location != one.found.location:
                    self._by_location.setdefault(self._rootfs.resolve(location) or location, one)

    def split(self, level: Sequence[Distribution]) -> tuple[list[Assessed], list[Distribution]]:
        """Those that the wheel of another has the verdict on, and those that are to be judged by themselves."""
        through: list[Assessed] = []
        alone: list[Distribution] = []
        for one in level:
            vendor = self._of(one)
            if isinstance(one, Installed) and vendor is not None and vendor.verdict.fit is not None:
                through.append(_through(one, vendor, vendor.verdict.fit))
            else:
                alone.append(one)
        return through, alone

    def named(self, one: Assessed) -> Assessed:
        """The same with its vendor, if a RECORD says that it has one."""
        vendor = self._of(one.found)
        if vendor is None:
            return one
        reason = f"listed by {vendor.found.name}, which no wheel explains; by itself: {one.verdict.reason}"
        return replace(one, vendor=vendor.found.name, verdict=replace(one.verdict, reason=reason))

    def _locations(self, one: Assessed, found: Installed) -> Iterator[str]:
        """Metadata among its files: those of its wheel; where none explains it, those that it claims itself."""
        fit = one.verdict.fit
        for path in [row.path for row in fit.rows] if fit is not None else claimed_metadata(found):
            folder = path.rpartition("/")[0]
            if folder.endswith(_INFO):
                yield folder
            elif path.endswith(".egg-info") or self._is_archive(path):
                yield path

    def _is_archive(self, path: str) -> bool:
        """Whether it is an opened archive: what is inside is its wheel's too."""
        file = self._rootfs.file(path) if path.endswith(_ARCHIVES) else None
        return file is not None and file.sha256 in self._rootfs.archives

    def _of(self, one: Distribution) -> Assessed | None:
        """The owner, if it is another environment's distribution."""
        places = (one.location, one.location.partition("!/")[0]) if isinstance(one, Installed) else ()
        owner = next((self._by_location[place] for place in places if place in self._by_location), None)
        if owner is None or not isinstance(owner.found, Installed) or not isinstance(one, Installed):
            return None
        return None if owner.found.environment == one.environment else owner


def _through(one: Installed, vendor: Assessed, fit: Fit) -> Assessed:
    """The verdict on a part of another distribution: its owner's, for what lies below its own folder."""
    name = vendor.found.name
    verdict = replace(vendor.verdict, reason=f"part of {name}: {vendor.verdict.reason}", fit=None)
    if verdict.integrity is Integrity.MODIFIED:
        verdict = replace(verdict, integrity=_integrity_below(one, fit))
    return Assessed(found=one, verdict=verdict, vendor=name)


def _integrity_below(one: Installed, fit: Fit) -> Integrity:
    """How the part of a changed owner stands that is this one's: judged by the folder that holds its dist-info."""
    folder = one.environment + "/"
    rows = tuple(row for row in fit.rows if row.path.startswith(folder))
    return integrity_of(replace(fit, rows=rows)) if rows else Integrity.NONE


def within_owned(owned: Sequence[Assessed]) -> list[Assessed]:
    """The operating system's, each part of another of the same package with that one as its vendor."""
    names: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in owned:
        if isinstance(one.found, Installed) and one.owner is not None:
            names[one.owner.package][one.found.environment].append(one.found.name)
    return [_within(one, names[one.owner.package]) if one.owner is not None else one for one in owned]


def _within(one: Assessed, names: Mapping[str, list[str]]) -> Assessed:
    """``names`` are those of its package's distributions by environment."""
    environment = one.found.environment if isinstance(one.found, Installed) else ""
    outer = next(_outer(environment, names), None)
    if outer is None:
        return one
    folder = environment[len(outer) + 1 :].partition("/")[0]
    return replace(one, vendor=folder if folder in names[outer] else names[outer][0])
