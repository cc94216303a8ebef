"""A request -> what is to be scanned, or why it is refused; the steps in their order.

The threat: whoever reaches the address may post anything. So (1) the size is bounded, (2) the sender is checked over
the raw bytes, before anything reads them, (3) the body is read strictly, and (4) what it says is a hint: the host is
the configuration's, and the registry is asked with our own credentials. Nothing here asks any host but for Google's
keys, at the configured address.

Statuses: 400 no such body, 401 nothing that shows who sends, 403 it shows somebody else, 413 too long, 415 not JSON,
503 it cannot be checked now. What a registry may well send and we have no use for is accepted and ignored: registries
send again what was refused, some for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from scanner.webhooks import authenticity, kinds
from scanner.webhooks.events import Accepted, Answered, Event, Ignored, Outcome, Refused, Unacceptable
from scanner.webhooks.keys import Keys
from scanner.webhooks.kinds.adapter import Answer, Delivery
from scanner.webhooks.naming import Hint, event_of
from scanner.webhooks.request import Headers, RawHeaders, bounded, document
from scanner.webhooks.source import Kind, WebhookSource

_MOST_EVENTS: Final = 1000
"""Of one request."""
_RATE: Final = "6000"
"""Requests in a minute that a CloudEvents sender may make."""


def receive(
    source: WebhookSource,
    headers: RawHeaders,
    body: bytes,
    *,
    now: float,
    keys: Keys | None = None,
    url_secret: str | None = None,
) -> Outcome:
    """What came of a POST to ``/webhooks/<name>``. Raises nothing, whatever the request is.

    ``headers`` as a mapping or as pairs; ``body`` as it came, the service need not have read more than
    ``source.body`` + 1 bytes; ``now`` in Unix seconds; ``url_secret`` is ``secret`` of the query. ``keys`` is made
    once in a process, and only kind ``google`` needs it: its first request then takes as long as Google's answer.
    """
    try:
        bounded(body, source.body)
        found = Headers.of(headers)
        authenticity.check(source, found, body, url_secret=url_secret, now=now, keys=keys)
        delivery = Delivery(source=source, headers=found, document=document(found, body))
        return _outcome(source, list(kinds.READERS[source.kind](delivery)))
    except Unacceptable as problem:
        return Refused(status=problem.status, reason=problem.reason)


def _outcome(source: WebhookSource, read: list[Hint | Ignored | Answer]) -> Outcome:
    if len(read) > _MOST_EVENTS:
        raise Unacceptable(413, f"more than {_MOST_EVENTS} events in one body")
    for one in read:
        if isinstance(one, Answer):
            return Answered(document=one.document)
    events = tuple(dict.fromkeys(_events(source, read)))
    return Accepted(events=events or (Ignored(reason="there is no event in it"),))


def _events(source: WebhookSource, read: list[Hint | Ignored | Answer]) -> Iterator[Event]:
    """Each hint as an event; images of an index that is in the same body are the index's."""
    children = {child for one in read if isinstance(one, Hint) for child in one.children}
    for one in read:
        if isinstance(one, Ignored):
            yield one
        elif isinstance(one, Hint):
            inside = not one.tag and one.digest in children
            yield Ignored(reason="one image of an index that came with it") if inside else event_of(source, one)


def handshake(source: WebhookSource, headers: RawHeaders) -> Answered | Refused:
    """The answer to OPTIONS: may this origin send here (CloudEvents HTTP webhooks 1.0, section 4).

    Only for kind ``acr``, whose events may come through Azure Event Grid. It proves nothing of who sends, so no secret
    is asked for. A callback that the request names is never called.
    """
    if source.kind is not Kind.ACR:
        return Refused(status=405, reason="there is no handshake with a source of this kind; send POST")
    try:
        origin = (Headers.of(headers).one("WebHook-Request-Origin") or "").lower()
    except Unacceptable as problem:
        return Refused(status=problem.status, reason=problem.reason)
    if origin not in source.origins:
        return Refused(status=403, reason="the header WebHook-Request-Origin is none of origins")
    allowed: Mapping[str, str] = {
        "WebHook-Allowed-Origin": origin,
        "WebHook-Allowed-Rate": _RATE,
        "Allow": "POST, OPTIONS",
    }
    return Answered(headers=allowed)
