"""What registries, layouts and archives say about an image: indexes, manifests, configurations.

OCI image-spec 1.1 (descriptor.md, image-index.md, manifest.md, config.md) and Docker's image
manifest version 2, schema 2. Bytes go in, values come out; nothing is fetched here but through
the functions that a source hands in. Whoever reads a document checks its digest first.

The way from a document to images::

    parse_document(bytes) -> ImageIndex | ImageManifest
    flatten(index, read)  -> ImageIndex without indexes inside
    choose(index, platform) -> the descriptors of the images that are meant
    parse_config(bytes), assemble(manifest, config, …) -> Image
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from scanner.digest import Digest
from scanner.errors import DigestMismatch, LimitExceeded, NoImage, TargetNotFound, UnsupportedTarget, UntrustedContent
from scanner.image import ALL_PLATFORMS, Image, Layer, Platform
from scanner.sources.document import Node, parse_json
from scanner.toc import TocPlace

if TYPE_CHECKING:
    from typing import BinaryIO

    from scanner.limits import Limits

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
INDEX_TYPES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFEST_TYPES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIG_TYPES: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
_SCHEMA1: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
ACCEPT: Final = (
    OCI_INDEX,
    DOCKER_LIST,
    OCI_MANIFEST,
    DOCKER_MANIFEST,
    # only to be told what it is, for a clear error
    "application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1",
)
"""Media types for ``Accept``, preferred first. Registries answer 404 where a type is not listed."""

_LAYER = re.compile(
    r"application/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(?:gzip|zstd))?"
    r"|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.(?:gzip|zstd))?)"
)
_IN_TOTO: Final = "application/vnd.in-toto+json"
_PLATFORM_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ATTESTATION: Final = "vnd.docker.reference.type"
_FALLBACK: Final = Platform("linux", "amd64")
_NESTING: Final = 4
_MANIFESTS: Final = 1000

Wanted: TypeAlias = "Platform | str | None"
"""A platform, ``"all"``, or None for the host's."""
Read: TypeAlias = "Callable[[Descriptor], bytes]"
"""Gives a document's bytes, bounded and with their digest and size checked."""
OpenBlob: TypeAlias = "Callable[[Descriptor], AbstractContextManager[BinaryIO]]"
"""Opens a blob's stored bytes, unverified, as often as it is called."""
BlobPart: TypeAlias = "Callable[[Descriptor, int, int], bytes]"
"""Gives a blob's stored bytes from one place up to another, unverified; see :data:`scanner.toc.Part`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A pointer to content: its type, digest and ``size`` in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None
    data: bytes | None = None
    """The content itself, where the descriptor carries it; its digest and size were checked."""

    @property
    def nondistributable(self) -> bool:
        """Whether this is a layer that registries and archives may leave out."""
        return ".nondistributable." in self.media_type or ".foreign." in self.media_type


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageIndex:
    """An OCI index or Docker manifest list."""

    manifests: tuple[Descriptor, ...]
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest:
    """An OCI or Docker schema 2 manifest of an image; layers from the lowest to the uppermost."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """An image's configuration. ``created_by`` has one entry for each of ``diff_ids``."""

    platform: Platform | None
    diff_ids: tuple[Digest, ...]
    created_by: tuple[str | None, ...]


# ── documents ────────────────────────────────────────────────────────────────────────────────


def parse_document(data: bytes, *, media_type: str | None, what: str) -> ImageIndex | ImageManifest:
    """Read an index or a manifest.

    ``media_type`` is what the medium says it is (``Content-Type``, a descriptor), None if it says
    nothing; ``what`` names the document in errors. :class:`UnsupportedTarget` for artifacts,
    plugins and schema 1, :class:`UntrustedContent` for what is no such document or is two at once
    (CVE-2021-41190).
    """
    node = parse_json(data, what=what)
    if not isinstance(node.value, dict):
        node.fail("is no object")
    kind = _kind(node, media_type)
    if kind in _SCHEMA1 or node["fsLayers"].present or node["schemaVersion"].value == 1:
        raise UnsupportedTarget(
            f"{what}: an image of Docker's manifest schema 1, which cgscan does not read",
            hint="push the image again with a current client",
        )
    is_index, is_manifest = node["manifests"].present, node["layers"].present or node["config"].present
    if is_index and is_manifest:
        node.fail("is an index and a manifest at once")
    if kind is not None and kind not in (INDEX_TYPES if is_index else MANIFEST_TYPES):
        _refuse_kind(node, kind, is_index=is_index, is_manifest=is_manifest)
    if is_index or kind in INDEX_TYPES:
        return ImageIndex(manifests=tuple(map(descriptor_of, node["manifests"].items())), media_type=kind)
    return _manifest(node, kind)


