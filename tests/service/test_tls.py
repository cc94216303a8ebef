"""The service with TLS: its certificate is renewed while it runs, clients show theirs, health checks still work."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from scanner.errors import ConfigError
from scanner.service.health import not_ready
from scanner.service.transport import Renewing, context_of
from scanner.serving import Tls, serving_of
from tests.registries import free_port, needed
from tests.services import configured, started, until

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
RSA = ("-newkey", "rsa:2048")
CA = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")


@dataclass(frozen=True)
class Authority:
    """An authority and what it has signed: for this machine, by keys of two kinds, and for a client."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    def tls(self, kind: str = "ec") -> Tls:
        return Tls(certificate=self.folder / f"{kind}.pem", key=self.folder / f"{kind}.key")

    def client(self, shows: Authority | None = None) -> ssl.SSLContext:
        """A client that trusts this one, and shows a certificate of another."""
        context = ssl.create_default_context(cafile=self.file)
        if shows is not None:
            context.load_cert_chain(shows.folder / "client.pem", shows.folder / "client.key")
        return context


def authority(folder: Path) -> Authority:
    """Make one with ``openssl``."""
    folder.mkdir()
    program = needed("openssl")

    def run(*words: str) -> None:
        subprocess.run([program, *words], cwd=folder, check=True, capture_output=True)

    named = f"/CN=authority {folder.name}"
    run("req", "-x509", *EC, "-nodes", "-days", "2", "-subj", named, *CA, "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "names").write_text("subjectAltName=DNS:cgscan.test,IP:127.0.0.1\n")
    for name, kind in (("ec", EC), ("rsa", RSA), ("client", EC)):
        run("req", *kind, "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        run("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return Authority(folder)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("authorities")
    return authority(folder / "one"), authority(folder / "other")


@pytest.fixture
def files(tmp_path: Path, two: tuple[Authority, Authority]) -> Tls:
    """Files that can be changed: of the first authority, by a key of RSA."""
    tls = Tls(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key", client_ca=tmp_path / "ca.crt")
    renewed(tls, two[0], kind="rsa")
    return tls


def renewed(tls: Tls, by: Authority, *, kind: str = "ec") -> None:
    shutil.copy(by.tls(kind).certificate, tls.certificate)
    shutil.copy(by.tls(kind).key, tls.key)
    if tls.client_ca is not None:
        shutil.copy(by.file, tls.client_ca)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, *, name: str | None = "cgscan.test") -> str:
    """Who vouches for the server, over no network at all; :class:`ssl.SSLError`."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(to_server, to_client, server_side=True)
    if name is None:
        client.check_hostname = False
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(6):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    there.write(b"hello")  # a refused client is told after its own handshake
    assert here.read(5) == b"hello"
    shown = here.getpeercert()
    assert shown is not None
    return repr(shown["issuer"])


def test_what_is_renewed_counts_from_the_next_connection_on(files: Tls, two: tuple[Authority, Authority]) -> None:
    one, other = two
    renewing = Renewing(files, every=0)
    assert "authority one" in handshake(renewing.context, one.client(one))
    renewed(files, other)  # another kind of key too
    renewing.look()
    for name in ("cgscan.test", None):
        assert "authority other" in handshake(renewing.context, other.client(other), name=name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(renewing.context, one.client(other))


def test_an_authority_that_was_taken_out_is_not_trusted_any_more(files: Tls, two: tuple[Authority, Authority]) -> None:
    one, other = two
    renewing = Renewing(files, every=0)
    with pytest.raises(ssl.SSLError):
        handshake(renewing.context, one.client())
    with pytest.raises(ssl.SSLError):
        handshake(renewing.context, one.client(other))
    renewed(files, other)
    renewing.look()
    with pytest.raises(ssl.SSLError):
        handshake(renewing.context, other.client(one))


@pytest.mark.parametrize("damage", ["half", "empty", "gone"])
def test_files_that_cannot_be_used_leave_all_as_it_is(
    files: Tls, two: tuple[Authority, Authority], damage: str
) -> None:
    one, other = two
    renewing = Renewing(files, every=0)
    if damage == "half":
        shutil.copy(other.tls().certificate, files.certificate)
    elif damage == "empty":
        files.key.write_bytes(b"")
    else:
        files.key.unlink()
    renewing.look()
    assert "authority one" in handshake(renewing.context, one.client(one))
    renewed(files, other)
    renewing.look()
    assert "authority other" in handshake(renewing.context, other.client(other))


def test_tls_of_old_is_refused(files: Tls) -> None:
    assert context_of(files).minimum_version is ssl.TLSVersion.TLSv1_2


def test_what_cannot_be_used_is_one_line(files: Tls, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    words = ["pkey", "-in", str(files.key), "-aes256", "-passout", "pass:hunter22", "-out", str(locked)]
    subprocess.run([needed("openssl"), *words], check=True, capture_output=True)
    missing = tmp_path / "none.pem"
    for tls in (
        Tls(certificate=files.certificate, key=locked),
        Tls(certificate=missing, key=files.key),
        Tls(certificate=files.key, key=files.key),
        Tls(certificate=files.certificate, key=files.key, client_ca=locked),
    ):
        with pytest.raises(ConfigError) as caught:
            context_of(tls)
        assert caught.value.message.startswith("serve.tls: ")
        assert "\n" not in caught.value.message
        assert caught.value.hint


# -- the process


def asked(url: str, context: ssl.SSLContext) -> bytes:
    with urllib.request.urlopen(f"{url}/healthz", context=context, timeout=10) as answer:
        said: bytes = answer.read()
        return said


def test_a_service_with_tls(files: Tls, two: tuple[Authority, Authority], tmp_path: Path) -> None:
    one, other = two
    port = free_port()
    said = {"certificate": "tls.crt", "key": "tls.key", "client_ca": "ca.crt"}
    config = configured(tmp_path, tls=said, listen=f"127.0.0.1:{port}")
    serving = serving_of(config, {"HOME": str(tmp_path)})
    with started(tmp_path, "serve", "--config", str(config), "--no-workers") as running:
        assert running.url == f"https://127.0.0.1:{port}"
        assert b"ok" in asked(running.url, one.client(one))
        with pytest.raises(OSError, match=r"certificate|reset|closed|EOF"):
            asked(running.url, one.client())
        assert not_ready(serving) is None
        renewed(files, other)
        until(lambda: running.said("certificate renewed"))
        assert b"ok" in asked(running.url, other.client(other))
        assert not_ready(serving) is None
    assert str(not_ready(serving)).startswith("no answer")
