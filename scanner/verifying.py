"""A TARGET or a file, and keys -> what its attestations are worth."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from scanner.config import Settings
from scanner.digest import Digest
from scanner.envelope import Envelope, NoEnvelope, read_envelope
from scanner.errors import TargetError, TargetNotFound, UntrustedContent, UsageError
from scanner.reference import parse_reference
from scanner.referrers import Listing, list_referrers, read_documents
from scanner.run import options_of, store_of
from scanner.signing import VerifyingKey
from scanner.sources.repository import Repository, open_repository
from scanner.vouched import Demands, Seen, Verification, read_claim, settled
from scanner.vouching import image_of, in_registry, registry_name

_ENVELOPES: Final = 1000
"""In one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is verified: an image in a registry, or a ``file`` of envelopes about ``image``, a TARGET or a digest."""

    target: str
    image: str | None
    keys: tuple[VerifyingKey, ...]
    demands: Demands


def verify(asked: Asked, settings: Settings) -> Verification:
    """Raises :class:`scanner.errors.TargetNotFound` where there is no attestation at all, other
    :class:`scanner.errors.CgscanError` where nobody could be asked.
    """
    file = Path(asked.target)
    if asked.image is not None or (file.is_file() and file.suffix in (".json", ".jsonl")):
        name, digest = _meant(asked.image, file, settings)
        seen = [checked(document, where, asked.keys, digest) for where, document in _documents(file, settings)]
        via, notes = str(file), tuple[str, ...]()
    else:
        reference = in_registry(asked.target)
        repository_name = registry_name(reference)
        name, digest = image_of(reference, settings)
        options = options_of(settings, store_of(settings)).source
        with open_repository(repository_name, options=options) as repository:
            listing = list_referrers(repository, digest)
            unasked: list[TargetError] = []
            seen = list(_attached(repository, listing, asked.keys, digest, unasked))
        if unasked and not any(one.claim for one in seen):
            raise unasked[0]
        via, notes = listing.via, listing.left
    if not seen:
        raise TargetNotFound(
            f"{name}: no attestation of it ({via})",
            hint="'cgscan attest TARGET --key KEY --push' attaches one",
        )
    now = datetime.now(UTC)
    return settled(seen, asked.demands, now=now, image=name, digest=digest, via=via, notes=notes)


def checked(document: bytes, where: str, keys: Iterable[VerifyingKey], digest: Digest) -> Seen:
    """One document: is it an envelope, is its signature one of these keys', is it about this image."""
    try:
        envelope = read_envelope(document)
        key = next((one for one in keys if one.holds(envelope)), None)
        if key is not None:
            return Seen(where=where, key=key.name, claim=read_claim(envelope, digest))
    except NoEnvelope as problem:
        return Seen(where=where, why=str(problem))
    return Seen(where=where, why=_unsigned(envelope))


def _unsigned(envelope: Envelope) -> str:
    return "no signature in it is one of the given key" if envelope.signatures else "nobody signed it"


def _attached(
    repository: Repository,
    listing: Listing,
    keys: Sequence[VerifyingKey],
    digest: Digest,
    unasked: list[TargetError],
) -> Iterator[Seen]:
    """What is attached and may be an attestation; of other artifacts there is nothing to say.

    ``unasked`` gets the errors of a registry that did not answer.
    """
    likely = [one for one in listing.referrers if one.may_attest]
    limits = repository.limits
    end = time.monotonic() + limits.referrers_seconds
    for number, referrer in enumerate(likely):
        where = str(referrer.descriptor.digest)
        if number >= limits.referrers or time.monotonic() > end:
            name = "referrers" if number >= limits.referrers else "referrers_seconds"
            yield Seen(where=where, why=f"it and {len(likely) - number - 1} more were not looked at (limit {name})")
            return
        try:
            for document in read_documents(repository, referrer, digest):
                yield checked(document, where, keys, digest)
        except (TargetError, UntrustedContent) as problem:
            unasked.extend([problem] if isinstance(problem, TargetError) else [])
            yield Seen(where=where, why=problem.message)


def _meant(image: str | None, file: Path, settings: Settings) -> tuple[str, Digest]:
    """The image that a file's envelopes have to be about."""
    if image is None:
        raise UsageError(
            f"{file}: which image it has to be about is not said", hint="name it with --image TARGET or sha256:DIGEST"
        )
    if image.startswith(("sha256:", "sha384:", "sha512:")):
        digest = Digest.parse(image)
        return str(digest), digest
    return image_of(parse_reference(image), settings)


def _documents(file: Path, settings: Settings) -> Iterator[tuple[str, bytes]]:
    """The envelopes of a file: one, or one in each line (in-toto's bundles)."""
    limit = settings.limits.statement
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as problem:
        raise UsageError(f"{file}: cannot be read: {problem.strerror or problem}") from problem
    if len(data) > limit:
        raise UsageError(f"{file}: larger than {limit} bytes (limit statement)")
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    if len(lines) > _ENVELOPES or not all(line.lstrip().startswith(b"{") for _, line in lines):
        return iter([(str(file), data)])  # one that is laid out over lines
    return ((f"{file}:{number}", line) for number, line in lines)
