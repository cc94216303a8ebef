"""The API is what its description says: requests made of it, right ones and wrong ones, against the running service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.services import Running, configured, started

schemathesis: Any = pytest.importorskip("schemathesis")
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402 - only where it is installed

_BEYOND = [positive_data_acceptance]
"""A schema cannot say all of what a name of an image, a cursor or a payload is."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("described")
    source = {"name": "any", "kind": "generic", "registry": "r.example", "reference": "image", "auth": "none"}
    token = {"name": "all", "rights": ["read", "scan"], "token_env": "TOKEN"}
    config = configured(folder, most_waiting=50, tokens=[token], top={"webhooks": [source]})
    with started(folder, "serve", "--config", str(config), "--no-workers", environment={"TOKEN": "t" * 20}) as running:
        running.token = "t" * 20
        yield running


def test_every_answer_is_as_described(service: Running) -> None:
    assert _asked(service, examples=6) > 14


@pytest.mark.real
@pytest.mark.large
def test_every_answer_is_as_described_at_length(service: Running) -> None:
    assert _asked(service, examples=150) > 14


def _asked(service: Running, *, examples: int) -> int:
    """Ask every operation; how many there are."""
    description = schemathesis.openapi.from_url(f"{service.url}/api/v1/openapi.json")
    operations = [found.ok() for found in description.get_all_operations()]
    for operation in operations:

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def holds(case: Any) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {service.token}"}, excluded_checks=_BEYOND)

        holds()
    return len(operations)
