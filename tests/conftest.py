"""What all tests share: the repository on the import path, and inputs that need network or time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fixtures import demo, wheels

_NOBODY = 65534
# A busy machine is slow: no example has a deadline; the same examples every time, so that a run says the same twice.
settings.register_profile("cgscan", deadline=None, derandomize=True)
settings.load_profile("cgscan")


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


@pytest.fixture
def bounded_rights(tmp_path: Path) -> Iterator[Path]:
    """``tmp_path`` while permissions count: root puts its rights aside, because it may read everything."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    reachable = [folder for folder in (tmp_path, *tmp_path.parents) if folder.stat().st_mode & 0o055 != 0o055]
    modes = {folder: folder.stat().st_mode for folder in reachable}
    for folder in reachable:
        folder.chmod(modes[folder] | 0o055)
    os.chown(tmp_path, _NOBODY, _NOBODY)
    os.seteuid(_NOBODY)
    try:
        yield tmp_path
    finally:
        os.seteuid(0)
        for folder, mode in modes.items():
            folder.chmod(mode)
