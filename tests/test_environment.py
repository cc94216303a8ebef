"""Environments read off their paths, and which wheels suit them."""

from __future__ import annotations

import io
import time
from typing import BinaryIO, cast

import pytest
from packaging.tags import parse_tag

from fixtures.images import file_entry, tar_of
from scanner.environment import Environment, fits, said_places
from scanner.image import Platform
from scanner.inventories import take_inventory
from scanner.limits import DEFAULT_LIMITS
from scanner.record import Landing, parse_record
from scanner.rootfs import RootFS

LIB = "/v/lib/python3.11/site-packages"
AMD64 = Platform("linux", "amd64")


def tree(**files: bytes) -> RootFS:
    data = tar_of(file_entry(path, content) for path, content in files.items())
    return RootFS.of([take_inventory(cast("BinaryIO", io.BytesIO(data)), limits=DEFAULT_LIMITS)])


@pytest.mark.parametrize(
    ("path", "prefix", "twin", "folder", "python"),
    [
        (
            "/usr/local/lib/python3.11/site-packages",
            "/usr/local",
            "/usr/local/lib64/python3.11/site-packages",
            "python3.11",
            (3, 11),
        ),
        ("/opt/v/lib64/python3.9/site-packages", "/opt/v", "/opt/v/lib/python3.9/site-packages", "python3.9", (3, 9)),
        ("/usr/lib/python3/dist-packages", "/usr", "/usr/lib64/python3/dist-packages", "python3", None),
        ("/v/lib/python3.13t/site-packages", "/v", "/v/lib64/python3.13t/site-packages", "python3.13t", (3, 13)),
        ("/v/lib/pypy3.10/site-packages", "/v", "/v/lib64/pypy3.10/site-packages", "pypy3.10", (3, 10)),
        ("/lib/python3.8/site-packages", "", "/lib64/python3.8/site-packages", "python3.8", (3, 8)),
        ("/v/lib32/python3.8/site-packages", "/v", None, "python3.8", (3, 8)),
        ("/var/task", "/var/task", None, "", None),
        ("/", "/", None, "", None),
        ("/v/lib/python3.11/site-packages/vendor", "/v/lib/python3.11/site-packages/vendor", None, "", None),
        ("/v/lib/python3.11/site-packages-x", "/v/lib/python3.11/site-packages-x", None, "", None),
    ],
)
def test_read_off_the_path(
    path: str, prefix: str, twin: str | None, folder: str, python: tuple[int, int] | None
) -> None:
    found = Environment.of(path)
    assert (found.path, found.prefix, found.twin, found.folder, found.python) == (path, prefix, twin, folder, python)


@pytest.mark.parametrize(
    ("config", "version"),
    [
        (b"home = /usr/bin\nversion = 3.12.4\n", (3, 12)),
        (b"version_info=3.10.0.final.0\n", (3, 10)),
        (b"  version  =  3.9  \n", (3, 9)),
        (b"VERSION = 3.9\n", None),
        (b"version = three\n", None),
        ("version = \u00b3.\u00b9\n".encode(), None),
        ("version = \u0663.\u0661\n".encode(), None),
        (b"version = 3." + b"9" * 10_000, None),
        (b"\xff\xfe\0\n", None),
        (b"", None),
    ],
)
def test_the_version_of_a_venv(config: bytes, version: tuple[int, int] | None) -> None:
    rootfs = tree(**{"v/pyvenv.cfg": config})
    assert Environment.of("/v/lib/python/site-packages", rootfs).python == version
    assert Environment.of("/v/lib/python3.6/site-packages", rootfs).python == (3, 6)


@pytest.mark.parametrize(
    ("landing", "expected"),
    [
        (
            Landing("lib", "x/y.py"),
            ["/v/lib/python3.11/site-packages/x/y.py", "/v/lib64/python3.11/site-packages/x/y.py"],
        ),
        (Landing("scripts", "tool"), ["/v/bin/tool", "/v/Scripts/tool", f"{LIB}/bin/tool", f"{LIB}/Scripts/tool"]),
        (Landing("data", "share/x"), ["/v/share/x", f"{LIB}/share/x"]),
        (
            Landing("headers", "x.h"),
            [
                f"{home}/include/{middle}proj/x.h"
                for home in ("/v", LIB)
                for middle in ("site/python3.11/", "python3.11/", "python/", "")
            ],
        ),
    ],
)
def test_places(landing: Landing, expected: list[str]) -> None:
    """In the prefix; and below the folder itself, where ``--target`` with such a name puts them."""
    assert list(Environment.of(LIB).places(landing, "proj")) == expected


