"""Programs with frozen Python code inside, told by their bytes: what they are, and their modules where they have names.

* PyInstaller: a CArchive at the end of the program, behind it or as its section ``pydata``, ended by a *cookie*; in it
  the PYZ archive of modules, whose table of contents is a marshalled list. Source: PyInstaller's manual, "PyInstaller
  Archives".
* Nuitka: :mod:`scanner.inventories.compiled`.

Nothing of it is loaded or decompressed but one table, within bounds.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import BinaryIO, Final

from scanner.digest import CHUNK
from scanner.inventories.compiled import NUITKA, Search
from scanner.inventories.marshalled import Unmarshalled, module_names
from scanner.inventories.opening import Opening

_COOKIE: Final = struct.Struct("!8sIIII64s")
_MAGIC: Final = b"MEI\x0c\x0b\x0a\x0b\x0e"
_ENTRY: Final = struct.Struct("!IIIIBc")
_PYZ: Final = struct.Struct("!4s4sI")
_TAIL: Final = 256 * 1024
"""Behind the cookie there are section headers, and what signing tools append."""
_MOST_ENTRIES: Final = 100_000
_MOST_ARCHIVES: Final = 4
_MODULES: Final = (b"z", b"Z")
_FIRST: Final = 10


def describe_program(file: BinaryIO, opening: Opening) -> str | None:
    """What a program with data behind it is, in one sentence; None for any other program."""
    return _pyinstaller(file, opening) or _nuitka(file)


def said_of_modules(what: str, modules: Iterable[str]) -> str:
    """One sentence: how many modules, the first names, and that they cannot be compared."""
    names = set(modules)
    others = sorted(name for name in names if not _is_pythons(name))
    first = ", ".join(name[:80] for name in others[:_FIRST]) + (", …" if len(others) > _FIRST else "")
    told = f", {len(others)} of them not Python's own ({first})," if others else ""
    return f"{what} with {len(names)} modules{told} which cannot be compared with any wheel's"


def _nuitka(file: BinaryIO) -> str | None:
    file.seek(0)
    search = Search(iter(partial(file.read, CHUNK), b""))
    for _ in search:
        pass
    return NUITKA if search.found else None


def _is_pythons(name: str) -> bool:
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names or top.startswith(("pyimod", "pyiboot", "pyi_rth"))


# --- PyInstaller ---


def _pyinstaller(file: BinaryIO, opening: Opening) -> str | None:
    file.seek(max(0, opening.size - _TAIL))
    tail = file.read(_TAIL)
    at = tail.rfind(_MAGIC)
    if at < 0 or at + _COOKIE.size > len(tail):
        return None
    _, length, toc_at, toc_size, python, _ = _COOKIE.unpack_from(tail, at)
    start = max(0, opening.size - _TAIL) + at + _COOKIE.size - length
    what = f"a program made by PyInstaller for Python {python // 100}.{python % 100}"
    unread = f"{what} whose modules cannot be listed, and cannot be compared with any wheel's"
    if start < 0 or toc_size > opening.limits.kept_file:
        return unread
    file.seek(start + toc_at)
    entries = list(_entries(file.read(toc_size)))
    names = {name for kind, name, _, _ in entries if kind in (b"s", b"m", b"M")}
    archives = [(start + offset, size) for kind, _, offset, size in entries if kind in _MODULES]
    try:
        for offset, size in archives[:_MOST_ARCHIVES]:
            names.update(_pyz(file, offset, size, opening))
    except Unmarshalled:
        return unread
    return said_of_modules(what, names) if names and len(archives) <= _MOST_ARCHIVES else unread


def _entries(table: bytes) -> Iterator[tuple[bytes, str, int, int]]:
    """(type, name, offset, size) of what a CArchive holds; up to the first entry that is none."""
    at = count = 0
    while at + _ENTRY.size <= len(table) and count < _MOST_ENTRIES:
        length, offset, size, _, _, kind = _ENTRY.unpack_from(table, at)
        if length < _ENTRY.size:
            return
        name = table[at + _ENTRY.size : at + length].rstrip(b"\0").decode("utf-8", "replace")
        yield kind, name, offset, size
        at += length
        count += 1


def _pyz(file: BinaryIO, start: int, size: int, opening: Opening) -> Iterator[str]:
    """The modules of the PYZ archive that starts at ``start``; :class:`Unmarshalled`."""
    file.seek(start)
    header = file.read(_PYZ.size)
    if len(header) < _PYZ.size or not header.startswith(b"PYZ\0"):
        raise Unmarshalled
    table_at = _PYZ.unpack(header)[2]
    if not 0 < table_at < size or size - table_at > opening.limits.kept_file:
        raise Unmarshalled
    file.seek(start + table_at)
    yield from module_names(file.read(size - table_at))
