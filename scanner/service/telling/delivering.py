"""Threads that tell: one for each receiver, so that none waits for another, and one that attaches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from scanner.config import Settings
from scanner.errors import CgscanError
from scanner.results.database import Database
from scanner.service.logs import say
from scanner.service.metrics import Metrics
from scanner.service.telling import outbox
from scanner.service.telling.attaching import Attacher
from scanner.service.telling.changed import Gone, document_of
from scanner.service.telling.deciding import ATTACH, NOTIFY
from scanner.service.telling.outbox import Item, LeaseLost
from scanner.service.telling.posting import SECONDS, Armed, Poster, Postponed, Refused, armed_receivers
from scanner.service.telling.slack import message_of
from scanner.serving import Serving

_LOOK: Final = 1.0
"""Seconds between looks at the outbox."""
_LEASE: Final = 6 * SECONDS
"""Longer than any request to a receiver."""
_LEASE_ATTACH: Final = 900.0

Send = Callable[[Item], str | None]
"""Tells it; a note where there was nothing to do. :class:`Refused`, :class:`Postponed`."""


class Telling:
    """The threads of one process. Raises :class:`scanner.errors.CgscanError` for secrets and keys that are none."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        serving: Serving,
        metrics: Metrics,
        environment: Mapping[str, str],
    ) -> None:
        self._database = database
        self._settings = settings
        self._serving = serving
        self._metrics = metrics
        self._stop = threading.Event()
        self._posters: list[Poster] = []
        self._threads: list[threading.Thread] = []
        for armed in armed_receivers(serving.notify, environment, settings.plain_http):
            self._add(NOTIFY, armed.receiver.name, self._poster(armed), _LEASE)
        if serving.attach is not None:
            attacher = Attacher(serving.attach, settings, environment)
            self._add(ATTACH, None, lambda item: attacher.attach(database, item), _LEASE_ATTACH)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, grace: float) -> None:
        """Begin nothing more, and wait for what is being told; what takes longer is told again by another process."""
        self._stop.set()
        until = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for poster in self._posters:
            poster.close()

    def _add(self, kind: str, receiver: str | None, send: Send, lease: float) -> None:
        name = f"telling-{receiver or kind}"
        run = lambda: self._work(kind, receiver, send, lease)  # noqa: E731 - what a thread runs
        self._threads.append(threading.Thread(target=run, name=name, daemon=True))

    def _poster(self, armed: Armed) -> Send:
        poster = Poster(armed, self._settings)
        self._posters.append(poster)
        receiver = armed.receiver

        def send(item: Item) -> str | None:
            try:
                document = document_of(
                    self._database,
                    item,
                    most=receiver.most,
                    url=self._serving.url,
                    minimum=self._settings.policy.min_evidence,
                )
            except Gone:
                raise Refused("its report is not kept any more") from None
            poster.post(item.id, message_of(document) if receiver.kind == "slack" else document)
            return None

        return send

    def _work(self, kind: str, receiver: str | None, send: Send, lease: float) -> None:
        while not self._stop.is_set():
            try:
                item = outbox.claim(self._database, kind=kind, receiver=receiver, lease=lease)
                if item is not None:
                    self._tell(item, send)
                    continue
            except CgscanError as problem:
                say("trouble", level=logging.WARNING, reason=str(problem))
            except Exception as problem:  # noqa: BLE001 - the last line of defence of a thread
                say("unexpected", level=logging.ERROR, reason=type(problem).__name__)
            self._stop.wait(_LOOK)

    def _tell(self, item: Item, send: Send) -> None:
        reason: str | None
        try:
            how, reason = _told(self._database, item, send)
        except LeaseLost:
            how, reason = "lost", None
        self._metrics.told.labels(item.receiver, how).inc()
        facts = {"id": item.id, "kind": item.kind, "receiver": item.receiver, "events": item.events or None}
        level = logging.WARNING if how in (outbox.DEAD, outbox.WAITING) else logging.INFO
        say("told", level=level, **facts, how=how, attempt=item.attempts, reason=reason)


def _told(database: Database, item: Item, send: Send) -> tuple[str, str | None]:
    """How it ended, and why; :class:`LeaseLost`."""
    try:
        note = send(item)
    except Refused as problem:
        outbox.give_up(database, item, str(problem))
        return outbox.DEAD, str(problem)
    except Postponed as problem:
        return outbox.put_off(database, item, problem.later), problem.later.reason
    outbox.settle(database, item, note=note)
    return outbox.DONE, note
