"""What indexes remember in the store, as bytes: pages with their freshness, and what wheels hold.

A wheel that was read whole is proved to be the bytes of its sha256 and is remembered for every index. What was
read by ranges is only what one index said of that sha256, so it is remembered for that index alone: no index can
put words into another's mouth. Nothing stored holds a credential; pages may be private, the store keeps them from
other users. What does not load is not there.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scanner.digest import STRONG, Digest
from scanner.errors import UsageError
from scanner.forms import Elf, Form, Section, Text
from scanner.limits import GIB
from scanner.wheel import Member, WheelContents

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from scanner.index import IndexFile
    from scanner.store import Store

_PAGE_FORMAT: Final = "page/1"
_WHEEL_FORMAT: Final = "wheel/2"
_LONGEST_FRESH: Final = 600.0
_MOST: Final = 1 * GIB
_FAULTS: Final = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    zlib.error,
    binascii.Error,
    UsageError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """An answer as it was stored. ``status`` is 200, or 404 with an empty body.

    ``url`` is the last one after redirects, without credentials and query. ``at`` is seconds since 1970,
    ``fresh`` how many seconds the server lets it be used from then on without asking.
    """

    status: int
    url: str
    content_type: str
    etag: str
    at: float
    fresh: float
    body: bytes

    @property
    def is_fresh(self) -> bool:
        """Whether it may be used without asking; a clock that went back says no."""
        return 0 <= time.time() - self.at < min(self.fresh, _LONGEST_FRESH)


class PageMemory:
    """The pages of one index, by project. ``index`` is its URL without secrets."""

    def __init__(self, store: Store, index: str) -> None:
        self._store = store
        self._index = index

    def get(self, project: NormalizedName) -> StoredPage | None:
        """The page that was stored last."""
        data = self._store.get("page", self._key(project))
        if data is None:
            return None
        try:
            head, _, body = data.partition(b"\n")
            return _page(json.loads(head), body)
        except _FAULTS:
            return None

    def put(self, project: NormalizedName, page: StoredPage) -> None:
        """Store a page in place of the last one."""
        names = ("status", "url", "content_type", "etag", "at", "fresh")
        head = json.dumps({name: getattr(page, name) for name in names})
        self._store.put("page", self._key(project), head.encode() + b"\n" + page.body)

    def _key(self, project: NormalizedName) -> str:
        return "\n".join((_PAGE_FORMAT, self._index, project))


def _page(head: Mapping[str, object], body: bytes) -> StoredPage:
    status, at, fresh = head["status"], head["at"], head["fresh"]
    if status not in (200, 404) or not isinstance(at, int | float) or not isinstance(fresh, int | float):
        raise ValueError("no page")
    return StoredPage(
        status=200 if status == 200 else 404,
        url=_text(head["url"]),
        content_type=_text(head["content_type"]),
        etag=_text(head["etag"]),
        at=at,
        fresh=fresh,
        body=body,
    )


def may_store(headers: Mapping[str, str]) -> bool:
    """Whether the server lets an answer be stored (RFC 9111, 5.2.2.5)."""
    return "no-store" not in _directives(headers)


def freshness(headers: Mapping[str, str]) -> float:
    """For how many seconds from now an answer may be used without asking: ``max-age`` less ``Age``."""
    said = _directives(headers)
    if "no-cache" in said or not said.get("max-age", "").isdigit():
        return 0.0
    age = headers.get("age", "0").strip()
    spent = float(age[:9]) if age.isascii() and age.isdigit() else 0.0
    return max(0.0, min(float(said["max-age"][:9]), _LONGEST_FRESH) - spent)


def _directives(headers: Mapping[str, str]) -> Mapping[str, str]:
    parts = (part.partition("=") for part in headers.get("cache-control", "").lower().split(","))
    return {name.strip(): value.strip().strip('"') for name, _, value in parts if value.isascii()}


class WheelMemory:
    """What wheels hold, by sha256 and file name."""

    def __init__(self, store: Store, index: str) -> None:
        self._store = store
        self._index = index

    def get(self, file: IndexFile, *, proved: bool) -> WheelContents | None:
        """What is known of a file; a proved answer is also one to a question that needs no proof."""
        sha256 = file.sha256
        if sha256 is None:
            return None
        keys = [self._key(sha256, file.filename, proved=True)]
        if not proved:
            keys.append(self._key(sha256, file.filename, proved=False))
        for key in keys:
            data = self._store.get("wheel", key)
            contents = decode_wheel(data) if data is not None else None
            if contents and (contents.filename, contents.sha256) == (file.filename, sha256):
                return contents
        return None

    def put(self, contents: WheelContents) -> None:
        """Remember a wheel whose sha256 is known."""
        if contents.sha256 is not None:
            key = self._key(contents.sha256, contents.filename, proved=contents.proved)
            self._store.put("wheel", key, encode_wheel(contents))

    def _key(self, sha256: Digest, filename: str, *, proved: bool) -> str:
        return "\n".join((_WHEEL_FORMAT, "proved" if proved else self._index, str(sha256), filename))


def encode_wheel(contents: WheelContents) -> bytes:
    """A wheel's contents as compressed JSON."""
    document = {
        "filename": contents.filename,
        "sha256": str(contents.sha256) if contents.sha256 else None,
        "proved": contents.proved,
        "dist_info": contents.dist_info,
        "members": [[path, member.sha256.hex(), member.size] for path, member in contents.members.items()],
        "documents": {name: base64.b64encode(data).decode() for name, data in contents.documents.items()},
        "script_tails": {path: tail.hex() for path, tail in contents.script_tails.items()},
        "forms": {path: _form_row(form) for path, form in contents.forms.items()},
    }
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 1)


