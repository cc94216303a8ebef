"""The environment variables that change what cgscan does, but for those of its own settings.

Every setting has one of its own, ``CGSCAN_`` and its name (:attr:`scanner.config.Setting.variable`). These are the
others: read here, or by the libraries that ask for cgscan. ``cgscan help environment``, ``cgscan doctor``, man pages
and the table of the documentation are made of this one; a test holds it to what is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHAINGUARD_USER: Final = "CHAINGUARD_PYTHON_IDENTITY_ID"
CHAINGUARD_TOKEN: Final = "CHAINGUARD_PYTHON_TOKEN"  # noqa: S105 - a variable's name
KEY_PASSWORD: Final = "CGSCAN_KEY_PASSWORD"  # noqa: S105
DATABASE: Final = "CGSCAN_DATABASE"
QUEUE: Final = "CGSCAN_QUEUE"
COMPLETE: Final = "_CGSCAN_COMPLETE"
"""Set by completion scripts alone, for the process that they ask; nobody else sets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A variable and what it is for. ``asking``: it changes whom or how cgscan asks on the network for packages."""

    name: str
    purpose: str
    asking: bool = False


KNOWN: Final = (
    Known(name=CHAINGUARD_USER, purpose="user for libraries.cgr.dev", asking=True),
    Known(name=CHAINGUARD_TOKEN, purpose="password for libraries.cgr.dev", asking=True),
    Known(name="NETRC", purpose="the file of users and passwords by host, instead of ~/.netrc", asking=True),
    Known(name="HTTPS_PROXY", purpose="the way to https hosts", asking=True),
    Known(name="HTTP_PROXY", purpose="the way to http hosts", asking=True),
    Known(name="ALL_PROXY", purpose="the way to hosts for which there is no other", asking=True),
    Known(name="NO_PROXY", purpose="hosts that are asked directly", asking=True),
    Known(name="SSL_CERT_FILE", purpose="certificates that are trusted, instead of the system's", asking=True),
    Known(name="SSL_CERT_DIR", purpose="a folder of such certificates, where SSL_CERT_FILE is not set", asking=True),
    Known(name=KEY_PASSWORD, purpose="password of the private key of cgscan attest and of serve.attach"),
    Known(name=DATABASE, purpose="the URL of the database of cgscan serve"),
    Known(name=QUEUE, purpose="the URL of the Redis of cgscan serve"),
    Known(name="DOCKER_AUTH_CONFIG", purpose="credentials of registries, as the text of a docker config.json"),
    Known(name="REGISTRY_AUTH_FILE", purpose="the file of credentials of registries that podman and skopeo use"),
    Known(name="DOCKER_CONFIG", purpose="the folder of docker's config.json, instead of ~/.docker"),
    Known(name="DOCKER_HOST", purpose="where the docker daemon listens"),
    Known(name="DOCKER_CONTEXT", purpose="the context of the docker command line, where DOCKER_HOST is not set"),
    Known(name="DOCKER_TLS_VERIFY", purpose="check the certificate of the daemon at DOCKER_HOST"),
    Known(name="DOCKER_CERT_PATH", purpose="the folder of certificates for DOCKER_HOST"),
    Known(name="CONTAINER_HOST", purpose="where the podman service listens"),
    Known(name="XDG_RUNTIME_DIR", purpose="the folder of podman's socket and of its credentials"),
    Known(name="XDG_CONFIG_HOME", purpose="the folder of cgscan/cgscan.yaml and containers/, instead of ~/.config"),
    Known(name="XDG_CACHE_HOME", purpose="the folder of cgscan's cache and of tools' caches, instead of ~/.cache"),
    Known(name="XDG_DATA_HOME", purpose="the folder of what cgscan serve keeps, instead of ~/.local/share"),
    Known(name="HOME", purpose="where the folders above are, unless they are set"),
    Known(name="PATH", purpose="where credential helpers are looked for"),
    Known(name="PIP_CACHE_DIR", purpose="the cache of pip, for cgscan purge --local"),
    Known(name="UV_CACHE_DIR", purpose="the cache of uv, for cgscan purge --local"),
    Known(name="POETRY_CACHE_DIR", purpose="the cache of Poetry, for cgscan purge --local"),
    Known(name="PDM_CACHE_DIR", purpose="the cache of PDM, for cgscan purge --local"),
    Known(name="TMPDIR", purpose="the folder for what is too large for memory while a scan runs"),
    Known(name="NO_COLOR", purpose="show no colors, whatever its value"),
    Known(name="TERM", purpose="dumb: show no colors"),
)
"""In the order of the documentation. The four of proxies count in lower case, too."""
