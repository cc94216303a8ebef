"""The top of the ladder of evidence, on real wheel bytes: what an attestation makes of a verdict, and what not."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from fixtures import wheels
from fixtures.signing import GITHUB, PUBLISH, PUBLISHER, Signing, Sigstore
from scanner.attestation import Form, Signer
from scanner.attesting import Attestor
from scanner.digest import Digest
from scanner.errors import IndexUnavailable
from scanner.index import Evidence, Role, Tier
from scanner.signatures import Signatures
from scanner.store import DiskStore
from tests.scenes import Judged, Scene, Shelf, builds

BUILDER = Signing()
CODE = {"demo/__init__.py": b"VERSION = '1.0'\n", "demo/core.py": b"def run():\n    return 42\n"}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture(scope="module")
def signatures(sigstore: Sigstore, tmp_path_factory: pytest.TempPathFactory) -> Signatures:
    return Signatures(trust_root=sigstore.write_trust_root(tmp_path_factory.mktemp("root")))


@pytest.fixture
def attestor(signatures: Signatures) -> Attestor:
    return Attestor(signatures=signatures)


def signed(sigstore: Sigstore, wheel: Path, signing: Signing = BUILDER) -> dict[str, bytes | Exception]:
    """What an index says of a wheel that was signed by a builder, by default Chainguard's."""
    sha256 = Digest.of(wheel.read_bytes())
    return {wheel.name: json.dumps(sigstore.provenance(sha256.hex, wheel.name, signing)).encode()}


def shelf(wheel: Path, said: dict[str, bytes | Exception], **more: object) -> Shelf:
    return Shelf(wheels=[wheel], role=Role.CHAINGUARD, signed=said, **more)  # type: ignore[arg-type]


def rung(judged: Judged) -> Evidence | None:
    assert judged.one.match is not None
    return judged.one.match.evidence


# -- what it makes of a verdict


@pytest.mark.parametrize("tier", [None, Tier.BUILT])
@pytest.mark.parametrize("built_only", [False, True])
def test_attested_is_above_every_other_rung(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, attestor: Attestor, tier: Tier | None, built_only: bool
) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    index = shelf(ours, signed(sigstore, ours), tier=tier, built_only=built_only)
    for upstream in (None, [], [theirs]):
        judged = scene.judge(index, upstream, attestor=attestor)
        assert judged.words == ("chainguard", "intact")
        assert rung(judged) is Evidence.ATTESTED
    assert "a signature over it was checked" in judged.one.reason


def test_the_wheel_is_read_whole_for_it(scene: Scene, tmp_path: Path, sigstore: Sigstore, attestor: Attestor) -> None:
    """By its RECORD alone the index could serve other bytes than those that are attested."""
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    index, upstream = shelf(ours, signed(sigstore, ours)), Shelf(wheels=[theirs], role=Role.UPSTREAM)
    judged = scene.judge(index, upstream, attestor=attestor)
    assert rung(judged) is Evidence.ATTESTED
    assert judged.one.match is not None
    assert judged.one.match.proved
    assert index.whole_reads == [ours.name]
    assert upstream.whole_reads == []  # PyPI's of the same name is not


def test_bytes_that_are_not_the_promised_ones_are_not_attested(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, signatures: Signatures
) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    index = shelf(ours, signed(sigstore, ours), lies=frozenset({ours.name}))
    judged = scene.judge(index, [theirs], attestor=Attestor(signatures=signatures, required=True))
    assert judged.words == ("chainguard", "intact")  # as without attestations
    assert rung(judged) is Evidence.NOT_UPSTREAM
    assert "not attested: its sha256 is attested, but not proved" in judged.one.reason


def test_an_attested_wheel_without_any_other_evidence_is_chainguards(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, attestor: Attestor
) -> None:
    own = wheels.make_wheel(tmp_path / "own", "demo", "1.0", CODE)
    scene.install(own)
    assert scene.judge(shelf(own, {}), [], attestor=attestor).words == ("unknown", "intact")
    judged = scene.judge(shelf(own, signed(sigstore, own)), [], attestor=attestor)
    assert judged.words == ("chainguard", "intact")
    assert rung(judged) is Evidence.ATTESTED


