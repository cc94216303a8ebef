"""DSSE envelopes as values: a payload, what it is, and the signatures over both.

https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md. Nothing is checked here but the shape; whether
a signature holds is :mod:`scanner.signing`'s business. Envelopes of strangers are read strictly: what two readers may
read differently is refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scanner.decoding import json_value
from scanner.errors import UsageError

STATEMENT_TYPE: Final = "application/vnd.in-toto+json"
"""The payload type of an in-toto statement; cosign's too."""
ENVELOPE_TYPE: Final = "application/vnd.dsse.envelope.v1+json"
"""The media type of an envelope as a file."""
BUNDLE_TYPE: Final = "application/vnd.dev.sigstore.bundle"
"""What the media type of a Sigstore bundle begins with, as cosign attaches them; a version and ``+json`` follow."""
MOST_SIGNATURES: Final = 32


class NoEnvelope(Exception):
    """A document that is no envelope; the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature: raw bytes, and what its signer calls the key (a hint, signed by nobody)."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """``payload`` is raw bytes, ``payload_type`` their media type."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]


def read_envelope(document: bytes) -> Envelope:
    """The envelope in a JSON document: one as it is, or the one inside a Sigstore bundle. :class:`NoEnvelope`."""
    try:
        said = json_value(document, "it")
    except UsageError as problem:
        raise NoEnvelope(f"broken JSON ({problem.message})") from problem
    if not isinstance(said, dict):
        raise NoEnvelope("no object")
    if "mediaType" in said:
        said = _inside(said)
    return _envelope(said)


def _inside(bundle: Mapping[str, Any]) -> Mapping[str, Any]:
    kind, inner = bundle["mediaType"], bundle.get("dsseEnvelope")
    if not isinstance(kind, str) or not kind.startswith(BUNDLE_TYPE):
        raise NoEnvelope(f"a document of the media type {ascii(kind)[:80]}")
    if not isinstance(inner, dict):
        raise NoEnvelope("a Sigstore bundle without an envelope in it")
    return inner


def _envelope(said: Mapping[str, Any]) -> Envelope:
    payload_type, listed = said.get("payloadType"), said.get("signatures")
    if not isinstance(payload_type, str) or "payload" not in said:
        raise NoEnvelope("no DSSE envelope: it has no payload, or does not say what it is")
    if not isinstance(listed, list) or len(listed) > MOST_SIGNATURES:
        raise NoEnvelope(f"no list of at most {MOST_SIGNATURES} signatures")
    signatures = tuple(map(_signature, listed))
    if len({one.sig for one in signatures}) != len(signatures):
        raise NoEnvelope("the same signature stands in it twice")
    if len(named := [one.keyid for one in signatures if one.keyid]) != len(set(named)):
        raise NoEnvelope("two signatures of one key")
    return Envelope(payload=_decoded(said["payload"]), payload_type=payload_type, signatures=signatures)


def _signature(said: object) -> Signature:
    keyid = said.get("keyid") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(keyid, str | None):
        raise NoEnvelope("a signature that is none")
    return Signature(keyid=keyid or "", sig=_decoded(said.get("sig")))


def _decoded(text: object) -> bytes:
    """Base64, the standard or the URL-safe kind: the specification allows both, and nothing besides."""
    if not isinstance(text, str):
        raise NoEnvelope("a payload or signature that is no text")
    try:
        return base64.b64decode(text.encode("ascii").translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except (ValueError, binascii.Error) as problem:
        raise NoEnvelope("a payload or signature that is no base64") from problem
