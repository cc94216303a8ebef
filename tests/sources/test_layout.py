"""``oci-dir:``: layouts of skopeo, umoci and buildx, names in them, and what hostile ones may not do."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fixtures import images
from scanner.digest import Digest
from scanner.errors import (
    AccessDenied,
    DigestMismatch,
    LimitExceeded,
    TargetError,
    TargetNotFound,
    TruncatedStream,
    UnsupportedTarget,
    UntrustedContent,
)
from scanner.image import Image, Platform
from scanner.limits import Limits
from scanner.reference import ArchiveReference, parse_reference
from scanner.sources.layout import open_layout
from scanner.sources.manifest import Wanted
from scanner.sources.options import SourceOptions

REF_NAME = "org.opencontainers.image.ref.name"


def layers(word: str = "one") -> list[images.LayerBlob]:
    return [
        images.layer_from_entries([images.file_entry("etc/base", b"base")], compression="gzip"),
        images.layer_from_entries([images.file_entry("etc/word", word.encode())], compression="zstd"),
    ]


def contents(image: Image) -> list[bytes]:
    """The uncompressed tars, all digests verified."""
    found = []
    for layer in image.layers:
        with layer.tar(Limits()) as tar:
            found.append(b"".join(iter(lambda stream=tar: stream.read(65536), b"")))  # type: ignore[misc]
    return found


def scan(target: str, platform: Wanted = None, limits: Limits | None = None) -> list[tuple[Image, list[bytes]]]:
    reference = parse_reference(f"oci-dir:{target}")
    assert isinstance(reference, ArchiveReference)
    options = SourceOptions(limits=limits or Limits())
    with open_layout(reference, platform=platform, options=options) as found:
        return [(image, contents(image)) for image in found]


def only(target: str, platform: Wanted = None) -> Image:
    ((image, _),) = scan(target, platform)
    return image


def run(*command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def index_of(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "index.json").read_text())["manifests"]
    return found


def blob(folder: Path, digest: str) -> Path:
    return folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


# ── what layouts mean ────────────────────────────────────────────────────────────────────────


def test_a_layout_is_read(tmp_path: Path) -> None:
    stored = layers()
    images.write_oci_layout(tmp_path, stored, created_by=["ADD base", "ADD word"])
    ((image, tars),) = scan(str(tmp_path))
    assert image.reference == f"oci-dir:{tmp_path}"
    assert str(image.digest) == index_of(tmp_path)[0]["digest"]
    assert image.platform == Platform("linux", "amd64")
    assert [str(layer.digest) for layer in image.layers] == [one.digest for one in stored]
    assert [str(layer.diff_id) for layer in image.layers] == [one.diff_id for one in stored]
    assert [layer.created_by for layer in image.layers] == ["ADD base", "ADD word"]
    assert tars == [one.tar() for one in stored]


def test_umoci_and_skopeo_write_what_is_read(tmp_path: Path) -> None:
    made, copied = tmp_path / "made", tmp_path / "copied"
    (tmp_path / "file").write_text("content")
    run("umoci", "init", "--layout", str(made))
    run("umoci", "new", "--image", f"{made}:v1")
    run("umoci", "insert", "--rootless", "--image", f"{made}:v1", str(tmp_path / "file"), "/srv/file")
    run("skopeo", "copy", f"oci:{made}:v1", f"oci:{copied}:registry.example:5000/app:v1")
    ((first, tars),) = scan(f"{made}:v1")
    ((second, same),) = scan(f"{copied}:registry.example:5000/app:v1")
    assert b"srv/file" in tars[0]
    assert same == tars
    assert (second.digest, second.platform) == (first.digest, first.platform)
    assert [layer.diff_id for layer in second.layers] == [layer.diff_id for layer in first.layers]
    assert only(f"{copied}:v1").digest == first.digest


def test_a_tag_or_digest_chooses_one_of_several(tmp_path: Path) -> None:
    images.write_oci_layout(tmp_path, layers("a"), tag="a")
    images.write_oci_layout(tmp_path, layers("b"), tag="registry.example/team/b:1")
    digests = [one["digest"] for one in index_of(tmp_path)]
    assert str(only(f"{tmp_path}:a").digest) == digests[0]
    assert str(only(f"{tmp_path}:registry.example/team/b:1").digest) == digests[1]
    assert str(only(f"{tmp_path}:1").digest) == digests[1]
    assert str(only(f"{tmp_path}@{digests[1]}").digest) == digests[1]
    with pytest.raises(TargetNotFound, match=r"2 images in it.*a; registry.example/team/b:1") as caught:
        scan(str(tmp_path))
    assert caught.value.hint is not None
    with pytest.raises(TargetNotFound, match=r"no image 'c'.*a; registry.example/team/b:1"):
        scan(f"{tmp_path}:c")
    with pytest.raises(TargetNotFound, match="no image sha256:"):
        scan(f"{tmp_path}@{Digest.of(b'')}")


def test_containerd_names_an_image_in_full(tmp_path: Path) -> None:
    images.write_oci_layout(tmp_path, layers(), tag="1.0")
    (entry,) = index_of(tmp_path)
    entry["annotations"]["io.containerd.image.name"] = "docker.io/library/app:1.0"
    edit_json(tmp_path / "index.json", manifests=[entry, {**entry}])
    for name in ("1.0", "docker.io/library/app:1.0", "app:1.0"):
        assert str(only(f"{tmp_path}:{name}").digest) == entry["digest"]


def test_platforms_of_an_index(tmp_path: Path) -> None:
    stored = {"linux/amd64": layers("amd64"), "linux/arm64/v8": layers("arm64")}
    images.multi_platform_layout(tmp_path, stored)
    assert only(f"{tmp_path}:latest", "linux/arm64").platform == Platform("linux", "arm64", "v8")
    every = scan(str(tmp_path), "all")
    assert [str(image.platform) for image, _ in every] == list(stored)
    assert [tars[1] for _, tars in every] == [one[1].tar() for one in stored.values()]
    with pytest.raises(TargetNotFound, match=r"no image for linux/s390x; there are images for linux/amd64, linux/arm"):
        scan(str(tmp_path), "linux/s390x")


def test_a_digest_may_name_an_index_or_an_image_inside_one(tmp_path: Path) -> None:
    images.multi_platform_layout(tmp_path, {"linux/amd64": layers("amd64"), "linux/arm64": layers("arm64")})
    (entry,) = index_of(tmp_path)
    children = json.loads(blob(tmp_path, entry["digest"]).read_text())["manifests"]
    assert only(f"{tmp_path}@{entry['digest']}", "linux/arm64").platform == Platform("linux", "arm64")
    arm64 = only(f"{tmp_path}@{children[1]['digest']}")
    assert (str(arm64.digest), arm64.platform) == (children[1]["digest"], Platform("linux", "arm64"))
    with pytest.raises(UnsupportedTarget, match="in-toto"):
        scan(f"{tmp_path}@{children[2]['digest']}")


def test_manifests_side_by_side_are_one_image_of_several_platforms(tmp_path: Path) -> None:
    images.multi_platform_layout(tmp_path, {"linux/amd64": layers("amd64"), "linux/arm64": layers("arm64")})
    (entry,) = index_of(tmp_path)
    children = json.loads(blob(tmp_path, entry["digest"]).read_text())["manifests"][:2]
    edit_json(tmp_path / "index.json", manifests=children)
    assert only(str(tmp_path), "linux/arm64").platform == Platform("linux", "arm64")
    edit_json(tmp_path / "index.json", manifests=[children[0], {**children[1], "platform": children[0]["platform"]}])
    with pytest.raises(TargetNotFound, match="2 images in it"):
        scan(str(tmp_path))


def test_platforms_whose_blobs_were_left_out_are_not_there(tmp_path: Path) -> None:
    images.multi_platform_layout(tmp_path, {"linux/amd64": layers("amd64"), "linux/arm64": layers("arm64")})
    (entry,) = index_of(tmp_path)
    children = json.loads(blob(tmp_path, entry["digest"]).read_text())["manifests"]
    blob(tmp_path, children[0]["digest"]).unlink()
    assert [str(image.platform) for image, _ in scan(str(tmp_path), "all")] == ["linux/arm64"]
    assert only(str(tmp_path)).platform == Platform("linux", "arm64")
    with pytest.raises(TargetNotFound, match="no image for linux/amd64"):
        scan(str(tmp_path), "linux/amd64")


def test_the_only_image_must_be_of_the_platform_that_was_named(tmp_path: Path) -> None:
    images.write_oci_layout(tmp_path, layers())
    assert only(str(tmp_path), "linux/amd64").platform == Platform("linux", "amd64")
    with pytest.raises(TargetNotFound, match="there is one for linux/amd64"):
        scan(str(tmp_path), "linux/arm64")


def test_a_path_may_hold_colons(tmp_path: Path) -> None:
    folder = tmp_path / "a:b:c"
    images.write_oci_layout(folder, layers(), tag="v1")
    assert only(f"{folder}").digest == only(f"{folder}:v1").digest
    with pytest.raises(TargetNotFound, match="no such file"):
        scan(f"{tmp_path}/a:b:d")


# ── hostile and damaged ──────────────────────────────────────────────────────────────────────


def test_what_is_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedTarget, match="no file 'oci-layout'"):
        scan(str(tmp_path))
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')
    with pytest.raises(UnsupportedTarget, match=r"no file 'index.json'"):
        scan(str(tmp_path))
    (tmp_path / "index.json").write_text('{"manifests": []}')
    with pytest.raises(UnsupportedTarget, match=r"version '2\.0\.0'"):
        scan(str(tmp_path))
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    with pytest.raises(UnsupportedTarget, match="without any image"):
        scan(str(tmp_path))
    with pytest.raises(UnsupportedTarget, match="no directory"):
        scan(str(tmp_path / "index.json"))


@pytest.mark.parametrize("part", ["manifest", "config"])
def test_a_document_with_other_bytes_is_refused(tmp_path: Path, part: str) -> None:
    images.write_oci_layout(tmp_path, layers())
    manifest = blob(tmp_path, index_of(tmp_path)[0]["digest"])
    path = manifest if part == "manifest" else blob(tmp_path, json.loads(manifest.read_text())["config"]["digest"])
    path.write_bytes(path.read_bytes().replace(b"amd64", b"amd46").replace(b'"size":', b'"size": ', 1))
    with pytest.raises(DigestMismatch):
        scan(str(tmp_path))


def test_a_document_may_not_be_larger_than_the_limit(tmp_path: Path) -> None:
    images.write_oci_layout(tmp_path, layers())
    with pytest.raises(LimitExceeded, match="limit document"):
        scan(str(tmp_path), limits=Limits(document=100))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"diff_id": images.digest_of(b"other")}, DigestMismatch),
        ({"size": 1}, DigestMismatch),
        ({"size": 10_000}, TruncatedStream),
    ],
)
def test_a_layer_that_is_not_as_promised_is_refused(
    tmp_path: Path, change: dict[str, Any], error: type[Exception]
) -> None:
    images.write_oci_layout(tmp_path, [dataclasses.replace(layers()[0], **change)])
    with pytest.raises(error):
        scan(str(tmp_path))


def test_a_changed_layer_is_refused(tmp_path: Path) -> None:
    stored = layers()
    images.write_oci_layout(tmp_path, stored)
    blob(tmp_path, stored[0].digest).write_bytes(layers("other")[1].data)
    with pytest.raises((DigestMismatch, TruncatedStream)):
        scan(str(tmp_path))


def test_a_missing_layer_is_named_before_anything_is_read(tmp_path: Path) -> None:
    stored = layers()
    images.write_oci_layout(tmp_path, stored)
    blob(tmp_path, stored[1].digest).unlink()
    reference = ArchiveReference(scheme="oci-dir", path=str(tmp_path), name=None, digest=None)
    with (
        pytest.raises(UnsupportedTarget, match=f"{stored[1].digest} is not there"),
        open_layout(reference, platform=None, options=SourceOptions()),
    ):
        pytest.fail("opened")


def spoil_digest(folder: Path, digest: str) -> None:
    edit_json(folder / "index.json", manifests=[{**index_of(folder)[0], "digest": digest}])


@pytest.mark.parametrize("digest", ["sha256:../../../../etc/passwd", "../x:y", "sha256:" + "0" * 63 + "/", "SHA256:00"])
def test_a_digest_is_no_path(tmp_path: Path, digest: str) -> None:
    images.write_oci_layout(tmp_path, layers())
    spoil_digest(tmp_path, digest)
    with pytest.raises(UntrustedContent, match=r"manifests\[0\]\.digest"):
        scan(str(tmp_path))


def replace_by_link(path: Path, target: Path) -> None:
    path.rename(target)
    path.symlink_to(target)


def test_links_may_not_leave_the_layout(tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    stored = layers()
    images.write_oci_layout(folder, stored)
    replace_by_link(blob(folder, stored[0].digest), folder / "elsewhere")
    assert only(str(folder)).digest is not None
    replace_by_link(blob(folder, stored[1].digest), tmp_path / "outside")
    with pytest.raises(UntrustedContent, match="leaves the layout"):
        scan(str(folder))


def test_odd_blobs_are_refused_and_block_nobody(tmp_path: Path) -> None:
    stored = layers()
    images.write_oci_layout(tmp_path, stored)
    path = blob(tmp_path, stored[0].digest)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnsupportedTarget, match="no regular file"):
        scan(str(tmp_path))
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(TargetError, match="loop of symbolic links"):
        scan(str(tmp_path))


def test_a_blob_without_permission_is_named(bounded_rights: Path) -> None:
    images.write_oci_layout(bounded_rights, layers())
    (bounded_rights / "index.json").chmod(0)
    with pytest.raises(AccessDenied, match=r"index\.json"):
        scan(str(bounded_rights))


def put_index(folder: Path, children: Sequence[dict[str, Any]]) -> dict[str, Any]:
    data = images.json_bytes({"schemaVersion": 2, "manifests": children})
    blob(folder, images.digest_of(data)).write_bytes(data)
    kind = "application/vnd.oci.image.index.v1+json"
    return {"mediaType": kind, "digest": images.digest_of(data), "size": len(data)}


def test_an_index_that_claims_to_hold_itself_is_refused(tmp_path: Path) -> None:
    images.write_oci_layout(tmp_path, layers())
    kind = "application/vnd.oci.image.index.v1+json"
    lie: dict[str, Any] = {"mediaType": kind, "digest": images.digest_of(b"x"), "size": 500}
    inner = put_index(tmp_path, [lie])
    blob(tmp_path, lie["digest"]).write_bytes(blob(tmp_path, inner["digest"]).read_bytes().ljust(500))
    edit_json(tmp_path / "index.json", manifests=[inner])
    with pytest.raises(DigestMismatch):
        scan(str(tmp_path))


def test_indexes_in_indexes_end(tmp_path: Path) -> None:
    images.write_oci_layout(tmp_path, layers())
    entry = index_of(tmp_path)[0]
    for _ in range(3):
        entry = put_index(tmp_path, [entry, entry])
    edit_json(tmp_path / "index.json", manifests=[entry])
    assert only(str(tmp_path)).platform == Platform("linux", "amd64")
    edit_json(tmp_path / "index.json", manifests=[put_index(tmp_path, [entry])])
    with pytest.raises(LimitExceeded, match="nested"):
        scan(str(tmp_path))
