"""Indexes, manifests and configurations: what they mean, and what hostile ones may not do."""

from __future__ import annotations

import base64
import contextlib
import copy
import io
import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.images import digest_of
from scanner.digest import Digest
from scanner.errors import (
    CgscanError,
    DigestMismatch,
    LimitExceeded,
    TargetNotFound,
    UnsupportedTarget,
    UntrustedContent,
)
from scanner.image import Platform
from scanner.limits import Limits
from scanner.sources import manifest as m
from scanner.sources.document import parse_json, read_bounded

CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


def descriptor(content: bytes = b"{}", media_type: str = CONFIG_TYPE, **more: object) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def manifest(*layers: dict[str, Any], **more: object) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": m.OCI_MANIFEST,
        "config": descriptor(),
        "layers": list(layers or (descriptor(b"layer", LAYER_TYPE),)),
        **more,
    }


def child(platform: str | None, content: bytes = b"", **more: object) -> dict[str, Any]:
    content = content or str(platform).encode()
    found = descriptor(content, m.OCI_MANIFEST, **more)
    if platform is not None:
        parts = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        found["platform"] = parts
    return found


def index(*children: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": m.OCI_INDEX, "manifests": list(children), **more}


def config(diff_ids: int = 1, **more: object) -> dict[str, Any]:
    ids = [digest_of(bytes([number])) for number in range(diff_ids)]
    return {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}, **more}


def parse(document: object, media_type: str | None = None) -> m.ImageIndex | m.ImageManifest:
    return m.parse_document(json.dumps(document).encode(), media_type=media_type, what="D")


def parsed_index(*children: dict[str, Any]) -> m.ImageIndex:
    found = parse(index(*children))
    assert isinstance(found, m.ImageIndex)
    return found


def no_read(_: m.Descriptor) -> bytes:
    raise AssertionError("nothing had to be read")


# ── what documents mean ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("media_type", [None, m.OCI_MANIFEST, f"{m.OCI_MANIFEST.upper()}; charset=utf-8", "text/plain"])
def test_a_manifest_is_read(media_type: str | None) -> None:
    found = parse(manifest(), media_type)
    assert isinstance(found, m.ImageManifest)
    assert [str(layer.digest) for layer in found.layers] == [digest_of(b"layer")]
    assert found.layers[0].size == 5
    assert found.media_type == m.OCI_MANIFEST


def test_a_document_without_a_media_type_is_told_by_its_shape() -> None:
    bare_manifest, bare_index = manifest(), index(child("linux/arm64/v8"))
    del bare_manifest["mediaType"], bare_index["mediaType"]
    assert isinstance(parse(bare_manifest), m.ImageManifest)
    found = parse(bare_index)
    assert isinstance(found, m.ImageIndex)
    assert found.manifests[0].platform == Platform("linux", "arm64", "v8")


def test_an_empty_index_is_an_index() -> None:
    assert parse({"schemaVersion": 2, "manifests": None}, m.OCI_INDEX) == m.ImageIndex(
        manifests=(), media_type=m.OCI_INDEX
    )


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        (manifest(manifests=[child("linux/amd64")]), None),
        (index(child("linux/amd64"), layers=[]), None),
        (index(child("linux/amd64"), config=descriptor()), None),
        (manifest(), m.OCI_INDEX),
        (manifest(), m.DOCKER_MANIFEST),
        (manifest(mediaType=m.OCI_INDEX), None),
        (index(child("linux/amd64"), mediaType=m.OCI_MANIFEST), None),
        ({"schemaVersion": 2}, None),
        ({"schemaVersion": 2, "layers": []}, m.OCI_MANIFEST),
        ([manifest()], None),
        ("text", None),
    ],
)
def test_a_document_of_two_kinds_or_of_none_is_refused(document: object, media_type: str | None) -> None:
    with pytest.raises(UntrustedContent):
        parse(document, media_type)


