"""``cgscan doctor``: is the configuration right, do the indexes serve what it says of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from scanner.cli.options import DEBUG, INDEXES, NETWORK, OFFLINE, SILENCE, options
from scanner.cli.terminal import Run, look, print_data

if TYPE_CHECKING:
    from scanner.config import Settings

_HERE = ""
"""``--discover`` without a value: the managers of the configured indexes."""


@click.command(
    short_help="Say whether the configuration is right and the indexes serve what it says.",
    epilog="""\b
Examples:
  cgscan doctor --config cgscan.yaml
  cgscan doctor --index https://nexus.example/repository/python-chainguard/simple \\
      --upstream https://pypi.org/simple --probe flask==3.0.2
  cgscan doctor --discover https://artifactory.example/artifactory > cgscan.yaml

\b
Exit status:
  0  nothing is wrong; what could not be told is no fault
  1  something is wrong; with --discover, no proxy of Chainguard was found
  2  it did not run; standard output is empty
""",
)
@click.option(
    "--probe",
    "probes",
    metavar="PROJECT[==VERSION]",
    multiple=True,
    help="A project that Chainguard builds, to ask the indexes for; repeatable.  [default: some well-known ones]",
)
@click.option(
    "--discover",
    metavar="[URL|NAME]",
    is_flag=False,
    flag_value=_HERE,
    help="List the repositories of the manager at URL, or behind an index, and print a cgscan.yaml for them.",
)
@click.option(
    "-o", "--output", metavar="FORMAT", type=click.Choice(["table", "json"]), default="table", help="table or json."
)
@options(
    INDEXES,
    OFFLINE,
    NETWORK,
    SILENCE,
    (click.option("--no-color", is_flag=True, help="Show no colors."), DEBUG),
)
@click.pass_context
def doctor(context: click.Context, /, probes: tuple[str, ...], discover: str | None, output: str, **flags: Any) -> int:
    """Say whether the configuration is right and the indexes serve what it says.

    Prints the settings in effect and where they come from, and for each index one line a check: ok, wrong, or not to be
    told, and what to do. A few project pages and small wheels are asked for; secrets are never shown.
    """
    from scanner.config import gather

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    settings = gather(flags, os.environ)
    if discover is not None:
        return _discover(discover, settings, output)
    return _examine(probes, settings, output, flags)


def _examine(probes: tuple[str, ...], settings: Settings, output: str, flags: dict[str, Any]) -> int:
    from scanner.config import places
    from scanner.doctor import checkup, effective, probe_of, variables
    from scanner.formats import checkups
    from scanner.formats.text import Look
    from scanner.run import client_of

    asked = [probe_of(text) for text in probes]
    shown = effective(settings, places(flags, os.environ)), variables(settings, os.environ)
    with client_of(settings) as client:
        found = checkup(settings, client=client, probes=asked, shown=shown)
    print_data(checkups.render(found, output, Look(**look(no_color=flags["no_color"]))))
    return found.status


def _discover(named: str, settings: Settings, output: str) -> int:
    from scanner.doctor import discover
    from scanner.formats import discovered
    from scanner.run import client_of

    with client_of(settings) as client:
        found = discover(named or None, settings.indexes, client=client, limits=settings.limits)
    print_data(discovered.render(found, output))
    return max(one.status for one in found)
