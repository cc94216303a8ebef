"""What each kind of registry posts, and what is made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scanner.digest import Digest
from scanner.webhooks import Accepted, Answered, Ignored, Kind, Outcome, Place, Pushed, Refused, handshake, receive
from tests.webhooks.payloads import (
    AZURE_EVENT,
    CHILD,
    DIGEST,
    DISTRIBUTION_EVENT,
    GOOGLE_ENTRY,
    GOOGLE_NOTICE,
    NOW,
    OCI,
    PACKAGE,
    SAMPLES,
    Sample,
    pubsub,
    source,
)

GOOGLE = Sample(
    entry={**GOOGLE_ENTRY, "auth": "none", "audience": None, "email": None, "keys_url": None},
    document=pubsub(GOOGLE_NOTICE),
    image=f"europe-docker.pkg.dev/p/r/web:1.4@{DIGEST}",
    sign="url",
)
"""Without its token; that is test_webhook_tokens.py's."""


def outcome(sample: Sample) -> Outcome:
    headers, secret = sample.signed()
    return receive(sample.source, headers, sample.body, now=NOW, url_secret=secret)


def reason(sample: Sample) -> str:
    """Why the one event of a sample is ignored."""
    found = outcome(sample)
    assert isinstance(found, Accepted), found
    [event] = found.events
    assert isinstance(event, Ignored), event
    return event.reason


def pushed(sample: Sample) -> Pushed:
    """The one push of a sample."""
    found = outcome(sample)
    assert isinstance(found, Accepted), found
    [event] = found.events
    assert isinstance(event, Pushed), event
    return event


def test_there_is_a_sample_of_every_kind() -> None:
    assert {name.split()[0] for name in SAMPLES} | {"google"} == {kind.value for kind in Kind}


@pytest.mark.parametrize("sample", [*SAMPLES.values(), GOOGLE], ids=[*SAMPLES, "google"])
def test_a_push_is_an_image_of_the_configured_registry(sample: Sample) -> None:
    push = pushed(sample)
    assert str(push.image) == sample.image
    assert push.reference == f"registry:{sample.image}"
    assert push.tag == "1.4"
    assert push.digest in (None, Digest.parse(DIGEST))


FOREIGN: list[tuple[str, tuple[str | int, ...], Any]] = [
    ("distribution", ("events", 0, "request", "host"), "evil.example"),
    ("distribution", ("events", 0, "target", "url"), "https://evil.example/v2/team/web/manifests/1.4"),
    ("distribution", ("events", 0, "request", "host"), "registry.example:5056"),
    ("distribution", ("events", 0, "target", "url"), "http://[broken"),
    ("distribution", ("events", 0, "target", "url"), "http://registry.example:5055@evil.example/"),
    ("gitlab", ("events", 0, "request", "host"), "169.254.169.254"),
    ("dockerhub", ("repository", "repo_url"), "https://hub.docker.com.evil.example/r/team/web"),
    ("harbor", ("event_data", "resources", 0, "resource_url"), "evil.example/team/web:1.4"),
    ("harbor cloudevents", ("data", "resources", 0, "resource_url"), "evil.example/team/web:1.4"),
    ("quay", ("docker_url",), "evil.example/team/web"),
    ("github", ("package", "package_version", "package_url"), "evil.example/team/web:1.4"),
    ("artifactory", ("jpd_origin",), "https://evil.example/artifactory"),
    ("acr", ("request", "host"), "evil.azurecr.io"),
    ("acr event grid", (0, "data", "request", "host"), "evil.azurecr.io"),
    ("acr cloudevents", ("data", "request", "host"), "evil.azurecr.io"),
    ("ecr", ("account",), "999999999999"),
    ("ecr", ("region",), "eu-west-2"),
    ("ecr", ("region",), "x.evil.example/"),
    ("ecr cloudevents", ("source",), "urn:aws:ecr:eu-west-2:123456789012:repository/team/web"),
    ("gitea", ("package", "html_url"), "https://evil.example/team/-/packages/container/web/1.4"),
    ("generic", ("images", 0, "name"), "evil.example/team/web:1.4"),
    ("generic bearer", ("data", "image"), "localhost/team/web:1.4"),
]


@pytest.mark.parametrize(("name", "path", "value"), FOREIGN, ids=str)
def test_a_foreign_host_is_ignored(name: str, path: tuple[str | int, ...], value: str) -> None:
    why = reason(SAMPLES[name].changed(*path, to=value))
    assert "which is not the registry of this source" in why
    assert why.isascii()
    assert why.isprintable()


