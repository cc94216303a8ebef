"""``docker-archive:`` and ``oci-archive:``: every writer's archive, and what hostile ones may not do."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from fixtures import images
from scanner.digest import Digest
from scanner.errors import (
    DigestMismatch,
    LimitExceeded,
    MalformedArchive,
    TargetNotFound,
    TruncatedStream,
    UnsupportedTarget,
    UntrustedContent,
)
from scanner.image import Image, Platform
from scanner.limits import Limits
from scanner.reference import ArchiveReference, parse_reference
from scanner.sources.archive import detect_archive, open_archive
from scanner.sources.manifest import Wanted
from scanner.sources.options import SourceOptions

Scanned = tuple[Image, list[bytes]]


def layers() -> list[images.LayerBlob]:
    """Three layers, the first and the last are the same."""
    base = images.layer_from_entries([images.file_entry("etc/base", b"base" * 100)], compression="gzip")
    word = images.layer_from_entries([images.file_entry("etc/word", b"word" * 999)], compression="gzip")
    return [base, word, base]


def tars_of(image: Image) -> list[bytes]:
    found = []
    for layer in image.layers:
        with layer.tar(Limits()) as tar:
            found.append(b"".join(iter(lambda stream=tar: stream.read(65536), b"")))  # type: ignore[misc]
    return found


def scan(target: str, platform: Wanted = None, limits: Limits | None = None) -> Scanned:
    reference = parse_reference(target)
    assert isinstance(reference, ArchiveReference)
    options = SourceOptions(limits=limits or Limits())
    with open_archive(reference, platform=platform, options=options) as found:
        (image,) = found
        return image, tars_of(image)


def diff_ids(image: Image) -> list[str]:
    return [str(layer.diff_id) for layer in image.layers]


def run(*command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def rewrite(path: Path, change: Callable[[list[images.Entry]], Iterable[images.Entry]]) -> Path:
    """Write the archive again with other entries."""
    with tarfile.open(path) as tar:
        entries = []
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            entries.append((member, file.read() if file else b""))
    path.write_bytes(images.tar_of(change(entries)))
    return path


def add(*more: images.Entry) -> Callable[[list[images.Entry]], list[images.Entry]]:
    return lambda entries: [*entries, *more]


def replace_file(name: str, data: bytes) -> Callable[[list[images.Entry]], list[images.Entry]]:
    return lambda entries: [images.file_entry(name, data) if one[0].name == name else one for one in entries]


def manifest_of(path: Path) -> list[dict[str, Any]]:
    with tarfile.open(path) as tar:
        file = tar.extractfile("manifest.json")
        assert file is not None
        found: list[dict[str, Any]] = json.load(file)
        return found


def edit_manifest(path: Path, **changes: object) -> Path:
    (entry,) = manifest_of(path)
    return rewrite(path, replace_file("manifest.json", json.dumps([{**entry, **changes}]).encode()))


@pytest.fixture
def classic(tmp_path: Path) -> Path:
    return images.write_docker_archive(tmp_path / "classic.tar", layers(), name="team/app:1")


@pytest.fixture
def modern(tmp_path: Path) -> Path:
    return images.write_docker_archive(tmp_path / "modern.tar", layers(), name="team/app:1", style="modern")


# ── the same image out of every archive ──────────────────────────────────────────────────────


def written_by_skopeo(folder: Path, scheme: str) -> Path:
    layout = images.write_oci_layout(folder / "layout", layers(), tag="1")
    target = folder / f"{scheme}.tar"
    name = "registry.example/team/app:1" if scheme == "docker-archive" else "1"
    run("skopeo", "copy", f"oci:{layout}:1", f"{scheme}:{target}:{name}")
    return target


def tarred_layout(folder: Path) -> Path:
    """A layout packed with ``./`` before every name."""
    layout = images.write_oci_layout(folder / "layout", layers(), tag="1")
    with tarfile.open(folder / "dotted.tar", "w") as tar:
        tar.add(layout, ".")
    return folder / "dotted.tar"


WRITERS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "docker before 25": (
        "docker-archive",
        lambda folder: images.write_docker_archive(folder / "c.tar", layers()),
    ),
    "docker since 25": (
        "docker-archive",
        lambda folder: images.write_docker_archive(folder / "m.tar", layers(), style="modern"),
    ),
    "docker since 25, its layout": (
        "oci-archive",
        lambda folder: images.write_docker_archive(folder / "m.tar", layers(), style="modern"),
    ),
    "skopeo docker-archive": ("docker-archive", lambda folder: written_by_skopeo(folder, "docker-archive")),
    "skopeo oci-archive": ("oci-archive", lambda folder: written_by_skopeo(folder, "oci-archive")),
    "tar of a layout": ("oci-archive", tarred_layout),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writers_archive_gives_the_same_layers(tmp_path: Path, writer: str) -> None:
    scheme, write = WRITERS[writer]
    image, tars = scan(f"{scheme}:{write(tmp_path)}")
    assert diff_ids(image) == [one.diff_id for one in layers()]
    assert tars == [one.tar() for one in layers()]
    assert image.platform == Platform("linux", "amd64")
    assert (image.digest is None) == (scheme == "docker-archive")
    assert [layer.created_by for layer in image.layers] == [f"COPY layer-{number} /" for number in range(3)]


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("kind", COMPRESSIONS)
@pytest.mark.parametrize("scheme", ["docker-archive", "oci-archive"])
def test_the_archive_itself_may_be_compressed(modern: Path, kind: str, scheme: str) -> None:
    modern.write_bytes(COMPRESSIONS[kind](modern.read_bytes()))
    image, tars = scan(f"{scheme}:{modern}")
    assert diff_ids(image) == [one.diff_id for one in layers()]
    assert tars == [one.tar() for one in layers()]
    assert detect_archive(modern, Limits()) == "oci-archive"


def test_layers_in_a_docker_archive_may_be_compressed(tmp_path: Path) -> None:
    stored = layers()[:2]
    config = images.json_bytes(images.image_config(stored))
    manifest = images.json_bytes([{"Config": "config.json", "RepoTags": None, "Layers": ["0.tar.gz", "1.tar.gz"]}])
    entries = [images.file_entry(f"{number}.tar.gz", one.data) for number, one in enumerate(stored)]
    entries += [images.file_entry("config.json", config), images.file_entry("manifest.json", manifest)]
    (tmp_path / "a.tar").write_bytes(images.tar_of(entries))
    image, tars = scan(f"docker-archive:{tmp_path / 'a.tar'}")
    assert tars == [one.tar() for one in stored]
    assert [layer.size for layer in image.layers] == [len(one.data) for one in stored]


def test_layers_may_be_read_at_once_and_again(classic: Path) -> None:
    reference = ArchiveReference(scheme="docker-archive", path=str(classic), name=None, digest=None)
    expected = [one.tar() for one in layers()]
    with open_archive(reference, platform=None, options=SourceOptions()) as (image,):
        first, second = image.layers[0].open(), image.layers[1].open()
        with first as one, second as other:
            pieces = [(one.read(100), other.read(100)) for _ in range(3)]
        assert b"".join(piece[0] for piece in pieces) == expected[0][:300]
        assert b"".join(piece[1] for piece in pieces) == expected[1][:300]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: tars_of(image), range(16))) == [expected] * 16


def test_an_archive_that_is_replaced_meanwhile_stays_the_same(classic: Path) -> None:
    reference = ArchiveReference(scheme="docker-archive", path=str(classic), name=None, digest=None)
    with open_archive(reference, platform=None, options=SourceOptions()) as (image,):
        classic.unlink()
        classic.write_bytes(b"other")
        assert tars_of(image) == [one.tar() for one in layers()]


def test_nothing_is_left_in_the_temporary_folder(modern: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modern.write_bytes(gzip.compress(modern.read_bytes()))
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    reference = ArchiveReference(scheme="docker-archive", path=str(modern), name=None, digest=None)
    with open_archive(reference, platform=None, options=SourceOptions()):
        assert list(folder.iterdir()) == []
    folder.rmdir()


# ── which image ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ("team/app:1", "team/app:1"),
        ("team/app:1", "docker.io/team/app:1"),
        ("app:1", "docker.io/library/app:1"),
        ("docker.io/library/app:latest", "app"),
        ("registry.example:5000/app:1", "registry.example:5000/app:1"),
    ],
)
def test_a_name_chooses_the_image(tmp_path: Path, stored: str, wanted: str) -> None:
    path = images.write_docker_archive(tmp_path / "a.tar", layers(), name=stored)
    image, _ = scan(f"docker-archive:{path}:{wanted}")
    assert image.reference == f"docker-archive:{path}:{wanted}"
    with pytest.raises(TargetNotFound, match=f"no image 'other:1' in it; there are '{stored}'"):
        scan(f"docker-archive:{path}:other:1")


def test_one_of_several_images(tmp_path: Path) -> None:
    first = images.write_docker_archive(tmp_path / "1.tar", layers()[:1], name="first:1")
    second = images.write_docker_archive(tmp_path / "2.tar", layers()[:2], name="second:1")
    manifest = json.dumps([*manifest_of(first), *manifest_of(second)]).encode()
    with tarfile.open(second) as tar:
        old = [(one, tar.extractfile(one).read() if one.isreg() else b"") for one in tar]  # type: ignore[union-attr]
    rewrite(first, lambda entries: [*entries, *[one for one in old if one[0].name not in {e[0].name for e in entries}]])
    rewrite(first, replace_file("manifest.json", manifest))
    assert len(scan(f"docker-archive:{first}:second:1")[0].layers) == 2
    identity = manifest_of(second)[0]["Config"].removesuffix(".json")
    assert len(scan(f"docker-archive:{first}@sha256:{identity}")[0].layers) == 2
    with pytest.raises(TargetNotFound, match=r"2 images in it.*first:1; second:1"):
        scan(f"docker-archive:{first}")
    with pytest.raises(TargetNotFound, match="no image sha256:"):
        scan(f"docker-archive:{first}@{Digest.of(b'')}")


def test_a_platform_that_was_named_must_be_the_images(classic: Path) -> None:
    assert scan(f"docker-archive:{classic}", "linux/amd64")[0].platform == Platform("linux", "amd64")
    with pytest.raises(TargetNotFound, match="there is one for linux/amd64"):
        scan(f"docker-archive:{classic}", "linux/arm64")


# ── links ────────────────────────────────────────────────────────────────────────────────────


def with_layer(path: Path, *entries: images.Entry) -> Path:
    """The archive with one layer, which is called ``link``, and these entries more."""
    images.write_docker_archive(path, layers()[:1])
    rewrite(path, add(*entries))
    return edit_manifest(path, Layers=["link"])


def test_links_inside_the_archive_are_followed(tmp_path: Path) -> None:
    tar = layers()[0].tar()
    chain = [
        images.symlink_entry("link", "/folder/./up"),
        images.symlink_entry("folder/up", "../hard"),
        images.file_entry("data/layer.tar", tar),
        images.hardlink_entry("hard", "./data/layer.tar"),
    ]
    _, tars = scan(f"docker-archive:{with_layer(tmp_path / 'a.tar', *chain)}")
    assert tars == [tar]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([images.symlink_entry("link", "link")], "leads nowhere"),
        ([images.hardlink_entry("link", "link")], "leads nowhere"),
        ([images.symlink_entry("link", "b"), images.symlink_entry("b", "./link")], "leads nowhere"),
        ([images.symlink_entry("link", "../../etc/passwd")], "leaves the archive"),
        ([images.hardlink_entry("link", "../x")], "leaves the archive"),
        ([images.symlink_entry("link", "/etc/passwd")], "is not in the archive"),
        ([images.special_entry("link", tarfile.FIFOTYPE)], "device or pipe"),
        ([images.dir_entry("link")], "is not in the archive"),
        ([], "is not in the archive"),
    ],
)
def test_links_that_lead_elsewhere_are_refused(tmp_path: Path, entries: list[images.Entry], words: str) -> None:
    with pytest.raises(UntrustedContent, match=words):
        scan(f"docker-archive:{with_layer(tmp_path / 'a.tar', *entries)}")


# ── damaged and hostile ──────────────────────────────────────────────────────────────────────


def test_a_configuration_with_other_bytes_is_refused(classic: Path) -> None:
    (entry,) = manifest_of(classic)
    other = images.json_bytes({**images.image_config(layers()), "author": "someone else"})
    rewrite(classic, replace_file(entry["Config"], other))
    with pytest.raises(DigestMismatch, match=entry["Config"]):
        scan(f"docker-archive:{classic}")


def test_a_layer_with_other_bytes_is_refused(classic: Path) -> None:
    name = manifest_of(classic)[0]["Layers"][1]
    rewrite(classic, replace_file(name, layers()[0].tar()))
    with pytest.raises(DigestMismatch):
        scan(f"docker-archive:{classic}")


@pytest.mark.parametrize("name", ["oci-archive", "docker-archive"])
def test_a_truncated_archive_is_refused_wherever_it_ends(modern: Path, name: str) -> None:
    whole = modern.read_bytes()
    end = len(whole.rstrip(b"\0"))
    for cut in range(0, end, 700):
        modern.write_bytes(whole[:cut])
        with pytest.raises((UntrustedContent, UnsupportedTarget)):
            scan(f"{name}:{modern}")


def test_a_truncated_compressed_archive_is_refused(modern: Path) -> None:
    packed = gzip.compress(modern.read_bytes())
    modern.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(TruncatedStream):
        scan(f"docker-archive:{modern}")


def member_offsets(path: Path) -> list[int]:
    with tarfile.open(path) as tar:
        return [member.offset for member in tar]


def test_a_damaged_header_in_the_middle_hides_nothing(classic: Path) -> None:
    data = bytearray(classic.read_bytes())
    for offset in member_offsets(classic):
        spoiled = data.copy()
        spoiled[offset + 148] ^= 0x01
        classic.write_bytes(spoiled)
        with pytest.raises(MalformedArchive):
            scan(f"docker-archive:{classic}")


def test_bytes_behind_the_end_are_refused(classic: Path) -> None:
    with classic.open("ab") as file:
        file.write(bytes(10_000))
    assert len(scan(f"docker-archive:{classic}")[1]) == 3
    with classic.open("ab") as file:
        file.write(b"x")
    with pytest.raises(MalformedArchive, match="behind the archive's end"):
        scan(f"docker-archive:{classic}")


def extended(kind: bytes, size: int, data: bytes = b"") -> bytes:
    """An extended header that declares ``size`` bytes."""
    info = tarfile.TarInfo("header")
    info.type = kind
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT) + data.ljust(-(-len(data) // 512) * 512, b"\0")


def raw(field: bytes, offset: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header with ``field`` written over it at ``offset``, and its checksum made right."""
    block = bytearray(tarfile.TarInfo("name").tobuf(tarfile.GNU_FORMAT))
    block[156:157] = kind
    block[offset : offset + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


HUGE = 8 * 1024**3
DIGITS = b"9" * 900_000
HOSTILE: dict[str, tuple[bytes, type[UntrustedContent]]] = {
    "pax header of gigabytes": (extended(tarfile.XHDTYPE, HUGE), LimitExceeded),
    "global header of gigabytes": (extended(tarfile.XGLTYPE, HUGE), LimitExceeded),
    "long name of gigabytes": (extended(tarfile.GNUTYPE_LONGNAME, HUGE), LimitExceeded),
    "long link of gigabytes": (extended(tarfile.GNUTYPE_LONGLINK, HUGE), LimitExceeded),
    "digits without end": (extended(tarfile.XHDTYPE, len(DIGITS), DIGITS), MalformedArchive),
    "long names without end": (extended(tarfile.GNUTYPE_LONGNAME, 5, b"name") * 5000, UntrustedContent),
    "negative size": (raw(b"\xff" * 12, 124), MalformedArchive),
    "negative long name": (raw(b"\xff" * 10 + b"\xfd\xff", 124, tarfile.GNUTYPE_LONGNAME), MalformedArchive),
    "negative pax size": (
        extended(tarfile.XHDTYPE, 22, b"22 size=-99999999999 \n") + raw(b"", 0),
        UntrustedContent,
    ),
    "size beyond the file": (raw(b"77777777777\0", 124), TruncatedStream),
    "sparse map without end": (raw(b"S", 156, b"S") + bytes(512), UntrustedContent),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_headers_end_at_once(classic: Path, attack: str) -> None:
    header, error = HOSTILE[attack]
    classic.write_bytes(header + classic.read_bytes())
    with pytest.raises(error):
        scan(f"docker-archive:{classic}")


def test_a_bomb_is_not_expanded(modern: Path) -> None:
    modern.write_bytes(gzip.compress(modern.read_bytes() + bytes(5_000_000)))
    with pytest.raises(LimitExceeded, match="limit expanded"):
        scan(f"docker-archive:{modern}", limits=Limits(expanded=1_000_000))


def test_there_are_not_too_many_members(classic: Path) -> None:
    with pytest.raises(LimitExceeded, match="limit archive_members"):
        scan(f"docker-archive:{classic}", limits=Limits(archive_members=5))


def test_documents_may_not_be_there_twice(classic: Path) -> None:
    rewrite(classic, add(images.file_entry("./manifest.json", b"[]")))
    with pytest.raises(MalformedArchive, match="twice"):
        scan(f"docker-archive:{classic}")


def test_a_layer_stored_with_holes_is_refused(tmp_path: Path) -> None:
    info, _ = images.file_entry("link", b"")
    info.pax_headers = {"GNU.sparse.map": "0,4", "GNU.sparse.size": "8", "GNU.sparse.numblocks": "1"}
    with pytest.raises(MalformedArchive, match="holes"):
        scan(f"docker-archive:{with_layer(tmp_path / 'a.tar', (info, b''))}")


@pytest.mark.parametrize(
    "changes",
    [
        {"Layers": "layer.tar"},
        {"Layers": [1]},
        {"Config": None},
        {"Config": ["c"]},
        {"RepoTags": "a:b"},
        {"Config": "../../../etc/passwd"},
        {"Layers": ["../../../etc/passwd"] * 3},
        {"Layers": []},
    ],
)
def test_a_wrong_manifest_is_refused(classic: Path, changes: dict[str, object]) -> None:
    edit_manifest(classic, **changes)
    with pytest.raises(UntrustedContent):
        scan(f"docker-archive:{classic}")


@pytest.mark.parametrize("text", ["{}", "null", "[]", "[[]]", "[", "[" * 50_000])
def test_a_manifest_that_is_none_is_refused(classic: Path, text: str) -> None:
    rewrite(classic, replace_file("manifest.json", text.encode()))
    with pytest.raises((UntrustedContent, UnsupportedTarget)):
        scan(f"docker-archive:{classic}")


def test_archives_that_are_none_are_explained(tmp_path: Path, modern: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(images.tar_of([images.file_entry("0123/json", b"{}"), images.file_entry("repositories", b"{}")]))
    with pytest.raises(UnsupportedTarget, match=r"Docker before 1\.10"):
        scan(f"docker-archive:{path}")
    path.write_bytes(images.tar_of([images.file_entry("etc/passwd", b"")]))
    with pytest.raises(UnsupportedTarget, match=r"has no manifest\.json"):
        scan(f"docker-archive:{path}")
    with pytest.raises(UnsupportedTarget, match="no file 'oci-layout'"):
        scan(f"oci-archive:{path}")
    path.write_bytes(b"PK\x03\x04" + bytes(600))
    with pytest.raises(MalformedArchive):
        scan(f"docker-archive:{path}")
    with pytest.raises(UnsupportedTarget, match="a directory"):
        scan(f"docker-archive:{tmp_path}")
    with pytest.raises(TargetNotFound, match="no such file"):
        scan(f"docker-archive:{tmp_path}/none.tar")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsupportedTarget, match="no regular file"):
        scan(f"docker-archive:{tmp_path}/pipe")


# ── detection ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_archives_are_told_by_what_is_in_them(
    tmp_path: Path, classic: Path, modern: Path, pack: Callable[[bytes], bytes]
) -> None:
    rootfs = images.tar_of([images.dir_entry("etc"), images.file_entry("manifest.json", b'{"a": []}')])
    found = {}
    for name, data in {"c": classic.read_bytes(), "m": modern.read_bytes(), "r": rootfs, "t": b"text" * 500}.items():
        path = tmp_path / name
        path.write_bytes(pack(data))
        found[name] = detect_archive(path, Limits())
    assert found == {"c": "docker-archive", "m": "oci-archive", "r": None, "t": None}


def test_a_tree_of_very_many_files_is_no_image_archive(tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    path.write_bytes(images.tar_of(images.file_entry(str(number)) for number in range(20)))
    assert detect_archive(path, Limits(archive_members=10)) is None


def test_empty_and_short_files_are_no_archives(tmp_path: Path) -> None:
    for data in (b"", b"\0" * 100, bytes(2048), gzip.compress(b""), gzip.compress(b"short")):
        (tmp_path / "x").write_bytes(data)
        assert detect_archive(tmp_path / "x", Limits()) is None


def test_a_damaged_archive_is_not_taken_for_something_else(classic: Path) -> None:
    data = bytearray(classic.read_bytes())
    data[member_offsets(classic)[2] + 148] ^= 0x01
    classic.write_bytes(data)
    with pytest.raises(MalformedArchive):
        detect_archive(classic, Limits())


def test_reading_from_the_archive_ends_with_the_block(classic: Path) -> None:
    reference = ArchiveReference(scheme="docker-archive", path=str(classic), name=None, digest=None)
    with open_archive(reference, platform=None, options=SourceOptions()) as (image,):
        opened = image.layers[0].open()
    with opened as stream, pytest.raises(ValueError, match="closed file"):
        stream.read(1)
