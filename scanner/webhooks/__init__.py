"""Webhooks of registries: is a request the registry's, and which image of ours does it speak of.

::

    source        WebhookSource: a configured sender; what each kind offers
    settings      the section ``webhooks`` of cgscan.yaml -> sources
    request       headers and body, read strictly
    authenticity  is it the registry's: signature, secret, token
    tokens, keys  Google's tokens and the keys they are signed with
    kinds         one reader for each kind: payload -> hints
    naming        hint -> an image on the configured registry, or why it is ignored
    receiving     the steps in their order: request -> Accepted, Refused or Answered
    events        what came of it, as values

A payload is a hint. It chooses no host, and nothing of it is asked for before it is checked.
"""

from __future__ import annotations

from scanner.webhooks.events import Accepted, Answered, Event, Ignored, Outcome, Pushed, Refused
from scanner.webhooks.keys import Fetch, Fetched, Keys
from scanner.webhooks.receiving import handshake, receive
from scanner.webhooks.settings import WEBHOOK_KEYS, file_webhooks
from scanner.webhooks.source import OFFERS, Auth, Kind, Place, WebhookSource, armed, is_loopback

__all__ = [
    "OFFERS",
    "WEBHOOK_KEYS",
    "Accepted",
    "Answered",
    "Auth",
    "Event",
    "Fetch",
    "Fetched",
    "Ignored",
    "Keys",
    "Kind",
    "Outcome",
    "Place",
    "Pushed",
    "Refused",
    "WebhookSource",
    "armed",
    "file_webhooks",
    "handshake",
    "is_loopback",
    "receive",
]
