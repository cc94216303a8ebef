"""What a target is called in documents that need a name for it, and where its files are for their readers.

Scheme, tag and digest are no part of that name, so that two builds of one image have the same.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote

from scanner.errors import UsageError
from scanner.reference import (
    DOCKER_HUB,
    ArchiveReference,
    BareReference,
    ImageName,
    ImageReference,
    PathReference,
    parse_reference,
)
from scanner.report import TargetLine, valid_text

_SHA256: Final = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetName:
    """``path`` is relative: ``registry.example.com/shop/billing``, ``build/image``; empty for the working directory.

    ``repository`` is host and repository of an image whose host is known; ``alone`` is said of one file, whose tree
    may begin with its own name.
    """

    path: str
    tag: str | None = None
    repository: str | None = None
    alone: bool = False

    def uri_of(self, place: str) -> str:
        """A relative URI for an absolute path of the target: what is a byte there and no character is ``%ff``."""
        inner, outer = place.lstrip("/"), self.path
        last = PurePosixPath(outer).name
        if self.alone and (inner == last or inner.startswith((f"{last}/", f"{last}!"))):
            outer = outer.rpartition("/")[0]
        parts = [part for part in (*outer.split("/"), *inner.split("/")) if part not in ("", ".", "..")]
        return quote(_bytes("/".join(parts)), safe="/!@+=,~") or "."


def name_of(target: TargetLine) -> TargetName:
    """The name of a target."""
    alone = target.kind == "file"
    try:
        reference = parse_reference(target.reference)
    except UsageError:
        return TargetName(path=_relative(target.reference), alone=alone)
    match reference:
        case ImageReference(local=local, name=name):
            return _of_image(name, said=local, asked=reference.scheme == "registry")
        case ArchiveReference(path=path, name=tag):
            return TargetName(path=_relative(path), tag=tag)
        case PathReference(path=path):
            return TargetName(path=_relative(path), alone=alone)
        case BareReference(text=text):
            return _of_bare(text, target)


def sha256_of(digest: str | None) -> str | None:
    """The hex of ``sha256:<hex>``; None for anything else."""
    found = _SHA256.fullmatch(digest or "")
    return found[1] if found else None


def _of_image(name: ImageName, *, said: str, asked: bool) -> TargetName:
    """``asked`` is whether a registry was: a daemon's ``app`` may have come from anywhere."""
    full = f"{name.host}/{name.repository}"
    if asked or name.host != DOCKER_HUB or said.startswith(DOCKER_HUB):
        return TargetName(path=full, tag=name.tag, repository=full)
    return TargetName(path=name.repository.removeprefix("library/"), tag=name.tag)


def _of_bare(text: str, target: TargetLine) -> TargetName:
    if target.kind == "image":
        with suppress(UsageError):
            return _of_image(ImageName.parse(text), said=text, asked=False)
    return TargetName(path=_relative(text), alone=target.kind == "file")


def _relative(path: str) -> str:
    """The path without its root and without steps upwards."""
    return "/".join(part for part in PurePosixPath(path).parts if part not in ("/", "//", ".", ".."))


def _bytes(path: str) -> bytes:
    """The bytes that a file system has for it."""
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return valid_text(path).encode()
