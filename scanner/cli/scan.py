"""``cgscan scan``: the main job."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from scanner.cli.options import (
    BYTECODE,
    CACHE,
    DEBUG,
    IMAGES,
    INDEXES,
    NETWORK,
    OFFLINE,
    OUTPUT,
    POLICY,
    READING,
    SILENCE,
    TERMINAL,
    VERBOSITY,
    VIEW,
    options,
)
from scanner.cli.terminal import Run, bars, complain, look, one_line, print_data, say_nothing

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.formats.view import View
    from scanner.run import Outcome


@click.command(
    short_help="Say where every Python distribution in images or paths comes from.",
    epilog="""\b
Examples:
  cgscan scan registry.example/app:1.4 --index https://libraries.cgr.dev/python/simple \\
      --upstream https://pypi.org/simple
  cgscan scan oci-dir:build/image --index chainguard -o table -o json=report.json
  cgscan scan app:1.4 --index chainguard --upstream pypi -o sarif=app.sarif -o spdx=app.json
  cgscan scan app:1.4 --index chainguard --upstream pypi --group-by layer --only '!verified,!os'
  cgscan scan dir:.venv --min-coverage 90 --fail-on modified,unknown

\b
Exit status:
  0  the scan ran and the policy holds
  1  it ran and the policy does not hold
  2  it did not run to the end; standard output is empty
""",
)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@options(
    INDEXES,
    IMAGES,
    (OUTPUT,),
    VIEW,
    POLICY,
    OFFLINE,
    CACHE,
    READING,
    BYTECODE,
    NETWORK,
    SILENCE,
    VERBOSITY,
    TERMINAL,
    (DEBUG,),
)
@click.pass_context
def scan(context: click.Context, /, targets: tuple[str, ...], **flags: Any) -> int:
    """Say where every Python distribution in TARGETs comes from, proved by bytes.

    A TARGET is an image reference or a path, said with a prefix or detected: registry: docker: podman:
    docker-archive: oci-archive: oci-dir: dir: file:
    """
    from scanner.config import gather
    from scanner.formats.view import View
    from scanner.run import has_chainguard, scan_targets, write_files

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    view = View.of(flags.pop("only"), flags.pop("group_by"))
    settings = gather(flags, os.environ)
    if not has_chainguard(settings):
        run.note("note: no index of Chainguard's is given, so nothing can be proved to be Chainguard's")
        run.note("hint: name one with --index, and PyPI's with --upstream; see 'cgscan scan --help'")
    if flags["verbose"] and settings.file:
        run.note(f"settings from {settings.file}")
    with bars(off=run.quiet or flags["no_progress"]) as progress:
        note = run.note if flags["verbose"] else say_nothing
        outcome = scan_targets(targets, settings, progress=progress, note=note)
    for problem in outcome.problems:
        complain(problem, run)
    if outcome.reports:
        write_files(outcome.reports, settings.outputs, view)
    if not outcome.problems:
        _print_reports(outcome, settings, view, run, no_color=flags["no_color"])
    return outcome.status


def _print_reports(outcome: Outcome, settings: Settings, view: View, run: Run, *, no_color: bool) -> None:
    from scanner.run import text_for_terminal

    print_data(text_for_terminal(outcome.reports, settings.outputs, view, **look(no_color=no_color)))
    if not any(output.path is None and output.format in ("table", "markdown") for output in settings.outputs):
        for violation in outcome.violations:
            run.note(f"policy: {one_line(violation)}")
