"""``cgscan serve`` and ``cgscan worker``: the service, and more machines that scan for it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from scanner.cli.options import CACHE, DEBUG, INDEXES, NETWORK, READING, options
from scanner.cli.terminal import Run
from scanner.formats.text import escaped
from scanner.status import Status

if TYPE_CHECKING:
    from scanner.config import Settings
    from scanner.serving import Serving

_JSON = click.option("--log-json", is_flag=True, help="Write log lines as JSON.")


@click.command(
    short_help="Scan what registries push, keep the results, answer questions about them.",
    epilog="""\b
Examples:
  cgscan serve --config cgscan.yaml
  cgscan serve --listen 127.0.0.1:8087 --index chainguard --upstream pypi
  CGSCAN_DATABASE=postgresql://db/cgscan CGSCAN_QUEUE=redis://queue/0 cgscan serve --no-workers
  cgscan serve --config cgscan.yaml --check

\b
Needs more than a scan does: pip install 'cgscan[serve]'
""",
)
@options(
    (
        click.option("--listen", metavar="HOST:PORT", help="Where to listen.  [default: 127.0.0.1:8087]"),
        click.option("--no-workers", is_flag=True, help="Only serve; 'cgscan worker' scans, here or elsewhere."),
        click.option(
            "--check",
            is_flag=True,
            help="Ask the service that runs here whether it is ready: exit status 0 or 1, with the reason.",
        ),
        _JSON,
    ),
    INDEXES,
    CACHE,
    READING,
    NETWORK,
    (DEBUG,),
)
@click.pass_context
def serve(context: click.Context, /, **flags: Any) -> int:
    """Serve webhooks, the API and pages, queue scans and run them, all in one process.

    Everything is in SQLite files below one folder unless the section serve of the configuration, or CGSCAN_DATABASE and
    CGSCAN_QUEUE, name PostgreSQL and Redis. SIGTERM stops it in good order: scans end or go back to the queue.
    """
    listen, scans, as_json = flags.pop("listen"), not flags.pop("no_workers"), flags.pop("log_json")
    only_check = flags.pop("check")
    settings, serving = ready(context, flags, listen=listen, as_json=as_json)
    if only_check:
        return _check(serving)
    from scanner.service.running import serve as run

    run(settings, serving, flags, scans=scans)
    return 0


@click.command(
    short_help="Run scans for 'cgscan serve', on this machine or another.",
    epilog="""\b
Examples:
  cgscan worker --config cgscan.yaml --metrics 0.0.0.0:9187
  CGSCAN_DATABASE=postgresql://db/cgscan CGSCAN_QUEUE=redis://queue/0 cgscan worker --log-json

\b
Needs more than a scan does: pip install 'cgscan[serve]'
""",
)
@options(
    (
        click.option("--metrics", metavar="HOST:PORT", help="Where Prometheus may ask it.  [default: nowhere]"),
        _JSON,
    ),
    INDEXES,
    CACHE,
    READING,
    NETWORK,
    (DEBUG,),
)
@click.pass_context
def worker(context: click.Context, /, **flags: Any) -> int:
    """Take jobs from the queue and scan, as many at once as serve.workers says.

    It may be killed at any moment: its jobs run out of their lease and are taken by another worker.
    """
    metrics, as_json = flags.pop("metrics"), flags.pop("log_json")
    settings, serving = ready(context, flags, listen=metrics, as_json=as_json, option="--metrics")
    from scanner.service.running import work

    work(settings, serving, flags, metrics=metrics is not None)
    return 0


def _check(serving: Serving) -> int:
    from scanner.service.health import not_ready

    reason = not_ready(serving)
    if reason is None:
        return Status.HOLDS
    click.echo(f"not ready: {escaped(reason)}", err=True)
    return Status.BROKEN


def ready(
    context: click.Context, flags: dict[str, Any], *, listen: str | None, as_json: bool, option: str = "--listen"
) -> tuple[Settings, Serving]:
    """Settings, and the log set up; one line where the extra is not installed."""
    from importlib.util import find_spec

    from scanner.config import gather
    from scanner.errors import UsageError
    from scanner.serving import listening, serving_of

    context.ensure_object(Run).busy = True
    missing = [name for name in ("sqlalchemy", "alembic", "huey", "fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(f"the service is not installed: no {missing[0]}", hint="pip install 'cgscan[serve]'")
    settings = gather(flags, os.environ)
    serving = serving_of(settings.file, os.environ)
    if listen is not None:
        serving = listening(serving, listen, option)
    from scanner.service.logs import set_up

    set_up(sys.stderr, as_json=as_json)
    return settings, serving