@pytest.mark.parametrize(
    ("document", "media_type", "words"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, None, "schema 1"),
        ({"schemaVersion": 1}, "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (manifest(config=descriptor(media_type="application/vnd.docker.plugin.v1+json")), None, "plugin"),
        (manifest(config=descriptor(media_type="application/vnd.cncf.helm.config.v1+json")), None, "helm.config"),
        (
            manifest(config=descriptor(media_type="application/vnd.oci.empty.v1+json"), artifactType="a/wasm"),
            None,
            "a/wasm",
        ),
        (
            {"mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": []},
            None,
            "vnd.oci.artifact.manifest",
        ),
    ],
)
def test_what_is_no_image_is_named(document: object, media_type: str | None, words: str) -> None:
    with pytest.raises(UnsupportedTarget, match=words):
        parse(document, media_type)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"layers": {}}, "layers is no array"),
        ({"layers": [7]}, r"layers\[0\] is no object"),
        ({"layers": [descriptor(media_type=LAYER_TYPE, size=-1)]}, r"layers\[0\].size"),
        ({"layers": [descriptor(media_type=LAYER_TYPE, size=True)]}, r"layers\[0\].size"),
        ({"layers": [descriptor(media_type=LAYER_TYPE, size=1.5)]}, r"layers\[0\].size"),
        ({"layers": [descriptor(), descriptor(digest="sha256:../../x")]}, r"layers\[1\].digest"),
        ({"config": descriptor(digest="md5:" + "0" * 32)}, r"config.digest"),
        ({"config": descriptor(annotations={"a": 1})}, r"config.annotations\['a'\]"),
        ({"config": descriptor(platform={"os": "linux\n", "architecture": "a"})}, r"config.platform.os"),
        ({"config": descriptor(data="*")}, r"config.data is no base64"),
        ({"config": descriptor(Size=9)}, r"config has 'size' in another spelling"),
        ({"Layers": []}, r"has 'layers' in another spelling"),
        ({"layerſ": []}, r"has 'layers' in another spelling"),  # noqa: RUF001 Go folds this letter to an s
        ({"mediaType": 1}, "mediaType is no string"),
    ],
)
def test_an_error_says_which_place_is_wrong(change: dict[str, Any], path: str) -> None:
    with pytest.raises(UntrustedContent, match=rf"^D: .*{path}"):
        parse({**manifest(), **change})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"size": NaN}',
        b'{"size": -Infinity}',
        b'{"size": ' + b"9" * 5000 + b"}",
        b'{"layers": [], "layers": [1]}',
        b'{"a": {"b": 1, "b": 2}}',
        json.dumps(manifest()).encode("utf-16"),
    ],
)
def test_what_is_no_sound_json_is_refused(data: bytes) -> None:
    with pytest.raises(UntrustedContent) as caught:
        m.parse_document(data, media_type=None, what="D")
    assert len(str(caught.value)) < 400


def test_a_document_is_read_within_its_limit() -> None:
    assert read_bounded(io.BytesIO(b"x" * 10), limit=10, what="D") == b"x" * 10
    with pytest.raises(LimitExceeded, match="limit document"):
        read_bounded(io.BytesIO(b"x" * 11), limit=10, what="D")


def test_inline_data_counts_only_if_it_is_what_the_digest_says() -> None:
    good = parse(manifest(config=descriptor(b"{}", data=base64.b64encode(b"{}").decode())))
    assert isinstance(good, m.ImageManifest)
    assert good.config.data == b"{}"
    for lie in (b"[]", b"{} "):
        with pytest.raises(DigestMismatch, match=r"config\.data"):
            parse(manifest(config=descriptor(b"{}", data=base64.b64encode(lie).decode())))


def test_lone_surrogates_do_not_get_out() -> None:
    found = m.parse_config(json.dumps(config(history=[{"created_by": "RUN \ud800"}])).encode(), what="C")
    assert found.created_by == ("RUN ?",)


# ── configuration ────────────────────────────────────────────────────────────────────────────


def test_history_is_mapped_to_layers_when_it_adds_up() -> None:
    steps = [{"created_by": "ADD"}, {"created_by": "ENV", "empty_layer": True}, {"comment": "no created_by"}]
    found = m.parse_config(json.dumps(config(2, history=steps, variant="v1")).encode(), what="C")
    assert found.created_by == ("ADD", None)
    assert found.platform == Platform("linux", "amd64", "v1")


@pytest.mark.parametrize("steps", [None, [], [{"created_by": "one"}], [{"created_by": str(n)} for n in range(3)]])
def test_history_that_does_not_add_up_says_nothing(steps: object) -> None:
    found = m.parse_config(json.dumps(config(2, history=steps)).encode(), what="C")
    assert found.created_by == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"rootfs": None},
        {"rootfs": {"type": "tree"}},
        {"rootfs": []},
        {"rootfs": {"diff_ids": ["x"]}},
        {"history": [{"empty_layer": "yes"}]},
        {"history": 1},
        {"os": 3},
    ],
)
def test_a_damaged_configuration_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UntrustedContent, match=r"^C: "):
        m.parse_config(json.dumps({**config(), **change}).encode(), what="C")


