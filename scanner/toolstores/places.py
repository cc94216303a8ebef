"""Folders below a store's root, opened one step at a time without following a link.

What is below the root is reached through file descriptors alone (``openat`` and friends), so a link that somebody
puts there meanwhile leads nowhere.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

from scanner.errors import NotDeleted

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
MOST_NAMES: Final = 1_000_000
"""Entries that are looked at in all for one deletion."""


class Gone(Exception):
    """There is no such folder."""


@dataclass(frozen=True, slots=True)
class Place:
    """An open folder; ``path`` is its name for messages."""

    descriptor: int
    path: str

    @classmethod
    @contextmanager
    def of(cls, root: str) -> Iterator[Place]:
        """The root itself, which may be reached through links: it is what somebody named."""
        try:
            descriptor = os.open(root, _FOLDER)
        except (FileNotFoundError, NotADirectoryError) as problem:
            raise Gone from problem
        try:
            yield cls(descriptor, root)
        finally:
            os.close(descriptor)

    @contextmanager
    def below(self, relative: str) -> Iterator[Place]:
        """A folder below this one. :class:`Gone` where there is none, NotDeleted where a link leads there."""
        descriptor = os.dup(self.descriptor)
        path = self.path
        try:
            for step in filter(None, relative.split("/")):
                path = f"{path}/{step}"
                following = _step(step, descriptor, path)
                os.close(descriptor)
                descriptor = following
            yield Place(descriptor, path)
        finally:
            os.close(descriptor)

    def status(self, name: str) -> os.stat_result | None:
        """Of what is called so here, not of what a link leads to; None where there is nothing."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """A file of this folder. :class:`Gone` where there is none, NotDeleted for anything but a file."""
        try:
            descriptor = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.descriptor
            )
        except FileNotFoundError as problem:
            raise Gone from problem
        except OSError as problem:
            raise _refusal(problem, f"{self.path}/{name}") from problem
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NotDeleted(f"{self.path}/{name}: not deleted: it is no file")
            yield file

    def names(self) -> list[str]:
        """What is in it."""
        with os.scandir(self.descriptor) as found:
            return sorted(entry.name for entry in found)

    def link(self, name: str) -> str | None:
        """Where a link leads; None for what is no link."""
        try:
            return os.readlink(name, dir_fd=self.descriptor)
        except OSError:
            return None

    def unlink(self, name: str) -> bool:
        """Remove a file or a link; whether there was one."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return False
        return True

    def rename(self, name: str, new: str) -> None:
        """Call it otherwise, within this folder."""
        os.rename(name, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove_tree(self, name: str) -> None:
        """Remove a folder with all that is in it; links in it are removed, not followed."""
        with suppress(FileNotFoundError):
            shutil.rmtree(name, dir_fd=self.descriptor)

    def walk(self, depth: int, prefix: str = "", count: Iterator[int] | None = None) -> Iterator[tuple[str, Place]]:
        """Every folder below as (path relative to the first one, place), to a depth; links are not followed.

        Each is open only until the next is asked for. ``count`` is how many names may still be looked at.
        """
        left = count or iter(range(MOST_NAMES))
        for name in self.names():
            if next(left, None) is None:
                raise NotDeleted(f"{self.path}: not deleted: the store has more than {MOST_NAMES} entries")
            status = self.status(name)
            if status is None or not stat.S_ISDIR(status.st_mode):
                continue
            with suppress(Gone), self.below(name) as place:
                yield f"{prefix}{name}", place
                if depth > 1:
                    yield from place.walk(depth - 1, f"{prefix}{name}/", left)


def _step(step: str, descriptor: int, path: str) -> int:
    try:
        return os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
    except FileNotFoundError as problem:
        raise Gone from problem
    except OSError as problem:
        raise _refusal(problem, path) from problem


def _refusal(problem: OSError, path: str) -> NotDeleted:
    if problem.errno in (errno.ELOOP, errno.ENOTDIR):
        return NotDeleted(f"{path}: not deleted: a link or a file stands where the store has a folder or a file")
    return NotDeleted(f"{path}: not deleted: {problem.strerror or problem}")