def decode_wheel(data: bytes) -> WheelContents | None:
    """The contents that :func:`encode_wheel` wrote; None for anything else."""
    try:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(data, _MOST)
        return _wheel(json.loads(plain)) if unpacker.eof else None
    except _FAULTS:
        return None


def _wheel(document: Mapping[str, object]) -> WheelContents:
    sha256, members, documents, tails = (document[name] for name in ("sha256", "members", "documents", "script_tails"))
    forms = document["forms"]
    if not isinstance(members, list) or not isinstance(documents, dict) or not isinstance(tails, dict):
        raise TypeError("no wheel")
    if not isinstance(forms, dict):
        raise TypeError("no forms")
    return WheelContents(
        filename=_text(document["filename"]),
        sha256=None if sha256 is None else Digest.parse(_text(sha256)),
        proved=document["proved"] is True,
        members={_text(path): Member(_raw(digest), _size(size)) for path, digest, size in members},
        dist_info=_text(document["dist_info"]),
        documents={name: base64.b64decode(_text(data), validate=True) for name, data in documents.items()},
        script_tails={path: _raw(tail) for path, tail in tails.items()},
        forms={path: _form(row) for path, row in forms.items()},
    )


def _form_row(form: Form) -> list[object]:
    if isinstance(form, Text):
        return [form.plain.hex(), form.newlines, form.mark]
    return [form.frame.hex(), [[section.name, section.kind, section.digest.hex()] for section in form.sections]]


def _form(row: Sequence[object]) -> Form:
    if len(row) == 3:
        plain, newlines, mark = row
        return Text(plain=_raw(plain), newlines=_text(newlines), mark=mark is True)
    frame, listed = row
    if not isinstance(listed, list):
        raise TypeError("no sections")
    sections = tuple(Section(name=_text(name), kind=_text(kind), digest=_raw(raw)) for name, kind, raw in listed)
    return Elf(frame=_raw(frame), sections=sections)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _raw(value: object) -> bytes:
    """A raw sha256 from hex."""
    raw = bytes.fromhex(_text(value))
    if len(raw) * 2 != STRONG["sha256"]:
        raise ValueError("no sha256")
    return raw


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("no size")
    return value
