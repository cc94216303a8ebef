"""Wheels and clients for the tests of indexes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.wheels import make_wheel
from scanner.http import Client
from scanner.index import Index, IndexSpec, Role
from scanner.indexes import open_index
from scanner.limits import Limits
from scanner.store import DiskStore, Store
from tests.managers import Devpi, devpi

LIMITS = Limits(request_seconds=5, index_seconds=60)

Open = Callable[..., Index]


@pytest.fixture(autouse=True)
def _no_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's real credentials take part."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NETRC", "CHAINGUARD_PYTHON_IDENTITY_ID", "CHAINGUARD_PYTHON_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def client() -> Iterator[Client]:
    """A client for one test."""
    with Client(limits=LIMITS) as one:
        yield one


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    """An empty store on disk."""
    return DiskStore(tmp_path / "store")


@pytest.fixture
def opened(client: Client, store: DiskStore) -> Open:
    """Opens an index with the test's client and store."""

    def make(
        location: str | Path,
        *,
        role: Role = Role.CHAINGUARD,
        limits: Limits = LIMITS,
        store: Store = store,
        client: Client = client,
        **more: str,
    ) -> Index:
        spec = IndexSpec(location=str(location), role=role, **more)  # type: ignore[arg-type]
        return open_index(spec, client=client, store=store, limits=limits)

    return make


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of about a kilobyte."""
    return make_wheel(tmp_path_factory.mktemp("small"), "small-demo", "1.0", {"small_demo.py": b"x = 1\n"}, sbom=True)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a megabyte that does not compress."""
    noise = random.Random(1)
    files = {f"large/m{number:02}.py": noise.randbytes(50_000) for number in range(20)}
    return make_wheel(tmp_path_factory.mktemp("large"), "large", "2.0+cgr.1", files, sbom=True)


@pytest.fixture(scope="session")
def running_devpi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devpi]:
    """One devpi for all tests of a session."""
    with devpi(tmp_path_factory.mktemp("devpi")) as server:
        yield server
