"""What indexes remember of wheels in the store, as bytes.

A wheel that was read whole is proved to be the bytes of its sha256 and is remembered for every index. What was
read by ranges is only what one index said of that sha256, so it is remembered for that index alone: no index can
put words into another's mouth. Nothing stored holds a credential. What does not load is not there.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Final, cast

import msgpack  # type: ignore[import-untyped]
from backports import zstd

from scanner.digest import STRONG, Digest
from scanner.errors import UsageError
from scanner.forms import Elf, Form, Section, Text
from scanner.limits import GIB
from scanner.wheel import Member, WheelContents

if TYPE_CHECKING:
    from scanner.index import IndexFile
    from scanner.store import Store

WHEEL_FORMAT: Final = "wheel/4"
"""Counted up when wheels come to be stored otherwise."""
_MOST: Final = 1 * GIB
_LEVEL: Final = 1
_DIGEST: Final = STRONG["sha256"] // 2
"""Bytes."""
_FAULTS: Final = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, struct.error, zstd.ZstdError,
    msgpack.exceptions.UnpackException, UsageError,
)  # fmt: skip


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
            with suppress(*_FAULTS):  # a number that no format holds, for one: then it is asked for again
                self._store.put("wheel", key, encode_wheel(contents))

    def _key(self, sha256: Digest, filename: str, *, proved: bool) -> str:
        return "\n".join((WHEEL_FORMAT, "proved" if proved else self._index, str(sha256), filename))


def encode_wheel(contents: WheelContents) -> bytes:
    """A wheel's contents; its members by columns, because some have tens of thousands."""
    document = {
        "filename": contents.filename,
        "sha256": str(contents.sha256) if contents.sha256 else None,
        "proved": contents.proved,
        "dist_info": contents.dist_info,
        "members": list(contents.members),
        "digests": b"".join([member.sha256 for member in contents.members.values()]),
        "sizes": [member.size for member in contents.members.values()],
        "documents": dict(contents.documents),
        "script_tails": dict(contents.script_tails),
        "forms": {path: _form_row(form) for path, form in contents.forms.items()},
    }
    return zstd.compress(msgpack.packb(document, unicode_errors="surrogatepass"), level=_LEVEL)


def decode_wheel(data: bytes, *, most: int = _MOST) -> WheelContents | None:
    """The contents that :func:`encode_wheel` wrote, of at most ``most`` bytes; None for anything else."""
    try:
        unpacker = zstd.ZstdDecompressor()
        plain = unpacker.decompress(data, most)
        return _wheel(msgpack.unpackb(plain, unicode_errors="surrogatepass")) if unpacker.eof else None
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
        members=_members(members, document["digests"], document["sizes"]),
        dist_info=_text(document["dist_info"]),
        documents={_text(name): _bytes(data) for name, data in documents.items()},
        script_tails={_text(path): _digest(tail) for path, tail in tails.items()},
        forms={_text(path): _form(row) for path, row in forms.items()},
    )


def _members(paths: Sequence[object], digests: object, sizes: object) -> dict[str, Member]:
    """The members by path; their digests are one behind the other."""
    if not isinstance(sizes, list) or not {*map(type, paths)} <= {str} or not {*map(type, sizes)} <= {int}:
        raise TypeError("no members")
    if min(sizes, default=0) < 0:
        raise ValueError("a size below zero")
    each = (digest for (digest,) in struct.iter_unpack(f"{_DIGEST}s", _bytes(digests)))
    members = map(tuple.__new__, repeat(Member), zip(each, sizes, strict=True))  # what Member._make does, but faster
    return dict(zip(cast("Sequence[str]", paths), members, strict=True))


def _form_row(form: Form) -> list[object]:
    if isinstance(form, Text):
        return [form.plain, form.newlines, form.mark]
    return [form.frame, [[section.name, section.kind, section.digest] for section in form.sections]]


def _form(row: Sequence[object]) -> Form:
    if len(row) == 3:
        plain, newlines, mark = row
        return Text(plain=_digest(plain), newlines=_text(newlines), mark=mark is True)
    frame, listed = row
    if not isinstance(listed, list):
        raise TypeError("no sections")
    sections = tuple(Section(name=_text(name), kind=_text(kind), digest=_digest(raw)) for name, kind, raw in listed)
    return Elf(frame=_digest(frame), sections=sections)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("no bytes")
    return value


def _digest(value: object) -> bytes:
    """A raw sha256."""
    if len(_bytes(value)) != _DIGEST:
        raise ValueError("no sha256")
    return _bytes(value)
