"""``cgscan explain``: one distribution, file by file."""

from __future__ import annotations

import os
from dataclasses import replace
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
)
from scanner.cli.terminal import Run, bars, look, print_data, say_nothing


@click.command(
    short_help="Show one distribution file by file, beside Chainguard's and PyPI's wheel.",
    epilog="""\b
Examples:
  cgscan explain registry.example/app:1.4 requests
  cgscan explain oci-dir:build/image numpy --index chainguard --upstream pypi --all-files
  cgscan explain app:1.4 celery --vex https://libraries.cgr.dev/openvex/v1/all.json
  cgscan explain dir:.venv flask --environment /lib/python3.11/site-packages -o json=flask.json

\b
Exit status:
  0  the distribution was found and is explained, whatever its verdict
  2  it is not there, or the scan did not run to its end; standard output is empty
""",
)
@click.argument("target", metavar="TARGET")
@click.argument("name", metavar="NAME")
@click.option("--environment", metavar="PATH", help="Only what lies there.  [default: everywhere]")
@click.option(
    "--vex",
    metavar="URL|FILE",
    help="A feed of OpenVEX documents, for what remediated builds fix.  [default: vex of the configuration file]",
)
@click.option("--all-files", is_flag=True, help="Name the files that are the same everywhere, too.")
@click.option(
    "-o",
    "--output",
    metavar="FORMAT[=FILE]",
    multiple=True,
    help="table or json; repeatable.  [default: table]",
)
@options(INDEXES, IMAGES, OFFLINE, CACHE, READING, BYTECODE, NETWORK, SILENCE, VERBOSITY, TERMINAL, (DEBUG,))
@click.pass_context
def explain(context: click.Context, /, target: str, name: str, **flags: Any) -> None:
    """Show why the distribution NAME in TARGET has the verdict that it has.

    Every file of it: what is there, what Chainguard's wheel and PyPI's have, which files set the two builds
    apart, what RECORD says, which layer it is from. TARGET is what 'cgscan scan' takes.
    """
    from scanner.config import explained_outputs, gather
    from scanner.explaining.asked import Asked
    from scanner.run import explain_target, explained_text

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    output, all_files = flags.pop("output"), flags.pop("all_files")
    asked = Asked.of(name, flags.pop("environment"))
    settings = replace(gather(flags, os.environ), outputs=explained_outputs(output))
    with bars(off=run.quiet or flags["no_progress"]) as progress:
        note = run.note if flags["verbose"] else say_nothing
        found = explain_target(target, asked, settings, progress=progress, note=note, warn=run.note)
    print_data(explained_text(found, settings.outputs, all_files=all_files, **look(no_color=flags["no_color"])))
