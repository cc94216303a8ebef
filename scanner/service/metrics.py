"""What Prometheus is told. Counters are of this process; what is in the database is asked when it is scraped."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from scanner.results.database import Database
from scanner.results.reading import fleet
from scanner.service.jobs import State, counted
from scanner.service.telling import outbox

_SECONDS: Final = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.ended = Counter("cgscan_jobs_ended", "Attempts by how they ended", ["how"], registry=self.registry)
        self.seconds = Histogram("cgscan_scan_seconds", "Seconds of a scan", buckets=_SECONDS, registry=self.registry)
        self.bytes = Counter("cgscan_layer_bytes_read", "Stored bytes of layers read", registry=self.registry)
        self.layers = Counter("cgscan_layers", "Layers by where they came from", ["came"], registry=self.registry)
        self.webhooks = Counter(
            "cgscan_webhooks", "Webhooks by source and answer", ["source", "status"], registry=self.registry
        )
        self.admissions = Counter(
            "cgscan_admissions", "Reviews of Kubernetes by what was answered", ["verdict"], registry=self.registry
        )
        self.told = Counter(
            "cgscan_told", "Attempts to tell by receiver and outcome", ["receiver", "how"], registry=self.registry
        )
        self._outbox = Gauge(
            "cgscan_notifications",
            "What is to be told by receiver and state",
            ["receiver", "state"],
            registry=self.registry,
        )
        self.shared = Counter(
            "cgscan_shared", "Values asked of the fleet or put there", ["kind", "how"], registry=self.registry
        )
        self._jobs = Gauge("cgscan_jobs", "Jobs by state", ["state"], registry=self.registry)
        self._coverage = Gauge(
            "cgscan_coverage_percent", "Verified of applicable, newest of all names", registry=self.registry
        )
        self._images = Gauge("cgscan_images", "Names of images that are known", registry=self.registry)

    def text(self, database: Database) -> bytes:
        """All of it in Prometheus' format."""
        counts = counted(database)
        for state in State:
            self._jobs.labels(state.value).set(counts[state])
        self._outbox.clear()
        for (receiver, word), number in outbox.counted(database).items():
            self._outbox.labels(receiver, word).set(number)
        now = fleet(database)
        self._images.set(now.images)
        self._coverage.set(now.coverage if now.coverage is not None else float("nan"))
        return generate_latest(self.registry)
