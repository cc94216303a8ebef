"""What a repository manager tells beyond the simple API: which files a proxy has really fetched, and what it is.

The simple index of a proxy lists everything that upstream offers. The manager's own interface lists what somebody
has pulled, with the bytes' checksums and the path under which they are stored.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from scanner.index import Tier

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.digest import Digest


class Holds(enum.Enum):
    """What a repository is, as its manager says."""

    PROXY = "proxy"
    """A cache of another index: what is deleted from it is fetched again when it is asked for."""
    HOSTED = "hosted"
    """The only place where its files are."""
    GROUP = "group"
    """Several repositories behind one name, asked in their order."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository of a manager. ``remote`` is the URL that a proxy fetches from, without credentials;
    ``members`` are the names of a group's repositories in the order in which they are asked."""

    name: str
    holds: Holds
    remote: str | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """A file that a proxy holds. ``path`` is where, in the manager's own words; ``size`` is bytes; times are RFC 3339.

    ``identity`` is what the manager's interface calls the entry (a path, a component's number, a slug): deletion needs
    it, nobody reads it.
    """

    project: NormalizedName
    version: str | None
    filename: str
    repository: str
    path: str
    identity: str
    size: int | None = None
    sha256: Digest | None = None
    md5: str | None = None
    created: str | None = None
    downloaded: str | None = None
    """The last time, where the manager keeps it."""
    tier: Tier | None = None


class Deleted(enum.Enum):
    """How the deletion of an entry ended, where it did not fail."""

    GONE = "gone"
    ALREADY_GONE = "already gone"
    CHANGED = "changed"
    """Its bytes are not the ones that were meant any more; it was left alone."""


class Manager(Protocol):
    """A repository manager behind an index. Calls may block, and raise :class:`scanner.errors.IndexUnavailable`."""

    @property
    def kind(self) -> str:
        """``artifactory``, ``nexus`` …"""

    @property
    def repository(self) -> str:
        """The repository that the index's URL names."""

    def repositories(self) -> tuple[Repository, ...]:
        """All Python repositories that may be seen with these credentials."""

    def retrieved(self) -> Iterator[Retrieved]:
        """Every wheel and source archive that the repository holds, page by page."""


@runtime_checkable
class Deleting(Protocol):
    """What a manager may offer besides: to delete one entry."""

    def delete(self, entry: Retrieved) -> Deleted:
        """Delete an entry of a proxy, after reading again that it is one and has the same sha256.

        Raises :class:`scanner.errors.UsageError` where the repository is not a proxy, and
        :class:`scanner.errors.IndexUnavailable` where the manager refuses.
        """


@runtime_checkable
class DeletingVersions(Deleting, Protocol):
    """A manager that deletes all files of a version at once and not one of them."""

    def delete_version(self, entries: Sequence[Retrieved]) -> Deleted:
        """Delete the entries of one version, if it holds no others; each is read again as for :meth:`delete`."""
