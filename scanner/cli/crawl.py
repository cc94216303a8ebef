"""``cgscan crawl``: queue what a registry has and the service does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from scanner.cli.options import CACHE, DEBUG, INDEXES, NETWORK, READING, options
from scanner.cli.serve import ready
from scanner.cli.terminal import print_data
from scanner.formats.text import escaped
from scanner.status import Status

if TYPE_CHECKING:
    from scanner.results.crawls import Walk
    from scanner.serving import Crawl, Serving

_FILTERS = (
    click.option(
        "--repository", "repositories", multiple=True, metavar="NAME", help="A repository; no catalog is asked."
    ),
    click.option("--include", multiple=True, metavar="PATTERN", help="Only such repositories."),
    click.option("--exclude", multiple=True, metavar="PATTERN", help="No such repositories."),
    click.option("--tag", "tags", multiple=True, metavar="GLOB", help="Only such tags."),
    click.option("--newest", type=int, metavar="N", help="Of numbered tags the N newest of each repository."),
    click.option("--dry-run", is_flag=True, help="Say what would be queued, and queue nothing."),
)


@click.command(
    short_help="Queue the images of a registry that the service does not know yet.",
    epilog="""\b
Examples:
  cgscan crawl --config cgscan.yaml
  cgscan crawl registry.example --include 'team/*' --newest 3 --dry-run
  cgscan crawl ghcr.io --repository acme/web --repository acme/worker

\b
Exit status: 0 walked through, 1 something was left out, 2 not walked to the end.
Needs more than a scan does: pip install 'cgscan[serve]'
""",
)
@click.argument("registry", required=False, metavar="[REGISTRY]")
@options(_FILTERS, INDEXES, CACHE, READING, NETWORK, (DEBUG,))
@click.pass_context
def crawl(context: click.Context, /, registry: str | None, **flags: Any) -> int:
    """Walk once through REGISTRY, or all that serve.crawl of the configuration names, now.

    Images are queued in the service's database; 'cgscan serve' or 'cgscan worker' scans them, with the same
    configuration. Standard output has each image that is new. What is known costs one request.
    """
    filters = {name: flags.pop(name) for name in ("repositories", "include", "exclude", "tags", "newest")}
    dry = flags.pop("dry_run")
    settings, serving = ready(context, flags, listen=None, as_json=False)
    from scanner.service.crawlnow import look_now, opened, walk_now

    status = Status.HOLDS
    crawls = _wanted(serving, registry, {name: value for name, value in filters.items() if value})
    with opened(settings, serving) as place:
        for one in crawls:
            walk = (look_now if dry else walk_now)(place, one, lambda image: print_data(f"{escaped(image)}\n"))
            click.echo(_told(walk, dry=dry), err=True)
            status = max(status, _status(walk))
    return status


def _wanted(serving: Serving, registry: str | None, filters: dict[str, Any]) -> list[Crawl]:
    """What to walk through, with what the command line says of it."""
    from scanner.errors import UsageError
    from scanner.serving import crawl_of

    if registry is None and not serving.crawl:
        raise UsageError("no registry is named", hint="name one, or configure serve.crawl (see docs/crawl.md)")
    try:
        given = crawl_of({"registry": registry or "registry.example", **_listed(filters)})
    except ValueError as problem:
        raise UsageError(str(problem)) from problem
    known = {one.registry: one for one in serving.crawl}
    chosen = list(known.values()) if registry is None else [known.get(given.registry, given)]
    return [replace(one, **{name: getattr(given, name) for name in filters}) for one in chosen]


def _listed(filters: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in filters.items()}


def _status(walk: Walk) -> Status:
    if walk.ended is None:
        return Status.FAILED
    return Status.BROKEN if walk.problem else Status.HOLDS


def _told(walk: Walk, *, dry: bool) -> str:
    new = f"{walk.queued} {'new' if dry else 'queued'}"
    counts = f"{walk.repositories} repositories, {walk.images} images, {new}, {walk.gone} gone"
    end = "" if walk.ended is not None else "; not walked to the end"
    return escaped(f"{walk.registry}: {counts}{end}" + (f": {walk.problem}" if walk.problem else ""))
