"""Threads side by side, that do not outlive an error of their caller."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of ``number`` threads. On an exception what has not begun is dropped, and nobody waits for the rest."""
    pool = ThreadPoolExecutor(max_workers=max(1, number))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
