"""Merging layers: against a naive model, against real unpackers, and who gets the credit for a file."""

from __future__ import annotations

import hashlib
import io
import os
import random
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.images import (
    Entry,
    dir_entry,
    file_entry,
    hardlink_entry,
    layer_from_entries,
    opaque_entry,
    symlink_entry,
    tar_of,
    whiteout_entry,
    write_oci_layout,
)
from scanner.distribution import FindingKind
from scanner.errors import LimitExceeded
from scanner.inventory import take_inventory
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.rootfs import RootFS

Layers: TypeAlias = Sequence[Sequence[Entry]]
View: TypeAlias = dict[str, tuple[str, str]]
"""By path: the kind, and a file's sha256 or a link's target."""


def merged(layers: Layers, *, limits: Limits = DEFAULT_LIMITS) -> RootFS:
    taken = [take_inventory(cast("BinaryIO", io.BytesIO(tar_of(one))), limits=limits) for one in layers]
    return RootFS.of(taken, limits=limits)


def view(rootfs: RootFS) -> View:
    found = {}
    for path, node in rootfs.walk():
        said = node.entry.sha256.hex() if node.entry.sha256 else node.entry.link
        found[path] = (node.entry.kind, said)
    return found


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- a naive model of the rules, for names without links ---

NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
LAYER = st.lists(
    st.one_of(
        st.builds(file_entry, PATHS, st.sampled_from([b"1", b"2", b"3"])),
        st.builds(dir_entry, PATHS),
        st.builds(symlink_entry, PATHS, st.just("/nowhere")),
        st.builds(whiteout_entry, PATHS),
        st.builds(opaque_entry, PATHS),
    ),
    max_size=6,
)


def model(layers: Layers) -> View:
    """A dictionary of paths. Slow, short, and without a tree, a cache or a link that is followed."""
    lower: View = {}
    for entries in layers:
        upper: View = {}
        for info, content in entries:
            folder, _, name = info.name.rpartition("/")
            path = f"/{info.name}"
            if name == ".wh..wh..opq":
                lower = {old: what for old, what in lower.items() if not old.startswith(f"/{folder}/")}
            elif name.startswith(".wh."):
                hidden = f"/{folder}/{name[4:]}".replace("//", "/")
                lower = {old: what for old, what in lower.items() if not f"{old}/".startswith(f"{hidden}/")}
            else:
                kind = "directory" if info.isdir() else "symlink" if info.issym() else "file"
                parents = [path[: at.start()] for at in re.finditer("/", path) if at.start()]
                for parent in [*parents, *([path] if kind == "directory" else [])]:
                    if {**lower, **upper}.get(parent, ("", ""))[0] != "directory":
                        lower.pop(parent, None)
                    upper[parent] = ("directory", "")
                if kind != "directory":
                    gone = [old for old in {**lower, **upper} if f"{old}/".startswith(f"{path}/")]
                    for old in gone:
                        lower.pop(old, None), upper.pop(old, None)
                    upper[path] = (kind, sha(content) if kind == "file" else info.linkname)
        lower |= upper
    return lower


def through_links(layers: Layers) -> bool:
    """Whether an entry has a link among its parents: the model does not follow links."""
    links = {info.name for entries in layers for info, _ in entries if info.issym()}
    names = [info.name for entries in layers for info, _ in entries]
    return any(name.startswith(f"{link}/") for link in links for name in names)


@settings(max_examples=300, deadline=None)
@given(st.lists(LAYER, min_size=1, max_size=4).filter(lambda layers: not through_links(layers)))
def test_same_as_the_model(layers: list[list[Entry]]) -> None:
    assert view(merged(layers)) == model(layers)


# --- real unpackers ---

