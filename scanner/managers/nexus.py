"""Sonatype Nexus Repository 3: the assets of a repository, as its REST interface lists them.

Source: Sonatype's pages on the interface and the public source. What it does that is worth knowing:

* A page has 10 or 100 assets, by version, in an order of its own; the token of the next page is opaque, and null at the
  end. A full page has a token though the next one may be empty.
* A proxy lists what it has cached, its pages of the simple API too: only what lies below ``packages/`` is a file.
* Paths begin with a slash or without one, by version. Any checksum may be missing; an asset without a blob has none and
  the size 0.
* The tier is lost: a proxy stores every file under its name and version.
* Only an asset is deleted: a component holds all files of a version, also those that were not meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from scanner.errors import IndexUnavailable, UsageError
from scanner.http import masked
from scanner.indexes.credentials import Keyring, bare, shown
from scanner.indexes.kinds import nexus_place, simple_url
from scanner.manager import Deleted, Holds, Repository, Retrieved
from scanner.managers.rest import Refused, Rest
from scanner.managers.rows import (
    MOST_PAGES,
    MOST_ROWS,
    is_distribution,
    mapping,
    md5_hex,
    moment,
    named,
    number,
    rows_of,
    sha256_hex,
    text,
)

if TYPE_CHECKING:
    from scanner.http import Client
    from scanner.index import IndexSpec
    from scanner.limits import Limits

_API: Final = "/service/rest/v1"
_FILES: Final = "packages/"
_MOST_MEMBERS: Final = 200
_MOST_EMPTY: Final = 100
_LONGEST_TOKEN: Final = 4000
_HOLDS: Final = {"proxy": Holds.PROXY, "hosted": Holds.HOSTED, "group": Holds.GROUP}
_IDENTITY = re.compile(r"[A-Za-z0-9+/=_-]{1,1000}")
_HINTS: Final = {
    401: "give user and password, or the two parts of a user token (username_env, password_env); Nexus takes no bearer "
    "tokens",
    403: "the user needs nx-repository-view-pypi-NAME-browse and -read to list, -delete to delete",
    404: "is the part of the URL before /repository/ right?",
    406: "the list has changed while it was read: try again",
}


class NexusManager:
    """The repository behind an index of Nexus'. See :class:`scanner.manager.Manager` and ``Deleting``."""

    def __init__(self, spec: IndexSpec, *, client: Client, limits: Limits) -> None:
        place = nexus_place(simple_url(spec.location, "nexus"))
        if place is None:
            raise UsageError(
                f"{shown(spec.location)}: does not tell where Nexus is",
                hint="its form is https://HOST/repository/NAME/simple",
            )
        self._root, self._repository = place
        credentials = Keyring(spec).of(spec.location)
        self._rest = Rest(f"{self._root}{_API}", client=client, credentials=credentials, limits=limits, hints=_HINTS)

    def __repr__(self) -> str:
        return f"NexusManager({self._repository})"

    @property
    def kind(self) -> str:
        """``nexus``."""
        return "nexus"

    @property
    def repository(self) -> str:
        """The repository's name, as the index's URL has it."""
        return self._repository

    # -- which repositories there are

    def repositories(self) -> tuple[Repository, ...]:
        """The Python repositories that may be seen. The members of a group are told to administrators only."""
        listed = self._listed_repositories()
        return tuple(self._with_members(listed[name]) for name in sorted(listed))

    def _listed_repositories(self) -> dict[str, Repository]:
        rows = rows_of(self._rest.get("/repositories").body, "the repositories")
        found = [_repository(row) for row in rows if row.get("format") == "pypi"]
        return {one.name: one for one in found if one is not None}

    def _with_members(self, repository: Repository) -> Repository:
        if repository.holds is not Holds.GROUP:
            return repository
        try:
            answer = self._rest.find(f"/repositories/pypi/group/{quote(repository.name, safe='')}")
        except Refused as problem:
            if problem.status != 403:
                raise
            return repository
        group = mapping(answer.body, f"group {repository.name}").get("group") if answer else None
        members = group.get("memberNames") if isinstance(group, dict) else None
        names = [one for one in members if isinstance(one, str) and one] if isinstance(members, list) else []
        return Repository(name=repository.name, holds=Holds.GROUP, members=tuple(names))

    # -- what is stored

    def retrieved(self) -> Iterator[Retrieved]:
        """Every wheel and source archive that is stored; of a group those of all its members."""
        for name in self._leaves():
            yield from self._stored(name)

    def _leaves(self) -> list[str]:
        """The repositories with files. A group whose members are not told is asked itself."""
        listed = self._listed_repositories()
        if self._repository not in listed:
            raise IndexUnavailable(
                f"{shown(self._root)}: has no Python repository {self._repository!r}, or none that these credentials "
                "may see"
            )
        leaves: list[str] = []
        waiting, seen = [self._repository], {self._repository}
        while waiting:
            name = waiting.pop(0)
            about = self._with_members(listed.get(name) or Repository(name=name, holds=Holds.UNKNOWN))
            if not about.members:
                leaves.append(name)
                continue
            waiting = [one for one in about.members if one not in seen] + waiting
            seen.update(about.members)
            if len(seen) > _MOST_MEMBERS:
                raise IndexUnavailable(f"{self!r}: more than {_MOST_MEMBERS} repositories behind one")
        return leaves

    def _stored(self, repository: str) -> Iterator[Retrieved]:
        given: set[str] = set()
        for row in self._assets(repository):
            identity = _identity(row)
            if identity in given:
                continue
            given.add(identity)
            if len(given) > MOST_ROWS:
                raise IndexUnavailable(f"repository {repository}: lists more than {MOST_ROWS} assets")
            if entry := _entry(row, identity, repository):
                yield entry

    def _assets(self, repository: str) -> Iterator[Mapping[str, Any]]:
        """The rows of all pages. A token that came before, or page after page without a row, is no list."""
        query, tokens, empty = {"repository": repository}, {""}, 0
        for page in range(1, MOST_PAGES + 1):
            where = f"assets of {repository}, page {page}"
            answer = mapping(self._rest.get("/assets", query).body, where)
            rows = rows_of(answer.get("items"), where)
            yield from rows
            token = answer.get("continuationToken")
            if token is None:
                return
            empty = 0 if rows else empty + 1
            if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
                raise IndexUnavailable(f"{where}: its continuationToken is no token")
            if token in tokens or empty > _MOST_EMPTY:
                raise IndexUnavailable(f"{where}: the pages go round in a circle")
            tokens.add(token)
            query = {"repository": repository, "continuationToken": token}
        raise IndexUnavailable(f"repository {repository}: lists more than {MOST_PAGES} pages of assets")

    # -- deleting

    def delete(self, entry: Retrieved) -> Deleted:
        """(1) Of a proxy only, by what Nexus says now; (2) the same file and bytes still; (3) delete the asset."""
        what = f"{entry.repository}: {entry.filename}"
        about = self._listed_repositories().get(entry.repository)
        if about is None or about.holds is not Holds.PROXY:
            raise UsageError(f"{what}: not deleted: {entry.repository} is not a proxy repository; it would be lost")
        if not _IDENTITY.fullmatch(entry.identity):
            raise UsageError(f"{what}: not deleted: {entry.identity[:100]!r} is no asset's id")
        place = f"/assets/{quote(entry.identity, safe='')}"
        found = self._rest.find(place)
        if found is None:
            return Deleted.ALREADY_GONE
        row = mapping(found.body, what)
        now = _entry(row, _identity(row), entry.repository)
        same = now is not None and (now.identity, now.path, now.sha256) == (entry.identity, entry.path, entry.sha256)
        if not same or entry.sha256 is None or row.get("repository") != entry.repository:
            return Deleted.CHANGED
        return Deleted.ALREADY_GONE if self._rest.delete(place) is None else Deleted.GONE


