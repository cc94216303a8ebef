"""Around every command: the group, signals, and what becomes of an error."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import click

from scanner import __version__
from scanner.cli.attest import attest
from scanner.cli.cache import cache
from scanner.cli.completion import completion
from scanner.cli.config import config
from scanner.cli.crawl import crawl
from scanner.cli.diff import diff
from scanner.cli.doctor import doctor
from scanner.cli.explain import explain
from scanner.cli.help import help_command
from scanner.cli.index import index
from scanner.cli.plan import plan
from scanner.cli.purge import purge
from scanner.cli.scan import scan
from scanner.cli.serve import serve, worker
from scanner.cli.terminal import Run, complain, drop_stdout, prepare_streams
from scanner.cli.verify import verify
from scanner.status import Status
from scanner.variables import COMPLETE

_WIDTH: Final = 100
_GRACE: Final = 3.0
"""Seconds from an interrupt to the end, for removing what was unpacked."""
_COLLECTED: Final = (100_000, 50, 100)
"""How seldom cycles are looked for (:func:`gc.set_threshold`)."""
_ALLOCATOR: Final = {-8: 1, -3: 4 * 1024 * 1024}
"""M_ARENA_MAX and M_MMAP_THRESHOLD of glibc's mallopt(3)."""
_CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": _WIDTH, "terminal_width": _WIDTH}


@click.group(
    context_settings=_CONTEXT,
    no_args_is_help=False,
    epilog="""\b
Example:
  cgscan scan registry.example/app:1.4 --index https://libraries.example/python/simple

\b
Exit status: 0 the policy holds, 1 it does not, 2 it did not run to the end, 130 interrupted;
'cgscan help exit-status' and 'cgscan help environment' have the details.
""",
)
@click.version_option(__version__, "-V", "--version", message="cgscan %(version)s")
def commands() -> None:
    """Prove which build of every Python distribution a container image runs."""


for _command in (
    *(scan, explain, diff, plan, purge, attest, verify, index, doctor, cache, config, completion),
    serve,
    worker,
    crawl,
    help_command,
):
    commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status. ``arguments`` are those of the process unless given.

    click's own ``main`` is not used: it turns a broken pipe into status 1, which here means a policy.
    """
    run = Run()
    if arguments is None:
        _collect_seldom()
        _keep_buffers_together()
    prepare_streams()
    if arguments is None and COMPLETE in os.environ:
        from scanner.cli.shells import answer

        answer(os.environ[COMPLETE], commands)
        return Status.HOLDS
    with suppress(ValueError):  # not the main thread: whoever runs it there handles signals
        signal.signal(signal.SIGINT, _interrupt)
    try:
        return _invoke(sys.argv[1:] if arguments is None else arguments, run)
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    except BrokenPipeError as problem:
        if run.busy:
            complain(problem, run)
            return Status.FAILED
        drop_stdout()  # who asked for help has read enough
        return Status.HOLDS
    except Exception as problem:  # noqa: BLE001 - the last line of defence
        complain(problem, run)
        return Status.FAILED


def _invoke(arguments: Sequence[str], run: Run) -> int:
    try:
        with commands.make_context("cgscan", list(arguments), obj=run) as context:
            status = commands.invoke(context)
    except click.exceptions.Exit as done:
        status = done.exit_code
    sys.stdout.flush()
    return status if isinstance(status, int) else 0


def _interrupt(*_: object) -> None:
    """Time to clean up and then the end: Python itself would wait for threads that wait for servers."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(Status.INTERRUPTED))
    with suppress(OSError):
        os.write(2, b"cgscan: interrupted\n")
    last = threading.Timer(_GRACE, os._exit, (int(Status.INTERRUPTED),))
    last.daemon = True
    last.start()
    raise KeyboardInterrupt


def _collect_seldom() -> None:
    """A scan makes a million tuples that stay, and few cycles: looking for them took a sixth of its time."""
    gc.set_threshold(*_COLLECTED)
    atexit.register(gc.freeze)  # what is left at the end goes with the process


def _keep_buffers_together() -> None:
    """One arena for all threads, and the buffers of layers in it: a scan takes a sixth less memory.

    Where the C library has other ways, nothing is changed.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _ALLOCATOR.items():
            mallopt(parameter, value)
