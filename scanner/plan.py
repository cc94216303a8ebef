"""A plan: what is not Chainguard's though it could be, what a person does about it, and what that would bring.

Five groups of steps (:class:`Plan`), each thing in the one that moves it first: *rebuild* the image's layer, *purge in
the manager*, *purge locally*, *unpin* what a lock file refuses, *wait* for what Chainguard has not got. The promise
is counted: :class:`Coverage` says what the coverage is and what it will be if every step succeeds. Pure values.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from packaging.utils import NormalizedName

from scanner.digest import Digest
from scanner.distribution import Integrity, Kind, Origin
from scanner.index import Evidence
from scanner.report import IndexLine
from scanner.stale import LocalCopy, ProxyCopy, Replacement

SCHEMA: Final = "cgscan-plan/1"


class Lack(enum.Enum):
    """Why there is no Chainguard wheel of the same version for this interpreter and platform."""

    NOT_BUILT = "not-built"
    """The indexes have nothing of the project, or only what PyPI serves too."""
    OTHER_VERSIONS = "other-versions"
    SOURCE_ONLY = "source-only"
    PLATFORM = "platform"
    """Wheels of the version are for other platforms."""
    PYTHON = "python"
    """Wheels of the version are for other versions of Python."""
    UNPROVED = "unproved"
    """A wheel fits, and nothing shows that Chainguard built it."""
    YANKED = "yanked"
    NO_VERSION = "no-version"
    """The target does not say of which version it is."""
    NOT_ASKED = "not-asked"
    """No index of Chainguard's was there to be asked, or it did not answer."""
    CHANGED = "changed"
    """It is Chainguard's build already, and files of it were changed afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What Chainguard's indexes have instead of a distribution.

    ``same_version`` fits its interpreter and platform; ``remediated`` is the highest ``+cgr.N`` version of the release
    that fits; ``later`` the nearest later release that fits. ``evidence`` is the rung on which the first of the two
    stands, None where only an old report names it. ``lack`` and ``why`` say why there is no ``same_version``.
    """

    same_version: Replacement | None = None
    remediated: str | None = None
    later: str | None = None
    evidence: Evidence | None = None
    lack: Lack | None = None
    why: str | None = None

    @property
    def promises(self) -> bool:
        """Whether the same release can come from Chainguard: ``==1.0`` accepts ``1.0+cgr.1`` as well (PEP 440)."""
        return self.same_version is not None or self.remediated is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One distribution of a target that is not Chainguard's. ``target`` is the number of its :class:`TargetStanding`.

    The other fields are the report's.
    """

    target: int
    name: str
    version: str | None
    kind: Kind
    location: str
    environment: str | None
    layer: int | None
    origin: Origin
    integrity: Integrity
    hidden: bool
    offer: Offer


class Whose(enum.Enum):
    """Whose layer it is."""

    OWN = "own"
    """No layer of the base image: an instruction of the own build file made it."""
    BASE = "base"
    """A layer of the base image, told by its diff_id: only a newer base image brings another."""
    UNKNOWN = "unknown"
    """The base image was not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """What one layer brought in that a new build can have from Chainguard.

    ``layer`` is its number, None for targets without layers, where it has to be installed again. ``created_by`` is
    the instruction as the image's history has it.
    """

    target: int
    layer: int | None
    diff_id: str | None
    created_by: str | None
    whose: Whose
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """An entry of a lock file whose hashes refuse Chainguard's bytes. ``line`` counts from 1, where it is known."""

    file: str
    project: NormalizedName
    version: str | None
    line: int | None
    accepted: tuple[Digest, ...]
    replacement: Replacement


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Applicable distributions; how many are verified, and how many will be. ``now`` and ``then`` are percent, rounded
    to two places, None where nothing is applicable.
    """

    applicable: int
    verified: int
    promised: int
    now: float | None
    then: float | None

    @classmethod
    def of(cls, *, applicable: int, verified: int, promised: int) -> Self:
        """Count; ``promised`` are those that a step brings besides those verified already."""
        return cls(
            applicable=applicable,
            verified=verified,
            promised=promised,
            now=_percent(verified, applicable),
            then=_percent(verified + promised, applicable),
        )

    @classmethod
    def all(cls, parts: Iterable[Coverage]) -> Self:
        """Of several targets together."""
        known = list(parts)
        return cls.of(
            applicable=sum(part.applicable for part in known),
            verified=sum(part.verified for part in known),
            promised=sum(part.promised for part in known),
        )

    @property
    def is_consistent(self) -> bool:
        """Whether the numbers fit each other; those of a file may not."""
        counted = self.of(applicable=self.applicable, verified=self.verified, promised=self.promised)
        return counted == self and self.verified + self.promised <= self.applicable


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStanding:
    """A target and how it stands. ``kind`` is ``image``, ``directory`` or ``file``; ``scanned_at`` is RFC 3339.

    ``aside`` counts distributions that no index is to bring: an operating system's, conda's, local ones, and vendored
    ones, which come and go with their owners.
    """

    reference: str
    kind: str
    digest: str | None
    platform: str | None
    scanned_at: str
    coverage: Coverage
    aside: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerStanding:
    """What the repository manager behind an index holds. Copies without a replacement are among ``copies``.

    ``chainguards`` are Chainguard's own files there; ``kept_back`` those that are in no proxy, so that deleting them
    would lose them; ``unclear`` those without a digest that tells whose they are.
    """

    index: str
    kind: str
    repository: str
    copies: int
    replaced: int
    chainguards: int
    kept_back: int
    unclear: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do, in the order in which it is done but for ``unpin``, which comes first where there is any.

    ``coverage`` is that of all targets together. Copies in managers and caches without a replacement are listed, and
    are deleted on demand only.
    """

    made_at: str
    minimum: Evidence
    targets: tuple[TargetStanding, ...]
    managers: tuple[ManagerStanding, ...]
    indexes: tuple[IndexLine, ...]
    rebuild: tuple[Rebuild, ...]
    purge_in_manager: tuple[ProxyCopy, ...]
    purge_locally: tuple[LocalCopy, ...]
    unpin: tuple[Pin, ...]
    wait: tuple[Item, ...]
    coverage: Coverage
    schema: str = SCHEMA
