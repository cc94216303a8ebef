"""What stays of a file when a tool changes its form: texts without their newlines, ELF files section by section.

``dos2unix``, git and editors change newlines; ``strip`` takes symbols and debug information out of a compiled file;
``patchelf`` rewrites its dynamic section. A changed file stays changed; its form says what was done to it. A form
is made of digests, so that those of a wheel's members can be kept. Sources: ELF (System V ABI, chapters 4 and 5),
strip(1), patchelf(1). The bytes may be hostile: every offset is checked, nothing is read twice over.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

ELF_MAGIC: Final = b"\x7fELF"
_MARK: Final = b"\xef\xbb\xbf"
_MOST_SECTIONS: Final = 512
_NOBITS: Final = 8
_ALLOC: Final = 0x2
_EXEC: Final = 0x4
_LOAD: Final = 1
_EXECUTABLE: Final = 0x1
_REWRITTEN: Final = re.compile(
    r"\.(dynamic|dynstr|dynsym|hash|gnu\.hash|gnu\.version(_[rd])?|interp|note\..+|rela?\.(dyn|plt)|got(\.plt)?)"
)
"""Sections that patchelf writes anew or moves to another place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A file without NUL. ``plain`` is the raw sha256 of its bytes with LF newlines and no byte order mark."""

    plain: bytes
    newlines: str
    """``LF``, ``CRLF``, ``mixed``, or empty where there is none."""
    mark: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of an ELF file. ``kind`` is ``code``, ``loaded`` (data that is mapped too) or ``other``."""

    name: str
    kind: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """An ELF file. ``frame`` is the digest of machine, type, entry point and of where code is mapped."""

    frame: bytes
    sections: tuple[Section, ...]


Form: TypeAlias = Text | Elf


def form_of(data: bytes) -> Form | None:
    """The form of a file's bytes; None for what is neither a text nor an ELF file with a table of sections."""
    if data.startswith(ELF_MAGIC):
        try:
            return _elf(memoryview(data))
        except (_NoElf, struct.error):
            return None
    return None if b"\0" in data else _text(data)


def difference(expected: Form | None, sha256: bytes, actual: Form) -> str | None:
    """What was done to a file, in words; None where its form says nothing.

    ``expected`` and ``sha256`` are the form and the raw digest of the wheel's member; a text without form has LF.
    """
    match actual:
        case Text():
            known = expected or Text(plain=sha256, newlines="LF", mark=False)
            return _text_difference(known, actual) if isinstance(known, Text) else None
        case Elf():
            return _elf_difference(expected, actual) if isinstance(expected, Elf) else None


# --- texts ---


def _text(data: bytes) -> Text:
    mark = data.startswith(_MARK)
    bare = data[len(_MARK) :] if mark else data
    pairs, all_lines = bare.count(b"\r\n"), bare.count(b"\n")
    newlines = "" if not all_lines else "LF" if not pairs else "CRLF" if pairs == all_lines else "mixed"
    return Text(plain=hashlib.sha256(bare.replace(b"\r\n", b"\n")).digest(), newlines=newlines, mark=mark)


def _text_difference(expected: Text, actual: Text) -> str | None:
    if expected.plain != actual.plain:
        return None
    parts = []
    if actual.newlines != expected.newlines:
        parts.append(f"only its newlines differ: {actual.newlines} instead of {expected.newlines}")
    if actual.mark != expected.mark:
        parts.append("a byte order mark was put in front" if actual.mark else "its byte order mark is gone")
    return ", ".join(parts) or "only its newlines differ"


# --- ELF ---


class _NoElf(Exception):
    """The bytes contradict themselves."""


class _Layout(NamedTuple):
    """Formats of one class of ELF files; offsets of fields are those of the unpacked tuples."""

    header: str
    segment: str
    section: str
    flags_first: bool


_LAYOUTS: Final = {
    1: _Layout("HHIIIIIHHHHHH", "IIIIIIII", "IIIIIIIIII", flags_first=False),
    2: _Layout("HHIQQQIHHHHHH", "IIQQQQQQ", "IIQQQQIIQQ", flags_first=True),
}


class _Segment(NamedTuple):
    offset: int
    address: int
    stored: int
    size: int


