"""What the tests of all managers begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.http import Client
from tests.repository_managers.vendors import LIMITS, Scene, make_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Wheels, and a folder in which some are installed."""
    return make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client; nobody's real credentials take part."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    with Client(limits=LIMITS) as one:
        yield one
