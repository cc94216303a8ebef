"""Digests -> what is known of them. Reports are judged under the policy of now, and what came of it is remembered."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import Final

from scanner.policy import Policy, check
from scanner.results import states
from scanner.results.database import Database
from scanner.results.digests import Kept, Standing, newest, standing
from scanner.results.keeping import report_of
from scanner.results.reading import document
from scanner.service.admission.found import Broken, Result
from scanner.service.jobs import State, content_of

_MOST_REMEMBERED: Final = 4096
_NOTHING: Final = (State.DEAD.value, State.CANCELLED.value)


class Lookup:
    """Asks the database. Safe to share between threads. Results of more than ``fresh`` seconds ago are not current."""

    def __init__(self, database: Database, *, fresh: float = math.inf) -> None:
        self._database = database
        self._fresh = fresh
        self._lock = threading.Lock()
        self._remembered: OrderedDict[tuple[int, str, Policy], tuple[str, ...]] = OrderedDict()

    def result(self, digest: str, circumstances: str, policy: Policy, *, max_age: float) -> Result | float | None:
        """What the newest reports say; their age where they are too old, None where there are none."""
        with self._database.reading() as connection:
            terms, _ = states.parted(circumstances)
            content = content_of(digest, circumstances)
            known = newest(connection, digest, content, terms=terms, fresh=self._fresh)
        if known is None:
            return None
        if not known.current and known.age > max_age:
            return known.age
        judged = [(kept, self._violations(kept, policy)) for kept in known.reports]
        broken = tuple(
            Broken(report=kept.id, platform=kept.platform, violations=violations)
            for kept, violations in judged
            if violations
        )
        return Result(reports=len(judged), broken=broken, age=None if known.current else known.age)

    def dead(self, digest: str, circumstances: str) -> Standing | None:
        """The newest job of a digest, if nothing came of it."""
        with self._database.reading() as connection:
            found = standing(connection, content_of(digest, circumstances))
        return found if found is not None and found.state in _NOTHING else None

    def _violations(self, kept: Kept, policy: Policy) -> tuple[str, ...]:
        key = (kept.id, kept.content, policy)
        with self._lock:
            if key in self._remembered:
                self._remembered.move_to_end(key)
                return self._remembered[key]
        data = document(self._database, kept.id)
        found = ("its report is gone",) if data is None else check(report_of(data), policy)
        if data is None:
            return found
        with self._lock:
            self._remembered[key] = found
            if len(self._remembered) > _MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        return found
