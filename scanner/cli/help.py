"""``cgscan help``: topics that concern every command, and any command's help or man page."""

from __future__ import annotations

import click

from scanner.cli.options import DEBUG
from scanner.cli.terminal import print_data
from scanner.errors import UsageError


@click.command(
    name="help",
    short_help="Explain exit statuses, environment variables or a command.",
    epilog="""\b
Examples:
  cgscan help exit-status
  cgscan help environment
  cgscan help index pull
  cgscan help --man scan | man -l -

\b
Topics:
  exit-status  what the exit status says
  environment  the variables that change what is done
""",
)
@click.argument("words", metavar="[TOPIC | COMMAND...]", nargs=-1)
@click.option("--man", is_flag=True, help="Print a command's man page.")
@DEBUG
@click.pass_context
def help_command(context: click.Context, /, words: tuple[str, ...], *, man: bool) -> None:
    """Explain exit statuses, environment variables or a command.

    Without a TOPIC or a COMMAND it is what 'cgscan --help' prints.
    """
    from scanner.cli.manual import page
    from scanner.cli.topics import TOPICS

    if len(words) == 1 and words[0] in TOPICS and not man:
        print_data(topic(words[0]))
        return
    found = _context_of(words, context.find_root())
    print_data(page(found) if man else found.get_help() + "\n")


def topic(name: str) -> str:
    """A topic as text of at most 100 columns."""
    from scanner.cli.topics import NOTES, TOPICS

    title, rows = TOPICS[name]
    formatter = click.HelpFormatter(width=100)
    with formatter.section(title):
        formatter.write_dl(rows(), col_max=40)
    formatter.write_paragraph()
    formatter.write_text(NOTES[name])
    return formatter.getvalue()


def _context_of(words: tuple[str, ...], root: click.Context) -> click.Context:
    from scanner.cli.manual import children
    from scanner.cli.topics import TOPICS

    found = root
    for word in words:
        below = {one.info_name: one for one in children(found)}
        if word not in below:
            known = [*(TOPICS if found is root else ()), *(name for name in below if name)]
            hint = f"write one of {', '.join(known)}" if known else f"see '{found.command_path} --help'"
            raise UsageError(f"there is no help on {' '.join(words)[:80]!a}", hint=hint)
        found = below[word]
    return found
