"""One process that serves and scans, or one that only scans; stopping in good order.

On SIGTERM and SIGINT: no new requests, no new jobs; what runs may end within :data:`GRACE`, what does not is handed
back to the queue at once, so that nobody waits for its lease. A second signal ends the process where it stands, which
the queue outlives as well.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import uvicorn

from scanner.config import Settings
from scanner.errors import CgscanError
from scanner.results.database import Database
from scanner.run import client_of
from scanner.service.api import Service, application
from scanner.service.carrier import Carrier
from scanner.service.intake import Intake
from scanner.service.logs import say
from scanner.service.metrics import Metrics
from scanner.service.pages import add_pages
from scanner.service.place import Place, opened_database
from scanner.service.rounds import Rounds
from scanner.service.scanning import Scanner
from scanner.service.sharing.desk import Sharing
from scanner.service.telling.deciding import Deciding
from scanner.service.telling.delivering import Telling
from scanner.service.tokens import tokens_of
from scanner.service.transport import Renewing
from scanner.service.worker import Workers
from scanner.serving import Serving
from scanner.webhooks import Fetched, Keys, armed

GRACE: Final = 20.0
"""Seconds that running scans have when the process is told to stop."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_CONNECTIONS: Final = 1000
_MOST_KEYS: Final = 256 * 1024
"""Bytes of an answer with keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What both kinds of processes are made of."""

    database: Database
    carrier: Carrier
    metrics: Metrics
    workers: Workers
    telling: Telling
    rounds: Rounds

    def close(self) -> None:
        """Let go of all."""
        self.carrier.close()
        self.database.close()


def parts_of(settings: Settings, serving: Serving, flags: Mapping[str, Any]) -> Parts:
    """Open everything; the database's tables are brought up to this version."""
    database = opened_database(serving)
    carrier = Carrier(serving.queue, serving.folder)
    metrics = Metrics()
    decide = Deciding(serving.notify, serving.attach)
    sharing = Sharing(database, serving, metrics)
    workers = Workers(database, carrier, Scanner(settings, serving, flags, sharing), serving, metrics, decide)
    telling = Telling(database, settings, serving, metrics, os.environ)
    place = Place(database=database, carrier=carrier, settings=settings, serving=serving, stop=threading.Event())
    return Parts(
        database=database,
        carrier=carrier,
        metrics=metrics,
        workers=workers,
        telling=telling,
        rounds=Rounds(place),
    )


def serve(settings: Settings, serving: Serving, flags: Mapping[str, Any], *, scans: bool = True) -> None:
    """Serve until a signal comes; with workers unless others do that."""
    tokens = tokens_of(serving, os.environ)
    renewing = Renewing(serving.tls) if serving.tls else None
    sources = armed(settings.webhooks, os.environ, bound_to=serving.host)
    listening = _listening(serving)
    parts = parts_of(settings, serving, flags)
    stopping = threading.Event()
    intake = Intake(parts.database, most_waiting=serving.most_waiting)
    service = Service(
        database=parts.database,
        carrier=parts.carrier,
        metrics=parts.metrics,
        settings=settings,
        serving=serving,
        tokens=tokens,
        sources=sources,
        keys=Keys(partial(_fetched, settings)),
        intake=intake,
        stopping=stopping.is_set,
    )
    server = _Server(_configured(service), stopping, renewing)
    for number in _SIGNALS:  # uvicorn raises what it was told to stop with once more when it has stopped
        signal.signal(number, lambda *_: None)
    if scans:
        parts.workers.start()
        parts.telling.start()
        parts.rounds.start()
    try:
        server.run(listening)
    finally:
        stopping.set()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if scans:
            parts.rounds.stop(grace=0.0)  # they end while scans do
            parts.workers.stop(grace=GRACE)
            parts.telling.stop(grace=GRACE)
            parts.rounds.stop(grace=1.0)
        intake.close()
        parts.close()
    say("stopped")


def _configured(service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        add_pages(application(service)),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=64 * 1024,
    )


def work(settings: Settings, serving: Serving, flags: Mapping[str, Any], *, metrics: bool) -> None:
    """Scan until a signal comes; with ``metrics`` Prometheus may ask where ``serving`` listens."""
    parts = parts_of(settings, serving, flags)
    told: dict[str, Any] = {"metrics": _metrics_at(parts.metrics, serving)} if metrics else {}
    stop = threading.Event()

    def stopping(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in _SIGNALS:
        signal.signal(number, stopping)
    parts.workers.start()
    parts.telling.start()
    parts.rounds.start()
    say("ready", workers=serving.workers, **told)
    while not stop.wait(3600):
        pass
    say("stopping")
    parts.rounds.stop(grace=0.0)  # they end while scans do
    parts.workers.stop(grace=GRACE)
    parts.telling.stop(grace=GRACE)
    parts.rounds.stop(grace=1.0)
    parts.close()
    say("stopped")


def _metrics_at(metrics: Metrics, serving: Serving) -> str:
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    try:
        return f"http://{host}:{metrics.serve(serving.host, serving.port)}/"
    except OSError as problem:
        raise _not_listening(serving, problem, "--metrics takes another address") from problem


def _listening(serving: Serving) -> list[socket.socket]:
    """Where the service listens, before anything else is begun."""
    try:
        found = socket.getaddrinfo(serving.host, serving.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [socket.create_server(address[:2], family=family) for family, _, _, _, address in found]
    except OSError as problem:
        raise _not_listening(serving, problem, "is it running already? --listen takes another address") from problem


def _not_listening(serving: Serving, problem: OSError, hint: str) -> CgscanError:
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    reason = (problem.strerror or str(problem)).partition(" (while ")[0]  # the place is said already
    return CgscanError(f"cannot listen at {host}:{serving.port}: {reason}", hint=hint)


def _fetched(settings: Settings, url: str) -> Fetched:
    """The keys that a source's tokens are signed with, from the address in the configuration."""
    with client_of(settings) as client:
        answer = client.get(url, max_bytes=_MOST_KEYS)
    if answer.status != 200:
        raise CgscanError(f"{url}: status {answer.status}")
    said = re.search(r"max-age=([0-9]{1,9})", answer.headers.get("cache-control", ""))
    return Fetched(body=answer.body, max_age=float(said[1]) if said else None)


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready and where, and lets long polls end when it stops."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event, renewing: Renewing | None) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._renewing = renewing

    async def on_tick(self, counter: int) -> bool:
        if self._renewing is not None:
            self._renewing.look()
        return await super().on_tick(counter)

    async def startup(self, sockets: Any = None) -> None:
        if self._renewing is not None:
            self.config.ssl = self._renewing.context
        await super().startup(sockets)
        if self.started:
            places = [one.getsockname() for server in self.servers for one in server.sockets]
            host, port = places[0][:2]
            scheme = "https" if self._renewing else "http"
            say("ready", url=f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/")

    def handle_exit(self, sig: int, frame: Any) -> None:
        if not self._stopping.is_set():
            say("stopping")
        self._stopping.set()
        super().handle_exit(sig, frame)
