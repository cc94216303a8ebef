"""Cloudsmith: the packages of a repository, as its REST interface lists them.

Source: the interface's description (``packages/{owner}/{repo}/``, ``repos/{owner}/{repo}/upstream/python/``). What it
does that is worth knowing:

* A list is an array; its length and number of pages stand in headers (``X-Pagination-*``). Beyond the last page comes
  a 404 or an empty array.
* A repository holds uploads and what its upstreams brought side by side. What was cached carries a tag with the
  upstream's name, shortened, with dashes for spaces. People may set tags too, so a tag proves something only where
  the row lists it among those that people cannot change (``tags_immutable``, ``tags_automatic``).
* A wheel is served on another host (``dl.cloudsmith.io``) than the interface (``api.cloudsmith.io``). Both are
  Cloudsmith's, and the same user and API key are shown to both. The header ``X-Api-Key`` is not used: HTTP clients
  take it along to other hosts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from scanner.errors import IndexUnavailable, UsageError
from scanner.http import masked
from scanner.indexes.credentials import Keyring, bare, shown
from scanner.manager import Deleted, Holds, Repository, Retrieved
from scanner.managers.rest import Rest
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
    from scanner.managers.rest import Document

API: Final = "https://api.cloudsmith.io/v1"
HOST: Final = "dl.cloudsmith.io"
_PAGE_SIZE: Final = 500
_MOST_REPOSITORIES: Final = 200
_CACHING: Final = frozenset({"Cache and Proxy", "Cache Only"})
_HINTS: Final = {
    401: "the interface wants a user and an API key (password_env, username_env) or an OIDC token (token_env); "
    "an entitlement token reads files only",
    402: "the plan of the workspace does not allow it",
    403: "the user has no such right on the repository",
    404: "no such repository, or one that these credentials may not see",
    429: "the limit of requests is used up: wait, or ask with credentials (anonymous users have few)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """An upstream of a repository. ``url`` is without credentials; a smaller ``priority`` is asked earlier."""

    name: str
    url: str | None
    priority: int
    caches: bool


class CloudsmithManager:
    """The repository behind an index of Cloudsmith's. See :class:`scanner.manager.Manager` and ``Deleting``."""

    def __init__(self, spec: IndexSpec, *, client: Client, limits: Limits, repository: str | None = None) -> None:
        self._owner, self._repository = _place(spec.location, repository)
        credentials = Keyring(spec).of(spec.location) or Keyring(spec).of(API)
        self._rest = Rest(API, client=client, credentials=credentials, limits=limits, hints=_HINTS)
        self._upstreams: dict[str, tuple[Upstream, ...]] = {}

    def __repr__(self) -> str:
        return f"CloudsmithManager({self._owner}/{self._repository})"

    @property
    def kind(self) -> str:
        """``cloudsmith``."""
        return "cloudsmith"

    @property
    def repository(self) -> str:
        """The repository's name, without its workspace."""
        return self._repository

    def upstreams(self, repository: str | None = None) -> tuple[Upstream, ...]:
        """The active upstreams for Python in the order in which they are asked; only administrators may see them."""
        name = repository or self._repository
        if name not in self._upstreams:
            where = f"upstreams of {self._owner}/{name}"
            answer = self._rest.get(f"/repos/{self._owner}/{name}/upstream/python/")
            found = [_upstream(row, where) for row in rows_of(answer.body, where) if row.get("is_active") is not False]
            self._upstreams[name] = tuple(sorted(found, key=lambda one: (one.priority, one.name)))
        return self._upstreams[name]

    def repositories(self) -> tuple[Repository, ...]:
        """The repositories of the workspace that may serve Python; this one in any case."""
        answer = self._rest.find(f"/repos/{self._owner}/", {"page": 1, "page_size": _MOST_REPOSITORIES})
        names = {text(row, "slug") for row in rows_of(answer.body, "repositories")} if answer else set()
        others = [self._about(name) for name in sorted(_plain(names)) if name != self._repository]
        return (self._about(self._repository), *(one for one in others if one.holds in (Holds.PROXY, Holds.GROUP)))

    def _about(self, name: str) -> Repository:
        """A repository with one upstream counts as its proxy, though it may hold uploads beside."""
        try:
            upstreams = self.upstreams(name)
        except IndexUnavailable as problem:
            if problem.whole:
                raise
            return Repository(name=name, holds=Holds.UNKNOWN)
        if len(upstreams) > 1:
            return Repository(name=name, holds=Holds.GROUP, members=tuple(one.name for one in upstreams))
        if upstreams:
            return Repository(name=name, holds=Holds.PROXY, remote=upstreams[0].url)
        return Repository(name=name, holds=Holds.HOSTED)

    def retrieved(self) -> Iterator[Retrieved]:
        """Every wheel and source archive that it holds, uploads too (the list does not tell them apart for sure)."""
        return self._listed("format:python")

    def retrieved_through(self, upstream: str) -> Iterator[Retrieved]:
        """Those that carry the tag of an upstream."""
        return self._listed(f"format:python AND tag:{tag_of(upstream)}")

    def _listed(self, query: str) -> Iterator[Retrieved]:
        seen: set[str] = set()
        rows_seen = 0
        for page in range(1, MOST_PAGES + 1):
            asked: dict[str, str | int] = {"query": query, "sort": "-date", "page": page, "page_size": _PAGE_SIZE}
            path = f"/packages/{self._owner}/{self._repository}/"
            answer = self._rest.get(path, asked) if page == 1 else self._rest.find(path, asked)
            rows = rows_of(answer.body, f"page {page} of the packages") if answer is not None else []
            fresh = [row for row in rows if _slug(row) not in seen]
            if rows and not fresh:
                raise IndexUnavailable(f"{self!r}: page {page} of the packages repeats the ones before")
            seen.update(_slug(row) for row in fresh)
            rows_seen += len(rows)
            if rows_seen > MOST_ROWS:
                raise IndexUnavailable(f"{self!r}: lists more than {MOST_ROWS} packages")
            yield from filter(None, (self._entry(row) for row in fresh))
            if answer is None or not rows or _pages(answer) == page:
                self._check_count(answer, rows_seen)
                return
        raise IndexUnavailable(f"{self!r}: lists more than {MOST_PAGES} pages of packages")

    def _check_count(self, last: Document | None, rows: int) -> None:
        count = _header(last, "x-pagination-count")
        if count is not None and rows < count:
            raise IndexUnavailable(f"{self!r}: promises {count} packages and lists {rows}")

    def _entry(self, row: Mapping[str, Any]) -> Retrieved | None:
        """A row as a value; None for what is no file to install, or is not stored to the end yet."""
        filename = text(row, "filename")
        sha256 = sha256_hex(row.get("checksum_sha256"))
        if filename is None or not is_distribution(filename) or row.get("is_sync_completed") is False or not sha256:
            return None
        known = named(filename, name=text(row, "name"), version=text(row, "version"))
        if known is None:
            return None
        url = text(row, "cdn_url")
        return Retrieved(
            project=known[0],
            version=known[1],
            filename=filename,
            repository=self._repository,
            path=shown(url) if url else filename,
            identity=_slug(row),
            size=number(row, "size"),
            sha256=sha256,
            md5=md5_hex(row.get("checksum_md5")),
            created=moment(row, "uploaded_at"),
        )

    def delete(self, entry: Retrieved) -> Deleted:
        """(1) Read it again; (2) same bytes; (3) from an upstream that caches, by its tag; (4) delete by slug."""
        path = f"/packages/{self._owner}/{self._repository}/{_safe(entry.identity)}/"
        answer = self._rest.find(path)
        if answer is None:
            return Deleted.ALREADY_GONE
        row = mapping(answer.body, f"package {entry.filename}")
        found = sha256_hex(row.get("checksum_sha256"))
        if entry.sha256 is None or found != entry.sha256 or text(row, "filename") != entry.filename:
            return Deleted.CHANGED
        self._check_cached(row, entry)
        return Deleted.ALREADY_GONE if self._rest.delete(path) is None else Deleted.GONE

    def _check_cached(self, row: Mapping[str, Any], entry: Retrieved) -> None:
        """Refuse to delete what may be an upload: it would be lost."""
        what = f"{self._owner}/{self._repository}: {entry.filename}"
        if _slug(row) != entry.identity or text(row, "repository") not in (None, self._repository):
            raise UsageError(f"{what}: not deleted: it belongs to another repository")
        try:
            caching = [one for one in self.upstreams() if one.caches]
        except IndexUnavailable as problem:
            raise UsageError(
                f"{what}: not deleted: whether it is an upload cannot be told ({problem.message})",
                hint="only an administrator of the repository may see its upstreams",
            ) from problem
        tags = _tags(row)
        if tags is None:
            raise UsageError(
                f"{what}: not deleted: Cloudsmith does not say which of its tags people cannot change, so it may be an "
                "upload with an upstream's tag",
                hint="delete it on Cloudsmith's own page, where it says what brought it",
            )
        if not any(tag_of(one.name) in tags for one in caching):
            raise UsageError(
                f"{what}: not deleted: no tag of Cloudsmith's own says that an upstream brought it, "
                "so it may be an upload",
                hint="what upstreams bring has a tag with the upstream's name",
            )