def _repository(row: Mapping[str, Any]) -> Repository | None:
    name, said = text(row, "name"), row.get("type")
    if name is None:
        return None
    holds = _HOLDS.get(said, Holds.UNKNOWN) if isinstance(said, str) else Holds.UNKNOWN
    attributes = row.get("attributes")
    proxy = attributes.get("proxy") if isinstance(attributes, dict) else None
    url = text(proxy, "remoteUrl") if isinstance(proxy, dict) else None
    return Repository(name=name, holds=holds, remote=masked(bare(url)) if url else None)


def _identity(row: Mapping[str, Any]) -> str:
    identity = text(row, "id")
    if identity is None:
        raise IndexUnavailable("an asset of Nexus' has no id")
    return identity


def _entry(row: Mapping[str, Any], identity: str, repository: str) -> Retrieved | None:
    """A row as a value; None for what is no file to install, or has no bytes."""
    path = (text(row, "path") or "").lstrip("/")
    filename = unquote(path.rpartition("/")[2])  # some versions keep a "+" as the URL had it
    checksums = row.get("checksum")
    digests = checksums if isinstance(checksums, dict) else {}
    size = number(row, "fileSize")
    if not path.startswith(_FILES) or not is_distribution(filename) or (not digests and not size):
        return None
    about = row.get("pypi")
    own = about if isinstance(about, dict) else {}
    above = path.split("/")[1:-1]
    told = (above[0], unquote(above[1])) if len(above) == 2 else (None, None)
    known = named(filename, name=text(own, "name") or told[0], version=text(own, "version") or told[1])
    if known is None:
        return None
    return Retrieved(
        project=known[0],
        version=known[1],
        filename=filename,
        repository=text(row, "repository") or repository,
        path=path,
        identity=identity,
        size=size,
        sha256=sha256_hex(digests.get("sha256")),
        md5=md5_hex(digests.get("md5")),
        created=moment(row, "blobCreated"),
        downloaded=moment(row, "lastDownloaded"),
    )
