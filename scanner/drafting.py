"""Targets, reports and repository managers -> a plan: scan, ask the indexes what there is instead, put it together.

What ``cgscan purge`` deletes without a plan file is found by the same functions: :func:`surveyed`, :func:`cached_in`.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.utils import NormalizedName, canonicalize_name

from scanner.errors import UsageError
from scanner.image import Image
from scanner.index import Role
from scanner.indexes.credentials import shown
from scanner.managers import open_manager
from scanner.offers import Shelf, offer_of, wanted_of
from scanner.pipeline import index_lines, scan
from scanner.plan import Lack, Offer, Plan
from scanner.planning import Weighed, concerns, offer_of_report, plan_of
from scanner.policy import judged
from scanner.progress import Progress
from scanner.reference import parse_reference
from scanner.report import DistributionLine, Report
from scanner.reportfile import read_reports
from scanner.run import Note, client_of, indexes_of, options_of, store_of
from scanner.sources import open_targets
from scanner.sources.local import on_disk
from scanner.stalecopies import Surveyed, local_copies, proxy_copies
from scanner.threads import threads
from scanner.values import shown as word

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.http import Client
    from scanner.index import Index, IndexSpec
    from scanner.stale import LocalCopy
    from scanner.store import Store


_LATE: Final = Offer(lack=Lack.NOT_ASKED, why="the limit index_seconds is used up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a plan is for, as a person says it: TARGETs and files of reports, managers by the name of their index,
    base images as TARGETs or files of reports.
    """

    targets: Sequence[str] = ()
    managers: Sequence[str] = ()
    bases: Sequence[str] = ()


def draft(asked: Asked, settings: Settings, *, progress: Progress, note: Note) -> Plan:
    """The plan.

    Raises :class:`scanner.errors.CgscanError` where a target cannot be scanned, a file is no report, or a manager does
    not answer.
    """
    if not asked.targets and not asked.managers:
        raise UsageError("nothing to plan for is named", hint="name a TARGET, the file of a report, or --manager NAME")
    with working(settings, progress, note) as work:
        # (1) what can be seen to be wrong is said before anything is scanned
        read = {text: read_reports(Path(text), limits=settings.limits) for text in asked.targets if is_report(text)}
        specs = [spec_of(name, settings) for name in asked.managers]
        if specs or len(read) < len(set(asked.targets)):
            work.check_indexes()
        bases = [base for text in asked.bases for base in work.base(text)]
        # (2) targets, each with indexes of its own: their time is limited for one scan
        weighed = [one for text in asked.targets for one in work.weighed(text, read.get(text))]
        # (3) managers
        found = [work.surveyed(spec) for spec in specs]
        return plan_of(
            weighed,
            found,
            made_at=now(),
            minimum=settings.policy.min_evidence,
            bases=bases,
            indexes=index_lines(work.indexes()) if specs else (),
        )


def surveyed(name: str, settings: Settings, *, note: Note) -> Surveyed:
    """What the manager behind the index of a name holds, with Chainguard's build instead of each copy.

    Raises :class:`scanner.errors.UsageError` where there is no such index or no manager behind it, and
    :class:`scanner.errors.IndexUnavailable` where the manager does not answer.
    """
    with working(settings, _unseen, note) as work:
        spec = spec_of(name, settings)
        work.check_indexes()
        return work.surveyed(spec)


def cached_in(folder: Path, settings: Settings, *, progress: Progress, note: Note) -> tuple[LocalCopy, ...]:
    """What the stores of pip, uv, Poetry and PDM in a folder hold that is not Chainguard's. The folder is scanned."""
    place = folder.absolute()
    with working(settings, progress, note) as work:
        work.check_indexes()
        copies: dict[LocalCopy, None] = {}
        for one in work.weighed(f"dir:{place}", None):
            pairs = zip(one.report.distributions, one.offers, strict=True)
            copies |= dict.fromkeys(local_copies([(line, offer) for line, offer in pairs if offer], place))
        return tuple(copies)


