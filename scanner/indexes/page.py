"""Pages of the simple repository API -> the files of a project. Pure: bytes in, values out.

Sources: PEP 503 and 592 (HTML, yanked), PEP 629 (version), PEP 691 (JSON), PEP 700 (size), PEP 714, PEP 740
(provenance); as collected in the "Simple repository API" specification. What servers do beyond it is taken as they do
it: no Content-Type or a wrong one, md5 or sha512 fragments, several fragments joined with ``&``, relative URLs,
``<base href>``, decorated anchor texts.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urljoin, urlsplit

from packaging.utils import canonicalize_name

from scanner.errors import IndexUnavailable
from scanner.indexes.credentials import shown
from scanner.indexes.links import LONGEST_NAME, Link, Resolving, is_filename
from scanner.limits import KIB

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.index import IndexFile

ACCEPT: Final = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
_JSON_TYPES: Final = frozenset({"application/vnd.pypi.simple.v1+json", "application/json"})
_HTML_TYPES: Final = frozenset({"application/vnd.pypi.simple.v1+html", "text/html", "text_html", ""})
_TYPE_OF_ANY_VERSION = re.compile(r"application/vnd\.pypi\.simple\.(v[0-9]+|latest)\+(json|html)")
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_FEED: Final = 64 * KIB
_LONGEST_TAG: Final = 256 * KIB
_MOST_FILES: Final = 200_000
_PARSE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer. ``url`` is the last one after redirects, ``base`` the index's own simple URL.

    ``content_type`` is the header as it came, or empty; ``signed`` whether it matters what is signed about the files.
    """

    project: NormalizedName
    url: str
    base: str
    content_type: str
    body: bytes
    signed: bool = False


def parse_page(page: Page) -> tuple[IndexFile, ...]:
    """Every file that a page lists; :class:`IndexUnavailable` for what is no page of that project."""
    what = shown(page.url)
    if not page.body.strip():
        raise IndexUnavailable(f"{what}: answered with an empty page")
    links = _json_links(page, what) if _is_json(page, what) else _html_links(page, what)
    resolving = Resolving(page.url, base=page.base, what=what, signed=page.signed)
    files: list[IndexFile] = []
    for link in links:
        file = resolving.file(link)
        if file is not None:
            files.append(file)
        if len(files) > _MOST_FILES:
            raise IndexUnavailable(f"{what}: lists more than {_MOST_FILES} files")
    return tuple(files)


def _is_json(page: Page, what: str) -> bool:
    """What the body is, by the answer's own type; a missing or general one is settled by the first sign."""
    kind = page.content_type.partition(";")[0].strip().lower()
    versioned = _TYPE_OF_ANY_VERSION.fullmatch(kind)
    if versioned and versioned[1] not in ("v1", "latest"):
        raise IndexUnavailable(f"{what}: speaks version {versioned[1]} of the simple API, which is not known here")
    if kind not in _JSON_TYPES | _HTML_TYPES and not versioned:
        raise IndexUnavailable(
            f"{what}: answered with {kind[:100]!r}, which is no page of a package index",
            hint="the URL of an index ends with /simple for most products",
        )
    return kind in _JSON_TYPES or kind.endswith("+json") or page.body.lstrip()[:1] == b"{"


# JSON (PEP 691, 700, 740)


def _json_links(page: Page, what: str) -> Iterator[Link]:
    try:
        document = json.loads(page.body)
    except (ValueError, RecursionError) as problem:
        raise IndexUnavailable(f"{what}: answered with broken JSON ({str(problem)[:100]})") from problem
    meta = document.get("meta") if isinstance(document, dict) else None
    _check_version(meta.get("api-version") if isinstance(meta, dict) else None, what)
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, list):
        raise IndexUnavailable(f"{what}: answered with JSON that is no project's page (no list 'files')")
    name = document.get("name")
    if isinstance(name, str) and canonicalize_name(name) != page.project:
        raise IndexUnavailable(f"{what}: answered with the page of {name[:100]!r}")
    return (_json_link(row, what, at) for at, row in enumerate(files))


def _json_link(row: object, what: str, at: int) -> Link:
    if not isinstance(row, dict):
        raise IndexUnavailable(f"{what}: files[{at}] is no object")
    filename, url, hashes = row.get("filename"), row.get("url"), row.get("hashes")
    if not isinstance(filename, str) or not isinstance(url, str):
        raise IndexUnavailable(f"{what}: files[{at}] has no filename or no url")
    if hashes is None:
        hashes = {}
    if not isinstance(hashes, dict) or not all(isinstance(value, str) for value in hashes.values()):
        raise IndexUnavailable(f"{what}: files[{at}].hashes is no object of texts")
    size, requires, provenance = row.get("size"), row.get("requires-python"), row.get("provenance")
    return Link(
        url=url,
        filename=filename,
        hashes=hashes,
        size=size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 62 else None,
        requires_python=requires if isinstance(requires, str) else None,
        yanked=bool(row.get("yanked")),
        provenance=provenance if isinstance(provenance, str) else None,
    )


