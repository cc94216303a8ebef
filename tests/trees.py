"""A folder as one value, to see whether anything in it has changed."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def snapshot(folder: Path) -> dict[str, tuple[str, ...]]:
    """Kind, mode, and bytes or link of everything below; times only of the bytes, so that reading changes nothing."""
    found: dict[str, tuple[str, ...]] = {}
    for above, names, files in os.walk(folder):
        for name in [*names, *files]:
            path = Path(above) / name
            status = path.lstat()
            mode = f"{status.st_mode:o}"
            place = str(path.relative_to(folder))
            if stat.S_ISLNK(status.st_mode):
                found[place] = ("link", mode, str(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                found[place] = ("file", mode, hashlib.sha256(path.read_bytes()).hexdigest())
            else:
                found[place] = ("folder", mode)
    return found
