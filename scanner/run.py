"""One command from its settings to its outputs. Says what it tells through the functions that it is given.

A report that could be made is written to its FILE, also where the policy does not hold or another target
failed; standard output gets all or nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from scanner.attesting import Attestor
from scanner.config import Settings
from scanner.errors import CgscanError, UsageError
from scanner.formats import OF_ONE_TARGET, render, render_explanations
from scanner.formats.text import Look
from scanner.formats.view import View
from scanner.http import Client
from scanner.image import ALL_PLATFORMS
from scanner.index import Evidence, Index, Role
from scanner.indexes import open_indexes
from scanner.pipeline import Options, explain, scan
from scanner.policy import judged
from scanner.progress import Progress
from scanner.reference import Reference, parse_reference
from scanner.report import Report
from scanner.signatures import Signatures
from scanner.sources import SourceOptions
from scanner.status import Status
from scanner.store import DiskStore, NoStore, Store
from scanner.values import Output
from scanner.vexfeed import VexFeed

if TYPE_CHECKING:
    from scanner.explaining.asked import Asked
    from scanner.explanation import Explanation

Note: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of the targets: reports of some, the problems of the others."""

    reports: tuple[Report, ...]
    problems: tuple[Exception, ...]

    @property
    def status(self) -> int:
        """The worst exit status of the targets (contract, "exit status")."""
        if self.problems:
            return Status.FAILED
        return Status.HOLDS if all(report.summary.passed for report in self.reports) else Status.BROKEN

    @property
    def violations(self) -> tuple[str, ...]:
        """What of the policy does not hold, with the target."""
        return tuple(
            f"{report.target.reference}: {violation}"
            for report in self.reports
            for violation in report.summary.violations
        )


def store_of(settings: Settings) -> Store:
    """What is remembered between runs, or nothing."""
    if settings.cache_dir is None:
        return NoStore()
    return DiskStore(settings.cache_dir, most=settings.limits.cache)


def scan_targets(
    targets: Sequence[str],
    settings: Settings,
    *,
    progress: Progress,
    note: Note,
    store: Store | None = None,
    asked: Callable[[Sequence[Index]], None] = lambda _: None,
) -> Outcome:
    """Scan one after the other. A target that fails costs no other its report. ``store`` stands in for the settings',
    ``asked`` is shown each one's indexes.

    Raises :class:`scanner.errors.CgscanError` for what concerns all of them.
    """
    # (1) what can be seen to be wrong is said before hours of work
    references = [parse_reference(target) for target in targets]
    check_folders(settings.outputs)
    _check_number(references, settings)
    store = store or store_of(settings)
    reports: list[Report] = []
    problems: list[Exception] = []
    with client_of(settings) as client:
        # (2) an index that cannot be opened concerns all targets; nothing is asked here
        for index in indexes_of(settings, client, store):
            note(f"index {index.name} ({index.role.value}): {index.url}")
        options = options_of(settings, store)
        # (3) the targets, each with indexes of its own: their time is limited for one scan
        for reference in references:
            indexes = indexes_of(settings, client, store)
            start = time.monotonic()
            try:
                found = scan(reference, indexes=indexes, options=options, progress=progress)
            except Exception as problem:  # noqa: BLE001 - a fault of ours in one target must not cost the others
                problems.append(problem)
            else:
                asked(indexes)
                reports.extend(judged(report, settings.policy) for report in found)
                if settings.all_layers and any(report.target.kind != "image" for report in found):
                    note(f"{reference}: it has no layers, so --scope all-layers finds nothing more")
                note(f"{reference}: {time.monotonic() - start:.1f} s")
    return Outcome(reports=tuple(reports), problems=tuple(problems))


def explain_target(
    target: str, asked: Asked, settings: Settings, *, progress: Progress, note: Note, warn: Note
) -> tuple[Explanation, ...]:
    """Explain the distributions of one name in one target. ``warn`` is told of a feed that could not be read.

    Raises :class:`scanner.errors.CgscanError` where it cannot be done.
    """
    reference = parse_reference(target)
    check_folders(settings.outputs)
    store = store_of(settings)
    with client_of(settings) as client:
        indexes = indexes_of(settings, client, store)
        for index in indexes:
            note(f"index {index.name} ({index.role.value}): {index.url}")
        found = explain(reference, asked, indexes=indexes, options=options_of(settings, store), progress=progress)
        if settings.vex is None:
            return found
        feed = VexFeed(settings.vex, client=client, store=store, limits=settings.limits)
        return _with_vex(found, feed, asked, warn)


def _with_vex(found: tuple[Explanation, ...], feed: VexFeed, asked: Asked, warn: Note) -> tuple[Explanation, ...]:
    """The explanations with what the feed says of these builds."""
    from scanner.explaining.remediated import with_vex  # noqa: PLC0415 - a scan does without all that explains

    told = feed.about(asked.name)
    if told.problem is not None:
        warn(f"vex: {told.problem}")
    if told.statements is None:
        return found
    return tuple(with_vex(one, feed.name, told.statements) for one in found)


