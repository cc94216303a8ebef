"""``cgscan purge``: delete the copies that keep Chainguard's builds away."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.cli.options import CACHE, DEBUG, INDEXES, NETWORK, OFFLINE, SILENCE, TERMINAL, VERBOSITY, options
from scanner.cli.terminal import Run, bars, look, one_line, print_data, say_nothing
from scanner.status import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanner.purge import Purge, Result
    from scanner.purging import Asked
    from scanner.values import Output


@click.command(
    short_help="Delete copies of PyPI's builds that keep Chainguard's away, in proxies and local caches.",
    epilog="""\b
Examples:
  cgscan purge plan.json
  cgscan purge plan.json --yes --rate 2
  cgscan purge --manager pypi --project 'flask*' --unused 30
  cgscan purge --local --index chainguard --upstream pypi --yes
  cgscan purge ~/.cache/uv /srv/ci/pip-cache --index chainguard

\b
Exit status:
  0  all that was to go went, or would go; what is left alone by rule or filter does not count
  1  some of it did not go; the same command goes on from there
  2  it did not run: nothing was deleted
""",
)
@click.argument("paths", metavar="[PLAN.json | FOLDER...]", nargs=-1)
@click.option(
    "--manager",
    metavar="NAME",
    multiple=True,
    help="What the repository manager behind the index NAME holds, or only that of a plan; repeatable.",
)
@click.option("--local", is_flag=True, help="The caches of pip, uv, Poetry and PDM on this machine, or FOLDERs.")
@click.option("--yes", is_flag=True, help="Delete. Without it is shown what would go, and nothing is changed.")
@click.option("--all", is_flag=True, help="Also what nothing of Chainguard's replaces.")
@click.option("--project", metavar="GLOB", multiple=True, help="Only projects of such names; repeatable.")
@click.option("--versions", metavar="SPECIFIER", help="Only such versions, for example '<2.0,>=1.4'.")
@click.option("--unused", metavar="DAYS", help="Only what nobody downloaded, or wrote, for so long.")
@click.option("--min-size", metavar="SIZE", help="Only what is at least so large, for example 1MiB.")
@click.option(
    "--limit",
    metavar="N|NAME=VALUE",
    multiple=True,
    help="Delete N copies at most; or a bound on hostile input, as for a scan; repeatable.",
)
@click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(min=0, min_open=True, max=1000),
    default=5.0,
    help="Deletions in a second.  [default: 5]",
)
@click.option("--journal", metavar="FILE", help="Where is written what went.  [default: in the cache folder]")
@click.option(
    "-o",
    "--output",
    metavar="FORMAT[=FILE]",
    multiple=True,
    help="table or json; repeatable.  [default: table]",
)
@options(INDEXES, OFFLINE, CACHE, NETWORK[1:], SILENCE, VERBOSITY, TERMINAL, (DEBUG,))
@click.pass_context
def purge(context: click.Context, /, paths: tuple[str, ...], **flags: Any) -> int:
    """Delete the copies of PyPI's builds that a plan names, or that a manager or a cache holds now.

    Only proxies and caches are touched, never a repository that people upload to: what is deleted is fetched again
    when it is asked for. Each copy is read again first; one with other bytes than planned stays.
    """
    from scanner.config import explained_outputs, gather
    from scanner.purging import purge as carried_out
    from scanner.run import check_folders

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    outputs = explained_outputs(flags.pop("output"))
    asked = _asked(paths, flags)
    settings = gather(flags, os.environ)
    check_folders(outputs)
    with bars(off=run.quiet or flags["no_progress"]) as progress:
        note = run.note if flags["verbose"] else say_nothing
        done = carried_out(asked, settings, progress=progress, note=note, told=lambda result: _tell(result, run))
    print_data(_text(done, outputs, no_color=flags["no_color"]))
    return Status.HOLDS if done.all_went else Status.BROKEN


def _asked(paths: tuple[str, ...], flags: dict[str, Any]) -> Asked:
    """Whatever is there that is no folder is a plan."""
    from scanner.errors import UsageError
    from scanner.purging import Asked, usual_stores, wanted_of

    counts = [word for word in flags["limit"] if "=" not in word]
    limits = tuple(word for word in flags.pop("limit") if "=" in word)
    wanted = wanted_of({**flags, "limit": counts[-1] if counts else None})
    flags["limit"] = limits
    folders = tuple(Path(path) for path in paths if Path(path).is_dir())
    plans = [path for path in paths if not Path(path).is_dir()]
    if len(plans) > 1:
        raise UsageError(f"{plans[1]}: one plan at a time", hint="folders of caches may be several")
    local = flags.pop("local")
    if local and not folders and not plans:
        folders = usual_stores(os.environ, sys.platform)
    return Asked(
        plan=Path(plans[0]) if plans else None,
        managers=flags.pop("manager"),
        local=local,
        folders=folders,
        wanted=wanted,
        yes=flags.pop("yes"),
        rate=flags.pop("rate"),
        journal=Path(flags["journal"]) if flags["journal"] else None,
    )


def _tell(result: Result, run: Run) -> None:
    """Failures are told at once: a purge may take hours."""
    from scanner.purge import name_of

    if not result.ended.is_done:
        project, version = name_of(result.copy)
        run.note(one_line(f"{project} {version or ''}: {result.ended.value}: {result.why}"))


def _text(done: Purge, outputs: Sequence[Output], *, no_color: bool) -> str:
    from scanner.formats.purged import render
    from scanner.run import output_text

    return output_text(lambda name, shape: render(done, name, shape), outputs, **look(no_color=no_color))
