"""Folders as indexes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from scanner.errors import IndexUnavailable, UsageError, WheelUnreadable
from scanner.index import Index
from tests.indexes.conftest import Open
from tests.managers import html_page, sha256

SMALL, LARGE = canonicalize_name("small-demo"), canonicalize_name("large")


def page(folder: Path, *rows: tuple[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_bytes(html_page(rows))


def refused(index: Index, why: str) -> None:
    with pytest.raises(IndexUnavailable, match=why):
        index.files(SMALL)


def test_flat_wheels(opened: Open, small: Path, large: Path, tmp_path: Path) -> None:
    root = tmp_path / "wheels"
    root.mkdir()
    for wheel in (small, large):
        shutil.copy(wheel, root)
    (root / "notes.txt").write_text("no wheel")
    (root / "not-a-wheel.whl").write_text("no wheel")
    index = opened(root)
    [file] = index.files(SMALL)
    assert (index.kind, index.url, index.name) == ("directory", str(root), str(root))
    assert (file.filename, file.size, file.tier) == (small.name, small.stat().st_size, None)
    assert file.sha256 is not None
    assert file.sha256.hex == sha256(small.read_bytes())
    read, whole = index.wheel(file), index.wheel(file, whole=True)
    assert (read.proved, whole.proved, read.members) == (False, True, whole.members)
    assert index.files(canonicalize_name("nobody")) == ()


@pytest.mark.parametrize("folder", ["small-demo", "Small_Demo", "simple/small.demo"])
def test_folders_of_wheels(opened: Open, small: Path, tmp_path: Path, folder: str) -> None:
    (tmp_path / "i" / folder).mkdir(parents=True)
    shutil.copy(small, tmp_path / "i" / folder)
    assert [file.filename for file in opened(tmp_path / "i").files(SMALL)] == [small.name]


def test_pages(opened: Open, small: Path, tmp_path: Path) -> None:
    root = tmp_path / "i"
    (root / "packages").mkdir(parents=True)
    shutil.copy(small, root / "packages")
    promised = sha256(small.read_bytes())
    page(root / "small-demo", (f"../packages/{small.name}#sha256={promised}", "x"))
    index = opened(root.as_uri())
    [file] = index.files(SMALL)
    assert index.wheel(file, whole=True).proved


def test_a_mirror(opened: Open, small: Path, tmp_path: Path) -> None:
    root = tmp_path / "web"
    (root / "packages").mkdir(parents=True)
    shutil.copy(small, root / "packages")
    page(root / "simple" / "small-demo", (f"../../packages/{small.name}", "x"))
    assert len(opened(root).files(SMALL)) == 1
    refused(opened(root / "simple"), "leads out of the folder")


def test_a_file_that_was_replaced(opened: Open, small: Path, tmp_path: Path) -> None:
    page(tmp_path / "i" / "small-demo", (f"{small.name}#sha256={'0' * 64}", "x"))
    shutil.copy(small, tmp_path / "i" / "small-demo")
    refused(opened(tmp_path / "i"), "the page promises sha256:0000")


def test_a_file_that_changes_after_it_was_listed(opened: Open, small: Path, large: Path, tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    shutil.copy(small, tmp_path / "i")
    index = opened(tmp_path / "i")
    [file] = index.files(SMALL)
    shutil.copy(large, tmp_path / "i" / small.name)
    for whole in (False, True):
        with pytest.raises(WheelUnreadable):
            index.wheel(file, whole=whole)


@pytest.mark.parametrize(
    "link", ["/etc/passwd.whl", "../../outside.whl", "%2e%2e/%2E./outside.whl", "file:///etc/x.whl"]
)
def test_links_out_of_the_folder(opened: Open, small: Path, tmp_path: Path, link: str) -> None:
    shutil.copy(small, tmp_path / "outside.whl")
    page(tmp_path / "i" / "small-demo", (link, "x"))
    refused(opened(tmp_path / "i"), r"leads out of the folder|cannot be found")


def test_a_symbolic_link_out_of_the_folder(opened: Open, small: Path, tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / small.name).symlink_to(small)
    refused(opened(tmp_path / "i"), "leads out of the folder")


def test_symbolic_links_inside_and_to_the_folder(opened: Open, small: Path, tmp_path: Path) -> None:
    (tmp_path / "real" / "store").mkdir(parents=True)
    shutil.copy(small, tmp_path / "real" / "store" / "abc")
    (tmp_path / "real" / small.name).symlink_to("store/abc")
    (tmp_path / "link").symlink_to("real")
    index = opened(tmp_path / "link")
    [file] = index.files(SMALL)
    assert file.filename == small.name
    assert index.wheel(file).members


def test_a_page_that_is_a_link_out_of_the_folder(opened: Open, tmp_path: Path) -> None:
    page(tmp_path / "outside", ("x.whl", "x"))
    (tmp_path / "i" / "small-demo").mkdir(parents=True)
    (tmp_path / "i" / "small-demo" / "index.html").symlink_to(tmp_path / "outside" / "index.html")
    refused(opened(tmp_path / "i"), "leads out of the folder")


def test_what_is_no_regular_file(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    os.mkfifo(tmp_path / "i" / "small_demo-1.0-py3-none-any.whl")
    refused(opened(tmp_path / "i"), "no regular file")


def test_a_link_to_a_file_that_is_not_there(opened: Open, small: Path, tmp_path: Path) -> None:
    page(tmp_path / "i" / "small-demo", (small.name, "x"))
    refused(opened(tmp_path / "i"), "cannot be found")


def test_links_to_web_servers_are_not_followed(opened: Open, small: Path, tmp_path: Path) -> None:
    page(tmp_path / "i" / "small-demo", (f"https://pypi.example/{small.name}#sha256={'1' * 64}", "x"))
    index = opened(tmp_path / "i")
    [file] = index.files(SMALL)
    with pytest.raises(IndexUnavailable, match="does not follow"):
        index.wheel(file)


def test_names_that_urls_quote(opened: Open, large: Path, tmp_path: Path) -> None:
    root = tmp_path / "a b#c%41"
    (root / "large").mkdir(parents=True)
    shutil.copy(large, root / "large")
    page(root / "large", (large.name.replace("+", "%2B"), "x"))
    for location in (str(root), root.as_uri()):
        index = opened(location)
        [file] = index.files(LARGE)
        assert index.wheel(file).members


def test_no_folder(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        opened((tmp_path / "nowhere").as_uri())
