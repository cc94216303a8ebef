"""What rows of a manager's JSON say, taken with care: every field may be missing or of another type."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from packaging.utils import canonicalize_name

from scanner.artifact import of_source_name
from scanner.digest import Digest
from scanner.errors import IndexUnavailable
from scanner.wheel import WheelName

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

MOST_ROWS: Final = 1_000_000
"""Rows of one list, all its pages together."""
MOST_PAGES: Final = 20_000
_LONGEST: Final = 1000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,12})?(?:[Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_SOURCES: Final = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """An object; :class:`IndexUnavailable` for anything else."""
    if not isinstance(value, dict):
        raise IndexUnavailable(f"{where}: is no object")
    return value


def rows_of(value: object, where: str) -> list[Mapping[str, Any]]:
    """A list of objects; :class:`IndexUnavailable` for anything else."""
    if not isinstance(value, list):
        raise IndexUnavailable(f"{where}: is no list")
    return [mapping(row, f"{where}[{at}]") for at, row in enumerate(value)]


def text(row: Mapping[str, Any], key: str) -> str | None:
    """A short printable text, or None."""
    value = row.get(key)
    good = isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()
    return value if good else None


def number(row: Mapping[str, Any], key: str) -> int | None:
    """A count of bytes or things: a number, or a text of digits (int64 in JSON); or None."""
    value = row.get(key)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62
    return value if good else None


def moment(row: Mapping[str, Any], key: str) -> str | None:
    """A time as RFC 3339 has it, or None."""
    value = text(row, key)
    return value.replace(" ", "T").upper() if value and _MOMENT.fullmatch(value) else None


def sha256_hex(value: object) -> Digest | None:
    """A sha256 in hex, or None for what is none."""
    return Digest("sha256", value.lower()) if isinstance(value, str) and _SHA256.fullmatch(value) else None


def md5_hex(value: object) -> str | None:
    """An md5 in lower-case hex, or None for what is none."""
    return value.lower() if isinstance(value, str) and _MD5.fullmatch(value) else None


def raw_hex(value: object, length: int) -> str | None:
    """The hex of ``length`` bytes in base64 (either alphabet), or None for what is none."""
    if not isinstance(value, str) or len(value) > 200:
        return None
    try:
        raw = base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw.hex() if len(raw) == length else None


def is_distribution(filename: str) -> bool:
    """Whether a file name is a wheel's or a source archive's."""
    return filename.lower().endswith((".whl", *_SOURCES)) and "/" not in filename and "\\" not in filename


def named(filename: str, *, name: str | None, version: str | None) -> tuple[NormalizedName, str | None] | None:
    """Project and version of a file: a wheel's name says both, for others the manager's word goes first."""
    wheel = WheelName.parse(filename)
    if wheel is not None:
        return wheel.project, str(wheel.version)
    if name is not None:
        return canonicalize_name(name), version
    return of_source_name(filename)
