"""Key files -> signed envelopes, and which envelopes a key holds for. The one module that imports securesystemslib.

Keys are PEM files: ECDSA on P-256 with sha256, and Ed25519, which cosign and openssl read and write too. Signatures and
the encoding that is signed (DSSE's PAE) are securesystemslib's; files are read with cryptography. Both are imported
when the first key is read: they come with ``cgscan[attest]``.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scanner.envelope import STATEMENT_TYPE, Envelope
from scanner.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from securesystemslib.signer import CryptoSigner, SSlibKey

_LONGEST_FILE: Final = 64 * 1024
_OF_COSIGN: Final = (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----", b"-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----")
_KINDS: Final = "ECDSA on P-256 or Ed25519, in PEM"
_PUBLIC_HALF: Final = "openssl pkey -in KEY -pubout writes the public half"
_MAKE_ONE: Final = f"make one with: openssl genpkey -algorithm ed25519 -out KEY; {_PUBLIC_HALF}"

GetPassword = Callable[[Path], str | None]
"""Asked for the password of a key file when it has one; None where nobody can say it."""


class SigningKey:
    """A private key. It signs, and is never shown."""

    def __init__(self, signer: CryptoSigner) -> None:
        self._signer = signer

    @classmethod
    def read(cls, path: Path, *, password: GetPassword) -> SigningKey:
        """The key of a file. :class:`scanner.errors.UsageError` for what is none, or which no password opens."""
        from securesystemslib.signer import CryptoSigner  # noqa: PLC0415 - see the module's docstring

        return cls(CryptoSigner(_private(path, _read(path), password)))

    @property
    def keyid(self) -> str:
        """What the key is called in its signatures: a digest of its public half."""
        return str(self._signer.public_key.keyid)

    def signed(self, statement: bytes) -> bytes:
        """The envelope of an in-toto statement, as its file has it."""
        from securesystemslib.dsse import Envelope as Sealed  # noqa: PLC0415

        sealed = Sealed(statement, STATEMENT_TYPE, {})
        sealed.sign(self._signer)
        return json.dumps(sealed.to_dict(), separators=(",", ":")).encode()


class VerifyingKey:
    """A public key, with the file that it is from."""

    def __init__(self, key: SSlibKey, name: str) -> None:
        self._key = key
        self.name = name

    @classmethod
    def read(cls, path: Path) -> VerifyingKey:
        """The key of a file. :class:`scanner.errors.UsageError` for what is none."""
        from securesystemslib.signer import SSlibKey  # noqa: PLC0415

        return cls(SSlibKey.from_crypto(_public(path, _read(path))), str(path))

    @property
    def keyid(self) -> str:
        """What the key is called in signatures of cgscan's."""
        return str(self._key.keyid)

    def holds(self, envelope: Envelope) -> bool:
        """Whether one of the signatures is this key's over this payload; what they say of their keys is no matter."""
        from securesystemslib.dsse import Envelope as Sealed  # noqa: PLC0415
        from securesystemslib.exceptions import (  # noqa: PLC0415
            UnverifiedSignatureError,
            VerificationError,
        )
        from securesystemslib.signer import Signature  # noqa: PLC0415

        signed = Sealed(envelope.payload, envelope.payload_type, {}).pae()
        for one in envelope.signatures:
            try:
                self._key.verify_signature(Signature(self.keyid, one.sig.hex()), signed)
            except (UnverifiedSignatureError, VerificationError):
                continue
            return True
        return False


def is_installed() -> bool:
    """Whether there is what signs."""
    return all(importlib.util.find_spec(name) is not None for name in ("securesystemslib", "cryptography"))


def _read(path: Path) -> bytes:
    if not is_installed():
        raise UsageError("signing needs securesystemslib and cryptography", hint="pip install 'cgscan[attest]'")
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror or problem}", hint=_MAKE_ONE) from problem
    if len(data) > _LONGEST_FILE:
        raise UsageError(f"{path}: no key: larger than {_LONGEST_FILE} bytes")
    return data


def _private(path: Path, data: bytes, password: GetPassword) -> EllipticCurvePrivateKey | Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    if any(mark in data for mark in _OF_COSIGN):
        raise UsageError(
            f"{path}: a key in cosign's own encrypted form, which cgscan does not read",
            hint="take a key in PEM, or let cosign sign what cgscan attest --as predicate writes",
        )
    if b"-----BEGIN PUBLIC KEY-----" in data:
        raise UsageError(f"{path}: a public key, which cannot sign", hint="name the private half")
    secret = password(path) if _is_encrypted(data) else None
    if secret is None and _is_encrypted(data):
        raise UsageError(
            f"{path}: the key has a password", hint="put it into CGSCAN_KEY_PASSWORD, or run on a terminal"
        )
    try:
        key = load_pem_private_key(data, secret.encode() if secret is not None else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:  # their words may show what they read
        what = "its password is another, or it is damaged" if secret is not None else f"no private key ({_KINDS})"
        raise UsageError(f"{path}: {what}", hint=None if secret is not None else _MAKE_ONE) from problem
    return _known_private(path, key)


def _is_encrypted(data: bytes) -> bool:
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in data or b"Proc-Type: 4,ENCRYPTED" in data


def _known_private(path: Path, key: object) -> EllipticCurvePrivateKey | Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)
    ):
        return key
    raise UsageError(f"{path}: a key of a kind that cgscan does not sign with", hint=f"{_KINDS}; {_MAKE_ONE}")


def _public(path: Path, data: bytes) -> EllipticCurvePublicKey | Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    if b"PRIVATE KEY-----" in data:
        raise UsageError(f"{path}: a private key; only its public half is needed", hint=_PUBLIC_HALF)
    try:
        key = load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise UsageError(
            f"{path}: no public key ({_KINDS})", hint="openssl pkey -in KEY -pubout writes one"
        ) from problem
    if isinstance(key, Ed25519PublicKey) or (
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    ):
        return key
    raise UsageError(f"{path}: a key of a kind that cgscan does not check", hint=_KINDS)
