"""Cursors of lists: where the next page begins, as a text that nobody has to understand.

Pages go by the key of the last row, not by a count: rows that come in between neither repeat nor hide any.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TypeAlias

from scanner.errors import UsageError
from scanner.report import valid_text

Key: TypeAlias = tuple[str | int | float | None, ...]


def cursor_of(key: Key) -> str:
    """The cursor behind a row."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def key_of(cursor: str, kinds: Sequence[type | tuple[type, ...]]) -> Key:
    """The row that a cursor is behind; :class:`UsageError` for what is none. Its parts are of ``kinds``."""
    try:
        key = json.loads(base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as problem:
        raise UsageError("the cursor is none", hint="take next of the page before") from problem
    good = isinstance(key, list) and len(key) == len(kinds)
    if not good or not all(isinstance(part, kind) and _fits(part) for part, kind in zip(key, kinds, strict=True)):
        raise UsageError("the cursor is of another list", hint="take next of the page before")
    return tuple(key)


def _fits(part: object) -> bool:
    if isinstance(part, bool):
        return False
    if isinstance(part, int):
        return abs(part) < 2**63
    return not isinstance(part, str) or (len(part) < 5000 and valid_text(part) == part and "\0" not in part)
