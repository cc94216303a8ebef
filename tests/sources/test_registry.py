"""Images out of real registries, and out of registries that misbehave."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fixtures.images import (
    digest_of,
    file_entry,
    image_config,
    json_bytes,
    layer_from_entries,
    multi_platform_layout,
    write_index_of,
    write_manifest,
    write_oci_layout,
)
from scanner.errors import (
    AccessDenied,
    CgscanError,
    DigestMismatch,
    LimitExceeded,
    TargetError,
    TargetNotFound,
    TruncatedStream,
    UnsupportedTarget,
    UntrustedContent,
)
from scanner.http import Client
from scanner.image import Image, Layer
from scanner.limits import DEFAULT_LIMITS, Limits
from scanner.reference import ImageName
from scanner.sources.options import SourceOptions
from scanner.sources.registry import open_registry
from tests.registries import (
    Certificate,
    Exchange,
    Site,
    TokenServer,
    docker_registry,
    free_port,
    give_range,
    hosted,
    htpasswd,
    make_certificate,
    push,
    site,
)

USER, SECRET = "ci", "s3cr3t-0f-the-test"
LIMITS = Limits(request_seconds=5)
LAYERS = [
    layer_from_entries([file_entry("etc/base", b"base")]),
    layer_from_entries([file_entry("app/zstd", b"z" * 100_000)], compression="zstd"),
    layer_from_entries([file_entry("app/plain", b"plain")], compression=None),
]
NOISE = bytes((number * number >> 3) & 0xFF for number in range(300_000))
BIG = layer_from_entries([file_entry("app/noise", NOISE)], compression=None)


@pytest.fixture(autouse=True)
def _no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's logins but the test's."""
    for name in ("DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry without logins."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image of a gzip, a zstd and a plain layer."""
    return write_oci_layout(tmp_path_factory.mktemp("layout"), LAYERS, created_by=["A", "B", "C"])


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image with one layer of 300 kB that does not compress."""
    return write_oci_layout(tmp_path_factory.mktemp("big"), [BIG])


def opened(text: str, *, platform: str | None = "linux/amd64", **options: Any) -> Any:
    return open_registry(
        ImageName.parse(text), platform=platform, options=SourceOptions(**{"limits": LIMITS, **options})
    )


def contents(image: Image) -> list[bytes]:
    """The uncompressed tars of an image, verified."""
    return [read(layer) for layer in image.layers]


def read(layer: Layer) -> bytes:
    with layer.tar(DEFAULT_LIMITS) as tar:
        return tar.read()


def read_all(text: str, **options: Any) -> None:
    with opened(text, **options) as images:
        for image in images:
            contents(image)


def failure(text: str, **options: Any) -> CgscanError:
    """What opening an image and reading all of it raises; it shows no secret."""
    with pytest.raises(CgscanError) as raised:
        read_all(text, **options)
    problem: BaseException | None = raised.value
    assert "\n" not in str(problem)
    while problem is not None:
        assert SECRET not in f"{problem} {problem!r} {getattr(problem, 'hint', '')}"
        problem = problem.__cause__
    return raised.value


def manifest_digest(layout: Path, tag: str = "latest") -> str:
    for one in json.loads((layout / "index.json").read_bytes())["manifests"]:
        if one["annotations"]["org.opencontainers.image.ref.name"] == tag:
            return str(one["digest"])
    raise AssertionError(tag)


# -- real registries


def test_an_image_layer_by_layer(registry: str, layout: Path) -> None:
    name = push(layout, f"{registry}/team/app:1.0")
    with opened(name) as (image,):
        assert image.reference == f"registry:{name}"
        assert str(image.digest) == manifest_digest(layout)
        assert str(image.platform) == "linux/amd64"
        assert [str(layer.digest) for layer in image.layers] == [blob.digest for blob in LAYERS]
        assert [str(layer.diff_id) for layer in image.layers] == [blob.diff_id for blob in LAYERS]
        assert [layer.size for layer in image.layers] == [blob.size for blob in LAYERS]
        assert [layer.media_type for layer in image.layers] == [blob.media_type for blob in LAYERS]
        assert [layer.created_by for layer in image.layers] == ["A", "B", "C"]
        assert contents(image) == [blob.tar() for blob in LAYERS]
        assert contents(image) == [blob.tar() for blob in LAYERS]  # as often as one likes


def test_an_image_by_digest(registry: str, layout: Path) -> None:
    name = push(layout, f"{registry}/team/app:1.0")
    digest = manifest_digest(layout)
    for text in (f"{registry}/team/app@{digest}", f"{name}@{digest}"):
        with opened(text) as (image,):
            assert image.reference == f"registry:{text}"
            assert str(image.digest) == digest


def test_layers_in_many_threads(registry: str, layout: Path) -> None:
    name = push(layout, f"{registry}/team/app:1.0")
    with opened(name) as (image,), ThreadPoolExecutor(8) as pool:
        tars = list(pool.map(read, image.layers * 10))
    assert tars == [blob.tar() for blob in LAYERS] * 10


def test_platforms_of_an_index(registry: str, tmp_path: Path) -> None:
    arms = [layer_from_entries([file_entry("which", b"arm64")])]
    images = {"linux/amd64": LAYERS, "linux/arm64/v8": arms}
    name = push(multi_platform_layout(tmp_path, images), f"{registry}/team/multi:1.0")
    with opened(name, platform="linux/arm64") as (image,):
        assert str(image.platform) == "linux/arm64/v8"
        assert contents(image) == [arms[0].tar()]
        by_digest = f"{registry}/team/multi@{image.digest}"
    with opened(name, platform="all") as found:
        assert [str(image.platform) for image in found] == ["linux/amd64", "linux/arm64/v8"]
        assert len({image.digest for image in found}) == 2
    with opened(by_digest, platform=None) as (image,):
        assert str(image.platform) == "linux/arm64/v8"
    problem = failure(name, platform="linux/s390x")
    assert isinstance(problem, TargetNotFound)
    assert "linux/amd64" in str(problem)


def test_the_platform_of_a_single_image(registry: str, layout: Path) -> None:
    name = push(layout, f"{registry}/team/app:1.0")
    assert isinstance(failure(name, platform="linux/arm64"), TargetNotFound)
    for platform in ("all", None):
        with opened(name, platform=platform) as (image,):
            assert str(image.platform) == "linux/amd64"


def test_what_is_not_there(registry: str, layout: Path) -> None:
    push(layout, f"{registry}/team/app:1.0")
    for name in (f"{registry}/team/app:none", f"{registry}/no/such:1.0", f"{registry}/team/app@{digest_of(b'x')}"):
        problem = failure(name)
        assert isinstance(problem, TargetNotFound)
        assert name.partition("/")[2] in str(problem)


def test_a_password(tmp_path: Path, layout: Path) -> None:
    config = tmp_path / "home" / ".docker" / "config.json"
    config.parent.mkdir(parents=True)
    with docker_registry(tmp_path / "registry", passwords=htpasswd(tmp_path, USER, SECRET)) as host:
        name = push(layout, f"{host}/team/app:1.0", login=f"{USER}:{SECRET}")
        problem = failure(name)
        assert isinstance(problem, AccessDenied)
        assert problem.hint == f"check the name, or log in with: docker login {host}"
        config.write_text(json.dumps({"auths": {host: {"username": USER, "password": f"{SECRET}-wrong"}}}))
        problem = failure(name)
        assert isinstance(problem, AccessDenied)
        assert str(config) in str(problem)
        config.write_text(json.dumps({"auths": {host: {"username": USER, "password": SECRET}}}))
        with opened(name) as (image,):
            assert contents(image) == [blob.tar() for blob in LAYERS]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[tuple[str, TokenServer]]:
    """A real registry with a token server; gives the registry's host."""
    server = TokenServer(certificate=certificate, users={USER: SECRET}, identity_tokens=frozenset({f"id-{SECRET}"}))
    with site(server.respond) as realm:
        folder = tmp_path_factory.mktemp("tokens")
        with docker_registry(folder, tokens=(f"{realm.url}/token", server)) as host:
            yield host, server


@pytest.fixture
def authfile(tmp_path: Path) -> Callable[..., Path]:
    """Writes a login for a host into a file of its own."""

    def write(host: str, **entry: str) -> Path:
        path = tmp_path / "auth.json"
        path.write_text(json.dumps({"auths": {host: entry}}))
        return path

    return write


LOGIN = {"username": USER, "password": SECRET}


def test_one_token_serves_manifest_and_blobs(
    tokens: tuple[str, TokenServer], layout: Path, authfile: Callable[..., Path]
) -> None:
    host, server = tokens
    name = push(layout, f"{host}/team/app:1.0", login=f"{USER}:{SECRET}")
    before = len(server.given)
    with opened(name, authfile=authfile(host, **LOGIN)) as (image,), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, image.layers)) == [blob.tar() for blob in LAYERS]
    assert len(server.given) == before + 1


