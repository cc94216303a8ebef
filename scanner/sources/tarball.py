"""The outer tar of an image archive: an index of its members, and their bytes without unpacking.

Opened through :class:`tarsafe.TarSafe`; nothing is ever extracted. What :mod:`tarfile` lacks against
hostile archives is added here: it reads whatever an extended header declares at once, walks
backwards at negative sizes, and stops in silence at a damaged header, so that what stands behind
it is never seen.
"""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from tarsafe import TarSafe  # type: ignore[import-untyped]

from scanner.compression import decompressed, detect
from scanner.digest import CHUNK
from scanner.errors import LimitExceeded, MalformedArchive, TargetError, TargetNotFound, TruncatedStream
from scanner.limits import Limits
from scanner.sources.document import read_bounded
from scanner.sources.files import open_regular, size_of, window

if TYPE_CHECKING:
    from typing import BinaryIO

_HOPS: Final = 40
_LONG_NUMBER: Final = re.compile(rb"[0-9]{100}")


@contextmanager
def open_tarball(path: Path, limits: Limits) -> Iterator[Tarball]:
    """Open an archive, compressed or not; it can be read until the block is left.

    A compressed one is expanded once into an unnamed temporary file, bounded by ``limits.expanded``:
    its members are read out of order and more than once.
    """
    with open_regular(path) as file:
        if detect(file.peek(6)[:6]) is None:
            yield Tarball(file, str(path), limits)
            return
        with temporary_file() as plain:
            spool(decompressed(file, what=str(path), limits=limits), plain, limits=limits, what=str(path))
            yield Tarball(plain, str(path), limits)


@contextmanager
def temporary_file() -> Iterator[BinaryIO]:
    """A file without a name in the temporary folder; it is gone when the block is left."""
    try:
        file = tempfile.TemporaryFile(prefix="cgscan-")  # noqa: SIM115 the with below closes it
    except OSError as problem:
        raise TargetError(f"no temporary file can be made ({problem.strerror})", hint="set TMPDIR") from problem
    with file:
        yield cast("BinaryIO", file)


def spool(source: BinaryIO, file: BinaryIO, *, limits: Limits, what: str) -> None:
    """Write all of ``source`` to ``file``; :class:`LimitExceeded` beyond ``limits.expanded`` bytes."""
    total = 0
    while chunk := source.read(CHUNK):
        total += len(chunk)
        if total > limits.expanded:
            raise LimitExceeded(f"{what}: more than {limits.expanded} bytes (limit expanded)")
        _write(file, chunk, what=what)


def _write(file: BinaryIO, chunk: bytes, *, what: str) -> None:
    """Write ``chunk`` and hand it to the system: windows do not see what is still buffered."""
    try:
        file.write(chunk)
        file.flush()
    except OSError as problem:
        raise TargetError(
            f"{what}: no room to keep it in the temporary folder ({problem.strerror})",
            hint="set TMPDIR to a folder with more room",
        ) from problem


