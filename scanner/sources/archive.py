"""Image archives: what ``docker save``, ``podman save``, skopeo, kaniko and bazel write.

Two formats, which may stand in one file (Docker 25 and later write both): ``manifest.json`` with
paths of layers (:class:`DockerArchive`), and an OCI layout in a tar (:class:`~scanner.sources.layout.Layout`).
The tar may be compressed as a whole; so may each layer.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scanner.compression import decompressed, detect
from scanner.digest import Digest
from scanner.errors import LimitExceeded, TargetNotFound, UnsupportedTarget, UntrustedContent
from scanner.image import Image, Layer
from scanner.limits import Limits
from scanner.reference import ArchiveReference
from scanner.sources.document import Node, parse_json
from scanner.sources.files import open_regular
from scanner.sources.layout import LAYOUT_FILE, Layout, locate, normalised
from scanner.sources.manifest import Wanted, check_digest, check_layers, check_platform, parse_config
from scanner.sources.options import SourceOptions
from scanner.sources.tarball import Tarball, is_tar, open_tarball
from scanner.tarstream import BLOCK, TarStream

if TYPE_CHECKING:
    from typing import BinaryIO

MANIFEST_FILE: Final = "manifest.json"
_CONFIG_NAME = re.compile(r"(?:sha256:)?(?P<hex>[0-9a-f]{64})(?:\.json)?")


@contextmanager
def open_archive(
    reference: ArchiveReference, *, platform: Wanted, options: SourceOptions
) -> Iterator[tuple[Image, ...]]:
    """The images that a ``docker-archive:`` or ``oci-archive:`` reference means; readable inside the block."""
    reference = locate(reference)
    if Path(reference.path).is_dir():
        raise UnsupportedTarget(f"{reference.path}: a directory, no archive", hint="a layout folder is oci-dir:PATH")
    with open_tarball(Path(reference.path), options.limits) as tarball:
        yield images_in(tarball, reference, platform=platform, limits=options.limits)


def images_in(tarball: Tarball, reference: ArchiveReference, *, platform: Wanted, limits: Limits) -> tuple[Image, ...]:
    """The images that ``reference`` means in an archive that is open."""
    if reference.scheme == "oci-archive":
        return Layout(files=tarball, reference=reference, limits=limits).images(platform)
    image = DockerArchive(tarball=tarball, reference=reference, limits=limits).image()
    check_platform(image.platform, platform, what=str(reference))
    return (image,)


def detect_archive(path: Path, limits: Limits) -> str | None:
    """``oci-archive`` or ``docker-archive`` if the file at ``path`` is one, else None.

    One with both formats is an ``oci-archive``: it knows the manifest's digest. A compressed tar is
    read through; of others only the headers are read.
    """
    with open_regular(path) as file:
        if detect(file.peek(6)[:6]) is not None:
            return _scheme_of_stream(file, str(path), limits)
        if not is_tar(file.peek(BLOCK)[:BLOCK]):
            return None
        try:
            return _scheme_of_members(Tarball(file, str(path), limits))
        except LimitExceeded:
            return None  # no image archive has so many members, root file systems have


def _scheme_of_members(tarball: Tarball) -> str | None:
    if tarball.size(LAYOUT_FILE) is not None:
        return "oci-archive"
    if tarball.size(MANIFEST_FILE) is None:
        return None
    return "docker-archive" if _is_array(tarball.document(MANIFEST_FILE)) else None


def _scheme_of_stream(file: BinaryIO, what: str, limits: Limits) -> str | None:
    first = decompressed(file, what=what, limits=limits)
    block = b""
    while len(block) < BLOCK and (more := first.read(BLOCK - len(block))):
        block += more
    if not is_tar(block):
        return None
    file.seek(0)
    tar = TarStream(decompressed(file, what=what, limits=limits), what=what, limits=limits)
    found = None
    for entry in tar:
        name = posixpath.normpath(entry.name)
        if name == LAYOUT_FILE and entry.kind == "file":
            return "oci-archive"
        if name == MANIFEST_FILE and entry.kind == "file" and entry.size <= limits.document:
            found = "docker-archive" if _is_array(b"".join(map(bytes, tar.chunks()))) else None
    return found


def _is_array(document: bytes) -> bool:
    return document.lstrip().startswith(b"[")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One image in ``manifest.json``."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]

    @classmethod
    def of(cls, node: Node) -> _Entry:
        return cls(
            config=node["Config"].text(),
            names=tuple(item.text() for item in node["RepoTags"].items()),
            layers=tuple(item.text() for item in node["Layers"].items()),
        )

    @property
    def digest(self) -> Digest | None:
        """The configuration's digest, which is the image's ID, if its file is called by it."""
        named = _CONFIG_NAME.fullmatch(posixpath.basename(self.config))
        return Digest("sha256", named["hex"]) if named else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerArchive:
    """An archive with ``manifest.json`` and what is wanted of it (docker image spec 1.2, "Combined Image JSON").

    It has no manifest's digest. A reference's digest is the image ID, the configuration's digest.
    """

    tarball: Tarball
    reference: ArchiveReference
    limits: Limits

    def image(self) -> Image:
        """The image that is meant; its layers are there and there is a diff_id for each."""
        entry = self._selected(self._entries())
        where = f"{self.tarball.where}: {entry.config[:200]}"
        if self.tarball.size(entry.config) is None:
            raise UntrustedContent(f"{where}: is not in the archive")
        data = self.tarball.document(entry.config)
        if entry.digest is not None:
            check_digest(entry.digest, data, what=where)
        config = parse_config(data, what=where)
        check_layers(len(entry.layers), config, limits=self.limits, what=where)
        layers = tuple(map(self._layer, entry.layers, config.diff_ids, config.created_by))
        return Image(reference=str(self.reference), digest=None, platform=config.platform, layers=layers)

    def _layer(self, name: str, diff_id: Digest, created_by: str | None) -> Layer:
        size = self.tarball.size(name)
        if size is None:
            raise UntrustedContent(f"{self.tarball.where}: layer {name[:200]!r} is not in the archive")
        return Layer(diff_id=diff_id, open=partial(self.tarball.open, name), size=size, created_by=created_by)

    def _entries(self) -> Sequence[_Entry]:
        if self.tarball.size(MANIFEST_FILE) is None:
            raise self._no_manifest()
        node = parse_json(self.tarball.document(MANIFEST_FILE), what=f"{self.tarball.where}: {MANIFEST_FILE}")
        if entries := [_Entry.of(item) for item in node.items()]:
            return entries
        raise UnsupportedTarget(f"{self.tarball.where}: an archive without any image")

    def _selected(self, entries: Sequence[_Entry]) -> _Entry:
        found = {entry: None for entry in entries if self._is_meant(entry)}
        if len(found) == 1:
            return next(iter(found))
        names = "; ".join(", ".join(entry.names) or f"@{entry.digest or entry.config}" for entry in entries)
        if found:
            raise TargetNotFound(
                f"{self.tarball.where}: {len(found)} images in it, and none was named; there are {names[:1000]!r}",
                hint="name one: docker-archive:PATH:NAME or docker-archive:PATH@IMAGE-ID",
            )
        wanted = self.reference.digest or repr(self.reference.name)
        raise TargetNotFound(f"{self.tarball.where}: no image {wanted} in it; there are {names[:1000]!r}")

    def _is_meant(self, entry: _Entry) -> bool:
        name, digest = self.reference.name, self.reference.digest
        if digest is not None:
            return entry.digest == digest
        if name is None or name in entry.names:
            return True
        full = normalised(name)
        return full is not None and full in map(normalised, entry.names)

    def _no_manifest(self) -> UnsupportedTarget:
        names = self.tarball.names
        if "repositories" in names or any(name.count("/") == 1 and name.endswith("/json") for name in names):
            return UnsupportedTarget(
                f"{self.tarball.where}: an archive of Docker before 1.10, which cgscan does not read",
                hint="load it into a current Docker and save it again",
            )
        hint = "it is an OCI archive: oci-archive:PATH" if LAYOUT_FILE in names else None
        return UnsupportedTarget(f"{self.tarball.where}: no docker archive: it has no {MANIFEST_FILE}", hint=hint)
