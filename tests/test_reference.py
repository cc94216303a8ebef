"""TARGET strings: what they mean, and what they cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.digest import Digest
from scanner.errors import UsageError
from scanner.reference import (
    SCHEMES,
    ArchiveReference,
    BareReference,
    ImageName,
    ImageReference,
    PathReference,
    parse_reference,
)

SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("python", "docker.io", "library/python", "latest", None),
        ("python:3.11", "docker.io", "library/python", "3.11", None),
        ("team/app", "docker.io", "team/app", "latest", None),
        ("docker.io/python", "docker.io", "library/python", "latest", None),
        ("index.docker.io/team/app:1", "docker.io", "team/app", "1", None),
        ("localhost/app", "localhost", "app", "latest", None),
        ("localhost:5000/app:2", "localhost:5000", "app", "2", None),
        ("registry.example/a/b/c", "registry.example", "a/b/c", "latest", None),
        ("Host/app", "Host", "app", "latest", None),
        ("[::1]:5000/app:1", "[::1]:5000", "app", "1", None),
        (f"app@{SHA}", "docker.io", "library/app", None, SHA),
        (f"r.example:443/app:1@{SHA}", "r.example:443", "app", "1", SHA),
        ("r.example/a__b/c-d.e:T_.-9", "r.example", "a__b/c-d.e", "T_.-9", None),
    ],
)
def test_image_names(text: str, host: str, repository: str, tag: str | None, digest: str | None) -> None:
    name = ImageName.parse(text)
    assert (name.host, name.repository, name.tag) == (host, repository, tag)
    assert name.digest == (Digest.parse(digest) if digest else None)
    assert name.wanted == (digest or tag)
    assert ImageName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "@",
        "app:",
        "App",
        "app@",
        "app@sha256:short",
        "app:1:2",
        "r.example/",
        "r.example//app",
        "r.example/app/",
        "r.example/../app",
        "r.example:port/app",
        "r.example:123456/app",
        "-r.example/app",
        "user:secret-word@r.example/app",
        "https://r.example/app",
        "app:" + "x" * 129,
        "a/" * 200 + "b",
        "app name",
        "app\n",
        "r.example/app?x=1",
    ],
)
@pytest.mark.parametrize("scheme", ["registry", "docker", "podman"])
def test_image_names_that_are_none(scheme: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(f"{scheme}:{text}")
    assert "secret-word" not in str(caught.value)


def test_schemes_of_images() -> None:
    for scheme in ("registry", "docker", "podman"):
        found = parse_reference(f"{scheme}:r.example/app:1")
        assert isinstance(found, ImageReference)
        assert (found.scheme, found.local, found.name.host) == (scheme, "r.example/app:1", "r.example")
        assert str(found) == f"{scheme}:r.example/app:1"
    assert str(parse_reference("docker://app")) == "docker:app"


@pytest.mark.parametrize(
    ("rest", "path", "name", "digest"),
    [
        ("build/image", "build/image", None, None),
        ("build/image:tag", "build/image", "tag", None),
        ("app.tar:r.example:5000/app:1", "app.tar", "r.example:5000/app:1", None),
        (f"build@{SHA}", "build", None, SHA),
        (f"a@b/c:d@{SHA}", "a@b/c:d", None, SHA),
        ("a@b", "a@b", None, None),
        ("image:", "image", None, None),
        ("/", "/", None, None),
        (".", ".", None, None),
    ],
)
@pytest.mark.parametrize("scheme", ["docker-archive", "oci-archive", "oci-dir"])
def test_archives(scheme: str, rest: str, path: str, name: str | None, digest: str | None) -> None:
    found = parse_reference(f"{scheme}:{rest}")
    assert isinstance(found, ArchiveReference)
    assert (found.scheme, found.path, found.name) == (scheme, path, name)
    assert found.digest == (Digest.parse(digest) if digest else None)
    assert str(found) == f"{scheme}:{rest.rstrip(':')}"


@pytest.mark.parametrize("rest", [":tag", f"@{SHA}", "x@sha256:short"])
def test_archives_without_a_path_or_digest(rest: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(f"oci-dir:{rest}")


def test_paths() -> None:
    for scheme in ("dir", "file"):
        found = parse_reference(f"{scheme}:/a:b@c")
        assert found == PathReference(scheme=scheme, path="/a:b@c")
        assert str(found) == f"{scheme}:/a:b@c"


@pytest.mark.parametrize("text", ["python:3.11", "./image", "/tmp/x", "x:y:z", "DIR:/x", "dir", ":x", "https://x"])
def test_without_a_prefix(text: str) -> None:
    assert parse_reference(text) == BareReference(text=text)
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize("text", ["", "\0", "dir:\0", "x\0y", *(f"{scheme}:" for scheme in SCHEMES)])
def test_nothing(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["", *(f"{scheme}:" for scheme in SCHEMES)]),
    st.one_of(st.text(max_size=40), st.text(st.sampled_from("a/:@.-_[]0sh256A\n"), max_size=40)),
)
def test_any_text_is_a_target_or_bad_usage(prefix: str, text: str) -> None:
    try:
        found = parse_reference(prefix + text)
    except UsageError:
        return
    if isinstance(found, ImageReference):
        assert ".." not in found.name.repository.split("/")
        assert ImageName.parse(str(found.name)) == found.name
    elif not isinstance(found, ArchiveReference):
        assert parse_reference(str(found)) == found
