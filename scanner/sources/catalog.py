"""What a registry has: its repositories, their tags, and which digest a tag means.

``GET /v2/_catalog`` is docker's, not OCI's, and needs the scope ``registry:catalog:*``; Docker Hub, ECR, GHCR and many
others do not have it. ``GET /v2/<name>/tags/list`` all have. Both come in pages: where the next one is, a ``Link``
says (RFC 8288). A list is as long as whoever writes it wants, so what is read of it is bounded, and it ends at a page
that leads elsewhere or has been read before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from scanner.digest import Digest
from scanner.errors import AccessDenied, TargetError, TargetNotFound, UntrustedContent, UsageError
from scanner.http import Client, RequestFailed, Stream
from scanner.limits import MIB
from scanner.reference import ImageName
from scanner.sources.credentials import certificate_files
from scanner.sources.document import parse_json, read_bounded
from scanner.sources.manifest import ACCEPT
from scanner.sources.options import SourceOptions
from scanner.sources.repository import Repository

_PAGE: Final = 500
"""Names that are asked for at a time; ECR gives no more than 1000."""
_CATALOG: Final = "_catalog"
_SCOPE: Final = "registry:catalog:*"
_HINT: Final = "name the repositories of this registry (repositories), or log in as somebody who may list them"
_NEXT: Final = re.compile(r'<([^<>]{1,4096})>[^,]*;\s*rel="?next"?')
_NO_CATALOG: Final = frozenset({401, 403, 404, 405, 501})
_GONE: Final = frozenset({404, 410})
_MOST_BYTES: Final = 8 * MIB
"""Of a page; some registries give everything on one."""
_MOST_PAGES: Final = 10_000
_MOST_READ: Final = 2_000_000
"""Names that are read of one list, wanted or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Names in order, each once; ``left`` is why there may be more of them, None where these are all."""

    names: tuple[str, ...]
    left: str | None = None


@contextmanager
def open_catalog(
    host: str, *, options: SourceOptions, pace: Callable[[], None] = lambda: None, page: int = _PAGE
) -> Iterator[Catalog]:
    """A registry. ``pace`` is called before each request, and may wait, or raise to end it all."""
    with Client(
        limits=options.limits,
        plain_http=options.plain_http,
        ca_file=options.ca_file,
        more_ca=certificate_files(host),
        offline=options.offline,
    ) as client:
        yield Catalog(host, client=client, options=options, pace=pace, page=page)


class Catalog:
    """Lists one registry, with our own credentials."""

    def __init__(
        self, host: str, *, client: Client, options: SourceOptions, pace: Callable[[], None], page: int
    ) -> None:
        self._host = host
        self._client = client
        self._options = options
        self._pace = pace
        self._page = page
        self._last: Repository | None = None

    def repositories(self, *, most: int, wanted: Callable[[str], bool]) -> Listed:
        """The repositories that the registry lists and that are ``wanted``.

        Raises :class:`scanner.errors.TargetError`, with a hint where it has no such list or does not give it.
        """
        catalog = self._opened(_CATALOG, scope=_SCOPE)
        what = f"{self._host}: its list of repositories"
        pages = _Pages(most, lambda name: wanted(name) and self._is_name(name, "latest"))
        try:
            self._read(catalog, f"{catalog.origin}/v2/_catalog?n={self._page}", "repositories", pages, what)
        except (AccessDenied, TargetNotFound) as problem:
            raise type(problem)(f"{what} is not to be had: {problem.message}", hint=_HINT) from problem
        return pages.listed()

    def tags(self, repository: str, *, most: int) -> Listed | None:
        """The tags of a repository; None where there is no such repository."""
        opened = self._opened(repository)
        pages = _Pages(most, lambda tag: self._is_name(repository, tag))
        try:
            self._read(opened, f"{opened.url('tags/list')}?n={self._page}", "tags", pages, opened.called("tags"))
        except TargetNotFound:
            return None
        return pages.listed()

    def digest(self, repository: str, tag: str) -> Digest | None:
        """The digest that a tag means; None where there is no such tag. What is there is not looked at.

        It is what the registry says. Whoever fetches the manifest by this digest finds out whether that is true.
        """
        opened = self._opened(repository)
        with self._asked(opened, opened.url(f"manifests/{tag}"), opened.called(tag), method="HEAD") as stream:
            if stream.status in _GONE:
                return None
            said = stream.headers.get("docker-content-digest", "") if stream.status == 200 else ""
            if stream.status not in (200, 405):
                raise opened.refusal(stream, opened.called(tag))
        try:
            return Digest.parse(said)
        except UsageError:
            self._pace()
            data, _ = opened.document(tag)
            return Digest.of(data)

    # -- pages

    def _read(self, opened: Repository, url: str, key: str, pages: _Pages, what: str) -> None:
        asked: set[int] = set()
        while True:
            asked.add(hash(url))
            with self._asked(opened, url, what) as stream:
                if stream.status != 200:
                    raise _refused(opened, stream, what)
                data = read_bounded(stream.body, limit=_MOST_BYTES, what=what)
                link = _NEXT.search(stream.headers.get("link", "")[:8192])
            names = parse_json(data, what=what)[key].value or []  # null where there are none, in some registries
            if not isinstance(names, list):
                raise UntrustedContent(f"{what}: {key} is no list")
            if not pages.take(names) or link is None:
                return
            following = _followed(opened, url, link[1])
            if following is None or hash(following) in asked:
                pages.left = "the list goes on in circles or elsewhere"
                return
            url = following

    @contextmanager
    def _asked(self, opened: Repository, url: str, what: str, *, method: str = "GET") -> Iterator[Stream]:
        self._pace()
        headers = {"Accept": ", ".join(ACCEPT)} if method == "HEAD" else {"Accept": "application/json"}
        try:
            with opened.ask_at(url, headers, method=method) as stream:
                yield stream
        except RequestFailed as problem:
            raise TargetError(f"{what}: {problem.message}", hint=problem.hint) from problem

    def _opened(self, repository: str, *, scope: str | None = None) -> Repository:
        """A repository; the last one is kept, with its token."""
        if self._last is None or self._last.name.repository != repository:
            name = ImageName(host=self._host, repository=repository, tag=None, digest=None)
            self._last = Repository(name, client=self._client, options=self._options, scope=scope)
        return self._last

    def _is_name(self, repository: str, tag: str) -> bool:
        try:
            name = ImageName.parse(f"{self._host}/{repository}:{tag}")
        except UsageError:
            return False
        return (name.repository, name.tag, name.digest) == (repository, tag, None)


class _Pages:
    """What has been read of a list. Names that are none are left out, as are those that are not wanted."""

    def __init__(self, most: int, wanted: Callable[[str], bool]) -> None:
        self._most = most
        self._wanted = wanted
        self._names: dict[str, None] = {}
        self._pages = 0
        self._read = 0
        self.left: str | None = None

    def take(self, names: list[object]) -> bool:
        """Take a page; whether another may be read."""
        self._pages += 1
        self._read += len(names)
        for name in names:
            if not isinstance(name, str) or name in self._names or not self._wanted(name):
                continue
            if len(self._names) >= self._most:
                self.left = f"there are more than {self._most}"
                return False
            self._names[name] = None
        if self._pages >= _MOST_PAGES or self._read >= _MOST_READ:
            self.left = f"the list does not end ({self._read} names on {self._pages} pages)"
        return self.left is None

    def listed(self) -> Listed:
        return Listed(names=tuple(self._names), left=self.left)


def _followed(opened: Repository, url: str, link: str) -> str | None:
    """Where a list goes on; None for elsewhere than at this registry, and for what is no URL."""
    try:
        following = urljoin(url, link)
        return following if opened.is_own(following) else None
    except ValueError:
        return None


def _refused(opened: Repository, stream: Stream, what: str) -> TargetError:
    """The error for what is no list. A 404 of a catalog is no such list, of tags no such repository."""
    if stream.status in _GONE or (opened.name.repository == _CATALOG and stream.status in _NO_CATALOG):
        return TargetNotFound(f"{what}: the registry answered {stream.status}")
    return opened.refusal(stream, what)
