"""What the tests of sources share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_NOBODY = 65534


@pytest.fixture
def bounded_rights(tmp_path: Path) -> Iterator[Path]:
    """``tmp_path`` while permissions count: root puts its rights aside, because it may read everything."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    reachable = [folder for folder in (tmp_path, *tmp_path.parents) if folder.stat().st_mode & 0o055 != 0o055]
    modes = {folder: folder.stat().st_mode for folder in reachable}
    for folder in reachable:
        folder.chmod(modes[folder] | 0o055)
    os.chown(tmp_path, _NOBODY, _NOBODY)
    os.seteuid(_NOBODY)
    try:
        yield tmp_path
    finally:
        os.seteuid(0)
        for folder, mode in modes.items():
            folder.chmod(mode)
