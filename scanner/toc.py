"""The table of contents of an eStargz or zstd:chunked layer: where it is, and which files and bytes it lists.

Such a layer is an ordinary gzip or zstd layer, each file of it a member or frame of its own, with a list of them at its
end. The list counts only if the manifest names its digest; it may still list other files than the tar has that a
runtime unpacks. Sources: stargz-snapshotter, docs/estargz.md; containers/storage, pkg/chunked.
"""

from __future__ import annotations

import bisect
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn, TypeAlias, cast

from scanner.compression import decompressed
from scanner.digest import CHUNK, Digest
from scanner.errors import CgscanError, DigestMismatch, UntrustedContent, UsageError
from scanner.limits import KIB, Limits
from scanner.tarstream import TarEntry, TarStream

ESTARGZ: Final = "estargz"
ZSTD_CHUNKED: Final = "zstd:chunked"
_ESTARGZ_DIGEST: Final = "containerd.io/snapshot/stargz/toc.digest"
_CHUNKED: Final = ("io.github.containers.zstd-chunked", "io.containers.zstd-chunked")
"""What the annotations are called; the second by tools from before 2023."""
_POSITION: Final = re.compile(r"([0-9]{1,18}):([0-9]{1,18}):([0-9]{1,18}):1")
_FOOTER: Final = re.compile(
    rb"\x1f\x8b\x08\x04.{6}\x1a\x00SG\x16\x00([0-9a-f]{16})STARGZ\x01\x00\x00\xff\xff\0{8}", re.DOTALL
)
_FOOTER_SIZE: Final = 51
_FRAME_HEADER: Final = 8
_TAIL: Final = 64 * KIB
"""What is asked for first of an eStargz layer: the footer, and the whole table of a small one."""
_NAME: Final = "stargz.index.json"
_LANDMARKS: Final = frozenset({_NAME, ".prefetch.landmark", ".no.prefetch.landmark"})
_KINDS: Final = {
    "reg": "file",
    "dir": "directory",
    "symlink": "symlink",
    "hardlink": "hardlink",
    "char": "other",
    "block": "other",
    "fifo": "other",
}
_KEYS: Final = frozenset(
    {
        "version", "entries", "name", "type", "size", "linkName", "digest", "offset", "chunkOffset", "chunkSize",
        "chunkDigest", "innerOffset",
    }
)  # fmt: skip
_FOLDED: Final = frozenset(key.casefold() for key in _KEYS)
_VALUE: Final = 16
"""Bytes of the limit ``toc`` for each value: tables have one in thirty. Empty values are three, and many of memory."""
_MOST: Final = 1 << 62
_OF_NOTHING: Final = hashlib.sha256().digest()
_SHA256: Final = re.compile(r"sha256:([0-9a-f]{64})")

Part: TypeAlias = Callable[[int, int], bytes]
"""Gives a layer's stored bytes from one place up to another (exclusive), unverified; raises :class:`Unlisted`."""


class Unlisted(CgscanError):
    """No table of contents could be used for a layer, and why: the layer is to be read whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TocPlace:
    """What a manifest says of a layer's table. ``format`` is ``estargz`` or ``zstd:chunked``.

    ``digest`` is that of the JSON text for the one, of the compressed text for the other, whose ``position`` is
    offset, length and uncompressed length in bytes.
    """

    format: str
    digest: Digest
    position: tuple[int, int, int] | None = None

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> TocPlace | None:
        """Read a layer descriptor's annotations; None for no table, two, or one that makes no sense."""
        estargz = annotations.get(_ESTARGZ_DIGEST)
        chunked = [name for name in _CHUNKED if f"{name}.manifest-checksum" in annotations]
        if len(chunked) + (estargz is not None) != 1:
            return None
        try:
            if estargz is not None:
                return cls(format=ESTARGZ, digest=Digest.parse(estargz))
            found = _POSITION.fullmatch(annotations.get(f"{chunked[0]}.manifest-position", ""))
            digest = Digest.parse(annotations[f"{chunked[0]}.manifest-checksum"])
            position = (int(found[1]), int(found[2]), int(found[3])) if found else None
            return cls(format=ZSTD_CHUNKED, digest=digest, position=position) if position else None
        except UsageError:
            return None


class Piece(NamedTuple):
    """Content of a file: in the stored bytes from ``start`` up to ``end``, decompressed, ``size`` bytes after ``skip``.

    ``sha256`` is raw, None where only the whole file has one.
    """

    start: int
    end: int
    skip: int
    size: int
    sha256: bytes | None


