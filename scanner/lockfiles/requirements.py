"""requirements.txt of pip, pip-tools and uv: ``NAME==VERSION --hash=sha256:…``, over several lines or on one.

Lines are joined, and comments taken off, as pip does it (https://pip.pypa.io/en/stable/reference/requirements-file-format/):
a comment line ends what is continued, and a comment swallows what is continued behind it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from scanner.errors import ConfigError, LimitExceeded
from scanner.indexes.credentials import shown
from scanner.limits import Limits
from scanner.lockfile import Field, Include, Item, Lock, LockEntry, LockFormat, Span
from scanner.lockfiles.items import hash_of, version_of
from scanner.wheel import WheelName

_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#")
_IS_COMMENT: Final = re.compile(r"\s*#")
_HASH: Final = re.compile(r"(?<=\s)--hash(?:=|\s+)(?P<quote>[\"']?)(?P<digest>[^\s\"']+)(?P=quote)(?=\s|$)")
_OPTIONS: Final = re.compile(r"(?<=\s)-")
_INCLUDE: Final = re.compile(
    r"(?P<option>-r|-c|--requirement|--constraint)(?:(?<=-[rc])\s*|[=\s]\s*)(?P<where>\S.*)",
)
_EDITABLE: Final = re.compile(r"(?:-e|--editable)(?:(?<=-e)\s*|[=\s]\s*)(?P<where>\S+)")
_INDEX: Final = re.compile(r"(?:-i|--index-url|--pypi-url)(?:(?<=-i)\s*|[=\s]\s*)(?P<where>\S+)")
_OPTION: Final = re.compile(r"--?[a-z]")
_EGG: Final = re.compile(r"[#&]egg=(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,200})")
_PATH: Final = re.compile(
    r"\.{0,2}/|\.{1,2}(?:\s|$)|[a-z][a-z0-9+.-]*:/|[^\s=<>!~;\[]+/|[^\s;]+\.(?:whl|zip|tar\.\w+|tgz)(?:\s|$|#)",
    re.IGNORECASE,
)
_LONGEST: Final = 8192
_UNKNOWN: Final = canonicalize_name("unnamed")


@dataclass(frozen=True, slots=True)
class _Line:
    """One line as it is read, with the places of its characters: (start here, start in the file) of each part."""

    text: str
    number: int
    parts: tuple[tuple[int, int], ...]

    def place(self, at: int) -> int:
        """Where a character of the line stands in the file."""
        here, there = self.parts[bisect_right(self.parts, at, key=lambda part: part[0]) - 1]
        return there + at - here

    def span(self, start: int, end: int) -> Span:
        """The place of some characters, with what is between them."""
        return Span(self.place(start), self.place(end - 1) + 1)


def read_requirements(text: str, *, limits: Limits) -> Lock:
    """The entries of a requirements file; :class:`ConfigError` with every line that is none."""
    entries: list[LockEntry] = []
    includes: list[Include] = []
    faults: list[str] = []
    source: str | None = None
    for line in _lines(text, limits):
        if found := _INCLUDE.fullmatch(line.text):
            includes.append(Include(option=found["option"], where=found["where"].strip("\"' "), line=line.number))
        elif found := _INDEX.match(line.text):
            source = shown(found["where"].strip("\"'"))
        elif found := _EDITABLE.match(line.text):
            entries.append(_apart(found["where"], line, "editable"))
        elif _OPTION.match(line.text):
            continue
        else:
            try:
                entries.append(_entry(line, text))
            except InvalidRequirement:  # the line is not shown: it may hold a password
                faults.append(f"line {line.number}: no requirement")
    if faults:
        raise ConfigError("no requirements file", faults=faults[:20])
    return Lock(
        format=LockFormat.REQUIREMENTS,
        text=text,
        entries=tuple(entry if entry.apart else replace(entry, source=source) for entry in entries),
        includes=tuple(includes),
    )


def _entry(line: _Line, text: str) -> LockEntry:
    said = _OPTIONS.split(line.text, maxsplit=1)[0].strip()
    if len(said) > _LONGEST:
        raise InvalidRequirement("too long")
    try:
        requirement = Requirement(said)
    except RecursionError as problem:  # a marker of thousands of parentheses
        raise InvalidRequirement("too deep") from problem
    except InvalidRequirement:
        if _PATH.match(said):
            return _apart(said, line, "url" if "://" in said else "path")
        raise
    if requirement.url:
        return _apart(f"{requirement.url}#egg={requirement.name}", line, "url")
    items = tuple(_items(line))
    return LockEntry(
        project=canonicalize_name(requirement.name),
        version=_pinned(requirement),
        line=line.number,
        items=items,
        gap=_gap(text, items[0].at.start) if items else "",
    )


def _pinned(requirement: Requirement) -> Version | None:
    pins = list(requirement.specifier)
    if len(pins) != 1 or pins[0].operator not in ("==", "==="):
        return None
    return version_of(pins[0].version)


def _apart(where: str, line: _Line, kind: str) -> LockEntry:
    """What is installed from a place of its own, under the name that it has there if it has one."""
    return LockEntry(project=_name_in(where), version=None, line=line.number, apart=kind)


def _name_in(where: str) -> NormalizedName:
    if found := _EGG.search(where):
        return canonicalize_name(found["name"])
    try:
        end = unquote(urlsplit(where).path).rstrip("/").rpartition("/")[2]
    except ValueError:
        return _UNKNOWN
    wheel = WheelName.parse(end)
    name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}", end)
    return wheel.project if wheel else canonicalize_name(name[0]) if name else _UNKNOWN


def _items(line: _Line) -> Iterator[Item]:
    for found in _HASH.finditer(line.text):
        said = hash_of(found["digest"])
        fields = {Field.DIGEST: line.span(*found.span("digest"))} if said else {}
        yield Item(at=line.span(*found.span()), hashes=(said,) if said else (), fields=fields)


def _gap(text: str, start: int) -> str:
    """What stands before the first hash: spaces, or the end of a continued line and the indentation of the next."""
    before = start
    while before and text[before - 1] in " \t\r\n\\":
        before -= 1
    return text[before:start] or " "


def _lines(text: str, limits: Limits) -> Iterator[_Line]:
    """Lines that are not empty, joined and without comments."""
    joined: list[str] = []
    parts: list[tuple[int, int]] = []
    at = length = number = count = 0
    for count, raw in enumerate(text.splitlines(keepends=True), 1):
        line = raw.splitlines()[0]
        number = number if joined else count
        if count > limits.lock_values:
            raise LimitExceeded(f"more than {limits.lock_values} lines (limit lock_values)")
        comment = _IS_COMMENT.match(line)
        goes_on = line.endswith("\\") and not comment
        kept = line.rstrip("\\") if goes_on else f" {line}" if comment else line
        parts.append((length, at - (1 if comment else 0)))
        joined.append(kept)
        length, at = length + len(kept), at + len(raw)
        if not goes_on:
            yield from _line(joined, parts, number)
            joined, parts, length = [], [], 0
    yield from _line(joined, parts, number)


def _line(joined: list[str], parts: list[tuple[int, int]], number: int) -> Iterator[_Line]:
    text = _COMMENT.split("".join(joined), maxsplit=1)[0]
    kept = text.strip()
    if kept:
        cut = len(text) - len(text.lstrip())
        yield _Line(kept, number, tuple((here - cut, there) for here, there in parts))