def parse_config(data: bytes, *, what: str) -> ImageConfig:
    """Read an image's configuration; :class:`UntrustedContent` for what is none."""
    node = parse_json(data, what=what)
    rootfs = node["rootfs"]
    if not rootfs.present:
        node.fail("has no rootfs: it is no image configuration")
    if rootfs["type"].optional_text() not in {None, "layers"}:
        rootfs["type"].fail("is not 'layers'")
    diff_ids = tuple(item.digest() for item in rootfs["diff_ids"].items())
    steps = [step["created_by"].optional_text() for step in node["history"].items() if not step["empty_layer"].flag()]
    # history that does not add up says nothing about any layer
    created_by = tuple(steps) if len(steps) == len(diff_ids) else (None,) * len(diff_ids)
    return ImageConfig(platform=_platform(node), diff_ids=diff_ids, created_by=created_by)


def _kind(node: Node, media_type: str | None) -> str | None:
    """The media type that medium and document agree on."""
    said = (media_type or "").partition(";")[0].strip().lower()
    own = node["mediaType"].optional_text()
    # servers of plain files say application/json or text/plain, which says nothing
    outer = said if said.startswith("application/vnd.") else None
    if outer and own and outer != own:
        node.fail(f"says it is {own[:100]!r}, and was served as {outer[:100]!r}")
    return own or outer


def _refuse_kind(node: Node, kind: str, *, is_index: bool, is_manifest: bool) -> None:
    if kind in INDEX_TYPES and not is_manifest:
        return  # an index without "manifests" is an empty one
    if kind in INDEX_TYPES | MANIFEST_TYPES:
        node.fail(f"is called {kind!r} and is {'an index' if is_index else 'a manifest' if is_manifest else 'neither'}")
    raise NoImage(f"{node.what}: {kind[:150]!r} is no container image")


def _manifest(node: Node, kind: str | None) -> ImageManifest:
    if not node["config"].present:
        node.fail("is neither an index nor an image manifest")
    config = descriptor_of(node["config"])
    if config.media_type == "application/vnd.docker.plugin.v1+json":
        raise UnsupportedTarget(f"{node.what}: a Docker plugin, not an image")
    if config.media_type not in CONFIG_TYPES:
        type_ = node["artifactType"].optional_text() or config.media_type
        raise NoImage(f"{node.what}: an artifact of type {type_[:150]!r}, not an image")
    return ImageManifest(config=config, layers=tuple(map(descriptor_of, node["layers"].items())), media_type=kind)


def descriptor_of(node: Node) -> Descriptor:
    """The descriptor in a document; :class:`UntrustedContent` for what is none."""
    platform = node["platform"]
    found = Descriptor(
        media_type=node["mediaType"].text(),
        digest=node["digest"].digest(),
        size=node["size"].count(),
        platform=_platform(platform) if platform.present else None,
        annotations=node["annotations"].texts(),
        artifact_type=node["artifactType"].optional_text(),
        data=_inline(node["data"]),
    )
    if found.data is not None:
        check_content(found, found.data, what=f"{node.what}: {node.path}.data")
    return found


def _inline(node: Node) -> bytes | None:
    if not node.present:
        return None
    try:
        return base64.b64decode(node.text(), validate=True)
    except ValueError:
        node.fail("is no base64")


def _platform(node: Node) -> Platform | None:
    """The platform in a configuration or descriptor; None where it names none."""
    parts = [node[key] for key in ("os", "architecture", "variant")]
    texts = [part.optional_text() for part in parts]
    for part, text in zip(parts, texts, strict=True):
        if text and not _PLATFORM_PART.fullmatch(text):
            part.fail(f"is {text[:100]!r}, which names no platform")
    os, architecture, variant = texts
    return Platform(os, architecture, variant) if os and architecture else None