def test_an_identity_token(tokens: tuple[str, TokenServer], layout: Path, authfile: Callable[..., Path]) -> None:
    host, server = tokens
    name = push(layout, f"{host}/team/app:1.0", login=f"{USER}:{SECRET}")
    file = authfile(host, identitytoken=f"id-{SECRET}")
    for server.no_oauth in (None, 404):
        with opened(name, authfile=file) as (image,):
            assert contents(image) == [blob.tar() for blob in LAYERS]
    server.no_oauth = None


def test_refused_by_the_token_server(
    tokens: tuple[str, TokenServer], layout: Path, authfile: Callable[..., Path]
) -> None:
    host, _ = tokens
    assert isinstance(failure(f"{host}/team/app:1.0"), AccessDenied)
    problem = failure(f"{host}/team/app:1.0", authfile=authfile(host, username=USER, password=f"{SECRET}-wrong"))
    assert isinstance(problem, AccessDenied)
    assert "auth.json" in str(problem)


def test_a_token_that_ends_between_two_layers(
    tokens: tuple[str, TokenServer], layout: Path, authfile: Callable[..., Path]
) -> None:
    host, server = tokens
    name = push(layout, f"{host}/team/app:1.0", login=f"{USER}:{SECRET}")
    server.lives[:] = [-58, 300]  # the registry allows for a minute
    with opened(name, authfile=authfile(host, **LOGIN)) as (image,):
        short = server.given[-1]
        wait_until_refused(f"http://{host}/v2/team/app/manifests/1.0", short)
        assert contents(image) == [blob.tar() for blob in LAYERS]
    assert server.given[-2] == short


