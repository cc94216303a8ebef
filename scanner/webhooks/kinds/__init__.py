"""One module for each registry that posts: its payload -> hints, in the registry's own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scanner.webhooks.kinds import (
    amazon,
    artifactory,
    azure,
    distribution,
    dockerhub,
    generic,
    gitea,
    github,
    google,
    harbor,
    nexus,
    quay,
)
from scanner.webhooks.kinds.adapter import Read
from scanner.webhooks.source import Kind

READERS: Final[Mapping[Kind, Read]] = {
    Kind.DISTRIBUTION: distribution.read_events,
    Kind.GITLAB: distribution.read_events,
    Kind.DOCKERHUB: dockerhub.read_events,
    Kind.HARBOR: harbor.read_events,
    Kind.QUAY: quay.read_events,
    Kind.GITHUB: github.read_events,
    Kind.ARTIFACTORY: artifactory.read_events,
    Kind.NEXUS: nexus.read_events,
    Kind.ACR: azure.read_events,
    Kind.ECR: amazon.read_events,
    Kind.GOOGLE: google.read_events,
    Kind.GITEA: gitea.read_events,
    Kind.GENERIC: generic.read_events,
}