def test_a_foreign_host_in_a_message_of_google() -> None:
    notice = {name: text.replace("europe-docker.pkg.dev", "evil.example") for name, text in GOOGLE_NOTICE.items()}
    sample = Sample(entry=GOOGLE.entry, document=pubsub(notice), image="", sign="url")
    assert "evil.example" in reason(sample)
    torn = {**GOOGLE_NOTICE, "tag": "europe-docker.pkg.dev/p/r/other:1.4"}
    assert "no names of one image" in reason(Sample(entry=GOOGLE.entry, document=pubsub(torn), image="", sign="url"))


def test_a_registry_may_be_known_by_other_names() -> None:
    entry = {**SAMPLES["distribution"].entry, "registry": "public.example", "known_as": ["registry.example:5055"]}
    sample = SAMPLES["distribution"]
    headers, _ = sample.signed()
    found = receive(source(**entry), headers, sample.body, now=NOW)
    assert isinstance(found, Accepted)
    assert [push.image.host for push in found.pushes] == ["public.example"]


@pytest.mark.parametrize(
    ("name", "path", "value", "why"),
    [
        ("distribution", ("events", 0, "action"), "pull", "no push"),
        ("distribution", ("events", 0, "action"), "delete", "no push"),
        ("distribution", ("events", 0, "action"), "mount", "no push"),
        ("distribution", ("events", 0, "target", "mediaType"), "application/octet-stream", "no manifest"),
        ("distribution", ("events", 0, "target", "references", 0, "mediaType"), OCI[:20] + "empty", "an artifact"),
        ("distribution", ("events", 0, "target", "tag"), "sha256-" + "a" * 64, "attached"),
        ("distribution", ("events", 0, "target", "tag"), "sha256-" + "a" * 64 + ".att", "attached"),
        ("distribution", ("events", 0, "target", "tag"), ..., "without a tag"),
        ("distribution", ("events",), [], "no event"),
        ("harbor", ("type",), "DELETE_ARTIFACT", "no push"),
        ("harbor", ("type",), "PULL_ARTIFACT", "no push"),
        ("harbor", ("type",), "SCANNING_COMPLETED", "no push"),
        ("harbor", ("event_data", "resources", 0, "tag"), DIGEST, "without a tag"),
        ("harbor", ("event_data", "resources"), [], "no event"),
        ("harbor cloudevents", ("type",), "harbor.scan.completed", "no push"),
        ("dockerhub", ("push_data", "tag"), "", "neither tag nor digest"),
        ("dockerhub", ("push_data", "tag"), "sha512-" + "b" * 128, "attached"),
        ("quay", ("updated_tags",), ..., "no push"),
        ("quay", ("updated_tags",), [], "no event"),
        ("github", ("action",), "deleted", "no push"),
        ("github", ("package", "package_type"), "npm", "no image"),
        ("github", ("package", "package_version"), None, "no image"),
        (
            "github",
            ("package", "package_version", "container_metadata", "tag"),
            {"name": "", "digest": DIGEST},
            "without a tag",
        ),
        (
            "github",
            ("package", "package_version", "container_metadata", "manifest", "config"),
            {"media_type": "application/vnd.cncf.helm.config.v1+json"},
            "an artifact",
        ),
        ("artifactory", ("event_type",), "deleted", "no push"),
        ("artifactory", ("domain",), "artifact", "no push"),
        ("artifactory", ("data", "tag"), DIGEST.replace(":", "__"), "without a tag"),
        ("artifactory token", ("data", "repo_key"), "docker-other", "none of registries"),
        ("nexus component", ("action",), "DELETED", "no push"),
        ("nexus component", ("action",), "PURGED", "no push"),
        ("nexus component", ("component", "format"), "pypi", "not docker"),
        ("nexus component", ("component", "version"), ..., "without a version"),
        ("nexus component", ("repositoryName",), "other", "none of registries"),
        ("nexus asset", ("asset", "name"), f"v2/-/blobs/{DIGEST}", "no manifest"),
        ("nexus asset", ("asset", "name"), f"v2/team/web/manifests/{DIGEST}", "without a tag"),
        ("acr", ("action",), "ping", "no push"),
        ("acr", ("action",), "chart_push", "no push"),
        ("acr", ("target",), None, "of nothing"),
        ("acr event grid", (0, "eventType"), "Microsoft.ContainerRegistry.ImageDeleted", "no push"),
        ("acr cloudevents", ("type",), "Microsoft.ContainerRegistry.ChartPushed", "no push"),
        ("ecr", ("detail", "action-type"), "DELETE", "no push"),
        ("ecr", ("detail", "result"), "FAILURE", "no push"),
        ("ecr", ("detail-type",), "ECR Image Scan", "none of an image"),
        ("ecr", ("detail", "image-tag"), ..., "without a tag"),
        ("ecr", ("detail", "artifact-media-type"), "application/vnd.cncf.helm.config.v1+json", "an artifact"),
        ("ecr cloudevents", ("type",), "com.amazon.ecr.image.delete", "no push"),
        ("ecr cloudevents", ("source",), "urn:aws:s3", "no repository"),
        ("gitea", ("action",), "deleted", "no push"),
        ("gitea", ("package", "type"), "pypi", "no push"),
        ("gitea", ("package", "version"), DIGEST, "without a tag"),
        ("generic", ("images",), [], "no event"),
        ("generic", ("images", 0, "name"), "", "is empty"),
    ],
    ids=str,
)
def test_what_is_no_push_of_an_image_is_ignored(name: str, path: tuple[str | int, ...], value: Any, why: str) -> None:
    assert why in reason(SAMPLES[name].changed(*path, to=value))


@pytest.mark.parametrize("action", ["DELETE", "insert"])
def test_what_is_no_push_for_google(action: str) -> None:
    document = pubsub({**GOOGLE_NOTICE, "action": action})
    assert "no push" in reason(Sample(entry=GOOGLE.entry, document=document, image="", sign="url"))
    empty = {"message": {"attributes": {}, "messageId": "1"}, "subscription": "s"}
    assert "without data" in reason(Sample(entry=GOOGLE.entry, document=empty, image="", sign="url"))


@pytest.mark.parametrize(("name", "header"), [("github", "X-GitHub-Event"), ("gitea", "X-Gitea-Event")])
def test_other_events_of_a_forge_are_ignored(name: str, header: str) -> None:
    for event in ("ping", "push"):
        sample = SAMPLES[name]
        headers, _ = sample.signed(b'{"zen": "short"}')
        found = receive(sample.source, {**headers, header: event}, b'{"zen": "short"}', now=NOW)
        assert isinstance(found, Accepted)
        assert not found.pushes


NAMES = [
    "../admin",
    "team//web",
    "team/web:2@evil",
    "team/web@sha256:" + "0" * 64,
    "Team/Web",
    "team/web\n",
    "/team/web",
    "team/web/",
    "a" * 300,
    "team/wéb",
    "",
    "team/web?x=1",
    "team/web#",
    "team\\web",
    "\ud800",
]


@pytest.mark.parametrize("repository", NAMES, ids=ascii)
def test_a_repository_is_one_or_ignored(repository: str) -> None:
    why = reason(SAMPLES["distribution"].changed("events", 0, "target", "repository", to=repository))
    assert "no name of an image" in why or "too long" in why
    assert why.isascii()
    assert why.isprintable()


def test_a_part_does_not_reach_into_the_next() -> None:
    sample = SAMPLES["distribution"].changed("events", 0, "target", "tag", to=...)
    assert "no name" in reason(sample.changed("events", 0, "target", "repository", to="team/web:2"))
    bare = replace(SAMPLES["acr"].source, registry=Place(host="registry"), known_as=("acme.azurecr.io",))
    headers, _ = SAMPLES["acr"].signed()
    found = receive(bare, headers, SAMPLES["acr"].body, now=NOW)
    assert isinstance(found, Accepted)
    assert not found.pushes, "registry/team/web would be an image of Docker Hub"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("tag", "1.4@sha256:" + "0" * 64),
        ("tag", "1.4/x"),
        ("tag", "-x"),
        ("tag", "a" * 129),
        ("tag", "1.4\n"),
        ("digest", "sha256:12"),
        ("digest", "md5:" + "0" * 32),
        ("digest", "blake3:" + "0" * 64),
        ("digest", DIGEST + "/../x"),
        ("digest", DIGEST.replace("8", "g")),
    ],
)
def test_tag_and_digest_are_such_or_ignored(part: str, value: str) -> None:
    assert "no name of an image" in reason(SAMPLES["distribution"].changed("events", 0, "target", part, to=value))


@pytest.mark.parametrize(
    ("patterns", "taken"),
    [
        (["team/*"], True),
        (["team/web"], True),
        (["**"], True),
        (["other/**", "team/w*"], True),
        (["*"], False),
        (["team"], False),
        (["team/we"], False),
        (["*/app"], False),
        (["team.web"], False),
    ],
    ids=str,
)
def test_repositories_are_chosen_by_patterns(patterns: list[str], taken: bool) -> None:
    sample = SAMPLES["acr"]
    headers, _ = sample.signed()
    found = receive(source(**sample.entry, repositories=patterns), headers, sample.body, now=NOW)
    assert isinstance(found, Accepted)
    assert bool(found.pushes) is taken


def test_pushes_by_digest_are_taken_where_they_are_wanted() -> None:
    sample = SAMPLES["distribution"].changed("events", 0, "target", "tag", to=...)
    headers, _ = sample.signed()
    found = receive(source(**sample.entry, untagged=True), headers, sample.body, now=NOW)
    assert isinstance(found, Accepted)
    [push] = found.pushes
    assert push.reference == f"registry:registry.example:5055/team/web@{DIGEST}"


def test_the_images_of_an_index_are_the_indexs() -> None:
    target: dict[str, Any] = {**DISTRIBUTION_EVENT["target"], "mediaType": OCI + "index.v1+json"}
    target["references"] = [{"mediaType": OCI + "manifest.v1+json", "size": 1, "digest": CHILD}]
    child = {**DISTRIBUTION_EVENT["target"], "digest": CHILD}
    del child["tag"]
    events = [{**DISTRIBUTION_EVENT, "target": child}, {**DISTRIBUTION_EVENT, "target": target}]
    sample = SAMPLES["distribution"].changed("events", to=events)
    headers, _ = sample.signed()
    found = receive(source(**sample.entry, untagged=True), headers, sample.body, now=NOW)
    assert isinstance(found, Accepted)
    assert found.events[0] == Ignored(reason="one image of an index that came with it")
    [push] = found.pushes
    assert push.children == (Digest.parse(CHILD),)


def test_an_event_that_is_there_twice_is_one() -> None:
    sample = SAMPLES["distribution"].changed("events", to=[DISTRIBUTION_EVENT] * 3)
    assert pushed(sample).id == DISTRIBUTION_EVENT["id"]
    flood = outcome(SAMPLES["distribution"].changed("events", to=[DISTRIBUTION_EVENT] * 1001))
    assert flood == Refused(status=413, reason="more than 1000 events in one body")


def test_every_tag_of_quay_is_a_push() -> None:
    for tags in (["1.4", "latest"], {"1.4": "id", "latest": "id"}):
        found = outcome(SAMPLES["quay"].changed("updated_tags", to=tags))
        assert isinstance(found, Accepted)
        assert [push.tag for push in found.pushes] == ["1.4", "latest"]


def test_github_tells_less_at_times() -> None:
    sample = SAMPLES["github"].changed("package", "package_version", "container_metadata", to=None)
    assert "without a tag" in reason(sample)
    assert PACKAGE["package_version"]["container_metadata"]


def test_docker_hubs_own_images_have_a_library() -> None:
    assert str(pushed(SAMPLES["dockerhub"].changed("repository", "repo_name", to="web")).image) == (
        "docker.io/library/web:1.4"
    )


def test_event_grid_asks_and_is_answered() -> None:
    question = {
        "id": "2d1781af",
        "topic": "",
        "subject": "",
        "data": {"validationCode": "512d38b6", "validationUrl": "https://evil.example/validate"},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
    }
    sample = SAMPLES["acr event grid"].changed(0, to=question)
    assert outcome(sample) == Answered(document={"validationResponse": "512d38b6"})
    assert isinstance(receive(sample.source, {}, sample.body, now=NOW), Refused)


def test_the_handshake_of_cloudevents() -> None:
    asked = {"webhook-request-origin": "eventgrid.azure.net", "WebHook-Request-Callback": "https://evil.example"}
    found = handshake(SAMPLES["acr cloudevents"].source, asked)
    assert isinstance(found, Answered)
    assert found.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert found.headers["WebHook-Allowed-Rate"].isdigit()
    stranger = handshake(SAMPLES["acr cloudevents"].source, {"WebHook-Request-Origin": "evil.example"})
    assert isinstance(stranger, Refused)
    assert stranger.status == 403
    assert isinstance(handshake(SAMPLES["acr cloudevents"].source, {}), Refused)
    other = handshake(SAMPLES["harbor"].source, asked)
    assert isinstance(other, Refused)
    assert other.status == 405
    assert AZURE_EVENT["action"] == "push"
