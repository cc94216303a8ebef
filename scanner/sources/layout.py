"""OCI image layouts: ``oci-layout``, ``index.json`` and ``blobs/<algorithm>/<hex>`` in a folder or archive.

OCI image-spec 1.1, image-layout.md. Blobs of other platforms may be missing (Docker saves only the
platform it has). Documents are verified when they are read, layers while they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from scanner.digest import Digest
from scanner.errors import LimitExceeded, TargetNotFound, UnsupportedTarget, UntrustedContent, UsageError
from scanner.image import Image
from scanner.limits import Limits
from scanner.reference import ArchiveReference, ImageName
from scanner.sources.document import parse_json, read_bounded
from scanner.sources.files import open_regular, problems_with, size_of, window
from scanner.sources.manifest import (
    INDEX_TYPES,
    OCI_INDEX,
    Descriptor,
    ImageIndex,
    Wanted,
    check_content,
    check_platform,
    choose,
    flatten,
    load_image,
    missing_blob,
    parse_document,
    walk,
)
from scanner.sources.options import SourceOptions

if TYPE_CHECKING:
    from typing import BinaryIO

LAYOUT_FILE: Final = "oci-layout"
INDEX_FILE: Final = "index.json"
_REF_NAME: Final = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME: Final = "io.containerd.image.name"


class Files(Protocol):
    """The files of a layout, by their path inside it."""

    def size(self, name: str) -> int | None:
        """The file's size in bytes, None if it is not there."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The file's bytes, as often as asked; :class:`TargetNotFound` if it is not there."""


@contextmanager
def open_layout(
    reference: ArchiveReference, *, platform: Wanted, options: SourceOptions
) -> Iterator[tuple[Image, ...]]:
    """The images that ``reference`` means in a layout folder; they can be read until the block is left."""
    reference = locate(reference)
    files = Folder(Path(reference.path))
    yield Layout(files=files, reference=reference, limits=options.limits).images(platform)


def locate(reference: ArchiveReference) -> ArchiveReference:
    """``reference`` split so that its path is one that exists; paths may hold colons.

    The shortest existing path wins; :class:`TargetNotFound` if there is none.
    """
    text = f"{reference.path}:{reference.name}" if reference.name else reference.path
    ends = [at for at, letter in enumerate(text) if letter == ":" and at] + [len(text)]
    for end in ends:
        with problems_with(Path(text[:end])):
            if Path(text[:end]).exists():
                return replace(reference, path=text[:end], name=text[end + 1 :] or None)
    raise TargetNotFound(f"{reference.scheme}:{text}: no such file or directory")


class Folder:
    """The files of a layout folder. Symbolic links may not leave it."""

    def __init__(self, root: Path) -> None:
        with problems_with(root):
            self._root = root.resolve(strict=True)
        if not self._root.is_dir():
            raise UnsupportedTarget(f"{root}: no directory", hint="an archive is oci-archive:PATH")

    def size(self, name: str) -> int | None:
        try:
            with self._open(name) as file:
                return size_of(file)
        except TargetNotFound:
            return None

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        with self._open(name) as file:
            yield window(file, 0, size_of(file), what=str(self._root / name))

    def _open(self, name: str) -> BinaryIO:
        path = self._root / name
        with problems_with(path):
            real = path.resolve(strict=True)
        if not real.is_relative_to(self._root):
            raise UntrustedContent(f"{path}: a link that leaves the layout")
        return open_regular(real)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A layout and what is wanted of it. ``reference.path`` is a path that exists."""

    files: Files
    reference: ArchiveReference
    limits: Limits

    def images(self, platform: Wanted) -> tuple[Image, ...]:
        """The images that are meant, with documents verified and layers known to be there."""
        self._check_version()
        selected = self._selected(self._index())
        if len(selected) == 1 and selected[0].media_type not in INDEX_TYPES:
            image = self._image(selected[0])
            check_platform(image.platform, platform, what=str(self.reference))
            return (image,)
        everything = flatten(ImageIndex(manifests=selected), self.read, what=str(self.reference)).manifests
        there = tuple(child for child in everything if self._has(child))
        if everything and not there:
            raise missing_blob(everything[0], where=self.reference.path)
        chosen = choose(ImageIndex(manifests=there), platform, what=str(self.reference))
        return tuple(map(self._image, chosen))

    def read(self, descriptor: Descriptor) -> bytes:
        """A document's bytes, verified."""
        if descriptor.data is not None:
            return descriptor.data
        if descriptor.size > self.limits.document:
            raise LimitExceeded(f"{descriptor.digest}: larger than {self.limits.document} bytes (limit document)")
        if not self._has(descriptor):
            raise missing_blob(descriptor, where=self.reference.path)
        data = self._document(_blob(descriptor))
        check_content(descriptor, data, what=f"{self.reference.path}: {_blob(descriptor)}")
        return data

    def _open_blob(self, descriptor: Descriptor) -> AbstractContextManager[BinaryIO]:
        return self.files.open(_blob(descriptor))

    def _has(self, descriptor: Descriptor) -> bool:
        return self.files.size(_blob(descriptor)) is not None

    def _document(self, name: str) -> bytes:
        with self.files.open(name) as stream:
            return read_bounded(stream, limit=self.limits.document, what=f"{self.reference.path}: {name}")

    def _check_version(self) -> None:
        for name in (LAYOUT_FILE, INDEX_FILE):
            if self.files.size(name) is None:
                raise UnsupportedTarget(f"{self.reference.path}: no OCI image layout: it has no file {name!r}")
        node = parse_json(self._document(LAYOUT_FILE), what=f"{self.reference.path}: {LAYOUT_FILE}")
        version = node["imageLayoutVersion"].text()
        if version.partition(".")[0] != "1":
            raise UnsupportedTarget(f"{self.reference.path}: OCI image layout of version {version[:50]!r}, not 1")

    def _index(self) -> ImageIndex:
        what = f"{self.reference.path}: {INDEX_FILE}"
        document = parse_document(self._document(INDEX_FILE), media_type=OCI_INDEX, what=what)
        assert isinstance(document, ImageIndex)
        return document

    def _selected(self, index: ImageIndex) -> tuple[Descriptor, ...]:
        """Those of ``index.json``'s descriptors (or of the indexes inside) that the reference means."""
        digest = self.reference.digest
        if digest is not None:
            found = [child for child in walk(index, self.read, what=self.reference.path) if child.digest == digest]
        elif self.reference.name is not None:
            found = _named(index.manifests, self.reference.name)
        else:
            return self._only(index)
        if not found:
            wanted = digest or repr(self.reference.name)
            raise TargetNotFound(f"{self.reference.path}: no image {wanted} in it{_listed(index.manifests)}")
        return tuple(found)

    def _only(self, index: ImageIndex) -> tuple[Descriptor, ...]:
        """The one image there is; several for different platforms under one name, or none, are one."""
        found = tuple(_distinct(child for child in index.manifests if child.artifact_type is None))
        names = {_names(child) for child in found}
        platforms = {child.platform for child in found}
        one_for_each = len(names) == 1 and None not in platforms and len(platforms) == len(found)
        if not found:
            raise UnsupportedTarget(f"{self.reference.path}: a layout without any image")
        if len(found) > 1 and not one_for_each:
            raise TargetNotFound(
                f"{self.reference.path}: {len(found)} images in it, and none was named{_listed(found)}",
                hint=f"name one: {self.reference.scheme}:PATH:NAME or {self.reference.scheme}:PATH@DIGEST",
            )
        return found

    def _image(self, descriptor: Descriptor) -> Image:
        what = f"manifest {descriptor.digest}"
        manifest = parse_document(self.read(descriptor), media_type=descriptor.media_type, what=what)
        assert not isinstance(manifest, ImageIndex)
        image = load_image(
            manifest,
            read=self.read,
            open_blob=self._open_blob,
            reference=str(self.reference),
            digest=descriptor.digest,
            limits=self.limits,
        )
        for layer in manifest.layers:
            if not self._has(layer):
                raise missing_blob(layer, where=self.reference.path)
        return image


