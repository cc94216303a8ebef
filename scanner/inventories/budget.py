"""What the files that are opened inside one layer may cost together, however deep they are nested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scanner.errors import LimitExceeded
from scanner.limits import Limits

_USUAL: Final = 10


@dataclass(slots=True, kw_only=True)
class Budget:
    """What was spent: ``kept`` bytes of memory, ``expanded`` bytes decompressed, ``members`` of archives listed.

    ``stored`` is the size of the files in the layer itself that were opened: ten times that may be spent in any case,
    so that a folder of a thousand wheels is read and a handful of bombs is not.
    """

    limits: Limits
    kept: int = 0
    stored: int = 0
    expanded: int = 0
    members: int = 0

    def expand(self, size: int) -> None:
        """Bytes that were decompressed; :class:`LimitExceeded` from the limit on."""
        self.expanded += size
        if self.expanded > max(self.limits.archives_expanded, _USUAL * self.stored):
            raise LimitExceeded(
                f"all archives together expand to more than {self.limits.archives_expanded} bytes "
                "(limit archives_expanded)"
            )

    def list(self, members: int) -> None:
        """Members of an archive that were listed; :class:`LimitExceeded` from the limit on."""
        self.members += members
        if self.members > self.limits.archived_entries:
            raise LimitExceeded(
                f"all archives together hold more than {self.limits.archived_entries} files (limit archived_entries)"
            )
