"""Progress on a terminal: bytes of layers while they are read, then distributions while they are matched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from scanner.formats.text import escaped
from scanner.progress import (
    Event,
    Found,
    LayerDone,
    LayerRead,
    Listed,
    Listing,
    Matched,
    Opened,
    Progress,
    Pulled,
    Pulling,
)

_LABEL = 40


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """Bars while the block runs; they are gone when it is left."""
    label = TextColumn("{task.description}", markup=False, table_column=Column(width=_LABEL, no_wrap=True))
    reading = Bars(
        label, BarColumn(), DownloadColumn(binary_units=True), TimeElapsedColumn(), console=console, transient=True
    )
    matching = Bars(label, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console, transient=True)
    display = _Display(reading, matching)
    try:
        yield display.take
    finally:
        display.stop()


class _Display:
    """One bar at a time: a terminal's cursor belongs to one of the two."""

    def __init__(self, reading: Bars, matching: Bars) -> None:
        self._reading = reading
        self._matching = matching
        self._lock = threading.Lock()
        self._task = TaskID(0)

    def take(self, event: Event) -> None:
        """Show an event, from whichever thread."""
        with self._lock:
            match event:
                case Opened(reference=reference, size=size):
                    self._start(self._reading, f"reading {reference}", size)
                case LayerRead(read=read):
                    self._reading.advance(self._task, read)
                case LayerDone():
                    pass
                case Found(distributions=count):
                    self._start(self._matching, "matching", count)
                case Listing(index=index):
                    self._start(self._matching, f"listing {index}", None)
                case Pulling(projects=count):
                    self._start(self._matching, "pulling", count)
                case Matched() | Listed() | Pulled():
                    self._matching.advance(self._task)

    def stop(self) -> None:
        """Take both away."""
        with self._lock:
            self._reading.stop()
            self._matching.stop()

    def _start(self, bars: Bars, label: str, total: int | None) -> None:
        other = self._matching if bars is self._reading else self._reading
        other.stop()
        for task in bars.task_ids:
            bars.remove_task(task)
        self._task = bars.add_task(Text(escaped(label)).plain, total=total)
        bars.start()
