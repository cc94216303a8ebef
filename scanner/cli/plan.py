"""``cgscan plan``: what could come from Chainguard and does not yet, and the proof after a rebuild."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from scanner.cli.lockfile import LOCKS, is_alone, judged_locks, planned_locks
from scanner.cli.options import (
    CACHE,
    DEBUG,
    IMAGES,
    INDEXES,
    NETWORK,
    OFFLINE,
    READING,
    SILENCE,
    TERMINAL,
    VERBOSITY,
    options,
    output,
)
from scanner.cli.terminal import Run, bars, look, print_data, say_nothing
from scanner.errors import UsageError
from scanner.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from scanner.config import Settings
    from scanner.formats.text import Look
    from scanner.progress import Progress
    from scanner.run import Note

    Rendered: TypeAlias = Callable[[str, Look], str]

_OWN = ("managers", "bases", "verify", "plan_file", "locks", "write", "diff", "check")
_OUTPUT = output("table, json, yaml, csv or markdown")
_MIN_EVIDENCE = click.option(
    "--min-evidence",
    metavar="RUNG",
    help="attested, built-only, not-upstream, path or sbom: what is below is no promise.  [default: sbom]",
)


@click.command(
    short_help="Say what could come from Chainguard and does not yet, and what to do for it.",
    epilog="""\b
Examples:
  cgscan plan registry.example/app:1.4 --index chainguard --upstream pypi -o json=plan.json
  cgscan plan report.json --base registry.example/base:3.11
  cgscan plan --manager pypi -o csv=stale.csv
  cgscan plan dir:~/.cache
  cgscan plan --lock requirements.txt --index chainguard --upstream pypi --diff
  cgscan plan --lock uv.lock --index chainguard --upstream pypi --check
  cgscan plan --verify report.json registry.example/app:1.5 --lock requirements.txt

\b
Exit status:
  0  the plan was made, whatever is in it; with --verify: everything moved that was promised
  1  with --verify: something that was promised did not move, or something was lost;
     with --check: an entry refuses Chainguard's bytes, or it is not known
  2  it did not run to the end; standard output is empty
""",
)
@click.argument("targets", metavar="TARGET|REPORT...", nargs=-1)
@click.option(
    "--manager",
    "managers",
    metavar="NAME",
    multiple=True,
    help="What the repository manager behind the index NAME holds; repeatable.",
)
@click.option(
    "--base",
    "bases",
    metavar="IMAGE|REPORT",
    multiple=True,
    help="A base image: tells which layers are its own; repeatable.",
)
@click.option("--verify", metavar="REPORT", help="Say what has moved since REPORT, and why the rest has not.")
@click.option("--plan", "plan_file", metavar="FILE", help="With --verify: the plan whose promises count.")
@options(
    LOCKS,
    INDEXES,
    IMAGES,
    (_OUTPUT, _MIN_EVIDENCE),
    OFFLINE,
    CACHE,
    READING,
    NETWORK,
    SILENCE,
    VERBOSITY,
    TERMINAL,
    (DEBUG,),
)
@click.pass_context
def plan(context: click.Context, /, targets: tuple[str, ...], **flags: Any) -> int:
    """Say what in TARGETs could come from Chainguard and does not yet, grouped by what a person does about it.

    A TARGET is what 'cgscan scan' takes; a REPORT is a file of it (-o json=REPORT), whose name ends with .json.
    Rebuild, purge in the manager, purge locally, unpin (with --lock), wait; then the coverage now, and the one that it
    will be. With --lock and no TARGET: which entries of the lock file accept Chainguard's bytes.
    """
    from scanner.config import gather, planned_outputs
    from scanner.run import check_folders, output_text

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    own = {name: flags.pop(name) for name in _OWN}
    outputs = planned_outputs(flags.pop("output"))
    settings = gather(flags, os.environ)
    check_folders(outputs)
    note = run.note if flags["verbose"] else say_nothing
    with bars(off=run.quiet or flags["no_progress"]) as progress:
        make = _plan if own["verify"] is None else _proof
        rendered, status = make(targets, own, settings, progress, note)
    print_data(output_text(rendered, outputs, **look(no_color=flags["no_color"])))
    return status


def _plan(
    targets: tuple[str, ...], own: Mapping[str, Any], settings: Settings, progress: Progress, note: Note
) -> tuple[Rendered, int]:
    from scanner.drafting import Asked, draft
    from scanner.formats.plans import render

    if own["plan_file"]:
        raise UsageError("--plan says something of --verify", hint="name the report before: --verify REPORT")
    if is_alone(targets, own):
        return planned_locks(own, settings, progress)
    asked = Asked(targets=targets, managers=own["managers"], bases=own["bases"])
    made = draft(asked, settings, progress=progress, note=note)
    if own["locks"]:
        from scanner.locking import pins_of

        made = replace(made, unpin=pins_of(judged_locks(own, settings, progress)))
    return lambda name, look: render(made, name, look), Status.HOLDS


def _proof(
    targets: tuple[str, ...], own: Mapping[str, Any], settings: Settings, progress: Progress, note: Note
) -> tuple[Rendered, int]:
    from scanner.formats.proofs import render
    from scanner.proving import Asked, prove

    is_alone(targets, own)
    if not targets:
        raise UsageError("what the new build is called is missing", hint="name the TARGET, or the file of its report")
    asked = Asked(
        before=own["verify"],
        after=targets,
        plan=own["plan_file"],
        locks=own["locks"],
        managers=own["managers"],
    )
    made = prove(asked, settings, progress=progress, note=note)
    return lambda name, look: render(made, name, look), Status.HOLDS if made.kept else Status.BROKEN
