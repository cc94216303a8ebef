"""Where in a tool's store an artifact lies, read off its path: which tool's, the store's folder, the entry.

The entry is what goes as a whole: a file, or the folder of an unpacked wheel. Forms are those of
:mod:`scanner.cachefiles`; the folder's own name is the tool's word only where two tools have the same form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_HASHED: Final = r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{50,58}/[^/]+"
_ANSWER: Final = r"[0-9a-f](?:/[0-9a-f]){4}/[0-9a-f]{56}(?:\.body)?"
_PDM_ANSWER: Final = r"(?:[0-9a-f]{32}|http-cache\.db)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a store. ``root`` and ``path`` are as the given path is."""

    tool: str
    root: str
    path: str


_FORMS: Final[Sequence[tuple[str, re.Pattern[str]]]] = [
    (tool, re.compile(f"(?P<entry>(?P<root>/.*?)/{form})(?:/.*)?"))
    for tool, form in (
        ("uv", r"archive-v\d+/[^/]+"),
        ("uv", r"(?:sdists|built-wheels|wheels)-v\d+/.+?\.(?:whl|tar\.gz|zip|tgz|tar\.bz2)"),
        ("poetry", rf"artifacts/{_HASHED}"),
        ("poetry", rf"cache/repositories/[^/]+/_http[^/]*/{_ANSWER}"),
        ("pdm", r"packages/[^/]+\.whl\.cache"),
        ("pdm", rf"http/{_PDM_ANSWER}"),
        ("pip", rf"http(?:-v2)?/{_ANSWER}"),
        ("pip", rf"wheels/{_HASHED}"),
    )
]


def entry_at(location: str) -> Entry | None:
    """The entry that an absolute path lies in, ``…!/part`` of an archive left out; None for no tool's."""
    path = location.partition("!/")[0]
    for tool, form in _FORMS:
        found = form.fullmatch(path)
        if found:
            of_pdm = tool == "pip" and found["root"].rpartition("/")[2] == "pdm"
            return Entry(tool="pdm" if of_pdm else tool, root=found["root"], path=found["entry"])
    return None
