"""A report -> in-toto statements about its image.

https://in-toto.io/Statement/v1 with the image's manifest as subject, by digest, and one of two predicates:

* :data:`SUMMARY`, SLSA's Verification Summary: does the policy hold (https://slsa.dev/spec/v1.1/verification_summary);
* :data:`REPORT`, the whole report as ``-o json`` writes it. The type is a URN of our own making, registered nowhere:
  it borrows nobody's domain, and means what ``docs/attest.md`` says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from scanner.digest import Digest
from scanner.errors import UnsupportedTarget, UsageError
from scanner.formats.facts import image_purl
from scanner.formats.target import name_of
from scanner.policy import Policy
from scanner.report import Report, as_object, valid_text

STATEMENT: Final = "https://in-toto.io/Statement/v1"
SUMMARY: Final = "https://slsa.dev/verification_summary/v1"
REPORT: Final = "urn:cgscan:report:v1"
VERIFIER: Final = "urn:cgscan:verifier"
"""Who verified, where nobody says it: some cgscan."""
POLICY: Final = "urn:cgscan:policy:v1"
"""The kind of policy, and the field of a summary in which it stands."""
FULL_COVERAGE: Final = "CGSCAN_COVERAGE_100"
"""Every applicable distribution is verified, and there is one; SLSA's own levels say how something was built."""
UNEVALUATED: Final = "SLSA_BUILD_LEVEL_UNEVALUATED"
PASSED: Final = "PASSED"
FAILED: Final = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An attestation that another one rests on: its predicate's type, and the digest of its envelope or statement."""

    uri: str
    digest: Digest


def digest_of(report: Report) -> Digest:
    """The manifest that a report is about. :class:`scanner.errors.UnsupportedTarget` where it is about none."""
    target = report.target
    try:
        digest = Digest.parse(target.digest or "") if target.kind == "image" else None
    except UsageError:
        digest = None
    if digest is None:
        raise UnsupportedTarget(
            f"{target.reference}: it has no manifest's digest, so there is nothing that an attestation could be about",
            hint="images of registries, OCI layouts and OCI archives have one",
        )
    return digest


def report_statement(report: Report, *, names: Sequence[str] = ()) -> bytes:
    """The whole report as a statement. ``names`` are what the image is called besides."""
    return _statement(report, names, REPORT, as_object(report))


def summary_statement(
    report: Report,
    policy: Policy,
    *,
    names: Sequence[str] = (),
    verifier: str = VERIFIER,
    inputs: Sequence[Input] = (),
) -> bytes:
    """Whether ``policy``, under which the report was judged, holds. ``verifier`` is a URI for who says so.

    The time is that of the scan: an old report that is judged today is no new look at the image.
    """
    return _statement(report, names, SUMMARY, _summary(report, policy, verifier, inputs))


def policy_document(policy: Policy) -> bytes:
    """A policy as JSON, the same bytes for the same policy: their digest stands for it in a summary."""
    return canonical(_policy(policy))


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "fail_on": sorted(policy.fail_on),
        "min_coverage": policy.min_coverage,
        "min_evidence": policy.min_evidence.value,
    }


def predicate_of(statement: bytes) -> bytes:
    """The predicate of a statement alone, for a program that makes the statement itself."""
    return canonical(json.loads(statement)["predicate"])


def _statement(report: Report, names: Sequence[str], kind: str, predicate: object) -> bytes:
    digest = digest_of(report)
    value = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {digest.algorithm: digest.hex}} for name in _names(report, names)],
        "predicateType": kind,
        "predicate": predicate,
    }
    return canonical(value)


def _names(report: Report, more: Sequence[str]) -> list[str]:
    """What the image is called, each name once: its repository, that with the tag, and what else is said."""
    name = name_of(report.target)
    first = name.repository or name.path or "image"
    tagged = [f"{first}:{name.tag}"] if name.tag else []
    return list(dict.fromkeys(valid_text(one) for one in (first, *tagged, *more)))


def _summary(report: Report, policy: Policy, verifier: str, inputs: Sequence[Input]) -> dict[str, Any]:
    passed = report.summary.passed
    levels = [UNEVALUATED, *([FULL_COVERAGE] if _is_full(report) else [])]
    purl = image_purl(report, name_of(report.target))
    value: dict[str, Any] = {
        "verifier": {"id": verifier, "version": {report.tool["name"]: report.tool["version"]}},
        "timeVerified": report.scanned_at,
        "resourceUri": purl.to_string() if purl else f"urn:cgscan:image:{digest_of(report)}",
        "policy": {
            "uri": POLICY,
            "digest": {"sha256": Digest.of(policy_document(policy)).hex},
        },
        "verificationResult": PASSED if passed else FAILED,
        "verifiedLevels": levels if passed else [FAILED],
        "slsaVersion": "1.1",
        POLICY: _policy(policy),  # what the digest is of; in-toto's rules for fields of one's own ask for a URI as name
    }
    if inputs:
        value["inputAttestations"] = [
            {"uri": one.uri, "digest": {one.digest.algorithm: one.digest.hex}} for one in inputs
        ]
    return value


def _is_full(report: Report) -> bool:
    return 0 < report.summary.applicable == report.summary.verified


def canonical(value: object) -> bytes:
    """JSON without white space, as policies and statements are written."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
