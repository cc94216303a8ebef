"""Programs that Nuitka compiled from Python: its runtime has names that start with ``__nuitka_``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from scanner.inventories.suspicion import Chunks

NUITKA: Final = "a program made by Nuitka: its modules are compiled into it and cannot be compared with any wheel's"
_NAME: Final = re.compile(rb"__nuitka_")
_OVERLAP: Final = 16


class Search:
    """Chunks of a program that are searched while somebody iterates over them; ``found`` once it is Nuitka's."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self.found = False

    def __iter__(self) -> Iterator[bytes | memoryview]:
        last = b""
        for chunk in self._chunks:
            if not self.found:
                self.found = bool(_NAME.search(chunk) or _NAME.search(last + bytes(chunk[:_OVERLAP])))
                last = bytes(chunk[-_OVERLAP:])
            yield chunk