def check_content(descriptor: Descriptor, data: bytes, *, what: str) -> None:
    """:class:`DigestMismatch` unless ``data`` are the bytes that ``descriptor`` promises."""
    if len(data) != descriptor.size:
        raise DigestMismatch(f"{what}: has {len(data)} bytes, not the promised {descriptor.size}")
    check_digest(descriptor.digest, data, what=what)


def check_digest(expected: Digest, data: bytes, *, what: str) -> None:
    """:class:`DigestMismatch` unless ``data`` has the digest ``expected``."""
    found = hashlib.new(expected.algorithm, data).hexdigest()
    if found != expected.hex:
        raise DigestMismatch(f"{what}: has digest {expected.algorithm}:{found}, not {expected}")


# ── which images are meant ───────────────────────────────────────────────────────────────────


def walk(index: ImageIndex, read: Read, *, what: str) -> Iterator[Descriptor]:
    """Every descriptor in ``index`` and in the indexes inside it, depth first.

    ``read`` is asked for inner indexes only, once for each digest. :class:`LimitExceeded` for more
    than 4 levels or 1000 manifests.
    """
    seen: set[Digest] = set()

    def expand(level: ImageIndex, depth: int) -> Iterator[Descriptor]:
        if depth > _NESTING:
            raise LimitExceeded(f"{what}: indexes nested more than {_NESTING} deep")
        for child in level.manifests:
            if child.digest in seen:
                continue
            seen.add(child.digest)
            if len(seen) > _MANIFESTS:
                raise LimitExceeded(f"{what}: lists more than {_MANIFESTS} manifests")
            yield child
            if child.media_type in INDEX_TYPES:
                inner = parse_document(read(child), media_type=child.media_type, what=f"index {child.digest}")
                assert isinstance(inner, ImageIndex)
                yield from expand(inner, depth + 1)

    return expand(index, 1)


def flatten(index: ImageIndex, read: Read, *, what: str) -> ImageIndex:
    """``index`` with the indexes inside it replaced by what they list, each digest once; see :func:`walk`."""
    leaves = tuple(child for child in walk(index, read, what=what) if child.media_type not in INDEX_TYPES)
    return ImageIndex(manifests=leaves, media_type=index.media_type)


def choose(index: ImageIndex, platform: Wanted, *, what: str) -> tuple[Descriptor, ...]:
    """The descriptors of the images that ``platform`` asks for, out of a flat index.

    ``"all"`` gives every image; None gives the host's, else linux/amd64's, else the only one.
    Attestations and artifacts are no images. :class:`TargetNotFound` lists the platforms there are.
    """
    images = [child for child in index.manifests if _is_image(child)]
    if not images:
        raise UnsupportedTarget(f"{what}: an index without any image")
    if platform == ALL_PLATFORMS:
        return tuple(images)
    wanted = wanted_platforms(platform)
    for one in wanted:
        if found := _best(images, one):
            return (found,)
    if len(images) == 1 and (platform is None or images[0].platform is None):
        return (images[0],)
    there = ", ".join(sorted({str(child.platform or "an unnamed platform") for child in images}))
    raise TargetNotFound(
        f"{what}: no image for {' or '.join(map(str, wanted))}; there are images for {there[:500]}",
        hint="choose one with --platform, or take --platform all",
    )


def wanted_platforms(platform: Wanted) -> Sequence[Platform]:
    """The platforms to look for, in this order; ``"all"`` has none."""
    if platform == ALL_PLATFORMS:
        return ()
    if platform is None:
        return tuple(dict.fromkeys((Platform.of_host(), _FALLBACK)))
    return (Platform.parse(platform) if isinstance(platform, str) else platform,)


def check_platform(found: Platform | None, platform: Wanted, *, what: str) -> None:
    """:class:`TargetNotFound` if a platform was asked for by name and the only image is of another."""
    if platform is None or platform == ALL_PLATFORMS or found is None:
        return
    (wanted,) = wanted_platforms(platform)
    if not wanted.matches(found):
        raise TargetNotFound(f"{what}: no image for {wanted}; there is one for {found}")


