"""One walk through a registry now, for ``cgscan crawl``; what it queues the service's workers scan."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from scanner.config import Settings
from scanner.errors import CgscanError
from scanner.results import turns
from scanner.results.crawls import Walk
from scanner.results.database import clock
from scanner.results.turns import TurnLost
from scanner.run import source_of
from scanner.service.carrier import Carrier
from scanner.service.circumstances import terms_of
from scanner.service.jobs import Job
from scanner.service.looking import Looking
from scanner.service.place import Place, lease_of, opened_database
from scanner.service.rounds import due_after, name_of
from scanner.service.walking import Pace, Walking
from scanner.serving import Crawl, Serving
from scanner.sources.catalog import open_catalog


@contextmanager
def opened(settings: Settings, serving: Serving) -> Iterator[Place]:
    """The service's database and queue."""
    database = opened_database(serving)
    carrier = Carrier(serving.queue, serving.folder)
    try:
        yield Place(database=database, carrier=carrier, settings=settings, serving=serving, stop=threading.Event())
    finally:
        carrier.close()
        database.close()


def walk_now(place: Place, crawl: Crawl, tell: Callable[[str], object]) -> Walk:
    """Walk from the start, whether it is due or not; how it ended. ``tell`` hears each image that is queued."""
    holder = f"{socket.gethostname()}:{os.getpid()}"
    turn = turns.take_now(place.database, name_of(crawl.registry), holder, lease=lease_of(place))
    if turn is None:
        raise CgscanError(f"{crawl.registry}: another process is walking through it", hint="see /api/v1/crawls")

    def queued(job: Job) -> None:
        tell(job.name)

    try:
        walk = Walking(place, crawl, turn, queued).walk(anew=True)
    except TurnLost as problem:
        raise CgscanError(f"{crawl.registry}: another process has taken over") from problem
    except BaseException:  # also an interrupt: others need not wait for the lease
        turns.give_back(place.database, turn, due=0.0)
        raise
    with place.database.reading() as connection:
        due = due_after(walk, crawl, clock(connection))
    turns.give_back(place.database, turn, due=due)
    return walk


def look_now(place: Place, crawl: Crawl, tell: Callable[[str], object]) -> Walk:
    """The same, but nothing is queued or written down."""
    source = source_of(place.settings)
    with place.database.reading() as connection:
        walk = Walk(registry=crawl.registry, begun=clock(connection))
    with open_catalog(crawl.registry, options=source, pace=Pace(crawl.per_second, place.stop)) as catalog:
        looking = Looking(catalog, crawl, place.database, terms_of(place.settings))
        for name in looking.repositories():
            for part in looking.parts(name, most=crawl.most_images - walk.images):
                walk = walk.with_part(images=part.images, queued=len(part.new), gone=len(part.gone))
                for image in part.new:
                    tell(str(image))
            walk = replace(walk, repositories=walk.repositories + 1)
    return replace(walk, ended=walk.begun, problem=looking.left)
