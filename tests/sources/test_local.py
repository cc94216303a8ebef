"""``dir:`` and ``file:``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.errors import AccessDenied, TargetError, TargetNotFound, UnsupportedTarget
from scanner.image import Directory, File
from scanner.reference import PathReference
from scanner.sources.local import open_path


def test_a_directory_and_a_file_are_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "a.whl"
    file.write_bytes(b"")
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for path in (tmp_path, link):
        assert open_path(PathReference(scheme="dir", path=str(path))) == Directory(reference=f"dir:{path}", path=path)
    assert open_path(PathReference(scheme="file", path=str(file))) == File(reference=f"file:{file}", path=file)


def test_home_behind_a_prefix_which_the_shell_leaves_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache").mkdir()
    opened = open_path(PathReference(scheme="dir", path="~/.cache"))
    assert opened == Directory(reference="dir:~/.cache", path=tmp_path / ".cache")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~").mkdir()
    assert open_path(PathReference(scheme="dir", path="~")).path == Path("~")
    with pytest.raises(TargetNotFound):
        open_path(PathReference(scheme="dir", path="~nobody-of-this-name/x"))


@pytest.mark.parametrize("scheme", ["dir", "file"])
def test_what_is_not_there_is_not_found(tmp_path: Path, scheme: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("none", "dangling", "none/none"):
        with pytest.raises(TargetNotFound, match="no such"):
            open_path(PathReference(scheme=scheme, path=f"{tmp_path}/{name}"))


def test_the_other_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnsupportedTarget, match="a directory") as caught:
        open_path(PathReference(scheme="file", path=str(tmp_path)))
    assert caught.value.hint == "a tree is dir:PATH"
    with pytest.raises(UnsupportedTarget, match="no directory") as caught:
        open_path(PathReference(scheme="dir", path=f"{tmp_path}/file"))
    assert caught.value.hint == "one file is file:PATH"


def test_odd_paths_are_errors_and_block_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UnsupportedTarget, match="no regular file"):
        open_path(PathReference(scheme="file", path=f"{tmp_path}/pipe"))
    for scheme in ("dir", "file"):
        for path in (f"{tmp_path}/loop", "x" * 5000):
            with pytest.raises(TargetError):
                open_path(PathReference(scheme=scheme, path=path))


def test_what_may_not_be_read_is_denied(bounded_rights: Path) -> None:
    for path in (bounded_rights / "dir", bounded_rights / "file"):
        path.mkdir() if path.name == "dir" else path.touch()
        path.chmod(0)
        with pytest.raises(AccessDenied):
            open_path(PathReference(scheme=path.name, path=str(path)))
        path.chmod(0o700)
