"""One package of rpm's: the header that its database holds, to the files that may matter.

Source: rpm's ``docs/manual/format_header.md`` and ``tags.md``. A header is two numbers (entries, bytes of data), the
entries (tag, type, offset, count) and the data, all big-endian; of equal tags the last one counts.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from scanner.errors import DatabaseUnreadable
from scanner.limits import Limits
from scanner.owner import OwnedFile, Package, owned_file, that_matter

_NAME: Final = 1000
_OLD_FILE_NAMES: Final = 1027
_FILE_STATES: Final = 1029
_FILE_DIGESTS: Final = 1035
_FILE_FLAGS: Final = 1037
_DIR_INDEXES: Final = 1116
_BASE_NAMES: Final = 1117
_DIR_NAMES: Final = 1118
_FILE_DIGEST_ALGORITHM: Final = 5011
_INT8: Final = (1, 2)
_INT32: Final = 4
_STRINGS: Final = (6, 8, 9)
_CHANGING: Final = 1 << 0 | 1 << 6
"""Flags of configuration files and of files that are no part of the package (ghosts)."""
_ALGORITHMS: Final = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
_MOST_TAGS: Final = 0xFFFF


class RpmHeader:
    """A header's tags. :class:`scanner.errors.DatabaseUnreadable` for bytes that are no header."""

    def __init__(self, blob: bytes, *, limits: Limits) -> None:
        self._limits = limits
        tags, size = struct.unpack_from(">II", blob) if len(blob) >= 8 else (0, 0)
        start = 8 + tags * 16
        if not 0 < tags <= _MOST_TAGS or start + size > len(blob):
            raise DatabaseUnreadable("a package's header is cut off, or is none")
        self._data = blob[start : start + size]
        self._entries: dict[int, tuple[int, int, int]] = {
            tag: (kind, at, count) for tag, kind, at, count in struct.iter_unpack(">IIII", blob[8:start])
        }

    @property
    def count(self) -> int:
        """How many files it says that it has."""
        return max(self._entries.get(tag, (0, 0, 0))[2] for tag in (_BASE_NAMES, _OLD_FILE_NAMES))

    def package(self) -> Package | None:
        """The package; None where it has no file that matters, or no name."""
        name = b"".join(self._strings(_NAME)[:1])[:200].decode("utf-8", "replace")
        files = that_matter(self._files()) if name else ()
        return Package(title=f"rpm:{name}", files=files) if files else None

    def _files(self) -> Iterator[OwnedFile]:
        states = self._bytes(_FILE_STATES)
        flags = self._numbers(_FILE_FLAGS)
        digests = self._strings(_FILE_DIGESTS)
        algorithm = _ALGORITHMS.get((self._numbers(_FILE_DIGEST_ALGORITHM) or (1,))[0], "")
        for number, path in self._paths():
            if number < len(states) and states[number] != 0:
                continue  # left out on purpose, of the wrong colour, or replaced by another package
            changing = number < len(flags) and flags[number] & _CHANGING
            digest = b"" if changing or number >= len(digests) else digests[number]
            yield owned_file(path, algorithm, _unhexed(digest))

    def _paths(self) -> Iterator[tuple[int, str]]:
        """(number, path) of the files; those that could not stand on a file system are left out."""
        names = self._strings(_BASE_NAMES)
        folders = self._strings(_DIR_NAMES)
        for number, (name, folder) in enumerate(zip(names, self._numbers(_DIR_INDEXES), strict=False)):
            if folder < len(folders) and len(folders[folder]) + len(name) <= self._limits.path:
                yield number, _text(folders[folder] + name)
        for number, path in enumerate(() if names else self._strings(_OLD_FILE_NAMES)):
            if len(path) <= self._limits.path:
                yield number, _text(path)

    # --- values ---

    def _value(self, tag: int, types: Sequence[int], size: int) -> tuple[bytes, int]:
        """(data from the value's start, count); nothing for a tag that is not there or not of these types."""
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind not in types or offset > len(self._data):
            return b"", 0
        if count > self._limits.entries or count * size > len(self._data) - offset:
            raise DatabaseUnreadable(f"tag {tag} of a package's header has {count} values, more than there can be")
        return self._data[offset:], count

    def _strings(self, tag: int) -> list[bytes]:
        data, count = self._value(tag, _STRINGS, 1)
        return data.split(b"\0", count)[:count] if count else []

    def _numbers(self, tag: int) -> tuple[int, ...]:
        data, count = self._value(tag, (_INT32,), 4)
        return struct.unpack_from(f">{count}I", data)

    def _bytes(self, tag: int) -> bytes:
        data, count = self._value(tag, _INT8, 1)
        return data[:count]


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _unhexed(digest: bytes) -> bytes:
    try:
        return binascii.unhexlify(digest)
    except ValueError:
        return b""
