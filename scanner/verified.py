"""What attestations of an image are worth, for ``cgscan verify-attestation``: a table, or ``cgscan-verification/1``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scanner.formats.json_ import written
from scanner.formats.text import Look, many, shown, wrapped
from scanner.report import plain
from scanner.statement import SUMMARY
from scanner.vouched import Claim, Seen, Verification


def render(found: Verification, format: str, look: Look) -> str:  # noqa: A002 - the word of the command line
    """One of ``table`` and ``json``."""
    if format == "json":
        return written(_object(found))
    return "\n".join(line.rstrip() for line in _table(found, look)) + "\n"


def _object(found: Verification) -> dict[str, Any]:
    return {
        "schema": found.schema,
        "verified": found.verified,
        "image": plain(found.image),
        "digest": str(found.digest),
        "via": plain(found.via),
        "faults": plain(found.faults),
        "counted": [_seen(one) for one in found.counted],
        "passed_over": [_seen(one) for one in found.passed_over],
        "notes": plain(found.notes),
    }


def _seen(one: Seen) -> dict[str, Any]:
    claim = one.claim
    return {
        "where": plain(one.where),
        "key": plain(one.key),
        "why": plain(one.why),
        "predicate_type": claim.predicate_type if claim else None,
        "time": claim.time.isoformat() if claim else None,
        "passed": claim.passed if claim else None,
        "coverage": claim.coverage if claim else None,
        "policy_min_coverage": claim.least if claim else None,
        "levels": plain(claim.levels) if claim else [],
        "verifier": plain(claim.verifier) if claim else None,
    }


def _table(found: Verification, look: Look) -> Iterator[str]:
    yield look.paint(shown(found.image), "bold")
    yield f"  {found.digest}"
    yield f"  from {shown(found.via)}"
    for one in found.counted:
        assert one.claim is not None
        yield ""
        yield from wrapped(f"counts: {_said(one.claim)}", look.columns, first="  ", rest="    ")
        yield f"    {shown(one.where)}"
        yield f"    signed with {shown(one.key or '')}"
    if found.passed_over:
        yield from ("", f"Passed over ({len(found.passed_over)})")
    for one in found.passed_over:
        yield from wrapped(f"{shown(one.where)}: {shown(one.why or '')}", look.columns, first="  ", rest="    ")
    for note in found.notes:
        yield from wrapped(f"note: {shown(note)}", look.columns, first="", rest="  ")
    yield ""
    if found.verified:
        yield look.paint(f"Verified by {many(len(found.counted), 'attestation')}.", "green")
    for fault in found.faults:
        yield look.paint(f"Not verified: {shown(fault)}.", "red")


def _said(claim: Claim) -> str:
    kind = "summary" if claim.predicate_type == SUMMARY else "report"
    result = "PASSED" if claim.passed else "FAILED"
    coverage = f", coverage {claim.coverage:g} %" if claim.coverage is not None else ""
    least = f", the policy asked for {claim.least:g} %" if claim.least is not None else ""
    levels = f", {' '.join(map(shown, claim.levels))}" if claim.levels else ""
    verifier = f", by {shown(claim.verifier)}" if claim.verifier else ""
    return f"{kind} of {claim.time.isoformat()}: {result}{coverage}{least}{levels}{verifier}"
