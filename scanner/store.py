"""What is remembered between scans: bytes under (kind, key), on disk.

Only what cannot change is stored for ever (inventories by diff_id, wheel contents by sha256);
pages of indexes carry their own freshness. A value is written to a temporary file beside its place and
renamed, so a reader in another process sees all of it or nothing, and a kill leaves nothing behind that is read.
The key is hashed into the file's name: nothing that comes from a target becomes a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

_OURS: Final = re.compile(r"[0-9a-f]{2}/(?:[0-9a-f]{62}|\.new-.*)")
"""The files that are made here, below the folder of a kind."""


class Store(Protocol):
    """A place for bytes. Losing them costs time, never truth; so no call raises."""

    def get(self, kind: str, key: str) -> bytes | None:
        """What was put there, or None."""

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Remember ``data``."""


class NoStore:
    """Remembers nothing."""

    def get(self, kind: str, key: str) -> bytes | None:
        """Nothing."""
        return None

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Forget ``data``."""


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
            descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=".new-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
                Path(temporary).replace(place)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        self._keep_to_bound(len(data))

    def _keep_to_bound(self, written: int) -> None:
        """Now and then count all files, and remove the ones that were used least recently down to four fifths."""
        if self._most is None:
            return
        with self._lock:
            self._unchecked -= written
            if self._unchecked > 0:
                return
            self._unchecked = self._most // 16
        files = sorted(self._sized(), key=lambda found: found[0])
        left = sum(size for _, size, _ in files)
        for _, size, file in files if left > self._most else ():
            if left <= self._most * 4 // 5:
                break
            with contextlib.suppress(OSError):
                file.unlink()
                left -= size

    def _sized(self) -> Iterator[tuple[float, int, Path]]:
        """(last used, bytes, file) of every file."""
        for file in self._files():
            with contextlib.suppress(OSError):
                status = file.stat()
                yield status.st_mtime, status.st_size, file

    def entries(self) -> Iterator[tuple[str, int]]:
        """The kind and the bytes of every value's file."""
        for _, size, file in self._sized():
            yield file.parent.parent.name, size

    def clear(self) -> int:
        """Forget everything, and nothing else that lies in the folder; how many values that were."""
        forgotten = 0
        for file in list(self._files()):
            with contextlib.suppress(OSError):
                file.unlink()
                forgotten += 1
        return forgotten

    def _files(self) -> Iterator[Path]:
        return (file for file in self._folder.glob("*/??/*") if _OURS.fullmatch(f"{file.parent.name}/{file.name}"))

    def _place(self, kind: str, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / kind / name[:2] / name[2:]