def wait_until_refused(url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.oci.image.manifest.v1+json"}
    deadline = time.monotonic() + 20
    with Client(limits=LIMITS) as client:
        while client.get(url, headers=headers).status != 401:
            assert time.monotonic() < deadline, "the token never ended"


def test_tls_with_a_certificate_of_its_own(tmp_path: Path, layout: Path, certificate: Certificate) -> None:
    trusted = tmp_path / "home" / ".config" / "containers" / "certs.d"
    pushing = tmp_path / "certs"
    pushing.mkdir()
    (pushing / "ca.crt").write_bytes(certificate.path.read_bytes())
    with docker_registry(tmp_path / "registry", certificate=certificate) as host:
        name = push(layout, f"{host}/team/app:1.0", ca_file=pushing / "ca.crt")
        problem = failure(name)
        assert "CERTIFICATE_VERIFY_FAILED" in str(problem)
        assert "--ca-file" in str(problem.hint)
        with opened(name, ca_file=certificate.path) as (image,):
            assert contents(image) == [blob.tar() for blob in LAYERS]
        (trusted / host).mkdir(parents=True)
        (trusted / host / "ca.crt").write_bytes(certificate.path.read_bytes())
        with opened(name) as (image,):
            assert contents(image) == [blob.tar() for blob in LAYERS]


def test_nobody_listens() -> None:
    started = time.monotonic()
    problem = failure(f"127.0.0.1:{free_port()}/team/app:1.0")
    assert isinstance(problem, TargetError)
    assert "refused" in str(problem)
    assert time.monotonic() - started < 3


def test_plain_http_elsewhere_needs_a_switch() -> None:
    assert "http://" not in str(failure("registry.invalid/app:1"))
    allowed = failure("registry.invalid/app:1", plain_http=frozenset({"registry.invalid"}))
    assert "https://registry.invalid/v2/" in str(allowed)
    assert "http://registry.invalid/v2/" in str(allowed)


# -- blobs that come in pieces


def big_blob(exchange: Exchange) -> bool:
    return exchange.seen.path.endswith(BIG.digest)


def ranges(there: Site) -> list[str | None]:
    """The ranges in which the layer was asked for."""
    return [seen.headers.get("range") for seen in there.requests if seen.path.endswith(BIG.digest)]


def test_a_body_that_breaks_off_goes_on_by_range(big: Path) -> None:
    asked = 0

    def cut(exchange: Exchange) -> bool:
        nonlocal asked
        if not big_blob(exchange):
            return False
        asked += 1
        if asked == 1:
            exchange.cut(200, BIG.data[:100_000], BIG.size)
        elif asked == 2:
            rest = f"bytes 100000-{BIG.size - 1}/{BIG.size}"
            exchange.cut(206, BIG.data[100_000:150_000], BIG.size - 100_000, Content_Range=rest)
        else:
            return False
        return True

    with hosted(big, otherwise=cut) as there, opened(f"{there.host}/team/app") as (image,):
        assert contents(image) == [BIG.tar()]
    assert ranges(there) == [None, "bytes=100000-", "bytes=150000-"]


def test_a_whole_blob_instead_of_a_range_is_read_over(big: Path) -> None:
    def cut(exchange: Exchange) -> bool:
        if not big_blob(exchange):
            return False
        if "range" in exchange.seen.headers:
            exchange.send(200, BIG.data)
        else:
            exchange.cut(200, BIG.data[:123_456], BIG.size)
        return True

    with hosted(big, otherwise=cut) as there, opened(f"{there.host}/team/app") as (image,):
        assert contents(image) == [BIG.tar()]
    assert len(ranges(there)) == 2


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 0-99999/{size}",
        "bytes 99999-{last}/{size}",
        "bytes 100000-{last}/{less}",
        "bytes 100000-5/{size}",
        "100000-{last}/{size}",
        "",
    ],
)
def test_a_wrong_content_range_is_not_believed(big: Path, content_range: str) -> None:
    text = content_range.format(size=BIG.size, last=BIG.size - 1, less=BIG.size - 1)
    asked = 0

    def lie(exchange: Exchange) -> bool:
        nonlocal asked
        if not big_blob(exchange):
            return False
        asked += 1
        if asked == 1:
            exchange.cut(200, BIG.data[:100_000], BIG.size)
        elif "range" in exchange.seen.headers:
            exchange.send(206, b"\0" * (BIG.size - 100_000), Content_Range=text)
        else:
            exchange.send(200, BIG.data)
        return True

    with hosted(big, otherwise=lie) as there, opened(f"{there.host}/team/app") as (image,):
        assert contents(image) == [BIG.tar()]
    assert ranges(there) == [None, "bytes=100000-", None]


