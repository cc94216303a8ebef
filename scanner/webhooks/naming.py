"""What a payload calls an image -> an image on the registry of the configuration, or why not.

A payload says which repository, tag and digest; where that is, the configuration says. A host that a payload names is
compared with the configured ones and used for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from scanner.digest import Digest
from scanner.errors import UsageError
from scanner.reference import DOCKER_HUB, ImageName
from scanner.webhooks.events import Event, Ignored, Pushed
from scanner.webhooks.source import Place, WebhookSource

INDEXES: Final = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFESTS: Final = INDEXES | {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
}
CONFIGS: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
"""Of images; a manifest with another configuration is a chart, a signature, a report."""
_ATTACHED: Final = re.compile(r"sha(256|384|512)-[0-9a-f]{32,}(\..*)?")
"""Tags under which signatures, SBOMs and reports hang on an image where a registry has no referrers API."""
_LONGEST: Final = 255
"""Of a host and repository together."""
_ID: Final = re.compile(r"[\x21-\x7e]{1,200}")
_PORTS: Final = re.compile(r":(443|80)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What a payload says was pushed, read but not believed.

    ``named`` are hosts and URLs in it; ``manager_repository`` chooses one of ``registries``. ``media_type`` and
    ``config_type`` are those of the manifest and its configuration, where told.
    """

    repository: str
    tag: str | None = None
    digest: str | None = None
    named: tuple[str | None, ...] = ()
    manager_repository: str | None = None
    media_type: str | None = None
    config_type: str | None = None
    children: tuple[str, ...] = ()
    id: str | None = None


class _Passed(Exception):
    """Why a hint is ignored."""


def event_of(source: WebhookSource, hint: Hint) -> Event:
    """The push on the configured registry, or why it is ignored."""
    try:
        _check_kind(hint)
        _check_hosts(source, hint.named)
        image = _image(_place(source, hint), hint)
        _check_wanted(source, image)
    except _Passed as problem:
        return Ignored(reason=str(problem))
    children = tuple(found for found in map(_digest_or_none, hint.children) if found)
    return Pushed(image=image, children=children, id=hint.id if hint.id and _ID.fullmatch(hint.id) else None)


def said(text: object) -> str:
    """A word of a payload in a reason: ASCII, short."""
    return ascii(text)[:100]


# -- is it an image


def _check_kind(hint: Hint) -> None:
    if hint.tag and _ATTACHED.fullmatch(hint.tag):
        raise _Passed(f"the tag {said(hint.tag)} is of what is attached to an image, not of an image")
    if hint.media_type and hint.media_type.partition(";")[0].strip() not in MANIFESTS:
        raise _Passed(f"{said(hint.media_type)} is no manifest of an image")
    if hint.config_type and hint.config_type not in CONFIGS:
        raise _Passed(f"an artifact, no image: its configuration is {said(hint.config_type)}")


# -- where it is


def _check_hosts(source: WebhookSource, named: Iterable[str | None]) -> None:
    known = {_bare(host) for host in source.hosts}
    if DOCKER_HUB in known:
        known |= {"hub.docker.com", "registry.hub.docker.com", "index.docker.io", "registry-1.docker.io"}
    for text in named:
        if text and _bare(text) not in known:
            raise _Passed(
                f"names the host {said(_bare(text))}, which is not the registry of this source; "
                f"if it is the same under another name, write it to known_as"
            )


def _bare(text: str) -> str:
    """The host of a URL or of ``HOST[:PORT][/…]``, without what stands for itself."""
    try:
        host = urlsplit(text if "://" in text else f"//{text}").netloc
    except ValueError:
        return text
    return _PORTS.sub("", host.lower())


def _place(source: WebhookSource, hint: Hint) -> Place:
    own = dict(source.registries).get(hint.manager_repository or "")
    if own or source.registry:
        return own or _below(source.registry, hint.manager_repository)
    raise _Passed(f"the repository {said(hint.manager_repository)} of the manager is none of registries")


def _below(place: Place | None, repository: str | None) -> Place:
    """A manager's repository is a path on its registry unless the configuration says where else it is."""
    assert place is not None
    if repository is None:
        return place
    return Place(host=place.host, prefix="/".join(filter(None, (place.prefix, repository))))


def _image(place: Place, hint: Hint) -> ImageName:
    """The name, after it was read from its own text: nothing in a part can reach into the next."""
    repository = f"{place.prefix}/{hint.repository}" if place.prefix else hint.repository
    if len(place.host) + len(repository) > _LONGEST:
        raise _Passed("the repository's name is too long")
    text = f"{place.host}/{repository}{f':{hint.tag}' if hint.tag else ''}{f'@{hint.digest}' if hint.digest else ''}"
    try:
        image = ImageName.parse(text)
    except UsageError as problem:
        raise _Passed(f"{said(text)} is no name of an image") from problem
    own = {repository, f"library/{repository}"} if place.host == DOCKER_HUB else {repository}
    if image.host != place.host or image.repository not in own or (hint.tag and image.tag != hint.tag):
        raise _Passed(f"{said(text)} is no name of an image")
    return image


def _digest_or_none(text: str) -> Digest | None:
    try:
        return Digest.parse(text)
    except UsageError:
        return None


# -- is it wanted


def _check_wanted(source: WebhookSource, image: ImageName) -> None:
    if source.repositories and not any(pattern_of(one).fullmatch(image.repository) for one in source.repositories):
        raise _Passed(f"{said(image.repository)} is none of repositories")
    if image.tag is None and not source.untagged:
        raise _Passed("pushed without a tag: mostly one image of an index; untagged: true takes it")


@lru_cache(1024)
def pattern_of(text: str) -> re.Pattern[str]:
    """``*`` is any part of one component of a path, ``**`` of several."""
    parts = re.split(r"(\*+)", text)
    forms = {"": "", "*": "[^/]*"}
    return re.compile("".join(forms.get(part, ".*") if not part.strip("*") else re.escape(part) for part in parts))
