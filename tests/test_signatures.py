"""What a signature must be to count: sigstore's own verifier, statements made on the spot, and every damage refused."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import hashlib
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import wheels
from fixtures.signing import CHAINGUARD, GITHUB, ISSUER, PUBLISH, PUBLISHER, Signing, Sigstore, b64
from scanner.attestation import NOT_INSTALLED, Attested, NotAttested, Signer, read_signers
from scanner.digest import Digest
from scanner.errors import UsageError
from scanner.signatures import Signatures

SHA256 = Digest("sha256", hashlib.sha256(b"the wheel").hexdigest())
OTHER = Digest("sha256", hashlib.sha256(b"another wheel").hexdigest())
NAME = "demo-1.0-py3-none-any.whl"
SDIST = "pypi-attestations==0.0.30"
"""An sdist that ships provenance as PyPI served it, with the files that it is about."""


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture(scope="module")
def signatures(sigstore: Sigstore, tmp_path_factory: pytest.TempPathFactory) -> Signatures:
    return Signatures(trust_root=sigstore.write_trust_root(tmp_path_factory.mktemp("root")))


def said(signatures: Signatures, document: object, *, sha256: Digest = SHA256) -> Attested | NotAttested:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return signatures.check(data, sha256=sha256, filename=NAME)


def why(signatures: Signatures, document: object, *, sha256: Digest = SHA256) -> str:
    found = said(signatures, document, sha256=sha256)
    assert isinstance(found, NotAttested)
    assert found.why.isprintable()
    assert 0 < len(found.why) < 400
    return found.why


# -- what counts


@pytest.mark.parametrize("form", ["provenance", "bundle", "bundle_of_bytes"])
def test_a_signature_of_chainguards(sigstore: Sigstore, signatures: Signatures, form: str) -> None:
    documents = {
        "provenance": sigstore.provenance(SHA256.hex, NAME),
        "bundle": sigstore.bundle(SHA256.hex, NAME),
        "bundle_of_bytes": sigstore.bundle_of_bytes(SHA256.hex),
    }
    assert said(signatures, documents[form]) == Attested(by=CHAINGUARD)
    assert isinstance(said(signatures, documents[form], sha256=OTHER), NotAttested)


def test_the_one_of_several_attestations_that_counts(sigstore: Sigstore, signatures: Signatures) -> None:
    document = sigstore.provenance(SHA256.hex, NAME, Signing(issuer=GITHUB, identity=PUBLISHER, predicate_type=PUBLISH))
    assert isinstance(said(signatures, document), NotAttested)
    document["attestation_bundles"][0]["attestations"].append(sigstore.attestation(SHA256.hex, NAME))
    assert said(signatures, document) == Attested(by=CHAINGUARD)


def test_a_statement_about_several_wheels(sigstore: Sigstore, signatures: Signatures) -> None:
    names = ("demo-1.0-cp311-cp311-linux_x86_64.whl", NAME)
    subjects = [{"name": n, "digest": {"sha256": d.hex}} for n, d in zip(names, (OTHER, SHA256), strict=True)]
    assert said(signatures, sigstore.bundle("", "", Signing(subjects=subjects))) == Attested(by=CHAINGUARD)


# -- who counts


def test_a_publishers_word_to_pypi_is_no_evidence(sigstore: Sigstore, signatures: Signatures, tmp_path: Path) -> None:
    signing = Signing(issuer=GITHUB, identity=PUBLISHER, predicate_type=PUBLISH)
    document = sigstore.provenance(SHA256.hex, NAME, signing)
    assert f"signed by {PUBLISHER} (issuer {GITHUB}), whose signature does not count" in why(signatures, document)
    # not even where somebody configures that publisher: it says who uploaded a file, not who built it
    root = sigstore.write_trust_root(tmp_path)
    trusting = Signatures(signers=[Signer(issuer=GITHUB, identity=PUBLISHER)], trust_root=root)
    assert "upload to PyPI" in why(trusting, document)


@pytest.mark.parametrize(
    ("issuer", "identity"),
    [
        (ISSUER, f"{ISSUER}/720909c9f5279097d847ad02a2f24ba8f59de36a/0123456789abcdef"),  # a customer of Chainguard's
        (ISSUER, f"{CHAINGUARD}/0123456789abcdef"),
        (ISSUER, f"{CHAINGUARD}\n"),
        (ISSUER, CHAINGUARD.upper()),
        (ISSUER, CHAINGUARD.replace(".enforce", "xenforce")),
        (GITHUB, CHAINGUARD),
        (f"{ISSUER}/", CHAINGUARD),
        ("", CHAINGUARD),
    ],
)
def test_an_identity_that_is_not_chainguards(
    sigstore: Sigstore, signatures: Signatures, issuer: str, identity: str
) -> None:
    document = sigstore.bundle(SHA256.hex, NAME, Signing(issuer=issuer, identity=identity))
    assert "does not count" in why(signatures, document)


def test_identities_as_configured(sigstore: Sigstore, tmp_path: Path) -> None:
    signers, faults = read_signers([{"issuer": GITHUB, "pattern": r"https://github\.com/example/.*"}], "identities")
    assert not faults
    ours = Signatures(signers=signers, trust_root=sigstore.write_trust_root(tmp_path))
    theirs = sigstore.bundle(SHA256.hex, NAME, Signing(issuer=GITHUB, identity=PUBLISHER))
    assert said(ours, theirs) == Attested(by=PUBLISHER)
    assert isinstance(said(ours, sigstore.bundle(SHA256.hex, NAME)), NotAttested)


def test_a_trust_root_of_somebody_else(sigstore: Sigstore, signatures: Signatures) -> None:
    document = Sigstore().bundle(SHA256.hex, NAME)
    assert "chain" in why(signatures, document)
    assert isinstance(said(Signatures(), sigstore.bundle(SHA256.hex, NAME)), NotAttested)  # sigstore's own


@pytest.mark.parametrize("part", ["certificate_log", "signature_log", "authority_key"])
def test_one_strange_key_is_enough(sigstore: Sigstore, signatures: Signatures, part: str) -> None:
    keys = {name: getattr(sigstore, name) for name in ("root_key", "authority_key", "certificate_log", "signature_log")}
    strange = Sigstore(**{**keys, part: getattr(Sigstore(), part)})
    assert isinstance(said(signatures, strange.bundle(SHA256.hex, NAME)), NotAttested)


# -- when it was signed


def test_a_certificate_that_had_expired_when_the_log_took_it_in(sigstore: Sigstore, signatures: Signatures) -> None:
    for late in (dt.timedelta(minutes=10, seconds=1), dt.timedelta(minutes=-1), dt.timedelta(days=900)):
        assert isinstance(said(signatures, sigstore.bundle(SHA256.hex, NAME, Signing(late=late))), NotAttested)
    inside = Signing(late=dt.timedelta(minutes=9))
    assert said(signatures, sigstore.bundle(SHA256.hex, NAME, inside)) == Attested(by=CHAINGUARD)


# -- what is said


@pytest.mark.parametrize(
    ("signing", "reason"),
    [
        (Signing(predicate_type=PUBLISH), "upload to PyPI"),
        (Signing(predicate_type="https://spdx.dev/Document"), "not provenance of a build"),
        (Signing(statement_type="https://example.com/Statement"), "no in-toto statement"),
        (Signing(subjects=[]), "other bytes"),
        (Signing(subjects=[{"name": NAME, "digest": {"sha256": OTHER.hex}}]), "other bytes"),
        (Signing(subjects=[{"name": NAME, "digest": {"sha512": SHA256.hex}}]), "other bytes"),
        (Signing(subjects=[{"name": NAME, "digest": SHA256.hex}, "x", None]), "other bytes"),
        (Signing(subjects=[{"name": "demo-2.0-py3-none-any.whl", "digest": {"sha256": SHA256.hex}}]), "other bytes"),
        (Signing(subjects=[{"name": "other-1.0-py3-none-any.whl", "digest": {"sha256": SHA256.hex}}]), "other bytes"),
    ],
)
def test_a_statement_that_is_not_about_a_build_of_this_wheel(
    sigstore: Sigstore, signatures: Signatures, signing: Signing, reason: str
) -> None:
    assert reason in why(signatures, sigstore.bundle(SHA256.hex, NAME, signing))


# -- damage


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in _paths(one, (*path, key))]
    if isinstance(value, list):
        return [found for place, one in enumerate(value) for found in _paths(one, (*path, place))]
    return [path]


def _changed(document: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = change(inner[path[-1]])
    return changed


def _flip(value: Any) -> Any:
    """Another value of the same form: a bit of what is base64, another number or text otherwise."""
    if not isinstance(value, str) or value.isdecimal():
        return str(int(value) + 1)
    try:
        data = bytearray(base64.b64decode(value, validate=True))
    except ValueError:
        return value.replace("e", "f") if "e" in value else f"{value}x"
    data[len(data) // 2] ^= 1
    return b64(bytes(data))


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


_UNSIGNED = ("publisher",)
"""What a document says beside what is signed; nothing is made of it."""


def test_every_damage_to_provenance_is_refused(sigstore: Sigstore, signatures: Signatures) -> None:
    document = sigstore.provenance(SHA256.hex, NAME)
    assert isinstance(said(signatures, document), Attested)
    paths = [path for path in _paths(document) if not set(path) & set(_UNSIGNED)]
    assert len(paths) > 12
    for path in paths:
        changes: list[Callable[[Any], Any]] = [_flip, lambda _: "", lambda _: None, lambda _: {"x": []}]
        for change in changes:
            assert isinstance(said(signatures, _changed(document, path, change)), NotAttested), path


def test_parts_of_two_attestations_do_not_make_one(sigstore: Sigstore, signatures: Signatures) -> None:
    """Entry, certificate, statement and signature belong together: none may be another signature's."""
    mine, other = sigstore.bundle(SHA256.hex, NAME), sigstore.bundle(OTHER.hex, NAME)
    for part in (("verificationMaterial", "certificate"), ("verificationMaterial", "tlogEntries"), ("dsseEnvelope",)):
        value = other
        for key in part:
            value = value[key]
        mixed = _changed(mine, part, _always(value))
        assert isinstance(said(signatures, mixed), NotAttested)
        assert isinstance(said(signatures, mixed, sha256=OTHER), NotAttested)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version":' + b"9" * 10_000 + b"}",
        b"null",
        b"[]",
        b"{}",
        b'{"version": 1}',
        b'{"version": 2, "attestation_bundles": []}',
        b'{"version": 1, "attestation_bundles": []}',
        b'{"version": 1, "attestation_bundles": [{"attestations": [null]}]}',
        b'{"version": 1, "attestation_bundles": [{"attestations": {}}, 1]}',
        b'{"mediaType": 1}',
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}',
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v9+json", "verificationMaterial": {}}',
        json.dumps({"version": 1, "attestation_bundles": [{"attestations": [{"version": 1}] * 20}]}).encode(),
    ],
    ids=lambda document: str(document[:30]),
)
def test_what_is_no_document(signatures: Signatures, document: bytes) -> None:
    why(signatures, document)


