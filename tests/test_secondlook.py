"""The second look at changed files: in layers, folders and tars, within its bounds, and never an error."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from fixtures import images
from scanner.digest import Digest
from scanner.errors import TargetError
from scanner.forms import Text
from scanner.image import Directory, File, Image, Layer, Target
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.rootfs import RegularFile
from scanner.secondlook import SecondLook
from scanner.store import DiskStore

CHANGED = b"one\r\ntwo\r\n"


def regular(path: str, data: bytes, layer: int = 0) -> RegularFile:
    return RegularFile(
        path=path, sha256=hashlib.sha256(data).digest(), size=len(data), layer=layer, since=layer, writers=(layer,)
    )


def layer_of(tar: bytes, *, opened: list[int] | None = None, number: int = 0) -> Layer:
    def opening() -> AbstractContextManager[BinaryIO]:
        if opened is not None:
            opened.append(number)
        return nullcontext(BytesIO(tar))

    digest = Digest.of(tar)
    return Layer(diff_id=digest, digest=digest, size=len(tar), open=opening)


def image_of(*layers: Layer) -> Image:
    return Image(reference="test", digest=None, platform=None, layers=layers)


def tar_of(*files: tuple[str, bytes]) -> bytes:
    return images.tar_of([images.file_entry(path, data) for path, data in files])


def looked(target: Target, *files: RegularFile, limits: Limits = DEFAULT_LIMITS) -> list[bytes]:
    return list(SecondLook(target=target, limits=limits)(files))


def test_only_layers_with_changed_files_are_opened() -> None:
    opened: list[int] = []
    image = image_of(
        layer_of(tar_of(("a.py", b"a\n")), opened=opened, number=0),
        layer_of(tar_of(("b.py", CHANGED), ("c.py", b"x" * len(CHANGED))), opened=opened, number=1),
    )
    file = regular("/b.py", CHANGED, layer=1)
    forms = SecondLook(target=image, limits=DEFAULT_LIMITS)([file])
    assert opened == [1]
    assert isinstance(forms[file.sha256], Text)
    assert looked(image) == []
    assert opened == [1]


def test_what_was_seen_once_is_not_read_again(tmp_path: Path) -> None:
    opened: list[int] = []
    neither = b"no text\0and no ELF"
    image = image_of(layer_of(tar_of(("b.py", CHANGED), ("c.bin", neither)), opened=opened))
    files = [regular("/b.py", CHANGED), regular("/c.bin", neither)]
    look = SecondLook(target=image, limits=DEFAULT_LIMITS, store=DiskStore(tmp_path))
    first = look(files)
    assert list(first) == [files[0].sha256]
    assert look(files) == first
    assert opened == [0]
    assert look([*files, regular("/d.py", b"x")]) == first
    assert opened == [0, 0]


def test_what_is_remembered_of_other_layers_makes_no_room(tmp_path: Path) -> None:
    image = image_of(layer_of(tar_of(("a.py", b"a\r\n"))), layer_of(tar_of(("b.py", CHANGED))))
    files = (regular("/a.py", b"a\r\n", 0), regular("/b.py", CHANGED, 1))
    look = SecondLook(target=image, limits=replace(DEFAULT_LIMITS, second_look=12_000), store=DiskStore(tmp_path))
    assert look(files) == look(files)
    assert len(look(files)) == 1


def test_a_folder_and_a_tar_say_the_same(tmp_path: Path) -> None:
    file = regular("/lib/b.py", CHANGED)
    (tmp_path / "root/lib").mkdir(parents=True)
    (tmp_path / "root/lib/b.py").write_bytes(CHANGED)
    (tmp_path / "root.tar").write_bytes(tar_of(("lib/b.py", CHANGED)))
    folder = Directory(reference="folder", path=tmp_path / "root")
    assert looked(folder, file) == looked(File(reference="tar", path=tmp_path / "root.tar"), file) == [file.sha256]


def test_what_is_another_file_by_now_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_bytes(b"other")
    (tmp_path / "link.py").symlink_to("b.py")
    folder = Directory(reference="folder", path=tmp_path)
    assert looked(folder, regular("/b.py", CHANGED), regular("/gone.py", CHANGED), regular("/link.py", b"other")) == []


@pytest.mark.parametrize("limits", [{"second_look_files": 1}, {"form": 5}, {"second_look": 12_000}])
def test_bounds(limits: dict[str, int]) -> None:
    image = image_of(layer_of(tar_of(("a.py", b"a\r\n"))), layer_of(tar_of(("b.py", CHANGED))))
    files = (regular("/a.py", b"a\r\n", 0), regular("/b.py", CHANGED, 1))
    assert len(looked(image, *files)) == 2
    assert len(looked(image, *files, limits=replace(DEFAULT_LIMITS, **limits))) == 1


def test_a_layer_that_cannot_be_read_again_costs_its_notes_only() -> None:
    def refused() -> AbstractContextManager[BinaryIO]:
        raise TargetError("the registry is gone")

    tar = tar_of(("b.py", CHANGED))
    broken = replace(layer_of(tar), open=refused)
    truncated = replace(layer_of(tar), open=lambda: nullcontext(BytesIO(tar[:700])))
    files = (regular("/x.py", b"x\r\n", 0), regular("/y.py", b"y\r\n", 1), regular("/b.py", CHANGED, 2))
    assert looked(image_of(broken, truncated, layer_of(tar)), *files) == [files[2].sha256]
