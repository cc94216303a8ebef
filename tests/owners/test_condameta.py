"""Documents of ``conda-meta``, whole and hostile."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from scanner.condameta import read_condameta, read_condapaths
from scanner.limits import DEFAULT_LIMITS
from scanner.owner import Listed, OwnedFile

SITE = "lib/python3.11/site-packages"
DIGEST = "ab" * 32


def read(document: object) -> Listed:
    return read_condameta(json.dumps(document).encode(), limits=DEFAULT_LIMITS)


def files(*rows: dict[str, Any], listed: object = ()) -> tuple[OwnedFile, ...]:
    told = read({"name": "demo", "files": listed, "paths_data": {"paths": list(rows)}})
    assert told.fault == ""
    return told.packages[0].files if told.packages else ()


def row(path: str = f"{SITE}/demo.py", **more: object) -> dict[str, object]:
    return {"_path": path, "path_type": "hardlink", **more}


def test_the_digest_in_the_prefix_counts_more() -> None:
    with_both = files(row(sha256="00" * 32, sha256_in_prefix=DIGEST))
    assert with_both == (OwnedFile(f"{SITE}/demo.py", "sha256", bytes.fromhex(DIGEST)),)
    assert files(row(sha256=DIGEST)) == with_both


def test_what_has_no_digest_that_can_be_compared() -> None:
    without = (OwnedFile(f"{SITE}/demo.py"),)
    assert files(row(sha256=DIGEST, prefix_placeholder="/placeholder")) == without  # as packed, not as installed
    assert files(row(sha256=DIGEST) | {"path_type": "softlink"}) == without
    assert files(row(sha256=DIGEST) | {"path_type": "directory"}) == without
    assert files(row() | {"path_type": "pyc_file"}) == without
    assert files(listed=[f"{SITE}/demo.py"]) == without


@pytest.mark.parametrize("digest", ["", "zz", "ab", "é" * 64, "ab" * 20 + "x", 5, None, ["ab"], {"a": 1}])
def test_digests_that_are_none(digest: object) -> None:
    assert files(row(sha256_in_prefix=digest)) == (OwnedFile(f"{SITE}/demo.py"),)


@pytest.mark.parametrize("path", ["", f"../{SITE}/x.py", f"{SITE}/../../../../x.py", f"{SITE}/{'x' * 5000}.py"])
def test_paths_that_are_none(path: str) -> None:
    assert files(row(path, sha256=DIGEST), listed=[path]) == ()


@pytest.mark.parametrize(
    "document",
    [
        [],
        1,
        None,
        {},
        {"name": 5},
        {"name": "demo"},
        {"name": "demo", "files": 5, "paths_data": []},
        {"name": "demo", "files": [1, None, {}], "paths_data": {"paths": 7}},
        {"name": "demo", "paths_data": {"paths": [1, [], {"_path": 9}, {"path_type": "hardlink"}]}},
        {"name": "demo", "files": ["share/doc/demo"]},
    ],
)
def test_documents_that_own_nothing(document: object) -> None:
    assert read(document) == Listed()


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe\x00", b"{", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000, b'{"name": "\\ud800"', b"NaN,"],
)
def test_what_is_no_json(data: bytes) -> None:
    told = read_condameta(data, limits=DEFAULT_LIMITS)
    assert (told.packages, "no JSON" in told.fault) == ((), True)


def test_names_that_no_terminal_should_see() -> None:
    told = read({"name": "de\x1b[31m\ud800mo" + "x" * 1000, "files": [f"{SITE}/demo.py"]})
    assert told.packages[0].title.startswith("conda:de[31mmo")
    assert len(told.packages[0].title) <= 206


def test_more_than_may_be_kept() -> None:
    few = dataclasses.replace(DEFAULT_LIMITS, entries=10)
    listed = [f"{SITE}/{number}.py" for number in range(11)]
    told = read_condameta(json.dumps({"name": "demo", "files": listed}).encode(), limits=few)
    assert "limit entries" in told.fault


def test_files_in_the_cache_are_as_packed() -> None:
    rows = {"paths": [row(sha256=DIGEST, sha256_in_prefix="00" * 32, prefix_placeholder="/placeholder")]}
    told = read_condapaths(json.dumps(rows).encode(), limits=DEFAULT_LIMITS)
    assert [package.files for package in told.packages] == [
        (OwnedFile(f"{SITE}/demo.py", "sha256", bytes.fromhex(DIGEST)),)
    ]
    assert read_condapaths(b"[]", limits=DEFAULT_LIMITS) == Listed()
    assert "no JSON" in read_condapaths(b"[", limits=DEFAULT_LIMITS).fault