def test_part_of_a_blob_is_not_a_blob(big: Path) -> None:
    def part(exchange: Exchange) -> bool:
        if big_blob(exchange):
            exchange.send(206, BIG.data[5:], Content_Range=f"bytes 5-{BIG.size - 1}/{BIG.size}")
        return big_blob(exchange)

    with hosted(big, otherwise=part) as there:
        assert "another part" in str(failure(f"{there.host}/team/app"))
        assert len(ranges(there)) == 6


def test_a_body_that_always_breaks_off_ends(big: Path) -> None:
    def cut(exchange: Exchange) -> bool:
        if big_blob(exchange):
            exchange.cut(200, BIG.data[:1000], BIG.size)
        return big_blob(exchange)

    with hosted(big, otherwise=cut) as there:
        problem = failure(f"{there.host}/team/app")
        assert isinstance(problem, TargetError)
        assert "ends after 1000 of" in str(problem)
        assert len(ranges(there)) == 6


def test_a_connection_that_just_ends_is_no_end(big: Path) -> None:
    def hang_up(exchange: Exchange) -> bool:
        if not big_blob(exchange) or "range" in exchange.seen.headers:
            return False
        exchange.start(200, Connection="close")
        exchange.close_connection = True
        exchange.wfile.write(BIG.data[:1000])
        return True

    with hosted(big, otherwise=hang_up) as there, opened(f"{there.host}/team/app") as (image,):
        assert contents(image) == [BIG.tar()]
    assert ranges(there) == [None, "bytes=1000-"]


