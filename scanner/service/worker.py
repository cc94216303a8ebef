"""Workers: claim a job, keep its lease, scan, end the job under the lease."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from scanner.errors import CgscanError
from scanner.results.database import Database, clock
from scanner.results.keeping import forget
from scanner.service import jobs
from scanner.service.carrier import Carrier
from scanner.service.jobs import ASKED, CRAWL, INDEXES, Job, LeaseLost, Tell
from scanner.service.logs import say
from scanner.service.metrics import Metrics
from scanner.service.scanning import Beat, Failed, Scanned, Stopped
from scanner.serving import Serving

_RENEWALS: Final = 10
"""In the length of a lease; as often is it seen that a scan was cancelled."""
_LOOK: Final = 2.0
"""Seconds after which a worker looks for work that nobody woke it for."""
_PAUSE: Final = 0.1
_TIDY: Final = 3600.0


class Scans(Protocol):
    """Who scans; :class:`scanner.service.scanning.Scanner`. ``terms`` is the fingerprint of the settings."""

    terms: str

    def resolve(self, job: Job) -> str:
        """The digest that the job's name means."""

    def scan(self, job: Job, digest: str, beat: Beat) -> Scanned:
        """The reports."""

    def tidy(self) -> None:
        """Now and then."""


class Workers:
    """A bounded number of threads that scan, each one image at a time, and one that makes up for lost wakes."""

    def __init__(
        self, database: Database, carrier: Carrier, scans: Scans, serving: Serving, metrics: Metrics, tell: Tell
    ) -> None:
        self._database = database
        self._carrier = carrier
        self._scans = scans
        self._serving = serving
        self._metrics = metrics
        self._tell = tell
        self._stop = threading.Event()
        self._hand_back = threading.Event()
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        names = [f"worker-{number}" for number in range(serving.workers)]
        self._threads = [threading.Thread(target=self._work, name=name, args=(name,)) for name in names]
        self._threads.append(threading.Thread(target=self._keep_house, name="housekeeping"))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, grace: float) -> None:
        """Take no more jobs; finish what runs within ``grace`` seconds, and hand back what does not."""
        self._stop.set()
        until = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._hand_back.set()
        for thread in self._threads:
            thread.join()

    # -- the threads

    def _work(self, name: str) -> None:
        looked = 0.0
        while not self._stop.is_set():
            woken = self._carrier.take(self._quietly(lambda: self._work_once(name)))
            if not woken and time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                self._quietly(lambda: self._work_once(name))()
            if not woken:
                self._stop.wait(_PAUSE)

    def _keep_house(self) -> None:
        tidied = 0.0
        while not self._stop.wait(_LOOK):
            self._quietly(lambda: self._carrier.make_up(jobs.due(self._database)))()
            if time.monotonic() - tidied > _TIDY or not tidied:
                tidied = time.monotonic()
                self._quietly(self._tidy)()

    def _tidy(self) -> None:
        with self._database.writing() as connection:
            gone = forget(connection, before=clock(connection) - self._serving.keep_seconds)
        if gone:
            say("reports forgotten", count=gone)
        self._scans.tidy()

    def _quietly(self, do: Callable[[], object]) -> Callable[[], None]:
        """What must not end a thread: a database that is away comes back."""

        def done() -> None:
            try:
                do()
            except CgscanError as problem:
                say("trouble", level=logging.WARNING, reason=str(problem))
                self._stop.wait(1.0)
            except Exception as problem:  # noqa: BLE001 - the last line of defence of a thread
                say("unexpected", level=logging.ERROR, reason=f"{type(problem).__name__}: {problem}")
                self._stop.wait(1.0)

        return done

    # -- one job

    def _work_once(self, name: str) -> None:
        job = jobs.claim(
            self._database,
            f"{self._name}:{name}",
            attempts=self._serving.attempts,
            lease=self._serving.lease_seconds,
            tell=self._tell,
        )
        if job is None:
            return
        say("scan begins", job=job.id, image=job.name, attempt=job.attempts)
        start = time.monotonic()
        try:
            how = self._scan(job)
        except LeaseLost:
            how = "lost"
        except Stopped:
            with suppress(LeaseLost):
                jobs.hand_back(self._database, job)
            how = "handed back"
        except Failed as problem:
            how = self._fail(job, problem)
        self._metrics.ended.labels(how).inc()
        say("scan ends", job=job.id, image=job.name, how=how, seconds=round(time.monotonic() - start, 2))

    def _scan(self, job: Job) -> str:
        digest = self._scans.resolve(job)
        how: dict[str, Any] = {"terms": self._scans.terms, "fresh": self._serving.fresh_seconds, "tell": self._tell}
        if not jobs.settle_digest(self._database, job, digest, **how):
            return "known"
        start = time.monotonic()
        scanned = self._scans.scan(job, digest, self._beat(job))
        self._metrics.seconds.observe(time.monotonic() - start)
        self._metrics.bytes.inc(scanned.read)
        self._metrics.layers.labels("remembered").inc(scanned.remembered)
        self._metrics.layers.labels("read").inc(scanned.layers - scanned.remembered)
        jobs.finish(self._database, job, scanned.reports, digest=digest, answers=scanned.answers, tell=self._tell)
        return "done"

    def _beat(self, job: Job) -> Beat:
        """Renew the lease now and then; end the scan when it is lost or this worker has to stop."""
        lease = self._serving.lease_seconds
        renewed = time.monotonic()
        held_until = renewed + lease

        def beat() -> None:
            nonlocal renewed, held_until
            if self._hand_back.is_set():
                raise Stopped
            now = time.monotonic()
            if now - renewed < lease / _RENEWALS:
                return
            renewed = now
            try:
                jobs.renew(self._database, job, lease=lease)
                held_until = now + lease
            except CgscanError:  # away for a while; beyond the lease the job is somebody else's
                if time.monotonic() > held_until:
                    raise LeaseLost from None

        return beat

    def _fail(self, job: Job, problem: Failed) -> str:
        try:
            gone = problem.absent and job.source in (INDEXES, CRAWL)  # it was there when it was queued
            if gone or (problem.no_image and job.source != ASKED):  # what hangs on an image is pushed like one
                jobs.leave(self._database, job, problem.reason, gone=gone)
                state = jobs.State.CANCELLED
            elif problem.passing:
                most = self._serving.attempts
                state = jobs.retry(self._database, job, problem.reason, attempts=most, tell=self._tell)
            else:
                jobs.give_up(self._database, job, problem.reason, tell=self._tell)
                state = jobs.State.DEAD
        except LeaseLost:
            return "lost"
        say("scan fails", level=logging.WARNING, job=job.id, state=state.value, reason=problem.reason)
        return state.value
