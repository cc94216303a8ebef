"""An index behind a URL, against a host like Chainguard's and servers that go wrong."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.utils import canonicalize_name

from scanner.errors import IndexUnavailable, UsageError, WheelUnreadable
from scanner.http import Client
from scanner.index import Index, Tier
from scanner.limits import Limits
from scanner.store import DiskStore, NoStore
from tests.indexes.conftest import LIMITS, Open
from tests.managers import JSON, Chainguard, html_page, json_page, sha256
from tests.registries import Exchange, Respond, free_port, site

SMALL, LARGE = canonicalize_name("small-demo"), canonicalize_name("large")
NONE = canonicalize_name("no-such-project")


def page_of(wheel: Path, **changes: object) -> bytes:
    """The page of ``small-demo`` with one file at ``/f/…``."""
    data = wheel.read_bytes()
    row = {"filename": wheel.name, "url": f"/f/{wheel.name}", "hashes": {"sha256": sha256(data)}, "size": len(data)}
    return json_page("small-demo", [{**row, **changes}])


def asked_for(index: Index, project: str = "small-demo") -> IndexUnavailable:
    with pytest.raises(IndexUnavailable) as raised:
        index.files(canonicalize_name(project))
    return raised.value


# -- Chainguard's host


@pytest.mark.parametrize("html_only", [False, True])
def test_chainguard(opened: Open, small: Path, large: Path, html_only: bool) -> None:
    with Chainguard(wheels=[small, large], html_only=html_only).running() as host:
        index = opened(host.simple_with_login)
        [file] = index.files(LARGE)
        contents = index.wheel(file)
        assert file.size == (None if html_only else large.stat().st_size)
        assert (contents.proved, contents.claims_chainguard) == (False, True)
        assert contents.sha256 == file.sha256
        whole = index.wheel(file, whole=True)
        assert whole.proved
        assert (whole.members, whole.documents) == (contents.members, contents.documents)
        [little] = index.files(SMALL)
        assert index.wheel(little).proved  # so small that all of it was read
        assert index.files(NONE) == ()
    assert [seen for seen in host.storage.requests if "authorization" in seen.headers] == []
    assert {seen.method for seen in [*host.front.requests, *host.storage.requests]} == {"GET"}


def dist_info_first(wheel: Path, folder: Path) -> Path:
    """The same wheel as a builder writes it that puts dist-info before the code: its end does not tell all."""
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(folder / wheel.name, "w") as copy:
        for info in sorted(source.infolist(), key=lambda info: ".dist-info/" not in info.filename):
            copy.writestr(info, source.read(info))
    return folder / wheel.name


def test_a_signed_url_that_expires_is_asked_for_again(opened: Open, large: Path, tmp_path: Path) -> None:
    wheel = dist_info_first(large, tmp_path)
    with Chainguard(wheels=[wheel], html_only=True, expire_after=1).running() as host:
        index = opened(host.simple_with_login)
        [file] = index.files(LARGE)
        assert not index.wheel(file).proved
    assert len(host.signatures) == 2


def test_withheld(opened: Open, small: Path) -> None:
    with Chainguard(wheels=[small], withheld=frozenset({"small-demo"})).running() as host:
        problem = asked_for(opened(host.simple_with_login))
    assert "409: POLICY_COOLDOWN: too young to be served" in problem.message


def test_credentials_that_are_missing(opened: Open, small: Path) -> None:
    with Chainguard(wheels=[small]).running() as host:
        problem = asked_for(opened(host.simple))
    assert "401" in problem.message
    assert "netrc" in (problem.hint or "")
    assert "password_env" in (problem.hint or "")


def test_no_secret_is_shown_or_stored(opened: Open, small: Path, tmp_path: Path) -> None:
    host = Chainguard(wheels=[small], login=("user-0f-the-test", "s3cr3t-0f-the-test"))
    with host.running():
        index = opened(host.simple_with_login)
        [file] = index.files(SMALL)
        index.wheel(file)
        said = [index.url, index.name, repr(index), file.shown_url]
    said.append(asked_for(opened(host.simple_with_login)).message)  # nobody there any more
    said += [path.read_text("latin-1") for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert len(said) > 5
    assert not [text for text in said if "s3cr3t" in text or "user-0f" in text]


def test_tiers_behind_a_proxy_that_keeps_paths(opened: Open, small: Path, large: Path) -> None:
    tiers = {large.name: "python-upstream"}
    prefix = "/artifactory/api/pypi/cg"
    with Chainguard(wheels=[small, large], prefix=prefix, tiers=tiers, login=None).running() as host:
        index = opened(host.simple)
        assert [file.tier for file in index.files(SMALL)] == [Tier.BUILT]
        assert [file.tier for file in index.files(LARGE)] == [Tier.FALLBACK]


# -- requests


def test_one_request_and_few_bytes_for_a_large_wheel(opened: Open, large: Path) -> None:
    sent: list[int] = []

    def respond(exchange: Exchange) -> None:
        if exchange.seen.path.endswith("/"):
            data = large.read_bytes()
            row = {"filename": large.name, "url": "/f", "hashes": {"sha256": sha256(data)}, "size": len(data)}
            exchange.send(200, json_page("large", [row]), Content_Type=JSON)
        else:
            start, end = exchange.seen.headers["range"].removeprefix("bytes=").split("-")
            data = large.read_bytes()[int(start) : int(end) + 1]
            sent.append(len(data))
            exchange.send(206, data, Content_Range=f"bytes {start}-{end}/{large.stat().st_size}")

    with site(respond) as here:
        index = opened(f"{here.url}/simple")
        [file] = index.files(LARGE)
        contents = index.wheel(file)
    assert large.stat().st_size > 1_000_000
    assert not contents.proved
    assert len(contents.members) == 23
    assert contents.members["large/m00.py"].size == 50_000
    assert len(sent) == 1
    assert sum(sent) <= 80_000


def test_identical_questions_are_asked_once(opened: Open, small: Path) -> None:
    with Chainguard(wheels=[small], login=None).running() as host:
        index = opened(host.simple, store=NoStore())
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: index.files(SMALL), range(20)))
            assert answers == [answers[0]] * 20
            wheels = list(pool.map(lambda _: index.wheel(answers[0][0]), range(20)))
        assert wheels == [wheels[0]] * 20
        [missing, *_] = [index.files(NONE) for _ in range(5)]
        assert missing == ()
    assert host.front.paths() == ["/python/simple/small-demo/", host.path(small), "/python/simple/no-such-project/"]


def test_failures_are_asked_once(opened: Open, small: Path) -> None:
    with Chainguard(wheels=[small]).running() as host:
        index = opened(host.simple)
        assert asked_for(index).message == asked_for(index).message
        assert len(host.front.requests) == 1


def test_what_is_asked(opened: Open, small: Path) -> None:
    with Chainguard(wheels=[small], login=None).running() as host:
        opened(host.simple.removesuffix("/")).files(SMALL)
        [seen] = host.front.requests
    assert seen.path == "/python/simple/small-demo/"
    assert seen.headers["accept"].startswith("application/vnd.pypi.simple.v1+json, ")
    assert seen.headers["accept-encoding"] == "gzip"  # a page; files are asked for as they are
    assert seen.headers["user-agent"].startswith("cgscan/")


# -- pages that are remembered


def page_server(small: Path, **headers: str) -> Respond:
    """Serves one page with an ETag, and 304 to who has it."""

    def respond(exchange: Exchange) -> None:
        if exchange.seen.headers.get("if-none-match") == '"one"':
            exchange.send(304, b"", ETag='"one"', **headers)
        else:
            exchange.send(200, page_of(small), Content_Type=JSON, ETag='"one"', **headers)

    return respond


def test_a_page_with_an_etag_is_asked_for_again_but_not_sent_again(opened: Open, small: Path) -> None:
    with site(page_server(small)) as here:
        first = opened(f"{here.url}/simple/").files(SMALL)
        assert opened(f"{here.url}/simple/").files(SMALL) == first
        assert [seen.headers.get("if-none-match") for seen in here.requests] == [None, '"one"']


def test_a_page_that_has_not_changed_is_not_written_again(opened: Open, small: Path, tmp_path: Path) -> None:
    with site(page_server(small)) as here:
        opened(f"{here.url}/simple/").files(SMALL)
        [stored] = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
        before = stored.stat().st_ino
        opened(f"{here.url}/simple/").files(SMALL)
        assert len(here.requests) == 2
        assert stored.stat().st_ino == before


def test_a_page_that_has_not_changed_is_fresh_again(opened: Open, small: Path, store: DiskStore) -> None:
    ages = iter(["700", "0"])

    def respond(exchange: Exchange) -> None:
        page_server(small, Cache_Control="max-age=600", Age=next(ages))(exchange)

    with site(respond) as here:
        for _ in range(3):
            opened(f"{here.url}/simple/").files(SMALL)
        assert [seen.headers.get("if-none-match") for seen in here.requests] == [None, '"one"']


def test_a_fresh_page_is_not_asked_for(opened: Open, small: Path) -> None:
    with site(page_server(small, Cache_Control="public, max-age=600")) as here:
        first = opened(f"{here.url}/simple/").files(SMALL)
        assert opened(f"{here.url}/simple/").files(SMALL) == first
        assert len(here.requests) == 1


@pytest.mark.parametrize("said", ["max-age=0", "no-cache, max-age=600", "max-age=x", ""])
def test_a_page_that_is_not_fresh(opened: Open, small: Path, said: str) -> None:
    with site(page_server(small, Cache_Control=said)) as here:
        for _ in range(2):
            opened(f"{here.url}/simple/").files(SMALL)
        assert len(here.requests) == 2


def test_an_old_answer_is_not_fresh(opened: Open, small: Path) -> None:
    with site(page_server(small, Cache_Control="max-age=600", Age="700")) as here:
        for _ in range(2):
            opened(f"{here.url}/simple/").files(SMALL)
        assert len(here.requests) == 2


def test_a_page_behind_credentials_is_asked_for_each_time(opened: Open, small: Path) -> None:
    with site(page_server(small, Cache_Control="max-age=600")) as here:
        for _ in range(2):
            opened(f"{here.url}/simple/".replace("://", "://me:pw@")).files(SMALL)
        assert len(here.requests) == 2


def test_a_page_that_may_not_be_stored(opened: Open, small: Path, tmp_path: Path) -> None:
    with site(page_server(small, Cache_Control="no-store")) as here:
        opened(f"{here.url}/simple/").files(SMALL)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_offline_answers_from_the_store(opened: Open, small: Path, store: DiskStore) -> None:
    with Chainguard(wheels=[small], login=None).running() as host:
        index = opened(host.simple)
        [file] = index.files(SMALL)
        contents = index.wheel(file)
        index.files(NONE)
    with Client(limits=LIMITS, offline=True) as client:
        offline = opened(host.simple, client=client)
        assert offline.files(SMALL) == (file,)
        assert offline.wheel(file) == contents
        assert offline.files(NONE) == ()
        problem = asked_for(offline, "large")
    assert problem.whole
    assert "offline" in problem.message


def test_stored_pages_are_private(opened: Open, small: Path, tmp_path: Path) -> None:
    with Chainguard(wheels=[small], login=None).running() as host:
        opened(host.simple).files(SMALL)
    [page] = [path for path in (tmp_path / "store" / "page").rglob("*") if path.is_file()]
    assert page.stat().st_mode & 0o777 == 0o600
    assert page.parent.stat().st_mode & 0o777 == 0o700


# -- answers that are none


@pytest.mark.parametrize("status", [403, 418, 301])
def test_statuses(opened: Open, status: int) -> None:
    with site(lambda it: it.send(status, b"<html></html>")) as here:
        problem = asked_for(opened(f"{here.url}/simple/"))
    assert str(status) in problem.message
    assert not problem.whole


def test_gone_is_none(opened: Open) -> None:
    with site(lambda it: it.send(410)) as here:
        assert opened(f"{here.url}/simple/").files(SMALL) == ()


def test_a_login_page_on_another_host(opened: Open) -> None:
    with site(lambda it: it.send(200, b"<html><body><a href='/help'>help</a></body></html>")) as there:
        elsewhere = there.url.replace("127.0.0.1", "localhost")
        with site(lambda it: it.send(302, Location=f"{elsewhere}/login?next=s3cret")) as here:
            problem = asked_for(opened(f"{here.url}/simple/"))
    assert "sent on to http://localhost" in problem.message
    assert "s3cret" not in problem.message


def test_a_compressed_page(opened: Open, small: Path, store: DiskStore) -> None:
    page = gzip.compress(page_of(small))
    with site(lambda it: it.send(200, page, Content_Type=JSON, Content_Encoding="gzip")) as here:
        assert [file.filename for file in opened(f"{here.url}/simple/", store=store).files(SMALL)] == [small.name]


@pytest.mark.parametrize(
    ("body", "coding", "said"),
    [
        (b"\x1f\x8b", "gzip", "ends early"),
        (gzip.compress(b" " * 5_000_000), "gzip", "limit expanded"),
        (b"", "br", "'br'"),
    ],
)
def test_a_page_that_does_not_expand(opened: Open, body: bytes, coding: str, said: str) -> None:
    with site(lambda it: it.send(200, body, Content_Type=JSON, Content_Encoding=coding)) as here:
        assert said in asked_for(opened(f"{here.url}/simple/", limits=Limits(page=1_000_000))).message


def test_a_page_that_is_too_long(opened: Open) -> None:
    with site(lambda it: it.send(200, b" " * 2000)) as here:
        index = opened(f"{here.url}/simple/", limits=Limits(page=1000))
        assert "limit page" in asked_for(index).message


def test_a_page_that_breaks_off(opened: Open) -> None:
    with site(lambda it: it.cut(200, b"<html>", 100)) as here:
        assert "broke off" in asked_for(opened(f"{here.url}/simple/")).message


def test_nobody_there_is_asked_once(opened: Open) -> None:
    index = opened(f"http://127.0.0.1:{free_port()}/simple/")
    first = asked_for(index)
    assert first.whole
    assert asked_for(index, "large") is first


def test_a_name_that_nobody_has(opened: Open) -> None:
    assert asked_for(opened("https://index.invalid/simple/")).whole


def test_all_work_has_a_time_limit(opened: Open, small: Path) -> None:
    with Chainguard(wheels=[small], login=None).running() as host:
        index = opened(host.simple, limits=Limits(index_seconds=1e-9))
        asked_for(index)
        problem = asked_for(index, "large")
    assert problem.whole
    assert "index_seconds" in problem.message


def test_only_the_time_of_asking_counts(opened: Open, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are read beside it, which may take hours. The clock is the test's, so that nobody waits."""
    now = [0.0]
    monkeypatch.setattr("scanner.indexes.asking.time", SimpleNamespace(monotonic=lambda: now[0]))

    def respond(exchange: Exchange) -> None:
        now[0] += 60
        exchange.send(404)

    with site(respond) as here:
        index = opened(f"{here.url}/simple/", limits=Limits(index_seconds=100))
        for name in ("first", "second"):
            assert index.files(canonicalize_name(name)) == ()
            now[0] += 10_000
        problem = asked_for(index, "third")
        assert (problem.whole, len(here.requests)) == (True, 2)


