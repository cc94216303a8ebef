"""``cgscan diff``: two targets, or reports of them, beside each other."""

from __future__ import annotations

import os
from typing import Any

import click

from scanner.cli.options import (
    BYTECODE,
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
from scanner.status import Status

_OUTPUT = output("table, json, yaml, csv, markdown, html or sarif (what is new)")
_FAIL_ON = click.option(
    "--fail-on-change",
    "gates",
    metavar="CHANGE",
    multiple=True,
    help="Fail when this happened: worse (fell-back, modified, coverage, finding), or one of these, unchecked, came, "
    "gone, updated, ...; repeatable, or with commas.",
)
_MIN_EVIDENCE = click.option(
    "--min-evidence",
    metavar="RUNG",
    help="attested, built-only, not-upstream, path or sbom: what is below is not verified.  [default: sbom]",
)


@click.command(
    short_help="Say what became better or worse from one target to another.",
    epilog="""\b
Examples:
  cgscan diff before.json after.json
  cgscan diff main.json app:pr-7 --index chainguard --upstream pypi --fail-on-change worse
  cgscan diff app:1.4 app:1.5 --index chainguard --upstream pypi -o markdown=comment.md

\b
Exit status:
  0  the two were compared, and nothing of --fail-on-change happened
  1  something of --fail-on-change happened
  2  it did not run to the end; standard output is empty
""",
)
@click.argument("before", metavar="REPORT|TARGET")
@click.argument("after", metavar="REPORT|TARGET")
@options(
    INDEXES,
    IMAGES,
    (_OUTPUT, _FAIL_ON, _MIN_EVIDENCE),
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
def diff(context: click.Context, /, before: str, after: str, **flags: Any) -> int:
    """Say what became Chainguard's, what fell back, what came and went, from the first to the second.

    A REPORT is a file of 'cgscan scan' (-o json=REPORT), whose name ends with .json; a TARGET is scanned first.
    """
    from scanner.config import compared_outputs, gather
    from scanner.diffing import compare, gates_of
    from scanner.formats.differences import render
    from scanner.run import check_folders, output_text

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    outputs = compared_outputs(flags.pop("output"))
    gates = gates_of(flags.pop("gates"))
    settings = gather(flags, os.environ)
    check_folders(outputs)
    note = run.note if flags["verbose"] else say_nothing
    with bars(off=run.quiet or flags["no_progress"]) as progress:
        compared = compare(before, after, settings, gates=gates, progress=progress, note=note)

    def rendered(name: str, look: Any) -> str:
        return render(compared.difference, compared.reports, name, look)

    print_data(output_text(rendered, outputs, **look(no_color=flags["no_color"])))
    return Status.BROKEN if compared.difference.failed else Status.HOLDS