def has_chainguard(settings: Settings) -> bool:
    """Whether any index can prove anything."""
    return any(spec.role is Role.CHAINGUARD for spec in settings.indexes)


def client_of(settings: Settings) -> Client:
    """The client for everything that is asked."""
    return Client(
        limits=settings.limits,
        plain_http=settings.plain_http,
        ca_file=settings.ca_file,
        offline=settings.offline,
        connections=max(16, 2 * settings.jobs),
    )


def indexes_of(settings: Settings, client: Client, store: Store) -> list[Index]:
    """The indexes, each under a name of its own."""
    return open_indexes(settings.indexes, client=client, store=store, limits=settings.limits)


def attestor_of(settings: Settings, store: Store) -> Attestor | None:
    """Who asks for attestations; None where nobody is to."""
    if settings.attestations == "never":
        return None
    signatures = Signatures(signers=settings.signers, trust_root=settings.trust_root)
    required = settings.policy.min_evidence is Evidence.ATTESTED
    return Attestor(signatures=signatures, required=required, store=store)


def source_of(settings: Settings) -> SourceOptions:
    """How registries are asked."""
    return SourceOptions(
        limits=settings.limits,
        plain_http=settings.plain_http,
        offline=settings.offline,
        ca_file=settings.ca_file,
        authfile=settings.authfile,
    )


def options_of(settings: Settings, store: Store) -> Options:
    """How targets are scanned."""
    return Options(
        platform=settings.platform,
        limits=settings.limits,
        source=source_of(settings),
        store=store,
        prove=settings.prove,
        attestor=attestor_of(settings, store),
        lazy=settings.lazy,
        offline=settings.offline,
        jobs=settings.jobs,
        all_layers=settings.all_layers,
        check_bytecode=settings.check_bytecode,
    )


# -- outputs ---------------------------------------------------------------------------------------


def write_files(reports: Sequence[Report], outputs: Sequence[Output], view: View) -> None:
    """Write the outputs that have a FILE, each whole or not at all."""
    for output in outputs:
        if output.path is not None:
            write_whole(output.path, render(reports, output.format, view=view))


def text_for_terminal(
    reports: Sequence[Report], outputs: Sequence[Output], view: View, *, color: bool, width: int | None
) -> str:
    """What goes to standard output; empty where all outputs have files."""
    shown = [output for output in outputs if output.path is None]
    return "".join(render(reports, output.format, color=color, width=width, view=view) for output in shown)


def explained_text(
    explanations: Sequence[Explanation],
    outputs: Sequence[Output],
    *,
    color: bool,
    width: int | None,
    all_files: bool,
) -> str:
    """Write the outputs that have a FILE; what goes to standard output."""
    for output in outputs:
        if output.path is not None:
            write_whole(output.path, render_explanations(explanations, output.format, all_files=all_files))
    return "".join(
        render_explanations(explanations, output.format, color=color, width=width, all_files=all_files)
        for output in outputs
        if output.path is None
    )


def output_text(
    rendered: Callable[[str, Look], str], outputs: Sequence[Output], *, color: bool, width: int | None
) -> str:
    """Write the outputs that have a FILE; what goes to standard output. ``rendered`` takes a format and a look."""
    for output in outputs:
        if output.path is not None:
            write_whole(output.path, rendered(output.format, Look()))
    shown = [output.format for output in outputs if output.path is None]
    return "".join(rendered(name, Look(color=color, width=width)) for name in shown)


def check_folders(outputs: Sequence[Output]) -> None:
    """:class:`UsageError` where a file could not be written: said before hours of work."""
    for output in outputs:
        if output.path is not None and not output.path.absolute().parent.is_dir():
            raise UsageError(f"cannot write {output.path}: there is no such folder", hint="make the folder first")


def _check_number(references: Sequence[Reference], settings: Settings) -> None:
    """That a format for one thing gets one."""
    single = [output.format for output in settings.outputs if output.format in OF_ONE_TARGET]
    if not single:
        return
    if len(references) > 1:
        raise UsageError(
            f"{single[0]} holds one target, not {len(references)}",
            hint="scan them one by one; json, yaml, csv and sarif hold several",
        )
    if settings.platform == ALL_PLATFORMS:
        raise UsageError(f"{single[0]} holds one image, and --platform all may be several", hint="name the platform")


def write_whole(path: Path, text: str) -> None:
    """Write beside the place and rename, so that no reader sees half a report; links are followed first."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        place = path.resolve()
        if place.exists() and not place.is_file():  # /dev/null, a pipe: nothing to rename over
            place.write_bytes(data)
            return
        temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
            temporary.replace(place)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as problem:
        raise CgscanError(f"cannot write {path}: {problem.strerror or problem}") from problem
