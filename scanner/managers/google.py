"""Google Artifact Registry: the files of a Python repository, as its REST interface lists them.

Source: the discovery document of ``artifactregistry.v1`` and its reference pages. What is worth knowing:

* Digests are base64 of the raw bytes; sizes are texts; the part of a name behind ``/files/`` is percent-escaped.
* A virtual repository holds nothing: the repositories of its upstream policies do, the highest priority first.
* Files can be deleted one by one in generic repositories only. For Python a whole version is deleted, so that is done
  only where the version holds no other file than those that are meant.
* The simple index takes the user ``oauth2accesstoken`` with an access token as the password; REST takes the same
  token as a bearer token.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from scanner.errors import IndexUnavailable, UsageError
from scanner.http import Credentials
from scanner.indexes.credentials import Keyring, shown
from scanner.manager import Deleted, Holds, Repository, Retrieved
from scanner.managers.googlerows import FILE, VERSION, Found, hashes_of, last_of, repository_of, resource_of
from scanner.managers.rest import Rest
from scanner.managers.rows import (
    MOST_PAGES,
    MOST_ROWS,
    is_distribution,
    mapping,
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
    from scanner.managers.rest import Document

API: Final = "https://artifactregistry.googleapis.com/v1/"
_ANY_HOLDER: Final = "oauth2accesstoken"
_PAGE_SIZE: Final = 1000
_MOST_MEMBERS: Final = 100
_OPERATION = re.compile(r"projects/[A-Za-z0-9:._-]+/locations/[a-z0-9-]+/operations/[A-Za-z0-9][A-Za-z0-9._-]*")
_HINTS: Final = {
    401: "an access token lives about an hour: gcloud auth print-access-token makes a new one",
    403: "reading needs the role artifactregistry.reader, deleting artifactregistry.repoAdmin",
    404: "check project, location and repository in the URL of the index",
    429: "the quota of the project is used up: wait, or have it raised",
}


class GoogleManager:
    """The repository behind an index of Google's. See :class:`scanner.manager.Manager` and ``Deleting``."""

    def __init__(self, spec: IndexSpec, *, client: Client, limits: Limits) -> None:
        self._name = resource_of(spec.location)
        credentials = _bearer(Keyring(spec).of(spec.location))
        self._rest = Rest(API, client=client, credentials=credentials, limits=limits, hints=_HINTS)
        self._found: dict[str, Found] = {}
        self._seconds = limits.request_seconds

    def __repr__(self) -> str:
        return f"GoogleManager({self._name})"

    @property
    def kind(self) -> str:
        """``google``."""
        return "google"

    @property
    def repository(self) -> str:
        """The repository's name, without project and location."""
        return last_of(self._name)

    def repositories(self) -> tuple[Repository, ...]:
        """The Python repositories of the project in this location."""
        parent = self._name.partition("/repositories/")[0]
        rows = (row for row in self._pages(parent, "repositories") if row.get("format") == "PYTHON")
        return tuple(repository_of(row).plain for row in rows)

    def retrieved(self) -> Iterator[Retrieved]:
        """Every wheel and source archive of the repository; of a virtual one, of all that it asks, in their order."""
        for name in self._holding():
            yield from self._files(name)

    def _about(self, name: str) -> Found:
        if name not in self._found:
            found = repository_of(mapping(self._rest.get(name).body, name))
            if found.name != name:
                raise IndexUnavailable(f"{name}: answered with another repository")
            self._found[name] = found
        return self._found[name]

    def _holding(self) -> list[str]:
        """The repositories that hold the files: this one, or those behind it. Each once, so that loops end."""
        ahead, seen, holding = [self._name], {self._name}, []
        while ahead:
            found = self._about(ahead.pop(0))
            if found.holds is not Holds.GROUP:
                holding.append(found.name)
                continue
            fresh = [name for name in dict.fromkeys(found.members) if name not in seen]
            seen.update(fresh)
            ahead = fresh + ahead
            if len(seen) > _MOST_MEMBERS:
                raise IndexUnavailable(f"{self._name}: asks more than {_MOST_MEMBERS} repositories")
        return holding

    def _pages(self, parent: str, what: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """The rows of a list over all its pages."""
        token, tokens, count = "", {""}, 0
        for _ in range(MOST_PAGES):
            asked: dict[str, str | int] = {"pageSize": _PAGE_SIZE, **query}
            if token:
                asked["pageToken"] = token
            page = mapping(self._rest.get(f"{parent}/{what}", asked).body, f"{parent}/{what}")
            rows = rows_of(page.get(what, []), what)
            count += len(rows)
            if count > MOST_ROWS:
                raise IndexUnavailable(f"{parent}: lists more than {MOST_ROWS} {what}")
            yield from rows
            token = _token(page)
            if not token:
                return
            if token in tokens:
                raise IndexUnavailable(f"{parent}/{what}: a page leads back to one before")
            tokens.add(token)
        raise IndexUnavailable(f"{parent}: lists more than {MOST_PAGES} pages of {what}")

    def _files(self, name: str) -> Iterator[Retrieved]:
        rows = (self._entry(row, name) for row in self._pages(name, "files"))
        return (entry for entry in rows if entry is not None)

    def _entry(self, row: Mapping[str, Any], repository: str) -> Retrieved | None:
        """A row as a value; None for what is no file to install."""
        named_file = text(row, "name") or ""
        found = FILE.fullmatch(named_file)
        if found is None or found["repository"] != repository:
            raise IndexUnavailable(f"{repository}: lists a file of another name: {shown(named_file)[:200]!r}")
        path = unquote(found["id"])
        filename = path.rpartition("/")[2]
        owner = VERSION.fullmatch(text(row, "owner") or "")
        package, version = (unquote(owner["package"]), unquote(owner["version"])) if owner else (None, None)
        known = named(filename, name=package, version=version) if is_distribution(filename) else None
        if known is None or not filename.isprintable():
            return None
        hashes = hashes_of(row)
        return Retrieved(
            project=known[0],
            version=known[1],
            filename=filename,
            repository=last_of(repository),
            path=path,
            identity=named_file,
            size=number(row, "sizeBytes"),
            sha256=sha256_hex(hashes.get("SHA256")),
            md5=hashes.get("MD5"),
            created=moment(row, "fetchTime") or moment(row, "createTime"),
        )

    def versions(self) -> Iterator[tuple[str, str]]:
        """(package, version) of all that is held, for those who may list packages and no files."""
        for name in self._holding():
            for row in self._pages(name, "pythonPackages"):
                package, version = text(row, "packageName"), text(row, "version")
                if package and version:
                    yield package, version

    def delete(self, entry: Retrieved) -> Deleted:
        """Delete a file that is alone in its version."""
        return self.delete_version([entry])

    def delete_version(self, entries: Sequence[Retrieved]) -> Deleted:
        """(1) A proxy's; (2) read again; (3) same bytes; (4) nothing else in the version; (5) delete the version."""
        there: list[tuple[Retrieved, str]] = []
        for entry in entries:
            owner = self._owner_now(entry)
            if owner is Deleted.CHANGED:
                return Deleted.CHANGED
            if isinstance(owner, str):
                there.append((entry, owner))
        if not there:
            return Deleted.ALREADY_GONE
        first, owner = there[0]
        if any(other != owner for _, other in there):
            raise UsageError(f"{first.filename}: not deleted: it is of another version than the files that go with it")
        self._check_alone(owner, [entry for entry, _ in there])
        done = self._rest.delete(f"{owner}?force=true")
        if done is None:
            return Deleted.ALREADY_GONE
        self._wait(done, first)
        return Deleted.GONE

    def _owner_now(self, entry: Retrieved) -> str | Deleted:
        """The version that a file is of, after it was read again; or why it is not deleted."""
        found = FILE.fullmatch(entry.identity)
        if found is None:
            raise UsageError(f"not the name of a file: {entry.identity[:200]!r}")
        self._check_proxy(found["repository"], entry)
        answer = self._rest.find(entry.identity)
        if answer is None:
            return Deleted.ALREADY_GONE
        row = mapping(answer.body, entry.filename)
        now = self._entry(row, found["repository"])
        if now is None or entry.sha256 is None or now.identity != entry.identity or now.sha256 != entry.sha256:
            return Deleted.CHANGED
        owner = text(row, "owner") or ""
        version = VERSION.fullmatch(owner)
        if version is None or version["repository"] != found["repository"]:
            raise IndexUnavailable(f"{entry.filename}: not deleted: the interface does not say of which version it is")
        return owner

    def _check_proxy(self, name: str, entry: Retrieved) -> None:
        """What the repository is, asked again: a decision that loses files rests on nothing remembered."""
        if name not in self._holding():
            raise UsageError(f"{entry.filename}: not deleted: {name} is not behind {self._name}")
        self._found.pop(name, None)
        if self._about(name).holds is not Holds.PROXY:
            raise UsageError(
                f"{entry.filename}: not deleted: {last_of(name)} is no remote repository",
                hint="what is deleted there is lost",
            )

    def _check_alone(self, owner: str, entries: Sequence[Retrieved]) -> None:
        """Refuse where the version holds files that were not meant."""
        version = VERSION.fullmatch(owner)
        assert version is not None
        listed = self._pages(version["repository"], "files", filter=f'owner="{owner}"')
        others = {text(one, "name") for one in listed if one.get("owner") == owner}
        meant = {entry.identity for entry in entries}
        if others != meant:
            raise IndexUnavailable(
                f"{entries[0].filename}: not deleted: Google deletes whole versions, and this one holds "
                f"{len(others - meant)} other files",
                hint=f"gcloud artifacts versions delete {unquote(version['version'])} "
                f"--package={unquote(version['package'])} --repository={last_of(version['repository'])}",
            )

    def _wait(self, done: Document, entry: Retrieved) -> None:
        """Until the operation has ended; it goes on by itself where that takes too long."""
        until, pause = time.monotonic() + self._seconds, 0.1
        state = mapping(done.body if done.body is not None else {"done": True}, "the operation")
        while state.get("done") is not True:
            name = text(state, "name") or ""
            if not _OPERATION.fullmatch(name) or time.monotonic() > until:
                raise IndexUnavailable(f"{entry.filename}: the deletion was accepted, and its end is not known")
            time.sleep(pause)
            pause = min(pause * 2, 2.0)
            state = mapping(self._rest.get(name).body, "the operation")
        problem = state.get("error")
        if problem:
            said = text(problem, "message") if isinstance(problem, dict) else None
            raise IndexUnavailable(f"{entry.filename}: not deleted: {self._rest.clean(said or 'the operation failed')}")


def _bearer(own: Credentials | None) -> Credentials | None:
    """The access token as REST takes it. A service account's key would have to be turned into one first."""
    if own is None or own.token is not None:
        return own
    if own.username == _ANY_HOLDER:
        return Credentials(token=own.password)
    raise UsageError(
        "Google Artifact Registry: the interface takes an access token, not a key or a password",
        hint=f"user {_ANY_HOLDER}, and as the password what gcloud auth print-access-token prints",
    )


def _token(page: Mapping[str, Any]) -> str:
    token = page.get("nextPageToken") or ""
    if not isinstance(token, str) or len(token) > 10_000:
        raise IndexUnavailable("Google Artifact Registry: nextPageToken is no text")
    return token
