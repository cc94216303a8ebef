"""What is signed about a wheel: provenance documents (PEP 740), Sigstore bundles, and the statements in them. Pure.

An attestation speaks of a sha256, not of a file: it says something of a wheel only where that wheel's sha256 was
computed. Who signed it is told by :class:`Signer`; that the signature holds, by :mod:`scanner.signatures`.
Sources: PEP 740; in-toto Statement v1; SLSA provenance; the bundle of sigstore's protobuf-specs 0.3.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scanner.digest import Digest
from scanner.wheel import WheelName

PAYLOAD: Final = "application/vnd.in-toto+json"
"""The type of a statement in its envelope."""
_BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_STATEMENTS: Final = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_BUILT: Final = ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2")
_PUBLISHED: Final = "https://docs.pypi.org/attestations/publish/v1"
_MOST: Final = 16
"""Attestations of one document that are looked at; those of PyPI have one or two."""
_MOST_SUBJECTS: Final = 10_000
_LONGEST: Final = 300
_KEYS: Final = ("issuer", "identity", "pattern")
_NOBODY: Final = "nobody's identity"


class Form(enum.Enum):
    """In which form an index has what is signed about a file, in the order in which it is asked for."""

    PROVENANCE = "provenance"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """A signature over the sha256 was checked. ``by`` is the identity in its certificate."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAttested:
    """Nothing that is signed counts. ``why`` is half a sentence for a person."""

    why: str


