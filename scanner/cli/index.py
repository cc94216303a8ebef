"""``cgscan index``: snapshots of indexes."""

from __future__ import annotations

import os
from typing import Any

import click

from scanner.cli.options import CACHE, DEBUG, IMAGES, INDEXES, NETWORK, NO_PROGRESS, READING, SILENCE, options
from scanner.cli.terminal import Run, bars, one_line, print_data
from scanner.errors import CgscanError
from scanner.status import Status


@click.group(
    no_args_is_help=False,
    epilog="""\b
Examples:
  cgscan index pull company.cgindex --for report.json --index chainguard --upstream pypi
  cgscan index show company.cgindex
""",
)
def index() -> None:
    """Make and read a snapshot of indexes, for use without network."""


@index.command(
    epilog="""\b
Examples:
  cgscan index pull app.cgindex --for registry.example/app:1.4 --index chainguard --upstream pypi
  cgscan index pull app.cgindex --for report.json --requirements requirements.txt
  cgscan index pull app.cgindex --lock uv.lock
  cgscan index pull app.cgindex flask==3.0.2 numpy --max-age 0
  cgscan index pull all.cgindex --retrieved pypi --index chainguard --upstream pypi

\b
Exit status:
  0  all of it is in the snapshot
  2  some or all of it is not; what could be had is there, and the same command goes on from there
""",
)
@click.argument("file", metavar="FILE")
@click.argument("projects", metavar="[PROJECT[==VERSION]]...", nargs=-1)
@click.option(
    "--for",
    "needed_for",
    metavar="REPORT|TARGET",
    multiple=True,
    help="What a report (a file that ends with .json) or the scan of a TARGET needs; repeatable.",
)
@click.option(
    "--requirements",
    metavar="FILE",
    multiple=True,
    help="What the lines NAME==VERSION of a requirements file name; repeatable.",
)
@click.option(
    "--lock",
    "locks",
    metavar="FILE",
    multiple=True,
    help="What a lock file pins: of uv, Poetry, PDM, Pipenv or pip; repeatable.",
)
@click.option(
    "--retrieved",
    metavar="INDEX",
    multiple=True,
    help="Everything that the proxy behind an index has retrieved, as its repository manager tells; the index by its "
    "name, or as given with --index or --upstream; repeatable.",
)
@click.option(
    "--max-age",
    metavar="HOURS",
    type=float,
    default=24.0,
    help="Answers that are younger are not asked for again.  [default: 24]",
)
@options(INDEXES, IMAGES, CACHE, READING, NETWORK, SILENCE, (NO_PROGRESS, DEBUG))
@click.pass_context
def pull(context: click.Context, /, file: str, projects: tuple[str, ...], **flags: Any) -> int:
    """Add to the snapshot FILE what indexes have of projects; it is made where there is none.

    Of a project every index is asked what it lists, and what the wheels of the version hold (of the newest where none
    is said). A TARGET is scanned, and whatever that asks is kept, so that it can be scanned again offline.
    """
    from pathlib import Path

    from scanner.config import gather
    from scanner.formats import snapshots
    from scanner.pulling import Asked, pull_into

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    lists = {name: flags.pop(name) for name in ("needed_for", "requirements", "locks", "retrieved")}
    asked = Asked(names=projects, fresh=flags.pop("max_age") * 3600, **lists)
    settings = gather(flags, os.environ)
    with bars(off=run.quiet or flags["no_progress"]) as progress:
        done = pull_into(Path(file), asked, settings, progress=progress)
    for name, count in done.listed.items():
        run.note(f"{one_line(name)} has retrieved {count} files")
    run.note(
        f"asked for {done.tally.asked} pages, read {done.tally.read} wheels; "
        f"{done.tally.fresh} and {done.tally.stored} were there"
    )
    failures = sorted(set(done.tally.failures))
    for failure in failures:
        run.note(f"not pulled: {one_line(failure)}")
    if failures:
        missing = "1 answer is missing" if len(failures) == 1 else f"{len(failures)} answers are missing"
        raise CgscanError(
            f"{file}: not all of it could be pulled ({missing})",
            hint="what was pulled is there; the same command asks for the rest again",
        )
    print_data(snapshots.render(file, done.size, done.sources, "table"))
    return Status.HOLDS


@index.command(
    name="show",
    epilog="""\b
Examples:
  cgscan index show app.cgindex
  cgscan index show app.cgindex -o json
""",
)
@click.argument("file", metavar="FILE")
@click.option(
    "-o", "--output", metavar="FORMAT", type=click.Choice(["table", "json"]), default="table", help="table or json."
)
@DEBUG
def show_snapshot(file: str, output: str) -> None:
    """What is in the snapshot FILE and how old it is. Nothing is asked of any network."""
    from pathlib import Path

    from scanner.formats import snapshots
    from scanner.limits import DEFAULT_LIMITS
    from scanner.pulling import looked_into

    done = looked_into(Path(file), limits=DEFAULT_LIMITS)
    print_data(snapshots.render(file, done.size, done.sources, output))