def tag_of(upstream: str) -> str:
    """The tag that Cloudsmith gives to what an upstream of that name brought, as far as it is not shortened."""
    return re.sub(r"[^a-z0-9._-]+", "-", upstream.strip().lower()).strip("-")


def _place(location: str, repository: str | None) -> tuple[str, str]:
    """Workspace and repository, by ``OWNER/REPOSITORY`` or the index's URL."""
    parts = urlsplit(location)
    segments = repository.split("/") if repository else [unquote(one) for one in parts.path.split("/") if one][1:3]
    own = repository is not None or (parts.hostname or "").lower() == HOST
    if not own or len(segments) != 2 or not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", one) for one in segments):
        raise UsageError(
            f"{shown(location)}: does not tell which repository of Cloudsmith's it is",
            hint=f"https://{HOST}/basic/OWNER/REPOSITORY/python/simple/, or name OWNER/REPOSITORY",
        )
    return segments[0], segments[1]


def _upstream(row: Mapping[str, Any], where: str) -> Upstream:
    name, url = text(row, "name"), text(row, "upstream_url")
    if name is None:
        raise IndexUnavailable(f"{where}: one has no name")
    return Upstream(
        name=name,
        url=masked(bare(url)) if url else None,
        priority=number(row, "priority") or 0,
        caches=row.get("mode") in _CACHING,
    )


