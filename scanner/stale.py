"""Stale copies: entries of proxies and local caches that keep a Chainguard build from being fetched.

A plan names them, a purge deletes them. Both kinds are caches only, so what is deleted is fetched again when it is
asked for; with a Chainguard index first, that is Chainguard's build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.digest import Digest
    from scanner.manager import Retrieved


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What a Chainguard index has instead of a copy: of the same version, for the copy's interpreter and platform.

    ``index`` is the index's name, ``sha256`` None where its page promises none.
    """

    index: str
    filename: str
    sha256: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCopy:
    """What a repository manager's proxy of PyPI holds. ``manager`` is the name of the index behind which it is."""

    manager: str
    entry: Retrieved
    replacement: Replacement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCopy:
    """What a tool's store on this machine holds.

    ``tool`` is ``pip``, ``uv``, ``poetry`` or ``pdm``; ``root`` is the store's folder and ``path`` the entry, absolute;
    ``size`` is bytes; ``sha256`` that of the artifact, None where the store holds it unpacked.
    """

    tool: str
    root: str
    path: str
    project: NormalizedName
    version: str | None
    filename: str | None
    size: int | None
    sha256: Digest | None
    replacement: Replacement | None


Stale: TypeAlias = ProxyCopy | LocalCopy