def test_more_attestations_than_anybody_makes(sigstore: Sigstore, signatures: Signatures) -> None:
    document = sigstore.provenance(SHA256.hex, NAME)
    [one] = document["attestation_bundles"][0]["attestations"]
    document["attestation_bundles"][0]["attestations"] = [one] * 17
    assert "more than 16" in why(signatures, document)


def test_the_older_form_of_cosign_is_named(signatures: Signatures) -> None:
    """As Chainguard's integrity endpoint had it in 2025: the log's promise alone, without a proof of inclusion."""
    payload = {"body": "", "integratedTime": 1757691900, "logIndex": 1, "logID": "c0d2"}
    old = {"base64Signature": "", "cert": "", "rekorBundle": {"SignedEntryTimestamp": "", "Payload": payload}}
    assert "older form of cosign" in why(signatures, old)


_KEYS = st.sampled_from(
    ["version", "attestation_bundles", "attestations", "verification_material", "envelope", "certificate", "mediaType",
     "transparency_entries", "statement", "signature", "verificationMaterial", "dsseEnvelope", "tlogEntries"]
)  # fmt: skip
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "AA==", "x", "\ud800"]) | st.just(1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=15,
)


@given(document=_ANY)
def test_random_documents(document: object) -> None:
    why(Signatures(), json.dumps(document).encode())


