"""Judged entries -> edits; edits -> the text.

What is added is written as what is there is written: an item of the same entry is the pattern, with the places of its
hash, file name, URL and size filled anew. Nothing is escaped, so what would need it is not written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from scanner.errors import CgscanError
from scanner.lockfile import Acceptance, Built, Edit, Field, Item, Judged, Lock, Span
from scanner.lockfiles.items import basename, is_wheel

_PLAIN: Final = re.compile(r"[A-Za-z0-9._~:/@!$&()*+,;=%-]+")
"""File names and URLs that stand in any quotes as they are."""


def edits(lock: Lock, judged: Iterable[Judged]) -> tuple[Edit, ...]:
    """What makes each entry accept all wheels that it misses, in the order of the text."""
    wanted = (one for one in judged if one.missing and one.acceptance in (Acceptance.REFUSES, Acceptance.ACCEPTS))
    found = dict.fromkeys(edit for one in wanted for edit in _of_entry(lock, one))
    return tuple(sorted(found, key=lambda edit: edit.at))


def edited(text: str, changes: Sequence[Edit]) -> str:
    """The text with edits in its order; every other character stays."""
    parts: list[str] = []
    at = 0
    for (start, end), new in changes:
        if start < at:
            raise CgscanError("two changes of a lock file meet", hint="write its entries anew with its own tool")
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def _of_entry(lock: Lock, judged: Judged) -> Iterator[Edit]:
    items, gap = judged.entry.items, judged.entry.gap
    if not items:
        yield from _begun(lock, judged)
        return
    replaced: dict[int, str] = {}
    added: dict[int, list[str]] = {}
    for built in judged.missing:
        place = _place(items, built)
        new = _written(lock.text, items[place], built)
        if new is None:
            continue
        if lock.format.one_hash_per_file and items[place].filename == built.filename:
            replaced[place] = new
        else:
            added.setdefault(place, []).append(new)
    dropped = {place for place, item in enumerate(items) if item.filename in judged.dropped and (added or replaced)}
    if dropped and _is_even(lock.text, items, gap):
        yield _anew(lock.text, items, gap, replaced, added, dropped)
        return
    for place, news in added.items():
        start = items[place].at.start
        yield Edit(Span(start, start), "".join(f"{new}{gap}" for new in news))
    for place, new in replaced.items():
        yield Edit(items[place].at, new)


def _place(items: Sequence[Item], built: Built) -> int:
    """The item that is replaced, or before which a new one stands: that of the same file, else the first wheel."""
    same = (place for place, item in enumerate(items) if item.filename == built.filename)
    wheel = (place for place, item in enumerate(items) if is_wheel(item))
    return next(same, next(wheel, 0))


def _is_even(text: str, items: Sequence[Item], gap: str) -> bool:
    """Whether nothing but the same separator stands between the items: no comment of anybody's."""
    return all(text[one.at.end : other.at.start] == gap for one, other in pairwise(items))


def _anew(
    text: str, items: Sequence[Item], gap: str, replaced: dict[int, str], added: dict[int, list[str]], dropped: set[int]
) -> Edit:
    """The whole list without what is dropped."""
    parts: list[str] = []
    for place, item in enumerate(items):
        parts += added.get(place, [])
        if place in replaced:
            parts.append(replaced[place])
        elif place not in dropped:
            parts.append(text[item.at.start : item.at.end])
    return Edit(Span(items[0].at.start, items[-1].at.end), gap.join(parts))


def _begun(lock: Lock, judged: Judged) -> Iterator[Edit]:
    """A list of wheels where there is none."""
    start = judged.entry.start
    if start is None:
        return
    news = [new for built in judged.missing if (new := _written(lock.text, start.pattern, built)) is not None]
    if news:
        between = start.after.partition("]")[0] + start.before.rpartition("\n")[2]
        yield Edit(Span(start.at, start.at), f"{start.before}{between.join(news)}{start.after}")


def _written(text: str, pattern: Item, built: Built) -> str | None:
    """An item for a wheel after the pattern of another; None where it cannot be written so."""
    values = {
        Field.DIGEST: f"sha256:{built.sha256.hex}",
        Field.HEX: built.sha256.hex,
        Field.FILENAME: built.filename,
        Field.URL: built.url,
        Field.SIZE: None if built.size is None else str(built.size),
    }
    gone = list(pattern.own)
    if pattern.whole_size is not None and built.size is None:
        gone.append(pattern.whole_size)
    news = [Edit(at, "") for at in gone]
    for field, at in pattern.fields.items():
        value = values[field]
        if value is None and field is Field.SIZE:
            continue
        if value is None or not _PLAIN.fullmatch(value):
            return None
        news.append(Edit(at, value))
    if not _says_enough(pattern, built):
        return None
    return _within(text, pattern.at, news)


def _says_enough(pattern: Item, built: Built) -> bool:
    """Whether such an item has a place for the hash, and names the file as its URL does if by that alone."""
    fields = pattern.fields
    if Field.DIGEST not in fields and Field.HEX not in fields:
        return False
    return Field.URL not in fields or Field.FILENAME in fields or basename(built.url) == built.filename


def _within(text: str, at: Span, news: Sequence[Edit]) -> str | None:
    """A part of the text with edits; None where they meet."""
    ordered = sorted(news, key=lambda edit: edit.at)
    if any(one.at.end > other.at.start for one, other in pairwise(ordered)):
        return None
    parts: list[str] = []
    place = at.start
    for (start, end), new in ordered:
        parts += [text[place:start], new]
        place = end
    return "".join([*parts, text[place : at.end]])
