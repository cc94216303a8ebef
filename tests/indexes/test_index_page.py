"""Pages of the simple API: what servers really send, and what nobody should."""

from __future__ import annotations

import json
import string
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from scanner.errors import CgscanError, IndexUnavailable
from scanner.index import IndexFile, Tier
from scanner.indexes.page import Page, parse_page
from tests.managers import JSON, html_page, json_page

URL = "https://host.example/artifactory/api/pypi/cg/simple/demo/"
A, B = "a" * 64, "b" * 64
WHEEL = "demo-1.0-py3-none-any.whl"


def parse(
    body: bytes | str, content_type: str = "text/html", url: str = URL, base: str | None = None
) -> tuple[IndexFile, ...]:
    data = body.encode() if isinstance(body, str) else body
    base = base or url.removesuffix("demo/")
    page = Page(project=canonicalize_name("demo"), url=url, base=base, content_type=content_type, body=data)
    return parse_page(page)


def one(body: bytes | str, content_type: str = "text/html", url: str = URL) -> IndexFile:
    [file] = parse(body, content_type, url)
    return file


def row(**changes: Any) -> dict[str, Any]:
    return {"filename": WHEEL, "url": f"../../{WHEEL}", "hashes": {"sha256": A}, **changes}


# -- JSON


def test_names_of_digests_are_taken_in_any_case() -> None:
    body = json_page("demo", [row(hashes={"sha256": A, "MD5": "c" * 32}), row(hashes={"SHA256": B.upper()})])
    assert [dict(file.hashes) for file in parse(body, JSON)] == [{"sha256": A, "md5": "c" * 32}, {"sha256": B}]


def test_devpi_json_1_0() -> None:
    file = one(json_page("demo", [row(url=f"../../+f/abc/def/{WHEEL}", yanked=False)], "1.0"), JSON)
    assert file.url == f"https://host.example/artifactory/api/pypi/cg/+f/abc/def/{WHEEL}"
    assert (file.sha256 and file.sha256.hex, file.size, file.yanked) == (A, None, False)


def test_pypi_json_1_4() -> None:
    body = json.loads(json_page("Demo", [row(size=1234, yanked="broken", provenance=None)], "1.4"))
    body["project-status"] = {"status": "archived"}
    body["files"][0]["requires-python"] = ">=3.10"
    file = one(json.dumps(body), f"{JSON}; charset=utf-8")
    assert (file.size, file.yanked, file.requires_python) == (1234, True, ">=3.10")


_PIECES = ["..", ".", "", "python-upstream", "python", "simple", "demo", "1.0", "a%2Fb", "@", "?x=1", "#y", " ", WHEEL]
_STARTS = [
    "https://host.example", "https://files.example", "https://u:p@h.example", "https://h.example:8",
    "https://libraries.cgr.dev", "https://dl.cloudsmith.io", "https:", "", "..", "../..", ".",
]  # fmt: skip
_PAGES = [
    URL,
    URL.removesuffix("/"),
    "http://127.0.0.1:8080/simple/demo/",
    "https://host.example/demo/",
    "https://host.example//a//demo/",
    "https://host.example/a/../demo/index.html",
    "https://libraries.cgr.dev/python/simple/demo/",
    "https://dl.cloudsmith.io/t0ken/owner/repository/python/simple/demo/",
    "https://dl.cloudsmith.io/basic/owner/repository/python/simple/demo/",
    "https://other.example/redirected/demo/",
    "https://nexus.example/repository/python-upstream/simple/demo/",
    "file:///srv/demo/index.html",
]


@given(st.sampled_from(_STARTS), st.lists(st.sampled_from(_PIECES), max_size=7), st.sampled_from(_PAGES))
@example("https://files.example", ["packages", "aa", WHEEL], URL)
@example("", ["f", WHEEL], "http://127.0.0.1:8080/simple/demo/")
@example("../..", ["packages", "aa", WHEEL], URL)
@example("..", ["aa", "..", WHEEL], "http://127.0.0.1:8080/simple/demo/")
@example("..", ["aa", "", WHEEL], "http://127.0.0.1:8080/simple/demo/")
@example("../..", ["packages", WHEEL], "https://nexus.example/repository/python-upstream/simple/demo/")
@example("", ["aa", WHEEL], "https://dl.cloudsmith.io/t0ken/owner/repository/python/simple/demo/")
@example("..", ["aa", WHEEL], "https://me:pw@host.example/simple/demo/")
@example("", ["python", "simple", "demo", "1.0", WHEEL], "https://libraries.cgr.dev/python/simple/demo/")
def test_a_url_that_needs_no_resolving_is_read_like_any_other(start: str, pieces: list[str], page: str) -> None:
    """The short way for nearly all links gives what the long way gives: one sign more makes the link take that."""
    url = "/".join([start, *pieces])
    base = page.replace("other.example/redirected", "host.example").partition("demo")[0]
    short = parse(json_page("demo", [row(url=url)]), JSON, page, base)
    long = parse(json_page("demo", [row(url=f" {url}")]), JSON, page, base)
    assert short == long


