"""Wheels and source archives that a tool has stored under names of its own, told by their bytes.

A wheel is named by its dist-info; a source archive by its ``PKG-INFO`` (PEP 643), else by the one folder that it
unpacks to (PEP 625). What neither is, such as the pages of an index that are cached beside them, is nobody's business
unless the cache says that it is a wheel.
"""

from __future__ import annotations

import enum
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from packaging.utils import InvalidSdistFilename, NormalizedName, canonicalize_name, parse_sdist_filename

from scanner.compression import decompressed, detect
from scanner.digest import Digest
from scanner.errors import CgscanError, WheelUnreadable
from scanner.limits import MIB, Limits
from scanner.tarstream import TarStream
from scanner.wheel import WheelContents, read_wheel, wheel_filename

_ZIP: Final = b"PK\x03\x04"
_PROJECT: Final = re.compile(r"[^/]+/(pyproject\.toml|setup\.py)")
_METADATA: Final = re.compile(r"[^/]+/PKG-INFO")
_HEADER: Final = re.compile(
    rb"(?P<key>Name|Version)[ \t]*:[ \t]*(?P<value>[A-Za-z0-9][A-Za-z0-9.!+_-]{0,199})[ \t]*\r?"
)
_METADATA_SIZE: Final = 1 * MIB
_SOURCE_SUFFIXES: Final = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")


class Trouble(enum.Enum):
    """Why a stored file gives no artifact."""

    CORRUPT = "corrupt"
    """It is a wheel that cannot be read, or is said to be a wheel and is none."""
    NAMELESS = "nameless"
    """It is an archive, and names no project."""
    OTHER = "other"
    """It is something else; corrupt if a wheel is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A stored wheel (``wheel`` is what it holds) or source archive; or, with ``trouble``, what gives none.

    ``sha256`` is the artifact's own, also where the stored file has more around it. ``said`` is where the cache says
    it has it from. ``part`` names it in a file that holds several.
    """

    sha256: Digest
    name: NormalizedName | None = None
    version: str | None = None
    wheel: WheelContents | None = None
    said: str | None = None
    part: str = ""
    trouble: Trouble | None = None
    detail: str = ""


def open_artifact(file: BinaryIO, *, sha256: Digest, limits: Limits) -> Artifact:
    """What a stored file is; ``file`` is seekable."""
    start = file.read(512)
    file.seek(0)
    if start.startswith(_ZIP):
        return _zip(file, sha256, limits)
    found = _tar(file, sha256, limits) if detect(start) is not None else None
    return found or Artifact(
        sha256=sha256, trouble=Trouble.OTHER, detail=f"is neither wheel nor source: {looks_like(start)}"
    )


def open_wheel(file: BinaryIO, *, filename: str, sha256: Digest, limits: Limits) -> Artifact:
    """A stored file whose name says that it is a wheel."""
    try:
        wheel = read_wheel(file, filename=filename, limits=limits, sha256=sha256)
    except WheelUnreadable as problem:
        return _corrupt(file, sha256, problem)
    return _of_wheel(wheel, sha256)


def _corrupt(file: BinaryIO, sha256: Digest, problem: WheelUnreadable) -> Artifact:
    file.seek(0)
    detail = f"is no wheel: {looks_like(file.read(512))} ({problem.message})"
    return Artifact(sha256=sha256, trouble=Trouble.CORRUPT, detail=detail)


def of_source_name(filename: str) -> tuple[NormalizedName, str] | None:
    """(project, version) of a source archive's file name; None for what is none."""
    suffix = next((suffix for suffix in _SOURCE_SUFFIXES if filename.endswith(suffix)), None)
    if suffix is None or len(filename) > 255:
        return None
    try:
        name, version = parse_sdist_filename(f"{filename.removesuffix(suffix)}.tar.gz")
    except InvalidSdistFilename:
        return None
    return name, str(version)


