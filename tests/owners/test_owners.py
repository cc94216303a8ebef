"""Who owns a path: dpkg, distroless status.d and apk, and files that are not the owner's any more."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from fixtures.images import Entry, file_entry, symlink_entry, tar_of, whiteout_entry
from fixtures.trees import debian_distribution
from scanner.inventories import take_directory, take_inventory
from scanner.limits import DEFAULT_LIMITS
from scanner.owner import Owner
from scanner.owners import Owners
from scanner.rootfs import RootFS

DEBIAN = "usr/lib/python3/dist-packages"
METADATA = f"{DEBIAN}/x-1.dist-info/METADATA"
BYTES = b"Name: x\n"


def owners(*layers: list[Entry]) -> Owners:
    taken = [take_inventory(cast("BinaryIO", io.BytesIO(tar_of(one))), limits=DEFAULT_LIMITS) for one in layers]
    return Owners(RootFS.of(taken))


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def says(owner: Owner | None, data: bytes) -> bool | None:
    assert owner is not None
    return owner.agrees(data=data, sha256=hashlib.sha256(data).digest())


def dpkg(package: str, listed: str, sums: str = "") -> list[Entry]:
    entries = [file_entry(f"var/lib/dpkg/info/{package}.list", listed.encode("utf-8", "surrogateescape"))]
    return [*entries, file_entry(f"var/lib/dpkg/info/{package}.md5sums", sums.encode("utf-8", "surrogateescape"))]


def package_of(found: Owners, path: str) -> str | None:
    owner = found.of(path)
    return owner.package if owner else None


def test_a_package_of_debian(tmp_path: Path) -> None:
    debian_distribution(tmp_path, "Py.Yaml", "6.0", {"yaml/__init__.py": b"1\n"})
    found = Owners(RootFS.of([take_directory(tmp_path, limits=DEFAULT_LIMITS)]))
    owner = found.of(f"/{DEBIAN}/py_yaml-6.0.dist-info/METADATA")
    assert owner is not None
    assert owner.package == "dpkg:python3-py-yaml"
    assert says(owner, (tmp_path / DEBIAN / "py_yaml-6.0.dist-info/METADATA").read_bytes()) is True
    assert says(owner, b"another") is False
    assert package_of(found, f"/{DEBIAN}/yaml/__init__.py") == "dpkg:python3-py-yaml"
    assert found.of(f"/{DEBIAN}/yaml/other.py") is None
    assert found.of("/usr") is None


def test_names_with_an_architecture() -> None:
    found = owners([*dpkg("libx:amd64", f"/{METADATA}\n", f"{md5(BYTES)}  {METADATA}\n"), file_entry(METADATA, BYTES)])
    assert found.of(f"/{METADATA}") == Owner(package="dpkg:libx", algorithm="md5", digest=hashlib.md5(BYTES).digest())


def test_paths_from_before_usr_was_merged() -> None:
    listed = "lib/python3/dist-packages/x-1.dist-info/METADATA"
    merged = [symlink_entry("lib", "usr/lib"), file_entry(METADATA, BYTES)]
    found = owners([*dpkg("x", f"/{listed}\n", f"{md5(BYTES)}  {listed}\n"), *merged])
    assert package_of(found, f"/{METADATA}") == "dpkg:x"
    assert found.of(f"/{listed}") is None  # real paths only


def test_a_digest_counts_more_than_none() -> None:
    without = dpkg("a", f"/{METADATA}\n")
    with_one = dpkg("b", f"/{METADATA}\n", f"{md5(BYTES)}  {METADATA}\n")
    for order in ([*without, *with_one], [*with_one, *without]):
        owner = owners([*order, file_entry(METADATA, BYTES)]).of(f"/{METADATA}")
        assert owner is not None
        assert (owner.package, owner.digest.hex()) == ("dpkg:b", md5(BYTES))


def test_distroless() -> None:
    entries = [
        file_entry("var/lib/dpkg/status.d/python3-x", b"Package: python3-x\n"),
        file_entry("var/lib/dpkg/status.d/python3-x.md5sums", f"{md5(BYTES).upper()}  ./{METADATA}\n".encode()),
        file_entry("var/lib/dpkg/status.d/libpython3.11-stdlib", b"Package: y\n"),
        file_entry(METADATA, BYTES),
    ]
    owner = owners(entries).of(f"/{METADATA}")
    assert owner is not None
    assert (owner.package, says(owner, BYTES), says(owner, b"")) == ("dpkg:python3-x", True, False)


def test_a_list_without_digests_denies_nothing() -> None:
    owner = owners([*dpkg("x", f"/{METADATA}\n"), file_entry(METADATA, BYTES)]).of(f"/{METADATA}")
    assert says(owner, b"anything") is None
    assert Owner(package="x", algorithm="md5", digest=b"0").agrees(data=None, sha256=b"") is None


@pytest.mark.parametrize(
    "sums", ["", "no digest at all\n", "00  short\n", f"{'z' * 32}\n", f"{'0' * 32} one space\n", "\n\n", "\x00"]
)
def test_lists_that_are_garbage(sums: str) -> None:
    found = owners([*dpkg("x", f"\n/{METADATA}\n\n", sums), file_entry(METADATA, BYTES)])
    assert found.of(f"/{METADATA}") == Owner(package="dpkg:x")


def test_lines_end_where_dpkg_ends_them() -> None:
    odd = f"/{DEBIAN}/od\x0b\u2028\x85d.py"
    found = owners([*dpkg("x", f"{odd}\n"), file_entry(odd[1:], b"1")])
    assert package_of(found, odd) == "dpkg:x"


def test_a_package_that_was_removed_owns_nothing() -> None:
    gone = [whiteout_entry(f"var/lib/dpkg/info/x.{suffix}") for suffix in ("list", "md5sums")]
    assert owners([*dpkg("x", f"/{METADATA}\n"), file_entry(METADATA, BYTES)], gone).of(f"/{METADATA}") is None


def test_the_database_of_the_machine_is_not_the_target_s() -> None:
    odd = [symlink_entry("var/lib/dpkg", "/../../../../../var/lib/dpkg"), file_entry(METADATA, BYTES)]
    assert owners(odd).of(f"/{METADATA}") is None


ALPINE = "usr/lib/python3.12/site-packages"
APK = f"""C:Q1abc=
P:py3-x
V:1.0-r0
F:usr
F:{ALPINE}
R:single.py
F:{ALPINE}/x-1.dist-info
M:0:0:755
R:METADATA
a:0:0:644
Z:Q1{base64.b64encode(hashlib.sha1(BYTES).digest()).decode()}
R:RECORD
R:WHEEL
Z:Q1%%%not-base64
F:bin
R:busybox
Z:Q1AAAA

P:other
F:
R:top.dist-info
"""


@pytest.mark.parametrize("place", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_a_package_of_alpine(place: str) -> None:
    found = owners([file_entry(place, APK.encode())])
    owner = found.of(f"/{ALPINE}/x-1.dist-info/METADATA")
    assert owner is not None
    assert (owner.package, owner.algorithm) == ("apk:py3-x", "sha1")
    assert (says(owner, BYTES), says(owner, b"another")) == (True, False)
    for name in ("RECORD", "WHEEL"):
        assert found.of(f"/{ALPINE}/x-1.dist-info/{name}") == Owner(package="apk:py3-x")
    assert package_of(found, f"/{ALPINE}/single.py") == "apk:py3-x"
    assert package_of(found, "/top.dist-info") == "apk:other"
    assert package_of(found, "/bin/busybox") == "apk:py3-x"


def test_an_alpine_database_that_is_garbage() -> None:
    found = owners([file_entry("lib/apk/db/installed", b"\xff\xfe\nR:\nZ:Q1\nR:-packages/x\n:::\nF\n\n\n")])
    assert package_of(found, "/-packages/x") == "apk:"