@pytest.mark.parametrize("location", ["https://h/simple/?token=s3cret", "https://h/simple/#s3cret"])
def test_urls_with_a_query(opened: Open, location: str) -> None:
    with pytest.raises(UsageError, match="no query") as raised:
        opened(location)
    assert "s3cret" not in raised.value.message


def test_locations_that_are_none(opened: Open, tmp_path: Path) -> None:
    for location in ("libraries.cgr.dev/python/simple", str(tmp_path / "nowhere"), "ftp://h/simple/"):
        with pytest.raises(UsageError, match="neither the URL"):
            opened(location)
    with pytest.raises(UsageError, match="no such kind"):
        opened("https://h/simple/", kind="gopher")


def test_what_an_index_says_of_itself(opened: Open) -> None:
    index = opened("https://me:pw@pypi.example/acme/simple")
    assert (index.name, index.url, index.kind) == (
        "pypi.example/acme",
        "https://pypi.example/acme/simple/",
        "simple",
    )
    assert opened("https://pypi.example/simple/", name="ours").name == "ours"


# -- wheels that are not the promised ones


def serve(small: Path, body: bytes, **changes: object) -> Respond:
    """A page of ``small``, and ``body`` for the file."""

    def respond(exchange: Exchange) -> None:
        page = exchange.seen.path.endswith("/")
        exchange.send(200, page_of(small, **changes) if page else body, Content_Type=JSON)

    return respond


