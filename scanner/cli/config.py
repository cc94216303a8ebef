"""``cgscan config``: the configuration file."""

from __future__ import annotations

import json

import click

from scanner.cli.options import DEBUG
from scanner.cli.terminal import print_data


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  cgscan config schema > cgscan.schema.json
""",
)
def config() -> None:
    """What may stand in cgscan.yaml."""


@config.command(
    epilog="""\b
Example:
  cgscan config schema > cgscan.schema.json

\b
The first line of cgscan.yaml then names it for editors:
  # yaml-language-server: $schema=cgscan.schema.json
"""
)
@DEBUG
@click.pass_context
def schema(context: click.Context) -> None:
    """Print the JSON Schema of cgscan.yaml, with which editors complete and check it."""
    print_data(text(context.find_root().command))


def text(commands: click.Command) -> str:
    """The schema as JSON; what settings mean is what commands say of their options, ``scan`` before others."""
    from scanner.configschema import schema as made

    assert isinstance(commands, click.Group)
    those = [*commands.commands.values(), commands.commands["scan"]]
    options = [one for command in those for one in command.params if isinstance(one, click.Option)]
    said = {one.name or "": (one.help or "").partition("  [default")[0] for one in options}
    return json.dumps(made(said), indent=2, ensure_ascii=False) + "\n"
