"""Is a wheel's sha256 signed, and by whom: the one module that imports sigstore, when it is first needed.

What is checked, all of it by sigstore's own verifier: the certificate's chain to the trust root at the time that the
log promises, its timestamp of the certificate log, its usage; the entry's promise, its proof of inclusion and the log's
checkpoint; the signature; that entry, certificate and content belong together. Besides that: the certificate's issuer
and identity are a :class:`scanner.attestation.Signer`'s, and the statement is about that sha256.

Nothing is asked of any network: the trust root is a file, or the one that comes with sigstore, without a refresh.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scanner.attestation import (
    CHAINGUARD,
    NOT_INSTALLED,
    PAYLOAD,
    Attested,
    NoAttestation,
    NotAttested,
    Signer,
    bundles,
    check_statement,
    is_of_bytes,
)
from scanner.errors import UsageError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier

    from scanner.digest import Digest

_PRODUCTION: Final = "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
"""The folder in sigstore with what it trusts before it has asked anybody."""
_LONGEST_ROOT: Final = 4 * 1024 * 1024
_LONGEST_WHY: Final = 200
_GET_ROOT: Final = "a trust root is the file trusted_root.json of a Sigstore's TUF repository"


class Signatures:
    """Checks what is signed. Threads may share it.

    Raises :class:`scanner.errors.UsageError` where ``trust_root`` cannot be used; not where sigstore is not installed.
    """

    def __init__(self, *, signers: Sequence[Signer] = CHAINGUARD, trust_root: Path | None = None) -> None:
        self._signers = tuple(signers)
        self._lock = threading.Lock()
        self._root = _read_root(trust_root) if trust_root is not None and is_installed() else None

    @property
    def available(self) -> bool:
        """Whether sigstore is installed."""
        return is_installed()

    def check(self, document: bytes, *, sha256: Digest, filename: str) -> Attested | NotAttested:
        """Whether something in a document is a signature that counts over this sha256.

        Of several the first that counts is taken; the reason is that of the last.
        """
        if not is_installed():
            return NOT_INSTALLED
        why = ""
        try:
            for bundle in bundles(document):
                try:
                    return Attested(by=self._checked(bundle, sha256, filename))
                except NoAttestation as problem:
                    why = str(problem)
        except NoAttestation as problem:
            why = str(problem)
        return NotAttested(why=why)

    def _checked(self, bundle: Mapping[str, Any], sha256: Digest, filename: str) -> str:
        """Who signed it; :class:`NoAttestation` unless all of it holds."""
        who = _Who(self._signers)
        try:
            payload = self._verified(bundle, sha256, who)
        except NoAttestation:
            raise
        except Exception as problem:  # what hostile documents make of parsers and of cryptography has no common name
            raise NoAttestation(who.stranger or _reason(problem)) from problem
        if payload is not None:
            check_statement(payload, sha256=sha256, filename=filename)
        return who.identity

    def _verified(self, bundle: Mapping[str, Any], sha256: Digest, who: _Who) -> bytes | None:
        """The statement whose signature was checked; None where the signature is over the bytes themselves."""
        from sigstore.hashes import Hashed  # noqa: PLC0415 - takes a second, and few scans need it
        from sigstore.models import Bundle  # noqa: PLC0415
        from sigstore_models.common.v1 import HashAlgorithm  # noqa: PLC0415

        with self._lock:
            verifier = self._verifier
        parsed = Bundle.from_json(json.dumps(bundle))
        if is_of_bytes(bundle):
            verifier.verify_artifact(Hashed(algorithm=HashAlgorithm.SHA2_256, digest=sha256.raw), parsed, who)
            return None
        kind, payload = verifier.verify_dsse(parsed, who)
        if kind != PAYLOAD:
            raise NoAttestation(f"what is signed is of the type {ascii(kind)[:80]}")
        return payload

    @cached_property
    def _verifier(self) -> Verifier:
        from sigstore.verify import Verifier  # noqa: PLC0415

        logging.getLogger("sigstore").addHandler(logging.NullHandler())  # its warnings are reasons here, not output
        return Verifier(trusted_root=self._root or _embedded_root())


class _Who:
    """sigstore's policy: the certificate is one of the signers'. Keeps whose it is."""

    def __init__(self, signers: Sequence[Signer]) -> None:
        self._signers = signers
        self.identity = ""
        self.stranger = ""

    def verify(self, cert: Certificate) -> None:
        """Raises sigstore's error unless it is."""
        from sigstore.errors import VerificationError  # noqa: PLC0415

        issuer, names = _issuer(cert), _names(cert)
        known = [name for name in names for signer in self._signers if signer.is_meant(issuer, name)]
        if len(names) != 1 or not known:
            shown = ascii(names[0])[1:-1][:_LONGEST_WHY] if names else "nobody"
            self.stranger = f"signed by {shown} (issuer {ascii(issuer)[1:-1][:100]}), whose signature does not count"
            raise VerificationError(self.stranger)
        self.identity = known[0]


