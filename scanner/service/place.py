"""The database and the queue of a service, and what else those need who work beside requests and scans."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from scanner.config import Settings
from scanner.results.database import Database
from scanner.service.carrier import Carrier
from scanner.serving import Serving


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where walks and rounds write to, and what they do. They end soon after ``stop`` is set."""

    database: Database
    carrier: Carrier
    settings: Settings
    serving: Serving
    stop: threading.Event


class Stopping(Exception):
    """This process ends; another goes on."""


def opened_database(serving: Serving) -> Database:
    """The database, its tables brought up to this version."""
    database = Database(serving.database or f"sqlite:///{serving.folder.absolute() / 'cgscan.sqlite'}")
    database.migrate()
    return database


def lease_of(place: Place) -> float:
    """Seconds of a lease that outlives one request."""
    return max(place.serving.lease_seconds, 4 * place.settings.limits.request_seconds)
