"""Parse, call, print, exit status. The only module that prints and exits.

Data goes to standard output, everything else to standard error. An error is one line that says what,
where and why, then ``hint:`` with what to do. Exit status: 0 the scan ran and the policy holds, 1 it ran and
the policy does not hold, 2 it did not run to the end; 130 it was interrupted.

Nothing but click is imported here before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import click

from scanner import __version__
from scanner.errors import CgscanError

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.run import Outcome

_ISSUES: Final = "please report this, with what --debug prints"
_WIDTH: Final = 100
_INTERRUPTED: Final = 128 + 2
_GRACE: Final = 3.0
"""Seconds from an interrupt to the end, for removing what was unpacked."""
_COLLECTED: Final = (100_000, 50, 100)
"""How seldom cycles are looked for (:func:`gc.set_threshold`)."""
_CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": _WIDTH, "terminal_width": _WIDTH}


@dataclass(slots=True)
class Run:
    """What :func:`main` must know of a command when it fails."""

    debug: bool = False
    quiet: bool = False
    busy: bool = False

    def note(self, text: str) -> None:
        """Say something that is no data."""
        if not self.quiet:
            _tell(f"cgscan: {text}")


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001, FBT001 - click's
    context.ensure_object(Run).debug = value


_debug: Final = click.option(
    "--debug", is_flag=True, expose_value=False, is_eager=True, callback=_set_debug, help="Print tracebacks of errors."
)
_config: Final = click.option(
    "--config", metavar="FILE", help="Settings.  [default: ./cgscan.yaml, then the user's configuration folder]"
)
_cache_dir: Final = click.option("--cache-dir", metavar="DIR", help="Where what cannot change is remembered.")


@click.group(
    context_settings=_CONTEXT,
    no_args_is_help=False,
    epilog="""\b
Example:
  cgscan scan registry.example/app:1.4 --index https://libraries.example/python/simple
""",
)
@click.version_option(__version__, "-V", "--version", message="cgscan %(version)s")
def commands() -> None:
    """Prove which build of every Python distribution a container image runs."""


@commands.command(
    short_help="Say where every Python distribution in images or paths comes from.",
    epilog="""\b
Examples:
  cgscan scan registry.example/app:1.4 --index https://libraries.cgr.dev/python/simple \\
      --upstream https://pypi.org/simple
  cgscan scan oci-dir:build/image --index chainguard -o table -o json=report.json
  cgscan scan dir:.venv --min-coverage 90 --fail-on modified,unknown

\b
Exit status:
  0  the scan ran and the policy holds
  1  it ran and the policy does not hold
  2  it did not run to the end; standard output is empty
