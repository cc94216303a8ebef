"""Finding what is installed: names, versions and links as bad as they come."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.images import Entry, dir_entry, file_entry, hardlink_entry, special_entry, symlink_entry, tar_of
from fixtures.wheels import make_wheel
from scanner.digest import Digest
from scanner.distribution import Finding, FindingKind, Installed, WheelFile
from scanner.finders import find
from scanner.inventories import take_inventory
from scanner.limits import DEFAULT_LIMITS, KIB, Limits
from scanner.rootfs import RootFS

SITE = "usr/lib/python3.11/site-packages"
SHA = "ab" * 32


def found(*entries: Entry, limits: Limits = DEFAULT_LIMITS) -> list[Installed | WheelFile | Finding]:
    inventory = take_inventory(cast("BinaryIO", io.BytesIO(tar_of(entries))), limits=limits)
    rootfs = RootFS.of([inventory])
    return [*find(rootfs), *rootfs.findings]


def installed(*entries: Entry) -> Installed:
    """The one distribution; and nothing else is found."""
    (one,) = found(*entries)
    assert isinstance(one, Installed)
    return one


def findings(*entries: Entry) -> list[tuple[FindingKind, str]]:
    return [(one.kind, one.path) for one in found(*entries) if isinstance(one, Finding)]


def info(folder: str, **files: bytes) -> list[Entry]:
    return [file_entry(f"{SITE}/{folder}/{name.replace('__', '.')}", content) for name, content in files.items()]


def metadata(name: str, version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: body\n".encode()


def test_all_that_a_dist_info_says() -> None:
    one = installed(
        *info(
            "Ruamel.Yaml-1.0.dist-info",
            METADATA=metadata("Ruamel.Yaml", "1.0"),
            RECORD=b"x.py,,\n",
            INSTALLER=b"pip\n",
            WHEEL=b"Wheel-Version: 1.0\nTag: py3-none-any\nTag: py2-none-any\n",
        ),
        *info("Ruamel.Yaml-1.0.dist-info/sboms", x__json=json.dumps({"creationInfo": {}}).encode()),
    )
    assert (one.name, one.version, one.installer) == ("ruamel-yaml", "1.0", "pip")
    assert one.location == f"/{SITE}/Ruamel.Yaml-1.0.dist-info"
    assert one.environment == f"/{SITE}"
    assert one.tags == {"py3-none-any", "py2-none-any"}
    assert one.record is not None
    assert [row.path for row in one.record.rows] == ["x.py"]
    assert set(one.documents) == {"METADATA", "RECORD", "INSTALLER", "WHEEL", "sboms/x.json"}
    assert not one.claims_chainguard


@pytest.mark.parametrize(
    ("folder", "name", "version"),
    [
        ("zope.interface-5.0.dist-info", "zope-interface", "5.0"),
        ("Typing_Extensions-4.0.0rc1.dist-info", "typing-extensions", "4.0.0rc1"),
        ("x-1.0+local.1.dist-info", "x", "1.0+local.1"),
        ("x-1!2.0.dist-info", "x", "1!2.0"),
        ("no_version.dist-info", "no-version", None),
        ("old-name-1.0.dist-info", "old-name", "1.0"),
        ("egg-1.0-py3.11.egg-info", "egg", "1.0"),
        ("egg-py3.11.egg-info", "egg", None),
        ("develop.egg-info", "develop", None),
        ("a-b-c.dist-info", "a-b-c", None),
    ],
)
@pytest.mark.parametrize("data", [None, b"", b"\xff\xfe\0garbage\n", b"Name:\nVersion:\n", b"\n\nName: late\n"])
def test_without_metadata_the_folder_says_it(folder: str, name: str, version: str | None, data: bytes | None) -> None:
    document = "METADATA" if folder.endswith(".dist-info") else "PKG-INFO"
    files = [] if data is None else [file_entry(f"{SITE}/{folder}/{document}", data)]
    one, *faults = found(dir_entry(f"{SITE}/{folder}"), *files)
    assert isinstance(one, Installed)
    assert (one.name, one.version) == (name, version)
    told = [(fault.kind, fault.path) for fault in faults if isinstance(fault, Finding)]
    assert told == [
        (FindingKind.UNREADABLE, f"/{SITE}/{folder}/{document}") for _ in files
    ]  # removed ones are no fault


@pytest.mark.parametrize(
    ("data", "name", "version"),
    [
        (b"\xef\xbb\xbfName: Bom\nVersion: 1\n", "bom", "1"),
        (b"NAME: Upper\r\nversion: 2\r\n", "upper", "2"),
        (b"Name:tight\nVersion:3\n", "tight", "3"),
        (b"Name: first\nName: second\nVersion: 4\nVersion: 5\n", "first", "4"),
        (b"Name: ../../etc\nName: fine\nVersion: 1/../..\nVersion: 6\n", "fine", "6"),
        (b"Name: \x1b[31mred\nVersion: \x1b[0m\n", "folder", "9"),
        (b"Name: " + b"x" * 300 + b"\nVersion: " + b"1" * 300 + b"\n", "folder", "9"),
        (b"Summary: x\x0bName: hidden\x85Name: hidden\nName: shown\nVersion: 7\n", "shown", "7"),
        (b"Name: caf\xc3\xa9\nVersion: 8\n", "folder", "8"),
        (b"Name: -x-\nVersion: 8\n", "folder", "8"),
    ],
)
def test_metadata_as_bad_as_it_comes(data: bytes, name: str, version: str) -> None:
    things = found(*info("folder-9.dist-info", METADATA=data))
    [one] = [one for one in things if isinstance(one, Installed)]
    assert (one.name, one.version) == (name, version)
    faults = [one.kind for one in things if isinstance(one, Finding)]
    assert faults == ([FindingKind.UNREADABLE] if name == "folder" else [])


@pytest.mark.parametrize("folder", [".dist-info", "-1.0.dist-info", "a b.dist-info", "\n-1.dist-info", "é.egg-info"])
def test_folders_that_name_nothing(folder: str) -> None:
    assert findings(dir_entry(f"{SITE}/{folder}")) == [(FindingKind.UNREADABLE, f"/{SITE}/{folder}")]


def test_an_egg_info_that_is_one_file() -> None:
    one = installed(file_entry(f"{SITE}/single-1.0-py3.9.egg-info", metadata("Single", "1.0")))
    assert (one.name, one.version, one.location) == ("single", "1.0", f"/{SITE}/single-1.0-py3.9.egg-info")
    assert set(one.documents) == {"PKG-INFO"}


def test_in_the_root() -> None:
    one = installed(file_entry("x-1.dist-info/METADATA", metadata("x", "1")))
    assert (one.environment, one.location) == ("/", "/x-1.dist-info")


def test_leftovers_of_pip() -> None:
    left = info("~ip-1.0.dist-info", METADATA=metadata("pip", "1.0"))
    assert findings(*left) == [(FindingKind.STALE_METADATA, f"/{SITE}/~ip-1.0.dist-info")]


@pytest.mark.parametrize("entry", [file_entry, lambda path, _: special_entry(path, tarfile.FIFOTYPE)])
def test_what_is_named_like_metadata_and_is_no_folder(entry: Callable[[str, bytes], Entry]) -> None:
    assert findings(entry(f"{SITE}/x-1.0.dist-info", b"x")) == [(FindingKind.UNREADABLE, f"/{SITE}/x-1.0.dist-info")]


def test_licences_of_vendored_metadata_are_no_metadata() -> None:
    """PEP 639 keeps their paths: bleach 6.2 has ``licenses/bleach/_vendor/html5lib-1.1.dist-info/LICENSE``."""
    licence = file_entry(f"{SITE}/x-1.0.dist-info/licenses/x/_vendor/y-1.1.dist-info/LICENSE", b"MIT")
    assert installed(*info("x-1.0.dist-info", METADATA=metadata("x", "1.0")), licence).name == "x"


# --- links ---


def test_a_link_to_another_dist_info_is_found_once() -> None:
    real = info("x-1.0.dist-info", METADATA=metadata("x", "1.0"))
    one, alias = sorted(
        found(*real, symlink_entry(f"{SITE}/x-2.0.dist-info", "x-1.0.dist-info")),
        key=lambda one: isinstance(one, Finding),
    )
    assert isinstance(one, Installed)
    assert (one.location, one.aliases) == (f"/{SITE}/x-1.0.dist-info", (f"/{SITE}/x-2.0.dist-info",))
    assert isinstance(alias, Finding)
    assert (alias.kind, alias.path) == (FindingKind.STALE_METADATA, f"/{SITE}/x-2.0.dist-info")


def test_a_link_to_a_folder_of_another_name_is_a_distribution_whose_metadata_was_not_kept() -> None:
    store = file_entry("store/abc/METADATA", metadata("x", "1.0"))
    things = found(store, symlink_entry(f"{SITE}/y-2.0.dist-info", "/store/abc"))
    assert [(one.name, one.version, one.environment) for one in things if isinstance(one, Installed)] == [
        ("y", "2.0", f"/{SITE}")
    ]
    assert [one.kind for one in things if isinstance(one, Finding)] == [FindingKind.UNREADABLE]


@pytest.mark.parametrize("link", ["nowhere", "x-1.0.dist-info", "../../../../../nowhere"])
def test_a_link_to_nothing(link: str) -> None:
    path = f"{SITE}/x-1.0.dist-info"
    assert findings(symlink_entry(path, link)) == [(FindingKind.DANGLING_LINK, f"/{path}")]


def test_metadata_that_is_a_link() -> None:
    store = file_entry("cache/y-1.dist-info/METADATA", metadata("y", "1"))
    folder = f"{SITE}/x-1.0.dist-info"
    names = {
        one.name
        for one in found(store, symlink_entry(f"{folder}/METADATA", "/cache/y-1.dist-info/METADATA"))
        if isinstance(one, Installed)
    }
    assert names == {"y"}
    odd = [
        dir_entry(folder),
        symlink_entry(f"{folder}/METADATA", "/etc/passwd"),
        symlink_entry(f"{folder}/RECORD", "/store/hash"),
        file_entry("store/hash", b"x.py,,\n"),
        special_entry(f"{folder}/WHEEL", b"6"),
        dir_entry(f"{folder}/INSTALLER"),
    ]
    assert {path: kind for kind, path in findings(*odd)} == {
        f"/{folder}/METADATA": FindingKind.DANGLING_LINK,
        f"/{folder}/RECORD": FindingKind.UNREADABLE,
        f"/{folder}/WHEEL": FindingKind.UNREADABLE,
        f"/{folder}/INSTALLER": FindingKind.UNREADABLE,
    }


# --- direct_url.json ---


@pytest.mark.parametrize(
    ("document", "local", "archive"),
    [
        ({"url": "file:///src", "dir_info": {"editable": True}}, "an editable install", False),
        ({"url": "file:///src", "dir_info": {}}, "installed from a directory", False),
        ({"url": "https://x/y", "vcs_info": {"vcs": "git"}}, "installed from version control", False),
        ({"url": "https://x/y.whl", "archive_info": {"hashes": {"sha256": SHA}}}, None, True),
        ({"url": "https://x/y.whl", "archive_info": {"hash": f"sha256={SHA}"}}, None, True),
        ({"url": "https://x/y.whl", "archive_info": {"hashes": {"sha256": SHA.upper()}}}, None, True),
        ({"url": "https://x/y.whl", "archive_info": {"hashes": {"md5": "00"}}}, None, False),
        ({"url": "https://x/y.whl", "archive_info": {"hash": "md5=00"}}, None, False),
        ({"url": "https://x/y.whl", "archive_info": {"hashes": {"sha256": "zz"}}}, None, False),
        ({"url": "https://x/y.whl", "archive_info": {"hashes": {"sha256": 7}}}, None, False),
        ({"url": "https://x/y.whl", "archive_info": {"hashes": [], "hash": None}}, None, False),
        ({"url": "https://x/y.whl", "archive_info": []}, None, False),
        ({"dir_info": "x", "vcs_info": 7}, None, False),
    ],
)
def test_direct_url(document: object, local: str | None, *, archive: bool) -> None:
    one = installed(*info("x-1.dist-info", direct_url__json=json.dumps(document).encode()))
    assert one.local == local
    assert one.archive_sha256 == (Digest.parse(f"sha256:{SHA}") if archive else None)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"url":' + b"9" * 10_000 + b"}", b"NaN", b"[]", b'"text"', b"null"]
)
def test_direct_urls_that_are_none(data: bytes) -> None:
    one, fault = found(*info("x-1.dist-info", direct_url__json=data))
    assert isinstance(one, Installed)
    assert (one.local, one.archive_sha256) == (None, None)
    assert isinstance(fault, Finding)
    assert fault.path.endswith("/direct_url.json")


# --- too much ---


def test_metadata_over_the_limit_is_told_once_and_the_folder_says_the_name() -> None:
    limits = Limits(kept_file=1 * KIB)
    folder = f"{SITE}/big-1.0.dist-info"
    both = found(file_entry(f"{folder}/METADATA", b" " * (2 * KIB)), limits=limits)
    single = found(file_entry(f"{SITE}/big-1.0.egg-info", b" " * (2 * KIB)), limits=limits)
    for things, path in ((both, f"/{folder}/METADATA"), (single, f"/{SITE}/big-1.0.egg-info")):
        assert [(one.name, one.version) for one in things if isinstance(one, Installed)] == [("big", "1.0")]
        assert [(one.kind, one.path) for one in things if isinstance(one, Finding)] == [(FindingKind.UNREADABLE, path)]


def test_one_large_document_under_two_thousand_names_is_read_once() -> None:
    sbom = b'{"x": [' + b"0, " * 300_000 + b"0]}"
    first = f"{SITE}/x0-1.dist-info"
    documents = {"METADATA": b"X: y\n" * 100_000, "WHEEL": b"Tag: x\n" * 100_000, "RECORD": b"a,,\n" * 200_000}
    entries = [file_entry(f"{first}/{name}", data) for name, data in {**documents, "sboms/x.json": sbom}.items()]
    entries += [
        hardlink_entry(f"{SITE}/x{number}-1.dist-info/{name}", f"{first}/{name}")
        for number in range(1, 2000)
        for name in (*documents, "sboms/x.json")
    ]
    started = time.process_time()
    assert sum(isinstance(one, Installed) for one in found(*entries)) == 2000
    assert time.process_time() - started < 15


def test_rows_of_all_records_are_bounded() -> None:
    entries = [file_entry(f"{SITE}/x{number}-1.dist-info/RECORD", b"%d,,\n" % number * 260_000) for number in range(5)]
    things = found(*entries)
    records = [one.record for one in things if isinstance(one, Installed)]
    assert len(records) == 5
    assert sum(len(record.rows) for record in records if record) == 1_040_000
    assert [one.kind for one in things if isinstance(one, Finding)] == [FindingKind.UNREADABLE]


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200),
    st.text("a-1.~ \x1b_é\n", min_size=1, max_size=20),
    st.sampled_from([".dist-info", ".egg-info"]),
)
def test_whatever_is_written_is_a_distribution_or_a_finding(data: bytes, stem: str, suffix: str) -> None:
    folder = stem + suffix
    things = found(
        *(
            file_entry(f"x/{folder}/{name}", data)
            for name in ("METADATA", "PKG-INFO", "RECORD", "WHEEL", "direct_url.json", "INSTALLER")
        )
    )
    assert things
    for one in things:
        assert isinstance(one, Finding) or (one.name and "\x1b" not in one.name + (one.version or ""))


# --- wheel files ---


def test_wheel_files(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "De.mo", "1.0", {"demo.py": b"1\n"})
    odd_name = "renamed.whl"
    things = found(
        file_entry(f"wheels/{wheel.name}", wheel.read_bytes()),
        file_entry("wheels/good_name-2.0-py3-none-any.whl", b"no zip"),
        file_entry("wheels/none.whl", b"no zip"),
        dir_entry("wheels/folder-1.0-py3-none-any.whl"),
        symlink_entry("wheels/link-1.0-py3-none-any.whl", wheel.name),
        file_entry(f"wheels/{odd_name}", wheel.read_bytes()),
    )
    files = {one.location: one for one in things if isinstance(one, WheelFile)}
    assert (files[f"/wheels/{wheel.name}"].name, files[f"/wheels/{wheel.name}"].version) == ("de-mo", "1.0")
    assert files[f"/wheels/{wheel.name}"].contents is not None
    broken = files["/wheels/good_name-2.0-py3-none-any.whl"]
    assert (broken.name, broken.version, broken.contents) == ("good-name", "2.0", None)
    assert "/wheels/none.whl" not in files
    assert "/wheels/folder-1.0-py3-none-any.whl" not in files
    assert {one.path for one in things if isinstance(one, Finding)} >= {"/wheels/none.whl"}