def _issuer(cert: Certificate) -> str:
    """The issuer of the identity, as Fulcio writes it (1.3.6.1.4.1.57264.1.8, and .1 before)."""
    from cryptography.hazmat import asn1  # noqa: PLC0415
    from cryptography.x509 import ExtensionNotFound, ObjectIdentifier, UnrecognizedExtension  # noqa: PLC0415

    def value(number: int) -> bytes | None:
        try:
            found = cert.extensions.get_extension_for_oid(ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}")).value
        except ExtensionNotFound:
            return None
        return found.value if isinstance(found, UnrecognizedExtension) else None

    newer, older = value(8), value(1)
    if newer is not None:
        return asn1.decode_der(str, newer)
    return older.decode() if older is not None else ""


def _names(cert: Certificate) -> list[str]:
    """The identities that a certificate is for: one, as Fulcio makes them."""
    from cryptography.x509 import RFC822Name, SubjectAlternativeName, UniformResourceIdentifier  # noqa: PLC0415

    names = cert.extensions.get_extension_for_class(SubjectAlternativeName).value
    return [*names.get_values_for_type(UniformResourceIdentifier), *names.get_values_for_type(RFC822Name)]


def is_installed() -> bool:
    """Whether there is a sigstore to check with."""
    return importlib.util.find_spec("sigstore") is not None


def _reason(problem: Exception) -> str:
    """An error of sigstore's in one short line."""
    text = " ".join(str(problem).split()) or type(problem).__name__
    return f"it cannot be verified: {ascii(text)[1:-1][:_LONGEST_WHY]}"


def _embedded_root() -> TrustedRoot:
    """What comes with sigstore, as it is there: no cache of a user, no network."""
    from importlib import resources  # noqa: PLC0415

    from sigstore.models import TrustedRoot  # noqa: PLC0415

    with resources.as_file(resources.files("sigstore._store") / _PRODUCTION / "trusted_root.json") as file:
        return TrustedRoot.from_file(str(file))


def _read_root(file: Path) -> TrustedRoot:
    from sigstore.models import TrustedRoot  # noqa: PLC0415
    from sigstore.verify import Verifier  # noqa: PLC0415

    try:
        size = file.stat().st_size
        root = TrustedRoot.from_file(str(file)) if size <= _LONGEST_ROOT else None
        if root is not None:
            Verifier(trusted_root=root)
    except OSError as problem:
        raise UsageError(f"trust_root: {file} cannot be read: {problem.strerror}", hint=_GET_ROOT) from problem
    except Exception as problem:
        raise UsageError(f"trust_root: {file} is no trust root of Sigstore's", hint=_GET_ROOT) from problem
    if root is None:
        raise UsageError(f"trust_root: {file} is larger than {_LONGEST_ROOT} bytes", hint=_GET_ROOT)
    return root
