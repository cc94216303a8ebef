"""What a command says, and how: data to standard output, everything else to standard error."""

from __future__ import annotations

import io
import os
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final

import click

from scanner.errors import CgscanError

_ISSUES: Final = "please report this, with what --debug prints"


@dataclass(slots=True)
class Run:
    """What :func:`main` must know of a command when it fails."""

    debug: bool = False
    quiet: bool = False
    busy: bool = False

    def note(self, text: str) -> None:
        """Say something that is no data."""
        if not self.quiet:
            tell(f"cgscan: {text}")


def complain(problem: Exception, run: Run) -> None:
    """One line that says what, where and why, and one with what to do."""
    match problem:
        case CgscanError(message=_, hint=hint):
            message = str(problem)
        case click.ClickException():
            message = problem.format_message()
            context = getattr(problem, "ctx", None)
            hint = f"see '{context.command_path if context else 'cgscan'} --help'"
        case _:
            message, hint = f"unexpected: {type(problem).__name__}: {problem}", _ISSUES
    tell(f"cgscan: error: {one_line(message)}")
    if hint:
        tell(f"hint: {one_line(hint)}")
    if run.debug:
        import traceback

        tell("".join(traceback.format_exception(problem)).rstrip())


def one_line(text: str) -> str:
    """What comes out of targets and servers must not move the cursor of who reads it."""
    from scanner.formats.text import escaped

    return escaped(" ".join(text.split()))


def tell(text: str) -> None:
    with suppress(OSError, ValueError):
        click.echo(text, err=True)


def say_nothing(text: str) -> None:
    pass


def print_data(text: str) -> None:
    """Data. A reader that has seen enough (``| head``) is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        drop_stdout()
    except OSError as problem:
        drop_stdout()
        raise CgscanError(f"cannot write to standard output: {problem.strerror or problem}") from problem


def drop_stdout() -> None:
    """Point standard output at nothing, so that Python's last flush does not fail."""
    with suppress(OSError, ValueError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)


def look(*, no_color: bool) -> dict[str, Any]:
    """How standard output is to look: colors and a width on a terminal only."""
    terminal = sys.stdout.isatty()
    color = terminal and not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = os.get_terminal_size(sys.stdout.fileno()).columns if terminal else None
    return {"color": color, "width": width or None}


def bars(*, off: bool) -> Any:
    """Bars on a terminal; elsewhere nothing."""
    from scanner.progress import silent

    if off or not sys.stderr.isatty():
        return nullcontext(silent)
    from rich.console import Console

    from scanner.display import progress_on

    return progress_on(Console(stderr=True))


def prepare_streams() -> None:
    """Data is UTF-8 where a program reads it; what a stream cannot show is written out as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
