"""The section ``webhooks`` of ``cgscan.yaml`` -> sources; every fault is one line with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from scanner.errors import UsageError
from scanner.limits import MIB
from scanner.reference import ImageName
from scanner.sections import read_keys
from scanner.values import (
    Reader,
    as_host,
    as_name,
    as_size,
    as_switch,
    as_text,
    as_url_without_secrets,
    as_variable,
    meant,
    shown,
)
from scanner.webhooks.source import MOST_SECRETS, OFFERS, Auth, Kind, Place, WebhookSource

SECTION: Final = "webhooks"
_MOST_BODY: Final = 32 * MIB
_MOST_ITEMS: Final = 1000
PLACE: Final = r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[a-z0-9._/-]+)?"
PATTERN: Final = r"[a-z0-9*][a-z0-9._/*-]{0,254}"
HEADER: Final = r"[A-Za-z0-9][A-Za-z0-9-]{0,63}"
WHERE: Final = r"[^.\u0000-\u0020]+(\.[^.\u0000-\u0020]+)*"


def as_webhook_kind(value: object) -> Kind:
    """Who posts."""
    kind: Kind = _word(Kind, value, "kind of webhook")
    return kind


def as_auth(value: object) -> Auth:
    """How a request shows whose it is."""
    auth: Auth = _word(Auth, value, "way to show who sends")
    return auth


def _word(words: Any, value: object, what: str) -> Any:
    known = [word.value for word in words]
    if value not in known:
        close = meant(value, known) if isinstance(value, str) else ""
        raise ValueError(f"{shown(value)} is no {what}; there are {', '.join(known)}{close}")
    return words(value)


def as_place(value: object) -> Place:
    """``HOST[:PORT][/PREFIX]`` of a registry."""
    text = as_text(value)
    host, _, prefix = text.partition("/")
    try:
        name = ImageName.parse(f"{host.lower()}/{prefix or 'any/name'}:tag") if re.fullmatch(PLACE, text) else None
    except UsageError:
        name = None
    if name is None or name.host != host.lower():
        raise ValueError("must be HOST, HOST:PORT or HOST/PATH of a registry; a host has a dot, a port or is localhost")
    return Place(host=name.host, prefix=prefix)


def as_pattern(value: object) -> str:
    """A pattern of repositories."""
    if not isinstance(value, str) or not re.fullmatch(PATTERN, value):
        raise ValueError("must be the name of a repository, with * for a part of it and ** for any part")
    return value


def as_header(value: object) -> str:
    """The name of a header."""
    if not isinstance(value, str) or not re.fullmatch(HEADER, value):
        raise ValueError("must be the name of a header")
    return value


def as_where(value: object) -> str:
    """A place in a document."""
    if not isinstance(value, str) or not re.fullmatch(WHERE, value) or len(value) > 255:
        raise ValueError("must be keys with dots between: data.image, or images[].name for each of a list")
    return value


def as_https_url(value: object) -> str:
    """Where keys are fetched: nobody may put others in their place on the way, but on this machine."""
    text = as_url_without_secrets(value)
    if not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/]", text):
        raise ValueError("must be a URL of https")
    return text


def as_body(value: object) -> int:
    """The size of the largest body."""
    size = as_size(value)
    if not 1 <= size <= _MOST_BODY:
        raise ValueError(f"{shown(value)} is not from 1 byte to {_MOST_BODY // MIB}MiB")
    return size


def _several(read: Reader, most: int = _MOST_ITEMS) -> Callable[[object], tuple[Any, ...]]:
    """One, or a list of them."""

    def read_all(value: object) -> tuple[Any, ...]:
        items = value if isinstance(value, list) else [value]
        if not 1 <= len(items) <= most:
            raise ValueError(f"must be one, or a list of at most {most}")
        return tuple(read(item) for item in items)

    return read_all


def as_places(value: object) -> tuple[tuple[str, Place], ...]:
    """A mapping from the repositories of a manager to registries."""
    if not isinstance(value, Mapping) or not 1 <= len(value) <= _MOST_ITEMS:
        raise ValueError("must be a mapping (REPOSITORY: HOST[:PORT][/PATH])")
    return tuple((as_name(key), as_place(place)) for key, place in value.items())


WEBHOOK_KEYS: Final[Mapping[str, Reader]] = {
    "name": as_name,
    "kind": as_webhook_kind,
    "registry": as_place,
    "registries": as_places,
    "known_as": _several(as_host),
    "repositories": _several(as_pattern),
    "untagged": as_switch,
    "auth": as_auth,
    "secret_env": _several(as_variable, MOST_SECRETS),
    "username_env": as_variable,
    "header": as_header,
    "audience": as_text,
    "email": as_text,
    "keys_url": as_https_url,
    "origins": _several(as_host),
    "reference": as_where,
    "body": as_body,
}
"""What an entry may say."""
_ONLY_FOR: Final[Mapping[str, frozenset[Kind]]] = {
    "registries": frozenset(kind for kind, offer in OFFERS.items() if offer.several),
    "audience": frozenset({Kind.GOOGLE}),
    "email": frozenset({Kind.GOOGLE}),
    "keys_url": frozenset({Kind.GOOGLE}),
    "origins": frozenset({Kind.ACR}),
    "reference": frozenset({Kind.GENERIC}),
}
_NO_SECRET: Final = (Auth.NONE, Auth.JWT)


def file_webhooks(value: object, faults: list[str]) -> tuple[WebhookSource, ...]:
    """The section. What cannot be read is a fault and left out. Secrets are not read: see :func:`armed`."""
    if value is None:
        return ()
    if not isinstance(value, list):
        faults.append(f"{SECTION}: must be a list (- name: …)")
        return ()
    sources: list[WebhookSource] = []
    for place, entry in enumerate(value):
        own: list[str] = []
        where = f"{SECTION}[{place}]"
        parts = _parts(entry, where, own)
        if parts.get("name") in [source.name for source in sources]:
            own.append(f"{where}.name: {parts['name']} is the name of a source above")
        faults.extend(own)
        if not own:
            sources.append(WebhookSource(**parts))
    return tuple(sources)


def _parts(value: object, where: str, faults: list[str]) -> dict[str, Any]:
    """The values of one entry, with what its kind has for those that are not written."""
    parts = read_keys(value, WEBHOOK_KEYS, where, faults, needed=("name", "kind"))
    if "kind" in parts and not faults:
        offer = OFFERS[parts["kind"]]
        parts.setdefault("auth", offer.ways[0])
        if offer.registry and "registry" not in parts:
            parts["registry"] = as_place(offer.registry)
        faults.extend(f"{where}.{fault}" for fault in _faults_together(parts))
    return parts


def _faults_together(parts: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with values beside each other."""
    kind, auth = parts["kind"], parts["auth"]
    for key, kinds in _ONLY_FOR.items():
        if key in parts and kind not in kinds:
            yield f"{key}: is for the kind {' or '.join(sorted(one.value for one in kinds))}"
    if auth not in (*OFFERS[kind].ways, Auth.NONE):
        ways = ", ".join(way.value for way in OFFERS[kind].ways)
        yield f"auth: {kind.value} has no {auth.value}; it has {ways}"
    yield from _faults_of_place(parts)
    yield from _faults_of_auth(parts)
    if kind is Kind.GENERIC and "reference" not in parts:
        yield "reference: is missing: where the name of the image stands (data.image)"


