"""Artifacts under names that are not their own, told by their bytes; and what is none."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import parse_tag

from fixtures import wheels
from scanner.artifact import Artifact, Trouble, looks_like, of_source_name, open_artifact, open_wheel
from scanner.digest import Digest
from scanner.errors import WheelUnreadable
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.wheel import WheelName, wheel_filename

METADATA = b"Metadata-Version: 2.4\nName: Demo.Pkg\nVersion: 1.0\n\nName: other\n"


def opened(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Artifact:
    return open_artifact(io.BytesIO(data), sha256=Digest.of(data), limits=limits)


def tar(files: Mapping[str, bytes], *, compress: str = "gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    data = stream.getvalue()
    return gzip.compress(data) if compress == "gz" else bz2.compress(data) if compress == "bz2" else data


def zipped(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


# --- wheels ---


@pytest.mark.parametrize(
    "tag", ["py3-none-any", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "py2.py3-none-any"]
)
def test_a_wheel_names_itself(tmp_path: Path, tag: str) -> None:
    wheel = wheels.make_wheel(tmp_path, "Demo.Pkg", "1.0", {"demo/__init__.py": b""}, tag=tag)
    found = opened(wheel.read_bytes())
    assert (found.name, found.version, found.trouble) == ("demo-pkg", "1.0", None)
    assert found.wheel is not None
    assert found.wheel.proved
    name = WheelName.parse(found.wheel.filename)
    assert name is not None
    assert name.tags == parse_tag(tag)


def test_a_wheel_with_a_vendored_dist_info_is_named_by_its_own(tmp_path: Path) -> None:
    wheel = wheels.make_wheel(tmp_path, "demo", "1.0", {"demo/_vendor/six-1.16.0.dist-info/WHEEL": b""})
    assert opened(wheel.read_bytes()).name == "demo"


def test_two_wheels_in_one_have_no_name() -> None:
    data = zipped({"a-1.dist-info/WHEEL": b"", "b-1.dist-info/WHEEL": b""})
    with pytest.raises(WheelUnreadable, match="2 dist-info"):
        wheel_filename(io.BytesIO(data), limits=DEFAULT_LIMITS)
    assert opened(data).trouble is Trouble.CORRUPT


@pytest.mark.parametrize("how", ["cut", "flipped", "headless"])
def test_a_damaged_wheel_is_corrupt(tmp_path: Path, how: str) -> None:
    data = wheels.make_wheel(tmp_path, "demo", "1.0", {"demo/x.py": bytes(range(256)) * 40}).read_bytes()
    damaged = {
        "cut": data[: len(data) // 2],
        "flipped": data[:70] + bytes([data[70] ^ 1]) + data[71:],
        "headless": data[:-22],
    }[how]
    found = opened(damaged)
    assert found.trouble is Trouble.CORRUPT
    assert found.detail.startswith("is no wheel: it begins like a zip (")
    named = open_wheel(
        io.BytesIO(damaged), filename="demo-1.0-py3-none-any.whl", sha256=Digest.of(damaged), limits=DEFAULT_LIMITS
    )
    assert named.trouble is Trouble.CORRUPT


# --- source archives ---


@pytest.mark.parametrize("compress", ["gz", "bz2"])
def test_a_source_archive_is_named_by_its_metadata(compress: str) -> None:
    files = {"demo_pkg-1.0/setup.py": b"", "demo_pkg-1.0/PKG-INFO": METADATA, "demo_pkg-1.0/x/PKG-INFO": b"Name: no\n"}
    found = opened(tar(files, compress=compress))
    assert (found.name, found.version, found.wheel, found.trouble) == ("demo-pkg", "1.0", None, None)


def test_a_zipped_source_archive() -> None:
    found = opened(zipped({"demo-1.0/PKG-INFO": METADATA}))
    assert (found.name, found.version, found.trouble) == ("demo-pkg", "1.0", None)


def test_without_metadata_its_folder_names_it() -> None:
    found = opened(tar({"demo_pkg-1.0/setup.py": b"", "demo_pkg-1.0/README": b""}))
    assert (found.name, found.version, found.trouble) == ("demo-pkg", "1.0", None)


def test_a_cut_one_is_named_as_far_as_it_goes() -> None:
    whole = tar({"demo-1.0/a": b"x" * 1000, "demo-1.0/noise": bytes(range(256)) * 400, "demo-1.0/PKG-INFO": METADATA})
    assert opened(whole).name == "demo-pkg"
    assert opened(whole[: len(whole) // 2]).name == "demo"


@pytest.mark.parametrize("make", [tar, zipped])
def test_a_source_tree_that_names_nothing(make: Callable[[Mapping[str, bytes]], bytes]) -> None:
    data = make({"repo-main/pyproject.toml": b"", "repo-main/x.py": b""})
    found = opened(data)
    assert (found.trouble, found.name) == (Trouble.NAMELESS, None)


def test_its_metadata_are_looked_for_within_bounds() -> None:
    far = tar({"demo-1.0/a": b"", "demo-1.0/b": bytes(8_000_000), "demo-1.0/PKG-INFO": METADATA})
    assert opened(far).name == "demo-pkg"
    assert opened(far, Limits(source_archive=4_000_000)).name == "demo", "by its folder"


@pytest.mark.parametrize(
    ("filename", "said"),
    [
        ("demo_pkg-1.0.tar.gz", ("demo-pkg", "1.0")),
        ("zope.interface-7.2.tar.gz", ("zope-interface", "7.2")),
        ("demo-1.0.zip", ("demo", "1.0")),
        ("demo-1.0.tar.bz2", ("demo", "1.0")),
        ("main.zip", None),
        ("repo-main.tar.gz", None),
        ("demo-1.0.exe", None),
        ("d" * 300 + "-1.0.tar.gz", None),
    ],
)
def test_names_of_source_archives(filename: str, said: tuple[str, str] | None) -> None:
    assert of_source_name(filename) == said


# --- neither ---


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html>\n<html>", "an HTML page"),
        (b"\xef\xbb\xbf \n<HTML>", "an HTML page"),
        (b"<?xml version='1.0'?><Error/>", "an XML document"),
        (b'{"errors": []}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\0" * 600, "zeros"),
        (b"", "it is empty"),
        (b"Not Found", "text"),
        (gzip.compress(b"<html>", mtime=0), "gzip"),
        (b"\x7fELF\2\1\1\0\xff", "no known form"),
        (tar({"a/b": b""}, compress=""), "no known form"),
    ],
)
def test_what_is_something_else(data: bytes, words: str) -> None:
    found = opened(data)
    assert (found.trouble, found.name) == (Trouble.OTHER, None)
    assert words in found.detail


def test_a_bomb_is_not_unpacked() -> None:
    assert opened(gzip.compress(b"\0" * 50_000_000), Limits(expansion_grace=1_000_000)).trouble is Trouble.OTHER


@given(st.binary(max_size=600), st.sampled_from([b"", b"PK\3\4", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0"]))
def test_any_bytes(data: bytes, start: bytes) -> None:
    opened(start + data)
    looks_like(start + data)
