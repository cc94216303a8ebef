"""Who owns a path: the package databases of the operating system inside the target.

Ownership is by file, never by name and version. dpkg: ``info/*.list`` and ``*.md5sums``
(deb-md5sums(5)), ``status.d`` of distroless images; apk: ``installed`` (apk-package database, fields
P V F R Z). A metadata file whose bytes are not the owner's any more was replaced, by pip for
example, and is not the owner's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from scanner.rootfs import RootFS

_DPKG_INFO: Final = "/var/lib/dpkg/info"
_DPKG_STATUS_D: Final = "/var/lib/dpkg/status.d"
_APK: Final = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_RELEVANT: Final = ("-packages/", ".dist-info", ".egg-info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """An operating system's package and the digest it has for a file (hashlib name and hex), if any."""

    package: str
    algorithm: str | None = None
    digest: str | None = None

    def disowns(self, data: bytes | None) -> bool:
        """Whether the owner's digest says that ``data`` are other bytes than it installed."""
        if self.algorithm is None or data is None:
            return False
        return hashlib.new(self.algorithm, data, usedforsecurity=False).hexdigest() != self.digest


class Owners:
    """The owners of those paths that may belong to a Python distribution."""

    def __init__(self, rootfs: RootFS) -> None:
        self._by_path: dict[str, Owner] = {}
        for path, owner in (*_dpkg(rootfs), *_apk(rootfs)):
            # A package lists /lib/x where the file system has /usr/lib/x.
            real = rootfs.resolve(path, follow_last=False) or path
            known = self._by_path.get(real)
            if known is None or known.digest is None:
                self._by_path[real] = owner

    def of(self, path: str) -> Owner | None:
        """The owner of a real path."""
        return self._by_path.get(path)


def _dpkg(rootfs: RootFS) -> Iterator[tuple[str, Owner]]:
    sums: dict[str, dict[str, str]] = {}
    lists: dict[str, list[str]] = {}
    for folder in (_DPKG_INFO, _DPKG_STATUS_D):
        for name in sorted(rootfs.children(folder)):
            package, _, suffix = name.rpartition(".")
            data = rootfs.read(f"{folder}/{name}") if suffix in ("md5sums", "list") else None
            if data is None:
                continue
            lines = data.decode("utf-8", "surrogateescape").split("\n")
            if suffix == "md5sums":
                sums[package] = dict(_md5sums(lines))
            else:
                lists[package] = lines
    for package in sorted({*sums, *lists}):
        known = sums.get(package, {})
        title = f"dpkg:{package.partition(':')[0]}"
        for path in {*lists.get(package, ()), *known}:
            if any(part in path for part in _RELEVANT):
                digest = known.get(path)
                yield path, Owner(package=title, algorithm="md5" if digest else None, digest=digest)


def _md5sums(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        digest, _, path = line.partition("  ")
        if path and len(digest) == 32:
            yield "/" + path.lstrip("/"), digest.lower()


def _apk(rootfs: RootFS) -> Iterator[tuple[str, Owner]]:
    for place in _APK:
        data = rootfs.read(place)
        if data is None:
            continue
        package = folder = path = ""
        for line in data.decode("utf-8", "surrogateescape").split("\n"):
            key, _, value = line.partition(":")
            if key == "P":
                package, folder, path = value, "", ""
            elif key == "F":
                folder = value
            elif key == "R":
                path = f"/{folder}/{value}" if folder else f"/{value}"
                if any(part in path for part in _RELEVANT):
                    yield path, Owner(package=f"apk:{package}")
            elif key == "Z" and path and value.startswith("Q1") and any(part in path for part in _RELEVANT):
                yield path, _apk_digest(package, value[2:])


def _apk_digest(package: str, text: str) -> Owner:
    """``Q1`` and base64 of a sha1."""
    try:
        digest = base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return Owner(package=f"apk:{package}")
    return Owner(package=f"apk:{package}", algorithm="sha1", digest=digest)