NOT_ATTESTED: Final = "not attested: "
"""What stands before the reason in a verdict's, where nothing but an attestation counts."""
NOT_OFFERED: Final = NotAttested(why="its index offers no attestation")
NOT_INSTALLED: Final = NotAttested(why="sigstore is not installed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Whose signature counts: an issuer of identities, and one identity or a pattern that all of one must match."""

    issuer: str
    identity: str | None = None
    pattern: re.Pattern[str] | None = None

    def is_meant(self, issuer: str, identity: str) -> bool:
        """Whether a certificate with this issuer and identity is this signer's."""
        if issuer != self.issuer or len(identity) > _LONGEST:
            return False
        return identity == self.identity or (self.pattern is not None and bool(self.pattern.fullmatch(identity)))


CHAINGUARD: Final = (
    Signer(
        issuer="https://issuer.enforce.dev",
        pattern=re.compile(r"https://issuer\.enforce\.dev/3fab4fe4edb624df519631ce233a467ff2144f0d/[0-9a-f]{16}"),
    ),
)
"""Who signs Chainguard's wheels: the group of its rebuilders, as its documentation of provenance shows it and the
certificate of a real bundle has it. Its issuer alone would not do: that gives identities to its customers, too."""


class NoAttestation(Exception):
    """What a document or a statement is not; never leaves the modules that check. ``str()`` is a reason."""


def read_signers(value: object, where: str) -> tuple[tuple[Signer, ...], tuple[str, ...]]:
    """Signers as a configuration has them, and the faults with their paths."""
    if not isinstance(value, list) or not value:
        return (), (f"{where}: must be a list of at least one (- issuer: …)",)
    read = [_signer(entry, f"{where}[{place}]") for place, entry in enumerate(value)]
    return tuple(signer for signer, _ in read if signer is not None), tuple(one for _, some in read for one in some)


def _signer(entry: object, where: str) -> tuple[Signer | None, list[str]]:
    if not isinstance(entry, Mapping):
        return None, [f"{where}: must be a mapping (issuer: …, and identity: … or pattern: …)"]
    strange = [f"{where}.{ascii(key)[:80]}: there is no such key" for key in entry if key not in _KEYS]
    said = {key: entry[key] for key in _KEYS if entry.get(key) is not None}
    wrong = {key for key, text in said.items() if not isinstance(text, str) or not text.isprintable() or not text}
    faults = [*strange, *(f"{where}.{key}: must be a text of one line" for key in sorted(wrong))]
    if "issuer" not in said:
        faults.append(f"{where}.issuer: is missing")
    if ("identity" in said) == ("pattern" in said):
        faults.append(f"{where}: needs one of identity and pattern")
    pattern = None
    if "pattern" in said and "pattern" not in wrong:
        try:
            pattern = _pattern(said["pattern"])
        except ValueError as problem:
            faults.append(f"{where}.pattern: {problem}")
    if faults:
        return None, faults
    return Signer(issuer=said["issuer"], identity=said.get("identity"), pattern=pattern), []


def _pattern(text: str) -> re.Pattern[str]:
    """ValueError for what is no pattern, or one of everybody's."""
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as problem:
        raise ValueError(f"is no regular expression: {str(problem)[:100]}") from problem
    if pattern.fullmatch(_NOBODY):
        raise ValueError("matches whatever is signed by anybody; write whose identities count")
    return pattern


# --- documents ---


def bundles(document: bytes) -> Sequence[Mapping[str, Any]]:
    """What is signed in a document, each as a Sigstore bundle: PEP 740 provenance, or a bundle as it is.

    Raises :class:`NoAttestation`.
    """
    try:
        said = json.loads(document)
    except (ValueError, RecursionError) as problem:
        raise NoAttestation("the document is broken JSON") from problem
    if not isinstance(said, dict):
        raise NoAttestation("the document is no object")
    if "mediaType" in said:
        return (said,)
    if "rekorBundle" in said:
        # no proof that the log has it, only its promise: sigstore verifies none without
        raise NoAttestation("the bundle is of the older form of cosign, which has no proof of inclusion in the log")
    found = tuple(_of_provenance(said))
    if not found:
        raise NoAttestation("the document has no attestation in it")
    if len(found) > _MOST:
        raise NoAttestation(f"the document has more than {_MOST} attestations")
    return found


def _of_provenance(said: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    groups = said.get("attestation_bundles")
    if said.get("version") != 1 or not isinstance(groups, list):
        raise NoAttestation("the document is neither provenance of version 1 (PEP 740) nor a Sigstore bundle")
    for group in groups:
        attestations = group.get("attestations") if isinstance(group, dict) else None
        if not isinstance(attestations, list):
            raise NoAttestation("a group of attestations in the document has none")
        yield from map(_bundle, attestations)


def _bundle(attestation: object) -> Mapping[str, Any]:
    """An attestation as a bundle: the same parts under other names. What is none of its parts is left out."""
    try:
        if attestation["version"] != 1:  # type: ignore[index]
            raise NoAttestation("an attestation in the document is of another version than 1")
        material, envelope = attestation["verification_material"], attestation["envelope"]  # type: ignore[index]
        return {
            "mediaType": _BUNDLE,
            "verificationMaterial": {
                "certificate": {"rawBytes": material["certificate"]},
                "tlogEntries": [material["transparency_entries"][0]],
            },
            "dsseEnvelope": {
                "payload": envelope["statement"],
                "payloadType": PAYLOAD,
                "signatures": [{"sig": envelope["signature"]}],
            },
        }
    except (KeyError, TypeError, IndexError) as problem:
        raise NoAttestation("an attestation in the document lacks a part") from problem


def is_of_bytes(bundle: Mapping[str, Any]) -> bool:
    """Whether a bundle signs the bytes of a file, and not a statement about them."""
    return "messageSignature" in bundle


# --- statements ---


def check_statement(payload: bytes, *, sha256: Digest, filename: str) -> None:
    """Refuse a statement, whose signature holds, unless it says that a file of this sha256 was built.

    A publish attestation of PyPI's says who uploaded a file, and so that PyPI serves it: it is no evidence that
    somebody else built it. Raises :class:`NoAttestation`.
    """
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as problem:
        raise NoAttestation("the signed statement is broken JSON") from problem
    if not isinstance(said, dict) or said.get("_type") not in _STATEMENTS:
        raise NoAttestation("what is signed is no in-toto statement")
    kind = said.get("predicateType")
    if kind == _PUBLISHED:
        raise NoAttestation("the signed statement is of an upload to PyPI, and says nothing of who built it")
    if kind not in _BUILT:
        raise NoAttestation(f"the signed statement is of the kind {ascii(kind)[:80]}, not provenance of a build (SLSA)")
    subjects = said.get("subject")
    if not isinstance(subjects, list) or len(subjects) > _MOST_SUBJECTS:
        raise NoAttestation("the signed statement has no subject")
    if not any(_is_about(subject, sha256, filename) for subject in subjects):
        raise NoAttestation("the signed statement is about other bytes than this wheel's")


def _is_about(subject: object, sha256: Digest, filename: str) -> bool:
    """Whether the digest is this one; a name that is another project's or version's wheel is not this one's."""
    digest = subject.get("digest") if isinstance(subject, dict) else None
    if not isinstance(digest, dict) or digest.get("sha256") != sha256.hex:
        return False
    assert isinstance(subject, dict)
    name = subject.get("name")
    named, own = WheelName.parse(name) if isinstance(name, str) else None, WheelName.parse(filename)
    return named is None or own is None or (named.project, named.version) == (own.project, own.version)