def test_a_body_that_ends_early_without_a_word(big: Path) -> None:
    def short(exchange: Exchange) -> bool:
        if big_blob(exchange):
            exchange.send(200, BIG.data[:1000])
        return big_blob(exchange)

    with hosted(big, otherwise=short) as there:
        assert isinstance(failure(f"{there.host}/team/app"), TruncatedStream)


def test_a_blob_without_end_ends(big: Path) -> None:
    def endless(exchange: Exchange) -> bool:
        if big_blob(exchange):
            exchange.start(200, Connection="close")
            exchange.close_connection = True
            exchange.wfile.write(BIG.data)
            while True:
                exchange.wfile.write(b"\0" * 65536)
        return False

    with hosted(big, otherwise=endless) as there:
        assert isinstance(failure(f"{there.host}/team/app"), DigestMismatch)


def test_other_bytes_of_the_same_length(big: Path) -> None:
    def other(exchange: Exchange) -> bool:
        if big_blob(exchange):
            exchange.send(200, BIG.data[:-1] + b"\1")
        return big_blob(exchange)

    with hosted(big, otherwise=other) as there:
        assert isinstance(failure(f"{there.host}/team/app"), DigestMismatch)


# -- blobs that lie elsewhere


def test_redirected_blobs_take_no_login_along(layout: Path, authfile: Callable[..., Path]) -> None:
    """S3 answers 400 where there is an Authorization beside the signature."""

    def storage(exchange: Exchange) -> None:
        if "authorization" in exchange.seen.headers:
            exchange.send(400, b"Only one auth mechanism allowed")
        else:
            give_range(exchange, (layout / exchange.seen.path.removeprefix("/")).read_bytes())

    def front(exchange: Exchange) -> bool:
        if not exchange.seen.headers.get("authorization", "").startswith("Basic "):
            exchange.send(401, WWW_Authenticate='Basic realm="x"')
            return True
        kind, _, digest = exchange.seen.path.removeprefix("/v2/team/app/").partition("/sha256:")
        if kind == "blobs":
            exchange.send(307, Location=f"{cdn.url}/blobs/sha256/{digest}?signature={SECRET}")
        return kind == "blobs"

    with site(storage) as cdn, hosted(layout, otherwise=front) as there:
        with opened(f"{there.host}/team/app", authfile=authfile(there.host, **LOGIN)) as (image,):
            assert contents(image) == [blob.tar() for blob in LAYERS]
        assert len(cdn.requests) == 4
        assert [seen.path for seen in there.requests if "authorization" not in seen.headers] == [
            "/v2/",  # is it http?
            "/v2/team/app/manifests/latest",
        ]


