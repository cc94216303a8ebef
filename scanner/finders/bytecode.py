"""Byte code that does not belong to the source beside it, and what Python does with it.

What has no source is not looked at here: in ``__pycache__`` nothing imports it, elsewhere it is a module of its own
(:mod:`scanner.unowned`). Of images whose tools set all times anew, or that have unchecked byte code by design
(Bazel, Nix), a person wants to read one line, not thousands: what nearly all byte code of an environment, or
of a folder in it, has in common is one finding.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import MAGIC_NUMBER
from typing import Final

from scanner.bytecode import Compared, Comparison, Fault
from scanner.distribution import Finding, FindingKind
from scanner.finders.codewords import Unread, Wrong, said, said_of_many
from scanner.finders.pairing import Pair, Pairing
from scanner.rootfs import RootFS

_FEW: Final = 5
"""So many of a kind are each a finding of their own, whatever share they are."""
_SHARE: Final = 0.8
"""From this share of the byte code of a folder on, what is wrong with it is one finding."""
_MANY: Final = 50
"""More findings of one kind in an environment are one, where it is nothing that somebody did on purpose."""
_MOST: Final = 1000
_HOMES: Final = 10
"""More environments that have one thing in common are one folder above them (a store, a folder of runfiles)."""
_HOME: Final = re.compile(r".*/(?:(?:site|dist)-packages|python[0-9.]+t?)(?=/|$)")
_ON_PURPOSE: Final = frozenset({Fault.CODE, Fault.SOURCE, Fault.UNLOADABLE, Fault.UNCHECKED_HASH})
"""What no build tool makes by design."""
_FAULTS: Final = {
    Compared.OTHER: Fault.CODE,
    Compared.SOURCE: Fault.SOURCE,
    Compared.UNLOADABLE: Fault.UNLOADABLE,
    Compared.HASH: Fault.HASH,
}


@dataclass(kw_only=True)
class _Home:
    """One environment, or another folder that modules are imported from."""

    pairs: int = 0
    tops: Counter[str] = field(default_factory=Counter)
    """How many pairs each folder directly below has."""
    wrong: dict[Wrong, list[Pair]] = field(default_factory=lambda: defaultdict(list))


def stale_bytecode(rootfs: RootFS, compared: Comparison | None = None) -> Iterator[Finding]:
    """``stale-bytecode``; and ``unreadable`` for what could not be compared though it was asked for.

    ``compared`` is what came of compiling sources again, None where nobody did.
    """
    homes: dict[str, _Home] = defaultdict(_Home)
    above: dict[str, tuple[_Home, str]] = {}
    for pair in Pairing(rootfs).all():
        folder = pair.folder
        if folder not in above:
            path = _home(rootfs, folder)
            above[folder] = homes[path], _top(path, folder)
        home, top = above[folder]
        home.pairs += 1
        home.tops[top] += 1
        wrong = _wrong(pair, compared)
        if wrong is not None:
            home.wrong[wrong].append(pair)
    groups = [
        group
        for path, home in homes.items()
        for wrong, pairs in home.wrong.items()
        for group in _grouped(path, home, wrong, pairs)
    ]
    return (group.finding() for group in _merged(groups))


def _home(rootfs: RootFS, folder: str) -> str:
    """The environment or library that a folder is in, else the folder that its package is imported from."""
    found = _HOME.match(folder)
    while found is None and folder != "/" and "__init__.py" in rootfs.children(folder):
        folder = posixpath.dirname(folder)
    return found[0] if found else folder


def _wrong(pair: Pair, compared: Comparison | None) -> Wrong | None:
    key = pair.key if compared is not None else None
    came = compared.get(key) if compared is not None and key is not None else None
    if came in _FAULTS:
        return Wrong(what=_FAULTS[came])
    if pair.fault is not None:
        return Wrong(what=pair.fault, shadowed=pair.shadowed, same_code=came is Compared.SAME)
    if compared is None or pair.shadowed or came is Compared.SAME:
        return None
    if came is not None:
        return Wrong(what=Unread.NOT_DONE, why=came.value)
    if pair.archived or pair.header.magic == MAGIC_NUMBER:
        return None  # its bytes are not at hand, or it is named so that Python itself does not read it
    python = pair.header.python or (pair.name.tag[:50] if pair.name else "another implementation")
    return Wrong(what=Unread.PYTHON, why=python)


# --- one finding for many ---


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Byte code with one thing wrong: a file by itself, or those of the ``total`` in a folder that have it."""

    path: str
    wrong: Wrong
    pairs: Sequence[Pair]
    total: int

    @property
    def alone(self) -> bool:
        """Whether it is one file under its own name."""
        return self.path == self.pairs[0].path

    def finding(self) -> Finding:
        """The finding; its layer is the highest that brought one of the files."""
        many = said_of_many(self.wrong, self.pairs, self.total)
        return Finding(
            kind=FindingKind.UNREADABLE if isinstance(self.wrong.what, Unread) else FindingKind.STALE_BYTECODE,
            path=self.path,
            layer=max(pair.since for pair in self.pairs),
            detail=said(self.wrong, self.pairs[0]) if self.alone else many,
        )


def _grouped(path: str, home: _Home, wrong: Wrong, pairs: Sequence[Pair]) -> list[_Group]:
    """As few findings as tell it."""
    whole = _Group(path=path, wrong=wrong, pairs=pairs, total=home.pairs)
    if wrong.what is Unread.PYTHON or _is_common(len(pairs), home.pairs):
        return [whole]
    below: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        below[_top(path, pair.folder)].append(pair)
    groups: list[_Group] = []
    for top, members in below.items():
        total = home.tops[top]
        if top != path and wrong.what not in _ON_PURPOSE and _is_common(len(members), total):
            groups.append(_Group(path=top, wrong=wrong, pairs=members, total=total))
        else:
            groups += [_Group(path=pair.path, wrong=wrong, pairs=(pair,), total=1) for pair in members]
    return [whole] if len(groups) > (_MOST if wrong.what in _ON_PURPOSE else _MANY) else groups


def _is_common(count: int, total: int) -> bool:
    return count > _FEW and count >= total * _SHARE


def _merged(groups: Iterable[_Group]) -> Iterator[_Group]:
    """Where many folders have one thing in common, it is told of the folders above them."""
    folders: dict[Wrong, list[_Group]] = defaultdict(list)
    for group in groups:
        if group.alone:
            yield group
        else:
            folders[group.wrong].append(group)
    for wrong, same in folders.items():
        above = _shortened([group.path for group in same])
        for path in dict.fromkeys(above.values()):
            members = [group for group in same if above[group.path] == path]
            pairs = [pair for group in members for pair in group.pairs]
            yield _Group(path=path, wrong=wrong, pairs=pairs, total=sum(group.total for group in members))


def _shortened(paths: Sequence[str]) -> dict[str, str]:
    """For each path one at or above it, few in all: the deepest are cut first."""
    above = {path: path for path in paths}
    while len(set(above.values())) > _HOMES:
        deepest = max(path.count("/") for path in above.values())
        above = {own: posixpath.dirname(path) if path.count("/") == deepest else path for own, path in above.items()}
    return above


def _top(home: str, folder: str) -> str:
    """The folder directly below ``home`` that ``folder`` is in or is; ``home`` for its own modules."""
    if folder == home:
        return home
    start = home.rstrip("/")
    return f"{start}/{folder[len(start) + 1 :].partition('/')[0]}"
