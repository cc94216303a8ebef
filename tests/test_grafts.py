"""Members of opened archives in the tree: where they stand, whose layer they have, and that nothing fakes one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO, cast

import pytest

from fixtures.bundles import zip_of
from fixtures.images import Entry, dir_entry, file_entry, symlink_entry, tar_of, whiteout_entry
from scanner.inventories import take_inventory
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.rootfs import Chain, RootFS

INFO = {"x/__init__.py": b"X = 1\n", "x-1.0.dist-info/METADATA": b"Name: x\nVersion: 1.0\n"}
ZIP = zip_of(INFO)


def tree(*layers: Sequence[Entry], limits: Limits = DEFAULT_LIMITS) -> RootFS:
    taken = [take_inventory(cast("BinaryIO", io.BytesIO(tar_of(one))), limits=limits) for one in layers]
    return RootFS.of(taken, limits=limits)


def inside(rootfs: RootFS) -> list[str]:
    return [path for path, node in rootfs.walk() if rootfs.archive_of(path) and node.entry.kind == "file"]


def test_members_stand_beside_the_file() -> None:
    rootfs = tree([file_entry("opt/a.pex", ZIP)])
    assert inside(rootfs) == ["/opt/a.pex!/x/__init__.py", "/opt/a.pex!/x-1.0.dist-info/METADATA"]
    assert rootfs.read("/opt/a.pex!/x-1.0.dist-info/METADATA") == INFO["x-1.0.dist-info/METADATA"]
    assert set(rootfs.children("/opt")) == {"a.pex", "a.pex!"}
    assert set(rootfs.children("/opt/a.pex!")) == {"x", "x-1.0.dist-info"}
    assert rootfs.node("/opt/a.pex!/y") is None


def test_a_walk_can_leave_archives_out() -> None:
    rootfs = tree([file_entry("opt/a.pex", ZIP)])
    assert [path for path, _ in rootfs.walk(archives=False)] == ["/opt", "/opt/a.pex"]


def test_the_archive_of_a_path() -> None:
    inner = zip_of({"b.egg": zip_of({"EGG-INFO/PKG-INFO": b"Name: b\n"})})
    rootfs = tree([file_entry("opt/a.zip", inner), symlink_entry("srv", "opt"), file_entry("opt/c!/x.py", b"1")])
    assert rootfs.archive_of("/opt/a.zip!/b.egg!/EGG-INFO") == "/opt/a.zip!/b.egg"
    assert rootfs.archive_of("/opt/a.zip!/b.egg") == "/opt/a.zip"
    assert rootfs.archive_of("/opt/a.zip!") == "/opt/a.zip"
    assert rootfs.archive_of("/srv/a.zip!/b.egg") == "/opt/a.zip", "links on the way to it are followed"
    for path in ("/opt/a.zip", "/opt", "/opt/c!/x.py", "/opt/a.zip!x/b"):
        assert rootfs.archive_of(path) is None


def test_layers_are_those_of_the_file() -> None:
    same = [file_entry("a.pex", ZIP)]
    rootfs = tree([file_entry("a.pex", zip_of({"x.py": b"2"}))], same, same)
    file = rootfs.file("/a.pex!/x/__init__.py")
    assert file is not None
    assert (file.layer, file.since, file.writers) == (2, 1, (0, 1, 2))


def test_what_is_gone_has_no_members() -> None:
    assert inside(tree([file_entry("opt/a.pex", ZIP)], [whiteout_entry("opt/a.pex")])) == []
    assert inside(tree([file_entry("opt/a.pex", ZIP)], [file_entry("opt/a.pex", b"no zip")])) == []


def test_what_was_odd_in_an_archive_that_is_gone_is_no_finding() -> None:
    odd = file_entry("a.pex", zip_of({"../x.py": b"1", "y.py": b"1"}))
    assert [finding.path for finding in tree([odd]).findings] == ["/a.pex!/../x.py"]
    assert tree([odd], [whiteout_entry("a.pex")]).findings == ()


def test_every_copy_is_told_of() -> None:
    data = zip_of({"../x.py": b"1", "y.py": b"1"})
    rootfs = tree([file_entry("a.pex", data), file_entry("b.pex", data)])
    assert sorted(finding.path for finding in rootfs.findings) == ["/a.pex!/../x.py", "/b.pex!/../x.py"]
    assert inside(rootfs) == ["/a.pex!/y.py", "/b.pex!/y.py"]


@pytest.mark.parametrize("real", [file_entry("a.pex!", b"x"), file_entry("a.pex!/x.py", b"x"), dir_entry("a.pex!")])
def test_a_real_entry_of_that_name_is_what_it_is(real: Entry) -> None:
    rootfs = tree([file_entry("a.pex", ZIP), real])
    assert inside(rootfs) == []
    assert [(one.kind.value, one.path) for one in rootfs.findings] == [("unreadable", "/a.pex")]


def test_a_layer_cannot_write_into_an_archive() -> None:
    """The upper layer's folder is a real one, so the archive is not opened and nothing is mixed."""
    rootfs = tree([file_entry("a.pex", ZIP)], [file_entry("a.pex!/x/evil.py", b"x")])
    assert inside(rootfs) == []
    assert set(rootfs.children("/a.pex!")) == {"x"}


