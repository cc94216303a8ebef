"""What every kind of registry posts for one pushed image, in the shape of its documentation, with what shows who sends.

The image is ``team/web:1.4`` (or what a kind makes of that) with the digest ``DIGEST``.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scanner.webhooks import WebhookSource, armed, file_webhooks

SECRET = "s3cret-0f-the-test"
OTHER = "an0ther-s3cret"
DIGEST = "sha256:" + "8a9b" * 16
CHILD = "sha256:" + "2171" * 16
OCI = "application/vnd.oci.image."
NOW = 1_764_000_000.0


def source(**entry: Any) -> WebhookSource:
    """A source as the configuration has it, with its secrets."""
    faults: list[str] = []
    entry = {"name": "main", **entry}
    if entry["kind"] != "google" and entry.get("auth") != "none":
        entry.setdefault("secret_env", "HOOK")
    found = file_webhooks([entry], faults)
    assert not faults, faults
    [one] = armed(found, {"HOOK": SECRET, "HOOK_NEXT": OTHER, "USER": "registry"}, bound_to="127.0.0.1")
    return one


def signature(body: bytes, algorithm: str = "sha256", secret: str = SECRET) -> str:
    """The hex digits of an HMAC."""
    return hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).hexdigest()


def basic(user: str, password: str) -> str:
    """The value of Authorization."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A source, and a request of its registry. ``sign`` is how it is shown to be: see :meth:`signed`."""

    entry: Mapping[str, Any]
    document: Any
    image: str
    sign: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> WebhookSource:
        """The source of the sample."""
        return source(**self.entry)

    @property
    def body(self) -> bytes:
        """The body as bytes."""
        return json.dumps(self.document).encode()

    def changed(self, *path: str | int, to: Any) -> Sample:
        """With another value at a path; without the key if it is ``...``."""
        document = copy.deepcopy(self.document)
        inside = document
        for key in path[:-1]:
            inside = inside[key]
        if to is ...:
            del inside[path[-1]]
        else:
            inside[path[-1]] = to
        return replace(self, document=document)

    def signed(self, body: bytes | None = None, secret: str = SECRET) -> tuple[dict[str, str], str | None]:
        """Headers, and the secret of the URL."""
        data = self.body if body is None else body
        header, _, form = self.sign.partition(" ")
        if header == "url":
            return dict(self.headers), secret
        made = {
            "secret": secret,
            "bearer": f"Bearer {secret}",
            "basic": basic("registry", secret),
            "sha1": signature(data, "sha1", secret),
            "sha256": signature(data, "sha256", secret),
            "sha256=": "sha256=" + signature(data, "sha256", secret),
        }
        return {**self.headers, header: made[form]}, None


DISTRIBUTION_EVENT: dict[str, Any] = {
    "id": "b415bed3-7546-4460-ae2f-4ed6f9d6624c",
    "timestamp": "2026-11-22T15:45:51.52Z",
    "action": "push",
    "target": {
        "mediaType": OCI + "manifest.v1+json",
        "size": 517,
        "length": 517,
        "digest": DIGEST,
        "repository": "team/web",
        "url": f"http://registry.example:5055/v2/team/web/manifests/{DIGEST}",
        "tag": "1.4",
        "references": [
            {"mediaType": OCI + "config.v1+json", "size": 417, "digest": CHILD},
            {"mediaType": OCI + "layer.v1.tar+gzip", "size": 12, "digest": CHILD},
        ],
    },
    "request": {"id": "3627cfd8", "addr": "10.0.0.7:45446", "host": "registry.example:5055", "method": "PUT"},
    "actor": {"name": "ci"},
    "source": {"addr": "vm:5055", "instanceID": "e10f7f7b"},
}
HARBOR_DATA = {
    "resources": [{"digest": DIGEST, "tag": "1.4", "resource_url": "hub.example/team/web:1.4"}],
    "repository": {
        "date_created": 1732000000,
        "name": "web",
        "namespace": "team",
        "repo_full_name": "team/web",
        "repo_type": "private",
    },
}
PACKAGE: dict[str, Any] = {
    "name": "Web",
    "namespace": "team",
    "ecosystem": "CONTAINER",
    "package_type": "CONTAINER",
    "owner": {"login": "Team", "type": "Organization"},
    "package_version": {
        "id": 1,
        "version": DIGEST,
        "name": DIGEST,
        "package_url": "ghcr.io/Team/Web:1.4",
        "container_metadata": {
            "tag": {"name": "1.4", "digest": DIGEST},
            "labels": {"image_url": ""},
            "manifest": {"digest": DIGEST, "media_type": OCI + "manifest.v1+json", "config": {}, "layers": []},
        },
    },
    "registry": {"url": "https://team.ghcr.io", "type": "CONTAINER"},
}
AZURE_EVENT = {
    "id": "cb8c3971",
    "timestamp": "2026-11-22T10:00:00Z",
    "action": "push",
    "target": {
        "mediaType": OCI + "manifest.v1+json",
        "size": 524,
        "digest": DIGEST,
        "length": 524,
        "repository": "team/web",
        "tag": "1.4",
    },
    "request": {"id": "3cbb6949", "host": "acme.azurecr.io", "method": "PUT", "useragent": "docker/24"},
}
ECR_DETAIL = {
    "result": "SUCCESS",
    "repository-name": "team/web",
    "image-digest": DIGEST,
    "action-type": "PUSH",
    "image-tag": "1.4",
    "manifest-media-type": OCI + "manifest.v1+json",
    "artifact-media-type": OCI + "config.v1+json",
}
ECR_HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
GITEA_PACKAGE = {
    "id": 5,
    "owner": {"login": "Team"},
    "creator": {"login": "ci"},
    "type": "container",
    "name": "web",
    "version": "1.4",
    "html_url": "https://git.example/team/-/packages/container/web/1.4",
    "created_at": "2026-11-22T10:00:00Z",
}


def pubsub(notice: Any) -> dict[str, Any]:
    """A message as Pub/Sub pushes it."""
    data = base64.b64encode(json.dumps(notice).encode()).decode()
    message = {"data": data, "attributes": {}, "messageId": "123", "publishTime": "2026-11-22T10:00:00Z"}
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


GOOGLE_NOTICE = {
    "action": "INSERT",
    "digest": f"europe-docker.pkg.dev/p/r/web@{DIGEST}",
    "tag": "europe-docker.pkg.dev/p/r/web:1.4",
}
GOOGLE_ENTRY = {
    "kind": "google",
    "registry": "europe-docker.pkg.dev",
    "audience": "https://cgscan.example/webhooks/main",
    "email": "push@p.iam.gserviceaccount.com",
    "keys_url": "http://127.0.0.1:9/certs",
}

_DISTRIBUTION = {"kind": "distribution", "registry": "registry.example:5055"}
_NEXUS = {"kind": "nexus", "registries": {"docker-hosted": "nexus.example:8082"}}
_NEXUS_EVENT = {
    "timestamp": "2026-11-22T10:00:00.000+0000",
    "nodeId": "52905B51",
    "initiator": "ci/10.0.0.9",
    "repositoryName": "docker-hosted",
    "action": "CREATED",
}
_ARTIFACTORY_EVENT = {
    "domain": "docker",
    "event_type": "pushed",
    "data": {
        "repo_key": "docker-local",
        "path": "team/web/1.4/list.manifest.json",
        "name": "list.manifest.json",
        "sha256": DIGEST.removeprefix("sha256:"),
        "size": 1638,
        "image_name": "team/web",
        "image_type": "docker",
        "tag": "1.4",
        "platforms": [{"architecture": "amd64", "os": "linux"}],
    },
    "subscription_key": "cgscan",
    "jpd_origin": "https://acme.jfrog.io/artifactory",
    "source": "user@acme",
}
_TAGGED = f"team/web:1.4@{DIGEST}"