# -- where sigstore is, and what it trusts


def test_without_sigstore(sigstore: Sigstore, signatures: Signatures, monkeypatch: pytest.MonkeyPatch) -> None:
    # how it looks where the extra is not installed: nothing else says so without another environment
    monkeypatch.setitem(sys.modules, "sigstore", None)
    assert said(signatures, sigstore.provenance(SHA256.hex, NAME)) == NOT_INSTALLED
    Signatures(trust_root=Path("nowhere"))


def test_sigstore_is_imported_when_it_is_needed() -> None:
    code = "import scanner.cli, scanner.run, sys; print('sigstore' in sys.modules, 'cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"mediaType": "x"}', None])
def test_a_trust_root_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "root.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="trust_root") as raised:
        Signatures(trust_root=file)
    assert raised.value.hint


def test_a_trust_root_without_logs_is_none(sigstore: Sigstore, tmp_path: Path) -> None:
    file = tmp_path / "root.json"
    file.write_text(json.dumps({**sigstore.trust_root(), "tlogs": []}))
    with pytest.raises(UsageError, match="trust_root"):
        Signatures(trust_root=file)


# -- as PyPI serves it


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real provenance, real bundles and the files that they are about."""
    try:
        sdist = wheels.download_sdist(SDIST)
    except wheels.FixtureUnavailable as problem:
        pytest.skip(str(problem))
    folder = tmp_path_factory.mktemp("shipped")
    with tarfile.open(sdist) as archive:
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Debian 12 has Python 3.11.2
        archive.extractall(folder, **safely)
    return next(folder.glob("*/test/assets"))


REAL = (
    ("pypi_attestations-0.0.19.tar.gz", ".provenance", GITHUB, "upload to PyPI"),
    ("pypi_attestations-0.0.19.tar.gz", ".slsa.attestation", GITHUB, ""),
    ("circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl", ".provenance", "", "upload to PyPI"),
    ("gitlab_oidc_project-0.0.3.tar.gz", ".publish.attestation", "", "upload to PyPI"),
)


@pytest.mark.parametrize(("file", "ending", "issuer", "reason"), REAL)
def test_real_provenance(shipped: Path, file: str, ending: str, issuer: str, reason: str) -> None:
    """It verifies against the trust root that comes with sigstore, and never makes anything Chainguard's."""
    document = json.loads((shipped / f"{file}{ending}").read_bytes())
    if "attestation_bundles" not in document:
        document = {"version": 1, "attestation_bundles": [{"publisher": {"kind": "x"}, "attestations": [document]}]}
    data = json.dumps(document).encode()
    sha256 = Digest.of((shipped / file).read_bytes())
    ours = Signatures().check(data, sha256=sha256, filename=file)
    assert isinstance(ours, NotAttested)
    assert "does not count" in ours.why
    issuer = issuer or ours.why.partition("(issuer ")[2].partition(")")[0]
    anybodys = Signatures(signers=[Signer(issuer=issuer, pattern=re.compile(".*"))])
    found = anybodys.check(data, sha256=sha256, filename=file)
    if reason:  # the signature holds: it is only what it says that is none of a build
        assert isinstance(found, NotAttested)
        assert reason in found.why
    else:
        assert isinstance(found, Attested)
        assert isinstance(anybodys.check(data, sha256=OTHER, filename=file), NotAttested)


def test_a_real_bundle(shipped: Path) -> None:
    file = shipped / "pypi_attestation_models-0.0.4a2.tar.gz"
    document = file.with_name(f"{file.name}.sigstore").read_bytes()
    found = Signatures().check(document, sha256=Digest.of(file.read_bytes()), filename=file.name)
    assert isinstance(found, NotAttested)
    assert "does not count" in found.why