def test_places_of_the_flat_form() -> None:
    flat = Environment.of("/var/task")
    assert list(flat.places(Landing("lib", "x.py"), "p")) == ["/var/task/x.py"]
    assert next(flat.places(Landing("scripts", "tool"), "p")) == "/var/task/bin/tool"


@pytest.mark.parametrize(
    ("landing", "place"),
    [
        (Landing("lib", "x.py"), "/r/site-packages/x.py"),
        (Landing("scripts", "tool"), "/r/bin/tool"),
        (Landing("scripts", "tool"), "/r/site-packages/bin/tool"),
        (Landing("data", "share/x"), "/r/data/share/x"),
        (Landing("headers", "x.h"), "/r/include/x.h"),
    ],
)
def test_places_of_a_bare_site_packages(landing: Landing, place: str) -> None:
    """Bazel's rules_python puts bin, data and include beside it."""
    assert place in list(Environment.of("/r/site-packages").places(landing, "p"))


def test_what_a_record_says_lies_outside() -> None:
    rows = b"x.py,,\n../../../bin/tool,,\n../../../bin/tool,,\n../../x/tool,,\n" + b"../" * 50 + b"etc/passwd,,\n"
    said = said_places(parse_record(rows), "/v/lib/python3.11/site-packages")
    assert said == {"tool": ("/v/bin/tool", "/v/lib/x/tool"), "passwd": ("/etc/passwd",)}
    assert said_places(None, "/v") == {}


def test_a_record_of_one_name_takes_linear_time() -> None:
    record = parse_record(b"".join(b"../%d/x,,\n" % number for number in range(100_000)))
    started = time.process_time()
    assert len(said_places(record, "/v/lib")["x"]) == 100_000
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("tag", "fit"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py2-none-any", False),
        ("py311-none-any", True),
        ("py312-none-any", False),
        ("cp311-cp311-manylinux2014_x86_64", True),
        ("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
        ("cp310-cp310-manylinux2014_x86_64", False),
        ("cp38-abi3-manylinux2014_x86_64", True),
        ("cp312-abi3-manylinux2014_x86_64", False),
        ("cp311-cp311-manylinux2014_aarch64", False),
        ("cp311-cp311-musllinux_1_1_x86_64", False),
        ("cp311-cp311-linux_x86_64", True),
        ("cp311-cp311-macosx_11_0_x86_64", False),
        ("cp311-cp311-win_amd64", False),
        ("pp310-pypy310_pp73-manylinux2014_x86_64", False),
        ("pp311-pypy311_pp73-manylinux2014_x86_64", True),
        ("odd-none-any", False),
    ],
)
def test_what_fits_python_311_on_amd64(tag: str, *, fit: bool) -> None:
    environment = Environment.of("/v/lib/python3.11/site-packages")
    assert fits(parse_tag(tag), environment, AMD64, musl=False) is fit


@pytest.mark.parametrize(
    ("platform", "tag", "fit"),
    [
        (Platform("linux", "arm64", "v8"), "cp311-cp311-manylinux2014_aarch64", True),
        (Platform("linux", "386"), "cp311-cp311-manylinux2014_i686", True),
        (Platform("linux", "arm", "v7"), "cp311-cp311-linux_armv7l", True),
        (Platform("linux", "s390x"), "cp311-cp311-manylinux2014_s390x", True),
        (Platform("linux", "s390x"), "cp311-cp311-manylinux2014_x86_64", False),
        (None, "cp311-cp311-manylinux2014_s390x", True),
        (None, "cp311-cp311-win_amd64", False),
    ],
)
def test_what_fits_other_platforms(platform: Platform | None, tag: str, *, fit: bool) -> None:
    environment = Environment.of("/v/lib/python3.11/site-packages")
    assert fits(parse_tag(tag), environment, platform, musl=False) is fit


def test_what_fits_musl_and_what_is_not_known() -> None:
    environment = Environment.of("/v/lib/python3.11/site-packages")
    assert fits(parse_tag("cp311-cp311-musllinux_1_1_x86_64"), environment, AMD64, musl=True)
    assert not fits(parse_tag("cp311-cp311-manylinux2014_x86_64"), environment, AMD64, musl=True)
    unknown = Environment.of("/var/task")
    assert fits(parse_tag("cp39-cp39-manylinux2014_x86_64"), unknown, AMD64, musl=False)
    assert not fits(parse_tag("py2-none-any"), unknown, AMD64, musl=False)
    assert not fits([], unknown, AMD64, musl=False)
