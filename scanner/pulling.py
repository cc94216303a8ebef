"""What is wanted x indexes -> a snapshot.

A target is scanned, and everything that the scan asks is recorded: offline it gets the same answers. Of a project that
is named, by a report, a list or a person, the page of every index is taken, and the wheels of its version that fit;
where none fits, two that are for another platform, because they may have the same code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scanner.attestation import Form
from scanner.candidates import Gathering, Question
from scanner.environment import Environment, fits
from scanner.errors import IndexFailure, UsageError
from scanner.image import Platform
from scanner.index import Attesting, Index, Recalling, Role
from scanner.indexes.credentials import shown
from scanner.indexes.kinds import kind_of
from scanner.indexes.recording import RecordingIndex, Tally, open_for_writing
from scanner.indexes.remembered import WHEEL_FORMAT
from scanner.managers import WITH_MANAGERS, open_manager
from scanner.pipeline import Options, scan
from scanner.progress import Listed, Listing, Progress, Pulled, Pulling
from scanner.reference import Reference, parse_reference
from scanner.run import client_of, indexes_of, options_of, store_of
from scanner.snapshot import Snapshot, Source, WritableSnapshot
from scanner.store import NoStore
from scanner.threads import threads
from scanner.wanted import (
    Want,
    wants_of_lock,
    wants_of_report,
    wants_of_requirements,
    wants_of_retrieved,
    wants_of_words,
)

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.http import Client
    from scanner.index import IndexFile, IndexSpec
    from scanner.limits import Limits
    from scanner.manager import Retrieved

_ELSEWHERE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be pulled, as a person says it.

    Names, reports or TARGETs, files of requirements, lock files, and indexes whose proxies have ``retrieved`` it. An
    answer that is less than ``fresh`` seconds old is not asked for again.
    """

    names: Sequence[str] = ()
    needed_for: Sequence[str] = ()
    requirements: Sequence[str] = ()
    locks: Sequence[str] = ()
    retrieved: Sequence[str] = ()
    fresh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a pull: what was done, and what the snapshot has now. ``size`` is bytes.

    ``listed`` is how many files each proxy has retrieved, by its index.
    """

    path: Path
    size: int
    tally: Tally
    sources: tuple[Source, ...]
    listed: Mapping[str, int] = field(default_factory=dict)


def pull_into(path: Path, asked: Asked, settings: Settings, *, progress: Progress) -> Done:
    """Pull into a snapshot, which is made where there is none.

    What an index could not answer is in the tally. Raises :class:`scanner.errors.CgscanError` for what makes no sense
    and for targets that cannot be scanned; what was pulled until then stays.
    """
    # (1) what can be seen to be wrong is said before anything is asked
    wants, targets = _asked_for(asked, settings)
    if not settings.indexes:
        raise UsageError("no index to pull from is given", hint="name one with --index, and PyPI's with --upstream")
    proxies = [_proxy(text, settings) for text in asked.retrieved]
    store = store_of(settings)
    tally = Tally()
    listed: dict[str, int] = {}
    with client_of(settings) as client:
        opened = indexes_of(settings, client, store)
        if any(index.kind == "snapshot" for index in opened):
            raise UsageError("a snapshot is pulled from indexes, not from a snapshot")
        with open_for_writing(path, limits=settings.limits) as snapshot:

            def recorded(indexes: Iterable[Index]) -> list[Index]:
                return [_recording(index, snapshot, tally, asked, settings) for index in indexes]

            # (2) the projects that are named or were retrieved, then targets, each with time of its own
            for spec in proxies:
                found = list(_retrieved(spec, client, settings.limits, progress))
                listed[spec.name or shown(spec.location)] = len(found)
                wants += wants_of_retrieved(found)
            signed = settings.attestations != "never"
            pull(list(dict.fromkeys(wants)), recorded(opened), jobs=settings.jobs, progress=progress, signed=signed)
            for target in targets:
                indexes = recorded(indexes_of(settings, client, store))
                _pull_target(target, indexes, options_of(settings, store), progress)
            return Done(path=path, size=path.stat().st_size, tally=tally, sources=snapshot.counted(), listed=listed)


def _proxy(text: str, settings: Settings) -> IndexSpec:
    """The index with that name or location among those that are asked; :class:`UsageError` where it has no manager."""
    spec = next((one for one in settings.indexes if text in (one.name, one.location)), None)
    if spec is None:
        names = ", ".join(one.name or shown(one.location) for one in settings.indexes)
        raise UsageError(
            f"{shown(text)}: no index that is asked, so not to be asked what it has retrieved", hint=f"there is {names}"
        )
    kind = spec.kind or kind_of(spec.location)
    if kind not in WITH_MANAGERS:
        raise UsageError(
            f"{spec.name or shown(spec.location)}: an index of the kind {kind} does not tell what it has retrieved",
            hint=f"{', '.join(WITH_MANAGERS)} do",
        )
    return spec


def _retrieved(spec: IndexSpec, client: Client, limits: Limits, progress: Progress) -> Iterator[Retrieved]:
    """Everything that the proxy behind an index has retrieved."""
    manager = open_manager(spec, client=client, limits=limits)
    assert manager is not None
    progress(Listing(index=spec.name or shown(spec.location)))
    for entry in manager.retrieved():
        progress(Listed())
        yield entry


def _recording(index: Index, snapshot: WritableSnapshot, tally: Tally, asked: Asked, settings: Settings) -> Index:
    return RecordingIndex(index, snapshot, tally=tally, fresh=asked.fresh, whole=settings.prove, limits=settings.limits)


def _asked_for(asked: Asked, settings: Settings) -> tuple[list[Want], list[Reference]]:
    """The projects that are named and the targets to be scanned; :class:`UsageError` where there is nothing."""
    platform = settings.platform if isinstance(settings.platform, Platform) else Platform.of_host()
    reports = [text for text in asked.needed_for if text.endswith(".json") and Path(text).is_file()]
    wants = [*wants_of_words(asked.names, platform)]
    for text in reports:
        wants += wants_of_report(Path(text), limits=settings.limits)
    for text in asked.requirements:
        wants += wants_of_requirements(Path(text), platform, limits=settings.limits)
    for text in asked.locks:
        wants += wants_of_lock(Path(text), platform, limits=settings.limits)
    targets = [parse_reference(text) for text in asked.needed_for if text not in reports]
    if not wants and not targets and not reports and not asked.retrieved:
        raise UsageError(
            "nothing to pull is named",
            hint="name projects, --for a TARGET or report, --requirements, --lock, or --retrieved for all of a proxy",
        )
    return list(dict.fromkeys(wants)), targets


def _pull_target(target: Reference, indexes: Sequence[Index], options: Options, progress: Progress) -> None:
    """Scan it. What it is found to be is not told: that is what a scan is for.

    What is signed is asked of the indexes even if it is known, or cannot be checked here, so that it is recorded.
    """
    if options.attestor is not None:
        options = replace(options, attestor=replace(options.attestor, required=True, store=NoStore()))
    scan(target, indexes=indexes, options=options, progress=progress)


def pull(
    wants: Sequence[Want], indexes: Sequence[Index], *, jobs: int, progress: Progress, signed: bool = True
) -> None:
    """Ask recording indexes for what is wanted, ``jobs`` projects at a time; with what is ``signed`` about wheels."""
    if not wants:
        return
    progress(Pulling(projects=len(wants)))

    def one(want: Want) -> None:
        gathering = Gathering(_question(want), indexes)
        for index in indexes:
            _pull_one(want, index, gathering, signed=signed)
        gathering.remember()
        progress(Pulled(name=want.project))

    with threads(jobs) as pool:
        for _ in pool.map(one, wants):
            pass


def _question(want: Want) -> Question:
    return Question(
        project=want.project,
        version=str(want.version) if want.version is not None else None,
        tags=frozenset(),
        environment=Environment.of(want.environment),
        platform=want.platform,
        musl=False,
    )


def _pull_one(want: Want, index: Index, gathering: Gathering, *, signed: bool) -> None:
    """A page and its wheels, those of earlier days too; what fails is in the tally of the index, and costs no other."""
    try:
        files = [file for file in index.files(want.project) if file.wheel is not None]
    except IndexFailure:
        return
    for file in _chosen(files, want):
        with suppress(IndexFailure):
            if signed and index.role is Role.CHAINGUARD and isinstance(index, Attesting):
                any(index.attestation(file, form) is not None for form in Form)  # one of the forms will do
        try:
            index.wheel(file, whole=file.filename in want.whole)
        except IndexFailure:
            continue
        gathering.note(index, file)
    if isinstance(index, Recalling):
        index.earlier(want.project)


def _chosen(files: Sequence[IndexFile], want: Want) -> list[IndexFile]:
    version = want.version or _newest(files)
    of_version = [file for file in files if file.wheel is not None and file.wheel.version == version]
    fitting = [file for file in of_version if _fits(file, want)]
    return fitting or sorted(of_version, key=lambda file: "linux" not in file.filename)[:_ELSEWHERE]


def _newest(files: Iterable[IndexFile]) -> object:
    """The newest release, or the newest of all where there is none."""
    versions = {file.wheel.version for file in files if file.wheel is not None and not file.yanked}
    return max(versions, key=lambda version: (not version.is_prerelease, version), default=None)


def _fits(file: IndexFile, want: Want) -> bool:
    """For the interpreter and platform, whichever C library it has."""
    tags = file.wheel.tags if file.wheel is not None else ()
    environment = Environment.of(want.environment)
    return any(fits(tags, environment, want.platform, musl=musl) for musl in (False, True))


def looked_into(path: Path, *, limits: Limits) -> Done:
    """What a snapshot has; nothing is asked."""
    snapshot = Snapshot(path, limits=limits, wheels=WHEEL_FORMAT)
    return Done(path=path, size=path.stat().st_size, tally=Tally(), sources=snapshot.counted())
