"""What is asked and answered, as values; the description of the API is made of them."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Row = TypeVar("Row")
StateName = Literal["queued", "running", "failed", "done", "dead", "cancelled"]


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class ScanRequest(BaseModel):
    """What is to be scanned."""

    model_config = ConfigDict(extra="forbid")
    image: str = Field(
        min_length=1,
        max_length=600,
        description="An image in a registry: HOST/REPOSITORY[:TAG][@DIGEST]",
        examples=["registry.example/team/app:1.4"],
    )
    priority: Literal["crawl", "push", "request", "deploy"] = "request"


class ImagesAsked(BaseModel):
    """Which images are listed; all that is given has to hold."""

    registry: str | None = Field(None, max_length=300)
    repository: str | None = Field(None, max_length=300)
    tag: str | None = Field(None, max_length=300, description="Empty for images that were named by their digest")
    digest: str | None = Field(None, max_length=300)
    search: str | None = Field(None, max_length=300, description="A part of the name")
    below: float | None = Field(None, ge=0, le=100.01, description="Coverage below this, in percent")
    passed: bool | None = None


class JobAnswer(BaseModel):
    """A job. Times are seconds since 1970; ``reports`` are there once it is done."""

    id: str
    url: str
    state: StateName
    image: str
    digest: str | None
    source: str
    priority: int
    attempts: int
    submitted: float
    due: float
    started: float | None
    ended: float | None
    reason: str | None = Field(description="Why it failed, is dead or was cancelled")
    reports: list[str] = Field(description="Paths of the reports")


class PageOf(BaseModel, Generic[Row]):
    """Rows, and the cursor of what follows them; null at the end."""

    rows: list[Row]
    next: str | None


class ReportNumbers(BaseModel):
    """The numbers of a report. ``coverage`` is percent, null where nothing is applicable."""

    report_id: int
    digest: str | None
    platform: str
    scanned: float
    coverage: float | None
    applicable: int
    verified: int
    upgradable: int
    distributions: int
    findings: int
    passed: bool
    seconds: float


class ImageAnswer(ReportNumbers):
    """A name and its newest report, or one that it had; ``tag`` is empty for an image that was named by its digest."""

    registry: str
    repository: str
    tag: str
    seen: float


class WhereLine(BaseModel):
    """A line of the newest report of a name."""

    registry: str
    repository: str
    tag: str
    platform: str
    digest: str | None
    report_id: int


class DistributionAnswer(WhereLine):
    """A distribution where it runs."""

    name: str
    version: str | None
    kind: str
    origin: str
    integrity: str
    evidence: str | None
    location: str
    layer: int | None
    hidden: bool
    reason: str


class FindingAnswer(WhereLine):
    """A finding where it is."""

    kind: str
    path: str
    layer: int | None
    detail: str


class DistributionCount(BaseModel):
    """A distribution, a version and an origin, and in how many names it runs."""

    name: str
    version: str
    origin: str
    images: int


class CoveragePoint(BaseModel):
    """What was scanned in a span of time that starts ``since``."""

    since: float
    coverage: float | None
    reports: int


class FleetAnswer(BaseModel):
    """The newest of all names together."""

    images: int
    applicable: int
    verified: int
    passed: int
    findings: int
    coverage: float | None


class Accepted(BaseModel):
    """What a webhook led to: jobs, and why what was left out was."""

    jobs: list[str]
    ignored: list[str]


class Health(BaseModel):
    """Whether it works; ``parts`` says what does not."""

    status: Literal["ok", "unavailable"]
    parts: dict[str, Any] = {}
