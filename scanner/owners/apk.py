"""What apk owns: ``lib/apk/db/installed`` (Alpine, Chainguard and Wolfi).

Fields by line, packages apart by an empty one: ``P`` name, ``F`` folder, ``R`` file in it, ``Z`` the file's digest:
``Q1`` and base64 of a sha1, or of the first 20 bytes of a sha256 where the package's ``f`` has the flag ``S``
(apk-tools 3, ``src/database.c``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from scanner.owner import OwnedFile, Package, owned_file, that_matter
from scanner.rootfs import RootFS

_DATABASES: Final = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")


def apk_packages(rootfs: RootFS) -> Iterator[Package]:
    """The packages with files that matter."""
    seen = set()
    for place in _DATABASES:
        file = rootfs.file(place)
        if file is not None and file.path not in seen:
            seen.add(file.path)
            for lines in (rootfs.read(place) or b"").split(b"\n\n"):
                yield _package(lines.decode("utf-8", "surrogateescape").split("\n"))


def _package(lines: list[str]) -> Package:
    name = folder = path = ""
    algorithm = "sha1"
    files: dict[str, OwnedFile] = {}
    for line in lines:
        key, _, value = line.partition(":")
        match key:
            case "P":
                name = value
            case "f":
                algorithm = "sha256" if "S" in value else "sha1"
            case "F":
                folder, path = value, ""
            case "R":
                path = f"/{folder}/{value}" if folder else f"/{value}"
                files[path] = OwnedFile(path)
            case "Z" if path and value.startswith("Q1"):
                files[path] = owned_file(path, algorithm, _decoded(value[2:]))
    return Package(title=f"apk:{name}", files=that_matter(files.values()))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