def test_json_is_known_by_its_first_sign_where_the_type_says_nothing() -> None:
    body = b" \n" + json_page("demo", [row()])
    for content_type in ("", "text/html", "text_html", "application/json"):
        assert one(body, content_type).filename == WHEEL


def test_null_is_absent() -> None:
    file = one(json_page("demo", [row(size=None, yanked=None, hashes=None, **{"requires-python": None})]), JSON)
    assert (file.size, file.yanked, file.sha256, file.requires_python) == (None, False, None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"{}",
        b'{"files": {}}',
        b'{"files": [1]}',
        json_page("demo", [row(url=None)]),
        json_page("demo", [row(filename=7)]),
        json_page("demo", [row(hashes=[])]),
        json_page("demo", [row(hashes={"sha256": 1})]),
        json_page("demo", [row(hashes={"sha256": "zz"})]),
        json_page("demo", [row()], "2.0"),
        json_page("demo", [row()], "one"),
        json_page("another", [row()]),
        b"[" * 100_000,
        b'{"projects": [], "meta": {"api-version": "1.0"}}',
    ],
)
def test_json_that_is_no_page(body: bytes) -> None:
    with pytest.raises(IndexUnavailable):
        parse(body, JSON)


def test_a_later_major_version_in_the_type() -> None:
    with pytest.raises(IndexUnavailable, match="version v2"):
        parse(json_page("demo", [row()]), "application/vnd.pypi.simple.v2+json")


def test_names_that_are_no_file_names_are_no_files() -> None:
    rows = [row(filename="../../etc/passwd", url="x"), row(filename="a\x00.whl", url="b"), row(filename="notes.txt")]
    rows[2]["url"] = "notes.txt"
    assert parse(json_page("demo", rows), JSON) == ()


# -- HTML


def test_pypi_html() -> None:
    file = one(
        f'<html><head><meta name="pypi:repository-version" content="1.0"></head><body>'
        f'<a href="https://files.example/x/{WHEEL}#sha256={A}" data-requires-python="&gt;=3.10" data-yanked="bad" '
        f'data-core-metadata="sha256={B}">{WHEEL}</a></body></html>'
    )
    assert (file.url, file.yanked) == (f"https://files.example/x/{WHEEL}", True)
    assert (file.requires_python, dict(file.hashes)) == (">=3.10", {"sha256": A})


def test_artifactory_html_with_doubled_packages() -> None:
    file = one(f'<a href="../../packages/packages/ab/cd/ef/{WHEEL}#sha256={A}" rel="internal">{WHEEL}</a>')
    assert file.url == f"https://host.example/artifactory/api/pypi/cg/packages/packages/ab/cd/ef/{WHEEL}"


def test_nexus_html_without_a_content_type() -> None:
    file = one(
        f'<a href="../../packages/werkzeug/3.0.2%2Bcgr.1/werkzeug-3.0.2%2Bcgr.1-py3-none-any.whl#sha256={A}">w</a>', ""
    )
    assert file.filename == "werkzeug-3.0.2+cgr.1-py3-none-any.whl"
    assert "3.0.2%2Bcgr.1/werkzeug-3.0.2%2Bcgr.1" in file.url  # as the server wrote it


def test_chainguard_html() -> None:
    path = f"/python/simple/demo/1.0/{WHEEL}"
    body = (
        f'<a href="{path}#sha256={A}" data-provenance="https://x/p" data-signature="https://x/s" download>{WHEEL}</a>'
    )
    assert one(body, url="https://libraries.cgr.dev/python/simple/demo/").tier is Tier.BUILT


def test_the_text_names_the_file_where_the_url_does_not() -> None:
    assert one(f'<a href="/download?id=7#sha256={A}"> {WHEEL} </a>').filename == WHEEL


def test_decorated_text_does_not_name_the_file() -> None:
    assert one(f'<a href="x/{WHEEL}#sha256={A}">\N{PACKAGE} demo (12 kB)</a>').filename == WHEEL


@pytest.mark.parametrize(
    ("fragment", "hashes"),
    [
        (f"sha256={A}", {"sha256": A}),
        (f"sha256={A.upper()}", {"sha256": A}),
        ("md5=" + "c" * 32, {"md5": "c" * 32}),
        ("sha512=" + "d" * 128, {"sha512": "d" * 128}),
        (f"md5={'c' * 32}&sha256={A}&egg=demo", {"md5": "c" * 32, "sha256": A}),
        ("", {}),
        ("whirlpool=12", {}),
    ],
)
def test_fragments(fragment: str, hashes: dict[str, str]) -> None:
    assert one(html_page([(f"{WHEEL}#{fragment}", WHEEL)])).hashes == hashes


