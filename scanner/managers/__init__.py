"""What a repository manager's own interface tells: which files a proxy has fetched, and deleting them.

In reading order::

    rest          an interface: JSON documents, bounded, and what refusals mean
    rows          what its rows say, taken with care
    aql           Artifactory's query language
    artifactory   JFrog Artifactory
    nexus         Sonatype Nexus Repository 3
    cloudsmith    Cloudsmith
    googlerows    the names and rows of Google's
    google        Google Artifact Registry
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from scanner.indexes.kinds import kind_of

if TYPE_CHECKING:
    from scanner.http import Client
    from scanner.index import IndexSpec
    from scanner.limits import Limits
    from scanner.manager import Manager

__all__ = ["WITH_MANAGERS", "open_manager"]

_Open: TypeAlias = "Callable[[IndexSpec, Client, Limits], Manager]"


def open_manager(spec: IndexSpec, *, client: Client, limits: Limits) -> Manager | None:
    """The manager behind an index; None where its kind has none (a folder, Chainguard itself, a plain server).

    Nothing is asked yet. :class:`scanner.errors.UsageError` where the index's URL does not tell where the manager is.
    """
    opened = _MANAGERS.get(spec.kind or kind_of(spec.location))
    if client.offline:  # nobody will be asked, so nobody need say who we are
        spec = replace(spec, keyring=False, helper=())
    return opened(spec, client, limits) if opened else None


# Each is imported when it is needed: a scan needs none of them.


def _artifactory(spec: IndexSpec, client: Client, limits: Limits) -> Manager:
    from scanner.managers.artifactory import ArtifactoryManager  # noqa: PLC0415

    return ArtifactoryManager(spec, client=client, limits=limits)


def _nexus(spec: IndexSpec, client: Client, limits: Limits) -> Manager:
    from scanner.managers.nexus import NexusManager  # noqa: PLC0415

    return NexusManager(spec, client=client, limits=limits)


def _cloudsmith(spec: IndexSpec, client: Client, limits: Limits) -> Manager:
    from scanner.managers.cloudsmith import CloudsmithManager  # noqa: PLC0415

    return CloudsmithManager(spec, client=client, limits=limits, repository=spec.repository)


def _google(spec: IndexSpec, client: Client, limits: Limits) -> Manager:
    from scanner.managers.google import GoogleManager  # noqa: PLC0415

    return GoogleManager(spec, client=client, limits=limits)


_MANAGERS: Final[Mapping[str, _Open]] = {
    "artifactory": _artifactory,
    "nexus": _nexus,
    "cloudsmith": _cloudsmith,
    "google": _google,
}
WITH_MANAGERS: Final = tuple(_MANAGERS)
"""Kinds of indexes that tell what they have retrieved."""
