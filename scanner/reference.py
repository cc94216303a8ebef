"""TARGET strings as values.

A TARGET is a path or an image's name, said with a prefix or detected:
``registry: docker: podman: docker-archive: oci-archive: oci-dir: dir: file:``.
Image names follow the reference grammar of distribution/reference: host, repository, tag, digest;
names without a host mean Docker Hub.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from scanner.digest import Digest
from scanner.errors import UsageError

IMAGE_SCHEMES: Final = ("registry", "docker", "podman")
ARCHIVE_SCHEMES: Final = ("docker-archive", "oci-archive", "oci-dir")
PATH_SCHEMES: Final = ("dir", "file")
SCHEMES: Final = (*IMAGE_SCHEMES, *ARCHIVE_SCHEMES, *PATH_SCHEMES)

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{1,5})?")
DOCKER_HUB: Final = "docker.io"
_HUB_NAMES: Final = {"docker.io", "index.docker.io", "registry-1.docker.io"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageName:
    """An image in a registry. ``host`` includes the port; Docker Hub is ``docker.io``."""

    host: str
    repository: str
    tag: str | None
    digest: Digest | None

    @classmethod
    def parse(cls, text: str) -> ImageName:
        """Read ``[host/]repository[:tag][@digest]``; without tag and digest the tag is ``latest``."""
        name, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        head, slash, tail = name.partition("/")
        if slash and ("." in head or ":" in head or head == "localhost" or head != head.lower()):
            host, rest = head, tail
        else:
            host, rest = DOCKER_HUB, name
        repository, colon, tag = rest.partition(":")
        if host in _HUB_NAMES:
            host = DOCKER_HUB
            repository = repository if "/" in repository else f"library/{repository}"
        if not _HOST.fullmatch(host) or not _REPOSITORY.fullmatch(repository) or len(host + repository) > 255:
            raise UsageError(f"not an image name: {text[:300]!r}", hint="write HOST/REPOSITORY:TAG")
        if colon and not _TAG.fullmatch(tag):
            raise UsageError(f"not an image tag: {tag[:150]!r} in {text[:300]!r}")
        return cls(host=host, repository=repository, tag=tag or (None if digest else "latest"), digest=digest)

    @property
    def wanted(self) -> str:
        """What the registry is asked for: the digest, or else the tag."""
        return str(self.digest) if self.digest else self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """``registry:``, ``docker:`` or ``podman:`` and a name. ``local`` is the name as a daemon is asked for it."""

    scheme: str
    local: str
    name: ImageName

    def __str__(self) -> str:
        return f"{self.scheme}:{self.local}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveReference:
    """``docker-archive:``, ``oci-archive:`` or ``oci-dir:`` with a path and, if one of several is meant, which."""

    scheme: str
    path: str
    name: str | None
    """A tag, or an image name in a docker archive."""
    digest: Digest | None

    def __str__(self) -> str:
        which = f"@{self.digest}" if self.digest else f":{self.name}" if self.name else ""
        return f"{self.scheme}:{self.path}{which}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathReference:
    """``dir:`` or ``file:`` and a path."""

    scheme: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BareReference:
    """A TARGET without a prefix: a path if there is one, else an image's name."""

    text: str

    def __str__(self) -> str:
        return self.text


Reference: TypeAlias = ImageReference | ArchiveReference | PathReference | BareReference


def parse_reference(text: str) -> Reference:
    """Read a TARGET; :class:`UsageError` for what cannot be one."""
    if not text or "\0" in text:
        raise UsageError("an empty TARGET", hint="name an image or a path; see 'cgscan scan --help'")
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in SCHEMES:
        return BareReference(text=text)
    if not rest:
        raise UsageError(f"nothing behind {scheme}: in {text!r}")
    if scheme in IMAGE_SCHEMES:
        return image_reference(scheme, rest)
    if scheme in PATH_SCHEMES:
        return PathReference(scheme=scheme, path=rest)
    return _archive_reference(scheme, rest)


def image_reference(scheme: str, text: str) -> ImageReference:
    """An image's name for one of the image schemes."""
    text = text.removeprefix("//")
    return ImageReference(scheme=scheme, local=text, name=ImageName.parse(text))


def _archive_reference(scheme: str, rest: str) -> ArchiveReference:
    """Split ``PATH[:NAME|@DIGEST]``: the name starts at the first colon behind the last slash of a path part.

    A docker archive's NAME may hold slashes and a second colon (``app.tar:host/app:1``), so the
    split is at the first colon that is followed by no path separator's continuation of a file name:
    the caller checks which of the possible paths exists; here the first colon splits.
    """
    path, at, digest_text = rest.rpartition("@")
    digest, name = None, ""
    if at and re.match(r"sha(256|384|512):", digest_text):
        digest = Digest.parse(digest_text)
    else:
        path, _, name = rest.partition(":")
    if not path:
        raise UsageError(f"no path behind {scheme}: in {rest[:300]!r}", hint=f"write {scheme}:PATH[:NAME]")
    return ArchiveReference(scheme=scheme, path=path, name=name or None, digest=digest)
