"""What a wheel file holds: its members with their digests, and the few that are read.

A wheel is read in one of two ways. *Whole*: every member is decompressed, its CRC checked and
hashed: ``proved``. *By its RECORD*: the zip directory, RECORD and the members of dist-info
are read, the other digests are what RECORD says; enough to compare with, not to accuse.
Sources: PEP 427, PEP 770 (``sboms/``), PKWARE APPNOTE by way of :mod:`zipfile`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, TypeVar, cast

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from scanner.digest import CHUNK, Digest
from scanner.errors import WheelUnreadable
from scanner.forms import ELF_MAGIC, Elf, Form, form_of
from scanner.record import landing, normalise, parse_record
from scanner.zips import FAULTS, BoundedReads

if TYPE_CHECKING:
    from collections.abc import Callable

    from packaging.tags import Tag
    from packaging.utils import NormalizedName

    from scanner.limits import Limits

_T = TypeVar("_T")
DIST_INFO = re.compile(r"(?P<stem>[^/]+)\.dist-info/(?P<rest>.+)")
_WHEEL_FILE = re.compile(r"[^/]+\.dist-info/WHEEL")
RECORD_FILES: Final = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s"})
_READ: Final = frozenset({"WHEEL", "METADATA", "RECORD", "entry_points.txt", "top_level.txt"})
_LONGEST_NAME: Final = 255
_PYTHON_LINE: Final = b"#!python"
_MARK: Final = b"\xef\xbb\xbf"
_MOST_SECTIONS: Final = 50_000
"""Digests of forms that are kept of one wheel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelName:
    """What a wheel's file name says (binary distribution format, "File name convention")."""

    filename: str
    project: NormalizedName
    version: Version
    tags: frozenset[Tag]

    @classmethod
    def parse(cls, filename: str) -> WheelName | None:
        """Read a file name; None if it is no wheel's."""
        if len(filename) > _LONGEST_NAME:  # tags multiply: a long enough name has billions
            return None
        try:
            project, version, _build, tags = parse_wheel_filename(filename)
        except (InvalidWheelFilename, InvalidVersion, ValueError):
            return None
        return cls(filename=filename, project=canonicalize_name(project), version=version, tags=tags)


def release_of(version: Version) -> Version:
    """The version without its local part, as a version: ``1.0+cgr.2`` and ``1.0.0`` are of one release."""
    return Version(version.public)


class Member(NamedTuple):
    """One file in a wheel: raw sha256 of its bytes, and their number."""

    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelContents:
    """A wheel. ``members`` are all its files by normalised path; RECORD and its signatures are not among them.

    ``documents`` has the bytes of dist-info's ``WHEEL METADATA RECORD entry_points.txt top_level.txt
    sboms/*`` by their path below dist-info. ``script_tails`` has, for members of ``*.data/scripts`` that
    start with ``#!python``, the sha256 of what follows the first line; only where the bytes were read.
    """

    filename: str
    sha256: Digest | None
    proved: bool
    members: Mapping[str, Member]
    dist_info: str
    documents: Mapping[str, bytes] = field(default_factory=dict)
    script_tails: Mapping[str, bytes] = field(default_factory=dict)
    forms: Mapping[str, Form] = field(default_factory=dict)
    """Of members whose form is more than their digest (:mod:`scanner.forms`); only where it was asked for."""
    weak_digests: Mapping[str, bytes] = field(default_factory=dict)
    """Raw md5 and sha1 of a wheel file that lies in a target, by hashlib's name: package databases have these."""

    @property
    def claims_chainguard(self) -> bool:
        """Whether an SBOM inside says that Chainguard built it. A claim, not a proof."""
        return any(names_chainguard(data) for name, data in self.documents.items() if name.startswith("sboms/"))

    @property
    def tags(self) -> frozenset[str]:
        """The ``Tag:`` lines of WHEEL."""
        return wheel_tags(self.documents.get("WHEEL", b""))


def wheel_tags(wheel: bytes) -> frozenset[str]:
    """The ``Tag:`` lines of a WHEEL file, whatever else is in it."""
    lines = wheel[: 1024 * 1024].decode("utf-8", "replace").splitlines()
    return frozenset(line[4:].strip() for line in lines if line.lower().startswith("tag:"))


def names_chainguard(sbom: bytes) -> bool:
    """Whether an SBOM says that Chainguard made it: SPDX creators or supplier, CycloneDX supplier or authors.

    Source: the SBOM of a real Chainguard wheel (``creationInfo.creators: Organization: Chainguard, Inc``).
    """
    try:
        document = json.loads(sbom)
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict):
        return False
    creation, metadata = document.get("creationInfo"), document.get("metadata")
    said: list[object] = []
    if isinstance(creation, dict) and isinstance(creation.get("creators"), list):
        said += creation["creators"]
    if isinstance(metadata, dict):
        parts = (metadata.get("supplier"), metadata.get("manufacturer"))
        said += [part.get("name") for part in parts if isinstance(part, dict)]
    return any(isinstance(text, str) and re.match(r"(Organization: )?Chainguard\b", text) for text in said)


