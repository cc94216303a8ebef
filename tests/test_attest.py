"""Attestations: made, read back by programs of others, forged, and end to end with a real registry."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from securesystemslib.dsse import Envelope as Sealed

from fixtures import chunked
from fixtures.images import layer_from_tree
from scanner.cli import main
from scanner.digest import Digest
from scanner.envelope import NoEnvelope, read_envelope
from scanner.errors import UnsupportedTarget, UsageError
from scanner.policy import Policy, judged
from scanner.report import Report, TargetLine
from scanner.signing import SigningKey, VerifyingKey
from scanner.statement import FULL_COVERAGE, POLICY, REPORT, STATEMENT, SUMMARY, policy_document
from scanner.verifying import checked
from scanner.vouched import Claim, Demands, Seen, Verification, settled
from scanner.vouching import Attestation, Vouching
from tests.attestations import PASSWORD, make_keys, openssl
from tests.registries import docker_registry, needed, push
from tests.reports import a_line, a_report, verified_line
from tests.scenes import Scene, builds

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DIGEST = Digest.parse(f"sha256:{'0123456789abcdef' * 4}")


def no_password(path: Path) -> str | None:
    return None


def key_pair(folder: Path, kind: str) -> tuple[SigningKey, VerifyingKey]:
    private, public = make_keys(folder, kind)
    return SigningKey.read(private, password=no_password), VerifyingKey.read(public)


@pytest.fixture(scope="module", params=["ed25519", "ec"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[SigningKey, VerifyingKey]:
    return key_pair(tmp_path_factory.mktemp("keys"), request.param)


def made(report: Report, policy: Policy | None = None, key: SigningKey | None = None) -> dict[str, Attestation]:
    vouching = Vouching(policy=policy or Policy(), key=key)
    return {one.predicate_type: one for one in vouching.attestations(judged(report, policy or Policy()))}


def predicate(report: Report, policy: Policy | None = None) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(made(report, policy)[SUMMARY].statement)["predicate"]
    return said


# -- statements ------------------------------------------------------------------------------------


def test_the_statement_is_about_the_manifest_under_each_name_once() -> None:
    report = a_report(verified_line())
    [full] = Vouching(policy=Policy(), predicates=("report",)).attestations(
        report, names=["registry.example.com/shop/billing", "mirror.example/billing"]
    )
    said = json.loads(full.statement)
    assert (said["_type"], said["predicateType"]) == (STATEMENT, REPORT)
    assert [one["name"] for one in said["subject"]] == [
        "registry.example.com/shop/billing",
        "registry.example.com/shop/billing:1.4",
        "mirror.example/billing",
    ]
    assert {json.dumps(one["digest"]) for one in said["subject"]} == {json.dumps({"sha256": DIGEST.hex})}


def test_the_report_is_the_report(report_schema: Any) -> None:
    said = json.loads(made(a_report(verified_line(), a_line()))[REPORT].statement)
    jsonschema.Draft202012Validator(report_schema).validate(said["predicate"])


@pytest.fixture(scope="module")
def report_schema() -> Any:
    path = Path(__file__).parents[1] / "scanner" / "report.schema.json"
    return json.loads(path.read_text())


def test_the_summary_says_what_the_policy_says() -> None:
    policy = Policy(min_coverage=60, fail_on=frozenset({"modified"}))
    half = predicate(a_report(verified_line(), a_line()), policy)
    assert (half["verificationResult"], half["verifiedLevels"]) == ("FAILED", ["FAILED"])
    whole = predicate(a_report(verified_line()), policy)
    assert (whole["verificationResult"], FULL_COVERAGE in whole["verifiedLevels"]) == ("PASSED", True)
    assert predicate(a_report(verified_line(), a_line()))["verifiedLevels"] == ["SLSA_BUILD_LEVEL_UNEVALUATED"]
    assert FULL_COVERAGE not in predicate(a_report())["verifiedLevels"], "nothing applicable is not everything"
    assert whole[POLICY] == {"fail_on": ["modified"], "min_coverage": 60, "min_evidence": "sbom"}
    assert whole["policy"] == {"uri": POLICY, "digest": {"sha256": Digest.of(policy_document(policy)).hex}}
    assert whole["timeVerified"] == "2026-03-01T12:00:00Z"


def test_the_summary_rests_on_the_report(pair: tuple[SigningKey, VerifyingKey]) -> None:
    both = made(a_report(verified_line()), key=pair[0])
    [one] = json.loads(both[SUMMARY].statement)["predicate"]["inputAttestations"]
    assert one["digest"] == {"sha256": Digest.of(both[REPORT].document).hex}


@pytest.mark.parametrize("target", [TargetLine(reference="docker-archive:a.tar", kind="image"), TargetLine(
    reference="dir:/x", kind="directory", digest=f"sha256:{'0' * 64}")])  # fmt: skip
def test_what_has_no_manifest_has_no_attestation(target: TargetLine) -> None:
    with pytest.raises(UnsupportedTarget, match="no manifest's digest"):
        made(a_report(target=target))


# -- read by others --------------------------------------------------------------------------------


def test_in_totos_own_types_take_the_statement() -> None:
    pytest.importorskip("in_toto_attestation", reason="in-toto-attestation is not installed")
    statement = pytest.importorskip("in_toto_attestation.v1.statement_pb2")
    summary = pytest.importorskip("in_toto_attestation.predicates.vsa.v1.vsa_pb2")
    json_format = pytest.importorskip("google.protobuf.json_format")
    for one in made(a_report(verified_line())).values():
        taken = json_format.Parse(one.statement, statement.Statement())
        assert taken.subject[0].digest["sha256"] == DIGEST.hex
        pytest.importorskip("in_toto_attestation.v1.statement").Statement.copy_from_pb(taken).validate()
    said = json.loads(made(a_report(verified_line()))[SUMMARY].statement)["predicate"]
    assert said.pop(POLICY)["min_coverage"] is None  # a field of our own
    assert len(said.pop("verifiedLevels")) == 2  # an array in the specification, one text in these types
    assert said["verifier"].pop("version") == {"cgscan": "0.1.0"}  # newer than they are
    taken = json_format.ParseDict(said, summary.VerificationSummary())
    assert (taken.verification_result, taken.policy.uri) == ("PASSED", POLICY)


def test_others_verify_the_signature(pair: tuple[SigningKey, VerifyingKey], tmp_path: Path) -> None:
    document = made(a_report(verified_line()), key=pair[0])[SUMMARY].document
    envelope = json.loads(document)
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    sealed = Sealed.from_dict(json.loads(document))
    assert sealed.verify([pair[1]._key], 1)
    payload = base64.b64decode(envelope["payload"])
    signed = f"DSSEv1 28 application/vnd.in-toto+json {len(payload)} ".encode() + payload
    (tmp_path / "signed").write_bytes(signed)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    kind = [] if "ed25519" in pair[1].name else ["-digest", "sha256"]
    files = ["-inkey", pair[1].name, "-in", str(tmp_path / "signed"), "-sigfile", str(tmp_path / "sig")]
    openssl("pkeyutl", "-verify", "-pubin", "-rawin", *kind, *files)


def test_sigstores_types_take_the_envelope(pair: tuple[SigningKey, VerifyingKey]) -> None:
    dsse = pytest.importorskip("sigstore.dsse")
    document = made(a_report(verified_line()), key=pair[0])[REPORT].document
    assert dsse.Envelope._from_json(document).signature
    assert dsse.Statement(made(a_report(verified_line()))[REPORT].statement)


# -- keys ------------------------------------------------------------------------------------------


def test_a_key_with_a_password(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path, "ec", password=PASSWORD)
    key = SigningKey.read(private, password=lambda _: PASSWORD)
    document = made(a_report(verified_line()), key=key)[SUMMARY].document
    assert checked(document, "here", [VerifyingKey.read(public)], DIGEST).claim
    with pytest.raises(UsageError, match="password is another") as wrong:
        SigningKey.read(private, password=lambda _: "Tr0ub4dor")
    assert "Tr0ub4dor" not in str(wrong.value)
    with pytest.raises(UsageError, match="has a password"):
        SigningKey.read(private, password=no_password)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no private key"),
        (
            "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAA==\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----",
            "cosign",
        ),
        ("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----", "a public key"),
        ("x" * 70_000, "larger than"),
    ],
)
def test_files_that_are_no_key(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(UsageError, match=why):
        SigningKey.read(tmp_path / "key", password=no_password)
    with pytest.raises(UsageError, match=r"no key|no public key|a private key"):
        VerifyingKey.read(tmp_path / "key")


def test_keys_of_other_kinds(tmp_path: Path) -> None:
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", str(tmp_path / "key"))
    openssl("pkey", "-in", str(tmp_path / "key"), "-pubout", "-out", str(tmp_path / "pub"))
    with pytest.raises(UsageError, match="of a kind that cgscan does not sign with"):
        SigningKey.read(tmp_path / "key", password=no_password)
    with pytest.raises(UsageError, match="of a kind that cgscan does not check"):
        VerifyingKey.read(tmp_path / "pub")


# -- forged ----------------------------------------------------------------------------------------


def changed_payload(said: dict[str, Any]) -> None:
    payload = base64.b64decode(said["payload"]).replace(b'"FAILED"', b'"PASSED"')
    said["payload"] = base64.b64encode(payload).decode()


def twice(said: dict[str, Any]) -> None:
    said["signatures"] *= 2


def twice_of_one_key(said: dict[str, Any]) -> None:
    said["signatures"].append({**said["signatures"][0], "sig": base64.b64encode(b"other").decode()})


FORGED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "another payload": (changed_payload, "no signature in it is one of the given key"),
    "nobody": (lambda said: said.update(signatures=[]), "nobody signed it"),
    "no list": (lambda said: said.pop("signatures"), "no list"),
    "twice": (twice, "the same signature stands in it twice"),
    "twice of one key": (twice_of_one_key, "two signatures of one key"),
    "another type": (lambda said: said.update(payloadType="text/plain"), "no signature in it is one of the given key"),
    "another signature": (lambda said: said["signatures"][0].update(sig="AAAA"), "no signature in it"),
    "no base64": (lambda said: said.update(payload="{}"), "no base64"),
    "many": (lambda said: said.update(signatures=[{"sig": "AAAA"}] * 33), "at most 32"),
}


@pytest.mark.parametrize("how", FORGED)
def test_forged_envelopes_are_refused(pair: tuple[SigningKey, VerifyingKey], how: str) -> None:
    report = a_report(a_line())
    document = made(report, Policy(min_coverage=50), key=pair[0])[SUMMARY].document
    said = json.loads(document)
    FORGED[how][0](said)
    seen = checked(json.dumps(said).encode(), "here", [pair[1]], DIGEST)
    assert seen.claim is None
    assert FORGED[how][1] in (seen.why or "")
    assert checked(document, "here", [pair[1]], DIGEST).claim, "and the true one is taken"


LENIENT = predicate(a_report(verified_line()), Policy(min_coverage=1))
"""Its policy is not the one that its digest is of, when another least coverage is written into it."""


def signed(pair: tuple[SigningKey, VerifyingKey], **changes: Any) -> Seen:
    said = json.loads(made(a_report(verified_line()))[SUMMARY].statement) | changes
    return checked(pair[0].signed(json.dumps(said).encode()), "here", [pair[1]], DIGEST)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"subject": [{"name": "x", "digest": {"sha256": "0" * 64}}]}, "another image"),
        ({"subject": [{"name": "x", "digest": {"sha512": DIGEST.hex}}]}, "another image"),
        ({"subject": []}, "another image"),
        ({"subject": "x"}, "another image"),
        ({"_type": "https://in-toto.io/Statement/v9"}, "no in-toto statement"),
        ({"predicateType": "https://spdx.dev/Document"}, "of the type 'https://spdx.dev/Document'"),
        ({"predicate": {"verificationResult": "PASSED"}}, "lacks something"),
        ({"predicate": []}, "of the type"),
        ({"predicate": {**LENIENT, POLICY: {**LENIENT[POLICY], "min_coverage": 100}}}, "lacks something"),
    ],
)
def test_signed_statements_that_say_nothing(pair: tuple[SigningKey, VerifyingKey], changes: Any, why: str) -> None:
    seen = signed(pair, **changes)
    assert seen.claim is None
    assert why in (seen.why or "")


def test_another_key(tmp_path: Path, pair: tuple[SigningKey, VerifyingKey]) -> None:
    _, other = key_pair(tmp_path, "ec")
    document = made(a_report(verified_line()), key=pair[0])[SUMMARY].document
    assert checked(document, "here", [other], DIGEST).claim is None
    assert checked(document, "here", [other, pair[1]], DIGEST).key == pair[1].name


def test_an_envelope_without_keyid_and_in_a_bundle(pair: tuple[SigningKey, VerifyingKey]) -> None:
    """As cosign writes them."""
    said = json.loads(made(a_report(verified_line()), key=pair[0])[SUMMARY].document)
    said["signatures"][0]["keyid"] = ""
    assert checked(json.dumps(said).encode(), "here", [pair[1]], DIGEST).claim
    bundle = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": said}
    assert checked(json.dumps(bundle).encode(), "here", [pair[1]], DIGEST).claim
    with pytest.raises(NoEnvelope, match="without an envelope"):
        read_envelope(json.dumps({**bundle, "dsseEnvelope": None}).encode())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"payload":"","payload":""}', "[" * 100_000, '{"mediaType":1}'])
def test_documents_that_are_no_envelope(text: str) -> None:
    with pytest.raises(NoEnvelope):
        read_envelope(text.encode())


# -- which counts ----------------------------------------------------------------------------------


def claim(days: float = 1, **changes: Any) -> Claim:
    one = Claim(predicate_type=SUMMARY, time=NOW - timedelta(days=days), passed=True)
    return replace(one, **changes)


def decided(*claims: Claim, demands: Demands | None = None) -> Verification:
    seen = [Seen(where=str(number), key="k", claim=one) for number, one in enumerate(claims)]
    return settled(seen, demands or Demands(), now=NOW, image="i", digest=DIGEST, via="v", notes=())


def test_the_newest_counts_and_no_older_one_makes_it_good() -> None:
    found = decided(claim(3), claim(1, passed=False), claim(2))
    assert (found.verified, [one.where for one in found.counted]) == (False, ["1"])
    assert [one.why for one in found.passed_over] == ["a summary of an older scan"] * 2
    assert decided(claim(1), claim(2, passed=False)).verified


def test_both_of_one_scan_have_to_hold() -> None:
    assert not decided(claim(), claim(predicate_type=REPORT, passed=False)).verified


@pytest.mark.parametrize(
    ("one", "holds"),
    [
        (claim(), False),
        (claim(least=90.0), True),
        (claim(least=89.0), False),
        (claim(levels=(FULL_COVERAGE,)), True),
        (claim(predicate_type=REPORT, coverage=95.0, applicable=20), True),
        (claim(predicate_type=REPORT, coverage=85.0, applicable=20), False),
        (claim(predicate_type=REPORT, coverage=None, applicable=0), True),
        (claim(predicate_type=REPORT, coverage=None, applicable=3), False),
    ],
)
def test_a_least_coverage(one: Claim, holds: bool) -> None:
    assert decided(one, demands=Demands(min_coverage=90)).verified is holds


def test_age() -> None:
    assert decided(claim(6), demands=Demands(max_age=timedelta(days=7))).verified
    assert "8.0 days old" in decided(claim(8), demands=Demands(max_age=timedelta(days=7))).faults[0]
    assert "of the future" in decided(claim(-1)).faults[0]
    assert decided(claim(-0.001)).verified, "clocks differ"


# -- end to end ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A registry with an image of one verified distribution and one of PyPI's, and keys."""

    host: str
    name: str
    folder: Path
    scan: list[str]

    def run(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
        status = main([*words, "--cache-dir", str(self.folder / "cache")] if words[0] == "attest" else list(words))
        said = capsys.readouterr()
        return status, said.out, said.err

    def key(self, kind: str) -> list[str]:
        return ["--key", str(self.folder / kind)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    make_keys(folder, "ed25519")
    make_keys(folder, "ec", password=PASSWORD)
    scene = Scene(folder)
    mine, theirs = (
        builds(folder / "a", {"a.py": b"a = 1\n"}, name="a"),
        builds(folder / "b", {"b.py": b"b = 1\n"}, name="b"),
    )
    scene.install(mine[0])
    scene.install(theirs[1])
    for side, wheels in (("chainguard", (mine[0], theirs[0])), ("pypi", (mine[1], theirs[1]))):
        (folder / side).mkdir()
        for wheel in wheels:
            (folder / side / wheel.name).write_bytes(wheel.read_bytes())
    layout = chunked.write_layout(folder / "layout", [layer_from_tree(scene.root)])
    with docker_registry(folder / "registry") as host:
        name = push(layout, f"{host}/team/app:1.0")
        scan = ["--index", str(folder / "chainguard"), "--upstream", str(folder / "pypi")]
        yield Stage(host=host, name=name, folder=folder, scan=scan)


def test_attest_push_and_verify(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    empty = stage.run(capsys, "verify-attestation", stage.name, *stage.key("ed25519.pub"))
    assert (empty[0], empty[1]) == (2, "")
    assert "no attestation of it" in empty[2]
    status, out, _ = stage.run(
        capsys, "attest", stage.name, *stage.scan, "--min-coverage", "50", *stage.key("ed25519.key"), "--push"
    )
    assert status == 0
    lines = out.splitlines()
    assert len(lines) == 2
    assert all(" listed under the tag sha256-" in line for line in lines)
    status, out, _ = stage.run(
        capsys, "verify-attestation", stage.name, *stage.key("ed25519.pub"), "-o", "json", "--min-coverage", "50"
    )
    found = json.loads(out)
    assert (status, found["verified"], [one["coverage"] for one in found["counted"]]) == (0, True, [50.0, None])
    for more, why in (
        (stage.key("ec.pub"), "no signature in it is one of the given key"),
        ([*stage.key("ed25519.pub"), "--min-coverage", "51"], "Not verified: the coverage is 50 %, 51 % is asked for."),
    ):
        status, out, _ = stage.run(capsys, "verify-attestation", stage.name, *more)
        assert status == 1
        assert why in " ".join(out.split())
    _read_by_skopeo(stage, lines)
    # what is attached is nothing to scan
    digest = found["digest"].removeprefix("sha256:")
    for other in (f"{stage.host}/team/app:sha256-{digest}", lines[0].split()[0]):
        assert stage.run(capsys, "scan", f"registry:{other}", *stage.scan, "--no-cache")[0] == 2
    assert stage.run(capsys, "scan", stage.name, *stage.scan, "--no-cache", "--platform", "all")[0] == 0


def _read_by_skopeo(stage: Stage, lines: list[str]) -> None:
    """The manifest and the index under the tag, by a program that is not ours."""
    inspect = [needed("skopeo"), "inspect", "--raw", "--tls-verify=false"]
    tag = lines[0].rpartition(" ")[2]

    def raw(what: str) -> Any:
        done = subprocess.run([*inspect, f"docker://{what}"], capture_output=True, check=True)
        return json.loads(done.stdout)

    listed = {one["digest"]: one for one in raw(f"{stage.host}/team/app:{tag}")["manifests"]}
    for line in lines:
        name, kind = line.split()[:2]
        manifest = raw(name)
        assert manifest["annotations"]["in-toto.io/predicate-type"] == kind
        assert manifest["subject"]["digest"] == f"sha256:{tag.removeprefix('sha256-')}"
        entry = listed[name.partition("@")[2]]
        assert (entry["artifactType"], entry["annotations"]) == (manifest["artifactType"], manifest["annotations"])


def test_a_failed_policy_is_attested_as_such(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["attest", stage.name, *stage.scan, "--fail-on", "upstream", *stage.key("ec.key"), "--push"]
    refused = stage.run(capsys, *words)
    assert (refused[0], refused[1]) == (2, "")
    assert "has a password" in refused[2]
    monkeypatch.setenv("CGSCAN_KEY_PASSWORD", PASSWORD)
    status, out, err = stage.run(capsys, *words)
    assert (status, len(out.splitlines())) == (1, 2)
    assert PASSWORD not in out + err
    status, out, _ = stage.run(capsys, "verify-attestation", stage.name, *stage.key("ec.pub"))
    assert status == 1
    assert "Not verified: the policy did not hold (FAILED)." in out


def test_a_report_is_attested_without_a_scan(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    report, file = stage.folder / "report.json", stage.folder / "app.intoto.jsonl"
    assert (
        stage.run(capsys, "scan", f"registry:{stage.name}", *stage.scan, "--no-cache", "-o", f"json={report}")[0] == 0
    )
    words = ["attest", f"registry:{stage.name}", "--report", str(report), "--min-coverage", "50"]
    assert stage.run(capsys, *words, *stage.key("ed25519.key"), "-o", str(file))[0] == 0
    assert [json.loads(line)["payloadType"] for line in file.read_text().splitlines()] == [
        "application/vnd.in-toto+json"
    ] * 2
    digest = json.loads(report.read_text())["target"]["digest"]
    verify = ["verify-attestation", str(file), *stage.key("ed25519.pub")]
    assert stage.run(capsys, *verify, "--image", digest)[0] == 0
    assert stage.run(capsys, *verify, "--image", f"registry:{stage.name}", "--max-age", "1d")[0] == 0
    assert stage.run(capsys, *verify, "--image", f"sha256:{'0' * 64}")[0] == 1
    assert "name it with --image" in stage.run(capsys, *verify)[2]
    said = json.loads(report.read_text())
    said["target"]["digest"] = f"sha256:{'1' * 64}"
    report.write_text(json.dumps(said))
    status, _, err = stage.run(capsys, *words)
    assert status == 2
    assert "not about registry:" in err


def test_the_predicate_alone_is_for_cosign(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["attest", f"registry:{stage.name}", *stage.scan, "--min-coverage", "10"]
    status, out, _ = stage.run(capsys, *words, "--predicate", "vsa", "--as", "predicate")
    assert (status, json.loads(out)["verificationResult"]) == (0, "PASSED")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["oci-dir:{folder}/layout", "--key", "{folder}/ed25519.key", "--push"], "only an image in a registry"),
        (["x", "--push"], "there is no key"),
        (["x", "--as", "envelope"], "there is no key"),
        (["x", "--as", "predicate"], "which predicate"),
        (["x", "--key", "no/such"], "cannot be read"),
        (["x", "--verifier", "me"], "is no URI"),
        (["x", "-o", "no/such/folder"], "no such folder"),
    ],
)
def test_what_makes_no_sense_is_said_before_the_scan(
    stage: Stage, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    status, out, err = stage.run(capsys, "attest", *(word.format(folder=stage.folder) for word in words))
    assert (status, out) == (2, "")
    assert why in err


def test_two_at_once_keep_both(stage: Stage) -> None:
    """Processes of their own, and a registry that knows no If-Match."""
    name = push(stage.folder / "layout", f"{stage.host}/team/both:1.0")
    words = [
        sys.executable,
        "-m",
        "scanner",
        "attest",
        name,
        *stage.scan,
        "--predicate",
        "vsa",
        *stage.key("ed25519.key"),
    ]
    done: list[subprocess.CompletedProcess[str]] = []

    def run(verifier: str) -> None:
        command = [*words, "--push", "--no-cache", "--verifier", verifier]
        done.append(subprocess.run(command, capture_output=True, text=True, check=False))

    threads = [threading.Thread(target=run, args=(f"urn:test:{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    tag = done[0].stdout.split()[-1]
    inspect = [needed("skopeo"), "inspect", "--raw", "--tls-verify=false", f"docker://{stage.host}/team/both:{tag}"]
    index = json.loads(subprocess.run(inspect, capture_output=True, check=True).stdout)
    pushed = {one.stdout.split()[0].partition("@")[2] for one in done}
    assert {one["digest"] for one in index["manifests"]} == pushed
