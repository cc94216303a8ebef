"""``cgscan completion``: the script with which a shell completes what is typed."""

from __future__ import annotations

import click

from scanner.cli.options import DEBUG
from scanner.cli.terminal import print_data


@click.command(
    short_help="Print the script that completes commands in bash, zsh or fish.",
    epilog="""\b
Examples:
  cgscan completion bash > ~/.local/share/bash-completion/completions/cgscan
  cgscan completion zsh > "${fpath[1]}/_cgscan"
  cgscan completion fish > ~/.config/fish/completions/cgscan.fish

\b
For the shell that runs now:
  eval "$(cgscan completion bash)"
  eval "$(cgscan completion zsh)"
  cgscan completion fish | source

\b
Where no folder is searched for completions, the eval line belongs into
~/.bashrc, or into ~/.zshrc below the line with compinit.
""",
)
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
@DEBUG
def completion(shell: str) -> None:
    """Print the script with which a shell completes cgscan's commands, options and values.

    Options, formats, words of policies and filters, prefixes of targets, files, and the names of indexes in
    cgscan.yaml. Completing asks no network and changes nothing. bash is to be 4.4 or later.
    """
    from scanner.cli.shells import script

    print_data(script(shell))
