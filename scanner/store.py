"""What is remembered between scans: bytes under (kind, key), on disk.

Only what cannot change is stored for ever (inventories by diff_id, wheel contents by sha256);
pages of indexes carry their own freshness. A value is written to a temporary file beside its place and
renamed, so a reader in another process sees all of it or nothing, and a kill leaves nothing behind that is read:
the temporary file counts as ``unfinished`` until it is a day old, and goes when files are next counted.
The key is hashed into the file's name: nothing that comes from a target becomes a path.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar, runtime_checkable

_OURS: Final = re.compile(r"[0-9a-f]{2}/(?:[0-9a-f]{62}|\.new-.*)")
"""The files that are made here, below the folder of a kind."""
_NEW: Final = ".new-"
UNFINISHED: Final = "unfinished"
"""The kind of what a writer has not finished, or never will."""
_GIVEN_UP: Final = 24 * 60 * 60.0
"""Seconds after which nobody finishes a file any more."""
_LOCK: Final = ".lock"
"""In the folder of a kind whose values are changed: whoever holds it is the only one who changes any."""
_PATIENCE: Final = 5.0
"""Seconds to wait for who holds it. A process that was stopped meanwhile must not stop all others."""
_LOOK_AGAIN: Final = 0.01
_T = TypeVar("_T")


class Store(Protocol):
    """A place for bytes. Losing them costs time, never truth; so no call raises."""

    def get(self, kind: str, key: str) -> bytes | None:
        """What was put there, or None."""

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Remember ``data``."""

    def change(self, kind: str, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Put what ``change`` makes of the value that is there, unless it is None; no other change comes between.

        It may come to nothing, and ``change`` may not be called at all.
        """


@runtime_checkable
class Claiming(Protocol):
    """A store that others fill at the same time, and that can say who makes what is not there yet."""

    def claimed(self, kind: str, key: str, look: Callable[[], _T | None]) -> AbstractContextManager[_T | None]:
        """What ``look`` finds, now or when whoever makes it has put it there; None where the caller is to make it.

        Nobody else is told to until the end of the block, as far as that can be had; nobody waits for ever.
        """


def found_or_claimed(
    store: Store, kind: str, key: str, look: Callable[[], _T | None]
) -> AbstractContextManager[_T | None]:
    """What ``look`` finds; None where the caller is to make it, alone where the store is :class:`Claiming`."""
    known = look()
    if known is None and isinstance(store, Claiming):
        return store.claimed(kind, key, look)
    return contextlib.nullcontext(known)


class NoStore:
    """Remembers nothing."""

    def get(self, kind: str, key: str) -> bytes | None:
        """Nothing."""
        return None

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Forget ``data``."""

    def change(self, kind: str, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Nothing."""


class _Stored(NamedTuple):
    """A file of a store. ``used`` is when, in seconds since 1970; ``size`` is bytes."""

    path: Path
    kind: str
    used: float
    size: int


class DiskStore:
    """A folder with a file for every value, behind a line with the sha256 of the value.

    ``most`` bounds the bytes of all files together: what was used least recently goes first. Several processes may
    work on one folder; a file that another one took away was never there.
    """

    def __init__(self, folder: Path, *, most: int | None = None) -> None:
        self._folder = folder
        self._most = most
        self._lock = threading.Lock()
        self._unchecked = 0
        """Bytes that may be written before all files are counted again."""
        self._held_up = False
        """Whether somebody has held a lock for longer than anybody should; then nobody waits for one again."""

    def get(self, kind: str, key: str) -> bytes | None:
        """The value, or None where there is none or its file is damaged."""
        place = self._place(kind, key)
        try:
            checksum, _, data = place.read_bytes().partition(b"\n")
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest().encode() != checksum:
            return None
        with contextlib.suppress(OSError):
            os.utime(place)
        return data

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Write the value; a full disk or a read-only folder is no error."""
        place = self._place(kind, key)
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=_NEW)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
                Path(temporary).replace(place)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        self._keep_to_bound(len(data))

    def change(self, kind: str, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Change a value under the lock of its kind, which ends with the process that holds it."""
        with contextlib.suppress(OSError), self._locked(kind):
            data = change(self.get(kind, key))
            if data is not None:
                self.put(kind, key, data)

    @contextlib.contextmanager
    def _locked(self, kind: str) -> Iterator[None]:
        """:class:`OSError` where there is no lock to be had."""
        folder = self._folder / kind
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        until = time.monotonic() + (0.0 if self._held_up else _PATIENCE)
        with (folder / _LOCK).open("ab") as file:  # closing it gives it back
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        self._held_up = True
                        raise
                time.sleep(_LOOK_AGAIN)
            yield

    def _keep_to_bound(self, written: int) -> None:
        """Now and then count all files, and remove the ones that were used least recently down to four fifths.

        Those that a killed writer left go in any case.
        """
        if self._most is None:
            return
        with self._lock:
            self._unchecked -= written
            if self._unchecked > 0:
                return
            self._unchecked = self._most // 16
        files = sorted(self._files(), key=lambda file: file.used)
        abandoned = time.time() - _GIVEN_UP
        left = sum(file.size for file in files)
        bound = self._most * 4 // 5 if left > self._most else left
        for file in files:
            if left > bound or (file.kind == UNFINISHED and file.used < abandoned):
                with contextlib.suppress(OSError):
                    file.path.unlink()
                    left -= file.size

    def entries(self) -> Iterator[tuple[str, int]]:
        """The kind and the bytes of every file; :data:`UNFINISHED` for what is no value yet."""
        for file in self._files():
            yield file.kind, file.size

    def clear(self) -> int:
        """Forget everything, and nothing else that lies in the folder; how many values that were."""
        forgotten = 0
        for file in list(self._files()):
            with contextlib.suppress(OSError):
                file.path.unlink()
                forgotten += 1
        return forgotten

    def _files(self) -> Iterator[_Stored]:
        for kind in _inside(self._folder):
            for part in _inside(kind.path):
                for file in _inside(part.path):
                    if _OURS.fullmatch(f"{part.name}/{file.name}"):
                        with contextlib.suppress(OSError):
                            status = file.stat(follow_symlinks=False)
                            of_kind = UNFINISHED if file.name.startswith(_NEW) else kind.name
                            yield _Stored(Path(file.path), of_kind, status.st_mtime, status.st_size)

    def _place(self, kind: str, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / kind / name[:2] / name[2:]


def _inside(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing where there is none."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []
