"""How the walks through registries go, and when indexes were last asked."""

from __future__ import annotations

from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from scanner.results import rounds
from scanner.results.crawls import Walk, walks
from scanner.results.turns import states_of
from scanner.service.api.asked import MAY_READ, Asked
from scanner.service.api.jobs import ROOT
from scanner.service.api.problems import described
from scanner.service.rounds import WATCH, name_of

router: Final = APIRouter(prefix=ROOT, tags=["crawls"], responses=described(401, 403, 422, 503))


class CrawlAnswer(BaseModel):
    """The last walk through a registry. Times are seconds since 1970."""

    registry: str
    state: Literal["waiting", "walking", "broken off"] = Field(description="Broken off goes on at `next`")
    begun: float | None
    ended: float | None
    next: float | None = Field(description="When the next walk is due; null where nothing walks by itself")
    repositories: int
    images: int = Field(description="Tags that the filters chose")
    queued: int = Field(description="Images that were not known")
    gone: int = Field(description="Names that the registry does not have any more")
    problem: str | None = Field(description="What was left out, or is in the way")


class IndexAnswer(BaseModel):
    """The last round of questions to an index: has it changed? Times are seconds since 1970."""

    name: str
    ended: float
    next: float | None
    answered: int
    unanswered: int
    changed: int = Field(description="Answers that were new")
    problem: str | None


@router.get("/crawls", dependencies=[MAY_READ])
def list_crawls(service: Asked) -> list[CrawlAnswer]:
    """Every registry that is to be walked through or was."""
    known = {walk.registry: walk for walk in walks(service.database)}
    turns = states_of(service.database)
    configured = [crawl.registry for crawl in service.serving.crawl]
    answers = []
    for registry in sorted({*known, *configured}):
        walk = known.get(registry)
        turn = turns.get(name_of(registry))
        held = turn is not None and turn.held
        due = turn.due if turn is not None and registry in configured else None
        counts = walk or Walk(registry=registry, begun=0.0, ended=0.0)
        answers.append(
            CrawlAnswer(
                registry=registry,
                state="walking" if held else "waiting" if counts.ended is not None else "broken off",
                begun=walk.begun if walk else None,
                ended=walk.ended if walk else None,
                next=None if held else due,
                **{name: getattr(counts, name) for name in ("repositories", "images", "queued", "gone", "problem")},
            )
        )
    return answers


@router.get("/indexes", dependencies=[MAY_READ])
def list_indexes(service: Asked) -> list[IndexAnswer]:
    """The indexes, as they were last asked whether they have changed."""
    turn = states_of(service.database).get(WATCH)
    due = turn.due if turn is not None and not turn.held else None
    return [
        IndexAnswer(
            name=one.index,
            next=due,
            **{name: getattr(one, name) for name in ("ended", "answered", "unanswered", "changed", "problem")},
        )
        for one in rounds.last(service.database)
    ]
