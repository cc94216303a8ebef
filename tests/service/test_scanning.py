"""What a killed worker leaves is removed by a later one."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from scanner.service.scanning import remove_left


def test_only_old_folders_of_our_own_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, young, other, target = (tmp_path / name for name in ("cgscan-scan-a", "cgscan-scan-b", "else-c", "target"))
    for folder in (old, young, other, target):
        folder.mkdir()
        (folder / "said").touch()
    link = tmp_path / "cgscan-scan-link"
    link.symlink_to(target)
    for folder in (old, other, target):
        os.utime(folder, (time.time() - 1000,) * 2)
    os.utime(link, (time.time() - 1000,) * 2, follow_symlinks=False)
    remove_left(older=500)
    assert not old.exists()
    assert all((folder / "said").exists() for folder in (young, other, target))
