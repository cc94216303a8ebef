"""The links of a page -> files: where a link leads, what the file there is called, what is promised of its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urljoin, urlsplit

from scanner.errors import IndexUnavailable
from scanner.index import IndexFile
from scanner.indexes.credentials import hidden, shown
from scanner.indexes.tier import Tiers

if TYPE_CHECKING:
    from scanner.index import Tier

LONGEST_NAME: Final = 255
_LONGEST_URL: Final = 2000
_ENDINGS: Final = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".tar.z", ".tar", ".egg", ".exe")
_HEX_DIGITS: Final = {
    "md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "blake2s": 64, "blake2b": 128,
}  # fmt: skip
_HEX = re.compile(r"[0-9a-f]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN_PAGE = re.compile(r"https?://[a-z0-9][a-z0-9.-]{0,252}(?::[0-9]{1,5})?/[A-Za-z0-9._~+!/-]{0,2000}")
_PLAIN_LINK = re.compile(
    r"(?:(?P<origin>https://[a-z0-9][a-z0-9.-]{0,252}/)|(?P<root>/)|(?P<up>(?:\.\./){0,20}))"
    r"(?P<path>[A-Za-z0-9_~+!-][A-Za-z0-9._~+!/-]{0,2000})"
)
"""A link that is what it says: nothing in it is decoded, or kept from being shown. Where a path begins is looked up."""


@dataclass(slots=True, kw_only=True)
class Link:
    """An anchor or a JSON row on its way to an :class:`IndexFile`."""

    url: str
    filename: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    requires_python: str | None = None
    yanked: bool = False
    provenance: str | None = None


class Resolving:
    """Makes files of the links on one page. ``base`` is the index's own simple URL, ``what`` names the page in errors;
    ``signed`` is whether the places of what is signed about files are kept.

    Plain links, nearly all, go a short way; it gives what the long one does.
    """

    def __init__(self, url: str, *, base: str, what: str, signed: bool = False) -> None:
        self._url = url
        self._base = base
        self._what = what
        self._signed = signed
        self._tiers = Tiers(base)
        self._is_plain = _PLAIN_PAGE.fullmatch(url) is not None
        self._starts: dict[str, str] = {}
        """What stands before the path of a plain link, by how the link begins."""

    def file(self, link: Link) -> IndexFile | None:
        """The file behind a link; None for links to something else."""
        url = self._plain(link.url) if is_filename(link.filename) else None
        if url is not None:
            return self._made(link, link.filename, url, url, tier=None)
        try:
            url, _, fragment = urljoin(self._url, link.url.strip()).partition("#")
            parts = urlsplit(url)
            named = unquote(parts.path.rpartition("/")[2])
            _ = parts.port
        except ValueError:
            return None
        local = self._url.startswith("file:") and parts.scheme == "file"
        if not local and (parts.scheme not in ("http", "https") or not parts.hostname):
            return None
        filename = next((name for name in (link.filename, named) if is_filename(name)), None)
        if filename is None:
            return None
        link.hashes = link.hashes or _in_fragment(fragment)
        return self._made(link, filename, url, shown(url), tier=self._tiers.of(url))

    def _plain(self, link: str) -> str | None:
        """The URL of a link that needs no more than something put before it, and names no tier; None for others."""
        found = _PLAIN_LINK.fullmatch(link)
        if found is None or "/." in link.removeprefix(found["up"] or "") or "//" in found["path"]:
            return None
        begin = found["origin"] or found["root"] or found["up"] or ""
        start = self._starts.get(begin)
        if start is None:
            start = self._starts[begin] = self._start(begin)
        url = start + found["path"]
        own = found["origin"] is None or self._base.startswith(begin)
        return url if start and not self._tiers.may_name(url, own=own) else None

    def _start(self, begin: str) -> str:
        """Empty where the page's own URL is not plain, or the result may not be shown."""
        if not self._is_plain:
            return ""
        start = urljoin(self._url, begin or "./")
        return start if hidden(f"{start}a/b/c") == f"{start}a/b/c" else ""

    def _made(self, link: Link, filename: str, url: str, shown_url: str, *, tier: Tier | None) -> IndexFile:
        return IndexFile(
            filename=filename,
            url=url,
            shown_url=shown_url,
            hashes=_hashes(link.hashes, self._what, filename),
            size=link.size,
            requires_python=link.requires_python,
            yanked=link.yanked,
            tier=tier,
            provenance=self._provenance(link.provenance) if self._signed and link.provenance else None,
        )

    def _provenance(self, said: str) -> str | None:
        """The URL of what is signed about a file; None for what is no URL of a server."""
        try:
            url = urljoin(self._url, said.strip()).partition("#")[0]
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            return None
        return url if parts.scheme in ("http", "https") and parts.hostname and len(url) <= _LONGEST_URL else None


def is_filename(name: str) -> bool:
    """Whether a name is one that a distribution file can have."""
    return (
        name.lower().endswith(_ENDINGS)
        and len(name) <= LONGEST_NAME
        and name.isprintable()
        and "/" not in name
        and "\\" not in name
    )


def _in_fragment(fragment: str) -> dict[str, str]:
    """``sha256=…&md5=…`` as names and values."""
    pairs = (pair.partition("=") for pair in fragment.split("&"))
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}


def _hashes(claimed: Mapping[str, str], what: str, filename: str) -> Mapping[str, str]:
    """The digests of known kinds, lower-case; a broken one would be no promise and is refused."""
    if len(claimed) == 1 and _SHA256.fullmatch(claimed.get("sha256", "")):
        return claimed
    hashes: dict[str, str] = {}
    for name, value in ((name.lower(), value) for name, value in claimed.items()):
        text = value.lower()
        if name in _HEX_DIGITS:
            if len(text) != _HEX_DIGITS[name] or not _HEX.fullmatch(text):
                raise IndexUnavailable(f"{what}: the {name} of {filename} is none: {value[:80]!r}")
            hashes[name] = text
    return hashes
