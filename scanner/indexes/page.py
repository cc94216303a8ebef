"""Pages of the simple repository API -> the files of a project. Pure: bytes in, values out.

Sources: PEP 503 and 592 (HTML, yanked), PEP 629 (version), PEP 691 (JSON), PEP 700 (size), PEP 714; as
collected in the "Simple repository API" specification. What servers do beyond it is taken as they do it:
no Content-Type or a wrong one, md5 or sha512 fragments, several fragments joined with ``&``, relative URLs,
``<base href>``, decorated anchor texts.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urljoin, urlsplit

from packaging.utils import canonicalize_name

from scanner.errors import IndexUnavailable
from scanner.index import IndexFile, Tier
from scanner.indexes.credentials import shown
from scanner.indexes.tier import tier_of
from scanner.limits import KIB

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

ACCEPT: Final = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
_JSON_TYPES: Final = frozenset({"application/vnd.pypi.simple.v1+json", "application/json"})
_HTML_TYPES: Final = frozenset({"application/vnd.pypi.simple.v1+html", "text/html", "text_html", ""})
_TYPE_OF_ANY_VERSION = re.compile(r"application/vnd\.pypi\.simple\.(v[0-9]+|latest)\+(json|html)")
_ENDINGS: Final = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".tar.z", ".tar", ".egg", ".exe")
_HEX_DIGITS: Final = {
    "md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "blake2s": 64, "blake2b": 128,
}  # fmt: skip
_HEX = re.compile(r"[0-9a-f]+")
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_PLAIN_URL = re.compile(r"(?P<origin>https://[a-z0-9][a-z0-9.-]{0,252})/[A-Za-z0-9._~+!/-]{1,2000}")
"""A URL that is what it says: nothing in it is resolved, decoded, or kept from being shown."""
_FEED: Final = 64 * KIB
_LONGEST_TAG: Final = 256 * KIB
_MOST_FILES: Final = 200_000
_PARSE_SECONDS: Final = 20.0
_LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer. ``url`` is the last one after redirects, ``base`` the index's own simple URL.

    ``content_type`` is the header as it came, or empty.
    """

    project: NormalizedName
    url: str
    base: str
    content_type: str
    body: bytes


@dataclass(slots=True, kw_only=True)
class _Link:
    """An anchor or a JSON row on its way to an :class:`IndexFile`."""

    url: str
    filename: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    requires_python: str | None = None
    yanked: bool = False


def parse_page(page: Page) -> tuple[IndexFile, ...]:
    """Every file that a page lists; :class:`IndexUnavailable` for what is no page of that project."""
    what = shown(page.url)
    if not page.body.strip():
        raise IndexUnavailable(f"{what}: answered with an empty page")
    links = _json_links(page, what) if _is_json(page, what) else _html_links(page, what)
    files: list[IndexFile] = []
    for link in links:
        file = _file(link, page, what)
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


def _file(link: _Link, page: Page, what: str) -> IndexFile | None:
    """The file behind a link; None for links to something else."""
    plain = _PLAIN_URL.fullmatch(link.url)
    if plain and "/." not in link.url and _is_filename(link.filename) and not _may_name_a_tier(plain, page):
        return _index_file(link, link.filename, link.url, what, tier=None)  # nearly all of them
    try:
        url, _, fragment = urljoin(page.url, link.url.strip()).partition("#")
        parts = urlsplit(url)
        named = unquote(parts.path.rpartition("/")[2])
        _ = parts.port
    except ValueError:
        return None
    local = page.url.startswith("file:") and parts.scheme == "file"
    if not local and (parts.scheme not in ("http", "https") or not parts.hostname):
        return None
    filename = next((name for name in (link.filename, named) if _is_filename(name)), None)
    if filename is None:
        return None
    link.hashes = link.hashes or _in_fragment(fragment)
    return _index_file(link, filename, url, what, tier=tier_of(url, base=page.base))


def _may_name_a_tier(plain: re.Match[str], page: Page) -> bool:
    """Whether a link that needs no resolving may say a tier: it leads to the index's own host, or names one."""
    return page.base.startswith(plain["origin"]) or "upstream" in plain[0].lower()


def _index_file(link: _Link, filename: str, url: str, what: str, *, tier: Tier | None) -> IndexFile:
    return IndexFile(
        filename=filename,
        url=url,
        shown_url=shown(url),
        hashes=_hashes(link.hashes, what, filename),
        size=link.size,
        requires_python=link.requires_python,
        yanked=link.yanked,
        tier=tier,
    )


def _is_filename(name: str) -> bool:
    """Whether a name is one that a distribution file can have."""
    return (
        name.lower().endswith(_ENDINGS)
        and len(name) <= _LONGEST_NAME
        and name.isprintable()
        and not set(name) & {"/", "\\"}
    )


def _in_fragment(fragment: str) -> dict[str, str]:
    """``sha256=…&md5=…`` as names and values."""
    pairs = (pair.partition("=") for pair in fragment.split("&"))
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}


def _hashes(claimed: Mapping[str, str], what: str, filename: str) -> dict[str, str]:
    """The digests of known kinds, lower-case; a broken one would be no promise and is refused."""
    hashes: dict[str, str] = {}
    for name, value in claimed.items():
        text = value.lower()
        if name in _HEX_DIGITS:
            if len(text) != _HEX_DIGITS[name] or not _HEX.fullmatch(text):
                raise IndexUnavailable(f"{what}: the {name} of {filename} is none: {value[:80]!r}")
            hashes[name] = text
    return hashes


# JSON (PEP 691, 700)


def _json_links(page: Page, what: str) -> Iterator[_Link]:
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
    return (_json_link(row, f"{what}: files[{at}]") for at, row in enumerate(files))


def _json_link(row: object, where: str) -> _Link:
    if not isinstance(row, dict):
        raise IndexUnavailable(f"{where} is no object")
    filename, url, hashes = row.get("filename"), row.get("url"), row.get("hashes")
    if not isinstance(filename, str) or not isinstance(url, str):
        raise IndexUnavailable(f"{where} has no filename or no url")
    if hashes is None:
        hashes = {}
    if not isinstance(hashes, dict) or not all(isinstance(value, str) for value in hashes.values()):
        raise IndexUnavailable(f"{where}.hashes is no object of texts")
    size, requires = row.get("size"), row.get("requires-python")
    return _Link(
        url=url,
        filename=filename,
        hashes={name.lower(): value for name, value in hashes.items()},
        size=size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 62 else None,
        requires_python=requires if isinstance(requires, str) else None,
        yanked=bool(row.get("yanked")),
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


# HTML (PEP 503, 592, 629)


def _html_links(page: Page, what: str) -> Iterator[_Link]:
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


def _based(link: _Link, base: str) -> _Link:
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
        self.links: list[_Link] = []
        self.base: str | None = None
        self.version: str | None = None
        self._open: _Link | None = None
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
                self._open = _Link(
                    url=href,
                    filename="",
                    requires_python=said.get("data-requires-python"),
                    yanked="data-yanked" in said,
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
        if self._open is not None and len(self._open.filename) <= _LONGEST_NAME:
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
    return name if _is_filename(name) else ""


def _names_file(link: _Link) -> bool:
    return _is_filename(link.filename)