class Listed(NamedTuple):
    """One entry of the table, its name as written. A file has its raw ``sha256``, and ``pieces`` unless it is empty."""

    entry: TarEntry
    sha256: bytes | None = None
    pieces: tuple[Piece, ...] = ()


def read_toc(place: TocPlace, part: Part, *, size: int, what: str, limits: Limits) -> list[Listed]:
    """The entries of a layer of ``size`` stored bytes, in their order; ``what`` names it in errors.

    Raises :class:`DigestMismatch` for another table than the manifest names, :class:`Unlisted` for one that cannot
    be used: damaged, too large, with files that have no digest.
    """
    try:
        if place.format == ESTARGZ:
            text, end = _estargz_text(place, part, size, what, limits)
        else:
            text, end = _chunked_text(place, part, size, what, limits)
    except DigestMismatch:
        raise
    except UntrustedContent as problem:
        raise Unlisted(problem.message) from problem
    if sum(map(text.count, (b"{", b"[", b","))) > limits.toc // _VALUE:
        raise Unlisted(f"{what}: a table of contents of too many values for the limit toc")
    return _Reader(what=what, end=end, skipped=_LANDMARKS if place.format == ESTARGZ else frozenset()).read(text)


# --- the text ---


def _estargz_text(place: TocPlace, part: Part, size: int, what: str, limits: Limits) -> tuple[bytes, int]:
    """The JSON text, and where the table begins in the stored bytes. It is the last tar entry."""
    tail_at = max(0, size - _TAIL)
    tail = part(tail_at, size)
    footer = _FOOTER.fullmatch(tail[-_FOOTER_SIZE:])
    start = int(footer[1], 16) if footer else size
    if not 0 < start < size - _FOOTER_SIZE or size - start > limits.toc:
        raise Unlisted(f"{what}: no footer of eStargz, or one that leads nowhere")
    stored = tail[start - tail_at : -_FOOTER_SIZE] if start >= tail_at else part(start, size - _FOOTER_SIZE)
    stream = TarStream(decompressed(_file(stored), what=what, limits=limits), what=what, limits=limits)
    first = next(iter(stream), None)
    if first is None or first.kind != "file" or first.name != _NAME or first.size > limits.toc:
        raise Unlisted(f"{what}: no {_NAME} where the footer says, or one beyond the limit toc")
    text = b"".join(stream.content())
    _check(place.digest, text, what)
    return text, start


def _chunked_text(place: TocPlace, part: Part, size: int, what: str, limits: Limits) -> tuple[bytes, int]:
    """The same of a skippable frame, whose place the manifest itself says."""
    offset, length, expanded = cast("tuple[int, int, int]", place.position)
    if not _FRAME_HEADER < offset < offset + length <= size or max(length, expanded) > limits.toc:
        raise Unlisted(f"{what}: a table outside of the layer, or beyond the limit toc")
    stored = part(offset, offset + length)
    _check(place.digest, stored, what)
    plain = decompressed(_file(stored), what=what, limits=limits)
    text = bytearray()
    while len(text) <= expanded and (data := plain.read(CHUNK)):
        text += data
    if len(text) != expanded:
        raise Unlisted(f"{what}: a table of another length than the manifest says")
    return bytes(text), offset - _FRAME_HEADER


def _file(data: bytes) -> BinaryIO:
    return io.BytesIO(data)


def _check(expected: Digest, data: bytes, what: str) -> None:
    found = hashlib.new(expected.algorithm, data).hexdigest()
    if found != expected.hex:
        raise DigestMismatch(
            f"{what}: its table of contents has digest {expected.algorithm}:{found}, not {expected} as in the manifest"
        )


# --- the entries ---


