"""RECORD rows: parse, normalise; where installers move the members of a wheel.

RECORD is the csv list of a wheel's members with their digests (PEP 376, PEP 427; binary
distribution format, "The .dist-info directory"). The parser takes what real wheels have: unquoted
commas (pypa/wheel#280), backslashes, absolute and ``./`` spellings, CRLF, names that are no UTF-8
or hold line breaks (pypa/installer#354).
"""

from __future__ import annotations

import binascii
import csv
import io
import posixpath
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

_DIGEST_SIZES: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
_DATA = re.compile(r"[^/]+\.data/(?P<scheme>purelib|platlib|scripts|data|headers)/(?P<rest>.+)")
_PLAIN_CLAIM: Final = len("sha256=") + 43
_FIELD_LIMIT: Final = 1024 * 1024
_MOST_ROWS: Final = 1_000_000
_MOST_FAULTS: Final = 1_000


class Row(NamedTuple):
    """One row. ``digest`` is raw bytes, None where the row claims none or a weak one; ``size`` is bytes.

    A tuple, because the RECORDs of one image have a hundred thousand rows.
    """

    path: str
    algorithm: str | None
    digest: bytes | None
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All rows in their order, and what could not be read (one line for each).

    ``complete`` is false where reading could not go on to the end, so that rows may be lost.
    """

    rows: tuple[Row, ...]
    faults: tuple[str, ...] = ()
    complete: bool = True

    @property
    def paths(self) -> frozenset[str]:
        """The paths that the rows name, normalised."""
        return frozenset(row.path for row in self.rows)


def parse_record(data: bytes) -> Record:
    """Read a RECORD. Never raises: rows that cannot be read become ``faults``."""
    text = data.decode("utf-8-sig", "surrogateescape")
    rows: list[Row] = []
    faults: list[str] = []
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""))
    end = None
    try:
        for fields in reader:
            if len(fields) == 1 and "\n" in fields[0]:
                end = "a quote is opened and never closed"
            elif (row := _plain(fields)) is not None:
                rows.append(row)
            elif fields:
                _take(fields, rows, faults, reader.line_num)
            if len(rows) > _MOST_ROWS or len(faults) > _MOST_FAULTS:
                end = "not read any further"
                break
    except csv.Error as problem:
        end = str(problem)
    if end is not None:
        faults.append(f"line {reader.line_num}: {end}")
    return Record(rows=tuple(rows), faults=tuple(faults), complete=end is None)


def _plain(fields: list[str]) -> Row | None:
    """A row written as nearly all are, read the short way; None for any other."""
    if len(fields) != 3 or len(fields[1]) != _PLAIN_CLAIM or not fields[2].isdecimal():
        return None
    name, claim, size = fields
    path = normalise(name)
    if path is None or not claim.startswith("sha256=") or not size.isascii() or len(size) > 18:
        return None
    try:
        digest = binascii.a2b_base64(claim[7:].replace("-", "+").replace("_", "/") + "=", strict_mode=True)
    except ValueError:
        return None
    return Row(path, "sha256", digest, int(size)) if len(digest) == 32 else None


def _take(fields: list[str], rows: list[Row], faults: list[str], line: int) -> None:
    if len(fields) < 3:
        fields = [*fields, *[""] * (3 - len(fields))]
    *names, claim, size = fields
    name = ",".join(names)  # an unquoted comma in a name splits it
    path = normalise(name)
    if path is None:
        faults.append(f"line {line}: the path {name[:200]!r} is none")
        return
    algorithm, digest = _digest(claim)
    if claim and digest is None:
        faults.append(f"line {line}: the digest {claim[:100]!r} proves nothing")
    length = int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None
    rows.append(Row(path, algorithm, digest, length))


def _digest(claim: str) -> tuple[str | None, bytes | None]:
    """``sha256=urlsafe-base64-without-padding`` as (name, raw bytes); weak and wrong ones have no bytes.

    Padding, the plain alphabet and hex are taken too: none of them can be mistaken for another.
    """
    algorithm, equals, value = claim.partition("=")
    if not equals:  # no claim, as of byte code, or none that can be read
        return None, None
    algorithm = algorithm.strip().lower()
    size = _DIGEST_SIZES.get(algorithm, 0)
    try:
        raw = bytes.fromhex(value) if len(value) == 2 * size else _base64(value)
    except (binascii.Error, ValueError):
        return algorithm, None
    return algorithm, raw if size == len(raw) else None


def _base64(value: str) -> bytes:
    bare = value.rstrip("=").replace("-", "+").replace("_", "/")
    return binascii.a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)


def normalise(name: str) -> str | None:
    """A member's or row's path in one spelling: ``/`` between components, none empty or ``.``.

    ``..`` stays where an installed RECORD has it in front (``../../../bin/x``); None for a path
    that names nothing.
    """
    name = name.replace("\\", "/").lstrip("/")
    if name and "/." not in name and "//" not in name and "\0" not in name and name[0] != "." and name[-1] != "/":
        return name  # nearly all
    path = posixpath.normpath(name) if name else "."
    return None if path in (".", "..") or "\0" in path else path


@dataclass(frozen=True, slots=True)
class Landing:
    """Where an installer puts a wheel's member: ``scheme`` and the path below that scheme's directory.

    Schemes are sysconfig's: ``lib`` stands for purelib and platlib, then ``scripts``, ``data``, ``headers``.
    """

    scheme: str
    path: str


def landing(member: str) -> Landing:
    """Where the wheel's member goes (binary distribution format, "Installing a wheel", the spread step)."""
    found = _DATA.fullmatch(member) if ".data/" in member else None
    if not found:
        return Landing("lib", member)
    scheme = "lib" if found["scheme"] in ("purelib", "platlib") else found["scheme"]
    return Landing(scheme, found["rest"])