def read_wheel(
    file: BinaryIO, *, filename: str, limits: Limits, sha256: Digest | None = None, forms: bool = False
) -> WheelContents:
    """Read a whole wheel from a seekable file: every member is hashed, every CRC checked.

    ``sha256`` is that of the file, as the caller checked it; ``forms`` keeps the forms of members too.
    :class:`WheelUnreadable` for anything that no installer could unpack, or that exceeds the limits.
    """
    return _guarded(partial(_read_whole, forms=forms), file, filename, limits, sha256)


def wheel_filename(file: BinaryIO, *, limits: Limits) -> str:
    """The name that a wheel gives itself by its dist-info and tags, for bytes that are stored under another one.

    :class:`WheelUnreadable` where the file is no zip, or no one dist-info folder in it has a ``WHEEL``.
    """
    try:
        with zipfile.ZipFile(cast("BinaryIO", BoundedReads(file, limits))) as archive:
            infos = {info.filename: info for info in archive.infolist() if _WHEEL_FILE.fullmatch(info.filename)}
            if len(infos) != 1:
                raise WheelUnreadable(f"has {len(infos)} dist-info folders with a WHEEL")
            ((path, info),) = infos.items()
            with archive.open(info) as stream:
                tags = [tag.split("-") for tag in wheel_tags(stream.read(CHUNK)) if tag.count("-") == 2]
    except FAULTS as problem:
        raise WheelUnreadable(f"cannot be read as a wheel ({problem})") from problem
    parts = [".".join(sorted({tag[place] for tag in tags})) or "unknown" for place in range(3)]
    return f"{path.removesuffix('.dist-info/WHEEL')}-{'-'.join(parts)}.whl"


def read_wheel_by_record(
    file: BinaryIO, *, filename: str, limits: Limits, sha256: Digest | None = None
) -> WheelContents | None:
    """Read a wheel's zip directory, RECORD and dist-info; None if RECORD does not cover all members.

    ``file`` is seekable and may fetch what is read by range. ``sha256`` is what the index says of the
    file. Rows must agree with the zip directory in path and size, so that a RECORD of another wheel is
    not taken for this one's.
    """
    return _guarded(_read_by_record, file, filename, limits, sha256)


class _Archive:
    """A wheel's zip directory: members by normalised path, its dist-info folder."""

    def __init__(self, archive: zipfile.ZipFile, *, filename: str, limits: Limits, size: int) -> None:
        self.zip = archive
        self.filename = filename
        self.limits = limits
        self.bound = min(limits.wheel_expanded, max(limits.expansion_grace, size * limits.wheel_ratio))
        self.infos: dict[str, zipfile.ZipInfo] = {}
        self.formed: set[str] = set()
        """Members, as the directory names them, whose form may be more than their digest."""
        listed = archive.infolist()
        if len(listed) > limits.archive_members:
            raise WheelUnreadable(f"{filename}: more than {limits.archive_members} members (limit archive_members)")
        for info in listed:
            if not info.is_dir():
                self._add(self._path(info), info)
        self.dist_info = self._dist_info()

    def _add(self, path: str, info: zipfile.ZipInfo) -> None:
        """Two members of one path are one only if they have the same bytes: installers differ in which they take."""
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # bzip2 and LZMA expand without bound in zipfile; PyPI and uv refuse them too
            raise WheelUnreadable(f"{self.filename}: {path[:200]!r} is neither stored nor deflated")
        other = self.infos.setdefault(path, info)
        if (other.CRC, other.file_size) != (info.CRC, info.file_size):
            raise WheelUnreadable(f"{self.filename}: has two members {path[:200]!r} with other bytes")

    def _path(self, info: zipfile.ZipInfo) -> str:
        path = normalise(info.filename)
        if path is None or path.startswith("../"):
            raise WheelUnreadable(f"{self.filename}: a member's path leaves the wheel: {info.filename[:200]!r}")
        return path

    def _dist_info(self) -> str:
        """The one dist-info folder at the top whose name is the wheel's project's (PEP 427)."""
        project = canonicalize_name(self.filename.partition("-")[0])
        inside = (path for path in self.infos if ".dist-info/" in path)
        folders = {found["stem"] for found in map(DIST_INFO.fullmatch, inside) if found}
        fitting = [stem for stem in folders if canonicalize_name(stem.partition("-")[0]) == project] or [
            stem
            for stem in folders
            if canonicalize_name(stem).startswith(project)  # old tools kept "-" in names
        ]
        if len(fitting) != 1:
            raise WheelUnreadable(f"{self.filename}: has {len(fitting)} dist-info folders of its own name")
        return f"{fitting[0]}.dist-info"

    def below(self, path: str) -> str | None:
        """The path below dist-info; None outside of it."""
        folder, _, rest = path.partition("/")
        return rest if folder == self.dist_info and rest else None

    def is_record(self, path: str) -> bool:
        """Whether the member is RECORD or a signature over it."""
        return self.below(path) in RECORD_FILES

    def is_document(self, path: str) -> bool:
        """Whether the member's bytes are kept."""
        rest = self.below(path) if path.startswith(self.dist_info) else None
        return rest is not None and (rest in _READ or rest.startswith("sboms/"))

    def read(self, path: str) -> bytes:
        """A small member's bytes."""
        info = self.infos[path]
        if info.file_size > self.limits.member:
            raise WheelUnreadable(f"{self.filename}: {path} is larger than {self.limits.member} bytes (limit member)")
        data = bytearray()
        with self.zip.open(info) as stream:
            while chunk := stream.read(CHUNK):  # never all at once: that expands before it looks at the size
                data += chunk
        return bytes(data)

    def documents(self) -> dict[str, bytes]:
        """The members of dist-info that are read, by their path below it."""
        paths = [path for path in self.infos if self.is_document(path)]
        if sum(self.infos[path].file_size for path in paths) > self.limits.kept_total:
            raise WheelUnreadable(
                f"{self.filename}: dist-info is larger than {self.limits.kept_total} bytes (limit kept_total)"
            )
        return {self.below(path) or "": self.read(path) for path in paths}