def test_a_changed_file_of_an_attested_wheel(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, attestor: Attestor
) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    (scene.site / "demo/core.py").write_bytes(b"evil\n")
    judged = scene.judge(shelf(ours, signed(sigstore, ours)), [theirs], attestor=attestor)
    assert judged.words == ("chainguard", "modified")
    assert rung(judged) is Evidence.ATTESTED


def test_a_wheel_file_by_its_sha256(scene: Scene, tmp_path: Path, sigstore: Sigstore, attestor: Attestor) -> None:
    """The target has the bytes: nothing is downloaded for the proof."""
    ours, _ = builds(tmp_path, CODE)
    shutil.copy(ours, scene.root / ours.name)
    index = shelf(ours, signed(sigstore, ours))
    judged = scene.judge(index, attestor=attestor)
    assert judged.words == ("chainguard", "intact")
    assert rung(judged) is Evidence.ATTESTED
    assert index.whole_reads == []


# -- what it does not make of one


def test_the_same_sha256_on_an_upstream_index_outweighs_it(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, attestor: Attestor
) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    index = shelf(ours, signed(sigstore, ours))
    assert scene.judge(index, [ours], attestor=attestor).words == ("upstream", "intact")
    assert index.vouchers == []


def test_a_fallback_path_outweighs_it(scene: Scene, tmp_path: Path, sigstore: Sigstore, attestor: Attestor) -> None:
    ours, _ = builds(tmp_path, CODE)
    scene.install(ours)
    index = shelf(ours, signed(sigstore, ours), tier=Tier.FALLBACK)
    assert scene.judge(index, attestor=attestor).words == ("upstream", "intact")
    assert index.vouchers == []


def test_a_publishers_attestation_through_chainguards_proxy(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, signatures: Signatures
) -> None:
    """PyPI's wheel as fallback, with the provenance that PyPI has for it: it stays whoever's it is without."""
    _, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    publishers = Signing(issuer=GITHUB, identity=PUBLISHER, predicate_type=PUBLISH)
    index = shelf(theirs, signed(sigstore, theirs, publishers))
    assert scene.judge(index, attestor=Attestor(signatures=signatures)).words[0] == "unknown"
    assert index.vouchers
    # and if somebody configures the publisher as one whose signature counts
    trust = sigstore.write_trust_root(tmp_path / "root")
    trusting = Signatures(signers=[Signer(issuer=GITHUB, identity=PUBLISHER)], trust_root=trust)
    assert scene.judge(index, attestor=Attestor(signatures=trusting)).words[0] == "unknown"
    assert scene.judge(index, [theirs], attestor=Attestor(signatures=trusting)).words == ("upstream", "intact")


def test_an_attestation_on_an_upstream_index_is_not_asked_for(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, attestor: Attestor
) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(theirs)
    upstream = Shelf(wheels=[theirs], role=Role.UPSTREAM, signed=signed(sigstore, theirs))
    assert scene.judge([ours], upstream, attestor=attestor).words == ("upstream", "intact")
    assert upstream.vouchers == []


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("none", "its index offers no attestation"),
        ("unreachable", "could not be had: storage is down"),
        ("broken", "broken JSON"),
        ("of another wheel", "other bytes"),
        ("of a stranger", "does not count"),
        ("of another Sigstore", "cannot be verified"),
    ],
)
def test_what_is_no_attestation_leaves_the_next_rung_and_says_why(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, signatures: Signatures, damage: str, reason: str
) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    stranger = Signing(identity="https://issuer.enforce.dev/720909c9f5279097d847ad02a2f24ba8f59de36a/0123456789abcdef")
    said: dict[str, dict[str, bytes | Exception]] = {
        "none": {},
        "unreachable": {ours.name: IndexUnavailable("storage is down")},
        "broken": {ours.name: b"{"},
        "of another wheel": {ours.name: signed(sigstore, theirs)[theirs.name]},
        "of a stranger": signed(sigstore, ours, stranger),
        "of another Sigstore": signed(Sigstore(), ours),
    }
    index = shelf(ours, said[damage])
    required = scene.judge(index, [theirs], attestor=Attestor(signatures=signatures, required=True))
    assert (required.words, rung(required)) == (("chainguard", "intact"), Evidence.NOT_UPSTREAM)
    assert reason in required.one.reason.partition("; not attested: ")[2]
    assert index.whole_reads == []  # nothing is downloaded for what does not count
    # where it is not required the reason is the old one
    plain = scene.judge(index, [theirs], attestor=Attestor(signatures=signatures))
    assert plain.one.reason == scene.judge(index, [theirs]).one.reason
    assert "attested" not in plain.one.reason