class _Reader:
    """Entries out of the JSON text. ``end`` is where in the stored bytes the files end, ``skipped`` no files at all."""

    def __init__(self, *, what: str, end: int, skipped: frozenset[str]) -> None:
        self._what = what
        self._end = end
        self._skipped = skipped
        self._starts: list[int] = []

    def read(self, text: bytes) -> list[Listed]:
        """All entries; :class:`Unlisted` for a table that is damaged, or that others could read differently."""
        try:
            table = json.loads(text, object_pairs_hook=self._object)
        except (ValueError, RecursionError) as problem:
            raise Unlisted(f"{self._what}: a table of contents that is no JSON") from problem
        if not isinstance(table, dict) or table.get("version") != 1 or not isinstance(table.get("entries"), list):
            self._damaged("is of no known version")
        rows: list[Any] = table["entries"]
        if not all(isinstance(row, dict) for row in rows):
            self._damaged("has entries that are none")
        self._starts = sorted({self._number(row, "offset") for row in rows})
        return [one for first, chunks in self._grouped(rows) if (one := self._listed(first, chunks)) is not None]

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        """Only the keys that are read; Go takes them in any spelling, and the last of two."""
        found = {key: value for key, value in pairs if key in _KEYS}
        if sum(key in _KEYS or key.casefold() in _FOLDED for key, _ in pairs) != len(found):
            self._damaged("has a key twice")
        return found

    def _grouped(
        self, rows: Sequence[dict[str, object]]
    ) -> Iterator[tuple[dict[str, object], list[dict[str, object]]]]:
        """Each entry with the further chunks that stand behind it."""
        at = 0
        while at < len(rows):
            first, start = rows[at], at + 1
            at = start
            while at < len(rows) and rows[at].get("type") == "chunk":
                if rows[at].get("name", first.get("name")) != first.get("name"):
                    self._damaged("has a chunk that is no file's")
                at += 1
            yield first, list(rows[start:at])

    def _listed(self, row: dict[str, object], chunks: list[dict[str, object]]) -> Listed | None:
        kind = _KINDS.get(self._text(row, "type"))
        name, link, size = self._text(row, "name"), self._text(row, "linkName"), self._number(row, "size")
        if kind is None or not name or (chunks and kind != "file"):
            self._damaged("has an entry of no known kind")
        if name.removeprefix("./") in self._skipped:
            return None
        if kind != "file":
            return Listed(TarEntry(name, kind, 0, link, 0, None))
        sha256, pieces = self._content([row, *chunks], size)
        return Listed(TarEntry(name, kind, size, "", 0, None), sha256, pieces)

    def _content(self, rows: list[dict[str, object]], size: int) -> tuple[bytes, tuple[Piece, ...]]:
        """The digest of a file and its pieces, which follow each other without gap."""
        sha256 = self._digest(rows[0], "digest")
        if not size:
            if sha256 not in (None, _OF_NOTHING) or len(rows) > 1:
                self._damaged("has an empty file with content")
            return _OF_NOTHING, ()
        offsets = [self._number(row, "chunkOffset") for row in rows]
        pieces: list[Piece] = []
        for row, begin, stop in zip(rows, offsets, [*offsets[1:], size], strict=True):
            said, start = self._number(row, "chunkSize"), self._number(row, "offset")
            if stop <= begin or said not in (0, stop - begin) or not 0 < start < self._end:
                self._damaged("has a file with chunks that do not fit")
            end = min(self._starts_after(start), self._end)
            skip = self._number(row, "innerOffset")
            pieces.append(Piece(start, end, skip, stop - begin, self._digest(row, "chunkDigest")))
        if sha256 is None and len(pieces) == 1:
            sha256 = pieces[0].sha256
        if sha256 is None or offsets[0] or (len(pieces) == 1 and pieces[0].sha256 not in (None, sha256)):
            self._damaged("has a file without a digest")
        return sha256, tuple(pieces)

    def _starts_after(self, start: int) -> int:
        """Where the next content begins, so that this one has ended."""
        after = bisect.bisect_right(self._starts, start)
        return self._starts[after] if after < len(self._starts) else self._end

    # --- values ---

    def _text(self, row: dict[str, object], key: str) -> str:
        value = row.get(key, "")
        if not isinstance(value, str) or "\ufffd" in value or not _is_unicode(value):
            self._damaged(f"has a {key} that JSON could not hold")  # Go writes U+FFFD for what is no UTF-8
        return value

    def _number(self, row: dict[str, object], key: str) -> int:
        value = row.get(key, 0)
        if type(value) is not int or not 0 <= value < _MOST:
            self._damaged(f"has a {key} that is no number of bytes")
        return value

    def _digest(self, row: dict[str, object], key: str) -> bytes | None:
        value = row.get(key)
        if not value:
            return None
        found = _SHA256.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            self._damaged(f"has a {key} that is no sha256")
        return bytes.fromhex(found[1])

    def _damaged(self, why: str) -> NoReturn:
        raise Unlisted(f"{self._what}: its table of contents {why}")


def _is_unicode(text: str) -> bool:
    """Whether there are no lone surrogates in it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
