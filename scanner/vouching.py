"""Reports -> attestations: stated, signed, attached to their images in a registry.

What the command ``attest`` does after its scan, and what a service does after each of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scanner.config import Settings
from scanner.digest import Digest
from scanner.errors import TargetError, UnsupportedTarget, UsageError
from scanner.policy import Policy, judged
from scanner.reference import BareReference, ImageName, ImageReference, Reference, image_reference, parse_reference
from scanner.referrers import Artifact, Attached, attach
from scanner.report import Report
from scanner.reportfile import read_reports
from scanner.run import options_of, store_of
from scanner.sources import SourceOptions, open_targets
from scanner.sources.manifest import Descriptor, check_digest, parse_document
from scanner.sources.repository import Repository, open_repository
from scanner.statement import REPORT, SUMMARY, VERIFIER, Input, digest_of, report_statement, summary_statement

if TYPE_CHECKING:
    from scanner.signing import SigningKey

PREDICATES: Final = {"vsa": SUMMARY, "report": REPORT}
"""What can be attested, by the words of the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """One statement; ``document`` is its envelope, or itself where nobody signed it."""

    predicate_type: str
    statement: bytes
    document: bytes
    created: str
    """When the image was scanned, by RFC 3339."""

    @property
    def is_signed(self) -> bool:
        """Whether somebody signed it."""
        return self.document is not self.statement

    @property
    def annotations(self) -> dict[str, str]:
        """What its artifact is annotated with in a registry, for who looks for it."""
        return {"in-toto.io/predicate-type": self.predicate_type, "org.opencontainers.image.created": self.created}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouching:
    """Who vouches for what: the policy that a report was judged under, the key, the predicates by their words."""

    policy: Policy
    key: SigningKey | None = None
    predicates: tuple[str, ...] = tuple(PREDICATES)
    verifier: str = VERIFIER

    def attestations(self, report: Report, *, names: Sequence[str] = ()) -> tuple[Attestation, ...]:
        """The attestations of one report. The summary names the report's as what it rests on.

        Raises :class:`scanner.errors.UnsupportedTarget` for a report of what has no manifest.
        """
        made: list[Attestation] = []
        inputs: list[Input] = []
        if "report" in self.predicates:
            one = self._attestation(report, REPORT, report_statement(report, names=names))
            made.append(one)
            inputs.append(Input(uri=REPORT, digest=Digest.of(one.document)))
        if "vsa" in self.predicates:
            said = summary_statement(report, self.policy, names=names, verifier=self.verifier, inputs=inputs)
            made.append(self._attestation(report, SUMMARY, said))
        return tuple(made)

    def _attestation(self, report: Report, kind: str, statement: bytes) -> Attestation:
        document = self.key.signed(statement) if self.key else statement
        return Attestation(predicate_type=kind, statement=statement, document=document, created=report.scanned_at)


def push(
    attestations: Sequence[Attestation], report: Report, *, options: SourceOptions
) -> tuple[tuple[Attestation, Attached], ...]:
    """Attach signed attestations to the image that ``report`` is about, in the registry that it was read from.

    Raises :class:`scanner.errors.UnsupportedTarget` for an image of no registry, and
    :class:`scanner.errors.TargetError` for what the registry does not take.
    """
    if not all(one.is_signed for one in attestations):
        raise UsageError("an attestation that nobody signed is not pushed", hint="name a key with --key")
    name, digest = registry_name(parse_reference(report.target.reference)), digest_of(report)
    with open_repository(name, options=options, actions="pull,push") as repository:
        subject = _manifest(repository, digest)
        pushed: list[tuple[Attestation, Attached]] = []
        for one in attestations:
            artifact = Artifact(envelope=one.document, subject=subject, annotations=one.annotations)
            pushed.append((one, attach(repository, artifact)))
        return tuple(pushed)


def registry_name(reference: Reference) -> ImageName:
    """The name of an image in a registry; :class:`scanner.errors.UnsupportedTarget` for anything else."""
    if isinstance(reference, ImageReference) and reference.scheme == "registry":
        return reference.name
    raise UnsupportedTarget(
        f"{reference}: only an image in a registry has attestations beside it",
        hint="say registry:HOST/REPOSITORY:TAG; elsewhere keep them in a file (-o FILE)",
    )


def in_registry(text: str) -> Reference:
    """A TARGET of a command that is about registries: a name without a prefix, which is no path, is asked of one."""
    reference = parse_reference(text)
    if isinstance(reference, BareReference) and not Path(text).exists():
        return image_reference("registry", text)
    return reference


def _manifest(repository: Repository, digest: Digest) -> Descriptor:
    """The descriptor of a manifest that is there."""
    what = repository.called(digest)
    data, kind = repository.document(str(digest))
    check_digest(digest, data, what=what)
    document = parse_document(data, media_type=kind, what=what)
    if document.media_type is None:
        raise TargetError(f"{what}: a manifest that does not say what it is")
    return Descriptor(media_type=document.media_type, digest=digest, size=len(data))


def image_of(reference: Reference, settings: Settings) -> tuple[str, Digest]:
    """What the one image that is meant is called, and its manifest's digest."""
    options = options_of(settings, store_of(settings)).source
    with open_targets(reference, platform=settings.platform, options=options) as targets:
        images = [(one.reference, getattr(one, "digest", None)) for one in targets]
    if len(images) != 1:
        raise UsageError(f"{reference}: {len(images)} images", hint="name one with --platform")
    [(name, digest)] = images
    if digest is None:
        raise UnsupportedTarget(f"{name}: it has no manifest's digest, so no attestation is about it")
    return name, digest


def report_about(reference: Reference, file: Path, settings: Settings) -> Report:
    """The report of a file that is about this image, judged under the policy of ``settings``.

    Raises :class:`scanner.errors.UsageError` where the file has none.
    """
    reports = read_reports(file, limits=settings.limits)
    name, digest = image_of(reference, settings)
    for report in reports:
        if report.target.kind == "image" and report.target.digest == str(digest):
            return judged(report, settings.policy)
    about = ", ".join(report.target.digest or report.target.reference for report in reports[:3])
    raise UsageError(f"{file}: it is about {about[:300]}, not about {name}, which is {digest}")
