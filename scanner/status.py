"""Exit statuses: what a process that runs cgscan tells whoever started it.

Help, man pages and the tables of the documentation have their sentences from here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Status(IntEnum):
    """How a command ended. With several targets it is the worst, which is the largest of the first three."""

    HOLDS = 0
    BROKEN = 1
    FAILED = 2
    INTERRUPTED = 128 + 2
    """What shells make of SIGINT."""


SENTENCES: Final = {
    Status.HOLDS: "the scan ran and the policy holds",
    Status.BROKEN: "it ran and the policy does not hold",
    Status.FAILED: "it did not run to the end: bad usage, no such image, no index reachable, content that cannot be "
    "trusted",
    Status.INTERRUPTED: "it was interrupted",
}
"""What each means for a scan. Commands that judge something else say in their help what they mean there."""
