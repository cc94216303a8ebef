"""What is wrong with byte code, in words: what a reader wants to know is what Python will do with it."""

from __future__ import annotations

import datetime as dt
import enum
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scanner.bytecode import Fault
from scanner.finders.pairing import Pair


class Unread(enum.Enum):
    """Why byte code was not compared with its source."""

    PYTHON = "another version"
    NOT_DONE = "not done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What is wrong; equal for what can be told in one sentence.

    ``why`` says why it was not compared. ``same_code``: it was compared and is the code of its source.
    """

    what: Fault | Unread
    why: str = ""
    shadowed: bool = False
    same_code: bool = False


_WHAT: Final = {
    Fault.DAMAGED: "has no header that Python knows",
    Fault.PYTHON: "is of another Python than its name says",
    Fault.TIME: "was made of a source of another time",
    Fault.SIZE: "was made of a source of another size",
    Fault.HASH: "was made of a source with another hash",
    Fault.UNCHECKED: "is bound to no source (unchecked)",
    Fault.UNCHECKED_HASH: "is bound to no source (unchecked) and was made of one with another hash",
    Fault.CODE: "has code that is not what its source compiles to",
    Fault.SOURCE: "was not made of its source, which cannot be compiled",
    Fault.UNLOADABLE: "has no code that can be loaded",
}
_RUNS: Final = frozenset({Fault.UNCHECKED, Fault.UNCHECKED_HASH, Fault.CODE, Fault.SOURCE})
_LEVELS: Final = {"1": "Python -O", "2": "Python -OO"}


def said(wrong: Wrong, pair: Pair) -> str:
    """The sentence for one file."""
    if isinstance(wrong.what, Unread):
        return _not_compared(wrong)
    python = _LEVELS.get(pair.name.level, "Python") if pair.name else "Python"
    return f"{_WHAT[wrong.what]}{_particulars(wrong.what, pair)}{_same(wrong)}: {_does(wrong, python)}"


def said_of_many(wrong: Wrong, pairs: Sequence[Pair], total: int) -> str:
    """The sentence for files of a folder that has ``total`` of them."""
    count = f"all {total}" if len(pairs) == total else f"{len(pairs)} of {total}"
    these = f"{count} .pyc files below it: each"
    if isinstance(wrong.what, Unread):
        return f"{these} was {_not_compared(wrong)}"
    times = {pair.source.mtime & 0xFFFF_FFFF for pair in pairs}
    all_of = f" (the sources are all of {_time(min(times))})" if wrong.what is Fault.TIME and len(times) == 1 else ""
    return f"{these} {_WHAT[wrong.what]}{all_of}{_same(wrong)}: {_does(wrong, 'Python')}"


def _particulars(what: Fault, pair: Pair) -> str:
    if what is Fault.TIME:
        return f" ({_time(pair.header.mtime)}; it is of {_time(pair.source.mtime)})"
    if what is Fault.SIZE:
        return f" ({pair.header.size} bytes; it has {pair.source.size})"
    return ""


def _same(wrong: Wrong) -> str:
    return ", and has the code that its source compiles to" if wrong.same_code else ""


def _does(wrong: Wrong, python: str) -> str:
    if wrong.shadowed:
        return f"{python} imports the source beside it and not this"
    if wrong.what is Fault.UNLOADABLE:
        return f"{python} fails to import it"
    if wrong.what in _RUNS:
        return f"{python} runs it whatever the source says"
    return f"{python} compiles the source again and does not run it"


def _not_compared(wrong: Wrong) -> str:
    if wrong.what is Unread.PYTHON:
        running = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"not compared with its source: that needs Python {wrong.why}, cgscan runs in {running}"
    return f"not compared with its source: {wrong.why}"


def _time(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds & 0xFFFF_FFFF, dt.UTC).isoformat().replace("+00:00", "Z")
