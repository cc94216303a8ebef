"""JFrog Artifactory: what a repository has stored, by :mod:`scanner.managers.aql`; the rest by REST.

Source: JFrog's pages on the REST interface. What it does that is worth knowing:

* A remote repository ``R`` stores what it fetches in ``R-cache``; that name is the one to ask and to delete from.
* Sizes are numbers or texts. Old servers list the repositories of all kinds of packages.
* A remote that is set up as Chainguard recommends keeps Chainguard's path, which names the tier. In a repository that
  people upload to, a path is their choice and says nothing.
* The deprecated header ``X-JFrog-Art-Api`` is never sent: HTTP clients take it along to other hosts. An API key serves
  as the password of its user.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from scanner.errors import IndexUnavailable, UsageError
from scanner.http import masked
from scanner.index import Tier
from scanner.indexes.credentials import Keyring, bare, shown
from scanner.indexes.kinds import artifactory_place, simple_url
from scanner.indexes.tier import CHAINGUARD_HOST, Tiers
from scanner.manager import Deleted, Holds, Repository, Retrieved
from scanner.managers.aql import StoredFiles, place_of
from scanner.managers.rest import Refused, Rest
from scanner.managers.rows import (
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

_MOST_MEMBERS: Final = 200
_CACHE: Final = "-cache"
_HOLDS: Final = {
    "remote": Holds.PROXY,
    "local": Holds.HOSTED,
    "federated": Holds.HOSTED,
    "virtual": Holds.GROUP,
}
_HINTS: Final = {
    400: "the interface did not take the question; Artifactory before 5.0 is not known to",
    401: "give an identity token (token_env), or user and password or token (username_env, password_env); "
    "a token may have expired",
    403: "the user has no such right: Read lists, Delete deletes; anonymous users may ask no queries",
    404: "is the part of the URL before /api/pypi/ right?",
    408: "the query took too long; ask a smaller repository",
    429: "too many queries at once: wait",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Storage:
    """Where the files of a repository are: ``key`` is the name that queries take."""

    repository: Repository
    key: str


class ArtifactoryManager:
    """The repository behind an index of Artifactory's. See :class:`scanner.manager.Manager` and ``Deleting``."""

    def __init__(self, spec: IndexSpec, *, client: Client, limits: Limits) -> None:
        place = artifactory_place(simple_url(spec.location, "artifactory"))
        if place is None:
            raise UsageError(
                f"{shown(spec.location)}: does not tell where Artifactory is",
                hint="its form is https://HOST/artifactory/api/pypi/REPOSITORY/simple",
            )
        self._root, self._repository = place
        credentials = Keyring(spec).of(spec.location)
        self._rest = Rest(self._root, client=client, credentials=credentials, limits=limits, hints=_HINTS)
        self._known: dict[str, Repository] | None = None

    def __repr__(self) -> str:
        return f"ArtifactoryManager({self._repository})"

    @property
    def kind(self) -> str:
        """``artifactory``."""
        return "artifactory"

    @property
    def repository(self) -> str:
        """The repository's key, as the index's URL has it."""
        return self._repository

    # -- which repositories there are

    def repositories(self) -> tuple[Repository, ...]:
        """The Python repositories that may be seen. The members of a virtual one are told to administrators only."""
        listed = self._listed_repositories()
        return tuple(self._with_members(listed[name]) for name in sorted(listed))

    def _listed_repositories(self) -> dict[str, Repository]:
        if self._known is None:
            answer = self._rest.get("/api/repositories", {"packageType": "pypi"})
            rows = rows_of(answer.body, "the repositories")
            found = [_repository(row, kind="type", name="key") for row in rows if _is_pypi(row)]
            self._known = {one.name: one for one in found if one is not None}
        return self._known

    def _with_members(self, repository: Repository) -> Repository:
        told = self._configured(repository.name) if repository.holds is Holds.GROUP else None
        return told if told and told.holds is Holds.GROUP else repository

    def _configured(self, name: str) -> Repository | None:
        """What the configuration of a repository says; None where it may not be read or there is none."""
        try:
            answer = self._rest.find(f"/api/repositories/{quote(name, safe='')}")
        except Refused as problem:
            if problem.status in (400, 403):  # 400: old servers, for a name that is none and for want of rights
                return None
            raise
        row = mapping(answer.body, f"repository {name}") if answer else None
        return _repository(row, kind="rclass", name="key") if row and _is_pypi(row) else None

    def _about(self, name: str) -> Repository:
        """One repository; :class:`IndexUnavailable` where nothing may be known of it."""
        listed = self._listed_repositories().get(name)
        about = self._with_members(listed) if listed else self._configured(name)
        if about is None:
            raise IndexUnavailable(
                f"{shown(self._root)}: has no Python repository {name!r}, or none that these credentials may see"
            )
        return about

    # -- what is stored

    def retrieved(self) -> Iterator[Retrieved]:
        """Every wheel and source archive that is stored: of a remote its cache, of a virtual one all members' files."""
        for storage in self._storages():
            yield from self._stored(storage)

    def _storages(self) -> list[_Storage]:
        """The repositories with files, each once, in the order in which they are asked."""
        found: dict[str, _Storage] = {}
        waiting, seen = [self._own_name()], {self._own_name()}
        while waiting:
            about = self._about(waiting.pop(0))
            if about.holds is Holds.GROUP and about.members:
                waiting = [one for one in about.members if one not in seen] + waiting
                seen.update(about.members)
                if len(seen) > _MOST_MEMBERS:
                    raise IndexUnavailable(f"{self!r}: more than {_MOST_MEMBERS} repositories behind one")
            else:  # a virtual one whose members are not told is asked itself: the query goes to all of them
                key = f"{about.name}{_CACHE}" if about.holds is Holds.PROXY else about.name
                found[key] = _Storage(repository=about, key=key)
        return list(found.values())

    def _own_name(self) -> str:
        """The URL may name a cache; its files are the remote's."""
        name, listed = self._repository, self._listed_repositories()
        remote = listed.get(name.removesuffix(_CACHE))
        is_cache = name not in listed and remote is not None and remote.holds is Holds.PROXY
        return name.removesuffix(_CACHE) if is_cache else name

    def _stored(self, storage: _Storage) -> Iterator[Retrieved]:
        given: set[tuple[str, str, str]] = set()
        rows = StoredFiles(self._rest, storage.key)
        for row in rows:
            place = place_of(row)
            if place in given:
                continue
            given.add(place)
            if entry := self._entry(row, place, storage):
                yield entry

    def _entry(self, row: Mapping[str, Any], place: tuple[str, str, str], storage: _Storage) -> Retrieved | None:
        """A row as a value; None for what is no file to install."""
        key, folder, stored = place
        filename = unquote(stored)  # without normalisation of URLs a "+" may stay as the URL had it
        above = folder.split("/")
        told = (above[-2], above[-1]) if len(above) > 1 and filename.startswith(f"{above[-2]}-{above[-1]}.") else None
        known = named(filename, name=told[0] if told else None, version=told[1] if told else None)
        if not is_distribution(filename) or known is None or not _is_path(f"{folder}/{stored}"):
            return None
        path = stored if folder == "." else f"{folder}/{stored}"
        return Retrieved(
            project=known[0],
            version=known[1],
            filename=filename,
            repository=storage.repository.name if key == storage.key else key.removesuffix(_CACHE),
            path=path,
            identity=f"{key}/{path}",
            size=number(row, "size"),
            sha256=sha256_hex(row.get("sha256")),
            md5=md5_hex(row.get("actual_md5")),
            created=moment(row, "created"),
            downloaded=_downloaded(row),
            tier=self._tier(path, storage.repository),
        )

    def _tier(self, path: str, repository: Repository) -> Tier | None:
        """What the stored path says; that a file is a built one is Chainguard's to say, so only for a proxy of it."""
        base = f"{self._root}/api/pypi/{quote(repository.name)}/"
        tier = Tiers(f"{base}simple/").of(f"{base}{quote(unquote(path))}")
        remote = urlsplit(repository.remote or "").hostname
        direct = repository.holds is Holds.PROXY and remote == CHAINGUARD_HOST
        return tier if direct or tier is Tier.FALLBACK else None

    # -- deleting

    def delete(self, entry: Retrieved) -> Deleted:
        """(1) From a remote's cache only, by what Artifactory says now; (2) the same bytes still; (3) delete."""
        key, _, path = entry.identity.partition("/")
        what = f"{entry.repository}: {entry.filename}"
        if (
            key != f"{entry.repository}{_CACHE}"
            or not _is_path(path)
            or unquote(path.rpartition("/")[2]) != entry.filename
        ):
            raise UsageError(f"{what}: not deleted: it is in no cache of a remote repository")
        self._known = None
        if self._about(entry.repository).holds is not Holds.PROXY:
            raise UsageError(f"{what}: not deleted: {entry.repository} is not a remote repository; it would be lost")
        found = self._rest.find(f"/api/storage/{quote(key, safe='')}/{quote(path)}")
        if found is None:
            return Deleted.ALREADY_GONE
        row = mapping(found.body, what)
        checksums = row.get("checksums")
        sha256 = sha256_hex(checksums.get("sha256")) if isinstance(checksums, dict) else None
        if entry.sha256 is None or sha256 != entry.sha256 or row.get("repo") != key or row.get("path") != f"/{path}":
            return Deleted.CHANGED
        gone = self._rest.delete(f"/{quote(key, safe='')}/{quote(path)}")
        return Deleted.ALREADY_GONE if gone is None else Deleted.GONE