def test_a_signed_url_that_ran_out_is_asked_for_again(big: Path) -> None:
    signatures = iter(range(100))

    def storage(exchange: Exchange) -> None:
        if exchange.seen.query["signature"] in (["0"], ["2"]):
            exchange.send(403, SECRET.encode())
        elif exchange.seen.query["signature"] == ["1"]:
            exchange.cut(200, BIG.data[:50_000], BIG.size)
        else:
            give_range(exchange, BIG.data)

    def front(exchange: Exchange) -> bool:
        if big_blob(exchange):
            exchange.send(307, Location=f"{cdn.url}/?signature={next(signatures)}")
        return big_blob(exchange)

    with site(storage) as cdn, hosted(big, otherwise=front) as there, opened(f"{there.host}/team/app") as (image,):
        assert contents(image) == [BIG.tar()]
    assert [seen.headers.get("range") for seen in cdn.requests] == [None, None, "bytes=50000-", "bytes=50000-"]


@pytest.mark.parametrize("status", [401, 403, 404, 418])
def test_refusals_from_elsewhere(big: Path, authfile: Callable[..., Path], status: int) -> None:
    def front(exchange: Exchange) -> bool:
        if big_blob(exchange):
            exchange.send(307, Location=f"{cdn.url}/?signature={SECRET}")
        return big_blob(exchange)

    def refuse(exchange: Exchange) -> None:
        exchange.send(status, SECRET.encode(), WWW_Authenticate='Basic realm="x"')

    with site(refuse) as cdn, hosted(big, otherwise=front) as there:
        problem = failure(f"{there.host}/team/app", authfile=authfile(there.host, **LOGIN))
        assert isinstance(problem, TargetError)
        assert all("authorization" not in seen.headers for seen in [*cdn.requests, *there.requests])


def test_a_layer_that_is_stored_with_an_encoding_is_taken_raw(layout: Path) -> None:
    def encoded(exchange: Exchange) -> bool:
        if exchange.seen.path.endswith(LAYERS[0].digest):
            exchange.send(200, LAYERS[0].data, Content_Encoding="gzip")
            return True
        return False

    with hosted(layout, otherwise=encoded) as there, opened(f"{there.host}/team/app") as (image,):
        assert contents(image) == [blob.tar() for blob in LAYERS]


@pytest.mark.parametrize("location", ["/v2/team/app/blobs/again", "http://169.254.169.254/latest", "ftp://x/"])
def test_redirects_to_nowhere_good(big: Path, location: str) -> None:
    def front(exchange: Exchange) -> bool:
        found = "/blobs/" in exchange.seen.path
        if found:
            exchange.send(302, Location=location)
        return found

    with hosted(big, otherwise=front) as there:
        assert isinstance(failure(f"{there.host}/team/app"), TargetError)


# -- manifests


def answered(path: str, respond: Callable[[Exchange], None]) -> Callable[[Exchange], bool]:
    """Answers for paths that end so."""

    def otherwise(exchange: Exchange) -> bool:
        if not exchange.seen.path.endswith(path):
            return False
        respond(exchange)
        return True

    return otherwise


def test_what_is_asked_for(layout: Path) -> None:
    with hosted(layout) as there, opened(f"{there.host}/team/app"):
        pass
    manifest = next(seen for seen in there.requests if "/manifests/" in seen.path)
    assert manifest.headers["accept-encoding"] == "identity"
    for kind in ("oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.v2"):
        assert f"application/vnd.{kind}+json" in manifest.headers["accept"]
    assert len(there.paths()) == 3  # is it http, manifest, configuration: layers are not touched


def test_a_manifest_by_digest_has_that_digest(layout: Path) -> None:
    digest = manifest_digest(layout)
    other = json_bytes({**json.loads((layout / "blobs" / "sha256" / digest[7:]).read_bytes()), "annotations": {}})
    with hosted(layout, otherwise=answered(digest, lambda it: it.send(200, other))) as there:
        assert isinstance(failure(f"{there.host}/team/app@{digest}"), DigestMismatch)


def test_headers_do_not_say_what_the_digest_is(layout: Path) -> None:
    digest = manifest_digest(layout)
    data = (layout / "blobs" / "sha256" / digest[7:]).read_bytes()

    def lie(exchange: Exchange) -> None:
        exchange.send(200, data, Docker_Content_Digest=digest_of(b"other"))

    with hosted(layout, otherwise=answered("/latest", lie)) as there, opened(f"{there.host}/team/app") as (image,):
        assert str(image.digest) == digest


