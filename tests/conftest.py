"""What all tests share: the repository on the import path, and inputs that need network or time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fixtures import demo, wheels


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lies in ``tests/real`` builds dozens of real projects; ``make test-real`` runs it."""
    for item in items:
        if "real" in item.path.relative_to(Path(__file__).parent).parts:
            item.add_marker(pytest.mark.real)


def _or_skip(make: Callable[[str], Path]) -> Callable[[str], Path]:
    def made(requirement: str) -> Path:
        try:
            return make(requirement)
        except wheels.FixtureUnavailable as problem:
            pytest.skip(str(problem))

    return made


@pytest.fixture(scope="session")
def pypi_wheel() -> Callable[[str], Path]:
    """PyPI's wheel of a requirement; skips the test without network and cache."""
    return _or_skip(wheels.download_wheel)


@pytest.fixture(scope="session")
def rebuilt_wheel() -> Callable[[str], Path]:
    """A wheel rebuilt as Chainguard does; skips the test without network and cache."""
    return _or_skip(wheels.rebuild)


@pytest.fixture(scope="session")
def demo_parts(tmp_path_factory: pytest.TempPathFactory) -> demo.Demo:
    """The demo's image and index trees, built once; do not change them."""
    try:
        return demo.build(tmp_path_factory.mktemp("demo"))
    except wheels.FixtureUnavailable as problem:
        pytest.skip(str(problem))