NASTY: dict[str, Layers] = {
    "plain": [[dir_entry("d"), file_entry("d/f", b"1"), symlink_entry("l", "d/f")], [file_entry("d/g", b"2")]],
    "replaced": [[file_entry("d/f", b"1")], [file_entry("d/f", b"2")], [file_entry("d/f", b"1")]],
    "whiteout": [[file_entry("d/f", b"1"), file_entry("d/g", b"2")], [whiteout_entry("d/f")]],
    "whiteout of a tree": [[file_entry("d/e/f", b"1"), file_entry("d/g", b"2")], [whiteout_entry("d/e")]],
    "whiteout of nothing": [[file_entry("d/f", b"1")], [whiteout_entry("d/x"), whiteout_entry("x/y/z")]],
    "whiteout of a link": [[dir_entry("d"), symlink_entry("l", "d"), file_entry("d/f", b"1")], [whiteout_entry("l")]],
    "whiteout before re-adding": [
        [file_entry("d/e/f", b"1"), file_entry("d/e/g", b"1")],
        [whiteout_entry("d/e"), file_entry("d/e/f", b"2")],
    ],
    "whiteout below a link": [
        [file_entry("d/f", b"1"), file_entry("d/g", b"1"), symlink_entry("l", "d")],
        [whiteout_entry("l/f")],
    ],
    "whiteout below an absolute link": [
        [file_entry("d/f", b"1"), file_entry("d/g", b"1"), symlink_entry("l", "/d")],
        [whiteout_entry("l/f")],
    ],
    "opaque": [
        [file_entry("d/f", b"1"), file_entry("d/e/g", b"1"), file_entry("f", b"1")],
        [dir_entry("d"), opaque_entry("d"), file_entry("d/new", b"2")],
    ],
    "opaque and the same name again": [
        [file_entry("d/f", b"1"), file_entry("d/g", b"1")],
        [dir_entry("d"), opaque_entry("d"), file_entry("d/f", b"2")],
    ],
    "opaque below a link": [
        [file_entry("d/e/f", b"1"), symlink_entry("l", "d")],
        [opaque_entry("l/e"), file_entry("l/e/new", b"2")],
    ],
    "opaque of a link": [[file_entry("d/f", b"1"), symlink_entry("l", "d")], [opaque_entry("l")]],
    "file over directory": [[file_entry("d/e/f", b"1")], [file_entry("d/e", b"2")]],
    "directory over file": [[file_entry("d/e", b"1")], [dir_entry("d/e"), file_entry("d/e/f", b"2")]],
    "link over directory": [
        [file_entry("d/e/f", b"1"), file_entry("other/g", b"1")],
        [symlink_entry("d/e", "../other"), file_entry("d/e/h", b"2")],
    ],
    "directory over link": [
        [file_entry("d/f", b"1"), symlink_entry("l", "d")],
        [dir_entry("l"), file_entry("l/g", b"2")],
    ],
    "file over link": [[file_entry("f", b"1"), symlink_entry("l", "f")], [file_entry("l", b"2")]],
    "parents through a relative link": [
        [dir_entry("usr/lib"), symlink_entry("lib", "usr/lib")],
        [file_entry("lib/python/x.py", b"2")],
    ],
    "parents through an absolute link": [
        [dir_entry("usr/lib"), symlink_entry("lib", "/usr/lib")],
        [file_entry("lib/python/x.py", b"2")],
    ],
    "parents through a link that climbs out": [
        [dir_entry("usr/lib"), symlink_entry("lib", "../../../../usr/lib")],
        [file_entry("lib/x.py", b"2")],
    ],
    "parents through links of links": [
        [dir_entry("a/b"), symlink_entry("one", "two"), symlink_entry("two", "/a"), symlink_entry("a/c", "b")],
        [file_entry("one/c/x", b"2"), file_entry("one/./c/../y", b"3")][:1],
    ],
    "link of this layer": [[dir_entry("d"), symlink_entry("l", "d"), file_entry("l/f", b"1")]],
    "link replaced between two files": [
        [dir_entry("a"), dir_entry("b"), symlink_entry("l", "a")],
        [file_entry("l/1", b"1"), symlink_entry("l", "b"), file_entry("l/2", b"2")],
    ],
    "dangling link among the parents": [[symlink_entry("l", "made/here")], [file_entry("l/f", b"1")]],
    "hard link": [[file_entry("d/f", b"1"), hardlink_entry("d/g", "d/f")]],
    "hard link into the layer below": [[file_entry("d/f", b"1")], [hardlink_entry("d/g", "d/f")]],
    "hard link to what changes later": [
        [file_entry("d/f", b"1"), hardlink_entry("d/g", "d/f")],
        [file_entry("d/f", b"2")],
    ],
    "hard link to a link": [[file_entry("f", b"1"), symlink_entry("l", "f"), hardlink_entry("h", "l")]],
    "hard link through a linked parent": [
        [file_entry("d/f", b"1"), symlink_entry("l", "d")],
        [hardlink_entry("h", "l/f"), hardlink_entry("l/i", "l/f")],
    ],
    "hard link over a directory": [[file_entry("f", b"1"), file_entry("d/x", b"1")], [hardlink_entry("d", "f")]],
    "entries twice": [[file_entry("f", b"1"), file_entry("f", b"22"), dir_entry("d"), dir_entry("d")]],
    "twice, and of another kind": [[file_entry("f", b"1"), symlink_entry("f", "x"), dir_entry("f"), dir_entry("f")]],
    "dots and slashes": [[file_entry("./d//f", b"1"), file_entry("/d/./g", b"2"), dir_entry("./")]],
    "a folder named like a whiteout's prefix": [[file_entry("d/.whx/f", b"1"), file_entry("d/.w", b"1")]],
    "whiteout of what a lower whiteout hid": [
        [file_entry("d/f", b"1")],
        [whiteout_entry("d/f")],
        [whiteout_entry("d/f"), file_entry("d/g", b"1")],
        [file_entry("d/f", b"3")],
    ],
}

