"""Kinds of indexes by their URLs; what people paste instead of the index's URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.config import gather
from scanner.errors import ConfigError, UsageError
from scanner.index import IndexSpec, Role
from scanner.indexes.kinds import REMOTE, artifactory_place, kind_of, nexus_place, simple_url
from tests.indexes.conftest import Open

A = "https://acme.jfrog.io/artifactory/api/pypi/python-chainguard/simple/"
N = "https://nexus.example/repository/python-chainguard/simple/"


@pytest.mark.parametrize(
    ("kind", "pasted", "asked"),
    [
        ("artifactory", A, A),
        ("artifactory", A.removesuffix("/"), A),
        ("artifactory", A.removesuffix("simple/"), A),
        ("artifactory", A.replace("api/pypi/", ""), A.replace("api/pypi/", "")),
        ("artifactory", "https://acme.jfrog.io/artifactory/python-chainguard", A),
        ("artifactory", A.replace("/simple", "/python/simple"), A.replace("/simple", "/python/simple")),
        ("artifactory", "https://h.example/artifactory/pypi/simple", "https://h.example/artifactory/pypi/simple/"),
        ("artifactory", "https://h.example/artifactory/pypi", "https://h.example/artifactory/api/pypi/pypi/simple/"),
        ("artifactory", "https://h.example/api/pypi/pypi", "https://h.example/api/pypi/pypi/simple/"),
        ("artifactory", A.replace("://", "://me:p%2Fw@"), A.replace("://", "://me:p%2Fw@")),
        ("nexus", N, N),
        ("nexus", N.removesuffix("simple/"), N),
        ("nexus", "http://h.example:8081/nexus/repository/py", "http://h.example:8081/nexus/repository/py/simple/"),
        (
            "cloudsmith",
            "https://dl.cloudsmith.io/basic/o/r/python",
            "https://dl.cloudsmith.io/basic/o/r/python/simple/",
        ),
        ("google", "https://us-python.pkg.dev/p/r", "https://us-python.pkg.dev/p/r/simple/"),
        ("chainguard", "https://libraries.cgr.dev/cu128", "https://libraries.cgr.dev/cu128/simple/"),
        ("chainguard", "https://libraries.cgr.dev/python/simple", "https://libraries.cgr.dev/python/simple/"),
        ("simple", "https://pypi.org/simple", "https://pypi.org/simple/"),
        ("simple", "https://devpi.example/root/cg/+simple", "https://devpi.example/root/cg/+simple/"),
        ("simple", "https://h.example/repository/a/b/simple/", "https://h.example/repository/a/b/simple/"),
        ("simple", "https://h.example/a//b", "https://h.example/a//b/"),
        ("simple", "https://h.example", "https://h.example/"),
    ],
)
def test_the_kind_and_the_url(opened: Open, kind: str, pasted: str, asked: str) -> None:
    assert kind_of(pasted) == kind
    assert simple_url(pasted, kind) == asked
    assert simple_url(asked, kind) == asked
    index = opened(pasted)
    assert (index.kind, index.url) == (kind, asked.replace("me:p%2Fw@", ""))


@pytest.mark.parametrize(
    ("pasted", "hint"),
    [
        (
            "https://h.example/ui/repos/tree/General/python-cg",
            "https://h.example/artifactory/api/pypi/python-cg/simple",
        ),
        ("https://h.example/ui/repos/tree/General/python-cg/a?x=1", "/artifactory/api/pypi/python-cg/simple"),
        ("https://h.example/ui/native/python-cg/", "https://h.example/artifactory/api/pypi/python-cg/simple"),
        ("https://acme.jfrog.io/ui/packages", "/artifactory/api/pypi/REPOSITORY/simple"),
        ("https://h.example/artifactory/webapp/#/artifacts/browse/tree/General/cg", "/artifactory/api/pypi/cg/simple"),
        ("https://h.example/artifactory", "https://HOST/artifactory/api/pypi/REPOSITORY/simple"),
        ("https://h.example/artifactory/api/pypi/", "https://HOST/artifactory/api/pypi/REPOSITORY/simple"),
        ("https://acme.jfrog.io/", "https://HOST/artifactory/api/pypi/REPOSITORY/simple"),
        (f"{A}flask/", f"the index is {A.removesuffix('/')}"),
        (f"{A}?token=s3cret", "its form is https://HOST/artifactory/api/pypi/REPOSITORY/simple"),
        ("https://h.example/#browse/browse:python-cg", "https://h.example/repository/python-cg/simple"),
        (
            "https://h.example/service/rest/repository/browse/python-cg/",
            "https://h.example/repository/python-cg/simple",
        ),
        ("https://libraries.cgr.dev/", "https://libraries.cgr.dev/python/simple"),
        ("https://us-python.pkg.dev/p", "https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/simple"),
        ("https://console.cloud.google.com/artifacts/python/p/us/r", "https://LOCATION-python.pkg.dev/PROJECT"),
        ("https://app.cloudsmith.com/o/r", "https://dl.cloudsmith.io/basic/OWNER/REPOSITORY/python/simple"),
        ("https://dl.cloudsmith.io/basic/o/r/", "https://dl.cloudsmith.io/basic/OWNER/REPOSITORY/python/simple"),
    ],
)
def test_what_is_no_index_has_a_hint(opened: Open, pasted: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        opened(pasted)
    assert hint in (raised.value.hint or "")
    assert "s3cret" not in f"{raised.value} {raised.value.hint}"


def test_a_kind_that_is_said_goes_before_the_url(opened: Open) -> None:
    assert opened("https://h.example/repository/cg", kind="simple").url == "https://h.example/repository/cg/"
    assert opened("https://pypi.acme.example/simple", kind="nexus").kind == "nexus"
    with pytest.raises(UsageError, match="not the URL of an index of the kind nexus"):
        opened("https://pypi.acme.example/cg", kind="nexus")
    with pytest.raises(UsageError, match="a place below an index") as raised:
        opened(f"{N}flask/", kind="nexus")
    assert raised.value.hint == f"the index is {N.removesuffix('/')}"


def test_every_kind_can_be_opened(opened: Open) -> None:
    urls = {"artifactory": A, "nexus": N}
    for kind in REMOTE:
        form = {
            "google": "https://us-python.pkg.dev/p/r/simple/",
            "chainguard": "https://libraries.cgr.dev/python/simple",
        }
        assert opened(urls.get(kind) or form.get(kind) or "https://h.example/simple/", kind=kind).kind == kind


@pytest.mark.parametrize("location", ["https://[h/simple", "http://[::1/repository/a"])
def test_what_is_no_url(opened: Open, location: str) -> None:
    with pytest.raises(UsageError, match="not a URL"):
        opened(location)


def test_the_roots_of_interfaces() -> None:
    assert artifactory_place(A) == ("https://acme.jfrog.io/artifactory", "python-chainguard")
    assert artifactory_place("https://u:p@h:8082/api/pypi/a%20b/simple/") == ("https://h:8082", "a b")
    assert artifactory_place("https://h/x/artifactory/api/pypi/r/simple/") == ("https://h/x/artifactory", "r")
    assert artifactory_place("https://h/artifactory/r/simple/") == ("https://h/artifactory", "r")
    assert artifactory_place("https://h/simple/") is None
    assert nexus_place("https://u:p@h/nexus/repository/py/simple/") == ("https://h/nexus", "py")
    assert nexus_place("https://h/simple/") is None


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("url: https://h.example/simple\n    kind: artifact", "indexes[0].kind: artifact is no kind of index"),
        ("url: https://h.example/simple\n    kind: nexuss", "did you mean nexus?"),
        ("url: https://h.example/simple\n    kind: [nexus]", "indexes[0].kind: "),
        ("url: https://h.example/simple\n    kind: directory", "indexes[0].kind: directory is for a path"),
        ("path: wheels\n    kind: nexus", "indexes[0].kind: nexus is for a url"),
        ("url: file:///wheels\n    kind: google", "indexes[0].kind: google is for a url"),
        ("url: https://h.example/cg\n    kind: nexus", "indexes[0].url: https://h.example/cg: not the URL"),
        ("url: https://h.example/ui/native/cg", "the index is https://h.example/artifactory/api/pypi/cg/simple"),
    ],
)
def test_faults_in_the_file(tmp_path: Path, entry: str, fault: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _gathered(tmp_path, entry)
    assert any(fault in one for one in raised.value.faults)


@pytest.mark.parametrize("kind", REMOTE)
def test_kinds_in_the_file(tmp_path: Path, kind: str) -> None:
    urls = {"google": "https://us-python.pkg.dev/p/r", "chainguard": "https://libraries.cgr.dev/python"}
    url = urls.get(kind, "https://h.example/simple")
    [spec] = _gathered(tmp_path, f"url: {url}\n    kind: {kind}")
    assert spec == IndexSpec(location=url, role=Role.CHAINGUARD, name="one", kind=kind)


def _gathered(folder: Path, entry: str) -> tuple[IndexSpec, ...]:
    file = folder / "cgscan.yaml"
    file.write_text(f"indexes:\n  - name: one\n    role: chainguard\n    {entry}\n")
    return gather({"config": str(file)}, {}).indexes
