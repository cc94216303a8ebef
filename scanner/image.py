"""What a target is: an image of layers, a directory, or one file.

A source supplies, for each layer, what the manifest says and a way to open the stored bytes;
decompressing and verifying is done here, once, for all of them.
"""

from __future__ import annotations

import platform as _host
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Self, TypeAlias, cast

from scanner.ahead import ahead
from scanner.compression import decompressed
from scanner.digest import Digest, VerifyingReader
from scanner.errors import UsageError
from scanner.toc import Part, TocPlace

if TYPE_CHECKING:
    from pathlib import Path

    from scanner.limits import Limits

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "i386": "386"}
_DEFAULT_VARIANTS: Final = {"arm64": "v8", "arm": "v7"}
ALL_PLATFORMS: Final = "all"


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """``os/architecture[/variant]`` in OCI's words (Go's GOOS and GOARCH)."""

    os: str
    architecture: str
    variant: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``linux/arm64/v8``; :class:`UsageError` for anything else."""
        parts = text.split("/")
        if not 2 <= len(parts) <= 3 or not all(part.isascii() and part.replace("_", "").isalnum() for part in parts):
            raise UsageError(f"not a platform: {text!r}", hint="write OS/ARCH[/VARIANT], for example linux/arm64")
        return cls(*parts)

    @classmethod
    def of_host(cls) -> Self:
        """Linux on this machine's architecture."""
        machine = _host.machine().lower()
        return cls("linux", _ARCHITECTURES.get(machine, machine))

    @property
    def usual(self) -> Platform:
        """This platform with its architecture's usual variant written out, if it names none."""
        return Platform(self.os, self.architecture, self.variant or _DEFAULT_VARIANTS.get(self.architecture))

    def matches(self, other: Platform) -> bool:
        """Whether ``other``, from an index, is what this one asks for; no variant asks for the usual one."""
        if (self.os, self.architecture) != (other.os, other.architecture):
            return False
        usual = _DEFAULT_VARIANTS.get(self.architecture)
        return self.variant is None or (self.variant or usual) == (other.variant or usual)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of an image, lowest first in its image.

    ``open`` gives the stored bytes (compressed or not), as often as it is called, unverified.
    ``digest`` and ``size`` (bytes) are those of the stored form, where the manifest tells them;
    ``diff_id`` is the digest of the uncompressed tar; ``created_by`` the instruction that made it.
    ``toc`` is where the manifest says that a table of contents is; ``part`` gives stored bytes without the rest,
    where the medium can (:mod:`scanner.toc`).
    """

    diff_id: Digest
    open: Callable[[], AbstractContextManager[BinaryIO]]
    digest: Digest | None = None
    size: int | None = None
    media_type: str | None = None
    created_by: str | None = None
    toc: TocPlace | None = None
    part: Part | None = None

    @contextmanager
    def tar(self, limits: Limits, on_read: Callable[[int], None] | None = None) -> Iterator[BinaryIO]:
        """The layer's uncompressed tar. Leaving the block drains it and verifies digest and diff_id.

        ``on_read`` is told the number of stored bytes as they are consumed.
        """
        what = f"layer {self.digest or self.diff_id}"
        with self.open() as stored:
            # (1) the stored bytes are those the manifest names
            if self.digest is not None:
                verified = VerifyingReader(stored, expected=self.digest, size=self.size, what=what, on_read=on_read)
                source = cast("BinaryIO", verified)
            else:
                source = stored
            # (2) what comes out of them is what the image's configuration names
            with ahead(decompressed(source, what=what, limits=limits)) as plain:
                reader = VerifyingReader(
                    plain,
                    expected=self.diff_id,
                    what=f"layer with diff_id {self.diff_id}",
                    on_read=on_read if self.digest is None else None,
                )
                yield cast("BinaryIO", reader)
                # (3) to the last byte of both
                reader.drain()
            if self.digest is not None:
                verified.drain()


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image: layers from the lowest to the uppermost."""

    reference: str
    digest: Digest | None
    """The manifest's; None where the medium has no manifest (docker archives)."""
    platform: Platform | None
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A tree on disk: a root file system, a virtual environment, a cache folder."""

    reference: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file: a wheel, an archive or program with Python code inside, or a tar of a root file system."""

    reference: str
    path: Path


Target: TypeAlias = Image | Directory | File