def load(document: dict[str, Any], configuration: dict[str, Any], limits: Limits | None = None) -> Any:
    data = json.dumps(configuration).encode()
    found = parse({**document, "config": descriptor(data)})
    assert isinstance(found, m.ImageManifest)
    return m.load_image(
        found,
        read=lambda _: data,
        open_blob=lambda _: contextlib.nullcontext(io.BytesIO(b"layer")),
        reference="R",
        digest=Digest.of(b"manifest"),
        limits=limits or Limits(),
    )


def test_an_image_is_put_together() -> None:
    image = load(manifest(), config(history=[{"created_by": "COPY"}]))
    assert (image.reference, image.digest, image.platform) == (
        "R",
        Digest.of(b"manifest"),
        Platform("linux", "amd64"),
    )
    (layer,) = image.layers
    assert (layer.created_by, layer.size, layer.media_type) == ("COPY", 5, LAYER_TYPE)
    with layer.open() as stream:
        assert stream.read() == b"layer"


@pytest.mark.parametrize(
    ("media_type", "words"),
    [
        (f"{LAYER_TYPE}+encrypted", "layer 0 is encrypted"),
        ("application/vnd.erofs.layer.v1", "vnd.erofs.layer.v1"),
        ("application/vnd.in-toto+json", "in-toto"),
    ],
)
def test_a_layer_that_is_no_tar_is_named(media_type: str, words: str) -> None:
    with pytest.raises(UnsupportedTarget, match=words):
        load(manifest(descriptor(b"layer", media_type)), config())


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ],
)
def test_layers_of_these_types_are_read(media_type: str) -> None:
    assert len(load(manifest(descriptor(b"layer", media_type)), config()).layers) == 1


def test_each_layer_needs_a_diff_id_and_there_are_not_too_many() -> None:
    with pytest.raises(UntrustedContent, match="1 layers, and 2 diff_ids"):
        load(manifest(), config(2))
    many = manifest(*[descriptor(b"layer", LAYER_TYPE)] * 3)
    with pytest.raises(LimitExceeded, match="limit layers"):
        load(many, config(3), Limits(layers=2))


# ── which images are meant ───────────────────────────────────────────────────────────────────

BUILDKIT: Final = {"vnd.docker.reference.type": "attestation-manifest"}


def chosen(platform: m.Wanted, *children: dict[str, Any]) -> list[str]:
    return [str(one.digest) for one in m.choose(parsed_index(*children), platform, what="I")]


def test_a_platform_is_chosen_by_name_and_variant() -> None:
    six, seven, arm64 = child("linux/arm/v6"), child("linux/arm/v7"), child("linux/arm64/v8")
    every = (six, seven, arm64, child("linux/amd64"))
    assert chosen("linux/arm", *every) == [seven["digest"]]
    assert chosen("linux/arm/v6", *every) == [six["digest"]]
    assert chosen(Platform("linux", "arm64"), *every) == [arm64["digest"]]
    with pytest.raises(TargetNotFound, match=r"linux/s390x; there are images for linux/amd64, linux/arm/v6"):
        chosen("linux/s390x", *every)


def test_the_default_is_the_host_then_amd64_then_the_only_one() -> None:
    host, amd64, other = child(str(Platform.of_host())), child("linux/amd64"), child("linux/riscv64")
    assert chosen(None, other, host) == [host["digest"]]
    assert chosen(None, other, amd64) == [amd64["digest"]]
    assert chosen(None, other) == [other["digest"]]
    with pytest.raises(TargetNotFound, match="linux/ppc64le, linux/riscv64"):
        chosen(None, other, child("linux/ppc64le"))


def test_all_are_the_images_without_attestations_and_artifacts() -> None:
    image = child("linux/amd64")
    unknown = child("unknown/unknown", annotations=BUILDKIT)
    artifact = child(None, b"artifact", artifactType="application/vnd.amazon.soci.index.v2+json")
    foreign = {**descriptor(b"f", "application/vnd.other+json")}
    assert chosen("all", unknown, image, artifact, foreign) == [image["digest"]]
    with pytest.raises(UnsupportedTarget, match="without any image"):
        chosen("all", unknown, artifact)


def test_an_image_cannot_hide_behind_the_annotation_of_attestations() -> None:
    hidden = child("linux/amd64", annotations=BUILDKIT)
    assert chosen("all", hidden) == [hidden["digest"]]
    assert chosen("linux/amd64", hidden) == [hidden["digest"]]


