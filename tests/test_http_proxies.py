"""Proxies of the environment and certificates of one's own: real tunnels, a real chain, a real nginx."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.cli import main
from scanner.errors import UsageError
from scanner.http import CertificateRefused, Client, Credentials, RequestFailed
from scanner.limits import Limits
from tests.managers import html_page, nginx
from tests.proxies import Proxy
from tests.registries import Certificate, Site, needed, site

SECRET = "s3cr3t-0f-the-test"
LIMITS = Limits(request_seconds=5)
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
HOST = "index.test"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Certificate]:
    """A certificate authority, and what it has signed for this machine and ``index.test``."""
    folder = tmp_path_factory.mktemp("chain")
    openssl = needed("openssl")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
    run("req", "-x509", *ec, "-days", "2", "-subj", "/CN=our CA", *authority, "-keyout", "ca.key", "-out", "ca.pem")
    run("req", *ec, "-subj", "/CN=index", "-keyout", "key.pem", "-out", "index.csr")
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST},IP:127.0.0.1\n")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    run("x509", "-req", "-in", "index.csr", *signed, "-out", "cert.pem")
    return folder / "ca.pem", Certificate(path=folder / "cert.pem", key=folder / "key.pem")


@pytest.fixture
def secure(chain: tuple[Path, Certificate]) -> Iterator[Site]:
    """A site with TLS that our authority vouches for."""
    with site(lambda it: it.send(200, b"ok"), certificate=chain[1]) as here:
        yield here


@pytest.fixture
def client(chain: tuple[Path, Certificate], monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    with Client(limits=LIMITS, ca_file=chain[0], plain_http=frozenset({HOST})) as one:
        yield one


# -- proxies


def test_tls_goes_through_a_tunnel(secure: Site, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(hosts={HOST: secure}, login=("me", SECRET)).running() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        answer = client.get(f"https://{HOST}/simple/one/", credentials=Credentials(token="for-the-index"))
    assert answer.body == b"ok"
    assert proxy.tunnels == [f"{HOST}:443"]
    [tunnel], [request] = proxy.requests, secure.requests
    # the proxy's password is the proxy's, the index's is the index's
    assert "authorization" not in tunnel.headers
    assert request.headers["authorization"] == "Bearer for-the-index"
    assert "proxy-authorization" not in request.headers
    assert SECRET not in str(request)


def test_plain_http_is_forwarded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(lambda it: it.send(200, it.seen.path.encode())) as here, Proxy(hosts={HOST: here}).running() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert client.get(f"http://{HOST}/simple/").body == b"/simple/"
    assert len(proxy.requests) == len(here.requests) == 1


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_each_variable_is_heard(name: str, secure: Site, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(hosts={HOST: secure}).running() as proxy:
        monkeypatch.setenv(name, proxy.url)
        assert client.get(f"https://{HOST}/").status == 200
        assert proxy.tunnels


@pytest.mark.parametrize("exempt", [HOST, ".test", f"other.example,{HOST}", "*"])
def test_no_proxy(exempt: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name leads nowhere without the proxy: that it is not found shows that it was looked up here."""
    with Proxy(hosts={}).running() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exempt)
        with pytest.raises(RequestFailed):
            client.get(f"https://{HOST}/")
    assert proxy.requests == []


def test_another_host_is_not_exempt(secure: Site, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(hosts={HOST: secure}).running() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "other.test,x.index.test")
        assert client.get(f"https://{HOST}/").status == 200


def test_a_proxy_that_refuses_is_asked_once_and_its_password_is_not_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(hosts={}, login=("me", "right")).running() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("right", SECRET))
        with pytest.raises(RequestFailed, match="the proxy answered 407") as caught:
            client.get(f"https://{HOST}/")
    assert len(proxy.requests) == 1
    assert SECRET not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize("value", [f"foo://me:{SECRET}@x", f"http://me:{SECRET}@x:port", f"socks5://me:{SECRET}@x:1"])
def test_a_proxy_that_is_none(value: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(UsageError, match="names a proxy that cannot be used") as caught:
        client.get(f"https://{HOST}/")
    assert SECRET not in f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r}"
    assert "HTTPS_PROXY" in (caught.value.hint or "")


def test_a_proxy_that_is_not_there(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@127.0.0.1:9")
    with pytest.raises(RequestFailed) as caught:
        client.get(f"https://{HOST}/")
    assert SECRET not in f"{caught.value!r}"
    assert "names a proxy" in (caught.value.hint or "")


# -- certificates


def test_an_authority_of_ones_own(chain: tuple[Path, Certificate], tmp_path: Path) -> None:
    authority, certificate = chain
    (tmp_path / "tree" / "simple" / "one").mkdir(parents=True)
    (tmp_path / "tree" / "simple" / "one" / "index.html").write_bytes(html_page([]))
    with nginx(tmp_path / "nginx", tmp_path / "tree", certificate=certificate) as url:
        with Client(limits=LIMITS, ca_file=authority) as client:
            assert client.get(f"{url}/simple/one/").status == 200
        with Client(limits=LIMITS) as client, pytest.raises(CertificateRefused) as caught:
            client.get(f"{url}/simple/one/")
        assert "--ca-file" in (caught.value.hint or "")
        pull = ["index", "pull", str(tmp_path / "a.cgindex"), "one", "--no-cache", "-q", "--upstream", f"{url}/simple"]
        assert main([*pull, "--ca-file", str(authority)]) == 0
        pull[2] = str(tmp_path / "b.cgindex")
        assert main(pull) == 2


def test_a_chain_of_another_is_refused(chain: tuple[Path, Certificate], secure: Site, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    command = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=our CA", "-days", "2"]
    subprocess.run(
        [needed("openssl"), *command, "-keyout", str(tmp_path / "k"), "-out", str(other)],
        check=True,
        capture_output=True,
    )
    with Client(limits=LIMITS, ca_file=other) as client, pytest.raises(CertificateRefused):
        client.get(secure.url)
    assert secure.requests == []


def test_the_environments_authorities_are_trusted(
    chain: tuple[Path, Certificate], secure: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(chain[0]))
    with Client(limits=LIMITS) as client:
        assert client.get(secure.url).body == b"ok"
