"""``--min-evidence attested`` as a person runs it: folders, servers, Chainguard's own host, snapshots, no network."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.signing import GITHUB, PUBLISH, PUBLISHER, Signing, Sigstore
from scanner.cli import main
from scanner.index import Evidence
from scanner.indexes.tier import CHAINGUARD_HOST
from tests.managers import JSON, json_page, send_range, sha256
from tests.registries import Exchange, site
from tests.repository_managers.fake_chainguard import FakeChainguard
from tests.repository_managers.hosts import hosts
from tests.scenes import Scene, builds

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/data.bin": random.Random(1).randbytes(100_000),  # so that the wheel is worth reading by ranges
}
BUILDER = Signing()


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_", "CHAINGUARD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture
def trust(sigstore: Sigstore, tmp_path: Path) -> tuple[str, ...]:
    return ("--trust-root", str(sigstore.write_trust_root(tmp_path / "trust")))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """(Chainguard's, PyPI's) wheel; Chainguard's is installed below ``root``."""
    ours, theirs = builds(tmp_path, CODE)
    Scene(tmp_path).install(ours)
    return ours, theirs


def provenance(sigstore: Sigstore, wheel: Path, signing: Signing = BUILDER) -> bytes:
    return json.dumps(sigstore.provenance(sha256(wheel.read_bytes()), wheel.name, signing)).encode()


def scanned(*arguments: str, status: int = 0) -> dict[str, Any]:
    """The only distribution of a report."""
    assert main(["scan", "dir:root", "-q", "-o", "json=report.json", *arguments]) == status
    [line] = json.loads(Path("report.json").read_text())["distributions"]
    return dict(line)


def rung(line: dict[str, Any]) -> Evidence | None:
    said = line["match"]["evidence"]
    return Evidence(said) if said else None


DEMAND = ("--min-evidence", "attested", "--min-coverage", "100")


# -- folders


def test_a_folder_with_provenance_beside_the_wheel(
    sigstore: Sigstore, pair: tuple[Path, Path], trust: tuple[str, ...]
) -> None:
    ours, theirs = pair
    folders = ("--index", str(ours.parent), "--upstream", str(theirs.parent), "--no-cache", *trust)
    line = scanned(*folders, *DEMAND, status=1)
    assert line["reason"].endswith("; not attested: its index offers no attestation")
    beside = ours.with_name(f"{ours.name}.provenance")
    beside.write_bytes(provenance(sigstore, ours))
    line = scanned(*folders, *DEMAND)
    assert (line["origin"], line["integrity"], rung(line)) == ("chainguard", "intact", Evidence.ATTESTED)
    assert line["match"]["proved"]
    assert rung(scanned(*folders)) is Evidence.ATTESTED  # without being demanded
    assert rung(scanned(*folders, "--attestations", "never")) is Evidence.NOT_UPSTREAM
    beside.write_bytes(provenance(sigstore, ours, Signing(issuer=GITHUB, identity=PUBLISHER, predicate_type=PUBLISH)))
    line = scanned(*folders, *DEMAND, status=1)
    assert rung(line) is Evidence.NOT_UPSTREAM
    assert f"signed by {PUBLISHER}" in line["reason"]


def test_identities_of_the_configuration(sigstore: Sigstore, pair: tuple[Path, Path], trust: tuple[str, ...]) -> None:
    ours, _ = pair
    other = "https://issuer.example/builder/7"
    signing = Signing(issuer="https://issuer.example", identity=other)
    ours.with_name(f"{ours.name}.provenance").write_bytes(provenance(sigstore, ours, signing))
    arguments = ("--index", str(ours.parent), "--no-cache", *trust)
    assert rung(scanned(*arguments)) is Evidence.SBOM
    Path("cgscan.yaml").write_text(f"identities:\n  - issuer: https://issuer.example\n    identity: {other}\n")
    assert rung(scanned(*arguments)) is Evidence.ATTESTED