def looks_like(start: bytes) -> str:
    """What bytes are, by their beginning, in words."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    known = (
        (b"<!doctype html", "an HTML page"),
        (b"<html", "an HTML page"),
        (b"<?xml", "an XML document"),
        (b"<", "markup"),
        (b"{", "JSON"),
        (b"[", "JSON"),
        (_ZIP.lower(), "a zip"),
        (b"version https://git-lfs", "a pointer of Git LFS"),
    )
    for beginning, words in known:
        if text.startswith(beginning):
            return f"it begins like {words}"
    if not start.strip(b"\0"):
        return "it is empty" if not start else "it begins with zeros"
    if (kind := detect(start)) is not None:
        return f"it begins like {kind}"
    return "it begins like text" if start.isascii() and b"\0" not in start else "its first bytes are of no known form"


# --- zips ---


def _zip(file: BinaryIO, sha256: Digest, limits: Limits) -> Artifact:
    try:
        filename = wheel_filename(file, limits=limits)
        file.seek(0)
        return _of_wheel(read_wheel(file, filename=filename, limits=limits, sha256=sha256), sha256)
    except WheelUnreadable as problem:
        return _zipped_source(file, sha256) or _corrupt(file, sha256, problem)


def _of_wheel(wheel: WheelContents, sha256: Digest) -> Artifact:
    project, _, version = wheel.dist_info.removesuffix(".dist-info").partition("-")
    return Artifact(sha256=sha256, name=canonicalize_name(project), version=version or None, wheel=wheel)


def _zipped_source(file: BinaryIO, sha256: Digest) -> Artifact | None:
    """A zip that can be read and has no WHEEL; None for a wheel, and for what is damaged."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            names = {info.filename: info for info in archive.infolist()}
            metadata = next((info for name, info in names.items() if _METADATA.fullmatch(name)), None)
            if metadata is None:
                return None if any(name.endswith(".dist-info/WHEEL") for name in names) else _nameless(sha256)
            with archive.open(metadata) as stream:
                return _of_metadata(stream.read(_METADATA_SIZE), sha256) or _nameless(sha256)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
        return None


def _nameless(sha256: Digest) -> Artifact:
    return Artifact(sha256=sha256, trouble=Trouble.NAMELESS, detail="an archive that names no project")


# --- tars ---


def _tar(file: BinaryIO, sha256: Digest, limits: Limits) -> Artifact | None:
    """A compressed tar's name by its first PKG-INFO, else by its folder; None for what holds no Python project."""
    folder: Artifact | None = None
    bounded = replace(limits, expanded=limits.source_archive)
    what = "source archive"
    try:
        plain = decompressed(file, what=what, limits=bounded)
        for path, content in _files(TarStream(plain, what=what, limits=bounded)):
            folder = folder or _of_folder(path, sha256)
            if _METADATA.fullmatch(path) and (named := _of_metadata(_some(content), sha256)):
                return named
            if folder is None and _PROJECT.fullmatch(path):
                folder = _nameless(sha256)
    except CgscanError:  # no tar, a damaged one, or more than is looked at
        return folder
    return folder


def _files(stream: TarStream) -> Iterator[tuple[str, Iterator[bytes | memoryview]]]:
    for entry in stream:
        if entry.kind == "file":
            yield entry.name.removeprefix("./"), iter(stream.content())


def _some(content: Iterator[bytes | memoryview]) -> bytes:
    data = bytearray()
    for chunk in content:
        data += chunk
        if len(data) > _METADATA_SIZE:
            break
    return bytes(data)


def _of_folder(path: str, sha256: Digest) -> Artifact | None:
    named = of_source_name(f"{path.partition('/')[0]}.tar.gz") if "/" in path else None
    return Artifact(sha256=sha256, name=named[0], version=named[1]) if named else None


def _of_metadata(data: bytes, sha256: Digest) -> Artifact | None:
    headers: dict[bytes, str] = {}
    for line in data.split(b"\n"):
        if not line.strip():
            break
        if found := _HEADER.fullmatch(line):
            headers.setdefault(found["key"], found["value"].decode("ascii"))
    if b"Name" not in headers:
        return None
    return Artifact(sha256=sha256, name=canonicalize_name(headers[b"Name"]), version=headers.get(b"Version"))