def _tags(row: Mapping[str, Any]) -> frozenset[str] | None:
    """The tags that people cannot change; None where the row does not say which ones those are.

    An upload may carry exactly an upstream's tag, so a tag that anybody may set decides nothing.
    """
    own = _in(row.get("tags_immutable")) | _in(row.get("tags_automatic"))
    return own & _in(row.get("tags")) if own else None


def _in(tags: object) -> frozenset[str]:
    lists = tags.values() if isinstance(tags, dict) else ()
    return frozenset(tag.lower() for some in lists if isinstance(some, list) for tag in some if isinstance(tag, str))


def _slug(row: Mapping[str, Any]) -> str:
    slug = text(row, "slug_perm")
    if slug is None:
        raise IndexUnavailable("a package of Cloudsmith's has no slug_perm")
    return slug


def _safe(slug: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", slug):
        raise UsageError(f"not the slug of a package: {slug[:100]!r}")
    return quote(slug, safe="")


def _plain(names: set[str | None]) -> set[str]:
    return {name for name in names if name is not None and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)}


def _header(answer: Document | None, name: str) -> int | None:
    value = answer.headers.get(name, "").strip() if answer is not None else ""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def _pages(answer: Document) -> int | None:
    return _header(answer, "x-pagination-pagetotal")