def _best(images: Sequence[Descriptor], wanted: Platform) -> Descriptor | None:
    """The first image for ``wanted``; one of exactly its variant, or of the usual one, before others."""
    fits = [child for child in images if child.platform and wanted.matches(child.platform)]
    exact = [child for child in fits if child.platform and child.platform.usual == wanted.usual]
    return next(iter(exact or fits), None)


def _is_image(child: Descriptor) -> bool:
    if child.media_type not in MANIFEST_TYPES:
        return False
    # What describes an image runs nowhere: its platform is unknown/unknown (BuildKit). The annotation
    # alone would be a way to hide an image that does run.
    nowhere = child.platform is not None and child.platform.os == child.platform.architecture == "unknown"
    if nowhere and _ATTESTATION in child.annotations:
        return False
    return child.artifact_type is None or child.artifact_type in CONFIG_TYPES


# ── putting an image together ────────────────────────────────────────────────────────────────


def assemble(
    manifest: ImageManifest,
    config: ImageConfig,
    *,
    reference: str,
    digest: Digest | None,
    open_blob: OpenBlob,
    blob_part: BlobPart | None = None,
) -> Image:
    """The image of ``manifest`` and ``config``; ``digest`` is the manifest's.

    :func:`check_layers` first. Layers are opened through ``open_blob``; ``blob_part`` where the medium gives parts.
    """
    layers = tuple(
        Layer(
            diff_id=diff_id,
            open=partial(open_blob, stored),
            digest=stored.digest,
            size=stored.size,
            media_type=stored.media_type,
            created_by=created_by,
            toc=TocPlace.of(stored.annotations),
            part=partial(blob_part, stored) if blob_part else None,
        )
        for stored, diff_id, created_by in zip(manifest.layers, config.diff_ids, config.created_by, strict=True)
    )
    return Image(reference=reference, digest=digest, platform=config.platform, layers=layers)


def load_image(
    manifest: ImageManifest,
    *,
    read: Read,
    open_blob: OpenBlob,
    reference: str,
    digest: Digest,
    limits: Limits,
    blob_part: BlobPart | None = None,
) -> Image:
    """Read the configuration that ``manifest`` names, hold both together and give the image.

    The errors are those of :func:`check_layers` and :func:`parse_config`.
    """
    what = f"configuration {manifest.config.digest}"
    check_layer_types(manifest, what=f"manifest {digest}")
    config = parse_config(read(manifest.config), what=what)
    check_layers(len(manifest.layers), config, limits=limits, what=f"image {digest}")
    return assemble(manifest, config, reference=reference, digest=digest, open_blob=open_blob, blob_part=blob_part)


def check_layers(count: int, config: ImageConfig, *, limits: Limits, what: str) -> None:
    """:class:`LimitExceeded` for too many layers; :class:`UntrustedContent` unless there is a diff_id for each."""
    if count > limits.layers:
        raise LimitExceeded(f"{what}: {count} layers, more than {limits.layers} (limit layers)")
    if count != len(config.diff_ids):
        raise UntrustedContent(f"{what}: {count} layers, and {len(config.diff_ids)} diff_ids in its configuration")


def check_layer_types(manifest: ImageManifest, *, what: str) -> None:
    """:class:`UnsupportedTarget` for a layer that is no tar: encrypted, EROFS, an artifact's.

    :class:`NoImage` where all are attestations: BuildKit puts them beside an image's manifest, dressed as one.
    """
    if manifest.layers and {layer.media_type for layer in manifest.layers} == {_IN_TOTO}:
        raise NoImage(f"{what}: in-toto attestations of BuildKit, not an image")
    for at, layer in enumerate(manifest.layers):
        if _LAYER.fullmatch(layer.media_type):
            continue
        kind = "encrypted" if layer.media_type.endswith("+encrypted") else "of a kind that cgscan does not read"
        raise UnsupportedTarget(f"{what}: layer {at} is {kind}: {layer.media_type[:150]!r}")


def missing_blob(descriptor: Descriptor, *, where: str) -> UnsupportedTarget:
    """The error for a blob that ``where`` does not have."""
    if descriptor.nondistributable:
        return UnsupportedTarget(
            f"{where}: layer {descriptor.digest} is not there; it may not be distributed, only its vendor serves it",
            hint="scan the image where it was pulled: docker: or podman:",
        )
    return UnsupportedTarget(f"{where}: {descriptor.digest} is not there; the image is incomplete")
