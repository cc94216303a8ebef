"""A rule x what is known of images -> what is said, in words that a person in front of kubectl can work with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from scanner.formats.text import escaped
from scanner.service.admission.found import Broken, Exempt, Found, Result, Unknown
from scanner.serving import Mode, Rule, Say

_LONGEST: Final = 4000
_LONGEST_WARNING: Final = 250
"""Characters; Kubernetes may cut what is longer than 256."""
_MOST_WARNINGS: Final = 16
_HOUR: Final = 3600.0
REPORTS: Final = "/api/v1/reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """An image, what runs it, whether it is named by its digest, and what is known."""

    image: str
    where: tuple[str, ...]
    pinned: bool
    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer. ``message`` is why not, empty where it is allowed; ``annotations`` are for the audit log."""

    allowed: bool
    message: str = ""
    warnings: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def decide(rule: Rule, looked: Sequence[Looked], *, url: str | None) -> Decision:
    """What a rule says of all images together. ``url`` is where the service is reached."""
    said = [(_counted(rule.mode, say), text) for one in looked for say, text in _said(rule, one, url)]
    denied = [text for say, text in said if say is Say.DENY]
    warned = [text for say, text in said if say is Say.WARN]
    verdict = Say.DENY if denied else Say.WARN if warned else Say.ALLOW
    unknown = sum(isinstance(one.found, Unknown) for one in looked)
    failing = sum(isinstance(one.found, Result) and bool(one.found.broken) for one in looked)
    return Decision(
        allowed=not denied,
        message=_cut(f"cgscan: {'; '.join(denied)}", _LONGEST) if denied else "",
        warnings=tuple(_cut(f"cgscan: {text}", _LONGEST_WARNING) for text in warned[:_MOST_WARNINGS]),
        annotations={
            "verdict": verdict.value,
            "mode": rule.mode.value,
            "images": str(len(looked)),
            "unknown": str(unknown),
            "failing": str(failing),
        },
    )


def _counted(mode: Mode, say: Say) -> Say:
    """Where nothing is enforced nothing is denied."""
    return Say.WARN if say is Say.DENY and mode is not Mode.ENFORCE else say


def _said(rule: Rule, one: Looked, url: str | None) -> list[tuple[Say, str]]:
    what = f"{', '.join(one.where)}: {one.image}"
    said: list[tuple[Say, str]] = []
    match one.found:
        case Exempt():
            return []
        case Result(broken=()):
            pass
        case Result():
            said.append((rule.failing, f"{what}: {_why(one.found, url)}"))
        case Unknown(reason=reason, job=job):
            queued = f"; queued: {url or ''}{job}" if job else ""
            said.append((rule.unknown, f"{what}: no result that counts: {reason}{queued}"))
        case _:
            assert_never(one.found)
    if not one.pinned and rule.tags is not Say.ALLOW:
        said.append((rule.tags, f"{what}: named by a tag, which may come to mean another image; write its digest"))
    return said


def _why(result: Result, url: str | None) -> str:
    several = result.reports > 1
    parts = "; ".join(_broken(one, url, several=several) for one in result.broken)
    more = f" ({len(result.broken)} of {result.reports} platforms)" if several else ""
    old = f" (scanned {ago(result.age)}, before indexes or settings changed)" if result.age is not None else ""
    return f"{parts}{more}{old}"


def _broken(one: Broken, url: str | None, *, several: bool) -> str:
    platform = f"{one.platform}: " if several and one.platform else ""
    return f"{platform}{'; '.join(one.violations)}; report: {url or ''}{REPORTS}/{one.report}"


def ago(seconds: float) -> str:
    """In words: ``3 days ago``."""
    hours = int(seconds // _HOUR)
    if hours < 1:
        return "less than an hour ago"
    count, noun = (hours, "hour") if hours < 48 else (hours // 24, "day")
    return f"{count} {noun}{'' if count == 1 else 's'} ago"


def _cut(text: str, longest: int) -> str:
    text = escaped(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
