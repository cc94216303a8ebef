"""Merging layers: against a naive model, against real unpackers, and who gets the credit for a file."""

from __future__ import annotations

import copy
import hashlib
import io
import os
import random
import re
import shutil
import stat
import subprocess
import tempfile
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
from scanner.inventories import take_inventory
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
    "parents through an absolute link deep down": [
        [dir_entry("usr/lib"), symlink_entry("opt/deep/lib", "/usr/lib")],
        [file_entry("opt/deep/lib/python/x.py", b"2")],
    ],
    "opaque twice": [
        [file_entry("d/f", b"1")],
        [dir_entry("d"), opaque_entry("d"), file_entry("d/g", b"2")],
        [dir_entry("d"), opaque_entry("d"), file_entry("d/h", b"3")],
    ],
    "parents through a link that climbs out": [
        [dir_entry("usr/lib"), symlink_entry("lib", "../../../../usr/lib")],
        [file_entry("lib/x.py", b"2")],
    ],
    "parents through links of links": [
        [dir_entry("a/b"), symlink_entry("one", "two"), symlink_entry("two", "/a"), symlink_entry("a/c", "b")],
        [file_entry("one/c/x", b"2")],
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
    "whiteout of a link between two files": [
        [file_entry("d/f", b"1"), symlink_entry("l", "d")],
        [file_entry("l/g", b"2"), whiteout_entry("l"), file_entry("l/h", b"3")],
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


def random_entry(dice: random.Random, files: list[str]) -> Entry:
    path = "/".join(dice.choices("abc", k=dice.choice([1, 1, 2, 2, 3])))
    # Mostly with names of their own, because umoci refuses parents that are files.
    file = f"{path}/{dice.choice('xyz')}" if dice.random() < 0.8 else path
    target = dice.choice(["a", "b", "/a/b", "../c", "c", "/", "../../b", "nowhere", "/c/x"])
    match dice.choices(range(6), [8, 3, 4, 1, 2, 2])[0]:
        case 0:
            files.append(file)
            return file_entry(file, dice.choice([b"1", b"2", b"3"]))
        case 1:
            return dir_entry(path)
        case 2:
            return symlink_entry(path, target)
        case 3:
            return hardlink_entry(file, dice.choice(files))
        case 4:
            return whiteout_entry(dice.choice([path, *files]))
        case _:
            return opaque_entry(path)


def random_layers(dice: random.Random) -> Layers:
    """Layers full of collisions: few names, many kinds, links among the parents."""
    files = ["a/x"]
    return [[random_entry(dice, files) for _ in range(dice.randint(1, 8))] for _ in range(dice.randint(2, 4))]


def test_same_as_umoci_on_random_images(tmp_path: Path) -> None:
    compared = 0
    for seed in range(200):
        layers = random_layers(random.Random(seed))
        expected = by_umoci(layers, tmp_path / str(seed))
        if expected is not None:
            assert view(merged(layers)) == expected, (seed, [[info.name for info, _ in one] for one in layers])
            compared += 1
        if compared == 40:
            return
    pytest.fail(f"umoci took only {compared} of these images")


def below(name: str, entries: Sequence[Entry]) -> list[Entry]:
    """The entries with ``name`` as their root."""
    moved = []
    for info, content in entries:
        again = copy.copy(info)
        again.name = f"{name}/{info.name}"
        if info.islnk():
            again.linkname = f"{name}/{info.linkname}"
        elif info.issym() and info.linkname.startswith("/"):
            again.linkname = f"/{name}{info.linkname}"
        moved.append((again, content))
    return moved


@pytest.fixture
def podman() -> Iterator[tuple[Path, Callable[..., str | None]]]:
    """A folder, and podman with a store of its own there; skips where it is not."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    with tempfile.TemporaryDirectory(prefix="cg") as name:  # podman takes no long paths
        folder = Path(name)
        store = ["--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]
        yield folder, lambda *words: run("podman", *store, *words)
        run("podman", *store, "image", "umount", "--all")


def test_same_as_podman(podman: tuple[Path, Callable[..., str | None]]) -> None:
    folder, call = podman
    # All in one image, each in a folder of its own, because podman takes its time.
    # Left out: what podman refuses; a link that would climb over its folder instead of the root; and a whiteout in
    # a folder that is not there: podman and containerd make that folder, umoci does not, and empty it is nothing here.
    # Of an opaque mark behind a link podman makes nothing, while containerd and umoci follow the link.
    left_out = ("twice", "dangling", "climbs", "whiteout of nothing", "opaque of a link")
    chosen = {name: layers for name, layers in NASTY.items() if not any(word in name for word in left_out)}
    height = max(map(len, chosen.values()))
    layers = [
        [entry for name, one in chosen.items() for entry in below(name, one[at] if at < len(one) else ())]
        for at in range(height)
    ]
    blobs = [layer_from_entries(one) for one in layers]
    layout = write_oci_layout(folder / "image", blobs)
    name = call("pull", "--quiet", f"oci:{layout}:latest")
    mounted = call("image", "mount", name.strip()) if name else None
    if mounted is None:
        pytest.skip("podman cannot unpack images here")
    found, expected = view(merged(layers)), on_disk(Path(mounted.strip()))
    for one in chosen:  # folder by folder, for the sake of whoever reads the failure
        inside = f"/{one}/"
        assert {path: what for path, what in found.items() if path.startswith(inside)} == {
            path: what for path, what in expected.items() if path.startswith(inside)
        }


# --- who gets the credit ---


def credit(layers: Layers, path: str) -> tuple[int, int, tuple[int, ...]]:
    """(layer, since, writers) of a file."""
    file = merged(layers).file(path)
    assert file is not None
    return file.layer, file.since, file.writers


def test_the_same_bytes_again_add_a_writer_only() -> None:
    # what chown -R leaves behind
    assert credit([[file_entry("f", b"1")], [], [file_entry("f", b"1")]], "/f") == (2, 0, (0, 2))


def test_other_bytes_are_there_since_their_layer() -> None:
    assert credit([[file_entry("f", b"1")], [file_entry("f", b"2")]], "/f") == (1, 1, (0, 1))


def test_other_bytes_and_back_again_are_new() -> None:
    layers = [[file_entry("f", b"1")], [file_entry("f", b"2")], [file_entry("f", b"1")]]
    assert credit(layers, "/f") == (2, 2, (0, 1, 2))


def test_removed_and_added_again_is_new() -> None:
    layers = [[file_entry("d/f", b"1")], [whiteout_entry("d/f")], [file_entry("d/f", b"1")]]
    assert credit(layers, "/d/f") == (2, 2, (2,))


@pytest.mark.parametrize("mark", [whiteout_entry("d/f"), whiteout_entry("d"), opaque_entry("d")])
def test_removed_and_added_again_in_one_layer_is_new(mark: Entry) -> None:
    layers = [[file_entry("d/f", b"1")], [mark, file_entry("d/f", b"1")]]
    assert credit(layers, "/d/f") == (1, 1, (1,))


def test_removed_with_its_folder_and_added_again_is_new() -> None:
    layers = [[file_entry("d/f", b"1")], [file_entry("d", b"x")], [file_entry("d/f", b"1")]]
    assert credit(layers, "/d/f") == (2, 2, (2,))


def test_twice_in_a_layer_is_one_writer() -> None:
    assert credit([[file_entry("f", b"1"), file_entry("f", b"2")]], "/f") == (0, 0, (0,))


def test_a_hard_link_is_written_by_its_own_layer() -> None:
    layers = [[file_entry("f", b"1")], [hardlink_entry("g", "f")]]
    assert credit(layers, "/f") == (0, 0, (0,))
    assert credit(layers, "/g") == (1, 1, (1,))


def test_through_a_link_it_is_the_same_file() -> None:
    layers = [[file_entry("d/f", b"1"), symlink_entry("l", "d")], [file_entry("l/f", b"1")]]
    assert credit(layers, "/d/f") == credit(layers, "/l/f") == (1, 0, (0, 1))


# --- reading paths ---


def test_links_stay_inside_the_root() -> None:
    rootfs = merged([[symlink_entry("etc/up", "../../../../etc/passwd"), file_entry("etc/passwd", b"x")]])
    assert rootfs.resolve("/etc/up") == "/etc/passwd"
    assert rootfs.resolve("/../../etc/../etc/./passwd") == "/etc/passwd"
    assert rootfs.resolve("/etc/up", follow_last=False) == "/etc/up"


def test_links_that_loop_lead_nowhere() -> None:
    rootfs = merged([[symlink_entry("a", "b"), symlink_entry("b", "a"), symlink_entry("s", "s/s/s")]])
    assert rootfs.resolve("/a") is None
    assert rootfs.file("/s") is None
    assert rootfs.read("/a/x") is None
    assert [path for path, _ in rootfs.walk()] == ["/a", "/b", "/s"]


@pytest.mark.parametrize(("links", "arrives"), [(40, True), (41, False)])
def test_links_are_followed_forty_times(links: int, *, arrives: bool) -> None:
    chain = [symlink_entry(f"l{number}", f"l{number + 1}") for number in range(links)]
    rootfs = merged([[*chain, file_entry(f"l{links}", b"x")]])
    assert (rootfs.file("/l0") is not None) is arrives


def test_a_file_has_nothing_below_it() -> None:
    rootfs = merged([[file_entry("f", b"1"), symlink_entry("l", "f")]])
    assert rootfs.node("/f/x") is None
    assert rootfs.node("/l/..") is not None
    assert rootfs.children("/f") == rootfs.children("/nothing") == {}


def test_walking_is_in_order_and_starts_anywhere() -> None:
    rootfs = merged([[file_entry(path) for path in ("b/2", "b/1/x", "a", "b.py", "c/1")]])
    everything = ["/a", "/b", "/b/1", "/b/1/x", "/b/2", "/b.py", "/c", "/c/1"]
    assert [path for path, _ in rootfs.walk()] == everything
    assert [path for path, _ in rootfs.walk("/b/")] == ["/b", "/b/1", "/b/1/x", "/b/2"]
    assert [path for path, _ in rootfs.walk("/a")] == ["/a"]
    assert list(rootfs.walk("/nothing")) == []


# --- what cannot be applied ---


def findings(layers: Layers) -> list[tuple[FindingKind, str, int | None]]:
    return [(one.kind, one.path, one.layer) for one in merged(layers).findings]


def test_a_hard_link_before_its_target() -> None:
    rootfs = merged([[hardlink_entry("early", "late"), file_entry("late", b"1")]])
    assert rootfs.findings == ()
    assert view(rootfs)["/early"] == ("file", sha(b"1"))


def test_hard_links_to_nothing() -> None:
    layers = [[], [hardlink_entry("one", "two"), hardlink_entry("two", "one"), hardlink_entry("me", "me")]]
    dangling = FindingKind.DANGLING_LINK
    assert findings(layers) == [(dangling, "/one", 1), (dangling, "/two", 1), (dangling, "/me", 1)]


def test_a_hard_link_to_a_directory() -> None:
    assert findings([[dir_entry("d"), hardlink_entry("h", "d")]]) == [(FindingKind.UNSAFE_ENTRY, "/h", 0)]


def test_a_hard_link_to_itself_changes_nothing() -> None:
    layers = [[file_entry("d/f", b"1"), symlink_entry("l", "d")], [hardlink_entry("l/f", "d/f")]]
    assert findings(layers) == []
    assert view(merged(layers))["/d/f"] == ("file", sha(b"1"))
    assert credit([[file_entry("f", b"1")], [hardlink_entry("f", "f")]], "/f") == (0, 0, (0,))


def test_parents_that_loop_are_a_finding_and_the_rest_goes_on() -> None:
    layers = [[symlink_entry("a", "b"), symlink_entry("b", "a"), file_entry("a/f", b"1"), file_entry("g", b"1")]]
    assert findings(layers) == [(FindingKind.UNSAFE_ENTRY, "/a/f", 0)]
    assert "/g" in view(merged(layers))


def test_a_tree_that_links_make_ever_deeper_ends() -> None:
    entries = [dir_entry("0")]
    for number in range(100):
        entries += [symlink_entry(f"l{number}", "/".join(["d"] * 100)), file_entry(f"l{number}/f", b"1")]
        entries += [symlink_entry("d", "/".join(f"l{number}" for number in range(number)) or "0")]
    rootfs = merged([entries])
    assert max(path.count("/") for path, _ in rootfs.walk()) <= DEFAULT_LIMITS.depth
    deep = ["/".join(["x"] * 200)] * 3
    chained = merged([[dir_entry(deep[0]), symlink_entry("l", deep[0]), file_entry(f"l/{deep[1]}/f", b"1")]])
    assert [one.kind for one in chained.findings] == [FindingKind.UNSAFE_ENTRY]


def test_folders_that_no_entry_names_count() -> None:
    limits = replace(DEFAULT_LIMITS, entries=1000)
    entries = [file_entry(f"{number}/" + "d/" * 100 + "f") for number in range(20)]
    with pytest.raises(LimitExceeded, match="folders without entries"):
        merged([entries], limits=limits)
    merged([entries[:5]], limits=limits)


def timed(layers: Layers) -> float:
    taken = [take_inventory(cast("BinaryIO", io.BytesIO(tar_of(one))), limits=DEFAULT_LIMITS) for one in layers]
    started = time.process_time()
    RootFS.of(taken)
    return time.process_time() - started


def test_many_whiteouts_of_a_large_folder_take_linear_time() -> None:
    large = [file_entry(f"d/e/{number}") for number in range(3000)]
    marks = [whiteout_entry("d"), opaque_entry("d"), whiteout_entry("d/e"), opaque_entry("d/e")]
    for lower, upper in (([], [*large, *marks * 750]), (large, [*large[:1500], *marks * 750])):
        assert timed([lower, upper]) < 3


def test_long_ways_through_links_take_bounded_time() -> None:
    around = "a/../" * 800
    entries = [dir_entry("a"), *(symlink_entry(f"l{number}", f"{around}l{number + 1}") for number in range(30))]
    entries += [entry for number in range(1000) for entry in (symlink_entry("s", "a"), file_entry(f"l0/{number}/f"))]
    assert timed([entries]) < 3
