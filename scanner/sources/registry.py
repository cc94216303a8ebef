"""``registry:``: images straight out of a registry, nothing written to disk.

OCI distribution 1.1 and Docker's registry API v2, the pull side. Manifests are asked with ``GET``: what
counts is the digest of the bytes that came, never what a header says. A manifest by digest is checked
against it, so is a configuration; layers are streams that :class:`scanner.image.Layer` verifies.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

from scanner.digest import Digest
from scanner.errors import LimitExceeded
from scanner.http import Stream
from scanner.image import Image, Platform
from scanner.reference import ImageName
from scanner.sources.document import read_bounded
from scanner.sources.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    ImageIndex,
    ImageManifest,
    check_content,
    check_digest,
    check_platform,
    choose,
    flatten,
    load_image,
    missing_blob,
    parse_document,
)
from scanner.sources.options import SourceOptions
from scanner.sources.parts import read_part
from scanner.sources.repository import Repository, open_repository
from scanner.sources.resuming import Passing, ResumingBody

if TYPE_CHECKING:
    from typing import BinaryIO


@contextmanager
def open_registry(
    name: ImageName, *, platform: Platform | str | None, options: SourceOptions
) -> Iterator[tuple[Image, ...]]:
    """The images that ``name`` and ``platform`` mean; their layers can be opened inside the block, from any thread.

    ``platform`` is one, ``"all"``, or None for the host's. :class:`TargetNotFound` for what the registry does not
    have, :class:`AccessDenied` for what it does not give, :class:`TargetError` for no answer.
    """
    with open_repository(name, options=options) as repository:
        yield _Images(repository).images(platform)


def resolve(name: ImageName, *, options: SourceOptions) -> Digest:
    """The digest of the manifest or index that ``name`` means now; raises what :func:`open_registry` raises."""
    with open_repository(name, options=options) as repository:
        data, _ = repository.document(name.wanted)
    if name.digest:
        check_digest(name.digest, data, what=str(name))
    return name.digest or Digest.of(data)


class _Images:
    """The images of one repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._name = repository.name
        self._limits = repository.limits

    # -- images

    def images(self, platform: Platform | str | None) -> tuple[Image, ...]:
        """Those that ``platform`` asks for."""
        what = str(self._name)
        data, media_type = self._repository.document(self._name.wanted)
        if self._name.digest:
            check_digest(self._name.digest, data, what=what)
        document = parse_document(data, media_type=media_type, what=what)
        if isinstance(document, ImageManifest):
            image = self._image(document, self._name.digest or Digest.of(data))
            check_platform(image.platform, platform, what=what)
            return (image,)
        flat = flatten(document, self._read, what=what)
        return tuple(self._child(child) for child in choose(flat, platform, what=what))

    def _child(self, child: Descriptor) -> Image:
        what = f"manifest {child.digest}"
        document = parse_document(self._read(child), media_type=child.media_type, what=what)
        assert not isinstance(document, ImageIndex)  # its descriptor says manifest, and parse_document holds it to that
        return self._image(document, child.digest)

    def _image(self, manifest: ImageManifest, digest: Digest) -> Image:
        return load_image(
            manifest,
            read=self._read,
            open_blob=self._open,
            reference=f"registry:{self._name}",
            digest=digest,
            limits=self._limits,
            blob_part=self._part,
        )

    # -- documents and blobs

    def _read(self, descriptor: Descriptor) -> bytes:
        """A document, with size and digest checked."""
        what = self._repository.called(descriptor.digest)
        if descriptor.data is not None:
            return descriptor.data
        if descriptor.size > self._limits.document:
            raise LimitExceeded(f"{what}: larger than {self._limits.document} bytes (limit document)")
        if descriptor.media_type in INDEX_TYPES | MANIFEST_TYPES:
            data, _ = self._repository.document(str(descriptor.digest))
        else:
            with self._open(descriptor) as stream:
                data = read_bounded(stream, limit=self._limits.document, what=what)
        check_content(descriptor, data, what=what)
        return data

    @contextmanager
    def _open(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """A blob's stored bytes, unverified."""
        if descriptor.data is not None:
            yield io.BytesIO(descriptor.data)
            return
        what = self._repository.called(descriptor.digest)

        @contextmanager
        def ask(headers: Mapping[str, str]) -> Iterator[Stream]:
            with self._repository.ask(f"blobs/{descriptor.digest}", headers) as stream:
                if stream.status == 404:
                    raise missing_blob(descriptor, where=self._name.host)
                if stream.status == 403 and not self._repository.is_own(stream.url):
                    raise Passing("status 403 from where the registry sends us")
                if stream.status not in (200, 206, 416):
                    raise self._repository.refusal(stream, what)
                yield stream

        with closing(ResumingBody(ask, size=descriptor.size, what=what)) as body:
            yield cast("BinaryIO", body)

    def _part(self, descriptor: Descriptor, start: int, end: int) -> bytes:
        """A blob's stored bytes from ``start`` up to ``end``, unverified; :class:`Unlisted` without ranges."""
        if descriptor.data is not None:
            return descriptor.data[start:end]
        what = self._repository.called(descriptor.digest)
        ask = partial(self._repository.ask, f"blobs/{descriptor.digest}")
        return read_part(ask, start, end, size=descriptor.size, what=what)