def test_a_child_of_an_index_has_the_digest_that_the_index_says(tmp_path: Path) -> None:
    layout = multi_platform_layout(tmp_path, {"linux/amd64": LAYERS, "linux/arm64": LAYERS[:1]})
    index = json.loads((layout / "blobs" / "sha256" / manifest_digest(layout)[7:]).read_bytes())
    amd, arm = (child["digest"] for child in index["manifests"][:2])
    swapped = answered(amd, lambda it: it.send(200, (layout / "blobs" / "sha256" / arm[7:]).read_bytes()))
    with hosted(layout, otherwise=swapped) as there:
        assert isinstance(failure(f"{there.host}/team/app"), DigestMismatch)


def test_other_configurations_are_refused(layout: Path) -> None:
    manifest = json.loads((layout / "blobs" / "sha256" / manifest_digest(layout)[7:]).read_bytes())
    other = json_bytes(image_config(LAYERS[:2]))
    with hosted(layout, otherwise=answered(manifest["config"]["digest"], lambda it: it.send(200, other))) as there:
        assert isinstance(failure(f"{there.host}/team/app"), TargetError | UntrustedContent)


def test_an_inline_configuration_is_not_fetched(tmp_path: Path) -> None:
    config = json_bytes(image_config(LAYERS))

    def inline(manifest: dict[str, Any]) -> None:
        manifest["config"]["data"] = base64.b64encode(config).decode()

    descriptor = write_manifest(tmp_path, config, LAYERS, change=inline)
    data = (tmp_path / "blobs" / "sha256" / descriptor["digest"][7:]).read_bytes()
    (tmp_path / "blobs" / "sha256" / digest_of(config)[7:]).unlink()
    with hosted(write_index_of(tmp_path, data)) as there, opened(f"{there.host}/team/app") as (image,):
        assert contents(image) == [blob.tar() for blob in LAYERS]


@pytest.mark.parametrize(
    ("respond", "kind", "text"),
    [
        (lambda it: it.send(404, b"<html>" * 1000, Content_Type="text/html"), TargetNotFound, "no such image (404)"),
        (lambda it: it.send(404, b'{"errors":[{"code":"NAME_UNKNOWN"}]}'), TargetNotFound, "(404 NAME_UNKNOWN)"),
        (lambda it: it.send(404, json_bytes({"errors": [{"code": f"{SECRET} X"}]})), TargetNotFound, "(404)"),
        (lambda it: it.send(404, b"[" * 100_000), TargetNotFound, "(404)"),
        (lambda it: it.send(403, b"{}"), AccessDenied, "refuses (403)"),
        (lambda it: it.send(401, b"{}"), AccessDenied, "401"),
        (lambda it: it.send(429, b"{}", Retry_After="21600"), TargetError, "it asks to wait 21600 s"),
        (lambda it: it.send(418, SECRET.encode()), TargetError, "answered 418"),
        (lambda it: it.send(200, b"<html>"), UntrustedContent, "no JSON"),
        (lambda it: it.send(200, b"{" + b" " * 5_000_000), LimitExceeded, "limit document"),
        (lambda it: it.send(200, gzip.compress(b"{}"), Content_Encoding="gzip"), TargetError, "encoded"),
        (lambda it: it.cut(200, b"{", 100), TargetError, "broke off"),
        (lambda it: it.send(200, b'{"schemaVersion":1,"fsLayers":[]}'), UnsupportedTarget, "schema 1"),
    ],
)
def test_answers_that_are_no_manifest(
    layout: Path, respond: Callable[[Exchange], None], kind: type[CgscanError], text: str
) -> None:
    with hosted(layout, otherwise=answered("/latest", respond)) as there:
        problem = failure(f"{there.host}/team/app")
    assert isinstance(problem, kind)
    assert text in str(problem)