def _guarded(
    read: Callable[[_Archive, Digest | None], _T], file: BinaryIO, filename: str, limits: Limits, sha256: Digest | None
) -> _T:
    """Open the zip and read it; whatever zipfile raises on hostile bytes is :class:`WheelUnreadable`."""
    try:
        bounded = cast("BinaryIO", BoundedReads(file, limits))
        with zipfile.ZipFile(bounded) as archive:
            size = file.seek(0, io.SEEK_END)
            return read(_Archive(archive, filename=filename, limits=limits, size=size), sha256)
    except FAULTS as problem:
        raise WheelUnreadable(f"{filename}: cannot be read as a wheel ({problem})") from problem


def _read_whole(archive: _Archive, sha256: Digest | None, *, forms: bool) -> WheelContents:
    members: dict[str, Member] = {}
    tails: dict[str, bytes] = {}
    left = archive.bound
    for path, info in archive.infos.items():
        if archive.is_record(path):
            continue
        members[path], tail = _hash_member(archive, info)
        left -= members[path].size
        if left < 0:
            raise WheelUnreadable(f"{archive.filename}: expands beyond the limit wheel_expanded or wheel_ratio")
        if tail and landing(path).scheme == "scripts":
            tails[path] = tail
    return WheelContents(
        filename=archive.filename,
        sha256=sha256,
        proved=True,
        members=members,
        dist_info=archive.dist_info,
        documents=archive.documents(),
        script_tails=tails,
        forms=_read_forms(archive) if forms else {},
    )


def _hash_member(archive: _Archive, info: zipfile.ZipInfo) -> tuple[Member, bytes | None]:
    """A member's digest, and that of what follows its first line if it starts with ``#!python``."""
    whole = hashlib.sha256()
    size = 0
    tail = None
    with archive.zip.open(info) as stream:
        while data := stream.read(CHUNK):
            if (size == 0 and data.startswith((ELF_MAGIC, _MARK))) or b"\r\n" in data:
                archive.formed.add(info.filename)
            if size == 0 and data.startswith(_PYTHON_LINE) and info.file_size <= len(data):
                tail = hashlib.sha256(data.partition(b"\n")[2]).digest()
            whole.update(data)
            size += len(data)
    return Member(whole.digest(), size), tail


def _read_forms(archive: _Archive) -> dict[str, Form]:
    """The forms of compiled members, and of texts that are written otherwise than with LF; bounded like the rest."""
    found: dict[str, Form] = {}
    left = _MOST_SECTIONS
    for path, info in archive.infos.items():
        if info.filename not in archive.formed or info.file_size > archive.limits.form:
            continue
        with archive.zip.open(info) as stream:
            form = form_of(b"".join(iter(partial(stream.read, CHUNK), b"")))
        left -= len(form.sections) if isinstance(form, Elf) else 1
        if left < 0:
            break
        if form is not None:
            found[path] = form
    return found


def _read_by_record(archive: _Archive, sha256: Digest | None) -> WheelContents | None:
    documents = archive.documents()
    if "RECORD" not in documents:
        return None
    rows = {row.path: row for row in parse_record(documents["RECORD"]).rows}
    members: dict[str, Member] = {}
    folder = archive.dist_info + "/"
    for path, info in archive.infos.items():
        rest = path[len(folder) :] if path.startswith(folder) else None
        if rest in RECORD_FILES:
            continue
        if rest in documents:
            members[path] = Member(hashlib.sha256(documents[rest]).digest(), len(documents[rest]))
            continue
        row = rows.get(path)
        if row is None or row.digest is None or row.algorithm != "sha256" or row.size not in (None, info.file_size):
            return None
        members[path] = Member(row.digest, info.file_size)
    return WheelContents(
        filename=archive.filename,
        sha256=sha256,
        proved=False,
        members=members,
        dist_info=archive.dist_info,
        documents=documents,
    )