def is_tar(block: bytes) -> bool:
    """Whether ``block`` (512 bytes) is a tar header."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


class Tarball:
    """The members of an open tar file, by name. ``where`` names it in errors.

    Of two members of one name the later counts, as where an archive is unpacked; documents may
    not stand there twice. :class:`MalformedArchive`, :class:`TruncatedStream`, :class:`LimitExceeded`.
    """

    def __init__(self, file: BinaryIO, where: str, limits: Limits) -> None:
        self.where = where
        self._file = file
        self._limits = limits
        self._members: dict[str, tarfile.TarInfo] = {}
        self._repeated: set[str] = set()
        self._take_index()

    @property
    def names(self) -> frozenset[str]:
        """The names of all members, without ``./``."""
        return frozenset(self._members)

    def size(self, name: str) -> int | None:
        """The size in bytes of the file that ``name`` is or leads to; None if there is none."""
        member = self._find(name)
        return member.size if member else None

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """The bytes of the file that ``name`` is or leads to; :class:`TargetNotFound` if there is none."""
        member = self._find(name)
        if member is None:
            raise TargetNotFound(f"{self.where}: has no file {name[:200]!r}")
        yield window(self._file, member.offset_data, member.size, what=f"{self.where}: {name[:200]}")

    def document(self, name: str) -> bytes:
        """A small file as a whole, bounded by ``limits.document``."""
        if name in self._repeated:
            raise MalformedArchive(f"{self.where}: {name[:200]!r} stands in it twice")
        with self.open(name) as stream:
            return read_bounded(stream, limit=self._limits.document, what=f"{self.where}: {name[:200]}")

    def _find(self, name: str) -> tarfile.TarInfo | None:
        """The regular file behind ``name``, through links inside the archive."""
        at: str | None = _inside(name)
        for _ in range(_HOPS):
            member = self._members.get(at) if at else None
            if member is None or member.isdir():
                return None
            if member.issparse():
                raise MalformedArchive(f"{self.where}: {name[:200]!r} is stored with holes")
            if member.isreg():
                return member
            at = self._target(member)
        raise MalformedArchive(f"{self.where}: {name[:200]!r} is a link that leads nowhere")

    def _target(self, member: tarfile.TarInfo) -> str:
        if member.issym():
            target = _inside(posixpath.join(posixpath.dirname(member.name), member.linkname))
        elif member.islnk():
            target = _inside(member.linkname)
        else:
            raise MalformedArchive(f"{self.where}: {member.name[:200]!r} is a device or pipe")
        if target is None:
            raise MalformedArchive(f"{self.where}: {member.name[:200]!r} is a link that leaves the archive")
        return target

    # --- the index ---

    def _take_index(self) -> None:
        """Read all headers, then make sure that they are all there are."""
        meter = _Meter(self._file, self.where, self._limits)
        meter.seek(0)
        try:
            with TarSafe.open(fileobj=meter, mode="r:", errorlevel=0) as tar:
                self._add_all(tar, meter)
                end = tar.offset
        except tarfile.TarError as problem:
            kind = TruncatedStream if "unexpected end" in str(problem) else MalformedArchive
            raise kind(f"{self.where}: {problem}") from problem
        except RecursionError as problem:
            raise MalformedArchive(f"{self.where}: extended headers without end") from problem
        except (ValueError, OverflowError) as problem:
            raise MalformedArchive(f"{self.where}: damaged header ({str(problem)[:100]})") from problem
        except OSError as problem:
            raise TargetError(f"{self.where}: cannot be read ({problem.strerror})") from problem
        self._check_rest(end)

    def _add_all(self, tar: tarfile.TarFile, meter: _Meter) -> None:
        """Index the members; each must end behind the one before it and inside the file."""
        before, size = 0, size_of(self._file)
        meter.refill()
        for count, member in enumerate(tar):
            if count >= self._limits.archive_members:
                raise LimitExceeded(
                    f"{self.where}: more than {self._limits.archive_members} members (limit archive_members)"
                )
            if not before <= member.offset < member.offset_data <= tar.offset or member.size < 0:
                raise MalformedArchive(f"{self.where}: a header that leads backwards")
            if member.isreg() and member.offset_data + member.size > size:
                raise TruncatedStream(f"{self.where}: ends inside of {member.name[:200]!r}")
            before = tar.offset
            self._add(member)
            meter.refill()

    def _add(self, member: tarfile.TarInfo) -> None:
        name = _inside(member.name)
        if name is None or name == ".":
            return
        if name in self._members and not member.isdir():
            self._repeated.add(name)
        self._members[name] = member

    def _check_rest(self, end: int) -> None:
        rest = window(self._file, end, max(size_of(self._file) - end, 0), what=self.where)
        while chunk := rest.read(CHUNK):
            if chunk.strip(b"\0"):
                raise MalformedArchive(f"{self.where}: a damaged header, or bytes behind the archive's end")


class _Meter(io.RawIOBase):
    """``file`` for :mod:`tarfile`, with an allowance of bytes for each member's headers.

    An extended header is read at once, so its declared size is what arrives here.
    """

    def __init__(self, file: BinaryIO, where: str, limits: Limits) -> None:
        super().__init__()
        self._file = file
        self._where = where
        self._limits = limits
        self._left = 0
        self.refill()

    def refill(self) -> None:
        """Start on the next member: its extended header and a few blocks."""
        self._left = self._limits.extended_header + 16 * tarfile.BLOCKSIZE

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        """Exactly ``size`` bytes, fewer at the end."""
        if size < 0:
            raise MalformedArchive(f"{self._where}: a header with a negative size")
        self._left -= size
        if self._left < 0:
            raise LimitExceeded(f"{self._where}: an extended header that is too long (limit extended_header)")
        data = self._file.read(size)
        # tarfile's search in PAX headers takes quadratic time over long rows of digits (CVE-2024-6232)
        if size > tarfile.BLOCKSIZE and _LONG_NUMBER.search(data):
            raise MalformedArchive(f"{self._where}: a number of more than 99 digits in a header")
        return data


def _inside(name: str) -> str | None:
    """``name`` without ``./``, ``//`` and leading slashes; None if it leads out of the archive."""
    path = posixpath.normpath(name.lstrip("/"))
    return None if path == ".." or path.startswith("../") else path
