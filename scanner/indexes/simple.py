"""An index behind a simple-API URL: Chainguard's own, PyPI, and every repository manager."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from scanner.compression import decompressed
from scanner.errors import IndexUnavailable, UntrustedContent, UsageError
from scanner.http import Answer, Client
from scanner.index import Role
from scanner.indexes.asking import Asker, refusal
from scanner.indexes.credentials import Keyring, Origin, bare, shown
from scanner.indexes.history import History
from scanner.indexes.once import Once
from scanner.indexes.page import ACCEPT, Page, parse_page
from scanner.indexes.pagememory import PageMemory, StoredPage, freshness, may_store, unless, validator
from scanner.indexes.remembered import WheelMemory
from scanner.indexes.remote import WheelReader
from scanner.indexes.signed import SignedReader

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.attestation import Form
    from scanner.index import Held, IndexFile, IndexSpec, Seen
    from scanner.limits import Limits
    from scanner.store import Store
    from scanner.wheel import WheelContents

_NONE = (404, 410)


class SimpleIndex:
    """A package index that is asked over HTTP. See :class:`scanner.index.Index`."""

    def __init__(self, spec: IndexSpec, *, client: Client, store: Store, limits: Limits) -> None:
        self._base = _base(spec.location)
        self._url = shown(self._base)
        self._spec = spec
        self._client = client
        self._limits = limits
        self._keys = Keyring(spec)
        self._asker = Asker(self._base, client=client, keys=self._keys, limits=limits)
        self._reader = WheelReader(self._asker, limits=limits)
        self._signed = SignedReader(self._base, self._asker, limits=limits)
        self._pages = PageMemory(store, self._url, signed=self._is_ours)
        self._memory = WheelMemory(store, self._url)
        self._history = History(
            store, index=self._base, role=spec.role, user=self._keys.user, built_only=spec.built_only
        )
        self._listed_at: dict[NormalizedName, float] = {}
        """When the index has said what it lists, where that may be kept; offline it says nothing."""
        self._files: Once[NormalizedName, tuple[IndexFile, ...]] = Once()
        self._wheels: Once[tuple[str, str, bool], WheelContents] = Once()

    def __repr__(self) -> str:
        return f"SimpleIndex({self._url})"

    @property
    def name(self) -> str:
        """The configured name, else the URL without scheme and ``/simple``."""
        return self._spec.name or self._url.partition("://")[2].removesuffix("/").removesuffix("/simple")

    @property
    def role(self) -> Role:
        """Whose builds it is asked for."""
        return self._spec.role

    @property
    def kind(self) -> str:
        """``simple``, or the product that serves it (:mod:`scanner.indexes.kinds`)."""
        return self._spec.kind or "simple"

    @property
    def url(self) -> str:
        """Its URL without credentials, with a slash at its end."""
        return self._url

    @property
    def built_only(self) -> bool:
        """Whether it is configured as serving Chainguard-built wheels only."""
        return self._spec.built_only

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        """Every file of a project; empty where the index says that there is none."""
        return self._files(project, lambda: self._ask_files(project))

    def wheel(self, file: IndexFile, *, whole: bool = False) -> WheelContents:
        """What one of its wheels holds."""
        known = None if whole else self._wheels.known((file.filename, file.url, True))
        if known is not None:
            return known
        return self._wheels((file.filename, file.url, whole), lambda: self._ask_wheel(file, whole=whole))

    def earlier(self, project: NormalizedName) -> Sequence[Seen]:
        """Wheels that it has listed and does not list any more."""
        return self._history.earlier(project, self.files(project))

    def recall(self, file: IndexFile) -> WheelContents | None:
        """What a wheel held that is not listed any more."""
        return self._memory.get(file, proved=False)

    def remember(self, project: NormalizedName, held: Sequence[Held]) -> None:
        """Keep that wheels are listed, and what holds of them."""
        at = self._listed_at.get(project)
        if at is not None:
            self._history.remember(project, self.files(project), at, held)

    def attestation(self, file: IndexFile, form: Form) -> bytes | None:
        """What is signed about one of its files."""
        return self._signed.read(file, form)

    @property
    def _is_ours(self) -> bool:
        """Whether its pages are read for what is signed: of PyPI's files nobody asks that, and there are many."""
        return self.role is Role.CHAINGUARD

    def _ask_wheel(self, file: IndexFile, *, whole: bool) -> WheelContents:
        contents = self._memory.get(file, proved=whole)
        if contents is None:
            contents = self._reader.read(file, whole=whole)
            self._memory.put(contents)
        return contents

    def _ask_files(self, project: NormalizedName) -> tuple[IndexFile, ...]:
        """(1) A stored page that is fresh, or the only one to be had; (2) else ask whether it has changed."""
        stored = self._pages.get(project)
        if stored is not None and (stored.is_fresh or self._client.offline):
            if not self._client.offline:
                self._listed_at[project] = stored.at
            return stored.files
        headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
        if stored is not None:
            headers |= unless(stored.etag)
        answer = self._asker.get(f"{self._base}{project}/", headers=headers)
        if answer.status == 304 and stored is not None:
            self._listed_at[project] = time.time()
            fresh = self._fresh(answer)
            if fresh or stored.fresh:  # else it is asked for each time, and what is stored stays as it is
                self._pages.put(project, replace(stored, at=time.time(), fresh=fresh))
            return stored.files
        return self._take(self._plain(answer), project)

    def _plain(self, answer: Answer) -> Answer:
        """The answer without its Content-Encoding: a page is a tenth of its size as gzip."""
        coding = answer.headers.get("content-encoding", "identity").strip().lower()
        if coding == "identity":
            return answer
        what = shown(answer.url)
        if coding not in ("gzip", "x-gzip"):
            raise IndexUnavailable(f"{what}: answered with a page as {coding[:50]!r}, which was not asked for")
        bounds = replace(self._limits, expanded=self._limits.page)
        try:
            body = decompressed(io.BytesIO(answer.body), what=what, limits=bounds).read()
        except UntrustedContent as problem:
            raise IndexUnavailable(problem.message) from problem
        return replace(answer, body=body)

    def _take(self, answer: Answer, project: NormalizedName) -> tuple[IndexFile, ...]:
        files: tuple[IndexFile, ...] = ()
        if answer.status not in _NONE:
            files = self._read_page(answer, project)
        url = _without_query(answer.url)
        if may_store(answer.headers) and shown(url) == url:
            page = StoredPage(
                etag=validator(answer.headers) if answer.status == 200 else "",
                at=time.time(),
                fresh=self._fresh(answer) if answer.status == 200 else 0.0,
                files=files,
            )
            self._pages.put(project, page)
            self._listed_at[project] = page.at
        return files

    def _read_page(self, answer: Answer, project: NormalizedName) -> tuple[IndexFile, ...]:
        asked = f"{self._base}{project}/"
        if answer.status != 200:
            raise refusal(answer.status, io.BytesIO(answer.body), url=asked, keys=self._keys)
        content_type = answer.headers.get("content-type", "")
        files = parse_page(self._page(project, _without_query(answer.url), content_type, answer.body))
        if not files and Origin.of(answer.url).host != Origin.of(asked).host:
            raise IndexUnavailable(
                f"{shown(asked)}: sent on to {shown(answer.url)}, which lists no files",
                hint="check the URL of the index and the credentials for it",
            )
        return files

    def _page(self, project: NormalizedName, url: str, content_type: str, body: bytes) -> Page:
        return Page(
            project=project, url=url, base=self._base, content_type=content_type, body=body, signed=self._is_ours
        )

    def _fresh(self, answer: Answer) -> float:
        """Seconds. What was shown to credentials is asked for each time: they may have been taken back."""
        return 0.0 if self._keys.has_own else freshness(answer.headers)


def _base(location: str) -> str:
    """The URL that project names are put behind, without user and password."""
    parts = urlsplit(location)
    if parts.query or parts.fragment:
        raise UsageError(f"{shown(location)}: the URL of an index has no query and no fragment")
    base = bare(location)
    return base if base.endswith("/") else f"{base}/"


def _without_query(url: str) -> str:
    """Without user, password, query and fragment: links on a page do not depend on them."""
    scheme, netloc, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, netloc.rpartition("@")[2], path, "", ""))