def _blob(descriptor: Descriptor) -> str:
    # a Digest's grammar is closed: no path can hide in it
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"


def _distinct(descriptors: Iterator[Descriptor]) -> Sequence[Descriptor]:
    found: dict[Digest, Descriptor] = {}
    for descriptor in descriptors:
        found.setdefault(descriptor.digest, descriptor)
    return tuple(found.values())


def _names(descriptor: Descriptor) -> frozenset[str]:
    return frozenset(
        descriptor.annotations[key] for key in (_REF_NAME, _CONTAINERD_NAME) if key in descriptor.annotations
    )


def _named(descriptors: Sequence[Descriptor], name: str) -> list[Descriptor]:
    """Descriptors called ``name`` as it is written; else as an image's name; else by the tag of their full name."""
    full = normalised(name)
    tests = (
        lambda other: other == name,
        lambda other: full is not None and normalised(other) == full,
        lambda other: "/" not in name and ":" not in name and other.rpartition(":")[2] == name,
    )
    for test in tests:
        if found := _distinct(child for child in descriptors if any(map(test, _names(child)))):
            return list(found)
    return []


def normalised(name: str) -> str | None:
    """``name`` with host and tag written out, None if it is no image's name."""
    try:
        return str(ImageName.parse(name))
    except UsageError:
        return None


def _listed(descriptors: Sequence[Descriptor]) -> str:
    """What can be asked for, as the end of a message."""
    known = [", ".join(sorted(_names(child))) or f"@{child.digest}" for child in _distinct(iter(descriptors))]
    return f"; there are {'; '.join(known)[:1000]!r}" if known else "; there is none"