""",
)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option(
    "--index",
    metavar="INDEX",
    multiple=True,
    help="An index of Chainguard's builds: a simple-API URL, a folder, a snapshot, or a name from the file.",
)
@click.option("--upstream", metavar="INDEX", multiple=True, help="The same of PyPI's.")
@click.option("--built-only", is_flag=True, help="The --index serves wheels that Chainguard built and nothing else.")
@_config
@click.option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]|all",
    help="Which image of a multi-platform one.  [default: this machine's]",
)
@click.option(
    "--scope",
    metavar="squashed|all-layers",
    help="What runs, or also what lower layers still carry.  [default: squashed]",
)
@click.option(
    "-o",
    "--output",
    metavar="FORMAT[=FILE]",
    multiple=True,
    help="table, json, yaml, csv or markdown; repeatable.  [default: table]",
)
@click.option("--policy", metavar="FILE", help="What makes the scan fail, as below policy: in the configuration file.")
@click.option("--min-coverage", metavar="PCT", help="Fail when less of the applicable distributions is verified.")
@click.option(
    "--fail-on",
    metavar="VALUE",
    multiple=True,
    help="Fail on an origin, an integrity or a kind of finding; repeatable, or with commas.",
)
@click.option(
    "--min-evidence",
    metavar="RUNG",
    help="attested, built-only, not-upstream, path or sbom: what is below is not verified.  [default: sbom]",
)
@click.option("--offline", is_flag=True, help="Ask no network.")
@click.option("--no-cache", is_flag=True, help="Remember nothing, and use nothing that is remembered.")
@_cache_dir
@click.option("--prove", is_flag=True, help="Download every matched wheel whole and recompute its hashes.")
@click.option(
    "--lazy",
    is_flag=True,
    help="Read eStargz and zstd:chunked layers of a registry by their tables of contents, where that is less.",
)
@click.option(
    "--check-bytecode", is_flag=True, help="Compile sources again and compare, where it is this Python's byte code."
)
@click.option(
    "--limit",
    metavar="NAME=VALUE",
    multiple=True,
    help="A bound on hostile input, for example expanded=128GiB; repeatable.",
)
@click.option(
    "--plain-http",
    metavar="HOST[:PORT]",
    multiple=True,
    help="A registry or index that may be asked over plain http; repeatable.",
)
@click.option("--ca-file", metavar="FILE", help="More certificate authorities to trust, in PEM.")
@click.option("--authfile", metavar="FILE", help="The only file to look up registry credentials in.")
@click.option("-j", "--jobs", metavar="N", help="Threads.  [default: 4]")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and data only.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is used and how long it takes.")
@click.option("--no-progress", is_flag=True, help="Show no progress on the terminal.")
@click.option("--no-color", is_flag=True, help="Show no colors.")
@_debug
@click.pass_context
def scan(context: click.Context, /, targets: tuple[str, ...], **flags: Any) -> int:
    """Say where every Python distribution in TARGETs comes from, proved by bytes.

    A TARGET is an image reference or a path, said with a prefix or detected: registry: docker: podman:
    docker-archive: oci-archive: oci-dir: dir: file:
    """
    from scanner.config import gather  # noqa: PLC0415 - see the module's docstring
    from scanner.run import has_chainguard, scan_targets, write_files  # noqa: PLC0415

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    settings = gather(flags, os.environ)
    if not has_chainguard(settings):
        run.note("note: no index of Chainguard's is given, so nothing can be proved to be Chainguard's")
        run.note("hint: name one with --index, and PyPI's with --upstream; see 'cgscan scan --help'")
    if flags["verbose"] and settings.file:
        run.note(f"settings from {settings.file}")
    with _progress(off=run.quiet or flags["no_progress"]) as progress:
        note = run.note if flags["verbose"] else _say_nothing
        outcome = scan_targets(targets, settings, progress=progress, note=note)
    for problem in outcome.problems:
        _complain(problem, run)
    if outcome.reports:
        write_files(outcome.reports, settings.outputs)
    if not outcome.problems:
        _print_reports(outcome, settings, run, no_color=flags["no_color"])
    return outcome.status


def _print_reports(outcome: Outcome, settings: Settings, run: Run, *, no_color: bool) -> None:
    from scanner.run import text_for_terminal  # noqa: PLC0415

    _print(text_for_terminal(outcome.reports, settings.outputs, **_look(no_color=no_color)))
    if not any(output.path is None and output.format in ("table", "markdown") for output in settings.outputs):
        for violation in outcome.violations:
            run.note(f"policy: {_one_line(violation)}")


def _look(*, no_color: bool) -> dict[str, Any]:
    """How standard output is to look: colors and a width on a terminal only."""
    terminal = sys.stdout.isatty()
    color = terminal and not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = os.get_terminal_size(sys.stdout.fileno()).columns if terminal else None
    return {"color": color, "width": width or None}


@commands.command(
    short_help="Show one distribution file by file, beside Chainguard's and PyPI's wheel.",
    epilog="""\b
Examples:
  cgscan explain registry.example/app:1.4 requests
  cgscan explain oci-dir:build/image numpy --index chainguard --upstream pypi --all-files
  cgscan explain dir:.venv flask --environment /lib/python3.11/site-packages -o json=flask.json

\b
Exit status:
  0  the distribution was found and is explained, whatever its verdict
  2  it is not there, or the scan did not run to its end; standard output is empty
