"""``dir:`` and ``file:``: a tree on disk, and one file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from scanner.errors import TargetNotFound, UnsupportedTarget
from scanner.image import Directory, File
from scanner.reference import PathReference
from scanner.sources.files import open_regular, problems_with


def open_path(reference: PathReference) -> Directory | File:
    """The directory or file; :class:`TargetNotFound`, ``AccessDenied`` or :class:`UnsupportedTarget`."""
    path = on_disk(reference.path)
    if reference.scheme == "file":
        return _file(reference, path)
    with problems_with(path):
        if not path.exists():
            raise TargetNotFound(f"{reference}: no such directory")
    if not path.is_dir():
        raise UnsupportedTarget(f"{reference}: no directory", hint="one file is file:PATH")
    with problems_with(path):
        os.scandir(path).close()
    return Directory(reference=str(reference), path=path)


def on_disk(text: str) -> Path:
    """The path; behind a prefix the shell leaves ``~`` to us."""
    path = Path(text)
    if text.startswith("~") and not path.exists():
        with contextlib.suppress(RuntimeError):  # nobody's home
            return path.expanduser()
    return path


def _file(reference: PathReference, path: Path) -> File:
    with problems_with(path):
        if path.is_dir():
            raise UnsupportedTarget(f"{reference}: a directory", hint="a tree is dir:PATH")
    open_regular(path).close()
    return File(reference=str(reference), path=path)
