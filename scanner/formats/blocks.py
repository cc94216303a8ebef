"""Plans and proofs as blocks of sentences and rows, and how blocks look in a terminal and in markdown.

What a block says is not escaped yet; both renderings do that. In a terminal rows fit the columns: the widest cells give
way, with their middles left out, and a whole one is in the other formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scanner.formats import markdown
from scanner.formats.text import Look, shorten, shown, wrapped

_ROWS_AT_MOST: Final = 40
_NARROWEST: Final = 7
_LONGEST: Final = 60_000
"""Characters of markdown. GitHub refuses a comment of more than 65 536 as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A title, sentences, a table. ``level`` 1 is a group, 2 a part of one.

    ``notes`` has a sentence for each row, which is too long for a column; empty for a row without one.
    """

    title: str
    level: int = 1
    before: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def in_terminal(blocks: Sequence[Block], look: Look) -> str:
    """One block below the other."""
    return (
        "\n".join(line for number, block in enumerate(blocks) for line in _lines(block, look, first=not number)) + "\n"
    )


def _lines(block: Block, look: Look, *, first: bool) -> Iterator[str]:
    deep = "  " * (block.level - 1)
    if not first:
        yield ""
    if block.title:
        for line in wrapped(shown(block.title), look.columns, first=deep, rest=f"{deep}  "):
            yield look.paint(line, "bold") if block.level == 1 else line
    inside = f"{deep}  " if block.title else deep
    for sentence in block.before:
        yield from wrapped(shown(sentence), look.columns, first=inside, rest=f"{inside}  ")
    if block.rows:
        yield from _aligned(block, look.columns, inside)


def _aligned(block: Block, columns: int, inside: str) -> Iterator[str]:
    cells = [block.headers, *(tuple(map(shown, row)) for row in block.rows[:_ROWS_AT_MOST])]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    room = columns - len(inside) - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    for row, note in zip(cells, ("", *(block.notes or [""] * len(block.rows))), strict=False):
        padded = [shorten(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield f"{inside}{'  '.join(padded)}".rstrip()
        if note:
            yield from wrapped(shown(note), columns, first=f"{inside}    ", rest=f"{inside}    ")
    more = len(block.rows) - _ROWS_AT_MOST
    if more > 0:
        yield f"{inside}and {more} more; see --output json"


def in_markdown(blocks: Sequence[Block]) -> str:
    """Headings, sentences and tables, together short enough for one comment."""
    room, texts = _LONGEST, []
    for block in blocks:
        text = _marked(block, max(room // 2, 400))
        room -= len(text)
        if room < 0:
            texts.append("and more; see `--output json`\n")
            break
        texts.append(text)
    return "\n".join(texts)


def _marked(block: Block, room: int) -> str:
    parts = [f"{'#' * (block.level + 1)} {markdown.prose(block.title)}\n"] if block.title else []
    parts += [f"{markdown.prose(sentence)}\n" for sentence in block.before]
    if block.rows:
        headers = (*block.headers, *(["why"] if any(block.notes) else []))
        notes = [(markdown.prose(note),) for note in block.notes] if any(block.notes) else [()] * len(block.rows)
        cells = [(*map(_cell, row), *note) for row, note in zip(block.rows, notes, strict=True)]
        rows = [markdown.as_row(*row) for row in cells]
        parts.append(markdown.table(headers, markdown.within(rows, room, columns=len(headers))))
    return "\n".join(parts)


def _cell(text: str) -> str:
    return markdown.code(text) if text else ""
