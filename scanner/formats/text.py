"""How text is laid out for people. Names come out of hostile targets: nothing of them is shown raw."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from scanner.formats.view import View
from scanner.report import Origin, valid_text

ORIGIN_COLORS: Final[Mapping[Origin, str]] = {
    Origin.CHAINGUARD: "green",
    Origin.UPSTREAM: "yellow",
    Origin.AMBIGUOUS: "yellow",
    Origin.SOURCE: "yellow",
    Origin.UNKNOWN: "red",
    Origin.UNCHECKED: "magenta",
    Origin.OS: "dim",
    Origin.CONDA: "dim",
    Origin.LOCAL: "dim",
}
"""How an origin is painted on a terminal."""
_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
"""Unicode categories that move the cursor, reorder text, or look like nothing or like a space."""

_LONGEST: Final = 600
_SHORT_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CODES: Final = {"green": "32", "yellow": "33", "red": "31", "magenta": "35", "dim": "2", "bold": "1"}
_DEFAULT_WIDTH: Final = 80
_NARROWEST, _WIDEST = 60, 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a report is to look. ``width`` is the terminal's columns; None where there is none."""

    color: bool = False
    width: int | None = None
    view: View = field(default_factory=View)

    @property
    def columns(self) -> int:
        """The columns to fill: lines much longer than a page are hard to read."""
        return min(max(self.width or _DEFAULT_WIDTH, _NARROWEST), _WIDEST)

    def paint(self, text: str, *colors: str) -> str:
        """The text in these colours, or as it is where there are none."""
        if not self.color or not colors:
            return text
        return f"\x1b[{';'.join(_CODES[color] for color in colors)}m{text}\x1b[0m"


def escaped(text: str) -> str:
    """The text on one line with everything that could deceive written out, ``\\x1b`` or ``\\u202e``."""
    text = valid_text(text)
    return text if text.isascii() and text.isprintable() else "".join(map(_written_out, text))


def shown(text: str) -> str:
    """The same, and where it is very long only a few hundred characters of its start and its end."""
    return escaped(shorten(text, _LONGEST))


def _written_out(character: str) -> str:
    if character == " " or unicodedata.category(character) not in _ESCAPED:
        return character
    number = ord(character)
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return _SHORT_ESCAPES.get(character) or (f"\\u{number:04x}" if number > 0xFF else f"\\x{number:02x}")


def shorten(text: str, width: int) -> str:
    """The text with its middle left out where it is longer than ``width``; ends tell more than starts."""
    if len(text) <= width:
        return text
    end = (width - 1) * 3 // 5
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def wrapped(text: str, columns: int, *, first: str = "", rest: str = "") -> list[str]:
    """The text in lines of at most ``columns``; a word longer than that (a path) stays whole, to be copied."""
    return textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def many(count: int, noun: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
