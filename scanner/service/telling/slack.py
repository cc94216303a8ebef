"""A document as a message for Slack's incoming webhooks, and for Mattermost and Rocket.Chat, which read its ``text``.

What comes out of images is hostile: it stands in code spans, with ``&``, ``<`` and ``>`` escaped
(docs.slack.dev/messaging/formatting-message-text), so that it makes no link, mentions nobody and formats nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from scanner.formats.text import escaped

_SECTION: Final = 2900
"""Characters of a section; Slack takes 3000."""
_HEADER: Final = 150
_TITLES: Final = {
    "broken": "Policy broken",
    "mended": "Policy holds again",
    "finding": "New findings",
    "dead": "Scan given up",
}


def message_of(document: dict[str, Any]) -> dict[str, Any]:
    """The message: ``text`` for who shows no blocks, and blocks."""
    title = " and ".join(_TITLES[event].lower() if at else _TITLES[event] for at, event in enumerate(_events(document)))
    image = code(document["image"]["name"], 600)
    lines = _fitting(list(_lines(document)))
    body = "\n".join([image, *lines])
    return {
        "text": f"{title}: {body}",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:_HEADER], "emoji": False}},
            {"type": "section", "text": {"type": "mrkdwn", "text": body, "verbatim": True}},
        ],
    }


def code(text: str, most: int = 200) -> str:
    """A text as code that is that and nothing else. A mention is none in code, but not every reader knows that."""
    said = escaped(text)
    short = said if len(said) <= most else f"{said[: most - 1]}…"
    safe = short.replace("`", "'").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"`{safe}`".replace("`@", "` @").replace(" @", " \u200b@")


def _events(document: dict[str, Any]) -> list[str]:
    return [event for event in _TITLES if event in document["events"]]


def _lines(document: dict[str, Any]) -> Iterator[str]:
    if document["job"]["reason"]:
        yield f"Reason: {code(document['job']['reason'], 500)}"
        yield from _see(document["job"]["url"], "Job")
    several = len(document["reports"]["items"]) > 1
    for report in document["reports"]["items"]:
        if several:
            yield f"*{code(report['platform'] or 'no platform')}*"
        yield from _of_report(report)
    if document["reports"]["more"]:
        yield f"and {document['reports']['more']} more platforms"


def _of_report(report: dict[str, Any]) -> Iterator[str]:
    yield f"Coverage: {_percent(report['coverage'])}{_was(report['previous'])}"
    yield from _see(report["page"], "Report")
    if "broken" in report["events"]:
        yield from _list("Violation", report["violations"], lambda one: code(one, 300))
    if "finding" in report["events"]:
        yield from _list("Finding", report["findings"], lambda one: f"{one['kind']} {code(one['path'])}")
    if {"broken", "mended"} & set(report["events"]):
        yield from _list("Changed", report["distributions"], _distribution)


def _distribution(one: dict[str, Any]) -> str:
    stand = one["after"] or one["before"]
    version = f" {stand['version']}" if stand["version"] else ""
    return f"{code(one['name'] + version)} {', '.join(one['what'])} ({stand['origin']}, {stand['integrity']})"


def _list(title: str, listed: dict[str, Any], shown: Any) -> Iterator[str]:
    for one in listed["items"]:
        yield f"• {title}: {shown(one)}"
    if listed["more"]:
        yield f"• and {listed['more']} more"


def _was(previous: dict[str, Any] | None) -> str:
    return f" (was {_percent(previous['coverage'])})" if previous else " (no report before)"


def _percent(coverage: float | None) -> str:
    return "nothing applicable" if coverage is None else f"{coverage:g} %"


def _see(url: str | None, what: str) -> Iterator[str]:
    if url:
        yield f"{what}: <{url}|{url.rpartition('/')[2]}>"


def _fitting(lines: list[str]) -> list[str]:
    """As many lines as fit into one section."""
    kept: list[str] = []
    left = _SECTION - 700  # the image's name and the last line
    for number, line in enumerate(lines):
        left -= len(line) + 1
        if left < 0:
            return [*kept, f"and {len(lines) - number} more lines"]
        kept.append(line)
    return kept
