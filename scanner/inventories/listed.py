"""A layer's table of contents -> Inventory: every entry as it is listed, and the bytes of those files only that matter.

What matters is told by names, as in a layer that is read whole. What only the first bytes of a file tell is not looked
for here: programs and archives of other names outside of folders of scripts, and the headers of byte code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from scanner.bytecode import UNREAD
from scanner.image import Layer
from scanner.inventories.fetching import fetched
from scanner.inventories.keeping import Folder
from scanner.inventories.openers import open_suspect
from scanner.inventories.stamping import PYTHON_FILES
from scanner.inventories.suspicion import TAR_NAMES, ZIP_NAMES, Suspect
from scanner.inventories.taking import OF_NOTHING, Content, Taking
from scanner.inventory import Entry, Inventory
from scanner.limits import MIB, Limits
from scanner.tarstream import TarEntry
from scanner.toc import Listed, Part, Unlisted, read_toc

_SMALLEST: Final = 1 * MIB
"""A smaller layer is as quickly read whole."""


def take_listed(layer: Layer, *, limits: Limits, what: str) -> Inventory | None:
    """What a layer holds by its table of contents; None where it has to be read whole.

    Raises :class:`scanner.errors.DigestMismatch` for another table, or another file, than was promised.
    """
    try:
        listed, part, size = _table(layer, limits, what)
        taking = _Listing(limits=limits, what=what)
        for one in listed:
            taking.take_listed(one)
        files = [wanted.one for wanted in taking.wanted]
        taking.take_contents(fetched(files, part, size=size, what=what, limits=limits))
    except Unlisted:
        return None
    return replace(taking.done(), listed=True)


def read_listed(layer: Layer, wanted: Collection[bytes], *, limits: Limits, what: str) -> Iterator[tuple[bytes, bytes]]:
    """The contents of the files with these raw sha256, each once. Raises :class:`Unlisted` where it cannot be done."""
    listed, part, size = _table(layer, limits, what)
    files = list({one.sha256: one for one in listed if one.sha256 in wanted}.values())
    files.sort(key=lambda one: one.pieces[0].start if one.pieces else 0)
    for one, content in zip(files, fetched(files, part, size=size, what=what, limits=limits), strict=True):
        yield one.sha256 or b"", b"".join(content)


def _table(layer: Layer, limits: Limits, what: str) -> tuple[Sequence[Listed], Part, int]:
    """The layer's entries, the way to its bytes, and their number."""
    if layer.toc is None or layer.part is None or (layer.size or 0) < _SMALLEST:
        raise Unlisted(f"{what}: has no table of contents, or is too small for one")
    size = layer.size or 0
    return read_toc(layer.toc, layer.part, size=size, what=what, limits=limits), layer.part, size


class _Wanted(NamedTuple):
    """A file whose bytes are needed, and its entry in the table."""

    folder: Folder
    name: str
    one: Listed


class _Listing(Taking):
    """An inventory out of a table of contents; ``wanted`` is in its order."""

    def __init__(self, *, limits: Limits, what: str) -> None:
        super().__init__(limits=limits, what=what, opener=open_suspect)
        self.wanted: list[_Wanted] = []
        self._now: Listed | None = None

    def take_listed(self, one: Listed) -> None:
        """Put one entry down."""
        self._now = one
        self.take_entry(one.entry, tuple)

    def _take_file(self, folder: Folder, name: str, entry: TarEntry, content: Content) -> None:
        one = self._now
        assert one is not None
        stamp = UNREAD if name.endswith(PYTHON_FILES) and entry.size else b""
        sha256 = one.sha256 if entry.size else OF_NOTHING
        self._append(Entry(folder.path, name, "file", entry.size, sha256, "", 0, stamp))
        if self._is_wanted(folder, name, entry.size):
            self.wanted.append(_Wanted(folder, name, one))

    def _is_wanted(self, folder: Folder, name: str, size: int) -> bool:
        """Told by the name; what is too large to be read is told here."""
        treatment = self._bounded(self._keeper.treatment(folder, name), folder, name, size)
        if treatment is None and name.lower().endswith((*ZIP_NAMES, *TAR_NAMES)):
            treatment = self._bounded(self._keeper.look_into(Suspect.ZIP, size), folder, name, size)
        return treatment is not None

    def take_contents(self, contents: Iterable[Iterable[bytes]]) -> None:
        """Look at the wanted files. Their entries are there already, with the digests that the contents have."""
        for (folder, name, one), content in zip(self.wanted, contents, strict=True):
            count = len(self._entries)
            super()._take_file(folder, name, one.entry, partial(iter, content))
            del self._entries[count:]
