"""A configured source of webhooks as a value, and what each kind of registry offers."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from scanner.errors import ConfigError
from scanner.limits import MIB

MOST_SECRETS: Final = 8
"""Of one source, while they are changed."""


class Kind(enum.Enum):
    """Who posts."""

    DISTRIBUTION = "distribution"
    GITLAB = "gitlab"
    DOCKERHUB = "dockerhub"
    HARBOR = "harbor"
    QUAY = "quay"
    GITHUB = "github"
    ARTIFACTORY = "artifactory"
    NEXUS = "nexus"
    ACR = "acr"
    ECR = "ecr"
    GOOGLE = "google"
    GITEA = "gitea"
    GENERIC = "generic"


class Auth(enum.Enum):
    """How a request shows that it is the registry's."""

    HMAC = "hmac"
    """A keyed hash of the body in a header."""
    BEARER = "bearer"
    """``Authorization: Bearer SECRET``."""
    HEADER = "header"
    """A header that is the secret."""
    BASIC = "basic"
    """``Authorization: Basic``, a user and the secret."""
    URL = "url"
    """``?secret=SECRET`` in the URL, where a registry has nothing else."""
    JWT = "jwt"
    """A token signed by Google, for this audience and from this account."""
    NONE = "none"
    """Nothing: only for a service that is bound to loopback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How a kind signs a body: the hash, the header, and what stands there before the hex digits."""

    algorithm: str
    header: str
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a kind can do: ways to show that it is itself, the usual one first; its header; the registry it has."""

    ways: tuple[Auth, ...]
    header: str = "Authorization"
    signing: Signing | None = None
    registry: str | None = None
    several: bool = False
    """One manager has several registries, one for each of its repositories."""


_SHARED: Final = (Auth.BEARER, Auth.HEADER, Auth.BASIC, Auth.URL)
OFFERS: Final[Mapping[Kind, Offer]] = {
    Kind.DISTRIBUTION: Offer(ways=_SHARED),
    Kind.GITLAB: Offer(ways=_SHARED),
    Kind.DOCKERHUB: Offer(ways=(Auth.URL,), registry="docker.io"),
    Kind.HARBOR: Offer(ways=(Auth.HEADER, Auth.BEARER, Auth.BASIC, Auth.URL)),
    Kind.QUAY: Offer(ways=(Auth.URL,), registry="quay.io"),
    Kind.GITHUB: Offer(
        ways=(Auth.HMAC,),
        signing=Signing(algorithm="sha256", header="X-Hub-Signature-256", prefix="sha256="),
        registry="ghcr.io",
    ),
    Kind.ARTIFACTORY: Offer(
        ways=(Auth.HMAC, Auth.HEADER),
        header="X-JFrog-Event-Auth",
        signing=Signing(algorithm="sha256", header="X-JFrog-Event-Auth"),
        several=True,
    ),
    Kind.NEXUS: Offer(
        ways=(Auth.HMAC,), signing=Signing(algorithm="sha1", header="X-Nexus-Webhook-Signature"), several=True
    ),
    Kind.ACR: Offer(ways=_SHARED),
    Kind.ECR: Offer(ways=(Auth.HEADER, Auth.BEARER, Auth.BASIC, Auth.URL), header="X-Cgscan-Secret"),
    Kind.GOOGLE: Offer(ways=(Auth.JWT,)),
    Kind.GITEA: Offer(
        ways=(Auth.HMAC, Auth.HEADER, Auth.BEARER), signing=Signing(algorithm="sha256", header="X-Gitea-Signature")
    ),
    Kind.GENERIC: Offer(
        ways=(Auth.HMAC, *_SHARED), signing=Signing(algorithm="sha256", header="X-Signature", prefix="sha256=")
    ),
}

GOOGLE_KEYS: Final = "https://www.googleapis.com/oauth2/v3/certs"
GOOGLE_ISSUERS: Final = ("https://accounts.google.com", "accounts.google.com")
EVENT_GRID: Final = ("eventgrid.azure.net", "eventgrid.azure.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A registry, and the path below which its repositories are: ``HOST[:PORT][/PREFIX]``."""

    host: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSource:
    """One entry of the section ``webhooks``; ``POST /webhooks/<name>`` is its address.

    ``registry`` is where images are fetched, whatever a payload says; ``registries`` has it for each repository of a
    manager that has several. ``known_as`` are other hosts that a payload may name and means the same.
    ``secret_env`` and ``username_env`` name environment variables; ``secrets`` and ``username`` are what they hold,
    there after :func:`armed`. ``repositories`` are patterns, none for all. ``untagged`` takes pushes by digest too,
    which are mostly the images of an index that follows. ``reference`` is where a generic payload has the image's name,
    as keys with dots between, ``[]`` for each of a list. ``body`` is the size in bytes of the largest request.
    """

    name: str
    kind: Kind
    auth: Auth
    registry: Place | None = None
    registries: tuple[tuple[str, Place], ...] = ()
    known_as: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    untagged: bool = False
    header: str | None = None
    secret_env: tuple[str, ...] = ()
    username_env: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    username: str = field(default="", repr=False)
    audience: str | None = None
    email: str | None = None
    keys_url: str = GOOGLE_KEYS
    origins: tuple[str, ...] = EVENT_GRID
    reference: str | None = None
    body: int = MIB

    @property
    def signing(self) -> Signing:
        """How bodies are signed: as the kind does, or with the header of the configuration."""
        offered = OFFERS[self.kind].signing
        assert offered is not None
        return replace(offered, header=self.header) if self.header else offered

    @property
    def shared_header(self) -> str:
        """The header that is the secret."""
        return self.header or OFFERS[self.kind].header

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that a payload may name."""
        places = [self.registry] if self.registry else [place for _, place in self.registries]
        return (*(place.host for place in places), *self.known_as)


def armed(
    sources: Sequence[WebhookSource], environment: Mapping[str, str], *, bound_to: str
) -> tuple[WebhookSource, ...]:
    """The sources with their secrets, ready for a service that listens at the address ``bound_to``.

    :class:`scanner.errors.ConfigError` with every variable that is not set, empty or no printable ASCII, and every
    source that needs no secret while not only this machine can reach it.
    """
    faults = [fault for source in sources for fault in _faults(source, environment, bound_to)]
    if faults:
        raise ConfigError("webhooks cannot be received", faults=faults, hint="see docs/webhooks.md")
    return tuple(
        replace(
            source,
            secrets=tuple(environment[name] for name in source.secret_env),
            username=environment[source.username_env] if source.username_env else "",
        )
        for source in sources
    )


def _faults(source: WebhookSource, environment: Mapping[str, str], bound_to: str) -> Iterator[str]:
    where = f"webhooks.{source.name}"
    if source.auth is Auth.NONE and not is_loopback(bound_to):
        yield f"{where}: has no secret, so anybody who reaches {bound_to} could have images scanned; write secret_env"
    names = [*source.secret_env, *([source.username_env] if source.username_env else [])]
    for name in names:
        value = environment.get(name, "")
        if not value:
            yield f"{where}: the environment variable {name} is not set"
        elif not (value.isascii() and value.isprintable()) or value != value.strip():
            yield f"{where}: the environment variable {name} holds more than printable ASCII, or a blank at an end"


def is_loopback(host: str) -> bool:
    """Whether an address that is listened at is reached from this machine alone; a name but ``localhost`` is not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
