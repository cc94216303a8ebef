"""Zip files of strangers: opened in bounded memory, their members read as Python's importer reads them.

:mod:`zipfile` reads the directory. It is not left to read members: it stops where the directory says that a member
ends, while :mod:`zipimport` takes all that the compressed data give, so that a member would be one thing for
a scanner and another one for the program. Sources: PKWARE APPNOTE 6.3, ``zipimport``.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from isal import igzip_lib, isal_zlib

from scanner.digest import CHUNK
from scanner.errors import MalformedArchive

if TYPE_CHECKING:
    from scanner.limits import Limits

FAULTS: Final = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    OverflowError,
    IndexError,
    KeyError,
    struct.error,
)
"""What :mod:`zipfile` raises on hostile bytes."""
START: Final = b"PK\x03\x04"
_DIRECTORY: Final = b"PK\x01\x02"
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_ENCRYPTED: Final = 0x1
_UTF8: Final = 0x800
_ISAL: Final = cast("type[Exception]", igzip_lib.error)


class BoundedReads(io.RawIOBase):
    """A file of which no single read may be large: :mod:`zipfile` takes a directory of any length at once.

    A directory of too many members is refused before an object is made of each.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        super().__init__()
        self._file = file
        self._limits = limits

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        if size > self._limits.member:
            raise zipfile.BadZipFile(f"one piece is larger than {self._limits.member} bytes (limit member)")
        data = self._file.read(size)
        if data.startswith(_DIRECTORY) and data.count(_DIRECTORY) > self._limits.archive_members:
            raise zipfile.BadZipFile(f"more than {self._limits.archive_members} members (limit archive_members)")
        return data


def has_directory(file: BinaryIO, *, limits: Limits) -> bool:
    """Whether there is a zip's end in a seekable file: a text may have the first bytes of one by chance."""
    try:
        return zipfile.is_zipfile(cast("BinaryIO", BoundedReads(file, limits)))
    except FAULTS:
        return False


def directory_of(file: BinaryIO, *, limits: Limits) -> list[zipfile.ZipInfo]:
    """The members of a seekable zip file in their order; :class:`MalformedArchive` where it is none."""
    try:
        with zipfile.ZipFile(cast("BinaryIO", BoundedReads(file, limits))) as archive:
            return archive.infolist()
    except FAULTS as problem:
        raise MalformedArchive(f"cannot be read as a zip file ({problem})") from problem


def content_of(file: BinaryIO, member: zipfile.ZipInfo, odd: Callable[[str], None]) -> Iterator[bytes]:
    """A member's bytes, which are no more than the directory says.

    ``odd`` is told what another reader would stumble over. :class:`MalformedArchive` where Python's importer could not
    read it either, or another reader would get other bytes.
    """
    if member.flag_bits & _ENCRYPTED:
        raise MalformedArchive("is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise MalformedArchive("is neither stored nor deflated")
    _seek_data(file, member, odd)
    size, crc = 0, 0
    parts = _stored if member.compress_type == zipfile.ZIP_STORED else _inflated
    for part in parts(file, member.compress_size):
        size += len(part)
        if size > member.file_size:
            raise MalformedArchive("has more bytes than the archive's directory says")
        crc = isal_zlib.crc32(part, crc)
        yield part
    if size != member.file_size or crc != member.CRC:
        odd("has other bytes than the archive's directory says")


def _seek_data(file: BinaryIO, member: zipfile.ZipInfo, odd: Callable[[str], None]) -> None:
    """Go to where a member's data start: behind its own header, which has its name again."""
    try:
        file.seek(member.header_offset)
        header = file.read(_LOCAL.size)
        start, _, flags, *_, name_length, extra_length = _LOCAL.unpack(header)
        name = file.read(name_length)
        file.seek(extra_length, io.SEEK_CUR)
    except (struct.error, OSError, ValueError) as problem:
        raise MalformedArchive("is not where the archive's directory says") from problem
    if start != START:
        raise MalformedArchive("is not where the archive's directory says")
    if name != member.orig_filename.encode("utf-8" if flags & _UTF8 else "cp437", "replace"):
        odd(f"has a second name in the archive: {name[:200].decode('utf-8', 'replace')!r}")


def _stored(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left > 0:
        part = file.read(min(left, CHUNK))
        if not part:
            raise MalformedArchive("ends early")
        left -= len(part)
        yield part


def _inflated(file: BinaryIO, left: int) -> Iterator[bytes]:
    stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    source = _stored(file, left)
    try:
        while not stream.eof:
            data = next(source, b"") if stream.needs_input else b""
            if not data and stream.needs_input:
                raise MalformedArchive("ends early")
            part = stream.decompress(data, CHUNK)
            if part:
                yield part
    except (_ISAL, ValueError, EOFError) as problem:
        raise MalformedArchive(f"is damaged ({problem})") from problem