""",
)
@click.argument("target", metavar="TARGET")
@click.argument("name", metavar="NAME")
@click.option("--environment", metavar="PATH", help="Only what lies there.  [default: everywhere]")
@click.option("--all-files", is_flag=True, help="Name the files that are the same everywhere, too.")
@click.option(
    "-o",
    "--output",
    metavar="FORMAT[=FILE]",
    multiple=True,
    help="table or json; repeatable.  [default: table]",
)
@click.pass_context
def explain(context: click.Context, /, target: str, name: str, **flags: Any) -> None:
    """Show why the distribution NAME in TARGET has the verdict that it has.

    Every file of it: what is there, what Chainguard's wheel and PyPI's have, which files set the two builds
    apart, what RECORD says, which layer it is from. TARGET is what 'cgscan scan' takes.
    """
    from scanner.config import explained_outputs, gather  # noqa: PLC0415 - see the module's docstring
    from scanner.explaining.asked import Asked  # noqa: PLC0415
    from scanner.run import explain_target, explained_text  # noqa: PLC0415

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    output, all_files = flags.pop("output"), flags.pop("all_files")
    asked = Asked.of(name, flags.pop("environment"))
    settings = replace(gather(flags, os.environ), outputs=explained_outputs(output))
    with _progress(off=run.quiet or flags["no_progress"]) as progress:
        note = run.note if flags["verbose"] else _say_nothing
        found = explain_target(target, asked, settings, progress=progress, note=note)
    _print(explained_text(found, settings.outputs, all_files=all_files, **_look(no_color=flags["no_color"])))


_NOT_EXPLAINED: Final = frozenset({"targets", "output", "policy", "min_coverage", "fail_on", "min_evidence"})
explain.params += [parameter for parameter in scan.params if parameter.name not in _NOT_EXPLAINED]
"""The options of a scan mean the same here; what makes a scan fail means nothing."""


def _progress(*, off: bool) -> Any:
    """Bars on a terminal; elsewhere nothing."""
    from scanner.progress import silent  # noqa: PLC0415

    if off or not sys.stderr.isatty():
        return nullcontext(silent)
    from rich.console import Console  # noqa: PLC0415

    from scanner.display import progress_on  # noqa: PLC0415

    return progress_on(Console(stderr=True))


@commands.group(
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
  cgscan index pull app.cgindex flask==3.0.2 numpy --max-age 0

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
    "--max-age",
    metavar="HOURS",
    type=float,
    default=24.0,
    help="Answers that are younger are not asked for again.  [default: 24]",
)
@click.pass_context
def pull(context: click.Context, /, file: str, projects: tuple[str, ...], **flags: Any) -> int:
    """Add to the snapshot FILE what indexes have of projects; it is made where there is none.

    Of a project every index is asked what it lists, and what the wheels of the version hold (of the newest where none
    is said). A TARGET is scanned, and whatever that asks is kept, so that it can be scanned again offline.
    """
    from pathlib import Path  # noqa: PLC0415 - see the module's docstring

    from scanner.config import gather  # noqa: PLC0415
    from scanner.formats import snapshots  # noqa: PLC0415
    from scanner.pulling import Asked, pull_into  # noqa: PLC0415

    run = context.ensure_object(Run)
    run.busy, run.quiet = True, flags["quiet"]
    lists = {name: flags.pop(name) for name in ("needed_for", "requirements")}
    asked = Asked(names=projects, fresh=flags.pop("max_age") * 3600, **lists)
    settings = gather(flags, os.environ)
    with _progress(off=run.quiet or flags["no_progress"]) as progress:
        done = pull_into(Path(file), asked, settings, progress=progress)
    run.note(
        f"asked for {done.tally.asked} pages, read {done.tally.read} wheels; "
        f"{done.tally.fresh} and {done.tally.stored} were there"
    )
    failures = sorted(set(done.tally.failures))
    for failure in failures:
        run.note(f"not pulled: {_one_line(failure)}")
    if failures:
        missing = "1 answer is missing" if len(failures) == 1 else f"{len(failures)} answers are missing"
        raise CgscanError(
            f"{file}: not all of it could be pulled ({missing})",
            hint="what was pulled is there; the same command asks for the rest again",
        )
    _print(snapshots.render(file, done.size, done.sources, "table"))
    return 0


_PULLED: Final = frozenset(
    {
        "index", "upstream", "built_only", "config", "platform", "scope", "no_cache", "cache_dir", "prove", "lazy",
        "limit", "plain_http", "ca_file", "authfile", "jobs", "quiet", "no_progress",
    }
)  # fmt: skip
pull.params += [
    parameter
    for parameter in scan.params
    if parameter.name in _PULLED or getattr(parameter, "opts", None) == ["--debug"]
]
"""The options of a scan that say what is asked and how."""


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
@_debug
def show_snapshot(file: str, output: str) -> None:
    """What is in the snapshot FILE and how old it is. Nothing is asked of any network."""
    from pathlib import Path  # noqa: PLC0415 - see the module's docstring

    from scanner.formats import snapshots  # noqa: PLC0415
    from scanner.limits import DEFAULT_LIMITS  # noqa: PLC0415
    from scanner.pulling import looked_into  # noqa: PLC0415

    done = looked_into(Path(file), limits=DEFAULT_LIMITS)
    _print(snapshots.render(file, done.size, done.sources, output))


@commands.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  cgscan cache show
""",
)
def cache() -> None:
    """What is remembered between runs."""


