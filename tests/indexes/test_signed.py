"""Where indexes have what is signed about their files: pages, Chainguard's integrity endpoint, folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from scanner.attestation import Form
from scanner.errors import IndexUnavailable
from scanner.http import Client
from scanner.index import Attesting, Index, IndexFile, IndexSpec, Role
from scanner.indexes.asking import Asker
from scanner.indexes.credentials import Keyring
from scanner.indexes.page import Page, parse_page
from scanner.indexes.signed import SignedReader
from scanner.limits import Limits
from tests.indexes.conftest import LIMITS, Open
from tests.managers import JSON, json_page, sha256
from tests.registries import Exchange, Respond, site

SMALL = canonicalize_name("small-demo")
DOCUMENT = b'{"version": 1, "attestation_bundles": []}'


def server(wheel: Path, provenance: object, *, status: int = 200, body: bytes = DOCUMENT) -> Respond:
    """A page whose one file has provenance at a place, and that place."""
    row = {
        "filename": wheel.name,
        "url": f"/f/{wheel.name}",
        "hashes": {"sha256": sha256(wheel.read_bytes())},
        "provenance": provenance,
    }

    def respond(exchange: Exchange) -> None:
        if exchange.seen.path.startswith("/simple/"):
            exchange.send(200, json_page("small-demo", [row]), Content_Type=JSON)
        elif "provenance" in exchange.seen.path:
            exchange.send(status, body, Content_Type="application/vnd.pypi.integrity.v1+json")
        else:
            exchange.send(404)

    return respond


def asked(index: Index, form: Form = Form.PROVENANCE) -> bytes | None:
    [file] = index.files(SMALL)
    assert isinstance(index, Attesting)
    return index.attestation(file, form)


# -- pages


def page(body: bytes, kind: str, *, signed: bool = True) -> IndexFile:
    url = "https://index.example/simple/small-demo/"
    asked = Page(
        project=SMALL, url=url, base="https://index.example/simple/", content_type=kind, body=body, signed=signed
    )
    [file] = parse_page(asked)
    return file


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("https://pypi.org/integrity/a/1/f/provenance", "https://pypi.org/integrity/a/1/f/provenance"),
        ("../../integrity/a/1/f/provenance#x", "https://index.example/integrity/a/1/f/provenance"),
        ("", None),
        ("file:///etc/passwd", None),
        ("javascript:alert(1)", None),
        ("https://[", None),
        ("https://host:99999999/x", None),
        (f"https://host/{'x' * 3000}", None),
    ],
)
def test_a_page_names_the_place(said: str, url: str | None) -> None:
    name = "small_demo-1.0-py3-none-any.whl"
    row = {"filename": name, "url": f"../../f/{name}", "hashes": {}, "provenance": said}
    html = f'<a href="../../f/{name}" data-provenance="{said}">{name}</a>'.encode()
    for body, kind in ((json_page("small-demo", [row]), JSON), (html, "text/html")):
        assert page(body, kind).provenance == url
        assert page(body, kind, signed=False).provenance is None


@pytest.mark.parametrize("said", [None, 1, True, [], {"url": "https://x/"}])
def test_a_place_that_is_none(said: object) -> None:
    row = {"filename": "a-1-py3-none-any.whl", "url": "a-1-py3-none-any.whl", "hashes": {}, "provenance": said}
    assert page(json_page("small-demo", [row]), JSON).provenance is None


def test_the_document_is_had_once(opened: Open, small: Path) -> None:
    with site(server(small, "/integrity/provenance")) as here:
        index = opened(f"{here.url}/simple")
        assert asked(index) == asked(index) == DOCUMENT
        assert asked(index, Form.BUNDLE) is None
    assert here.paths() == ["/simple/small-demo/", "/integrity/provenance"]
    assert here.requests[1].headers["accept"].startswith("application/vnd.pypi.integrity.v1+json")


def test_the_place_is_remembered_with_the_page(opened: Open, small: Path) -> None:
    with site(server(small, "/integrity/provenance")) as here:
        first = opened(f"{here.url}/simple")
        [file] = first.files(SMALL)
        upstream = opened(f"{here.url}/simple", role=Role.UPSTREAM)
        [theirs] = upstream.files(SMALL)
        [again] = opened(f"{here.url}/simple").files(SMALL)
    assert file.provenance == again.provenance == f"{here.url}/integrity/provenance"
    assert theirs.provenance is None  # nobody asks what is signed about PyPI's


@pytest.mark.parametrize("status", [404, 410])
def test_nothing_there(opened: Open, small: Path, status: int) -> None:
    with site(server(small, "/provenance", status=status)) as here:
        assert asked(opened(f"{here.url}/simple")) is None


@pytest.mark.parametrize(("status", "body"), [(401, b""), (403, b""), (500, b""), (200, b"x" * 5000), (204, b"")])
def test_a_refusal(opened: Open, small: Path, status: int, body: bytes) -> None:
    limits = Limits(request_seconds=5, index_seconds=60, attestation=4000)
    with (
        site(server(small, "/provenance", status=status, body=body)) as here,
        pytest.raises(IndexUnavailable) as raised,
    ):
        asked(opened(f"{here.url}/simple", limits=limits))
    assert "\n" not in raised.value.message
    if status == 200:
        assert "longer than 4000 bytes (limit attestation)" in raised.value.message


def test_credentials_stay_with_the_index(opened: Open, small: Path) -> None:
    with site(server(small, "/provenance")) as other, site(server(small, f"{other.url}/provenance")) as here:
        with_login = here.url.replace("://", "://user:s3cr3t@")
        assert asked(opened(f"{with_login}/simple")) == DOCUMENT
    assert "authorization" in here.requests[0].headers
    assert [seen for seen in other.requests if "authorization" in seen.headers] == []


def test_offline(small: Path, opened: Open) -> None:
    with site(server(small, "/provenance")) as here:
        opened(f"{here.url}/simple").files(SMALL)
        with Client(limits=LIMITS, offline=True) as offline:
            index = opened(f"{here.url}/simple", client=offline)
            with pytest.raises(IndexUnavailable, match="offline"):
                asked(index)


# -- Chainguard's own host


def reader(base: str, client: Client) -> SignedReader:
    spec = IndexSpec(location=base, role=Role.CHAINGUARD)
    return SignedReader(base, Asker(base, client=client, keys=Keyring(spec), limits=LIMITS), limits=LIMITS)


@pytest.mark.parametrize(
    ("base", "place"),
    [
        ("https://libraries.cgr.dev/python/simple/", "https://libraries.cgr.dev/python/integrity/"),
        (
            "https://libraries.cgr.dev/python-remediated/simple/",
            "https://libraries.cgr.dev/python-remediated/integrity/",
        ),
        ("https://pypi.org/simple/", None),
        ("https://libraries.cgr.dev.example/python/simple/", None),
        ("http://libraries.cgr.dev/python/simple/", None),
    ],
)
def test_the_integrity_endpoint(client: Client, base: str, place: str | None) -> None:
    name = "Small_Demo-2.0+cgr.1-py3-none-any.whl"
    file = IndexFile(filename=name, url="https://x/", shown_url="https://x/", hashes={})
    own = "small-demo/2.0%2Bcgr.1/Small_Demo-2.0%2Bcgr.1-py3-none-any.whl"
    found = [reader(base, client)._place(file, form) for form in Form]
    assert found == ([f"{place}{own}/provenance", f"{place}{own}/bundle.json"] if place else [None, None])


def test_what_the_page_says_goes_first(client: Client) -> None:
    url = "https://libraries.cgr.dev/somewhere/provenance"
    file = IndexFile(filename="a-1-py3-none-any.whl", url="x", shown_url="x", hashes={}, provenance=url)
    assert reader("https://libraries.cgr.dev/python/simple/", client)._place(file, Form.PROVENANCE) == url


# -- folders


def test_beside_a_wheel_in_a_folder(opened: Open, small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    shutil.copy(small, folder)
    assert [asked(opened(folder), form) for form in Form] == [None, None]
    (folder / f"{small.name}.provenance").write_bytes(DOCUMENT)
    (folder / f"{small.name}.sigstore.json").write_bytes(b"{}")
    assert [asked(opened(folder), form) for form in Form] == [DOCUMENT, b"{}"]
    assert [file.filename for file in opened(folder).files(SMALL)] == [small.name]


def test_a_folder_stays_inside_of_itself(opened: Open, small: Path, tmp_path: Path) -> None:
    folder, secret = tmp_path / "wheels", tmp_path / "secret"
    folder.mkdir()
    shutil.copy(small, folder)
    secret.write_bytes(b"s3cr3t")
    (folder / f"{small.name}.provenance").symlink_to(secret)
    with pytest.raises(IndexUnavailable, match="leads out of the folder"):
        asked(opened(folder))


def test_a_document_in_a_folder_is_bounded(opened: Open, small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    shutil.copy(small, folder)
    (folder / f"{small.name}.provenance").write_bytes(b"x" * 1001)
    with pytest.raises(IndexUnavailable, match="limit attestation"):
        asked(opened(folder, limits=Limits(attestation=1000)))
