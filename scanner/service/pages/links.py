"""URLs within the service, safe for whatever a name is. They are markup: what a template escapes of names stays off."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}", re.ASCII)


def to(path: str, /, **query: object) -> Markup:
    """A path of ours with a query; None and ``""`` are left out."""
    said = urlencode({name: _text(value) for name, value in query.items() if value not in (None, "")})
    return escape(f"{path}?{said}" if said else path)


def image(report_id: int, **query: object) -> Markup:
    """The page of a report."""
    return to(f"/reports/{report_id}", **query)


def rendered(report_id: int, form: str) -> Markup:
    """A report as a file."""
    return to(f"/reports/{report_id}/{form}")


def repository(row: Mapping[str, object], **query: object) -> Markup:
    """The page of a repository."""
    return to(f"/images/{_quoted(row['registry'])}/{_quoted(row['repository'], '/')}", **query)


def distribution(name: str, **query: object) -> Markup:
    """The page of a distribution; a name that would not stay as it is in a path goes into the query."""
    if _PLAIN.fullmatch(name):
        return to(f"/distributions/{name}", **query)
    return to("/distributions", name=name, **query)


def local(path: str) -> str:
    """A path to go on to, as somebody said it; ``/`` for what could lead elsewhere."""
    return path if _LOCAL.fullmatch(path) else "/"


def _quoted(value: object, safe: str = "") -> str:
    return quote(str(value).encode("utf-8", "backslashreplace"), safe=safe)


def _text(value: object) -> bytes:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.encode("utf-8", "backslashreplace")
