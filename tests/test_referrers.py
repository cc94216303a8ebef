"""Attaching to images in registries of all kinds, and what is believed of what is attached."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from scanner.digest import Digest
from scanner.errors import AccessDenied, CgscanError, TargetError, UntrustedContent
from scanner.limits import DEFAULT_LIMITS
from scanner.reference import ImageName
from scanner.referrers import Artifact, Attached, attach, fallback_tag, list_referrers, read_documents
from scanner.sources import SourceOptions
from scanner.sources.manifest import Descriptor
from scanner.sources.repository import Repository, open_repository
from tests.attestations import OCI_INDEX, OCI_MANIFEST, Shelf, registry_of, sha256
from tests.registries import Exchange, Site, site

DSSE = "application/vnd.dsse.envelope.v1+json"
THIRD = f"sha256:{'3' * 64}"
ENVELOPE = b'{"payload":"","payloadType":"x","signatures":[]}'


@contextmanager
def repository_at(running: Site, **limits: Any) -> Iterator[Repository]:
    options = SourceOptions(limits=replace(DEFAULT_LIMITS, **limits))
    name = ImageName.parse(f"{running.host}/team/app:1")
    with open_repository(name, options=options, actions="pull,push") as repository:
        yield repository


def artifact_of(
    shelf: Shelf, image: str, envelope: bytes = ENVELOPE, created: str = "2026-01-01T00:00:00Z"
) -> Artifact:
    subject = Descriptor(media_type=OCI_MANIFEST, digest=Digest.parse(image), size=len(shelf.manifests[image]))
    return Artifact(envelope=envelope, subject=subject, annotations={"org.opencontainers.image.created": created})


def attached(shelf: Shelf, envelope: bytes = ENVELOPE) -> tuple[Attached, str]:
    image = shelf.put_image()
    with registry_of(shelf) as running, repository_at(running) as repository:
        done = attach(repository, artifact_of(shelf, image, envelope))
        found = list_referrers(repository, Digest.parse(image))
        assert [str(one.descriptor.digest) for one in found.referrers if one.may_attest] == [str(done.digest)]
        assert list(read_documents(repository, found.referrers[0], Digest.parse(image))) == [envelope]
    return done, image


def test_a_registry_that_lists_referrers_gets_no_tag() -> None:
    shelf = Shelf()
    done, image = attached(shelf)
    assert done.tag is None
    assert list(shelf.tags) == ["1"]
    manifest = json.loads(shelf.manifests[str(done.digest)])
    assert manifest["subject"] == {"mediaType": OCI_MANIFEST, "digest": image, "size": len(shelf.manifests[image])}
    assert manifest["config"] == {"mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(b"{}"), "size": 2}
    [layer] = manifest["layers"]
    assert (layer["mediaType"], layer["digest"]) == ("application/vnd.dsse.envelope.v1+json", sha256(ENVELOPE))


def test_a_registry_without_gets_the_tag_and_what_is_there_stays() -> None:
    shelf = Shelf(lists=False)
    image = shelf.put_image()
    tag = fallback_tag(Digest.parse(image))
    foreign = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'1' * 64}", "size": 7, "artifactType": "a/b", "own": [1]}
    shelf.put({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [foreign], "annotations": {"k": "v"}}, tag)
    with registry_of(shelf) as running, repository_at(running) as repository:
        done = attach(repository, artifact_of(shelf, image))
        attach(repository, artifact_of(shelf, image))
    assert done.tag == tag
    index = json.loads(shelf.manifests[shelf.tags[tag]])
    assert index["manifests"][0] == foreign
    assert [line["digest"] for line in index["manifests"][1:]] == [str(done.digest)]
    assert index["annotations"] == {"k": "v"}


def test_what_is_under_the_tag_and_is_no_index_is_left_alone() -> None:
    shelf = Shelf(lists=False)
    image = shelf.put_image()
    tag = fallback_tag(Digest.parse(image))
    other = shelf.put({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": []}, tag)
    wrong = pytest.raises(TargetError, match="something else than an index")
    with registry_of(shelf) as running, repository_at(running) as repository, wrong:
        attach(repository, artifact_of(shelf, image))
    assert shelf.tags[tag] == other


@pytest.mark.parametrize("checks", [True, False], ids=["if-match", "no if-match"])
def test_writers_at_once_keep_each_others_lines(checks: bool) -> None:
    shelf = Shelf(lists=False, checks=checks)
    image = shelf.put_image()
    start = threading.Barrier(3)
    with registry_of(shelf) as running:

        def write(number: int) -> None:
            with repository_at(running) as repository:
                start.wait()
                attach(repository, artifact_of(shelf, image, b'{"n":%d}' % number))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = json.loads(shelf.manifests[shelf.tags[fallback_tag(Digest.parse(image))]])["manifests"]
    assert {line["digest"] for line in lines} == {one["digest"] for one in shelf.referrers(image)}
    assert len(lines) == 3


# -- uploads ---------------------------------------------------------------------------------------


def test_a_registry_that_wants_pieces_gets_a_piece() -> None:
    attached(Shelf(at_once=False))


def test_an_upload_elsewhere_shows_no_credentials(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    image = shelf.put_image()

    def guarded(exchange: Exchange) -> None:
        if exchange.seen.headers.get("authorization") != "Basic dTpw":
            exchange.send(401, WWW_Authenticate='Basic realm="x"')
        else:
            shelf.respond(exchange)

    with site(shelf.respond) as elsewhere, site(guarded) as running:
        (tmp_path / "config.json").write_text(json.dumps({"auths": {running.host: {"auth": "dTpw"}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        shelf.place = f"{elsewhere.url}/v2/team/app/blobs/uploads/{{id}}?_state=a%2Fb"
        with repository_at(running) as repository:
            attach(repository, artifact_of(shelf, image))
        assert elsewhere.requests
        assert not any("authorization" in seen.headers for seen in elsewhere.requests)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("", "does not say where"),
        ("http://10.0.0.1/{id}?_state=a%2Fb", "plain http"),
        ("ftp://x/{id}", "neither https nor http"),
        ("https://[::1/{id}", "does not say where"),
        ("/" + "x" * 9000, "does not say where"),
    ],
)
def test_uploads_that_go_on_nowhere(place: str, why: str) -> None:
    shelf = Shelf(place=place)
    image = shelf.put_image()
    with registry_of(shelf) as running, repository_at(running) as repository, pytest.raises(TargetError, match=why):
        attach(repository, artifact_of(shelf, image))


def test_a_registry_that_may_only_be_read() -> None:
    shelf = Shelf()
    image = shelf.put_image()

    def read_only(exchange: Exchange) -> None:
        if exchange.seen.method in ("GET", "HEAD"):
            shelf.respond(exchange)
        else:
            exchange.send(403, b'{"errors":[{"code":"DENIED"}]}')

    wrong = pytest.raises(AccessDenied, match="403 DENIED")
    with site(read_only) as running, repository_at(running) as repository, wrong:
        attach(repository, artifact_of(shelf, image))


# -- hostile lists ---------------------------------------------------------------------------------


def listed(shelf: Shelf, respond: Callable[[Exchange], bool], **limits: Any) -> Any:
    image = shelf.put_image()

    def answer(exchange: Exchange) -> None:
        if not respond(exchange):
            shelf.respond(exchange)

    with site(answer) as running, repository_at(running, **limits) as repository:
        return list_referrers(repository, Digest.parse(image)), len(running.requests)


def page(lines: list[Any], **headers: str) -> Callable[[Exchange], bool]:
    def respond(exchange: Exchange) -> bool:
        if "/referrers/" not in exchange.seen.path:
            return False
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": lines}
        exchange.send(200, json.dumps(body).encode(), Content_Type=OCI_INDEX, **headers)
        return True

    return respond


def line(number: int, **changes: Any) -> dict[str, Any]:
    return {"mediaType": OCI_MANIFEST, "digest": f"sha256:{number:064x}", "size": 9, **changes}


def test_pages_are_followed() -> None:
    shelf = Shelf(page=2)
    image = shelf.put_image()
    with registry_of(shelf) as running, repository_at(running) as repository:
        for number in range(5):
            attach(repository, artifact_of(shelf, image, b'{"n":%d}' % number, f"2026-01-0{number + 1}T00:00:00Z"))
        found = list_referrers(repository, Digest.parse(image))
    assert len(found.referrers) == 5
    created = [one.descriptor.annotations["org.opencontainers.image.created"][:10] for one in found.referrers]
    assert created == sorted(created, reverse=True)


def test_a_thousand_referrers_are_bounded() -> None:
    found, _ = listed(Shelf(), page([line(number) for number in range(1000)]), referrers=20)
    assert len(found.referrers) == 200
    assert "more than 200" in found.left[0]


@pytest.mark.parametrize("link", ["<?x=1>", "<https://elsewhere.example/v2/>", "<>"])
def test_lists_that_go_on_in_circles_or_elsewhere(link: str) -> None:
    found, requests = listed(Shelf(), page([line(1)], Link=f'{link}; rel="next"'))
    assert len(found.referrers) == 1
    assert requests < 10


def test_a_list_without_end() -> None:
    count = iter(range(10_000))

    def endless(exchange: Exchange) -> bool:
        number = next(count)
        return page([line(number)], Link=f'<?n={number}>; rel="next"')(exchange)

    found, requests = listed(Shelf(), endless)
    assert requests < 60
    assert "without end" in found.left[0]


def test_lines_that_make_no_sense_hide_no_other() -> None:
    found, _ = listed(Shelf(), page([7, line(1), {"digest": "sha256:x"}, None, line(1)]))
    assert len(found.referrers) == 1
    assert found.left == ("3 of the listed artifacts make no sense",)


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_a_page_that_answers_everything_is_no_list(kind: str) -> None:
    def answer(exchange: Exchange) -> bool:
        if "/referrers/" in exchange.seen.path:
            exchange.send(200, b"<html>", Content_Type=kind)
        return "/referrers/" in exchange.seen.path

    found, _ = listed(Shelf(), answer)
    assert found.via.startswith("the tag sha256-")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"subject": {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'2' * 64}", "size": 1}}, "another manifest"),
        ({"layers": [{"mediaType": DSSE, "digest": THIRD, "size": 1 << 40}]},
         "limit statement"),
        ({"layers": [{"mediaType": "a/b", "digest": THIRD, "size": 1}] * 17}, "more than 16 layers"),
        ({"layers": [{"mediaType": DSSE, "digest": THIRD, "size": 4}]},
         "404"),
        ({"layers": 7}, "no array"),
    ],
)  # fmt: skip
def test_artifacts_that_are_not_believed(change: dict[str, Any], why: str) -> None:
    shelf = Shelf()
    image = shelf.put_image()
    subject = {"mediaType": OCI_MANIFEST, "digest": image, "size": 1}
    own = shelf.put({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "subject": subject, **change})
    told = page([line(1, digest=own, size=len(shelf.manifests[own]))])
    lying = site(lambda exchange: None if told(exchange) else shelf.respond(exchange))
    with lying as running, repository_at(running) as repository:
        [one] = list_referrers(repository, Digest.parse(image)).referrers
        with pytest.raises((UntrustedContent, TargetError), match=why):
            list(read_documents(repository, one, Digest.parse(image)))


def test_a_blob_with_other_bytes_is_refused() -> None:
    shelf = Shelf()
    done, image = attached(shelf)
    shelf.blobs[sha256(ENVELOPE)] = ENVELOPE.replace(b"x", b"y")
    with registry_of(shelf) as running, repository_at(running) as repository:
        [one] = list_referrers(repository, Digest.parse(image)).referrers
        with pytest.raises(CgscanError, match="has digest"):
            list(read_documents(repository, one, Digest.parse(image)))
    assert done.tag is None
