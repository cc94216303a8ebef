"""Two TARGETs or files of reports -> their difference: read or scanned, and target put to target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.difference import GATES, WORSE, Difference, difference, failed
from scanner.drafting import is_report, working
from scanner.errors import UsageError
from scanner.pairing import paired
from scanner.progress import Progress
from scanner.report import Report
from scanner.reportfile import read_reports
from scanner.run import Note
from scanner.values import shown

if TYPE_CHECKING:
    from scanner.config import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The difference, and the reports that it is of, target by target."""

    difference: Difference
    reports: tuple[tuple[Report, Report], ...]


def gates_of(texts: Sequence[str]) -> frozenset[str]:
    """What a comparison is to fail on, from words with commas; ``worse`` is several.

    Raises :class:`scanner.errors.UsageError` for a word that there is not.
    """
    found: set[str] = set()
    for word in (part.strip() for text in texts for part in text.split(",")):
        if word != "worse" and word not in GATES:
            raise UsageError(
                f"--fail-on-change: {shown(word)} is nothing that happens",
                hint=f"write worse, or one of {', '.join(GATES)}",
            )
        found.update(WORSE if word == "worse" else (word,))
    return frozenset(found)


def compare(
    before: str, after: str, settings: Settings, *, gates: frozenset[str], progress: Progress, note: Note
) -> Compared:
    """Compare. Raises :class:`scanner.errors.CgscanError` where a side cannot be read, scanned or put to the other."""
    sides = (before, after)
    # (1) what can be seen to be wrong is said before anything is scanned
    read = {text: read_reports(Path(text), limits=settings.limits) for text in sides if is_report(text)}
    with working(settings, progress, note) as work:
        if len(read) < len(set(sides)):
            work.check_indexes()
        # (2) each with indexes of its own: their time is limited for one scan
        old, new = (read.get(text) or work.reports(text, work.indexes()) for text in sides)
    # (3) target to target
    reports = _partners(old, new, sides)
    minimum = settings.policy.min_evidence
    targets = tuple(difference(one, other, minimum=minimum) for one, other in reports)
    return Compared(difference=Difference(targets=targets, failed=failed(targets, gates)), reports=reports)


def _partners(
    old: Sequence[Report], new: Sequence[Report], sides: tuple[str, str]
) -> tuple[tuple[Report, Report], ...]:
    """The same reference and platform, then a platform that is there once, then the only one that is left."""
    alone = [Counter(report.target.platform for report in reports) for reports in (old, new)]
    once = {platform for platform, count in alone[0].items() if count == alone[1][platform] == 1}
    keys: tuple[Callable[[Report], object], ...] = (
        lambda report: (report.target.reference, report.target.platform),
        lambda report: report.target.platform if report.target.platform in once else object(),
    )
    found = paired(old, new, keys)
    sure = [(one, other) for one, other in found if one is not None and other is not None]
    left = (
        [one for one, other in found if one is not None and other is None],
        [other for one, other in found if one is None and other is not None],
    )
    if len(left[0]) == len(left[1]) == 1:
        return (*sure, (left[0][0], left[1][0]))
    for reports, here, there in ((left[0], sides[0], sides[1]), (left[1], sides[1], sides[0])):
        if reports:
            target = reports[0].target
            name = f"{target.reference} ({target.platform})" if target.platform else target.reference
            raise UsageError(
                f"{here}: nothing in {there} is to be compared with {shown(name)}",
                hint="compare one target with one, or reports of the same targets and platforms",
            )
    return tuple(sure)
