"""What dpkg owns: ``info/*.list`` and ``*.md5sums`` (deb-md5sums(5)), and ``status.d`` of distroless images.

A list says which files a package has, its sums what they were; ``status`` says which packages are installed. In
``status.d`` there is a file with the fields of each package and, in newer images, its sums beside it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Final

from scanner.owner import OwnedFile, Package, may_matter, owned_file, that_matter
from scanner.rootfs import RootFS

INFO: Final = "/var/lib/dpkg/info"
STATUS: Final = "/var/lib/dpkg/status"
STATUS_D: Final = "/var/lib/dpkg/status.d"
_SUMS: Final = ".md5sums"
_LIST: Final = ".list"
_NAME: Final = re.compile(rb"^Package: *(\S+)", re.MULTILINE)
_STATUS: Final = re.compile(rb"^Status:(.*)", re.MULTILINE)
_REMOVED: Final = (b"not-installed", b"config-files")


def dpkg_packages(rootfs: RootFS) -> Iterator[Package]:
    """The packages with files that matter; in no particular order."""
    removed = _removed(rootfs.read(STATUS) or b"")
    for stem, names in _by_package(rootfs, INFO).items():
        name = stem.partition(":")[0]
        if name not in removed:
            sums = _sums(_lines(rootfs, f"{INFO}/{stem}{_SUMS}")) if _SUMS in names else {}
            listed = filter(may_matter, _lines(rootfs, f"{INFO}/{stem}{_LIST}")) if _LIST in names else ()
            yield _package(name, [sums.get(path) or OwnedFile(path) for path in listed] or [*sums.values()])
    for stem, names in _by_package(rootfs, STATUS_D).items():
        if _SUMS in names:
            found = _NAME.search(rootfs.read(f"{STATUS_D}/{stem}") or b"")
            name = found[1].decode("utf-8", "replace") if found else stem
            yield _package(name, [*_sums(_lines(rootfs, f"{STATUS_D}/{stem}{_SUMS}")).values()])


def dpkg_fault(rootfs: RootFS) -> tuple[str, str] | None:
    """(path, why) where dpkg has packages and does not say which files are theirs."""
    if rootfs.file(STATUS) is not None and not any(name.endswith(_LIST) for name in rootfs.children(INFO)):
        count = len(_NAME.findall(rootfs.read(STATUS) or b""))
        if count:
            return STATUS, f"dpkg has {count} packages, and the lists of their files are gone"
    apart = rootfs.children(STATUS_D)
    if apart and not any(name.endswith(_SUMS) for name in apart):
        return STATUS_D, f"dpkg has {len(apart)} packages here, without lists of their files"
    return None


def _package(name: str, files: list[OwnedFile]) -> Package:
    return Package(title=f"dpkg:{name}", files=that_matter(files))


def _by_package(rootfs: RootFS, folder: str) -> Mapping[str, set[str]]:
    """Which of the two files there are, by what stands before their suffix."""
    found: dict[str, set[str]] = {}
    for name in rootfs.children(folder):
        for suffix in (_SUMS, _LIST):
            if name.endswith(suffix):
                found.setdefault(name.removesuffix(suffix), set()).add(suffix)
    return found


def _lines(rootfs: RootFS, path: str) -> list[str]:
    """Lines end as dpkg ends them: other characters that end lines may be in a name."""
    return (rootfs.read(path) or b"").decode("utf-8", "surrogateescape").split("\n")


def _sums(lines: list[str]) -> Mapping[str, OwnedFile]:
    found = {}
    for line in lines:
        digest, _, path = line.partition("  ")
        try:
            raw = binascii.unhexlify(digest) if len(digest) == 32 and may_matter(path) else b""
        except ValueError:
            continue
        if raw:
            real = "/" + path.removeprefix("./").lstrip("/")
            found[real] = owned_file(real, "md5", raw)
    return found


def _removed(status: bytes) -> frozenset[str]:
    """The packages that are known and not installed (any more)."""
    found = set()
    for stanza in status.split(b"\n\n"):
        state = _STATUS.search(stanza)
        name = _NAME.search(stanza)
        if state and name and state[1].endswith(_REMOVED):
            found.add(name[1].decode("utf-8", "replace"))
    return frozenset(found)
