"""The report before, the new build -> a proof of what moved, and why the rest did not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from scanner.drafting import Work, is_report, now, spec_of, working
from scanner.errors import UsageError
from scanner.offers import Shelf, version_of
from scanner.planfile import read_plan
from scanner.progress import Progress
from scanner.proof import Proof, Traces, is_kept, proved, stored_in
from scanner.report import Kind, Report
from scanner.reportfile import read_reports
from scanner.run import Note

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.plan import Plan

_LONGEST_LOCK = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be proved, as a person says it.

    ``before`` is the file of a report, ``after`` are TARGETs and files of reports: of the new builds in the order of
    ``before``, and of caches, which may say why something did not move. ``plan`` is the plan's file, if its promises
    count; ``locks`` are lock files; ``managers`` indexes behind which a manager is asked what it still holds.
    """

    before: str
    after: Sequence[str]
    plan: str | None = None
    locks: Sequence[str] = ()
    managers: Sequence[str] = ()


def prove(asked: Asked, settings: Settings, *, progress: Progress, note: Note) -> Proof:
    """The proof. Raises :class:`scanner.errors.CgscanError` where something cannot be read, scanned or compared."""
    # (1) what can be seen to be wrong is said before anything is scanned
    before = _builds(read_reports(Path(asked.before), limits=settings.limits))
    plan = read_plan(Path(asked.plan), limits=settings.limits) if asked.plan else None
    numbers = _numbers(plan, before, asked) if plan is not None else []
    locks = {name: _text(Path(name)) for name in asked.locks}
    read = {text: read_reports(Path(text), limits=settings.limits) for text in asked.after if is_report(text)}
    specs = [spec_of(name, settings) for name in asked.managers]
    with working(settings, progress, note) as work:
        if specs or len(read) < len(set(asked.after)):
            work.check_indexes()
        # (2) the new builds, and caches
        everything = [report for text in asked.after for report in read.get(text) or work.reports(text, work.indexes())]
        after = _builds(everything)
        if len(before) != len(after):
            raise UsageError(
                f"{asked.before} has {_many(before)}, and the new build is {_many(after)}",
                hint="name the new builds in the order of the reports; caches may follow",
            )
        # (3) what may say why
        stored = dict(stored_in(everything))
        for spec in specs:
            for copy in work.surveyed(spec).copies:
                identity = (copy.entry.project, copy.entry.version)
                stored.setdefault(identity, f"{copy.entry.repository} of the manager behind {copy.manager}")
        traces = Traces(stored=stored, locks=locks, built=_built(after, work) if locks else {})
    minimum = settings.policy.min_evidence
    targets = tuple(
        proved(old, new, minimum=minimum, traces=traces, plan=(plan, numbers[place]) if plan else None)
        for place, (old, new) in enumerate(zip(before, after, strict=True))
    )
    kept = all(is_kept(one.changes) for one in targets)
    return Proof(made_at=now(), kept=kept, targets=targets)


def _numbers(plan: Plan, before: Sequence[Report], asked: Asked) -> list[int]:
    """Which target of the plan each report is of."""
    left = [(target.reference, target.digest) for target in plan.targets]
    numbers: list[int] = []
    for report in before:
        wanted = (report.target.reference, report.target.digest)
        place = next((at for at, one in enumerate(left) if one == wanted and at not in numbers), None)
        if place is None:
            raise UsageError(f"{asked.plan}: is no plan for {report.target.reference} as {asked.before} has it")
        numbers.append(place)
    return numbers


def _builds(reports: Iterable[Report]) -> list[Report]:
    """Those of images and environments; the others are of caches alone."""
    return [
        report
        for report in reports
        if report.target.kind == "image" or any(line.kind is not Kind.CACHED for line in report.distributions)
    ]


def _many(reports: Sequence[Report]) -> str:
    return "1 target" if len(reports) == 1 else f"{len(reports)} targets"


def _built(reports: Iterable[Report], work: Work) -> Mapping[tuple[NormalizedName, str | None], frozenset[str]]:
    """The sha256 of Chainguard's files of all that is there and could be theirs."""
    indexes = work.indexes()
    found: dict[tuple[NormalizedName, str | None], frozenset[str]] = {}
    for report in reports:
        for line in report.distributions:
            version = version_of(line.version)
            if version is None or not (line.available.same_version or line.available.remediated):
                continue
            name = canonicalize_name(line.name)
            files = [file for _, file in Shelf(name, indexes).of_version(version)]
            found[name, line.version] = frozenset(file.sha256.hex for file in files if file.sha256)
    return found


def _text(path: Path) -> str:
    """A lock file: looked through for digests, and not understood."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_LOCK + 1)
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    if len(data) > _LONGEST_LOCK:
        raise UsageError(f"{path}: longer than {_LONGEST_LOCK} bytes; this is no lock file")
    return data.decode("utf-8", "replace").lower()
