"""A kept report as the page shows it: the sections of the HTML report, filtered and bounded, with tables of its own.

Everything that is listed has a bound; what is left out is counted, and the json report has all of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Final, Generic, TypeAlias, TypeVar

from scanner.formats import sentences
from scanner.formats.html.sections import Group, Row, Section, section
from scanner.formats.text import shown
from scanner.formats.view import View
from scanner.report import DistributionLine, Kind, Report
from scanner.results.keeping import report_of

FILTERS: Final = ("origin", "integrity", "kind", "layer")
_ROWS: Final = 500
"""Distributions of a page; what follows is asked for by the number of the first."""
_FINDINGS: Final = 300
_AT_MOST: Final = 200
"""Rows of the other tables."""
_FILES_OF_ONE: Final = 20
_COPIES: Final = frozenset({Kind.CACHED, Kind.WHEEL})

Item = TypeVar("Item")
Wanted: TypeAlias = Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning(Generic[Item]):
    """The first rows of a table, and how many there are in all."""

    rows: tuple[Item, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A file that is not as its distribution's wheel has it; ``row`` is the id of the distribution."""

    row: str
    name: str
    path: str
    state: str
    by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What Chainguard has instead of a distribution: a wheel of the same version, a remediated version, or both."""

    row: Row
    wheel: str
    remediated: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """``fits`` is how many distributions fit the filter, ``begin`` the number of the first on the page, ``next`` that
    of the next page's first; ``ids`` are the distributions that are on the page.
    """

    section: Section
    ids: Collection[str]
    fits: int
    begin: int
    next: int | None
    findings: int
    changed: Beginning[Changed]
    offers: Beginning[Offer]
    copies: Beginning[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """All of a report."""

    section: Section
    rows: tuple[Row, ...]
    changed: Beginning[Changed]
    offers: Beginning[Offer]
    copies: Beginning[Row]


@lru_cache(4)
def _whole(document: bytes) -> _Whole:
    """A report never changes, and people look at one several times."""
    report = report_of(document)
    everything = section(report, View(), "r")
    rows = tuple(row for group in everything.groups for row in group.rows)
    pairs = list(zip(rows, report.distributions, strict=True))
    return _Whole(
        section=everything,
        rows=rows,
        changed=_beginning(_changed(rows), sum(len(row.files) + row.more for row in rows)),
        offers=_all_of(_offers(pairs, report)),
        copies=_all_of([row for row, line in pairs if line.hidden or line.kind in _COPIES]),
    )


def part(document: bytes, wanted: Wanted, begin: int) -> Shown:
    """What of a report is on the page. ``wanted`` has ``search``, ``look`` and :data:`FILTERS`."""
    everything = _whole(document)
    fitting = [row for row in everything.rows if _fits(row, wanted)]
    on_page = tuple(_shortened(row) for row in fitting[begin : begin + _ROWS])
    ids = {row.id for row in on_page}
    kept = replace(
        everything.section,
        groups=(Group(title="", rows=on_page),),
        findings=everything.section.findings[:_FINDINGS],
        first=tuple(row for row in everything.section.first if row.id in ids),
    )
    return Shown(
        section=kept,
        ids=ids,
        fits=len(fitting),
        begin=begin,
        next=begin + _ROWS if len(fitting) > begin + _ROWS else None,
        findings=len(everything.section.findings),
        changed=everything.changed,
        offers=everything.offers,
        copies=everything.copies,
    )


def _fits(row: Row, wanted: Wanted) -> bool:
    if any(wanted[name] not in (None, getattr(row, name)) for name in FILTERS) or (wanted["look"] and not row.look):
        return False
    words = (wanted["search"] or "").lower().split()
    if not words:
        return True
    text = _text(row)
    return all(word in text for word in words)


def _text(row: Row) -> str:
    """What is searched: what the row says on the page."""
    said = [row.name, row.version, row.origin, row.integrity, row.kind, row.note, row.reason]
    said += [value for _, value in row.facts] + [file.path for file in row.files]
    return " ".join(map(shown, said)).lower()


def _shortened(row: Row) -> Row:
    more = max(len(row.files) - _FILES_OF_ONE, 0)
    return replace(row, files=row.files[:_FILES_OF_ONE], more=row.more + more)


def _beginning(items: Iterable[Item], count: int) -> Beginning[Item]:
    return Beginning(rows=tuple(islice(items, _AT_MOST)), count=count)


def _all_of(items: Iterable[Item]) -> Beginning[Item]:
    every = list(items)
    return _beginning(every, len(every))


def _changed(rows: Sequence[Row]) -> Iterator[Changed]:
    for row in rows:
        for file in row.files:
            facts = dict(file.facts)
            by, note = facts.get("by", ""), facts.get("note", "")
            yield Changed(row=row.id, name=row.name, path=file.path, state=file.state, by=by, note=note)


def _offers(pairs: Sequence[tuple[Row, DistributionLine]], report: Report) -> Iterator[Offer]:
    """Of what counts and runs: what is not verified though Chainguard has this version, and remediated builds."""
    sure = {id(line) for line in sentences.verified(report, sentences.minimum_of(report))}
    for row, line in pairs:
        if line.applicable and not line.hidden:
            wheel = "" if id(line) in sure else line.available.same_version or ""
            remediated = line.available.remediated or "" if sentences.remediated(line) else ""
            if wheel or remediated:
                yield Offer(row=row, wheel=wheel, remediated=remediated)
