"""The bytes of sources and byte code between reading layers and comparing: a file without a name, not memory."""

from __future__ import annotations

import os
import tempfile
import threading
from importlib.util import MAGIC_NUMBER

from scanner.limits import Limits


class Spool:
    """Bytes by their raw sha256. What no longer fits, into ``code_kept`` or on the disk, is not kept."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.code_kept
        self._file = tempfile.TemporaryFile(prefix="cgscan-")  # noqa: SIM115 - open as long as this is
        self._places: dict[bytes, tuple[int, int]] = {}
        self._size = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forget everything."""
        self._file.close()

    def keep(self, name: str, sha256: bytes, data: bytes) -> None:
        """Keep a source, or byte code that this Python could run."""
        if name.endswith(".pyc") and data[:4] != MAGIC_NUMBER:
            return
        with self._lock:
            if sha256 in self._places or self._size + len(data) > self._most:
                return
            try:
                written = os.pwrite(self._file.fileno(), data, self._size)
            except OSError:
                return
            if written == len(data):
                self._places[sha256] = (self._size, len(data))
                self._size += len(data)

    def read(self, sha256: bytes) -> bytes | None:
        """The bytes; None where they were not kept."""
        place = self._places.get(sha256)
        if place is None:
            return None
        start, size = place
        data = os.pread(self._file.fileno(), size, start)
        return data if len(data) == size else None
