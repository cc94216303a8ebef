"""A tree or a file on disk -> Inventory. Links are not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from scanner.digest import CHUNK
from scanner.distribution import FindingKind
from scanner.errors import TargetError
from scanner.inventories.openers import open_suspect
from scanner.inventories.stamping import KeepCode
from scanner.inventories.taking import OnKept, Taking
from scanner.inventory import Inventory
from scanner.limits import Limits
from scanner.tarstream import TarEntry


def take_directory(
    root: Path, *, limits: Limits, keep_code: KeepCode | None = None, on_kept: OnKept | None = None
) -> Inventory:
    """Read a tree on disk. File systems of the kernel's, such as ``proc``, are left out."""
    taking = Taking(limits=limits, what=str(root), keep_code=keep_code, opener=open_suspect, on_kept=on_kept)
    for relative, path, status in _walk(root, taking):
        _take(taking, relative, path, status)
    return taking.done()


def take_file(path: Path, *, limits: Limits) -> Inventory:
    """Read one file as a tree that holds only it; :class:`scanner.errors.TargetError` if it is not there."""
    taking = Taking(limits=limits, what=str(path), opener=open_suspect)
    try:
        status = path.stat()
    except OSError as problem:
        raise TargetError(f"{path}: {problem.strerror}") from problem
    _take(taking, path.name, path.resolve(), status)
    return taking.done()


def _take(taking: Taking, relative: str, path: Path, status: os.stat_result) -> None:
    try:
        if stat.S_ISLNK(status.st_mode):
            taking.take_named(relative, TarEntry(relative, "symlink", 0, str(path.readlink()), 0, None))
        elif stat.S_ISREG(status.st_mode):
            _take_file(taking, relative, path)
        else:
            kind = "directory" if stat.S_ISDIR(status.st_mode) else "other"
            taking.take_named(relative, TarEntry(relative, kind, 0, "", 0, None))
    except OSError as problem:
        taking.finding(FindingKind.UNREADABLE, relative, f"could not be read: {problem.strerror}")


def _take_file(taking: Taking, relative: str, path: Path) -> None:
    # What was a file a moment ago may be a link or a pipe by now.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            taking.finding(FindingKind.UNREADABLE, relative, "changed its kind while the tree was read")
            return
        mtime = int(status.st_mtime) if relative.endswith((".py", ".pyc")) else 0
        entry = TarEntry(relative, "file", status.st_size, "", mtime, None)
        taking.take_named(relative, entry, lambda: _read(file, status.st_size))


def _read(file: BinaryIO, size: int) -> Iterator[bytes]:
    """No more than ``size`` bytes: a file may grow while it is read, and some of the kernel's have no end."""
    while size > 0 and (chunk := file.read(min(size, CHUNK))):
        size -= len(chunk)
        yield chunk


def _walk(root: Path, taking: Taking) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Every entry below ``root`` as (path relative to it, path, status), parents first."""
    try:
        home = root.stat().st_dev
    except OSError as problem:
        raise TargetError(f"{root}: {problem.strerror}") from problem
    pending = [("", root)]
    while pending:
        prefix, folder = pending.pop()
        try:
            found = sorted(os.scandir(folder), key=lambda item: item.name)
        except OSError as problem:
            if not prefix:
                raise TargetError(f"{root}: {problem.strerror}") from problem
            taking.finding(FindingKind.UNREADABLE, prefix, f"could not be listed: {problem.strerror}")
            continue
        for item in found:
            relative = f"{prefix}/{item.name}" if prefix else item.name
            try:
                status = item.stat(follow_symlinks=False)
            except OSError:
                continue  # gone while the tree was read
            if status.st_dev != home and stat.S_ISDIR(status.st_mode) and _is_pseudo(relative):
                continue
            path = Path(item.path)
            yield relative, path, status
            if stat.S_ISDIR(status.st_mode):
                pending.append((relative, path))


def _is_pseudo(relative: str) -> bool:
    """File systems of the kernel, which hold no files of anybody."""
    return relative.partition("/")[0] in ("proc", "sys", "dev", "run")
