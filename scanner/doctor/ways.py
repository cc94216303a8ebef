"""How an index is looked at: raw answers over HTTP, which a scan would have made the best of; or a place on this disk.

Nothing is answered from memory, and nothing is remembered: what counts is what the index says now.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from scanner.errors import IndexFailure, IndexUnavailable, WheelUnreadable
from scanner.http import RequestFailed
from scanner.indexes.asking import Asker, refusal
from scanner.indexes.credentials import Keyring, bare, shown
from scanner.indexes.page import ACCEPT, Page, parse_page
from scanner.indexes.ranged import range_header
from scanner.indexes.remote import PromisedBytes
from scanner.limits import MIB
from scanner.wheel import read_wheel

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.http import Client
    from scanner.index import Index, IndexFile
    from scanner.limits import Limits
    from scanner.wheel import WheelContents

MOST: Final = 16 * MIB
"""Bytes of a wheel that is read for a check; probes are small."""
_NONE: Final = (404, 410)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an index answered of one project. ``status`` None: no answer came. ``url`` is the last one, as shown."""

    project: NormalizedName
    status: int | None
    files: tuple[IndexFile, ...] = ()
    failure: IndexFailure | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A wheel that was read whole. ``data`` are its bytes where they came over the network, right or wrong.

    ``failure`` says why there are no ``contents``; ``is_page`` that a web page lies under the wheel's name;
    ``is_refused`` that no bytes came at all, so that nothing is known of them.
    """

    file: IndexFile
    data: bytes = b""
    contents: WheelContents | None = None
    failure: IndexFailure | None = None
    is_page: bool = False
    is_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The answer to a range: its status, its ``Content-Range``, and no more bytes than were asked for and one."""

    status: int
    said: str
    data: bytes


class Way(Protocol):
    """The way to one index."""

    def page(self, project: NormalizedName) -> Seen:
        """The files of a project, or why there are none."""

    def wheel(self, file: IndexFile) -> Fetched:
        """A wheel, read whole."""

    def part(self, file: IndexFile, start: int, end: int) -> Part | None:
        """The bytes from ``start`` up to ``end``; None where there are no ranges. Raises ``IndexUnavailable``."""

    def root(self) -> int | None:
        """The status of the index's own page; None where it has none or does not answer."""


class OverHttp:
    """An index behind a URL; ``base`` is its simple URL."""

    def __init__(self, base: str, keys: Keyring, *, client: Client, limits: Limits) -> None:
        self._base = bare(base)
        self._keys = keys
        self._limits = limits
        self._asker = Asker(self._base, client=client, keys=keys, limits=limits)

    def page(self, project: NormalizedName) -> Seen:
        """The page of a project, parsed."""
        url = f"{self._base}{project}/"
        try:
            answer = self._asker.get(url, headers={"Accept": ACCEPT})
        except IndexFailure as problem:
            return Seen(project=project, status=None, failure=problem, url=shown(url))
        files: tuple[IndexFile, ...] = ()
        failure: IndexFailure | None = None
        try:
            if answer.status == 200:
                kind = answer.headers.get("content-type", "")
                at = answer.url.partition("?")[0].partition("#")[0]
                files = parse_page(Page(project=project, url=at, base=self._base, content_type=kind, body=answer.body))
            elif answer.status not in _NONE:
                failure = refusal(answer.status, io.BytesIO(answer.body), url=url, keys=self._keys)
        except IndexFailure as problem:
            failure = problem
        return Seen(
            project=project,
            status=answer.status,
            files=files,
            failure=failure,
            headers=answer.headers,
            url=shown(answer.url),
        )

    def root(self) -> int | None:
        """The status of ``/simple/``; its body is left alone, since it may list every project there is."""
        try:
            with self._asker.stream(self._base, headers={"Accept": ACCEPT}) as stream:
                return stream.status
        except IndexFailure:
            return None

    def wheel(self, file: IndexFile) -> Fetched:
        """Its bytes, held against what the page promises, and read."""
        data = bytearray()
        try:
            with self._asker.stream(file.url) as stream:
                if stream.status != 200:
                    problem: IndexFailure = refusal(stream.status, stream.body, url=file.url)
                    return Fetched(file=file, failure=problem, is_refused=not isinstance(problem, WheelUnreadable))
                for chunk in self._asker.chunks(stream):
                    data += chunk
                    if len(data) > MOST:
                        problem = IndexUnavailable(f"{file.shown_url}: larger than {MOST} bytes, so not read")
                        return Fetched(file=file, failure=problem, is_refused=True)
        except IndexFailure as problem:
            return Fetched(file=file, failure=problem, is_refused=True)
        except RequestFailed as problem:
            return Fetched(file=file, failure=IndexUnavailable(problem.message), is_refused=True)
        return self._read(bytes(data), file)

    def _read(self, data: bytes, file: IndexFile) -> Fetched:
        is_page = data.lstrip()[:1] == b"<"
        check = PromisedBytes(file, limits=self._limits)
        try:
            check.take(data)
            sha256 = check.end()
            contents = read_wheel(io.BytesIO(data), filename=file.filename, limits=self._limits, sha256=sha256)
        except IndexFailure as problem:
            return Fetched(file=file, data=data, failure=problem, is_page=is_page)
        return Fetched(file=file, data=data, contents=contents)

    def part(self, file: IndexFile, start: int, end: int) -> Part | None:
        """What the server answers to that range."""
        with self._asker.stream(file.url, headers=range_header(start, end)) as stream:
            data = bytearray()
            try:
                while len(data) <= end - start and (chunk := stream.body.read(end - start + 1 - len(data))):
                    data += chunk
            except RequestFailed as problem:
                raise IndexUnavailable(problem.message) from problem
            return Part(status=stream.status, said=stream.headers.get("content-range", ""), data=bytes(data))


class InPlace:
    """A folder, or one index of a snapshot."""

    def __init__(self, index: Index, *, whole: bool) -> None:
        self._index = index
        self._whole = whole

    def page(self, project: NormalizedName) -> Seen:
        """The files of a project."""
        try:
            files = tuple(self._index.files(project))
        except IndexFailure as problem:
            return Seen(project=project, status=None, failure=problem, url=self._index.url)
        return Seen(project=project, status=200 if files else 404, files=files, url=self._index.url)

    def root(self) -> int | None:
        """A place has no page of its own."""
        return None

    def wheel(self, file: IndexFile) -> Fetched:
        """Read whole where all of it is there; of a snapshot what was kept."""
        try:
            return Fetched(file=file, contents=self._index.wheel(file, whole=self._whole))
        except IndexFailure as problem:
            return Fetched(file=file, failure=problem, is_refused=not isinstance(problem, WheelUnreadable))

    def part(self, file: IndexFile, start: int, end: int) -> Part | None:
        """There are no ranges."""
        return None