def test_a_single_image_is_checked_against_the_platform_that_was_named() -> None:
    m.check_platform(Platform("linux", "amd64"), None, what="I")
    m.check_platform(Platform("linux", "amd64"), "all", what="I")
    m.check_platform(None, "linux/arm64", what="I")
    with pytest.raises(TargetNotFound, match="no image for linux/arm64; there is one for linux/amd64"):
        m.check_platform(Platform("linux", "amd64"), "linux/arm64", what="I")


def nested(levels: int) -> tuple[m.ImageIndex, dict[str, bytes]]:
    """An index ``levels`` deep above one image."""
    blobs: dict[str, bytes] = {}
    inner = index(child("linux/amd64"))
    for _ in range(levels - 1):
        data = json.dumps(inner).encode()
        blobs[digest_of(data)] = data
        inner = index(descriptor(data, m.OCI_INDEX), descriptor(data, m.OCI_INDEX))
    return parsed_index(*inner["manifests"]), blobs


def test_nested_indexes_are_flattened_and_repeats_read_once() -> None:
    top, blobs = nested(4)
    asked: list[str] = []

    def read(one: m.Descriptor) -> bytes:
        asked.append(str(one.digest))
        return blobs[str(one.digest)]

    flat = m.flatten(top, read, what="I")
    assert [str(one.digest) for one in flat.manifests] == [child("linux/amd64")["digest"]]
    assert len(asked) == len(set(asked)) == 3


def test_indexes_may_not_be_nested_without_end() -> None:
    top, blobs = nested(5)
    with pytest.raises(LimitExceeded, match="nested more than 4 deep"):
        m.flatten(top, lambda one: blobs[str(one.digest)], what="I")


def test_an_index_may_not_list_manifests_without_end() -> None:
    many = parsed_index(*(child("linux/amd64", str(number).encode()) for number in range(1001)))
    with pytest.raises(LimitExceeded, match="more than 1000"):
        m.flatten(many, no_read, what="I")


def test_an_index_that_holds_a_manifest_is_refused() -> None:
    data = json.dumps({**manifest(), "mediaType": None}).encode()
    with pytest.raises(UntrustedContent, match="is called"):
        m.flatten(parsed_index(descriptor(data, m.OCI_INDEX)), lambda _: data, what="I")


def test_a_missing_layer_that_may_not_be_distributed_is_explained() -> None:
    kinds = (LAYER_TYPE, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    found = parse(manifest(*(descriptor(b"layer", kind) for kind in kinds)))
    assert isinstance(found, m.ImageManifest)
    plain, foreign = (m.missing_blob(layer, where="W") for layer in found.layers)
    assert "incomplete" in str(plain)
    assert "may not be distributed" in str(foreign)


# ── hostile ──────────────────────────────────────────────────────────────────────────────────

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(sorted(manifest())), inner),
    max_leaves=20,
)


def places(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [at, *(place for key, item in inside for place in places(item, (*at, key)))]


def spoiled(document: Any, place: tuple[Any, ...], value: object) -> Any:
    if not place:
        return value
    document = copy.deepcopy(document)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return document


SOUND: Final = (
    manifest(descriptor(b"layer", LAYER_TYPE, annotations={"a": "b"}), artifactType="x"),
    index(child("linux/arm64/v8"), child("unknown/unknown", annotations=BUILDKIT)),
    config(2, history=[{"created_by": "x", "empty_layer": True}, {}, {}]),
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()), st.none() | st.sampled_from(m.ACCEPT))
def test_random_documents_raise_errors_of_ours_only(data: bytes, media_type: str | None) -> None:
    with contextlib.suppress(CgscanError):
        m.parse_document(data, media_type=media_type, what="D")
    with contextlib.suppress(CgscanError):
        m.parse_config(data, what="D")


@given(st.data())
def test_one_wrong_value_anywhere_raises_errors_of_ours_only(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(SOUND))
    place = data.draw(st.sampled_from(places(document)))
    raw = json.dumps(spoiled(document, place, data.draw(json_values))).encode()
    for platform in (None, "all", "linux/arm64"):
        with contextlib.suppress(CgscanError):
            found = m.parse_document(raw, media_type=None, what="D")
            if isinstance(found, m.ImageIndex):
                m.choose(m.flatten(found, lambda _: b"{}", what="D"), platform, what="D")
    with contextlib.suppress(CgscanError):
        m.parse_config(raw, what="D")


def test_a_long_object_does_not_take_long() -> None:
    node = parse_json(json.dumps({f"key{number}": "x" for number in range(200_000)}).encode(), what="D")
    assert len(node.texts()) == 200_000
