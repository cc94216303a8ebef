"""The one HTTP client: registries and indexes are asked through it, nothing else imports httpx.

Rules: credentials are given for one request and leave with a redirect to another origin;
every answer is bounded in bytes and time; what can pass (429, 5xx, broken connections) is
tried again with the server's ``Retry-After``; bytes are taken raw, because a decoded
Content-Encoding breaks digests. Plain http is spoken to loopback hosts, to others only when allowed.

In reading order::

    urls            what of a URL may be shown; whose an address is
    answers         credentials, answers and failures
    failures        what is no answer, and whether it may pass
    turns           how many requests one host may be busy with
    client          what the rest of the program asks
    connections     how it is asked, with httpx; imported with the first request
"""

from scanner.http.answers import (
    Answer,
    CertificateRefused,
    Credentials,
    HostUnreachable,
    RequestFailed,
    Stream,
    asked_pause,
)
from scanner.http.client import Client
from scanner.http.urls import is_loopback, literal_address, masked

__all__ = [
    "Answer",
    "CertificateRefused",
    "Client",
    "Credentials",
    "HostUnreachable",
    "RequestFailed",
    "Stream",
    "asked_pause",
    "is_loopback",
    "literal_address",
    "masked",
]
