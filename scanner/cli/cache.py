"""``cgscan cache``: what is remembered between runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from scanner.cli.options import CACHE_DIR, CONFIG, DEBUG
from scanner.cli.terminal import print_data
from scanner.errors import CgscanError


@click.group(
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
        return cache.command(epilog=f"\b\nExample:\n  {epilog}\n")(CONFIG(CACHE_DIR(DEBUG(function))))

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
    print_data(f"{folder}: {count} entries, {total} bytes of at most {most} (limit cache)\n" + "".join(lines))


@_cache_command("cgscan cache clear")
def clear(**flags: Any) -> None:
    """Forget all of it. Later scans take longer and say the same."""
    folder, _, store = _opened_store(flags)
    print_data(f"{folder}: {store.clear()} entries forgotten\n")


def _opened_store(flags: dict[str, Any]) -> tuple[str, int, Any]:
    """Folder, the most bytes that are kept in it, and the store."""
    from scanner.config import gather
    from scanner.store import DiskStore

    settings = gather(flags, os.environ)
    if settings.cache_dir is None:
        raise CgscanError("there is no cache folder", hint="name it with --cache-dir")
    return str(settings.cache_dir), settings.limits.cache, DiskStore(settings.cache_dir)
