"""The entries of a tar stream, forward only, to the end-of-archive blocks or an error.

Why not :mod:`tarfile`: it stops in silence at a damaged header, so that files behind it are never
seen; it allocates whatever an extended header declares; and its objects cost more than hashing does.
Formats: ustar and PAX (POSIX.1-2001, pax), GNU long names, base-256 numbers and sparse files of
all four kinds (GNU tar manual, "Sparse Formats"). Where readers differ, this one does what Go's
``archive/tar`` does, because runtimes unpack with it: links and devices have no data whatever
their size says, global PAX headers change nothing and end what stood before them, a GNU long name
counts more than a PAX path, and only the oldest type of a file is a directory by its last slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, NoReturn
from zlib import adler32

from scanner.errors import LimitExceeded, MalformedArchive, TruncatedStream

if TYPE_CHECKING:
    from scanner.limits import Limits

BLOCK: Final = 512
_CHUNK: Final = 1024 * 1024
_ZEROS: Final = bytes(64 * 1024)
_ZERO_BLOCK: Final = bytes(BLOCK)
_KINDS: Final = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "other",
    b"4": "other",
    b"5": "directory",
    b"6": "other",
}
_EXTENDED: Final = frozenset({b"x", b"X", b"g", b"L", b"K"})
_TIMED: Final = (".py", ".pyc")
_PAX_KEYS: Final = frozenset({b"path", b"linkpath", b"size", b"mtime"})
_NO_PAX: Final[dict[str, str]] = {}
_WITHOUT_DATA: Final = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
_ORDINARY: Final = re.compile(
    rb"((.{100}).{24}([0-7]{11})[\0 ]([0-7]{11})[\0 ])"  # name; mode, uid, gid; size; mtime
    rb"([0-7]{6})[\0 ]{2}"  # checksum
    rb"(([0125])(.{100})ustar(?:\x0000|  \0).{80}(.{155})\0{12})",  # type; link; magic ... devices; prefix
    re.DOTALL,
)
"""The header that nearly every entry has. What does not look like it goes the long way."""


class TarEntry(NamedTuple):
    """One entry. ``kind`` is ``file directory symlink hardlink other``; ``size`` is bytes of content, holes included.

    Names are UTF-8 with surrogateescape, as they stand in the archive. ``mtime`` is read for Python files only, whose
    byte code is bound to it. ``fault`` says what is odd
    about the header, if something is: a reader of another make could see another entry.
    """

    name: str
    kind: str
    size: int
    link: str
    mtime: int
    fault: str | None


class TarStream:
    """Iterate over the entries of ``source``; :meth:`chunks` gives the current one's content.

    ``what`` names the stream in errors. Raises :class:`TruncatedStream`, :class:`MalformedArchive` and
    :class:`LimitExceeded`. The source is read to the end-of-archive blocks, not beyond the chunk they are in.
    """

    def __init__(self, source: BinaryIO, *, what: str, limits: Limits) -> None:
        self._source = source
        self._what = what
        self._limits = limits
        self._buffer = b""
        self._at = 0
        self._left = 0  # stored bytes of the current entry that were not given yet
        self._padding = 0
        self._holes: tuple[tuple[int, int], ...] | None = None
        self._size = 0
        self._sparse_stored = self._sparse_size = 0

    def __iter__(self) -> Iterator[TarEntry]:
        first = True
        while True:
            behind = self._at + self._left + self._padding
            if behind <= len(self._buffer):
                self._at = behind
            else:
                self._skip(self._left + self._padding)
            self._left = self._padding = 0
            self._holes = None
            entry = self._ordinary()
            if entry is not None:
                yield entry
            elif (header := self._header(first=first)) is None:
                return
            elif (entry := self._entry(header)) is not None:
                yield entry
            first = False

    def content(self) -> Iterable[bytes | memoryview]:
        """The current entry's content like :meth:`chunks`; without a generator where it is at hand as a whole."""
        size = self._left
        if self._holes is None and size <= len(self._buffer) - self._at:
            self._left = 0
            start = self._at
            self._at += size
            return (memoryview(self._buffer)[start : self._at],)
        return self.chunks()

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The current entry's content, in order, holes filled with zeros."""
        if self._holes is None:
            yield from self._stored(self._left)
            return
        position = 0
        for offset, length in self._holes:
            yield from _zeros(offset - position)
            yield from self._stored(length)
            position = offset + length
        yield from _zeros(self._size - position)

    # --- headers ---

    def _header(self, *, first: bool) -> bytes | None:
        """The next header block; None at the end of the archive."""
        block = self._take(BLOCK, at_end=first)
        if block is None:
            return None  # a stream without a byte: an empty layer
        if block == _ZERO_BLOCK:
            following = self._take(BLOCK, at_end=True)
            if following in (None, _ZERO_BLOCK):
                return None
            raise MalformedArchive(f"{self._what}: a single zero block, and entries behind it")
        return block

    def _ordinary(self) -> TarEntry | None:
        """The next entry, where it has one plain header that is at hand as a whole; None for all others.

        There are a million such headers in a large image, so this is one match instead of many calls.
        """
        found = _ORDINARY.match(self._buffer, self._at)
        if found is None or not found[0].isascii():
            return None
        before, raw_name, size, mtime, checksum, behind, kind, link, prefix = found.groups()
        # Adler-32's lower half is 1 plus the sum, and ASCII stays below its modulus. The field itself counts as spaces.
        if adler32(behind, adler32(before)) & 0xFFFF != int(checksum, 8) - 8 * 32 + 1 or prefix[0]:
            return None
        self._at += BLOCK
        name = raw_name.partition(b"\0")[0].decode()
        if kind == b"0":
            self._left = self._size = stored = int(size, 8)
            self._padding = -stored % BLOCK
            timed = int(mtime, 8) if name.endswith(_TIMED) else 0
            return TarEntry(name, "file", stored, "", timed, None)
        return TarEntry(name, _KINDS[kind], 0, link.partition(b"\0")[0].decode(), 0, None)

    def _entry(self, header: bytes) -> TarEntry | None:
        """Read one header with the extended headers before it; None for a global one."""
        kind = self._checked(header)
        pax: dict[str, str] = _NO_PAX
        long_name = long_link = ""
        while kind in _EXTENDED:
            data = self._extended(header)
            if kind in (b"x", b"X"):
                pax = self._pax(data)
            elif kind == b"L":
                long_name = _text(data)
            elif kind == b"K":
                long_link = _text(data)
            else:
                return None
            following = self._header(first=False)
            if following is None:
                raise TruncatedStream(f"{self._what}: ends behind an extended header")
            header, kind = following, self._checked(following)
        name = long_name or pax.get("path") or self._name(header)
        link = long_link or pax.get("linkpath") or _text(header[157:257])
        return self._described(header, kind, name, link, pax)

    def _name(self, header: bytes) -> str:
        """The name of a header, with its prefix (345 to 500) where the format has one.

        GNU has times there; Go takes for a prefix what is none, because its own writer once made such headers.
        """
        name, prefix = _text(header[:100]), ""
        if header[345] == 0:
            return name
        if header[257:263] == b"ustar\0":
            prefix = _text(header[345:476] if header[508:] == b"tar\0" else header[345:500])
        elif header[257:265] == b"ustar  \0" and not self._are_times(header[345:357], header[357:369]):
            prefix = _text(header[345:500])
            prefix = prefix if prefix.isascii() else ""
        return f"{prefix}/{name}" if prefix else name

    def _are_times(self, *fields: bytes) -> bool:
        try:
            return all(not field[0] or self._number(field, "time", signed=True) is not None for field in fields)
        except MalformedArchive:
            return False

    def _checked(self, header: bytes) -> bytes:
        """The type of a header whose checksum is right."""
        claimed = header[148:156].strip(b" \0").partition(b"\0")[0]
        total = _sum(header) - sum(header[148:156]) + 8 * 32
        if claimed.strip(b"01234567") or int(claimed or b"0", 8) != total:
            raise MalformedArchive(f"{self._what}: damaged header (wrong checksum), or no tar at all")
        return header[156:157]

    def _described(self, header: bytes, kind: bytes, name: str, link: str, pax: dict[str, str]) -> TarEntry:
        stored = declared = self._number(header[124:136], "size")
        what, fault = _KINDS.get(kind, "other"), None
        if kind not in _KINDS:
            fault = f"unknown kind of entry {kind!r}"
        if pax.get("size"):
            stored = self._decimal(pax["size"], "size")
            if declared not in (0, stored):
                fault = "its two headers disagree about its size"
        if kind == b"\0" and name.endswith("/"):
            what = "directory"
        if kind in _WITHOUT_DATA or what == "directory":
            stored = 0
        self._left = self._size = stored
        self._padding = -stored % BLOCK
        if kind == b"S" or (pax and what == "file"):
            name = self._sparse(header, kind, name, pax)
        mtime = self._mtime(header, pax) if name.endswith(_TIMED) else 0
        return TarEntry(name, what, self._size if what == "file" else 0, link, mtime, fault)

    def _mtime(self, header: bytes, pax: dict[str, str]) -> int:
        """Whole seconds; a PAX time has a fraction."""
        seconds = pax.get("mtime", "").partition(".")[0]
        if seconds:
            sign = -1 if seconds.startswith("-") else 1
            return sign * self._decimal(seconds.removeprefix("-"), "mtime")
        return self._number(header[136:148], "mtime", signed=True)

    # --- sparse files ---

    def _sparse(self, header: bytes, kind: bytes, name: str, pax: dict[str, str]) -> str:
        """Set the map of a sparse file; gives its real name (PAX 1.0 hides it)."""
        if kind == b"S":
            self._holes = self._old_gnu_map(header)
            self._size = self._number(header[483:495], "real size")
        elif (version := _sparse_version(pax)) is not None:
            name = pax.get("GNU.sparse.name") or name
            real_size = pax.get("GNU.sparse.size") or pax.get("GNU.sparse.realsize")
            self._size = self._decimal(real_size, "real size") if real_size else self._size
            self._holes = self._pax_map() if version == "1.0" else self._pax_pairs(pax.get("GNU.sparse.map", ""))
        self._check_map()
        return name

    def _pax_pairs(self, text: str) -> tuple[tuple[int, int], ...]:
        """PAX 0.0 and 0.1: ``offset,length,offset,length`` in the extended header."""
        numbers = [self._decimal(number, "sparse map") for number in text.split(",")] if text else []
        if len(numbers) % 2:
            self._not_a_number("sparse map")
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))

    def _old_gnu_map(self, header: bytes) -> tuple[tuple[int, int], ...]:
        fields, extended = header[386:482], header[482:483] != b"\0"
        pairs = self._pairs(fields)
        blocks = 0
        while extended:
            block = self._exactly(BLOCK)
            blocks += 1
            if blocks * BLOCK > self._limits.extended_header:
                raise LimitExceeded(f"{self._what}: a sparse map beyond the limit extended_header")
            pairs += self._pairs(block[:504])
            extended = block[504:505] != b"\0"
        return tuple(pairs)

    def _pairs(self, fields: bytes) -> list[tuple[int, int]]:
        pairs = []
        for start in range(0, len(fields), 24):
            if fields[start : start + 1] == b"\0":
                break
            offset = self._number(fields[start : start + 12], "sparse map")
            pairs.append((offset, self._number(fields[start + 12 : start + 24], "sparse map")))
        return pairs

    def _pax_map(self) -> tuple[tuple[int, int], ...]:
        """PAX 1.0: the map stands before the content, as decimal lines padded to a block."""
        numbers: list[int] = []
        rest = b""
        wanted = 1
        used = 0
        while len(numbers) < wanted:
            if used > self._limits.extended_header or self._left < BLOCK or len(rest) > 20:
                raise MalformedArchive(f"{self._what}: a sparse map without end")
            used += BLOCK
            self._left -= BLOCK
            *lines, rest = (rest + self._exactly(BLOCK)).split(b"\n")
            numbers += [self._decimal(line.decode("latin-1"), "sparse map") for line in lines[: wanted - len(numbers)]]
            if numbers and wanted == 1:
                wanted = 1 + 2 * min(numbers[0], self._limits.extended_header)
                numbers += [self._decimal(line.decode("latin-1"), "sparse map") for line in lines[1:wanted]]
        return tuple(zip(numbers[1:wanted:2], numbers[2:wanted:2], strict=False))

    def _check_map(self) -> None:
        """A sparse map goes forward, ends in the file and describes just what is stored."""
        if self._holes is None:
            return
        # Together, or a million small maps would stand for more zeros than anybody can hash.
        self._sparse_stored += self._left
        self._sparse_size += self._size
        most = self._limits.expansion_grace + self._sparse_stored * self._limits.expansion_ratio
        if self._sparse_size > min(most, self._limits.expanded):
            raise LimitExceeded(
                f"{self._what}: sparse files of {self._sparse_size} bytes (limits expansion_ratio, expanded)"
            )
        end = stored = 0
        for offset, length in self._holes:
            if offset < end or offset + length > self._size:
                raise MalformedArchive(f"{self._what}: a sparse map that goes backward or beyond its file")
            end = offset + length
            stored += length
        if stored != self._left:
            raise MalformedArchive(f"{self._what}: a sparse map that does not fit what is stored")

    # --- extended headers ---

    def _extended(self, header: bytes) -> bytes:
        size = self._number(header[124:136], "size")
        if size > self._limits.extended_header:
            raise LimitExceeded(
                f"{self._what}: an extended header of {size} bytes (limit extended_header, "
                f"{self._limits.extended_header})"
            )
        data = self._exactly(size)
        self._skip(-size % BLOCK)
        return data

    def _pax(self, data: bytes) -> dict[str, str]:
        """The records ``length key=value\\n``; only those keys that change what an entry is."""
        found: dict[str, str] = {}
        pairs: list[str] = []
        at, end = 0, len(data.rstrip(b"\0"))
        while at < end:
            digits, space, _ = data[at : at + 20].partition(b" ")
            length = int(digits) if space and digits.isdigit() else 0
            key, equals, value = data[at + len(digits) + 1 : at + length].partition(b"=")
            if at + length > len(data) or not equals or not value.endswith(b"\n"):
                raise MalformedArchive(f"{self._what}: a damaged PAX header")
            at += length
            if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
                pairs.append(value[:-1].decode("latin-1"))
            elif key in _PAX_KEYS or key.startswith(b"GNU.sparse."):
                found[_text(key)] = value[:-1].decode("utf-8", "surrogateescape")
        if pairs:
            found["GNU.sparse.map"] = ",".join(pairs)  # PAX 0.0 has them as records of their own
        return found

    # --- numbers ---

    def _number(self, field: bytes, what: str, *, signed: bool = False) -> int:
        """An octal number, or base-256 with the high bit of the first byte set."""
        if field[:-1].isdigit() and field[-1] in b"\0 ":  # the usual form
            return int(field[:-1], 8) if b"8" not in field and b"9" not in field else self._not_a_number(what)
        if field[0] & 0x80:
            value = int.from_bytes(field, "big") & ~(0x80 << 8 * len(field) - 8)
            value -= (field[0] & 0x40) << 8 * len(field) - 7  # two's complement of one bit less
            if not -1 << 63 <= value < 1 << 63:
                self._not_a_number(what)
        else:
            digits = field.strip(b" \0").partition(b"\0")[0]
            if digits.strip(b"01234567"):
                self._not_a_number(what)
            value = int(digits or b"0", 8)
        if value < 0 and not signed:
            raise MalformedArchive(f"{self._what}: a header whose {what} is negative")
        return value

    def _decimal(self, text: str, what: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 19:
            self._not_a_number(what)
        return int(text)

    def _not_a_number(self, what: str) -> NoReturn:
        raise MalformedArchive(f"{self._what}: a header whose {what} is no number")

    # --- bytes ---

    def _fill(self) -> bool:
        self._buffer = self._source.read(_CHUNK)
        self._at = 0
        return bool(self._buffer)

    def _take(self, size: int, *, at_end: bool) -> bytes | None:
        """``size`` bytes; None at a clean end where ``at_end`` allows one."""
        end = self._at + size
        if end <= len(self._buffer):
            data = self._buffer[self._at : end]
            self._at = end
            return data
        parts = [self._buffer[self._at :]]
        left = size - len(parts[0])
        while left and self._fill():
            self._at = min(left, len(self._buffer))
            parts.append(self._buffer[: self._at])
            left -= self._at
        data = b"".join(parts)
        if left:
            self._buffer, self._at = b"", 0
            if not data and at_end:
                return None
            raise TruncatedStream(f"{self._what}: the archive ends before its end-of-archive blocks")
        return data

    def _exactly(self, size: int) -> bytes:
        data = self._take(size, at_end=False)
        assert data is not None
        return data

    def _stored(self, size: int) -> Iterator[memoryview]:
        """``size`` stored bytes of the current entry, without copying."""
        while size:
            if self._at == len(self._buffer) and not self._fill():
                raise TruncatedStream(f"{self._what}: the archive ends within a file")
            part = memoryview(self._buffer)[self._at : self._at + size]
            self._at += len(part)
            self._left -= len(part)
            size -= len(part)
            yield part

    def _skip(self, size: int) -> None:
        while size:
            if self._at == len(self._buffer) and not self._fill():
                raise TruncatedStream(f"{self._what}: the archive ends within a file")
            step = min(size, len(self._buffer) - self._at)
            self._at += step
            size -= step


def _sum(header: bytes) -> int:
    """The sum of a block's bytes: Adler-32's lower half is 1 plus the sum modulo 65521; 256 bytes stay below that."""
    return (adler32(header[:256]) & 0xFFFF) + (adler32(header[256:]) & 0xFFFF) - 2


def _text(field: bytes) -> str:
    end = field.find(b"\0")
    return (field[:end] if end >= 0 else field).decode("utf-8", "surrogateescape")


def _sparse_version(pax: dict[str, str]) -> str | None:
    """The version of a PAX sparse map, if there is one that is known."""
    major, minor = pax.get("GNU.sparse.major", ""), pax.get("GNU.sparse.minor", "")
    if major or minor:
        version = f"{major}.{minor}"
        return version if version in ("0.0", "0.1", "1.0") else None
    return "0.1" if pax.get("GNU.sparse.map") else None


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield _ZEROS[:size]
        size -= len(_ZEROS)
