"""All of it within the time, whatever is slow.

A review is worked on by a thread of its own, which writes down what it finds as it finds it. Who answers waits for it
no longer than tags may take and a little more; what is not written down by then is unknown, and the thread goes on for
the next review.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from scanner.digest import Digest
from scanner.errors import CgscanError, UsageError
from scanner.policy import Policy
from scanner.reference import ImageName
from scanner.service.admission.found import Exempt, Found, Result, Unknown
from scanner.service.admission.judging import Decision, Looked, ago, decide
from scanner.service.admission.lookup import Lookup
from scanner.service.admission.review import Review
from scanner.service.admission.tags import Tags, Unresolved
from scanner.service.jobs import Full, Priority, Wanted
from scanner.service.logs import say
from scanner.serving import Mode, Rule, Serving

REST: Final = 0.4
"""Seconds for all that is not resolving tags."""
LATE: Final = "not resolved in time"
SLOW: Final = "not looked up in time"
SOURCE: Final = "admission"
_MOST_REVIEWS: Final = 64
_AGAIN: Final = 600.0
"""Seconds after which what nothing came of is queued once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """An image of a review; ``name`` is None where what is written is no name, which ``found`` then says."""

    text: str
    where: tuple[str, ...]
    name: ImageName | None
    found: Found | None

    @property
    def pinned(self) -> bool:
        return self.name is not None and self.name.digest is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A review that is worked on; ``found`` is written by the thread and read by who answers."""

    rule: Rule
    dry_run: bool
    images: tuple[_Image, ...]
    until: float
    found: dict[str, Found] = field(default_factory=dict)

    def looked(self, otherwise: str) -> list[Looked]:
        """What there is by now."""
        known = dict(self.found)
        return [
            Looked(
                image=one.text,
                where=one.where,
                pinned=one.pinned,
                found=one.found or known.get(one.text) or Unknown(reason=otherwise if one.pinned else LATE),
            )
            for one in self.images
        ]


class Gate:
    """Answers reviews. ``queue`` takes what is wanted and gives the paths of its jobs, committed."""

    def __init__(
        self,
        *,
        serving: Serving,
        policy: Policy,
        lookup: Lookup,
        tags: Tags,
        queue: Callable[[Sequence[Wanted]], list[str]],
        circumstances: Callable[[], str],
    ) -> None:
        self._serving = serving
        self._policy = policy
        self._lookup = lookup
        self._tags = tags
        self._queue = queue
        self._circumstances = circumstances
        self._room = threading.BoundedSemaphore(_MOST_REVIEWS)

    async def decide(self, review: Review, *, within: float | None = None) -> Decision:
        """The answer, ``within`` these seconds and at the latest :data:`REST` after tags have had their time."""
        admission = self._serving.admission
        rule = admission.rule(review.namespace)
        if rule.mode is Mode.OFF or not review.images:
            return Decision(allowed=True, annotations={"verdict": "allow", "mode": rule.mode.value})
        seconds, rest = _time(admission.resolve_seconds, within)
        until = time.monotonic() + seconds
        images = _images(review, rule, most=admission.images)
        work = _Work(rule=rule, dry_run=review.dry_run, images=images, until=until)
        if not self._room.acquire(blocking=False):
            return decide(rule, work.looked("too many reviews at once"), url=self._serving.url)
        over, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has ended with the service
                loop.call_soon_threadsafe(over.set)

        threading.Thread(target=self._work, args=(work, tell), name="review", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), seconds + rest)
        return decide(rule, work.looked(SLOW), url=self._serving.url)

    # -- the thread

    def _work(self, work: _Work, tell: Callable[[], None]) -> None:
        try:
            self._look(work)
        except Exception as problem:  # noqa: BLE001 - the last line of defence of a thread
            say("unexpected", level=logging.ERROR, reason=f"{type(problem).__name__}: {problem}")
        finally:
            self._room.release()
            tell()

    def _look(self, work: _Work) -> None:
        open_ones = [one for one in work.images if one.found is None]
        begun = {one.text: self._begin(one) for one in open_ones if not one.pinned}
        wanted: dict[str, ImageName] = {}
        for one in sorted(open_ones, key=lambda one: not one.pinned):  # what needs no registry first
            found, queued = self._found(one, begun.get(one.text), work)
            work.found[one.text] = found
            if queued is not None:
                wanted[one.text] = queued
        self._have_scanned(wanted, work)

    def _begin(self, image: _Image) -> Future[str] | None:
        """None for a registry that is not to be asked."""
        assert image.name is not None
        return self._tags.begin(image.name) if self._may_ask(image.name) else None

    def _may_ask(self, name: ImageName) -> bool:
        return not self._serving.registries or name.host in self._serving.registries

    def _found(
        self, image: _Image, answer: Future[str] | None, work: _Work
    ) -> tuple[Result | Unknown, ImageName | None]:
        """What is known, and what is to be scanned."""
        name = image.name
        assert name is not None
        if name.digest is None:
            if answer is None:
                return _foreign(name), None
            try:
                digest = answer.result(timeout=max(0.0, work.until - time.monotonic()))
            except TimeoutError:
                return Unknown(reason=LATE), name
            except Unresolved as problem:
                return Unknown(reason=f"not resolved: {problem.reason}"), name if problem.passing else None
            name = replace(name, digest=Digest.parse(digest))
        return self._known(name, work)

    def _known(self, name: ImageName, work: _Work) -> tuple[Result | Unknown, ImageName | None]:
        policy = self._policy
        if work.rule.min_coverage is not None:
            policy = replace(policy, min_coverage=work.rule.min_coverage)
        try:
            circumstances = self._circumstances()
            result = self._lookup.result(str(name.digest), circumstances, policy, max_age=work.rule.max_age)
            if isinstance(result, Result):
                return result, None
            if not self._may_ask(name):
                return _foreign(name), None
            dead = self._lookup.dead(str(name.digest), circumstances)
        except CgscanError as problem:
            say("trouble", level=logging.WARNING, reason=str(problem))
            return Unknown(reason="results cannot be read now"), None
        if dead is not None:
            again = name if dead.ended is not None and dead.ended > _AGAIN else None
            return Unknown(reason=f"its scan came to nothing: {dead.reason}"), again
        reason = "not scanned yet" if result is None else f"its last scan was {ago(result)}"
        return Unknown(reason=reason), name

    def _have_scanned(self, wanted: dict[str, ImageName], work: _Work) -> None:
        """Queue before everything else, and write down what became of it."""
        if not wanted:
            return
        if work.dry_run:
            self._add(work, dict.fromkeys(wanted, " (not queued: a dry run)"))
            return
        try:
            circumstances = self._circumstances()
            asked = [
                Wanted(image=name, source=SOURCE, priority=Priority.DEPLOY, circumstances=circumstances)
                for name in wanted.values()
            ]
            jobs = self._queue(asked)
        except Full:
            self._add(work, dict.fromkeys(wanted, " (not queued: the queue is full)"))
            return
        except CgscanError as problem:
            say("trouble", level=logging.WARNING, reason=str(problem))
            self._add(work, dict.fromkeys(wanted, " (not queued: the database is out of reach)"))
            return
        for text, job in zip(wanted, jobs, strict=True):
            work.found[text] = replace(_unknown(work.found[text]), job=job)

    @staticmethod
    def _add(work: _Work, more: dict[str, str]) -> None:
        for text, words in more.items():
            before = _unknown(work.found[text])
            work.found[text] = replace(before, reason=f"{before.reason}{words}")


def _time(resolving: float, within: float | None) -> tuple[float, float]:
    """Seconds for tags, and for the rest; a tenth of what the other side waits is for the way."""
    if within is None:
        return resolving, REST
    rest = min(REST, within * 0.3)
    return min(resolving, within * 0.6), rest


def _unknown(found: Found) -> Unknown:
    assert isinstance(found, Unknown)  # only such are queued
    return found


def _foreign(name: ImageName) -> Unknown:
    return Unknown(reason=f"{name.host} is none of serve.registries")


def _images(review: Review, rule: Rule, *, most: int) -> tuple[_Image, ...]:
    """The images of a review, each once."""
    places: dict[str, list[str]] = {}
    for one in review.images:
        places.setdefault(one.image, []).append(one.where)
    return tuple(_image(text, tuple(where), rule, beyond=at >= most) for at, (text, where) in enumerate(places.items()))


def _image(text: str, where: tuple[str, ...], rule: Rule, *, beyond: bool) -> _Image:
    try:
        name = ImageName.parse(text)
    except UsageError as problem:
        return _Image(text=text, where=where, name=None, found=Unknown(reason=problem.message))
    found: Found | None = None
    if rule.exempts(f"{name.host}/{name.repository}"):
        found = Exempt()
    elif beyond:
        found = Unknown(reason="one image too many (serve.admission.images)")
    return _Image(text=text, where=where, name=name, found=found)
