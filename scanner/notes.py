"""What was done to changed files: a note for each that has an explanation. A changed file stays changed.

Another distribution's bytes; another first line of a script; newlines, ``strip``, ``patchelf``
(:mod:`scanner.forms`); and whether RECORD knows of it. The bytes of changed files are looked at a second time for
that, as far as the limits go.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from scanner.assessed import Assessed
from scanner.distribution import Installed, Origin
from scanner.forms import difference
from scanner.match import Fit, RowFit, State
from scanner.placement import Bytes

if TYPE_CHECKING:
    from scanner.assessed import LookAgain
    from scanner.rootfs import RegularFile, RootFS

_SHOWN: Final = 80
_RECORD_TOO: Final = "RECORD says so too: it was changed before it was installed, or RECORD along with it"


class Notes:
    """The notes on one tree's changed files. ``look_again`` gives the forms of files, by sha256."""

    def __init__(self, rootfs: RootFS, live: Sequence[Assessed], look_again: LookAgain) -> None:
        self._rootfs = rootfs
        changed = list(_changed(live))
        self._overwriters = _overwriters(live, changed)
        self._losers = _losers(live, self._overwriters)
        self._forms = look_again(list(self._unexplained(changed))) if changed else {}

    def _unexplained(self, changed: Iterable[tuple[Assessed, RowFit]]) -> Iterator[RegularFile]:
        """The files that no other distribution has, each content once, smaller ones first."""
        found: dict[bytes, RegularFile] = {}
        for _, row in changed:
            file = None if _key(row) in self._overwriters else self._rootfs.file(row.path)
            if file is not None and file.size:
                found.setdefault(file.sha256, file)
        yield from sorted(found.values(), key=lambda file: (file.size, file.path))

    def reason(self, one: Assessed) -> str:
        """The reason of its verdict, and whose files it lies over."""
        over = self._losers.get(id(one))
        return f"{one.verdict.reason}; it lies over {_counted(over)}" if over else one.verdict.reason

    def of(self, one: Assessed, row: RowFit) -> str | None:
        """What is known of a changed file, or of one that is gone and has something in its place."""
        if row.sourceless is not None:
            return f"sourceless: {row.sourceless.path} stands in its place and cannot be compared"
        if row.state is not State.MODIFIED or row.file is None or one.verdict.fit is None:
            return None
        if _key(row) in self._overwriters:
            return self._overwriters[_key(row)]
        said = _said(one).get(row.path) == row.file.sha256
        form = self._forms.get(row.file.sha256)
        contents = one.verdict.fit.candidate.contents
        parts = [
            self._first_line(one.verdict.fit, row),
            difference(contents.forms.get(row.member), row.expected, form) if form else None,
            _RECORD_TOO if said else None,
        ]
        return "; ".join(part for part in parts if part) or None

    def _first_line(self, fit: Fit, row: RowFit) -> str | None:
        """A script that is the wheel's but for a first line that no installer writes."""
        tail = fit.candidate.contents.script_tails.get(row.member)
        first, newline, rest = (self._rootfs.read(row.path) or b"").partition(b"\n")
        if tail is None or not newline or hashlib.sha256(rest).digest() != tail:
            return None
        shown = "".join(sign if sign.isprintable() else "?" for sign in first.decode("utf-8", "replace"))
        return f"only its first line differs, and no installer writes that: {shown[:_SHOWN]}"


def overwritten(done: Sequence[Assessed]) -> dict[int, frozenset[Bytes]]:
    """For unexplained distributions (by identity) that share paths of their RECORD with others': the bytes of those.

    Two dist-infos of one project are no such pair: one of them is stale.
    """
    unexplained = [
        (one, one.found.environment.rstrip("/"), one.found.record.paths)
        for one in done
        if one.verdict.origin is Origin.UNKNOWN
        and one.vendor is None
        and isinstance(one.found, Installed)
        and one.found.record is not None
    ]
    matched: dict[str, list[tuple[str, Bytes]]] = {}
    for other in done if unexplained else ():
        for row in other.verdict.fit.rows if other.verdict.fit is not None else ():
            if row.state is State.MATCHED:
                matched.setdefault(row.path, []).append((other.found.name, _key(row)))
    found: dict[int, frozenset[Bytes]] = {}
    for one, environment, paths in unexplained:
        rows = (row for path in paths for row in matched.get(f"{environment}/{path}", ()))
        shared = frozenset(key for name, key in rows if name != one.found.name)
        if shared:
            found[id(one)] = shared
    return found


def _key(row: RowFit) -> Bytes:
    return row.path, row.file.sha256 if row.file else b""


def _changed(live: Sequence[Assessed]) -> Iterator[tuple[Assessed, RowFit]]:
    for one in live:
        fit = one.verdict.fit
        for row in fit.rows if fit is not None and fit.modified else ():
            if row.state is State.MODIFIED:
                yield one, row


def _said(one: Assessed) -> Mapping[str, bytes | None]:
    """What its RECORD says of paths."""
    found = one.found
    if not isinstance(found, Installed) or found.record is None:
        return {}
    return {posixpath.normpath(f"{found.environment}/{row.path}"): row.digest for row in found.record.rows}


def _overwriters(live: Sequence[Assessed], changed: Sequence[tuple[Assessed, RowFit]]) -> dict[Bytes, str]:
    """For changed files that another distribution has with the bytes that are there: whose they are."""
    wanted = {_key(row) for _, row in changed}
    notes: dict[Bytes, str] = {}
    for one in live if wanted else ():
        fit = one.verdict.fit
        if fit is None:
            hits = wanted.intersection((path, digest or b"") for path, digest in _said(one).items())
            notes.update(dict.fromkeys(hits, f"has the bytes that RECORD of {one.found.name} lists"))
    for one in live if wanted else ():
        fit = one.verdict.fit
        for row in fit.rows if fit is not None else ():
            if row.state is State.MATCHED and _key(row) in wanted:
                notes[_key(row)] = f"has the bytes of {one.found.name}"
    return notes


def _losers(live: Sequence[Assessed], overwriters: Mapping[Bytes, str]) -> dict[int, Counter[str]]:
    """For distributions (by identity) whose files lie over another's: how many files of which."""
    lost: dict[Bytes, str] = {_key(row): str(one.found.name) for one, row in _changed(live) if _key(row) in overwriters}
    found: dict[int, Counter[str]] = {}
    for one in live if lost else ():
        fit = one.verdict.fit
        for row in fit.rows if fit is not None else ():
            if row.state is State.MATCHED and _key(row) in lost:
                found.setdefault(id(one), Counter())[lost[_key(row)]] += 1
    return found


def _counted(over: Counter[str]) -> str:
    return ", ".join(f"{number} file{'s' * (number > 1)} of {name}" for name, number in sorted(over.items())[:3])