def _check_version(version: object, what: str) -> None:
    """Refuse a later major version; none is 1.0 (PEP 629)."""
    if version is None:
        return
    found = _VERSION.fullmatch(version.strip()) if isinstance(version, str) else None
    if not found:
        raise IndexUnavailable(f"{what}: has no readable version of the simple API: {str(version)[:50]!r}")
    if int(found[1]) != 1:
        raise IndexUnavailable(f"{what}: speaks version {found[0]} of the simple API, which is not known here")


# HTML (PEP 503, 592, 629, 740)


def _html_links(page: Page, what: str) -> Iterator[Link]:
    reader = _Anchors()
    try:
        _feed(reader, page.body, what)
    except (AssertionError, ValueError, RecursionError) as problem:  # html.parser's own ways to give up
        raise IndexUnavailable(f"{what}: answered with HTML that cannot be read") from problem
    _check_version(reader.version, what)
    if not reader.is_index_page:
        raise IndexUnavailable(
            f"{what}: answered with a page that is none of a package index, perhaps one to log in",
            hint="check the URL of the index and the credentials for it",
        )
    try:
        base = urljoin(page.url, reader.base or "")
    except ValueError as problem:
        raise IndexUnavailable(f"{what}: has a <base> that is no URL") from problem
    return (_based(link, base) for link in reader.links)


def _based(link: Link, base: str) -> Link:
    with contextlib.suppress(ValueError):  # what is no URL is no file either
        link.url = urljoin(base, link.url.strip())
    return link


def _feed(reader: _Anchors, body: bytes, what: str) -> None:
    """Give the parser small pieces: what stays unfinished is bounded, and so is the time it costs.

    The parser is not closed: that looks at an unfinished rest again and again, and no link ends there.
    """
    until = time.monotonic() + _PARSE_SECONDS
    text = body.decode("utf-8", "replace")
    for start in range(0, len(text), _FEED):
        reader.feed(text[start : start + _FEED])
        if len(reader.rawdata) > _LONGEST_TAG or len(reader.links) > _MOST_FILES or time.monotonic() > until:
            raise IndexUnavailable(f"{what}: answered with more HTML than can be read")
    reader.end_link()


class _Anchors(HTMLParser):
    """The anchors of a page, its ``<base>`` and its version."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[Link] = []
        self.base: str | None = None
        self.version: str | None = None
        self._open: Link | None = None
        self._tags = 0
        self._is_form = False

    @property
    def is_index_page(self) -> bool:
        """A page that lists files, or says what it is, or is too plain to be one to log in."""
        lists = any(_names_file(link) for link in self.links)
        return lists or self.version is not None or (self._tags > 0 and not self._is_form)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tags += 1
        said: dict[str, str | None] = {}
        for name, value in attrs:
            said.setdefault(name, value)  # the first of two counts, as in browsers
        href = said.get("href")
        if tag == "a":
            self.end_link()
            if href is not None:
                self._open = Link(
                    url=href,
                    filename="",
                    requires_python=said.get("data-requires-python"),
                    yanked="data-yanked" in said,
                    provenance=said.get("data-provenance"),
                )
        elif tag == "base":
            self.base = self.base or href
        elif tag == "meta" and said.get("name") == "pypi:repository-version":
            self.version = said.get("content") or ""
        elif tag in ("form", "input", "script"):
            self._is_form = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self.end_link()

    def handle_data(self, data: str) -> None:
        if self._open is not None and len(self._open.filename) <= LONGEST_NAME:
            self._open.filename += data

    def end_link(self) -> None:
        """Close the anchor that is open. The URL's last segment names the file; the text may be decorated."""
        link, self._open = self._open, None
        if link is not None:
            link.filename = _url_name(link.url) or link.filename.strip()
            self.links.append(link)


def _url_name(url: str) -> str:
    """The file that the path of a URL names, if it names one."""
    try:
        name = unquote(urlsplit(url.strip()).path.rpartition("/")[2])
    except ValueError:
        return ""
    return name if is_filename(name) else ""


def _names_file(link: Link) -> bool:
    return is_filename(link.filename)