def test_nothing_is_asked_where_nobody_is_to(scene: Scene, tmp_path: Path, sigstore: Sigstore) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    index = shelf(ours, signed(sigstore, ours))
    assert rung(scene.judge(index, [theirs])) is Evidence.NOT_UPSTREAM
    assert index.vouchers == []


def test_only_the_wheel_that_explains_is_asked_about(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, attestor: Attestor
) -> None:
    ours, theirs = builds(tmp_path, CODE)
    other = wheels.make_wheel(tmp_path / "more", "demo", "1.1", CODE, sbom=True)
    scene.install(ours)
    index = Shelf(wheels=[other, ours], role=Role.CHAINGUARD, signed=signed(sigstore, ours))
    assert rung(scene.judge(index, [theirs], attestor=attestor)) is Evidence.ATTESTED
    assert {name for name, _ in index.vouchers} == {ours.name}


# -- without sigstore, and what is remembered


def test_without_sigstore_it_is_said_only_where_it_was_needed(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, signatures: Signatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    # how it looks where the extra is not installed: nothing else says so without another environment
    monkeypatch.setitem(sys.modules, "sigstore", None)
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    index = shelf(ours, signed(sigstore, ours))
    plain = scene.judge(index, [theirs], attestor=Attestor(signatures=signatures))
    assert rung(plain) is Evidence.NOT_UPSTREAM
    assert "attested" not in plain.one.reason
    assert index.vouchers == []
    required = Attestor(signatures=signatures, required=True)
    needed = scene.judge(index, [theirs], attestor=required)
    assert needed.one.reason.endswith("; not attested: sigstore is not installed")
    none = scene.judge(shelf(ours, {}), [theirs], attestor=required)
    assert none.one.reason.endswith("; not attested: its index offers no attestation")


def test_what_was_verified_is_remembered_and_verified_again(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, signatures: Signatures
) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    store = DiskStore(tmp_path / "store")
    remembering = Attestor(signatures=signatures, store=store)
    assert rung(scene.judge(shelf(ours, signed(sigstore, ours)), [theirs], attestor=remembering)) is Evidence.ATTESTED
    # offline, or gone from the index since
    again = shelf(ours, {ours.name: IndexUnavailable("not asked (offline)")})
    assert rung(scene.judge(again, [theirs], attestor=remembering)) is Evidence.ATTESTED
    assert again.vouchers == []
    # whose signatures count is asked of what is remembered, too
    nobody = Signatures(signers=[], trust_root=sigstore.write_trust_root(tmp_path / "root"))
    strict = Attestor(signatures=nobody, store=store)
    assert rung(scene.judge(again, [theirs], attestor=strict)) is Evidence.NOT_UPSTREAM
    assert again.vouchers == [(ours.name, Form.PROVENANCE)]


def test_what_was_not_verified_is_not_remembered(
    scene: Scene, tmp_path: Path, sigstore: Sigstore, signatures: Signatures
) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    store = DiskStore(tmp_path / "store")
    remembering = Attestor(signatures=signatures, store=store)
    scene.judge(shelf(ours, {ours.name: b"{}"}), [theirs], attestor=remembering)
    assert list(store.entries()) == []
    assert rung(scene.judge(shelf(ours, signed(sigstore, ours)), [theirs], attestor=remembering)) is Evidence.ATTESTED