def test_a_302_page_that_was_cached_as_a_wheel(opened: Open, small: Path) -> None:
    with site(serve(small, b"<a href='https://r2/'>Found</a>")) as here:
        index = opened(f"{here.url}/simple/")
        [file] = index.files(SMALL)
        for whole in (False, True):
            with pytest.raises(WheelUnreadable, match="a 302 page cached as a wheel") as raised:
                index.wheel(file, whole=whole)
        assert "delete the cached item" in (raised.value.hint or "")


@pytest.mark.parametrize("name", ["md5", "sha512"])
def test_other_digests_count_too(opened: Open, small: Path, name: str) -> None:
    data = small.read_bytes()
    for body, good in ((data, True), (data + b"x", False)):
        with site(serve(small, body, hashes={name: hashlib.new(name, data).hexdigest()})) as here:
            index = opened(f"{here.url}/simple/")
            [file] = index.files(SMALL)
            assert file.sha256 is None
            if good:
                contents = index.wheel(file)
                assert contents.proved
                assert contents.sha256 is not None
                assert contents.sha256.hex == sha256(data)
            else:
                with pytest.raises(WheelUnreadable, match=f"{name} differs"):
                    index.wheel(file)


def test_without_any_digest_the_size_counts(opened: Open, small: Path) -> None:
    with site(serve(small, small.read_bytes() + b"x", hashes={})) as here:
        index = opened(f"{here.url}/simple/")
        with pytest.raises(WheelUnreadable, match="the size differs"):
            index.wheel(index.files(SMALL)[0])


