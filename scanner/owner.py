"""Who owns a file: a package of an operating system's or conda's, and the digest that its list has for the file.

Ownership is by file, never by name and version: ``dpkg:python3-yaml``, ``apk:py3-yaml``, ``rpm:python3-pyyaml``,
``conda:pyyaml``. The lists are the target's own and are believed as far as they have no digests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from scanner.distribution import Origin

_OF_PYTHON: Final = re.compile(r"-packages/|\.dist-info|\.(?:egg|whl|pyz|pex|zip)")
_OF_INTEREST: Final = re.compile(rf"{_OF_PYTHON.pattern}|bin/|\.(?:py|so|pth|pyc)\Z")
_DIGEST_SIZES: Final = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
_FILE_COST: Final = 200
_SHORTENED: Final = 20
"""apk writes a sha256 into the room of a sha1 (apk-tools 3, flag ``S`` of the field ``f``)."""


class OwnedFile(NamedTuple):
    """One row of a package's list: a path as the list has it, hashlib's name of an algorithm, and the raw digest.

    Algorithm and digest are empty for directories, links, and files that the package expects to change.
    """

    path: str
    algorithm: str = ""
    digest: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package with those of its files that may matter: ``title`` is ``rpm:python3-pyyaml``."""

    title: str
    files: tuple[OwnedFile, ...]

    @property
    def cost(self) -> int:
        """What it takes in memory, about, in bytes."""
        return sum(len(file.path) + _FILE_COST for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a package database lists. ``fault`` says what of it could not be read, and is empty where all could."""

    packages: tuple[Package, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The package that owns a path and the digest it has for the file (hashlib's name and raw bytes), if any.

    ``prefix`` is that of a conda environment, and empty for packages of the system. ``cached`` is whether the package
    is only unpacked in conda's cache.
    """

    package: str
    prefix: str = ""
    algorithm: str = ""
    digest: bytes = b""
    cached: bool = False

    @property
    def origin(self) -> Origin:
        """What the origin of its distributions is: ``conda`` or ``os``."""
        return Origin.CONDA if self.package.startswith("conda:") else Origin.OS

    def agrees(self, *, data: bytes | None, sha256: bytes | None) -> bool | None:
        """Whether the bytes that are there are the owner's; None where that cannot be told.

        ``data`` are the file's bytes if they were kept, ``sha256`` (raw) its digest.
        """
        if not self.digest:
            return None
        if self.algorithm == "sha256" and sha256 is not None:
            return sha256[: len(self.digest)] == self.digest
        if data is None:
            return None
        return hashlib.new(self.algorithm, data, usedforsecurity=False).digest()[: len(self.digest)] == self.digest


def owned_file(path: str, algorithm: str, digest: bytes) -> OwnedFile:
    """A row; without its digest if that is none of its algorithm."""
    size = _DIGEST_SIZES.get(algorithm)
    whole = len(digest) == size or (algorithm == "sha256" and len(digest) == _SHORTENED)
    return OwnedFile(path, algorithm, digest) if whole else OwnedFile(path)


def may_matter(path: str) -> bool:
    """Whether a path is in an environment, is a distribution's metadata, a wheel file or a script, or is importable."""
    return _OF_INTEREST.search(path) is not None


def that_matter(files: Iterable[OwnedFile]) -> tuple[OwnedFile, ...]:
    """Of a package with files in environments: those, its scripts and importable files. Of any other: nothing."""
    found = tuple(file for file in files if _OF_INTEREST.search(file.path))
    return found if any(_OF_PYTHON.search(file.path) for file in found) else ()
