"""Names and rows of Google Artifact Registry: resource names, repositories, digests in base64.

Source: the discovery document of ``artifactregistry.v1``. A name that is none is an error; nobody is asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from scanner.errors import IndexUnavailable, UsageError
from scanner.http import masked
from scanner.indexes.credentials import bare, shown
from scanner.manager import Holds, Repository
from scanner.managers.rows import number, raw_hex, rows_of, text

_HOST: Final = re.compile(r"(?P<location>[a-z0-9-]+)-python\.pkg\.dev")
# each part starts with a letter or digit: ".." would lead elsewhere, and a deletion with it
_NAME = r"projects/[A-Za-z0-9][A-Za-z0-9:._-]*/locations/[a-z0-9-]+/repositories/[A-Za-z0-9][A-Za-z0-9._-]*"
_REPOSITORY = re.compile(_NAME)
FILE = re.compile(rf"(?P<repository>{_NAME})/files/(?P<id>[A-Za-z0-9][A-Za-z0-9%._+!~:@=-]{{0,1000}})")
VERSION = re.compile(
    rf"(?P<repository>{_NAME})/packages/(?P<package>[A-Za-z0-9][A-Za-z0-9%._-]*)"
    r"/versions/(?P<version>[A-Za-z0-9][A-Za-z0-9%._+!-]*)"
)
_HOLDS: Final = {
    "REMOTE_REPOSITORY": Holds.PROXY,
    "STANDARD_REPOSITORY": Holds.HOSTED,
    "VIRTUAL_REPOSITORY": Holds.GROUP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A repository with its full resource names."""

    name: str
    holds: Holds
    remote: str | None
    members: tuple[str, ...]

    @property
    def plain(self) -> Repository:
        """The same with names as people say them."""
        return Repository(
            name=last_of(self.name),
            holds=self.holds,
            remote=self.remote,
            members=tuple(last_of(one) for one in self.members),
        )


def resource_of(location: str) -> str:
    """``projects/…/locations/…/repositories/…`` by the URL of the simple index."""
    parts = urlsplit(location)
    host = _HOST.fullmatch((parts.hostname or "").lower())
    segments = [unquote(segment) for segment in parts.path.split("/") if segment][:2]
    name = f"projects/{segments[0]}/locations/{host['location']}/repositories/{segments[1]}" if (
        host is not None and len(segments) == 2
    ) else ""  # fmt: skip
    if not _REPOSITORY.fullmatch(name):
        raise UsageError(
            f"{shown(location)}: does not tell which repository of Google's it is",
            hint="https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/simple/",
        )
    return name


def repository_of(row: Mapping[str, Any]) -> Found:
    """A repository's document; :class:`IndexUnavailable` where it, or one behind it, has no name of the right form."""
    name = text(row, "name") or ""
    if not _REPOSITORY.fullmatch(name):
        raise IndexUnavailable(f"not the name of a repository: {shown(name)[:200]!r}")
    policies = _inner(row, "virtualRepositoryConfig").get("upstreamPolicies", [])
    ranked = rows_of(policies, f"{name}: upstreamPolicies")
    ranked.sort(key=lambda one: -(number(one, "priority") or 0))
    members = [text(one, "repository") or "" for one in ranked]
    if not all(_REPOSITORY.fullmatch(member) for member in members):
        raise IndexUnavailable(f"{name}: an upstream policy names no repository")
    remote = _inner(row, "remoteRepositoryConfig", "pythonRepository")
    url = text(_inner(remote, "customRepository"), "uri")
    if url is None and remote.get("publicRepository") == "PYPI":
        url = "https://pypi.org"
    return Found(
        name=name,
        holds=_HOLDS.get(str(row.get("mode")), Holds.UNKNOWN),
        remote=masked(bare(url)) if url else None,
        members=tuple(members),
    )


def _inner(row: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """An object inside others; an empty one where it is missing."""
    for key in keys:
        value = row.get(key)
        row = value if isinstance(value, dict) else {}
    return row


def hashes_of(row: Mapping[str, Any]) -> dict[str, str]:
    """The digests of one file by their type, as hex."""
    lengths = {"SHA256": 32, "MD5": 16}
    hashes = row.get("hashes")
    found: dict[str, str] = {}
    for one in hashes if isinstance(hashes, list) else ():
        kind = one.get("type") if isinstance(one, dict) else None
        value = raw_hex(one.get("value"), lengths[kind]) if isinstance(kind, str) and kind in lengths else None
        if value is not None and isinstance(kind, str):
            found[kind] = value
    return found


def last_of(name: str) -> str:
    """The last part of a resource name."""
    return name.rpartition("/")[2]