def _faults_of_place(parts: Mapping[str, Any]) -> Iterator[str]:
    kind = parts["kind"]
    if "registry" in parts and "registries" in parts:
        yield "registries: stands beside registry; write one of them"
    elif kind is Kind.NEXUS and "registries" not in parts:
        yield "registries: is missing: at which host and port Nexus serves each repository (docker-hosted: HOST:PORT)"
    elif "registry" not in parts and "registries" not in parts:
        yield "registry: is missing: where images are fetched; a payload does not choose it"
    if kind is Kind.DOCKERHUB and parts["registry"].host != "docker.io":
        yield "registry: is docker.io for this kind"


def _faults_of_auth(parts: Mapping[str, Any]) -> Iterator[str]:
    auth = parts["auth"]
    if auth in _NO_SECRET and "secret_env" in parts:
        yield f"secret_env: is not used with auth {auth.value}"
    if auth not in _NO_SECRET and "secret_env" not in parts:
        yield "secret_env: is missing: the variable that holds the secret (auth: none needs none, on loopback alone)"
    if (auth is Auth.BASIC) != ("username_env" in parts):
        yield f"username_env: {'is missing, for' if auth is Auth.BASIC else 'is for'} auth basic"
    if "header" in parts and auth not in (Auth.HEADER, Auth.HMAC):
        yield "header: is for auth header and hmac"
    if auth is Auth.JWT:
        said = {"audience": "the push endpoint's audience", "email": "the service account that pushes"}
        yield from (f"{key}: is missing: {what}" for key, what in said.items() if key not in parts)
