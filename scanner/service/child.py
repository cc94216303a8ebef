"""One scan in a process of its own: what an image makes it take of memory and time, it takes from nobody else.

Started by :mod:`scanner.service.scanning`. Reads an :class:`Errand` as JSON from standard input and writes an answer as
JSON to the file that it names. It dies with the worker that started it, takes no more memory than it may, and
gives way to the service's own processes.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from scanner.errors import (
    AccessDenied,
    CgscanError,
    IndexFailure,
    NoImage,
    TargetError,
    TargetNotFound,
    TruncatedStream,
    UnsupportedTarget,
)
from scanner.progress import Event, LayerDone, LayerRead

_PR_SET_PDEATHSIG: Final = 1
_NICE: Final = 10
"""Who answers requests, or keeps a lease, goes before who scans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What to scan. ``flags`` are those that the service was started with; ``memory`` is bytes of address space.

    ``desk`` is the file descriptor of a line to :mod:`scanner.service.sharing`; ``patience`` is seconds that it may
    wait for a layer that another scan reads.
    """

    image: str
    flags: dict[str, Any]
    answer: str
    memory: int
    parent: int
    desk: int
    patience: float

    def encoded(self) -> bytes:
        """For the child's standard input."""
        return json.dumps(asdict(self)).encode()


class _Counting:
    """What a scan tells while it works, counted."""

    def __init__(self) -> None:
        self.counts = {"layers": 0, "remembered": 0, "bytes": 0}

    def __call__(self, event: Event) -> None:
        match event:
            case LayerDone(remembered=remembered):
                self.counts["layers"] += 1
                self.counts["remembered"] += remembered
            case LayerRead(read=read):
                self.counts["bytes"] += read
            case _:
                pass


def may_pass(problem: Exception) -> bool:
    """Whether the same scan may go well later: something was out of reach or broke off."""
    if isinstance(problem, TargetNotFound | AccessDenied | UnsupportedTarget):
        return False
    return isinstance(problem, TargetError | IndexFailure | TruncatedStream)


def kind_of(problem: Exception) -> dict[str, bool]:
    """Whether there is no image that could be scanned in what is there, or nothing is there."""
    return {"no_image": isinstance(problem, NoImage), "absent": isinstance(problem, TargetNotFound)}


def main() -> None:
    """Scan and answer."""
    errand = Errand(**json.load(sys.stdin))
    _die_with(errand.parent)
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (errand.memory, errand.memory))
    try:
        answer = _scan(errand)
    except CgscanError as problem:
        answer = {"problem": str(problem), "may_pass": may_pass(problem), **kind_of(problem)}
    except MemoryError:
        answer = {"problem": f"needs more than {errand.memory} bytes of memory (serve.scan_memory)", "may_pass": False}
    except Exception as problem:  # noqa: BLE001 - a fault of ours is a reason like any other
        answer = {"problem": f"unexpected: {type(problem).__name__}: {problem}", "may_pass": False}
    Path(errand.answer).write_text(json.dumps(answer), encoding="utf-8")


def _scan(errand: Errand) -> dict[str, Any]:
    from scanner.answered import Answers, answers_of  # noqa: PLC0415
    from scanner.config import gather  # noqa: PLC0415 - only now is memory bounded
    from scanner.report import as_object  # noqa: PLC0415
    from scanner.run import scan_targets, store_of  # noqa: PLC0415
    from scanner.service.sharing.floors import Floors  # noqa: PLC0415

    counting = _Counting()
    settings = gather(errand.flags, os.environ)
    store = Floors(store_of(settings), socket.socket(fileno=errand.desk), patience=errand.patience)
    answers: Answers = {}
    outcome = scan_targets(
        [f"registry:{errand.image}"],
        settings,
        progress=counting,
        note=lambda _: None,
        store=store,
        asked=lambda indexes: answers.update(answers_of(indexes)),
    )
    for problem in outcome.problems:
        raise problem
    return {"reports": [as_object(report) for report in outcome.reports], "answers": answers, **counting.counts}


def _die_with(parent: int) -> None:
    """Linux kills this process when the worker ends, however that ends; elsewhere the lease runs out all the same."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)  # it has ended before we asked


if __name__ == "__main__":
    main()
