"""Options that several commands share, in the order in which their help lists them.

What an option means and where else it can be set is a row of :data:`scanner.config.SETTINGS`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, Final, TypeAlias, TypeVar

import click

from scanner.cli.terminal import Run

Command = TypeVar("Command", bound=Callable[..., Any])
Option: TypeAlias = Callable[[Any], Any]


def options(*groups: tuple[Option, ...]) -> Callable[[Command], Command]:
    """A decorator that gives a command the options of several groups, in this order."""

    def with_options(command: Command) -> Command:
        for option in reversed(tuple(chain(*groups))):
            command = option(command)
        return command

    return with_options


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001, FBT001 - click's
    context.ensure_object(Run).debug = value


CONFIG: Final = click.option(
    "--config", metavar="FILE", help="Settings.  [default: ./cgscan.yaml, then the user's configuration folder]"
)
CACHE_DIR: Final = click.option("--cache-dir", metavar="DIR", help="Where what cannot change is remembered.")
DEBUG: Final = click.option(
    "--debug", is_flag=True, expose_value=False, is_eager=True, callback=_set_debug, help="Print tracebacks of errors."
)


def output(formats: str) -> Option:
    """``-o`` of a command that writes these formats."""
    told = f"{formats}; repeatable.  [default: table]"
    return click.option("-o", "--output", metavar="FORMAT[=FILE]", multiple=True, help=told)


OUTPUT: Final = output("table, json, yaml, csv, markdown, html, sarif, cyclonedx or spdx")
VIEW: Final = (
    click.option(
        "--only",
        metavar="FILTER",
        multiple=True,
        help="Show only these in table, markdown and html: origins, integrities, kinds, kinds of findings, verified, "
        "name=GLOB; with commas; ! leaves out. What is counted stays the same.",
    ),
    click.option(
        "--group-by",
        metavar="environment|layer|origin",
        help="What has a table of its own.  [default: environment]",
    ),
)
"""What of a report is shown."""
NO_PROGRESS: Final = click.option("--no-progress", is_flag=True, help="Show no progress on the terminal.")
INDEXES: Final = (
    click.option(
        "--index",
        metavar="INDEX",
        multiple=True,
        help="An index of Chainguard's builds: a simple-API URL, a folder, a snapshot, or a name from the file.",
    ),
    click.option("--upstream", metavar="INDEX", multiple=True, help="The same of PyPI's."),
    click.option(
        "--built-only", is_flag=True, help="The --index serves wheels that Chainguard built and nothing else."
    ),
    CONFIG,
)
"""What is compared with."""
IMAGES: Final = (
    click.option(
        "--platform",
        metavar="OS/ARCH[/VARIANT]|all",
        help="Which image of a multi-platform one.  [default: this machine's]",
    ),
    click.option(
        "--scope",
        metavar="squashed|all-layers",
        help="What runs, or also what lower layers still carry.  [default: squashed]",
    ),
)
"""Which of the images, and which of its layers."""
POLICY: Final = (
    click.option(
        "--policy", metavar="FILE", help="What makes the scan fail, as below policy: in the configuration file."
    ),
    click.option("--min-coverage", metavar="PCT", help="Fail when less of the applicable distributions is verified."),
    click.option(
        "--fail-on",
        metavar="VALUE",
        multiple=True,
        help="Fail on an origin, an integrity or a kind of finding; repeatable, or with commas.",
    ),
    click.option(
        "--min-evidence",
        metavar="RUNG",
        help="attested, built-only, not-upstream, path or sbom: what is below is not verified.  [default: sbom]",
    ),
)
"""What makes a command fail that ran."""
OFFLINE: Final = (click.option("--offline", is_flag=True, help="Ask no network."),)
"""Whether anything is asked."""
CACHE: Final = (
    click.option("--no-cache", is_flag=True, help="Remember nothing, and use nothing that is remembered."),
    CACHE_DIR,
)
"""What is remembered between runs."""
READING: Final = (
    click.option("--prove", is_flag=True, help="Download every matched wheel whole and recompute its hashes."),
    click.option(
        "--attestations",
        metavar="auto|never",
        help="Check what is signed about matched wheels, where sigstore is installed and an index offers it.  "
        "[default: auto]",
    ),
    click.option("--trust-root", metavar="FILE", help="Whom signatures must lead to.  [default: sigstore's own]"),
    click.option(
        "--lazy",
        is_flag=True,
        help="Read eStargz and zstd:chunked layers of a registry by their tables of contents, where that is less.",
    ),
)
"""How much is read."""
BYTECODE: Final = (
    click.option(
        "--check-bytecode", is_flag=True, help="Compile sources again and compare, where it is this Python's byte code."
    ),
)
"""Whether byte code is made again."""
NETWORK: Final = (
    click.option(
        "--limit",
        metavar="NAME=VALUE",
        multiple=True,
        help="A bound on hostile input, for example expanded=128GiB; repeatable.",
    ),
    click.option(
        "--plain-http",
        metavar="HOST[:PORT]",
        multiple=True,
        help="A registry or index that may be asked over plain http; repeatable.",
    ),
    click.option("--ca-file", metavar="FILE", help="More certificate authorities to trust, in PEM."),
    click.option("--authfile", metavar="FILE", help="The only file to look up registry credentials in."),
    click.option("-j", "--jobs", metavar="N", help="Threads.  [default: 4]"),
)
"""Bounds, and the way to registries and indexes."""
SILENCE: Final = (click.option("-q", "--quiet", is_flag=True, help="Print errors and data only."),)
"""What is said besides the data."""
VERBOSITY: Final = (click.option("-v", "--verbose", is_flag=True, help="Say what is used and how long it takes."),)
"""How much more is said."""
TERMINAL: Final = (
    NO_PROGRESS,
    click.option("--no-color", is_flag=True, help="Show no colors."),
)
"""How it looks there."""