def test_a_wheel_that_is_too_large(opened: Open, small: Path) -> None:
    with site(serve(small, small.read_bytes())) as here:
        index = opened(f"{here.url}/simple/", limits=Limits(wheel_download=100))
        with pytest.raises(WheelUnreadable, match="limit wheel_download"):
            index.wheel(index.files(SMALL)[0])


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, IndexUnavailable), (403, IndexUnavailable), (404, WheelUnreadable), (409, IndexUnavailable)],
)
@pytest.mark.parametrize("size", [None, 1_000_000])
def test_a_file_that_is_refused(
    opened: Open, small: Path, status: int, kind: type[Exception], size: int | None
) -> None:
    def respond(exchange: Exchange) -> None:
        if exchange.seen.path.endswith("/"):
            exchange.send(200, page_of(small, size=size), Content_Type=JSON)
        else:
            exchange.send(status, b'{"reason": "MALWARE_DETECTED"}')

    with site(respond) as here:
        index = opened(f"{here.url}/simple/")
        with pytest.raises(kind, match=str(status)):
            index.wheel(index.files(SMALL)[0])


def test_credentials_stay_with_the_index(opened: Open, small: Path) -> None:
    with (
        site(lambda it: it.send(200, small.read_bytes())) as there,
        site(lambda it: it.send(200, page_of(small, url=f"{there.url}/x.whl"), Content_Type=JSON)) as here,
    ):
        index = opened(f"{here.url}/simple/".replace("://", "://me:pw@"))
        assert index.wheel(index.files(SMALL)[0]).proved
    assert "authorization" in here.requests[0].headers
    assert "authorization" not in there.requests[0].headers


