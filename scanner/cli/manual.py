"""Commands as man pages: roff with the macros of man(7), from what ``--help`` says.

Packages that turn click's commands into man pages leave out what stands behind the options (examples, exit statuses)
and let a line that starts with a quote or a dot be read as a request, so this is written here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator

import click

from scanner import __version__
from scanner.cli.topics import NOTES, TOPICS, Rows

_PARAGRAPH = "\b"
"""click's mark of a paragraph that keeps its lines."""


def page(context: click.Context) -> str:
    """The page of the command of a context; the page of the group has the topics, too."""
    command = context.command
    name = context.command_path
    lines = [f'.TH "{_roff(name.replace(" ", "-")).upper()}" "1" "" "cgscan {__version__}" "cgscan"']
    lines += [".SH NAME", f"{_roff(name.replace(' ', '-'))} \\- {_text(command.get_short_help_str(limit=200))}"]
    lines += [".SH SYNOPSIS", f".B {_roff(name)}", _text(" ".join(command.collect_usage_pieces(context)))]
    lines += [".SH DESCRIPTION", *_paragraphs(inspect.cleandoc(command.help or ""))]
    lines += _section("OPTIONS", _options(context))
    lines += _section("COMMANDS", _below(context))
    if command.epilog:
        lines += _epilog(inspect.cleandoc(command.epilog))
    if context.parent is None:
        for topic, (_, rows) in TOPICS.items():
            lines += [*_section(topic.replace("-", " ").upper(), rows()), ".PP", _text(NOTES[topic])]
    return "\n".join([*lines, *_see_also(context)]) + "\n"


def pages(context: click.Context) -> Iterator[tuple[str, str]]:
    """Name of the file and page, of a command and of every one below it that is not hidden."""
    yield context.command_path.replace(" ", "-") + ".1", page(context)
    for below in children(context):
        yield from pages(below)


def children(context: click.Context) -> Iterator[click.Context]:
    """The contexts of the commands of a group, but for hidden ones, in the order of its help."""
    command = context.command
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        below = command.get_command(context, name) if isinstance(command, click.Group) else None
        if below is not None and not below.hidden:
            yield command.context_class(below, info_name=name, parent=context, **command.context_settings)


def _options(context: click.Context) -> Rows:
    shown = [one for one in context.command.get_params(context) if isinstance(one, click.Option)]
    records = [one.get_help_record(context) for one in shown]
    return [record for record in records if record]


def _below(context: click.Context) -> Rows:
    return [(below.info_name or "", below.command.get_short_help_str(limit=200)) for below in children(context)]


def _section(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    lines: list[str] = []
    for term, said in rows:
        lines += [".TP", f"\\fB{_roff(term)}\\fP", _text(said)]
    return [f".SH {title}", *lines] if lines else []


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        kept = paragraph.startswith(_PARAGRAPH)
        lines = paragraph.removeprefix(_PARAGRAPH).strip("\n").splitlines()
        yield ".PP"
        if kept:
            yield from (".nf", *map(_text, lines), ".fi")
        else:
            yield _text(" ".join(lines))


def _epilog(text: str) -> Iterator[str]:
    """``Examples:`` and ``Exit status:`` become sections; their lines stay as they are."""
    for paragraph in re.split(r"\n\s*\n", text):
        title, newline, rest = paragraph.removeprefix(_PARAGRAPH).strip("\n").partition(":\n")
        if newline and "\n" not in title and len(title) < 20:
            yield f".SH {_roff(title.upper())}"
            yield from (".nf", *map(_text, inspect.cleandoc(" \n" + rest).strip("\n").splitlines()), ".fi")
        else:
            yield from _paragraphs(paragraph)


def _see_also(context: click.Context) -> list[str]:
    others = [one.command_path for one in (*([context.parent] if context.parent else []), *children(context))]
    named = ", ".join(f"\\fB{_roff(name.replace(' ', '-'))}\\fP(1)" for name in others)
    return [".SH SEE ALSO", named] if named else []


def _text(line: str) -> str:
    """A line of text: a dot or a quote at its start would be a request."""
    safe = _roff(line)
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe


def _roff(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