def now() -> str:
    """The time as RFC 3339 has it."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def is_report(text: str) -> bool:
    """Whether an argument is the file of a report: a name like a document's, and no image's."""
    return text.endswith(".json") and Path(text).is_file()


def spec_of(name: str, settings: Settings) -> IndexSpec:
    """The index of a name (or URL) among those that are configured."""
    for spec in settings.indexes:
        if name in (spec.name, spec.location, shown(spec.location)):
            return spec
    known = ", ".join(spec.name for spec in settings.indexes if spec.name)
    raise UsageError(
        f"there is no index {word(name)} behind which a manager could be asked",
        hint=f"configured are: {known}" if known else "name the indexes in the configuration file; see docs/managers",
    )


def _unseen(event: object) -> None:
    """Surveys show no progress."""


@contextmanager
def working(settings: Settings, progress: Progress, note: Note) -> Iterator[Work]:
    """What a run works with, until the end of the block."""
    with client_of(settings) as client:
        yield Work(settings=settings, client=client, store=store_of(settings), progress=progress, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The tools of one run."""

    settings: Settings
    client: Client
    store: Store
    progress: Progress
    note: Note

    def check_indexes(self) -> None:
        """Without an index of Chainguard's there is nothing to plan with."""
        if not any(spec.role is Role.CHAINGUARD for spec in self.settings.indexes):
            raise UsageError(
                "no index of Chainguard's is given", hint="name one with --index, and PyPI's with --upstream"
            )

    def indexes(self) -> list[Index]:
        """Fresh ones: what they were told is remembered for one target, and their time is limited."""
        return indexes_of(self.settings, self.client, self.store)

    def reports(self, text: str, indexes: Sequence[Index]) -> list[Report]:
        """Scan a TARGET."""
        options, start = options_of(self.settings, self.store), time.monotonic()
        found = scan(parse_reference(text), indexes=indexes, options=options, progress=self.progress)
        self.note(f"{text}: {time.monotonic() - start:.1f} s")
        return [judged(report, self.settings.policy) for report in found]

    def base(self, text: str) -> Iterator[tuple[str, ...]]:
        """The diff_ids of a base image; nothing of it is scanned."""
        if is_report(text):
            for report in read_reports(Path(text), limits=self.settings.limits):
                yield tuple(layer.diff_id for layer in report.target.layers)
            return
        options = options_of(self.settings, self.store).source
        with open_targets(parse_reference(text), platform=self.settings.platform, options=options) as targets:
            for target in targets:
                if not isinstance(target, Image):
                    raise UsageError(f"{text}: is no image, so nothing can be built on it")
                yield tuple(str(layer.diff_id) for layer in target.layers)

    def weighed(self, text: str, read: Sequence[Report] | None) -> Iterator[Weighed]:
        """A target's reports, scanned now or ``read``, with what there is instead of each distribution."""
        indexes = self.indexes()
        for report in self.reports(text, indexes) if read is None else read:
            yield Weighed(report=report, offers=self._offers(report, indexes), folder=_folder(report))

    def _offers(self, report: Report, indexes: Sequence[Index]) -> tuple[Offer | None, ...]:
        """Project by project; None for what nobody has to ask."""
        by_project: dict[NormalizedName, list[DistributionLine]] = {}
        for line in report.distributions:
            if concerns(line):
                by_project.setdefault(canonicalize_name(line.name), []).append(line)

        deadline = time.monotonic() + self.settings.limits.index_seconds

        def offers(named: tuple[NormalizedName, list[DistributionLine]]) -> list[tuple[int, Offer]]:
            if time.monotonic() > deadline:
                return [(id(line), _LATE) for line in named[1]]
            shelf = Shelf(named[0], indexes)
            return [(id(line), _offer(line, report, shelf)) for line in named[1]]

        with threads(max(self.settings.jobs, 4)) as pool:
            found = dict(pair for pairs in pool.map(offers, by_project.items()) for pair in pairs)
        return tuple(found.get(id(line)) for line in report.distributions)

    def surveyed(self, spec: IndexSpec) -> Surveyed:
        """What the manager behind an index holds."""
        manager = open_manager(spec, client=self.client, limits=self.settings.limits)
        name = spec.name or shown(spec.location)
        if manager is None:
            raise UsageError(
                f"behind the index {name} is no repository manager that cgscan knows",
                hint="Artifactory, Nexus, Cloudsmith and Google Artifact Registry are; write kind: at the index",
            )
        start = time.monotonic()
        deadline = start + self.settings.limits.index_seconds
        jobs = max(self.settings.jobs, 4)
        found = proxy_copies(name, spec.role, manager, self.indexes(), jobs=jobs, deadline=deadline)
        self.note(f"manager behind {name}: {time.monotonic() - start:.1f} s")
        return found


def _offer(line: DistributionLine, report: Report, shelf: Shelf) -> Offer:
    """What the indexes say; where they cannot be asked, what the report says."""
    offer = offer_of(wanted_of(line, report), shelf)
    if offer.lack is not Lack.NOT_ASKED:
        return offer
    said = offer_of_report(line, report)
    return said if said.promises or not shelf.listing.failures else offer


def _folder(report: Report) -> Path | None:
    """Where a ``dir:`` target is on this machine."""
    scheme, _, path = report.target.reference.partition(":")
    return on_disk(path).absolute() if report.target.kind == "directory" and scheme == "dir" and path else None
