"""One distribution file by file, beside the best wheels of both sides.

The verdict is the assessment's; what it was made from is gathered once more here, for the distributions that are asked
for and no others, because it is as much as every wheel that was read.

    sides           the best wheel of each side, and what of it tells
    files           what is there, what each wheel has for it, what RECORD says
    beside          what is there and in neither wheel
    owned           the files of what the operating system or conda owns
    asked           which distribution is asked for
    considered      which files of the indexes were considered
    sentences       the verdict's reasons, in words
    remediated      what a VEX feed says of the builds of its release
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from scanner.assess import Examined
from scanner.assessed import Assessed, Terms
from scanner.claimed import claimed
from scanner.comparison import Comparing
from scanner.distribution import Installed, Origin
from scanner.explaining.considered import answers_of, candidates_of
from scanner.explaining.files import Belongings
from scanner.explaining.owned import owned_files
from scanner.explaining.sentences import Facts, sentences
from scanner.explaining.sides import Sides, side_of
from scanner.explanation import Account, ExplainedFile, Listed, RecordLine
from scanner.match import Fit
from scanner.owners import Owners
from scanner.report import DistributionLine
from scanner.rootfs import RootFS

__all__ = ["Explainer"]


class Explainer:
    """Explains distributions of one tree that were judged on the same terms."""

    def __init__(self, rootfs: RootFS, examined: Examined, terms: Terms) -> None:
        self._rootfs = rootfs
        self._examined = examined
        self._terms = terms
        self._comparing = Comparing(rootfs, terms)

    def account(self, one: Assessed, line: DistributionLine) -> Account:
        """All that is to be said of one of the tree's distributions."""
        vendor = self._vendor(one)
        judged = vendor or one
        shown = judged.verdict.fit
        compared = None if one.verdict.origin in (Origin.OS, Origin.CONDA) else self._comparing.compared(judged.found)
        sides = Sides.of(compared, shown) if compared is not None else Sides()
        files = self._files(one, line, sides, below=vendor is not None)
        facts = Facts(one=one, line=line, compared=compared, sides=sides, files=files)
        return Account(
            distribution=line,
            why=sentences(facts),
            compared_with=sides.subject,
            chainguard=side_of(sides.chainguard),
            upstream=side_of(sides.upstream),
            files=files,
            candidates=candidates_of(compared, shown) if compared is not None else (),
            answers=answers_of(compared) if compared is not None else (),
            failures=compared.failures if compared is not None else (),
            record=_record(one, files),
        )

    def _vendor(self, one: Assessed) -> Assessed | None:
        """The distribution whose wheel has the verdict on one that is vendored in it."""
        if one.vendor is None or one.verdict.fit is not None:
            return None
        for other, _ in self._examined.pairs:
            if other.found.name == one.vendor and other.verdict.fit is not None and _has(other.verdict.fit, one):
                return other
        return None

    @cached_property
    def _owners(self) -> Owners:
        return Owners(self._rootfs)

    def _files(self, one: Assessed, line: DistributionLine, sides: Sides, *, below: bool) -> tuple[ExplainedFile, ...]:
        if one.owner is not None and isinstance(one.found, Installed):
            return owned_files(self._rootfs, self._owners, one.found, one.owner, layered=self._terms.layered)
        return Belongings(
            rootfs=self._rootfs,
            found=one.found,
            sides=sides,
            below=one.found.environment if below and isinstance(one.found, Installed) else None,
            others=frozenset(self._files_of_others(one)),
            notes={file.path: file.note for file in line.files},
            layered=self._terms.layered,
        ).files()

    def _files_of_others(self, one: Assessed) -> Iterator[str]:
        """What every other distribution accounts for: its wheel; without one, its own metadata."""
        for other, _ in self._examined.pairs:
            if other is one or not isinstance(other.found, Installed) or other.vendor is not None:
                continue
            fit = other.verdict.fit
            if fit is not None:
                yield from (row.path for row in fit.rows if row.file is not None)
            else:
                yield from claimed(other.found).files


def _has(fit: Fit, one: Assessed) -> bool:
    location = one.found.location
    return any(row.path == location or row.path.startswith(location + "/") for row in fit.rows)


def _record(one: Assessed, files: tuple[ExplainedFile, ...]) -> RecordLine | None:
    if not isinstance(one.found, Installed) or one.found.record is None:
        return None
    said = [file.record for file in files if file.installed is not None]
    return RecordLine(
        rows=len(one.found.record.rows),
        faults=one.found.record.faults,
        edited=said.count(Listed.EDITED),
        other_bytes=said.count(Listed.OTHER_BYTES),
        not_listed=said.count(Listed.NOT_LISTED),
    )
