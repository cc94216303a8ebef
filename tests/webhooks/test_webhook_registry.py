"""Debian's docker-registry posts, skopeo pushes: what really comes, and what is made of it."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.images import (
    digest_of,
    file_entry,
    layer_from_entries,
    multi_platform_layout,
    write_index_of,
    write_manifest,
    write_oci_layout,
)
from scanner.webhooks import Accepted, Event, Ignored, Pushed, Refused, receive
from tests.registries import Seen, docker_registry, push, site
from tests.webhooks.payloads import SECRET, source

LAYER = layer_from_entries([file_entry("etc/hostname", b"x")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A registry, and the requests that it posts; ``requests`` grows."""

    host: str
    requests: list[Seen]

    def events(self, **entry: object) -> list[Event]:
        """What is made of all that came until now."""
        one = source(kind="distribution", registry=self.host, **entry)
        found: list[Event] = []
        for seen in list(self.requests):
            outcome = receive(one, seen.headers, seen.body, now=time.time())
            assert isinstance(outcome, Accepted), outcome
            found += outcome.events
        return found

    def wait(self, there: Callable[[list[Event]], bool], **entry: object) -> list[Event]:
        """The events, when there is what is waited for."""
        deadline = time.monotonic() + 20
        while not there(events := self.events(**entry)):
            assert time.monotonic() < deadline, events
            threading.Event().wait(0.02)
        return events

    def until_pushed(self, repository: str, **entry: object) -> list[Event]:
        """The events of all that was done before, by a push of an image that comes behind it."""
        return self.wait(lambda events: any(one.repository == repository for one in pushes(events)), **entry)


def pushes(events: list[Event]) -> list[Pushed]:
    return [one for one in events if isinstance(one, Pushed)]


@pytest.fixture(scope="module")
def posting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posting]:
    folder = tmp_path_factory.mktemp("posting")
    with site(lambda exchange: exchange.send(202)) as receiver:
        notifications = {
            "events": {"includereferences": True},
            "endpoints": [
                {
                    "name": "cgscan",
                    "url": f"{receiver.url}/webhooks/main",
                    "headers": {"Authorization": [f"Bearer {SECRET}"]},
                    "timeout": "5s",
                    "threshold": 5,
                    "backoff": "1s",
                }
            ],
        }
        with docker_registry(folder, notifications=notifications) as host:
            yield Posting(host=host, requests=receiver.requests)


def test_a_push_comes_as_one_and_its_blobs_as_nothing(posting: Posting, tmp_path: Path) -> None:
    push(write_oci_layout(tmp_path, [LAYER], tag="1.4"), f"{posting.host}/one/app:1.4", tag="1.4")
    events = posting.until_pushed("one/app")
    [found] = [one for one in pushes(events) if one.repository == "one/app"]
    manifest = json.loads((tmp_path / "index.json").read_bytes())["manifests"][0]["digest"]
    assert found.reference == f"registry:{posting.host}/one/app:1.4@{manifest}"
    assert found.id
    blobs = [one for one in events if isinstance(one, Ignored) and "octet-stream" in one.reason]
    assert blobs


def test_an_index_is_one_push_with_its_images(posting: Posting, tmp_path: Path) -> None:
    layout = multi_platform_layout(tmp_path, {"linux/amd64": [LAYER], "linux/arm64": [LAYER]}, attestations=False)
    push(layout, f"{posting.host}/multi/app:latest")
    [found] = [one for one in pushes(posting.until_pushed("multi/app")) if one.repository == "multi/app"]
    assert found.tag == "latest"
    assert len(found.children) == 2
    with_children = pushes(posting.events(untagged=True))
    single = {one.digest for one in with_children if one.repository == "multi/app" and one.tag is None}
    assert single == set(found.children)


def test_what_hangs_on_an_image_is_ignored(posting: Posting, tmp_path: Path) -> None:
    """A report as an artifact with the empty configuration, under a tag of its own and under the fallback's."""
    empty = b"{}"

    def artifact(manifest: dict[str, object]) -> None:
        manifest["config"] = {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": digest_of(empty),
            "size": len(empty),
        }

    descriptor = write_manifest(tmp_path, empty, [LAYER], change=artifact)
    blob = tmp_path / "blobs" / "sha256" / descriptor["digest"].removeprefix("sha256:")
    layout = write_index_of(tmp_path, blob.read_bytes(), tag="report")
    push(layout, f"{posting.host}/hung/app:report", tag="report")
    push(layout, f"{posting.host}/hung/app:sha256-{'a' * 64}", tag="report")
    push(write_oci_layout(tmp_path / "last", [LAYER]), f"{posting.host}/hung/last:latest")
    events = posting.until_pushed("hung/last")
    assert not [one for one in pushes(events) if one.repository == "hung/app"]
    reasons = [one.reason for one in events if isinstance(one, Ignored)]
    assert any("an artifact" in one for one in reasons)
    assert any("attached" in one for one in reasons)


def test_pulls_and_deletes_are_ignored(posting: Posting, tmp_path: Path) -> None:
    push(write_oci_layout(tmp_path, [LAYER]), f"{posting.host}/gone/app:latest")
    manifest = json.loads((tmp_path / "index.json").read_bytes())["manifests"][0]["digest"]
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    address = f"http://{posting.host}/v2/gone/app/manifests/{manifest}"
    for method in ("GET", "DELETE"):
        with urllib.request.urlopen(urllib.request.Request(address, headers=accept, method=method)):
            pass
    events = posting.wait(
        lambda events: all(any(word in str(one) for one in events) for word in ("'pull'", "'delete'")),
    )
    assert len([one for one in pushes(events) if one.repository == "gone/app"]) == 1


def test_what_it_posts_is_for_this_registry_and_secret_alone(posting: Posting, tmp_path: Path) -> None:
    push(write_oci_layout(tmp_path, [LAYER]), f"{posting.host}/own/app:latest")
    posting.until_pushed("own/app")
    seen = next(one for one in posting.requests if b'"own/app"' in one.body and b'"tag": "latest"' in one.body)
    other = source(kind="distribution", registry="registry.example", secret_env="HOOK_NEXT")
    found = receive(other, seen.headers, seen.body, now=time.time())
    assert isinstance(found, Refused)
    assert found.status == 403
    foreign = receive(source(kind="distribution", registry="registry.example"), seen.headers, seen.body, now=0.0)
    assert isinstance(foreign, Accepted)
    assert not foreign.pushes
    assert "not the registry of this source" in str(foreign.events)