SAMPLES: dict[str, Sample] = {
    "distribution": Sample(
        entry=_DISTRIBUTION,
        document={"events": [DISTRIBUTION_EVENT]},
        image=f"registry.example:5055/{_TAGGED}",
        sign="Authorization bearer",
        headers={"Content-Type": "application/vnd.docker.distribution.events.v1+json"},
    ),
    "distribution basic": Sample(
        entry={**_DISTRIBUTION, "auth": "basic", "username_env": "USER"},
        document={"events": [DISTRIBUTION_EVENT]},
        image=f"registry.example:5055/{_TAGGED}",
        sign="Authorization basic",
    ),
    "gitlab": Sample(
        entry={**_DISTRIBUTION, "kind": "gitlab", "auth": "header", "header": "X-Hook"},
        document={"events": [DISTRIBUTION_EVENT]},
        image=f"registry.example:5055/{_TAGGED}",
        sign="X-Hook secret",
    ),
    "dockerhub": Sample(
        entry={"kind": "dockerhub"},
        document={
            "callback_url": "https://registry.hub.docker.com/u/team/web/hook/2141b5/",
            "push_data": {"pushed_at": 1732270000.5, "pusher": "ci", "tag": "1.4"},
            "repository": {
                "repo_name": "team/web",
                "namespace": "team",
                "name": "web",
                "repo_url": "https://hub.docker.com/r/team/web",
                "is_private": True,
                "owner": "team",
                "status": "Active",
            },
        },
        image="docker.io/team/web:1.4",
        sign="url",
    ),
    "harbor": Sample(
        entry={"kind": "harbor", "registry": "hub.example"},
        document={
            "type": "PUSH_ARTIFACT",
            "occur_at": 1732270000,
            "operator": "robot$ci",
            "event_data": HARBOR_DATA,
        },
        image=f"hub.example/{_TAGGED}",
        sign="Authorization secret",
    ),
    "harbor cloudevents": Sample(
        entry={"kind": "harbor", "registry": "hub.example", "auth": "bearer"},
        document={
            "specversion": "1.0",
            "id": "66e5c4fa",
            "source": "/projects/2/webhook/policies/15",
            "type": "harbor.artifact.pushed",
            "datacontenttype": "application/json",
            "time": "2026-11-22T10:00:00Z",
            "operator": "robot$ci",
            "data": HARBOR_DATA,
        },
        image=f"hub.example/{_TAGGED}",
        sign="Authorization bearer",
        headers={"Content-Type": "application/cloudevents+json"},
    ),
    "quay": Sample(
        entry={"kind": "quay"},
        document={
            "repository": "team/web",
            "namespace": "team",
            "name": "web",
            "docker_url": "quay.io/team/web",
            "homepage": "https://quay.io/repository/team/web",
            "updated_tags": ["1.4"],
        },
        image="quay.io/team/web:1.4",
        sign="url",
    ),
    "github": Sample(
        entry={"kind": "github"},
        document={"action": "published", "package": PACKAGE, "sender": {"login": "ci"}},
        image=f"ghcr.io/{_TAGGED}",
        sign="X-Hub-Signature-256 sha256=",
        headers={"X-GitHub-Event": "package", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
    ),
    "github registry_package": Sample(
        entry={"kind": "github"},
        document={"action": "updated", "registry_package": PACKAGE, "sender": {"login": "ci"}},
        image=f"ghcr.io/{_TAGGED}",
        sign="X-Hub-Signature-256 sha256=",
        headers={"X-GitHub-Event": "registry_package"},
    ),
    "artifactory": Sample(
        entry={"kind": "artifactory", "registry": "acme.jfrog.io"},
        document=_ARTIFACTORY_EVENT,
        image=f"acme.jfrog.io/docker-local/{_TAGGED}",
        sign="X-JFrog-Event-Auth sha256",
    ),
    "artifactory token": Sample(
        entry={
            "kind": "artifactory",
            "auth": "header",
            "registries": {"docker-local": "docker-local.acme.jfrog.io"},
            "known_as": "acme.jfrog.io",
        },
        document=_ARTIFACTORY_EVENT,
        image=f"docker-local.acme.jfrog.io/{_TAGGED}",
        sign="X-JFrog-Event-Auth secret",
    ),
    "nexus component": Sample(
        entry=_NEXUS,
        document={
            **_NEXUS_EVENT,
            "component": {"id": "a1", "componentId": "b2", "format": "docker", "name": "team/web", "version": "1.4"},
        },
        image="nexus.example:8082/team/web:1.4",
        sign="X-Nexus-Webhook-Signature sha1",
        headers={"X-Nexus-Webhook-ID": "rm:repository:component", "X-Nexus-Webhook-Delivery": "5dcd"},
    ),
    "nexus asset": Sample(
        entry=_NEXUS,
        document={
            **_NEXUS_EVENT,
            "asset": {"id": "a1", "assetId": "b2", "format": "docker", "name": "v2/team/web/manifests/1.4"},
        },
        image="nexus.example:8082/team/web:1.4",
        sign="X-Nexus-Webhook-Signature sha1",
        headers={"X-Nexus-Webhook-ID": "rm:repository:asset"},
    ),
    "acr": Sample(
        entry={"kind": "acr", "registry": "acme.azurecr.io"},
        document=AZURE_EVENT,
        image=f"acme.azurecr.io/{_TAGGED}",
        sign="Authorization bearer",
    ),
    "acr event grid": Sample(
        entry={"kind": "acr", "registry": "acme.azurecr.io", "auth": "url"},
        document=[
            {
                "id": "831e1650",
                "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/acme",
                "subject": "team/web:1.4",
                "eventType": "Microsoft.ContainerRegistry.ImagePushed",
                "data": AZURE_EVENT,
                "dataVersion": "1.0",
                "eventTime": "2026-11-22T10:00:00Z",
            }
        ],
        image=f"acme.azurecr.io/{_TAGGED}",
        sign="url",
        headers={"aeg-event-type": "Notification"},
    ),
    "acr cloudevents": Sample(
        entry={"kind": "acr", "registry": "acme.azurecr.io", "auth": "url"},
        document={
            "id": "831e1650",
            "source": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/acme",
            "subject": "team/web:1.4",
            "type": "Microsoft.ContainerRegistry.ImagePushed",
            "specversion": "1.0",
            "time": "2026-11-22T10:00:00Z",
            "data": AZURE_EVENT,
        },
        image=f"acme.azurecr.io/{_TAGGED}",
        sign="url",
        headers={"Content-Type": "application/cloudevents+json; charset=utf-8"},
    ),
    "ecr": Sample(
        entry={"kind": "ecr", "registry": ECR_HOST},
        document={
            "version": "0",
            "id": "13cde686",
            "detail-type": "ECR Image Action",
            "source": "aws.ecr",
            "account": "123456789012",
            "time": "2026-11-22T10:00:00Z",
            "region": "eu-west-1",
            "resources": [],
            "detail": ECR_DETAIL,
        },
        image=f"{ECR_HOST}/{_TAGGED}",
        sign="X-Cgscan-Secret secret",
    ),
    "ecr cloudevents": Sample(
        entry={"kind": "ecr", "registry": ECR_HOST, "auth": "basic", "username_env": "USER"},
        document={
            "specversion": "1.0",
            "id": "13cde686",
            "type": "com.amazon.ecr.image.push",
            "source": "urn:aws:ecr:eu-west-1:123456789012:repository/team/web",
            "data": {
                "repositoryName": "team/web",
                "imageDigest": DIGEST,
                "imageTag": "1.4",
                "registryId": "123456789012",
            },
        },
        image=f"{ECR_HOST}/{_TAGGED}",
        sign="Authorization basic",
    ),
    "gitea": Sample(
        entry={"kind": "gitea", "registry": "git.example"},
        document={
            "action": "created",
            "repository": None,
            "package": GITEA_PACKAGE,
            "organization": None,
            "sender": {"login": "ci"},
        },
        image="git.example/team/web:1.4",
        sign="X-Gitea-Signature sha256",
        headers={"X-Gitea-Event": "package", "X-GitHub-Event": "package", "X-Gitea-Delivery": "f6266f16"},
    ),
    "generic": Sample(
        entry={"kind": "generic", "registry": "hub.example", "reference": "images[].name"},
        document={"images": [{"name": f"hub.example/team/web:1.4@{DIGEST}"}]},
        image=f"hub.example/{_TAGGED}",
        sign="X-Signature sha256=",
    ),
    "generic bearer": Sample(
        entry={"kind": "generic", "registry": "hub.example", "reference": "data.image", "auth": "bearer"},
        document={"data": {"image": "team/web:1.4"}},
        image="hub.example/team/web:1.4",
        sign="Authorization bearer",
    ),
}
"""One for each format and way to show who sends, but for Google's tokens."""