@pytest.mark.parametrize("link", ["/a.pex!/x", "a.pex!/x", "./a.pex!/x", "opt/../a.pex!/x"])
def test_no_link_leads_into_an_archive(link: str) -> None:
    rootfs = tree([file_entry("a.pex", ZIP), dir_entry("opt"), symlink_entry("in", link)])
    assert rootfs.resolve("/in") is None
    assert rootfs.resolve("/in/__init__.py") is None


@pytest.mark.parametrize("link", ["/etc/secret.py", "../../etc/secret.py", "../../../../../../etc/secret.py"])
def test_no_link_leads_out_of_an_archive(link: str) -> None:
    packed = tar_of([symlink_entry("lib/evil.py", link), file_entry("x-1.0.dist-info/METADATA", b"Name: x\n")])
    rootfs = tree([file_entry("etc/secret.py", b"1"), file_entry("opt/a.tar", packed)])
    assert rootfs.node("/opt/a.tar!/lib/evil.py", follow_last=False) is not None
    assert rootfs.resolve("/opt/a.tar!/lib/evil.py") is None


@pytest.mark.parametrize("link", ["../x/__init__.py", "/x/__init__.py", "../../../x/__init__.py"])
def test_links_inside_of_an_archive_lead_where_they_say(link: str) -> None:
    """As they would where its root is the root."""
    files = [file_entry(name, data) for name, data in INFO.items()]
    rootfs = tree([file_entry("opt/a.tar", tar_of([*files, symlink_entry("lib/link.py", link)]))])
    assert rootfs.resolve("/opt/a.tar!/lib/link.py") == "/opt/a.tar!/x/__init__.py"


def test_a_link_inside_does_not_lead_into_an_archive_inside() -> None:
    files = [file_entry("b.egg", zip_of({"EGG-INFO/PKG-INFO": b""})), symlink_entry("link", "b.egg!/EGG-INFO")]
    rootfs = tree([file_entry("a.tar", tar_of(files))])
    assert rootfs.node("/a.tar!/b.egg!/EGG-INFO") is not None
    assert rootfs.resolve("/a.tar!/link") is None


def test_names_like_whiteouts_are_names_in_an_archive() -> None:
    rootfs = tree([file_entry("a.zip", zip_of({**INFO, "x/.wh.__init__.py": b"1", "x/.wh..wh..opq": b""}))])
    assert set(rootfs.children("/a.zip!/x")) == {"__init__.py", ".wh.__init__.py", ".wh..wh..opq"}


def test_the_limit_of_depth() -> None:
    data = ZIP
    for _ in range(3):
        data = zip_of({"a.zip": data})
    assert len(inside(tree([file_entry("a.zip", data)], limits=replace(DEFAULT_LIMITS, archive_depth=4)))) == 5
    rootfs = tree([file_entry("a.zip", data)], limits=replace(DEFAULT_LIMITS, archive_depth=3))
    assert inside(rootfs) == [f"/{'a.zip!/' * depth}a.zip" for depth in (1, 2, 3)]
    assert ["archive_depth" in finding.detail for finding in rootfs.findings] == [True]


def test_the_limit_of_entries_counts_copies() -> None:
    entries = [file_entry(f"{number}.pex", ZIP) for number in range(3)]
    limits = replace(DEFAULT_LIMITS, archived_entries=11)
    rootfs = tree(entries, limits=limits)
    assert len(inside(rootfs)) == 4
    assert ["archived_entries" in finding.detail for finding in rootfs.findings] == [True]


def test_the_trees_of_lower_layers_have_them_too() -> None:
    layers = [[file_entry("a.pex", ZIP)], [whiteout_entry("a.pex")], [file_entry("a.pex!/x", b"1")]]
    taken = [take_inventory(cast("BinaryIO", io.BytesIO(tar_of(one))), limits=DEFAULT_LIMITS) for one in layers]
    chain = Chain(taken)
    assert [len(inside(chain.up_to(layer))) for layer in range(3)] == [2, 0, 0]