def _cache_command(epilog: str) -> Callable[[Callable[..., None]], click.Command]:
    def made(function: Callable[..., None]) -> click.Command:
        return cache.command(epilog=f"\b\nExample:\n  {epilog}\n")(_config(_cache_dir(_debug(function))))

    return made


@_cache_command("cgscan cache show --cache-dir /var/cache/cgscan")
def show(**flags: Any) -> None:
    """Where it is, what it holds, how big it is and may become."""
    folder, most, store = _opened_store(flags)
    sizes: dict[str, list[int]] = {}
    for kind, size in store.entries():
        sizes.setdefault(kind, []).append(size)
    lines = [f"{kind}: {len(of_kind)} entries, {sum(of_kind)} bytes\n" for kind, of_kind in sorted(sizes.items())]
    count, total = sum(map(len, sizes.values())), sum(map(sum, sizes.values()))
    _print(f"{folder}: {count} entries, {total} bytes of at most {most} (limit cache)\n" + "".join(lines))


@_cache_command("cgscan cache clear")
def clear(**flags: Any) -> None:
    """Forget all of it. Later scans take longer and say the same."""
    folder, _, store = _opened_store(flags)
    _print(f"{folder}: {store.clear()} entries forgotten\n")


def _opened_store(flags: dict[str, Any]) -> tuple[str, int, Any]:
    """Folder, the most bytes that are kept in it, and the store."""
    from scanner.config import gather  # noqa: PLC0415
    from scanner.store import DiskStore  # noqa: PLC0415

    settings = gather(flags, os.environ)
    if settings.cache_dir is None:
        raise CgscanError("there is no cache folder", hint="name it with --cache-dir")
    return str(settings.cache_dir), settings.limits.cache, DiskStore(settings.cache_dir)


# -- around every command --------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status. ``arguments`` are those of the process unless given.

    click's own ``main`` is not used: it turns a broken pipe into status 1, which here means a policy.
    """
    run = Run()
    if arguments is None:
        _collect_seldom()
    _prepare_streams()
    with suppress(ValueError):  # not the main thread: whoever runs it there handles signals
        signal.signal(signal.SIGINT, _interrupt)
    try:
        return _invoke(sys.argv[1:] if arguments is None else arguments, run)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError as problem:
        if run.busy:
            _complain(problem, run)
            return 2
        _drop_stdout()  # who asked for help has read enough
        return 0
    except Exception as problem:  # noqa: BLE001 - the last line of defence
        _complain(problem, run)
        return 2


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
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    with suppress(OSError):
        os.write(2, b"cgscan: interrupted\n")
    last = threading.Timer(_GRACE, os._exit, (_INTERRUPTED,))
    last.daemon = True
    last.start()
    raise KeyboardInterrupt


def _complain(problem: Exception, run: Run) -> None:
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
    _tell(f"cgscan: error: {_one_line(message)}")
    if hint:
        _tell(f"hint: {_one_line(hint)}")
    if run.debug:
        import traceback  # noqa: PLC0415

        _tell("".join(traceback.format_exception(problem)).rstrip())


def _one_line(text: str) -> str:
    """What comes out of targets and servers must not move the cursor of who reads it."""
    from scanner.formats.text import escaped  # noqa: PLC0415

    return escaped(" ".join(text.split()))


def _tell(text: str) -> None:
    with suppress(OSError, ValueError):
        click.echo(text, err=True)


def _say_nothing(text: str) -> None:
    pass


def _print(text: str) -> None:
    """Data. A reader that has seen enough (``| head``) is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
    except OSError as problem:
        _drop_stdout()
        raise CgscanError(f"cannot write to standard output: {problem.strerror or problem}") from problem


def _drop_stdout() -> None:
    """Point standard output at nothing, so that Python's last flush does not fail."""
    with suppress(OSError, ValueError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)


def _collect_seldom() -> None:
    """A scan makes a million tuples that stay, and few cycles: looking for them took a sixth of its time."""
    gc.set_threshold(*_COLLECTED)
    atexit.register(gc.freeze)  # what is left at the end goes with the process


def _prepare_streams() -> None:
    """Data is UTF-8 where a program reads it; what a stream cannot show is written out as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