class _Header(NamedTuple):
    """A section's header. ``name`` is an offset into the table of names."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int


def _elf(data: memoryview) -> Elf:
    layout = _LAYOUTS.get(data[4] if len(data) > 5 else 0)
    order = {1: "<", 2: ">"}.get(data[5]) if layout else None
    if layout is None or order is None:
        raise _NoElf
    header = struct.unpack_from(order + layout.header, data, 16)
    file_type, machine, _, entry, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, names_at = header
    segments = list(_code_segments(data, layout, order, (phoff, phentsize, phnum)))
    headers = list(_section_headers(data, order + layout.section, (shoff, shentsize, shnum)))
    if not headers or names_at >= len(headers):
        raise _NoElf
    frame = repr((bytes(data[4:6]), file_type, machine, entry, sorted((one.address, one.size) for one in segments)))
    return Elf(
        frame=hashlib.sha256(frame.encode()).digest(),
        sections=tuple(_sections(data, headers, segments, _bytes_of(data, headers[names_at]))),
    )


def _code_segments(data: memoryview, layout: _Layout, order: str, table: tuple[int, int, int]) -> Iterator[_Segment]:
    """The segments that are mapped to be run."""
    start, width, count = table
    if width < struct.calcsize(order + layout.segment) or count > _MOST_SECTIONS:
        raise _NoElf
    for number in range(count):
        fields = struct.unpack_from(order + layout.segment, data, start + number * width)
        if layout.flags_first:
            kind, flags, offset, address, _, stored, size, _ = fields
        else:
            kind, offset, address, _, stored, size, flags, _ = fields
        if kind == _LOAD and flags & _EXECUTABLE:
            yield _Segment(offset, address, stored, size)


def _section_headers(data: memoryview, form: str, table: tuple[int, int, int]) -> Iterator[_Header]:
    start, width, count = table
    if width < struct.calcsize(form) or count > _MOST_SECTIONS:
        raise _NoElf
    for number in range(count):
        yield _Header(*struct.unpack_from(form, data, start + number * width)[:6])


def _bytes_of(data: memoryview, header: _Header) -> memoryview:
    if header.type == _NOBITS:
        return data[:0]
    if header.offset + header.size > len(data):
        raise _NoElf
    return data[header.offset : header.offset + header.size]


def _sections(
    data: memoryview, headers: Sequence[_Header], segments: Sequence[_Segment], names: memoryview
) -> Iterator[Section]:
    """All but the first, which is none. Sections of one name are one here."""
    text = bytes(names[: 64 * 1024])
    running: dict[tuple[str, str], hashlib._Hash] = {}
    left = 2 * len(data)
    for header in headers[1:]:
        content = _bytes_of(data, header)
        left -= len(content)
        if left < 0:
            raise _NoElf  # sections lie over each other
        kind = "other" if not header.flags & _ALLOC else "code" if header.flags & _EXEC else "loaded"
        if kind == "code" and not any(_is_mapped(header, segment) for segment in segments):
            raise _NoElf  # what is run is not what the table of sections shows
        digest = running.setdefault((_name(text, header.name), kind), hashlib.sha256())
        digest.update(f"{header.address if kind == 'code' else 0} {header.size} ".encode())
        digest.update(content)
    for (name, kind), digest in running.items():
        yield Section(name=name, kind=kind, digest=digest.digest())


def _is_mapped(header: _Header, segment: _Segment) -> bool:
    inside = header.offset - segment.offset
    return 0 <= inside <= segment.stored - header.size and header.address - segment.address == inside


def _name(names: bytes, at: int) -> str:
    return names[at : at + 64].partition(b"\0")[0].decode("ascii", "replace")


def _elf_difference(expected: Elf, actual: Elf) -> str:
    code = _differing(expected, actual, "code")
    if code:
        return f"its machine code differs ({_listed(code)})"
    if expected.frame != actual.frame:
        return "its machine code is the same and mapped in another way"
    loaded = _differing(expected, actual, "loaded")
    gone = _names(expected, "other").keys() - _names(actual, "other").keys()
    stripped = f"stripped: {_listed(gone)} gone" if gone else ""
    if not loaded:
        return f"{stripped or 'only what is not loaded differs'}, code and data are the same"
    if loaded & {".dynamic", ".interp"} and all(_REWRITTEN.fullmatch(name) for name in loaded):
        patched = f"patched as patchelf does: {_listed(loaded)} changed, its machine code is the same"
    else:
        patched = f"its machine code is the same, its data differ ({_listed(loaded)})"
    return f"{stripped}; {patched}" if stripped else patched


def _names(elf: Elf, kind: str) -> Mapping[str, bytes]:
    return {section.name: section.digest for section in elf.sections if section.kind == kind}


def _differing(expected: Elf, actual: Elf, kind: str) -> set[str]:
    ours, theirs = _names(expected, kind), _names(actual, kind)
    return {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}


def _listed(names: set[str]) -> str:
    shown = sorted("".join(sign if sign.isprintable() else "?" for sign in name) or "?" for name in names)
    more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    return ", ".join(shown[:4]) + more
