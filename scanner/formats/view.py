"""What of a report a person wants to see, and how it is put together. It changes what is shown, never what is counted.

``--only FILTER`` is words with commas between them::

    upstream,unknown        distributions of one of these origins
    upstream,wheel          of that origin that are wheel files: words of one sort widen, other sorts narrow
    name=django*            of a name that fits, with ``*``, ``?`` and ``[…]``
    verified                that count as verified
    unowned-file            findings of that kind
    !os,!dangling-link      all but these

As soon as a word says what to show, nothing else is shown: ``upstream`` shows no findings.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Final, TypeAlias

from scanner.distribution import Finding, FindingKind
from scanner.errors import UsageError
from scanner.index import Evidence
from scanner.report import DistributionLine, Integrity, Kind, Origin, Report, is_verified

GROUPINGS: Final = ("environment", "layer", "origin")
_SORTS: Final = {"origin": Origin, "integrity": Integrity, "kind": Kind, "finding": FindingKind}
_SORT_OF: Final = {
    **{word.value: sort for sort, words in _SORTS.items() for word in words},
    "verified": "verified",
}
"""The sort of every word; no word has two."""
WORDS: Final = tuple(_SORT_OF)
"""What ``--only`` takes, but for ``name=GLOB``."""
_FINDING: Final = "finding"
_NAME: Final = "name"
_LONGEST: Final = 2000

Words: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of sort and word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """Which distributions and findings are shown; without words, all."""

    wanted: Words = ()
    unwanted: Words = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Only:
        """Read filters; several are one. :class:`UsageError` for a word that there is not."""
        wanted: list[tuple[str, str]] = []
        unwanted: list[tuple[str, str]] = []
        for word in _words(texts):
            bare = word.removeprefix("!")
            (wanted if bare == word else unwanted).append((_sort_of(bare), bare.removeprefix("name=")))
        return cls(wanted=tuple(wanted), unwanted=tuple(unwanted))

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.wanted and not self.unwanted

    def shows(self, line: DistributionLine, minimum: Evidence) -> bool:
        """Whether a distribution is shown; ``minimum`` is the weakest evidence that counts as verified."""
        if any(_fits(line, sort, word, minimum) for sort, word in self.unwanted):
            return False
        sorts = {sort for sort, _ in self.wanted}
        if not sorts:
            return True
        return sorts != {_FINDING} and all(
            any(_fits(line, sort, word, minimum) for each, word in self.wanted if each == sort)
            for sort in sorts - {_FINDING}
        )

    def shows_finding(self, finding: Finding) -> bool:
        """Whether a finding is shown."""
        pair = (_FINDING, finding.kind.value)
        return pair not in self.unwanted and (not self.wanted or pair in self.wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """``group_by`` is one of :data:`GROUPINGS`, or None for what the format does by itself."""

    group_by: str | None = None
    only: Only = field(default_factory=Only)

    @classmethod
    def of(cls, only: Sequence[str], group_by: str | None) -> View:
        """Read what the command line has; :class:`UsageError` for what makes no sense."""
        if group_by is not None and group_by not in GROUPINGS:
            raise UsageError(f"cannot group by {group_by[:80]!a}", hint=f"write {' or '.join(GROUPINGS)}")
        return cls(group_by=group_by, only=Only.parse(only))

    def lines(self, lines: Sequence[DistributionLine], minimum: Evidence) -> list[DistributionLine]:
        """Those that are shown."""
        return [line for line in lines if self.only.shows(line, minimum)]

    def findings(self, report: Report) -> list[Finding]:
        """Those that are shown."""
        return [finding for finding in report.findings if self.only.shows_finding(finding)]

    def left_out(self, report: Report, minimum: Evidence) -> str | None:
        """How much of the report is not shown."""
        if self.only.everything:
            return None
        lines, findings = len(self.lines(report.distributions, minimum)), len(self.findings(report))
        return (
            f"Shown (--only): {lines} of {len(report.distributions)} distributions, "
            f"{findings} of {len(report.findings)} findings."
        )


def grouped(
    lines: Sequence[DistributionLine], report: Report, group_by: str
) -> Iterator[tuple[str, list[DistributionLine]]]:
    """Titles with their distributions: as they come by environment, layers from the lowest, origins as in the docs."""
    match group_by:
        case "layer":
            ordered = sorted(lines, key=lambda line: (line.layer is None, line.layer or 0))
            for layer, members in groupby(ordered, key=lambda line: line.layer):
                yield _layer_title(layer, report), list(members)
        case "origin":
            order = list(Origin)
            ordered = sorted(lines, key=lambda line: order.index(line.origin))
            for origin, members in groupby(ordered, key=lambda line: line.origin):
                yield origin.value, list(members)
        case _:
            for environment, members in groupby(lines, key=lambda line: line.environment or "no environment"):
                yield environment, list(members)


def _layer_title(layer: int | None, report: Report) -> str:
    if layer is None:
        return "no layer"
    layers = report.target.layers
    made_by = layers[layer].created_by if layer < len(layers) else None
    return f"layer {layer}: {made_by}" if made_by else f"layer {layer}"


def _words(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        if len(text) > _LONGEST:
            raise UsageError(f"a filter of {len(text)} characters; at most {_LONGEST} are read")
        yield from filter(None, (word.strip() for word in text.split(",")))


def _sort_of(word: str) -> str:
    if word.startswith("name=") and word != "name=":
        return _NAME
    sort = _SORT_OF.get(word)
    if sort is None:
        close = difflib.get_close_matches(word[:80], list(_SORT_OF), n=1)
        raise UsageError(
            f"cannot filter by {word[:80]!a}" + (f"; did you mean {close[0]}?" if close else ""),
            hint=f"words are name=GLOB, {', '.join(_SORT_OF)}; with ! in front of what to leave out",
        )
    return sort


def _fits(line: DistributionLine, sort: str, word: str, minimum: Evidence) -> bool:
    match sort:
        case "name":
            return fnmatchcase(line.name, word.lower())
        case "verified":
            return is_verified(line, minimum) and not line.hidden
        case "finding":
            return False
        case _:
            return str(getattr(line, sort).value) == word