def test_a_manifest_without_end_ends(layout: Path) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.start(200, Connection="close")
        exchange.close_connection = True
        while True:
            exchange.wfile.write(b" " * 65536)

    with hosted(layout, otherwise=answered("/latest", endless)) as there:
        assert isinstance(failure(f"{there.host}/team/app"), LimitExceeded)


def test_a_configuration_that_says_it_is_huge_is_not_fetched(tmp_path: Path) -> None:
    config = json_bytes(image_config(LAYERS))
    descriptor = write_manifest(tmp_path, config, LAYERS, change=lambda it: it["config"].update(size=10**12))
    data = (tmp_path / "blobs" / "sha256" / descriptor["digest"][7:]).read_bytes()
    with hosted(write_index_of(tmp_path, data)) as there:
        assert isinstance(failure(f"{there.host}/team/app"), LimitExceeded)
        assert not any("/blobs/" in path for path in there.paths())


def test_what_passes_is_tried_again(layout: Path) -> None:
    statuses = iter([503, 429])

    def busy(exchange: Exchange) -> bool:
        if not exchange.seen.path.endswith("/latest") or (status := next(statuses, None)) is None:
            return False
        exchange.send(status, Retry_After="1")
        return True

    with hosted(layout, otherwise=busy) as there, opened(f"{there.host}/team/app") as (image,):
        assert contents(image) == [blob.tar() for blob in LAYERS]
    assert len([path for path in there.paths() if path.endswith("/latest")]) == 3


def test_a_missing_layer(tmp_path: Path) -> None:
    layout = write_oci_layout(tmp_path, LAYERS)
    (layout / "blobs" / "sha256" / LAYERS[1].digest[7:]).unlink()
    with hosted(layout) as there:
        problem = failure(f"{there.host}/team/app")
    assert isinstance(problem, UnsupportedTarget)
    assert LAYERS[1].digest in str(problem)


# -- logins


def test_a_login_that_is_refused_is_shown_once(layout: Path, authfile: Callable[..., Path]) -> None:
    def refuse(exchange: Exchange) -> bool:
        exchange.send(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', WWW_Authenticate='Basic realm="x"')
        return True

    with hosted(layout, otherwise=refuse) as there:
        problem = failure(f"{there.host}/team/app", authfile=authfile(there.host, **LOGIN))
        assert isinstance(problem, AccessDenied)
        assert "(401 UNAUTHORIZED)" in str(problem)
        assert [("authorization" in seen.headers) for seen in there.requests] == [False, False, True]


def test_logins_of_other_hosts_are_not_shown(layout: Path, authfile: Callable[..., Path]) -> None:
    def refuse(exchange: Exchange) -> bool:
        exchange.send(401, WWW_Authenticate='Basic realm="x"')
        return True

    with hosted(layout, otherwise=refuse) as there:
        assert isinstance(failure(f"{there.host}/team/app", authfile=authfile("127.0.0.1:1", **LOGIN)), AccessDenied)
        assert all("authorization" not in seen.headers for seen in there.requests)


def test_a_registry_does_not_choose_who_in_our_network_gets_the_login(
    layout: Path, authfile: Callable[..., Path]
) -> None:
    def point(exchange: Exchange) -> bool:
        exchange.send(401, WWW_Authenticate='Bearer realm="http://10.255.255.1/token",service="x"')
        return True

    with hosted(layout, otherwise=point) as there:
        problem = failure(f"{there.host}/team/app", authfile=authfile(there.host, **LOGIN))
    assert isinstance(problem, AccessDenied)
    assert "private address" in str(problem)


def test_a_broken_login_file_stops_the_scan(tmp_path: Path, layout: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"auths": "' + SECRET)

    def refuse(exchange: Exchange) -> bool:
        exchange.send(401, WWW_Authenticate='Basic realm="x"')
        return True

    with hosted(layout, otherwise=refuse) as there:
        assert str(broken) in str(failure(f"{there.host}/team/app", authfile=broken))