def _is_path(path: str) -> bool:
    """Whether it stays where it starts when it stands in a URL."""
    return all(segment not in ("", "..") for segment in path.removeprefix("./").split("/")) and "\\" not in path


def _downloaded(row: Mapping[str, Any]) -> str | None:
    stats = row.get("stats")
    first = stats[0] if isinstance(stats, list) and stats else None
    return moment(first, "downloaded") if isinstance(first, dict) else None


def _is_pypi(row: Mapping[str, Any]) -> bool:
    """Old servers give all repositories whatever is asked for."""
    kind = row.get("packageType", "pypi")
    return isinstance(kind, str) and kind.lower() == "pypi"


def _repository(row: Mapping[str, Any], *, kind: str, name: str) -> Repository | None:
    key, said = text(row, name), row.get(kind)
    if key is None:
        return None
    holds = _HOLDS.get(said.lower(), Holds.UNKNOWN) if isinstance(said, str) else Holds.UNKNOWN
    url = text(row, "url") if holds is Holds.PROXY else None
    members = row.get("repositories") if holds is Holds.GROUP else None
    names = [one for one in members if isinstance(one, str) and one] if isinstance(members, list) else []
    return Repository(name=key, holds=holds, remote=masked(bare(url)) if url else None, members=tuple(names))