def test_a_broken_digest_is_no_promise() -> None:
    with pytest.raises(IndexUnavailable, match="sha256"):
        parse(html_page([(f"{WHEEL}#sha256=abc", WHEEL)]))


def test_base_href() -> None:
    assert one(f'<base href="/elsewhere/"><a href="{WHEEL}">x</a>').url == f"https://host.example/elsewhere/{WHEEL}"


def test_anchors_that_are_not_closed() -> None:
    assert len(parse(f'<a href="{WHEEL}">{WHEEL}<br><a href="demo-2.0.tar.gz">demo-2.0.tar.gz')) == 2


def test_links_to_other_things_are_no_files() -> None:
    body = '<a href="../">up</a><a name="x">y</a><a href="javascript:alert(1)">z</a><a href="http://[">z.whl</a>'
    assert parse(f'{body}<a href="file:///etc/{WHEEL}">x</a><a href="{WHEEL}">x</a>') == parse(
        f'<a href="{WHEEL}">x</a>'
    )


def test_an_empty_project() -> None:
    assert (
        parse("<!DOCTYPE html><html><head><title>Links for demo</title></head><body><h1>Links</h1></body></html>") == ()
    )


def test_a_version_that_is_not_known() -> None:
    with pytest.raises(IndexUnavailable, match=r"version 2\.0"):
        parse(f'<meta name="pypi:repository-version" content="2.0"><a href="{WHEEL}">x</a>')


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "text/html"),
        (b"  \n", ""),
        (b"OK", "text/html"),
        (b"OK", "text/plain"),
        (b"<html>", "application/xml"),
        (b'<html><form action="/login"><input name="user"></form><a href="/forgot">forgot?</a></html>', "text/html"),
        (b"<html><script src='/app.js'></script></html>", "text/html"),
        (b"<![<![", "text/html"),
    ],
)
def test_pages_of_something_else(body: bytes, content_type: str) -> None:
    with pytest.raises(IndexUnavailable):
        parse(body, content_type)


def test_no_secret_is_shown() -> None:
    file = one(f'<a href="https://me:s3cret@host.example/{WHEEL}?X-Amz-Signature=s3cret#sha256={A}">x</a>')
    assert "s3cret" in file.url
    assert "s3cret" not in file.shown_url
    assert file.shown_url == f"https://host.example/{WHEEL}"


# -- hostile


@pytest.mark.parametrize("piece", ["<!--", "<a ", "</", "<![", "&#", "<a a='", "<a/", '<a href="x', "<!", "<?", "< "])
def test_unfinished_html_costs_bounded_time(piece: str) -> None:
    start = time.monotonic()
    with pytest.raises(IndexUnavailable):
        parse(piece * (500_000 // len(piece)))
    assert time.monotonic() - start < 10


def test_more_files_than_anybody_has() -> None:
    with pytest.raises(IndexUnavailable, match="more"):
        parse('<a href="a.whl">' * 250_000)


def _returns_or_refuses(body: bytes, content_type: str) -> None:
    try:
        files = parse(body, content_type)
    except CgscanError:
        return
    for file in files:
        assert file.wheel is None or file.wheel.filename == file.filename
        assert file.sha256 is None or len(file.sha256.raw) == 32


@settings(deadline=None)
@given(st.binary(), st.sampled_from(["", "text/html", JSON, "application/json", "x/y"]))
@example(b"<![<", "text/html")
def test_any_bytes(body: bytes, content_type: str) -> None:
    _returns_or_refuses(body, content_type)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["url", "hashes", "sha256"]), inner),
    max_leaves=10,
)
_ROW_KEYS = st.sampled_from(["filename", "url", "hashes", "size", "yanked", "requires-python"])


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={"meta": _VALUES, "name": _VALUES, "files": st.lists(_VALUES)}))
def test_any_json(document: object) -> None:
    _returns_or_refuses(json.dumps(document).encode(), JSON)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.dictionaries(_ROW_KEYS, _VALUES | st.just(WHEEL)), min_size=1))
def test_any_rows(rows: list[dict[str, object]]) -> None:
    whole = [{"filename": WHEEL, "url": WHEEL, "hashes": {}, **entry} for entry in rows]
    _returns_or_refuses(json_page("demo", whole), JSON)


_TAGS = st.sampled_from(
    ["<a href=", "</a>", "<base href=", '"', "'", ">", "<meta name=pypi:repository-version ", WHEEL]
)


@settings(deadline=None)
@given(st.lists(_TAGS | st.text(alphabet=string.printable, max_size=8), max_size=30))
def test_any_html(parts: list[str]) -> None:
    _returns_or_refuses("".join(parts).encode(), "text/html")