LATE: dict[str, Layers] = {
    "whiteout after re-adding": [[file_entry("d/f", b"1")], [file_entry("d/f", b"2"), whiteout_entry("d/f")]],
    "whiteout of a tree after re-adding": [
        [file_entry("d/e/f", b"1"), file_entry("d/e/g", b"1")],
        [dir_entry("d/e"), file_entry("d/e/f", b"2"), whiteout_entry("d/e")],
    ],
    "opaque behind its files": [
        [file_entry("d/f", b"1"), file_entry("d/g", b"1")],
        [dir_entry("d"), file_entry("d/f", b"2"), opaque_entry("d")],
    ],
    "opaque behind the files of folders that nobody names": [
        [file_entry("d/e/f", b"1")],
        [file_entry("d/e/g", b"2"), opaque_entry("d")],
    ],
}
"""Marks that stand behind what their own layer brings. OCI's layer.md: they only apply to lower layers. umoci and
this scanner do so. containerd's plain unpacking removes what stands there, its overlay unpacking refuses the first
two; an image that relies on either is in nobody's registry, and seeing a file too much hides nothing."""


def on_disk(root: Path) -> View:
    found: View = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            file = Path(folder) / name
            status = file.lstat()
            path = "/" + file.relative_to(root).as_posix()
            if stat.S_ISLNK(status.st_mode):
                found[path] = ("symlink", str(file.readlink()))
            elif stat.S_ISDIR(status.st_mode):
                found[path] = ("directory", "")
            else:
                found[path] = ("file", sha(file.read_bytes()))
    return found


def run(*command: str | Path) -> str | None:
    """Standard output; None where the program refuses."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else None


def by_umoci(layers: Layers, folder: Path) -> View | None:
    """What umoci unpacks; None where it refuses."""
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not installed")
    layout = write_oci_layout(folder / "image", [layer_from_entries(one, compression=None) for one in layers])
    rootless = () if os.geteuid() == 0 else ("--rootless",)
    if run("umoci", "raw", "unpack", *rootless, "--image", f"{layout}:latest", folder / "tree") is None:
        return None
    return on_disk(folder / "tree")


@pytest.mark.parametrize("name", [*NASTY, *LATE])
def test_same_as_umoci(name: str, tmp_path: Path) -> None:
    layers = NASTY.get(name) or LATE[name]
    expected = by_umoci(layers, tmp_path)
    assert expected is not None
    assert view(merged(layers)) == expected


def random_layers(dice: random.Random) -> Layers:
    """Layers full of collisions: few names, many kinds, links among the parents."""
    names = [f"{first}{second}{third}" for first in "abc" for second in ("", "/a", "/b") for third in ("", "/c")]
    layers = []
    for _ in range(dice.randint(2, 4)):
        entries = []
        for _ in range(dice.randint(1, 8)):
            path = dice.choice(names)
            target = dice.choice(["a", "b", "/a/b", "../c", "c", "/", "../../b", "nowhere"])
            makers: list[Callable[[], Entry]] = [
                lambda path=path: file_entry(path, dice.choice([b"1", b"2", b"3"])),
                lambda path=path: file_entry(path, dice.choice([b"1", b"2", b"3"])),
                lambda path=path: dir_entry(path),
                lambda path=path: symlink_entry(path, target),
                lambda path=path: hardlink_entry(path, dice.choice(names)),
                lambda path=path: whiteout_entry(path),
                lambda path=path: opaque_entry(path),
            ]
            entries.append(dice.choice(makers)())
        layers.append(entries)
    return layers


def test_same_as_umoci_on_random_images(tmp_path: Path) -> None:
    compared = 0
    for seed in range(400):
        layers = random_layers(random.Random(seed))
        expected = by_umoci(layers, tmp_path / str(seed))
        if expected is not None:
            assert view(merged(layers)) == expected, (seed, [[info.name for info, _ in one] for one in layers])
            compared += 1
        if compared == 60:
            return
    pytest.fail(f"umoci took only {compared} of these images")