def test_explain_says_why_a_signature_does_not_count(
    sigstore: Sigstore, pair: tuple[Path, Path], trust: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = pair
    arguments = ["--index", str(ours.parent), "--upstream", str(theirs.parent), "--no-cache", "-q", *trust]
    beside = ours.with_name(f"{ours.name}.provenance")
    beside.write_bytes(provenance(sigstore, ours, Signing(issuer=GITHUB, identity=PUBLISHER, predicate_type=PUBLISH)))
    assert main(["explain", "dir:root", "demo", *arguments]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"What is signed about it is no evidence: signed by {PUBLISHER} (issuer {GITHUB})" in said
    beside.write_bytes(b"\x1b[2J{}")
    assert main(["explain", "dir:root", "demo", *arguments]) == 0
    said = capsys.readouterr().out
    assert "no evidence: the document is broken JSON" in " ".join(said.split())
    assert "\x1b" not in said
    beside.write_bytes(provenance(sigstore, ours))
    assert main(["explain", "dir:root", "demo", *arguments]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "counts as Chainguard's (attested) because a signature over its sha256 was checked" in said


def test_without_the_extra(
    sigstore: Sigstore,
    pair: tuple[Path, Path],
    trust: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, theirs = pair
    ours.with_name(f"{ours.name}.provenance").write_bytes(provenance(sigstore, ours))
    # how it looks where the extra is not installed: nothing else says so without another environment
    monkeypatch.setitem(sys.modules, "sigstore", None)
    folders = ["--index", str(ours.parent), "--upstream", str(theirs.parent), "--no-cache", *trust]
    assert main(["scan", "dir:root", "-q", *folders]) == 0
    assert "cgscan[attested]" not in capsys.readouterr().out
    assert main(["scan", "dir:root", "-q", *folders, *DEMAND]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("pip install 'cgscan[attested]' would settle it.") == said.count("cgscan[attested]") == 1


@pytest.mark.parametrize("content", [b"{}", None])
def test_a_trust_root_that_is_none_ends_the_scan(
    pair: tuple[Path, Path], content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("root.json").write_bytes(content)
    assert main(["scan", "dir:root", "--index", str(pair[0].parent), "--trust-root", "root.json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "trust_root: root.json" in captured.err
    assert "hint:" in captured.err
    assert "Traceback" not in captured.err


# -- servers


def served(ours: Path, document: bytes, *, lie: bytes = b"") -> Callable[[Exchange], None]:
    """A page that names the place of the document. With a ``lie`` a wheel that is asked for whole is that."""

    def respond(exchange: Exchange) -> None:
        path, data = exchange.seen.path, ours.read_bytes()
        if path == "/simple/demo/":
            row = {"filename": ours.name, "url": "/f", "size": len(data), "hashes": {"sha256": sha256(data)}}
            exchange.send(200, json_page("demo", [{**row, "provenance": "/integrity"}]), Content_Type=JSON)
        elif path == "/integrity":
            exchange.send(200, document)
        elif path == "/f" and "range" not in exchange.seen.headers and lie:
            exchange.send(200, lie)
        elif path == "/f":
            send_range(exchange, data)
        else:
            exchange.send(404)

    return respond


def test_a_server_then_without_a_network(sigstore: Sigstore, pair: tuple[Path, Path], trust: tuple[str, ...]) -> None:
    ours, _ = pair
    cached = ("--cache-dir", "cache", *trust, *DEMAND)
    with site(served(ours, provenance(sigstore, ours))) as here:
        index = f"{here.url}/simple"
        line = scanned("--index", index, *cached)
        assert rung(line) is Evidence.ATTESTED
        first = here.paths()
        assert first.count("/integrity") == 1
        assert rung(scanned("--index", index, *cached)) is Evidence.ATTESTED
        assert here.paths()[len(first) :] == ["/simple/demo/"]  # the rest is remembered
    again = scanned("--index", index, *cached, "--offline")
    assert {**again, "match": None} == {**line, "match": None}
    assert rung(again) is Evidence.ATTESTED


def test_a_page_that_promises_the_sha256_of_other_bytes(
    sigstore: Sigstore, pair: tuple[Path, Path], trust: tuple[str, ...]
) -> None:
    """The page names the attested sha256, ranges give what is installed, the whole file is another one."""
    ours, theirs = pair
    with site(served(ours, provenance(sigstore, ours), lie=theirs.read_bytes())) as here:
        line = scanned("--index", f"{here.url}/simple", "--no-cache", *trust, *DEMAND, status=1)
    assert rung(line) is Evidence.SBOM
    assert "its sha256 is attested, but not proved" in line["reason"]


def test_a_document_without_end(pair: tuple[Path, Path], trust: tuple[str, ...]) -> None:
    ours, _ = pair
    with site(served(ours, b"[" * 4_000_000)) as here:
        line = scanned("--index", f"{here.url}/simple", "--no-cache", *trust, *DEMAND, status=1)
    assert rung(line) is Evidence.SBOM
    assert "longer than 2097152 bytes (limit attestation)" in line["reason"]


# -- Chainguard's own host


@pytest.fixture
def host(pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """libraries.cgr.dev under its own name, with an integrity endpoint that has these documents."""
    ours, _ = pair
    documents: dict[str, bytes] = {}
    fake = FakeChainguard(wheels=[ours], login=None)

    def front(exchange: Exchange) -> None:
        found = documents.get(exchange.seen.path.rpartition("/")[2])
        if not exchange.seen.path.startswith("/python/integrity/"):
            fake.responds[CHAINGUARD_HOST](exchange)
        elif found is None:
            exchange.send(404, b"{}")
        else:
            exchange.send(200, found)

    with hosts(tmp_path / "tls", {**fake.responds, CHAINGUARD_HOST: front}) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)

        def asked(**given: bytes) -> tuple[list[str], tuple[str, ...]]:
            documents.clear()
            documents.update({name.replace("_", "."): data for name, data in given.items()})
            running.requests(CHAINGUARD_HOST).clear()
            arguments = ("--index", f"https://{CHAINGUARD_HOST}/python/simple", "--ca-file", str(running.certificate))
            return running.sites[CHAINGUARD_HOST].paths, arguments  # type: ignore[return-value]

        yield asked


def test_the_integrity_endpoint(
    sigstore: Sigstore, pair: tuple[Path, Path], trust: tuple[str, ...], host: Callable[..., Any]
) -> None:
    ours, _ = pair
    place = f"/python/integrity/demo/1.0/{ours.name}"
    digest = sha256(ours.read_bytes())
    bundle = json.dumps(sigstore.bundle_of_bytes(digest)).encode()
    statement = json.dumps(sigstore.bundle(digest, ours.name)).encode()
    for given, forms in (
        ({"provenance": provenance(sigstore, ours)}, ["provenance"]),
        ({"bundle_json": bundle}, ["provenance", "bundle.json"]),
        ({"bundle_json": statement}, ["provenance", "bundle.json"]),
        ({"provenance": b"{}", "bundle_json": bundle}, ["provenance", "bundle.json"]),
    ):
        paths, arguments = host(**given)
        assert rung(scanned(*arguments, "--no-cache", *trust, *DEMAND)) is Evidence.ATTESTED
        assert [path for path in paths() if "integrity" in path] == [f"{place}/{form}" for form in forms]
    _, arguments = host()
    line = scanned(*arguments, "--no-cache", *trust, *DEMAND, status=1)
    assert line["reason"].endswith("not attested: its index offers no attestation")
    assert rung(line) is Evidence.PATH


# -- snapshots


@pytest.mark.parametrize("what", [("--for", "dir:root"), ("demo==1.0", "--prove")], ids=["target", "name"])
def test_a_snapshot(
    sigstore: Sigstore, pair: tuple[Path, Path], trust: tuple[str, ...], what: tuple[str, ...], tmp_path: Path
) -> None:
    ours, _ = pair
    cache = ("--cache-dir", "cache")
    with site(served(ours, provenance(sigstore, ours))) as here:
        index = f"{here.url}/simple"
        online = scanned("--index", index, *cache, *trust, *DEMAND)
        # also what the cache knows already comes into the snapshot
        assert main(["index", "pull", "a.cgindex", *what, "--index", index, *cache, *trust, "-q"]) == 0
        asked = here.paths()
        assert main(["index", "pull", "a.cgindex", *what, "--index", index, *cache, *trust, "-q"]) == 0
        assert here.paths() == asked  # nothing of it is asked for twice
    offline = scanned("--index", "a.cgindex", "--offline", "--no-cache", *trust, *DEMAND)
    assert rung(offline) is Evidence.ATTESTED
    assert offline == online
    # who scans decides whose signatures count
    stranger = Sigstore().write_trust_root(tmp_path / "stranger")
    line = scanned("--index", "a.cgindex", "--offline", "--no-cache", "--trust-root", str(stranger))
    assert rung(line) is Evidence.SBOM


def test_a_snapshot_made_without_sigstore(
    sigstore: Sigstore, pair: tuple[Path, Path], trust: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = pair
    with site(served(ours, provenance(sigstore, ours))) as here, monkeypatch.context() as without:
        without.setitem(sys.modules, "sigstore", None)
        pull = ["index", "pull", "a.cgindex", "--for", "dir:root", "--index", f"{here.url}/simple", "--no-cache", "-q"]
        assert main([*pull, "--prove"]) == 0
    assert rung(scanned("--index", "a.cgindex", "--offline", "--no-cache", *trust, *DEMAND)) is Evidence.ATTESTED


def test_a_snapshot_without_what_is_signed(sigstore: Sigstore, pair: tuple[Path, Path], trust: tuple[str, ...]) -> None:
    ours, _ = pair
    with site(served(ours, provenance(sigstore, ours))) as here:
        pull = ["index", "pull", "a.cgindex", "demo==1.0", "--index", f"{here.url}/simple", "--no-cache", "-q"]
        assert main([*pull, "--attestations", "never"]) == 0
        assert "/integrity" not in here.paths()
    line = scanned("--index", "a.cgindex", "--offline", "--no-cache", *trust, *DEMAND, status=1)
    assert "not attested: its index offers no attestation" in line["reason"]
