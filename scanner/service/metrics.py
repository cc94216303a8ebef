"""What Prometheus is told: counters of a process, and what is in the database, asked when a server is scraped."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server

from scanner.results import rounds
from scanner.results.crawls import walks
from scanner.results.database import Database
from scanner.results.reading import fleet
from scanner.service.jobs import State, counted
from scanner.service.telling import outbox

_WALKED: Final = {
    "begun": "Begin in seconds since 1970",
    "ended": "End in seconds since 1970",
    "repositories": "Repositories",
    "images": "Tags that were looked at",
    "queued": "Images that were queued",
    "gone": "Names that are not there any more",
}
_ASKED: Final = {
    "ended": "End in seconds since 1970",
    "answered": "Questions that were answered",
    "unanswered": "Questions that were not answered",
    "changed": "Answers that were new",
}
PATIENCE: Final = 10.0
"""Seconds for a request to a worker to come; each has a thread, which nobody is to hold."""
_SECONDS: Final = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._own = own = CollectorRegistry()
        self.ended = Counter("cgscan_jobs_ended", "Attempts by how they ended", ["how"], registry=own)
        self.seconds = Histogram("cgscan_scan_seconds", "Seconds of a scan", buckets=_SECONDS, registry=own)
        self.bytes = Counter("cgscan_layer_bytes_read", "Stored bytes of layers read", registry=own)
        self.layers = Counter("cgscan_layers", "Layers by where they came from", ["came"], registry=own)
        self.webhooks = Counter("cgscan_webhooks", "Webhooks by source and answer", ["source", "status"], registry=own)
        self.admissions = Counter(
            "cgscan_admissions", "Reviews of Kubernetes by what was answered", ["verdict"], registry=own
        )
        self.told = Counter(
            "cgscan_told", "Attempts to tell by receiver and outcome", ["receiver", "how"], registry=own
        )
        self.shared = Counter("cgscan_shared", "Values asked of the fleet or put there", ["kind", "how"], registry=own)

        self._of_all = of_all = CollectorRegistry()
        self._outbox = Gauge(
            "cgscan_notifications", "What is to be told by receiver and state", ["receiver", "state"], registry=of_all
        )
        self._jobs = Gauge("cgscan_jobs", "Jobs by state", ["state"], registry=of_all)
        self._coverage = Gauge(
            "cgscan_coverage_percent", "Verified of applicable, newest of all names", registry=of_all
        )
        self._images = Gauge("cgscan_images", "Names of images that are known", registry=of_all)
        self._walks = {
            name: Gauge(f"cgscan_crawl_{name}", f"{what} of the last walk", ["registry"], registry=of_all)
            for name, what in _WALKED.items()
        }
        self._asked = {
            name: Gauge(f"cgscan_index_{name}", f"{what} of the last round", ["index"], registry=of_all)
            for name, what in _ASKED.items()
        }

    def serve(self, host: str, port: int) -> int:
        """Let Prometheus ask for the counters, at any path; the port. OSError where it cannot listen."""
        server, _ = start_http_server(port, host, self._own)
        asked = server.RequestHandlerClass
        assert isinstance(asked, type)
        server.RequestHandlerClass = type(asked.__name__, (asked,), {"timeout": PATIENCE})
        return int(server.server_port)

    def text(self, database: Database) -> bytes:
        """All of it in Prometheus' format; what is of the whole fleet would be counted twice if workers said it too."""
        counts = counted(database)
        for state in State:
            self._jobs.labels(state.value).set(counts[state])
        self._outbox.clear()
        for (receiver, word), number in outbox.counted(database).items():
            self._outbox.labels(receiver, word).set(number)
        self._tell_rounds(database)
        now = fleet(database)
        self._images.set(now.images)
        self._coverage.set(now.coverage if now.coverage is not None else float("nan"))
        return generate_latest(self._own) + generate_latest(self._of_all)

    def _tell_rounds(self, database: Database) -> None:
        for gauge in (*self._walks.values(), *self._asked.values()):
            gauge.clear()
        for walk in walks(database):
            for name, gauge in self._walks.items():
                gauge.labels(walk.registry).set(_number(getattr(walk, name)))
        for one in rounds.last(database):
            for name, gauge in self._asked.items():
                gauge.labels(one.index).set(_number(getattr(one, name)))


def _number(value: float | None) -> float:
    """NaN for what has not ended."""
    return float("nan") if value is None else float(value)