def test_netrc_serves_the_index(opened: Open, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Chainguard(wheels=[small]).running() as host:
        assert host.login is not None
        file = tmp_path / "netrc"
        file.write_text(f"machine 127.0.0.1\n login {host.login[0]}\n password {host.login[1]}\n")
        monkeypatch.setenv("NETRC", str(file))
        # the storage has the same host name, so netrc would be right for it; a redirect carries it nowhere
        index = opened(host.simple)
        assert index.wheel(index.files(SMALL)[0]).proved
        assert "authorization" not in host.storage.requests[0].headers


def test_html_of_a_page_decides_nothing_about_plain_http(opened: Open, small: Path) -> None:
    with site(lambda it: it.send(200, html_page([(f"http://pypi.example/{small.name}", "x")]))) as here:
        index = opened(f"{here.url}/simple/")
        with pytest.raises(IndexUnavailable, match="plain http"):
            index.wheel(index.files(SMALL)[0])


# -- what one index says is not another's word


def test_ranges_of_one_index_are_not_believed_for_another(opened: Open, large: Path, store: DiskStore) -> None:
    with (
        Chainguard(wheels=[large], login=None).running() as one,
        Chainguard(wheels=[large], login=None).running() as two,
    ):
        first = opened(one.simple)
        assert not first.wheel(first.files(LARGE)[0]).proved
        second = opened(two.simple)
        assert not second.wheel(second.files(LARGE)[0]).proved
        assert two.storage.requests  # asked itself
        assert second.wheel(second.files(LARGE)[0], whole=True).proved
        third = opened(one.simple)
        count = len(one.storage.requests)
        assert third.wheel(third.files(LARGE)[0]).proved  # what was proved is true for all
        assert len(one.storage.requests) == count
